/*
 * A stream: an answer whose bytes are not all there when it begins, such as
 * server-sent events. The one idea: who has something to say is asked for it.
 *
 * A producer's `fill` is called on a thread of the HTTP library, and only when the
 * client has taken all that was written before. So memory is bounded by what one
 * fill writes, and a slow client delays its own stream alone: it is cut when it
 * takes nothing for server.send_timeout_ms. What it misses meanwhile is the
 * producer's to keep (a cursor into what is stored), or not.
 *
 *   fill says    SRV_STREAM_MORE  it wrote; asked again when that has been sent
 *                SRV_STREAM_WAIT  nothing more now; asked again after srv_stream_wake
 *                SRV_STREAM_END   over: the client sees a complete answer
 *                SRV_STREAM_CUT   broken off: the client sees an incomplete answer
 *
 * Two kinds live on it:
 *   a task that streams (task.h): its rounds go through the batcher as those of any
 *     call, and a round's end wakes the stream. It holds its generation to its end,
 *     and has a deadline; drained to its end when the daemon stops.
 *   a subscription: a built-in that fills srv_builtin_answer.producer (routes.h). It
 *     holds no generation, may last for days, gets ": keep-alive" comments while it
 *     is silent, and ends cleanly when the daemon stops.
 */
#ifndef SRV_STREAM_H
#define SRV_STREAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/json.h"
#include "core/base/status.h"

/* How a request stops and wakes its connection, from the transport. */
struct srv_transport {
    void (*suspend)(void *conn);
    void (*resume)(void *conn); /* from any thread */
};

struct srv_stream;

enum srv_stream_next { SRV_STREAM_MORE, SRV_STREAM_WAIT, SRV_STREAM_END, SRV_STREAM_CUT };

/* fill NULL: none. open, fill and close are called one at a time, with no lock held. */
struct srv_producer {
    void *context;
    const char *content_type; /* NULL: text/event-stream */
    /* Once, before the first fill: from here on the stream may be woken. NULL: nothing to do. Not called where there
     * will be no body (HEAD). */
    void (*open)(void *context, struct srv_stream *stream);
    /* Appends by the functions below. It may also be called when nobody woke it. MORE without a byte is a bug. */
    enum srv_stream_next (*fill)(void *context, struct srv_stream *stream);
    /* Once: the end, however it came. After it the stream may not be woken. NULL: nothing to do. */
    void (*close)(void *context);
};

/* ---- for producers ---- */

/* There may be something to say. Any thread, from open until close returns; a lock that close takes as well may be
 * held, which is how a publisher keeps a stream from closing under it. */
void srv_stream_wake(struct srv_stream *stream);
/* In fill alone: the bytes being written. Without memory or above `fill_bytes_max` the stream is cut. */
struct att_jsonw *srv_stream_writer(struct srv_stream *stream);
/* In fill alone: one event of the SSE format; id and name may be NULL, and hold no line break. `data` may: each of its
 * lines becomes a data line. */
void srv_stream_event(struct srv_stream *stream, const char *id, const char *name, const char *data, size_t len);

/* ---- subscriptions that are open ---- */

struct srv_streams {
    pthread_mutex_t mutex; /* protects list and count */
    struct srv_stream *list;
    size_t count;
    uint64_t heartbeat_us;
};

void srv_streams_init(struct srv_streams *streams, uint64_t heartbeat_us);
void srv_streams_finish(struct srv_streams *streams); /* all are destroyed */
/* Every few milliseconds: wakes those whose client left, and those that were silent for the heartbeat's time; all, to
 * their end, when the daemon drains. */
void srv_streams_tick(struct srv_streams *streams, bool draining);

/* ---- for requests and their transport ---- */

struct srv_stream_options {
    const struct srv_transport *transport;
    void *conn;
    const atomic_bool *cancelled; /* the client left; must outlive the stream */
    size_t fill_bytes_max;
};

/* `producer` is closed by srv_stream_destroy; not on failure. ATT_ENOMEM. */
enum att_status srv_stream_create(const struct srv_stream_options *options, const struct srv_producer *producer,
                                  struct srv_stream **ret_stream, struct att_err *err) ATT_MUST_USE;
/* Makes it one of `streams`, of at most `max`. ATT_EBUSY when they are that many. */
enum att_status srv_streams_add(struct srv_streams *streams, struct srv_stream *stream, size_t max,
                                struct att_err *err) ATT_MUST_USE;
void srv_stream_open(struct srv_stream *stream);
/* The next bytes, at most size. MORE: *ret_len of them, at least one. WAIT: none, and the connection is suspended. */
enum srv_stream_next srv_stream_read(struct srv_stream *stream, char *bytes, size_t size, size_t *ret_len);
/* All bytes read so far. */
uint64_t srv_stream_sent(const struct srv_stream *stream);
void srv_stream_destroy(struct srv_stream *stream); /* NULL is allowed */

#endif
