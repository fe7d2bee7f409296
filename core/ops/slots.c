/* Filling weight slots from a source; see slots.h for the table's meaning. */
#include "core/ops/slots.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/kern/kern.h"
#include "core/ops/projected.h"

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
    enum att_status status = source->read(source->context, name, 1, &rows, vector, err);
    if (status != ATT_OK)
        att_mem_free(vector);
    else
        *ret_vector = vector;
    return status;
}

static bool has_bias(const struct att_slot *slot, const size_t *dims)
{
    return slot->bias == ATT_BIAS || (slot->bias >= ATT_BIAS_IF_DIM && dims[slot->bias - ATT_BIAS_IF_DIM] != 0);
}

/* [cols][rows] in work becomes [rows][cols] in weight. */
static void transpose(size_t rows, size_t cols, const float *work, float *weight)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            weight[i * cols + j] = work[j * rows + i];
}

/* The stacked tensors of one slot as they stand in the file. */
struct stack {
    size_t count, rows, cols; /* of one tensor */
    float *weight, *bias;     /* [count * rows][cols], [count * rows] or NULL */
};

static enum att_status read_stack(const struct att_slot *slot, const struct stack *stack, size_t layer,
                                  const struct att_source *source, struct att_err *err)
{
    char name[NAME_MAX_BYTES];
    enum att_status status = ATT_OK;
    for (size_t i = 0; status == ATT_OK && i < stack->count; i++) {
        float *weight = stack->weight + i * stack->rows * stack->cols;
        float *work = slot->transposed ? att_mem_aligned(stack->rows * stack->cols, sizeof *work) : NULL;
        expand(slot->patterns[i], layer, "weight", name);
        if (slot->transposed && !work)
            return att_err_set(err, ATT_ENOMEM, "out of memory for '%s'", name);
        const size_t shape[2] = {slot->transposed ? stack->cols : stack->rows,
                                 slot->transposed ? stack->rows : stack->cols};
        status = source->read(source->context, name, 2, shape, work ? work : weight, err);
        if (slot->transposed && status == ATT_OK)
            transpose(stack->rows, stack->cols, work, weight);
        att_mem_free(work);
        expand(slot->patterns[i], layer, "bias", name);
        if (status == ATT_OK && stack->bias)
            status = source->read(source->context, name, 1, &stack->rows, stack->bias + i * stack->rows, err);
    }
    return status;
}

/* How many of these slots, from the first on, take parts of the same tensor: it is read once for all of them. */
static size_t sharing(const struct att_slot *slots, size_t n_slots)
{
    size_t count = 1;
    while (count < n_slots && slots->parts > 0 && slots[count].parts == slots->parts &&
           slots[count].when == slots->when && strcmp(slots[count].patterns[0], slots->patterns[0]) == 0)
        count++;
    return count;
}

/* `count` slots of one stack. */
static enum att_status load_linears(const struct att_slot *slots, size_t count, void *target, size_t layer,
                                    const size_t *dims, enum att_dtype dtype, const struct att_source *source,
                                    struct att_pages *pages, struct att_err *err)
{
    size_t rows = dims[slots->rows], floats = 0, total = 0;
    struct stack stack = {.count = pattern_count(slots), .cols = dims[slots->cols]};
    stack.rows = slots->parts ? rows * slots->parts : rows;
    bool biased = has_bias(slots, dims);
    if (att_size_mul(stack.rows, stack.count, &total) && att_size_mul(total, stack.cols, &floats))
        stack.weight = att_mem_aligned(floats, sizeof *stack.weight);
    stack.bias = biased ? att_mem_aligned(total, sizeof *stack.bias) : NULL;
    enum att_status status = ATT_OK;
    if (!stack.weight || (biased && !stack.bias))
        status = att_err_set(err, ATT_ENOMEM, "out of memory for a [%zu,%zu] weight", total, stack.cols);
    if (status == ATT_OK)
        status = read_stack(slots, &stack, layer, source, err);
    for (size_t i = 0; status == ATT_OK && i < count; i++) {
        assert(slots[i].rows == slots->rows && slots[i].cols == slots->cols && slots[i].bias == slots->bias &&
               slots[i].transposed == slots->transposed && slots[i].optional == slots->optional &&
               slots[i].from_second == slots->from_second);
        const size_t skip = slots->parts ? rows * slots[i].part : 0, take = slots->parts ? rows * slots[i].span : total;
        status = att_linear_init(member(target, slots[i].offset), dtype, take, stack.cols,
                                 stack.weight + skip * stack.cols, biased ? stack.bias + skip : NULL, pages, err);
    }
    att_mem_free(stack.weight);
    att_mem_free(stack.bias);
    return status;
}

static enum att_status load_convolution(const struct att_slot *slot, struct att_linear *linear, size_t layer,
                                        const size_t *dims, const struct att_source *source, struct att_err *err)
{
    const size_t shape[3] = {dims[slot->rows], dims[slot->cols], dims[slot->kernel]};
    size_t rows = shape[0], cols = shape[1], kernel = shape[2], count = 0, width = 0;
    char name[NAME_MAX_BYTES];
    expand(slot->patterns[0], layer, "weight", name);
    bool fits = att_size_mul(cols, kernel, &width) && att_size_mul(rows, width, &count);
    float *weight = fits ? att_mem_aligned(count, sizeof *weight) : NULL, *turned = NULL, *bias = NULL;
    enum att_status status = ATT_OK;
    if (weight) {
        turned = att_mem_aligned(count, sizeof *turned);
        bias = att_mem_aligned(rows, sizeof *bias);
    }
    if (!weight || !turned || !bias)
        status = att_err_set(err, ATT_ENOMEM, "out of memory for '%s'", name);
    if (status == ATT_OK)
        status = source->read(source->context, name, 3, shape, weight, err);
    expand(slot->patterns[0], layer, "bias", name);
    if (status == ATT_OK)
        status = source->read(source->context, name, 1, &rows, bias, err);
    for (size_t i = 0; status == ATT_OK && i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            for (size_t k = 0; k < kernel; k++)
                turned[i * width + k * cols + j] = weight[i * width + j * kernel + k];
    if (status == ATT_OK)
        status = att_linear_init(linear, ATT_F32, rows, width, turned, bias, NULL, err);
    att_mem_free(weight);
    att_mem_free(turned);
    att_mem_free(bias);
    return status;
}

static enum att_status load_norm(const struct att_slot *slot, struct att_norm *norm, size_t layer, const size_t *dims,
                                 const struct att_source *source, struct att_err *err)
{
    char name[NAME_MAX_BYTES];
    size_t rows = dims[slot->rows];
    expand(slot->patterns[0], layer, "weight", name);
    enum att_status status = read_vector(source, name, rows, &norm->weight, err);
    if (status != ATT_OK)
        return status;
    expand(slot->patterns[0], layer, "bias", name);
    if (has_bias(slot, dims))
        return read_vector(source, name, rows, &norm->bias, err);
    norm->bias = att_mem_aligned(rows, sizeof *norm->bias);
    if (!norm->bias)
        return att_err_set(err, ATT_ENOMEM, "out of memory for '%s'", name);
    memset(norm->bias, 0, rows * sizeof *norm->bias);
    return ATT_OK;
}

enum att_status att_slots_load(const struct att_slot *slots, size_t n_slots, void *target, size_t layer,
                               const size_t *dims, enum att_dtype dtype, const struct att_source *source,
                               struct att_pages *pages, struct att_err *err)
{
    assert((slots || n_slots == 0) && target && source);
    for (size_t i = 0, count; i < n_slots; i += count) {
        const struct att_slot *slot = &slots[i];
        count = slot->kind == ATT_SLOT_LINEAR ? sharing(slot, n_slots - i) : 1;
        char name[NAME_MAX_BYTES] = "";
        if (!slot->derived)
            expand(slot->patterns[0], layer, "weight", name);
        if (slot->derived || (slot->from_second && layer == 0) || (slot->when && dims[slot->when - 1] == 0) ||
            (slot->optional && !source->has(source->context, name)))
            continue;
        enum att_status status = ATT_OK;
        void *at = member(target, slot->offset);
        switch (slot->kind) {
        case ATT_SLOT_LINEAR:
            status = load_linears(slot, count, target, layer, dims, dtype, source, pages, err);
            break;
        case ATT_SLOT_CONVOLUTION:
            status = load_convolution(slot, at, layer, dims, source, err);
            break;
        case ATT_SLOT_NORM:
            status = load_norm(slot, at, layer, dims, source, err);
            break;
        case ATT_SLOT_TABLE:
            status = source->table(source->context, name, dims[slot->rows], dims[slot->cols], slot->looked_up, at, err);
            break;
        case ATT_SLOT_PROJECTED: /* derived */
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
        case ATT_SLOT_CONVOLUTION:
            att_linear_finish(at);
            break;
        case ATT_SLOT_NORM:
            att_mem_free(((struct att_norm *)at)->weight);
            att_mem_free(((struct att_norm *)at)->bias);
            break;
        case ATT_SLOT_TABLE:
            att_table_unref(*(struct att_table **)at);
            break;
        case ATT_SLOT_PROJECTED:
            att_projected_destroy(*(struct att_projected **)at);
            break;
        case ATT_SLOT_VECTOR:
            att_mem_free(*(float **)at);
            break;
        }
    }
}

static bool is_there(const struct att_slot *slot, const size_t *dims)
{
    return !slot->when || dims[slot->when - 1] != 0;
}

size_t att_slots_space(const struct att_slot *slots, size_t n_slots, const void *target)
{
    size_t largest = 0;
    for (size_t i = 0; i < n_slots; i++) {
        if (slots[i].kind != ATT_SLOT_LINEAR)
            continue;
        const char *at = (const char *)target + slots[i].offset;
        const size_t space = att_linear_space((const struct att_linear *)(const void *)at);
        largest = space > largest ? space : largest;
    }
    return largest;
}

/* Of the member at `at`. */
static size_t projected_bytes(const char *at)
{
    const struct att_projected *projected = *(struct att_projected *const *)(const void *)at;
    return projected ? att_projected_bytes(projected) : 0;
}

size_t att_slots_bytes(const struct att_slot *slots, size_t n_slots, const void *target, const size_t *dims)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n_slots; i++) {
        const char *at = (const char *)target + slots[i].offset;
        if (!is_there(&slots[i], dims))
            continue;
        if (slots[i].kind == ATT_SLOT_LINEAR || slots[i].kind == ATT_SLOT_CONVOLUTION)
            bytes += ((const struct att_linear *)(const void *)at)->bytes;
        else if (slots[i].kind == ATT_SLOT_NORM)
            bytes += 2 * dims[slots[i].rows] * sizeof(float);
        else if (slots[i].kind == ATT_SLOT_VECTOR)
            bytes += dims[slots[i].rows] * sizeof(float);
        else if (slots[i].kind == ATT_SLOT_PROJECTED)
            bytes += projected_bytes(at);
    }
    return bytes;
}

size_t att_slots_bytes_as(const struct att_slot *slots, size_t n_slots, const void *target, const size_t *dims,
                          enum att_dtype dtype)
{
    size_t bytes = att_slots_bytes(slots, n_slots, target, dims);
    for (size_t i = 0; i < n_slots; i++) {
        const struct att_linear *linear = (const void *)((const char *)target + slots[i].offset);
        if (slots[i].kind == ATT_SLOT_LINEAR && linear->packed && is_there(&slots[i], dims))
            bytes = bytes - linear->gemm->packed_bytes(linear->n, linear->k) +
                    att_kern()->gemm[dtype]->packed_bytes(linear->n, linear->k);
    }
    return bytes;
}
