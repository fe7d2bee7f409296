/*
 * POST /v1/reply: the best answers of a knowledge base for a customer's question
 * in its dialogue, and whether to give one (answered), to ask back (clarify) or
 * to fetch a person (handoff).
 */
#include <stdio.h>
#include <string.h>

#include "store/lexical.h"
#include "tasks/explain.h"
#include "tasks/match.h"
#include "tasks/window.h"

enum { TOP_MAX = 50, TURNS_MAX = 64, METADATA_DEPTH = 16, PATH_BYTES = 48 };

enum { QUESTION, JOINED, TURN, TEXTS }; /* what is embedded; the last two with a dialogue only */

struct reply {
    const struct task_kb *kb;
    const struct store_kb_view *view;
    const char *question, *turn, *joined; /* turn and joined: NULL without dialogue */
    size_t question_len, turn_len, joined_len;
    const char *said; /* the assistant's answer to the last user turn, or NULL */
    int64_t previous_id;
    double threshold, margin;
    size_t top;
    bool explain, match_any;
    const struct att_json *metadata; /* filters, or NULL */
    struct task_windows windows[TEXTS];
    size_t n_texts;
    struct task_match matches[TOP_MAX];
    size_t n_matches;
};

static const char *const fields[] = {"question",    "context",  "previous_id", "kb",   "top",      "filters",
                                     "threshold",   "margin",   "rerank",      "span", "generate", "explain",
                                     "deadline_ms", "priority", "model",       NULL};

/* The last user turn of the dialogue, and what was said to it. */
static enum att_status parse_context(struct task_call *call, const struct att_json *context, struct reply *reply,
                                     struct att_err *err)
{
    static const char *const members[] = {"role", "content", NULL};
    static const char *const roles[] = {"user", "assistant", NULL};
    size_t n = att_json_count(context);
    if (att_json_type(context) == ATT_JSON_NULL)
        return ATT_OK;
    if (!att_json_is_array(context))
        return att_err_param(err, ATT_EINVAL, "context", "context: is %s, expected an array of turns",
                             att_json_type_name(context));
    if (n > TURNS_MAX)
        return att_err_limit(err, "context", TURNS_MAX, n, "context: %zu turns, expected at most %d", n, TURNS_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct att_json *turn = att_json_at(context, i);
        char path[PATH_BYTES], content_path[PATH_BYTES + 16];
        const char *text;
        size_t len, role = 2;
        snprintf(path, sizeof path, "context[%zu]", i);
        snprintf(content_path, sizeof content_path, "%s.content", path);
        enum att_status status = task_fields_known(turn, path, members, err);
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
            reply->turn = text;
            reply->turn_len = len;
            reply->said = NULL;
        } else if (role == 1) {
            reply->said = text;
        }
    }
    return ATT_OK;
}

static enum att_status parse_filters(const struct att_json *filters, struct reply *reply, struct att_err *err)
{
    static const char *const members[] = {"metadata", "logic", NULL};
    static const char *const words[] = {"and", "or", NULL};
    size_t logic = 0;
    if (att_json_type(filters) == ATT_JSON_NULL)
        return ATT_OK;
    enum att_status status = task_fields_known(filters, "filters", members, err);
    if (status == ATT_OK)
        status = task_field_enum(filters, "filters", "logic", words, &logic, err);
    const struct att_json *metadata = att_json_get(filters, "metadata");
    if (status == ATT_OK && metadata && !att_json_is_object(metadata))
        status = att_err_param(err, ATT_EINVAL, "filters.metadata", "filters.metadata: is %s, expected an object",
                               att_json_type_name(metadata));
    reply->metadata = att_json_count(metadata) > 0 ? metadata : NULL;
    reply->match_any = logic == 1;
    return status;
}

/* Options that this version cannot fulfil are refused, not passed over. */
static enum att_status refuse_missing(const struct att_json *body, struct att_err *err)
{
    static const struct {
        const char *name, *why;
    } missing[] = {{"span", "answer spans are not available in this version"},
                   {"generate", "no generative model can be loaded in this version"}};
    bool value = false;
    enum att_status status = task_field_bool(body, "", "rerank", &value, err);
    for (size_t i = 0; status == ATT_OK && i < 2; i++) {
        value = false;
        status = task_field_bool(body, "", missing[i].name, &value, err);
        if (status == ATT_OK && value)
            status = att_err_param(err, ATT_EINVAL, missing[i].name, "%s: %s, expected false", missing[i].name,
                                   missing[i].why);
    }
    return status;
}

static enum att_status parse_options(struct task_call *call, const struct att_json *body, struct reply *reply,
                                     struct att_err *err)
{
    static const char *const words[] = {"none", "attention", NULL};
    int64_t top = 3;
    size_t explain = 0;
    enum att_status status = task_field_common(call, body, err);
    if (status == ATT_OK)
        status = task_field_int(body, "", "top", 1, TOP_MAX, &top, err);
    if (status == ATT_OK)
        status = task_field_int(body, "", "previous_id", 1, INT64_C(1) << 53, &reply->previous_id, err);
    if (status == ATT_OK)
        status = task_field_number(body, "", "threshold", 0, 1, &reply->threshold, err);
    if (status == ATT_OK)
        status = task_field_number(body, "", "margin", 0, 1, &reply->margin, err);
    if (status == ATT_OK)
        status = task_field_enum(body, "", "explain", words, &explain, err);
    if (status == ATT_OK)
        status = refuse_missing(body, err);
    if (status == ATT_OK)
        status = parse_filters(att_json_get(body, "filters"), reply, err);
    reply->top = (size_t)top;
    reply->explain = explain == 1;
    return status;
}

static enum att_status find_kb(struct task_call *call, const struct att_json *body, struct reply *reply,
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
static void recognise_previous(struct reply *reply)
{
    for (size_t i = 0; !reply->previous_id && reply->said && i < reply->view->n_entries; i++)
        if (strcmp(reply->view->entries[i].answer, reply->said) == 0)
            reply->previous_id = reply->view->entries[i].id;
}

/* The question; with a dialogue also turn + question, and the turn alone. */
static enum att_status plan_texts(struct task_call *call, struct reply *reply, struct att_err *err)
{
    const struct task_windows_options options = {.pooled = true, .attention = reply->explain};
    const struct task_model *encoder = reply->kb->encoder;
    size_t previous = reply->previous_id ? store_kb_find(reply->view, reply->previous_id) : reply->view->n_entries;
    if (!reply->turn && previous < reply->view->n_entries) {
        reply->turn = reply->view->entries[previous].question;
        reply->turn_len = strlen(reply->turn);
    }
    reply->n_texts = reply->turn ? TEXTS : 1;
    enum att_status status = task_windows_plan(call, encoder, &options, reply->question, reply->question_len, NULL, 0,
                                               "question", &reply->windows[QUESTION], err);
    if (status == ATT_OK && reply->turn) {
        size_t len = reply->turn_len + 1 + reply->question_len;
        char *joined = task_alloc(call, len + 1, 1, err);
        if (!joined)
            return err->status;
        memcpy(joined, reply->turn, reply->turn_len);
        joined[reply->turn_len] = ' ';
        memcpy(joined + reply->turn_len + 1, reply->question, reply->question_len);
        status =
            task_windows_plan(call, encoder, &options, joined, len, NULL, 0, "context", &reply->windows[JOINED], err);
        reply->joined = joined;
        reply->joined_len = len;
    }
    if (status == ATT_OK && reply->turn)
        status = task_windows_plan(call, encoder, &options, reply->turn, reply->turn_len, NULL, 0, "context",
                                   &reply->windows[TURN], err);
    if (status == ATT_OK)
        status = task_windows_jobs(call, encoder, &options, reply->windows, reply->n_texts, err);
    return status;
}

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct reply *reply = task_alloc(call, 1, sizeof *reply, err);
    if (!reply)
        return err->status;
    call->state = reply;
    reply->threshold = 0.5;
    reply->margin = 0.05;
    enum att_status status = task_fields_known(body, "", fields, err);
    if (status == ATT_OK)
        status = find_kb(call, body, reply, err);
    if (status == ATT_OK)
        status = parse_options(call, body, reply, err);
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

/* ---- matching ---- */

static enum att_status match_text(struct task_call *call, const struct reply *reply, size_t which, const char *text,
                                  size_t len, struct task_match_text *ret, struct att_err *err)
{
    const struct task_windows *windows = &reply->windows[which];
    size_t n = reply->view->dimensions;
    float *vector = task_alloc(call, n, sizeof *vector, err);
    if (!vector)
        return err->status;
    for (size_t w = 0; w < windows->count; w++) {
        const struct task_job *job = &call->jobs[windows->first_job + w];
        for (size_t i = 0; i < n; i++)
            vector[i] += job->pooled[i] * (float)job->len;
    }
    att_l2_normalize(n, vector);
    *ret = (struct task_match_text){text, len, vector};
    return ATT_OK;
}

static bool same_value(const struct att_json *a, const struct att_json *b)
{
    const char *text = att_json_string(a, NULL), *other = att_json_string(b, NULL);
    if (text || other)
        return text && other && strcmp(text, other) == 0;
    if (att_json_is_number(a))
        return att_json_is_number(b) && att_json_number(a, 0) == att_json_number(b, 1);
    return att_json_is_bool(a) && att_json_is_bool(b) && att_json_bool(a, false) == att_json_bool(b, true);
}

/* Whether an entry's metadata has all (or one) of the filter's members. */
static enum att_status passes(const struct reply *reply, const struct store_kb_entry *entry, bool *ret,
                              struct att_err *err)
{
    struct att_json *metadata = NULL;
    struct att_json_iter iter;
    const char *key;
    const struct att_json *wanted;
    enum att_status status =
        att_json_parse(entry->metadata, strlen(entry->metadata), 0, METADATA_DEPTH, &metadata, err);
    if (status == ATT_ENOMEM)
        return status;
    bool all = true, any = false;
    att_json_iter_init(&iter, reply->metadata);
    while (att_json_iter_next(&iter, &key, &wanted)) {
        bool same = same_value(wanted, att_json_get(metadata, key));
        all &= same;
        any |= same;
    }
    *ret = status == ATT_OK && (reply->match_any ? any : all);
    att_json_destroy(metadata);
    return ATT_OK;
}

static enum att_status rank(struct task_call *call, struct reply *reply, struct att_err *err)
{
    struct task_match_query query = {.previous_id = reply->previous_id};
    enum att_status status =
        match_text(call, reply, QUESTION, reply->question, reply->question_len, &query.question, err);
    if (status == ATT_OK && reply->turn)
        status = match_text(call, reply, JOINED, reply->joined, reply->joined_len, &query.joined, err);
    if (status == ATT_OK && reply->turn)
        status = match_text(call, reply, TURN, reply->turn, reply->turn_len, &query.turn, err);
    bool *allowed = NULL;
    if (status == ATT_OK && reply->metadata) {
        allowed = task_alloc(call, reply->view->n_entries + 1, sizeof *allowed, err);
        if (!allowed)
            return err->status;
        for (size_t i = 0; status == ATT_OK && i < reply->view->n_entries; i++)
            status = passes(reply, &reply->view->entries[i], &allowed[i], err);
    }
    query.allowed = allowed;
    /* Two at least, so that the decision knows the runner-up. */
    size_t max = reply->top < 2 ? 2 : reply->top;
    if (status == ATT_OK)
        status = task_match_rank(call, reply->kb->kb, reply->view, &query, reply->matches, max, &reply->n_matches, err);
    return status;
}

static const char *decide(const struct reply *reply)
{
    double best = reply->n_matches > 0 ? (double)reply->matches[0].score : 0;
    double second = reply->n_matches > 1 ? (double)reply->matches[1].score : 0;
    if (reply->n_matches == 0 || best < reply->threshold)
        return "handoff";
    return second >= reply->threshold && best - second < reply->margin ? "clarify" : "answered";
}

/* ---- answering ---- */

static void put_prompts(const struct reply *reply, const struct store_kb_entry *entry, struct att_jsonw *answer)
{
    att_jsonw_key(answer, "prompts");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < entry->n_prompts; i++) {
        size_t next = store_kb_find(reply->view, entry->prompts[i]);
        if (next == reply->view->n_entries)
            continue;
        att_jsonw_object_begin(answer);
        att_jsonw_key(answer, "id");
        att_jsonw_int(answer, entry->prompts[i]);
        att_jsonw_key(answer, "text");
        att_jsonw_cstring(answer, reply->view->entries[next].question);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
}

static void put_match(const struct reply *reply, const struct task_match *match, struct att_jsonw *answer)
{
    const struct store_kb_entry *entry = &reply->view->entries[match->entry];
    att_jsonw_object_begin(answer);
    att_jsonw_key(answer, "id");
    att_jsonw_int(answer, entry->id);
    att_jsonw_key(answer, "answer");
    att_jsonw_cstring(answer, entry->answer);
    att_jsonw_key(answer, "question");
    att_jsonw_cstring(answer, entry->question);
    att_jsonw_key(answer, "matched");
    att_jsonw_cstring(answer, reply->view->texts[match->text].text);
    att_jsonw_key(answer, "score");
    att_jsonw_float(answer, match->score);
    att_jsonw_key(answer, "logit");
    att_jsonw_double(answer, match->logit, 6);
    att_jsonw_key(answer, "confidence");
    att_jsonw_double(answer, match->confidence, 6);
    att_jsonw_key(answer, "source");
    att_jsonw_cstring(answer, entry->source);
    att_jsonw_key(answer, "metadata");
    att_jsonw_raw(answer, entry->metadata, strlen(entry->metadata));
    put_prompts(reply, entry, answer);
    att_jsonw_object_end(answer);
}

/* What the application may say where there is no answer to give. */
static const char *fallback(const struct reply *reply, const char *decision)
{
    bool chinese = store_cjk_share(reply->question, reply->question_len) > 0.3f;
    if (strcmp(decision, "clarify") == 0)
        return chinese ? "您想问的是下面哪一个？" : "Which of these do you mean?";
    if (strcmp(decision, "handoff") == 0)
        return chinese ? "这个问题我还答不好，为您转接人工客服。"
                       : "I cannot answer this one; a colleague will help you.";
    return NULL;
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    struct reply *reply = call->state;
    enum att_status status = rank(call, reply, err);
    if (status != ATT_OK)
        return status;
    const char *decision = decide(reply);
    att_jsonw_object_begin(answer);
    task_render_id(answer, "rep");
    att_jsonw_key(answer, "model");
    att_jsonw_cstring(answer, reply->kb->encoder->name);
    att_jsonw_key(answer, "kb");
    att_jsonw_cstring(answer, reply->kb->name);
    att_jsonw_key(answer, "method");
    att_jsonw_cstring(answer, "hybrid");
    att_jsonw_key(answer, "decision");
    att_jsonw_cstring(answer, decision);
    att_jsonw_key(answer, "answers");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < reply->n_matches && i < reply->top; i++)
        put_match(reply, &reply->matches[i], answer);
    att_jsonw_array_end(answer);
    att_jsonw_key(answer, "fallback");
    att_jsonw_cstring(answer, fallback(reply, decision));
    if (reply->explain) {
        att_jsonw_key(answer, "explain");
        status =
            task_explain_attention(call, &reply->windows[QUESTION], reply->question, reply->question_len, answer, err);
    }
    task_render_usage(call, answer);
    att_jsonw_object_end(answer);
    return status;
}

static void finish(struct task_call *call)
{
    struct reply *reply = call->state;
    if (reply && reply->view)
        store_kb_view_release(reply->kb->kb, reply->view);
}

const struct task task_reply = {"reply", parse, NULL, render, finish};
