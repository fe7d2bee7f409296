/* Reading and weighing a history; see history.h. */
#include "tasks/recommend/history.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/items.h"
#include "store/users.h"

enum { PATH_BYTES = 48 };
static const double time_max = 253402300799; /* the last second of the year 9999; milliseconds are beyond it */
static const double rating_max = 5, dislike_max = 2, value_max = 1e15;
static const double day_s = 86400, decay_an_event = 0.95, decay_min = 0.05;

size_t task_item_find(const struct task_model *model, const char *id)
{
    size_t n_items = att_model_info(model->model)->vocab_size - 1, index = 0;
    if (model->items)
        return store_items_find(model->items, id);
    if (*id == '0')
        return 0;
    for (; *id >= '0' && *id <= '9' && index <= n_items; id++)
        index = 10 * index + (size_t)(*id - '0');
    return *id || index > n_items ? 0 : index;
}

enum att_status task_item_id(const struct task_call *call, const struct att_json *value, const char *path,
                             const char **ret_id, struct att_err *err)
{
    const char *id;
    size_t len;
    enum att_status status = task_field_text(call, value, path, &id, &len, err);
    if (status == ATT_OK && (len == 0 || len > TASK_ITEM_ID_BYTES_MAX))
        status = att_err_param(err, ATT_EINVAL, path, "%s: has %zu bytes, expected 1 to %d", path, len,
                               TASK_ITEM_ID_BYTES_MAX);
    if (status == ATT_OK)
        *ret_id = id;
    return status;
}

enum att_status task_event_parse(struct task_call *call, const struct att_json *object, const char *path,
                                 struct task_event *event, struct att_err *err)
{
    static const char *const types[] = {"view", "click", "rate", "buy", NULL};
    char member[ATT_ERR_PARAM_MAX];
    size_t type = SIZE_MAX;
    *event = (struct task_event){.value = NAN, .time = NAN};
    snprintf(member, sizeof member, "%s%sitem", path, *path ? "." : "");
    enum att_status status = task_item_id(call, att_json_get(object, "item"), member, &event->item, err);
    if (status == ATT_OK)
        status = task_field_enum(object, path, "type", types, &type, err);
    if (status == ATT_OK)
        status = task_field_number(object, path, "time", 0, time_max, &event->time, err);
    if (status != ATT_OK)
        return status;
    bool has_value = att_json_type(att_json_get(object, "value")) != ATT_JSON_NULL;
    event->type = type == SIZE_MAX ? (has_value ? TASK_EVENT_RATE : TASK_EVENT_VIEW) : (enum task_event_type)type;
    bool rating = event->type == TASK_EVENT_RATE;
    status = task_field_number(object, path, "value", rating ? 0 : -value_max, rating ? rating_max : value_max,
                               &event->value, err);
    snprintf(member, sizeof member, "%s%stext", path, *path ? "." : "");
    const struct att_json *text = att_json_get(object, "text");
    if (status == ATT_OK && att_json_type(text) != ATT_JSON_NULL)
        status = task_field_text(call, text, member, &event->text, &event->text_len, err);
    if (status == ATT_OK && event->text_len == 0)
        event->text = NULL;
    return status;
}

static enum att_status parse_event(struct task_call *call, const struct task_model *model,
                                   const struct att_json *object, size_t position, struct task_event *event,
                                   struct att_err *err)
{
    static const char *const fields[] = {"item", "type", "value", "time", "text", NULL};
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "history[%zu]", position);
    enum att_status status = task_fields_known(object, path, fields, err);
    if (status == ATT_OK)
        status = task_event_parse(call, object, path, event, err);
    if (status == ATT_OK) {
        event->position = position;
        event->index = task_item_find(model, event->item);
    }
    return status;
}

/* What the store has of the user, as the first events. */
static enum att_status read_stored(struct task_call *call, const struct task_model *model, const char *user,
                                   struct store_user_event **ret_events, size_t *ret_n, struct att_err *err)
{
    if (!user || !call->env->users)
        return ATT_OK;
    return store_users_history(call->env->users, user, model->name, call->env->limits.history_max,
                               (double)call->now_ms / 1000, call->arena, ret_events, ret_n, err);
}

static struct task_event stored_event(const struct task_model *model, const struct store_user_event *stored, size_t i)
{
    struct task_event event = {.item = stored->item, .value = stored->value, .time = stored->time, .position = i};
    event.index = task_item_find(model, stored->item);
    event.type = stored->type >= TASK_EVENT_VIEW && stored->type <= TASK_EVENT_BUY ? (enum task_event_type)stored->type
                                                                                   : TASK_EVENT_VIEW;
    if (stored->text[0]) {
        event.text = stored->text;
        event.text_len = strlen(stored->text);
    }
    return event;
}

enum att_status task_history_parse(struct task_call *call, const struct task_model *model, const struct att_json *body,
                                   const char *user, struct task_history *history, struct att_err *err)
{
    const struct att_json *value = att_json_get(body, "history");
    size_t n = 0;
    struct store_user_event *stored = NULL;
    enum att_status status =
        task_field_array(value, "history", "events", false, call->env->limits.history_max, &n, err);
    if (status == ATT_OK)
        status = read_stored(call, model, user, &stored, &history->n_stored, err);
    if (status != ATT_OK)
        return status;
    history->n = history->n_stored + n;
    history->events = task_alloc(call, history->n + 1, sizeof *history->events, err);
    history->given = history->events ? task_alloc(call, history->n + 1, sizeof *history->given, err) : NULL;
    size_t rows = att_model_info(model->model)->vocab_size;
    unsigned char *disliked = history->given ? task_alloc(call, rows, 1, err) : NULL;
    if (!disliked)
        return err->status;
    for (size_t i = 0; i < history->n_stored; i++)
        history->events[i] = stored_event(model, &stored[i], i);
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        struct task_event *event = &history->events[history->n_stored + i];
        status = parse_event(call, model, att_json_at(value, i), i, event, err);
        event->position += history->n_stored;
    }
    if (status != ATT_OK)
        return status;
    memcpy(history->given, history->events, history->n * sizeof *history->events);
    task_history_weigh(history, &att_model_info(model->model)->history, disliked);
    return ATT_OK;
}

size_t task_history_number(const struct task_history *history, size_t position)
{
    return position >= history->n_stored ? position - history->n_stored : position + history->n - history->n_stored;
}

/* ---- weighing ---- */

static int by_time(const void *a, const void *b)
{
    const struct task_event *x = a, *y = b;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return x->position < y->position ? -1 : x->position > y->position;
}

/* Gives every event a time and sorts; false when none has one. */
static bool sort(struct task_history *history)
{
    struct task_event *events = history->events;
    size_t first = 0;
    while (first < history->n && isnan(events[first].time))
        first++;
    if (first == history->n)
        return false;
    for (size_t i = 0; i < history->n; i++)
        if (isnan(events[i].time))
            events[i].time = i < first ? events[first].time : events[i - 1].time;
    qsort(events, history->n, sizeof *events, by_time);
    return true;
}

static double strength(const struct task_event *event, const struct att_history_rules *rules)
{
    switch (event->type) {
    case TASK_EVENT_VIEW:
        return (double)rules->view;
    case TASK_EVENT_CLICK:
        return (double)rules->click;
    case TASK_EVENT_BUY:
        return (double)rules->buy;
    case TASK_EVENT_RATE:
        break;
    }
    if (isnan(event->value))
        return (double)rules->rate;
    return event->value > dislike_max ? (event->value - dislike_max) / (rating_max - dislike_max)
                                      : -(2.5 - event->value) / 2.5;
}

void task_history_weigh(struct task_history *history, const struct att_history_rules *rules, unsigned char *disliked)
{
    double half_life_s = (double)rules->half_life_days * day_s;
    bool timed = sort(history);
    struct task_event *events = history->events;
    for (size_t i = 0; i < history->n; i++)
        if (events[i].index && events[i].type == TASK_EVENT_RATE && !isnan(events[i].value))
            disliked[events[i].index] = events[i].value <= dislike_max;
    for (size_t i = 0; i < history->n; i++) {
        double decay = timed ? exp2((events[i].time - events[history->n - 1].time) / half_life_s)
                             : pow(decay_an_event, (double)(history->n - 1 - i));
        double weight = strength(&events[i], rules);
        if (events[i].index && disliked[events[i].index] && weight > 0)
            weight = -weight;
        decay = decay > decay_min ? decay : decay_min;
        events[i].weight = (float)(weight * decay);
        events[i].presence = weight > 0 ? (float)pow(timed ? weight * decay : weight, (double)rules->sequence) : 0;
    }
}
