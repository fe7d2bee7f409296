/*
 * The deletion curve: parts of an input (words, events of a history) are taken
 * away in the order of their weights, and what that does to the answer's score
 * says how faithful the weights are. Which parts each variant of the input lacks,
 * and the figures from the variants' scores. Pure functions.
 */
#ifndef TASK_DELETION_H
#define TASK_DELETION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/json.h"

/* Variants of one order of the parts: ten steps of the curve, the first three gone, and three bins alone. Draws: three
 * parts at random. */
enum { TASK_DELETION_VARIANTS = 14, TASK_DELETION_DRAWS = 5 };

/* Changes of the score; larger is more faithful but for sufficiency and deletion_area. DeYoung et al. 2020 (ERASER),
 * Petsiuk et al. 2018 (deletion). */
struct task_faithfulness {
    double top3_drop;         /* without the three parts of most weight */
    double random3_move;      /* without any three, whichever way it moves: mean of five draws */
    double comprehensiveness; /* fall without the first 10, 20 and 50 % of the parts, mean */
    double sufficiency;       /* fall with these alone */
    double deletion_area;     /* under the score while parts go, most weight first, 0 to all of them */
};

/* order[n]: most weight first, equal weights as they stand. Insertion: n is small. */
void task_deletion_order(const double *weights, size_t n, size_t *order);
/* out[n] of the variant, 0 <= variant < TASK_DELETION_VARIANTS. */
void task_deletion_mark(size_t variant, const size_t *order, size_t n, bool *out);
/* out[n]: three parts at random. order: work space of n. *state: the seed, and the next one. */
void task_deletion_draw(uint64_t *state, size_t *order, size_t n, bool *out);
/* A seed of bytes (FNV-1a), so that the same input is always measured with the same draws; the first has hash 0. */
uint64_t task_deletion_seed(uint64_t hash, const void *bytes, size_t len);
/* scores[TASK_DELETION_VARIANTS] of the order, draws[TASK_DELETION_DRAWS]. */
void task_deletion_figures(double base, const double *scores, const double *draws, struct task_faithfulness *ret);
/* "faithfulness":{…} */
void task_faithfulness_render(const struct task_faithfulness *figures, struct att_jsonw *answer);

#endif
