/*
 * The one table from what went wrong to what the client sees: HTTP status,
 * error type and code, Retry-After. Nothing else in the daemon picks a status
 * for a failure. Two sources feed it: enum att_status of the core and the tasks
 * (srv_error_of), and refusals that only HTTP knows (the rows after them).
 */
#ifndef SRV_ERRORS_H
#define SRV_ERRORS_H

#include "core/base/json.h"
#include "core/base/status.h"

enum srv_error {
    SRV_ERR_NONE,
    /* from enum att_status */
    SRV_ERR_INVALID,
    SRV_ERR_SYNTAX,
    SRV_ERR_UNSUPPORTED,
    SRV_ERR_NOT_FOUND,
    SRV_ERR_LIMIT,
    SRV_ERR_BUSY,
    SRV_ERR_UNREADY,
    SRV_ERR_DEADLINE,
    SRV_ERR_MEMORY,
    SRV_ERR_SPACE,
    SRV_ERR_STORAGE,
    SRV_ERR_INTERNAL,
    /* HTTP's own */
    SRV_ERR_FRAMING,
    SRV_ERR_HEADER,
    SRV_ERR_TARGET,
    SRV_ERR_HEADER_SIZE,
    SRV_ERR_VERSION,
    SRV_ERR_CODING,
    SRV_ERR_EXPECT,
    SRV_ERR_ROUTE,
    SRV_ERR_METHOD,
    SRV_ERR_MEDIA,
    SRV_ERR_BODY_SIZE,
    SRV_ERR_BODY_UNEXPECTED,
    SRV_ERR_TIMEOUT,
    SRV_ERR_KEY_MISSING,
    SRV_ERR_KEY_UNKNOWN,
    SRV_ERR_SCOPE,
    SRV_ERR_QUOTA,
    SRV_ERR_RELOAD,
    SRV_ERR_COUNT
};

/* How a path's clients read errors. */
enum srv_error_shape {
    SRV_ERRORS_NESTED,  /* {"error":{"message":…}} */
    SRV_ERRORS_FLAT,    /* TEI's {"error":"…","error_type":"…"} */
    SRV_ERRORS_BY_BODY, /* flat where the body has "texts": /rerank is TEI's path and others' */
};

struct srv_error_row {
    unsigned status;
    const char *type, *code;
    unsigned retry_after_s; /* 0: no Retry-After */
};

/* error is not SRV_ERR_NONE. */
const struct srv_error_row *srv_error_row(enum srv_error error);
/* status is not ATT_OK. */
enum srv_error srv_error_of(enum att_status status);
/* {"error":{…}}. err's message is shown for what the client caused; what the machine caused is shown by a fixed
 * sentence, because such messages may name files of the host. err and request_id may be NULL. */
void srv_error_render(struct att_jsonw *w, enum srv_error error, const struct att_err *err, const char *request_id);
/* TEI's shape, for the same errors. Its status differs for our own faults alone: 424. */
void srv_error_render_flat(struct att_jsonw *w, enum srv_error error, const struct att_err *err);
unsigned srv_error_status_flat(enum srv_error error);

#endif
