/* The threads of workers.h. Pinning keeps a worker's panels of weights in its core's cache. */
#include "server/batch/workers.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/base/clock.h"
#include "core/base/cores.h"

enum { BATCH_ITEMS_MAX = 256 }; /* what task_jobs_run takes */

struct worker {
    struct srv_workers *workers;
    struct att_context **contexts; /* [n_models] */
    pthread_t thread;
    size_t number;
    bool started;
    int core;
    atomic_uint_fast64_t busy_since_us; /* 0: waits */
};

struct srv_workers {
    struct worker *list;
    size_t n_workers, n_models;
    struct srv_batcher *batcher;
    struct srv_metrics *metrics;
};

static void run_batch(struct worker *worker, struct srv_item **items, size_t n_items, size_t model)
{
    struct task_job *jobs[BATCH_ITEMS_MAX];
    uint64_t start_us = att_clock_us();
    size_t tokens = 0;

    assert(n_items <= BATCH_ITEMS_MAX);
    for (size_t i = 0; i < n_items; i++) {
        jobs[i] = items[i]->job;
        tokens += items[i]->tokens;
    }
    atomic_store_explicit(&worker->busy_since_us, start_us, memory_order_relaxed);
    task_jobs_run(worker->contexts[model], jobs, n_items);
    atomic_store_explicit(&worker->busy_since_us, 0, memory_order_relaxed);
    srv_metrics_batch(worker->workers->metrics, tokens, n_items, att_clock_us() - start_us);
    srv_batcher_done(worker->workers->batcher, items, n_items);
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    struct srv_item *items[BATCH_ITEMS_MAX];
    struct srv_batcher *batcher = worker->workers->batcher;
    struct srv_turn turn;

    pthread_setname_np(pthread_self(), "attentd-worker");
    att_cores_pin(worker->core);
    while ((turn = srv_batcher_next(batcher, worker->number, items, BATCH_ITEMS_MAX)).what != SRV_TURN_STOP) {
        if (turn.what == SRV_TURN_BATCH)
            run_batch(worker, items, turn.n_items, turn.model);
        else
            att_context_help(worker->contexts[turn.model], worker->workers->list[turn.leader].contexts[turn.model],
                             srv_batcher_waits, batcher);
    }
    return NULL;
}

static enum att_status create_contexts(struct worker *worker, const struct srv_workers_options *options,
                                       const struct srv_models *models, struct att_err *err)
{
    worker->contexts = att_mem_calloc(models->n_models, sizeof(struct att_context *));
    if (worker->contexts == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for a worker");
    for (size_t i = 0; i < models->n_models; i++) {
        struct att_model *model = models->list[i].task.model;
        size_t max_tokens = model != NULL ? att_model_info(model)->max_tokens : 0;
        size_t budget = max_tokens > options->tokens_budget ? max_tokens : options->tokens_budget;
        enum att_status status;

        if (model == NULL) /* disabled */
            continue;
        status = task_context_create(model, budget, options->items_max, options->limits, &worker->contexts[i], err);
        if (status != ATT_OK) {
            att_err_prefix(err, "model '%s'", models->list[i].task.name);
            return status;
        }
        srv_batcher_model(worker->workers->batcher, i, budget, options->items_max);
    }
    return ATT_OK;
}

enum att_status srv_workers_start(const struct srv_workers_options *options, const struct srv_models *models,
                                  struct srv_batcher *batcher, struct srv_metrics *metrics,
                                  struct srv_workers **ret_workers, struct att_err *err)
{
    struct srv_workers *workers = att_mem_calloc(1, sizeof(*workers));
    enum att_status status = ATT_OK;

    assert(options->items_max > 0 && options->items_max <= BATCH_ITEMS_MAX);
    if (workers == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for workers");
    workers->n_workers = options->n_workers > 0 ? options->n_workers : att_cores_count();
    workers->n_models = models->n_models;
    workers->batcher = batcher;
    workers->metrics = metrics;
    workers->list = att_mem_calloc(workers->n_workers, sizeof(*workers->list));
    if (workers->list == NULL) {
        status = att_err_set(err, ATT_ENOMEM, "no memory for %zu workers", workers->n_workers);
        goto fail;
    }
    for (size_t i = 0; i < workers->n_workers && status == ATT_OK; i++) {
        workers->list[i].workers = workers;
        workers->list[i].number = i;
        workers->list[i].core = att_cores_pick(i);
        status = create_contexts(&workers->list[i], options, models, err);
    }
    for (size_t i = 0; i < workers->n_workers && status == ATT_OK; i++) {
        workers->list[i].started = pthread_create(&workers->list[i].thread, NULL, worker_main, &workers->list[i]) == 0;
        if (!workers->list[i].started)
            status = att_err_set(err, ATT_EIO, "cannot start worker thread %zu of %zu", i + 1, workers->n_workers);
    }
    if (status != ATT_OK)
        goto fail;
    *ret_workers = workers;
    return ATT_OK;
fail:
    srv_batcher_stop(batcher);
    srv_workers_join(workers);
    return status;
}

void srv_workers_join(struct srv_workers *workers)
{
    if (workers == NULL)
        return;
    /* All of them first: one may still look into the context of another that it helped. */
    for (size_t i = 0; workers->list != NULL && i < workers->n_workers; i++)
        if (workers->list[i].started)
            pthread_join(workers->list[i].thread, NULL);
    for (size_t i = 0; workers->list != NULL && i < workers->n_workers; i++) {
        struct worker *worker = &workers->list[i];

        for (size_t k = 0; worker->contexts != NULL && k < workers->n_models; k++)
            att_context_destroy(worker->contexts[k]);
        att_mem_free(worker->contexts);
    }
    att_mem_free(workers->list);
    att_mem_free(workers);
}

size_t srv_workers_count(const struct srv_workers *workers)
{
    return workers->n_workers;
}

size_t srv_workers_context_bytes(const struct srv_workers *workers)
{
    size_t bytes = 0;

    for (size_t i = 0; i < workers->n_workers; i++)
        for (size_t k = 0; k < workers->n_models; k++)
            bytes += workers->list[i].contexts[k] != NULL ? att_context_bytes(workers->list[i].contexts[k]) : 0;
    return bytes;
}

bool srv_workers_stuck(const struct srv_workers *workers, uint64_t limit_us)
{
    uint64_t now_us = att_clock_us();

    for (size_t i = 0; i < workers->n_workers; i++) {
        uint64_t since_us = atomic_load_explicit(&workers->list[i].busy_since_us, memory_order_relaxed);

        if (since_us != 0 && now_us > since_us && now_us - since_us > limit_us)
            return true;
    }
    return false;
}
