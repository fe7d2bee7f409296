/* What the parts of a running daemon share; made by daemon.c, read-only afterwards but for the members that say so. */
#ifndef SRV_SERVER_H
#define SRV_SERVER_H

#include <stdatomic.h>

#include "server/batcher.h"
#include "server/config.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/models.h"

struct srv_server {
    const struct srv_config *config;
    struct srv_log log;
    struct srv_models models;
    struct srv_metrics metrics;  /* atomics */
    struct srv_batcher *batcher; /* locks itself */
    struct task_env env;
    atomic_bool draining;
    int64_t started_unix_s;
    uint64_t request_seed; /* random, for request ids */
    atomic_uint_fast64_t request_count;
};

#endif
