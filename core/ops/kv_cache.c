/* A row that continues under another number keeps its memory; only a row that is continued twice is copied. */
#include "core/ops/kv_cache.h"

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"

static size_t offset(const struct att_kv_cache *cache, size_t layer, size_t slot)
{
    return (layer * cache->n_rows + slot) * cache->max_len * cache->width;
}

enum att_status att_kv_cache_init(struct att_kv_cache *cache, size_t n_layers, size_t n_rows, size_t max_len,
                                  size_t width, struct att_err *err)
{
    size_t count;
    *cache = (struct att_kv_cache){.n_layers = n_layers, .n_rows = n_rows, .max_len = max_len, .width = width};
    if (att_size_mul(n_layers, n_rows, &count) && att_size_mul(count, max_len, &count) &&
        att_size_mul(count, width, &count)) {
        cache->key = att_mem_aligned(count, sizeof *cache->key);
        cache->value = att_mem_aligned(count, sizeof *cache->value);
    }
    cache->slot = att_mem_calloc(n_rows, sizeof *cache->slot);
    cache->len = att_mem_calloc(n_rows, sizeof *cache->len);
    cache->work = att_mem_calloc(n_rows, 4 * sizeof *cache->work);
    if (!cache->key || !cache->value || !cache->slot || !cache->len || !cache->work) {
        att_kv_cache_finish(cache);
        return att_err_set(err, ATT_ENOMEM, "out of memory for the keys and values of %zu rows of %zu tokens", n_rows,
                           max_len);
    }
    for (size_t r = 0; r < n_rows; r++)
        cache->slot[r] = (uint32_t)r;
    return ATT_OK;
}

void att_kv_cache_finish(struct att_kv_cache *cache)
{
    att_mem_free(cache->key);
    att_mem_free(cache->value);
    att_mem_free(cache->slot);
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
    assert(layer < cache->n_layers && row < cache->n_rows && cache->len[row] + n <= cache->max_len);
    size_t at = offset(cache, layer, cache->slot[row]) + cache->len[row] * cache->width;
    for (size_t i = 0; i < n; i++, at += cache->width) {
        memcpy(cache->key + at, key + i * ld, cache->width * sizeof *key);
        memcpy(cache->value + at, value + i * ld, cache->width * sizeof *value);
    }
}

const float *att_kv_cache_key(const struct att_kv_cache *cache, size_t layer, size_t row)
{
    return cache->key + offset(cache, layer, cache->slot[row]);
}

const float *att_kv_cache_value(const struct att_kv_cache *cache, size_t layer, size_t row)
{
    return cache->value + offset(cache, layer, cache->slot[row]);
}

static void copy_slot(struct att_kv_cache *cache, uint32_t from, uint32_t to, size_t len)
{
    for (size_t layer = 0; layer < cache->n_layers; layer++) {
        size_t a = offset(cache, layer, from), b = offset(cache, layer, to), bytes = len * cache->width * sizeof(float);
        memcpy(cache->key + b, cache->key + a, bytes);
        memcpy(cache->value + b, cache->value + a, bytes);
    }
}

void att_kv_cache_reorder(struct att_kv_cache *cache, const uint32_t *from)
{
    size_t n = cache->n_rows, free_slot = 0;
    uint32_t *slot = cache->work, *len = slot + n, *taken = len + n;
    memset(taken, 0, n * sizeof *taken);
    for (size_t r = 0; r < n; r++) {
        assert(from[r] < n);
        uint32_t source = cache->slot[from[r]];
        slot[r] = taken[source] ? UINT32_MAX : source;
        len[r] = cache->len[from[r]];
        taken[source] = 1;
    }
    /* What is not taken now belonged to rows that nobody continues. */
    for (size_t r = 0; r < n; r++) {
        if (slot[r] != UINT32_MAX)
            continue;
        while (taken[free_slot])
            free_slot++;
        copy_slot(cache, cache->slot[from[r]], (uint32_t)free_slot, len[r]);
        slot[r] = (uint32_t)free_slot;
        taken[free_slot] = 1;
    }
    memcpy(cache->slot, slot, n * sizeof *slot);
    memcpy(cache->len, len, n * sizeof *len);
}
