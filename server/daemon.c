/*
 * Start in an order in which each step can fail alone: the ports first (the most
 * common mistake, and told at once), then keys and models, workers, HTTP. Then wait
 * for signals, which a handler writes into a pipe: blocking them and reading a
 * signalfd would miss the threads that libraries start before main.
 *
 * SIGTERM or SIGINT: stop accepting, answer what was accepted, exit 0; a second
 * one exits at once. SIGHUP: reload.c does what it asks for. SIGPIPE is ignored.
 */
#include "server/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "server/alerts/alerts.h"
#include "server/alerts/webhooks.h"
#include "server/batch/writer.h"
#include "server/config/args.h"
#include "server/models/reload.h"
#include "server/net/http.h"
#include "server/net/tls.h"
#include "server/watch/drift.h"
#include "server/watch/notify.h"

enum { DRAIN_POLL_MS = 20, STUCK_US = 5000000, END_WAIT_US = 5000000, RELOAD_WAIT_US = 5000000, LISTENERS_MAX = 2 };

struct daemon {
    struct srv_server server;
    struct srv_settings *settings;
    struct srv_http *http;
    int argc;
    char **argv;
    struct srv_listener listeners[LISTENERS_MAX];
    size_t n_listeners;
    int signal_fd;
    uint64_t started_us;
};

/* ---- signals ---- */

static int signal_pipe = -1; /* RULE: a signal handler has no argument of its own */

static void on_signal(int signal_number)
{
    int saved = errno;
    unsigned char byte = (unsigned char)signal_number;

    /* A full pipe holds enough signals already. */
    (void)!write(signal_pipe, &byte, 1);
    errno = saved;
}

static enum att_status catch_signals(struct daemon *daemon, struct att_err *err)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return att_err_set(err, ATT_EIO, "cannot receive signals: no descriptor");
    daemon->signal_fd = ends[0];
    signal_pipe = ends[1];
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        (void)sigaction(signals[i], &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return ATT_OK;
}

/* The next signal, or 0 after timeout_ms (-1: never). */
static int wait_signal(const struct daemon *daemon, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = daemon->signal_fd, .events = POLLIN};
    unsigned char byte;

    if (poll(&poll_fd, 1, timeout_ms) <= 0 || read(daemon->signal_fd, &byte, 1) != 1)
        return 0;
    return byte;
}

/* ---- start ---- */

static struct srv_listener *add_listener(struct daemon *daemon)
{
    struct srv_listener *listener = &daemon->listeners[daemon->n_listeners++];

    *listener = (struct srv_listener){.fd = -1};
    return listener;
}

/* Sockets that systemd holds (LISTEN_FDS): the one of the name "admin" is the admin socket, any other the main one. */
static enum att_status take_inherited(struct daemon *daemon, int n, char *const *names, struct att_err *err)
{
    for (int i = 0; i < n; i++) {
        int fd = SD_LISTEN_FDS_START + i;
        bool is_admin = names != NULL && names[i] != NULL && strcmp(names[i], "admin") == 0;
        struct srv_listener *listener;

        if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
            return att_err_set(err, ATT_EINVAL, "the socket that was handed over does not listen");
        if (is_admin && sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) <= 0)
            return att_err_set(err, ATT_EINVAL, "the admin socket that was handed over is no unix socket");
        for (size_t k = 0; k < daemon->n_listeners; k++)
            if (daemon->listeners[k].is_admin == is_admin)
                return att_err_set(err, ATT_EINVAL, "%d sockets were handed over, expected one, and one named 'admin'",
                                   n);
        listener = add_listener(daemon);
        listener->fd = fd;
        listener->is_shared = true;
        listener->is_admin = is_admin;
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
    return ATT_OK;
}

static bool has_listener(const struct daemon *daemon, bool is_admin)
{
    for (size_t i = 0; i < daemon->n_listeners; i++)
        if (daemon->listeners[i].is_admin == is_admin)
            return true;
    return false;
}

/* Inherited sockets go before the configured addresses. */
static enum att_status open_sockets(struct daemon *daemon, struct att_err *err)
{
    const struct srv_config *config = daemon->server.config;
    const char *admin_path = srv_config_text(&config->server_admin_socket);
    char **names = NULL;
    int n = sd_listen_fds_with_names(1, &names);
    enum att_status status = n > 0 ? take_inherited(daemon, n, names, err) : ATT_OK;

    for (int i = 0; names != NULL && i < n; i++)
        free(names[i]); /* RULE: systemd's own */
    free(names);        /* RULE: systemd's own */
    if (status == ATT_OK && !has_listener(daemon, false))
        status = srv_listen_open(config->server_listen.text, add_listener(daemon), err);
    if (status == ATT_OK && !has_listener(daemon, true) && admin_path != NULL)
        status = srv_listen_open_admin(admin_path, add_listener(daemon), err);
    for (size_t i = 0; i < daemon->n_listeners && status == ATT_OK; i++)
        if (!daemon->listeners[i].is_admin)
            srv_listen_name(daemon->listeners[i].fd, daemon->server.address);
    return status;
}

/* As many descriptors as the system allows. */
static void raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void init_server(struct daemon *daemon)
{
    struct srv_server *server = &daemon->server;

    server->config = &daemon->settings->config;
    srv_log_set(&server->log, (enum srv_log_level)server->config->log_level.number,
                (enum srv_log_format)server->config->log_format.number);
    server->log.fd = STDERR_FILENO;
    srv_generations_init(&server->generations);
    srv_streams_init(&server->streams, server->config->server_heartbeat_ms.number * 1000);
    if (getrandom(&server->request_seed, sizeof(server->request_seed), 0) < 0)
        server->request_seed = att_clock_us();
}

/* SIGHUP reads what the start read. */
static enum att_status read_again(void *context, struct srv_config *config, struct att_err *err)
{
    const struct daemon *daemon = context;
    enum srv_action action;

    return srv_args_read(daemon->argc, daemon->argv, config, &action, err);
}

static enum att_status start_tls(struct daemon *daemon, struct att_err *err)
{
    struct srv_server *server = &daemon->server;
    struct srv_tls_pair *pair = NULL;
    enum att_status status = srv_tls_pair_load(server->config, &pair, err);

    if (status != ATT_OK || pair == NULL)
        return status;
    srv_log(&server->log, SRV_LOG_INFO, "tls", SRV_NUMBER("certificate_expires", srv_tls_pair_expires(pair)));
    server->tls = srv_tls_create(pair);
    if (server->tls == NULL) {
        srv_tls_pair_destroy(pair);
        return att_err_set(err, ATT_ENOMEM, "no memory for TLS");
    }
    return ATT_OK;
}

static enum att_status start_generation(struct daemon *daemon, struct att_err *err)
{
    struct srv_server *server = &daemon->server;
    struct srv_generation_source source = {
        .settings = daemon->settings, .log = &server->log, .metrics = &server->metrics};
    struct srv_generation *generation;
    enum att_status status = srv_generation_create(&source, &generation, err);

    if (status == ATT_OK)
        srv_generations_publish(&server->generations, generation);
    return status;
}

static enum att_status start(struct daemon *daemon, struct att_err *err)
{
    struct srv_server *server = &daemon->server;
    struct srv_reload_source reload = {.read = read_again, .context = daemon};
    enum att_status status = catch_signals(daemon, err);

    if (status == ATT_OK)
        status = open_sockets(daemon, err);
    if (status == ATT_OK)
        status = start_tls(daemon, err);
    if (status == ATT_OK)
        status = att_init(NULL, err);
    if (status == ATT_OK)
        status = srv_metrics_init(&server->metrics, err);
    if (status == ATT_OK)
        status = srv_drift_create((size_t)server->config->server_drift_window.number, &server->drift, err);
    if (status != ATT_OK)
        return status;
    srv_log(&server->log, SRV_LOG_INFO, "start", SRV_TEXT("version", ATT_VERSION),
            SRV_TEXT("kernels", att_kernel_names(ATT_F32)), SRV_TEXT("address", server->address));
    status = start_generation(daemon, err);
    if (status == ATT_OK)
        status = srv_reloader_start(server, &reload, &server->reloader, err);
    if (status == ATT_OK)
        status = srv_writer_start(&server->writer, err);
    if (status == ATT_OK)
        status = srv_writer_start(&server->reader, err);
    if (status == ATT_OK)
        status = srv_alerts_start(server, &server->alerts, err);
    if (status == ATT_OK)
        status = srv_webhooks_start(server, &server->webhooks, err);
    if (status == ATT_OK)
        status = srv_http_start(server, daemon->listeners, daemon->n_listeners, &daemon->http, err);
    return status;
}

static void tell_ready(struct daemon *daemon)
{
    struct srv_server *server = &daemon->server;
    struct srv_generation *generation = srv_generations_acquire(&server->generations);
    unsigned long long ms = (unsigned long long)(att_clock_us() - daemon->started_us) / 1000;
    char line[SRV_ADDRESS_MAX + 64];
    int len = snprintf(line, sizeof(line), "ready on %s in %llu ms\n", server->address, ms);

    srv_log(&server->log, SRV_LOG_INFO, "ready", SRV_NUMBER("models", generation->models.n_models),
            SRV_NUMBER("knowledge_bases", generation->models.n_kbs),
            SRV_NUMBER("workers", srv_workers_count(generation->workers)),
            SRV_NUMBER("scratch_mib", (double)srv_workers_context_bytes(generation->workers) / 1048576.0),
            SRV_TEXT("keys", generation->keys != NULL ? "yes" : "none"), SRV_NUMBER("ms", ms));
    srv_generations_release(&server->generations, generation);
    /* The contract is this one line, whatever the log's format and level. */
    if (len > 0 && write(STDERR_FILENO, line, (size_t)len) < 0)
        return;
    srv_notify_serving(server, NULL);
}

/* ---- serving and draining ---- */

static bool stops(int signal_number)
{
    return signal_number == SIGTERM || signal_number == SIGINT;
}

static void note_stuck(void *context, struct srv_generation *generation)
{
    bool *stuck = context;

    *stuck = *stuck || srv_workers_stuck(generation->workers, STUCK_US);
}

/* Feeds systemd's watchdog while the workers make progress; returns when a signal asks to stop. */
static void serve(struct daemon *daemon)
{
    int timeout_ms = srv_notify_interval_ms();

    for (;;) {
        int signal_number = wait_signal(daemon, timeout_ms);
        bool stuck = false;

        if (stops(signal_number))
            return;
        if (signal_number == SIGHUP)
            srv_reloader_ask(daemon->server.reloader);
        if (timeout_ms > 0)
            srv_generations_visit(&daemon->server.generations, note_stuck, &stuck);
        if (timeout_ms > 0 && !stuck)
            srv_notify_alive();
    }
}

/* Waits until all connections are gone or the time is over. False: asked a second time. */
static bool wait_drained(const struct daemon *daemon, uint64_t time_us)
{
    uint64_t until_us = att_clock_us() + time_us;

    while (!srv_http_is_drained(daemon->http) && att_clock_us() < until_us)
        if (stops(wait_signal(daemon, DRAIN_POLL_MS)))
            return false;
    return true;
}

static void drain(struct daemon *daemon)
{
    const struct srv_log *log = &daemon->server.log;
    uint64_t start_us = att_clock_us();

    srv_notify_stopping();
    srv_log(log, SRV_LOG_INFO, "draining", SRV_NUMBER("connections", srv_http_connections(daemon->http)));
    srv_http_drain(daemon->http);
    if (!wait_drained(daemon, daemon->server.config->server_drain_timeout_ms.number * 1000))
        _exit(1);
    if (srv_http_connections(daemon->http) > 0) {
        srv_log(log, SRV_LOG_WARN, "drain_timeout", SRV_NUMBER("connections", srv_http_connections(daemon->http)));
        srv_http_end_all(daemon->http);
        /* Work that has begun cannot be stopped; without it the library would find suspended connections. */
        if (!wait_drained(daemon, END_WAIT_US) || srv_http_connections(daemon->http) > 0)
            _exit(1);
    }
    srv_log(log, SRV_LOG_INFO, "stopped", SRV_NUMBER("ms", (double)(att_clock_us() - start_us) * 1e-3));
}

/* ---- stop ---- */

static void stop(struct daemon *daemon)
{
    struct srv_server *server = &daemon->server;

    /* A load cannot be broken off, and nothing that was promised depends on it. */
    if (!srv_reloader_stop(server->reloader, RELOAD_WAIT_US))
        _exit(0);
    srv_http_stop(daemon->http);
    srv_writer_stop(server->writer);
    srv_writer_stop(server->reader);
    srv_webhooks_stop(server->webhooks);
    srv_alerts_stop(server->alerts);
    srv_generations_finish(&server->generations);
    srv_streams_finish(&server->streams);
    srv_tls_destroy(server->tls);
    srv_metrics_finish(&server->metrics);
    srv_drift_destroy(server->drift);
    /* The signal pipe stays open: a handler may still run. */
    for (size_t i = 0; i < daemon->n_listeners; i++)
        srv_listen_close(&daemon->listeners[i]);
}

int srv_daemon_run(struct srv_settings *settings, int argc, char **argv)
{
    struct daemon daemon = {
        .settings = settings, .argc = argc, .argv = argv, .signal_fd = -1, .started_us = att_clock_us()};
    struct att_err err;
    enum att_status status;

    raise_limits();
    init_server(&daemon);
    status = start(&daemon, &err);
    if (status == ATT_OK) {
        tell_ready(&daemon);
        serve(&daemon);
        drain(&daemon);
    } else {
        fprintf(stderr, "%s\n", err.message);
    }
    stop(&daemon);
    return status == ATT_OK ? 0 : 1;
}
