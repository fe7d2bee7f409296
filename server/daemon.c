/*
 * Start in an order in which each step can fail alone: the port first (the most
 * common mistake, and told at once), then models, workers, HTTP. Then wait for
 * signals, which a handler writes into a pipe: blocking them and reading a
 * signalfd would miss the threads that libraries start before main.
 *
 * SIGTERM or SIGINT: stop accepting, answer what was accepted, exit 0; a second
 * one exits at once. SIGHUP is noted and does nothing yet. SIGPIPE is ignored.
 */
#include "server/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "server/http.h"
#include "server/listen.h"
#include "server/workers.h"

enum { DRAIN_POLL_MS = 20, STUCK_US = 5000000, END_WAIT_US = 5000000 };

struct daemon {
    struct srv_server server;
    struct srv_workers *workers;
    struct srv_http *http;
    int listen_fd, signal_fd;
    bool listen_is_inherited;
    uint64_t started_us;
    char address[SRV_ADDRESS_MAX];
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

/* An inherited socket (LISTEN_FDS) goes before the configured address. */
static enum att_status open_socket(struct daemon *daemon, struct att_err *err)
{
    int n = sd_listen_fds(1);
    enum att_status status = ATT_OK;

    if (n > 1)
        return att_err_set(err, ATT_EINVAL, "%d sockets were handed over, expected one", n);
    if (n == 1 && sd_is_socket(SD_LISTEN_FDS_START, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
        return att_err_set(err, ATT_EINVAL, "the socket that was handed over does not listen");
    if (n == 1) {
        daemon->listen_fd = SD_LISTEN_FDS_START;
        daemon->listen_is_inherited = true;
        (void)fcntl(daemon->listen_fd, F_SETFL, fcntl(daemon->listen_fd, F_GETFL) | O_NONBLOCK);
    } else {
        status = srv_listen_open(daemon->server.config->server_listen.text, &daemon->listen_fd, err);
    }
    if (status == ATT_OK)
        srv_listen_name(daemon->listen_fd, daemon->address);
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

static void init_server(struct daemon *daemon, const struct srv_config *config)
{
    struct srv_server *server = &daemon->server;

    server->config = config;
    server->log.level = (enum srv_log_level)config->log_level.number;
    server->log.format = (enum srv_log_format)config->log_format.number;
    server->log.fd = STDERR_FILENO;
    server->started_unix_s = att_clock_unix_s();
    if (getrandom(&server->request_seed, sizeof(server->request_seed), 0) < 0)
        server->request_seed = att_clock_us();
    server->env.context = &server->models;
    server->env.find_model = srv_models_find;
    server->env.find_kb = srv_models_find_kb;
    server->env.limits = (struct task_limits){
        .items_max = (size_t)config->limits_items_max.number,
        .text_bytes_max = (size_t)config->limits_text_bytes_max.number,
        .tokens_max = (size_t)config->limits_tokens_max.number,
        .history_max = (size_t)config->limits_history_max.number,
        .answer_bytes_max = (size_t)config->limits_answer_bytes_max.number,
        .deadline_ms_max = (uint32_t)config->limits_deadline_ms_max.number,
        .deadline_ms_default = (uint32_t)config->limits_deadline_ms_default.number,
    };
}

static enum att_status start_work(struct daemon *daemon, struct att_err *err)
{
    struct srv_server *server = &daemon->server;
    const struct srv_config *config = server->config;
    struct srv_sched_limits limits = {
        .requests_max = (size_t)config->batching_queue_requests_max.number,
        .bytes_max = (size_t)config->batching_queue_bytes_max.number,
        .tokens_max = (size_t)config->batching_queue_tokens_max.number,
        .age_max_us = config->batching_age_max_ms.number * 1000,
        .bulk_share = (unsigned)config->batching_bulk_share.number,
    };
    struct srv_workers_options options = {
        .n_workers = (size_t)config->server_worker_threads.number,
        .tokens_budget = (size_t)config->batching_batch_tokens.number,
        .items_max = (size_t)config->batching_batch_sequences.number,
    };
    enum att_status status = srv_batcher_create(&limits, server->models.n_models, &server->batcher, err);

    if (status != ATT_OK)
        return status;
    return srv_workers_start(&options, &server->models, server->batcher, &server->metrics, &daemon->workers, err);
}

static enum att_status start(struct daemon *daemon, struct att_err *err)
{
    struct srv_server *server = &daemon->server;
    enum att_status status = catch_signals(daemon, err);
    int fd;

    if (status == ATT_OK)
        status = open_socket(daemon, err);
    if (status == ATT_OK)
        status = att_init(NULL, err);
    if (status == ATT_OK)
        status = srv_metrics_init(&server->metrics, err);
    if (status != ATT_OK)
        return status;
    srv_log(&server->log, SRV_LOG_INFO, "start", SRV_TEXT("version", ATT_VERSION),
            SRV_TEXT("kernels", att_kernel_names(ATT_F32)), SRV_TEXT("address", daemon->address));
    status = srv_models_load(&server->models, server->config, &server->log, err);
    if (status == ATT_OK)
        status = start_work(daemon, err);
    if (status != ATT_OK)
        return status;
    fd = daemon->listen_fd;
    daemon->listen_fd = -1;
    return srv_http_start(server, fd, daemon->listen_is_inherited, &daemon->http, err);
}

static void tell_ready(struct daemon *daemon)
{
    const struct srv_models *models = &daemon->server.models;
    unsigned long long ms = (unsigned long long)(att_clock_us() - daemon->started_us) / 1000;
    char line[128];
    int len = snprintf(line, sizeof(line), "ready on %s in %llu ms\n", daemon->address, ms);

    srv_log(&daemon->server.log, SRV_LOG_INFO, "ready", SRV_NUMBER("models", models->n_models),
            SRV_NUMBER("knowledge_bases", models->n_kbs), SRV_NUMBER("workers", srv_workers_count(daemon->workers)),
            SRV_NUMBER("scratch_mib", (double)srv_workers_context_bytes(daemon->workers) / 1048576.0),
            SRV_NUMBER("ms", ms));
    /* The contract is this one line, whatever the log's format and level. */
    if (len > 0 && write(STDERR_FILENO, line, (size_t)len) < 0)
        return;
    (void)sd_notifyf(0, "READY=1\nSTATUS=Serving %zu models and %zu knowledge bases on %s", models->n_models,
                     models->n_kbs, daemon->address);
}

/* ---- serving and draining ---- */

static bool stops(const struct daemon *daemon, int signal_number)
{
    if (signal_number == SIGHUP)
        srv_log(&daemon->server.log, SRV_LOG_WARN, "reload_not_supported", SRV_TEXT("signal", "SIGHUP"));
    return signal_number == SIGTERM || signal_number == SIGINT;
}

/* Feeds systemd's watchdog while the workers make progress; returns when a signal asks to stop. */
static void serve(const struct daemon *daemon)
{
    uint64_t watchdog_us = 0;
    int timeout_ms = -1;

    if (sd_watchdog_enabled(0, &watchdog_us) > 0)
        timeout_ms = (int)(watchdog_us / 3000) + 1;
    for (;;) {
        if (stops(daemon, wait_signal(daemon, timeout_ms)))
            return;
        if (timeout_ms > 0 && !srv_workers_stuck(daemon->workers, STUCK_US))
            (void)sd_notify(0, "WATCHDOG=1");
    }
}

/* Waits until all connections are gone or the time is over. False: asked a second time. */
static bool wait_drained(const struct daemon *daemon, uint64_t time_us)
{
    uint64_t until_us = att_clock_us() + time_us;

    while (!srv_http_is_drained(daemon->http) && att_clock_us() < until_us)
        if (stops(daemon, wait_signal(daemon, DRAIN_POLL_MS)))
            return false;
    return true;
}

static void drain(struct daemon *daemon)
{
    const struct srv_log *log = &daemon->server.log;
    uint64_t start_us = att_clock_us();

    (void)sd_notify(0, "STOPPING=1\nSTATUS=Answering accepted requests");
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

    if (server->batcher != NULL)
        srv_batcher_stop(server->batcher);
    srv_workers_join(daemon->workers);
    srv_http_stop(daemon->http);
    srv_batcher_destroy(server->batcher);
    srv_models_finish(&server->models);
    srv_metrics_finish(&server->metrics);
    /* The signal pipe stays open: a handler may still run. */
    if (daemon->listen_fd >= 0)
        close(daemon->listen_fd);
}

int srv_daemon_run(const struct srv_config *config)
{
    struct daemon daemon = {.listen_fd = -1, .signal_fd = -1, .started_us = att_clock_us()};
    struct att_err err;
    enum att_status status;

    raise_limits();
    init_server(&daemon, config);
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
