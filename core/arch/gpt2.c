/*
 * GPT-2 (Radford et al. 2019): learned positions, LayerNorm before each
 * sub-layer. Its products are stored transposed (Conv1D).
 *
 *   x = word + position
 *   every layer:  x = x + Wo·MHA(LayerNorm(x), causal)
 *                 x = x + W2·act(W1·LayerNorm(x))
 *   h = LayerNorm(x);  logits = word·h
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/arch/arch.h"
#include "core/arch/config.h"
#include "core/ops/embedding.h"
#include "core/ops/norm.h"

enum { LAYERS_MAX = 256, HIDDEN_MAX = 65536, VOCAB_MAX = 1 << 22, TOKENS_MAX = 1 << 17 };

enum { HIDDEN, QKV, INTERMEDIATE, VOCAB, POSITIONS };

struct gpt2_layer {
    struct att_norm attention_norm, mlp_norm;
    struct att_linear query_key_value, attention_output, intermediate, output;
};

struct gpt2 {
    struct att_table *word, *position;
    struct att_norm final_norm;
    struct att_linear lm_head;
    struct att_mha mha;
    bool scales, scales_by_layer; /* 1 / sqrt(head_dim); and by 1 / (layer + 1) */
    enum att_act act;
    float eps;
};

static const struct att_slot model_slots[] = {
    ATT_WORDS(struct gpt2, word, VOCAB, HIDDEN, "wte.weight"),
    ATT_TABLE(struct gpt2, position, POSITIONS, HIDDEN, "wpe.weight"),
    ATT_NORM(struct gpt2, final_norm, HIDDEN, "ln_f.*"),
};

static const struct att_slot head_slots[] = {
    ATT_LINEAR_BIASED(struct gpt2, lm_head, VOCAB, HIDDEN, ATT_NO_BIAS, "lm_head.*"),
};

static const struct att_slot layer_slots[] = {
    ATT_NORM(struct gpt2_layer, attention_norm, HIDDEN, "h.#.ln_1.*"),
    ATT_LINEAR_TRANSPOSED(struct gpt2_layer, query_key_value, QKV, HIDDEN, "h.#.attn.c_attn.*"),
    ATT_LINEAR_TRANSPOSED(struct gpt2_layer, attention_output, HIDDEN, HIDDEN, "h.#.attn.c_proj.*"),
    ATT_NORM(struct gpt2_layer, mlp_norm, HIDDEN, "h.#.ln_2.*"),
    ATT_LINEAR_TRANSPOSED(struct gpt2_layer, intermediate, INTERMEDIATE, HIDDEN, "h.#.mlp.c_fc.*"),
    ATT_LINEAR_TRANSPOSED(struct gpt2_layer, output, HIDDEN, INTERMEDIATE, "h.#.mlp.c_proj.*"),
};

static const char *const aliases[][2] = {{"lm_head.weight", "wte.weight"}, {NULL, NULL}};

static enum att_status configure_flags(const struct att_json *config, struct gpt2 *model, struct att_err *err)
{
    enum att_status status = att_config_act(config, "activation_function", ATT_ACT_GELU_TANH, &model->act, err);
    if (status == ATT_OK)
        status = att_config_float(config, "layer_norm_epsilon", 0, 1, 1e-5, &model->eps, err);
    if (status == ATT_OK)
        status = att_config_bool(config, "scale_attn_by_inverse_layer_idx", false, &model->scales_by_layer, err);
    if (status == ATT_OK)
        status = att_config_bool(config, "scale_attn_weights", true, &model->scales, err);
    if (status == ATT_OK)
        status = att_config_must_be_bool(config, "add_cross_attention", false, err);
    return status;
}

static enum att_status configure(const struct att_json *config, void *state, struct att_arch_info *info,
                                 struct att_err *err)
{
    struct gpt2 *model = state;
    const char *name = info->class_name;
    const struct att_config_field fields[] = {
        {"n_embd", 1, HIDDEN_MAX, SIZE_MAX, &info->hidden_size},
        {"n_layer", 1, LAYERS_MAX, SIZE_MAX, &info->n_layers},
        {"n_head", 1, HIDDEN_MAX, SIZE_MAX, &info->n_heads},
        {"vocab_size", 1, VOCAB_MAX, SIZE_MAX, &info->vocab_size},
        {"n_positions", 1, TOKENS_MAX, SIZE_MAX, &info->max_tokens},
    };
    enum att_status status = att_config_sizes(config, fields, sizeof fields / sizeof *fields, err);
    if (status == ATT_OK)
        status =
            att_config_size(config, "n_inner", 1, 8 * HIDDEN_MAX, 4 * info->hidden_size, &info->intermediate_size, err);
    if (status == ATT_OK)
        status = att_config_heads("n_head", info->hidden_size, info->n_heads, err);
    if (status == ATT_OK)
        status = configure_flags(config, model, err);
    if (status != ATT_OK)
        return status;
    if (*name && strcmp(name, "GPT2LMHeadModel") != 0 && strcmp(name, "GPT2Model") != 0)
        return att_err_set(err, ATT_EUNSUPPORTED,
                           "architectures: '%s' is not known, expected GPT2LMHeadModel or GPT2Model", name);
    info->generates = strcmp(name, "GPT2Model") != 0;
    info->n_kv_heads = info->n_heads;
    info->head_dim = info->hidden_size / info->n_heads;
    model->mha = (struct att_mha){
        .n_heads = info->n_heads, .n_kv_heads = info->n_heads, .head_dim = info->head_dim, .causal = true};
    model->mha.scale = model->scales ? 1.0f / sqrtf((float)info->head_dim) : 1.0f;
    info->dims[HIDDEN] = info->hidden_size;
    info->dims[QKV] = 3 * info->hidden_size;
    info->dims[INTERMEDIATE] = info->intermediate_size;
    info->dims[VOCAB] = info->vocab_size;
    info->dims[POSITIONS] = info->max_tokens;
    info->sets[0].slots = model_slots;
    info->sets[0].n_slots = sizeof model_slots / sizeof *model_slots;
    info->sets[1].slots = head_slots;
    info->sets[1].n_slots = info->generates ? 1 : 0;
    return ATT_OK;
}

struct buffers {
    float *x, *a;   /* [tokens][hidden] */
    float *wide;    /* [tokens][max(3 * hidden, intermediate)] */
    float *context; /* [tokens][hidden] */
};

static void plan(const void *state, const struct att_arch_info *info, const struct att_arch_limits *limits,
                 struct att_scratch *scratch, void *buffers)
{
    const struct gpt2 *model = state;
    struct buffers *b = buffers;
    size_t hidden = info->hidden_size, tokens = limits->max_tokens;
    size_t wide = 3 * hidden > info->intermediate_size ? 3 * hidden : info->intermediate_size;
    size_t longest = tokens < info->max_tokens ? tokens : info->max_tokens;
    size_t longest_key = limits->max_past > longest ? limits->max_past : longest;
    b->x = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->a = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->wide = att_scratch_take(scratch, tokens * wide, sizeof(float));
    b->context = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    att_scratch_need(scratch, att_mha_space(&model->mha, longest, longest_key));
}

static void run_layer(const struct gpt2 *model, const struct gpt2_layer *layer, const struct att_arch_info *info,
                      const struct att_arch_batch *batch, const struct att_arch_tap *tap, size_t index,
                      const struct buffers *b)
{
    size_t n = batch->n_tokens, hidden = info->hidden_size, inner = info->intermediate_size;
    struct att_kv_cache *cache = batch->past.cache;
    att_norm_run(&layer->attention_norm, n, hidden, model->eps, b->x, b->a);
    att_linear_run(batch->team, &layer->query_key_value, n, b->a, hidden, b->wide, 3 * hidden, ATT_ACT_NONE, NULL, 0);
    for (size_t s = 0; cache && s < batch->n_seqs; s++) {
        const float *key = b->wide + batch->cu_seqlens[s] * 3 * hidden + hidden;
        att_kv_cache_append(cache, index, s, batch->cu_seqlens[s + 1] - batch->cu_seqlens[s], key, key + hidden,
                            3 * hidden);
    }
    const struct att_mha_call call = {
        .cu_query = batch->cu_seqlens,
        .n_seqs = batch->n_seqs,
        .query = b->wide,
        .query_ld = 3 * hidden,
        .key = b->wide + hidden,
        .value = b->wide + 2 * hidden,
        .kv_ld = 3 * hidden,
        .cache = cache,
        .out = b->context,
        .out_ld = hidden,
        .sink = tap ? &tap->attention : NULL,
        .layer = index,
        .longest_query = batch->longest,
        .longest_key = cache ? cache->max_len : batch->longest,
    };
    struct att_mha mha = model->mha;
    if (model->scales_by_layer)
        mha.scale /= (float)(index + 1);
    att_mha_run(batch->team, &mha, &call);
    att_linear_run(batch->team, &layer->attention_output, n, b->context, hidden, b->x, hidden, ATT_ACT_NONE, b->x,
                   hidden);
    att_norm_run(&layer->mlp_norm, n, hidden, model->eps, b->x, b->a);
    att_linear_run(batch->team, &layer->intermediate, n, b->a, hidden, b->wide, inner, model->act, NULL, 0);
    att_linear_run(batch->team, &layer->output, n, b->wide, inner, b->x, hidden, ATT_ACT_NONE, b->x, hidden);
}

static void forward(const void *state, const void *layers, const struct att_arch_info *info,
                    const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                    struct att_arch_output *output)
{
    const struct gpt2 *model = state;
    const struct gpt2_layer *layer = layers;
    const struct buffers *b = buffers;
    size_t n = batch->n_tokens, hidden = info->hidden_size;
    const struct att_positions positions = {.cu_seqlens = batch->cu_seqlens,
                                            .n_seqs = batch->n_seqs,
                                            .offsets = batch->past.cache ? batch->past.cache->len : NULL};
    assert(n > 0);
    att_embedding_set(model->word, n, batch->ids, 1.0f, b->x);
    att_embedding_add_positions(model->position, &positions, b->x);
    for (size_t i = 0; i < info->n_layers; i++) {
        if (tap && tap->hidden)
            tap->hidden(tap->context, i, b->x, n, hidden);
        run_layer(model, &layer[i], info, batch, tap, i, b);
    }
    att_norm_run(&model->final_norm, n, hidden, model->eps, b->x, b->x);
    if (tap && tap->hidden)
        tap->hidden(tap->context, info->n_layers, b->x, n, hidden);
    output->hidden = b->x;
}

static void lm_logits(const void *state, const struct att_arch_info *info, struct att_team *team, size_t n,
                      const float *hidden, float *logits)
{
    const struct gpt2 *model = state;
    att_linear_run(team, &model->lm_head, n, hidden, info->hidden_size, logits, info->vocab_size, ATT_ACT_NONE, NULL,
                   0);
}

const struct att_arch att_arch_gpt2 = {
    .model_type = "gpt2",
    .prefix = "transformer.",
    .aliases = aliases,
    .state_bytes = sizeof(struct gpt2),
    .stacks = {{sizeof(struct gpt2_layer), layer_slots, sizeof layer_slots / sizeof *layer_slots}},
    .configure = configure,
    .buffers_bytes = sizeof(struct buffers),
    .plan = plan,
    .forward = forward,
    .lm_logits = lm_logits,
};
