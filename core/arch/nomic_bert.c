/*
 * Nomic BERT (Nussbaum et al. 2024): BERT with rotary positions and gated inner
 * layers, without biases in its products. Configurations of the model's own code
 * (n_embd, …) and of transformers (hidden_size, …) are read.
 *
 *   x = LayerNorm(word + segment)
 *   every layer:  a = LayerNorm(x + Wo·MHA(x))
 *                 u|g = W11|W12·a;  x = LayerNorm(a + W2·(u·act(g)))
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/arch/config.h"
#include "core/arch/firsts.h"
#include "core/arch/head.h"
#include "core/arch/rope_config.h"
#include "core/ops/embedding.h"
#include "core/ops/feed_forward.h"
#include "core/ops/norm.h"

enum { LAYERS_MAX = 128, HIDDEN_MAX = 16384, VOCAB_MAX = 1 << 22, TOKENS_MAX = 1 << 17 };

enum { HIDDEN, QKV, INTERMEDIATE, VOCAB, SEGMENTS, LABELS };

struct nomic_layer {
    struct att_linear query_key_value, attention_output, gate, up, output;
    struct att_norm attention_norm, output_norm;
};

struct nomic {
    struct att_table *word, *segment;
    struct att_norm embedding_norm;
    struct att_head head;
    struct att_mha mha;
    struct att_rope rope;
    enum att_act act;
    float eps;
};

static const struct att_slot model_slots[] = {
    ATT_WORDS(struct nomic, word, VOCAB, HIDDEN, "embeddings.word_embeddings.weight"),
    ATT_TABLE(struct nomic, segment, SEGMENTS, HIDDEN, "embeddings.token_type_embeddings.weight"),
    ATT_NORM(struct nomic, embedding_norm, HIDDEN, "emb_ln.*"),
};

static const struct att_slot layer_slots[] = {
    ATT_LINEAR_BIASED(struct nomic_layer, query_key_value, QKV, HIDDEN, ATT_NO_BIAS, "encoder.layers.#.attn.Wqkv.*"),
    ATT_LINEAR_BIASED(struct nomic_layer, attention_output, HIDDEN, HIDDEN, ATT_NO_BIAS,
                      "encoder.layers.#.attn.out_proj.*"),
    ATT_NORM(struct nomic_layer, attention_norm, HIDDEN, "encoder.layers.#.norm1.*"),
    ATT_LINEAR_BIASED(struct nomic_layer, gate, INTERMEDIATE, HIDDEN, ATT_NO_BIAS, "encoder.layers.#.mlp.fc12.*"),
    ATT_LINEAR_BIASED(struct nomic_layer, up, INTERMEDIATE, HIDDEN, ATT_NO_BIAS, "encoder.layers.#.mlp.fc11.*"),
    ATT_LINEAR_BIASED(struct nomic_layer, output, HIDDEN, INTERMEDIATE, ATT_NO_BIAS, "encoder.layers.#.mlp.fc2.*"),
    ATT_NORM(struct nomic_layer, output_norm, HIDDEN, "encoder.layers.#.norm2.*"),
};

static const struct att_slot pooler_slots[] = {
    {.kind = ATT_SLOT_LINEAR,
     .offset = offsetof(struct nomic, head.dense),
     .patterns = {"pooler.dense.*"},
     .rows = HIDDEN,
     .cols = HIDDEN,
     .optional = true},
};

static const struct att_slot sequence_slots[] = {
    ATT_LINEAR(struct nomic, head.dense, HIDDEN, HIDDEN, "pooler.dense.*"),
    ATT_LINEAR(struct nomic, head.out, LABELS, HIDDEN, "classifier.*"),
};

static const struct att_slot token_slots[] = {
    ATT_LINEAR(struct nomic, head.out, LABELS, HIDDEN, "classifier.*"),
};

static const struct att_slot masked_lm_slots[] = {
    ATT_LINEAR(struct nomic, head.dense, HIDDEN, HIDDEN, "cls.predictions.transform.dense.*"),
    ATT_NORM(struct nomic, head.norm, HIDDEN, "cls.predictions.transform.layer_norm.*"),
    ATT_LINEAR(struct nomic, head.out, VOCAB, HIDDEN, "cls.predictions.decoder.*"),
};

static const char *const aliases[][2] = {
    {"cls.predictions.decoder.weight", "embeddings.word_embeddings.weight"},
    {"cls.predictions.decoder.bias", "cls.predictions.bias"},
    {"cls.predictions.transform.layer_norm.weight", "cls.predictions.transform.LayerNorm.weight"},
    {"cls.predictions.transform.layer_norm.bias", "cls.predictions.transform.LayerNorm.bias"},
    {NULL, NULL},
};

static const struct att_head_class classes[] = {
    {.suffix = "Model",
     .kind = ATT_HEAD_NONE,
     .slots = pooler_slots,
     .n_slots = 1,
     .act = ATT_ACT_TANH,
     .is_pooler = true},
    {.suffix = "ForSequenceClassification",
     .kind = ATT_HEAD_SEQUENCE,
     .slots = sequence_slots,
     .n_slots = 2,
     .act = ATT_ACT_TANH,
     .is_pooler = true},
    {.suffix = "ForTokenClassification", .kind = ATT_HEAD_TOKEN, .slots = token_slots, .n_slots = 1},
    {.suffix = "ForMaskedLM",
     .kind = ATT_HEAD_MASKED_LM,
     .slots = masked_lm_slots,
     .n_slots = 3,
     .act_of_config = true},
};

/* The spelling of the model's own code; its other switches must have the values of the published models. */
static enum att_status configure_own(const struct att_json *config, struct nomic *model, struct att_arch_info *info,
                                     struct att_rope_fields *rope, struct att_err *err)
{
    static const struct {
        const char *field;
        bool value;
    } switches[] = {{"prenorm", false},      {"parallel_block", false}, {"qkv_proj_bias", false},
                    {"mlp_fc1_bias", false}, {"mlp_fc2_bias", false},   {"rotary_emb_interleaved", false},
                    {"use_rms_norm", false}, {"causal", false}};
    static const char *const scalings[] = {"rotary_scaling_factor", "rotary_emb_scale_base"};
    const struct att_config_field fields[] = {
        {"n_embd", 1, HIDDEN_MAX, SIZE_MAX, &info->hidden_size},
        {"n_layer", 1, LAYERS_MAX, SIZE_MAX, &info->n_layers},
        {"n_head", 1, HIDDEN_MAX, SIZE_MAX, &info->n_heads},
        {"n_inner", 1, 4 * HIDDEN_MAX, SIZE_MAX, &info->intermediate_size},
        {"n_positions", 1, TOKENS_MAX, SIZE_MAX, &info->max_tokens},
    };
    float fraction = 1;
    enum att_status status = att_config_sizes(config, fields, sizeof fields / sizeof *fields, err);
    for (size_t i = 0; status == ATT_OK && i < sizeof switches / sizeof *switches; i++)
        status = att_config_must_be_bool(config, switches[i].field, switches[i].value, err);
    for (size_t i = 0; status == ATT_OK && i < sizeof scalings / sizeof *scalings; i++)
        status = att_config_must_be_null(config, scalings[i], "positions are not scaled here", err);
    if (status == ATT_OK)
        status = att_config_must_be(config, "activation_function", "swiglu", err);
    if (status == ATT_OK)
        status = att_config_float(config, "rotary_emb_fraction", 1, 1, 1, &fraction, err);
    if (status == ATT_OK)
        status = att_config_float(config, "layer_norm_epsilon", 0, 1, 1e-12, &model->eps, err);
    model->act = ATT_ACT_SILU;
    rope->theta = "rotary_emb_base";
    rope->default_theta = 10000;
    return status;
}

static enum att_status configure_common(const struct att_json *config, struct nomic *model, struct att_arch_info *info,
                                        struct att_err *err)
{
    const struct att_config_field fields[] = {
        {"hidden_size", 1, HIDDEN_MAX, SIZE_MAX, &info->hidden_size},
        {"num_hidden_layers", 1, LAYERS_MAX, SIZE_MAX, &info->n_layers},
        {"num_attention_heads", 1, HIDDEN_MAX, SIZE_MAX, &info->n_heads},
        {"intermediate_size", 1, 4 * HIDDEN_MAX, SIZE_MAX, &info->intermediate_size},
        {"max_position_embeddings", 1, TOKENS_MAX, SIZE_MAX, &info->max_tokens},
    };
    enum att_status status = att_config_sizes(config, fields, sizeof fields / sizeof *fields, err);
    if (status == ATT_OK)
        status = att_config_act(config, "hidden_act", ATT_ACT_SILU, &model->act, err);
    if (status == ATT_OK)
        status = att_config_float(config, "layer_norm_eps", 0, 1, 1e-12, &model->eps, err);
    return status;
}

static enum att_status configure(const struct att_json *config, void *state, struct att_arch_info *info,
                                 struct att_err *err)
{
    struct nomic *model = state;
    size_t n_labels = 0;
    struct att_rope_fields rope = {.theta = "rope_theta", .default_theta = 1000};
    const struct att_config_field fields[] = {
        {"vocab_size", 1, VOCAB_MAX, SIZE_MAX, &info->vocab_size},
        {"type_vocab_size", 1, 1024, 2, &info->type_vocab_size},
    };
    enum att_status status = att_json_get(config, "n_embd") ? configure_own(config, model, info, &rope, err)
                                                            : configure_common(config, model, info, err);
    if (status == ATT_OK)
        status = att_config_sizes(config, fields, sizeof fields / sizeof *fields, err);
    if (status == ATT_OK)
        status = att_config_heads("num_attention_heads", info->hidden_size, info->n_heads, err);
    if (status != ATT_OK)
        return status;
    rope.head_dim = info->hidden_size / info->n_heads;
    rope.max_position = info->trained_tokens = info->max_tokens;
    info->max_tokens = TOKENS_MAX;
    status = att_rope_configure(config, &rope, &model->rope, err);
    if (status == ATT_OK)
        status = att_config_labels(config, &n_labels, err);
    if (status == ATT_OK)
        status = att_head_configure("NomicBert", classes, sizeof classes / sizeof *classes, model->act, n_labels, 1,
                                    &model->head, info, err);
    model->head.eps = model->eps;
    model->mha = (struct att_mha){
        .n_heads = info->n_heads, .n_kv_heads = info->n_heads, .head_dim = rope.head_dim, .dtype = info->dtype};
    model->mha.scale = 1.0f / sqrtf((float)rope.head_dim);
    info->dims[HIDDEN] = info->hidden_size;
    info->dims[QKV] = 3 * info->hidden_size;
    info->dims[INTERMEDIATE] = info->intermediate_size;
    info->gated = true;
    info->dims[VOCAB] = info->vocab_size;
    info->dims[SEGMENTS] = info->type_vocab_size;
    info->dims[LABELS] = n_labels;
    info->sets[0].slots = model_slots;
    info->sets[0].n_slots = sizeof model_slots / sizeof *model_slots;
    return status;
}

struct buffers {
    float *x, *a;           /* [tokens][hidden] */
    float *wide;            /* [tokens][3 * hidden]: query|key|value */
    float *context;         /* [tokens][hidden] */
    float *cosines, *sines; /* [tokens][head_dim / 2] */
    struct att_head_buffers head;
};

static void plan(const void *state, const struct att_arch_info *info, const struct att_arch_limits *limits,
                 struct att_scratch *scratch, void *buffers)
{
    const struct nomic *model = state;
    struct buffers *b = buffers;
    size_t hidden = info->hidden_size, tokens = limits->max_tokens;
    size_t longest = tokens < info->max_tokens ? tokens : info->max_tokens;
    b->x = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->a = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->wide = att_scratch_take(scratch, tokens * 3 * hidden, sizeof(float));
    b->context = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->cosines = att_scratch_take(scratch, tokens * model->rope.dim / 2, sizeof(float));
    b->sines = att_scratch_take(scratch, tokens * model->rope.dim / 2, sizeof(float));
    att_scratch_need(scratch, att_feed_forward_space(info->intermediate_size, hidden));
    att_scratch_need(scratch, att_mha_space(&model->mha, longest, longest));
    att_head_plan(&model->head, info, limits, scratch, &b->head);
}

static void encode(const struct nomic *model, const struct nomic_layer *layer, const struct att_arch_info *info,
                   const struct att_arch_batch *batch, const struct att_arch_tap *tap, size_t index,
                   const struct buffers *b)
{
    size_t n = batch->n_tokens, hidden = info->hidden_size;
    att_linear_run(batch->team, &layer->query_key_value, n, b->x, hidden, b->wide, 3 * hidden, ATT_ACT_NONE, NULL, 0);
    /* Queries and keys are neighbours: twice the heads. */
    att_rope_apply(&model->rope, n, 2 * info->n_heads, model->mha.head_dim, b->cosines, b->sines, b->wide, 3 * hidden);
    const struct att_mha_call call = {
        .cu_query = batch->cu_seqlens,
        .n_seqs = batch->n_seqs,
        .query = b->wide,
        .query_ld = 3 * hidden,
        .key = b->wide + hidden,
        .value = b->wide + 2 * hidden,
        .kv_ld = 3 * hidden,
        .out = b->context,
        .out_ld = hidden,
        .sink = tap ? &tap->attention : NULL,
        .layer = index,
        .longest_query = batch->longest,
        .longest_key = batch->longest,
    };
    n = att_firsts_attend(&model->mha, &call, info, batch, b->x);
    att_linear_run(batch->team, &layer->attention_output, n, b->context, hidden, b->a, hidden, ATT_ACT_NONE, b->x,
                   hidden);
    att_norm_run(&layer->attention_norm, n, hidden, model->eps, b->a, b->a);
    const struct att_feed_forward inner = {
        .gate = &layer->gate, .up = &layer->up, .down = &layer->output, .act = model->act};
    att_feed_forward_run(batch->team, &inner, n, b->a, hidden, b->x, hidden, b->a, hidden);
    att_norm_run(&layer->output_norm, n, hidden, model->eps, b->x, b->x);
    att_firsts_return(info, batch, index, b->x);
}

static void forward(const void *state, const void *layers, const struct att_arch_info *info,
                    const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                    struct att_arch_output *output)
{
    const struct nomic *model = state;
    const struct nomic_layer *layer = layers;
    const struct buffers *b = buffers;
    size_t n = batch->n_tokens, hidden = info->hidden_size;
    assert(n > 0);
    att_rope_angles_packed(&model->rope, batch->cu_seqlens, NULL, batch->n_seqs, b->cosines, b->sines);
    att_embedding_set(model->word, n, batch->ids, 1.0f, b->x);
    att_embedding_add(model->segment, n, batch->type_ids, b->x);
    att_norm_run(&model->embedding_norm, n, hidden, model->eps, b->x, b->x);
    if (tap && tap->hidden)
        tap->hidden(tap->context, 0, b->x, n, hidden);
    for (size_t i = 0; i < info->n_layers; i++) {
        encode(model, &layer[i], info, batch, tap, i, b);
        if (tap && tap->hidden)
            tap->hidden(tap->context, i + 1, b->x, n, hidden);
    }
    output->hidden = b->x;
    att_head_run(&model->head, info, batch, b->x, &b->head, output);
}

const struct att_arch att_arch_nomic_bert = {
    .model_type = "nomic_bert",
    .prefix = "nomic_bert.",
    .aliases = aliases,
    .state_bytes = sizeof(struct nomic),
    .stacks = {{sizeof(struct nomic_layer), layer_slots, sizeof layer_slots / sizeof *layer_slots}},
    .configure = configure,
    .buffers_bytes = sizeof(struct buffers),
    .plan = plan,
    .forward = forward,
};
