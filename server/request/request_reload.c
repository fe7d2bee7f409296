/*
 * A request that reloads one model. The connection is suspended while the reloader
 * works; who asked waits for the outcome, whatever deadline requests have.
 */
#include <stddef.h>
#include <string.h>

#include "server/request/request_inside.h"

static void on_reloaded(struct srv_reload_job *job)
{
    struct srv_request *request = (struct srv_request *)(void *)((char *)job - offsetof(struct srv_request, reload));

    request->transport->resume(request->conn);
}

enum srv_next srv_request_await_reload(struct srv_request *request, enum stage stage)
{
    enum att_status status;

    request->reload.done = on_reloaded;
    request->reload.held = request->generation;
    request->stage = stage;
    request->transport->suspend(request->conn);
    status = srv_reloader_submit(request->server->reloader, &request->reload, &request->err);
    if (status != ATT_OK) {
        srv_request_fail_status(request, status);
        request->transport->resume(request->conn);
    }
    return SRV_NEXT_WAIT;
}

enum srv_next srv_request_fail_reload(struct srv_request *request, const char *what)
{
    const struct srv_reload_job *job = &request->reload;

    if (job->status == ATT_ENOMEM || job->status == ATT_EUNREADY) {
        request->err = job->err;
        return srv_request_fail_status(request, job->status);
    }
    att_err_set(&request->err, ATT_EFORMAT, "%s: %s", what,
                request->on_admin_socket ? job->err.message : "the log says why");
    return srv_request_fail(request, SRV_ERR_RELOAD);
}

enum srv_next srv_request_reload(struct srv_request *request)
{
    const char *name = request->match.params[0];
    const struct srv_model *model = srv_models_named(&request->generation->models, name);
    enum att_status status = ATT_OK;

    if (request->body_len > 0)
        status = srv_request_parse_body(request);
    if (status != ATT_OK)
        return srv_request_fail_status(request, status);
    if (request->json != NULL && att_json_count(request->json) > 0)
        return srv_request_fail_status(request, att_err_set(&request->err, ATT_EINVAL, "a reload takes no fields"));
    if (model == NULL)
        return srv_request_fail_status(
            request, att_err_set(&request->err, ATT_ENOTFOUND,
                                 "no model has this name; GET /v1/models lists those that are served"));
    if (model->task.model == NULL)
        return srv_request_fail_status(
            request,
            att_err_set(&request->err, ATT_EINVAL, "the model is disabled: set enabled = yes and send SIGHUP"));
    memcpy(request->reload.model, model->task.name, strlen(model->task.name) + 1);
    return srv_request_await_reload(request, RELOADING);
}

enum srv_next srv_request_reloaded(struct srv_request *request)
{
    const struct srv_reload_job *job = &request->reload;
    struct att_jsonw w;
    enum att_status status;

    if (job->status != ATT_OK)
        return srv_request_fail_reload(request, "the model was not reloaded, the one from before serves on");
    att_jsonw_init(&w, 4096);
    att_jsonw_object_begin(&w);
    att_jsonw_put_text(&w, "id", job->model);
    att_jsonw_put_text(&w, "object", "model");
    att_jsonw_put_text(&w, "status", "serving");
    att_jsonw_put_size(&w, "version", job->version);
    att_jsonw_put_int(&w, "ms", (int64_t)(job->us / 1000));
    att_jsonw_object_end(&w);
    status = att_jsonw_take(&w, &request->answer.bytes, &request->answer.len, &request->err);
    att_jsonw_finish(&w);
    if (status != ATT_OK)
        return srv_request_fail_status(request, status);
    request->answer.status = 200;
    request->answer.content_type = "application/json";
    request->stage = READY;
    return SRV_NEXT_ANSWER;
}
