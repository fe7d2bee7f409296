/*
 * What is stored of a user, to be shown or removed on request:
 *
 *   GET    /v1/users/{user}     every event that is kept
 *   DELETE /v1/users/{user}     removes them; the next question about the user finds nothing
 */
#include <math.h>
#include <string.h>

#include "store/users.h"
#include "tasks/encode.h"

struct user_call {
    const char *user;
    struct store_user_event *events;
    size_t n;
};

static enum att_status begin(struct task_call *call, struct user_call **ret, struct att_err *err)
{
    if (!call->env->users)
        return att_err_set(err, ATT_EUNSUPPORTED,
                           "this service keeps no users: the configuration has no path in its section [users]");
    struct user_call *user = task_alloc(call, 1, sizeof *user, err);
    if (!user)
        return err->status;
    user->user = call->path_params[0];
    call->state = user;
    *ret = user;
    return ATT_OK;
}

static enum att_status unknown(struct att_err *err)
{
    return att_err_param(err, ATT_ENOTFOUND, "user", "user: nothing is stored of a user of this name");
}

static enum att_status parse_get(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct user_call *user = NULL;
    (void)body;
    enum att_status status = begin(call, &user, err);
    if (status == ATT_OK)
        status = store_users_history(call->env->users, user->user, NULL, SIZE_MAX / 2, (double)call->now_ms / 1000,
                                     call->arena, &user->events, &user->n, err);
    return status == ATT_OK && user->n == 0 ? unknown(err) : status;
}

static void put_event(const struct store_user_event *event, struct att_jsonw *answer)
{
    static const char *const types[] = {"view", "click", "rate", "buy"};
    att_jsonw_object_begin(answer);
    if (event->id[0])
        att_jsonw_put_text(answer, "id", event->id);
    att_jsonw_put_text(answer, "model", event->model);
    att_jsonw_put_text(answer, "item", event->item);
    att_jsonw_put_text(answer, "type", event->type >= 0 && event->type < 4 ? types[event->type] : NULL);
    if (!isnan(event->value))
        att_jsonw_put_double(answer, "value", event->value, 15);
    att_jsonw_put_double(answer, "time", event->time, 15);
    if (event->text[0])
        att_jsonw_put_text(answer, "text", event->text);
    att_jsonw_object_end(answer);
}

static enum att_status render_get(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct user_call *user = call->state;
    (void)err;
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "user", user->user);
    att_jsonw_key(answer, "events");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < user->n; i++)
        put_event(&user->events[i], answer);
    att_jsonw_array_end(answer);
    att_jsonw_object_end(answer);
    return ATT_OK;
}

static enum att_status parse_delete(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct user_call *user = NULL;
    (void)body;
    call->writes = true;
    return begin(call, &user, err);
}

static enum att_status render_delete(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct user_call *user = call->state;
    size_t removed = 0;
    enum att_status status = store_users_remove(call->env->users, user->user, &removed, err);
    /* The store's words name a file, which is nobody's business outside. */
    if (status == ATT_EBUSY)
        return att_err_set(err, status, "another process is writing to the users' file; try again later");
    if (status == ATT_OK && removed == 0)
        status = unknown(err);
    if (status != ATT_OK)
        return status;
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "user", user->user);
    att_jsonw_put_size(answer, "deleted", removed);
    att_jsonw_object_end(answer);
    return ATT_OK;
}

const struct task task_user_get = {.name = "user_get", .parse = parse_get, .render = render_get};
const struct task task_user_delete = {.name = "user_delete", .parse = parse_delete, .render = render_delete};
