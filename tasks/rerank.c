/*
 * POST /v1/rerank: documents by their relevance to a query. A model with one
 * logit (a cross-encoder) reads query and document together; otherwise the
 * encoder embeds both and the logit is a scaled cosine, logit = 20·cos - 10, so
 * that relevance_score = sigmoid(logit) is 0.5 at a cosine of one half. Results
 * are sorted by logit: sigmoids saturate and tie.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/explain.h"

enum { PATH_BYTES = 48, TOP_N_MAX = 1 << 20, TOKENS_PER_DOC_MAX = 1 << 20 };

struct document {
    const char *text;
    size_t len;
};

struct ranked {
    size_t index;
    float logit;
};

struct rerank {
    const struct task_model *model;
    const char *query;
    size_t query_len;
    struct document *documents;
    struct task_windows *windows; /* bi-encoder: [1 + n], the query first; cross-encoder: [n] */
    size_t n, top_n, document_tokens_max;
    bool pairs, return_documents;
    float *query_vector;   /* bi-encoder: after the first round, of length 1 */
    struct ranked *ranked; /* [n] after the first round, best first */
    struct task_explain explain;
};

static const char *const fields[] = {
    "model",        "query",       "documents", "top_n", "return_documents", "max_tokens_per_doc", "explain",
    "faithfulness", "deadline_ms", "priority",  NULL};

static enum att_status parse_documents(struct task_call *call, struct rerank *rerank, const struct att_json *value,
                                       struct att_err *err)
{
    static const char *const members[] = {"text", NULL};
    size_t limit = call->env->limits.items_max;
    if (!att_json_is_array(value) || att_json_count(value) == 0)
        return att_err_param(err, ATT_EINVAL, "documents", "documents: is %s, expected an array of texts",
                             att_json_is_array(value) ? "empty" : att_json_type_name(value));
    rerank->n = att_json_count(value);
    if (rerank->n > limit)
        return att_err_limit(err, "documents", limit, rerank->n, "documents: %zu texts, expected at most %zu",
                             rerank->n, limit);
    rerank->documents = task_alloc(call, rerank->n, sizeof *rerank->documents, err);
    if (!rerank->documents)
        return err->status;
    for (size_t i = 0; i < rerank->n; i++) {
        const struct att_json *document = att_json_at(value, i);
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "documents[%zu]", i);
        enum att_status status = ATT_OK;
        if (att_json_is_object(document)) {
            status = task_fields_known(document, path, members, err);
            document = att_json_get(document, "text");
            snprintf(path, sizeof path, "documents[%zu].text", i);
        }
        if (status == ATT_OK)
            status = task_field_text(call, document, path, &rerank->documents[i].text, &rerank->documents[i].len, err);
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}

/* A cross-encoder by name or by default; else an encoder. */
static enum att_status choose_model(struct task_call *call, struct rerank *rerank, const struct att_json *body,
                                    struct att_err *err)
{
    const char *name = NULL;
    enum att_status status = task_field_string(body, "", "model", &name, NULL, err);
    if (status != ATT_OK)
        return status;
    const struct task_model *model = call->env->find_model(call->env->context, name, "rerank");
    if (model && att_model_info(model->model)->n_logits == 1 && !att_model_info(model->model)->per_token) {
        rerank->model = call->model = model;
        rerank->pairs = true;
        return ATT_OK;
    }
    return task_field_model(call, body, "embed", &rerank->model, err);
}

static enum att_status plan(struct task_call *call, struct rerank *rerank, struct att_err *err)
{
    const struct task_windows_options options = {.logits = rerank->pairs, .pooled = !rerank->pairs, .truncate = true};
    struct task_windows_options document_options = options;
    document_options.truncate = rerank->pairs;
    document_options.tokens_max = rerank->document_tokens_max;
    rerank->explain.options = document_options;
    size_t extra = rerank->pairs ? 0 : 1;
    rerank->windows = task_alloc(call, rerank->n + extra, sizeof *rerank->windows, err);
    if (!rerank->windows)
        return err->status;
    enum att_status status = ATT_OK;
    if (extra)
        status = task_windows_plan(call, rerank->model, &options, rerank->query, rerank->query_len, NULL, 0, "query",
                                   rerank->windows, err);
    for (size_t i = 0; status == ATT_OK && i < rerank->n; i++) {
        const struct document *document = &rerank->documents[i];
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "documents[%zu]", i);
        if (rerank->pairs)
            status = task_windows_plan(call, rerank->model, &document_options, rerank->query, rerank->query_len,
                                       document->text, document->len, path, &rerank->windows[i], err);
        else
            status = task_windows_plan(call, rerank->model, &document_options, document->text, document->len, NULL, 0,
                                       path, &rerank->windows[i + 1], err);
    }
    if (status == ATT_OK)
        status = task_windows_jobs(call, rerank->model, &options, rerank->windows, rerank->n + extra, err);
    return status;
}

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct rerank *rerank = task_alloc(call, 1, sizeof *rerank, err);
    static const char *const words[] = {"none", "occlusion", NULL};
    int64_t top_n = 0, tokens = 0;
    if (!rerank)
        return err->status;
    call->state = rerank;
    enum att_status status = task_fields_known(body, "", fields, err);
    if (status == ATT_OK)
        status = choose_model(call, rerank, body, err);
    if (status == ATT_OK)
        status = task_field_common(call, body, err);
    if (status == ATT_OK)
        status = task_field_int(body, "", "top_n", 1, TOP_N_MAX, &top_n, err);
    if (status == ATT_OK)
        status = task_field_int(body, "", "max_tokens_per_doc", 1, TOKENS_PER_DOC_MAX, &tokens, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "return_documents", &rerank->return_documents, err);
    if (status == ATT_OK)
        status = task_field_text(call, att_json_get(body, "query"), "query", &rerank->query, &rerank->query_len, err);
    if (status == ATT_OK)
        status = task_explain_parse(body, words, &rerank->explain, err);
    if (status == ATT_OK)
        status = parse_documents(call, rerank, att_json_get(body, "documents"), err);
    if (status != ATT_OK)
        return status;
    rerank->top_n = top_n > 0 && (size_t)top_n < rerank->n ? (size_t)top_n : rerank->n;
    rerank->document_tokens_max = (size_t)tokens;
    return plan(call, rerank, err);
}

/* ---- scores ---- */

/* The largest cosine between the query and the document's windows, among the jobs that were just run. */
static float best_cosine(const struct task_call *call, const struct rerank *rerank, const struct task_windows *windows)
{
    size_t hidden = att_model_info(rerank->model->model)->hidden_size;
    float best = -1;
    for (size_t w = 0; w < windows->count; w++) {
        float *vector = call->jobs[windows->first_job + w].pooled, cosine;
        att_l2_normalize(hidden, vector);
        att_dot_table(0, 1, hidden, vector, hidden, rerank->query_vector, &cosine);
        best = cosine > best ? cosine : best;
    }
    return best;
}

static float logit_of(const struct task_call *call, const struct rerank *rerank, const struct task_windows *windows)
{
    return rerank->pairs ? call->jobs[windows->first_job].logits[0]
                         : 20.0f * best_cosine(call, rerank, windows) - 10.0f;
}

static float relevance(float logit)
{
    return 1.0f / (1.0f + expf(-logit));
}

/* The windows of a document. */
static const struct task_windows *windows_of(const struct rerank *rerank, size_t index)
{
    return &rerank->windows[index + (rerank->pairs ? 0 : 1)];
}

static int by_logit(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static enum att_status rank(struct task_call *call, struct rerank *rerank, struct att_err *err)
{
    rerank->ranked = task_alloc(call, rerank->n, sizeof *rerank->ranked, err);
    if (!rerank->ranked)
        return err->status;
    if (!rerank->pairs) {
        rerank->query_vector = call->jobs[0].pooled;
        att_l2_normalize(att_model_info(rerank->model->model)->hidden_size, rerank->query_vector);
    }
    for (size_t i = 0; i < rerank->n; i++)
        rerank->ranked[i] = (struct ranked){i, logit_of(call, rerank, windows_of(rerank, i))};
    qsort(rerank->ranked, rerank->n, sizeof *rerank->ranked, by_logit);
    return ATT_OK;
}

/* For task_explain: the relevance of a document, or of what is left of it. A result's base is what it was ranked by. */
static void measure(const struct task_call *call, size_t item, const struct task_windows *windows,
                    struct task_outcome *ret)
{
    const struct rerank *rerank = call->state;
    bool is_base = windows == windows_of(rerank, rerank->ranked[item].index);
    float logit = is_base ? rerank->ranked[item].logit : logit_of(call, rerank, windows);
    *ret = (struct task_outcome){logit, relevance(logit)};
}

/* The results that are answered, no other documents. */
static enum att_status prepare_explain(struct task_call *call, struct rerank *rerank, struct att_err *err)
{
    struct task_explain *explain = &rerank->explain;
    explain->model = rerank->model;
    explain->measure = measure;
    explain->n_targets = 1;
    explain->n_items = rerank->top_n;
    explain->items = task_alloc(call, rerank->top_n, sizeof *explain->items, err);
    for (size_t i = 0; explain->items && i < rerank->top_n; i++) {
        size_t index = rerank->ranked[i].index;
        const struct document *document = &rerank->documents[index];
        struct task_explained *item = &explain->items[i];
        *item = (struct task_explained){.windows = windows_of(rerank, index), .second_only = rerank->pairs};
        item->texts[0] = rerank->pairs ? rerank->query : document->text;
        item->lens[0] = rerank->pairs ? rerank->query_len : document->len;
        item->texts[1] = rerank->pairs ? document->text : NULL;
        item->lens[1] = rerank->pairs ? document->len : 0;
    }
    return explain->items ? ATT_OK : err->status;
}

static enum att_status advance(struct task_call *call, struct att_err *err)
{
    struct rerank *rerank = call->state;
    bool explains = rerank->explain.method != TASK_EXPLAIN_NONE;
    enum att_status status = ATT_OK;
    if (!rerank->ranked) {
        status = rank(call, rerank, err);
        if (status == ATT_OK && explains)
            status = prepare_explain(call, rerank, err);
    }
    if (status == ATT_OK && explains)
        return task_explain_advance(call, &rerank->explain, err);
    call->n_jobs = 0;
    return status;
}

/* ---- the answer ---- */

static void put_result(const struct rerank *rerank, size_t rank, struct att_jsonw *answer)
{
    const struct ranked *ranked = &rerank->ranked[rank];
    const struct document *document = &rerank->documents[ranked->index];
    att_jsonw_object_begin(answer);
    att_jsonw_key(answer, "index");
    att_jsonw_int(answer, (int64_t)ranked->index);
    att_jsonw_key(answer, "relevance_score");
    att_jsonw_float(answer, relevance(ranked->logit));
    att_jsonw_key(answer, "logit");
    att_jsonw_float(answer, ranked->logit);
    if (rerank->return_documents) {
        att_jsonw_key(answer, "document");
        att_jsonw_object_begin(answer);
        att_jsonw_key(answer, "text");
        att_jsonw_string(answer, document->text, document->len);
        att_jsonw_object_end(answer);
    }
    if (rerank->explain.method != TASK_EXPLAIN_NONE) {
        att_jsonw_key(answer, "explain");
        att_jsonw_object_begin(answer);
        att_jsonw_key(answer, "method");
        att_jsonw_cstring(answer, task_explain_name(rerank->explain.method));
        task_explain_render(&rerank->explain, rank, 0, answer);
        att_jsonw_object_end(answer);
    }
    att_jsonw_object_end(answer);
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct rerank *rerank = call->state;
    size_t dropped = 0;
    (void)err;
    for (size_t i = 0; i < rerank->n + (rerank->pairs ? 0 : 1); i++)
        dropped += rerank->windows[i].dropped;
    att_jsonw_object_begin(answer);
    task_render_id(answer, "rnk");
    att_jsonw_key(answer, "model");
    att_jsonw_cstring(answer, rerank->model->name);
    att_jsonw_key(answer, "object");
    att_jsonw_cstring(answer, "list");
    att_jsonw_key(answer, "results");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < rerank->top_n; i++)
        put_result(rerank, i, answer);
    att_jsonw_array_end(answer);
    att_jsonw_key(answer, "meta");
    att_jsonw_object_begin(answer);
    att_jsonw_key(answer, "method");
    att_jsonw_cstring(answer, rerank->pairs ? "cross-encoder" : "bi-encoder");
    att_jsonw_key(answer, "tokens_dropped");
    att_jsonw_int(answer, (int64_t)dropped);
    att_jsonw_object_end(answer);
    task_render_usage(call, answer);
    att_jsonw_object_end(answer);
    return ATT_OK;
}

const struct task task_rerank = {.name = "rerank", .parse = parse, .advance = advance, .render = render};
