/*
 * POST /v1/rerank, /v2/rerank and /rerank: documents by their relevance to a
 * query, in the shape that Jina, Cohere and vLLM share. /rerank is TEI's path too:
 * a body with "texts" is its.
 */
#include <math.h>
#include <stdio.h>

#include "tasks/relevance.h"

enum { PATH_BYTES = 48, TOP_N_MAX = 1 << 20, TOKENS_PER_DOC_MAX = 1 << 20 };

struct rerank {
    struct task_relevance relevance;
    size_t top_n;
    bool return_documents;
};

static enum att_status parse_documents(struct task_call *call, struct task_relevance *relevance,
                                       const struct att_json *value, bool strict, struct att_err *err)
{
    static const char *const members[] = {"text", NULL};
    if (!att_json_is_array(value) || att_json_count(value) == 0)
        return att_err_param(err, ATT_EINVAL, "documents", "documents: is %s, expected an array of texts",
                             att_json_is_array(value) ? "empty" : att_json_type_name(value));
    enum att_status status = task_relevance_room(call, relevance, att_json_count(value), "documents", err);
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
        status = task_field_int(body, "", "top_n", 1, TOP_N_MAX, &top_n, err);
    if (status == ATT_OK)
        status = task_field_int(body, "", "max_tokens_per_doc", 1, TOKENS_PER_DOC_MAX, &tokens, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "return_documents", &rerank->return_documents, err);
    if (status == ATT_OK)
        status =
            task_field_text(call, att_json_get(body, "query"), "query", &relevance->query, &relevance->query_len, err);
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
    static const char *const fields[] = {"model",       "query",    "documents",        "top_n",
                                         "deadline_ms", "priority", "return_documents", "max_tokens_per_doc",
                                         NULL};
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

static void put_result(const struct rerank *rerank, size_t index, struct att_jsonw *answer)
{
    const struct task_document *document = &rerank->relevance.documents[index];
    att_jsonw_object_begin(answer);
    att_jsonw_key(answer, "index");
    att_jsonw_int(answer, (int64_t)index);
    att_jsonw_key(answer, "relevance_score");
    att_jsonw_float(answer, 1.0f / (1.0f + expf(-document->logit)));
    att_jsonw_key(answer, "logit");
    att_jsonw_float(answer, document->logit);
    if (rerank->return_documents) {
        att_jsonw_key(answer, "document");
        att_jsonw_object_begin(answer);
        att_jsonw_key(answer, "text");
        att_jsonw_string(answer, document->text, document->len);
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
    att_jsonw_key(answer, "version");
    att_jsonw_cstring(answer, "2");
    att_jsonw_object_end(answer);
    att_jsonw_key(answer, "billed_units");
    att_jsonw_object_begin(answer);
    att_jsonw_key(answer, "search_units");
    att_jsonw_int(answer, 1);
    att_jsonw_object_end(answer);
    att_jsonw_key(answer, "method");
    att_jsonw_cstring(answer, rerank->relevance.pairs ? "cross-encoder" : "bi-encoder");
    att_jsonw_key(answer, "tokens_dropped");
    att_jsonw_int(answer, (int64_t)task_relevance_dropped(&rerank->relevance));
    att_jsonw_object_end(answer);
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    struct rerank *rerank = call->state;
    size_t *order = NULL;
    enum att_status status = task_relevance_rank(call, &rerank->relevance, &order, err);
    if (status != ATT_OK)
        return status;
    att_jsonw_object_begin(answer);
    task_render_id(answer, "rnk");
    att_jsonw_key(answer, "model");
    att_jsonw_cstring(answer, rerank->relevance.model->name);
    att_jsonw_key(answer, "object");
    att_jsonw_cstring(answer, "list");
    att_jsonw_key(answer, "results");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < rerank->top_n; i++)
        put_result(rerank, order[i], answer);
    att_jsonw_array_end(answer);
    put_meta(rerank, answer);
    task_render_usage(call, answer);
    att_jsonw_object_end(answer);
    return ATT_OK;
}

const struct task task_rerank = {.name = "rerank", .parse = parse, .render = render};
const struct task task_rerank_compatible = {.name = "rerank", .parse = parse_compatible, .render = render};
const struct task task_rerank_either = {.name = "rerank", .parse = parse_either, .render = render};
