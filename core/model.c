/*
 * Loading a model directory: config.json → architecture → weights → pooling →
 * heads → tokenizer, everything checked before the model is handed out. An
 * adapter directory (adapter_config.json) borrows its base's tokenizer and
 * embedding tables and merges its change into weights of its own.
 */
#include "core/model.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arch/config.h"
#include "core/base/mem.h"
#include "core/gguf/gguf.h"
#include "core/kern/kern.h"

enum { ARENA_MAX = 64 << 20, NAME_MAX_LEN = 128 };

static char kernel_names[ATT_DTYPE_COUNT][128]; /* written by att_init, before threads start */

enum att_status att_init(const char *cpu_mask, struct att_err *err)
{
    const char *mask = cpu_mask ? cpu_mask : getenv("ATTEND_CPU_MASK");
    enum att_status status = att_kern_init(mask, err);
    for (int dtype = 0; status == ATT_OK && dtype < ATT_DTYPE_COUNT; dtype++)
        snprintf(kernel_names[dtype], sizeof kernel_names[dtype], "gemm %s, attention %s, rows %s",
                 att_kern()->gemm[dtype]->name, att_kern()->attention[dtype]->name, att_kern()->rows->name);
    return status;
}

const char *att_kernel_names(enum att_dtype dtype)
{
    assert(dtype < ATT_DTYPE_COUNT);
    return kernel_names[dtype];
}

/* What this directory is built on: its own config.json, or with an adapter the base's. */
struct loading {
    struct att_dir dir, base_dir;
    struct att_checkpoint checkpoint;
    struct att_adapter adapter;
    struct att_json *adapter_config;
    const char *config_file; /* what messages about the configuration name */
    char gguf_name[ATT_FILE_NAME_MAX];
    struct att_weights gguf_weights; /* until the checkpoint takes them */
};

static void loading_finish(struct loading *loading)
{
    att_checkpoint_close(&loading->checkpoint);
    att_weights_close(&loading->gguf_weights);
    att_adapter_close(&loading->adapter);
    att_json_destroy(loading->adapter_config);
    att_dir_close(&loading->dir);
    att_dir_close(&loading->base_dir);
}

/* The loaded model of this name becomes the base. */
static enum att_status take_base(struct att_model *model, const char *name, const struct att_model_options *options,
                                 struct att_err *err)
{
    struct att_model *base = options->find_base ? options->find_base(options->context, name) : NULL;
    if (!base)
        return att_err_set(err, ATT_ENOTFOUND, "no model named '%s' is loaded", name);
    model->base = att_model_ref(base);
    model->info.base = att_arena_copy(&model->arena, name, strlen(name));
    return model->info.base ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory");
}

static enum att_status find_base(struct att_model *model, struct loading *loading,
                                 const struct att_model_options *options, struct att_err *err)
{
    const char *name = att_json_string(att_json_get(loading->adapter_config, "base_model_name_or_path"), NULL);
    if (!name || !*name || strlen(name) > NAME_MAX_LEN)
        return att_err_set(err, ATT_EFORMAT,
                           "adapter_config.json: base_model_name_or_path: expected the name of a loaded model");
    enum att_status status = take_base(model, name, options, err);
    if (status != ATT_OK)
        return att_err_file(err, status, "adapter_config.json: base_model_name_or_path");
    if (model->base->base)
        return att_err_set(err, ATT_EUNSUPPORTED,
                           "adapter_config.json: base_model_name_or_path: '%s' is an adapter itself", name);
    return att_dir_open(model->base->info.dir, &loading->base_dir, err);
}

/* Heads or Dense modules alone (attend.json's "base"): they stand on the weights of the loaded model, and hold no copy.
 * What they were trained on gave other vectors if its weights were others. */
static enum att_status open_heads(struct att_model *model, struct loading *loading,
                                  const struct att_model_options *options, struct att_err *err)
{
    const char *name = att_json_string(att_json_get(model->attend_json, "base"), NULL);
    const char *digest = att_json_string(att_json_get(model->attend_json, "base_digest"), NULL);
    if (!name || !*name || strlen(name) > NAME_MAX_LEN || !digest)
        return att_err_set(err, ATT_EFORMAT, "base, base_digest: expected the name of a loaded model and its digest");
    enum att_status status = take_base(model, name, options, err);
    if (status == ATT_OK && strcmp(digest, model->base->info.digest) != 0)
        status = att_err_set(err, ATT_EFORMAT, "base_digest: is of other weights than those of '%s' are now", name);
    if (status != ATT_OK)
        return status;
    const struct att_model *base = model->base;
    model->borrowed = true;
    model->arch = base->arch;
    model->arch_info = base->arch_info;
    model->state = base->state;
    memcpy(model->layers, base->layers, sizeof model->layers);
    model->linear_space = base->linear_space;
    return att_json_get(model->attend_json, "heads")
               ? att_safetensors_open(&loading->dir, "model.safetensors", &loading->checkpoint.weights, err)
               : ATT_OK;
}

static enum att_status unknown_type(const struct att_json *value, struct att_err *err)
{
    const char *type = att_json_string(value, NULL);
    char names[512];
    att_arch_names(names, sizeof names);
    return att_err_set(err, ATT_EUNSUPPORTED, "model_type: '%.60s' is not known, expected one of: %s",
                       type    ? type
                       : value ? att_json_type_name(value)
                               : "missing",
                       names);
}

/* Layers of one stack that the file holds. */
static size_t stored_layers(const struct att_model *model, size_t stack)
{
    const struct att_arch_info *info = &model->arch_info;
    if (stack == 1)
        return info->n_decoder_layers;
    return info->n_stored_layers ? info->n_stored_layers : info->n_layers;
}

/* config.json → arch, arch_info and the zeroed state. */
static enum att_status configure(struct att_model *model, struct att_err *err)
{
    const struct att_json *kind = att_json_get(model->config, "model_type");
    const char *type = att_json_string(kind, NULL);
    model->arch = type ? att_arch_find(type) : NULL;
    if (!model->arch)
        return unknown_type(kind, err);
    const char *class_name = att_json_string(att_json_at(att_json_get(model->config, "architectures"), 0), NULL);
    model->arch_info.class_name = class_name ? class_name : "";
    model->state = att_mem_calloc(1, model->arch->state_bytes);
    if (!model->state)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    enum att_status status = model->arch->configure(model->config, model->state, &model->arch_info, err);
    size_t rows = model->arch_info.vocab_size, target = model->arch_info.target_vocab_size;
    if (status == ATT_OK)
        status = att_config_names(model->config, "architectures", err);
    if (status == ATT_OK)
        status = att_config_ids(model->config, rows > target ? rows : target, model->arch_info.generates, err);
    if (status != ATT_OK)
        return status;
    for (size_t k = 0; k < ATT_ARCH_STACKS; k++) {
        if (stored_layers(model, k) == 0)
            continue;
        model->layers[k] = att_mem_calloc(stored_layers(model, k), model->arch->stacks[k].layer_bytes);
        if (!model->layers[k])
            return att_err_set(err, ATT_ENOMEM, "out of memory");
    }
    return ATT_OK;
}

static void *layer_at(const struct att_model *model, size_t stack, size_t i)
{
    return (char *)model->layers[stack] + i * model->arch->stacks[stack].layer_bytes;
}

static enum att_status stack_load(struct att_model *model, size_t k, const struct att_source *source,
                                  struct att_err *err)
{
    const struct att_arch_stack *stack = &model->arch->stacks[k];
    const size_t *dims = model->arch_info.dims;
    for (size_t i = 0; i < stored_layers(model, k); i++) {
        void *layer = layer_at(model, k, i);
        enum att_status status = att_slots_load(stack->slots, stack->n_slots, layer, i, dims, model->arch_info.dtype,
                                                source, &model->pages, err);
        if (status != ATT_OK)
            return status;
        model->info.weight_bytes += att_slots_bytes(stack->slots, stack->n_slots, layer, dims);
        for (int dtype = 0; dtype < ATT_DTYPE_COUNT; dtype++)
            model->layer_bytes[dtype] +=
                att_slots_bytes_as(stack->slots, stack->n_slots, layer, dims, (enum att_dtype)dtype);
        size_t space = att_slots_space(stack->slots, stack->n_slots, layer);
        model->linear_space = space > model->linear_space ? space : model->linear_space;
    }
    return ATT_OK;
}

/* Of the table in a slot; 0: it is not there. */
static size_t table_bytes(const void *state, const struct att_slot *slot)
{
    const struct att_table *table = *(struct att_table *const *)(const void *)((const char *)state + slot->offset);
    return table ? att_table_bytes(table) : 0;
}

/* Memory of what is outside the layers; an adapter's tables are its base's. */
static void count_sets(struct att_model *model)
{
    const struct att_arch_info *info = &model->arch_info;
    for (size_t i = 0; i < ATT_ARCH_SETS; i++) {
        const struct att_slot *slots = info->sets[i].slots;
        model->info.weight_bytes += att_slots_bytes(slots, info->sets[i].n_slots, model->state, info->dims);
        for (size_t j = 0; j < info->sets[i].n_slots && !model->base; j++)
            if (slots[j].kind == ATT_SLOT_TABLE)
                model->info.weight_bytes += table_bytes(model->state, &slots[j]);
    }
}

static enum att_status weights_load(struct att_model *model, struct loading *loading, struct att_err *err)
{
    const struct att_arch_info *info = &model->arch_info;
    struct att_source source = att_checkpoint_source(&loading->checkpoint);
    for (size_t i = 0; i < ATT_ARCH_SETS; i++) {
        enum att_status status = att_slots_load(info->sets[i].slots, info->sets[i].n_slots, model->state, 0, info->dims,
                                                ATT_F32, &source, &model->pages, err);
        if (status != ATT_OK)
            return status;
    }
    for (size_t k = 0; k < ATT_ARCH_STACKS; k++) {
        enum att_status status = stack_load(model, k, &source, err);
        if (status != ATT_OK)
            return status;
    }
    enum att_status status =
        model->arch->prepare ? model->arch->prepare(model->state, model->layers[0], info, err) : ATT_OK;
    if (status == ATT_OK)
        count_sets(model);
    return status;
}

/* Buffers that old files carry and no model reads. */
static bool known_buffer(const char *name)
{
    static const char *const endings[] = {"position_ids", ".attn.bias", ".attn.masked_bias", "rotary_emb.inv_freq"};
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t ending = strlen(endings[i]);
        if (len >= ending && strcmp(name + len - ending, endings[i]) == 0)
            return true;
    }
    return false;
}

static enum att_status report_unused(struct att_model *model, const struct att_weights *weights, struct att_err *err)
{
    for (size_t i = 0; i < weights->n_tensors; i++) {
        if (weights->tensors[i].used || known_buffer(weights->tensors[i].name))
            continue;
        if (model->info.n_unused++ == 0) {
            model->info.unused =
                att_arena_copy(&model->arena, weights->tensors[i].name, strlen(weights->tensors[i].name));
            if (!model->info.unused)
                return att_err_set(err, ATT_ENOMEM, "out of memory");
        }
    }
    return ATT_OK;
}

static enum att_status tokenizer_load(struct att_model *model, const struct att_dir *dir, struct att_err *err)
{
    if (model->base) {
        model->tokenizer = model->base->tokenizer;
        model->tokenizer_borrowed = true;
        return ATT_OK;
    }
    char name[ATT_FILE_NAME_MAX];
    if (model->arch_info.scores_items || (!att_tokenizer_in(dir) && !att_dir_find(dir, ".gguf", name)))
        return ATT_OK;
    enum att_status status =
        att_tokenizer_open(dir, model->arch_info.vocab_size, model->arch_info.type_vocab_size, &model->tokenizer, err);
    return status == ATT_ENOTFOUND && !att_tokenizer_in(dir) ? ATT_OK : status; /* a GGUF file without one */
}

/* attend.json's own words that are shown to clients. */
static enum att_status words_check(const struct att_json *own, struct att_err *err)
{
    static const char *const tasks[] = {"embed", "classify", "recommend", "generate", "tokens", "rerank"};
    const struct att_json *task = att_json_get(own, "task"), *licence = att_json_get(own, "licence");
    const char *name = att_json_string(task, NULL);
    size_t i = 0;
    while (name && i < sizeof tasks / sizeof *tasks && strcmp(tasks[i], name) != 0)
        i++;
    if (task && (!name || i == sizeof tasks / sizeof *tasks))
        return att_err_set(err, ATT_EFORMAT,
                           "task: is '%.40s', expected embed, classify, recommend, generate, tokens or rerank",
                           name ? name : att_json_type_name(task));
    if (licence && !att_json_is_string(licence))
        return att_err_set(err, ATT_EFORMAT, "licence: is %s, expected a string", att_json_type_name(licence));
    return att_config_names(own, "languages", err);
}

static const char *implied_task(const struct att_model *model)
{
    if (model->arch_info.scores_items)
        return "recommend";
    if (model->arch_info.generates)
        return "generate";
    if (model->arch_info.per_token)
        return "tokens";
    return model->info.n_logits > 0 ? "classify" : "embed";
}

static const char *joined(struct att_arena *arena, const struct att_json *strings)
{
    char text[256] = "";
    size_t at = 0;
    for (size_t i = 0; i < att_json_count(strings); i++) {
        const char *one = att_json_string(att_json_at(strings, i), NULL);
        int n = snprintf(text + at, sizeof text - at, "%s%s", at ? "," : "", one ? one : "");
        if (n < 0 || (size_t)n >= sizeof text - at)
            break;
        at += (size_t)n;
    }
    return att_arena_copy(arena, text, strlen(text));
}

/* Files for sentence embeddings often leave the pooler out: it is the one optional linear layer of its set. */
static bool pooler_loaded(const struct att_model *model)
{
    bool loaded = model->arch_info.has_pooler;
    for (size_t set = 0; set < ATT_ARCH_SETS; set++) {
        for (size_t i = 0; i < model->arch_info.sets[set].n_slots; i++) {
            const struct att_slot *slot = &model->arch_info.sets[set].slots[i];
            if (slot->optional && slot->kind == ATT_SLOT_LINEAR)
                loaded = loaded && ((const struct att_linear *)((const char *)model->state + slot->offset))->packed;
        }
    }
    return loaded;
}

static enum att_status info_fill(struct att_model *model, const char *dir, struct att_err *err)
{
    struct att_model_info *info = &model->info;
    const struct att_arch_info *arch = &model->arch_info;
    const char *task = att_json_string(att_json_get(model->attend_json, "task"), NULL);
    const char *licence = att_json_string(att_json_get(model->attend_json, "licence"), NULL);
    info->arch = model->arch->model_type;
    info->class_name = arch->class_name;
    info->hidden_size = arch->hidden_size;
    info->n_layers = arch->n_layers;
    info->n_heads = arch->n_heads;
    info->intermediate_size = arch->intermediate_size;
    info->gated = arch->gated;
    info->vocab_size = arch->vocab_size;
    info->dtype = arch->dtype;
    for (int dtype = 0; dtype < ATT_DTYPE_COUNT; dtype++)
        info->weight_bytes_as[dtype] = info->weight_bytes - model->layer_bytes[arch->dtype] + model->layer_bytes[dtype];
    info->per_token = arch->per_token;
    info->has_pooler = pooler_loaded(model);
    info->generates = arch->generates;
    info->n_kv_heads = arch->n_kv_heads;
    info->n_decoder_layers = arch->n_decoder_layers;
    info->n_decoder_heads = arch->n_decoder_layers ? arch->n_decoder_heads : 0;
    info->logits_size = !arch->generates ? 0 : arch->target_vocab_size ? arch->target_vocab_size : arch->vocab_size;
    info->task = task ? task : implied_task(model);
    info->licence = licence ? licence : "";
    info->languages = joined(&model->arena, att_json_get(model->attend_json, "languages"));
    info->attend_json = model->attend_json;
    info->dir = att_arena_copy(&model->arena, dir, strlen(dir));
    if (!info->languages || !info->dir)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    return ATT_OK;
}

/* A directory without config.json and with one .gguf file: configuration and weights are in there. */
static enum att_status open_gguf(struct att_model *model, struct loading *loading, struct att_err *err)
{
    struct att_gguf *gguf = NULL;
    char *text = NULL;
    size_t len = 0;
    enum att_status status = att_gguf_open(&loading->dir, loading->gguf_name, &gguf, err);
    if (status == ATT_OK)
        status = att_gguf_weights(gguf, &loading->dir, &loading->gguf_weights, err);
    if (status == ATT_OK)
        status = att_gguf_config(gguf, &loading->gguf_weights, &text, &len, err);
    if (status == ATT_OK)
        status = att_json_parse(text, len, 0, 8, &model->config, err);
    att_mem_free(text);
    att_gguf_close(gguf);
    loading->config_file = loading->gguf_name;
    return status;
}

static enum att_status open_config(struct att_model *model, struct loading *loading, const struct att_dir *dir,
                                   struct att_err *err)
{
    enum att_status status = ATT_OK;
    loading->config_file = "config.json";
    bool gguf = dir == &loading->dir && att_gguf_in(dir, loading->gguf_name);
    if (gguf)
        status = open_gguf(model, loading, err);
    else if (!att_dir_has(dir, "config.json"))
        status = att_err_set(err, ATT_EFORMAT, "config.json: is missing, and so is a single .gguf file in its place");
    else
        status = att_json_file(dir, "config.json", false, &model->config, err);
    if (status == ATT_OK && !att_json_is_object(model->config))
        status = att_err_set(err, ATT_EFORMAT, "%s: expected a JSON object", loading->config_file);
    if (status == ATT_OK && (status = configure(model, err)) != ATT_OK)
        return att_err_file(err, status, loading->config_file);
    if (status == ATT_OK && gguf)
        att_checkpoint_take(&loading->gguf_weights, model->arch, &loading->checkpoint);
    else if (status == ATT_OK)
        status = att_checkpoint_open(dir, model->arch, &loading->checkpoint, err);
    return status;
}

/* Opens what the directory is made of: config, checkpoint, and the adapter's base where there is one. */
static enum att_status open_parts(struct att_model *model, struct loading *loading,
                                  const struct att_model_options *options, struct att_err *err)
{
    enum att_status status = att_json_file(&loading->dir, "attend.json", true, &model->attend_json, err);
    bool adapted = att_dir_has(&loading->dir, "adapter_config.json");
    if (status == ATT_OK && model->attend_json && (status = words_check(model->attend_json, err)) != ATT_OK)
        return att_err_file(err, status, "attend.json");
    if (status == ATT_OK && att_json_get(model->attend_json, "base"))
        return (status = open_heads(model, loading, options, err)) == ATT_OK ? ATT_OK
                                                                             : att_err_file(err, status, "attend.json");
    if (status == ATT_OK && adapted)
        status = att_json_file(&loading->dir, "adapter_config.json", false, &loading->adapter_config, err);
    if (status == ATT_OK && adapted)
        status = find_base(model, loading, options, err);
    const struct att_dir *weights_dir = adapted ? &loading->base_dir : &loading->dir;
    if (status == ATT_OK)
        status = open_config(model, loading, weights_dir, err);
    if (status == ATT_OK && adapted) {
        status = att_adapter_open(&loading->dir, loading->adapter_config, model->arch, &loading->adapter, err);
        loading->checkpoint.adapter = &loading->adapter;
        loading->checkpoint.base = model->base;
    }
    return status;
}

/* Whether an earlier load read the same tensors of the same bytes: then its item table serves this one too. */
static bool is_twin(const struct att_model *model, const struct att_model *earlier)
{
    const struct att_arch_info *now = &model->arch_info, *then = &earlier->arch_info;
    return strcmp(model->info.digest, earlier->info.digest) == 0 && model->arch == earlier->arch &&
           now->vocab_size == then->vocab_size && now->hidden_size == then->hidden_size &&
           now->max_tokens == then->max_tokens;
}

/* Before the weights are read: where a recommender's tables come from, and where they go. */
static enum att_status tables_find(const struct att_model_options *options, struct att_model *model,
                                   struct att_checkpoint *checkpoint, struct att_err *err)
{
    enum att_status status = ATT_OK;
    if (!model->arch->items)
        return ATT_OK;
    checkpoint->place = options->place;
    if (options->earlier)
        status = att_weights_digest(&checkpoint->weights, model->info.digest, err);
    if (status == ATT_OK && options->earlier && is_twin(model, options->earlier))
        checkpoint->twin = options->earlier;
    return status;
}

/* A recommender with many items finds its best ones by a copy of their table in 8 bits. */
static enum att_status scan_load(struct att_model *model, const struct att_checkpoint *checkpoint, struct att_err *err)
{
    const float *bias = NULL;
    const size_t n = model->arch_info.vocab_size;
    const struct att_model *twin = checkpoint->twin;
    if (!model->arch->items || n <= ATT_SCAN_ITEMS_MIN || model->arch_info.hidden_size > ATT_SCAN_K_MAX)
        return ATT_OK;
    const struct att_table *items = model->arch->items(model->state, &bias);
    enum att_status status = ATT_OK;
    if (twin && twin->scan && att_scan_has_bias(twin->scan) == (bias != NULL))
        model->scan = att_scan_ref(twin->scan);
    else
        status = att_scan_create(n, items->cols, items->data, bias, checkpoint->place, &model->scan, err);
    if (status != ATT_OK)
        return status;
    model->info.weight_bytes += att_scan_bytes(model->scan);
    model->info.mapped_bytes = (items->bulk.in_file ? items->bulk.bytes : 0) +
                               (att_scan_in_file(model->scan) ? att_scan_bytes(model->scan) : 0);
    att_bulk_rest(&items->bulk);
    return ATT_OK;
}

static enum att_status load(struct att_model *model, struct loading *loading, const char *dir,
                            const struct att_model_options *options, struct att_err *err)
{
    enum att_status status = open_parts(model, loading, options, err);
    if (status != ATT_OK)
        return status;
    if (options->dtype != ATT_F32 && (model->arch_info.generates || model->arch_info.scores_items))
        return att_err_set(err, ATT_EUNSUPPORTED, "dtype: is %s, expected f32: %s is no encoder of text",
                           att_dtype_name(options->dtype), model->arch->model_type);
    bool adapted = model->base && !model->borrowed;
    struct att_weights *own = adapted ? &loading->adapter.weights : &loading->checkpoint.weights;
    model->info.hidden_size = model->arch_info.hidden_size;
    model->info.limit_tokens = model->arch_info.max_tokens;
    model->info.max_tokens =
        model->arch_info.trained_tokens ? model->arch_info.trained_tokens : model->arch_info.max_tokens;
    if (!model->borrowed)
        status = tables_find(options, model, &loading->checkpoint, err);
    if (status == ATT_OK && !model->borrowed)
        status = weights_load(model, loading, err);
    if (status == ATT_OK)
        status = tokenizer_load(model, &loading->dir, err);
    if (status == ATT_OK)
        status = att_heads_load(model, own, adapted ? "base_model.model." : "", err);
    if (status == ATT_OK)
        status = att_pooling_load(model, &loading->dir, own, err);
    if (status == ATT_OK && model->borrowed && own->n_shards == 0)
        status = att_err_set(err, ATT_EFORMAT,
                             "attend.json: base: expected heads of its own, or a Dense module in modules.json");
    if (status == ATT_OK)
        status = att_prompts_load(model, &loading->dir, err);
    if (status == ATT_OK && model->arch_info.scores_items)
        status = att_history_load(model, err);
    if (status == ATT_OK && adapted)
        status = att_adapter_check_used(&loading->adapter, err);
    if (status == ATT_OK && !adapted)
        status = report_unused(model, own, err);
    if (status == ATT_OK && !model->info.digest[0])
        status = att_weights_digest(own, model->info.digest, err);
    if (status == ATT_OK)
        status = scan_load(model, &loading->checkpoint, err);
    if (status == ATT_OK)
        status = info_fill(model, dir, err);
    return status;
}

enum att_status att_model_load(const char *dir, const struct att_model_options *options, struct att_model **ret_model,
                               struct att_err *err)
{
    assert(dir && options && ret_model);
    struct loading loading = {.dir = {.fd = -1}, .base_dir = {.fd = -1}};
    struct att_model *model = att_mem_calloc(1, sizeof *model);
    if (!model)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    atomic_init(&model->refs, 1);
    model->arch_info.dtype = options->dtype;
    att_arena_init(&model->arena, ARENA_MAX);
    enum att_status status = att_dir_open(dir, &loading.dir, err);
    if (status == ATT_OK)
        status = load(model, &loading, dir, options, err);
    loading_finish(&loading);
    if (status != ATT_OK)
        att_model_unref(model);
    else
        *ret_model = model;
    return status;
}

struct att_model *att_model_ref(struct att_model *model)
{
    assert(model);
    atomic_fetch_add(&model->refs, 1);
    return model;
}

void att_model_unref(struct att_model *model)
{
    if (!model || atomic_fetch_sub(&model->refs, 1) != 1)
        return;
    for (size_t k = 0; !model->borrowed && k < ATT_ARCH_STACKS; k++) {
        for (size_t i = 0; model->layers[k] && i < stored_layers(model, k); i++)
            att_slots_finish(model->arch->stacks[k].slots, model->arch->stacks[k].n_slots, layer_at(model, k, i));
        att_mem_free(model->layers[k]);
    }
    for (size_t i = 0; !model->borrowed && model->state && i < ATT_ARCH_SETS; i++)
        att_slots_finish(model->arch_info.sets[i].slots, model->arch_info.sets[i].n_slots, model->state);
    if (!model->borrowed)
        att_mem_free(model->state);
    att_pages_finish(&model->pages);
    att_linear_finish(&model->heads);
    for (size_t i = 0; !model->dense_borrowed && i < model->n_dense; i++)
        att_linear_finish(&model->dense[i].linear);
    att_scan_unref(model->scan);
    if (!model->tokenizer_borrowed)
        att_tokenizer_destroy(model->tokenizer);
    att_json_destroy(model->config);
    att_json_destroy(model->attend_json);
    att_arena_finish(&model->arena);
    att_model_unref(model->base);
    att_mem_free(model);
}

const struct att_model_info *att_model_info(const struct att_model *model)
{
    return &model->info;
}

const struct att_tokenizer *att_model_tokenizer(const struct att_model *model)
{
    return model->tokenizer;
}
