/* See ranking.h. The best k are a heap with the worst on top, so a large catalogue is passed over once. */
#include "tasks/ranking.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

struct task_moments task_moments_of(const float *x, const unsigned char *counted, size_t n)
{
    double sum = 0, squares = 0;
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (counted[i]) {
            sum += (double)x[i];
            count++;
        }
    double mean = count ? sum / (double)count : 0;
    for (size_t i = 0; i < n; i++)
        if (counted[i])
            squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    double deviation = count ? sqrt(squares / (double)count) : 0;
    /* Equal values differ by rounding alone, and must not be blown up. */
    bool flat = deviation <= 1e-6 * fabs(mean) || deviation < 1e-30;
    return (struct task_moments){(float)mean, flat ? 1.0f : (float)deviation};
}

float task_standard_score(struct task_moments moments, float x)
{
    return (x - moments.mean) / moments.deviation;
}

static bool is_better(struct task_ranked a, struct task_ranked b)
{
    return a.logit != b.logit ? a.logit > b.logit : a.slot < b.slot;
}

static void swap(struct task_ranked *a, struct task_ranked *b)
{
    struct task_ranked other = *a;
    *a = *b;
    *b = other;
}

void task_best_offer(struct task_best *best, size_t slot, float logit)
{
    assert(best->capacity > 0);
    struct task_ranked *heap = best->items, offered = {slot, logit};
    size_t at = 0;
    if (best->count < best->capacity) {
        at = best->count++;
        heap[at] = offered;
        for (; at > 0 && is_better(heap[(at - 1) / 2], heap[at]); at = (at - 1) / 2)
            swap(&heap[at], &heap[(at - 1) / 2]);
        return;
    }
    if (!is_better(offered, heap[0]))
        return;
    heap[0] = offered;
    for (size_t child = 1; child < best->count; child = 2 * at + 1) {
        if (child + 1 < best->count && is_better(heap[child], heap[child + 1]))
            child++;
        if (!is_better(heap[at], heap[child]))
            return;
        swap(&heap[at], &heap[child]);
        at = child;
    }
}

static int by_rank(const void *a, const void *b)
{
    const struct task_ranked *x = a, *y = b;
    return is_better(*x, *y) ? -1 : is_better(*y, *x);
}

void task_best_sort(struct task_best *best)
{
    qsort(best->items, best->count, sizeof *best->items, by_rank);
}

void task_ranked_diversify(struct task_ranked *ranked, size_t n, size_t k, float diversity,
                           float (*likeness)(const void *context, size_t slot_a, size_t slot_b), const void *context,
                           float *nearest)
{
    assert(diversity >= 0 && diversity <= 1);
    float low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        low = fminf(low, ranked[i].logit);
        high = fmaxf(high, ranked[i].logit);
        nearest[i] = 0;
    }
    float range = high > low ? high - low : 1.0f;
    for (size_t picked = 0; picked < k && picked < n; picked++) {
        size_t chosen = picked;
        float chosen_value = -INFINITY;
        for (size_t i = picked; i < n; i++) {
            if (picked > 0)
                nearest[i] = fmaxf(nearest[i], likeness(context, ranked[i].slot, ranked[picked - 1].slot));
            float value = (1 - diversity) * (ranked[i].logit - low) / range - diversity * nearest[i];
            if (value > chosen_value) {
                chosen_value = value;
                chosen = i;
            }
        }
        /* Moved to its place with the order of the others kept, so that ties stay with the better one. */
        struct task_ranked item = ranked[chosen];
        float near = nearest[chosen];
        for (size_t i = chosen; i > picked; i--) {
            ranked[i] = ranked[i - 1];
            nearest[i] = nearest[i - 1];
        }
        ranked[picked] = item;
        nearest[picked] = near;
    }
}
