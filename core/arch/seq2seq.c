/* The forward passes of encoder-decoders with LayerNorm behind the sums; see seq2seq.h. */
#include "core/arch/seq2seq.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/arch/config.h"
#include "core/ops/embedding.h"
#include "core/ops/norm.h"

enum { LAYERS_MAX = 256, HIDDEN_MAX = 16384, TOKENS_MAX = 1 << 15, TOKENS_OTHERWISE = 4096 };

static struct att_mha heads(size_t hidden, size_t n_heads, bool causal)
{
    struct att_mha mha = {.n_heads = n_heads, .n_kv_heads = n_heads, .head_dim = hidden / n_heads, .causal = causal};
    mha.scale = 1.0f / sqrtf((float)mha.head_dim);
    return mha;
}

enum att_status att_s2s_configure(const struct att_s2s_family *family, const struct att_json *config,
                                  struct att_s2s *model, struct att_arch_info *info, struct att_err *err)
{
    bool scaled = false;
    const struct att_config_field fields[] = {
        {family->d_model, 1, HIDDEN_MAX, SIZE_MAX, &info->hidden_size},
        {family->encoder_layers, 1, LAYERS_MAX, SIZE_MAX, &info->n_layers},
        {family->decoder_layers, 1, LAYERS_MAX, SIZE_MAX, &info->n_decoder_layers},
        {family->encoder_heads, 1, HIDDEN_MAX, SIZE_MAX, &info->n_heads},
        {family->decoder_heads, 1, HIDDEN_MAX, SIZE_MAX, &info->n_decoder_heads},
        {family->encoder_inner, 1, 8 * HIDDEN_MAX, SIZE_MAX, &model->encoder_inner},
        {family->decoder_inner, 1, 8 * HIDDEN_MAX, SIZE_MAX, &model->decoder_inner},
    };
    enum att_status status = att_config_sizes(config, fields, sizeof fields / sizeof *fields, err);
    info->max_tokens = TOKENS_OTHERWISE;
    if (status == ATT_OK && family->positions_field)
        status = att_config_size(config, family->positions_field, 1, TOKENS_MAX, SIZE_MAX, &info->max_tokens, err);
    if (status == ATT_OK)
        status = att_config_heads(family->encoder_heads, info->hidden_size, info->n_heads, err);
    if (status == ATT_OK)
        status = att_config_heads(family->decoder_heads, info->hidden_size, info->n_decoder_heads, err);
    if (status == ATT_OK)
        status = att_config_act(config, family->act, family->default_act, &model->act, err);
    if (status == ATT_OK)
        status = att_config_bool(config, family->scale_embedding, family->default_scale, &scaled, err);
    if (status != ATT_OK)
        return status;
    model->scale = scaled ? sqrtf((float)info->hidden_size) : 1.0f;
    model->eps = family->eps;
    model->positions = family->positions;
    model->first_position = family->first_position;
    model->encoder = heads(info->hidden_size, info->n_heads, false);
    model->decoder = heads(info->hidden_size, info->n_decoder_heads, true);
    model->cross = heads(info->hidden_size, info->n_decoder_heads, false);
    info->intermediate_size = model->encoder_inner;
    info->n_kv_heads = info->n_decoder_heads;
    info->head_dim = model->decoder.head_dim;
    info->dims[ATT_S2S_HIDDEN] = info->hidden_size;
    info->dims[ATT_S2S_QKV] = 3 * info->hidden_size;
    info->dims[ATT_S2S_ENCODER_INNER] = model->encoder_inner;
    info->dims[ATT_S2S_DECODER_INNER] = model->decoder_inner;
    info->dims[ATT_S2S_POSITIONS] = family->first_position + info->max_tokens;
    return ATT_OK;
}

void att_s2s_vocabularies(struct att_arch_info *info, size_t source, size_t target, bool shared)
{
    info->vocab_size = source;
    info->target_vocab_size = target;
    info->dims[ATT_S2S_SOURCE_VOCAB] = source;
    info->dims[ATT_S2S_TARGET_VOCAB] = target;
    info->dims[ATT_S2S_SEPARATE] = !shared;
    info->dims[ATT_S2S_SHARED] = shared;
}

void att_s2s_plan(const void *state, const struct att_arch_info *info, const struct att_arch_limits *limits,
                  struct att_scratch *scratch, void *buffers)
{
    const struct att_s2s *model = state;
    struct att_s2s_buffers *b = buffers;
    size_t hidden = info->hidden_size, tokens = limits->max_tokens, wide = 3 * hidden;
    size_t longest = tokens < info->max_tokens ? tokens : info->max_tokens;
    size_t longest_key = limits->max_past > longest ? limits->max_past : longest;
    wide = wide > model->encoder_inner ? wide : model->encoder_inner;
    wide = wide > model->decoder_inner ? wide : model->decoder_inner;
    b->x = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->a = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->context = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->wide = att_scratch_take(scratch, tokens * wide, sizeof(float));
    b->memory = att_scratch_take(scratch, tokens * hidden, sizeof(float));
    b->cross = att_scratch_take(scratch, tokens * 2 * hidden, sizeof(float));
    att_scratch_need(scratch, att_mha_space(&model->encoder, longest, longest));
    att_scratch_need(scratch, att_mha_space(&model->decoder, longest, longest_key));
}

/* Words and positions of either side. */
static void embed(const struct att_s2s *model, const struct att_arch_batch *batch, const struct att_table *word,
                  const struct att_table *position, const struct att_norm *norm, float *x)
{
    const struct att_positions positions = {.cu_seqlens = batch->cu_seqlens,
                                            .n_seqs = batch->n_seqs,
                                            .first = model->first_position,
                                            .offsets = batch->past.cache ? batch->past.cache->len : NULL};
    att_embedding_set(word, batch->n_tokens, batch->ids, model->scale, x);
    if (model->positions == ATT_S2S_LEARNED)
        att_embedding_add_positions(position, &positions, x);
    else
        att_embedding_add_sinusoids(&positions, word->cols, model->positions == ATT_S2S_INTERLEAVED, x);
    if (norm->weight)
        att_norm_run(norm, batch->n_tokens, word->cols, model->eps, x, x);
}

/* x = LayerNorm(x + output(context)). */
static void close_attention(const struct att_s2s *model, const struct att_s2s_attention *attention,
                            const struct att_arch_batch *batch, size_t hidden, const struct att_s2s_buffers *b)
{
    size_t n = batch->n_tokens;
    att_linear_run(batch->team, &attention->output, n, b->context, hidden, b->x, hidden, ATT_ACT_NONE, b->x, hidden);
    att_norm_run(&attention->norm, n, hidden, model->eps, b->x, b->x);
}

static void attend_self(const struct att_s2s *model, const struct att_mha *mha,
                        const struct att_s2s_attention *attention, const struct att_arch_info *info,
                        const struct att_arch_batch *batch, const struct att_attention_sink *sink, size_t index,
                        const struct att_s2s_buffers *b)
{
    size_t n = batch->n_tokens, hidden = info->hidden_size;
    struct att_kv_cache *cache = batch->past.cache;
    att_linear_run(batch->team, &attention->query_key_value, n, b->x, hidden, b->wide, 3 * hidden, ATT_ACT_NONE, NULL,
                   0);
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
        .sink = sink,
        .layer = index,
        .longest_query = batch->longest,
        .longest_key = cache ? cache->max_len : batch->longest,
    };
    att_mha_run(batch->team, mha, &call);
    close_attention(model, attention, batch, hidden, b);
}

static void attend_memory(const struct att_s2s *model, const struct att_s2s_attention *attention,
                          const struct att_arch_info *info, const struct att_arch_batch *batch,
                          const struct att_attention_sink *sink, size_t index, const struct att_s2s_buffers *b)
{
    const struct att_arch_past *past = &batch->past;
    size_t n = batch->n_tokens, hidden = info->hidden_size;
    if (!past->cross)
        att_linear_run(batch->team, &attention->query_key_value, past->memory_tokens, past->memory, hidden, b->cross,
                       2 * hidden, ATT_ACT_NONE, NULL, 0);
    att_linear_run(batch->team, &attention->query, n, b->x, hidden, b->wide, hidden, ATT_ACT_NONE, NULL, 0);
    const struct att_mha_call call = {
        .cu_query = batch->cu_seqlens,
        .n_seqs = batch->n_seqs,
        .query = b->wide,
        .query_ld = hidden,
        .key = b->cross,
        .value = b->cross + hidden,
        .kv_ld = 2 * hidden,
        .cu_key = past->cu_memory,
        .memory = past->cross,
        .memory_len = past->cross_len,
        .out = b->context,
        .out_ld = hidden,
        .sink = sink,
        .layer = index,
        .longest_query = batch->longest,
        .longest_key = past->longest_memory,
    };
    att_mha_run(batch->team, &model->cross, &call);
    close_attention(model, attention, batch, hidden, b);
}

static void run_inner(const struct att_s2s *model, const struct att_s2s_inner *inner, size_t width,
                      const struct att_arch_batch *batch, size_t hidden, const struct att_s2s_buffers *b)
{
    size_t n = batch->n_tokens;
    att_linear_run(batch->team, &inner->up, n, b->x, hidden, b->wide, width, model->act, NULL, 0);
    att_linear_run(batch->team, &inner->down, n, b->wide, width, b->x, hidden, ATT_ACT_NONE, b->x, hidden);
    att_norm_run(&inner->norm, n, hidden, model->eps, b->x, b->x);
}

void att_s2s_encode(const void *state, const void *layers, const struct att_arch_info *info,
                    const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                    struct att_arch_output *output)
{
    const struct att_s2s *model = state;
    const struct att_s2s_encoder_layer *layer = layers;
    const struct att_s2s_buffers *b = buffers;
    size_t n = batch->n_tokens, hidden = info->hidden_size;
    assert(n > 0);
    embed(model, batch, model->shared ? model->shared : model->source, model->source_position, &model->source_norm,
          b->x);
    for (size_t i = 0; i <= info->n_layers; i++) {
        if (tap && tap->hidden)
            tap->hidden(tap->context, i, b->x, n, hidden);
        if (i == info->n_layers)
            break;
        attend_self(model, &model->encoder, &layer[i].self, info, batch, tap ? &tap->attention : NULL, i, b);
        run_inner(model, &layer[i].inner, model->encoder_inner, batch, hidden, b);
    }
    memcpy(b->memory, b->x, n * hidden * sizeof *b->x);
    output->hidden = b->memory;
}

void att_s2s_decode(const void *state, const void *layers, const struct att_arch_info *info,
                    const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                    struct att_arch_output *output)
{
    const struct att_s2s *model = state;
    const struct att_s2s_decoder_layer *layer = layers;
    const struct att_s2s_buffers *b = buffers;
    size_t n = batch->n_tokens, hidden = info->hidden_size;
    assert(n > 0 && (batch->past.cu_memory || batch->past.cross));
    embed(model, batch, model->shared ? model->shared : model->target, model->target_position, &model->target_norm,
          b->x);
    for (size_t i = 0; i <= info->n_decoder_layers; i++) {
        if (tap && tap->hidden)
            tap->hidden(tap->context, i, b->x, n, hidden);
        if (i == info->n_decoder_layers)
            break;
        attend_self(model, &model->decoder, &layer[i].self, info, batch, tap ? &tap->attention : NULL, i, b);
        attend_memory(model, &layer[i].cross, info, batch, tap ? &tap->cross : NULL, i, b);
        run_inner(model, &layer[i].inner, model->decoder_inner, batch, hidden, b);
    }
    output->hidden = b->x;
}

void att_s2s_cross(const void *state, const void *layers, size_t layer, size_t n, const float *memory, float *out)
{
    (void)state;
    const struct att_linear *linear = &((const struct att_s2s_decoder_layer *)layers)[layer].cross.query_key_value;
    att_linear_run(NULL, linear, n, memory, linear->k, out, linear->n, ATT_ACT_NONE, NULL, 0);
}

void att_s2s_logits(const void *state, const struct att_arch_info *info, struct att_team *team, size_t n,
                    const float *hidden, float *logits)
{
    const struct att_s2s *model = state;
    size_t vocab = info->target_vocab_size;
    att_linear_run(team, &model->lm_head, n, hidden, info->hidden_size, logits, vocab, ATT_ACT_NONE, NULL, 0);
    for (size_t i = 0; model->logits_bias && i < n; i++)
        for (size_t j = 0; j < vocab; j++)
            logits[i * vocab + j] += model->logits_bias[j];
}
