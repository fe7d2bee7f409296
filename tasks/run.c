/*
 * Running jobs: packing them into one batch, the forward pass, and copying out
 * what each job wants. task_run is the whole life of a call where there is no
 * server.
 */
#include <assert.h>
#include <string.h>

#include "core/base/clock.h"
#include "tasks/task.h"

enum { JOBS_MAX = 256, BATCH_TOKENS = 256, BATCH_SEQS = 64, MODELS_MAX = 8, ARENA_LIMIT_BYTES = 256 << 20 };

/* Sums attention over the heads, of the last layer or of all, for the jobs that want it. */
struct attention_tap {
    struct task_job *const *jobs;
    const struct att_model_info *info;
};

static bool wants_attention(void *context, size_t seq)
{
    return ((const struct attention_tap *)context)->jobs[seq]->attention != NULL;
}

/* How much a pooled vector takes from position i of `len`. */
static float pooled_share(const struct att_model_info *info, size_t i, size_t len)
{
    bool last = info->pooling == ATT_POOL_LAST, cls = info->pooling == ATT_POOL_CLS;
    if (last || cls)
        return i == (last ? len - 1 : 0) ? 1 : 0;
    return 1.0f / (float)len;
}

static void take_attention(void *context, size_t layer, size_t seq, size_t head, size_t first, const float *probs,
                           size_t n_query, size_t n_key)
{
    const struct attention_tap *tap = context;
    struct task_job *job = tap->jobs[seq];
    float *weights = job->attention;
    (void)head;
    if (job->rollout) {
        float *mean = job->rollout + (layer * n_key + first) * n_key;
        for (size_t i = 0; i < n_query * n_key; i++)
            mean[i] += probs[i] / (float)tap->info->n_heads;
        return;
    }
    if (layer + 1 != tap->info->n_layers)
        return;
    for (size_t i = 0; i < n_query; i++) {
        float share = pooled_share(tap->info, first + i, n_key) / (float)tap->info->n_heads;
        for (size_t j = 0; share > 0 && j < n_key; j++)
            weights[j] += share * probs[i * n_key + j];
    }
}

/* Of a text that is written: what the last of the job's tokens looks at. */
static void take_last(void *context, size_t layer, size_t seq, size_t head, size_t first, const float *probs,
                      size_t n_query, size_t n_key)
{
    const struct attention_tap *tap = context;
    const struct task_job *job = tap->jobs[seq];
    size_t n_layers = tap->info->n_decoder_layers > 0 ? tap->info->n_decoder_layers : tap->info->n_layers;
    size_t n_heads = tap->info->n_decoder_layers > 0 ? tap->info->n_decoder_heads : tap->info->n_heads;
    (void)head;
    if (layer + 1 != n_layers || first + n_query != job->len)
        return;
    assert(n_key <= job->n_attention);
    for (size_t j = 0; j < n_key; j++)
        job->attention[j] += probs[(n_query - 1) * n_key + j] / (float)n_heads;
}

/* Attention rollout (Abnar and Zuidema 2020): the pooled share of every position, carried back through the layers, each
 * of which passes half of it on and half of it by. The last layer's matrix has served when its result is written, so
 * its first row holds it. */
static void roll_out(const struct att_model_info *info, struct task_job *job)
{
    size_t len = job->len;
    float *weights = job->attention;
    for (size_t i = 0; i < len; i++)
        weights[i] = pooled_share(info, i, len);
    for (size_t layer = info->n_layers; layer-- > 0;) {
        float *mean = job->rollout + layer * len * len;
        for (size_t i = 0; i < len; i++)
            for (size_t j = 0; j < len; j++)
                mean[i * len + j] *= weights[i];
        for (size_t i = 1; i < len; i++)
            for (size_t j = 0; j < len; j++)
                mean[j] += mean[i * len + j];
        for (size_t j = 0; j < len; j++)
            weights[j] = 0.5f * weights[j] + 0.5f * mean[j];
    }
}

static void copy_outputs(struct task_job *job, const struct att_model_info *info, const struct att_output *out,
                         size_t seq, size_t first)
{
    if (job->pooled)
        memcpy(job->pooled, out->pooled + seq * info->hidden_size, info->hidden_size * sizeof(float));
    if (job->hidden)
        memcpy(job->hidden, out->hidden + first * info->hidden_size, job->len * info->hidden_size * sizeof(float));
    if (job->logits) {
        assert(out->logits && !info->per_token);
        memcpy(job->logits, out->logits + seq * info->n_logits, info->n_logits * sizeof(float));
    }
    if (job->token_logits) {
        assert(out->logits && info->per_token);
        memcpy(job->token_logits, out->logits + first * info->n_logits, job->len * info->n_logits * sizeof(float));
    }
}

/* Packs the jobs into the context's staging. True: one of them wants attention. */
static bool pack(struct att_context *context, struct task_job *const *jobs, size_t n_jobs, struct att_batch *ret_batch)
{
    int32_t *ids, *type_ids;
    uint32_t *cu;
    bool attention = false;
    att_context_staging(context, &ids, &type_ids, &cu);
    cu[0] = 0;
    for (size_t i = 0; i < n_jobs; i++) {
        const struct task_job *job = jobs[i];
        assert(job->model == jobs[0]->model && job->len <= att_context_max_tokens(context) - cu[i]);
        memcpy(ids + cu[i], job->ids, job->len * sizeof *ids);
        if (job->type_ids)
            memcpy(type_ids + cu[i], job->type_ids, job->len * sizeof *type_ids);
        else
            memset(type_ids + cu[i], 0, job->len * sizeof *type_ids);
        if (job->attention) {
            memset(job->attention, 0, (job->past ? job->n_attention : job->len) * sizeof *job->attention);
            attention = true;
        }
        if (job->rollout) {
            size_t count = att_model_info(job->model)->n_layers * job->len * job->len;
            memset(job->rollout, 0, count * sizeof *job->rollout);
        }
        cu[i + 1] = cu[i] + (uint32_t)job->len;
    }
    *ret_batch = (struct att_batch){.ids = ids, .type_ids = type_ids, .cu_seqlens = cu, .n_seqs = n_jobs};
    return attention;
}

static void run_plain(struct att_context *context, struct task_job *const *jobs, size_t n_jobs)
{
    const struct att_model_info *info = att_model_info(jobs[0]->model);
    struct attention_tap tapped = {jobs, info};
    const struct att_tap tap = {.context = &tapped, .wants_attention = wants_attention, .attention = take_attention};
    const float *weights[JOBS_MAX];
    struct att_batch batch;
    struct att_output out;
    bool attention = pack(context, jobs, n_jobs, &batch), scans = false;
    batch.vectors_only = true;
    for (size_t i = 0; i < n_jobs; i++) {
        weights[i] = jobs[i]->weights;
        batch.vectors_only = batch.vectors_only && !jobs[i]->hidden;
        scans = scans || jobs[i]->scan;
    }
    batch.weights = weights;
    if (scans)
        att_context_hold(context);
    enum att_status status = att_forward(context, &batch, attention ? &tap : NULL, &out, NULL);
    for (size_t i = 0; i < n_jobs; i++) {
        if (status == ATT_OK)
            copy_outputs(jobs[i], info, &out, i, batch.cu_seqlens[i]);
        if (status == ATT_OK && jobs[i]->rollout)
            roll_out(info, jobs[i]);
        jobs[i]->status = status;
    }
    for (size_t i = 0; status == ATT_OK && i < n_jobs; i++)
        if (jobs[i]->scan) {
            jobs[i]->scan->x = jobs[i]->pooled;
            att_best_items(context, jobs[i]->scan, &jobs[i]->found);
        }
    if (scans)
        att_context_release(context);
}

/* Texts that are written: their next tokens, or their sources. */
static void run_writing(struct att_context *context, struct task_job *const *jobs, size_t n_jobs)
{
    const struct att_model_info *info = att_model_info(jobs[0]->model);
    struct attention_tap tapped = {jobs, info};
    const struct att_tap tap = {
        .context = &tapped, .wants_attention = wants_attention, .attention = take_last, .cross_attention = take_last};
    struct att_past *pasts[JOBS_MAX];
    float *logits[JOBS_MAX];
    struct att_batch batch;
    bool attention = pack(context, jobs, n_jobs, &batch);
    for (size_t i = 0; i < n_jobs; i++) {
        pasts[i] = jobs[i]->past;
        logits[i] = jobs[i]->logits;
    }
    batch.type_ids = NULL;
    enum att_status status = jobs[0]->source
                                 ? att_forward_source(context, &batch, pasts, NULL)
                                 : att_forward_past(context, &batch, pasts, logits, attention ? &tap : NULL, NULL);
    for (size_t i = 0; i < n_jobs; i++)
        jobs[i]->status = status;
}

enum kind { PLAIN, SOURCE, WRITING, KINDS };

static enum kind kind_of(const struct task_job *job)
{
    return !job->past ? PLAIN : job->source ? SOURCE : WRITING;
}

void task_jobs_run(struct att_context *context, struct task_job *const *jobs, size_t n_jobs)
{
    struct task_job *chosen[JOBS_MAX];
    assert(n_jobs > 0 && n_jobs <= att_context_max_seqs(context) && n_jobs <= JOBS_MAX);
    for (enum kind kind = PLAIN; kind < KINDS; kind++) {
        size_t n = 0;
        for (size_t i = 0; i < n_jobs; i++)
            if (kind_of(jobs[i]) == kind)
                chosen[n++] = jobs[i];
        if (n > 0 && kind == PLAIN)
            run_plain(context, chosen, n);
        else if (n > 0)
            run_writing(context, chosen, n);
    }
    for (size_t i = 0; i < n_jobs; i++)
        if (jobs[i]->after && jobs[i]->status == ATT_OK)
            jobs[i]->after(jobs[i]);
}

enum att_status task_context_create(struct att_model *model, size_t max_tokens, size_t max_seqs,
                                    const struct task_limits *limits, struct att_context **ret_context,
                                    struct att_err *err)
{
    const struct att_model_info *info = att_model_info(model);
    size_t longest =
        info->max_tokens < limits->generation_tokens_max ? info->max_tokens : limits->generation_tokens_max;
    return att_context_create_writing(model, max_tokens, max_seqs, info->generates ? longest : 0, ret_context, err);
}

/* Contexts of the models one thread has met; offline work meets one or two. */
struct task_contexts {
    struct att_model *models[MODELS_MAX];
    struct att_context *contexts[MODELS_MAX];
    size_t count;
};

enum att_status task_contexts_create(struct task_contexts **ret_contexts, struct att_err *err)
{
    struct task_contexts *contexts = att_mem_calloc(1, sizeof *contexts);
    if (!contexts)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    *ret_contexts = contexts;
    return ATT_OK;
}

void task_contexts_destroy(struct task_contexts *contexts)
{
    for (size_t i = 0; contexts && i < contexts->count; i++)
        att_context_destroy(contexts->contexts[i]);
    att_mem_free(contexts);
}

static enum att_status context_for(struct task_contexts *contexts, const struct task_env *env, struct att_model *model,
                                   struct att_context **ret_context, struct att_err *err)
{
    size_t i = 0;
    while (i < contexts->count && contexts->models[i] != model)
        i++;
    if (i == MODELS_MAX)
        return att_err_limit(err, NULL, MODELS_MAX, i + 1, "one call uses more than %d models", MODELS_MAX);
    if (i == contexts->count) {
        size_t longest = att_model_info(model)->max_tokens;
        size_t tokens = longest > BATCH_TOKENS ? longest : BATCH_TOKENS;
        enum att_status status =
            task_context_create(model, tokens, BATCH_SEQS, &env->limits, &contexts->contexts[i], err);
        if (status != ATT_OK)
            return status;
        contexts->models[i] = model;
        contexts->count++;
    }
    *ret_context = contexts->contexts[i];
    return ATT_OK;
}

/* Jobs in order, as many of one model in a row as fit a batch. */
static enum att_status run_round(struct task_contexts *contexts, struct task_call *call, struct att_err *err)
{
    for (size_t first = 0; first < call->n_jobs;) {
        struct att_model *model = call->jobs[first].model;
        struct att_context *context = NULL;
        enum att_status status = context_for(contexts, call->env, model, &context, err);
        if (status != ATT_OK)
            return status;
        struct task_job *batch[BATCH_SEQS];
        size_t count = 0, tokens = 0;
        while (first + count < call->n_jobs && count < BATCH_SEQS && call->jobs[first + count].model == model &&
               tokens + call->jobs[first + count].len <= att_context_max_tokens(context)) {
            batch[count] = &call->jobs[first + count];
            tokens += batch[count++]->len;
        }
        task_jobs_run(context, batch, count);
        for (size_t i = 0; i < count; i++)
            if (batch[i]->status != ATT_OK)
                return att_err_set(err, batch[i]->status, "the model could not compute job %zu", first + i);
        first += count;
    }
    return ATT_OK;
}

static enum att_status run_rounds(struct task_contexts *contexts, struct task_call *call, const struct att_json *body,
                                  struct att_err *err)
{
    uint64_t begin = att_clock_us();
    enum att_status status = call->task->parse(call, body, err);
    call->timing.tokenize_us = att_clock_us() - begin;
    for (bool more = true; status == ATT_OK && more && call->n_jobs > 0;) {
        uint64_t start = att_clock_us();
        status = run_round(contexts, call, err);
        call->timing.compute_us += att_clock_us() - start;
        more = call->task->advance != NULL;
        if (status == ATT_OK && more)
            status = call->task->advance(call, err);
    }
    call->timing.total_us = att_clock_us() - begin;
    return status;
}

enum att_status task_run(struct task_contexts *contexts, const struct task *task, const struct task_env *env,
                         const struct att_json *body, char **ret_answer, size_t *ret_len, struct att_err *err)
{
    struct att_arena arena;
    struct att_jsonw answer;
    att_arena_init(&arena, ARENA_LIMIT_BYTES);
    att_jsonw_init(&answer, env->limits.answer_bytes_max);
    struct task_call call = {
        .task = task, .env = env, .arena = &arena, .http_status = 200, .now_ms = att_clock_unix_ms()};
    enum att_status status = run_rounds(contexts, &call, body, err);
    if (status == ATT_OK && call.deployment)
        status = call.deployment->deploy(&call, err);
    if (status == ATT_OK && call.deployment && call.deployment->settle)
        status = call.deployment->settle(&call, true, err);
    if (status == ATT_OK)
        status = call.task->render(&call, &answer, err);
    if (status == ATT_OK)
        status = att_jsonw_take(&answer, ret_answer, ret_len, err);
    if (call.task->finish)
        call.task->finish(&call);
    att_jsonw_finish(&answer);
    att_arena_finish(&arena);
    return status;
}
