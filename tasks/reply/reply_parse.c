/* The body of /v1/reply and what of its dialogue is embedded; see reply.h. */
#include <stdio.h>
#include <string.h>

#include "tasks/kb/kb_entry.h"
#include "tasks/reply/reply.h"

enum { TURNS_MAX = 64, PATH_BYTES = 48 };

static const char *const fields[] = {"question",  "context", "previous_id", "kb",       "top",   "filters",
                                     "threshold", "margin",  "rerank",      "span",     "lang",  "generate",
                                     "rewrite",   "explain", "deadline_ms", "priority", "model", NULL};

/* The last two user turns of the dialogue, and what was said to the last. */
static enum att_status parse_context(struct task_call *call, const struct att_json *context, struct task_reply *reply,
                                     struct att_err *err)
{
    static const char *const members[] = {"role", "content", NULL};
    static const char *const roles[] = {"user", "assistant", NULL};
    size_t n = 0;
    enum att_status status = task_field_array(context, "context", "turns", false, TURNS_MAX, &n, err);
    if (status != ATT_OK)
        return status;
    for (size_t i = 0; i < n; i++) {
        const struct att_json *turn = att_json_at(context, i);
        char path[PATH_BYTES], content_path[PATH_BYTES + 16];
        const char *text;
        size_t len, role = 2;
        snprintf(path, sizeof path, "context[%zu]", i);
        snprintf(content_path, sizeof content_path, "%s.content", path);
        status = task_fields_known(turn, path, members, err);
        if (status == ATT_OK)
            status = task_field_enum(turn, path, "role", roles, &role, err);
        if (status == ATT_OK && role == 2)
            status =
                att_err_param(err, ATT_EINVAL, path, "%s.role: is missing, expected \"user\" or \"assistant\"", path);
        if (status == ATT_OK)
            status = task_field_text(call, att_json_get(turn, "content"), content_path, &text, &len, err);
        if (status != ATT_OK)
            return status;
        if (role == 0 && len > 0) {
            reply->earlier = reply->turn;
            reply->earlier_len = reply->turn_len;
            reply->turn = text;
            reply->turn_len = len;
            reply->said = NULL;
        } else if (role == 1) {
            reply->said = text;
        }
    }
    return ATT_OK;
}

static enum att_status parse_filters(const struct att_json *filters, struct task_reply *reply, struct att_err *err)
{
    static const char *const members[] = {"metadata", "lang", "logic", NULL};
    static const char *const words[] = {"and", "or", NULL};
    size_t logic = 0;
    if (att_json_type(filters) == ATT_JSON_NULL)
        return ATT_OK;
    enum att_status status = task_fields_known(filters, "filters", members, err);
    if (status == ATT_OK)
        status = task_field_enum(filters, "filters", "logic", words, &logic, err);
    if (status == ATT_OK)
        status = task_field_string(filters, "filters", "lang", &reply->filter_lang, NULL, err);
    const struct att_json *metadata = att_json_get(filters, "metadata");
    if (status == ATT_OK && metadata && !att_json_is_object(metadata))
        status = att_err_param(err, ATT_EINVAL, "filters.metadata", "filters.metadata: is %s, expected an object",
                               att_json_type_name(metadata));
    reply->metadata = att_json_count(metadata) > 0 ? metadata : NULL;
    reply->match_any = logic == 1;
    return status;
}

static enum att_status parse_words(const struct att_json *body, struct task_reply *reply, struct att_err *err)
{
    static const char *const explains[] = {"none", "attention", "features", NULL};
    static const char *const rewrites[] = {"none", "previous", "join", "mix", "turns", NULL};
    size_t explain = 0, rewrite = TASK_REWRITE_MIX;
    enum att_status status = task_field_enum(body, "", "explain", explains, &explain, err);
    if (status == ATT_OK)
        status = task_field_enum(body, "", "rewrite", rewrites, &rewrite, err);
    reply->explains_attention = explain == 1;
    reply->explains_features = explain == 2;
    reply->rewrite = (enum task_rewrite)rewrite;
    return status;
}

static enum att_status parse_options(struct task_call *call, const struct att_json *body, struct task_reply *reply,
                                     struct att_err *err)
{
    int64_t top = 3;
    enum att_status status = task_field_common(call, body, err);
    if (status == ATT_OK)
        status = task_field_int(body, "", "top", 1, TASK_REPLY_TOP_MAX, &top, err);
    if (status == ATT_OK)
        status = task_field_int(body, "", "previous_id", 1, TASK_KB_ID_MAX, &reply->previous_id, err);
    if (status == ATT_OK)
        status = task_field_number(body, "", "threshold", 0, 1, &reply->threshold, err);
    if (status == ATT_OK)
        status = task_field_number(body, "", "margin", 0, 1, &reply->margin, err);
    if (status == ATT_OK)
        status = task_field_string(body, "", "lang", &reply->lang, NULL, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "rerank", &reply->reranks, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "span", &reply->spans, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "generate", &reply->generates, err);
    if (status == ATT_OK)
        status = parse_words(body, reply, err);
    if (status == ATT_OK)
        status = parse_filters(att_json_get(body, "filters"), reply, err);
    reply->top = (size_t)top;
    return status;
}

/* The calibration of the knowledge base, under the bounds that the request names. */
static enum att_status take_fit(struct task_reply *reply, struct att_err *err)
{
    const struct task_model *reranker = reply->kb->reranker;
    const struct att_model_info *encoder = att_model_info(reply->kb->encoder->model);
    enum att_status status = task_fit_parse(reply->view->fit, encoder, &reply->fit, err);
    if (status != ATT_OK)
        return status;
    reply->reranks = reply->reranks && reranker;
    if (reply->reranks && strcmp(reply->fit.rerank.digest, att_model_info(reranker->model)->digest) != 0) {
        struct task_fit defaults;
        task_fit_default(encoder->cosine_floor, &defaults);
        reply->fit.rerank = defaults.rerank;
    }
    if (reply->threshold < 0)
        reply->threshold = reply->reranks ? reply->fit.rerank.threshold : reply->fit.threshold;
    if (reply->margin < 0)
        reply->margin = reply->reranks ? reply->fit.rerank.margin : reply->fit.margin;
    return ATT_OK;
}

static enum att_status find_kb(struct task_call *call, const struct att_json *body, struct task_reply *reply,
                               struct att_err *err)
{
    const char *name = NULL, *model = NULL;
    enum att_status status = task_field_string(body, "", "kb", &name, NULL, err);
    if (status == ATT_OK)
        status = task_field_string(body, "", "model", &model, NULL, err);
    if (status != ATT_OK)
        return status;
    reply->kb = call->env->find_kb(call->env->context, name);
    if (!reply->kb)
        return att_err_param(err, ATT_ENOTFOUND, "kb", "kb: no knowledge base%s%.60s is configured",
                             name ? " named " : "", name ? name : "");
    call->model = reply->kb->encoder;
    if (model && strcmp(model, call->model->name) != 0)
        return att_err_param(err, ATT_EINVAL, "model", "model: this knowledge base is embedded by \"%s\"",
                             call->model->name);
    reply->view = store_kb_view(reply->kb->kb);
    return ATT_OK;
}

/* A client that hands our own answer back as the assistant's turn has told which entry it was. */
static void recognise_previous(struct task_reply *reply)
{
    for (size_t i = 0; !reply->previous_id && reply->said && i < reply->view->n_entries; i++)
        if (strcmp(reply->view->entries[i].answer, reply->said) == 0)
            reply->previous_id = reply->view->entries[i].id;
}

/* The turns before the question and the question as one text. */
static enum att_status join_turns(struct task_call *call, struct task_reply *reply, struct att_err *err)
{
    bool earlier = reply->rewrite == TASK_REWRITE_TURNS && reply->earlier;
    const struct {
        const char *text;
        size_t len;
    } parts[] = {{reply->earlier, earlier ? reply->earlier_len : 0},
                 {reply->turn, reply->turn_len},
                 {reply->question, reply->question_len}};
    char *joined = task_alloc(call, parts[0].len + parts[1].len + parts[2].len + 3, 1, err);
    size_t at = 0;
    if (!joined)
        return err->status;
    for (size_t i = 0; i < 3; i++) {
        if (parts[i].len == 0)
            continue;
        if (at > 0)
            joined[at++] = ' ';
        memcpy(joined + at, parts[i].text, parts[i].len);
        at += parts[i].len;
    }
    reply->joined = joined;
    reply->joined_len = at;
    return ATT_OK;
}

/* The question; with a dialogue also turn + question, and the turn alone. */
static enum att_status plan_texts(struct task_call *call, struct task_reply *reply, struct att_err *err)
{
    const struct task_model *encoder = reply->kb->encoder;
    const struct task_windows_options options = {
        .pooled = true, .attention = reply->explains_attention, .prompt = att_model_info(encoder->model)->query_prompt};
    size_t previous = reply->previous_id ? store_kb_find(reply->view, reply->previous_id) : reply->view->n_entries;
    if (!reply->turn && previous < reply->view->n_entries) {
        reply->turn = reply->view->entries[previous].question;
        reply->turn_len = strlen(reply->turn);
    }
    if (reply->rewrite == TASK_REWRITE_NONE)
        reply->turn = NULL;
    reply->n_texts = reply->turn ? TASK_REPLY_TEXTS : 1;
    enum att_status status = task_windows_plan(call, encoder, &options, reply->question, reply->question_len, NULL, 0,
                                               "question", &reply->windows[TASK_REPLY_QUESTION], err);
    if (status == ATT_OK && reply->turn)
        status = join_turns(call, reply, err);
    if (status == ATT_OK && reply->turn)
        status = task_windows_plan(call, encoder, &options, reply->joined, reply->joined_len, NULL, 0, "context",
                                   &reply->windows[TASK_REPLY_JOINED], err);
    if (status == ATT_OK && reply->turn)
        status = task_windows_plan(call, encoder, &options, reply->turn, reply->turn_len, NULL, 0, "context",
                                   &reply->windows[TASK_REPLY_TURN], err);
    if (status == ATT_OK)
        status = task_windows_jobs(call, &options, reply->windows, reply->n_texts, err);
    reply->embed_jobs = call->jobs;
    return status;
}

enum att_status task_reply_parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct task_reply *reply = task_alloc(call, 1, sizeof *reply, err);
    if (!reply)
        return err->status;
    call->state = reply;
    reply->threshold = reply->margin = -1;
    reply->reranks = true;
    enum att_status status = task_fields_known(body, "", fields, err);
    if (status == ATT_OK)
        status = find_kb(call, body, reply, err);
    if (status == ATT_OK)
        status = parse_options(call, body, reply, err);
    if (status == ATT_OK)
        status = take_fit(reply, err);
    if (status == ATT_OK && !att_json_get(body, "question"))
        status = att_err_param(err, ATT_EINVAL, "question", "question: is missing, expected a text");
    if (status == ATT_OK)
        status = task_field_text(call, att_json_get(body, "question"), "question", &reply->question,
                                 &reply->question_len, err);
    if (status == ATT_OK && reply->question_len == 0)
        status = att_err_param(err, ATT_EINVAL, "question", "question: is empty, expected a text");
    if (status == ATT_OK)
        status = parse_context(call, att_json_get(body, "context"), reply, err);
    if (status != ATT_OK)
        return status;
    recognise_previous(reply);
    return plan_texts(call, reply, err);
}
