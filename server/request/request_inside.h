/* The inside of a request: for the files request*.c alone. */
#ifndef SRV_REQUEST_INSIDE_H
#define SRV_REQUEST_INSIDE_H

#include "server/access/access.h"
#include "server/batch/writer.h"
#include "server/models/reload.h"
#include "server/request/request.h"
#include "server/request/routes.h"

enum { SRV_ORIGIN_BYTES_MAX = 255, SRV_EVENT_ID_BYTES_MAX = 255 };

enum stage { RECEIVING, WAITING, WRITING, CHUNK_DONE, DEPLOYING, RELOADING, READY };

/* Where a task's stream stands: a round's events are to be told, jobs to be handed over, or a round is under way. */
enum stream_step { TELLING, SUBMITTING, IN_ROUND };

struct srv_request {
    struct srv_work work; /* first: done() casts back */
    struct srv_reload_job reload;
    struct srv_write write;
    struct srv_server *server;
    struct srv_generation *generation; /* NULL once the answer is rendered */
    const struct srv_transport *transport;
    void *conn;
    enum stage stage;
    struct srv_match match;
    char id[SRV_REQUEST_ID_MAX + 1], traceparent[SRV_TRACEPARENT_LEN + 1];
    char origin[SRV_ORIGIN_BYTES_MAX + 1]; /* one that cors_origins allows; else empty */
    char last_event_id[SRV_EVENT_ID_BYTES_MAX + 1];
    bool has_event_id;
    struct srv_access access;
    char key_name[SRV_KEY_NAME_MAX + 1];
    unsigned wait_s;  /* until the key's limit lets it pass */
    bool feeds_lines; /* the body is lines, see feed */
    bool on_admin_socket, discards, admitted, refused_raw, logs, is_head;
    bool flat_errors; /* TEI's shape */
    uint64_t begun_us, deadline_us;
    uint64_t head_us; /* streams: when the head of the answer was made */
    char *body;
    size_t body_len, body_capacity;
    size_t json_len; /* of the body, before KServe's binary tensors; 0: all of it */
    struct att_json *json;
    struct att_arena arena;
    struct task_call call;
    struct srv_feed *feed;        /* the body comes in chunks of lines; NULL: as a whole */
    size_t n_items_max;           /* places of work.ticket.items */
    struct srv_stream *stream;    /* NULL: the answer is none */
    enum stream_step stream_step; /* of a task's */
    bool more;                    /* the last round left jobs */
    enum srv_error error;         /* SRV_ERR_NONE: an answer */
    struct att_err err;
    struct srv_answer answer;
};

/* The answer is this error. */
enum srv_next srv_request_fail(struct srv_request *request, enum srv_error error);
/* The same for what a task or the core says; request->err is set. */
enum srv_next srv_request_fail_status(struct srv_request *request, enum att_status status);
/* All but the answer's bytes goes back: jobs' places, the task's state, the generation. Nothing is queued. */
void srv_request_conclude(struct srv_request *request);
/* Hands the call's jobs to the batcher; work.done comes exactly once, unless this fails. */
enum att_status srv_request_hand_over(struct srv_request *request) ATT_MUST_USE;
/* After work.done: times, statuses, advance. */
enum srv_round { SRV_ROUND_LEFT, SRV_ROUND_FAILED, SRV_ROUND_MORE, SRV_ROUND_LAST };
enum srv_round srv_request_round(struct srv_request *request);

/* server/request/request_stream.c: the answer becomes a stream, of the task from its first round's end on
 * (SRV_ROUND_MORE or SRV_ROUND_LAST), or of a built-in's producer, which is closed also where this fails. */
enum srv_next srv_request_stream(struct srv_request *request);
enum srv_next srv_request_subscribe(struct srv_request *request, const struct srv_producer *producer);

/* server/request/request_feed.c: a body of lines, a chunk of which is a call of its own. */
enum att_status srv_request_feed_begin(struct srv_request *request, uint64_t timeout_us) ATT_MUST_USE;
/* The next step: a chunk is started, goes on or is over. SRV_NEXT_BODY: the rest of the body is awaited. */
enum srv_next srv_request_feed_run(struct srv_request *request);
/* On the writer's thread: the chunk's results are kept until the body ends. */
enum att_status srv_request_feed_keep(struct srv_request *request, struct att_jsonw *results) ATT_MUST_USE;
void srv_request_feed_finish(struct srv_request *request);

/* For them, of request.c: the key's limit for a request of about so many tokens; jobs are handed over, the connection
 * is suspended; what a resumed request does, or one without jobs. */
bool srv_request_is_within_limit(struct srv_request *request, size_t tokens);
enum srv_next srv_request_submit(struct srv_request *request);
enum srv_next srv_request_complete(struct srv_request *request);
enum srv_next srv_request_resumed(struct srv_request *request);
bool srv_request_body_grow(struct srv_request *request, size_t len, size_t max);
void srv_request_body_free(struct srv_request *request);
/* Route's task, environment and path into the call. */
void srv_request_call_init(struct srv_request *request, struct att_arena *arena);

/* The body as a JSON object, to request->json; the bytes go back. */
enum att_status srv_request_parse_body(struct srv_request *request) ATT_MUST_USE;

/* The task's answer. */
enum srv_next srv_request_render(struct srv_request *request);
/* A call with a deployment: hands it to the reloader, and answers when its outcome is served. */
enum srv_next srv_request_deploy(struct srv_request *request);
enum srv_next srv_request_deployed(struct srv_request *request);
/* POST /v1/models/{id}/reload: hands the work to the reloader, and answers when it is done. */
enum srv_next srv_request_reload(struct srv_request *request);
enum srv_next srv_request_reloaded(struct srv_request *request);
/* Hands request->reload to the reloader and suspends the connection, which goes on in `stage` when that is done. */
enum srv_next srv_request_await_reload(struct srv_request *request, enum stage stage);
/* 409 for a generation that could not be loaded; `what` follows from that for who asked. */
enum srv_next srv_request_fail_reload(struct srv_request *request, const char *what);

#endif
