/*
 * A context: the scratch of one thread for one model, and the forward pass on
 * it. All memory is planned and taken when the context is made.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/context.h"
#include "core/kern/kern.h"
#include "core/ops/pooling.h"

static void plan(struct att_context *context, struct att_scratch *scratch)
{
    const struct att_model *model = context->model;
    const struct att_arch_limits limits = {
        .max_tokens = context->max_tokens, .max_seqs = context->max_seqs, .max_past = context->max_past};
    model->arch->plan(model->state, &model->arch_info, &limits, scratch, context->buffers);
    context->pooled = att_scratch_take(scratch, context->max_seqs * att_dense_width(model), sizeof(float));
    if (model->n_dense > 0)
        context->dense = att_scratch_take(scratch, context->max_seqs * att_dense_width(model), sizeof(float));
    context->ids = att_scratch_take(scratch, context->max_tokens, sizeof *context->ids);
    context->type_ids = att_scratch_take(scratch, context->max_tokens, sizeof *context->type_ids);
    context->cu_seqlens = att_scratch_take(scratch, context->max_seqs + 1, sizeof *context->cu_seqlens);
    if (model->heads.packed)
        context->logits = att_scratch_take(scratch, context->max_seqs * model->info.n_logits, sizeof(float));
    if (context->max_past > 0)
        att_past_plan(context, scratch);
    context->space_bytes = scratch->space > model->linear_space ? scratch->space : model->linear_space;
    if (model->scan && context->space_bytes < att_scan_thread_bytes())
        context->space_bytes = att_scan_thread_bytes();
    context->team.space = att_scratch_take(scratch, context->space_bytes, 1);
}

enum att_status att_context_create(struct att_model *model, size_t max_tokens, size_t max_seqs,
                                   struct att_context **ret_context, struct att_err *err)
{
    return att_context_create_writing(model, max_tokens, max_seqs, 0, ret_context, err);
}

enum att_status att_context_create_writing(struct att_model *model, size_t max_tokens, size_t max_seqs, size_t max_past,
                                           struct att_context **ret_context, struct att_err *err)
{
    assert(model && ret_context);
    if (max_tokens == 0 || max_seqs == 0 || max_tokens > UINT32_MAX / 2 || max_seqs > UINT32_MAX / 2)
        return att_err_set(err, ATT_EINVAL, "a context needs 1 to 2^31 tokens and sequences, got %zu and %zu",
                           max_tokens, max_seqs);
    struct att_context *context = att_mem_calloc(1, sizeof *context);
    if (!context)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    context->model = att_model_ref(model);
    context->max_tokens = max_tokens;
    context->max_seqs = max_seqs;
    context->max_past = max_past;
    att_team_init(&context->team, NULL);
    context->buffers = att_mem_calloc(1, model->arch->buffers_bytes);
    if (!context->buffers)
        goto fail;
    struct att_scratch scratch = {.base = NULL};
    plan(context, &scratch);
    context->bytes = scratch.used;
    context->memory = scratch.overflow ? NULL : att_mem_map(scratch.used);
    if (!context->memory)
        goto fail;
    scratch = (struct att_scratch){.base = context->memory};
    plan(context, &scratch);
    *ret_context = context;
    return ATT_OK;
fail:
    att_context_destroy(context);
    return att_err_set(err, ATT_ENOMEM, "out of memory for a context of %zu tokens", max_tokens);
}

void att_context_destroy(struct att_context *context)
{
    if (!context)
        return;
    att_team_finish(&context->team);
    att_mem_unmap(context->memory, context->bytes);
    att_mem_free(context->buffers);
    att_model_unref(context->model);
    att_mem_free(context);
}

size_t att_context_bytes(const struct att_context *context)
{
    return context->bytes;
}

size_t att_context_max_tokens(const struct att_context *context)
{
    return context->max_tokens;
}

size_t att_context_max_seqs(const struct att_context *context)
{
    return context->max_seqs;
}

void att_context_staging(struct att_context *context, int32_t **ret_ids, int32_t **ret_type_ids,
                         uint32_t **ret_cu_seqlens)
{
    *ret_ids = context->ids;
    *ret_type_ids = context->type_ids;
    *ret_cu_seqlens = context->cu_seqlens;
}

static enum att_status check_weights(const struct att_batch *batch, struct att_err *err)
{
    for (size_t s = 0; batch->weights && s < batch->n_seqs; s++) {
        const float *weights = batch->weights[s];
        const size_t len = batch->cu_seqlens[s + 1] - batch->cu_seqlens[s];
        for (size_t t = 0; weights && t < len; t++)
            if (!(weights[t] > 0 && isfinite(weights[t])))
                return att_err_set(err, ATT_EINVAL, "weight %g at token %zu of sequence %zu, expected one above 0",
                                   (double)weights[t], t, s);
    }
    return ATT_OK;
}

/* Checks a batch against bounds and tables. */
enum att_status att_batch_check(const struct att_model *model, const struct att_batch *batch, size_t max_tokens,
                                size_t max_seqs, size_t vocab_size, struct att_arch_batch *checked, struct att_err *err)
{
    size_t types = model->arch_info.type_vocab_size, longest = model->arch_info.max_tokens;
    if (batch->n_seqs == 0 || batch->n_seqs > max_seqs)
        return att_err_limit(err, NULL, max_seqs, batch->n_seqs, "batch of %zu sequences, expected 1 to %zu",
                             batch->n_seqs, max_seqs);
    *checked = (struct att_arch_batch){.ids = batch->ids,
                                       .type_ids = batch->type_ids,
                                       .cu_seqlens = batch->cu_seqlens,
                                       .n_seqs = batch->n_seqs,
                                       .weights = batch->weights};
    if (batch->cu_seqlens[0] != 0)
        return att_err_set(err, ATT_EINVAL, "cu_seqlens begins with %u, expected 0", batch->cu_seqlens[0]);
    for (size_t s = 0; s < batch->n_seqs; s++) {
        uint32_t begin = batch->cu_seqlens[s], end = batch->cu_seqlens[s + 1];
        if (end <= begin || end - begin > longest)
            return att_err_limit(err, NULL, longest, end > begin ? end - begin : 0,
                                 "sequence %zu has %u tokens, expected 1 to %zu", s, end > begin ? end - begin : 0,
                                 longest);
        if (end - begin > checked->longest)
            checked->longest = end - begin;
    }
    checked->n_tokens = batch->cu_seqlens[batch->n_seqs];
    if (checked->n_tokens > max_tokens)
        return att_err_limit(err, NULL, max_tokens, checked->n_tokens, "batch of %zu tokens, expected at most %zu",
                             checked->n_tokens, max_tokens);
    for (size_t t = 0; t < checked->n_tokens; t++) {
        if (batch->ids[t] < 0 || (size_t)batch->ids[t] >= vocab_size)
            return att_err_set(err, ATT_EINVAL, "id %d at token %zu, expected 0 to %zu", batch->ids[t], t,
                               vocab_size - 1);
        if (batch->type_ids && types > 0 && (batch->type_ids[t] < 0 || (size_t)batch->type_ids[t] >= types))
            return att_err_set(err, ATT_EINVAL, "segment id %d at token %zu, expected 0 to %zu", batch->type_ids[t], t,
                               types - 1);
    }
    return check_weights(batch, err);
}

static enum att_pool_kind pool_kind(enum att_pooling pooling)
{
    switch (pooling) {
    case ATT_POOL_CLS:
        return ATT_POOL_KIND_FIRST;
    case ATT_POOL_LAST:
        return ATT_POOL_KIND_LAST;
    default:
        return ATT_POOL_KIND_MEAN;
    }
}

/* The decoder over what the encoder answered. */
static enum att_status decode(struct att_context *context, const struct att_batch *batch,
                              const struct att_arch_batch *source, const struct att_tap *tap,
                              struct att_arch_output *out, struct att_err *err)
{
    const struct att_model *model = context->model;
    struct att_arch_batch target;
    if (!model->arch->decode || model->arch_info.n_decoder_layers == 0)
        return att_err_set(err, ATT_EUNSUPPORTED, "the model has no decoder for a target");
    enum att_status status = att_batch_check(model, batch->target, context->max_tokens, context->max_seqs,
                                             model->arch_info.target_vocab_size, &target, err);
    if (status != ATT_OK)
        return status;
    if (target.n_seqs != source->n_seqs)
        return att_err_set(err, ATT_EINVAL, "target of %zu sequences, expected %zu as the source", target.n_seqs,
                           source->n_seqs);
    target.team = &context->team;
    struct att_arch_tap arch_tap = {.context = NULL};
    if (tap)
        arch_tap = (struct att_arch_tap){
            .context = tap->context,
            .hidden = tap->decoder_hidden,
            .attention = {.context = tap->context, .wants = tap->wants_attention, .take = tap->decoder_attention},
            .cross = {.context = tap->context, .wants = tap->wants_attention, .take = tap->cross_attention}};
    target.past = (struct att_arch_past){.memory = out->hidden,
                                         .cu_memory = source->cu_seqlens,
                                         .memory_tokens = source->n_tokens,
                                         .longest_memory = source->longest};
    model->arch->decode(model->state, model->layers[1], &model->arch_info, &target, tap ? &arch_tap : NULL,
                        context->buffers, out);
    return ATT_OK;
}

/* Who reads the last hidden state: the pooling, the caller, a tap, a decoder; and a head (info.head_reads_all). */
static bool first_only(const struct att_model *model, const struct att_batch *batch, const struct att_tap *tap)
{
    return model->info.pooling == ATT_POOL_CLS && batch->vectors_only && !tap && !batch->target;
}

static enum att_status forward(struct att_context *context, const struct att_batch *batch, const struct att_tap *tap,
                               struct att_output *ret_output, struct att_err *err)
{
    assert(context && batch && ret_output);
    const struct att_model *model = context->model;
    struct att_arch_batch checked;
    enum att_status status = att_batch_check(model, batch, context->max_tokens, context->max_seqs,
                                             model->arch_info.vocab_size, &checked, err);
    if (status != ATT_OK)
        return status;
    checked.team = &context->team;
    checked.first_only = first_only(model, batch, tap);
    struct att_arch_tap arch_tap = {.context = NULL};
    if (tap)
        arch_tap = (struct att_arch_tap){
            .context = tap->context,
            .hidden = tap->hidden,
            .attention = {.context = tap->context, .wants = tap->wants_attention, .take = tap->attention}};
    struct att_arch_output out = {.hidden = NULL};
    model->arch->forward(model->state, model->layers[0], &model->arch_info, &checked, tap ? &arch_tap : NULL,
                         context->buffers, &out);
    assert(out.hidden);
    size_t hidden = model->info.hidden_size;
    if (out.pooled)
        memcpy(context->pooled, out.pooled, checked.n_seqs * hidden * sizeof *out.pooled);
    else
        att_pool_run(pool_kind(model->info.pooling), model->pool_normalize, checked.cu_seqlens, checked.n_seqs, hidden,
                     out.hidden, context->pooled);
    const float *pooled = att_dense_run(model, &context->team, checked.n_seqs, context->pooled, context->dense);
    if (model->heads.packed) {
        att_linear_run(&context->team, &model->heads, checked.n_seqs, pooled, hidden, context->logits,
                       model->info.n_logits, ATT_ACT_NONE, NULL, 0);
        out.logits = context->logits;
    }
    const float *memory = batch->target ? out.hidden : NULL;
    if (batch->target && (status = decode(context, batch, &checked, tap, &out, err)) != ATT_OK)
        return status;
    *ret_output = (struct att_output){.hidden = batch->vectors_only ? NULL : out.hidden,
                                      .memory = memory,
                                      .pooler = out.pooler,
                                      .pooled = pooled,
                                      .logits = out.logits};
    return ATT_OK;
}

enum att_status att_forward(struct att_context *context, const struct att_batch *batch, const struct att_tap *tap,
                            struct att_output *ret_output, struct att_err *err)
{
    att_team_begin(&context->team);
    enum att_status status = forward(context, batch, tap, ret_output, err);
    att_team_end(&context->team);
    return status;
}

size_t att_context_help(struct att_context *helper, struct att_context *leader, bool (*leave)(void *context),
                        void *leave_context)
{
    assert(helper != leader && helper->model == leader->model && helper->space_bytes >= leader->space_bytes);
    return att_team_help(&leader->team, helper->team.space, leave, leave_context);
}

void att_lm_logits(const struct att_model *model, size_t n, const float *hidden, float *logits)
{
    assert(model->info.generates);
    model->arch->lm_logits(model->state, &model->arch_info, NULL, n, hidden, logits);
}

void att_score_items(const struct att_model *model, const float *pooled, float *scores)
{
    const float *bias = NULL;
    assert(model->arch->items);
    const struct att_table *items = model->arch->items(model->state, &bias);
    size_t n_items = model->arch_info.vocab_size;
    att_dot_table(1, n_items, items->cols, items->data, items->cols, pooled, scores);
    for (size_t i = 1; bias && i < n_items; i++)
        scores[i] += bias[i];
    scores[0] = -INFINITY;
}

const struct att_scan *att_item_scan(const struct att_model *model)
{
    return model->scan;
}

void att_best_items(struct att_context *context, const struct att_scan_query *query, struct att_scan_answer *ret_answer)
{
    assert(context->model->scan);
    att_team_begin(&context->team);
    att_scan_run(context->model->scan, &context->team, query, ret_answer);
    att_team_end(&context->team);
}

void att_context_hold(struct att_context *context)
{
    att_team_hold(&context->team);
}

void att_context_release(struct att_context *context)
{
    att_team_release(&context->team);
}

float att_score_item(const struct att_model *model, const float *pooled, size_t item)
{
    const float *bias = NULL;
    const struct att_table *items = model->arch->items(model->state, &bias);
    assert(item < model->arch_info.vocab_size);
    float score;
    att_dot_table(0, 1, items->cols, items->data + item * items->cols, items->cols, pooled, &score);
    return bias ? score + bias[item] : score;
}

const float *att_item_embedding(const struct att_model *model, size_t item)
{
    const float *bias;
    const struct att_table *items = model->arch->items ? model->arch->items(model->state, &bias) : NULL;
    return items && item < model->arch_info.vocab_size ? items->data + item * items->cols : NULL;
}

void att_dot_table(size_t begin, size_t end, size_t n, const float *table, size_t ld, const float *x, float *scores)
{
    att_kern()->rows->dot_table(begin, end, n, table, ld, x, scores);
}

void att_l2_normalize(size_t n, float *x)
{
    att_kern()->rows->l2_normalize(n, x);
}

void att_softmax(size_t n, const float *logits, float temperature, float *probabilities)
{
    if (probabilities != logits)
        memcpy(probabilities, logits, n * sizeof *logits);
    att_kern()->rows->softmax(n, probabilities, 1.0f / temperature);
}

double att_log_sum_exp(size_t n, const float *logits)
{
    double largest = (double)logits[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        largest = (double)logits[i] > largest ? (double)logits[i] : largest;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - largest);
    return largest + log(sum);
}

void att_blank_urls(char *text, size_t len)
{
    for (size_t i = 0; i + 7 <= len; i++) {
        if (memcmp(text + i, "http://", 7) != 0 && (i + 8 > len || memcmp(text + i, "https://", 8) != 0))
            continue;
        while (i < len && !strchr(" \t\r\n\v\f", text[i]))
            text[i++] = ' ';
    }
}
