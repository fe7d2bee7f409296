/*
 * The hand-over between who reads a stream (an HTTP thread) and who wakes it. One
 * atomic holds it: ASKED while the producer is being asked, WOKEN when somebody woke
 * it since, ASLEEP while the connection is suspended. A wake that comes while the
 * producer is asked is never lost, since ASLEEP is only reached from ASKED; and only
 * the waker that found it ASLEEP resumes the connection, so it is resumed once.
 */
#include "server/request/stream.h"

#include <assert.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"

enum { ASKED, WOKEN, ASLEEP };

enum { KEEP_BYTES = 65536 }; /* a larger buffer is not kept while the stream waits */

struct srv_stream {
    struct srv_stream_options options;
    struct srv_producer producer;
    atomic_int state;
    struct att_jsonw written;  /* by the producer */
    size_t taken;              /* of it, by the client */
    enum srv_stream_next over; /* END or CUT: the producer is not asked any more */
    bool opened;
    uint64_t sent;
    /* subscriptions */
    struct srv_streams *streams; /* NULL: a task's */
    struct srv_stream *prev, *next;
    atomic_bool ending;
    atomic_uint_fast64_t last_us; /* when it last said something */
};

/* ---- for producers ---- */

void srv_stream_wake(struct srv_stream *stream)
{
    if (atomic_exchange_explicit(&stream->state, WOKEN, memory_order_acq_rel) == ASLEEP)
        stream->options.transport->resume(stream->options.conn);
}

struct att_jsonw *srv_stream_writer(struct srv_stream *stream)
{
    return &stream->written;
}

static void say(struct srv_stream *stream, const char *text)
{
    att_jsonw_append(&stream->written, text, strlen(text));
}

static void say_field(struct srv_stream *stream, const char *name, const char *value)
{
    assert(strpbrk(value, "\r\n") == NULL);
    say(stream, name);
    say(stream, value);
    say(stream, "\n");
}

void srv_stream_event(struct srv_stream *stream, const char *id, const char *name, const char *data, size_t len)
{
    if (id != NULL)
        say_field(stream, "id: ", id);
    if (name != NULL)
        say_field(stream, "event: ", name);
    for (size_t at = 0; at <= len; at++) {
        size_t begin = at;

        while (at < len && data[at] != '\n' && data[at] != '\r')
            at++;
        say(stream, "data: ");
        att_jsonw_append(&stream->written, data + begin, at - begin);
        say(stream, "\n");
        if (at + 1 < len && data[at] == '\r' && data[at + 1] == '\n')
            at++;
    }
    say(stream, "\n");
}

/* ---- reading ---- */

static bool is_silent_too_long(const struct srv_stream *stream)
{
    return stream->streams != NULL && att_clock_us() - atomic_load_explicit(&stream->last_us, memory_order_relaxed) >=
                                          stream->streams->heartbeat_us;
}

static enum srv_stream_next ask(struct srv_stream *stream)
{
    enum srv_stream_next next;

    if (atomic_load_explicit(stream->options.cancelled, memory_order_relaxed))
        return SRV_STREAM_CUT;
    if (atomic_load_explicit(&stream->ending, memory_order_relaxed))
        return SRV_STREAM_END;
    next = stream->producer.fill(stream->producer.context, stream);
    if (next == SRV_STREAM_WAIT && stream->written.len == 0 && is_silent_too_long(stream))
        say(stream, ": keep-alive\n\n");
    assert(next != SRV_STREAM_MORE || stream->written.len > 0 || stream->written.failed);
    return stream->written.failed ? SRV_STREAM_CUT : next;
}

static void forget_written(struct srv_stream *stream)
{
    if (stream->written.capacity > KEEP_BYTES)
        att_jsonw_finish(&stream->written);
    stream->written.len = stream->taken = 0;
    stream->written.comma = false;
}

/* False: it was woken meanwhile, or will be resumed at once. */
static bool fall_asleep(struct srv_stream *stream)
{
    int asked = ASKED;

    if (atomic_load_explicit(&stream->state, memory_order_acquire) == WOKEN)
        return false;
    /* Suspended first: who finds it asleep may resume it. */
    stream->options.transport->suspend(stream->options.conn);
    if (!atomic_compare_exchange_strong_explicit(&stream->state, &asked, ASLEEP, memory_order_acq_rel,
                                                 memory_order_acquire))
        stream->options.transport->resume(stream->options.conn);
    return true;
}

enum srv_stream_next srv_stream_read(struct srv_stream *stream, char *bytes, size_t size, size_t *ret_len)
{
    assert(size > 0);
    *ret_len = 0;
    for (;;) {
        size_t left = stream->written.len - stream->taken;
        enum srv_stream_next next;

        if (left > 0 && stream->over != SRV_STREAM_CUT) {
            size_t n = left < size ? left : size;

            memcpy(bytes, stream->written.bytes + stream->taken, n);
            stream->taken += n;
            stream->sent += n;
            atomic_store_explicit(&stream->last_us, att_clock_us(), memory_order_relaxed);
            *ret_len = n;
            return SRV_STREAM_MORE;
        }
        if (stream->over != SRV_STREAM_MORE)
            return stream->over;
        forget_written(stream);
        atomic_store_explicit(&stream->state, ASKED, memory_order_release);
        next = ask(stream);
        if (next == SRV_STREAM_END || next == SRV_STREAM_CUT)
            stream->over = next;
        else if (next == SRV_STREAM_WAIT && stream->written.len == 0 && fall_asleep(stream))
            return SRV_STREAM_WAIT;
    }
}

uint64_t srv_stream_sent(const struct srv_stream *stream)
{
    return stream->sent;
}

/* ---- life ---- */

enum att_status srv_stream_create(const struct srv_stream_options *options, const struct srv_producer *producer,
                                  struct srv_stream **ret_stream, struct att_err *err)
{
    struct srv_stream *stream = att_mem_calloc(1, sizeof(*stream));

    assert(producer->fill != NULL);
    if (stream == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for a stream");
    stream->options = *options;
    stream->producer = *producer;
    stream->over = SRV_STREAM_MORE;
    atomic_init(&stream->state, ASKED);
    atomic_init(&stream->ending, false);
    atomic_init(&stream->last_us, att_clock_us());
    att_jsonw_init(&stream->written, options->fill_bytes_max);
    *ret_stream = stream;
    return ATT_OK;
}

void srv_stream_open(struct srv_stream *stream)
{
    assert(!stream->opened);
    stream->opened = true;
    if (stream->producer.open != NULL)
        stream->producer.open(stream->producer.context, stream);
}

static void leave_list(struct srv_stream *stream)
{
    struct srv_streams *streams = stream->streams;

    if (streams == NULL)
        return;
    pthread_mutex_lock(&streams->mutex);
    if (stream->prev != NULL)
        stream->prev->next = stream->next;
    else
        streams->list = stream->next;
    if (stream->next != NULL)
        stream->next->prev = stream->prev;
    streams->count--;
    pthread_mutex_unlock(&streams->mutex);
}

void srv_stream_destroy(struct srv_stream *stream)
{
    if (stream == NULL)
        return;
    leave_list(stream);
    if (stream->producer.close != NULL)
        stream->producer.close(stream->producer.context);
    att_jsonw_finish(&stream->written);
    att_mem_free(stream);
}

/* ---- subscriptions ---- */

void srv_streams_init(struct srv_streams *streams, uint64_t heartbeat_us)
{
    *streams = (struct srv_streams){.heartbeat_us = heartbeat_us};
    pthread_mutex_init(&streams->mutex, NULL);
}

void srv_streams_finish(struct srv_streams *streams)
{
    assert(streams->count == 0);
    pthread_mutex_destroy(&streams->mutex);
}

enum att_status srv_streams_add(struct srv_streams *streams, struct srv_stream *stream, size_t max, struct att_err *err)
{
    enum att_status status = ATT_OK;

    pthread_mutex_lock(&streams->mutex);
    if (streams->count >= max) {
        status =
            att_err_set(err, ATT_EBUSY, "%zu streams are open, as many as limits.streams_max allows", streams->count);
    } else {
        stream->streams = streams;
        stream->next = streams->list;
        if (stream->next != NULL)
            stream->next->prev = stream;
        streams->list = stream;
        streams->count++;
    }
    pthread_mutex_unlock(&streams->mutex);
    return status;
}

/* RULE: wakes with the lock held, which keeps a stream from being destroyed meanwhile; a wake takes no lock of ours. */
void srv_streams_tick(struct srv_streams *streams, bool draining)
{
    pthread_mutex_lock(&streams->mutex);
    for (struct srv_stream *stream = streams->list; stream != NULL; stream = stream->next) {
        if (draining)
            atomic_store_explicit(&stream->ending, true, memory_order_relaxed);
        if (draining || atomic_load_explicit(stream->options.cancelled, memory_order_relaxed) ||
            is_silent_too_long(stream))
            srv_stream_wake(stream);
    }
    pthread_mutex_unlock(&streams->mutex);
}
