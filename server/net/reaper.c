/*
 * The thread and the table of reaper.h.
 *
 * A connection leaves the table in a thread of the HTTP library while the reaper
 * may hold an event for it, so its record is freed by the reaper itself, before
 * it asks for the next events. Descriptors are shut down only while the record
 * is in the table, under the lock: the library closes them after removal, and a
 * number can never be that of another connection.
 */
#include "server/net/reaper.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "server/net/linger.h"
#include "server/net/raw.h"

enum {
    EVENTS_MAX = 64,
    LISTENERS_MAX = 2,
    ACCEPTS_MAX = 64, /* in a row, so that a flood of clients does not stop the clock */
    TICK_MS = 20,
    IDLE_TICK_MS = 200,
    SCAN_US = 100000,
    HALF_CLOSED_US = 1000000,     /* inside a request, while the library has not read all that came before */
    HALF_CLOSED_READ_US = 200000, /* when it has */
    HANDSHAKE_US = 50000,         /* while the daemon stops: for handshakes that have begun */
    DRAIN_GRACE_US = 200000,      /* for a request that is on its way while the daemon stops */
    PAUSE_US = 100000             /* without descriptors, before accept is tried again */
};

enum source_kind { SOURCE_LISTEN, SOURCE_WAKE, SOURCE_CONN, SOURCE_LINGER };

struct srv_conn {
    struct srv_source source;
    struct srv_conn *prev, *next;
    int fd;
    enum srv_conn_state state;
    uint64_t since_us, deadline_us; /* of the state */
    uint64_t received;              /* bytes, when the state began */
    bool left, lingers, removed;    /* left: the client closed its side */
    bool is_encrypted;
    void *context;
    uint64_t left_us;
    atomic_bool *cancel;
    enum srv_error target_error;
};

struct listening {
    struct srv_source source;
    struct srv_listener *listener;
};

struct srv_reaper {
    struct srv_reaper_options options;
    struct listening listening[LISTENERS_MAX];
    struct srv_source wake_source;
    int epoll_fd, wake_fd;
    pthread_t thread;
    bool started;
    /* the thread's own */
    bool accepting, filtered;
    uint64_t paused_until_us, scanned_us;
    pthread_mutex_t mutex; /* protects everything below, and the members of connections */
    struct srv_conn *conns, *dead;
    size_t n_conns, n_left;
    struct srv_lingers lingers;
    bool stopping, draining;
    uint64_t drain_us, closed_us; /* closed_us: when the listening socket was closed; 0: not yet */
};

/* ---- the table ---- */

static uint64_t received_bytes(int fd)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return 0;
    return info.tcpi_bytes_received;
}

static void set_state(const struct srv_reaper *reaper, struct srv_conn *conn, enum srv_conn_state state)
{
    const struct srv_reaper_options *options = &reaper->options;
    const uint64_t timeouts_ms[] = {
        [SRV_CONN_HEADER] = options->header_timeout_ms, [SRV_CONN_KEEPALIVE] = options->keepalive_timeout_ms,
        [SRV_CONN_BODY] = options->body_timeout_ms,     [SRV_CONN_BUSY] = 0,
        [SRV_CONN_SENDING] = options->send_timeout_ms,  [SRV_CONN_ENDED] = 0,
    };

    conn->state = state;
    conn->since_us = att_clock_us();
    conn->deadline_us = timeouts_ms[state] > 0 ? conn->since_us + timeouts_ms[state] * 1000 : UINT64_MAX;
    if (state == SRV_CONN_KEEPALIVE)
        conn->received = received_bytes(conn->fd);
}

struct srv_conn *srv_reaper_add(struct srv_reaper *reaper, int fd, bool is_encrypted, void *context)
{
    struct srv_conn *conn = att_mem_calloc(1, sizeof(*conn));
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = conn};

    if (conn == NULL)
        return NULL;
    conn->source.kind = SOURCE_CONN;
    conn->fd = fd;
    conn->is_encrypted = is_encrypted;
    conn->context = context;
    pthread_mutex_lock(&reaper->mutex);
    set_state(reaper, conn, SRV_CONN_HEADER);
    conn->next = reaper->conns;
    if (conn->next != NULL)
        conn->next->prev = conn;
    reaper->conns = conn;
    reaper->n_conns++;
    (void)epoll_ctl(reaper->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    pthread_mutex_unlock(&reaper->mutex);
    srv_metrics_add(reaper->options.metrics, SRV_METRIC_CONNECTIONS, 1);
    srv_metrics_add(reaper->options.metrics, SRV_METRIC_CONNECTIONS_TOTAL, 1);
    return conn;
}

void srv_reaper_remove(struct srv_reaper *reaper, struct srv_conn *conn)
{
    pthread_mutex_lock(&reaper->mutex);
    assert(!conn->removed);
    (void)epoll_ctl(reaper->epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL);
    if (conn->lingers && conn->state != SRV_CONN_ENDED && !reaper->stopping)
        srv_lingers_add(&reaper->lingers, conn->fd, SOURCE_LINGER);
    if (conn->prev != NULL)
        conn->prev->next = conn->next;
    else
        reaper->conns = conn->next;
    if (conn->next != NULL)
        conn->next->prev = conn->prev;
    reaper->n_conns--;
    reaper->n_left -= conn->left;
    conn->removed = true;
    conn->next = reaper->dead;
    reaper->dead = conn;
    pthread_mutex_unlock(&reaper->mutex);
    srv_metrics_subtract(reaper->options.metrics, SRV_METRIC_CONNECTIONS, 1);
}

bool srv_reaper_enter(struct srv_reaper *reaper, struct srv_conn *conn, enum srv_conn_state state, atomic_bool *cancel)
{
    bool alive;

    pthread_mutex_lock(&reaper->mutex);
    alive = conn->state != SRV_CONN_ENDED;
    if (alive)
        set_state(reaper, conn, state);
    conn->cancel = cancel;
    pthread_mutex_unlock(&reaper->mutex);
    return alive;
}

void srv_reaper_linger(struct srv_reaper *reaper, struct srv_conn *conn)
{
    pthread_mutex_lock(&reaper->mutex);
    conn->lingers = true;
    pthread_mutex_unlock(&reaper->mutex);
}

void srv_conn_answer(const struct srv_conn *conn, enum srv_error error, const struct att_err *err)
{
    if (!conn->is_encrypted)
        srv_raw_answer(conn->fd, error, err);
}

void *srv_conn_context(const struct srv_conn *conn)
{
    return conn->context;
}

enum srv_error srv_conn_target_error(const struct srv_conn *conn)
{
    return conn->target_error;
}

void srv_conn_set_target_error(struct srv_conn *conn, enum srv_error error)
{
    conn->target_error = error;
}

size_t srv_reaper_count(struct srv_reaper *reaper)
{
    size_t n;

    pthread_mutex_lock(&reaper->mutex);
    n = reaper->n_conns;
    pthread_mutex_unlock(&reaper->mutex);
    return n;
}

bool srv_reaper_is_drained(struct srv_reaper *reaper)
{
    bool drained;

    pthread_mutex_lock(&reaper->mutex);
    /* What was accepted last may still be on its way into the table. */
    drained = reaper->n_conns == 0 && reaper->closed_us != 0 && att_clock_us() - reaper->closed_us > HANDSHAKE_US;
    pthread_mutex_unlock(&reaper->mutex);
    return drained;
}

/* ---- ending what is late ---- */

static void end(struct srv_reaper *reaper, struct srv_conn *conn)
{
    if (conn->cancel != NULL)
        atomic_store_explicit(conn->cancel, true, memory_order_relaxed);
    set_state(reaper, conn, SRV_CONN_ENDED);
    (void)shutdown(conn->fd, SHUT_RDWR);
}

void srv_reaper_end(struct srv_reaper *reaper, struct srv_conn *conn)
{
    pthread_mutex_lock(&reaper->mutex);
    end(reaper, conn);
    pthread_mutex_unlock(&reaper->mutex);
}

/* A client closed its side inside a request, and the library had the time to read what came before. */
static bool is_over(const struct srv_conn *conn, uint64_t now_us)
{
    uint64_t from_us = conn->left_us > conn->since_us ? conn->left_us : conn->since_us;
    int n = 0;
    bool all_read = ioctl(conn->fd, SIOCINQ, &n) == 0 && n == 0;

    return now_us > from_us && now_us - from_us > (all_read ? HALF_CLOSED_READ_US : HALF_CLOSED_US);
}

static bool is_silent(const struct srv_conn *conn)
{
    return received_bytes(conn->fd) == conn->received;
}

/* A client that closed its side. While its request is worked on that means it left: the library reads the close after
 * resume and sends nothing, even where the client would still read. */
static void look_at_left(struct srv_reaper *reaper, struct srv_conn *conn, uint64_t now_us)
{
    bool is_waiting = conn->state == SRV_CONN_HEADER || conn->state == SRV_CONN_KEEPALIVE;

    if (conn->state == SRV_CONN_BUSY) {
        if (conn->cancel != NULL)
            atomic_store_explicit(conn->cancel, true, memory_order_relaxed);
    } else if (conn->state == SRV_CONN_BODY || (conn->state == SRV_CONN_HEADER && !is_silent(conn))) {
        if (!is_over(conn, now_us))
            return;
        srv_conn_answer(conn, SRV_ERR_FRAMING, NULL);
        end(reaper, conn);
    } else if (is_waiting && now_us > conn->left_us + HALF_CLOSED_US && now_us > conn->since_us + HALF_CLOSED_US) {
        /* The library has not seen it, and would not before its own timeout. */
        end(reaper, conn);
    }
}

static void look_at_deadline(struct srv_reaper *reaper, struct srv_conn *conn)
{
    enum srv_drop reason = SRV_DROP_SLOW_HEADER;
    bool answers = false;

    if (conn->state == SRV_CONN_SENDING)
        reason = SRV_DROP_SLOW_READER;
    else if (conn->state == SRV_CONN_BODY)
        reason = SRV_DROP_SLOW_BODY;
    if (conn->state == SRV_CONN_HEADER || conn->state == SRV_CONN_KEEPALIVE)
        answers = !is_silent(conn);
    else
        answers = conn->state == SRV_CONN_BODY;
    if (answers)
        srv_conn_answer(conn, SRV_ERR_TIMEOUT, NULL);
    if (answers || conn->state == SRV_CONN_SENDING)
        srv_metrics_drop(reaper->options.metrics, reason, 1);
    end(reaper, conn);
}

static void look_at(struct srv_reaper *reaper, struct srv_conn *conn, uint64_t now_us)
{
    bool is_waiting = conn->state == SRV_CONN_HEADER || conn->state == SRV_CONN_KEEPALIVE;

    if (conn->state == SRV_CONN_ENDED)
        return;
    if (conn->left)
        look_at_left(reaper, conn, now_us);
    if (now_us >= conn->deadline_us)
        look_at_deadline(reaper, conn);
    else if (reaper->draining && is_waiting && now_us - reaper->drain_us > DRAIN_GRACE_US &&
             now_us - conn->since_us > DRAIN_GRACE_US && is_silent(conn))
        end(reaper, conn);
}

static void scan(struct srv_reaper *reaper, uint64_t now_us)
{
    pthread_mutex_lock(&reaper->mutex);
    if (reaper->n_left > 0 || now_us - reaper->scanned_us >= SCAN_US) {
        reaper->scanned_us = now_us;
        for (struct srv_conn *conn = reaper->conns; conn != NULL; conn = conn->next)
            look_at(reaper, conn, now_us);
    }
    srv_lingers_expire(&reaper->lingers, now_us);
    pthread_mutex_unlock(&reaper->mutex);
}

/* ---- events ---- */

static void watch_listeners(struct srv_reaper *reaper, bool on)
{
    for (size_t i = 0; i < reaper->options.n_listeners && reaper->accepting != on; i++) {
        struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.ptr = &reaper->listening[i]};

        if (reaper->options.listeners[i].fd >= 0)
            (void)epoll_ctl(reaper->epoll_fd, EPOLL_CTL_MOD, reaper->options.listeners[i].fd, &event);
    }
    reaper->accepting = on;
}

/* Accepts until nothing waits, or the table is full, or descriptors are out. */
static void accept_some(struct srv_reaper *reaper, const struct srv_listener *listener, size_t max)
{
    for (size_t i = 0; i < max && listener->fd >= 0; i++) {
        struct sockaddr_storage address;
        socklen_t len = sizeof(address);
        int fd;

        if (srv_reaper_count(reaper) >= reaper->options.connections_max) {
            watch_listeners(reaper, false);
            return;
        }
        fd = accept4(listener->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            reaper->options.accepted(reaper->options.context, listener, fd, (struct sockaddr *)&address, len);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            watch_listeners(reaper, false);
            reaper->paused_until_us = att_clock_us() + PAUSE_US;
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static void note_left(struct srv_reaper *reaper, struct srv_conn *conn)
{
    pthread_mutex_lock(&reaper->mutex);
    if (!conn->removed && !conn->left) {
        conn->left = true;
        conn->left_us = att_clock_us();
        reaper->n_left++;
    }
    pthread_mutex_unlock(&reaper->mutex);
}

static void handle(struct srv_reaper *reaper, const struct epoll_event *event)
{
    struct srv_source *source = event->data.ptr;
    uint64_t count;

    switch (source->kind) {
    case SOURCE_LISTEN:
        accept_some(reaper, ((struct listening *)source)->listener, ACCEPTS_MAX);
        break;
    case SOURCE_WAKE:
        (void)!read(reaper->wake_fd, &count, sizeof(count));
        break;
    case SOURCE_CONN:
        note_left(reaper, (struct srv_conn *)source);
        break;
    case SOURCE_LINGER:
        pthread_mutex_lock(&reaper->mutex);
        srv_lingers_read(&reaper->lingers, source);
        pthread_mutex_unlock(&reaper->mutex);
        break;
    }
}

static void free_dead(struct srv_reaper *reaper)
{
    struct srv_conn *dead;

    pthread_mutex_lock(&reaper->mutex);
    dead = reaper->dead;
    reaper->dead = NULL;
    pthread_mutex_unlock(&reaper->mutex);
    while (dead != NULL) {
        struct srv_conn *next = dead->next;

        att_mem_free(dead);
        dead = next;
    }
}

/* One look at the listening sockets while the daemon drains. */
static void drain_listeners(struct srv_reaper *reaper)
{
    uint64_t now_us = att_clock_us();
    bool is_over = now_us - reaper->drain_us >= HANDSHAKE_US;

    for (size_t i = 0; i < reaper->options.n_listeners; i++) {
        struct srv_listener *listener = &reaper->options.listeners[i];

        if (listener->is_shared) {
            srv_listen_close(listener);
            continue;
        }
        if (!reaper->filtered && listener->path[0] == '\0')
            srv_listen_refuse(listener->fd);
        else if (!reaper->filtered)
            (void)unlink(listener->path);
        accept_some(reaper, listener, SIZE_MAX);
        if (is_over)
            srv_listen_close(listener);
    }
    reaper->filtered = true;
    if (!is_over)
        return;
    pthread_mutex_lock(&reaper->mutex);
    reaper->closed_us = now_us;
    pthread_mutex_unlock(&reaper->mutex);
}

/* The draining and stopping flags, and accepting again after a pause. False: stop. */
static bool obey(struct srv_reaper *reaper, bool *ret_busy)
{
    bool draining, stopping, closed;
    size_t n_conns;

    pthread_mutex_lock(&reaper->mutex);
    draining = reaper->draining;
    stopping = reaper->stopping;
    closed = reaper->closed_us != 0;
    n_conns = reaper->n_conns;
    *ret_busy = n_conns > 0 || reaper->lingers.count > 0;
    pthread_mutex_unlock(&reaper->mutex);
    if (draining && !closed)
        drain_listeners(reaper);
    if (!reaper->accepting && !closed && n_conns < reaper->options.connections_max &&
        att_clock_us() >= reaper->paused_until_us)
        watch_listeners(reaper, true);
    if (!reaper->accepting || draining)
        *ret_busy = true;
    return !stopping;
}

static void *reaper_main(void *argument)
{
    struct srv_reaper *reaper = argument;
    struct epoll_event events[EVENTS_MAX];
    bool busy = false;

    pthread_setname_np(pthread_self(), "attentd-reaper");
    while (obey(reaper, &busy)) {
        int n;

        free_dead(reaper);
        n = epoll_wait(reaper->epoll_fd, events, EVENTS_MAX, busy ? TICK_MS : IDLE_TICK_MS);
        for (int i = 0; i < n; i++)
            handle(reaper, &events[i]);
        scan(reaper, att_clock_us());
        reaper->options.tick(reaper->options.context);
    }
    return NULL;
}

/* ---- life ---- */

static bool watch(struct srv_reaper *reaper, int fd, void *source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};

    return epoll_ctl(reaper->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

enum att_status srv_reaper_create(const struct srv_reaper_options *options, struct srv_reaper **ret_reaper,
                                  struct att_err *err)
{
    struct srv_reaper *reaper = att_mem_calloc(1, sizeof(*reaper));
    bool watched;

    assert(options->n_listeners > 0 && options->n_listeners <= LISTENERS_MAX);
    if (reaper == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for the reaper");
    reaper->options = *options;
    reaper->wake_source.kind = SOURCE_WAKE;
    reaper->accepting = true;
    pthread_mutex_init(&reaper->mutex, NULL);
    reaper->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    reaper->lingers.epoll_fd = reaper->epoll_fd;
    reaper->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    watched = reaper->epoll_fd >= 0 && reaper->wake_fd >= 0 && watch(reaper, reaper->wake_fd, &reaper->wake_source);
    for (size_t i = 0; i < options->n_listeners && watched; i++) {
        reaper->listening[i] = (struct listening){{SOURCE_LISTEN}, &options->listeners[i]};
        watched = watch(reaper, options->listeners[i].fd, &reaper->listening[i]);
    }
    if (!watched) {
        srv_reaper_destroy(reaper);
        return att_err_set(err, ATT_EIO, "cannot watch sockets with epoll");
    }
    *ret_reaper = reaper;
    return ATT_OK;
}

enum att_status srv_reaper_start(struct srv_reaper *reaper, struct att_err *err)
{
    if (pthread_create(&reaper->thread, NULL, reaper_main, reaper) != 0)
        return att_err_set(err, ATT_EIO, "cannot start the reaper's thread");
    reaper->started = true;
    return ATT_OK;
}

static void wake(struct srv_reaper *reaper)
{
    uint64_t one = 1;

    (void)!write(reaper->wake_fd, &one, sizeof(one));
}

void srv_reaper_drain(struct srv_reaper *reaper)
{
    pthread_mutex_lock(&reaper->mutex);
    reaper->draining = true;
    reaper->drain_us = att_clock_us();
    pthread_mutex_unlock(&reaper->mutex);
    wake(reaper);
}

void srv_reaper_end_all(struct srv_reaper *reaper)
{
    pthread_mutex_lock(&reaper->mutex);
    for (struct srv_conn *conn = reaper->conns; conn != NULL; conn = conn->next)
        end(reaper, conn);
    pthread_mutex_unlock(&reaper->mutex);
    wake(reaper);
}

void srv_reaper_destroy(struct srv_reaper *reaper)
{
    if (reaper == NULL)
        return;
    if (reaper->started) {
        pthread_mutex_lock(&reaper->mutex);
        reaper->stopping = true;
        pthread_mutex_unlock(&reaper->mutex);
        wake(reaper);
        pthread_join(reaper->thread, NULL);
    }
    free_dead(reaper);
    srv_lingers_expire(&reaper->lingers, UINT64_MAX);
    if (reaper->epoll_fd >= 0)
        close(reaper->epoll_fd);
    if (reaper->wake_fd >= 0)
        close(reaper->wake_fd);
    pthread_mutex_destroy(&reaper->mutex);
    att_mem_free(reaper);
}
