/*
 * A body of lines (NDJSON) of any length.
 *
 *   RECEIVING -> chunk is full -> WAITING (jobs) -> WRITING -> CHUNK_DONE -> RECEIVING …
 *       | the body ends: the last chunk, then all results are the answer
 *
 * A chunk is whole lines, a call of its own with an arena of its own. While it is
 * worked on the connection is suspended and its socket not read: a client can send
 * no faster than the model computes and the disk writes, and memory stays that of
 * one chunk and the results, which have bounds of their own: an answer's, and one
 * for all feeds together. They cannot be sent before the body has ended, since the
 * library reads no more of a body once it has an answer. The request holds one
 * place in the queue throughout; its time limits count anew with every chunk, and
 * each chunk is worked on by the newest generation.
 *
 * Before anything was stored a failure is the answer, as for any request. After
 * that the rest of the body is read and thrown away, and the answer says up to
 * where things went well.
 */
#include <string.h>

#include "core/base/clock.h"
#include "server/request/request_inside.h"

enum { CHUNK_BYTES = 128 << 10, CHUNK_LINES = 2048, SLOW_US = 250000 };

struct srv_feed {
    struct task_feed task;
    struct att_arena arena;
    uint64_t timeout_us, begun_us; /* of a chunk; when its first byte came */
    size_t line_bytes_max;
    size_t lines_len; /* of the body so far: bytes up to the last line's end */
    size_t n_lines;   /* in them */
    bool skips;       /* until the next line's end: this line is too long, and cut */
    bool body_ended;
    size_t chunks, body_bytes, tokens;
    char *results;
    size_t results_len, results_capacity;
    struct att_err failed;
};

enum att_status srv_request_feed_begin(struct srv_request *request, uint64_t timeout_us)
{
    struct srv_feed *feed = att_mem_calloc(1, sizeof(*feed));

    if (feed == NULL)
        return att_err_set(&request->err, ATT_ENOMEM, "no memory for a feed");
    feed->timeout_us = timeout_us;
    feed->line_bytes_max = (size_t)request->generation->config->limits_body_bytes_max.number;
    request->feed = feed;
    return ATT_OK;
}

/* ---- taking pieces ---- */

/* Up to where the body may grow before its lines are worked on. A line without its end may be longer than a chunk. */
static size_t room(const struct srv_feed *feed)
{
    return feed->lines_len > 0 || feed->line_bytes_max < CHUNK_BYTES ? CHUNK_BYTES : feed->line_bytes_max + 1;
}

static bool is_due(const struct srv_request *request)
{
    const struct srv_feed *feed = request->feed;

    return request->body_len >= room(feed) || feed->n_lines >= CHUNK_LINES ||
           (feed->lines_len > 0 && att_clock_us() - feed->begun_us > SLOW_US && request->body_len > 0);
}

/* How many of the bytes may be taken: short lines are many, and each costs memory whatever its length. */
static size_t until_full(struct srv_feed *feed, const char *bytes, size_t len)
{
    size_t at = 0;
    const char *newline;

    while (feed->n_lines < CHUNK_LINES && (newline = memchr(bytes + at, '\n', len - at)) != NULL) {
        at = (size_t)(newline - bytes) + 1;
        feed->n_lines++;
    }
    return feed->n_lines < CHUNK_LINES ? len : at;
}

static bool append(struct srv_request *request, const char *bytes, size_t len)
{
    struct srv_feed *feed = request->feed;
    const char *newline = memrchr(bytes, '\n', len);

    if (request->body_len + len + 1 > request->body_capacity &&
        !srv_request_body_grow(request, request->body_len + len + 1, feed->line_bytes_max + CHUNK_BYTES + 2))
        return false;
    if (request->body_len == 0)
        feed->begun_us = att_clock_us();
    memcpy(request->body + request->body_len, bytes, len);
    request->body_len += len;
    if (newline != NULL)
        feed->lines_len = request->body_len - (size_t)(bytes + len - newline) + 1;
    return true;
}

bool srv_request_feeds(const struct srv_request *request)
{
    return request->feed != NULL;
}

bool srv_request_feed_take(struct srv_request *request, const char *bytes, size_t len, size_t *ret_used,
                           bool *ret_progress)
{
    struct srv_feed *feed = request->feed;
    size_t used = 0, lines_len = feed->lines_len;

    if (request->stage != RECEIVING || (request->error == SRV_ERR_NONE && !request->discards && is_due(request))) {
        *ret_used = 0;
        *ret_progress = false;
        return true;
    }
    if (request->discards) {
        *ret_used = len;
        *ret_progress = false;
        return true;
    }
    if (feed->skips) {
        const char *newline = memchr(bytes, '\n', len);

        used = newline != NULL ? (size_t)(newline - bytes) + 1 : len;
        feed->skips = newline == NULL;
    }
    while (used < len && request->body_len < room(feed) && feed->n_lines < CHUNK_LINES) {
        size_t n = room(feed) - request->body_len;

        n = until_full(feed, bytes + used, n < len - used ? n : len - used);
        if (!append(request, bytes + used, n))
            return false;
        used += n;
    }
    feed->body_bytes += used;
    *ret_used = used;
    *ret_progress = feed->lines_len > lines_len;
    return true;
}

void srv_request_feed_end(struct srv_request *request)
{
    if (request->feed != NULL)
        request->feed->body_ended = true;
}

/* ---- one chunk ---- */

static enum att_status take_place(struct srv_request *request, struct srv_generation *generation)
{
    struct srv_ticket *ticket = &request->work.ticket;
    enum att_status status;

    ticket->bytes = CHUNK_BYTES;
    ticket->tokens = CHUNK_BYTES / 4;
    if (ticket->tokens > generation->env.limits.tokens_max)
        ticket->tokens = generation->env.limits.tokens_max;
    ticket->deadline_us = request->deadline_us;
    status = srv_batcher_admit(generation->batcher, &request->work, &request->err);
    request->admitted = status == ATT_OK;
    return status;
}

/* A feed may run for hours: each chunk belongs to the newest generation, so that those before it can go. Where the
 * newest has no place, the feed stays where it has one; its key must be good there, too. */
static bool move_on(struct srv_request *request)
{
    struct srv_generations *generations = &request->server->generations;
    struct srv_generation *newest = srv_generations_acquire(generations), *old = request->generation;
    struct srv_access access = request->access;
    enum srv_error error = SRV_ERR_NONE;

    if (newest != old)
        error = srv_access_renew(&access, newest->keys, request->match.route->scope, request->on_admin_socket,
                                 &request->err);
    if (newest == old || error != SRV_ERR_NONE) {
        srv_generations_release(generations, newest);
        if (error != SRV_ERR_NONE)
            srv_request_fail(request, error);
        return error == SRV_ERR_NONE;
    }
    if (request->admitted) {
        srv_batcher_release(old->batcher, &request->work);
        if (take_place(request, newest) != ATT_OK && take_place(request, old) == ATT_OK) {
            srv_generations_release(generations, newest);
            return true;
        }
    }
    request->access = access;
    request->generation = newest;
    srv_generations_release(generations, old);
    return true;
}

static bool admit(struct srv_request *request)
{
    size_t tokens = CHUNK_BYTES / 4;

    if (!move_on(request))
        return false;
    if (tokens > request->generation->env.limits.tokens_max)
        tokens = request->generation->env.limits.tokens_max;
    if (!srv_request_is_within_limit(request, tokens)) {
        srv_request_fail(request, request->error);
        return false;
    }
    if (request->admitted || take_place(request, request->generation) == ATT_OK)
        return true;
    srv_access_refund(&request->access);
    srv_request_fail_status(request, request->err.status);
    return false;
}

/* Results of all feeds together have a bound; beyond it they are left out, as those beyond one answer's are. */
static bool has_room(const struct srv_request *request)
{
    return srv_metrics_get(&request->server->metrics, SRV_METRIC_RESULT_BYTES) <
           request->generation->config->limits_bodies_bytes_max.number;
}

/* Works on the lines that are there; on all that is left when the body has ended. */
static enum srv_next start_chunk(struct srv_request *request)
{
    struct srv_feed *feed = request->feed;
    uint64_t start_us = att_clock_us();
    enum att_status status;

    /* No line ends within what may be read of one: it is cut, and the task says that it is too long. */
    if (feed->lines_len == 0 && !feed->body_ended) {
        request->body[request->body_len++] = '\n';
        feed->lines_len = request->body_len;
        feed->skips = true;
    }
    request->deadline_us = start_us + feed->timeout_us;
    if (feed->task.failed == NULL && !admit(request))
        return SRV_NEXT_ANSWER;
    feed->task.text = feed->task.failed == NULL ? request->body : NULL;
    feed->task.len = feed->task.failed != NULL ? 0 : feed->body_ended ? request->body_len : feed->lines_len;
    feed->task.line_bytes_max = feed->line_bytes_max;
    feed->task.is_last = feed->body_ended;
    feed->task.answer_bytes = has_room(request) ? feed->results_len : SIZE_MAX / 2;
    att_arena_init(&feed->arena, (size_t)request->generation->config->limits_request_bytes_max.number);
    srv_request_call_init(request, &feed->arena);
    request->call.feed = &feed->task;
    status = request->call.task->parse(&request->call, NULL, &request->err);
    request->call.timing.tokenize_us += att_clock_us() - start_us;
    srv_access_correct(&request->access, request->call.prompt_tokens);
    if (status != ATT_OK)
        return srv_request_fail_status(request, status);
    return request->call.n_jobs > 0 ? srv_request_submit(request) : srv_request_complete(request);
}

/* The call is over: its memory goes, and its lines; what came behind them moves to the front. */
static void end_chunk(struct srv_request *request)
{
    struct srv_feed *feed = request->feed;
    struct task_call *call = &request->call;
    struct task_call next = {.query = call->query, .n_query = call->n_query, .timing = call->timing};
    size_t rest = request->body_len - (feed->body_ended ? request->body_len : feed->lines_len);

    feed->tokens += call->prompt_tokens;
    if (call->task != NULL && call->task->finish != NULL)
        call->task->finish(call);
    att_arena_finish(&feed->arena);
    *call = next;
    if (rest > 0)
        memmove(request->body, request->body + feed->lines_len, rest);
    request->body_len = rest;
    feed->lines_len = 0;
    feed->n_lines = 0;
    feed->begun_us = att_clock_us();
}

static void results_free(struct srv_request *request)
{
    struct srv_feed *feed = request->feed;

    srv_metrics_subtract(&request->server->metrics, SRV_METRIC_RESULT_BYTES, feed->results_capacity);
    att_mem_free(feed->results);
    feed->results = NULL;
    feed->results_capacity = 0;
}

enum att_status srv_request_feed_keep(struct srv_request *request, struct att_jsonw *results)
{
    struct srv_feed *feed = request->feed;
    size_t needed = feed->results_len + results->len + 1;

    if (results->failed)
        return att_err_set(&request->err, ATT_ENOMEM, "no memory for the results");
    if (needed > feed->results_capacity) {
        size_t capacity = needed + needed / 2;
        char *grown = att_mem_realloc(feed->results, capacity, 1);

        if (grown == NULL)
            return att_err_set(&request->err, ATT_ENOMEM, "no memory for the results");
        srv_metrics_add(&request->server->metrics, SRV_METRIC_RESULT_BYTES, capacity - feed->results_capacity);
        feed->results = grown;
        feed->results_capacity = capacity;
    }
    if (results->len > 0)
        memcpy(feed->results + feed->results_len, results->bytes, results->len);
    feed->results_len += results->len;
    feed->chunks++;
    request->stage = CHUNK_DONE;
    return ATT_OK;
}

static enum srv_next answer(struct srv_request *request)
{
    struct srv_feed *feed = request->feed;

    request->answer.status = 200;
    request->answer.content_type = "application/x-ndjson";
    request->answer.bytes = feed->results;
    request->answer.len = feed->results_len;
    feed->results = NULL; /* the transport's from here on */
    results_free(request);
    request->call.prompt_tokens = feed->tokens;
    srv_request_body_free(request);
    request->body_len = feed->body_bytes;
    request->stage = READY;
    return SRV_NEXT_ANSWER;
}

/* A chunk failed as a whole. What was stored before it is to be told. */
static enum srv_next give_up(struct srv_request *request)
{
    struct srv_feed *feed = request->feed;

    if (feed->chunks == 0 || feed->task.failed != NULL)
        return feed->body_ended ? SRV_NEXT_ANSWER : SRV_NEXT_ANSWER_CLOSE;
    feed->failed = request->err;
    feed->task.failed = &feed->failed;
    /* What the machine did wrong may name files: it is told to the log, and to the client by its code. */
    if (srv_error_row(request->error)->status >= 500) {
        srv_log(&request->server->log, SRV_LOG_ERROR, srv_error_row(request->error)->code, SRV_TEXT("id", request->id),
                SRV_TEXT("message", request->err.message));
        att_err_set(&feed->failed, request->err.status, "%s", srv_error_row(request->error)->code);
    }
    request->error = SRV_ERR_NONE;
    request->discards = true;
    end_chunk(request);
    request->stage = RECEIVING;
    return feed->body_ended ? start_chunk(request) : SRV_NEXT_BODY;
}

enum srv_next srv_request_feed_run(struct srv_request *request)
{
    struct srv_feed *feed = request->feed;
    enum srv_next next = SRV_NEXT_ANSWER;

    switch (request->stage) {
    case RECEIVING:
        next = request->error == SRV_ERR_NONE ? start_chunk(request) : SRV_NEXT_ANSWER;
        break;
    case WAITING:
        next = srv_request_resumed(request);
        break;
    case CHUNK_DONE:
        end_chunk(request);
        if (feed->task.is_last)
            return answer(request);
        request->stage = RECEIVING;
        next = feed->body_ended ? start_chunk(request) : SRV_NEXT_BODY;
        break;
    case WRITING:
        return SRV_NEXT_DROP; /* still unwritten: the client left */
    case DEPLOYING:
    case RELOADING:
    case READY:
        break;
    }
    return next == SRV_NEXT_ANSWER ? give_up(request) : next;
}

void srv_request_feed_finish(struct srv_request *request)
{
    struct srv_feed *feed = request->feed;

    if (feed == NULL)
        return;
    att_arena_finish(&feed->arena);
    results_free(request);
    att_mem_free(feed);
    request->feed = NULL;
}
