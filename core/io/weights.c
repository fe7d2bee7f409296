/* See weights.h. */
#include "core/io/weights.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/digest.h"
#include "core/base/mem.h"
#include "core/io/seeded.h"

enum { TENSORS_MAX = 1 << 20, READ_CHUNK = 1 << 20 };

void att_shape_text(size_t rank, const size_t *shape, char *text, size_t text_size)
{
    size_t at = 0;
    int n = snprintf(text, text_size, "[");
    for (size_t i = 0; i < rank && n >= 0 && at + (size_t)n < text_size; i++) {
        at += (size_t)n;
        n = snprintf(text + at, text_size - at, i ? ",%zu" : "%zu", shape[i]);
    }
    if (n >= 0 && at + (size_t)n < text_size) {
        at += (size_t)n;
        snprintf(text + at, text_size - at, "]");
    }
}

enum att_status att_weights_add_file(struct att_weights *weights, const struct att_dir *dir, const char *name,
                                     struct att_err *err)
{
    size_t i = weights->n_shards;
    if (i == ATT_SHARDS_MAX)
        return att_err_limit(err, NULL, ATT_SHARDS_MAX, i + 1, "%s: one file more than %d", name, ATT_SHARDS_MAX);
    weights->shard_names[i] = att_mem_strdup(name);
    if (!weights->shard_names[i])
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    enum att_status status = att_file_open(dir, weights->shard_names[i], &weights->shards[i], err);
    if (status != ATT_OK) {
        att_mem_free(weights->shard_names[i]);
        weights->shard_names[i] = NULL;
        return status;
    }
    weights->n_shards++;
    return ATT_OK;
}

enum att_status att_weights_reserve(struct att_weights *weights, size_t n, struct att_err *err)
{
    struct att_tensor *grown =
        n <= TENSORS_MAX ? att_mem_realloc(weights->tensors, weights->n_tensors + n + 1, sizeof *grown) : NULL;
    if (!grown)
        return att_err_set(err, ATT_ENOMEM, "out of memory for %zu tensors", n);
    weights->tensors = grown;
    return ATT_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct att_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

enum att_status att_weights_sort(struct att_weights *weights, const char *file, struct att_err *err)
{
    if (weights->n_tensors > 0)
        qsort(weights->tensors, weights->n_tensors, sizeof *weights->tensors, by_name);
    for (size_t i = 1; i < weights->n_tensors; i++)
        if (strcmp(weights->tensors[i - 1].name, weights->tensors[i].name) == 0)
            return att_err_set(err, ATT_EFORMAT, "%s: duplicate tensor '%s'", file, weights->tensors[i].name);
    return ATT_OK;
}

void att_weights_close(struct att_weights *weights)
{
    for (size_t i = 0; i < weights->n_tensors; i++)
        att_mem_free(weights->tensors[i].name);
    att_mem_free(weights->tensors);
    for (size_t i = 0; i < weights->n_shards; i++) {
        att_file_close(&weights->shards[i]);
        att_mem_free(weights->shard_names[i]);
    }
    *weights = (struct att_weights){.n_shards = 0};
}

enum att_status att_weights_keep_files(struct att_weights *weights, struct att_weights *from, struct att_err *err)
{
    if (from->n_shards > ATT_SHARDS_MAX - weights->n_shards)
        return att_err_limit(err, NULL, ATT_SHARDS_MAX, weights->n_shards + from->n_shards, "%s: one file more than %d",
                             from->shard_names[0], ATT_SHARDS_MAX);
    for (size_t i = 0; i < from->n_shards; i++) {
        weights->shards[weights->n_shards] = from->shards[i];
        weights->shard_names[weights->n_shards++] = from->shard_names[i];
    }
    from->n_shards = 0;
    return ATT_OK;
}

struct att_tensor *att_weights_find(struct att_weights *weights, const char *name)
{
    size_t low = 0, high = weights->n_tensors;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(weights->tensors[middle].name, name);
        if (order == 0) {
            weights->tensors[middle].used = true;
            return &weights->tensors[middle];
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const char *att_weights_file(const struct att_weights *weights, const struct att_tensor *tensor)
{
    return weights->shard_names[tensor->shard];
}

static bool all_finite(const float *x, size_t count)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bad |= (uint32_t)((bits & 0x7f800000) == 0x7f800000);
    }
    return bad == 0;
}

/* Of each head, rows 0, 2, 4, … are its first half and rows 1, 3, 5, … its second. */
static enum att_status separate_halves(const struct att_tensor *tensor, float *data, struct att_err *err)
{
    size_t rows = tensor->shape[0], cols = tensor->count / rows, heads = tensor->interleaved_heads;
    size_t half = rows / heads / 2, bytes = cols * sizeof *data;
    float *head = att_mem_aligned(2 * half * cols, sizeof *head);
    if (!head)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    for (size_t h = 0; h < heads; h++) {
        float *to = data + h * 2 * half * cols;
        memcpy(head, to, 2 * half * bytes);
        for (size_t i = 0; i < half; i++) {
            memcpy(to + i * cols, head + 2 * i * cols, bytes);
            memcpy(to + (half + i) * cols, head + (2 * i + 1) * cols, bytes);
        }
    }
    att_mem_free(head);
    return ATT_OK;
}

static enum att_status read_blocks(const struct att_file *file, const struct att_tensor *tensor, float *out,
                                   struct att_err *err)
{
    const struct att_block_type *type = tensor->blocks;
    size_t n_blocks = tensor->count / type->values, most = READ_CHUNK / type->bytes;
    uint8_t *chunk = att_mem_aligned(READ_CHUNK, 1);
    enum att_status status = chunk ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory");
    for (size_t at = 0; status == ATT_OK && at < n_blocks;) {
        size_t n = n_blocks - at < most ? n_blocks - at : most;
        status = att_file_read(file, tensor->offset + at * type->bytes, chunk, n * type->bytes, err);
        if (status == ATT_OK)
            type->widen(chunk, n, out + at * type->values);
        at += n;
    }
    att_mem_free(chunk);
    return status;
}

static enum att_status refuse_values(const struct att_file *file, const struct att_tensor *tensor, struct att_err *err)
{
    return att_err_set(err, ATT_EFORMAT, "%s: tensor '%s' holds NaN or infinity, expected finite weights", file->name,
                       tensor->name);
}

enum att_status att_weights_read_packed(const struct att_weights *weights, const struct att_tensor *tensor,
                                        uint8_t *out, struct att_err *err)
{
    enum { CHUNK_VALUES = 1 << 14 };
    const struct att_file *file = &weights->shards[tensor->shard];
    const struct att_block_type *type = tensor->blocks;
    assert(type && !tensor->seeded);
    size_t n_blocks = tensor->count / type->values, most = CHUNK_VALUES / type->values;
    float *wide = att_mem_aligned(CHUNK_VALUES, sizeof *wide);
    enum att_status status = wide ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory");
    if (status == ATT_OK)
        status = att_file_read(file, tensor->offset, out, n_blocks * type->bytes, err);
    for (size_t at = 0; status == ATT_OK && at < n_blocks;) {
        size_t n = n_blocks - at < most ? n_blocks - at : most;
        type->widen(out + at * type->bytes, n, wide);
        if (!all_finite(wide, n * type->values))
            status = refuse_values(file, tensor, err);
        at += n;
    }
    att_mem_free(wide);
    return status;
}

enum att_status att_weights_read(const struct att_weights *weights, const struct att_tensor *tensor, float *out,
                                 struct att_err *err)
{
    const struct att_file *file = &weights->shards[tensor->shard];
    if (tensor->seeded) {
        att_seeded_fill(tensor, out);
        return ATT_OK;
    }
    if (!tensor->blocks)
        return att_err_set(err, ATT_EUNSUPPORTED, "%s: tensor '%s' has dtype %s, expected one of %s", file->name,
                           tensor->name, tensor->dtype_name, att_block_type_names());
    enum att_status status = read_blocks(file, tensor, out, err);
    if (status == ATT_OK && !all_finite(out, tensor->count))
        status = refuse_values(file, tensor, err);
    return status == ATT_OK && tensor->interleaved_heads > 0 ? separate_halves(tensor, out, err) : status;
}

enum att_status att_weights_digest(const struct att_weights *weights, char ret_hex[65], struct att_err *err)
{
    struct att_digest_state *state = NULL;
    char *chunk = att_mem_calloc(READ_CHUNK, 1);
    enum att_status status = chunk ? att_digest_begin(&state, err) : att_err_set(err, ATT_ENOMEM, "out of memory");
    for (size_t i = 0; status == ATT_OK && i < weights->n_shards; i++)
        for (uint64_t at = 0; status == ATT_OK && at < weights->shards[i].size;) {
            uint64_t left = weights->shards[i].size - at;
            size_t n = left < READ_CHUNK ? (size_t)left : READ_CHUNK;
            status = att_file_read(&weights->shards[i], at, chunk, n, err);
            if (status == ATT_OK)
                status = att_digest_update(state, chunk, n, err);
            at += n;
        }
    att_mem_free(chunk);
    if (status == ATT_OK)
        att_digest_end(state, ret_hex);
    else
        att_digest_end(state, NULL);
    return status;
}
