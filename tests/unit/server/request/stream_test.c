/* Streams: every byte once and in order, no wake is lost, and subscriptions are bounded, kept alive and ended. */
#include "server/request/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "core/base/clock.h"
#include "core/base/mem.h"

enum { N_WAKERS = 4, N_ITEMS = 2000, SECOND_US = 1000000 };

/* A connection that is suspended and resumed. */
struct conn {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool suspended;
    size_t n_suspended, n_resumed;
};

static void suspend(void *context)
{
    struct conn *conn = context;

    pthread_mutex_lock(&conn->mutex);
    assert_false(conn->suspended);
    conn->suspended = true;
    conn->n_suspended++;
    pthread_mutex_unlock(&conn->mutex);
}

static void resume(void *context)
{
    struct conn *conn = context;

    pthread_mutex_lock(&conn->mutex);
    assert_true(conn->suspended); /* resumed twice: a wake too many */
    conn->suspended = false;
    conn->n_resumed++;
    pthread_cond_signal(&conn->changed);
    pthread_mutex_unlock(&conn->mutex);
}

static void await(struct conn *conn)
{
    pthread_mutex_lock(&conn->mutex);
    while (conn->suspended)
        pthread_cond_wait(&conn->changed, &conn->mutex);
    pthread_mutex_unlock(&conn->mutex);
}

static const struct srv_transport transport = {suspend, resume};

/* What a test producer says next. */
struct script {
    const char *const *texts; /* NULL: WAIT; "": END */
    size_t at;
    int n_open, n_close;
};

static void script_open(void *context, struct srv_stream *stream)
{
    (void)stream;
    ((struct script *)context)->n_open++;
}

static void script_close(void *context)
{
    ((struct script *)context)->n_close++;
}

static enum srv_stream_next script_fill(void *context, struct srv_stream *stream)
{
    struct script *script = context;
    const char *text = script->texts[script->at];

    if (text != NULL && *text == '\0')
        return SRV_STREAM_END;
    script->at++;
    if (text == NULL)
        return SRV_STREAM_WAIT;
    att_jsonw_append(srv_stream_writer(stream), text, strlen(text));
    return SRV_STREAM_MORE;
}

struct fixture {
    struct conn conn;
    atomic_bool cancelled;
    struct script script;
    struct srv_stream *stream;
};

static void begin(struct fixture *f, const char *const *texts, size_t fill_bytes_max)
{
    const struct srv_stream_options options = {&transport, &f->conn, &f->cancelled, fill_bytes_max};
    const struct srv_producer producer = {
        .context = &f->script, .open = script_open, .fill = script_fill, .close = script_close};

    memset(f, 0, sizeof(*f));
    pthread_mutex_init(&f->conn.mutex, NULL);
    pthread_cond_init(&f->conn.changed, NULL);
    f->script.texts = texts;
    assert_int_equal(srv_stream_create(&options, &producer, &f->stream, NULL), ATT_OK);
    srv_stream_open(f->stream);
    assert_int_equal(f->script.n_open, 1);
}

static void end(struct fixture *f)
{
    srv_stream_destroy(f->stream);
    assert_int_equal(f->script.n_close, 1);
}

/* Reads `size` bytes a time until the stream says something else than MORE. */
static enum srv_stream_next read_all(struct fixture *f, size_t size, char *text)
{
    enum srv_stream_next next;
    size_t n, len = 0;

    while ((next = srv_stream_read(f->stream, text + len, size, &n)) == SRV_STREAM_MORE) {
        assert_in_range(n, 1, size);
        len += n;
    }
    text[len] = '\0';
    return next;
}

static void test_order(void **state)
{
    static const char *const texts[] = {"one ", "two", NULL, " three", ""};
    char text[64];
    struct fixture f;

    (void)state;
    for (size_t size = 1; size < 8; size++) {
        begin(&f, texts, 1000);
        assert_int_equal(read_all(&f, size, text), SRV_STREAM_WAIT);
        assert_string_equal(text, "one two");
        assert_true(f.conn.suspended);
        srv_stream_wake(f.stream);
        assert_false(f.conn.suspended);
        srv_stream_wake(f.stream); /* awake already */
        assert_int_equal(read_all(&f, size, text), SRV_STREAM_END);
        assert_string_equal(text, " three");
        assert_int_equal(srv_stream_sent(f.stream), 13);
        assert_int_equal(read_all(&f, size, text), SRV_STREAM_END); /* stays so */
        end(&f);
    }
}

static void test_cut(void **state)
{
    static const char *const texts[] = {"0123456789", ""};
    char text[64];
    struct fixture f;

    (void)state;
    begin(&f, texts, 8); /* more than it may hold */
    assert_int_equal(read_all(&f, 4, text), SRV_STREAM_CUT);
    assert_string_equal(text, "");
    end(&f);
    begin(&f, texts, 1000);
    att_mem_fail_at(1, false);
    assert_int_equal(read_all(&f, 4, text), SRV_STREAM_CUT);
    att_mem_fail_at(0, false);
    end(&f);
    begin(&f, texts, 1000);
    atomic_store(&f.cancelled, true);
    assert_int_equal(read_all(&f, 4, text), SRV_STREAM_CUT);
    end(&f);
    att_mem_fail_at(1, false);
    assert_int_equal(srv_stream_create(&(struct srv_stream_options){0}, &(struct srv_producer){.fill = script_fill},
                                       &f.stream, NULL),
                     ATT_ENOMEM);
    att_mem_fail_at(0, false);
    srv_stream_destroy(NULL);
}

static enum srv_stream_next event_fill(void *context, struct srv_stream *stream)
{
    (void)context;
    srv_stream_event(stream, "7", "alert", "one\ntwo\r\nthree\r", 15);
    srv_stream_event(stream, NULL, NULL, "", 0);
    return SRV_STREAM_END;
}

static void test_events(void **state)
{
    char text[256];
    struct fixture f = {.script = {0}};
    const struct srv_stream_options options = {&transport, &f.conn, &f.cancelled, 1000};

    (void)state;
    assert_int_equal(srv_stream_create(&options, &(struct srv_producer){.fill = event_fill}, &f.stream, NULL), ATT_OK);
    srv_stream_open(f.stream);
    assert_int_equal(read_all(&f, 5, text), SRV_STREAM_END);
    assert_string_equal(text, "id: 7\nevent: alert\ndata: one\ndata: two\ndata: three\ndata: \n\ndata: \n\n");
    srv_stream_destroy(f.stream);
}

static void test_subscriptions(void **state)
{
    static const char *const texts[] = {NULL, NULL, NULL, NULL, NULL, NULL, "x", ""};
    struct srv_streams streams;
    struct fixture f[3];
    char text[64];

    (void)state;
    srv_streams_init(&streams, 30 * (uint64_t)1000);
    for (size_t i = 0; i < 3; i++) {
        begin(&f[i], texts, 1000);
        assert_int_equal(srv_streams_add(&streams, f[i].stream, 2, NULL), i < 2 ? ATT_OK : ATT_EBUSY);
    }
    end(&f[2]);
    assert_int_equal(streams.count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(read_all(&f[i], 50, text), SRV_STREAM_WAIT);
    srv_streams_tick(&streams, false);
    assert_true(f[0].conn.suspended); /* nothing to do yet */
    for (uint64_t until_us = att_clock_us() + 5 * SECOND_US; f[0].conn.suspended && att_clock_us() < until_us;)
        srv_streams_tick(&streams, false);
    assert_int_equal(read_all(&f[0], 50, text), SRV_STREAM_WAIT);
    assert_string_equal(text, ": keep-alive\n\n");
    atomic_store(&f[0].cancelled, true); /* left */
    srv_streams_tick(&streams, false);
    assert_int_equal(read_all(&f[0], 50, text), SRV_STREAM_CUT);
    end(&f[0]);
    srv_streams_tick(&streams, true);
    assert_int_equal(read_all(&f[1], 50, text), SRV_STREAM_END);
    end(&f[1]);
    assert_int_equal(streams.count, 0);
    srv_streams_finish(&streams);
}

/* ---- threads ---- */

static atomic_size_t n_made, n_told;
static struct srv_stream *shared;

static enum srv_stream_next count_fill(void *context, struct srv_stream *stream)
{
    size_t n = atomic_load(&n_made) - n_told;

    (void)context;
    for (size_t i = 0; i < n; i++)
        att_jsonw_append(srv_stream_writer(stream), "x", 1);
    n_told += n;
    return n_told == (size_t)N_WAKERS * N_ITEMS ? SRV_STREAM_END : SRV_STREAM_WAIT;
}

static void *make(void *argument)
{
    (void)argument;
    for (size_t i = 0; i < N_ITEMS; i++) {
        atomic_fetch_add(&n_made, 1);
        srv_stream_wake(shared);
    }
    return NULL;
}

/* If a wake were lost the reader would sleep for ever. */
static void test_wakes(void **state)
{
    struct fixture f = {.script = {0}};
    const struct srv_stream_options options = {&transport, &f.conn, &f.cancelled, 1 << 20};
    pthread_t threads[N_WAKERS];
    enum srv_stream_next next;
    char bytes[64];
    size_t n, len = 0;

    (void)state;
    pthread_mutex_init(&f.conn.mutex, NULL);
    pthread_cond_init(&f.conn.changed, NULL);
    assert_int_equal(srv_stream_create(&options, &(struct srv_producer){.fill = count_fill}, &shared, NULL), ATT_OK);
    srv_stream_open(shared);
    for (size_t t = 0; t < N_WAKERS; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, make, NULL), 0);
    while ((next = srv_stream_read(shared, bytes, sizeof(bytes), &n)) != SRV_STREAM_END) {
        len += n;
        if (next == SRV_STREAM_WAIT)
            await(&f.conn);
    }
    for (size_t t = 0; t < N_WAKERS; t++)
        pthread_join(threads[t], NULL);
    assert_int_equal(len, N_WAKERS * N_ITEMS);
    assert_int_equal(f.conn.n_suspended, f.conn.n_resumed);
    srv_stream_destroy(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),         cmocka_unit_test(test_cut),   cmocka_unit_test(test_events),
        cmocka_unit_test(test_subscriptions), cmocka_unit_test(test_wakes),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
