/*
 * The steps of a request.
 *
 *   RECEIVING --(refused)----------------------------+
 *       | run                                         v
 *       +- built-in -------------------------------> READY: answer
 *       +- admit, parse, submit -> WAITING: resumed --+
 *                                 ^          | advance leaves more jobs
 *                                 +----------+
 *       |     a task that writes, or reads for long, goes through WRITING |
 *       |     one that changes what is served: DEPLOYING
 *       |     a task that streams, after its first round: READY, and on in request_stream.c
 *       +- reload -> RELOADING: resumed --------------+
 *       a body of lines passes WAITING and WRITING for each chunk, between pieces of it: request_feed.c
 *
 * Admission comes before anything is parsed: a full queue answers at once. All
 * memory of the work lies in the arena, but for the body (freed once parsed)
 * and the parsed JSON.
 */
#include "server/request/request.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "server/request/request_inside.h"
#include "server/watch/drift.h"

enum { BODY_STEP_BYTES = 16384 };

/* ---- the answer ---- */

enum srv_next srv_request_fail(struct srv_request *request, enum srv_error error)
{
    request->error = error;
    request->stage = READY;
    return SRV_NEXT_ANSWER;
}

enum srv_next srv_request_fail_status(struct srv_request *request, enum att_status status)
{
    if (status == ATT_EBUSY)
        srv_metrics_drop(&request->server->metrics, SRV_DROP_QUEUE_FULL, 1);
    return srv_request_fail(request, srv_error_of(status));
}

void srv_request_body_free(struct srv_request *request)
{
    srv_metrics_subtract(&request->server->metrics, SRV_METRIC_BODY_BYTES, request->body_capacity);
    att_mem_free(request->body);
    request->body = NULL;
    request->body_capacity = 0;
}

void srv_request_conclude(struct srv_request *request)
{
    if (request->generation == NULL)
        return;
    if (request->admitted)
        srv_batcher_release(request->generation->batcher, &request->work);
    if (request->call.task != NULL && request->call.task->finish != NULL)
        request->call.task->finish(&request->call);
    att_json_destroy(request->json);
    request->json = NULL;
    att_arena_finish(&request->arena);
    srv_request_body_free(request);
    srv_generations_release(&request->server->generations, request->generation);
    request->generation = NULL;
}

static void describe_timing(struct srv_request *request)
{
    const struct task_timing *timing = &request->call.timing;
    char *text = request->answer.server_timing;
    size_t size = sizeof(request->answer.server_timing);
    double total_ms = (double)(att_clock_us() - request->begun_us) * 1e-3;

    if (request->call.task != NULL)
        snprintf(text, size, "tokenize;dur=%.3f, queue;dur=%.3f, compute;dur=%.3f, total;dur=%.3f",
                 (double)timing->tokenize_us * 1e-3, (double)timing->queue_us * 1e-3, (double)timing->compute_us * 1e-3,
                 total_ms);
    else
        snprintf(text, size, "total;dur=%.3f", total_ms);
}

void srv_request_answer(struct srv_request *request, struct srv_answer *ret_answer)
{
    struct srv_answer *answer = &request->answer;

    if (request->error != SRV_ERR_NONE) {
        const struct srv_error_row *row = srv_error_row(request->error);
        bool flat = request->flat_errors || srv_route_errors(request->match.route) == SRV_ERRORS_FLAT;
        struct att_jsonw w;

        att_jsonw_init(&w, 65536);
        if (flat)
            srv_error_render_flat(&w, request->error, &request->err);
        else
            srv_error_render(&w, request->error, &request->err, request->id);
        answer->status = flat ? srv_error_status_flat(request->error) : row->status;
        answer->retry_after_s = request->wait_s > row->retry_after_s ? request->wait_s : row->retry_after_s;
        answer->asks_for_key = row->status == 401;
        answer->content_type = "application/json";
        /* Without memory even for this, the status goes out alone. */
        if (att_jsonw_take(&w, &answer->bytes, &answer->len, NULL) != ATT_OK)
            answer->content_type = NULL;
        att_jsonw_finish(&w);
    }
    if (answer->status == 405 || request->match.route == NULL)
        answer->allow = request->match.allow[0] != '\0' ? request->match.allow : NULL;
    answer->request_id = request->id;
    answer->traceparent = request->traceparent[0] != '\0' ? request->traceparent : NULL;
    answer->cors_origin = request->origin[0] != '\0' ? request->origin : NULL;
    answer->cors_preflight = request->match.route == NULL && answer->status == 204;
    describe_timing(request);
    *ret_answer = *answer;
    answer->bytes = NULL;
    ret_answer->stream = request->stream;
    ret_answer->is_head = request->is_head;
    request->head_us = att_clock_us();
    /* A task's stream needs its generation to the end. */
    if (request->stream == NULL || request->call.task == NULL)
        srv_request_conclude(request);
}

/* ---- the body ---- */

bool srv_request_body_grow(struct srv_request *request, size_t len, size_t max)
{
    struct srv_server *server = request->server;
    const struct srv_config *config = request->generation->config;
    size_t capacity = request->body_capacity == 0 ? BODY_STEP_BYTES : request->body_capacity;
    size_t more;
    char *body;

    while (capacity < len)
        capacity *= 2;
    if (capacity > max)
        capacity = max;
    more = capacity - request->body_capacity;
    if (srv_metrics_get(&server->metrics, SRV_METRIC_BODY_BYTES) + more > config->limits_bodies_bytes_max.number) {
        srv_request_fail_status(request, att_err_set(&request->err, ATT_EBUSY, "too many bodies are being received"));
        return false;
    }
    body = att_mem_realloc(request->body, capacity, 1);
    if (body == NULL) {
        srv_request_fail_status(request, att_err_set(&request->err, ATT_ENOMEM, "no memory for the body"));
        return false;
    }
    request->body = body;
    request->body_capacity = capacity;
    srv_metrics_add(&server->metrics, SRV_METRIC_BODY_BYTES, more);
    return true;
}

bool srv_request_body(struct srv_request *request, const char *bytes, size_t len)
{
    size_t max = (size_t)request->generation->config->limits_body_bytes_max.number;

    if (request->discards)
        return true;
    if (len > max - request->body_len) {
        att_err_limit(&request->err, NULL, max, request->body_len + len, "the body is longer than %zu bytes", max);
        srv_request_fail(request, SRV_ERR_BODY_SIZE);
        return false;
    }
    if (request->body_len + len > request->body_capacity &&
        !srv_request_body_grow(request, request->body_len + len, max))
        return false;
    memcpy(request->body + request->body_len, bytes, len);
    request->body_len += len;
    return true;
}

enum srv_error srv_request_refusal(struct srv_request *request, const struct att_err **ret_err)
{
    assert(request->error != SRV_ERR_NONE);
    request->answer.status = srv_error_row(request->error)->status;
    request->refused_raw = true;
    *ret_err = &request->err;
    return request->error;
}

/* ---- the work ---- */

enum srv_next srv_request_render(struct srv_request *request)
{
    struct att_jsonw w;
    enum att_status status;

    request->call.timing.total_us = att_clock_us() - request->begun_us;
    att_jsonw_init(&w, (size_t)request->generation->config->limits_answer_bytes_max.number);
    status = request->call.task->render(&request->call, &w, &request->err);
    if (status == ATT_OK && request->feed != NULL) {
        status = srv_request_feed_keep(request, &w);
        att_jsonw_finish(&w);
        return status == ATT_OK ? SRV_NEXT_BODY : srv_request_fail_status(request, status);
    }
    if (status == ATT_OK && w.len > 0)
        status = att_jsonw_take(&w, &request->answer.bytes, &request->answer.len, &request->err);
    att_jsonw_finish(&w);
    if (status != ATT_OK)
        return srv_request_fail_status(request, status);
    srv_drift_observe(request->server->drift, &request->call);
    request->answer.status = (unsigned)request->call.http_status;
    request->answer.content_type = request->call.content_type != NULL ? request->call.content_type : "application/json";
    if (request->answer.len == 0)
        request->answer.content_type = NULL;
    request->stage = READY;
    return SRV_NEXT_ANSWER;
}

/* On the writer's or the reader's thread. Nothing is done for a client that has left, nor past the deadline. */
static void on_write(struct srv_write *write)
{
    struct srv_request *request =
        (struct srv_request *)(void *)((char *)write - offsetof(struct srv_request, write)); /* its owner */

    if (atomic_load_explicit(&request->work.cancelled, memory_order_relaxed)) {
        request->transport->resume(request->conn);
        return;
    }
    if (att_clock_us() > request->deadline_us) {
        att_err_set(&request->err, ATT_EDEADLINE,
                    request->call.writes ? "the deadline passed before anything was written"
                                         : "the deadline passed before anything was read");
        srv_request_fail(request, SRV_ERR_DEADLINE);
    } else {
        srv_request_render(request);
    }
    request->transport->resume(request->conn);
}

/* All jobs are done. A task that writes waits for the disk, which no thread of connections may; one that reads for long
 * has a thread of its own, since what is written shall not wait for it. */
enum srv_next srv_request_complete(struct srv_request *request)
{
    if (request->call.deployment != NULL)
        return srv_request_deploy(request);
    if (!request->call.writes && !request->call.reads)
        return srv_request_render(request);
    request->write.run = on_write;
    request->stage = WRITING;
    request->transport->suspend(request->conn);
    srv_writer_submit(request->call.writes ? request->server->writer : request->server->reader, &request->write);
    return SRV_NEXT_WAIT;
}

static void on_done(struct srv_work *work)
{
    struct srv_request *request = (struct srv_request *)work;

    if (request->stream != NULL)
        srv_stream_wake(request->stream);
    else
        request->transport->resume(request->conn);
}

enum att_status srv_request_hand_over(struct srv_request *request)
{
    struct srv_generation *generation = request->generation;
    struct srv_ticket *ticket = &request->work.ticket;
    size_t n = request->call.n_jobs;

    if (n > request->n_items_max) {
        ticket->items = att_arena_alloc(&request->arena, n, sizeof(struct srv_item));
        request->n_items_max = ticket->items != NULL ? n : 0;
        if (ticket->items == NULL)
            return att_err_set(&request->err, ATT_ENOMEM, "no memory for %zu jobs", n);
    }
    memset(ticket->items, 0, n * sizeof(struct srv_item));
    for (size_t i = 0; i < n; i++) {
        ticket->items[i].model = srv_models_index(&generation->models, request->call.jobs[i].model);
        ticket->items[i].tokens = request->call.jobs[i].len;
        ticket->items[i].job = &request->call.jobs[i];
    }
    ticket->n_items = n;
    ticket->bulk = request->call.bulk;
    request->work.done = on_done;
    return srv_batcher_submit(generation->batcher, &request->work, request->deadline_us, &request->err);
}

/* Hands the call's jobs over and suspends the connection. */
enum srv_next srv_request_submit(struct srv_request *request)
{
    enum att_status status;

    request->stage = WAITING;
    /* Suspended first: a worker may be done, and resume, before it returns. */
    request->transport->suspend(request->conn);
    status = srv_request_hand_over(request);
    if (status != ATT_OK) {
        srv_request_fail_status(request, status);
        request->transport->resume(request->conn);
    }
    return SRV_NEXT_WAIT;
}

enum srv_round srv_request_round(struct srv_request *request)
{
    struct srv_work *work = &request->work;
    uint64_t start_us = work->ticket.first_start_us != 0 ? work->ticket.first_start_us : work->finished_us;
    enum att_status status;

    if (work->ticket.dropped && atomic_load_explicit(&work->cancelled, memory_order_relaxed))
        return SRV_ROUND_LEFT;
    if (work->ticket.dropped) {
        att_err_set(&request->err, ATT_EDEADLINE, "the deadline passed before the work was done");
        srv_request_fail(request, SRV_ERR_DEADLINE);
        return SRV_ROUND_FAILED;
    }
    request->call.timing.queue_us += start_us - work->submitted_us;
    request->call.timing.compute_us += work->finished_us - start_us;
    srv_metrics_add(&request->server->metrics, SRV_METRIC_LATE_US, start_us - work->submitted_us);
    for (size_t i = 0; i < request->call.n_jobs; i++)
        if (request->call.jobs[i].status != ATT_OK) {
            att_err_set(&request->err, request->call.jobs[i].status, "the model failed");
            srv_request_fail(request, SRV_ERR_INTERNAL);
            return SRV_ROUND_FAILED;
        }
    if (request->call.task->advance == NULL)
        return SRV_ROUND_LAST;
    status = request->call.task->advance(&request->call, &request->err);
    /* A round may ask for more than the body did: words left out one by one, the next examples. */
    srv_access_correct(&request->access, request->call.prompt_tokens + request->call.explain_tokens);
    if (status != ATT_OK) {
        srv_request_fail_status(request, status);
        return SRV_ROUND_FAILED;
    }
    return request->call.n_jobs > 0 ? SRV_ROUND_MORE : SRV_ROUND_LAST;
}

/* After a round: another one, or the answer, or from here on a stream. */
enum srv_next srv_request_resumed(struct srv_request *request)
{
    enum srv_round round = srv_request_round(request);

    switch (round) {
    case SRV_ROUND_LEFT:
        return SRV_NEXT_DROP;
    case SRV_ROUND_FAILED:
        return SRV_NEXT_ANSWER;
    default:
        break;
    }
    request->more = round == SRV_ROUND_MORE;
    if (request->call.stream != NULL)
        return srv_request_stream(request);
    return request->more ? srv_request_submit(request) : srv_request_complete(request);
}

/* What stands behind the JSON outlives the body. */
static enum att_status keep_tail(struct srv_request *request)
{
    size_t len = request->body_len - request->json_len;
    char *tail = att_arena_alloc(&request->arena, len + 1, 1);

    if (tail == NULL)
        return att_err_limit(&request->err, NULL, request->arena.limit, len, "the binary tensors have %zu bytes", len);
    memcpy(tail, request->body + request->json_len, len);
    request->call.tail = tail;
    request->call.tail_len = len;
    return ATT_OK;
}

enum att_status srv_request_parse_body(struct srv_request *request)
{
    const struct srv_config *config = request->generation->config;
    const struct task *task = request->match.route->task;
    enum att_status status;

    if (!request->match.route->takes_body)
        return ATT_OK;
    if (request->body_len == 0)
        return att_err_set(&request->err, ATT_ESYNTAX, "the body is empty, expected a JSON object");
    if (request->json_len > request->body_len)
        return att_err_param(&request->err, ATT_EINVAL, "Inference-Header-Content-Length",
                             "Inference-Header-Content-Length: is %zu, and the body has %zu bytes", request->json_len,
                             request->body_len);
    status = att_json_parse(request->body, request->json_len > 0 ? request->json_len : request->body_len, 0,
                            (size_t)config->limits_json_depth_max.number, &request->json, &request->err);
    if (status == ATT_OK && request->json_len > 0)
        status = keep_tail(request);
    srv_request_body_free(request);
    if (status == ATT_OK && !att_json_is_object(request->json) && !(task != NULL && task->takes_array))
        return att_err_set(&request->err, ATT_ESYNTAX, "the body is an array, expected a JSON object");
    return status;
}

/* The key's limit, for a request of about so many tokens. */
bool srv_request_is_within_limit(struct srv_request *request, size_t tokens)
{
    if (request->match.route->scope == SRV_SCOPE_PUBLIC)
        return true;
    request->error = srv_access_charge(&request->access, tokens, att_clock_us(), &request->wait_s, &request->err);
    if (request->error == SRV_ERR_NONE)
        return true;
    srv_metrics_refusal(&request->server->metrics, SRV_REFUSAL_QUOTA);
    return false;
}

void srv_request_call_init(struct srv_request *request, struct att_arena *arena)
{
    request->call.task = request->match.route->task;
    request->call.env = &request->generation->env;
    request->call.arena = arena;
    request->call.http_status = 200;
    request->call.now_ms = att_clock_unix_ms();
    for (size_t i = 0; i < request->match.n_params; i++)
        request->call.path_params[i] = request->match.params[i];
}

static enum srv_next run_task(struct srv_request *request)
{
    struct srv_generation *generation = request->generation;
    struct srv_ticket *ticket = &request->work.ticket;
    uint64_t start_us = att_clock_us();
    enum att_status status;

    /* Its clients are told apart before the body is parsed, since a full queue refuses before. */
    if (srv_route_errors(request->match.route) == SRV_ERRORS_BY_BODY)
        request->flat_errors =
            request->body != NULL && memmem(request->body, request->body_len, "\"texts\"", 7) != NULL;
    /* About four bytes a token; whatever the text, one request alone fits an empty queue. */
    ticket->bytes = request->body_len;
    ticket->tokens = request->body_len / 4 + 1;
    if (ticket->tokens > generation->env.limits.tokens_max)
        ticket->tokens = generation->env.limits.tokens_max;
    ticket->deadline_us = request->deadline_us;
    if (!srv_request_is_within_limit(request, ticket->tokens))
        return srv_request_fail(request, request->error);
    status = srv_batcher_admit(generation->batcher, &request->work, &request->err);
    if (status != ATT_OK) {
        srv_access_refund(&request->access);
        return srv_request_fail_status(request, status);
    }
    request->admitted = true;
    srv_request_call_init(request, &request->arena);
    status = srv_request_parse_body(request);
    if (status == ATT_OK)
        status = request->call.task->parse(&request->call, request->json, &request->err);
    request->call.timing.tokenize_us = att_clock_us() - start_us;
    srv_access_correct(&request->access, request->call.prompt_tokens);
    if (status != ATT_OK)
        return srv_request_fail_status(request, status);
    if (request->call.deadline_ms > 0 &&
        request->begun_us + (uint64_t)request->call.deadline_ms * 1000 < request->deadline_us)
        request->deadline_us = request->begun_us + (uint64_t)request->call.deadline_ms * 1000;
    if (request->call.n_jobs > 0)
        return srv_request_submit(request);
    return request->call.stream != NULL ? srv_request_stream(request) : srv_request_complete(request);
}

static enum srv_next run_builtin(struct srv_request *request)
{
    struct srv_builtin_answer answer = {.status = 200, .content_type = "application/json"};
    const struct srv_ask ask = {.path_params = {request->match.params[0], request->match.params[1]},
                                .query = request->call.query,
                                .n_query = request->call.n_query,
                                .last_event_id = request->has_event_id ? request->last_event_id : NULL};
    enum att_status status;

    if (!srv_request_is_within_limit(request, 0))
        return srv_request_fail(request, request->error);
    status = request->match.route->builtin(request->server, request->generation, &ask, &answer, &request->err);
    if (status != ATT_OK)
        return srv_request_fail_status(request, status);
    if (answer.producer.fill != NULL)
        return srv_request_subscribe(request, &answer.producer);
    request->answer.status = answer.status;
    request->answer.content_type = answer.content_type;
    request->answer.policy = answer.policy;
    request->answer.bytes = answer.bytes;
    request->answer.len = answer.len;
    request->stage = READY;
    return SRV_NEXT_ANSWER;
}

enum srv_next srv_request_run(struct srv_request *request)
{
    if (request->feed != NULL)
        return srv_request_feed_run(request);
    switch (request->stage) {
    case RECEIVING:
        if (request->match.route == NULL) {
            request->answer.status = 204; /* OPTIONS */
            request->stage = READY;
            return SRV_NEXT_ANSWER;
        }
        if (request->match.route->builtin != NULL)
            return run_builtin(request);
        return request->match.route->task != NULL ? run_task(request) : srv_request_reload(request);
    case WAITING:
        return srv_request_resumed(request);
    case WRITING:
        return SRV_NEXT_DROP; /* still unwritten: the client left */
    case DEPLOYING:
        return srv_request_deployed(request);
    case CHUNK_DONE:
        break; /* request_feed.c's alone */
    case RELOADING:
        return srv_request_reloaded(request);
    case READY:
        break;
    }
    return SRV_NEXT_ANSWER;
}

/* ---- birth and death ---- */

struct srv_request *srv_request_create(struct srv_server *server, const struct srv_transport *transport, void *conn,
                                       bool on_admin_socket)
{
    struct srv_request *request = att_mem_calloc(1, sizeof(*request));

    if (request == NULL)
        return NULL;
    request->server = server;
    request->generation = srv_generations_acquire(&server->generations);
    request->on_admin_socket = on_admin_socket;
    request->logs = request->generation->config->log_requests.number != 0;
    request->transport = transport;
    request->conn = conn;
    request->begun_us = att_clock_us();
    request->deadline_us = UINT64_MAX;
    atomic_init(&request->work.cancelled, false);
    att_arena_init(&request->arena, (size_t)request->generation->config->limits_request_bytes_max.number);
    return request;
}

atomic_bool *srv_request_cancel_flag(struct srv_request *request)
{
    return &request->work.cancelled;
}

void srv_request_finish(struct srv_request *request, bool sent)
{
    struct srv_server *server = request->server;
    const struct srv_route *route = request->match.route;
    uint64_t us = att_clock_us() - request->begun_us;
    unsigned status = sent || request->refused_raw ? request->answer.status : 499;
    uint64_t bytes_out = request->stream != NULL ? srv_stream_sent(request->stream) : request->answer.len;
    size_t n_routes;
    const struct srv_route *routes = srv_routes(&n_routes);

    /* A subscription lasts as long as its client likes; what it waited for is the head. */
    srv_metrics_request(&server->metrics, route != NULL ? (size_t)(route - routes) : n_routes, status,
                        request->stream != NULL ? request->head_us - request->begun_us : us);
    if (request->error == SRV_ERR_DEADLINE)
        srv_metrics_drop(&server->metrics, SRV_DROP_DEADLINE, 1);
    /* What the machine did wrong is told here, since the answer hides it. */
    if (request->error == SRV_ERR_INTERNAL || request->error == SRV_ERR_STORAGE || request->error == SRV_ERR_SPACE)
        srv_log(&server->log, SRV_LOG_ERROR, srv_error_row(request->error)->code, SRV_TEXT("id", request->id),
                SRV_TEXT("message", request->err.message));
    if (!request->logs)
        return;
    srv_log(&server->log, SRV_LOG_INFO, "request", SRV_TEXT("method", route != NULL ? route->method : "other"),
            SRV_TEXT("route", route != NULL ? route->path : "other"), SRV_NUMBER("status", status),
            SRV_TEXT("code", request->error != SRV_ERR_NONE ? srv_error_row(request->error)->code : "ok"),
            SRV_NUMBER("bytes_in", request->body_len), SRV_NUMBER("bytes_out", bytes_out),
            SRV_NUMBER("tokens", request->call.prompt_tokens), SRV_NUMBER("ms", (double)us * 1e-3),
            SRV_TEXT("key", request->key_name[0] != '\0' ? request->key_name : "-"), SRV_TEXT("id", request->id));
}

void srv_request_destroy(struct srv_request *request)
{
    if (request == NULL)
        return;
    srv_stream_destroy(request->stream);
    srv_request_conclude(request);
    srv_request_feed_finish(request);
    att_mem_free(request->answer.bytes);
    att_mem_free(request);
}
