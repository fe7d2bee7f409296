/*
 * DeBERTa v2 and v3 (He et al. 2021): BERT's layers with disentangled
 * attention, whose scores also compare content with relative positions.
 *
 *   score(i, j) = (q_i·k_j + q_i·K(δ(i,j)) + k_j·Q(δ(i,j))) / sqrt(3 d)
 *
 * δ is the distance i - j, in logarithmic buckets where position_buckets says
 * so, and K, Q are projections of the relative embeddings: made once, at load.
 * The xlarge models add a convolution of the embeddings to the first layer.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/arch/config.h"
#include "core/arch/firsts.h"
#include "core/arch/head.h"
#include "core/base/mem.h"
#include "core/ops/disentangled.h"
#include "core/ops/embedding.h"
#include "core/ops/feed_forward.h"
#include "core/ops/norm.h"

enum { LAYERS_MAX = 128, HIDDEN_MAX = 16384, VOCAB_MAX = 1 << 22, TOKENS_MAX = 1 << 15, KERNEL_MAX = 15 };

enum {
    HIDDEN,
    INTERMEDIATE,
    VOCAB,
    LABELS,
    RELATIVE,  /* rows of the relative embeddings: 2 * span; 0: none */
    POSITIONS, /* 0: none */
    SEGMENTS,  /* 0: none */
    KERNEL,    /* of the convolution; 0: none */
    NORMED,    /* the relative embeddings are normed */
    OWN_KEYS,  /* positions have projections of their own */
    OWN_QUERIES,
    TWO,
};

struct deberta_layer {
    struct att_linear query_key_value, attention_output, intermediate, output;
    struct att_linear position_key_projection, position_query_projection;
    struct att_norm attention_norm, output_norm;
    struct att_table *position_key, *position_query; /* K and Q: [2 * span][hidden]; NULL: not compared */
};

struct deberta {
    struct att_table *word, *position, *segment, *relative; /* NULL: none */
    struct att_norm embedding_norm, relative_norm, convolution_norm;
    struct att_linear convolution;
    struct att_head head;
    struct att_mha mha;
    enum att_act act, convolution_act;
    struct att_relative_rows distances;
    size_t kernel;
    bool content_to_position, position_to_content, shared;
    float eps;
};

static const struct att_slot model_slots[] = {
    ATT_WORDS(struct deberta, word, VOCAB, HIDDEN, "embeddings.word_embeddings.weight"),
    ATT_NORM(struct deberta, embedding_norm, HIDDEN, "embeddings.LayerNorm.*"),
    {.kind = ATT_SLOT_TABLE,
     .offset = offsetof(struct deberta, position),
     .patterns = {"embeddings.position_embeddings.weight"},
     .rows = POSITIONS,
     .cols = HIDDEN,
     .when = ATT_WHEN(POSITIONS)},
    {.kind = ATT_SLOT_TABLE,
     .offset = offsetof(struct deberta, segment),
     .patterns = {"embeddings.token_type_embeddings.weight"},
     .rows = SEGMENTS,
     .cols = HIDDEN,
     .when = ATT_WHEN(SEGMENTS)},
    {.kind = ATT_SLOT_TABLE,
     .offset = offsetof(struct deberta, relative),
     .patterns = {"encoder.rel_embeddings.weight"},
     .rows = RELATIVE,
     .cols = HIDDEN,
     .when = ATT_WHEN(RELATIVE)},
    {.kind = ATT_SLOT_NORM,
     .offset = offsetof(struct deberta, relative_norm),
     .patterns = {"encoder.LayerNorm.*"},
     .rows = HIDDEN,
     .when = ATT_WHEN(NORMED)},
    {.kind = ATT_SLOT_CONVOLUTION,
     .offset = offsetof(struct deberta, convolution),
     .patterns = {"encoder.conv.conv.*"},
     .rows = HIDDEN,
     .cols = HIDDEN,
     .kernel = KERNEL,
     .when = ATT_WHEN(KERNEL)},
    {.kind = ATT_SLOT_NORM,
     .offset = offsetof(struct deberta, convolution_norm),
     .patterns = {"encoder.conv.LayerNorm.*"},
     .rows = HIDDEN,
     .when = ATT_WHEN(KERNEL)},
};

static const struct att_slot layer_slots[] = {
    ATT_LINEAR(struct deberta_layer, query_key_value, HIDDEN, HIDDEN, "encoder.layer.#.attention.self.query_proj.*",
               "encoder.layer.#.attention.self.key_proj.*", "encoder.layer.#.attention.self.value_proj.*"),
    ATT_LINEAR(struct deberta_layer, attention_output, HIDDEN, HIDDEN, "encoder.layer.#.attention.output.dense.*"),
    ATT_NORM(struct deberta_layer, attention_norm, HIDDEN, "encoder.layer.#.attention.output.LayerNorm.*"),
    ATT_LINEAR(struct deberta_layer, intermediate, INTERMEDIATE, HIDDEN, "encoder.layer.#.intermediate.dense.*"),
    ATT_LINEAR(struct deberta_layer, output, HIDDEN, INTERMEDIATE, "encoder.layer.#.output.dense.*"),
    ATT_NORM(struct deberta_layer, output_norm, HIDDEN, "encoder.layer.#.output.LayerNorm.*"),
    ATT_LINEAR_WHEN(OWN_KEYS, struct deberta_layer, position_key_projection, HIDDEN, HIDDEN, ATT_BIAS,
                    "encoder.layer.#.attention.self.pos_key_proj.*"),
    ATT_LINEAR_WHEN(OWN_QUERIES, struct deberta_layer, position_query_projection, HIDDEN, HIDDEN, ATT_BIAS,
                    "encoder.layer.#.attention.self.pos_query_proj.*"),
    {.kind = ATT_SLOT_TABLE, .offset = offsetof(struct deberta_layer, position_key), .derived = true},
    {.kind = ATT_SLOT_TABLE, .offset = offsetof(struct deberta_layer, position_query), .derived = true},
};

static const struct att_slot sequence_slots[] = {
    ATT_LINEAR(struct deberta, head.dense, HIDDEN, HIDDEN, "pooler.dense.*"),
    ATT_LINEAR(struct deberta, head.out, LABELS, HIDDEN, "classifier.*"),
};

static const struct att_slot token_slots[] = {
    ATT_LINEAR(struct deberta, head.out, LABELS, HIDDEN, "classifier.*"),
};

static const struct att_slot span_slots[] = {
    ATT_LINEAR(struct deberta, head.out, TWO, HIDDEN, "qa_outputs.*"),
};

static const struct att_slot masked_lm_slots[] = {
    ATT_LINEAR(struct deberta, head.dense, HIDDEN, HIDDEN, "cls.predictions.transform.dense.*"),
    ATT_NORM(struct deberta, head.norm, HIDDEN, "cls.predictions.transform.LayerNorm.*"),
    ATT_LINEAR(struct deberta, head.out, VOCAB, HIDDEN, "cls.predictions.decoder.*"),
};

/* Files of the original code name the masked LM's head otherwise. */
static const char *const aliases[][2] = {
    {"cls.predictions.transform.dense.weight", "lm_predictions.lm_head.dense.weight"},
    {"cls.predictions.transform.dense.bias", "lm_predictions.lm_head.dense.bias"},
    {"cls.predictions.transform.LayerNorm.weight", "lm_predictions.lm_head.LayerNorm.weight"},
    {"cls.predictions.transform.LayerNorm.bias", "lm_predictions.lm_head.LayerNorm.bias"},
    {"cls.predictions.decoder.weight", "embeddings.word_embeddings.weight"},
    {"cls.predictions.decoder.bias", "cls.predictions.bias"},
    {"cls.predictions.decoder.bias", "lm_predictions.lm_head.bias"},
    {NULL, NULL},
};

static const struct att_head_class classes[] = {
    {.suffix = "Model", .kind = ATT_HEAD_NONE},
    {.suffix = "ForSequenceClassification", .kind = ATT_HEAD_SEQUENCE, .slots = sequence_slots, .n_slots = 2},
    {.suffix = "ForTokenClassification", .kind = ATT_HEAD_TOKEN, .slots = token_slots, .n_slots = 1},
    {.suffix = "ForQuestionAnswering", .kind = ATT_HEAD_SPAN, .slots = span_slots, .n_slots = 1},
    {.suffix = "ForMaskedLM",
     .kind = ATT_HEAD_MASKED_LM,
     .slots = masked_lm_slots,
     .n_slots = 3,
     .act_of_config = true},
};

/* "p2c|c2p" of old files, or a list. */
static enum att_status configure_types(const struct att_json *config, struct deberta *model, struct att_err *err)
{
    const struct att_json *types = att_json_get(config, "pos_att_type");
    const char *line = att_json_string(types, NULL);
    if (line) {
        model->content_to_position = strstr(line, "c2p") != NULL;
        model->position_to_content = strstr(line, "p2c") != NULL;
        return ATT_OK;
    }
    if (types && att_json_type(types) != ATT_JSON_NULL && !att_json_is_array(types))
        return att_err_set(err, ATT_EFORMAT, "pos_att_type: is %s, expected a string or an array",
                           att_json_type_name(types));
    for (size_t i = 0; i < att_json_count(types); i++) {
        const char *type = att_json_string(att_json_at(types, i), NULL);
        if (type && strcmp(type, "c2p") == 0)
            model->content_to_position = true;
        else if (type && strcmp(type, "p2c") == 0)
            model->position_to_content = true;
        else
            return att_err_set(err, ATT_EUNSUPPORTED, "pos_att_type: '%s' is not known, expected c2p or p2c",
                               type ? type : "(no string)");
    }
    return ATT_OK;
}

/* -1 stands for "none" or "as long as the model". */
static enum att_status signed_size(const struct att_json *config, const char *field, size_t max, size_t *ret,
                                   struct att_err *err)
{
    const struct att_json *value = att_json_get(config, field);
    int64_t number = -1;
    if (value && !att_json_integer(value, -1, (int64_t)max, &number))
        return att_err_set(err, ATT_EFORMAT, "%s: is %s, expected an integer from -1 to %zu", field,
                           att_json_type_name(value), max);
    *ret = number > 0 ? (size_t)number : 0;
    return ATT_OK;
}

static enum att_status configure_relative(const struct att_json *config, struct deberta *model,
                                          struct att_arch_info *info, struct att_err *err)
{
    bool relative = false;
    const struct att_json *normed = att_json_get(config, "norm_rel_ebd");
    const char *norm = att_json_string(normed, NULL);
    if (!norm && normed && att_json_type(normed) != ATT_JSON_NULL)
        return att_err_set(err, ATT_EFORMAT, "norm_rel_ebd: is %s, expected a string", att_json_type_name(normed));
    enum att_status status = att_config_bool(config, "relative_attention", false, &relative, err);
    if (status == ATT_OK)
        status = configure_types(config, model, err);
    if (status == ATT_OK)
        status = att_config_bool(config, "share_att_key", false, &model->shared, err);
    if (status == ATT_OK)
        status = signed_size(config, "max_relative_positions", TOKENS_MAX, &model->distances.max_distance, err);
    if (status == ATT_OK)
        status = signed_size(config, "position_buckets", TOKENS_MAX, &model->distances.buckets, err);
    if (status != ATT_OK)
        return status;
    if (!relative && (model->content_to_position || model->position_to_content))
        return att_err_set(err, ATT_EUNSUPPORTED, "relative_attention: is false, expected true with pos_att_type");
    if (model->distances.max_distance == 0)
        model->distances.max_distance = info->max_tokens;
    if (model->distances.buckets == 1 ||
        (model->distances.buckets > 0 && model->distances.max_distance <= model->distances.buckets / 2 + 1))
        return att_err_set(err, ATT_EFORMAT, "position_buckets: is %zu, expected 2 or more and less than distances",
                           model->distances.buckets);
    model->distances.span = model->distances.buckets ? model->distances.buckets : model->distances.max_distance;
    info->dims[RELATIVE] = relative ? 2 * model->distances.span : 0;
    info->dims[NORMED] = relative && norm && strstr(norm, "layer_norm") != NULL;
    info->dims[OWN_KEYS] = relative && !model->shared && model->content_to_position;
    info->dims[OWN_QUERIES] = relative && !model->shared && model->position_to_content;
    return ATT_OK;
}

static enum att_status configure_convolution(const struct att_json *config, struct deberta *model,
                                             struct att_arch_info *info, struct att_err *err)
{
    size_t groups = 1;
    enum att_status status = att_config_size(config, "conv_kernel_size", 0, KERNEL_MAX, 0, &model->kernel, err);
    if (status == ATT_OK)
        status = att_config_size(config, "conv_groups", 1, 1, 1, &groups, err);
    if (status == ATT_OK)
        status = att_config_act(config, "conv_act", ATT_ACT_TANH, &model->convolution_act, err);
    if (status == ATT_OK && model->kernel > 0 && model->kernel % 2 == 0)
        return att_err_set(err, ATT_EUNSUPPORTED, "conv_kernel_size: is %zu, expected an odd number", model->kernel);
    info->dims[KERNEL] = model->kernel;
    return status;
}

static enum att_status configure_sizes(const struct att_json *config, struct deberta *model, struct att_arch_info *info,
                                       struct att_err *err)
{
    size_t embedding = 0;
    bool positions = true;
    const struct att_config_field fields[] = {
        {"hidden_size", 1, HIDDEN_MAX, SIZE_MAX, &info->hidden_size},
        {"num_hidden_layers", 1, LAYERS_MAX, SIZE_MAX, &info->n_layers},
        {"num_attention_heads", 1, HIDDEN_MAX, SIZE_MAX, &info->n_heads},
        {"intermediate_size", 1, 4 * HIDDEN_MAX, SIZE_MAX, &info->intermediate_size},
        {"vocab_size", 1, VOCAB_MAX, SIZE_MAX, &info->vocab_size},
        {"max_position_embeddings", 1, TOKENS_MAX, SIZE_MAX, &info->max_tokens},
        {"type_vocab_size", 0, 1024, 0, &info->type_vocab_size},
    };
    enum att_status status = att_config_sizes(config, fields, sizeof fields / sizeof *fields, err);
    if (status == ATT_OK)
        status = att_config_heads("num_attention_heads", info->hidden_size, info->n_heads, err);
    if (status == ATT_OK)
        status = att_config_size(config, "embedding_size", info->hidden_size, info->hidden_size, info->hidden_size,
                                 &embedding, err);
    if (status == ATT_OK)
        status = att_config_bool(config, "position_biased_input", true, &positions, err);
    if (status == ATT_OK)
        status = att_config_act(config, "hidden_act", ATT_ACT_GELU, &model->act, err);
    if (status == ATT_OK)
        status = att_config_float(config, "layer_norm_eps", 0, 1, 1e-7, &model->eps, err);
    info->dims[POSITIONS] = positions ? info->max_tokens : 0;
    return status;
}

static enum att_status configure(const struct att_json *config, void *state, struct att_arch_info *info,
                                 struct att_err *err)
{
    struct deberta *model = state;
    size_t n_labels = 0, pooler = 0;
    enum att_act pooler_act = ATT_ACT_GELU;
    enum att_status status = configure_sizes(config, model, info, err);
    if (status == ATT_OK)
        status = configure_relative(config, model, info, err);
    if (status == ATT_OK)
        status = configure_convolution(config, model, info, err);
    if (status == ATT_OK)
        status = att_config_size(config, "pooler_hidden_size", info->hidden_size, info->hidden_size, info->hidden_size,
                                 &pooler, err);
    if (status == ATT_OK)
        status = att_config_act(config, "pooler_hidden_act", ATT_ACT_GELU, &pooler_act, err);
    if (status == ATT_OK)
        status = att_config_labels(config, &n_labels, err);
    if (status == ATT_OK)
        status = att_head_configure("DebertaV2", classes, sizeof classes / sizeof *classes, model->act, n_labels, 1,
                                    &model->head, info, err);
    if (status != ATT_OK)
        return status;
    if (model->head.kind == ATT_HEAD_SEQUENCE)
        model->head.act = pooler_act;
    model->head.eps = model->eps;
    size_t head_dim = info->hidden_size / info->n_heads;
    size_t terms = 1 + (size_t)model->content_to_position + (size_t)model->position_to_content;
    model->mha = (struct att_mha){
        .n_heads = info->n_heads, .n_kv_heads = info->n_heads, .head_dim = head_dim, .dtype = info->dtype};
    model->mha.scale = 1.0f / sqrtf((float)(head_dim * terms));
    info->dims[HIDDEN] = info->hidden_size;
    info->dims[INTERMEDIATE] = info->intermediate_size;
    info->dims[VOCAB] = info->vocab_size;
    info->dims[SEGMENTS] = info->type_vocab_size;
    info->dims[LABELS] = n_labels;
    info->dims[TWO] = 2;
    info->sets[0].slots = model_slots;
    info->sets[0].n_slots = sizeof model_slots / sizeof *model_slots;
    return ATT_OK;
}

/* One derived table: rows of `relative` through a projection, columns first .. first + hidden of its output. */
static enum att_status project(const struct deberta *model, const struct att_linear *linear, const float *relative,
                               size_t first, struct att_table **ret_table, struct att_err *err)
{
    size_t rows = 2 * model->distances.span, hidden = model->relative->cols;
    struct att_table *wide = att_table_create(rows, linear->n), *table = att_table_create(rows, hidden);
    size_t space_bytes = att_linear_space(linear);
    void *space = space_bytes ? att_mem_aligned(space_bytes, 1) : NULL;
    enum att_status status = ATT_OK;
    if (wide && table && (space || !space_bytes)) {
        struct att_team alone = att_team_alone(space);
        att_linear_run(&alone, linear, rows, relative, hidden, wide->data, linear->n, ATT_ACT_NONE, NULL, 0);
        for (size_t i = 0; i < rows; i++)
            memcpy(table->data + i * hidden, wide->data + i * linear->n + first, hidden * sizeof(float));
        *ret_table = table;
    } else {
        att_table_unref(table);
        status = att_err_set(err, ATT_ENOMEM, "out of memory for relative positions");
    }
    att_mem_free(space);
    att_table_unref(wide);
    return status;
}

static enum att_status prepare(void *state, void *layers, const struct att_arch_info *info, struct att_err *err)
{
    const struct deberta *model = state;
    struct deberta_layer *layer = layers;
    if (!model->relative)
        return ATT_OK;
    size_t rows = 2 * model->distances.span, hidden = info->hidden_size;
    struct att_table *relative = att_table_create(rows, hidden);
    if (!relative)
        return att_err_set(err, ATT_ENOMEM, "out of memory for relative positions");
    memcpy(relative->data, model->relative->data, rows * hidden * sizeof(float));
    if (model->relative_norm.weight)
        att_norm_run(&model->relative_norm, rows, hidden, model->eps, relative->data, relative->data);
    enum att_status status = ATT_OK;
    for (size_t i = 0; status == ATT_OK && i < info->n_layers; i++, layer++) {
        const struct att_linear *shared = &layer->query_key_value;
        if (model->content_to_position)
            status = project(model, model->shared ? shared : &layer->position_key_projection, relative->data,
                             model->shared ? hidden : 0, &layer->position_key, err);
        if (status == ATT_OK && model->position_to_content)
            status = project(model, model->shared ? shared : &layer->position_query_projection, relative->data, 0,
                             &layer->position_query, err);
    }
    att_table_unref(relative);
    return status;
}

struct buffers {
    float *x, *a;    /* [tokens][hidden] */
    float *wide;     /* [tokens][max(3, kernel) * hidden] */
    float *context;  /* [tokens][hidden] */
    float *embedded; /* [tokens][hidden], where there is a convolution */
    struct att_head_buffers head;
};

static void plan(const void *state, const struct att_arch_info *info, const struct att_arch_limits *limits,
                 struct att_scratch *scratch, void *buffers)
{
    const struct deberta *model = state;
    struct buffers *b = buffers;
    size_t hidden = info->hidden_size, tokens = limits->max_tokens;
    size_t columns = model->kernel > 3 ? model->kernel * hidden : 3 * hidden;
    size_t longest = tokens < info->max_tokens ? tokens : info->max_tokens;
    b->x = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->a = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->wide = att_scratch_take(scratch, tokens * columns, sizeof(float));
    b->context = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->embedded = model->kernel ? att_scratch_take(scratch, tokens * hidden, sizeof(float)) : NULL;
    att_scratch_need(scratch, att_feed_forward_space(info->intermediate_size, hidden));
    att_scratch_need(scratch, att_mha_space(&model->mha, longest, longest));
    att_head_plan(&model->head, info, limits, scratch, &b->head);
}

static void encode(const struct deberta *model, const struct deberta_layer *layer, const struct att_arch_info *info,
                   const struct att_arch_batch *batch, const struct att_arch_tap *tap, size_t index,
                   const struct buffers *b)
{
    size_t n = batch->n_tokens, hidden = info->hidden_size;
    att_linear_run(batch->team, &layer->query_key_value, n, b->x, hidden, b->wide, 3 * hidden, ATT_ACT_NONE, NULL, 0);
    struct att_disentangled terms = {
        .relative = &model->distances,
        .position_key = layer->position_key,
        .position_query = layer->position_query,
        .head_dim = model->mha.head_dim,
        .scale = model->mha.scale,
        .cu_seqlens = batch->cu_seqlens,
        .query = b->wide,
        .key = b->wide + hidden,
        .ld = 3 * hidden,
    };
    const struct att_mha_bias bias = {.context = &terms, .fill = att_disentangled_fill};
    const struct att_mha_call call = {
        .cu_query = batch->cu_seqlens,
        .n_seqs = batch->n_seqs,
        .query = b->wide,
        .query_ld = 3 * hidden,
        .key = b->wide + hidden,
        .value = b->wide + 2 * hidden,
        .kv_ld = 3 * hidden,
        .bias = layer->position_key || layer->position_query ? &bias : NULL,
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
    const struct att_feed_forward inner = {.up = &layer->intermediate, .down = &layer->output, .act = model->act};
    att_feed_forward_run(batch->team, &inner, n, b->a, hidden, b->x, hidden, b->a, hidden);
    att_norm_run(&layer->output_norm, n, hidden, model->eps, b->x, b->x);
    att_firsts_return(info, batch, index, b->x);
}

/* x = LayerNorm(x + act(convolution of the embeddings)); beyond a sequence's ends are zeros. */
static void convolve(const struct deberta *model, const struct att_arch_info *info, const struct att_arch_batch *batch,
                     const struct buffers *b)
{
    size_t hidden = info->hidden_size, kernel = model->kernel, half = kernel / 2, n = batch->n_tokens;
    for (size_t s = 0; s < batch->n_seqs; s++) {
        size_t begin = batch->cu_seqlens[s], end = batch->cu_seqlens[s + 1];
        for (size_t t = begin; t < end; t++)
            for (size_t k = 0; k < kernel; k++) {
                float *to = b->wide + (t * kernel + k) * hidden;
                if (t + k < begin + half || t + k - half >= end)
                    memset(to, 0, hidden * sizeof *to);
                else
                    memcpy(to, b->embedded + (t + k - half) * hidden, hidden * sizeof *to);
            }
    }
    att_linear_run(batch->team, &model->convolution, n, b->wide, kernel * hidden, b->x, hidden, model->convolution_act,
                   b->x, hidden);
    att_norm_run(&model->convolution_norm, n, hidden, model->eps, b->x, b->x);
}

static void embed(const struct deberta *model, const struct att_arch_info *info, const struct att_arch_batch *batch,
                  const struct buffers *b)
{
    const struct att_positions positions = {.cu_seqlens = batch->cu_seqlens, .n_seqs = batch->n_seqs};
    size_t n = batch->n_tokens, hidden = info->hidden_size;
    att_embedding_set(model->word, n, batch->ids, 1.0f, b->x);
    if (model->position)
        att_embedding_add_positions(model->position, &positions, b->x);
    if (model->segment)
        att_embedding_add(model->segment, n, batch->type_ids, b->x);
    att_norm_run(&model->embedding_norm, n, hidden, model->eps, b->x, b->x);
    if (model->kernel)
        memcpy(b->embedded, b->x, n * hidden * sizeof *b->x);
}

static void forward(const void *state, const void *layers, const struct att_arch_info *info,
                    const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                    struct att_arch_output *output)
{
    const struct deberta *model = state;
    const struct deberta_layer *layer = layers;
    const struct buffers *b = buffers;
    size_t n = batch->n_tokens, hidden = info->hidden_size;
    assert(n > 0);
    embed(model, info, batch, b);
    if (tap && tap->hidden)
        tap->hidden(tap->context, 0, b->x, n, hidden);
    for (size_t i = 0; i < info->n_layers; i++) {
        encode(model, &layer[i], info, batch, tap, i, b);
        if (i == 0 && model->kernel)
            convolve(model, info, batch, b);
        if (tap && tap->hidden)
            tap->hidden(tap->context, i + 1, b->x, n, hidden);
    }
    output->hidden = b->x;
    att_head_run(&model->head, info, batch, b->x, &b->head, output);
}

const struct att_arch att_arch_deberta_v2 = {
    .model_type = "deberta-v2",
    .prefix = "deberta.",
    .aliases = aliases,
    .state_bytes = sizeof(struct deberta),
    .stacks = {{sizeof(struct deberta_layer), layer_slots, sizeof layer_slots / sizeof *layer_slots}},
    .configure = configure,
    .prepare = prepare,
    .buffers_bytes = sizeof(struct buffers),
    .plan = plan,
    .forward = forward,
};
