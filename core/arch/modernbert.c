/*
 * ModernBERT (Warner et al. 2024): LayerNorm before each sub-layer, rotary
 * positions, gated inner layers, and attention that is local in two of three
 * layers.
 *
 *   x = LayerNorm(word)
 *   every layer:  x = x + Wo·MHA(LayerNorm(x))              the first layer without LayerNorm
 *                 a|g = Wi·LayerNorm(x);  x = x + W·(act(a)·g)
 *   h = LayerNorm(x)
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

enum { HIDDEN, QKV, INTERMEDIATE, VOCAB, LABELS, ATTENTION_BIAS, MLP_BIAS, NORM_BIAS, HEAD_BIAS, DECODER_BIAS };

enum attention_kind { GLOBAL, LOCAL, KINDS };

struct modernbert_layer {
    struct att_norm attention_norm, mlp_norm;
    struct att_linear query_key_value, attention_output, gate, up, output;
};

struct modernbert {
    struct att_table *word;
    struct att_norm embedding_norm, final_norm;
    struct att_head head;
    struct att_mha mha[KINDS];
    struct att_rope rope[KINDS];
    uint8_t kinds[LAYERS_MAX]; /* enum attention_kind of each layer */
    enum att_act act;
    float eps;
};

static const struct att_slot model_slots[] = {
    ATT_WORDS(struct modernbert, word, VOCAB, HIDDEN, "embeddings.tok_embeddings.weight"),
    ATT_NORM_BIASED(struct modernbert, embedding_norm, HIDDEN, ATT_BIAS_IF(NORM_BIAS), "embeddings.norm.*"),
    ATT_NORM_BIASED(struct modernbert, final_norm, HIDDEN, ATT_BIAS_IF(NORM_BIAS), "final_norm.*"),
};

static const struct att_slot layer_slots[] = {
    {.kind = ATT_SLOT_NORM,
     .offset = offsetof(struct modernbert_layer, attention_norm),
     .patterns = {"layers.#.attn_norm.*"},
     .rows = HIDDEN,
     .bias = ATT_BIAS_IF(NORM_BIAS),
     .from_second = true},
    ATT_LINEAR_BIASED(struct modernbert_layer, query_key_value, QKV, HIDDEN, ATT_BIAS_IF(ATTENTION_BIAS),
                      "layers.#.attn.Wqkv.*"),
    ATT_LINEAR_BIASED(struct modernbert_layer, attention_output, HIDDEN, HIDDEN, ATT_BIAS_IF(ATTENTION_BIAS),
                      "layers.#.attn.Wo.*"),
    ATT_NORM_BIASED(struct modernbert_layer, mlp_norm, HIDDEN, ATT_BIAS_IF(NORM_BIAS), "layers.#.mlp_norm.*"),
    ATT_LINEAR_PART_BIASED(struct modernbert_layer, gate, INTERMEDIATE, HIDDEN, ATT_BIAS_IF(MLP_BIAS),
                           "layers.#.mlp.Wi.*", 0, 1, 2),
    ATT_LINEAR_PART_BIASED(struct modernbert_layer, up, INTERMEDIATE, HIDDEN, ATT_BIAS_IF(MLP_BIAS),
                           "layers.#.mlp.Wi.*", 1, 1, 2),
    ATT_LINEAR_BIASED(struct modernbert_layer, output, HIDDEN, INTERMEDIATE, ATT_BIAS_IF(MLP_BIAS),
                      "layers.#.mlp.Wo.*"),
};

#define HEAD_DENSE                                                                                                     \
    ATT_LINEAR_BIASED(struct modernbert, head.dense, HIDDEN, HIDDEN, ATT_BIAS_IF(HEAD_BIAS), "head.dense.*"),          \
        ATT_NORM_BIASED(struct modernbert, head.norm, HIDDEN, ATT_BIAS_IF(NORM_BIAS), "head.norm.*")

static const struct att_slot label_slots[] = {
    HEAD_DENSE,
    ATT_LINEAR(struct modernbert, head.out, LABELS, HIDDEN, "classifier.*"),
};

static const struct att_slot masked_lm_slots[] = {
    HEAD_DENSE,
    ATT_LINEAR_BIASED(struct modernbert, head.out, VOCAB, HIDDEN, ATT_BIAS_IF(DECODER_BIAS), "decoder.*"),
};

static const char *const aliases[][2] = {{"decoder.weight", "embeddings.tok_embeddings.weight"}, {NULL, NULL}};

static const struct att_head_class classes[] = {
    {.suffix = "Model", .kind = ATT_HEAD_NONE},
    {.suffix = "ForSequenceClassification", .kind = ATT_HEAD_SEQUENCE, .slots = label_slots, .n_slots = 3},
    {.suffix = "ForTokenClassification", .kind = ATT_HEAD_TOKEN, .slots = label_slots, .n_slots = 3},
    {.suffix = "ForMaskedLM", .kind = ATT_HEAD_MASKED_LM, .slots = masked_lm_slots, .n_slots = 3},
};

static enum att_status configure_kinds(const struct att_json *config, size_t n_layers, struct modernbert *model,
                                       struct att_err *err)
{
    const struct att_json *types = att_json_get(config, "layer_types");
    size_t every = 3;
    enum att_status status = att_config_size(config, "global_attn_every_n_layers", 1, LAYERS_MAX, 3, &every, err);
    if (status != ATT_OK)
        return status;
    if (types && att_json_count(types) != n_layers)
        return att_err_set(err, ATT_EFORMAT, "layer_types: has %zu entries, expected num_hidden_layers %zu",
                           att_json_count(types), n_layers);
    for (size_t i = 0; i < n_layers; i++) {
        const char *type = att_json_string(att_json_at(types, i), NULL);
        bool full = types ? type && strcmp(type, "full_attention") == 0 : i % every == 0;
        if (types && !full && !(type && strcmp(type, "sliding_attention") == 0))
            return att_err_set(err, ATT_EUNSUPPORTED,
                               "layer_types[%zu]: is '%s', expected full_attention or sliding_attention", i,
                               type ? type : "no string");
        model->kinds[i] = full ? GLOBAL : LOCAL;
    }
    return ATT_OK;
}

static enum att_status configure_attention(const struct att_json *config, struct modernbert *model,
                                           struct att_arch_info *info, struct att_err *err)
{
    size_t window = 128, head_dim = info->hidden_size / info->n_heads;
    const struct att_json *local = att_json_get(config, "local_rope_theta");
    bool same = local && att_json_type(local) == ATT_JSON_NULL; /* layers with a window turn as the others do */
    enum att_status status = att_config_size(config, "local_attention", 1, TOKENS_MAX, 128, &window, err);
    const struct att_rope_fields fields[KINDS] = {
        [GLOBAL] = {"full_attention", "global_rope_theta", 160000, head_dim, info->max_tokens},
        [LOCAL] = {"sliding_attention", same ? "global_rope_theta" : "local_rope_theta", same ? 160000 : 10000,
                   head_dim, info->max_tokens},
    };
    for (size_t k = 0; status == ATT_OK && k < KINDS; k++) {
        model->mha[k] = (struct att_mha){
            .n_heads = info->n_heads, .n_kv_heads = info->n_heads, .head_dim = head_dim, .dtype = info->dtype};
        model->mha[k].scale = 1.0f / sqrtf((float)head_dim);
        status = att_rope_configure(config, &fields[k], &model->rope[k], err);
    }
    model->mha[LOCAL].local = true;
    model->mha[LOCAL].window = window / 2;
    return status;
}

static enum att_status configure_flags(const struct att_json *config, struct modernbert *model, size_t *dims,
                                       enum att_act *ret_head_act, struct att_err *err)
{
    static const struct {
        const char *field;
        size_t dim;
        bool otherwise;
    } biases[] = {{"attention_bias", ATTENTION_BIAS, false},
                  {"mlp_bias", MLP_BIAS, false},
                  {"norm_bias", NORM_BIAS, false},
                  {"classifier_bias", HEAD_BIAS, false},
                  {"decoder_bias", DECODER_BIAS, true}};
    const char *pooling = att_json_string(att_json_get(config, "classifier_pooling"), NULL);
    pooling = pooling ? pooling : "cls";
    for (size_t i = 0; i < sizeof biases / sizeof *biases; i++) {
        bool value = false;
        enum att_status status = att_config_bool(config, biases[i].field, biases[i].otherwise, &value, err);
        if (status != ATT_OK)
            return status;
        dims[biases[i].dim] = value;
    }
    if (strcmp(pooling, "cls") != 0 && strcmp(pooling, "mean") != 0)
        return att_err_set(err, ATT_EUNSUPPORTED, "classifier_pooling: is '%s', expected cls or mean", pooling);
    model->head.mean = strcmp(pooling, "mean") == 0;
    enum att_status status = att_config_act(config, "hidden_activation", ATT_ACT_GELU, &model->act, err);
    if (status == ATT_OK)
        status = att_config_act(config, "classifier_activation", ATT_ACT_GELU, ret_head_act, err);
    if (status == ATT_OK)
        status = att_config_float(config, "norm_eps", 0, 1, 1e-5, &model->eps, err);
    return status;
}

static enum att_status configure(const struct att_json *config, void *state, struct att_arch_info *info,
                                 struct att_err *err)
{
    struct modernbert *model = state;
    size_t n_labels = 0;
    enum att_act head_act = ATT_ACT_GELU;
    const struct att_config_field fields[] = {
        {"hidden_size", 1, HIDDEN_MAX, SIZE_MAX, &info->hidden_size},
        {"num_hidden_layers", 1, LAYERS_MAX, SIZE_MAX, &info->n_layers},
        {"num_attention_heads", 1, HIDDEN_MAX, SIZE_MAX, &info->n_heads},
        {"intermediate_size", 1, 4 * HIDDEN_MAX, SIZE_MAX, &info->intermediate_size},
        {"vocab_size", 1, VOCAB_MAX, SIZE_MAX, &info->vocab_size},
        {"max_position_embeddings", 1, TOKENS_MAX, SIZE_MAX, &info->max_tokens},
    };
    enum att_status status = att_config_sizes(config, fields, sizeof fields / sizeof *fields, err);
    if (status == ATT_OK)
        status = att_config_heads("num_attention_heads", info->hidden_size, info->n_heads, err);
    if (status == ATT_OK)
        status = configure_kinds(config, info->n_layers, model, err);
    if (status == ATT_OK)
        status = configure_attention(config, model, info, err);
    if (status == ATT_OK)
        status = configure_flags(config, model, info->dims, &head_act, err);
    if (status == ATT_OK)
        status = att_config_labels(config, &n_labels, err);
    if (status == ATT_OK)
        status = att_head_configure("ModernBert", classes, sizeof classes / sizeof *classes, head_act, n_labels, 1,
                                    &model->head, info, err);
    if (status != ATT_OK)
        return status;
    info->trained_tokens = info->max_tokens;
    info->max_tokens = TOKENS_MAX;
    model->head.act = head_act;
    model->head.eps = model->eps;
    model->head.mean = model->head.mean && model->head.kind == ATT_HEAD_SEQUENCE;
    info->head_reads_all = info->head_reads_all || model->head.mean;
    info->dims[HIDDEN] = info->hidden_size;
    info->dims[QKV] = 3 * info->hidden_size;
    info->dims[INTERMEDIATE] = info->intermediate_size;
    info->gated = true;
    info->dims[VOCAB] = info->vocab_size;
    info->dims[LABELS] = n_labels;
    info->sets[0].slots = model_slots;
    info->sets[0].n_slots = sizeof model_slots / sizeof *model_slots;
    return ATT_OK;
}

struct buffers {
    float *x, *a;                         /* [tokens][hidden] */
    float *wide;                          /* [tokens][3 * hidden]: query|key|value */
    float *context;                       /* [tokens][hidden] */
    float *cosines[KINDS], *sines[KINDS]; /* [tokens][head_dim / 2] */
    struct att_head_buffers head;
};

static void plan(const void *state, const struct att_arch_info *info, const struct att_arch_limits *limits,
                 struct att_scratch *scratch, void *buffers)
{
    const struct modernbert *model = state;
    struct buffers *b = buffers;
    size_t hidden = info->hidden_size, tokens = limits->max_tokens;
    size_t longest = tokens < info->max_tokens ? tokens : info->max_tokens;
    b->x = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->a = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->wide = att_scratch_take(scratch, tokens * 3 * hidden, sizeof(float));
    b->context = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    for (size_t k = 0; k < KINDS; k++) {
        b->cosines[k] = att_scratch_take(scratch, tokens * model->rope[k].dim / 2, sizeof(float));
        b->sines[k] = att_scratch_take(scratch, tokens * model->rope[k].dim / 2, sizeof(float));
    }
    att_scratch_need(scratch, att_feed_forward_space(info->intermediate_size, hidden));
    att_scratch_need(scratch, att_mha_space(&model->mha[GLOBAL], longest, longest));
    att_head_plan(&model->head, info, limits, scratch, &b->head);
}

static void encode(const struct modernbert *model, const struct modernbert_layer *layer,
                   const struct att_arch_info *info, const struct att_arch_batch *batch, const struct att_arch_tap *tap,
                   size_t index, const struct buffers *b)
{
    size_t n = batch->n_tokens, hidden = info->hidden_size, k = model->kinds[index];
    const float *normed = b->x;
    if (layer->attention_norm.weight) {
        att_norm_run(&layer->attention_norm, n, hidden, model->eps, b->x, b->a);
        normed = b->a;
    }
    att_linear_run(batch->team, &layer->query_key_value, n, normed, hidden, b->wide, 3 * hidden, ATT_ACT_NONE, NULL, 0);
    /* Queries and keys are neighbours: twice the heads. */
    att_rope_apply(&model->rope[k], n, 2 * info->n_heads, model->mha[k].head_dim, b->cosines[k], b->sines[k], b->wide,
                   3 * hidden);
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
    n = att_firsts_attend(&model->mha[k], &call, info, batch, b->x);
    att_linear_run(batch->team, &layer->attention_output, n, b->context, hidden, b->x, hidden, ATT_ACT_NONE, b->x,
                   hidden);
    att_norm_run(&layer->mlp_norm, n, hidden, model->eps, b->x, b->a);
    const struct att_feed_forward inner = {
        .gate = &layer->gate, .up = &layer->up, .down = &layer->output, .act = model->act};
    att_feed_forward_run(batch->team, &inner, n, b->a, hidden, b->x, hidden, b->x, hidden);
    att_firsts_return(info, batch, index, b->x);
}

static void forward(const void *state, const void *layers, const struct att_arch_info *info,
                    const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                    struct att_arch_output *output)
{
    const struct modernbert *model = state;
    const struct modernbert_layer *layer = layers;
    const struct buffers *b = buffers;
    size_t n = batch->n_tokens, hidden = info->hidden_size;
    assert(n > 0);
    for (size_t k = 0; k < KINDS; k++)
        att_rope_angles_packed(&model->rope[k], batch->cu_seqlens, NULL, batch->n_seqs, b->cosines[k], b->sines[k]);
    att_embedding_set(model->word, n, batch->ids, 1.0f, b->x);
    att_norm_run(&model->embedding_norm, n, hidden, model->eps, b->x, b->x);
    for (size_t i = 0; i < info->n_layers; i++) {
        if (tap && tap->hidden)
            tap->hidden(tap->context, i, b->x, n, hidden);
        encode(model, &layer[i], info, batch, tap, i, b);
    }
    att_norm_run(&model->final_norm, n, hidden, model->eps, b->x, b->x);
    if (tap && tap->hidden)
        tap->hidden(tap->context, info->n_layers, b->x, n, hidden);
    output->hidden = b->x;
    att_head_run(&model->head, info, batch, b->x, &b->head, output);
}

const struct att_arch att_arch_modernbert = {
    .model_type = "modernbert",
    .prefix = "model.",
    .aliases = aliases,
    .state_bytes = sizeof(struct modernbert),
    .stacks = {{sizeof(struct modernbert_layer), layer_slots, sizeof layer_slots / sizeof *layer_slots}},
    .configure = configure,
    .buffers_bytes = sizeof(struct buffers),
    .plan = plan,
    .forward = forward,
};
