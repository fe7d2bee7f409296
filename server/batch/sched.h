/*
 * The scheduler: which jobs run next. Pure functions of (state, now): no
 * thread, clock or I/O inside, so that a seeded simulation can run it for
 * millions of steps. batcher.c is the thread around it.
 *
 * A ticket is one request: admitted (its cost is reserved, before anything is
 * tokenised), pushed with its items (one a sequence), complete when no item is
 * queued or running, released when it is answered. A request of several rounds
 * is pushed again; only its first push may be refused.
 *
 * Order: interactive before bulk, but at least one batch in bulk_share goes to
 * waiting bulk work; within a class first what has been due for longer than
 * age_max_us, by the time it was due, then the shortest sequences; among models
 * the one whose first item has been due longest. A batch holds items of one model
 * within its token budget.
 *
 * An item is due when it is pushed. Only what stands behind SRV_SCHED_AT_ONCE
 * tokens of the same ticket is due later, by SRV_SCHED_TOKEN_US a token, and all of
 * it by half the time to its deadline: so a request of thousands of texts leaves
 * room for those that come after it, and may still count on that much however many
 * come.
 */
#ifndef SRV_SCHED_H
#define SRV_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

enum { SRV_SCHED_BUCKETS = 96, SRV_SCHED_AT_ONCE = 1024, SRV_SCHED_TOKEN_US = 500 };

enum srv_item_state { SRV_ITEM_NEW, SRV_ITEM_QUEUED, SRV_ITEM_RUNNING, SRV_ITEM_DONE, SRV_ITEM_DROPPED };

struct srv_ticket;

struct srv_item {
    /* set by who pushes */
    size_t model;
    size_t tokens; /* 1 .. the model's budget */
    void *job;
    /* the scheduler's own */
    struct srv_ticket *ticket;
    struct srv_item *prev, *next;
    uint64_t due_us;
    enum srv_item_state state;
};

struct srv_ticket {
    /* set by who admits */
    size_t bytes;         /* of the body */
    size_t tokens;        /* estimated at admission; the sum of the items once pushed */
    uint64_t deadline_us; /* UINT64_MAX: none */
    bool bulk;
    /* set by who pushes */
    struct srv_item *items;
    size_t n_items;
    /* the scheduler's own */
    size_t n_queued, n_running;
    size_t place; /* in the heap of deadlines */
    bool dropped; /* some of its work was never begun: deadline or cancel */
    bool pushed;
    uint64_t first_start_us; /* of this round; 0: not started */
};

struct srv_sched_limits {
    size_t requests_max, bytes_max, tokens_max;
    uint64_t age_max_us;
    unsigned bulk_share; /* >= 2: every bulk_share-th batch at least, when bulk work waits */
};

struct srv_bucket_list {
    struct srv_item *head[SRV_SCHED_BUCKETS], *tail[SRV_SCHED_BUCKETS];
    uint64_t occupied[(SRV_SCHED_BUCKETS + 63) / 64];
    size_t n_items, tokens;
};

struct srv_sched_queue {               /* of one model */
    struct srv_bucket_list classes[2]; /* interactive, bulk */
    size_t tokens_budget, items_max;   /* of a batch */
};

struct srv_sched {
    struct srv_sched_limits limits;
    struct srv_sched_queue *queues;
    size_t n_queues;
    struct srv_ticket **heap; /* all admitted tickets, earliest deadline first */
    size_t n_tickets, bytes, tokens, n_queued;
    unsigned since_bulk; /* batches since the last one that took bulk work first */
};

/* One queue a model. Memory for all bounds is taken here. */
enum att_status srv_sched_init(struct srv_sched *sched, const struct srv_sched_limits *limits, size_t n_models,
                               struct att_err *err) ATT_MUST_USE;
void srv_sched_finish(struct srv_sched *sched);
void srv_sched_model(struct srv_sched *sched, size_t model, size_t tokens_budget, size_t items_max);

/* Reserves the ticket's place. ATT_EBUSY when a bound would be passed. */
enum att_status srv_sched_admit(struct srv_sched *sched, struct srv_ticket *ticket, struct att_err *err) ATT_MUST_USE;
/* Queues ticket->items. The first push may answer ATT_EBUSY when the true token count passes the bound. */
enum att_status srv_sched_push(struct srv_sched *sched, struct srv_ticket *ticket, uint64_t now_us,
                               struct att_err *err) ATT_MUST_USE;
/* The next batch for one of idle_workers workers, which share what waits: at most capacity items of one model
 * (*ret_model), marked running. 0 when nothing waits. */
size_t srv_sched_next(struct srv_sched *sched, uint64_t now_us, size_t idle_workers, struct srv_item **items,
                      size_t capacity, size_t *ret_model);
/* A running item is done. True when its ticket is complete. */
bool srv_sched_done(struct srv_sched *sched, struct srv_item *item);
/* A running item is given back unrun: its client left. True when its ticket is complete. */
bool srv_sched_give_back(struct srv_sched *sched, struct srv_item *item);
/* Drops the queued items of tickets whose deadline has passed, one ticket a call. *ret_ticket: which; NULL when no
 * more. True when it is complete thereby. */
bool srv_sched_expire(struct srv_sched *sched, uint64_t now_us, struct srv_ticket **ret_ticket);
/* Drops the queued items of a ticket whose client left. True when it is complete thereby (had queued items). */
bool srv_sched_cancel(struct srv_sched *sched, struct srv_ticket *ticket);
/* The request is answered: its place is free. It has no queued or running items. */
void srv_sched_release(struct srv_sched *sched, struct srv_ticket *ticket);

#endif
