/*
 * The glue between libmicrohttpd 0.9.75 and the rest.
 *
 * Accepting is the reaper's (one place for limits and draining), the library
 * gets connected sockets. A request passes on_target (request line), on_request
 * once with the header, once for each piece of body, once when all is there,
 * and once more after each resume; on_completed ends it. While its jobs wait
 * the connection is suspended. What the library does wrong (guard.h lists it)
 * is refused in the first on_request; where it takes no answer (inside a body)
 * one is written to the socket directly.
 */
#include "server/net/http.h"

#include <assert.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/net/reaper.h"
#include "server/net/tls.h"
#include "server/request/request.h"

/* One library daemon: the main one, or that of the admin socket, which is always plain and needs one thread. */
struct front {
    struct srv_http *http;
    struct MHD_Daemon *daemon; /* NULL: there is none */
    bool is_admin, is_encrypted;
};

struct srv_http {
    struct srv_server *server;
    struct front main, admin;
    struct srv_reaper *reaper;
};

/* What a stream is read with; of the response. */
struct sending {
    struct srv_http *http;
    struct srv_conn *conn;
    struct srv_stream *stream;
    atomic_bool *cancel;
};

enum { STREAM_BLOCK_BYTES = 4096 };

/* ---- answers ---- */

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0')
        (void)MHD_add_response_header(response, name, value);
}

static void add_cors(struct MHD_Response *response, const struct srv_answer *answer)
{
    if (answer->cors_origin == NULL)
        return;
    add_header(response, "Access-Control-Allow-Origin", answer->cors_origin);
    add_header(response, "Vary", "Origin");
    if (answer->cors_preflight) {
        add_header(response, "Access-Control-Allow-Methods", answer->allow);
        add_header(response, "Access-Control-Allow-Headers",
                   "Authorization, Content-Type, X-API-Key, X-Request-Id, X-Request-Timeout-Ms, Traceparent");
        add_header(response, "Access-Control-Max-Age", "600");
    } else {
        add_header(response, "Access-Control-Expose-Headers", "X-Request-Id, Server-Timing, Retry-After");
    }
}

/* Breaks the answer off. An error told to the library here would leave the connection as it is until its socket has
 * another event, which may never come; a byte that cannot be sent ends it at once. */
static ssize_t cut_stream(const struct sending *sending, char *bytes)
{
    srv_reaper_end(sending->http->reaper, sending->conn);
    bytes[0] = '\n';
    return 1;
}

/* The next bytes of a stream. A client that has taken the last ones gets the whole send timeout for the next; while
 * there are none, only its leaving ends the connection. */
static ssize_t on_stream(void *context, uint64_t at, char *bytes, size_t size)
{
    const struct sending *sending = context;
    struct srv_reaper *reaper = sending->http->reaper;
    size_t len;

    (void)at;
    if (!srv_reaper_enter(reaper, sending->conn, SRV_CONN_BUSY, sending->cancel))
        return cut_stream(sending, bytes);
    switch (srv_stream_read(sending->stream, bytes, size, &len)) {
    case SRV_STREAM_WAIT:
        return 0;
    case SRV_STREAM_END:
        (void)srv_reaper_enter(reaper, sending->conn, SRV_CONN_SENDING, NULL);
        return MHD_CONTENT_READER_END_OF_STREAM;
    case SRV_STREAM_CUT:
        return cut_stream(sending, bytes);
    case SRV_STREAM_MORE:
        break;
    }
    return srv_reaper_enter(reaper, sending->conn, SRV_CONN_SENDING, NULL) ? (ssize_t)len : cut_stream(sending, bytes);
}

/* NULL: no memory. */
static struct MHD_Response *make_stream(struct srv_http *http, struct srv_conn *conn, struct srv_request *request,
                                        const struct srv_answer *answer)
{
    struct sending *sending = att_mem_calloc(1, sizeof(*sending));
    struct MHD_Response *response = NULL;

    if (sending != NULL) {
        *sending = (struct sending){http, conn, answer->stream, srv_request_cancel_flag(request)};
        response =
            MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, on_stream, sending, att_mem_free);
    }
    if (response == NULL)
        att_mem_free(sending);
    /* Caches and buffering proxies (nginx reads the second) would keep events back. */
    if (response != NULL) {
        /* In chunks the library would write the last one, a body, after the header too. */
        if (answer->is_head)
            (void)MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
        add_header(response, "Cache-Control", "no-cache");
        add_header(response, "X-Accel-Buffering", "no");
    }
    return response;
}

static struct MHD_Response *make_response(struct srv_http *http, struct srv_conn *conn, struct srv_request *request,
                                          struct srv_answer *answer, bool close)
{
    struct MHD_Response *response;
    char number[16];

    if (answer->stream != NULL)
        response = make_stream(http, conn, request, answer);
    else if (answer->bytes != NULL)
        response = MHD_create_response_from_buffer_with_free_callback(answer->len, answer->bytes, att_mem_free);
    else
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (response == NULL) {
        att_mem_free(answer->bytes);
        return NULL;
    }
    add_header(response, "Content-Type", answer->bytes != NULL || answer->stream != NULL ? answer->content_type : NULL);
    add_header(response, "Content-Security-Policy", answer->policy);
    add_header(response, "X-Request-Id", answer->request_id);
    add_header(response, "Traceparent", answer->traceparent);
    add_header(response, "Server-Timing", answer->server_timing);
    add_header(response, "Allow", answer->allow);
    add_header(response, "WWW-Authenticate", answer->asks_for_key ? "Bearer realm=\"attentd\"" : NULL);
    add_cors(response, answer);
    if (answer->retry_after_s > 0) {
        snprintf(number, sizeof(number), "%u", answer->retry_after_s);
        add_header(response, "Retry-After", number);
    }
    if (close || atomic_load_explicit(&http->server->draining, memory_order_relaxed))
        add_header(response, "Connection", "close");
    return response;
}

static enum MHD_Result queue_answer(struct srv_http *http, struct MHD_Connection *connection, struct srv_conn *conn,
                                    struct srv_request *request, bool close)
{
    struct srv_answer answer;
    struct MHD_Response *response;
    enum MHD_Result result;

    if (!srv_reaper_enter(http->reaper, conn, SRV_CONN_SENDING, NULL))
        return MHD_NO;
    srv_request_answer(request, &answer);
    response = make_response(http, conn, request, &answer, close);
    if (response == NULL) {
        srv_conn_answer(conn, SRV_ERR_MEMORY, NULL);
        return MHD_NO;
    }
    result = MHD_queue_response(connection, answer.status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- suspending ---- */

static void suspend(void *conn)
{
    MHD_suspend_connection(conn);
}

static void resume(void *conn)
{
    MHD_resume_connection(conn);
}

static const struct srv_transport transport = {suspend, resume};

/* ---- the library's callbacks ---- */

static struct srv_conn *conn_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info != NULL ? info->socket_context : NULL;
}

struct header_list {
    struct srv_header *headers;
    size_t count, max; /* count: of all, also those beyond the array */
};

static enum MHD_Result on_header(void *context, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                 const char *value, size_t value_len)
{
    struct header_list *list = context;

    (void)kind;
    if (list->count < list->max)
        list->headers[list->count] = (struct srv_header){name, value != NULL ? value : "", name_len, value_len};
    list->count++;
    return MHD_YES;
}

static enum MHD_Result begin(struct srv_http *http, struct MHD_Connection *connection, struct srv_conn *conn,
                             const char *path, const char *method, const char *version, void **request_slot)
{
    struct srv_header headers[SRV_HEADERS_MAX], query[SRV_QUERY_MAX];
    struct header_list header_list = {headers, 0, SRV_HEADERS_MAX}, query_list = {query, 0, SRV_QUERY_MAX};
    struct srv_head head = {.method = method, .path = path, .version = version, .headers = headers, .query = query};
    const struct front *front = srv_conn_context(conn);
    struct srv_request *request = srv_request_create(http->server, &transport, connection, front->is_admin);
    enum srv_error refusal = srv_conn_target_error(conn);
    struct att_err err;

    if (request == NULL) {
        srv_conn_answer(conn, SRV_ERR_MEMORY, NULL);
        return MHD_NO;
    }
    *request_slot = request;
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, on_header, &header_list);
    (void)MHD_get_connection_values_n(connection, MHD_GET_ARGUMENT_KIND, on_header, &query_list);
    head.n_headers = header_list.count;
    head.n_query = query_list.count;
    att_err_set(&err, ATT_EINVAL, "the request target is malformed");
    if (srv_request_begin(request, &head, refusal, &err) == SRV_NEXT_ANSWER_CLOSE) {
        srv_reaper_linger(http->reaper, conn);
        return queue_answer(http, connection, conn, request, true);
    }
    return srv_reaper_enter(http->reaper, conn, SRV_CONN_BODY, NULL) ? MHD_YES : MHD_NO;
}

/* The request cannot go on inside its body, where the library takes no answer. */
static enum MHD_Result refuse(struct srv_http *http, struct srv_conn *conn, struct srv_request *request)
{
    const struct att_err *err;
    enum srv_error error = srv_request_refusal(request, &err);

    srv_conn_answer(conn, error, err);
    srv_reaper_linger(http->reaper, conn);
    return MHD_NO;
}

/* A piece of a body of lines. What is left of it when a chunk is due stays with the library, which brings it again
 * after the resume. */
static enum MHD_Result on_piece(struct srv_http *http, struct srv_conn *conn, struct srv_request *request,
                                const char *bytes, size_t *len)
{
    while (*len > 0) {
        size_t used;
        bool progress;

        if (!srv_request_feed_take(request, bytes, *len, &used, &progress))
            return refuse(http, conn, request);
        bytes += used;
        *len -= used;
        /* The time for a body counts from the last line on: a slow feed is none that has stopped. */
        if (progress && !srv_reaper_enter(http->reaper, conn, SRV_CONN_BODY, NULL))
            return MHD_NO;
        if (*len == 0)
            break;
        if (!srv_reaper_enter(http->reaper, conn, SRV_CONN_BUSY, srv_request_cancel_flag(request)))
            return MHD_NO;
        switch (srv_request_run(request)) {
        case SRV_NEXT_WAIT:
            return MHD_YES;
        case SRV_NEXT_BODY:
            break;
        case SRV_NEXT_DROP:
            return MHD_NO;
        default:
            return refuse(http, conn, request);
        }
        if (!srv_reaper_enter(http->reaper, conn, SRV_CONN_BODY, NULL))
            return MHD_NO;
    }
    return MHD_YES;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *bytes, size_t *len,
                                  void **request_slot)
{
    struct srv_http *http = ((struct front *)context)->http;
    struct srv_conn *conn = conn_of(connection);
    struct srv_request *request = *request_slot;

    if (conn == NULL)
        return MHD_NO;
    if (request == NULL)
        return begin(http, connection, conn, path, method, version, request_slot);
    if (*len > 0 && srv_request_feeds(request))
        return on_piece(http, conn, request, bytes, len);
    if (*len > 0) {
        if (!srv_request_body(request, bytes, *len))
            return refuse(http, conn, request);
        *len = 0;
        return MHD_YES;
    }
    srv_request_feed_end(request);
    if (!srv_reaper_enter(http->reaper, conn, SRV_CONN_BUSY, srv_request_cancel_flag(request)))
        return MHD_NO;
    switch (srv_request_run(request)) {
    case SRV_NEXT_WAIT:
        return MHD_YES;
    case SRV_NEXT_DROP:
        return MHD_NO;
    default:
        return queue_answer(http, connection, conn, request, false);
    }
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request_slot,
                         enum MHD_RequestTerminationCode code)
{
    struct srv_http *http = ((struct front *)context)->http;
    struct srv_conn *conn = conn_of(connection);
    struct srv_request *request = *request_slot;

    if (conn != NULL)
        (void)srv_reaper_enter(http->reaper, conn, SRV_CONN_KEEPALIVE, NULL);
    if (request != NULL) {
        srv_request_finish(request, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
        srv_request_destroy(request);
    }
    *request_slot = NULL;
}

/* The raw target, before the library cuts it at '?'. */
static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    struct srv_conn *conn = conn_of(connection);

    (void)context;
    if (conn != NULL)
        srv_conn_set_target_error(conn, srv_guard_target(target, NULL));
    return NULL;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **slot,
                          enum MHD_ConnectionNotificationCode code)
{
    struct front *front = context;
    const union MHD_ConnectionInfo *info;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*slot != NULL)
            srv_reaper_remove(front->http->reaper, *slot);
        *slot = NULL;
        return;
    }
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *slot = info != NULL ? srv_reaper_add(front->http->reaper, info->connect_fd, front->is_encrypted, front) : NULL;
}

/* The library keeps its connection as the session's pointer. */
static int on_handshake(gnutls_session_t session, const gnutls_datum_t *authorities, int n_authorities,
                        const gnutls_pk_algorithm_t *algorithms, int n_algorithms, gnutls_pcert_st **ret_chain,
                        unsigned *ret_len, gnutls_privkey_t *ret_key)
{
    const struct srv_conn *conn = conn_of(gnutls_session_get_ptr(session));
    const struct front *front = conn != NULL ? srv_conn_context(conn) : NULL;

    (void)authorities;
    (void)n_authorities;
    (void)algorithms;
    (void)n_algorithms;
    return front != NULL ? srv_tls_retrieve(front->http->server->tls, ret_chain, ret_len, ret_key) : -1;
}

/* Escapes stay as they came: guard.c and routes.c decode where it is safe. */
static size_t keep_escapes(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

static void on_panic(void *context, const char *file, unsigned line, const char *reason)
{
    const struct srv_server *server = context;

    srv_log(&server->log, SRV_LOG_ERROR, "panic", SRV_TEXT("file", file), SRV_NUMBER("line", line),
            SRV_TEXT("reason", reason));
    abort();
}

/* ---- the reaper's callbacks ---- */

static void on_accepted(void *context, const struct srv_listener *listener, int fd, const struct sockaddr *address,
                        socklen_t len)
{
    struct srv_http *http = context;

    (void)MHD_add_connection(listener->is_admin ? http->admin.daemon : http->main.daemon, fd, address, len);
}

static void tick_generation(void *context, struct srv_generation *generation)
{
    struct srv_http *http = context;
    struct srv_batcher_drops drops = srv_batcher_tick(generation->batcher);

    if (drops.cancelled > 0)
        srv_metrics_drop(&http->server->metrics, SRV_DROP_CLIENT_GONE, drops.cancelled);
}

static void on_tick(void *context)
{
    struct srv_http *http = context;

    srv_generations_visit(&http->server->generations, tick_generation, http);
    srv_streams_tick(&http->server->streams, atomic_load_explicit(&http->server->draining, memory_order_relaxed));
}

/* ---- life ---- */

static enum att_status start_front(struct srv_http *http, struct front *front, struct att_err *err)
{
    const struct srv_config *config = http->server->config;
    unsigned threads = front->is_admin ? 1 : (unsigned)config->server_http_threads.number;
    unsigned per_address = front->is_admin ? 0 : (unsigned)config->server_connections_per_address_max.number;
    struct MHD_OptionItem optional[5] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET;
    size_t n = 0;

    front->http = http;
    if (threads > 1)
        optional[n++] = (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL};
    if (per_address > 0)
        optional[n++] = (struct MHD_OptionItem){MHD_OPTION_PER_IP_CONNECTION_LIMIT, (intptr_t)per_address, NULL};
    if (front->is_encrypted) {
        flags |= MHD_USE_TLS;
        optional[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)on_handshake};
        optional[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)SRV_TLS_PRIORITIES};
    }
    optional[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    front->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, front, MHD_OPTION_NOTIFY_COMPLETED, on_completed, front,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, front, MHD_OPTION_URI_LOG_CALLBACK, on_target, front,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, front, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)config->limits_header_bytes_max.number,
        /* The reaper counts; the library divides its limit among its threads, so it gets room for an uneven split. */
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)config->server_connections_max.number * threads + 64,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(config->server_keepalive_timeout_ms.number / 1000 + 5),
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_ARRAY, optional, MHD_OPTION_END);
    if (front->daemon == NULL)
        return att_err_set(err, ATT_EIO, "cannot start %u threads for HTTP", threads);
    return ATT_OK;
}

static enum att_status start_fronts(struct srv_http *http, bool has_admin, struct att_err *err)
{
    enum att_status status;

    MHD_set_panic_func(on_panic, http->server);
    http->main.is_encrypted = http->server->tls != NULL;
    http->admin.is_admin = true;
    status = start_front(http, &http->main, err);
    if (status == ATT_OK && has_admin)
        status = start_front(http, &http->admin, err);
    return status;
}

enum att_status srv_http_start(struct srv_server *server, struct srv_listener *listeners, size_t n_listeners,
                               struct srv_http **ret_http, struct att_err *err)
{
    const struct srv_config *config = server->config;
    struct srv_http *http = att_mem_calloc(1, sizeof(*http));
    struct srv_reaper_options options = {
        .listeners = listeners,
        .n_listeners = n_listeners,
        .connections_max = (size_t)config->server_connections_max.number,
        .header_timeout_ms = (uint32_t)config->server_header_timeout_ms.number,
        .body_timeout_ms = (uint32_t)config->server_body_timeout_ms.number,
        .send_timeout_ms = (uint32_t)config->server_send_timeout_ms.number,
        .keepalive_timeout_ms = (uint32_t)config->server_keepalive_timeout_ms.number,
        .metrics = &server->metrics,
        .context = http,
        .accepted = on_accepted,
        .tick = on_tick,
    };
    bool has_admin = false;
    enum att_status status;

    if (http == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for HTTP");
    http->server = server;
    for (size_t i = 0; i < n_listeners; i++)
        has_admin = has_admin || listeners[i].is_admin;
    status = srv_reaper_create(&options, &http->reaper, err);
    if (status == ATT_OK)
        status = start_fronts(http, has_admin, err);
    if (status == ATT_OK)
        status = srv_reaper_start(http->reaper, err);
    if (status != ATT_OK) {
        srv_http_stop(http);
        return status;
    }
    *ret_http = http;
    return ATT_OK;
}

void srv_http_drain(struct srv_http *http)
{
    atomic_store_explicit(&http->server->draining, true, memory_order_relaxed);
    srv_reaper_drain(http->reaper);
}

size_t srv_http_connections(struct srv_http *http)
{
    return srv_reaper_count(http->reaper);
}

bool srv_http_is_drained(struct srv_http *http)
{
    return srv_reaper_is_drained(http->reaper);
}

void srv_http_end_all(struct srv_http *http)
{
    srv_reaper_end_all(http->reaper);
}

void srv_http_stop(struct srv_http *http)
{
    if (http == NULL)
        return;
    if (http->main.daemon != NULL)
        MHD_stop_daemon(http->main.daemon);
    if (http->admin.daemon != NULL)
        MHD_stop_daemon(http->admin.daemon);
    srv_reaper_destroy(http->reaper);
    att_mem_free(http);
}
