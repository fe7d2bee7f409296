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

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/io/json_file.h"

enum { HEADER_BYTES_MAX = 100 << 20 };

/* Beside those of blocks.h, which the engine reads: they may lie in a file and not be asked for. */
static const struct {
    const char *name;
    size_t bytes;
} others[] = {
    {"F64", 8}, {"I64", 8}, {"I32", 4}, {"I16", 2}, {"I8", 1},
    {"U64", 8}, {"U32", 4}, {"U16", 2}, {"U8", 1},  {"BOOL", 1},
};

/* dtype, shape and element count of one header entry. */
static enum att_status tensor_kind(const char *file, const struct att_json *entry, struct att_tensor *tensor,
                                   uint64_t *ret_bytes, struct att_err *err)
{
    const char *dtype = att_json_string(att_json_get(entry, "dtype"), NULL);
    size_t width = 0;
    const struct att_block_type *type = dtype ? att_block_type_find(dtype) : NULL;
    if (type && type->values == 1) {
        tensor->blocks = type;
        tensor->dtype_name = type->name;
        width = type->bytes;
    }
    for (size_t i = 0; dtype && i < sizeof others / sizeof *others; i++)
        if (strcmp(dtype, others[i].name) == 0) {
            tensor->dtype_name = others[i].name;
            width = others[i].bytes;
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

static enum att_status header_check(const char *file, const struct att_json *header, struct att_err *err)
{
    if (!att_json_is_object(header))
        return att_err_set(err, ATT_EFORMAT, "%s: header is %s, expected a JSON object", file,
                           att_json_type_name(header));
    const struct att_json *metadata = att_json_get(header, "__metadata__"), *value;
    if (metadata && !att_json_is_object(metadata))
        return att_err_set(err, ATT_EFORMAT, "%s: __metadata__: is %s, expected an object of strings", file,
                           att_json_type_name(metadata));
    struct att_json_iter iter;
    const char *key;
    att_json_iter_init(&iter, metadata);
    while (att_json_iter_next(&iter, &key, &value))
        if (!att_json_is_string(value))
            return att_err_set(err, ATT_EFORMAT, "%s: __metadata__: '%.60s' is %s, expected a string", file, key,
                               att_json_type_name(value));
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
    if (status == ATT_OK && text[0] && strchr(" \t\r\n", text[0]))
        status = att_err_set(err, ATT_EFORMAT, "%s: header begins with a blank, expected '{'", file->name);
    if (status == ATT_OK) {
        status = att_json_parse(text, (size_t)len, ATT_JSON_NAME_KEYS, 8, &header, err);
        if (status != ATT_OK && status != ATT_ENOMEM) {
            /* Which name stands twice is what the user needs; the parser only knows the place. */
            att_err_prefix(err, "%s: header", file->name);
            status = err ? (err->status = ATT_EFORMAT) : ATT_EFORMAT;
        }
    }
    att_mem_free(text);
    if (status != ATT_OK)
        return status;
    status = header_check(file->name, header, err);
    if (status != ATT_OK) {
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
    status = att_weights_reserve(weights, n, err);
    if (status != ATT_OK)
        goto done;
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
    return len > 0 && len < ATT_FILE_NAME_MAX && name[len] == '\0' && name[0] != '.';
}

static enum att_status shard_open(struct att_weights *weights, const struct att_dir *dir, const char *name,
                                  struct att_err *err)
{
    enum att_status status = att_weights_add_file(weights, dir, name, err);
    return status == ATT_OK ? shard_add(weights, weights->n_shards - 1, err) : status;
}

/* Every tensor of the index lies in the shard that it names. */
static enum att_status index_check(struct att_weights *weights, const char *index_name, const struct att_json *map,
                                   struct att_err *err)
{
    struct att_json_iter iter;
    const char *name;
    const struct att_json *value;
    att_json_iter_init(&iter, map);
    while (att_json_iter_next(&iter, &name, &value)) {
        struct att_tensor *tensor = att_weights_find(weights, name);
        const char *shard = att_json_string(value, NULL);
        if (!tensor || strcmp(att_weights_file(weights, tensor), shard) != 0)
            return att_err_set(err, ATT_EFORMAT, "%s: weight_map: tensor '%.200s' is not in %.100s", index_name, name,
                               shard);
        tensor->used = false;
    }
    return ATT_OK;
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
    status = att_json_parse(text, len, ATT_JSON_NAME_KEYS, 8, &index, err);
    att_mem_free(text);
    if (status != ATT_OK)
        return att_err_file(err, status, index_name);
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
            status = att_err_set(err, ATT_EFORMAT, "%s: weight_map: '%.200s' names no plain file", index_name, tensor);
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
    if (status == ATT_OK)
        status = att_weights_sort(weights, index_name, err);
    if (status == ATT_OK)
        status = index_check(weights, index_name, map, err);
    att_json_destroy(index);
    return status;
}

enum att_status att_safetensors_open(const struct att_dir *dir, const char *single, struct att_weights *ret_weights,
                                     struct att_err *err)
{
    assert(dir && single);
    struct att_weights weights = {.n_shards = 0};
    char index_name[96];
    snprintf(index_name, sizeof index_name, "%s.index.json", single);
    enum att_status status = !att_dir_has(dir, single) && att_dir_has(dir, index_name)
                                 ? shards_open(&weights, dir, index_name, err)
                                 : shard_open(&weights, dir, single, err);
    if (status == ATT_OK)
        status = att_weights_sort(&weights, single, err);
    if (status == ATT_OK)
        *ret_weights = weights;
    else
        att_weights_close(&weights);
    return status;
}
