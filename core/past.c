/*
 * Pasts, and passes over several of them: continuous batching. A pass sees its
 * sequences' memory through a view that is filled anew each time, so a sequence
 * costs the memory of its own length, may be in any pass, and leaves by being
 * freed.
 */
#include <assert.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/context.h"

struct att_past {
    struct att_model *model;
    uint32_t len, room;
    uint32_t source_len, source_room; /* encoder-decoders; else 0 */
    float *cross;                     /* [n_decoder_layers][source_len][key | value] */
    float *row;                       /* of a cache: keys and values of what was read */
};

static size_t decoder_layers(const struct att_arch_info *info)
{
    return info->n_decoder_layers > 0 ? info->n_decoder_layers : info->n_layers;
}

static size_t width_of(const struct att_arch_info *info)
{
    return info->n_kv_heads * info->head_dim;
}

/* Floats of both parts; false on overflow. */
static bool past_floats(const struct att_model *model, size_t source_len, size_t max_len, size_t *ret_row,
                        size_t *ret_cross)
{
    const struct att_arch_info *info = &model->arch_info;
    size_t total, bytes;
    return att_kv_row_floats(decoder_layers(info), max_len, width_of(info), ret_row) &&
           att_kv_row_floats(info->n_decoder_layers, source_len, width_of(info), ret_cross) &&
           att_size_add(*ret_row, *ret_cross, &total) && att_size_mul(total, sizeof(float), &bytes);
}

size_t att_past_bytes(const struct att_model *model, size_t source_len, size_t max_len)
{
    size_t row, cross;
    return past_floats(model, source_len, max_len, &row, &cross)
               ? (row + cross) * sizeof(float) + sizeof(struct att_past)
               : SIZE_MAX;
}

enum att_status att_past_create(struct att_model *model, size_t source_len, size_t max_len, struct att_past **ret_past,
                                struct att_err *err)
{
    const struct att_arch_info *info = &model->arch_info;
    size_t row, cross;
    if (!info->generates)
        return att_err_set(err, ATT_EUNSUPPORTED, "the model writes no text: it is no language model with a decoder");
    if (max_len == 0 || max_len > info->max_tokens || source_len > info->max_tokens)
        return att_err_limit(err, NULL, info->max_tokens, max_len > source_len ? max_len : source_len,
                             "%zu tokens, expected 1 to %zu, the model's own", max_len, info->max_tokens);
    assert((source_len > 0) == (info->n_decoder_layers > 0));
    struct att_past *past = att_mem_calloc(1, sizeof *past);
    if (!past)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    past->model = att_model_ref(model);
    past->room = (uint32_t)max_len;
    past->source_room = (uint32_t)source_len;
    if (past_floats(model, source_len, max_len, &row, &cross)) {
        past->row = att_mem_aligned(row, sizeof(float));
        past->cross = cross > 0 ? att_mem_aligned(cross, sizeof(float)) : NULL;
    }
    if (!past->row || (cross > 0 && !past->cross)) {
        att_past_destroy(past);
        return att_err_set(err, ATT_ENOMEM, "out of memory for the keys and values of %zu tokens", max_len);
    }
    *ret_past = past;
    return ATT_OK;
}

void att_past_destroy(struct att_past *past)
{
    if (!past)
        return;
    att_mem_free(past->row);
    att_mem_free(past->cross);
    att_model_unref(past->model);
    att_mem_free(past);
}

size_t att_past_len(const struct att_past *past)
{
    return past->len;
}

/* ---- passes ---- */

void att_past_plan(struct att_context *context, struct att_scratch *scratch)
{
    const struct att_model_info *info = &context->model->info;
    context->view.row = att_scratch_take(scratch, context->max_seqs, sizeof(float *));
    context->view.room = att_scratch_take(scratch, context->max_seqs, sizeof(uint32_t));
    context->view.len = att_scratch_take(scratch, context->max_seqs, sizeof(uint32_t));
    context->cross = att_scratch_take(scratch, context->max_seqs, sizeof(float *));
    context->cross_len = att_scratch_take(scratch, context->max_seqs, sizeof(uint32_t));
    context->last = att_scratch_take(scratch, ATT_PAST_LOGITS * info->hidden_size, sizeof(float));
    context->last_logits = att_scratch_take(scratch, ATT_PAST_LOGITS * info->logits_size, sizeof(float));
}

enum att_status att_forward_source(struct att_context *context, const struct att_batch *batch,
                                   struct att_past *const *pasts, struct att_err *err)
{
    const struct att_model *model = context->model;
    const struct att_arch_info *info = &model->arch_info;
    struct att_arch_batch checked;
    struct att_arch_output out = {.hidden = NULL};
    assert(info->n_decoder_layers > 0);
    enum att_status status =
        att_batch_check(model, batch, context->max_tokens, context->max_seqs, info->vocab_size, &checked, err);
    if (status != ATT_OK)
        return status;
    checked.team = &context->team;
    att_team_begin(&context->team);
    model->arch->forward(model->state, model->layers[0], info, &checked, NULL, context->buffers, &out);
    for (size_t s = 0; s < checked.n_seqs; s++) {
        struct att_past *past = pasts[s];
        size_t begin = checked.cu_seqlens[s], len = checked.cu_seqlens[s + 1] - begin;
        float *cross = past->cross;
        assert(past->model == model && past->source_len == 0 && len <= past->source_room);
        for (size_t i = 0; i < info->n_decoder_layers; i++, cross += 2 * len * width_of(info))
            model->arch->cross(model->state, model->layers[1], i, len, out.hidden + begin * info->hidden_size, cross);
        past->source_len = (uint32_t)len;
    }
    att_team_end(&context->team);
    return ATT_OK;
}

/* What the pass sees of the pasts. */
static void look_back(struct att_context *context, struct att_arch_batch *batch, struct att_past *const *pasts)
{
    const struct att_arch_info *info = &context->model->arch_info;
    struct att_kv_cache *view = &context->view;
    view->n_layers = decoder_layers(info);
    view->n_rows = batch->n_seqs;
    view->width = width_of(info);
    view->max_len = 0;
    for (size_t s = 0; s < batch->n_seqs; s++) {
        const struct att_past *past = pasts[s];
        size_t n = batch->cu_seqlens[s + 1] - batch->cu_seqlens[s];
        assert(past->model == context->model && past->len + n <= past->room && past->room <= context->max_past);
        assert(past->source_len == past->source_room);
        view->row[s] = past->row;
        view->room[s] = past->room;
        view->len[s] = past->len;
        view->max_len = past->room > view->max_len ? past->room : view->max_len;
        context->cross[s] = past->cross;
        context->cross_len[s] = past->source_len;
        if (past->source_len > batch->past.longest_memory)
            batch->past.longest_memory = past->source_len;
    }
    batch->past.cache = view;
    if (info->n_decoder_layers > 0) {
        batch->past.cross = context->cross;
        batch->past.cross_len = context->cross_len;
    }
}

/* The logits behind the last token of each sequence that asks, some at a time: the vocabulary's matrix is read once for
 * all of these. */
static void put_logits(struct att_context *context, const struct att_arch_batch *batch, const float *hidden,
                       float *const *logits)
{
    const struct att_model *model = context->model;
    size_t width = model->info.hidden_size, vocab = model->info.logits_size;
    size_t asking[ATT_PAST_LOGITS], n = 0;
    for (size_t s = 0; s < batch->n_seqs; s++) {
        if (logits[s]) {
            memcpy(context->last + n * width, hidden + (batch->cu_seqlens[s + 1] - 1) * width, width * sizeof *hidden);
            asking[n++] = s;
        }
        if (n == 0 || (n < ATT_PAST_LOGITS && s + 1 < batch->n_seqs))
            continue;
        model->arch->lm_logits(model->state, &model->arch_info, &context->team, n, context->last, context->last_logits);
        for (size_t i = 0; i < n; i++)
            memcpy(logits[asking[i]], context->last_logits + i * vocab, vocab * sizeof **logits);
        n = 0;
    }
}

enum att_status att_forward_past(struct att_context *context, const struct att_batch *batch,
                                 struct att_past *const *pasts, float *const *logits, const struct att_tap *tap,
                                 struct att_err *err)
{
    const struct att_model *model = context->model;
    const struct att_arch_info *info = &model->arch_info;
    bool seq2seq = info->n_decoder_layers > 0;
    struct att_arch_batch checked;
    struct att_arch_output out = {.hidden = NULL};
    struct att_arch_tap arch_tap = {.context = NULL};
    assert(context->max_past > 0);
    enum att_status status = att_batch_check(model, batch, context->max_tokens, context->max_seqs,
                                             seq2seq ? info->target_vocab_size : info->vocab_size, &checked, err);
    if (status != ATT_OK)
        return status;
    checked.team = &context->team;
    look_back(context, &checked, pasts);
    if (tap)
        arch_tap = (struct att_arch_tap){.attention = {.context = tap->context,
                                                       .wants = tap->wants_attention,
                                                       .take = seq2seq ? tap->decoder_attention : tap->attention},
                                         .cross = {.context = tap->context,
                                                   .wants = tap->wants_attention,
                                                   .take = seq2seq ? tap->cross_attention : NULL}};
    att_team_begin(&context->team);
    if (seq2seq)
        model->arch->decode(model->state, model->layers[1], info, &checked, tap ? &arch_tap : NULL, context->buffers,
                            &out);
    else
        model->arch->forward(model->state, model->layers[0], info, &checked, tap ? &arch_tap : NULL, context->buffers,
                             &out);
    put_logits(context, &checked, out.hidden, logits);
    att_team_end(&context->team);
    for (size_t s = 0; s < checked.n_seqs; s++)
        pasts[s]->len += checked.cu_seqlens[s + 1] - checked.cu_seqlens[s];
    return ATT_OK;
}
