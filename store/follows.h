/*
 * What directly followed what, for recommenders whose users often take the same
 * pairs: follows.jsonl in the model directory, made by tools/train/recommend.py.
 *
 *   {"scale": 1000, "weight": 1}                        first line
 *   {"index": 12, "next": [[13, 0.25], [99, 0.1]]}      after item 12, a quarter took item 13
 *
 * An item's score is raised by weight · ln(1 + scale · share) when the last item of
 * the history is one that it followed: the logarithm of a first-order Markov chain
 * beside that of the sequence model. Items without a row are as they were.
 */
#ifndef STORE_FOLLOWS_H
#define STORE_FOLLOWS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

enum { STORE_FOLLOWS_MAX = 256 }; /* of one item */

struct store_follow {
    uint32_t item;
    float boost;
};

struct store_follows;

/* dir: a model directory. ATT_ENOTFOUND: it has no follows.jsonl. */
enum att_status store_follows_open(const char *dir, size_t n_items, struct store_follows **ret_follows,
                                   struct att_err *err) ATT_MUST_USE;
void store_follows_close(struct store_follows *follows); /* NULL is allowed */
/* What followed an item, 1 <= index <= n_items; each item once. */
const struct store_follow *store_follows_of(const struct store_follows *follows, size_t index, size_t *ret_n);

#endif
