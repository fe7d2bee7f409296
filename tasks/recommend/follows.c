/*
 * See follows.h. A sequence model that is small enough for a plain CPU learns tastes better than exact pairs, and shops
 * live by pairs: what is bought with this, and what this customer bought after it the last time. Both are looked up
 * here and added to its scores.
 *
 *   share(c) = row(last)[c] + decay · row(last but one)[c] + decay² · … + own · (share of c among what stood behind
 *              the last item earlier in this sequence)
 *
 * Everything is summed in a fixed order, so equal sequences get equal bits.
 */
#include "tasks/recommend/follows.h"

#include <math.h>
#include <stdlib.h>

struct part {
    uint32_t item, order;
    double share;
};

/* By item; of one item in the order in which they were found. */
static int by_item(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    if (x->item != y->item)
        return x->item < y->item ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* Appends the rows of the newest items. */
static size_t take_rows(const struct store_follows *follows, const int32_t *ids, size_t n_ids, struct part *parts)
{
    double factor = 1;
    size_t n = 0;
    for (size_t back = 1; back <= n_ids && back <= TASK_FOLLOWS_BACK_MAX && factor > 0; back++) {
        size_t n_row = 0;
        const struct store_follow *row = store_follows_of(follows, (size_t)ids[n_ids - back], &n_row);
        for (size_t i = 0; i < n_row; i++, n++)
            parts[n] = (struct part){row[i].item, (uint32_t)n, factor * (double)row[i].share};
        factor *= store_follows_rule(follows)->decay;
    }
    return n;
}

/* Appends what stood behind the last item earlier in the sequence. */
static size_t take_own(double own, const int32_t *ids, size_t n_ids, struct part *parts, size_t n)
{
    size_t first = n;
    for (size_t i = 0; own > 0 && i + 1 < n_ids; i++)
        if (ids[i] == ids[n_ids - 1]) {
            parts[n] = (struct part){(uint32_t)ids[i + 1], (uint32_t)n, own};
            n++;
        }
    for (size_t i = first; i < n; i++)
        parts[i].share /= (double)(n - first);
    return n;
}

enum att_status task_follows_boosts(struct task_call *call, const struct store_follows *follows, const int32_t *ids,
                                    size_t n_ids, struct task_boost **ret_boosts, size_t *ret_n, struct att_err *err)
{
    *ret_n = 0;
    *ret_boosts = NULL;
    if (!follows || n_ids == 0)
        return ATT_OK;
    const struct store_follows_rule *rule = store_follows_rule(follows);
    size_t most = (size_t)TASK_FOLLOWS_BACK_MAX * STORE_FOLLOWS_MAX + n_ids, n_boosts = 0;
    struct part *parts = task_alloc(call, most, sizeof *parts, err);
    if (!parts)
        return err->status;
    size_t n = take_own(rule->own, ids, n_ids, parts, take_rows(follows, ids, n_ids, parts));
    struct task_boost *boosts = task_alloc(call, n + 1, sizeof *boosts, err);
    if (!boosts)
        return err->status;
    qsort(parts, n, sizeof *parts, by_item);
    for (size_t i = 0; i < n; n_boosts++) {
        uint32_t item = parts[i].item;
        double share = 0;
        for (; i < n && parts[i].item == item; i++)
            share += parts[i].share;
        boosts[n_boosts] = (struct task_boost){item, (float)(rule->weight * log1p(rule->scale * share))};
    }
    *ret_boosts = boosts;
    *ret_n = n_boosts;
    return ATT_OK;
}

float task_follows_boost(const struct task_boost *boosts, size_t n, size_t item)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (boosts[middle].item < item)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && boosts[low].item == item ? boosts[low].value : 0;
}
