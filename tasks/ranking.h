/* Ranking numbers: standard scores, the best k, and diversity. Pure functions. */
#ifndef TASK_RANKING_H
#define TASK_RANKING_H

#include <stddef.h>

struct task_moments {
    float mean, deviation; /* deviation is never 0 */
};

/* Of x[i] where counted[i]; sums in double, in order. No value: mean 0, deviation 1. */
struct task_moments task_moments_of(const float *x, const unsigned char *counted, size_t n);
float task_standard_score(struct task_moments moments, float x);

struct task_ranked {
    size_t slot;
    float logit;
};

/* The best `capacity` of all that are offered. */
struct task_best {
    struct task_ranked *items; /* [capacity] */
    size_t count, capacity;    /* capacity at least 1 */
};

void task_best_offer(struct task_best *best, size_t slot, float logit);
/* Largest logit first, ties by slot. */
void task_best_sort(struct task_best *best);

/* Maximal marginal relevance (Carbonell & Goldstein 1998): reorders ranked[0..n) so that each of the first k is the one
 * with the largest (1 - diversity) · relevance - diversity · likeness to the most alike before it. Relevance is the
 * logit scaled to 0..1 over ranked; likeness answers -1..1. nearest: work space of n. */
void task_ranked_diversify(struct task_ranked *ranked, size_t n, size_t k, float diversity,
                           float (*likeness)(const void *context, size_t slot_a, size_t slot_b), const void *context,
                           float *nearest);

#endif
