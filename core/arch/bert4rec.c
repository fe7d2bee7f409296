/*
 * BERT4Rec (Sun et al. 2019): a bidirectional encoder over the history and a
 * mask behind it; what stands at the mask scores the items. Item 0 is padding,
 * the mask is the last row of the item table.
 *
 *   x = item + position                                 positions from 0
 *   every layer:  x = LayerNorm(x + MHA(x));  x = LayerNorm(x + W2·act(W1·x))
 *   h = act(W·x_mask);  score of item i = h · item_i + bias_i
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/arch/arch.h"
#include "core/arch/config.h"
#include "core/ops/embedding.h"
#include "core/ops/norm.h"

enum { LAYERS_MAX = 64, HIDDEN_MAX = 4096, ITEMS_MAX = 1 << 24, TOKENS_MAX = 4096 };

enum { HIDDEN, QKV, INTERMEDIATE, ITEMS, POSITIONS };

struct bert4rec_layer {
    struct att_linear query_key_value, attention_output, linear1, linear2;
    struct att_norm norm1, norm2;
};

struct bert4rec {
    struct att_table *item, *position;
    struct att_linear output;
    float *item_bias;
    struct att_mha mha;
    enum att_act act;
    int32_t mask_id;
    float eps;
};

static const struct att_slot model_slots[] = {
    ATT_TABLE(struct bert4rec, item, ITEMS, HIDDEN, "item_emb.weight"),
    ATT_TABLE(struct bert4rec, position, POSITIONS, HIDDEN, "pos_emb.weight"),
    ATT_LINEAR(struct bert4rec, output, HIDDEN, HIDDEN, "out_proj.*"),
    ATT_VECTOR(struct bert4rec, item_bias, ITEMS, "out_bias"),
};

static const struct att_slot layer_slots[] = {
    ATT_LINEAR(struct bert4rec_layer, query_key_value, QKV, HIDDEN, "layers.#.attention.in_proj_*"),
    ATT_LINEAR(struct bert4rec_layer, attention_output, HIDDEN, HIDDEN, "layers.#.attention.out_proj.*"),
    ATT_NORM(struct bert4rec_layer, norm1, HIDDEN, "layers.#.norm1.*"),
    ATT_LINEAR(struct bert4rec_layer, linear1, INTERMEDIATE, HIDDEN, "layers.#.linear1.*"),
    ATT_LINEAR(struct bert4rec_layer, linear2, HIDDEN, INTERMEDIATE, "layers.#.linear2.*"),
    ATT_NORM(struct bert4rec_layer, norm2, HIDDEN, "layers.#.norm2.*"),
};

static enum att_status configure(const struct att_json *config, void *state, struct att_arch_info *info,
                                 struct att_err *err)
{
    struct bert4rec *model = state;
    size_t items = 0, mask = 0, positions = 0;
    const struct att_config_field fields[] = {
        {"num_items", 1, ITEMS_MAX, SIZE_MAX, &items},
        {"hidden_size", 1, HIDDEN_MAX, SIZE_MAX, &info->hidden_size},
        {"num_hidden_layers", 1, LAYERS_MAX, SIZE_MAX, &info->n_layers},
        {"num_attention_heads", 1, HIDDEN_MAX, SIZE_MAX, &info->n_heads},
        {"intermediate_size", 1, 4 * HIDDEN_MAX, SIZE_MAX, &info->intermediate_size},
        {"max_position_embeddings", 2, TOKENS_MAX, SIZE_MAX, &positions},
    };
    enum att_status status = att_config_sizes(config, fields, sizeof fields / sizeof *fields, err);
    if (status == ATT_OK)
        status = att_config_size(config, "mask_token_id", items + 1, items + 1, items + 1, &mask, err);
    if (status == ATT_OK)
        status = att_config_heads("num_attention_heads", info->hidden_size, info->n_heads, err);
    if (status == ATT_OK)
        status = att_config_act(config, "hidden_act", ATT_ACT_GELU, &model->act, err);
    if (status == ATT_OK)
        status = att_config_float(config, "layer_norm_eps", 0, 1, 1e-12, &model->eps, err);
    if (status != ATT_OK)
        return status;
    model->mask_id = (int32_t)mask;
    model->mha = (struct att_mha){
        .n_heads = info->n_heads, .n_kv_heads = info->n_heads, .head_dim = info->hidden_size / info->n_heads};
    model->mha.scale = 1.0f / sqrtf((float)model->mha.head_dim);
    info->vocab_size = items + 1;
    info->max_tokens = positions - 1; /* and the mask */
    info->scores_items = true;
    info->dims[HIDDEN] = info->hidden_size;
    info->dims[QKV] = 3 * info->hidden_size;
    info->dims[INTERMEDIATE] = info->intermediate_size;
    info->dims[ITEMS] = items + 2;
    info->dims[POSITIONS] = positions;
    info->sets[0].slots = model_slots;
    info->sets[0].n_slots = sizeof model_slots / sizeof *model_slots;
    return ATT_OK;
}

struct buffers {
    float *x, *a;   /* [slots][hidden]: histories, each with its mask */
    float *wide;    /* [slots][max(3 * hidden, intermediate)] */
    float *context; /* [slots][hidden] */
    float *hidden;  /* [tokens][hidden] */
    float *masks;   /* [seqs][hidden] */
    float *pooled;  /* [seqs][hidden] */
    int32_t *ids;   /* [slots] */
    uint32_t *cu;   /* [seqs + 1] of the slots */
};

static void plan(const void *state, const struct att_arch_info *info, const struct att_arch_limits *limits,
                 struct att_scratch *scratch, void *buffers)
{
    const struct bert4rec *model = state;
    struct buffers *b = buffers;
    size_t hidden = info->hidden_size, slots = limits->max_tokens + limits->max_seqs;
    size_t wide = 3 * hidden > info->intermediate_size ? 3 * hidden : info->intermediate_size;
    b->x = att_scratch_take(scratch, slots * hidden, sizeof(float));
    b->a = att_scratch_take(scratch, slots * hidden, sizeof(float));
    b->wide = att_scratch_take(scratch, slots * wide, sizeof(float));
    b->context = att_scratch_take(scratch, slots * hidden, sizeof(float));
    b->hidden = att_scratch_take(scratch, limits->max_tokens * hidden, sizeof(float));
    b->masks = att_scratch_take(scratch, limits->max_seqs * hidden, sizeof(float));
    b->pooled = att_scratch_take(scratch, limits->max_seqs * hidden, sizeof(float));
    b->ids = att_scratch_take(scratch, slots, sizeof(int32_t));
    b->cu = att_scratch_take(scratch, limits->max_seqs + 1, sizeof(uint32_t));
    att_scratch_need(scratch, att_mha_space(&model->mha, info->max_tokens + 1, info->max_tokens + 1));
}

static void embed(const struct bert4rec *model, const struct att_arch_batch *batch, const struct buffers *b)
{
    size_t n_seqs = batch->n_seqs;
    b->cu[0] = 0;
    for (size_t s = 0; s < n_seqs; s++) {
        size_t begin = batch->cu_seqlens[s], len = batch->cu_seqlens[s + 1] - begin;
        memcpy(b->ids + b->cu[s], batch->ids + begin, len * sizeof *b->ids);
        b->ids[b->cu[s] + len] = model->mask_id;
        b->cu[s + 1] = b->cu[s] + (uint32_t)len + 1;
    }
    const struct att_positions positions = {.cu_seqlens = b->cu, .n_seqs = n_seqs};
    att_embedding_set(model->item, b->cu[n_seqs], b->ids, 1.0f, b->x);
    att_embedding_add_positions(model->position, &positions, b->x);
}

/* Hands on what the mask attends to: as the last token's row, over the history. */
static void mask_take(void *context, size_t layer, size_t seq, size_t head, size_t first, const float *probs,
                      size_t n_query, size_t n_key)
{
    const struct att_attention_sink *sink = context;
    if (first + n_query == n_key)
        sink->take(sink->context, layer, seq, head, n_key - 2, probs + (n_query - 1) * n_key, 1, n_key - 1);
}

static bool mask_wants(void *context, size_t seq)
{
    const struct att_attention_sink *sink = context;
    return !sink->wants || sink->wants(sink->context, seq);
}

static void run_layer(const struct bert4rec *model, const struct bert4rec_layer *layer,
                      const struct att_arch_info *info, const struct att_arch_batch *batch,
                      const struct att_attention_sink *sink, size_t index, const struct buffers *b)
{
    size_t n = b->cu[batch->n_seqs], hidden = info->hidden_size, inner = info->intermediate_size;
    att_linear_run(batch->team, &layer->query_key_value, n, b->x, hidden, b->wide, 3 * hidden, ATT_ACT_NONE, NULL, 0);
    const struct att_mha_call call = {
        .cu_query = b->cu,
        .n_seqs = batch->n_seqs,
        .query = b->wide,
        .query_ld = 3 * hidden,
        .key = b->wide + hidden,
        .value = b->wide + 2 * hidden,
        .kv_ld = 3 * hidden,
        .out = b->context,
        .out_ld = hidden,
        .sink = sink,
        .layer = index,
        .longest_query = batch->longest + 1,
        .longest_key = batch->longest + 1,
    };
    att_mha_run(batch->team, &model->mha, &call);
    att_linear_run(batch->team, &layer->attention_output, n, b->context, hidden, b->a, hidden, ATT_ACT_NONE, b->x,
                   hidden);
    att_norm_run(&layer->norm1, n, hidden, model->eps, b->a, b->a);
    att_linear_run(batch->team, &layer->linear1, n, b->a, hidden, b->wide, inner, model->act, NULL, 0);
    att_linear_run(batch->team, &layer->linear2, n, b->wide, inner, b->x, hidden, ATT_ACT_NONE, b->a, hidden);
    att_norm_run(&layer->norm2, n, hidden, model->eps, b->x, b->x);
}

static void forward(const void *state, const void *layers, const struct att_arch_info *info,
                    const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                    struct att_arch_output *output)
{
    const struct bert4rec *model = state;
    const struct bert4rec_layer *layer = layers;
    const struct buffers *b = buffers;
    size_t hidden = info->hidden_size;
    struct att_attention_sink asked = tap ? tap->attention : (struct att_attention_sink){.take = NULL};
    const struct att_attention_sink sink = {.context = &asked, .wants = mask_wants, .take = mask_take};
    assert(batch->n_tokens > 0);
    embed(model, batch, b);
    for (size_t i = 0; i < info->n_layers; i++)
        run_layer(model, &layer[i], info, batch, asked.take ? &sink : NULL, i, b);
    for (size_t s = 0; s < batch->n_seqs; s++) {
        size_t len = b->cu[s + 1] - b->cu[s] - 1;
        /* A token's row is the state of the slot behind it, so that the last one is the mask's. */
        memcpy(b->hidden + batch->cu_seqlens[s] * hidden, b->x + (b->cu[s] + 1) * hidden, len * hidden * sizeof(float));
        memcpy(b->masks + s * hidden, b->x + (b->cu[s] + len) * hidden, hidden * sizeof(float));
    }
    att_linear_run(batch->team, &model->output, batch->n_seqs, b->masks, hidden, b->pooled, hidden, model->act, NULL,
                   0);
    output->hidden = b->hidden;
    output->pooled = b->pooled;
}

static const struct att_table *items(const void *state, const float **ret_bias)
{
    const struct bert4rec *model = state;
    *ret_bias = model->item_bias;
    return model->item;
}

const struct att_arch att_arch_bert4rec = {
    .model_type = "bert4rec",
    .prefix = "",
    .state_bytes = sizeof(struct bert4rec),
    .stacks = {{sizeof(struct bert4rec_layer), layer_slots, sizeof layer_slots / sizeof *layer_slots}},
    .configure = configure,
    .buffers_bytes = sizeof(struct buffers),
    .plan = plan,
    .forward = forward,
    .items = items,
};
