/* The forward pass of Llama-shaped decoders; see rotary_decoder.h. */
#include "core/arch/rotary_decoder.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/arch/config.h"
#include "core/arch/rope_config.h"
#include "core/ops/embedding.h"
#include "core/ops/feed_forward.h"
#include "core/ops/norm.h"

enum { HIDDEN_MAX = 65536, VOCAB_MAX = 1 << 22, TOKENS_MAX = 1 << 24, HEAD_DIM_MAX = 1024 };

enum { HIDDEN, INTERMEDIATE, VOCAB, QUERY, KEY_VALUE, HEAD_DIM, QKV_BIAS, OUTPUT_BIAS, MLP_BIAS, HEAD_NORMS };

static const struct att_slot model_slots[] = {
    ATT_WORDS(struct att_rotary, word, VOCAB, HIDDEN, "embed_tokens.weight"),
    ATT_VECTOR(struct att_rotary, final_norm, HIDDEN, "norm.weight"),
};

static const struct att_slot own_head_slots[] = {
    ATT_LINEAR_BIASED(struct att_rotary, lm_head, VOCAB, HIDDEN, ATT_NO_BIAS, "lm_head.*"),
};

static const struct att_slot tied_head_slots[] = {
    ATT_LINEAR_BIASED(struct att_rotary, lm_head, VOCAB, HIDDEN, ATT_NO_BIAS, "tied_lm_head.*"),
};

/* Some files hold the tied matrix under both names. */
const char *const att_rotary_aliases[][2] = {
    {"tied_lm_head.weight", "lm_head.weight"},
    {"tied_lm_head.weight", "embed_tokens.weight"},
    {NULL, NULL},
};

const struct att_slot att_rotary_layer_slots[ATT_ROTARY_LAYER_SLOTS] = {
    ATT_VECTOR(struct att_rotary_layer, attention_norm, HIDDEN, "layers.#.input_layernorm.weight"),
    ATT_LINEAR_BIASED(struct att_rotary_layer, query, QUERY, HIDDEN, ATT_BIAS_IF(QKV_BIAS),
                      "layers.#.self_attn.q_proj.*"),
    ATT_LINEAR_BIASED(struct att_rotary_layer, key_value, KEY_VALUE, HIDDEN, ATT_BIAS_IF(QKV_BIAS),
                      "layers.#.self_attn.k_proj.*", "layers.#.self_attn.v_proj.*"),
    ATT_LINEAR_BIASED(struct att_rotary_layer, attention_output, HIDDEN, QUERY, ATT_BIAS_IF(OUTPUT_BIAS),
                      "layers.#.self_attn.o_proj.*"),
    {.kind = ATT_SLOT_VECTOR,
     .offset = offsetof(struct att_rotary_layer, query_norm),
     .patterns = {"layers.#.self_attn.q_norm.weight"},
     .rows = HEAD_DIM,
     .when = ATT_WHEN(HEAD_NORMS)},
    {.kind = ATT_SLOT_VECTOR,
     .offset = offsetof(struct att_rotary_layer, key_norm),
     .patterns = {"layers.#.self_attn.k_norm.weight"},
     .rows = HEAD_DIM,
     .when = ATT_WHEN(HEAD_NORMS)},
    ATT_VECTOR(struct att_rotary_layer, mlp_norm, HIDDEN, "layers.#.post_attention_layernorm.weight"),
    ATT_LINEAR_BIASED(struct att_rotary_layer, gate, INTERMEDIATE, HIDDEN, ATT_BIAS_IF(MLP_BIAS),
                      "layers.#.mlp.gate_proj.*"),
    ATT_LINEAR_BIASED(struct att_rotary_layer, up, INTERMEDIATE, HIDDEN, ATT_BIAS_IF(MLP_BIAS),
                      "layers.#.mlp.up_proj.*"),
    ATT_LINEAR_BIASED(struct att_rotary_layer, down, HIDDEN, INTERMEDIATE, ATT_BIAS_IF(MLP_BIAS),
                      "layers.#.mlp.down_proj.*"),
};

static enum att_status configure_sizes(const struct att_json *config, struct att_arch_info *info, struct att_err *err)
{
    const struct att_config_field fields[] = {
        {"hidden_size", 1, HIDDEN_MAX, SIZE_MAX, &info->hidden_size},
        {"num_hidden_layers", 1, ATT_ROTARY_LAYERS_MAX, SIZE_MAX, &info->n_layers},
        {"num_attention_heads", 1, HIDDEN_MAX, SIZE_MAX, &info->n_heads},
        {"intermediate_size", 1, 8 * HIDDEN_MAX, SIZE_MAX, &info->intermediate_size},
        {"vocab_size", 1, VOCAB_MAX, SIZE_MAX, &info->vocab_size},
        {"max_position_embeddings", 1, TOKENS_MAX, 2048, &info->max_tokens},
    };
    enum att_status status = att_config_sizes(config, fields, sizeof fields / sizeof *fields, err);
    if (status == ATT_OK)
        status =
            att_config_size(config, "num_key_value_heads", 1, info->n_heads, info->n_heads, &info->n_kv_heads, err);
    if (status == ATT_OK)
        status = att_config_heads("num_key_value_heads", info->n_heads, info->n_kv_heads, err);
    if (status != ATT_OK)
        return status;
    if (info->hidden_size % info->n_heads != 0 && !att_json_get(config, "head_dim"))
        return att_err_set(err, ATT_EFORMAT, "num_attention_heads: is %zu, expected a divisor of hidden_size %zu",
                           info->n_heads, info->hidden_size);
    return att_config_size(config, "head_dim", 1, HEAD_DIM_MAX, info->hidden_size / info->n_heads, &info->head_dim,
                           err);
}

/* Which layers see a window alone. */
static enum att_status configure_windows(const struct att_rotary_family *family, const struct att_json *config,
                                         struct att_rotary *model, const struct att_arch_info *info,
                                         struct att_err *err)
{
    const struct att_json *types = att_json_get(config, "layer_types");
    size_t window = 0, first = info->n_layers;
    bool used = false;
    enum att_status status = att_config_size(config, "sliding_window", 1, TOKENS_MAX, 0, &window, err);
    if (status == ATT_OK)
        status = att_config_bool(config, "use_sliding_window", family->every_layer_local, &used, err);
    if (status == ATT_OK && used && !family->every_layer_local)
        status = att_config_size(config, "max_window_layers", 0, TOKENS_MAX, 28, &first, err);
    if (status != ATT_OK)
        return status;
    if (types && att_json_type(types) != ATT_JSON_NULL && att_json_count(types) != info->n_layers)
        return att_err_set(err, ATT_EFORMAT, "layer_types: has %zu entries, expected num_hidden_layers %zu",
                           att_json_count(types), info->n_layers);
    for (size_t i = 0; i < info->n_layers; i++) {
        const char *type = att_json_string(att_json_at(types, i), NULL);
        if (type && strcmp(type, "full_attention") != 0 && strcmp(type, "sliding_attention") != 0)
            return att_err_set(err, ATT_EUNSUPPORTED,
                               "layer_types[%zu]: is '%.40s', expected full_attention or sliding_attention", i, type);
        bool local = type ? strcmp(type, "sliding_attention") == 0 : used && (family->every_layer_local || i >= first);
        model->local[i] = local && window > 0;
    }
    model->mha[1].local = true;
    model->mha[1].window = window > 0 ? window - 1 : 0;
    return ATT_OK;
}

static enum att_status configure_flags(const struct att_rotary_family *family, const struct att_json *config,
                                       struct att_rotary *model, size_t *dims, bool *ret_tied, struct att_err *err)
{
    bool attention_bias = false, mlp_bias = false;
    enum att_status status = att_config_bool(config, "attention_bias", false, &attention_bias, err);
    if (status == ATT_OK)
        status = att_config_bool(config, "mlp_bias", false, &mlp_bias, err);
    if (status == ATT_OK)
        status = att_config_bool(config, "tie_word_embeddings", family->tied, ret_tied, err);
    if (status == ATT_OK)
        status = att_config_act(config, "hidden_act", ATT_ACT_SILU, &model->act, err);
    if (status == ATT_OK)
        status = att_config_float(config, "rms_norm_eps", 0, 1, 1e-6, &model->eps, err);
    dims[QKV_BIAS] = family->qkv_bias || attention_bias;
    dims[OUTPUT_BIAS] = attention_bias;
    dims[MLP_BIAS] = mlp_bias;
    dims[HEAD_NORMS] = family->head_norms;
    model->head_norms = family->head_norms;
    return status;
}

static enum att_status configure_class(const struct att_rotary_family *family, bool tied, struct att_arch_info *info,
                                       struct att_err *err)
{
    size_t len = strlen(family->class_name);
    const char *name = info->class_name;
    bool known = strncmp(name, family->class_name, len) == 0;
    if (*name && (!known || (strcmp(name + len, "Model") != 0 && strcmp(name + len, "ForCausalLM") != 0)))
        return att_err_set(err, ATT_EUNSUPPORTED, "architectures: '%s' is not known, expected %sForCausalLM or %sModel",
                           name, family->class_name, family->class_name);
    info->generates = !*name || strcmp(name + len, "ForCausalLM") == 0;
    info->sets[1].slots = tied ? tied_head_slots : own_head_slots;
    info->sets[1].n_slots = info->generates ? 1 : 0;
    return ATT_OK;
}

enum att_status att_rotary_configure(const struct att_rotary_family *family, const struct att_json *config,
                                     struct att_rotary *model, struct att_arch_info *info, struct att_err *err)
{
    bool tied = false;
    enum att_status status = att_config_must_be_bool(config, "is_causal", true, err);
    if (status == ATT_OK)
        status = configure_sizes(config, info, err);
    if (status == ATT_OK)
        status = configure_flags(family, config, model, info->dims, &tied, err);
    if (status == ATT_OK)
        status = configure_class(family, tied, info, err);
    if (status != ATT_OK)
        return status;
    const struct att_rope_fields rope = {
        .theta = "rope_theta", .default_theta = 10000, .head_dim = info->head_dim, .max_position = info->max_tokens};
    status = att_rope_configure(config, &rope, &model->rope, err);
    if (status != ATT_OK)
        return status;
    info->trained_tokens = att_rope_reach(&model->rope, info->max_tokens);
    info->max_tokens = TOKENS_MAX;
    model->mha[0] = (struct att_mha){.n_heads = info->n_heads,
                                     .n_kv_heads = info->n_kv_heads,
                                     .head_dim = info->head_dim,
                                     .scale = 1.0f / sqrtf((float)info->head_dim),
                                     .causal = true};
    model->mha[1] = model->mha[0];
    info->dims[HIDDEN] = info->hidden_size;
    info->dims[INTERMEDIATE] = info->intermediate_size;
    info->gated = true;
    info->dims[VOCAB] = info->vocab_size;
    info->dims[QUERY] = info->n_heads * info->head_dim;
    info->dims[KEY_VALUE] = info->n_kv_heads * info->head_dim;
    info->dims[HEAD_DIM] = info->head_dim;
    info->sets[0].slots = model_slots;
    info->sets[0].n_slots = sizeof model_slots / sizeof *model_slots;
    return configure_windows(family, config, model, info, err);
}

void att_rotary_plan(const void *state, const struct att_arch_info *info, const struct att_arch_limits *limits,
                     struct att_scratch *scratch, void *buffers)
{
    const struct att_rotary *model = state;
    struct att_rotary_buffers *b = buffers;
    size_t tokens = limits->max_tokens, query = info->dims[QUERY], key_value = 2 * info->dims[KEY_VALUE];
    size_t longest = tokens < info->max_tokens ? tokens : info->max_tokens;
    size_t longest_key = limits->max_past > longest ? limits->max_past : longest;
    b->x = att_scratch_take(scratch, tokens * info->hidden_size, sizeof(float));
    b->a = att_scratch_take(scratch, tokens * info->hidden_size, sizeof(float));
    b->query = att_scratch_take(scratch, tokens * query, sizeof(float));
    b->key_value = att_scratch_take(scratch, tokens * key_value, sizeof(float));
    b->context = att_scratch_take(scratch, tokens * query, sizeof(float));
    b->cosines = att_scratch_take(scratch, tokens * model->rope.dim / 2, sizeof(float));
    b->sines = att_scratch_take(scratch, tokens * model->rope.dim / 2, sizeof(float));
    att_scratch_need(scratch, att_mha_space(&model->mha[0], longest, longest_key));
    att_scratch_need(scratch, att_feed_forward_space(info->intermediate_size, info->hidden_size));
}

/* Queries, keys and values of the new tokens, turned to their places; into the cache where there is one. */
static void project(const struct att_rotary *model, const struct att_rotary_layer *layer,
                    const struct att_arch_info *info, const struct att_arch_batch *batch, size_t index,
                    const struct att_rotary_buffers *b)
{
    size_t n = batch->n_tokens, hidden = info->hidden_size, dim = info->head_dim;
    size_t query = info->n_heads * dim, width = info->n_kv_heads * dim;
    att_linear_run(batch->team, &layer->query, n, b->a, hidden, b->query, query, ATT_ACT_NONE, NULL, 0);
    att_linear_run(batch->team, &layer->key_value, n, b->a, hidden, b->key_value, 2 * width, ATT_ACT_NONE, NULL, 0);
    for (size_t h = 0; model->head_norms && h < info->n_heads; h++)
        att_rms_norm_run(layer->query_norm, n, dim, model->eps, b->query + h * dim, query, b->query + h * dim, query);
    for (size_t h = 0; model->head_norms && h < info->n_kv_heads; h++)
        att_rms_norm_run(layer->key_norm, n, dim, model->eps, b->key_value + h * dim, 2 * width, b->key_value + h * dim,
                         2 * width);
    att_rope_apply(&model->rope, n, info->n_heads, dim, b->cosines, b->sines, b->query, query);
    att_rope_apply(&model->rope, n, info->n_kv_heads, dim, b->cosines, b->sines, b->key_value, 2 * width);
    for (size_t s = 0; batch->past.cache && s < batch->n_seqs; s++) {
        const float *key = b->key_value + batch->cu_seqlens[s] * 2 * width;
        att_kv_cache_append(batch->past.cache, index, s, batch->cu_seqlens[s + 1] - batch->cu_seqlens[s], key,
                            key + width, 2 * width);
    }
}

static void run_layer(const struct att_rotary *model, const struct att_rotary_layer *layer,
                      const struct att_arch_info *info, const struct att_arch_batch *batch,
                      const struct att_arch_tap *tap, size_t index, const struct att_rotary_buffers *b)
{
    const struct att_feed_forward inner = {
        .gate = &layer->gate, .up = &layer->up, .down = &layer->down, .act = model->act};
    size_t n = batch->n_tokens, hidden = info->hidden_size;
    size_t query = info->n_heads * info->head_dim, width = info->n_kv_heads * info->head_dim;
    att_rms_norm_run(layer->attention_norm, n, hidden, model->eps, b->x, hidden, b->a, hidden);
    project(model, layer, info, batch, index, b);
    const struct att_mha_call call = {
        .cu_query = batch->cu_seqlens,
        .n_seqs = batch->n_seqs,
        .query = b->query,
        .query_ld = query,
        .key = b->key_value,
        .value = b->key_value + width,
        .kv_ld = 2 * width,
        .cache = batch->past.cache,
        .out = b->context,
        .out_ld = query,
        .sink = tap ? &tap->attention : NULL,
        .layer = index,
        .longest_query = batch->longest,
        .longest_key = batch->past.cache ? batch->past.cache->max_len : batch->longest,
    };
    att_mha_run(batch->team, &model->mha[model->local[index]], &call);
    att_linear_run(batch->team, &layer->attention_output, n, b->context, query, b->x, hidden, ATT_ACT_NONE, b->x,
                   hidden);
    att_rms_norm_run(layer->mlp_norm, n, hidden, model->eps, b->x, hidden, b->a, hidden);
    att_feed_forward_run(batch->team, &inner, n, b->a, hidden, b->x, hidden, b->x, hidden);
}

void att_rotary_forward(const void *state, const void *layers, const struct att_arch_info *info,
                        const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                        struct att_arch_output *output)
{
    const struct att_rotary *model = state;
    const struct att_rotary_layer *layer = layers;
    const struct att_rotary_buffers *b = buffers;
    size_t n = batch->n_tokens, hidden = info->hidden_size;
    assert(n > 0);
    att_rope_angles_packed(&model->rope, batch->cu_seqlens, batch->past.cache ? batch->past.cache->len : NULL,
                           batch->n_seqs, b->cosines, b->sines);
    att_embedding_set(model->word, n, batch->ids, 1.0f, b->x);
    for (size_t i = 0; i < info->n_layers; i++) {
        if (tap && tap->hidden)
            tap->hidden(tap->context, i, b->x, n, hidden);
        run_layer(model, &layer[i], info, batch, tap, i, b);
    }
    att_rms_norm_run(model->final_norm, n, hidden, model->eps, b->x, hidden, b->x, hidden);
    if (tap && tap->hidden)
        tap->hidden(tap->context, info->n_layers, b->x, n, hidden);
    output->hidden = b->x;
}

void att_rotary_logits(const void *state, const struct att_arch_info *info, struct att_team *team, size_t n,
                       const float *hidden, float *logits)
{
    const struct att_rotary *model = state;
    att_linear_run(team, &model->lm_head, n, hidden, info->hidden_size, logits, info->vocab_size, ATT_ACT_NONE, NULL,
                   0);
}
