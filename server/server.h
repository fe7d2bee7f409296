/* What the parts of a running daemon share; made by daemon.c, read-only afterwards but for the members that say so. */
#ifndef SRV_SERVER_H
#define SRV_SERVER_H

#include <stdatomic.h>

#include "server/models/generation.h"
#include "server/net/listen.h"
#include "server/request/stream.h"

struct srv_alerts;   /* server/alerts/alerts.h */
struct srv_drift;    /* server/watch/drift.h */
struct srv_reloader; /* server/models/reload.h */
struct srv_tls;      /* server/net/tls.h */
struct srv_webhooks; /* server/alerts/webhooks.h */
struct srv_writer;   /* server/batch/writer.h */

struct srv_server {
    const struct srv_config *config;    /* of the start: for what only a restart changes */
    struct srv_log log;                 /* level and format: atomics */
    struct srv_metrics metrics;         /* atomics */
    struct srv_generations generations; /* locks itself */
    struct srv_streams streams;         /* locks itself */
    struct srv_drift *drift;            /* locks itself */
    struct srv_reloader *reloader;      /* locks itself */
    struct srv_writer *writer;          /* locks itself */
    struct srv_writer *reader;          /* for what reads for long; locks itself */
    struct srv_alerts *alerts;          /* locks itself */
    struct srv_webhooks *webhooks;      /* locks itself */
    struct srv_tls *tls;                /* locks itself; NULL: plain HTTP */
    char address[SRV_ADDRESS_MAX];
    atomic_bool draining;
    uint64_t request_seed; /* random, for request ids */
    atomic_uint_fast64_t request_count;
};

#endif
