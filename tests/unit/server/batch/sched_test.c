/*
 * The scheduler under a simulated clock: a seeded run of a million steps of
 * arrivals, workers, deadlines and leaving clients. Nothing is lost, nothing is
 * finished twice, bounds hold, batches are of one model and within its budget,
 * and nobody waits for ever.
 */
#include "server/batch/sched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MODELS = 3, WORKERS = 3, SLOTS = 200, ITEMS = 40, BATCH = 16, STEPS = 1000000 };

static const size_t budgets[MODELS] = {256, 128, 512};

static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = (*seed += UINT64_C(0x9E3779B97F4A7C15));

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static size_t below(uint64_t *seed, size_t n)
{
    return (size_t)(next_random(seed) % n);
}

struct request {
    struct srv_ticket ticket; /* first */
    struct srv_item items[ITEMS];
    bool used, in_rounds, complete;
    uint64_t admitted_us, pushed_us;
    int rounds;
};

struct worker {
    struct srv_item *items[BATCH];
    size_t n;
    uint64_t until_us;
};

struct sim {
    struct srv_sched sched;
    struct request requests[SLOTS];
    struct worker workers[WORKERS];
    uint64_t seed, now_us, admitted, refused, answered, expired, cancelled, longest_wait_us;
};

static void on_complete(struct sim *sim, struct request *request)
{
    assert_true(request->used);
    assert_false(request->complete); /* once a push */
    request->complete = true;
    for (size_t i = 0; i < request->ticket.n_items; i++)
        assert_true(request->items[i].state == SRV_ITEM_DONE || request->items[i].state == SRV_ITEM_DROPPED);
    (void)sim;
}

static void push(struct sim *sim, struct request *request)
{
    size_t n = 1 + below(&sim->seed, below(&sim->seed, 10) == 0 ? ITEMS : 3);
    bool is_first = request->rounds == 0;
    size_t tokens = 0;
    enum att_status status;

    request->ticket.items = request->items;
    request->ticket.n_items = n;
    request->ticket.deadline_us = sim->now_us + 1000 + below(&sim->seed, 2000000);
    memset(request->items, 0, sizeof(request->items));
    for (size_t i = 0; i < n; i++) {
        request->items[i].model = below(&sim->seed, MODELS);
        request->items[i].tokens = 1 + below(&sim->seed, budgets[request->items[i].model]);
        tokens += request->items[i].tokens;
    }
    request->complete = false;
    status = srv_sched_push(&sim->sched, &request->ticket, sim->now_us, NULL);
    if (status != ATT_OK) {
        assert_true(is_first);
        srv_sched_release(&sim->sched, &request->ticket);
        request->used = false;
        sim->refused++;
        return;
    }
    if (is_first)
        assert_true(sim->sched.tokens <= sim->sched.limits.tokens_max);
    request->rounds++;
    request->pushed_us = sim->now_us;
    assert_int_equal(request->ticket.tokens, tokens);
}

static void arrive(struct sim *sim)
{
    struct request *request = &sim->requests[below(&sim->seed, SLOTS)];

    if (request->used)
        return;
    memset(request, 0, sizeof(*request));
    request->ticket.bytes = below(&sim->seed, 5000);
    request->ticket.tokens = 1 + request->ticket.bytes / 4;
    request->ticket.bulk = below(&sim->seed, 3) == 0;
    request->ticket.deadline_us = sim->now_us + 1000000;
    if (srv_sched_admit(&sim->sched, &request->ticket, NULL) != ATT_OK) {
        sim->refused++;
        return;
    }
    assert_true(sim->sched.n_tickets <= sim->sched.limits.requests_max);
    assert_true(sim->sched.bytes <= sim->sched.limits.bytes_max);
    assert_true(sim->sched.tokens <= sim->sched.limits.tokens_max);
    request->used = true;
    request->admitted_us = sim->now_us;
    sim->admitted++;
    push(sim, request);
}

static void start_worker(struct sim *sim, struct worker *worker)
{
    size_t model = MODELS, tokens = 0;
    uint64_t waited_us;

    worker->n = srv_sched_next(&sim->sched, sim->now_us, 1 + below(&sim->seed, WORKERS), worker->items, BATCH, &model);
    if (worker->n == 0) {
        assert_int_equal(sim->sched.n_queued, 0);
        return;
    }
    assert_true(model < MODELS);
    for (size_t i = 0; i < worker->n; i++) {
        struct srv_item *item = worker->items[i];

        assert_int_equal(item->state, SRV_ITEM_RUNNING);
        assert_int_equal(item->model, model);
        tokens += item->tokens;
        waited_us = sim->now_us - ((struct request *)item->ticket)->pushed_us;
        sim->longest_wait_us = waited_us > sim->longest_wait_us ? waited_us : sim->longest_wait_us;
    }
    assert_true(tokens <= budgets[model]);
    worker->until_us = sim->now_us + 50 + tokens * 2;
}

static void end_worker(struct sim *sim, struct worker *worker)
{
    for (size_t i = 0; i < worker->n; i++) {
        struct request *request = (struct request *)worker->items[i]->ticket;

        if (srv_sched_done(&sim->sched, worker->items[i]))
            on_complete(sim, request);
    }
    worker->n = 0;
}

static void expire(struct sim *sim)
{
    struct srv_ticket *ticket;

    for (;;) {
        bool is_complete = srv_sched_expire(&sim->sched, sim->now_us, &ticket);

        if (ticket == NULL)
            break;
        sim->expired++;
        if (is_complete)
            on_complete(sim, (struct request *)ticket);
    }
}

static void leave(struct sim *sim)
{
    struct request *request = &sim->requests[below(&sim->seed, SLOTS)];

    if (!request->used || request->complete)
        return;
    sim->cancelled++;
    if (srv_sched_cancel(&sim->sched, &request->ticket))
        on_complete(sim, request);
}

/* Answers complete requests; some ask for another round. */
static void answer(struct sim *sim, bool allow_rounds)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct request *request = &sim->requests[i];

        if (!request->used || !request->complete)
            continue;
        if (allow_rounds && !request->ticket.dropped && request->rounds < 3 && below(&sim->seed, 10) == 0) {
            push(sim, request);
            continue;
        }
        srv_sched_release(&sim->sched, &request->ticket);
        request->used = false;
        sim->answered++;
    }
}

/* Every list stands in the order in which its items are due, from either end. */
static void check_lists(const struct sim *sim)
{
    size_t n = 0;

    for (size_t i = 0; i < MODELS * 2 * SRV_SCHED_BUCKETS; i++) {
        const struct srv_bucket_list *list = &sim->sched.queues[i / 2 / SRV_SCHED_BUCKETS].classes[i % 2];
        const struct srv_item *last = NULL, *item = list->head[i / 2 % SRV_SCHED_BUCKETS];

        for (; item != NULL; last = item, item = item->next, n++) {
            assert_ptr_equal(item->prev, last);
            assert_true(last == NULL || last->due_us <= item->due_us);
        }
        assert_ptr_equal(list->tail[i / 2 % SRV_SCHED_BUCKETS], last);
    }
    assert_int_equal(n, sim->sched.n_queued);
}

static void step(struct sim *sim, bool arrivals)
{
    size_t dice = below(&sim->seed, 100);

    sim->now_us += below(&sim->seed, 100);
    for (size_t i = 0; i < WORKERS; i++)
        if (sim->workers[i].n > 0 && sim->now_us >= sim->workers[i].until_us)
            end_worker(sim, &sim->workers[i]);
    if (arrivals && dice < 30)
        arrive(sim);
    else if (dice < 31)
        leave(sim);
    if (dice % 7 == 0)
        expire(sim);
    for (size_t i = 0; i < WORKERS; i++)
        if (sim->workers[i].n == 0)
            start_worker(sim, &sim->workers[i]);
    if (dice % 5 == 0)
        answer(sim, arrivals);
    if (below(&sim->seed, 100) == 0)
        check_lists(sim);
}

static void test_simulation(void **state)
{
    static struct sim sim;
    const struct srv_sched_limits limits = {150, 300000, 30000, 20000, 8};

    (void)state;
    memset(&sim, 0, sizeof(sim));
    sim.seed = 20260131;
    sim.now_us = 1;
    assert_int_equal(srv_sched_init(&sim.sched, &limits, MODELS, NULL), ATT_OK);
    for (size_t i = 0; i < MODELS; i++)
        srv_sched_model(&sim.sched, i, budgets[i], BATCH);
    for (size_t i = 0; i < STEPS; i++)
        step(&sim, true);
    /* No arrivals any more: all that was admitted ends. */
    for (size_t i = 0; i < 100000 && sim.sched.n_tickets > 0; i++)
        step(&sim, false);
    assert_int_equal(sim.sched.n_tickets, 0);
    assert_int_equal(sim.sched.n_queued, 0);
    assert_int_equal(sim.sched.bytes, 0);
    assert_int_equal(sim.sched.tokens, 0);
    for (size_t i = 0; i < SLOTS; i++)
        assert_false(sim.requests[i].used);
    /* The run was worth its name: all of it happened. */
    assert_true(sim.admitted > 10000 && sim.refused > 100 && sim.expired > 100 && sim.cancelled > 100);
    /* Deadlines of two seconds end every wait; the last expire came within a few hundred steps. */
    assert_true(sim.longest_wait_us < 2100000);
    print_message("# admitted %llu refused %llu expired %llu cancelled %llu longest wait %llu us\n",
                  (unsigned long long)sim.admitted, (unsigned long long)sim.refused, (unsigned long long)sim.expired,
                  (unsigned long long)sim.cancelled, (unsigned long long)sim.longest_wait_us);
    srv_sched_finish(&sim.sched);
}

/* ---- single rules ---- */

static struct srv_sched *fresh_sched(void)
{
    static struct srv_sched sched;
    const struct srv_sched_limits limits = {100, 100000, 10000, 1000, 4};

    assert_int_equal(srv_sched_init(&sched, &limits, 1, NULL), ATT_OK);
    srv_sched_model(&sched, 0, 100, BATCH);
    return &sched;
}

static void add(struct srv_sched *sched, struct request *request, size_t n, size_t tokens, bool bulk, uint64_t now_us)
{
    memset(request, 0, sizeof(*request));
    request->ticket.deadline_us = UINT64_MAX;
    request->ticket.tokens = 1;
    request->ticket.bulk = bulk;
    request->ticket.items = request->items;
    request->ticket.n_items = n;
    for (size_t i = 0; i < n; i++)
        request->items[i].tokens = tokens;
    assert_int_equal(srv_sched_admit(sched, &request->ticket, NULL), ATT_OK);
    assert_int_equal(srv_sched_push(sched, &request->ticket, now_us, NULL), ATT_OK);
}

static void test_shortest_first_within_age(void **state)
{
    struct srv_sched *sched = fresh_sched();
    static struct request long_one, short_one;
    struct srv_item *items[BATCH];
    size_t model;

    (void)state;
    add(sched, &long_one, 1, 90, false, 0);
    add(sched, &short_one, 1, 20, false, 10);
    assert_int_equal(srv_sched_next(sched, 20, 1, items, BATCH, &model), 1);
    assert_ptr_equal(items[0], &short_one.items[0]);
    srv_sched_finish(sched);
    sched = fresh_sched();
    add(sched, &long_one, 1, 90, false, 0);
    add(sched, &short_one, 1, 20, false, 10);
    assert_int_equal(srv_sched_next(sched, 5000, 1, items, BATCH, &model), 1);
    assert_ptr_equal(items[0], &long_one.items[0]);
    srv_sched_finish(sched);
}

/* Texts of the same length behind thousands of tokens of one request: what stands far behind in that one goes after
 * them, but not for ever. */
static void test_a_large_request_leaves_room(void **state)
{
    enum { TOKENS = 90, BEFORE = SRV_SCHED_AT_ONCE / TOKENS + 1 };
    struct srv_sched *sched = fresh_sched();
    static struct request large, others[ITEMS], late;
    struct srv_item *items[BATCH];
    size_t model, n_large = 0;

    (void)state;
    add(sched, &large, ITEMS, TOKENS, false, 0);
    for (size_t i = 0; i < ITEMS; i++)
        add(sched, &others[i], 1, TOKENS, false, 100 + i);
    for (size_t i = 0; i < BEFORE + ITEMS; i++) {
        assert_int_equal(srv_sched_next(sched, 10000, 1, items, BATCH, &model), 1);
        assert_true((items[0]->ticket == &large.ticket) == (i < BEFORE));
        n_large += items[0]->ticket == &large.ticket;
    }
    assert_int_equal(n_large, BEFORE);
    /* All of it has been due for longer than what came since. */
    add(sched, &late, 1, TOKENS, false, ITEMS * TOKENS * SRV_SCHED_TOKEN_US);
    for (size_t i = BEFORE; i < ITEMS; i++) {
        assert_int_equal(srv_sched_next(sched, (ITEMS * TOKENS + 10) * SRV_SCHED_TOKEN_US, 1, items, BATCH, &model), 1);
        assert_ptr_equal(items[0], &large.items[i]);
    }
    assert_int_equal(sched->n_queued, 1);
    srv_sched_finish(sched);
}

/* Whatever stands behind it, a text is due in time for its deadline. */
static void test_all_is_due_before_the_deadline(void **state)
{
    enum { TOKENS = 90, DEADLINE_US = 100000 };
    struct srv_sched *sched = fresh_sched();
    static struct request large;

    (void)state;
    add(sched, &large, 0, TOKENS, false, 0);
    large.ticket.n_items = ITEMS;
    large.ticket.deadline_us = 50 + DEADLINE_US;
    for (size_t i = 0; i < ITEMS; i++)
        large.items[i].tokens = TOKENS;
    assert_true((ITEMS * TOKENS - SRV_SCHED_AT_ONCE) * SRV_SCHED_TOKEN_US > DEADLINE_US);
    assert_int_equal(srv_sched_push(sched, &large.ticket, 50, NULL), ATT_OK);
    for (size_t i = 0; i < ITEMS; i++)
        assert_in_range(large.items[i].due_us, 50, 50 + DEADLINE_US / 2);
    assert_int_equal(large.items[ITEMS - 1].due_us, 50 + DEADLINE_US / 2);
    srv_sched_finish(sched);
}

static void test_bulk_is_last_but_not_starved(void **state)
{
    struct srv_sched *sched = fresh_sched();
    static struct request bulk[10], interactive[20];
    struct srv_item *items[BATCH];
    size_t model, first_bulk = 0, n_bulk = 0;

    (void)state;
    for (size_t i = 0; i < 10; i++)
        add(sched, &bulk[i], 1, 100, true, 0);
    for (size_t i = 0; i < 20; i++)
        add(sched, &interactive[i], 1, 100, false, 1);
    for (size_t i = 1; i <= 20; i++) {
        assert_int_equal(srv_sched_next(sched, 100000, 1, items, BATCH, &model), 1);
        if (items[0]->ticket->bulk) {
            first_bulk = first_bulk == 0 ? i : first_bulk;
            n_bulk++;
        }
    }
    /* One in four, from the fourth on, however old the bulk work is. */
    assert_int_equal(first_bulk, 4);
    assert_int_equal(n_bulk, 5);
    srv_sched_finish(sched);
}

static void test_work_is_shared_among_idle_workers(void **state)
{
    struct srv_sched *sched = fresh_sched();
    static struct request request;
    struct srv_item *items[BATCH];
    size_t model;

    (void)state;
    add(sched, &request, 8, 10, false, 0);
    assert_int_equal(srv_sched_next(sched, 0, 2, items, BATCH, &model), 4);
    assert_int_equal(srv_sched_next(sched, 0, 1, items, BATCH, &model), 4);
    assert_int_equal(srv_sched_next(sched, 0, 1, items, BATCH, &model), 0);
    srv_sched_finish(sched);
}

static void test_deadline_and_cancel_drop_only_what_waits(void **state)
{
    struct srv_sched *sched = fresh_sched();
    static struct request request;
    struct srv_item *items[BATCH];
    struct srv_ticket *ticket;
    size_t model;

    (void)state;
    add(sched, &request, 3, 60, false, 0);
    assert_int_equal(srv_sched_next(sched, 0, 1, items, BATCH, &model), 1);
    request.ticket.deadline_us = 50;
    assert_false(srv_sched_expire(sched, 49, &ticket));
    assert_null(ticket);
    assert_false(srv_sched_expire(sched, 50, &ticket)); /* one item runs still */
    assert_ptr_equal(ticket, &request.ticket);
    assert_false(srv_sched_expire(sched, 50, &ticket));
    assert_null(ticket);
    assert_false(srv_sched_cancel(sched, &request.ticket));
    assert_true(srv_sched_done(sched, items[0]));
    assert_true(request.ticket.dropped);
    srv_sched_release(sched, &request.ticket);
    assert_int_equal(sched->tokens, 0);
    srv_sched_finish(sched);
}

static void test_bounds(void **state)
{
    struct srv_sched *sched = fresh_sched();
    static struct request requests[101];
    struct srv_ticket big = {.bytes = 100001}, heavy = {.tokens = 10001}, late = {.tokens = 1};

    (void)state;
    assert_int_equal(srv_sched_admit(sched, &big, NULL), ATT_EBUSY);
    assert_int_equal(srv_sched_admit(sched, &heavy, NULL), ATT_EBUSY);
    for (size_t i = 0; i < 100; i++)
        add(sched, &requests[i], 1, 100, false, 0);
    assert_int_equal(srv_sched_admit(sched, &late, NULL), ATT_EBUSY);
    srv_sched_finish(sched);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simulation),
        cmocka_unit_test(test_shortest_first_within_age),
        cmocka_unit_test(test_a_large_request_leaves_room),
        cmocka_unit_test(test_all_is_due_before_the_deadline),
        cmocka_unit_test(test_bulk_is_last_but_not_starved),
        cmocka_unit_test(test_work_is_shared_among_idle_workers),
        cmocka_unit_test(test_deadline_and_cancel_drop_only_what_waits),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
