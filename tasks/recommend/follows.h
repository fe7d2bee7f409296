/*
 * How much the score of each item is raised for what stood beside the newest items of a sequence before: the share of
 * store/follows.h, summed over them, as weight · ln(1 + scale · share).
 */
#ifndef TASK_FOLLOWS_H
#define TASK_FOLLOWS_H

#include "store/follows.h"
#include "tasks/encode.h"

enum { TASK_FOLLOWS_BACK_MAX = 8 }; /* newest items whose rows count */

struct task_boost {
    uint32_t item;
    float value; /* > 0, or 0 where the weight is */
};

/* Boosts by ascending item, each item once, in the arena. ids: [n_ids] the sequence, oldest first. follows may be NULL:
 * there are none. */
enum att_status task_follows_boosts(struct task_call *call, const struct store_follows *follows, const int32_t *ids,
                                    size_t n_ids, struct task_boost **ret_boosts, size_t *ret_n,
                                    struct att_err *err) ATT_MUST_USE;
/* The boost of an item, 0 for most. */
float task_follows_boost(const struct task_boost *boosts, size_t n, size_t item);

#endif
