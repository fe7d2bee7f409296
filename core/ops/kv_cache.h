/*
 * Keys and values of the tokens that a decoder has read: for every layer and
 * row (a sequence that is being written). Of one thread. A step appends its new
 * tokens layer by layer behind the `len` tokens of a row, then advances it.
 *
 * A row is one block of memory, so a cache may own its rows, or be a view of rows
 * that each belong to somebody else (core/past.c).
 */
#ifndef ATT_OPS_KV_CACHE_H
#define ATT_OPS_KV_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

struct att_kv_cache {
    size_t n_layers, n_rows, max_len, width; /* max_len: room of the largest row; width: n_kv_heads * head_dim */
    float **row;                             /* [n_rows]: [n_layers][key, value][room][width] */
    uint32_t *room;                          /* [n_rows] tokens that fit */
    uint32_t *len;                           /* [n_rows] tokens held */
    /* where it owns its rows */
    float *memory;
    float **row_work; /* [n_rows] */
    uint32_t *work;   /* [3 * n_rows]: 2 of reorder, the last for the caller's order */
};

/* Floats of a row with room for max_len tokens; false where the size overflows. */
bool att_kv_row_floats(size_t n_layers, size_t max_len, size_t width, size_t *ret_count);

/* ATT_ENOMEM, also where the size overflows. */
enum att_status att_kv_cache_init(struct att_kv_cache *cache, size_t n_layers, size_t n_rows, size_t max_len,
                                  size_t width, struct att_err *err) ATT_MUST_USE;
void att_kv_cache_finish(struct att_kv_cache *cache);
/* Forgets all tokens. */
void att_kv_cache_clear(struct att_kv_cache *cache);
/* Copies n rows of keys and values (row stride ld) behind the row's tokens; len + n <= room. */
void att_kv_cache_append(struct att_kv_cache *cache, size_t layer, size_t row, size_t n, const float *key,
                         const float *value, size_t ld);
/* The row's keys or values, [len + appended][width]. */
const float *att_kv_cache_key(const struct att_kv_cache *cache, size_t layer, size_t row);
const float *att_kv_cache_value(const struct att_kv_cache *cache, size_t layer, size_t row);
/* Row r becomes what row from[r] was. The cache owns its rows. */
void att_kv_cache_reorder(struct att_kv_cache *cache, const uint32_t *from);

#endif
