/*
 * Keys and values of the tokens that a decoder has read: for every layer and
 * row (a sequence that is being written). Of one thread. A step appends its new
 * tokens layer by layer behind the `len` tokens of a row, then advances it.
 */
#ifndef ATT_OPS_KV_CACHE_H
#define ATT_OPS_KV_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

struct att_kv_cache {
    size_t n_layers, n_rows, max_len, width; /* width: n_kv_heads * head_dim */
    float *key, *value;                      /* [n_layers][n_rows][max_len][width], row r at slot[r] */
    uint32_t *slot;                          /* [n_rows] */
    uint32_t *len;                           /* [n_rows] tokens held */
    uint32_t *work;                          /* [4 * n_rows]: 3 of reorder, the last for the caller's order */
};

/* ATT_ENOMEM, also where the size overflows. */
enum att_status att_kv_cache_init(struct att_kv_cache *cache, size_t n_layers, size_t n_rows, size_t max_len,
                                  size_t width, struct att_err *err) ATT_MUST_USE;
void att_kv_cache_finish(struct att_kv_cache *cache);
/* Forgets all tokens. */
void att_kv_cache_clear(struct att_kv_cache *cache);
/* Copies n rows of keys and values (row stride ld) behind the row's tokens; len + n <= max_len. */
void att_kv_cache_append(struct att_kv_cache *cache, size_t layer, size_t row, size_t n, const float *key,
                         const float *value, size_t ld);
/* The row's keys or values, [len + appended][width]. */
const float *att_kv_cache_key(const struct att_kv_cache *cache, size_t layer, size_t row);
const float *att_kv_cache_value(const struct att_kv_cache *cache, size_t layer, size_t row);
/* Row r becomes what row from[r] was. */
void att_kv_cache_reorder(struct att_kv_cache *cache, const uint32_t *from);

#endif
