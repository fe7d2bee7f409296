/*
 * Requests that are answered by a stream (stream.h).
 *
 * A task that streams was run to the end of its first round like any other, so
 * that what is refused until then has its own status. From there on each fill is a
 * round's end and the next round's beginning:
 *
 *   TELLING --(events written)--> SUBMITTING --> IN_ROUND --(done: woken)--> TELLING …
 *      | the last round was told, or something failed: END
 *
 * What fails later is told as a last event of the shape of an error's body.
 */
#include <assert.h>

#include "core/base/clock.h"
#include "server/request/request_inside.h"

enum { FILL_BYTES_MAX = 1 << 20 }; /* of a subscription */

/* ---- a task's ---- */

static enum srv_stream_next tell_failure(struct srv_request *request, struct att_jsonw *events)
{
    task_event_begin(events);
    srv_error_render(events, request->error, &request->err, request->id);
    task_event_end(events);
    srv_request_conclude(request);
    return SRV_STREAM_END;
}

static enum srv_stream_next fill(void *context, struct srv_stream *stream)
{
    struct srv_request *request = context;
    struct att_jsonw *events = srv_stream_writer(stream);
    enum att_status status;

    if (request->stream_step == IN_ROUND) {
        enum srv_round round = srv_request_round(request);

        if (round == SRV_ROUND_LEFT)
            return SRV_STREAM_CUT;
        if (round == SRV_ROUND_FAILED)
            return tell_failure(request, events);
        request->more = round == SRV_ROUND_MORE;
        request->stream_step = TELLING;
    }
    if (request->stream_step == TELLING) {
        request->call.timing.total_us = att_clock_us() - request->begun_us;
        request->call.stream(&request->call, events);
        if (!request->more) {
            srv_request_conclude(request);
            return SRV_STREAM_END;
        }
        request->stream_step = SUBMITTING;
        if (events->len > 0)
            return SRV_STREAM_MORE;
    }
    request->stream_step = IN_ROUND;
    status = srv_request_hand_over(request);
    if (status == ATT_OK)
        return SRV_STREAM_WAIT;
    srv_request_fail_status(request, status);
    return tell_failure(request, events);
}

static enum att_status create(struct srv_request *request, const struct srv_producer *producer, size_t fill_bytes_max)
{
    const struct srv_stream_options options = {.transport = request->transport,
                                               .conn = request->conn,
                                               .cancelled = &request->work.cancelled,
                                               .fill_bytes_max = fill_bytes_max};
    enum att_status status = srv_stream_create(&options, producer, &request->stream, &request->err);

    request->answer.status = 200;
    request->answer.content_type =
        producer->content_type != NULL ? producer->content_type : "text/event-stream; charset=utf-8";
    request->stage = READY;
    return status;
}

enum srv_next srv_request_stream(struct srv_request *request)
{
    const struct srv_producer producer = {.context = request, .fill = fill};
    enum att_status status;

    assert(request->call.stream != NULL);
    request->stream_step = TELLING;
    status = create(request, &producer, (size_t)request->generation->config->limits_answer_bytes_max.number);
    return status == ATT_OK ? SRV_NEXT_ANSWER : srv_request_fail_status(request, status);
}

/* ---- a subscription's ---- */

enum srv_next srv_request_subscribe(struct srv_request *request, const struct srv_producer *producer)
{
    size_t max = (size_t)request->generation->config->limits_streams_max.number;
    enum att_status status = create(request, producer, FILL_BYTES_MAX);

    if (status != ATT_OK && producer->close != NULL)
        producer->close(producer->context);
    if (status == ATT_OK && !request->is_head)
        status = srv_streams_add(&request->server->streams, request->stream, max, &request->err);
    if (status == ATT_OK && !request->is_head)
        srv_stream_open(request->stream);
    if (status == ATT_OK)
        return SRV_NEXT_ANSWER;
    srv_stream_destroy(request->stream);
    request->stream = NULL;
    return srv_request_fail_status(request, status);
}
