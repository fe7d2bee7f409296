/*
 * The arithmetic of recommending: pure functions over arrays indexed by item,
 * 0 (padding) included and never ranked.
 */
#ifndef TASK_RANKING_H
#define TASK_RANKING_H

#include <stdbool.h>
#include <stddef.h>

/* What a ranking is made of. Arrays are [n_items + 1] standard scores, or NULL when there is no such evidence. */
struct task_ranking_evidence {
    const float *sequence; /* the recommender's scores for the history */
    const float *interest; /* likeness of item texts to the words of now */
    const float *profile;  /* likeness of item texts to the history's texts */
    const float *popular;
};

enum task_ranking_source { RANKING_SEQUENCE, RANKING_CONTENT, RANKING_POPULAR };

/* Scales scores[1..n] to mean 0 and standard deviation 1 over the finite ones; the same scale is told, so that items
 * outside the catalogue can be put on it. */
void task_ranking_standardise(float *scores, size_t n, float *ret_mean, float *ret_deviation);

/*
 * fused = 1·sequence + 2·interest + profile · (0.25 with a sequence, else 1); popularity alone when there is nothing
 * else. What the user says now weighs twice what the history implies. *ret_source says which part gave most.
 */
float task_ranking_fuse(const struct task_ranking_evidence *evidence, size_t item, enum task_ranking_source *ret_source);

struct task_ranking_item {
    size_t place; /* the caller's index */
    float fused;
    enum task_ranking_source source;
};

/* Highest fused first; equal ones by place, so that answers are deterministic. */
void task_ranking_sort(struct task_ranking_item *items, size_t n);

/* Maximal marginal relevance (Carbonell & Goldstein 1998): reorders the first `take` of items so that each maximises
 * (1 - diversity)·relevance - diversity·(largest likeness to those before it). likeness(context, a, b) in [-1, 1] takes
 * places. Relevance is fused scaled to 0..1 over the items. */
void task_ranking_diversify(struct task_ranking_item *items, size_t n, size_t take, double diversity,
                       float (*likeness)(const void *context, size_t a, size_t b), const void *context);

#endif
