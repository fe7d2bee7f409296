/*
 * Relative position bias of T5 (Raffel et al. 2020), which MPNet uses too: a
 * learned number for every head and every bucket of distances.
 */
#ifndef ATT_OPS_RELATIVE_H
#define ATT_OPS_RELATIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/ops/attention.h"
#include "core/ops/table.h"

enum { ATT_RELATIVE_BUCKETS = 32, ATT_RELATIVE_DISTANCE = 128 };

/* The bucket of distance = key - query. Both ways: half of the buckets for keys behind the query; else keys behind it
 * count as distance 0. */
size_t att_relative_bucket(ptrdiff_t distance, bool both_ways, size_t n_buckets, size_t max_distance);
/* table is [n_buckets or more][heads]. Writes the biases by distance among n_key tokens, heads * 2 * n_key floats, into
 * `room`, and points bias at them. */
void att_relative_bias(const struct att_table *table, bool both_ways, size_t n_buckets, size_t max_distance,
                       size_t n_key, float *room, struct att_mha_bias *bias);

#endif
