/*
 * The first step of a request: what its header says. Framing and target first, since
 * a connection whose framing is wrong must close; then route, method, key, media type
 * and size, after which the connection can live on.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/request/request_inside.h"

enum { DRAIN_BYTES_MAX = 65536 };

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

/* X-Request-Timeout-Ms, or the default, for lines the longest, since it counts for each chunk of them; a deadline_ms in
 * the body may only shorten it. */
static enum srv_error read_deadline(struct srv_request *request, const struct srv_header *given)
{
    const struct task_limits *limits = &request->generation->env.limits;
    uint64_t ms = 0;

    if (given == NULL) {
        ms = request->feeds_lines ? limits->deadline_ms_max : limits->deadline_ms_default;
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

static enum srv_error check_access(struct srv_request *request, const struct srv_facts *facts)
{
    static const enum srv_refusal reasons[] = {[SRV_ERR_KEY_MISSING] = SRV_REFUSAL_MISSING,
                                               [SRV_ERR_KEY_UNKNOWN] = SRV_REFUSAL_UNKNOWN,
                                               [SRV_ERR_SCOPE] = SRV_REFUSAL_SCOPE};
    enum srv_error error = srv_access_check(request->generation->keys, facts, request->match.route->scope,
                                            request->on_admin_socket, &request->access, &request->err);

    if (error == SRV_ERR_KEY_MISSING || error == SRV_ERR_KEY_UNKNOWN || error == SRV_ERR_SCOPE)
        srv_metrics_refusal(&request->server->metrics, reasons[error]);
    if (request->access.key != NULL)
        snprintf(request->key_name, sizeof(request->key_name), "%s", srv_key_name(request->access.key));
    return error;
}

static void note_origin(struct srv_request *request, const struct srv_header *given)
{
    const char *origins = request->generation->config->server_cors_origins.text;

    if (given == NULL || given->value_len > SRV_ORIGIN_BYTES_MAX ||
        !srv_access_origin(origins, given->value, given->value_len))
        return;
    memcpy(request->origin, given->value, given->value_len);
    request->origin[given->value_len] = '\0';
}

static void note_event_id(struct srv_request *request, const struct srv_header *given)
{
    if (given == NULL || given->value_len > SRV_EVENT_ID_BYTES_MAX)
        return;
    memcpy(request->last_event_id, given->value, given->value_len);
    request->last_event_id[given->value_len] = '\0';
    request->has_event_id = true;
}

/* Copies the URL's parameters, decoded: the transport's memory ends with the header. */
static enum srv_error read_query(struct srv_request *request, const struct srv_head *head)
{
    struct task_param *params;

    if (head->n_query > SRV_QUERY_MAX) {
        att_err_limit(&request->err, "query", SRV_QUERY_MAX, head->n_query, "the query has more than %d parameters",
                      SRV_QUERY_MAX);
        return SRV_ERR_LIMIT;
    }
    params = att_arena_alloc(&request->arena, head->n_query + 1, sizeof(*params));
    for (size_t i = 0; params != NULL && i < head->n_query; i++) {
        const struct srv_header *given = &head->query[i];
        char *name = att_arena_alloc(&request->arena, given->name_len + 1, 1);
        char *value = att_arena_alloc(&request->arena, given->value_len + 1, 1);
        size_t len;

        if (name == NULL || value == NULL)
            break;
        if (!srv_guard_unescape(given->name, given->name_len, name, given->name_len, &len) ||
            !srv_guard_unescape(given->value, given->value_len, value, given->value_len, &len)) {
            att_err_param(&request->err, ATT_EINVAL, "query", "query: parameter %zu is not UTF-8 in escapes", i + 1);
            return SRV_ERR_INVALID;
        }
        params[i] = (struct task_param){name, value};
        request->call.n_query = i + 1;
    }
    request->call.query = params;
    if (request->call.n_query == head->n_query)
        return SRV_ERR_NONE;
    att_err_set(&request->err, ATT_ENOMEM, "no memory for the query");
    return SRV_ERR_MEMORY;
}

/* The body's type and size. Triton's client sends JSON to KServe's paths without saying so, or JSON with binary tensors
 * behind it, as octets. */
static enum srv_error check_body(struct srv_request *request, const struct srv_facts *facts)
{
    static const struct srv_header json = {.value = "application/json", .value_len = 16};
    static const char octets[] = "application/octet-stream";
    struct srv_facts seen = *facts;
    const struct srv_header *type = facts->content_type, *length = facts->json_length;

    if (request->match.route->task == &task_kserve_infer) {
        if (length != NULL)
            for (size_t i = 0; i < length->value_len && request->json_len < SIZE_MAX / 16; i++)
                request->json_len = length->value[i] >= '0' && length->value[i] <= '9'
                                        ? request->json_len * 10 + (size_t)(length->value[i] - '0')
                                        : SIZE_MAX;
        if (type == NULL || (length != NULL && type->value_len == sizeof(octets) - 1 &&
                             strncasecmp(type->value, octets, type->value_len) == 0))
            seen.content_type = &json;
    }
    return srv_guard_body(&seen, (size_t)request->generation->config->limits_body_bytes_max.number, &request->err);
}

/* What is wrong with a request that is framed well: route, method, key, media type, size. */
static enum srv_error check(struct srv_request *request, const struct srv_head *head, const struct srv_facts *facts)
{
    enum srv_error error;

    srv_route_match(head->method, head->path, &request->match);
    if (srv_guard_has_slash(head->path) && !request->match.takes_slash) {
        att_err_set(&request->err, ATT_EINVAL,
                    "the request target has an encoded slash, which this path does not take");
        return SRV_ERR_TARGET;
    }
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
    error = check_access(request, facts);
    if (error != SRV_ERR_NONE)
        return error;
    if (!request->match.route->takes_body && srv_guard_has_body(facts)) {
        att_err_set(&request->err, ATT_EINVAL, "%s takes no body here", request->match.route->method);
        return SRV_ERR_BODY_UNEXPECTED;
    }
    request->feeds_lines = request->match.route->takes_body == SRV_BODY_LINES && srv_guard_is_lines(facts);
    if (request->feeds_lines)
        error = srv_guard_coding(facts, &request->err);
    else if (request->match.route->takes_body && (srv_guard_has_body(facts) || facts->content_type != NULL))
        error = check_body(request, facts);
    if (error != SRV_ERR_NONE)
        return error;
    error = (request->match.route->task != NULL || request->match.route->builtin != NULL) && head->n_query > 0
                ? read_query(request, head)
                : SRV_ERR_NONE;
    if (error == SRV_ERR_NONE)
        error = read_deadline(request, facts->timeout_ms);
    if (error == SRV_ERR_NONE && request->feeds_lines &&
        srv_request_feed_begin(request, request->deadline_us - request->begun_us) != ATT_OK)
        return SRV_ERR_MEMORY;
    return error;
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
        srv_request_fail(request, refusal);
        return SRV_NEXT_ANSWER_CLOSE;
    }
    if (facts.traceparent != NULL && srv_guard_traceparent(facts.traceparent->value, facts.traceparent->value_len))
        memcpy(request->traceparent, facts.traceparent->value, SRV_TRACEPARENT_LEN);
    note_origin(request, facts.origin);
    note_event_id(request, facts.last_event_id);
    request->is_head = strcmp(head->method, "HEAD") == 0;
    refusal = check(request, head, &facts);
    if (refusal == SRV_ERR_NONE)
        return SRV_NEXT_BODY;
    srv_request_fail(request, refusal);
    /* A small body that is on its way is read and thrown away, so that the connection can live on. */
    request->discards = true;
    if (!srv_guard_has_body(&facts))
        return SRV_NEXT_BODY;
    if (facts.has_length && facts.content_length <= DRAIN_BYTES_MAX && !facts.expects_continue)
        return SRV_NEXT_BODY;
    return SRV_NEXT_ANSWER_CLOSE;
}
