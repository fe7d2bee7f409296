/*
 * Tensors by the names an architecture uses, whatever spelling the file has:
 * with or without the "bert." of a model with a head, LayerNorm.gamma/beta of
 * files from 2018, tied weights under another name; and with an adapter merged.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/io/seeded.h"
#include "core/model.h"

enum { NAME_BYTES = 256 };

enum att_status att_checkpoint_weights(const struct att_dir *dir, struct att_weights *ret_weights, struct att_err *err)
{
    bool seeded = !att_dir_has(dir, "model.safetensors") && !att_dir_has(dir, "model.safetensors.index.json") &&
                  att_dir_has(dir, "weights_spec.json");
    return seeded ? att_seeded_open(dir, "weights_spec.json", ret_weights, err)
                  : att_safetensors_open(dir, "model.safetensors", ret_weights, err);
}

enum att_status att_checkpoint_open(const struct att_dir *dir, const struct att_arch *arch,
                                    struct att_checkpoint *ret_checkpoint, struct att_err *err)
{
    struct att_weights weights;
    enum att_status status = att_checkpoint_weights(dir, &weights, err);
    if (status == ATT_OK)
        att_checkpoint_take(&weights, arch, ret_checkpoint);
    return status;
}

void att_checkpoint_take(struct att_weights *weights, const struct att_arch *arch,
                         struct att_checkpoint *ret_checkpoint)
{
    struct att_checkpoint checkpoint = {.arch = arch, .weights = *weights};
    *weights = (struct att_weights){.n_shards = 0};
    size_t prefix_len = strlen(arch->prefix);
    for (size_t i = 0; prefix_len > 0 && i < checkpoint.weights.n_tensors; i++)
        if (strncmp(checkpoint.weights.tensors[i].name, arch->prefix, prefix_len) == 0)
            checkpoint.prefixed = true;
    *ret_checkpoint = checkpoint;
}

void att_checkpoint_close(struct att_checkpoint *checkpoint)
{
    att_weights_close(&checkpoint->weights);
}

/* name as the file spells it: with the prefix first, then without; then with the old words for LayerNorm. */
static struct att_tensor *find_spelled(struct att_checkpoint *checkpoint, const char *name)
{
    char full[NAME_BYTES];
    snprintf(full, sizeof full, "%s%s", checkpoint->prefixed ? checkpoint->arch->prefix : "", name);
    struct att_tensor *tensor = att_weights_find(&checkpoint->weights, full);
    if (!tensor)
        tensor = att_weights_find(&checkpoint->weights, name);
    if (tensor)
        return tensor;
    const char *norm = strstr(name, "LayerNorm.");
    if (!norm)
        return NULL;
    const char *word = norm + strlen("LayerNorm.");
    const char *old = strcmp(word, "weight") == 0 ? "gamma" : strcmp(word, "bias") == 0 ? "beta" : NULL;
    if (!old)
        return NULL;
    snprintf(full, sizeof full, "%s%.*s%s", checkpoint->prefixed ? checkpoint->arch->prefix : "", (int)(word - name),
             name, old);
    tensor = att_weights_find(&checkpoint->weights, full);
    return tensor ? tensor
                  : att_weights_find(&checkpoint->weights,
                                     full + (checkpoint->prefixed ? strlen(checkpoint->arch->prefix) : 0));
}

static struct att_tensor *find(struct att_checkpoint *checkpoint, const char *name)
{
    struct att_tensor *tensor = find_spelled(checkpoint, name);
    for (size_t i = 0; !tensor && checkpoint->arch->aliases && checkpoint->arch->aliases[i][0]; i++)
        if (strcmp(checkpoint->arch->aliases[i][0], name) == 0)
            tensor = find_spelled(checkpoint, checkpoint->arch->aliases[i][1]);
    return tensor;
}

/* The adapter's own tensor, else the checkpoint's. */
static struct att_tensor *find_newest(struct att_checkpoint *checkpoint, const char *name,
                                      const struct att_weights **ret_weights)
{
    struct att_tensor *own = checkpoint->adapter ? att_adapter_own(checkpoint->adapter, checkpoint->arch, name) : NULL;
    *ret_weights = own ? &checkpoint->adapter->weights : &checkpoint->weights;
    return own ? own : find(checkpoint, name);
}

static bool source_has(void *context, const char *name)
{
    const struct att_weights *weights;
    return find_newest(context, name, &weights) != NULL;
}

/* Trailing ones (a convolution of width 1, a bias kept as [1, n]) do not count. */
static bool shape_is(const struct att_tensor *tensor, size_t rank, const size_t *shape)
{
    size_t have = tensor->rank, skip = 0;
    while (have > rank && tensor->shape[have - 1] == 1)
        have--;
    while (have - skip > rank && tensor->shape[skip] == 1)
        skip++;
    if (have - skip != rank)
        return false;
    for (size_t i = 0; i < rank; i++)
        if (tensor->shape[skip + i] != shape[i])
            return false;
    return true;
}

static enum att_status source_read(void *context, const char *name, size_t rank, const size_t *shape, float *out,
                                   struct att_err *err)
{
    struct att_checkpoint *checkpoint = context;
    const struct att_weights *weights;
    struct att_tensor *tensor = find_newest(checkpoint, name, &weights);
    const char *prefix = checkpoint->prefixed ? checkpoint->arch->prefix : "";
    char expected[64], got[96];
    att_shape_text(rank, shape, expected, sizeof expected);
    if (!tensor)
        return att_err_set(err, ATT_EFORMAT, "%s: tensor '%s%s' is missing, expected shape %s",
                           checkpoint->weights.n_shards == 1 ? checkpoint->weights.shard_names[0]
                                                             : "model.safetensors.index.json",
                           prefix, name, expected);
    if (!shape_is(tensor, rank, shape)) {
        att_shape_text(tensor->rank, tensor->shape, got, sizeof got);
        return att_err_set(err, ATT_EFORMAT, "%s: tensor '%s' has shape %s, expected %s by the sizes of config.json%s",
                           att_weights_file(weights, tensor), tensor->name, got, expected,
                           strstr(name, "word_embeddings") ? " (vocab_size)" : "");
    }
    enum att_status status = att_weights_read(weights, tensor, out, err);
    if (status == ATT_OK && checkpoint->adapter && rank == 2)
        status = att_adapter_merge(checkpoint->adapter, checkpoint->arch, name, shape[0], shape[1], out, err);
    return status;
}

/* The table of that name of a model that has it already, or NULL. */
static struct att_table *base_table(const struct att_model *base, const char *name)
{
    for (size_t set = 0; base && set < ATT_ARCH_SETS; set++)
        for (size_t i = 0; i < base->arch_info.sets[set].n_slots; i++) {
            const struct att_slot *slot = &base->arch_info.sets[set].slots[i];
            if (slot->kind == ATT_SLOT_TABLE && strcmp(slot->patterns[0], name) == 0)
                return *(struct att_table **)(void *)((char *)base->state + slot->offset);
        }
    return NULL;
}

/* Whether a table of words can stay as the file holds it, and how its rows widen. */
static bool stays_packed(const struct att_checkpoint *checkpoint, const struct att_tensor *tensor, size_t cols,
                         struct att_packing *ret_packing)
{
    const struct att_block_type *type = tensor->blocks;
    if (!type || strcmp(type->name, "F32") == 0 || tensor->seeded || tensor->interleaved_heads > 0 ||
        checkpoint->adapter || cols % type->values != 0)
        return false;
    *ret_packing = (struct att_packing){.values = type->values, .bytes = type->bytes, .widen = type->widen};
    return true;
}

static enum att_status source_table(void *context, const char *name, size_t rows, size_t cols, bool looked_up,
                                    struct att_table **ret_table, struct att_err *err)
{
    struct att_checkpoint *checkpoint = context;
    const struct att_weights *weights;
    struct att_tensor *tensor = find_newest(checkpoint, name, &weights);
    const struct att_model *sharer = checkpoint->twin ? checkpoint->twin : checkpoint->base;
    struct att_table *shared = weights == &checkpoint->weights ? base_table(sharer, name) : NULL;
    if (shared && shared->rows == rows && shared->cols == cols) {
        *ret_table = att_table_ref(shared);
        return ATT_OK;
    }
    /* The shape is checked against the file before memory is taken for it. */
    const size_t shape[2] = {rows, cols};
    struct att_table *table = NULL;
    struct att_packing packing;
    bool fits = tensor && shape_is(tensor, 2, shape);
    bool packed = fits && looked_up && stays_packed(checkpoint, tensor, cols, &packing);
    enum att_status status = ATT_OK;
    if (packed && !(table = att_table_create_packed(rows, cols, &packing)))
        status = att_err_set(err, ATT_ENOMEM, "out of memory for '%s'", name);
    else if (fits && !packed)
        status = att_table_create_at(rows, cols, rows > ATT_SCAN_ITEMS_MIN ? checkpoint->place : NULL, &table, err);
    if (status != ATT_OK)
        return status;
    status = packed ? att_weights_read_packed(weights, tensor, table->packed, err)
                    : source_read(context, name, 2, shape, table ? table->data : NULL, err);
    if (status == ATT_OK && !packed)
        status = att_table_seal(table, err);
    if (status != ATT_OK)
        att_table_unref(table);
    else
        *ret_table = table;
    return status;
}

struct att_source att_checkpoint_source(struct att_checkpoint *checkpoint)
{
    assert(checkpoint && checkpoint->arch);
    return (struct att_source){.context = checkpoint, .has = source_has, .read = source_read, .table = source_table};
}
