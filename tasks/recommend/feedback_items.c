/*
 * Feedback on items: view, click, rate and buy of a user, as recommend reads
 * them from a history. They are stored by user and recommender, whether the
 * recommender knows the item yet or not. Without a time, an event is of now.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "store/users.h"
#include "tasks/feedback.h"
#include "tasks/recommend/history.h"

static const double ahead_max_s = 86400; /* clocks differ, and time zones are mistaken */
enum { ID_BYTES_MAX = 128 };

struct item_events {
    struct store_user_event *events;
    size_t n;
};

/* A name that stands in a path, so that the user can be asked for and removed: /v1/users/{user}. */
static enum att_status user_name(const struct task_call *call, const struct task_feedback_event *event,
                                 const char **ret_user, struct att_err *err)
{
    enum att_status status = task_feedback_text(call, event, "user", true, TASK_USER_BYTES_MAX, ret_user, err);
    if (status != ATT_OK)
        return status;
    bool sane = strcmp(*ret_user, ".") != 0 && strcmp(*ret_user, "..") != 0;
    for (const char *c = *ret_user; *c; c++)
        sane = sane && *c != '/' && *c != '\\' && (unsigned char)*c >= 0x20 && *c != 0x7f;
    if (sane)
        return ATT_OK;
    char path[ATT_ERR_PARAM_MAX];
    snprintf(path, sizeof path, "%s%suser", event->path, *event->path ? "." : "");
    return att_err_param(err, ATT_EINVAL, path,
                         "%s: expected a name without slashes and control characters, for /v1/users/{user}", path);
}

static enum att_status parse_one(struct task_call *call, const struct task_feedback_event *event,
                                 struct store_user_event *stored, struct att_err *err)
{
    static const char *const fields[] = {"id", "user", "model", "item", "type", "value", "time", "text", NULL};
    struct task_event parsed;
    const struct task_model *model = NULL;
    double now_s = (double)call->now_ms / 1000;
    *stored = (struct store_user_event){.id = "", .text = ""};
    enum att_status status = task_fields_known(event->object, event->path, fields, err);
    if (status == ATT_OK)
        status = user_name(call, event, &stored->user, err);
    if (status == ATT_OK)
        status = task_feedback_text(call, event, "id", false, ID_BYTES_MAX, &stored->id, err);
    if (status == ATT_OK)
        status = task_event_parse(call, event->object, event->path, &parsed, err);
    if (status == ATT_OK)
        status = task_field_model(call, event->object, "recommend", &model, err);
    if (status != ATT_OK)
        return status;
    if (!att_item_embedding(model->model, 0))
        return att_err_param(err, ATT_EUNSUPPORTED, "model", "model: \"%s\" is no recommender; see /v1/models",
                             model->name);
    if (parsed.time > now_s + ahead_max_s) {
        char path[ATT_ERR_PARAM_MAX];
        snprintf(path, sizeof path, "%s%stime", event->path, *event->path ? "." : "");
        return att_err_param(err, ATT_EINVAL, path, "%s: is %.15g, more than a day ahead of this machine's clock", path,
                             parsed.time);
    }
    stored->model = model->name;
    stored->item = parsed.item;
    stored->type = (int)parsed.type;
    stored->value = parsed.value;
    stored->time = isnan(parsed.time) ? now_s : parsed.time;
    stored->text = parsed.text ? parsed.text : "";
    return ATT_OK;
}

static enum att_status parse(struct task_call *call, const struct task_feedback_event *events, size_t n,
                             void **ret_state, struct att_err *err)
{
    if (!call->env->users)
        return att_err_set(err, ATT_EUNSUPPORTED,
                           "this service keeps no users: the configuration has no path in its section [users]");
    struct item_events *state = task_alloc(call, 1, sizeof *state, err);
    if (!state)
        return err->status;
    state->events = task_alloc(call, n, sizeof *state->events, err);
    if (!state->events)
        return err->status;
    enum att_status status = ATT_OK;
    for (; status == ATT_OK && state->n < n; state->n++)
        status = parse_one(call, &events[state->n], &state->events[state->n], err);
    if (status == ATT_OK)
        *ret_state = state;
    return status;
}

static enum att_status store(struct task_call *call, void *state, struct task_feedback_counts *counts,
                             struct att_err *err)
{
    const struct item_events *events = state;
    struct store_users_counts stored;
    enum att_status status =
        store_users_put(call->env->users, events->events, events->n, (double)call->now_ms / 1000, &stored, err);
    /* The store's words name a file, which is nobody's business outside. */
    if (status == ATT_EBUSY)
        return att_err_set(err, status, "another process is writing to the users' file; try again later");
    if (status != ATT_OK)
        return status;
    counts->stored += stored.stored;
    counts->duplicates += stored.duplicates;
    counts->expired += stored.expired;
    return ATT_OK;
}

const struct task_feedback_kind task_feedback_items = {
    .types = (const char *const[]){"view", "click", "rate", "buy", NULL}, .parse = parse, .store = store};
