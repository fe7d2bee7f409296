/*
 * SASRec (Kang & McAuley 2018, "Self-Attentive Sequential Recommendation"), as
 * the common PyTorch ports write it. Item 0 is padding.
 *
 *   x = sqrt(d)·item + position          positions from 1
 *   every block:  q = LayerNorm(x)
 *                 x = q + MHA(query q, key x, value x, causal)
 *                 y = LayerNorm(x);  x = y + W2·act(W1·y)
 *   h = LayerNorm(x);  score of item i = h · item_i (+ bias_i)
 *
 * A token of weight w has ln w added to the scores of its key: softmax then
 * gives it what w equal tokens in its place would get together.
 *
 * With pad_to_max_length a history is left-padded to the longest length; the
 * padded slots enter as exact zeros and are attended, as such checkpoints were
 * trained.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/arch/arch.h"
#include "core/arch/config.h"
#include "core/ops/embedding.h"
#include "core/ops/norm.h"

enum { LAYERS_MAX = 64, HIDDEN_MAX = 4096, ITEMS_MAX = 1 << 24, TOKENS_MAX = 4096 };

enum { HIDDEN, ITEMS, POSITIONS }; /* dims */

struct sasrec_layer {
    struct att_norm attention_norm, forward_norm;
    struct att_linear query, key_value, out, conv1, conv2;
};

struct sasrec {
    struct att_table *item, *position;
    struct att_norm last_norm;
    float *item_bias;
    struct att_mha mha;
    enum att_act act;
    float eps, scale;
    bool padded;
};

static const struct att_slot model_slots[] = {
    ATT_TABLE(struct sasrec, item, ITEMS, HIDDEN, "item_emb.weight"),
    ATT_TABLE(struct sasrec, position, POSITIONS, HIDDEN, "pos_emb.weight"),
    ATT_NORM(struct sasrec, last_norm, HIDDEN, "last_layernorm.*"),
};

static const struct att_slot bias_slots[] = {
    ATT_VECTOR(struct sasrec, item_bias, ITEMS, "item_bias"),
};

static const struct att_slot layer_slots[] = {
    ATT_NORM(struct sasrec_layer, attention_norm, HIDDEN, "attention_layernorms.#.*"),
    ATT_LINEAR_PART(struct sasrec_layer, query, HIDDEN, HIDDEN, "attention_layers.#.in_proj_*", 0, 1, 3),
    ATT_LINEAR_PART(struct sasrec_layer, key_value, HIDDEN, HIDDEN, "attention_layers.#.in_proj_*", 1, 2, 3),
    ATT_LINEAR(struct sasrec_layer, out, HIDDEN, HIDDEN, "attention_layers.#.out_proj.*"),
    ATT_NORM(struct sasrec_layer, forward_norm, HIDDEN, "forward_layernorms.#.*"),
    ATT_LINEAR(struct sasrec_layer, conv1, HIDDEN, HIDDEN, "forward_layers.#.conv1.*"),
    ATT_LINEAR(struct sasrec_layer, conv2, HIDDEN, HIDDEN, "forward_layers.#.conv2.*"),
};

static const char *const aliases[][2] = {{NULL, NULL}};

static enum att_status configure_flags(const struct att_json *config, struct sasrec *sasrec, bool *ret_bias,
                                       bool *ret_scale, struct att_err *err)
{
    enum att_status status = att_config_act(config, "hidden_act", ATT_ACT_RELU, &sasrec->act, err);
    if (status == ATT_OK)
        status = att_config_float(config, "layer_norm_eps", 0, 1, 1e-8, &sasrec->eps, err);
    if (status == ATT_OK)
        status = att_config_bool(config, "pad_to_max_length", false, &sasrec->padded, err);
    if (status == ATT_OK)
        status = att_config_bool(config, "scale_embedding", true, ret_scale, err);
    if (status == ATT_OK)
        status = att_config_bool(config, "output_bias", false, ret_bias, err);
    return status;
}

static enum att_status configure(const struct att_json *config, void *state, struct att_arch_info *info,
                                 struct att_err *err)
{
    struct sasrec *sasrec = state;
    size_t items;
    bool bias, scale;
    enum att_status status = att_config_size(config, "num_items", 1, ITEMS_MAX, SIZE_MAX, &items, err);
    if (status == ATT_OK)
        status = att_config_size(config, "hidden_size", 1, HIDDEN_MAX, SIZE_MAX, &info->hidden_size, err);
    if (status == ATT_OK)
        status = att_config_size(config, "num_hidden_layers", 1, LAYERS_MAX, SIZE_MAX, &info->n_layers, err);
    if (status == ATT_OK)
        status = att_config_size(config, "num_attention_heads", 1, HIDDEN_MAX, SIZE_MAX, &info->n_heads, err);
    if (status == ATT_OK)
        status = att_config_size(config, "max_position_embeddings", 1, TOKENS_MAX, SIZE_MAX, &info->max_tokens, err);
    if (status == ATT_OK)
        status = configure_flags(config, sasrec, &bias, &scale, err);
    if (status != ATT_OK)
        return status;
    if (info->hidden_size % info->n_heads != 0)
        return att_err_set(err, ATT_EFORMAT, "num_attention_heads: is %zu, expected a divisor of hidden_size %zu",
                           info->n_heads, info->hidden_size);
    sasrec->scale = scale ? sqrtf((float)info->hidden_size) : 1.0f;
    sasrec->mha = (struct att_mha){
        .n_heads = info->n_heads, .n_kv_heads = info->n_heads, .head_dim = info->hidden_size / info->n_heads};
    sasrec->mha.scale = 1.0f / sqrtf((float)sasrec->mha.head_dim);
    sasrec->mha.causal = true;
    info->vocab_size = items + 1;
    info->intermediate_size = info->hidden_size;
    info->scores_items = true;
    info->dims[HIDDEN] = info->hidden_size;
    info->dims[ITEMS] = items + 1;
    info->dims[POSITIONS] = info->max_tokens + 1;
    info->sets[0].slots = model_slots;
    info->sets[0].n_slots = sizeof model_slots / sizeof *model_slots;
    info->sets[1].slots = bias_slots;
    info->sets[1].n_slots = bias ? 1 : 0;
    return ATT_OK;
}

struct buffers {
    float *x, *q, *key_value, *context; /* key_value [slots][2 * hidden], the others [slots][hidden] */
    float *hidden;                      /* [tokens][hidden]: the real tokens, when slots are padded */
    uint32_t *cu_slots;                 /* [seqs + 1], when slots are padded */
    float *log_weights;                 /* [slots] */
    const float **by_key;               /* [seqs] into log_weights; NULL: its tokens weigh the same */
    float *probs;                       /* [longest][longest], when slots are padded */
};

static void plan(const void *state, const struct att_arch_info *info, const struct att_arch_limits *limits,
                 struct att_scratch *scratch, void *buffers)
{
    const struct sasrec *sasrec = state;
    struct buffers *b = buffers;
    size_t slots = limits->max_tokens, hidden = info->hidden_size, longest = info->max_tokens;
    if (sasrec->padded) {
        slots = limits->max_seqs * longest;
        b->hidden = att_scratch_take(scratch, limits->max_tokens * hidden, sizeof(float));
        b->cu_slots = att_scratch_take(scratch, limits->max_seqs + 1, sizeof(uint32_t));
        b->probs = att_scratch_take(scratch, longest * longest, sizeof(float));
    }
    b->log_weights = att_scratch_take(scratch, slots, sizeof(float));
    b->by_key = att_scratch_take(scratch, limits->max_seqs, sizeof *b->by_key);
    b->x = att_scratch_take(scratch, slots * hidden, sizeof(float));
    b->q = att_scratch_take(scratch, slots * hidden, sizeof(float));
    b->key_value = att_scratch_take(scratch, slots * 2 * hidden, sizeof(float));
    b->context = att_scratch_take(scratch, slots * hidden, sizeof(float));
    att_scratch_need(scratch, att_mha_space(&sasrec->mha, longest, longest));
}

/* Histories end to end, positions 1..n. */
static void embed_packed(const struct sasrec *sasrec, const struct att_arch_batch *batch, float *x)
{
    const struct att_positions positions = {.cu_seqlens = batch->cu_seqlens, .n_seqs = batch->n_seqs, .first = 1};
    att_embedding_set(sasrec->item, batch->n_tokens, batch->ids, sasrec->scale, x);
    att_embedding_add_positions(sasrec->position, &positions, x);
}

/* Every history at the end of its own max_tokens slots; the slots before it are zeros. */
static void embed_padded(const struct sasrec *sasrec, const struct att_arch_info *info,
                         const struct att_arch_batch *batch, const struct buffers *b)
{
    size_t slots = info->max_tokens, hidden = info->hidden_size;
    for (size_t s = 0; s < batch->n_seqs; s++) {
        size_t begin = batch->cu_seqlens[s], len = batch->cu_seqlens[s + 1] - begin;
        float *row = b->x + s * slots * hidden, *real = row + (slots - len) * hidden;
        const uint32_t cu_one[2] = {0, (uint32_t)len};
        const struct att_positions positions = {.cu_seqlens = cu_one, .n_seqs = 1, .first = 1 + slots - len};
        b->cu_slots[s] = (uint32_t)(s * slots);
        memset(row, 0, (slots - len) * hidden * sizeof *row);
        att_embedding_set(sasrec->item, len, batch->ids + begin, sasrec->scale, real);
        att_embedding_add_positions(sasrec->position, &positions, real);
    }
    b->cu_slots[batch->n_seqs] = (uint32_t)(batch->n_seqs * slots);
}

/* Logarithms of a sequence's weights relative to the largest, behind `padding` slots that count like it. NULL: all
 * weigh the same, and it is computed as one without weights. */
static const float *weigh(const float *weights, size_t len, size_t padding, float *log_weights)
{
    float largest = weights[0], least = weights[0];
    for (size_t i = 1; i < len; i++) {
        largest = weights[i] > largest ? weights[i] : largest;
        least = weights[i] < least ? weights[i] : least;
    }
    if (least == largest)
        return NULL;
    memset(log_weights, 0, padding * sizeof *log_weights);
    for (size_t i = 0; i < len; i++)
        log_weights[padding + i] = logf(weights[i]) - logf(largest);
    return log_weights;
}

/* Into b->by_key; cu_slots: where the sequences stand with their padding. False: nothing is weighed. */
static bool weigh_all(const struct att_arch_batch *batch, const uint32_t *cu_slots, const struct buffers *b)
{
    bool any = false;
    for (size_t s = 0; batch->weights && s < batch->n_seqs; s++) {
        const size_t len = batch->cu_seqlens[s + 1] - batch->cu_seqlens[s], slots = cu_slots[s + 1] - cu_slots[s];
        const float *weights = batch->weights[s];
        b->by_key[s] = weights ? weigh(weights, len, slots - len, b->log_weights + cu_slots[s]) : NULL;
        any = any || b->by_key[s];
    }
    return any;
}

/* Hands on the probabilities among the real tokens of a padded history. */
struct cropped_sink {
    const struct att_attention_sink *sink;
    const struct att_arch_batch *batch;
    float *probs;
};

static bool crop_wants(void *context, size_t seq)
{
    const struct cropped_sink *crop = context;
    return !crop->sink->wants || crop->sink->wants(crop->sink->context, seq);
}

static void crop_take(void *context, size_t layer, size_t seq, size_t head, size_t first, const float *probs,
                      size_t n_query, size_t n_key)
{
    const struct cropped_sink *crop = context;
    size_t len = crop->batch->cu_seqlens[seq + 1] - crop->batch->cu_seqlens[seq], padding = n_key - len;
    size_t skip = first < padding ? padding - first : 0;
    if (skip >= n_query)
        return;
    for (size_t i = skip; i < n_query; i++)
        memcpy(crop->probs + (i - skip) * len, probs + i * n_key + padding, len * sizeof *probs);
    crop->sink->take(crop->sink->context, layer, seq, head, first + skip - padding, crop->probs, n_query - skip, len);
}

static void run_block(const struct sasrec *sasrec, const struct sasrec_layer *layer, size_t hidden,
                      const struct att_arch_batch *batch, const struct att_mha_bias *bias,
                      const struct att_attention_sink *sink, size_t index, const struct buffers *b)
{
    size_t n = batch->n_tokens;
    att_norm_run(&layer->attention_norm, n, hidden, sasrec->eps, b->x, b->q);
    att_linear_run(batch->team, &layer->key_value, n, b->x, hidden, b->key_value, 2 * hidden, ATT_ACT_NONE, NULL, 0);
    att_linear_run(batch->team, &layer->query, n, b->q, hidden, b->x, hidden, ATT_ACT_NONE, NULL, 0);
    const struct att_mha_call call = {
        .cu_query = batch->cu_seqlens,
        .n_seqs = batch->n_seqs,
        .query = b->x,
        .query_ld = hidden,
        .key = b->key_value,
        .value = b->key_value + hidden,
        .kv_ld = 2 * hidden,
        .bias = bias,
        .out = b->context,
        .out_ld = hidden,
        .sink = sink,
        .layer = index,
        .longest_query = batch->longest,
        .longest_key = batch->longest,
    };
    att_mha_run(batch->team, &sasrec->mha, &call);
    att_linear_run(batch->team, &layer->out, n, b->context, hidden, b->x, hidden, ATT_ACT_NONE, b->q, hidden);
    att_norm_run(&layer->forward_norm, n, hidden, sasrec->eps, b->x, b->q);
    att_linear_run(batch->team, &layer->conv1, n, b->q, hidden, b->context, hidden, sasrec->act, NULL, 0);
    att_linear_run(batch->team, &layer->conv2, n, b->context, hidden, b->x, hidden, ATT_ACT_NONE, b->q, hidden);
}

/* The real tokens of padded slots, packed as the batch. */
static const float *unpad(const struct att_arch_info *info, const struct att_arch_batch *batch, const struct buffers *b)
{
    size_t hidden = info->hidden_size;
    for (size_t s = 0; s < batch->n_seqs; s++) {
        size_t begin = batch->cu_seqlens[s], len = batch->cu_seqlens[s + 1] - begin;
        memcpy(b->hidden + begin * hidden, b->x + ((s + 1) * info->max_tokens - len) * hidden,
               len * hidden * sizeof(float));
    }
    return b->hidden;
}

static void forward(const void *state, const void *layers, const struct att_arch_info *info,
                    const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                    struct att_arch_output *output)
{
    const struct sasrec *sasrec = state;
    const struct sasrec_layer *layer = layers;
    const struct buffers *b = buffers;
    struct cropped_sink crop = {.batch = batch, .probs = b->probs, .sink = tap ? &tap->attention : NULL};
    const struct att_attention_sink cropped = {.context = &crop, .wants = crop_wants, .take = crop_take};
    const struct att_attention_sink *sink = tap && tap->attention.take ? &tap->attention : NULL;
    struct att_arch_batch slots = *batch; /* what the layers see: with padding, all slots of every sequence */
    assert(batch->n_tokens > 0);
    if (sasrec->padded) {
        embed_padded(sasrec, info, batch, b);
        slots.n_tokens = batch->n_seqs * info->max_tokens;
        slots.longest = info->max_tokens;
        slots.cu_seqlens = b->cu_slots;
        sink = sink ? &cropped : NULL;
    } else {
        embed_packed(sasrec, batch, b->x);
    }
    const struct att_mha_bias bias = {.by_key = b->by_key};
    const bool weighed = weigh_all(batch, slots.cu_seqlens, b);
    for (size_t i = 0; i < info->n_layers; i++)
        run_block(sasrec, &layer[i], info->hidden_size, &slots, weighed ? &bias : NULL, sink, i, b);
    att_norm_run(&sasrec->last_norm, slots.n_tokens, info->hidden_size, sasrec->eps, b->x, b->x);
    output->hidden = sasrec->padded ? unpad(info, batch, b) : b->x;
}

static const struct att_table *items(const void *state, const float **ret_bias)
{
    const struct sasrec *sasrec = state;
    *ret_bias = sasrec->item_bias;
    return sasrec->item;
}

const struct att_arch att_arch_sasrec = {
    .model_type = "sasrec",
    .prefix = "",
    .aliases = aliases,
    .state_bytes = sizeof(struct sasrec),
    .stacks = {{sizeof(struct sasrec_layer), layer_slots, sizeof layer_slots / sizeof *layer_slots}},
    .configure = configure,
    .buffers_bytes = sizeof(struct buffers),
    .plan = plan,
    .forward = forward,
    .items = items,
};
