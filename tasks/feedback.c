/*
 * POST /v1/feedback: what people did with answers, stored until it is asked for.
 *
 *   {"user":"u1","item":"i3","type":"click"}     one event
 *   {"events":[…]}                               up to limits.items_max of them
 *
 * "type" says which kind an event is of (tasks/feedback.h); this file knows no
 * kind's members. All events are checked before one is stored, and the answer
 * comes when they are durable.
 */
#include "tasks/feedback.h"

#include <stdio.h>
#include <string.h>

static const struct task_feedback_kind *const kinds[] = {&task_feedback_items, &task_feedback_replies};
enum { KINDS = sizeof kinds / sizeof *kinds, PATH_BYTES = 40, WORDS_BYTES = 256 };

struct feedback {
    void *states[KINDS]; /* NULL: no event is of this kind */
};

enum att_status task_feedback_text(const struct task_call *call, const struct task_feedback_event *event,
                                   const char *name, bool required, size_t max, const char **ret_text,
                                   struct att_err *err)
{
    const struct att_json *value = att_json_get(event->object, name);
    char path[ATT_ERR_PARAM_MAX];
    const char *text = NULL;
    size_t len = 0;
    if (!required && att_json_type(value) == ATT_JSON_NULL)
        return ATT_OK;
    snprintf(path, sizeof path, "%s%s%s", event->path, *event->path ? "." : "", name);
    enum att_status status = task_field_text(call, value, path, &text, &len, err);
    if (status == ATT_OK && (len == 0 || len > max))
        status = att_err_param(err, ATT_EINVAL, path, "%s: has %zu bytes, expected 1 to %zu", path, len, max);
    if (status == ATT_OK)
        *ret_text = text;
    return status;
}

static enum att_status unknown_type(const char *path, const struct att_json *value, struct att_err *err)
{
    char words[WORDS_BYTES] = "", param[PATH_BYTES + 8];
    size_t len = 0;
    for (size_t k = 0; k < KINDS; k++)
        for (size_t t = 0; kinds[k]->types[t] && len < sizeof words; t++)
            len += (size_t)snprintf(words + len, sizeof words - len, "%s%s", len ? ", " : "", kinds[k]->types[t]);
    snprintf(param, sizeof param, "%s%stype", path, *path ? "." : "");
    if (!att_json_is_string(value))
        return att_err_param(err, ATT_EINVAL, param, "%s: is %s, expected one of %s", param,
                             value ? att_json_type_name(value) : "missing", words);
    return att_err_param(err, ATT_EINVAL, param, "%s: is \"%.40s\", expected one of %s", param,
                         att_json_string(value, NULL), words);
}

/* Which kind's event this is. */
static enum att_status choose_kind(struct task_feedback_event *event, size_t *ret_kind, struct att_err *err)
{
    const struct att_json *value = att_json_get(event->object, "type");
    const char *type = att_json_string(value, NULL);
    if (!att_json_is_object(event->object))
        return att_err_param(err, ATT_EINVAL, event->path, "%s: is %s, expected an event", event->path,
                             att_json_type_name(event->object));
    for (size_t k = 0; type && k < KINDS; k++)
        for (size_t t = 0; kinds[k]->types[t]; t++)
            if (strcmp(kinds[k]->types[t], type) == 0) {
                event->type = t;
                *ret_kind = k;
                return ATT_OK;
            }
    return unknown_type(event->path, value, err);
}

static enum att_status dispatch(struct task_call *call, struct task_feedback_event *events, size_t n,
                                struct att_err *err)
{
    struct feedback *feedback = call->state;
    size_t *of = task_alloc(call, n, sizeof *of, err);
    struct task_feedback_event *own = of ? task_alloc(call, n, sizeof *own, err) : NULL;
    if (!own)
        return err->status;
    enum att_status status = ATT_OK;
    for (size_t i = 0; status == ATT_OK && i < n; i++)
        status = choose_kind(&events[i], &of[i], err);
    for (size_t k = 0; status == ATT_OK && k < KINDS; k++) {
        size_t count = 0;
        for (size_t i = 0; i < n; i++)
            if (of[i] == k)
                own[count++] = events[i];
        if (count > 0)
            status = kinds[k]->parse(call, own, count, &feedback->states[k], err);
    }
    return status;
}

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    static const char *const fields[] = {"events", "deadline_ms", "priority", NULL};
    const struct att_json *list = att_json_get(body, "events");
    size_t n = 1;
    call->state = task_alloc(call, 1, sizeof(struct feedback), err);
    if (!call->state)
        return err->status;
    call->writes = true;
    enum att_status status = list ? task_fields_known(body, "", fields, err) : ATT_OK;
    if (status == ATT_OK && list)
        status = task_field_common(call, body, err);
    if (status == ATT_OK && list)
        status = task_field_array(list, "events", "events", true, call->env->limits.items_max, &n, err);
    if (status != ATT_OK)
        return status;
    struct task_feedback_event *events = task_alloc(call, n, sizeof *events, err);
    if (!events)
        return err->status;
    for (size_t i = 0; i < n; i++) {
        char path[PATH_BYTES] = "";
        if (list)
            snprintf(path, sizeof path, "events[%zu]", i);
        events[i].object = list ? att_json_at(list, i) : body;
        events[i].path = att_arena_copy(call->arena, path, strlen(path));
        if (!events[i].path)
            return att_err_set(err, ATT_ENOMEM, "out of memory for the events");
    }
    return dispatch(call, events, n, err);
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    struct feedback *feedback = call->state;
    struct task_feedback_counts counts = {0};
    enum att_status status = ATT_OK;
    for (size_t k = 0; status == ATT_OK && k < KINDS; k++)
        if (feedback->states[k])
            status = kinds[k]->store(call, feedback->states[k], &counts, err);
    if (status != ATT_OK)
        return status;
    att_jsonw_object_begin(answer);
    att_jsonw_put_size(answer, "stored", counts.stored);
    att_jsonw_put_size(answer, "duplicates", counts.duplicates);
    att_jsonw_put_size(answer, "expired", counts.expired);
    att_jsonw_object_end(answer);
    return ATT_OK;
}

const struct task task_feedback = {.name = "feedback", .parse = parse, .render = render};
