/*
 * The scheduler of sched.h.
 *
 * Items wait in lists by length: one list up to 15 tokens each, then four an
 * octave, so that "shortest first" is a scan of a bitmap; within a list they stand
 * in the order in which they are due. What a class owes first is thus one of its
 * list heads. Tickets stand in a binary heap by deadline.
 */
#include "server/batch/sched.h"

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"

/* 0..15 for themselves; then 4 * octave + the two bits below the highest: 16 -> 16, 20 -> 17, 32 -> 20, 2^24 -> 92. */
static size_t bucket_of(size_t tokens)
{
    size_t octave, bucket;

    if (tokens < 16)
        return tokens;
    octave = 63 - (size_t)__builtin_clzll(tokens);
    bucket = 4 * octave + ((tokens >> (octave - 2)) & 3);
    return bucket < SRV_SCHED_BUCKETS ? bucket : SRV_SCHED_BUCKETS - 1;
}

/* ---- lists by length ---- */

/* `before`: an item of the same list that is due no later, where one is at hand; else NULL. */
static void list_insert(struct srv_bucket_list *list, struct srv_item *item, struct srv_item *before)
{
    size_t bucket = bucket_of(item->tokens);

    if (before == NULL)
        for (before = list->tail[bucket]; before != NULL && before->due_us > item->due_us;)
            before = before->prev;
    else
        while (before->next != NULL && before->next->due_us <= item->due_us)
            before = before->next;
    item->prev = before;
    item->next = before != NULL ? before->next : list->head[bucket];
    if (item->prev != NULL)
        item->prev->next = item;
    else
        list->head[bucket] = item;
    if (item->next != NULL)
        item->next->prev = item;
    else
        list->tail[bucket] = item;
    list->occupied[bucket / 64] |= UINT64_C(1) << (bucket % 64);
    list->n_items++;
    list->tokens += item->tokens;
}

static void list_remove(struct srv_bucket_list *list, struct srv_item *item)
{
    size_t bucket = bucket_of(item->tokens);

    if (item->prev != NULL)
        item->prev->next = item->next;
    else
        list->head[bucket] = item->next;
    if (item->next != NULL)
        item->next->prev = item->prev;
    else
        list->tail[bucket] = item->prev;
    if (list->head[bucket] == NULL)
        list->occupied[bucket / 64] &= ~(UINT64_C(1) << (bucket % 64));
    item->prev = item->next = NULL;
    list->n_items--;
    list->tokens -= item->tokens;
}

static struct srv_item *list_shortest(const struct srv_bucket_list *list)
{
    for (size_t i = 0; i < sizeof(list->occupied) / sizeof(list->occupied[0]); i++)
        if (list->occupied[i] != 0)
            return list->head[i * 64 + (size_t)__builtin_ctzll(list->occupied[i])];
    return NULL;
}

static struct srv_item *list_first(const struct srv_bucket_list *list)
{
    struct srv_item *first = NULL;

    for (size_t i = 0; i < sizeof(list->occupied) / sizeof(list->occupied[0]); i++) {
        for (uint64_t bits = list->occupied[i]; bits != 0; bits &= bits - 1) {
            struct srv_item *head = list->head[i * 64 + (size_t)__builtin_ctzll(bits)];

            if (first == NULL || head->due_us < first->due_us)
                first = head;
        }
    }
    return first;
}

/* ---- the heap of deadlines ---- */

static void heap_put(struct srv_sched *sched, size_t place, struct srv_ticket *ticket)
{
    sched->heap[place] = ticket;
    ticket->place = place;
}

static void heap_up(struct srv_sched *sched, size_t place, struct srv_ticket *ticket)
{
    while (place > 0 && sched->heap[(place - 1) / 2]->deadline_us > ticket->deadline_us) {
        heap_put(sched, place, sched->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    heap_put(sched, place, ticket);
}

static void heap_down(struct srv_sched *sched, size_t place, struct srv_ticket *ticket)
{
    for (;;) {
        size_t child = 2 * place + 1;

        if (child >= sched->n_tickets)
            break;
        if (child + 1 < sched->n_tickets && sched->heap[child + 1]->deadline_us < sched->heap[child]->deadline_us)
            child++;
        if (sched->heap[child]->deadline_us >= ticket->deadline_us)
            break;
        heap_put(sched, place, sched->heap[child]);
        place = child;
    }
    heap_put(sched, place, ticket);
}

/* The ticket's deadline has changed. */
static void heap_move(struct srv_sched *sched, struct srv_ticket *ticket)
{
    heap_up(sched, ticket->place, ticket);
    heap_down(sched, ticket->place, ticket);
}

static void heap_remove(struct srv_sched *sched, struct srv_ticket *ticket)
{
    struct srv_ticket *last = sched->heap[--sched->n_tickets];

    if (last == ticket)
        return;
    heap_put(sched, ticket->place, last);
    heap_move(sched, last);
}

/* ---- life of a ticket ---- */

enum att_status srv_sched_init(struct srv_sched *sched, const struct srv_sched_limits *limits, size_t n_models,
                               struct att_err *err)
{
    assert(limits->requests_max > 0 && limits->bulk_share >= 2);
    memset(sched, 0, sizeof(*sched));
    sched->limits = *limits;
    sched->n_queues = n_models;
    sched->queues = att_mem_calloc(n_models > 0 ? n_models : 1, sizeof(*sched->queues));
    sched->heap = att_mem_calloc(limits->requests_max, sizeof(struct srv_ticket *));
    if (sched->queues == NULL || sched->heap == NULL) {
        srv_sched_finish(sched);
        return att_err_set(err, ATT_ENOMEM, "no memory for a queue of %zu requests", limits->requests_max);
    }
    return ATT_OK;
}

void srv_sched_finish(struct srv_sched *sched)
{
    att_mem_free(sched->queues);
    att_mem_free(sched->heap);
    memset(sched, 0, sizeof(*sched));
}

void srv_sched_model(struct srv_sched *sched, size_t model, size_t tokens_budget, size_t items_max)
{
    assert(model < sched->n_queues && tokens_budget > 0 && items_max > 0);
    sched->queues[model].tokens_budget = tokens_budget;
    sched->queues[model].items_max = items_max;
}

enum att_status srv_sched_admit(struct srv_sched *sched, struct srv_ticket *ticket, struct att_err *err)
{
    const struct srv_sched_limits *limits = &sched->limits;

    if (sched->n_tickets >= limits->requests_max)
        return att_err_set(err, ATT_EBUSY, "the queue is full: %zu requests wait", sched->n_tickets);
    if (ticket->bytes > limits->bytes_max - sched->bytes)
        return att_err_set(err, ATT_EBUSY, "the queue is full: bodies of %zu bytes wait", sched->bytes);
    if (sched->tokens > limits->tokens_max || ticket->tokens > limits->tokens_max - sched->tokens)
        return att_err_set(err, ATT_EBUSY, "the queue is full: %zu tokens wait", sched->tokens);
    sched->bytes += ticket->bytes;
    sched->tokens += ticket->tokens;
    ticket->n_queued = ticket->n_running = 0;
    ticket->dropped = ticket->pushed = false;
    ticket->first_start_us = 0;
    sched->n_tickets++;
    heap_up(sched, sched->n_tickets - 1, ticket);
    return ATT_OK;
}

/* How long after its push what stands behind so many tokens of its ticket is due. */
static uint64_t late_us(const struct srv_ticket *ticket, size_t tokens, uint64_t now_us)
{
    uint64_t late = tokens > SRV_SCHED_AT_ONCE ? (uint64_t)(tokens - SRV_SCHED_AT_ONCE) * SRV_SCHED_TOKEN_US : 0;
    uint64_t most = ticket->deadline_us > now_us ? (ticket->deadline_us - now_us) / 2 : 0;

    return late < most ? late : most;
}

/* All items of the ticket, each when it is due. They are due in order, so that within a list each stands somewhere
 * behind the one before. */
static void queue_items(struct srv_sched *sched, struct srv_ticket *ticket, uint64_t now_us)
{
    struct srv_item *last[SRV_SCHED_BUCKETS] = {NULL};
    size_t tokens = 0;

    for (size_t i = 0; i < ticket->n_items; i++) {
        struct srv_item *item = &ticket->items[i], **before = &last[bucket_of(item->tokens)];
        bool same_list = *before != NULL && (*before)->model == item->model;

        assert(item->model < sched->n_queues);
        assert(item->tokens > 0 && item->tokens <= sched->queues[item->model].tokens_budget);
        item->ticket = ticket;
        item->due_us = now_us + late_us(ticket, tokens, now_us);
        item->state = SRV_ITEM_QUEUED;
        list_insert(&sched->queues[item->model].classes[ticket->bulk], item, same_list ? *before : NULL);
        *before = item;
        tokens += item->tokens;
    }
    ticket->n_queued = ticket->n_items;
    sched->n_queued += ticket->n_items;
}

enum att_status srv_sched_push(struct srv_sched *sched, struct srv_ticket *ticket, uint64_t now_us, struct att_err *err)
{
    size_t tokens = 0, others = sched->tokens - ticket->tokens;

    assert(ticket->n_queued == 0 && ticket->n_running == 0);
    for (size_t i = 0; i < ticket->n_items; i++)
        tokens += ticket->items[i].tokens;
    if (!ticket->pushed && (others > sched->limits.tokens_max || tokens > sched->limits.tokens_max - others))
        return att_err_set(err, ATT_EBUSY, "the queue is full: %zu tokens wait", others);
    sched->tokens = others + tokens;
    ticket->tokens = tokens;
    ticket->pushed = true;
    ticket->first_start_us = 0;
    heap_move(sched, ticket);
    queue_items(sched, ticket, now_us);
    return ATT_OK;
}

static void take(struct srv_sched *sched, struct srv_item *item, uint64_t now_us)
{
    struct srv_ticket *ticket = item->ticket;

    list_remove(&sched->queues[item->model].classes[ticket->bulk], item);
    item->state = SRV_ITEM_RUNNING;
    ticket->n_queued--;
    ticket->n_running++;
    sched->n_queued--;
    if (ticket->first_start_us == 0)
        ticket->first_start_us = now_us;
}

/* The model of which an item of this class is due first; n_queues when none waits. */
static size_t pick_model(const struct srv_sched *sched, size_t class, struct srv_item **ret_first)
{
    size_t model = sched->n_queues;
    struct srv_item *first = NULL;

    for (size_t i = 0; i < sched->n_queues; i++) {
        struct srv_item *item = list_first(&sched->queues[i].classes[class]);

        if (item != NULL && (first == NULL || item->due_us < first->due_us)) {
            first = item;
            model = i;
        }
    }
    *ret_first = first;
    return model;
}

static bool is_overdue(const struct srv_sched *sched, const struct srv_item *item, uint64_t now_us)
{
    return now_us > item->due_us && now_us - item->due_us > sched->limits.age_max_us;
}

/* Fills up to the budget from one class: what is overdue in its order, then the shortest. The first item of a batch
 * goes whatever its length. Returns the tokens taken so far. */
static size_t fill(struct srv_sched *sched, struct srv_bucket_list *list, uint64_t now_us, size_t budget, size_t tokens,
                   struct srv_item **items, size_t capacity, size_t *n_items)
{
    while (*n_items < capacity && list->n_items > 0) {
        struct srv_item *shortest = list_shortest(list), *item = list_first(list);

        if (!is_overdue(sched, item, now_us) || (*n_items > 0 && item->tokens > budget - tokens))
            item = shortest;
        if (*n_items == 0 && budget < item->tokens)
            budget = item->tokens;
        if (item->tokens > budget - tokens)
            break;
        take(sched, item, now_us);
        items[(*n_items)++] = item;
        tokens += item->tokens;
    }
    return tokens;
}

/* Which class and model the next batch is of. False: nothing waits. */
static bool pick(struct srv_sched *sched, size_t *ret_class, size_t *ret_model)
{
    struct srv_item *interactive, *bulk = NULL;
    size_t model = pick_model(sched, 0, &interactive), bulk_model = 0;

    if (interactive == NULL || sched->since_bulk + 1 >= sched->limits.bulk_share)
        bulk_model = pick_model(sched, 1, &bulk);
    if (interactive == NULL && bulk == NULL)
        return false;
    *ret_class = bulk != NULL;
    *ret_model = bulk != NULL ? bulk_model : model;
    if (bulk != NULL)
        sched->since_bulk = 0;
    else if (sched->since_bulk < sched->limits.bulk_share)
        sched->since_bulk++;
    return true;
}

size_t srv_sched_next(struct srv_sched *sched, uint64_t now_us, size_t idle_workers, struct srv_item **items,
                      size_t capacity, size_t *ret_model)
{
    struct srv_sched_queue *queue;
    size_t first, model, budget, waiting, tokens, n = 0;

    assert(capacity > 0 && idle_workers > 0);
    if (!pick(sched, &first, &model))
        return 0;
    queue = &sched->queues[model];
    if (capacity > queue->items_max)
        capacity = queue->items_max;
    /* What waits is shared among the idle workers. */
    waiting = queue->classes[0].tokens + queue->classes[1].tokens;
    budget = waiting / idle_workers + (waiting % idle_workers != 0);
    if (budget > queue->tokens_budget)
        budget = queue->tokens_budget;
    tokens = fill(sched, &queue->classes[first], now_us, budget, 0, items, capacity, &n);
    if (tokens < budget)
        fill(sched, &queue->classes[!first], now_us, budget, tokens, items, capacity, &n);
    *ret_model = model;
    return n;
}

static bool is_complete(const struct srv_ticket *ticket)
{
    return ticket->n_queued == 0 && ticket->n_running == 0;
}

static bool end_running(struct srv_sched *sched, struct srv_item *item, enum srv_item_state state)
{
    struct srv_ticket *ticket = item->ticket;

    assert(item->state == SRV_ITEM_RUNNING && ticket->n_running > 0);
    assert(ticket->tokens >= item->tokens && sched->tokens >= item->tokens);
    item->state = state;
    ticket->n_running--;
    ticket->tokens -= item->tokens;
    sched->tokens -= item->tokens;
    return is_complete(ticket);
}

bool srv_sched_done(struct srv_sched *sched, struct srv_item *item)
{
    return end_running(sched, item, SRV_ITEM_DONE);
}

bool srv_sched_give_back(struct srv_sched *sched, struct srv_item *item)
{
    item->ticket->dropped = true;
    return end_running(sched, item, SRV_ITEM_DROPPED);
}

static bool drop_queued(struct srv_sched *sched, struct srv_ticket *ticket)
{
    if (ticket->n_queued == 0)
        return false;
    for (size_t i = 0; i < ticket->n_items; i++) {
        struct srv_item *item = &ticket->items[i];

        if (item->state != SRV_ITEM_QUEUED)
            continue;
        list_remove(&sched->queues[item->model].classes[ticket->bulk], item);
        item->state = SRV_ITEM_DROPPED;
        ticket->tokens -= item->tokens;
        sched->tokens -= item->tokens;
    }
    sched->n_queued -= ticket->n_queued;
    ticket->n_queued = 0;
    ticket->dropped = true;
    return is_complete(ticket);
}

bool srv_sched_expire(struct srv_sched *sched, uint64_t now_us, struct srv_ticket **ret_ticket)
{
    struct srv_ticket *ticket = sched->n_tickets > 0 ? sched->heap[0] : NULL;

    if (ticket == NULL || ticket->deadline_us > now_us) {
        *ret_ticket = NULL;
        return false;
    }
    /* Once expired it needs no second look; who holds it knows the deadline. */
    ticket->deadline_us = UINT64_MAX;
    heap_down(sched, 0, ticket);
    *ret_ticket = ticket;
    return drop_queued(sched, ticket);
}

bool srv_sched_cancel(struct srv_sched *sched, struct srv_ticket *ticket)
{
    return drop_queued(sched, ticket);
}

void srv_sched_release(struct srv_sched *sched, struct srv_ticket *ticket)
{
    assert(is_complete(ticket));
    assert(ticket->place < sched->n_tickets && sched->heap[ticket->place] == ticket);
    sched->bytes -= ticket->bytes;
    sched->tokens -= ticket->tokens;
    ticket->tokens = 0;
    heap_remove(sched, ticket);
}
