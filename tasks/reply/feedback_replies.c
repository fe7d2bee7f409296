/*
 * Feedback on replies: {"type":"rejected","reply":"rep-…","kb":"default","entry":12,"question":"…"}. accepted says that
 * the answer helped, rejected that it did not, escalated that a person took over. They are kept in the knowledge base's
 * own file as long as [kb NAME] record_days and record_max say, and GET /v1/kb/{kb}/suggestions reads them. The reply's
 * id makes a repeated event a duplicate.
 */
#include <stdio.h>
#include <string.h>

#include "store/kb_questions.h"
#include "tasks/feedback.h"

enum { REPLY_BYTES_MAX = 64 };

struct reply_events {
    struct reply_event {
        const struct task_kb *kb;
        struct store_kb_question question;
    } * items;
    struct store_kb_question *batch; /* [n]: those of one knowledge base */
    size_t n;
};

static const enum store_kb_kind kinds[] = {STORE_KB_ACCEPTED, STORE_KB_REJECTED, STORE_KB_ESCALATED};

static enum att_status missing(const struct task_feedback_event *event, const char *name, const char *expected,
                               struct att_err *err)
{
    char path[ATT_ERR_PARAM_MAX];
    snprintf(path, sizeof path, "%s%s%s", event->path, *event->path ? "." : "", name);
    return att_err_param(err, ATT_EINVAL, path, "%s: is missing, expected %s", path, expected);
}

static enum att_status find_kb(const struct task_call *call, const struct task_feedback_event *event,
                               const struct task_kb **ret_kb, struct att_err *err)
{
    const char *name = NULL;
    char path[ATT_ERR_PARAM_MAX];
    enum att_status status = task_field_string(event->object, event->path, "kb", &name, NULL, err);
    if (status != ATT_OK)
        return status;
    *ret_kb = call->env->find_kb(call->env->context, name);
    if (*ret_kb)
        return ATT_OK;
    snprintf(path, sizeof path, "%s%skb", event->path, *event->path ? "." : "");
    return att_err_param(err, ATT_ENOTFOUND, path, "%s: no knowledge base%s%.60s is configured", path,
                         name ? " named " : "", name ? name : "");
}

static enum att_status parse_one(struct task_call *call, const struct task_feedback_event *event,
                                 struct reply_event *parsed, struct att_err *err)
{
    static const char *const fields[] = {"type", "reply", "kb", "entry", "question", NULL};
    struct store_kb_question *question = &parsed->question;
    *question =
        (struct store_kb_question){.time = call->now_ms / 1000, .kind = kinds[event->type], .reply = "", .text = ""};
    bool accepted = question->kind == STORE_KB_ACCEPTED;
    enum att_status status = task_fields_known(event->object, event->path, fields, err);
    if (status == ATT_OK)
        status = find_kb(call, event, &parsed->kb, err);
    if (status == ATT_OK && !att_json_get(event->object, "reply"))
        status = missing(event, "reply", "the id of an answer of /v1/reply", err);
    if (status == ATT_OK)
        status = task_feedback_text(call, event, "reply", true, REPLY_BYTES_MAX, &question->reply, err);
    if (status == ATT_OK)
        status = task_field_int(event->object, event->path, "entry", 1, INT64_C(1) << 53, &question->entry, err);
    if (status == ATT_OK && question->entry == 0 && question->kind != STORE_KB_ESCALATED)
        status = missing(event, "entry", "the id of the entry that was answered", err);
    if (status == ATT_OK && !accepted && !att_json_get(event->object, "question"))
        status = missing(event, "question", "what the customer asked", err);
    if (status == ATT_OK)
        status =
            task_feedback_text(call, event, "question", !accepted, STORE_KB_QUESTION_BYTES_MAX, &question->text, err);
    return status;
}

static enum att_status parse(struct task_call *call, const struct task_feedback_event *events, size_t n,
                             void **ret_state, struct att_err *err)
{
    struct reply_events *state = task_alloc(call, 1, sizeof *state, err);
    if (!state)
        return err->status;
    state->items = task_alloc(call, n, sizeof *state->items, err);
    state->batch = state->items ? task_alloc(call, n, sizeof *state->batch, err) : NULL;
    if (!state->batch)
        return err->status;
    for (state->n = 0; state->n < n; state->n++) {
        enum att_status status = parse_one(call, &events[state->n], &state->items[state->n], err);
        if (status != ATT_OK)
            return status;
    }
    *ret_state = state;
    return ATT_OK;
}

/* One transaction a knowledge base; a request that is sent again after the second failed stores the first no more. */
static enum att_status store(struct task_call *call, void *state, struct task_feedback_counts *counts,
                             struct att_err *err)
{
    struct reply_events *events = state;
    int64_t now_s = call->now_ms / 1000;
    for (size_t first = 0; first < events->n; first++) {
        const struct task_kb *kb = events->items[first].kb;
        size_t n = 0, added = 0;
        if (!kb)
            continue;
        for (size_t i = first; i < events->n; i++)
            if (events->items[i].kb == kb) {
                events->batch[n++] = events->items[i].question;
                events->items[i].kb = NULL;
            }
        const struct store_kb_retention retention = {now_s - (int64_t)kb->record_days * 86400, kb->record_max};
        enum att_status status = store_kb_questions_add(kb->kb, events->batch, n, &retention, &added, err);
        /* The store's words name a file, which is nobody's business outside. */
        if (status == ATT_EBUSY)
            return att_err_set(err, status, "another process is writing to the knowledge base; try again later");
        if (status != ATT_OK)
            return status;
        counts->stored += added;
        counts->duplicates += n - added;
    }
    return ATT_OK;
}

const struct task_feedback_kind task_feedback_replies = {
    .types = (const char *const[]){"accepted", "rejected", "escalated", NULL}, .parse = parse, .store = store};
