/*
 * The batcher with real threads: producers, workers and a ticking clock. Every
 * submitted work comes back exactly once, whatever races.
 */
#include "server/batch/batcher.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/base/clock.h"

enum { PRODUCERS = 4, WORKERS = 3, WORKS = 400, ITEMS = 6, BATCH = 16 };

struct work {
    struct srv_work work; /* first */
    struct srv_item items[ITEMS];
    pthread_mutex_t mutex;
    pthread_cond_t done;
    size_t n_done;
};

static void on_done(struct srv_work *given)
{
    struct work *work = (struct work *)given;

    pthread_mutex_lock(&work->mutex);
    work->n_done++;
    pthread_cond_signal(&work->done);
    pthread_mutex_unlock(&work->mutex);
}

static atomic_bool stop_ticking;
static atomic_size_t n_run, n_dropped, n_workers, n_helped;

static void *worker_main(void *argument)
{
    struct srv_item *items[BATCH];
    size_t number = atomic_fetch_add(&n_workers, 1);
    struct srv_turn turn;

    while ((turn = srv_batcher_next(argument, number, items, BATCH)).what != SRV_TURN_STOP) {
        if (turn.what == SRV_TURN_HELP) {
            assert_true(turn.leader != number);
            atomic_fetch_add(&n_helped, 1);
            continue;
        }
        for (size_t i = 0; i < turn.n_items; i++)
            *(int *)items[i]->job += 1;
        atomic_fetch_add(&n_run, turn.n_items);
        srv_batcher_done(argument, items, turn.n_items);
    }
    return NULL;
}

static void *ticker_main(void *argument)
{
    while (!atomic_load(&stop_ticking)) {
        struct timespec pause = {0, 200000};

        srv_batcher_tick(argument);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* Submits one work after another, some with deadlines about now, some cancelled, some in two rounds. */
static void *producer_main(void *argument)
{
    for (unsigned i = 0; i < WORKS; i++) {
        struct work work = {.n_done = 0};
        int runs[ITEMS] = {0};
        size_t rounds = 1 + i % 2;

        pthread_mutex_init(&work.mutex, NULL);
        pthread_cond_init(&work.done, NULL);
        atomic_init(&work.work.cancelled, false);
        work.work.done = on_done;
        work.work.ticket.tokens = 1;
        work.work.ticket.deadline_us = UINT64_MAX;
        if (srv_batcher_admit(argument, &work.work, NULL) != ATT_OK)
            continue;
        for (size_t round = 1; round <= rounds; round++) {
            uint64_t deadline_us = i % 5 == 0 ? att_clock_us() + i % 300 : UINT64_MAX;

            memset(work.items, 0, sizeof(work.items));
            for (size_t k = 0; k < ITEMS; k++)
                work.items[k] = (struct srv_item){.model = k % 2, .tokens = 1 + k, .job = &runs[k]};
            work.work.ticket.items = work.items;
            work.work.ticket.n_items = ITEMS;
            work.work.ticket.bulk = i % 3 == 0;
            if (srv_batcher_submit(argument, &work.work, deadline_us, NULL) != ATT_OK)
                break;
            atomic_store(&work.work.cancelled, i % 7 == 0);
            pthread_mutex_lock(&work.mutex);
            while (work.n_done < round)
                pthread_cond_wait(&work.done, &work.mutex);
            pthread_mutex_unlock(&work.mutex);
            assert_int_equal(work.n_done, round);
            for (size_t k = 0; k < ITEMS; k++) {
                bool was_run = work.items[k].state == SRV_ITEM_DONE;

                assert_true(was_run || work.items[k].state == SRV_ITEM_DROPPED);
                assert_int_equal(runs[k], was_run);
                runs[k] = 0;
                if (!was_run)
                    atomic_fetch_add(&n_dropped, 1);
            }
            if (work.work.ticket.dropped)
                break;
        }
        srv_batcher_release(argument, &work.work);
    }
    return NULL;
}

static void test_every_work_comes_back_once(void **state)
{
    const struct srv_sched_limits limits = {64, 1 << 20, 10000, 1000, 4};
    struct srv_batcher *batcher = NULL;
    pthread_t producers[PRODUCERS], workers[WORKERS], ticker;
    struct srv_batcher_stats stats;

    (void)state;
    assert_int_equal(srv_batcher_create(&limits, 2, &batcher, NULL), ATT_OK);
    srv_batcher_model(batcher, 0, 32, BATCH);
    srv_batcher_model(batcher, 1, 32, BATCH);
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&workers[i], NULL, worker_main, batcher), 0);
    assert_int_equal(pthread_create(&ticker, NULL, ticker_main, batcher), 0);
    for (size_t i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_create(&producers[i], NULL, producer_main, batcher), 0);
    for (size_t i = 0; i < PRODUCERS; i++)
        pthread_join(producers[i], NULL);
    stats = srv_batcher_stats(batcher);
    assert_int_equal(stats.requests, 0);
    assert_int_equal(stats.tokens, 0);
    assert_int_equal(stats.items, 0);
    srv_batcher_stop(batcher);
    for (size_t i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    atomic_store(&stop_ticking, true);
    pthread_join(ticker, NULL);
    assert_true(atomic_load(&n_run) > PRODUCERS * WORKS);
    srv_batcher_destroy(batcher);
}

static void test_past_deadlines_are_refused(void **state)
{
    const struct srv_sched_limits limits = {1, 100, 100, 1000, 4};
    struct srv_batcher *batcher = NULL;
    struct srv_work work = {.ticket = {.tokens = 1}}, other = {.ticket = {.tokens = 1}};
    struct att_err err;

    (void)state;
    assert_int_equal(srv_batcher_create(&limits, 1, &batcher, NULL), ATT_OK);
    assert_int_equal(srv_batcher_admit(batcher, &work, &err), ATT_OK);
    assert_int_equal(srv_batcher_admit(batcher, &other, &err), ATT_EBUSY);
    assert_int_equal(srv_batcher_submit(batcher, &work, 1, &err), ATT_EDEADLINE);
    srv_batcher_release(batcher, &work);
    assert_int_equal(srv_batcher_admit(batcher, &other, &err), ATT_OK);
    srv_batcher_release(batcher, &other);
    srv_batcher_destroy(batcher);
}

/* No tick has looked yet when a worker becomes free: what is late or left is dropped all the same, never run. */
static void test_late_work_is_never_run(void **state)
{
    const struct srv_sched_limits limits = {4, 100, 100, 1000, 4};
    struct srv_batcher *batcher = NULL;
    struct work late = {.n_done = 0}, left = {.n_done = 0}, wanted = {.n_done = 0};
    struct work *works[] = {&late, &left, &wanted};
    int runs[3][ITEMS] = {{0}};
    struct timespec pause = {0, 3000000};
    struct srv_item *items[BATCH];
    struct srv_turn turn;

    (void)state;
    assert_int_equal(srv_batcher_create(&limits, 1, &batcher, NULL), ATT_OK);
    srv_batcher_model(batcher, 0, 32, BATCH);
    for (size_t i = 0; i < 3; i++) {
        struct work *work = works[i];

        pthread_mutex_init(&work->mutex, NULL);
        pthread_cond_init(&work->done, NULL);
        atomic_init(&work->work.cancelled, false);
        work->work.done = on_done;
        work->work.ticket.tokens = 1;
        work->work.ticket.deadline_us = UINT64_MAX;
        for (size_t k = 0; k < ITEMS; k++)
            work->items[k] = (struct srv_item){.model = 0, .tokens = 1, .job = &runs[i][k]};
        work->work.ticket.items = work->items;
        work->work.ticket.n_items = ITEMS;
        assert_int_equal(srv_batcher_admit(batcher, &work->work, NULL), ATT_OK);
        assert_int_equal(srv_batcher_submit(batcher, &work->work, i == 0 ? att_clock_us() + 1000 : UINT64_MAX, NULL),
                         ATT_OK);
    }
    atomic_store(&left.work.cancelled, true);
    nanosleep(&pause, NULL);
    turn = srv_batcher_next(batcher, 0, items, BATCH);
    assert_int_equal(turn.what, SRV_TURN_BATCH);
    assert_int_equal(turn.n_items, ITEMS);
    for (size_t i = 0; i < turn.n_items; i++)
        assert_ptr_equal(items[i]->ticket, &wanted.work.ticket);
    assert_int_equal(late.n_done, 1);
    assert_int_equal(left.n_done, 1);
    assert_true(late.work.ticket.dropped && left.work.ticket.dropped && !wanted.work.ticket.dropped);
    srv_batcher_done(batcher, items, turn.n_items);
    assert_int_equal(srv_batcher_tick(batcher).cancelled, 1);
    for (size_t i = 0; i < 3; i++)
        srv_batcher_release(batcher, &works[i]->work);
    assert_int_equal(srv_batcher_stats(batcher).requests, 0);
    srv_batcher_destroy(batcher);
}

static void count_done(struct srv_work *work)
{
    work->submitted_us = UINT64_MAX;
}

/* A client that left gives its place to another at the tick, however late its own request gets to release it. */
static void test_a_tick_frees_places(void **state)
{
    const struct srv_sched_limits limits = {1, 100, 100, 1000, 4};
    struct srv_batcher *batcher = NULL;
    struct srv_item item = {.tokens = 7};
    struct srv_work work = {.ticket = {.tokens = 1, .items = &item, .n_items = 1}, .done = count_done};
    struct srv_work other = {.ticket = {.tokens = 1}};

    (void)state;
    assert_int_equal(srv_batcher_create(&limits, 1, &batcher, NULL), ATT_OK);
    srv_batcher_model(batcher, 0, 16, 4);
    assert_int_equal(srv_batcher_admit(batcher, &work, NULL), ATT_OK);
    assert_int_equal(srv_batcher_submit(batcher, &work, UINT64_MAX, NULL), ATT_OK);
    assert_int_equal(srv_batcher_tick(batcher).cancelled, 0);
    assert_int_equal(srv_batcher_stats(batcher).requests, 1);
    atomic_store(&work.cancelled, true);
    assert_int_equal(srv_batcher_tick(batcher).cancelled, 1);
    assert_true(work.submitted_us == UINT64_MAX);
    assert_int_equal(srv_batcher_stats(batcher).requests, 0);
    assert_int_equal(srv_batcher_stats(batcher).tokens, 0);
    assert_int_equal(srv_batcher_admit(batcher, &other, NULL), ATT_OK);
    srv_batcher_release(batcher, &work);
    assert_int_equal(srv_batcher_stats(batcher).requests, 1);
    srv_batcher_release(batcher, &other);
    srv_batcher_destroy(batcher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_work_comes_back_once),
        cmocka_unit_test(test_past_deadlines_are_refused),
        cmocka_unit_test(test_late_work_is_never_run),
        cmocka_unit_test(test_a_tick_frees_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
