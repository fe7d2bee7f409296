/*
 * Alerts of a live daemon: found after ingestion, streamed to who listens and to
 * who comes back, silent for the cooldown, and posted to a receiver that fails at
 * first, is signed for, and gets each alert in order, also across a crash.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/digest.h"
#include "live.h"

enum { REQUESTS_MAX = 64, REQUEST_BYTES = 16384, WAIT_MS = 15000 };

/* ---- a receiver ---- */

struct receiver {
    int fd, port;
    pthread_t thread;
    pthread_mutex_t mutex; /* protects what is below */
    char requests[REQUESTS_MAX][REQUEST_BYTES];
    size_t n;
    int failures; /* so many requests are answered 503 first */
    bool stopping;
};

static struct receiver receiver;

/* One request with its body; false: the peer left. */
static bool read_request(int fd, char *text)
{
    size_t len = 0;
    for (;;) {
        ssize_t n = recv(fd, text + len, REQUEST_BYTES - 1 - len, 0);
        if (n <= 0)
            return false;
        text[len += (size_t)n] = '\0';
        const char *end = strstr(text, "\r\n\r\n"), *length = strstr(text, "Content-Length: ");
        if (end && length && len >= (size_t)(end + 4 - text) + strtoul(length + 16, NULL, 10))
            return true;
    }
}

static void serve(int fd)
{
    static const char taken[] = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    static const char failed[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    char text[REQUEST_BYTES];
    if (!read_request(fd, text))
        return;
    pthread_mutex_lock(&receiver.mutex);
    bool fails = receiver.failures != 0;
    receiver.failures -= receiver.failures > 0;
    if (receiver.n < REQUESTS_MAX)
        memcpy(receiver.requests[receiver.n++], text, sizeof text);
    pthread_mutex_unlock(&receiver.mutex);
    const char *answer = fails ? failed : taken;
    (void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
}

static void *receive(void *context)
{
    (void)context;
    for (;;) {
        int fd = accept(receiver.fd, NULL, NULL);
        pthread_mutex_lock(&receiver.mutex);
        bool stopping = receiver.stopping;
        pthread_mutex_unlock(&receiver.mutex);
        if (fd >= 0 && !stopping)
            serve(fd);
        if (fd >= 0)
            close(fd);
        if (stopping || fd < 0)
            return NULL;
    }
}

/* failures < 0: every request fails. */
static void start_receiver(int failures)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    memset(&receiver, 0, sizeof receiver);
    receiver.failures = failures;
    pthread_mutex_init(&receiver.mutex, NULL);
    receiver.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(receiver.fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(receiver.fd, 16), 0);
    assert_int_equal(getsockname(receiver.fd, (struct sockaddr *)&address, &len), 0);
    receiver.port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&receiver.thread, NULL, receive, NULL), 0);
}

static void stop_receiver(void)
{
    pthread_mutex_lock(&receiver.mutex);
    receiver.stopping = true;
    pthread_mutex_unlock(&receiver.mutex);
    shutdown(receiver.fd, SHUT_RDWR);
    pthread_join(receiver.thread, NULL);
    close(receiver.fd);
    pthread_mutex_destroy(&receiver.mutex);
}

static void set_failures(int failures)
{
    pthread_mutex_lock(&receiver.mutex);
    receiver.failures = failures;
    pthread_mutex_unlock(&receiver.mutex);
}

/* Until it has got so many requests. */
static void wait_requests(size_t n)
{
    for (int ms = 0; ms < WAIT_MS; ms += 20) {
        pthread_mutex_lock(&receiver.mutex);
        size_t got = receiver.n;
        pthread_mutex_unlock(&receiver.mutex);
        if (got >= n)
            return;
        usleep(20000);
    }
    fail_msg("%zu requests, expected %zu", receiver.n, n);
}

static void wait_metric(const struct live *live, const char *line)
{
    for (int ms = 0; ms < WAIT_MS; ms += 50) {
        struct reply reply = live_ask(live, "GET", "/metrics", NULL, NULL);
        bool there = strstr(reply.body, line) != NULL;
        reply_free(&reply);
        if (there)
            return;
        usleep(50000);
    }
    fail_msg("no %s", line);
}

/* ---- news ---- */

static int next_report; /* its id */

/* `n` reports of one event, each with an id of its own. */
static void ingest(const struct live *live, const char *event, size_t n)
{
    char body[4096];
    size_t len = (size_t)snprintf(body, sizeof body, "{\"items\":[");
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(body + len, sizeof body - len,
                                "%s{\"id\":\"%d\",\"source\":\"s%zu\",\"title\":\"%s\",\"text\":\"%s\",\"time\":%lld}",
                                i ? "," : "", next_report++, i, event, event, (long long)time(NULL) - 60);
    snprintf(body + len, sizeof body - len, "]}");
    struct reply reply = live_post(live, "/v1/ingest", body);
    if (reply.status != 200)
        fail_msg("%ld: %s", reply.status, reply.body);
    reply_free(&reply);
}

static const char first_event[] = "Acme recalls two thousand pumps after accidents in two of its plants";
static const char second_event[] = "Globex opens a new office on the moon and invites every astronaut";
static const char rules[] = "[alert many]\nlevel = red\nitems_min = 3\nsources_min = 3\n"
                            "[alert everything]\nlevel = blue\nsubject = all\nitems_min = 3\n";

/* What a stream sends within `milliseconds`. */
static const char *listen_to(const struct live *live, const char *path, const char *header, int milliseconds)
{
    char request[512];
    bool closed;
    int fd = live_connect(live);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", path, header);
    live_say(fd, request);
    const char *text = live_read(fd, milliseconds, &closed);
    close(fd);
    return text;
}

/* ---- streams ---- */

static void test_stream(void **state)
{
    struct live live;
    bool closed;
    (void)state;
    live_start(&live, rules);
    int fd = live_connect(&live);
    live_say(fd, "GET /v1/stream?level=red HTTP/1.1\r\nHost: x\r\n\r\n");
    usleep(200000);
    ingest(&live, first_event, 3);
    live_wait_logged(&live, "event=alert ", 2);
    const char *text = live_read(fd, 1000, &closed);
    assert_false(closed);
    assert_non_null(strstr(text, "Content-Type: text/event-stream"));
    assert_non_null(strstr(text, "event: alert\ndata: {\"id\":"));
    assert_non_null(strstr(text, "\"rule\":\"many\""));
    assert_non_null(strstr(text, first_event));
    assert_non_null(strstr(text, "{\"measure\":\"items\",\"value\":3,\"relation\":\">=\",\"limit\":3}"));
    assert_null(strstr(text, "\"rule\":\"everything\""));
    /* Silence about the same event; another one is told under the next number. */
    ingest(&live, first_event, 1);
    ingest(&live, second_event, 3);
    live_wait_logged(&live, "event=alert ", 3);
    text = live_read(fd, 1000, &closed);
    assert_non_null(strstr(text, "id: 3\n"));
    assert_non_null(strstr(text, second_event));
    assert_null(strstr(text, first_event));
    close(fd);
    /* Who comes back gets what it missed, and nothing twice. */
    text = listen_to(&live, "/v1/stream?after=0", "", 500);
    assert_non_null(strstr(text, "id: 1\n"));
    assert_non_null(strstr(text, "id: 2\n"));
    assert_non_null(strstr(text, "id: 3\n"));
    text = listen_to(&live, "/v1/stream?after=0", "Last-Event-ID: 2\r\n", 500);
    assert_null(strstr(text, "id: 2\n"));
    assert_non_null(strstr(text, "id: 3\n"));
    text = listen_to(&live, "/v1/stream?after=0&rule=everything", "", 500);
    assert_null(strstr(text, "\"rule\":\"many\""));
    assert_non_null(strstr(text, "\"rule\":\"everything\""));
    text = listen_to(&live, "/v1/stream?after=3", "", 300);
    assert_null(strstr(text, "event: alert"));
    struct reply reply = live_ask(&live, "GET", "/metrics", NULL, NULL);
    assert_non_null(strstr(reply.body, "attentd_alerts_total 3\n"));
    reply_free(&reply);
    live_stop(&live);
}

/* Asks for the list; its numbers, as "1 2 +" where there are more. */
static const char *list(const struct live *live, const char *path)
{
    static char text[64];
    struct reply reply = live_ask(live, "GET", path, NULL, NULL);
    if (reply.status != 200)
        fail_msg("%ld: %s", reply.status, reply.body);
    struct att_json *json = reply_json(&reply);
    const struct att_json *data = att_json_get(json, "data");
    size_t n = att_json_count(data), len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        const struct att_json *alert = att_json_at(data, i);
        assert_non_null(att_json_string(att_json_get(alert, "rule"), NULL));
        assert_non_null(att_json_get(alert, "first"));
        len += (size_t)snprintf(text + len, sizeof text - len, "%.0f ", att_json_number(att_json_get(alert, "id"), 0));
    }
    double last = n > 0 ? att_json_number(att_json_get(att_json_at(data, n - 1), "id"), 0) : -1;
    assert_true(att_json_number(att_json_get(json, "last_id"), -1) == last);
    if (att_json_bool(att_json_get(json, "has_more"), false))
        snprintf(text + len, sizeof text - len, "+");
    att_json_destroy(json);
    reply_free(&reply);
    return text;
}

static void test_list(void **state)
{
    struct live live;
    (void)state;
    live_start(&live, rules);
    assert_string_equal(list(&live, "/v1/alerts"), "");
    ingest(&live, first_event, 3);
    live_wait_logged(&live, "event=alert ", 2);
    ingest(&live, second_event, 3);
    live_wait_logged(&live, "event=alert ", 3);
    assert_string_equal(list(&live, "/v1/alerts"), "1 2 3 ");
    assert_string_equal(list(&live, "/v1/alerts?limit=2"), "1 2 +");
    assert_string_equal(list(&live, "/v1/alerts?limit=2&after=2"), "3 ");
    assert_string_equal(list(&live, "/v1/alerts?level=orange"), "1 3 ");
    assert_string_equal(list(&live, "/v1/alerts?level=blue&limit=1&after=1"), "2 +");
    assert_string_equal(list(&live, "/v1/alerts?after=3"), "");
    assert_string_equal(list(&live, "/v1/alerts?order=newest"), "3 2 1 ");
    assert_string_equal(list(&live, "/v1/alerts?order=newest&limit=2"), "3 2 +");
    assert_string_equal(list(&live, "/v1/alerts?order=newest&limit=2&before=2"), "1 ");
    assert_string_equal(list(&live, "/v1/alerts?order=newest&level=orange"), "3 1 ");
    assert_string_equal(list(&live, "/v1/alerts?order=newest&after=1"), "3 2 ");
    assert_string_equal(list(&live, "/v1/alerts?before=3"), "1 2 ");
    expect_error(live_ask(&live, "GET", "/v1/alerts?order=oldest", NULL, NULL), 422, "invalid_value", "order");
    expect_error(live_ask(&live, "GET", "/v1/alerts?before=0", NULL, NULL), 422, "invalid_value", "before");
    expect_error(live_ask(&live, "GET", "/v1/alerts?level=pink", NULL, NULL), 422, "invalid_value", "level");
    expect_error(live_ask(&live, "GET", "/v1/alerts?limit=0", NULL, NULL), 422, "invalid_value", "limit");
    expect_error(live_ask(&live, "GET", "/v1/alerts?after=-1", NULL, NULL), 422, "invalid_value", "after");
    expect_error(live_ask(&live, "GET", "/v1/alerts?rule=x", NULL, NULL), 422, "invalid_value", "rule");
    live_stop(&live);
}

static void remove_report(const struct live *live, int id)
{
    char path[32];
    snprintf(path, sizeof path, "/v1/news/%d", id);
    struct reply reply = live_ask(live, "DELETE", path, NULL, NULL);
    assert_int_equal(reply.status, 204);
    reply_free(&reply);
}

static void test_what_is_removed_alerts_nobody(void **state)
{
    struct live live;
    int first = next_report;
    (void)state;
    live_start(&live, rules);
    ingest(&live, first_event, 2);
    usleep(1500000); /* the alerts have seen them */
    remove_report(&live, first);
    remove_report(&live, first + 1);
    ingest(&live, first_event, 1);
    usleep(1500000);
    assert_string_equal(list(&live, "/v1/alerts"), "");
    ingest(&live, first_event, 3);
    live_wait_logged(&live, "event=alert ", 2);
    const char *text = listen_to(&live, "/v1/stream?after=0", "", 500);
    assert_non_null(strstr(text, "\"values\":{\"items\":4,\"sources\":3,"));
    live_stop(&live);
}

/* A grave rule does not wait for what a lesser one before it finds, and all that is found is told at once: here each
 * subject once, though the rule has no cooldown. */
static void test_many(void **state)
{
    enum { N = 250 };
    static const char many_rules[] = "[alert lesser]\nlevel = blue\nsubject = source\nheat_min = 0.1\n"
                                     "cooldown_minutes = 0\n"
                                     "[alert grave]\nlevel = red\nsubject = all\nitems_min = 3\n";
    static char body[N * 128];
    struct live live;
    size_t len = (size_t)snprintf(body, sizeof body, "{\"items\":[");
    (void)state;
    for (size_t i = 0; i < N; i++)
        len +=
            (size_t)snprintf(body + len, sizeof body - len, "%s{\"id\":\"m%zu\",\"source\":\"s%zu\",\"text\":\"%s\"}",
                             i ? "," : "", i, i, first_event);
    snprintf(body + len, sizeof body - len, "]}");
    live_start(&live, many_rules);
    struct reply reply = live_post(&live, "/v1/ingest", body);
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    live_wait_logged(&live, "event=alert ", N + 1);
    assert_string_equal(list(&live, "/v1/alerts?level=red"), "1 ");
    usleep(1200000);
    wait_metric(&live, "attentd_alerts_total 251\n");
    live_stop(&live);
}

static void test_refusals(void **state)
{
    static const char *const header[] = {"Last-Event-ID: x", NULL};
    struct live live;
    (void)state;
    live_start(&live, "");
    expect_error(live_ask(&live, "GET", "/v1/stream?level=pink", NULL, NULL), 422, "invalid_value", "level");
    expect_error(live_ask(&live, "GET", "/v1/stream?after=-1", NULL, NULL), 422, "invalid_value", "after");
    expect_error(live_ask(&live, "GET", "/v1/stream?what=1", NULL, NULL), 422, "invalid_value", "what");
    expect_error(live_ask(&live, "GET", "/v1/stream?after=1&after=2", NULL, NULL), 422, "invalid_value", "after");
    expect_error(live_ask(&live, "GET", "/v1/stream", NULL, header), 422, "invalid_value", "Last-Event-ID");
    live_stop(&live);
}

/* ---- webhooks ---- */

static void start_with_hook(struct live *live, const char *more)
{
    static const char secret[] = "correct horse\n";
    static char path[] = "/tmp/attentd-secret-XXXXXX";
    static bool made;
    char extra[1024];
    if (!made) {
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        close(fd);
        made = true;
    }
    live_write(path, secret, strlen(secret));
    snprintf(extra, sizeof extra, "%s[webhook desk]\nurl = http://127.0.0.1:%d/hook?a=b\nsecret_file = %s\n%s", rules,
             receiver.port, path, more);
    live_start(live, extra);
}

static void check_request(const char *request, const char *number, const char *event)
{
    const char *body = strstr(request, "\r\n\r\n") + 4, *timestamp = strstr(request, "X-Attentd-Timestamp: ");
    const char *signature = strstr(request, "X-Attentd-Signature: sha256=");
    char line[64], hex[65];
    assert_memory_equal(request, "POST /hook?a=b HTTP/1.1\r\n", 25);
    assert_non_null(strstr(request, "Content-Type: application/json\r\n"));
    snprintf(line, sizeof line, "X-Attentd-Alert: %s\r\n", number);
    assert_non_null(strstr(request, line));
    snprintf(line, sizeof line, "{\"id\":%s,", number);
    assert_memory_equal(body, line, strlen(line));
    assert_non_null(strstr(body, event));
    assert_non_null(timestamp);
    assert_non_null(signature);
    timestamp += 21;
    const struct att_digest_part parts[] = {{timestamp, strcspn(timestamp, "\r")}, {".", 1}, {body, strlen(body)}};
    assert_int_equal(att_digest_hmac("correct horse", 13, parts, 3, hex, NULL), ATT_OK);
    assert_memory_equal(signature + 28, hex, 64);
    long long age = (long long)time(NULL) - strtoll(timestamp, NULL, 10);
    assert_true(age >= 0 && age < 60);
}

static void test_webhook(void **state)
{
    struct live live;
    (void)state;
    start_receiver(1);
    start_with_hook(&live, "levels = red\n");
    ingest(&live, first_event, 3);
    wait_metric(&live, "attentd_webhooks_behind 1\n"); /* for half a second at least */
    wait_requests(2);                                  /* refused, then taken */
    check_request(receiver.requests[0], "1", first_event);
    assert_string_equal(strstr(receiver.requests[0], "\r\n\r\n"), strstr(receiver.requests[1], "\r\n\r\n"));
    ingest(&live, second_event, 3);
    wait_requests(3);
    check_request(receiver.requests[2], "3", second_event); /* 2 is blue */
    live_wait_logged(&live, "event=webhook_failed", 1);
    wait_metric(&live, "attentd_webhook_deliveries_total 2\n");
    wait_metric(&live, "attentd_webhook_failures_total 1\n");
    wait_metric(&live, "attentd_webhooks_behind 0\n");
    assert_int_equal(receiver.n, 3);
    live_stop(&live);
    stop_receiver();
}

/* A hook that comes with a reload while another process locks the store waits for it, and misses nothing. */
static void test_locked_store(void **state)
{
    struct live live;
    char extra[512];
    sqlite3 *db = NULL;
    (void)state;
    start_receiver(0);
    live_start(&live, rules);
    ingest(&live, first_event, 3);
    live_wait_logged(&live, "event=alert ", 2);
    assert_int_equal(sqlite3_open(live_path(&live, "news.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    snprintf(extra, sizeof extra, "%s[webhook desk]\nurl = http://127.0.0.1:%d/hook\nlevels = red\n", rules,
             receiver.port);
    live_configure(&live, extra);
    live_signal(&live, SIGHUP);
    wait_metric(&live, "attentd_webhooks_behind 1\n"); /* two writers wait five seconds each: one may be before it */
    assert_true(live_logged(&live, "event=webhook_waits name=desk"));
    sqlite3_close(db);
    ingest(&live, second_event, 3);
    wait_requests(1);
    assert_non_null(strstr(receiver.requests[0], second_event));
    wait_metric(&live, "attentd_webhooks_behind 0\n");
    live_stop(&live);
    stop_receiver();
}

/* What was not taken before a crash is sent after it, in order, and what was taken is not. */
static void test_crash(void **state)
{
    struct live live;
    char extra[512];
    (void)state;
    start_receiver(0);
    snprintf(extra, sizeof extra, "%s[webhook desk]\nurl = http://127.0.0.1:%d/hook\nlevels = red\n", rules,
             receiver.port);
    live_start(&live, extra);
    ingest(&live, first_event, 3);
    wait_requests(1);
    wait_metric(&live, "attentd_webhook_deliveries_total 1\n"); /* and its answer is noted */
    set_failures(-1);
    ingest(&live, second_event, 3);
    wait_requests(2);
    live_crash(&live, extra);
    pthread_mutex_lock(&receiver.mutex);
    size_t before = receiver.n;
    pthread_mutex_unlock(&receiver.mutex);
    set_failures(0);
    wait_requests(before + 1);
    pthread_mutex_lock(&receiver.mutex);
    assert_non_null(strstr(receiver.requests[receiver.n - 1], second_event));
    assert_null(strstr(receiver.requests[receiver.n - 1], "X-Attentd-Signature"));
    pthread_mutex_unlock(&receiver.mutex);
    /* The rules remember what they said: the same news again is no alert. */
    ingest(&live, first_event, 1);
    usleep(1200000);
    assert_false(live_logged(&live, "event=alert "));
    live_stop(&live);
    stop_receiver();
}

static void test_given_up(void **state)
{
    struct live live;
    (void)state;
    start_receiver(-1);
    start_with_hook(&live, "levels = red\nattempts_max = 2\n");
    ingest(&live, first_event, 3);
    live_wait_logged(&live, "event=webhook_given_up", 1);
    set_failures(0);
    ingest(&live, second_event, 3);
    wait_requests(3);
    check_request(receiver.requests[2], "3", second_event);
    live_stop(&live);
    stop_receiver();
}

/* A reload that serves another store ends the streams of the first. */
static void test_other_store(void **state)
{
    struct live live;
    char extra[256];
    bool closed = false;
    (void)state;
    live_start(&live, rules);
    int fd = live_connect(&live);
    live_say(fd, "GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_non_null(strstr(live_read(fd, 500, &closed), "200 OK"));
    assert_false(closed);
    snprintf(extra, sizeof extra, "%s[news]\npath = %s\n", rules, live_path(&live, "other.db"));
    live_configure(&live, extra);
    live_signal(&live, SIGHUP);
    const char *rest = live_read(fd, 8000, &closed);
    assert_non_null(strstr(rest, "0\r\n\r\n")); /* complete, not broken off */
    close(fd);
    ingest(&live, first_event, 3);
    live_wait_logged(&live, "event=alert ", 2);
    live_stop(&live);
}

static void test_bad_secret(void **state)
{
    char path[] = "/tmp/attentd-badhook-XXXXXX", text[1024], output[4096];
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    close(fd);
    int len = snprintf(text, sizeof text,
                       "[model m]\npath = %s/tests/data/models/bert-sentiment\n[webhook w]\nurl = http://127.0.0.1:1/\n"
                       "secret_file = /nowhere/secret\n",
                       getenv("ATT_SOURCE_ROOT"));
    live_write(path, text, (size_t)len);
    assert_int_equal(
        live_run((const char *const[]){"--config", path, "--listen", "127.0.0.1:0", NULL}, output, sizeof output), 1);
    assert_non_null(strstr(output, ":3: [webhook w] secret_file: /nowhere/secret: "));
    unlink(path);
}

/* Another daemon is the receiver: it has no such path, but whether it was asked at all is what counts. */
static void test_https(void **state)
{
    struct live receiver_live, live;
    char folder[] = "/tmp/attentd-hook-XXXXXX", extra[1024], bytes[2][8192], paths[2][128];
    const char *const names[] = {"first.pem", "first.key"};
    const char *root = getenv("ATT_SOURCE_ROOT");
    (void)state;
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/tests/data/tls/%s", root, names[i]);
        FILE *in = fopen(paths[i], "r");
        assert_non_null(in);
        size_t len = fread(bytes[i], 1, sizeof bytes[i], in);
        fclose(in);
        snprintf(paths[i], sizeof paths[i], "%s/%s", folder, names[i]);
        live_write(paths[i], bytes[i], len);
    }
    snprintf(extra, sizeof extra, "tls_certificate = %s\ntls_key = %s\n", paths[0], paths[1]);
    live_start(&receiver_live, extra);
    snprintf(extra, sizeof extra,
             "%s[webhook trusting]\nurl = https://127.0.0.1:%d/hook\nca_file = %s\nlevels = red\nattempts_max = 1\n"
             "[webhook careful]\nurl = https://127.0.0.1:%d/hook\nlevels = red\nattempts_max = 1\n",
             rules, receiver_live.port, paths[0], receiver_live.port);
    live_start(&live, extra);
    ingest(&live, first_event, 3);
    live_wait_logged(&live, "event=webhook_given_up name=trusting alert=1 attempt=1 status=404", 1);
    live_wait_logged(&live, "event=webhook_given_up name=careful alert=1 attempt=1 status=0", 1);
    assert_true(live_logged(&live, "SSL"));
    live_stop(&live);
    live_stop(&receiver_live);
    unlink(paths[0]);
    unlink(paths[1]);
    rmdir(folder);
}

/* ---- configuration ---- */

static void test_weights(void **state)
{
    struct live live;
    char path[64] = "/tmp/attentd-weights-XXXXXX", extra[512], output[2048];
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    live_write(path, "# weights\n10 s0\n0.5\ts1\n", 23);
    /* 10 + 0.5 + 1, published a minute ago: more than 11, which equal weights never reach. */
    snprintf(extra, sizeof extra,
             "[alert hot]\nlevel = orange\nheat_min = 11\n[news]\npath = %s.db\nsource_weights = %s\n", path, path);
    live_start(&live, extra);
    ingest(&live, first_event, 3);
    live_wait_logged(&live, "event=alert ", 1);
    live_stop(&live);
    live_write(path, "1 a\nheavy b\n", 12);
    snprintf(extra, sizeof extra, "%s.conf", path);
    snprintf(output, sizeof output,
             "[news]\npath = %s.db\nsource_weights = %s\n[model m]\npath = %s/tests/data/models/bert-sentiment\n", path,
             path, getenv("ATT_SOURCE_ROOT"));
    live_write(extra, output, strlen(output));
    assert_int_equal(
        live_run((const char *const[]){"--config", extra, "--listen", "127.0.0.1:0", NULL}, output, sizeof output), 1);
    assert_non_null(strstr(output, ":2: expected a weight from 0 to 1000"));
    unlink(extra);
    unlink(path);
    static const char *const ends[] = {".db", ".db-wal", ".db-shm"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(extra, sizeof extra, "%s%s", path, ends[i]);
        unlink(extra);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_webhook),
        cmocka_unit_test(test_crash),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_https),
        cmocka_unit_test(test_other_store),
        cmocka_unit_test(test_bad_secret),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_what_is_removed_alerts_nobody),
        cmocka_unit_test(test_locked_store),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
