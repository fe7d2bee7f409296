/* TEI's POST /rerank: texts by their relevance to a query, as a bare array. */
#include <stdio.h>

#include "tasks/relevance.h"
#include "tasks/wire/tei.h"

enum { PATH_BYTES = 48 };

struct rerank {
    struct task_relevance relevance;
    bool raw, return_text;
};

/* A sequence that was cut without leave; the error names no text, since query and text share the sequence. */
static enum att_status check_cut(const struct task_relevance *relevance, const struct task_tei *tei,
                                 struct att_err *err)
{
    size_t limit = att_model_info(relevance->model->model)->max_tokens, dropped = task_relevance_dropped(relevance);
    if (tei->truncate || dropped == 0)
        return ATT_OK;
    return att_err_limit(err, "texts", limit, limit + dropped,
                         "texts: query and text must have at most %zu tokens, %zu are too many; \"truncate\": true "
                         "cuts them",
                         limit, dropped);
}

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    const struct att_json *texts = att_json_get(body, "texts");
    struct rerank *rerank = task_alloc(call, 1, sizeof *rerank, err);
    struct task_tei tei = {.truncate = false};
    size_t n = 0;
    if (!rerank)
        return err->status;
    call->state = rerank;
    struct task_relevance *relevance = &rerank->relevance;
    enum att_status status = task_relevance_model(call, relevance, body, err);
    if (status == ATT_OK)
        status = task_field_common_lenient(call, body, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "truncate", &tei.truncate, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "raw_scores", &rerank->raw, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "return_text", &rerank->return_text, err);
    if (status == ATT_OK)
        status =
            task_field_text(call, att_json_get(body, "query"), "query", &relevance->query, &relevance->query_len, err);
    if (status == ATT_OK)
        status = task_tei_count(call, texts, false, "texts", &n, err);
    if (status == ATT_OK)
        status = task_relevance_room(call, relevance, n, "texts", err);
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "texts[%zu]", i);
        status = task_field_text(call, att_json_at(texts, i), path, &relevance->documents[i].text,
                                 &relevance->documents[i].len, err);
    }
    if (status == ATT_OK)
        status = task_relevance_jobs(call, relevance, "texts", err);
    return status == ATT_OK ? check_cut(relevance, &tei, err) : status;
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    struct rerank *rerank = call->state;
    enum att_status status = task_relevance_rank(call, &rerank->relevance, err);
    if (status != ATT_OK)
        return status;
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < rerank->relevance.n; i++) {
        size_t index = rerank->relevance.order[i];
        const struct task_document *document = &rerank->relevance.documents[index];
        att_jsonw_object_begin(answer);
        att_jsonw_put_size(answer, "index", index);
        if (rerank->return_text)
            att_jsonw_put_string(answer, "text", document->text, document->len);
        att_jsonw_put_float(answer, "score", rerank->raw ? document->logit : task_relevance_score(document->logit));
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
    return ATT_OK;
}

const struct task task_tei_rerank = {.name = "tei_rerank", .parse = parse, .render = render};
