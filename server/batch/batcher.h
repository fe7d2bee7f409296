/*
 * The batcher: the scheduler behind a lock, and the place where workers wait.
 *
 * A request hands its work over with srv_batcher_submit and gets it back when
 * work->done is called, exactly once a submit, by a worker or by the reaper's
 * tick, with no lock held. Between the two the request does not touch it.
 */
#ifndef SRV_BATCHER_H
#define SRV_BATCHER_H

#include <stdatomic.h>

#include "server/batch/sched.h"

struct srv_work {
    struct srv_ticket ticket; /* first: the batcher casts back */
    void (*done)(struct srv_work *work);
    atomic_bool cancelled; /* set from any thread: the client left; the next tick drops what waits */
    bool released;         /* its place is free again */
    uint64_t submitted_us, finished_us;
    struct srv_work *next_done;
};

struct srv_batcher_stats {
    size_t requests, bytes, tokens, items, idle_workers;
};

struct srv_batcher;

enum att_status srv_batcher_create(const struct srv_sched_limits *limits, size_t n_models,
                                   struct srv_batcher **ret_batcher, struct att_err *err) ATT_MUST_USE;
void srv_batcher_destroy(struct srv_batcher *batcher);
/* Before workers start. */
void srv_batcher_model(struct srv_batcher *batcher, size_t model, size_t tokens_budget, size_t items_max);

/* Reserves a place for work->ticket (bytes, tokens, deadline_us, bulk are set). ATT_EBUSY when full. */
enum att_status srv_batcher_admit(struct srv_batcher *batcher, struct srv_work *work, struct att_err *err) ATT_MUST_USE;
/* Queues ticket.items. ATT_EDEADLINE when deadline_us has passed; ATT_EBUSY only at the first submit. */
enum att_status srv_batcher_submit(struct srv_batcher *batcher, struct srv_work *work, uint64_t deadline_us,
                                   struct att_err *err) ATT_MUST_USE;
/* Gives the place back; where a tick dropped the work it did so already. */
void srv_batcher_release(struct srv_batcher *batcher, struct srv_work *work);

/* What a worker is to do. */
struct srv_turn {
    enum { SRV_TURN_STOP, SRV_TURN_BATCH, SRV_TURN_HELP } what;
    size_t n_items; /* SRV_TURN_BATCH */
    size_t model;
    size_t leader; /* SRV_TURN_HELP: the worker whose batch of `model` others may share in */
};

/* For workers, which have numbers from 0 on. Waits for a batch, or, while nothing else is queued, for a worker that has
 * just taken one and would be sooner done with help. */
struct srv_turn srv_batcher_next(struct srv_batcher *batcher, size_t worker, struct srv_item **items, size_t capacity);
/* True when a batch waits: who helps should leave and take it. context is the batcher. */
bool srv_batcher_waits(void *context);
void srv_batcher_done(struct srv_batcher *batcher, struct srv_item *const *items, size_t n_items);
void srv_batcher_stop(struct srv_batcher *batcher);

struct srv_batcher_drops {
    size_t expired, cancelled; /* requests */
};
/* Drops what is past its deadline or cancelled, also while all workers are busy; to be called every few milliseconds.
 * Before a batch is taken the same happens, so that such work never reaches a kernel. Returns how many requests have
 * lost work since the last call, by reason. */
struct srv_batcher_drops srv_batcher_tick(struct srv_batcher *batcher);
struct srv_batcher_stats srv_batcher_stats(struct srv_batcher *batcher);

#endif
