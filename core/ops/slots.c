/* Filling weight slots from a source; see slots.h for the table's meaning. */
#include "core/ops/slots.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"

enum { NAME_MAX_BYTES = 192 };

/* The tensor's name: '#' becomes the layer, '*' the given word. */
static void expand(const char *pattern, size_t layer, const char *word, char name[NAME_MAX_BYTES])
{
    size_t at = 0;
    for (const char *p = pattern; *p; p++) {
        int n;
        if (*p == '#')
            n = snprintf(name + at, NAME_MAX_BYTES - at, "%zu", layer);
        else if (*p == '*')
            n = snprintf(name + at, NAME_MAX_BYTES - at, "%s", word);
        else
            n = snprintf(name + at, NAME_MAX_BYTES - at, "%c", *p);
        assert(n >= 0 && at + (size_t)n < NAME_MAX_BYTES);
        at += (size_t)n;
    }
}

static size_t pattern_count(const struct att_slot *slot)
{
    size_t count = 0;
    while (count < 3 && slot->patterns[count])
        count++;
    return count;
}

static void *member(void *target, size_t offset)
{
    return (char *)target + offset;
}

static enum att_status read_vector(const struct att_source *source, const char *name, size_t rows, float **ret_vector,
                                   struct att_err *err)
{
    float *vector = att_mem_aligned(rows, sizeof *vector);
    if (!vector)
        return att_err_set(err, ATT_ENOMEM, "out of memory for '%s'", name);
    enum att_status status = source->read(source->context, name, rows, 0, vector, err);
    if (status != ATT_OK)
        att_mem_free(vector);
    else
        *ret_vector = vector;
    return status;
}

static enum att_status load_linear(const struct att_slot *slot, struct att_linear *linear, size_t layer,
                                   const size_t *dims, const struct att_source *source, struct att_err *err)
{
    size_t count = pattern_count(slot), rows = dims[slot->rows], cols = dims[slot->cols];
    size_t tensor_rows = slot->parts ? rows * slot->parts : rows;
    size_t skip = slot->parts ? rows * slot->part : 0, take = slot->parts ? rows * slot->span : rows * count;
    size_t total = tensor_rows * count, floats;
    enum att_status status = ATT_ENOMEM;
    float *weight = att_size_mul(total, cols, &floats) ? att_mem_aligned(floats, sizeof *weight) : NULL;
    float *bias = att_mem_aligned(total, sizeof *bias);
    char name[NAME_MAX_BYTES];
    bool has_bias = false;
    if (!weight || !bias) {
        att_err_set(err, ATT_ENOMEM, "out of memory for a [%zu,%zu] weight", total, cols);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        expand(slot->patterns[i], layer, "weight", name);
        status = source->read(source->context, name, tensor_rows, cols, weight + i * tensor_rows * cols, err);
        if (status != ATT_OK)
            goto done;
        expand(slot->patterns[i], layer, "bias", name);
        if (i == 0)
            has_bias = source->has(source->context, name);
        if (!has_bias)
            continue;
        status = source->read(source->context, name, tensor_rows, 0, bias + i * tensor_rows, err);
        if (status != ATT_OK)
            goto done;
    }
    status = att_linear_init(linear, take, cols, weight + skip * cols, has_bias ? bias + skip : NULL, err);
done:
    att_mem_free(weight);
    att_mem_free(bias);
    return status;
}

static enum att_status load_norm(const struct att_slot *slot, struct att_norm *norm, size_t layer, const size_t *dims,
                                 const struct att_source *source, struct att_err *err)
{
    char name[NAME_MAX_BYTES];
    expand(slot->patterns[0], layer, "weight", name);
    enum att_status status = read_vector(source, name, dims[slot->rows], &norm->weight, err);
    if (status != ATT_OK)
        return status;
    expand(slot->patterns[0], layer, "bias", name);
    return read_vector(source, name, dims[slot->rows], &norm->bias, err);
}

enum att_status att_slots_load(const struct att_slot *slots, size_t n_slots, void *target, size_t layer,
                               const size_t *dims, const struct att_source *source, struct att_err *err)
{
    assert((slots || n_slots == 0) && target && source);
    for (size_t i = 0; i < n_slots; i++) {
        const struct att_slot *slot = &slots[i];
        char name[NAME_MAX_BYTES];
        expand(slot->patterns[0], layer, "weight", name);
        if (slot->optional && !source->has(source->context, name))
            continue;
        enum att_status status = ATT_OK;
        void *at = member(target, slot->offset);
        switch (slot->kind) {
        case ATT_SLOT_LINEAR:
            status = load_linear(slot, at, layer, dims, source, err);
            break;
        case ATT_SLOT_NORM:
            status = load_norm(slot, at, layer, dims, source, err);
            break;
        case ATT_SLOT_TABLE:
            status = source->table(source->context, name, dims[slot->rows], dims[slot->cols], at, err);
            break;
        case ATT_SLOT_VECTOR:
            status = read_vector(source, name, dims[slot->rows], at, err);
            break;
        }
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}

void att_slots_finish(const struct att_slot *slots, size_t n_slots, void *target)
{
    for (size_t i = 0; i < n_slots; i++) {
        void *at = member(target, slots[i].offset);
        switch (slots[i].kind) {
        case ATT_SLOT_LINEAR:
            att_linear_finish(at);
            break;
        case ATT_SLOT_NORM:
            att_mem_free(((struct att_norm *)at)->weight);
            att_mem_free(((struct att_norm *)at)->bias);
            break;
        case ATT_SLOT_TABLE:
            att_table_unref(*(struct att_table **)at);
            break;
        case ATT_SLOT_VECTOR:
            att_mem_free(*(float **)at);
            break;
        }
    }
}

size_t att_slots_bytes(const struct att_slot *slots, size_t n_slots, const void *target, const size_t *dims)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n_slots; i++) {
        const char *at = (const char *)target + slots[i].offset;
        if (slots[i].kind == ATT_SLOT_LINEAR)
            bytes += ((const struct att_linear *)(const void *)at)->bytes;
        else if (slots[i].kind == ATT_SLOT_NORM)
            bytes += 2 * dims[slots[i].rows] * sizeof(float);
        else if (slots[i].kind == ATT_SLOT_VECTOR)
            bytes += dims[slots[i].rows] * sizeof(float);
    }
    return bytes;
}
