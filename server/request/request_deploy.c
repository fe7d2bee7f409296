/*
 * A request whose outcome is served from then on: the task does its slow part on
 * the thread that reloads, a new generation is made, and the request is answered
 * when that one serves. Like a reload it has no deadline.
 */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "server/request/request_inside.h"

static struct srv_request *owner(struct srv_reload_job *job)
{
    return (struct srv_request *)(void *)((char *)job - offsetof(struct srv_request, reload));
}

static enum att_status on_before(struct srv_reload_job *job, struct att_err *err)
{
    struct task_call *call = &owner(job)->call;

    return call->deployment->deploy(call, err);
}

static enum att_status on_settle(struct srv_reload_job *job, bool serves, struct att_err *err)
{
    struct task_call *call = &owner(job)->call;

    return call->deployment->settle != NULL ? call->deployment->settle(call, serves, err) : ATT_OK;
}

enum srv_next srv_request_deploy(struct srv_request *request)
{
    const char *model = request->call.deployment->model;

    assert(model == NULL || strlen(model) < sizeof(request->reload.model));
    request->reload = (struct srv_reload_job){.before = on_before, .settle = on_settle};
    if (model != NULL)
        memcpy(request->reload.model, model, strlen(model) + 1);
    return srv_request_await_reload(request, DEPLOYING);
}

enum srv_next srv_request_deployed(struct srv_request *request)
{
    if (request->reload.status == ATT_OK)
        return srv_request_render(request);
    if (request->reload.prepared)
        return srv_request_fail_reload(request, "nothing was changed, for a new generation could not be loaded");
    request->err = request->reload.err;
    return srv_request_fail_status(request, request->reload.status);
}
