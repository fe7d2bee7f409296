/*
 * The lock and the waiting around sched.c. Everything that decides lives there;
 * here is only who may touch it when, and telling requests that they are done.
 */
#include "server/batch/batcher.h"

#include <pthread.h>

#include "core/base/clock.h"
#include "core/base/mem.h"

struct srv_batcher {
    pthread_mutex_t mutex; /* protects everything below */
    pthread_cond_t work_waits;
    struct srv_sched sched;
    size_t idle_workers;
    bool stopping;
    size_t helpers_wanted, leader, leader_model; /* the latest call for help */
    struct srv_batcher_drops drops;              /* since the last tick */
    atomic_bool waits;                           /* something is queued; read without the lock */
};

enum att_status srv_batcher_create(const struct srv_sched_limits *limits, size_t n_models,
                                   struct srv_batcher **ret_batcher, struct att_err *err)
{
    struct srv_batcher *batcher = att_mem_calloc(1, sizeof(*batcher));
    enum att_status status;

    if (batcher == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for the batcher");
    status = srv_sched_init(&batcher->sched, limits, n_models, err);
    if (status != ATT_OK) {
        att_mem_free(batcher);
        return status;
    }
    pthread_mutex_init(&batcher->mutex, NULL);
    pthread_cond_init(&batcher->work_waits, NULL);
    batcher->leader = SIZE_MAX;
    *ret_batcher = batcher;
    return ATT_OK;
}

void srv_batcher_destroy(struct srv_batcher *batcher)
{
    if (batcher == NULL)
        return;
    pthread_cond_destroy(&batcher->work_waits);
    pthread_mutex_destroy(&batcher->mutex);
    srv_sched_finish(&batcher->sched);
    att_mem_free(batcher);
}

void srv_batcher_model(struct srv_batcher *batcher, size_t model, size_t tokens_budget, size_t items_max)
{
    srv_sched_model(&batcher->sched, model, tokens_budget, items_max);
}

enum att_status srv_batcher_admit(struct srv_batcher *batcher, struct srv_work *work, struct att_err *err)
{
    enum att_status status;

    pthread_mutex_lock(&batcher->mutex);
    work->released = false;
    status = srv_sched_admit(&batcher->sched, &work->ticket, err);
    pthread_mutex_unlock(&batcher->mutex);
    return status;
}

enum att_status srv_batcher_submit(struct srv_batcher *batcher, struct srv_work *work, uint64_t deadline_us,
                                   struct att_err *err)
{
    uint64_t now_us = att_clock_us();
    enum att_status status;
    size_t idle;

    if (now_us >= deadline_us)
        return att_err_set(err, ATT_EDEADLINE, "the deadline passed before the work began");
    pthread_mutex_lock(&batcher->mutex);
    work->submitted_us = now_us;
    work->ticket.deadline_us = deadline_us;
    status = srv_sched_push(&batcher->sched, &work->ticket, now_us, err);
    idle = batcher->idle_workers;
    atomic_store_explicit(&batcher->waits, batcher->sched.n_queued > 0, memory_order_relaxed);
    pthread_mutex_unlock(&batcher->mutex);
    if (status == ATT_OK && idle > 1 && work->ticket.n_items > 1)
        pthread_cond_broadcast(&batcher->work_waits);
    else if (status == ATT_OK && idle > 0)
        pthread_cond_signal(&batcher->work_waits);
    return status;
}

static void free_place(struct srv_batcher *batcher, struct srv_work *work)
{
    if (!work->released)
        srv_sched_release(&batcher->sched, &work->ticket);
    work->released = true;
}

void srv_batcher_release(struct srv_batcher *batcher, struct srv_work *work)
{
    pthread_mutex_lock(&batcher->mutex);
    free_place(batcher, work);
    pthread_mutex_unlock(&batcher->mutex);
}

/* A batch was taken and nothing else is queued: idle workers may help. True when there are some. */
static bool call_for_help(struct srv_batcher *batcher, size_t worker, size_t model)
{
    if (batcher->sched.n_queued > 0 || batcher->idle_workers == 0)
        return false;
    batcher->helpers_wanted = batcher->idle_workers;
    batcher->leader = worker;
    batcher->leader_model = model;
    return true;
}

bool srv_batcher_waits(void *context)
{
    struct srv_batcher *batcher = context;

    return atomic_load_explicit(&batcher->waits, memory_order_relaxed);
}

/* Puts a complete ticket's work on a list, so that its callback runs after the lock is given back. */
static void collect(struct srv_work **list, struct srv_ticket *ticket, uint64_t now_us)
{
    struct srv_work *work = (struct srv_work *)ticket;

    work->finished_us = now_us;
    work->next_done = *list;
    *list = work;
}

static void tell(struct srv_work *list)
{
    while (list != NULL) {
        /* The work may be gone as soon as its callback ran. */
        struct srv_work *next = list->next_done;

        list->done(list);
        list = next;
    }
}

void srv_batcher_done(struct srv_batcher *batcher, struct srv_item *const *items, size_t n_items)
{
    uint64_t now_us = att_clock_us();
    struct srv_work *complete = NULL;

    pthread_mutex_lock(&batcher->mutex);
    for (size_t i = 0; i < n_items; i++) {
        struct srv_ticket *ticket = items[i]->ticket;

        if (srv_sched_done(&batcher->sched, items[i]))
            collect(&complete, ticket, now_us);
    }
    pthread_mutex_unlock(&batcher->mutex);
    tell(complete);
}

void srv_batcher_stop(struct srv_batcher *batcher)
{
    pthread_mutex_lock(&batcher->mutex);
    batcher->stopping = true;
    pthread_mutex_unlock(&batcher->mutex);
    pthread_cond_broadcast(&batcher->work_waits);
}

static bool is_cancelled(const struct srv_work *work)
{
    return atomic_load_explicit(&work->cancelled, memory_order_relaxed);
}

/* Under the lock, as the next two: drops what is past its deadline. What is complete thereby is put on the list, to be
 * told without the lock. */
static void drop_expired(struct srv_batcher *batcher, uint64_t now_us, struct srv_work **complete)
{
    struct srv_ticket *ticket;

    for (;;) {
        bool is_complete = srv_sched_expire(&batcher->sched, now_us, &ticket);

        if (ticket == NULL)
            return;
        batcher->drops.expired += ticket->dropped;
        if (is_complete)
            collect(complete, ticket, now_us);
    }
}

/* Looks at every ticket. */
static void drop_cancelled(struct srv_batcher *batcher, uint64_t now_us, struct srv_work **complete)
{
    for (size_t i = 0; i < batcher->sched.n_tickets; i++) {
        struct srv_work *work = (struct srv_work *)batcher->sched.heap[i];

        if (work->ticket.n_queued == 0 || !is_cancelled(work))
            continue;
        batcher->drops.cancelled += !work->ticket.dropped;
        if (srv_sched_cancel(&batcher->sched, &work->ticket))
            collect(complete, &work->ticket, now_us);
    }
}

/* Looks at a batch that was just taken; what is left of it, in order, is n_items long. */
static size_t give_back_cancelled(struct srv_batcher *batcher, uint64_t now_us, struct srv_item **items, size_t n_items,
                                  struct srv_work **complete)
{
    size_t n = 0;

    for (size_t i = 0; i < n_items; i++) {
        struct srv_ticket *ticket = items[i]->ticket;

        if (!is_cancelled((struct srv_work *)ticket)) {
            items[n++] = items[i];
            continue;
        }
        batcher->drops.cancelled += !ticket->dropped;
        if (srv_sched_give_back(&batcher->sched, items[i]))
            collect(complete, ticket, now_us);
    }
    return n;
}

/* Others need not wait for the places until the HTTP threads have ended a thousand connections. */
static void free_places(struct srv_batcher *batcher, struct srv_work *complete)
{
    for (struct srv_work *work = complete; work != NULL; work = work->next_done)
        free_place(batcher, work);
}

struct srv_batcher_drops srv_batcher_tick(struct srv_batcher *batcher)
{
    struct srv_batcher_drops drops;
    struct srv_work *complete = NULL;
    uint64_t now_us = att_clock_us();

    pthread_mutex_lock(&batcher->mutex);
    drop_expired(batcher, now_us, &complete);
    drop_cancelled(batcher, now_us, &complete);
    free_places(batcher, complete);
    drops = batcher->drops;
    batcher->drops = (struct srv_batcher_drops){0, 0};
    pthread_mutex_unlock(&batcher->mutex);
    tell(complete);
    return drops;
}

struct srv_turn srv_batcher_next(struct srv_batcher *batcher, size_t worker, struct srv_item **items, size_t capacity)
{
    struct srv_turn turn = {.what = SRV_TURN_STOP};
    bool calls = false;

    pthread_mutex_lock(&batcher->mutex);
    if (batcher->leader == worker)
        batcher->helpers_wanted = 0; /* its batch is done */
    batcher->idle_workers++;
    while (!batcher->stopping) {
        uint64_t now_us = att_clock_us();
        struct srv_work *late = NULL;
        size_t n_taken;

        drop_expired(batcher, now_us, &late);
        n_taken = srv_sched_next(&batcher->sched, now_us, batcher->idle_workers, items, capacity, &turn.model);
        turn.n_items = give_back_cancelled(batcher, now_us, items, n_taken, &late);
        free_places(batcher, late);
        if (late != NULL) { /* no kernel sees it; who waits for it is told before the batch is run */
            pthread_mutex_unlock(&batcher->mutex);
            tell(late);
            pthread_mutex_lock(&batcher->mutex);
        }
        if (turn.n_items > 0) {
            turn.what = SRV_TURN_BATCH;
            break;
        }
        if (n_taken > 0 || late != NULL)
            continue; /* more may wait behind it, or have come while the lock was not held */
        if (batcher->helpers_wanted > 0) {
            batcher->helpers_wanted--;
            turn = (struct srv_turn){.what = SRV_TURN_HELP, .model = batcher->leader_model, .leader = batcher->leader};
            break;
        }
        pthread_cond_wait(&batcher->work_waits, &batcher->mutex);
    }
    batcher->idle_workers--;
    if (turn.what == SRV_TURN_BATCH)
        calls = call_for_help(batcher, worker, turn.model);
    atomic_store_explicit(&batcher->waits, batcher->sched.n_queued > 0, memory_order_relaxed);
    pthread_mutex_unlock(&batcher->mutex);
    if (calls)
        pthread_cond_broadcast(&batcher->work_waits);
    return turn;
}

struct srv_batcher_stats srv_batcher_stats(struct srv_batcher *batcher)
{
    struct srv_batcher_stats stats;

    pthread_mutex_lock(&batcher->mutex);
    stats = (struct srv_batcher_stats){
        .requests = batcher->sched.n_tickets,
        .bytes = batcher->sched.bytes,
        .tokens = batcher->sched.tokens,
        .items = batcher->sched.n_queued,
        .idle_workers = batcher->idle_workers,
    };
    pthread_mutex_unlock(&batcher->mutex);
    return stats;
}
