/* A row that continues under another number keeps its memory; only a row that is continued twice is copied. */
#include "core/ops/kv_cache.h"

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"

bool att_kv_row_floats(size_t n_layers, size_t max_len, size_t width, size_t *ret_count)
{
    return att_size_mul(n_layers, 2, ret_count) && att_size_mul(*ret_count, max_len, ret_count) &&
           att_size_mul(*ret_count, width, ret_count);
}

/* Floats from a row's begin to a layer's keys; its values are as far behind those again. */
static size_t layer_offset(const struct att_kv_cache *cache, size_t layer, size_t row)
{
    return layer * 2 * cache->room[row] * cache->width;
}

enum att_status att_kv_cache_init(struct att_kv_cache *cache, size_t n_layers, size_t n_rows, size_t max_len,
                                  size_t width, struct att_err *err)
{
    size_t floats, count;
    *cache = (struct att_kv_cache){.n_layers = n_layers, .n_rows = n_rows, .max_len = max_len, .width = width};
    if (att_kv_row_floats(n_layers, max_len, width, &floats) && att_size_mul(floats, n_rows, &count))
        cache->memory = att_mem_aligned(count, sizeof *cache->memory);
    cache->row = att_mem_calloc(n_rows, sizeof *cache->row);
    cache->row_work = att_mem_calloc(n_rows, sizeof *cache->row_work);
    cache->room = att_mem_calloc(n_rows, sizeof *cache->room);
    cache->len = att_mem_calloc(n_rows, sizeof *cache->len);
    cache->work = att_mem_calloc(n_rows, 3 * sizeof *cache->work);
    if (!cache->memory || !cache->row || !cache->row_work || !cache->room || !cache->len || !cache->work) {
        att_kv_cache_finish(cache);
        return att_err_set(err, ATT_ENOMEM, "out of memory for the keys and values of %zu rows of %zu tokens", n_rows,
                           max_len);
    }
    for (size_t r = 0; r < n_rows; r++) {
        cache->row[r] = cache->memory + r * floats;
        cache->room[r] = (uint32_t)max_len;
    }
    return ATT_OK;
}

void att_kv_cache_finish(struct att_kv_cache *cache)
{
    att_mem_free(cache->memory);
    att_mem_free(cache->row);
    att_mem_free(cache->row_work);
    att_mem_free(cache->room);
    att_mem_free(cache->len);
    att_mem_free(cache->work);
    *cache = (struct att_kv_cache){.n_layers = 0};
}

void att_kv_cache_clear(struct att_kv_cache *cache)
{
    memset(cache->len, 0, cache->n_rows * sizeof *cache->len);
}

void att_kv_cache_append(struct att_kv_cache *cache, size_t layer, size_t row, size_t n, const float *key,
                         const float *value, size_t ld)
{
    assert(layer < cache->n_layers && row < cache->n_rows && cache->len[row] + n <= cache->room[row]);
    float *keys = cache->row[row] + layer_offset(cache, layer, row) + cache->len[row] * cache->width;
    float *values = keys + cache->room[row] * cache->width;
    for (size_t i = 0; i < n; i++, keys += cache->width, values += cache->width) {
        memcpy(keys, key + i * ld, cache->width * sizeof *key);
        memcpy(values, value + i * ld, cache->width * sizeof *value);
    }
}

const float *att_kv_cache_key(const struct att_kv_cache *cache, size_t layer, size_t row)
{
    return cache->row[row] + layer_offset(cache, layer, row);
}

const float *att_kv_cache_value(const struct att_kv_cache *cache, size_t layer, size_t row)
{
    return att_kv_cache_key(cache, layer, row) + cache->room[row] * cache->width;
}

/* The keys and values of len tokens, from a row's memory to another's. */
static void copy_row(const struct att_kv_cache *cache, const float *from, float *to, size_t len)
{
    size_t each = cache->max_len * cache->width;
    for (size_t i = 0; i < 2 * cache->n_layers; i++)
        memcpy(to + i * each, from + i * each, len * cache->width * sizeof *from);
}

void att_kv_cache_reorder(struct att_kv_cache *cache, const uint32_t *from)
{
    size_t n = cache->n_rows, unused = 0;
    uint32_t *len = cache->work, *taken = len + n;
    float **row = cache->row_work;
    memset(taken, 0, n * sizeof *taken);
    for (size_t r = 0; r < n; r++) {
        assert(from[r] < n);
        row[r] = taken[from[r]] ? NULL : cache->row[from[r]];
        len[r] = cache->len[from[r]];
        taken[from[r]] = 1;
    }
    /* What is not taken now belonged to rows that nobody continues. */
    for (size_t r = 0; r < n; r++) {
        if (row[r])
            continue;
        while (taken[unused])
            unused++;
        copy_row(cache, cache->row[from[r]], cache->row[unused], len[r]);
        row[r] = cache->row[unused];
        taken[unused] = 1;
    }
    memcpy(cache->row, row, n * sizeof(float *));
    memcpy(cache->len, len, n * sizeof *len);
}
