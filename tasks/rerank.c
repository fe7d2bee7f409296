/*
 * POST /v1/rerank, /v2/rerank and /rerank: documents by their relevance to a
 * query, in the shape that Jina, Cohere and vLLM share. /rerank is TEI's path too:
 * a body with "texts" is its.
 */
#include <stdio.h>

#include "tasks/explain/explain.h"
#include "tasks/relevance.h"

enum { PATH_BYTES = 48, TOP_N_MAX = 1 << 20, TOKENS_PER_DOC_MAX = 1 << 20 };

struct rerank {
    struct task_relevance relevance;
    size_t top_n;
    bool return_documents;
    struct task_explain explain;
};

static enum att_status parse_documents(struct task_call *call, struct task_relevance *relevance,
                                       const struct att_json *value, bool strict, struct att_err *err)
{
    static const char *const members[] = {"text", NULL};
    size_t n = 0;
    enum att_status status = task_field_array(value, "documents", "texts", true, call->env->limits.items_max, &n, err);
    if (status == ATT_OK)
        status = task_relevance_room(call, relevance, n, "documents", err);
    for (size_t i = 0; status == ATT_OK && i < relevance->n; i++) {
        const struct att_json *document = att_json_at(value, i);
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "documents[%zu]", i);
        if (att_json_is_object(document)) {
            status = strict ? task_fields_known(document, path, members, err) : ATT_OK;
            document = att_json_get(document, "text");
            snprintf(path, sizeof path, "documents[%zu].text", i);
        }
        if (status == ATT_OK)
            status =
                task_field_text(call, document, path, &relevance->documents[i].text, &relevance->documents[i].len, err);
    }
    return status;
}

static enum att_status parse_fields(struct task_call *call, const struct att_json *body, bool strict,
                                    struct att_err *err)
{
    static const char *const words[] = {"none", "occlusion", NULL};
    struct rerank *rerank = task_alloc(call, 1, sizeof *rerank, err);
    int64_t top_n = 0, tokens = 0;
    if (!rerank)
        return err->status;
    call->state = rerank;
    struct task_relevance *relevance = &rerank->relevance;
    enum att_status status = task_relevance_model(call, relevance, body, err);
    if (status == ATT_OK)
        status = strict ? task_field_common(call, body, err) : task_field_common_lenient(call, body, err);
    if (status == ATT_OK)
        status = task_field_int(body, "", "top_n", strict ? 1 : 0, TOP_N_MAX, &top_n, err); /* vLLM: 0 is all */
    if (status == ATT_OK)
        status = task_field_int(body, "", "max_tokens_per_doc", strict ? 1 : 0, TOKENS_PER_DOC_MAX, &tokens, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "return_documents", &rerank->return_documents, err);
    if (status == ATT_OK)
        status =
            task_field_text(call, att_json_get(body, "query"), "query", &relevance->query, &relevance->query_len, err);
    if (status == ATT_OK)
        status = task_explain_parse(body, words, &rerank->explain, err);
    if (status == ATT_OK)
        status = parse_documents(call, relevance, att_json_get(body, "documents"), strict, err);
    if (status != ATT_OK)
        return status;
    rerank->top_n = top_n > 0 && (size_t)top_n < relevance->n ? (size_t)top_n : relevance->n;
    relevance->document_tokens_max = (size_t)tokens;
    return task_relevance_jobs(call, relevance, "documents", err);
}

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    static const char *const fields[] = {
        "model",        "query",       "documents", "top_n", "return_documents", "max_tokens_per_doc", "explain",
        "faithfulness", "deadline_ms", "priority",  NULL};
    enum att_status status = task_fields_known(body, "", fields, err);
    return status == ATT_OK ? parse_fields(call, body, true, err) : status;
}

static enum att_status parse_compatible(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    return parse_fields(call, body, false, err);
}

/* /rerank: which server's client is it? */
static enum att_status parse_either(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    call->task = att_json_get(body, "texts") ? &task_tei_rerank : &task_rerank_compatible;
    return call->task->parse(call, body, err);
}

/* ---- explaining ---- */

/* For task_explain: the relevance of a document, or of what is left of it. A result's base is what it was ranked by. */
static void measure(const struct task_call *call, size_t item, const struct task_windows *windows,
                    struct task_outcome *ret)
{
    const struct rerank *rerank = call->state;
    const struct task_relevance *relevance = &rerank->relevance;
    size_t index = relevance->order[item];
    bool is_base = windows == task_relevance_windows(relevance, index);
    float logit = is_base ? relevance->documents[index].logit : task_relevance_logit(call, relevance, windows);
    *ret = (struct task_outcome){logit, task_relevance_score(logit)};
}

/* The results that are answered, no other documents. */
static enum att_status prepare_explain(struct task_call *call, struct rerank *rerank, struct att_err *err)
{
    struct task_explain *explain = &rerank->explain;
    const struct task_relevance *relevance = &rerank->relevance;
    bool pairs = relevance->pairs;
    explain->model = relevance->model;
    explain->options = relevance->options;
    explain->measure = measure;
    explain->n_targets = 1;
    explain->n_items = rerank->top_n;
    explain->items = task_alloc(call, rerank->top_n, sizeof *explain->items, err);
    for (size_t i = 0; explain->items && i < rerank->top_n; i++) {
        size_t index = relevance->order[i];
        const struct task_document *document = &relevance->documents[index];
        struct task_explained *item = &explain->items[i];
        *item = (struct task_explained){.windows = task_relevance_windows(relevance, index), .second_only = pairs};
        item->texts[0] = pairs ? relevance->query : document->text;
        item->lens[0] = pairs ? relevance->query_len : document->len;
        item->texts[1] = pairs ? document->text : NULL;
        item->lens[1] = pairs ? document->len : 0;
    }
    return explain->items ? ATT_OK : err->status;
}

static enum att_status advance(struct task_call *call, struct att_err *err)
{
    struct rerank *rerank = call->state;
    bool explains = rerank->explain.method != TASK_EXPLAIN_NONE;
    enum att_status status = ATT_OK;
    if (!rerank->relevance.order) {
        status = task_relevance_rank(call, &rerank->relevance, err);
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
    size_t index = rerank->relevance.order[rank];
    const struct task_document *document = &rerank->relevance.documents[index];
    att_jsonw_object_begin(answer);
    att_jsonw_put_size(answer, "index", index);
    att_jsonw_put_float(answer, "relevance_score", task_relevance_score(document->logit));
    att_jsonw_put_float(answer, "logit", document->logit);
    if (rerank->return_documents) {
        att_jsonw_key(answer, "document");
        att_jsonw_object_begin(answer);
        att_jsonw_put_string(answer, "text", document->text, document->len);
        att_jsonw_object_end(answer);
    }
    if (rerank->explain.method != TASK_EXPLAIN_NONE) {
        att_jsonw_key(answer, "explain");
        att_jsonw_object_begin(answer);
        att_jsonw_put_text(answer, "method", task_explain_name(rerank->explain.method));
        task_explain_render(&rerank->explain, rank, 0, answer);
        att_jsonw_object_end(answer);
    }
    att_jsonw_object_end(answer);
}

/* Cohere's clients want the first two members, the others are ours. */
static void put_meta(const struct rerank *rerank, struct att_jsonw *answer)
{
    att_jsonw_key(answer, "meta");
    att_jsonw_object_begin(answer);
    att_jsonw_key(answer, "api_version");
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "version", "2");
    att_jsonw_object_end(answer);
    att_jsonw_key(answer, "billed_units");
    att_jsonw_object_begin(answer);
    att_jsonw_put_int(answer, "search_units", 1);
    att_jsonw_object_end(answer);
    att_jsonw_put_text(answer, "method", rerank->relevance.pairs ? "cross-encoder" : "bi-encoder");
    att_jsonw_put_size(answer, "tokens_dropped", task_relevance_dropped(&rerank->relevance));
    att_jsonw_object_end(answer);
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct rerank *rerank = call->state;
    (void)err;
    att_jsonw_object_begin(answer);
    task_render_id(answer, "rnk");
    att_jsonw_put_text(answer, "model", rerank->relevance.model->name);
    att_jsonw_put_text(answer, "object", "list");
    att_jsonw_key(answer, "results");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < rerank->top_n; i++)
        put_result(rerank, i, answer);
    att_jsonw_array_end(answer);
    put_meta(rerank, answer);
    task_render_usage(call, answer);
    att_jsonw_object_end(answer);
    return ATT_OK;
}

const struct task task_rerank = {.name = "rerank", .parse = parse, .advance = advance, .render = render};
const struct task task_rerank_compatible = {
    .name = "rerank", .parse = parse_compatible, .advance = advance, .render = render};
const struct task task_rerank_either = {.name = "rerank", .parse = parse_either, .advance = advance, .render = render};
