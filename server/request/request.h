/*
 * A request's life, apart from HTTP's bytes: header → body → task → jobs →
 * answer. http.c calls these functions in order, from one thread; between suspend
 * and resume the batcher holds the work, and nobody else touches it. From header to
 * answer a request stands on one generation (generation.h).
 */
#ifndef SRV_REQUEST_H
#define SRV_REQUEST_H

#include "server/net/guard.h"
#include "server/request/errors.h"
#include "server/request/stream.h"
#include "server/server.h"

struct srv_request;

enum srv_next {
    SRV_NEXT_BODY,         /* go on reading; then srv_request_run */
    SRV_NEXT_WAIT,         /* suspended; srv_request_run again after resume */
    SRV_NEXT_ANSWER,       /* srv_request_answer, keep the connection */
    SRV_NEXT_ANSWER_CLOSE, /* srv_request_answer, then close: the rest of what was sent is not read */
    SRV_NEXT_DROP,         /* the client left: close */
};

struct srv_answer {
    unsigned status;
    const char *content_type; /* NULL: no body */
    const char *policy;       /* Content-Security-Policy, static; or NULL */
    char *bytes;              /* of the taker, att_mem_free */
    size_t len;
    struct srv_stream *stream;            /* the request's: what the body is read from instead; NULL: none */
    bool is_head;                         /* no body is sent, whatever there is */
    const char *allow;                    /* NULL but for 405 and OPTIONS */
    unsigned retry_after_s;               /* 0: none */
    const char *request_id, *traceparent; /* traceparent may be NULL */
    const char *cors_origin;              /* its pages may read the answer; or NULL */
    bool cors_preflight, asks_for_key;
    char server_timing[160]; /* empty: none */
};

/* NULL when memory is out. */
struct srv_request *srv_request_create(struct srv_server *server, const struct srv_transport *transport, void *conn,
                                       bool on_admin_socket);
/* The header is read. `refusal`: what the transport found wrong before (SRV_ERR_NONE: nothing), told by err. */
enum srv_next srv_request_begin(struct srv_request *request, const struct srv_head *head, enum srv_error refusal,
                                const struct att_err *err);
/* A piece of the body. False: refused, answer at once and close. */
bool srv_request_body(struct srv_request *request, const char *bytes, size_t len);
/* A body that comes in chunks of lines: srv_request_feed_take instead, until it takes all; where it does not, a chunk
 * is to be worked on first: srv_request_run. Then srv_request_feed_end, and srv_request_run. */
bool srv_request_feeds(const struct srv_request *request);
/* *ret_used bytes were taken; *ret_progress: a line ended in them. False as above. */
bool srv_request_feed_take(struct srv_request *request, const char *bytes, size_t len, size_t *ret_used,
                           bool *ret_progress);
void srv_request_feed_end(struct srv_request *request);
/* The body is complete, or the connection was resumed. */
enum srv_next srv_request_run(struct srv_request *request);
/* Fills the answer; the request keeps what the strings point into, and the stream, to its end. */
void srv_request_answer(struct srv_request *request, struct srv_answer *ret_answer);
/* Why srv_request_body refused; the transport writes the answer itself. */
enum srv_error srv_request_refusal(struct srv_request *request, const struct att_err **ret_err);
/* Set from the reaper when the client leaves; valid until srv_request_destroy. */
atomic_bool *srv_request_cancel_flag(struct srv_request *request);
/* Logs and counts; `sent`: the answer went out whole. */
void srv_request_finish(struct srv_request *request, bool sent);
void srv_request_destroy(struct srv_request *request);

#endif
