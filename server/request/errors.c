/*
 * The error table and the one shape of an error body:
 *
 *   {"error":{"message","type","code","param","limit","given","request_id"}}
 *
 * A member that does not apply is null. TEI's paths have a flat shape of their own,
 * from the same row.
 */
#include "server/request/errors.h"

#include <assert.h>

static const struct srv_error_row rows[SRV_ERR_COUNT] = {
    [SRV_ERR_INVALID] = {422, "invalid_request_error", "invalid_value", 0},
    [SRV_ERR_SYNTAX] = {400, "invalid_request_error", "malformed_body", 0},
    [SRV_ERR_UNSUPPORTED] = {422, "invalid_request_error", "unsupported", 0},
    [SRV_ERR_NOT_FOUND] = {404, "not_found_error", "not_found", 0},
    [SRV_ERR_LIMIT] = {413, "invalid_request_error", "limit_exceeded", 0},
    [SRV_ERR_BUSY] = {429, "overloaded_error", "queue_full", 1},
    [SRV_ERR_UNREADY] = {503, "unavailable_error", "not_ready", 2},
    [SRV_ERR_DEADLINE] = {504, "timeout_error", "deadline_exceeded", 0},
    [SRV_ERR_MEMORY] = {503, "unavailable_error", "out_of_memory", 2},
    [SRV_ERR_SPACE] = {507, "storage_error", "storage_full", 0},
    [SRV_ERR_STORAGE] = {503, "storage_error", "storage_failed", 5},
    [SRV_ERR_INTERNAL] = {500, "internal_error", "internal_error", 0},
    [SRV_ERR_FRAMING] = {400, "invalid_request_error", "bad_framing", 0},
    [SRV_ERR_HEADER] = {400, "invalid_request_error", "bad_header", 0},
    [SRV_ERR_TARGET] = {400, "invalid_request_error", "bad_target", 0},
    [SRV_ERR_HEADER_SIZE] = {431, "invalid_request_error", "headers_too_large", 0},
    [SRV_ERR_VERSION] = {505, "invalid_request_error", "http_version_not_supported", 0},
    [SRV_ERR_CODING] = {501, "invalid_request_error", "transfer_coding_not_supported", 0},
    [SRV_ERR_EXPECT] = {417, "invalid_request_error", "expectation_failed", 0},
    [SRV_ERR_ROUTE] = {404, "not_found_error", "route_not_found", 0},
    [SRV_ERR_METHOD] = {405, "invalid_request_error", "method_not_allowed", 0},
    [SRV_ERR_MEDIA] = {415, "invalid_request_error", "unsupported_media_type", 0},
    [SRV_ERR_BODY_SIZE] = {413, "invalid_request_error", "body_too_large", 0},
    [SRV_ERR_BODY_UNEXPECTED] = {400, "invalid_request_error", "body_not_allowed", 0},
    [SRV_ERR_TIMEOUT] = {408, "timeout_error", "request_timeout", 0},
    [SRV_ERR_KEY_MISSING] = {401, "authentication_error", "missing_api_key", 0},
    [SRV_ERR_KEY_UNKNOWN] = {401, "authentication_error", "invalid_api_key", 0},
    [SRV_ERR_SCOPE] = {403, "permission_error", "insufficient_scope", 0},
    [SRV_ERR_QUOTA] = {429, "rate_limit_error", "quota_exceeded", 1},
    [SRV_ERR_RELOAD] = {409, "conflict_error", "reload_failed", 0},
};

static const enum srv_error of_status[ATT_STATUS_COUNT] = {
    [ATT_EINVAL] = SRV_ERR_INVALID,      [ATT_ESYNTAX] = SRV_ERR_SYNTAX,
    [ATT_EFORMAT] = SRV_ERR_INTERNAL,    [ATT_EUNSUPPORTED] = SRV_ERR_UNSUPPORTED,
    [ATT_ENOTFOUND] = SRV_ERR_NOT_FOUND, [ATT_ELIMIT] = SRV_ERR_LIMIT,
    [ATT_EBUSY] = SRV_ERR_BUSY,          [ATT_EUNREADY] = SRV_ERR_UNREADY,
    [ATT_EDEADLINE] = SRV_ERR_DEADLINE,  [ATT_ENOMEM] = SRV_ERR_MEMORY,
    [ATT_ESPACE] = SRV_ERR_SPACE,        [ATT_EIO] = SRV_ERR_STORAGE,
    [ATT_EINTERNAL] = SRV_ERR_INTERNAL,
};

const struct srv_error_row *srv_error_row(enum srv_error error)
{
    assert(error > SRV_ERR_NONE && error < SRV_ERR_COUNT);
    return &rows[error];
}

enum srv_error srv_error_of(enum att_status status)
{
    assert(status > ATT_OK && status < ATT_STATUS_COUNT);
    return of_status[status];
}

/* What the machine did wrong is told without names of files. */
static const char *fixed_message(enum srv_error error)
{
    switch (error) {
    case SRV_ERR_MEMORY:
        return "memory is short at the moment; try again later";
    case SRV_ERR_SPACE:
        return "the storage is full or read-only; nothing was written";
    case SRV_ERR_STORAGE:
        return "the storage failed; try again later";
    case SRV_ERR_INTERNAL:
        return "an internal error; the log names this request by its request_id";
    default:
        return NULL;
    }
}

static const char *message_of(enum srv_error error, const struct att_err *err)
{
    const char *message = fixed_message(error);

    if (message != NULL)
        return message;
    return err != NULL && err->message[0] != '\0' ? err->message : srv_error_row(error)->code;
}

void srv_error_render(struct att_jsonw *w, enum srv_error error, const struct att_err *err, const char *request_id)
{
    const struct srv_error_row *row = srv_error_row(error);

    att_jsonw_object_begin(w);
    att_jsonw_key(w, "error");
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "message", message_of(error, err));
    att_jsonw_put_text(w, "type", row->type);
    att_jsonw_put_text(w, "code", row->code);
    att_jsonw_put_text(w, "param", err != NULL && err->param[0] != '\0' ? err->param : NULL);
    att_jsonw_key(w, "limit");
    if (err != NULL && err->limit > 0)
        att_jsonw_int(w, (int64_t)err->limit);
    else
        att_jsonw_null(w);
    att_jsonw_key(w, "given");
    if (err != NULL && err->limit > 0)
        att_jsonw_int(w, (int64_t)err->given);
    else
        att_jsonw_null(w);
    att_jsonw_put_text(w, "request_id", request_id);
    att_jsonw_object_end(w);
    att_jsonw_object_end(w);
}

/* ---- TEI's shape ---- */

static const char *flat_type(enum srv_error error, const struct att_err *err)
{
    switch (error) {
    case SRV_ERR_BUSY:
    case SRV_ERR_QUOTA:
        return "Overloaded";
    case SRV_ERR_UNREADY:
    case SRV_ERR_MEMORY:
        return "Unhealthy";
    case SRV_ERR_INTERNAL:
    case SRV_ERR_DEADLINE:
        return "Backend";
    case SRV_ERR_UNSUPPORTED:
        return "Tokenizer"; /* a model that cannot read texts */
    case SRV_ERR_SYNTAX:
        return err != NULL && err->param[0] != '\0' ? "Empty" : "Validation"; /* a field with nothing in it */
    default:
        return "Validation";
    }
}

unsigned srv_error_status_flat(enum srv_error error)
{
    return error == SRV_ERR_INTERNAL ? 424 : srv_error_row(error)->status;
}

void srv_error_render_flat(struct att_jsonw *w, enum srv_error error, const struct att_err *err)
{
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "error", message_of(error, err));
    att_jsonw_put_text(w, "error_type", flat_type(error, err));
    att_jsonw_object_end(w);
}
