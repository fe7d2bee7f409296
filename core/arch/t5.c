/*
 * T5 and T5 v1.1 (Raffel et al. 2020): RMSNorm before each sub-layer, no biases,
 * scores without 1/sqrt(d), and a relative bias that all layers of a stack share.
 *
 *   encoder layer:  x = x + Wo·MHA(RMSNorm(x), relative);  x = x + FF(RMSNorm(x))
 *   decoder layer:  y = y + Wo·MHA(RMSNorm(y), causal, relative)
 *                   y = y + Wo·MHA(RMSNorm(y), memory);    y = y + FF(RMSNorm(y))
 *   FF(a) = W2·act(W1·a), or gated W2·(act(W1·a)·W3·a)
 *   memory = RMSNorm(x);  logits = Wlm·RMSNorm(y) [/ sqrt(d_model)]
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/arch/arch.h"
#include "core/arch/config.h"
#include "core/ops/embedding.h"
#include "core/ops/feed_forward.h"
#include "core/ops/norm.h"
#include "core/ops/relative.h"

enum { LAYERS_MAX = 256, HIDDEN_MAX = 65536, VOCAB_MAX = 1 << 22, TOKENS = 4096, BUCKETS_MAX = 1024 };

enum { HIDDEN, INNER, VOCAB, ATTENTION, BUCKETS, HEADS, PLAIN, GATED };

struct t5_attention {
    float *norm;
    struct att_linear query, key_value, output;
};

struct t5_inner {
    float *norm;
    struct att_linear gate, up, down;
};

struct t5_encoder_layer {
    struct t5_attention self;
    struct t5_inner inner;
};

struct t5_decoder_layer {
    struct t5_attention self, cross;
    struct t5_inner inner;
};

struct t5 {
    struct att_table *shared, *encoder_bias, *decoder_bias;
    float *encoder_norm, *decoder_norm;
    struct att_linear lm_head;
    struct att_mha encoder, decoder, cross;
    enum att_act act;
    size_t buckets, max_distance;
    bool gated;
    float eps, logits_scale;
};

#define SELF(type, stack)                                                                                              \
    ATT_VECTOR(type, self.norm, HIDDEN, stack ".block.#.layer.0.layer_norm.weight"),                                   \
        ATT_LINEAR_BIASED(type, self.query, ATTENTION, HIDDEN, ATT_NO_BIAS,                                            \
                          stack ".block.#.layer.0.SelfAttention.q.*"),                                                 \
        ATT_LINEAR_BIASED(type, self.key_value, ATTENTION, HIDDEN, ATT_NO_BIAS,                                        \
                          stack ".block.#.layer.0.SelfAttention.k.*", stack ".block.#.layer.0.SelfAttention.v.*"),     \
        ATT_LINEAR_BIASED(type, self.output, HIDDEN, ATTENTION, ATT_NO_BIAS,                                           \
                          stack ".block.#.layer.0.SelfAttention.o.*")

#define INNER_SLOTS(type, layer)                                                                                       \
    ATT_VECTOR(type, inner.norm, HIDDEN, layer ".layer_norm.weight"),                                                  \
        ATT_LINEAR_WHEN(PLAIN, type, inner.up, INNER, HIDDEN, ATT_NO_BIAS, layer ".DenseReluDense.wi.*"),              \
        ATT_LINEAR_WHEN(GATED, type, inner.gate, INNER, HIDDEN, ATT_NO_BIAS, layer ".DenseReluDense.wi_0.*"),          \
        ATT_LINEAR_WHEN(GATED, type, inner.up, INNER, HIDDEN, ATT_NO_BIAS, layer ".DenseReluDense.wi_1.*"),            \
        ATT_LINEAR_BIASED(type, inner.down, HIDDEN, INNER, ATT_NO_BIAS, layer ".DenseReluDense.wo.*")

static const struct att_slot encoder_slots[] = {
    SELF(struct t5_encoder_layer, "encoder"),
    INNER_SLOTS(struct t5_encoder_layer, "encoder.block.#.layer.1"),
};

static const struct att_slot decoder_slots[] = {
    SELF(struct t5_decoder_layer, "decoder"),
    ATT_VECTOR(struct t5_decoder_layer, cross.norm, HIDDEN, "decoder.block.#.layer.1.layer_norm.weight"),
    ATT_LINEAR_BIASED(struct t5_decoder_layer, cross.query, ATTENTION, HIDDEN, ATT_NO_BIAS,
                      "decoder.block.#.layer.1.EncDecAttention.q.*"),
    ATT_LINEAR_BIASED(struct t5_decoder_layer, cross.key_value, ATTENTION, HIDDEN, ATT_NO_BIAS,
                      "decoder.block.#.layer.1.EncDecAttention.k.*", "decoder.block.#.layer.1.EncDecAttention.v.*"),
    ATT_LINEAR_BIASED(struct t5_decoder_layer, cross.output, HIDDEN, ATTENTION, ATT_NO_BIAS,
                      "decoder.block.#.layer.1.EncDecAttention.o.*"),
    INNER_SLOTS(struct t5_decoder_layer, "decoder.block.#.layer.2"),
};

static const struct att_slot model_slots[] = {
    ATT_TABLE(struct t5, shared, VOCAB, HIDDEN, "shared.weight"),
    ATT_TABLE(struct t5, encoder_bias, BUCKETS, HEADS,
              "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
    ATT_VECTOR(struct t5, encoder_norm, HIDDEN, "encoder.final_layer_norm.weight"),
};

static const struct att_slot target_slots[] = {
    ATT_TABLE(struct t5, decoder_bias, BUCKETS, HEADS,
              "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
    ATT_VECTOR(struct t5, decoder_norm, HIDDEN, "decoder.final_layer_norm.weight"),
};

static const struct att_slot head_slots[] = {
    ATT_LINEAR_BIASED(struct t5, lm_head, VOCAB, HIDDEN, ATT_NO_BIAS, "lm_head.*"),
};

/* v1.0 ties the head to the words, v1.1 has its own; both may be missing from a file where they are tied. */
static const char *const aliases[][2] = {
    {"lm_head.weight", "shared.weight"},
    {"shared.weight", "encoder.embed_tokens.weight"},
    {NULL, NULL},
};

/* "relu", "gated-gelu" (whose gelu is the tanh form), "gated-silu". */
static enum att_status configure_inner(const struct att_json *config, struct t5 *model, struct att_err *err)
{
    static const struct {
        const char *name;
        enum att_act act;
        bool gated;
    } kinds[] = {{"relu", ATT_ACT_RELU, false},           {"gelu", ATT_ACT_GELU, false},
                 {"gelu_new", ATT_ACT_GELU_TANH, false},  {"silu", ATT_ACT_SILU, false},
                 {"gated-gelu", ATT_ACT_GELU_TANH, true}, {"gated-relu", ATT_ACT_RELU, true},
                 {"gated-silu", ATT_ACT_SILU, true}};
    const struct att_json *field = att_json_get(config, "feed_forward_proj");
    const char *name = field ? att_json_string(field, NULL) : "relu";
    for (size_t i = 0; name && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0) {
            model->act = kinds[i].act;
            model->gated = kinds[i].gated;
            return ATT_OK;
        }
    return att_err_set(err, ATT_EUNSUPPORTED,
                       "feed_forward_proj: '%s' is not known, expected relu, gelu, gated-gelu, gated-relu or "
                       "gated-silu",
                       name ? name : att_json_type_name(field));
}

static enum att_status configure_sizes(const struct att_json *config, struct t5 *model, struct att_arch_info *info,
                                       struct att_err *err)
{
    const struct att_config_field fields[] = {
        {"d_model", 1, HIDDEN_MAX, SIZE_MAX, &info->hidden_size},
        {"num_layers", 1, LAYERS_MAX, SIZE_MAX, &info->n_layers},
        {"num_heads", 1, HIDDEN_MAX, SIZE_MAX, &info->n_heads},
        {"d_kv", 1, 1024, SIZE_MAX, &info->head_dim},
        {"d_ff", 1, 8 * HIDDEN_MAX, SIZE_MAX, &info->intermediate_size},
        {"vocab_size", 1, VOCAB_MAX, SIZE_MAX, &info->vocab_size},
        {"relative_attention_num_buckets", 4, BUCKETS_MAX, ATT_RELATIVE_BUCKETS, &model->buckets},
        {"relative_attention_max_distance", 2, 1 << 20, ATT_RELATIVE_DISTANCE, &model->max_distance},
    };
    enum att_status status = att_config_sizes(config, fields, sizeof fields / sizeof *fields, err);
    if (status == ATT_OK)
        status =
            att_config_size(config, "num_decoder_layers", 1, LAYERS_MAX, info->n_layers, &info->n_decoder_layers, err);
    if (status == ATT_OK && model->max_distance <= model->buckets / 2)
        return att_err_set(err, ATT_EFORMAT,
                           "relative_attention_max_distance: is %zu, expected more than half of %zu buckets",
                           model->max_distance, model->buckets);
    return status;
}

/* transformers 5 writes scale_decoder_outputs; before it, untied embeddings meant unscaled logits. */
static enum att_status configure_scale(const struct att_json *config, struct t5 *model, size_t hidden,
                                       struct att_err *err)
{
    bool tied = true, scaled = true;
    enum att_status status = att_config_bool(config, "tie_word_embeddings", true, &tied, err);
    if (status == ATT_OK)
        status = att_config_bool(config, "scale_decoder_outputs", tied, &scaled, err);
    model->logits_scale = scaled ? 1.0f / sqrtf((float)hidden) : 1.0f;
    return status;
}

static enum att_status configure(const struct att_json *config, void *state, struct att_arch_info *info,
                                 struct att_err *err)
{
    struct t5 *model = state;
    const char *name = info->class_name;
    bool encoder_only = strcmp(name, "T5EncoderModel") == 0;
    enum att_status status = configure_sizes(config, model, info, err);
    if (status == ATT_OK)
        status = configure_inner(config, model, err);
    if (status == ATT_OK)
        status = configure_scale(config, model, info->hidden_size, err);
    if (status == ATT_OK)
        status = att_config_float(config, "layer_norm_epsilon", 0, 1, 1e-6, &model->eps, err);
    if (status != ATT_OK)
        return status;
    info->generates = !*name || strcmp(name, "T5ForConditionalGeneration") == 0;
    if (!info->generates && !encoder_only && strcmp(name, "T5Model") != 0)
        return att_err_set(err, ATT_EUNSUPPORTED,
                           "architectures: '%s' is not known, expected T5ForConditionalGeneration, T5Model or "
                           "T5EncoderModel",
                           name);
    info->max_tokens = TOKENS;
    info->n_decoder_layers = encoder_only ? 0 : info->n_decoder_layers;
    info->n_decoder_heads = info->n_kv_heads = info->n_heads;
    info->target_vocab_size = info->vocab_size;
    model->encoder =
        (struct att_mha){.n_heads = info->n_heads, .n_kv_heads = info->n_heads, .head_dim = info->head_dim, .scale = 1};
    model->cross = model->decoder = model->encoder;
    model->decoder.causal = true;
    info->dims[HIDDEN] = info->hidden_size;
    info->dims[INNER] = info->intermediate_size;
    info->gated = model->gated;
    info->dims[VOCAB] = info->vocab_size;
    info->dims[ATTENTION] = info->n_heads * info->head_dim;
    info->dims[BUCKETS] = model->buckets;
    info->dims[HEADS] = info->n_heads;
    info->dims[PLAIN] = !model->gated;
    info->dims[GATED] = model->gated;
    info->sets[0].slots = model_slots;
    info->sets[0].n_slots = sizeof model_slots / sizeof *model_slots;
    info->sets[1].slots = target_slots;
    info->sets[1].n_slots = encoder_only ? 0 : sizeof target_slots / sizeof *target_slots;
    info->sets[2].slots = head_slots;
    info->sets[2].n_slots = info->generates ? 1 : 0;
    return ATT_OK;
}

struct buffers {
    float *x, *a;     /* [tokens][hidden] */
    float *query;     /* [tokens][heads * head_dim] */
    float *key_value; /* [tokens][2 * heads * head_dim] */
    float *context;   /* [tokens][heads * head_dim] */
    float *memory;    /* [tokens][hidden] */
    float *bias;      /* [heads][2 * longest] */
};

static void plan(const void *state, const struct att_arch_info *info, const struct att_arch_limits *limits,
                 struct att_scratch *scratch, void *buffers)
{
    const struct t5 *model = state;
    struct buffers *b = buffers;
    size_t hidden = info->hidden_size, tokens = limits->max_tokens, width = info->n_heads * info->head_dim;
    size_t longest = tokens < info->max_tokens ? tokens : info->max_tokens;
    size_t longest_key = limits->max_past > longest ? limits->max_past : longest;
    b->x = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->a = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->query = att_scratch_take(scratch, tokens * width, sizeof(float));
    b->key_value = att_scratch_take(scratch, tokens * 2 * width, sizeof(float));
    b->context = att_scratch_take(scratch, tokens * width, sizeof(float));
    b->memory = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->bias = att_scratch_take(scratch, info->n_heads * 2 * longest_key, sizeof(float));
    att_scratch_need(scratch, att_mha_space(&model->encoder, longest, longest_key));
    att_scratch_need(scratch, att_feed_forward_space(info->intermediate_size, hidden));
}

/* What the three kinds of attention share: x = x + output(attention). */
static void attend(const struct att_mha *mha, const struct t5_attention *attention, const struct att_arch_info *info,
                   const struct att_arch_batch *batch, struct att_mha_call *call, const struct buffers *b)
{
    size_t width = info->n_heads * info->head_dim, hidden = info->hidden_size;
    call->cu_query = batch->cu_seqlens;
    call->n_seqs = batch->n_seqs;
    call->query = b->query;
    call->query_ld = width;
    call->value = call->key + width;
    call->kv_ld = 2 * width;
    call->out = b->context;
    call->out_ld = width;
    call->longest_query = batch->longest;
    att_mha_run(batch->team, mha, call);
    att_linear_run(batch->team, &attention->output, batch->n_tokens, b->context, width, b->x, hidden, ATT_ACT_NONE,
                   b->x, hidden);
}

static void attend_self(const struct t5 *model, const struct att_mha *mha, const struct t5_attention *attention,
                        const struct att_arch_info *info, const struct att_arch_batch *batch,
                        const struct att_mha_bias *bias, const struct att_attention_sink *sink, size_t index,
                        const struct buffers *b)
{
    size_t n = batch->n_tokens, width = info->n_heads * info->head_dim, hidden = info->hidden_size;
    struct att_kv_cache *cache = batch->past.cache;
    att_rms_norm_run(attention->norm, n, hidden, model->eps, b->x, hidden, b->a, hidden);
    att_linear_run(batch->team, &attention->query, n, b->a, hidden, b->query, width, ATT_ACT_NONE, NULL, 0);
    att_linear_run(batch->team, &attention->key_value, n, b->a, hidden, b->key_value, 2 * width, ATT_ACT_NONE, NULL, 0);
    for (size_t s = 0; cache && s < batch->n_seqs; s++) {
        const float *key = b->key_value + batch->cu_seqlens[s] * 2 * width;
        att_kv_cache_append(cache, index, s, batch->cu_seqlens[s + 1] - batch->cu_seqlens[s], key, key + width,
                            2 * width);
    }
    struct att_mha_call call = {.key = b->key_value, .cache = cache, .bias = bias, .sink = sink, .layer = index};
    call.longest_key = cache ? cache->max_len : batch->longest;
    attend(mha, attention, info, batch, &call, b);
}

static void attend_memory(const struct t5 *model, const struct t5_attention *attention,
                          const struct att_arch_info *info, const struct att_arch_batch *batch,
                          const struct att_attention_sink *sink, size_t index, const struct buffers *b)
{
    const struct att_arch_past *past = &batch->past;
    size_t n = batch->n_tokens, width = info->n_heads * info->head_dim, hidden = info->hidden_size;
    if (!past->cross)
        att_linear_run(batch->team, &attention->key_value, past->memory_tokens, past->memory, hidden, b->key_value,
                       2 * width, ATT_ACT_NONE, NULL, 0);
    att_rms_norm_run(attention->norm, n, hidden, model->eps, b->x, hidden, b->a, hidden);
    att_linear_run(batch->team, &attention->query, n, b->a, hidden, b->query, width, ATT_ACT_NONE, NULL, 0);
    struct att_mha_call call = {
        .key = b->key_value,
        .cu_key = past->cu_memory,
        .memory = past->cross,
        .memory_len = past->cross_len,
        .sink = sink,
        .layer = index,
        .longest_key = past->longest_memory,
    };
    attend(&model->cross, attention, info, batch, &call, b);
}

static void run_inner(const struct t5 *model, const struct t5_inner *inner, const struct att_arch_info *info,
                      const struct att_arch_batch *batch, const struct buffers *b)
{
    const struct att_feed_forward part = {
        .gate = model->gated ? &inner->gate : NULL, .up = &inner->up, .down = &inner->down, .act = model->act};
    size_t n = batch->n_tokens, hidden = info->hidden_size;
    att_rms_norm_run(inner->norm, n, hidden, model->eps, b->x, hidden, b->a, hidden);
    att_feed_forward_run(batch->team, &part, n, b->a, hidden, b->x, hidden, b->x, hidden);
}

static void forward(const void *state, const void *layers, const struct att_arch_info *info,
                    const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                    struct att_arch_output *output)
{
    const struct t5 *model = state;
    const struct t5_encoder_layer *layer = layers;
    const struct buffers *b = buffers;
    size_t n = batch->n_tokens, hidden = info->hidden_size;
    struct att_mha_bias bias;
    assert(n > 0);
    att_relative_bias(model->encoder_bias, true, model->buckets, model->max_distance, batch->longest, b->bias, &bias);
    att_embedding_set(model->shared, n, batch->ids, 1.0f, b->x);
    for (size_t i = 0; i < info->n_layers; i++) {
        if (tap && tap->hidden)
            tap->hidden(tap->context, i, b->x, n, hidden);
        attend_self(model, &model->encoder, &layer[i].self, info, batch, &bias, tap ? &tap->attention : NULL, i, b);
        run_inner(model, &layer[i].inner, info, batch, b);
    }
    att_rms_norm_run(model->encoder_norm, n, hidden, model->eps, b->x, hidden, b->memory, hidden);
    if (tap && tap->hidden)
        tap->hidden(tap->context, info->n_layers, b->memory, n, hidden);
    output->hidden = b->memory;
}

static void decode(const void *state, const void *layers, const struct att_arch_info *info,
                   const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                   struct att_arch_output *output)
{
    const struct t5 *model = state;
    const struct t5_decoder_layer *layer = layers;
    const struct buffers *b = buffers;
    size_t n = batch->n_tokens, hidden = info->hidden_size, longest = batch->longest;
    struct att_mha_bias bias;
    assert(n > 0 && (batch->past.cu_memory || batch->past.cross));
    for (size_t s = 0; batch->past.cache && s < batch->n_seqs; s++) {
        size_t len = batch->past.cache->len[s] + batch->cu_seqlens[s + 1] - batch->cu_seqlens[s];
        longest = len > longest ? len : longest;
    }
    att_relative_bias(model->decoder_bias, false, model->buckets, model->max_distance, longest, b->bias, &bias);
    att_embedding_set(model->shared, n, batch->ids, 1.0f, b->x);
    for (size_t i = 0; i < info->n_decoder_layers; i++) {
        if (tap && tap->hidden)
            tap->hidden(tap->context, i, b->x, n, hidden);
        attend_self(model, &model->decoder, &layer[i].self, info, batch, &bias, tap ? &tap->attention : NULL, i, b);
        attend_memory(model, &layer[i].cross, info, batch, tap ? &tap->cross : NULL, i, b);
        run_inner(model, &layer[i].inner, info, batch, b);
    }
    att_rms_norm_run(model->decoder_norm, n, hidden, model->eps, b->x, hidden, b->x, hidden);
    if (tap && tap->hidden)
        tap->hidden(tap->context, info->n_decoder_layers, b->x, n, hidden);
    output->hidden = b->x;
}

static void cross(const void *state, const void *layers, size_t layer, size_t n, const float *memory, float *out)
{
    (void)state;
    const struct att_linear *linear = &((const struct t5_decoder_layer *)layers)[layer].cross.key_value;
    att_linear_run(NULL, linear, n, memory, linear->k, out, linear->n, ATT_ACT_NONE, NULL, 0);
}

static void lm_logits(const void *state, const struct att_arch_info *info, struct att_team *team, size_t n,
                      const float *hidden, float *logits)
{
    const struct t5 *model = state;
    att_linear_run(team, &model->lm_head, n, hidden, info->hidden_size, logits, info->vocab_size, ATT_ACT_NONE, NULL,
                   0);
    for (size_t i = 0; model->logits_scale != 1.0f && i < n * info->vocab_size; i++)
        logits[i] *= model->logits_scale;
}

const struct att_arch att_arch_t5 = {
    .model_type = "t5",
    .prefix = "",
    .aliases = aliases,
    .state_bytes = sizeof(struct t5),
    .stacks = {{sizeof(struct t5_encoder_layer), encoder_slots, sizeof encoder_slots / sizeof *encoder_slots},
               {sizeof(struct t5_decoder_layer), decoder_slots, sizeof decoder_slots / sizeof *decoder_slots}},
    .configure = configure,
    .buffers_bytes = sizeof(struct buffers),
    .plan = plan,
    .forward = forward,
    .decode = decode,
    .cross = cross,
    .lm_logits = lm_logits,
};
