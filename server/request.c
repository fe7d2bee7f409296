/*
 * The steps of a request.
 *
 *   RECEIVING --(refused)----------------------------+
 *       | run                                         v
 *       +- built-in -------------------------------> READY: answer
 *       +- admit, parse, submit -> WAITING: resumed --+
 *                                 ^          | advance leaves more jobs
 *                                 +----------+
 *
 * Admission comes before anything is parsed: a full queue answers at once. All
 * memory of the work lies in the arena, but for the body (freed once parsed)
 * and the parsed JSON.
 */
#include "server/request.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "server/builtins.h"
#include "server/routes.h"

enum { BODY_STEP_BYTES = 16384, DRAIN_BYTES_MAX = 65536 };

enum stage { RECEIVING, WAITING, READY };

struct srv_request {
    struct srv_work work; /* first: done() casts back */
    struct srv_server *server;
    const struct srv_transport *transport;
    void *conn;
    enum stage stage;
    struct srv_match match;
    char id[SRV_REQUEST_ID_MAX + 1], traceparent[SRV_TRACEPARENT_LEN + 1];
    bool discards, admitted, refused_raw;
    uint64_t begun_us, deadline_us;
    char *body;
    size_t body_len, body_capacity;
    struct att_json *json;
    struct att_arena arena;
    struct task_call call;
    enum srv_error error; /* SRV_ERR_NONE: an answer */
    struct att_err err;
    struct srv_answer answer;
};

/* ---- the answer ---- */

static enum srv_next fail(struct srv_request *request, enum srv_error error)
{
    request->error = error;
    request->stage = READY;
    return SRV_NEXT_ANSWER;
}

static enum srv_next fail_status(struct srv_request *request, enum att_status status)
{
    if (status == ATT_EBUSY)
        srv_metrics_drop(&request->server->metrics, SRV_DROP_QUEUE_FULL, 1);
    return fail(request, srv_error_of(status));
}

static void release(struct srv_request *request)
{
    if (request->admitted)
        srv_batcher_release(request->server->batcher, &request->work);
    request->admitted = false;
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
        struct att_jsonw w;

        att_jsonw_init(&w, 65536);
        srv_error_render(&w, request->error, &request->err, request->id);
        answer->status = row->status;
        answer->retry_after_s = row->retry_after_s;
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
    describe_timing(request);
    *ret_answer = *answer;
    answer->bytes = NULL;
    release(request);
}

/* ---- begin: the header ---- */

static void make_id(struct srv_request *request, const struct srv_header *given)
{
    struct srv_server *server = request->server;
    uint64_t n = atomic_fetch_add_explicit(&server->request_count, 1, memory_order_relaxed);

    if (given != NULL && srv_guard_request_id(given->value, given->value_len)) {
        memcpy(request->id, given->value, given->value_len);
        request->id[given->value_len] = '\0';
        return;
    }
    snprintf(request->id, sizeof(request->id), "req-%012" PRIx64 "%08" PRIx64,
             server->request_seed & UINT64_C(0xffffffffffff), n & UINT64_C(0xffffffff));
}

/* X-Request-Timeout-Ms, or the default; a deadline_ms in the body may only shorten it. */
static enum srv_error read_deadline(struct srv_request *request, const struct srv_header *given)
{
    const struct task_limits *limits = &request->server->env.limits;
    uint64_t ms = 0;

    if (given == NULL) {
        ms = limits->deadline_ms_default;
    } else {
        for (size_t i = 0; i < given->value_len && ms <= limits->deadline_ms_max; i++)
            ms = given->value[i] >= '0' && given->value[i] <= '9' ? ms * 10 + (uint64_t)(given->value[i] - '0')
                                                                  : UINT64_MAX / 16;
        if (given->value_len == 0 || ms == 0 || ms > limits->deadline_ms_max) {
            att_err_param(&request->err, ATT_EINVAL, "X-Request-Timeout-Ms", "expected 1 to %" PRIu32 " milliseconds",
                          limits->deadline_ms_max);
            return SRV_ERR_INVALID;
        }
    }
    request->deadline_us = request->begun_us + ms * 1000;
    return SRV_ERR_NONE;
}

/* What is wrong with a request that is framed well: route, method, media type, size. */
static enum srv_error check(struct srv_request *request, const struct srv_head *head, const struct srv_facts *facts)
{
    const struct srv_config *config = request->server->config;

    srv_route_match(head->method, head->path, &request->match);
    if (strcmp(head->method, "OPTIONS") == 0 && (request->match.path_known || strcmp(head->path, "*") == 0))
        return SRV_ERR_NONE;
    if (!request->match.path_known) {
        att_err_set(&request->err, ATT_ENOTFOUND, "no such path; GET /v1/models lists what is served");
        return SRV_ERR_ROUTE;
    }
    if (request->match.route == NULL) {
        att_err_set(&request->err, ATT_EINVAL, "the path does not know this method; it allows %s",
                    request->match.allow);
        return SRV_ERR_METHOD;
    }
    if (!request->match.route->takes_body && srv_guard_has_body(facts)) {
        att_err_set(&request->err, ATT_EINVAL, "%s takes no body here", request->match.route->method);
        return SRV_ERR_BODY_UNEXPECTED;
    }
    if (request->match.route->takes_body) {
        enum srv_error error = SRV_ERR_NONE;

        if (srv_guard_has_body(facts) || facts->content_type != NULL)
            error = srv_guard_body(facts, (size_t)config->limits_body_bytes_max.number, &request->err);
        if (error != SRV_ERR_NONE)
            return error;
    }
    return read_deadline(request, facts->timeout_ms);
}

enum srv_next srv_request_begin(struct srv_request *request, const struct srv_head *head, enum srv_error refusal,
                                const struct att_err *err)
{
    struct srv_facts facts = {0};

    if (refusal != SRV_ERR_NONE)
        request->err = *err;
    else
        refusal = srv_guard_framing(head, &facts, &request->err);
    make_id(request, facts.request_id);
    if (refusal == SRV_ERR_NONE)
        refusal = srv_guard_target(head->path, &request->err);
    if (refusal != SRV_ERR_NONE) {
        srv_metrics_drop(&request->server->metrics, SRV_DROP_MALFORMED, 1);
        fail(request, refusal);
        return SRV_NEXT_ANSWER_CLOSE;
    }
    if (facts.traceparent != NULL && srv_guard_traceparent(facts.traceparent->value, facts.traceparent->value_len))
        memcpy(request->traceparent, facts.traceparent->value, SRV_TRACEPARENT_LEN);
    refusal = check(request, head, &facts);
    if (refusal == SRV_ERR_NONE)
        return SRV_NEXT_BODY;
    fail(request, refusal);
    /* A small body that is on its way is read and thrown away, so that the connection can live on. */
    request->discards = true;
    if (!srv_guard_has_body(&facts))
        return SRV_NEXT_BODY;
    if (facts.has_length && facts.content_length <= DRAIN_BYTES_MAX && !facts.expects_continue)
        return SRV_NEXT_BODY;
    return SRV_NEXT_ANSWER_CLOSE;
}

/* ---- the body ---- */

static bool grow_body(struct srv_request *request, size_t len)
{
    struct srv_server *server = request->server;
    size_t max = (size_t)server->config->limits_body_bytes_max.number;
    size_t capacity = request->body_capacity == 0 ? BODY_STEP_BYTES : request->body_capacity;
    size_t more;
    char *body;

    while (capacity < len)
        capacity *= 2;
    if (capacity > max)
        capacity = max;
    more = capacity - request->body_capacity;
    if (srv_metrics_get(&server->metrics, SRV_METRIC_BODY_BYTES) + more >
        server->config->limits_bodies_bytes_max.number) {
        fail_status(request, att_err_set(&request->err, ATT_EBUSY, "too many bodies are being received"));
        return false;
    }
    body = att_mem_realloc(request->body, capacity, 1);
    if (body == NULL) {
        fail_status(request, att_err_set(&request->err, ATT_ENOMEM, "no memory for the body"));
        return false;
    }
    request->body = body;
    request->body_capacity = capacity;
    srv_metrics_add(&server->metrics, SRV_METRIC_BODY_BYTES, more);
    return true;
}

static void free_body(struct srv_request *request)
{
    srv_metrics_subtract(&request->server->metrics, SRV_METRIC_BODY_BYTES, request->body_capacity);
    att_mem_free(request->body);
    request->body = NULL;
    request->body_capacity = 0;
}

bool srv_request_body(struct srv_request *request, const char *bytes, size_t len)
{
    size_t max = (size_t)request->server->config->limits_body_bytes_max.number;

    if (request->discards)
        return true;
    if (len > max - request->body_len) {
        att_err_limit(&request->err, NULL, max, request->body_len + len, "the body is longer than %zu bytes", max);
        fail(request, SRV_ERR_BODY_SIZE);
        return false;
    }
    if (request->body_len + len > request->body_capacity && !grow_body(request, request->body_len + len))
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

static enum srv_next render(struct srv_request *request)
{
    struct att_jsonw w;
    enum att_status status;

    request->call.timing.total_us = att_clock_us() - request->begun_us;
    att_jsonw_init(&w, (size_t)request->server->config->limits_answer_bytes_max.number);
    status = request->call.task->render(&request->call, &w, &request->err);
    if (status == ATT_OK && w.len > 0)
        status = att_jsonw_take(&w, &request->answer.bytes, &request->answer.len, &request->err);
    att_jsonw_finish(&w);
    if (status != ATT_OK)
        return fail_status(request, status);
    request->answer.status = (unsigned)request->call.http_status;
    request->answer.content_type = request->answer.len > 0 ? "application/json" : NULL;
    request->stage = READY;
    return SRV_NEXT_ANSWER;
}

static void on_done(struct srv_work *work)
{
    struct srv_request *request = (struct srv_request *)work;

    request->transport->resume(request->conn);
}

/* Hands the call's jobs to the batcher and suspends the connection. */
static enum srv_next submit(struct srv_request *request)
{
    struct srv_server *server = request->server;
    struct srv_ticket *ticket = &request->work.ticket;
    size_t n = request->call.n_jobs;
    enum att_status status;

    ticket->items = att_arena_alloc(&request->arena, n, sizeof(struct srv_item));
    if (ticket->items == NULL)
        return fail_status(request, att_err_set(&request->err, ATT_ENOMEM, "no memory for %zu jobs", n));
    for (size_t i = 0; i < n; i++) {
        ticket->items[i].model = srv_models_index(&server->models, request->call.jobs[i].model);
        ticket->items[i].tokens = request->call.jobs[i].len;
        ticket->items[i].job = &request->call.jobs[i];
    }
    ticket->n_items = n;
    ticket->bulk = request->call.bulk;
    request->work.done = on_done;
    request->stage = WAITING;
    /* Suspended first: a worker may be done, and resume, before submit returns. */
    request->transport->suspend(request->conn);
    status = srv_batcher_submit(server->batcher, &request->work, request->deadline_us, &request->err);
    if (status != ATT_OK) {
        fail_status(request, status);
        request->transport->resume(request->conn);
    }
    return SRV_NEXT_WAIT;
}

/* After a round: its times, then advance; another round or the answer. */
static enum srv_next resumed(struct srv_request *request)
{
    struct srv_work *work = &request->work;
    uint64_t start_us = work->ticket.first_start_us != 0 ? work->ticket.first_start_us : work->finished_us;
    enum att_status status;

    if (work->ticket.dropped && atomic_load_explicit(&work->cancelled, memory_order_relaxed))
        return SRV_NEXT_DROP;
    if (work->ticket.dropped) {
        att_err_set(&request->err, ATT_EDEADLINE, "the deadline passed before the work was done");
        return fail(request, SRV_ERR_DEADLINE);
    }
    request->call.timing.queue_us += start_us - work->submitted_us;
    request->call.timing.compute_us += work->finished_us - start_us;
    srv_metrics_add(&request->server->metrics, SRV_METRIC_LATE_US, start_us - work->submitted_us);
    for (size_t i = 0; i < request->call.n_jobs; i++)
        if (request->call.jobs[i].status != ATT_OK) {
            att_err_set(&request->err, request->call.jobs[i].status, "the model failed");
            return fail(request, SRV_ERR_INTERNAL);
        }
    if (request->call.task->advance == NULL)
        return render(request);
    status = request->call.task->advance(&request->call, &request->err);
    if (status != ATT_OK)
        return fail_status(request, status);
    return request->call.n_jobs > 0 ? submit(request) : render(request);
}

static enum att_status parse_body(struct srv_request *request)
{
    const struct srv_config *config = request->server->config;
    enum att_status status;

    if (!request->match.route->takes_body)
        return ATT_OK;
    if (request->body_len == 0)
        return att_err_set(&request->err, ATT_ESYNTAX, "the body is empty, expected a JSON object");
    status = att_json_parse(request->body, request->body_len, 0, (size_t)config->limits_json_depth_max.number,
                            &request->json, &request->err);
    free_body(request);
    if (status == ATT_OK && !att_json_is_object(request->json))
        return att_err_set(&request->err, ATT_ESYNTAX, "the body is an array, expected a JSON object");
    return status;
}

static enum srv_next run_task(struct srv_request *request)
{
    struct srv_server *server = request->server;
    struct srv_ticket *ticket = &request->work.ticket;
    uint64_t start_us = att_clock_us();
    enum att_status status;

    /* About four bytes a token; whatever the text, one request alone fits an empty queue. */
    ticket->bytes = request->body_len;
    ticket->tokens = request->body_len / 4 + 1;
    if (ticket->tokens > server->env.limits.tokens_max)
        ticket->tokens = server->env.limits.tokens_max;
    ticket->deadline_us = request->deadline_us;
    status = srv_batcher_admit(server->batcher, &request->work, &request->err);
    if (status != ATT_OK)
        return fail_status(request, status);
    request->admitted = true;
    request->call.task = request->match.route->task;
    request->call.env = &server->env;
    request->call.arena = &request->arena;
    request->call.http_status = 200;
    for (size_t i = 0; i < request->match.n_params; i++)
        request->call.path_params[i] = request->match.params[i];
    status = parse_body(request);
    if (status == ATT_OK)
        status = request->call.task->parse(&request->call, request->json, &request->err);
    request->call.timing.tokenize_us = att_clock_us() - start_us;
    if (status != ATT_OK)
        return fail_status(request, status);
    if (request->call.deadline_ms > 0 &&
        request->begun_us + (uint64_t)request->call.deadline_ms * 1000 < request->deadline_us)
        request->deadline_us = request->begun_us + (uint64_t)request->call.deadline_ms * 1000;
    return request->call.n_jobs > 0 ? submit(request) : render(request);
}

static enum srv_next run_builtin(struct srv_request *request)
{
    struct srv_builtin_answer answer = {.status = 200, .content_type = "application/json"};
    const char *params[SRV_PARAMS_MAX] = {request->match.params[0], request->match.params[1]};
    enum att_status status = request->match.route->builtin(request->server, params, &answer, &request->err);

    if (status != ATT_OK)
        return fail_status(request, status);
    request->answer.status = answer.status;
    request->answer.content_type = answer.content_type;
    request->answer.bytes = answer.bytes;
    request->answer.len = answer.len;
    request->stage = READY;
    return SRV_NEXT_ANSWER;
}

enum srv_next srv_request_run(struct srv_request *request)
{
    switch (request->stage) {
    case RECEIVING:
        if (request->match.route == NULL) {
            request->answer.status = 204; /* OPTIONS */
            request->stage = READY;
            return SRV_NEXT_ANSWER;
        }
        return request->match.route->builtin != NULL ? run_builtin(request) : run_task(request);
    case WAITING:
        return resumed(request);
    case READY:
        break;
    }
    return SRV_NEXT_ANSWER;
}

/* ---- birth and death ---- */

struct srv_request *srv_request_create(struct srv_server *server, const struct srv_transport *transport, void *conn)
{
    struct srv_request *request = att_mem_calloc(1, sizeof(*request));

    if (request == NULL)
        return NULL;
    request->server = server;
    request->transport = transport;
    request->conn = conn;
    request->begun_us = att_clock_us();
    request->deadline_us = UINT64_MAX;
    atomic_init(&request->work.cancelled, false);
    att_arena_init(&request->arena, (size_t)server->config->limits_request_bytes_max.number);
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
    size_t n_routes;
    const struct srv_route *routes = srv_routes(&n_routes);

    srv_metrics_request(&server->metrics, route != NULL ? (size_t)(route - routes) : n_routes, status, us);
    if (request->error == SRV_ERR_DEADLINE)
        srv_metrics_drop(&server->metrics, SRV_DROP_DEADLINE, 1);
    /* What the machine did wrong is told here, since the answer hides it. */
    if (request->error == SRV_ERR_INTERNAL || request->error == SRV_ERR_STORAGE || request->error == SRV_ERR_SPACE)
        srv_log(&server->log, SRV_LOG_ERROR, srv_error_row(request->error)->code, SRV_TEXT("id", request->id),
                SRV_TEXT("message", request->err.message));
    if (server->config->log_requests.number == 0)
        return;
    srv_log(&server->log, SRV_LOG_INFO, "request", SRV_TEXT("method", route != NULL ? route->method : "other"),
            SRV_TEXT("route", route != NULL ? route->path : "other"), SRV_NUMBER("status", status),
            SRV_TEXT("code", request->error != SRV_ERR_NONE ? srv_error_row(request->error)->code : "ok"),
            SRV_NUMBER("bytes_in", request->body_len), SRV_NUMBER("bytes_out", request->answer.len),
            SRV_NUMBER("tokens", request->call.prompt_tokens), SRV_NUMBER("ms", (double)us * 1e-3),
            SRV_TEXT("id", request->id));
}

void srv_request_destroy(struct srv_request *request)
{
    if (request == NULL)
        return;
    release(request);
    if (request->call.task != NULL && request->call.task->finish != NULL)
        request->call.task->finish(&request->call);
    att_json_destroy(request->json);
    att_arena_finish(&request->arena);
    free_body(request);
    att_mem_free(request->answer.bytes);
    att_mem_free(request);
}
