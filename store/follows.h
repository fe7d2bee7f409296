/*
 * What stood beside what in the sequences of all users, for recommenders whose
 * users often take the same pairs: follows.jsonl in the model directory, made by
 * tools/train/recommend.py.
 *
 *   {"scale": 1000, "weight": 1, "decay": 0.3, "own": 0.1}   first line
 *   {"index": 12, "next": [[13, 0.25], [99, 0.1]]}           beside item 12, a quarter was item 13
 *
 * An item's score is raised by weight · ln(1 + scale · share): the logarithm of a
 * first-order Markov chain beside that of the sequence model. Its share is that of
 * the row of the history's last item, decay times that of the row of the item before
 * it, and so on, and own times its share of what followed the last item earlier in
 * the same history (tasks/preference.h). Without "decay" and "own" both are 0: the
 * last item's row alone. Items without a row are as they were.
 */
#ifndef STORE_FOLLOWS_H
#define STORE_FOLLOWS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

enum { STORE_FOLLOWS_MAX = 256 }; /* of one item */

struct store_follow {
    uint32_t item;
    float share;
};

struct store_follows_rule {
    double scale, weight, decay, own;
};

struct store_follows;

/* dir: a model directory. ATT_ENOTFOUND: it has no follows.jsonl. */
enum att_status store_follows_open(const char *dir, size_t n_items, struct store_follows **ret_follows,
                                   struct att_err *err) ATT_MUST_USE;
void store_follows_close(struct store_follows *follows); /* NULL is allowed */
const struct store_follows_rule *store_follows_rule(const struct store_follows *follows);
/* What followed an item, 1 <= index <= n_items; each item once. */
const struct store_follow *store_follows_of(const struct store_follows *follows, size_t index, size_t *ret_n);

#endif
