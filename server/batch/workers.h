/*
 * Workers: one thread a core, pinned, each with its own context for every model.
 * A worker takes a batch, runs it, hands it back; it knows nothing of requests. One
 * that has nothing to do helps another with its batch until something is queued.
 */
#ifndef SRV_WORKERS_H
#define SRV_WORKERS_H

#include "server/batch/batcher.h"
#include "server/models/models.h"
#include "server/watch/metrics.h"

struct srv_workers;

struct srv_workers_options {
    size_t n_workers;     /* 0: one for each core this process may use */
    size_t tokens_budget; /* of a batch; raised to a model's longest sequence */
    size_t items_max;     /* sequences of a batch */
    const struct task_limits *limits;
};

/* Creates all contexts, tells the batcher the budgets, and starts the threads. */
enum att_status srv_workers_start(const struct srv_workers_options *options, const struct srv_models *models,
                                  struct srv_batcher *batcher, struct srv_metrics *metrics,
                                  struct srv_workers **ret_workers, struct att_err *err) ATT_MUST_USE;
/* The batcher is stopped before. */
void srv_workers_join(struct srv_workers *workers);
size_t srv_workers_count(const struct srv_workers *workers);
size_t srv_workers_context_bytes(const struct srv_workers *workers);
/* True while some worker sits in one batch for longer than limit_us: the watchdog then stays silent. */
bool srv_workers_stuck(const struct srv_workers *workers, uint64_t limit_us);

#endif
