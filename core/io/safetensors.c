/*
 * Reading safetensors (https://github.com/huggingface/safetensors, format
 * section), see safetensors.h for the picture. The header is parsed and checked
 * as a whole first: a file either opens completely or not at all.
 */
#include "core/io/safetensors.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/digest.h"
#include "core/base/json.h"
#include "core/base/mem.h"

enum { HEADER_BYTES_MAX = 100 << 20, TENSORS_MAX = 1 << 20, READ_CHUNK = 1 << 20 };

static const struct {
    const char *name;
    enum att_tensor_dtype dtype;
    size_t bytes;
} dtypes[] = {
    {"F32", ATT_TENSOR_F32, 4},    {"F16", ATT_TENSOR_F16, 2},   {"BF16", ATT_TENSOR_BF16, 2},
    {"F64", ATT_TENSOR_OTHER, 8},  {"I64", ATT_TENSOR_OTHER, 8}, {"I32", ATT_TENSOR_OTHER, 4},
    {"I16", ATT_TENSOR_OTHER, 2},  {"I8", ATT_TENSOR_OTHER, 1},  {"U64", ATT_TENSOR_OTHER, 8},
    {"U32", ATT_TENSOR_OTHER, 4},  {"U16", ATT_TENSOR_OTHER, 2}, {"U8", ATT_TENSOR_OTHER, 1},
    {"BOOL", ATT_TENSOR_OTHER, 1},
};

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

/* dtype, shape and element count of one header entry. */
static enum att_status tensor_kind(const char *file, const struct att_json *entry, struct att_tensor *tensor,
                                   uint64_t *ret_bytes, struct att_err *err)
{
    const char *dtype = att_json_string(att_json_get(entry, "dtype"), NULL);
    size_t width = 0;
    for (size_t i = 0; dtype && i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtype, dtypes[i].name) == 0) {
            tensor->dtype = dtypes[i].dtype;
            tensor->dtype_name = dtypes[i].name;
            width = dtypes[i].bytes;
        }
    if (width == 0)
        return att_err_set(err, ATT_EFORMAT, "%s: tensor '%s' has dtype '%s', expected one of the format's", file,
                           tensor->name, dtype ? dtype : "(none)");
    const struct att_json *shape = att_json_get(entry, "shape");
    if (!att_json_is_array(shape) || att_json_count(shape) > ATT_TENSOR_RANK_MAX)
        return att_err_set(err, ATT_EFORMAT, "%s: tensor '%s' has no shape of at most %d dimensions", file,
                           tensor->name, ATT_TENSOR_RANK_MAX);
    tensor->rank = att_json_count(shape);
    size_t count = 1;
    for (size_t i = 0; i < tensor->rank; i++) {
        int64_t dim;
        if (!att_json_integer(att_json_at(shape, i), 0, INT64_C(1) << 53, &dim))
            return att_err_set(err, ATT_EFORMAT, "%s: tensor '%s' has a shape with a bad dimension at %zu", file,
                               tensor->name, i);
        tensor->shape[i] = (size_t)dim;
        if (!att_size_mul(count, (size_t)dim, &count))
            return att_err_set(err, ATT_EFORMAT, "%s: tensor '%s' has a shape whose size overflows", file,
                               tensor->name);
    }
    tensor->count = count;
    size_t bytes;
    if (!att_size_mul(count, width, &bytes))
        return att_err_set(err, ATT_EFORMAT, "%s: tensor '%s' has a shape whose size overflows", file, tensor->name);
    *ret_bytes = bytes;
    return ATT_OK;
}

static enum att_status tensor_parse(const char *file, const struct att_json *entry, uint64_t data_begin,
                                    uint64_t data_bytes, struct att_tensor *tensor, struct att_err *err)
{
    uint64_t bytes = 0;
    if (!att_json_is_object(entry))
        return att_err_set(err, ATT_EFORMAT, "%s: tensor '%s' is %s, expected an object", file, tensor->name,
                           att_json_type_name(entry));
    enum att_status status = tensor_kind(file, entry, tensor, &bytes, err);
    if (status != ATT_OK)
        return status;
    const struct att_json *offsets = att_json_get(entry, "data_offsets");
    int64_t begin, end;
    if (att_json_count(offsets) != 2 || !att_json_integer(att_json_at(offsets, 0), 0, INT64_C(1) << 53, &begin) ||
        !att_json_integer(att_json_at(offsets, 1), 0, INT64_C(1) << 53, &end) || begin > end)
        return att_err_set(err, ATT_EFORMAT, "%s: tensor '%s' has bad data_offsets, expected [begin, end]", file,
                           tensor->name);
    if ((uint64_t)end > data_bytes)
        return att_err_set(err, ATT_EFORMAT,
                           "%s: tensor '%s' ends at offset %lld, past the end of the data (%llu bytes; truncated?)",
                           file, tensor->name, (long long)end, (unsigned long long)data_bytes);
    if ((uint64_t)(end - begin) != bytes) {
        char shape[96];
        att_shape_text(tensor->rank, tensor->shape, shape, sizeof shape);
        return att_err_set(err, ATT_EFORMAT, "%s: tensor '%s' of shape %s needs %llu bytes, its data_offsets give %lld",
                           file, tensor->name, shape, (unsigned long long)bytes, (long long)(end - begin));
    }
    tensor->offset = data_begin + (uint64_t)begin;
    tensor->bytes = bytes;
    return ATT_OK;
}

static int by_offset(const void *a, const void *b)
{
    const struct att_tensor *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static int by_name(const void *a, const void *b)
{
    const struct att_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* The shard's tensors must tile its data: no hole, no overlap, nothing behind. */
static enum att_status tiles(const char *file, struct att_tensor *tensors, size_t count, uint64_t begin, uint64_t size,
                             struct att_err *err)
{
    qsort(tensors, count, sizeof *tensors, by_offset);
    uint64_t at = begin;
    for (size_t i = 0; i < count; i++) {
        if (tensors[i].offset != at)
            return att_err_set(err, ATT_EFORMAT, "%s: tensor '%s' %s, expected data without holes or overlaps", file,
                               tensors[i].name, tensors[i].offset < at ? "overlaps its neighbour" : "leaves a hole");
        at += tensors[i].bytes;
    }
    if (at != size)
        return att_err_set(err, ATT_EFORMAT, "%s: %llu trailing bytes behind the data of the last tensor", file,
                           (unsigned long long)(size - at));
    return ATT_OK;
}

static enum att_status header_read(const struct att_file *file, struct att_json **ret_header, uint64_t *ret_data,
                                   struct att_err *err)
{
    unsigned char prefix[8];
    if (file->size < sizeof prefix)
        return att_err_set(err, ATT_EFORMAT, "%s: size is %llu bytes, expected a header length of 8 bytes first",
                           file->name, (unsigned long long)file->size);
    enum att_status status = att_file_read(file, 0, prefix, sizeof prefix, err);
    if (status != ATT_OK)
        return status;
    uint64_t len = 0;
    for (int i = 7; i >= 0; i--)
        len = len << 8 | prefix[i];
    if (len > file->size - sizeof prefix || len > HEADER_BYTES_MAX)
        return att_err_set(err, ATT_EFORMAT, "%s: header length %llu does not fit a file of %llu bytes", file->name,
                           (unsigned long long)len, (unsigned long long)file->size);
    char *text = att_mem_calloc((size_t)len + 1, 1);
    if (!text)
        return att_err_set(err, ATT_ENOMEM, "out of memory for the header of %s", file->name);
    status = att_file_read(file, sizeof prefix, text, (size_t)len, err);
    struct att_json *header = NULL;
    if (status == ATT_OK) {
        status = att_json_parse(text, (size_t)len, 0, 8, &header, err);
        if (status != ATT_OK && status != ATT_ENOMEM) {
            /* Which name stands twice is what the user needs; the parser only knows the place. */
            att_err_prefix(err, "%s: header", file->name);
            status = err ? (err->status = ATT_EFORMAT) : ATT_EFORMAT;
        }
    }
    att_mem_free(text);
    if (status != ATT_OK)
        return status;
    if (!att_json_is_object(header)) {
        status = att_err_set(err, ATT_EFORMAT, "%s: header is %s, expected a JSON object", file->name,
                             att_json_type_name(header));
        att_json_destroy(header);
        return status;
    }
    *ret_header = header;
    *ret_data = sizeof prefix + len;
    return ATT_OK;
}

static enum att_status shard_add(struct att_weights *weights, size_t shard, struct att_err *err)
{
    const struct att_file *file = &weights->shards[shard];
    struct att_json *header = NULL;
    uint64_t data_begin = 0;
    enum att_status status = header_read(file, &header, &data_begin, err);
    if (status != ATT_OK)
        return status;
    size_t first = weights->n_tensors, n = att_json_count(header);
    struct att_tensor *grown =
        n <= TENSORS_MAX ? att_mem_realloc(weights->tensors, first + n + 1, sizeof *grown) : NULL;
    if (!grown) {
        status = att_err_set(err, ATT_ENOMEM, "%s: out of memory for %zu tensors", file->name, n);
        goto done;
    }
    weights->tensors = grown;
    struct att_json_iter iter;
    const char *key;
    const struct att_json *entry;
    att_json_iter_init(&iter, header);
    while (att_json_iter_next(&iter, &key, &entry)) {
        if (strcmp(key, "__metadata__") == 0)
            continue;
        struct att_tensor *tensor = &weights->tensors[weights->n_tensors];
        *tensor = (struct att_tensor){.shard = shard, .name = att_mem_strdup(key)};
        if (!tensor->name) {
            status = att_err_set(err, ATT_ENOMEM, "out of memory");
            goto done;
        }
        weights->n_tensors++;
        status = tensor_parse(file->name, entry, data_begin, file->size - data_begin, tensor, err);
        if (status != ATT_OK)
            goto done;
    }
    status = tiles(file->name, weights->tensors + first, weights->n_tensors - first, data_begin, file->size, err);
done:
    att_json_destroy(header);
    return status;
}

static bool shard_name_ok(const char *name)
{
    size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return len > 0 && name[len] == '\0' && name[0] != '.';
}

static enum att_status shard_open(struct att_weights *weights, const struct att_dir *dir, const char *name,
                                  struct att_err *err)
{
    size_t i = weights->n_shards;
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
    return shard_add(weights, i, err);
}

static enum att_status shards_open(struct att_weights *weights, const struct att_dir *dir, const char *index_name,
                                   struct att_err *err)
{
    char *text = NULL;
    size_t len = 0;
    struct att_json *index = NULL;
    enum att_status status = att_dir_read(dir, index_name, HEADER_BYTES_MAX, &text, &len, err);
    if (status != ATT_OK)
        return status;
    status = att_json_parse(text, len, 0, 8, &index, err);
    att_mem_free(text);
    if (status != ATT_OK)
        return att_err_prefix(err, "%s", index_name);
    const struct att_json *map = att_json_get(index, "weight_map"), *value;
    if (!att_json_is_object(map) || att_json_count(map) == 0)
        status = att_err_set(err, ATT_EFORMAT, "%s: weight_map: missing, expected an object of tensor names to files",
                             index_name);
    struct att_json_iter iter;
    const char *tensor;
    att_json_iter_init(&iter, map);
    while (status == ATT_OK && att_json_iter_next(&iter, &tensor, &value)) {
        const char *name = att_json_string(value, NULL);
        size_t i = 0;
        if (!name || !shard_name_ok(name)) {
            status = att_err_set(err, ATT_EFORMAT, "%s: weight_map: '%s' names no plain file name", index_name, tensor);
            break;
        }
        while (i < weights->n_shards && strcmp(weights->shard_names[i], name) != 0)
            i++;
        if (i < weights->n_shards)
            continue;
        if (i == ATT_SHARDS_MAX)
            status =
                att_err_limit(err, NULL, ATT_SHARDS_MAX, i + 1, "%s: more than %d shards", index_name, ATT_SHARDS_MAX);
        else
            status = shard_open(weights, dir, name, err);
    }
    att_json_destroy(index);
    return status;
}

enum att_status att_weights_open(const struct att_dir *dir, const char *single, struct att_weights *ret_weights,
                                 struct att_err *err)
{
    assert(dir && single);
    struct att_weights weights = {.n_shards = 0};
    char index_name[96];
    snprintf(index_name, sizeof index_name, "%s.index.json", single);
    enum att_status status = !att_dir_has(dir, single) && att_dir_has(dir, index_name)
                                 ? shards_open(&weights, dir, index_name, err)
                                 : shard_open(&weights, dir, single, err);
    if (status != ATT_OK)
        goto fail;
    qsort(weights.tensors, weights.n_tensors, sizeof *weights.tensors, by_name);
    for (size_t i = 1; i < weights.n_tensors; i++)
        if (strcmp(weights.tensors[i - 1].name, weights.tensors[i].name) == 0) {
            status = att_err_set(err, ATT_EFORMAT, "%s: duplicate tensor '%s'", single, weights.tensors[i].name);
            goto fail;
        }
    *ret_weights = weights;
    return ATT_OK;
fail:
    att_weights_close(&weights);
    return status;
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

static float widen_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float from_bf16(uint16_t half)
{
    return widen_bits((uint32_t)half << 16);
}

/* IEEE 754 binary16; subnormals are scaled by 2^-24, which is exact. */
static float from_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 31)
        return widen_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent != 0)
        return widen_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float value = (float)fraction * 0x1p-24f;
    return sign ? -value : value;
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

enum att_status att_weights_read(const struct att_weights *weights, const struct att_tensor *tensor, float *out,
                                 struct att_err *err)
{
    const struct att_file *file = &weights->shards[tensor->shard];
    if (tensor->dtype == ATT_TENSOR_OTHER)
        return att_err_set(err, ATT_EUNSUPPORTED, "%s: tensor '%s' has dtype %s, expected F32, F16 or BF16", file->name,
                           tensor->name, tensor->dtype_name);
    enum att_status status = ATT_OK;
    if (tensor->dtype == ATT_TENSOR_F32) {
        status = att_file_read(file, tensor->offset, out, tensor->count * sizeof(float), err);
    } else {
        uint16_t *chunk = att_mem_aligned(READ_CHUNK, sizeof *chunk);
        if (!chunk)
            return att_err_set(err, ATT_ENOMEM, "out of memory");
        for (size_t at = 0; status == ATT_OK && at < tensor->count;) {
            size_t n = tensor->count - at < READ_CHUNK ? tensor->count - at : READ_CHUNK;
            status = att_file_read(file, tensor->offset + at * sizeof *chunk, chunk, n * sizeof *chunk, err);
            if (status == ATT_OK)
                for (size_t i = 0; i < n; i++)
                    out[at + i] = tensor->dtype == ATT_TENSOR_F16 ? from_f16(chunk[i]) : from_bf16(chunk[i]);
            at += n;
        }
        att_mem_free(chunk);
    }
    if (status == ATT_OK && !all_finite(out, tensor->count))
        status = att_err_set(err, ATT_EFORMAT, "%s: tensor '%s' holds NaN or infinity, expected finite weights",
                             file->name, tensor->name);
    return status;
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
