/* Parsing: a buffered pass over the head of the file, then checks of the whole. */
#include "core/gguf/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    VALUES_MAX = 1 << 14,
    TENSORS_MAX = 1 << 16,
    KEY_MAX = 512,
    BUFFER = 1 << 16,
    ALIGNMENT_MAX = 1 << 20,
};
static const size_t memory_max = (size_t)1 << 30;

struct reader {
    struct att_gguf *gguf;
    const struct att_file *file;
    uint64_t at;           /* of the next byte */
    uint64_t begin;        /* of the buffer */
    size_t len;            /* bytes in the buffer */
    unsigned char *buffer; /* [BUFFER] */
    struct att_err *err;
};

static enum att_status no_memory(struct reader *reader)
{
    return att_err_set(reader->err, ATT_ENOMEM, "%s: out of memory for its metadata", reader->gguf->file);
}

static uint64_t left(const struct reader *reader)
{
    return reader->file->size - reader->at;
}

static enum att_status take(struct reader *reader, void *to, size_t n)
{
    if (n > left(reader))
        return att_err_set(reader->err, ATT_EFORMAT, "%s: ends at byte %llu, within its header", reader->gguf->file,
                           (unsigned long long)reader->file->size);
    unsigned char *out = to;
    while (n > 0) {
        if (reader->at < reader->begin || reader->at >= reader->begin + reader->len) {
            size_t len = left(reader) < BUFFER ? (size_t)left(reader) : BUFFER;
            enum att_status status = att_file_read(reader->file, reader->at, reader->buffer, len, reader->err);
            if (status != ATT_OK)
                return status;
            reader->begin = reader->at;
            reader->len = len;
        }
        size_t skip = (size_t)(reader->at - reader->begin), part = reader->len - skip < n ? reader->len - skip : n;
        memcpy(out, reader->buffer + skip, part);
        reader->at += part;
        out += part;
        n -= part;
    }
    return ATT_OK;
}

static uint64_t little_endian(const unsigned char *bytes, size_t n)
{
    uint64_t value = 0;
    while (n-- > 0)
        value = value << 8 | bytes[n];
    return value;
}

static enum att_status take_number(struct reader *reader, size_t bytes, uint64_t *ret)
{
    unsigned char raw[8];
    enum att_status status = take(reader, raw, bytes);
    if (status == ATT_OK)
        *ret = little_endian(raw, bytes);
    return status;
}

static enum att_status take_text(struct reader *reader, size_t max, struct att_gguf_text *ret)
{
    uint64_t len = 0;
    enum att_status status = take_number(reader, 8, &len);
    if (status != ATT_OK)
        return status;
    if (len > left(reader) || len > max)
        return att_err_set(reader->err, ATT_EFORMAT, "%s: a string of %llu bytes at byte %llu, expected at most %llu",
                           reader->gguf->file, (unsigned long long)len, (unsigned long long)(reader->at - 8),
                           (unsigned long long)(left(reader) < max ? left(reader) : max));
    char *bytes = att_arena_alloc(&reader->gguf->arena, (size_t)len + 1, 1);
    if (!bytes)
        return no_memory(reader);
    *ret = (struct att_gguf_text){bytes, (size_t)len};
    return take(reader, bytes, (size_t)len);
}

static size_t width_of(enum att_gguf_type type)
{
    static const size_t widths[ATT_GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return widths[type];
}

static double number_of(enum att_gguf_type type, const unsigned char *bytes)
{
    uint64_t bits = little_endian(bytes, width_of(type));
    float single;
    double number;
    uint32_t low = (uint32_t)bits;
    switch (type) {
    case ATT_GGUF_I8:
        return (double)(int8_t)bits;
    case ATT_GGUF_I16:
        return (double)(int16_t)bits;
    case ATT_GGUF_I32:
        return (double)(int32_t)bits;
    case ATT_GGUF_I64:
        return (double)(int64_t)bits;
    case ATT_GGUF_F32:
        memcpy(&single, &low, sizeof single);
        return (double)single;
    case ATT_GGUF_F64:
        memcpy(&number, &bits, sizeof number);
        return number;
    case ATT_GGUF_BOOL:
        return bits != 0;
    default:
        return (double)bits;
    }
}

double att_gguf_number(const struct att_gguf_value *value, size_t i)
{
    return number_of(value->item, value->numbers + i * width_of(value->item));
}

static enum att_status take_array(struct reader *reader, struct att_gguf_value *value)
{
    uint64_t type = 0, count = 0;
    enum att_status status = take_number(reader, 4, &type);
    if (status == ATT_OK)
        status = take_number(reader, 8, &count);
    if (status != ATT_OK)
        return status;
    if (type >= ATT_GGUF_TYPES || type == ATT_GGUF_ARRAY)
        return att_err_set(reader->err, ATT_EUNSUPPORTED, "%s: %s: an array of type %llu, expected numbers or strings",
                           reader->gguf->file, value->key, (unsigned long long)type);
    value->item = (enum att_gguf_type)type;
    size_t least = value->item == ATT_GGUF_STRING ? 8 : width_of(value->item);
    if (count > left(reader) / least)
        return att_err_set(reader->err, ATT_EFORMAT, "%s: %s: %llu items, expected at most the %llu bytes left",
                           reader->gguf->file, value->key, (unsigned long long)count, (unsigned long long)left(reader));
    value->count = (size_t)count;
    if (value->item != ATT_GGUF_STRING) {
        unsigned char *numbers = att_arena_alloc(&reader->gguf->arena, value->count + 1, least);
        if (!numbers)
            return no_memory(reader);
        value->numbers = numbers;
        return take(reader, numbers, value->count * least);
    }
    struct att_gguf_text *texts = att_arena_alloc(&reader->gguf->arena, value->count + 1, sizeof *texts);
    if (!texts)
        return no_memory(reader);
    for (size_t i = 0; status == ATT_OK && i < value->count; i++)
        status = take_text(reader, SIZE_MAX, &texts[i]);
    value->texts = texts;
    return status;
}

static enum att_status take_value(struct reader *reader, struct att_gguf_value *value)
{
    struct att_gguf_text key = {NULL, 0};
    uint64_t type = 0;
    unsigned char raw[8];
    enum att_status status = take_text(reader, KEY_MAX, &key);
    if (status == ATT_OK)
        status = take_number(reader, 4, &type);
    if (status != ATT_OK)
        return status;
    value->key = key.bytes;
    if (type >= ATT_GGUF_TYPES)
        return att_err_set(reader->err, ATT_EFORMAT, "%s: %s: is of type %llu, expected 0 to %d", reader->gguf->file,
                           value->key, (unsigned long long)type, ATT_GGUF_TYPES - 1);
    value->type = (enum att_gguf_type)type;
    if (value->type == ATT_GGUF_STRING)
        return take_text(reader, SIZE_MAX, &value->text);
    if (value->type == ATT_GGUF_ARRAY)
        return take_array(reader, value);
    status = take(reader, raw, width_of(value->type));
    if (status == ATT_OK)
        value->number = number_of(value->type, raw);
    return status;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct att_gguf_value *)a)->key, ((const struct att_gguf_value *)b)->key);
}

static enum att_status take_values(struct reader *reader, uint64_t count)
{
    struct att_gguf *gguf = reader->gguf;
    if (count > VALUES_MAX || count > left(reader) / 13)
        return att_err_set(reader->err, ATT_EFORMAT, "%s: %llu metadata values, expected at most %d in %llu bytes",
                           gguf->file, (unsigned long long)count, VALUES_MAX, (unsigned long long)reader->file->size);
    gguf->values = att_arena_alloc(&gguf->arena, (size_t)count + 1, sizeof *gguf->values);
    if (!gguf->values)
        return no_memory(reader);
    for (size_t i = 0; i < count; i++) {
        enum att_status status = take_value(reader, &gguf->values[i]);
        if (status != ATT_OK)
            return status;
        gguf->n_values++;
    }
    qsort(gguf->values, gguf->n_values, sizeof *gguf->values, by_key);
    for (size_t i = 1; i < gguf->n_values; i++)
        if (strcmp(gguf->values[i - 1].key, gguf->values[i].key) == 0)
            return att_err_set(reader->err, ATT_EFORMAT, "%s: %s: stands there twice", gguf->file, gguf->values[i].key);
    return ATT_OK;
}

/* ---- tensors ---- */

static enum att_status take_shape(struct reader *reader, struct att_gguf_tensor *tensor)
{
    const char *file = reader->gguf->file;
    uint64_t rank = 0, dims[4] = {0}, type = 0;
    enum att_status status = take_number(reader, 4, &rank);
    if (status == ATT_OK && (rank < 1 || rank > 4))
        return att_err_set(reader->err, ATT_EFORMAT, "%s: tensor '%s' has %llu dimensions, expected 1 to 4", file,
                           tensor->name, (unsigned long long)rank);
    for (size_t i = 0; status == ATT_OK && i < rank; i++)
        status = take_number(reader, 8, &dims[i]);
    if (status == ATT_OK)
        status = take_number(reader, 4, &type);
    if (status == ATT_OK)
        status = take_number(reader, 8, &tensor->offset);
    if (status != ATT_OK)
        return status;
    tensor->type = att_block_type_number((uint32_t)type);
    if (!tensor->type)
        return att_err_set(reader->err, ATT_EUNSUPPORTED, "%s: tensor '%s' has type %llu, expected one of %s", file,
                           tensor->name, (unsigned long long)type, att_block_type_names());
    tensor->rank = (size_t)rank;
    tensor->count = 1;
    for (size_t i = 0; i < rank; i++) {
        if (dims[i] == 0 || dims[i] > INT64_MAX || !att_size_mul(tensor->count, (size_t)dims[i], &tensor->count))
            return att_err_set(reader->err, ATT_EFORMAT, "%s: tensor '%s' has a shape whose size overflows or is 0",
                               file, tensor->name);
        tensor->shape[rank - 1 - i] = (size_t)dims[i];
    }
    if (dims[0] % tensor->type->values != 0)
        return att_err_set(reader->err, ATT_EFORMAT,
                           "%s: tensor '%s' has rows of %llu values, expected a multiple of %zu for type %s", file,
                           tensor->name, (unsigned long long)dims[0], tensor->type->values, tensor->type->name);
    size_t bytes = 0;
    if (!att_size_mul(tensor->count / tensor->type->values, tensor->type->bytes, &bytes))
        return att_err_set(reader->err, ATT_EFORMAT, "%s: tensor '%s' has a shape whose size overflows", file,
                           tensor->name);
    tensor->bytes = bytes;
    return ATT_OK;
}

static int by_offset(const void *a, const void *b)
{
    const struct att_gguf_tensor *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Offsets become those of the file; each tensor lies aligned in its data, behind the one before. */
static enum att_status place_tensors(struct reader *reader, uint64_t alignment)
{
    struct att_gguf *gguf = reader->gguf;
    uint64_t data = (reader->at + alignment - 1) / alignment * alignment, size = reader->file->size, end = 0;
    uint64_t room = data < size ? size - data : 0;
    qsort(gguf->tensors, gguf->n_tensors, sizeof *gguf->tensors, by_offset);
    for (size_t i = 0; i < gguf->n_tensors; i++) {
        struct att_gguf_tensor *tensor = &gguf->tensors[i];
        if (tensor->offset > room || tensor->bytes > room - tensor->offset)
            return att_err_set(reader->err, ATT_EFORMAT,
                               "%s: tensor '%s' ends past the end of the data (%llu bytes; truncated?)", gguf->file,
                               tensor->name, (unsigned long long)room);
        if (tensor->offset % alignment != 0 || tensor->offset < end)
            return att_err_set(reader->err, ATT_EFORMAT,
                               "%s: tensor '%s' at offset %llu, expected a multiple of %llu behind the tensor before",
                               gguf->file, tensor->name, (unsigned long long)tensor->offset,
                               (unsigned long long)alignment);
        end = tensor->offset + tensor->bytes;
        tensor->offset += data;
    }
    return ATT_OK;
}

static enum att_status take_tensors(struct reader *reader, uint64_t count)
{
    struct att_gguf *gguf = reader->gguf;
    size_t alignment = 32;
    if (count > TENSORS_MAX || count > left(reader) / 32)
        return att_err_set(reader->err, ATT_EFORMAT, "%s: %llu tensors, expected at most %d in %llu bytes", gguf->file,
                           (unsigned long long)count, TENSORS_MAX, (unsigned long long)reader->file->size);
    enum att_status status = att_gguf_size(gguf, "general.alignment", 1, ALIGNMENT_MAX, &alignment, reader->err);
    if (status != ATT_OK)
        return status;
    if ((alignment & (alignment - 1)) != 0)
        return att_err_set(reader->err, ATT_EFORMAT, "%s: general.alignment: is %zu, expected a power of two",
                           gguf->file, alignment);
    gguf->tensors = att_arena_alloc(&gguf->arena, (size_t)count + 1, sizeof *gguf->tensors);
    if (!gguf->tensors)
        return no_memory(reader);
    for (; status == ATT_OK && gguf->n_tensors < count; gguf->n_tensors++) {
        struct att_gguf_text name = {NULL, 0};
        status = take_text(reader, KEY_MAX, &name);
        gguf->tensors[gguf->n_tensors].name = name.bytes;
        if (status == ATT_OK)
            status = take_shape(reader, &gguf->tensors[gguf->n_tensors]);
    }
    return status == ATT_OK ? place_tensors(reader, alignment) : status;
}

/* ---- the file ---- */

static enum att_status parse(struct reader *reader)
{
    unsigned char magic[4];
    uint64_t version = 0, tensors = 0, values = 0;
    const char *file = reader->gguf->file;
    enum att_status status = take(reader, magic, sizeof magic);
    if (status == ATT_OK && memcmp(magic, "GGUF", 4) != 0)
        return att_err_set(reader->err, ATT_EFORMAT, "%s: does not begin with 'GGUF'", file);
    if (status == ATT_OK)
        status = take_number(reader, 4, &version);
    if (status == ATT_OK && version != 2 && version != 3)
        return att_err_set(reader->err, ATT_EUNSUPPORTED, "%s: version %llu%s, expected 2 or 3, little-endian", file,
                           (unsigned long long)version, (version & 0xffff) == 0 ? " (big-endian)" : "");
    if (status == ATT_OK)
        status = take_number(reader, 8, &tensors);
    if (status == ATT_OK)
        status = take_number(reader, 8, &values);
    if (status == ATT_OK)
        status = take_values(reader, values);
    if (status == ATT_OK)
        status = take_tensors(reader, tensors);
    if (status != ATT_OK)
        return status;
    reader->gguf->arch = att_gguf_string(reader->gguf, "general.architecture");
    if (!reader->gguf->arch)
        return att_err_set(reader->err, ATT_EFORMAT, "%s: general.architecture: is missing", file);
    return ATT_OK;
}

bool att_gguf_in(const struct att_dir *dir, char name[ATT_FILE_NAME_MAX])
{
    return !att_dir_has(dir, "config.json") && att_dir_find(dir, ".gguf", name);
}

enum att_status att_gguf_open(const struct att_dir *dir, const char *file, struct att_gguf **ret_gguf,
                              struct att_err *err)
{
    struct att_file opened;
    enum att_status status = att_file_open(dir, file, &opened, err);
    if (status != ATT_OK)
        return status;
    struct att_gguf *gguf = att_mem_calloc(1, sizeof *gguf);
    unsigned char *buffer = gguf ? att_mem_calloc(BUFFER, 1) : NULL;
    struct reader reader = {.gguf = gguf, .file = &opened, .buffer = buffer, .err = err};
    if (gguf)
        att_arena_init(&gguf->arena, memory_max);
    if (!buffer || !(gguf->file = att_arena_copy(&gguf->arena, file, strlen(file))))
        status = att_err_set(err, ATT_ENOMEM, "out of memory for %s", file);
    else
        status = parse(&reader);
    att_mem_free(buffer);
    att_file_close(&opened);
    if (status == ATT_OK)
        *ret_gguf = gguf;
    else
        att_gguf_close(gguf);
    return status;
}

void att_gguf_close(struct att_gguf *gguf)
{
    if (!gguf)
        return;
    att_arena_finish(&gguf->arena);
    att_mem_free(gguf);
}

/* ---- looking up ---- */

const struct att_gguf_value *att_gguf_find(const struct att_gguf *gguf, const char *key)
{
    char whole[256];
    if (*key == '.') {
        snprintf(whole, sizeof whole, "%.100s%.100s", gguf->arch ? gguf->arch : "", key);
        key = whole;
    }
    const struct att_gguf_value wanted = {.key = key};
    return gguf->n_values > 0 ? bsearch(&wanted, gguf->values, gguf->n_values, sizeof wanted, by_key) : NULL;
}

const struct att_gguf_tensor *att_gguf_tensor(const struct att_gguf *gguf, const char *name)
{
    for (size_t i = 0; i < gguf->n_tensors; i++)
        if (strcmp(gguf->tensors[i].name, name) == 0)
            return &gguf->tensors[i];
    return NULL;
}

enum att_status att_gguf_size(const struct att_gguf *gguf, const char *key, size_t min, size_t max, size_t *ret,
                              struct att_err *err)
{
    const struct att_gguf_value *value = att_gguf_find(gguf, key);
    if (!value)
        return ATT_OK;
    if (value->type == ATT_GGUF_STRING || value->type == ATT_GGUF_ARRAY || value->type == ATT_GGUF_BOOL ||
        value->number != floor(value->number) || value->number < (double)min || value->number > (double)max) {
        char number[32];
        snprintf(number, sizeof number, "%.9g", value->number);
        return att_err_set(err, ATT_EFORMAT, "%s: %s: is %s, expected an integer from %zu to %zu", gguf->file,
                           value->key,
                           value->type == ATT_GGUF_ARRAY    ? "an array"
                           : value->type == ATT_GGUF_STRING ? "a string"
                           : value->type == ATT_GGUF_BOOL   ? "a boolean"
                                                            : number,
                           min, max);
    }
    *ret = (size_t)value->number;
    return ATT_OK;
}

const char *att_gguf_string(const struct att_gguf *gguf, const char *key)
{
    const struct att_gguf_value *value = att_gguf_find(gguf, key);
    return value && value->type == ATT_GGUF_STRING ? value->text.bytes : NULL;
}

bool att_gguf_bool(const struct att_gguf *gguf, const char *key, bool otherwise)
{
    const struct att_gguf_value *value = att_gguf_find(gguf, key);
    return value && value->type == ATT_GGUF_BOOL ? value->number != 0 : otherwise;
}
