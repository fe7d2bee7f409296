/*
 * Routes: the API at a glance. One row is method, path with {parameters},
 * scope, and what answers. A new endpoint is one row.
 */
#ifndef SRV_ROUTES_H
#define SRV_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "server/access/keys.h"
#include "server/net/guard.h"
#include "server/request/errors.h"
#include "server/request/stream.h"
#include "tasks/task.h"

struct srv_generation;
struct srv_server;

/* What a built-in is asked; valid during the call alone. */
struct srv_ask {
    const char *path_params[2];     /* as in struct task_call */
    const struct task_param *query; /* the same */
    size_t n_query;
    const char *last_event_id; /* the header field, or NULL */
};

/* A built-in writes its whole answer, or sets the producer of a stream (stream.h). Returns ATT_OK or why not. */
struct srv_builtin_answer {
    unsigned status;
    const char *content_type;
    const char *policy; /* a page's Content-Security-Policy, static; or NULL */
    char *bytes;        /* att_mem_free */
    size_t len;
    struct srv_producer producer; /* fill not NULL: a subscription */
};
typedef enum att_status srv_builtin(struct srv_server *server, struct srv_generation *generation,
                                    const struct srv_ask *ask, struct srv_builtin_answer *ret_answer,
                                    struct att_err *err);

enum srv_body {
    SRV_BODY_NONE = false,
    SRV_BODY_JSON = true, /* one object */
    SRV_BODY_LINES,       /* that or an array; or lines of any length in all (NDJSON), taken in chunks */
};

struct srv_route {
    const char *method; /* GET rows also serve HEAD */
    const char *path;
    enum srv_scope scope;
    const struct task *task;  /* or */
    srv_builtin *builtin;     /* or neither: a reload, which another thread does */
    enum srv_body takes_body; /* rows say false, true, or SRV_BODY_LINES */
};

enum { SRV_ALLOW_MAX = 64, SRV_PARAMS_MAX = 2, SRV_PARAM_BYTES_MAX = SRV_SEGMENT_BYTES_MAX };

struct srv_match {
    const struct srv_route *route; /* NULL: no row has this method */
    bool path_known;
    bool takes_slash;          /* the last parameter is an id that may have slashes, such as a URL */
    char allow[SRV_ALLOW_MAX]; /* methods of the path, "GET, HEAD, OPTIONS" */
    char params[SRV_PARAMS_MAX][SRV_PARAM_BYTES_MAX + 1];
    size_t n_params;
};

const struct srv_route *srv_routes(size_t *ret_count);
/* The shape of the route's errors; route may be NULL. */
enum srv_error_shape srv_route_errors(const struct srv_route *route);
/* path as received, already passed by srv_guard_target. Parameters come decoded. */
void srv_route_match(const char *method, const char *path, struct srv_match *ret_match);

#endif
