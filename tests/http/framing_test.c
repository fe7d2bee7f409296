/* Raw bytes on the socket: what is framed wrongly is refused and the connection closed; what is late is ended. */
#include "live.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct live live;

#define BODY "{\"input\":\"shares rose\"}"
#define POST "POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
#define LENGTH "Content-Length: 23\r\n"

static int start(void **state)
{
    (void)state;
    live_start(&live, "header_timeout_ms = 600\nbody_timeout_ms = 600\nkeepalive_timeout_ms = 900\n"
                      "[limits]\nbody_bytes_max = 64K\n");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    live_stop(&live);
    return 0;
}

/* One answer with this status, then a close. */
static void refused(const char *bytes, int status)
{
    char line[32];
    bool closed;
    const char *answer = live_exchange(&live, bytes, &closed);

    snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
    if (strncmp(answer, line, strlen(line)) != 0)
        fail_msg("expected %s, got: %.200s", line, answer);
    assert_int_equal(count_answers(answer), 1);
    assert_true(closed);
}

static void alive(void)
{
    struct reply reply = live_ask(&live, "GET", "/healthz", NULL, NULL);

    assert_int_equal(reply.status, 200);
    reply_free(&reply);
}

static void test_framing(void **state)
{
    /* A request hidden behind the refused one must not be answered. */
    static const char hidden[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    char bytes[1024];

    (void)state;
    assert_int_equal(strlen(BODY), 23);
    snprintf(bytes, sizeof(bytes), POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n%s", hidden);
    refused(bytes, 400);
    snprintf(bytes, sizeof(bytes), POST LENGTH "content-length: 0\r\n\r\n" BODY "%s", hidden);
    refused(bytes, 400);
    refused(POST "Transfer-Encoding: gzip\r\n\r\n" BODY, 501);
    refused(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
    refused(POST "Transfer-Encoding: chunked\r\n\r\nfive\r\nhello\r\n0\r\n\r\n", 400);
    refused(POST "Content-Length : 23\r\n\r\n" BODY, 400);
    alive();
}

static void test_request_lines(void **state)
{
    (void)state;
    refused("GET /healthz HTTP/1.1\r\n\r\n", 400);
    refused("GET /healthz HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400);
    refused("GET /healthz HTTP/1.1\r\nHost: x\r\nBad(Name): x\r\n\r\n", 400);
    refused("GET /v1/../../proc/self/environ HTTP/1.1\r\nHost: x\r\n\r\n", 400);
    refused("GET /v1/%2e%2e/x HTTP/1.1\r\nHost: x\r\n\r\n", 400);
    refused("GET /healthz%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400);
    refused("GET /healthz?a=%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400);
    refused("GET http://x/healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400);
    refused("GET /healthz HTTP/3.0\r\nHost: x\r\n\r\n", 505);
    refused(POST LENGTH "Expect: soon\r\n\r\n", 417);
    alive();
}

static void test_large_bodies(void **state)
{
    static char big[200000];
    bool closed;
    const char *answer;
    int fd;

    (void)state;
    /* Announced: refused before it is read, and never invited. */
    answer = live_exchange(&live, POST "Content-Length: 10737418240\r\nExpect: 100-continue\r\n\r\n", &closed);
    assert_non_null(strstr(answer, "HTTP/1.1 413 "));
    assert_null(strstr(answer, "100 Continue"));
    assert_true(closed);
    /* Not announced: refused when it grows too long. */
    fd = live_connect(&live);
    live_say(fd, POST "Transfer-Encoding: chunked\r\n\r\n30000\r\n");
    memset(big, ' ', sizeof(big));
    live_send(fd, big, 0x30000);
    answer = live_read(fd, 2000, &closed);
    assert_non_null(strstr(answer, "HTTP/1.1 413 "));
    assert_non_null(strstr(answer, "\"body_too_large\""));
    assert_int_equal(count_answers(answer), 1);
    assert_true(closed);
    close(fd);
    alive();
}

static void test_pipeline(void **state)
{
    bool closed;
    const char *answer = live_exchange(
        &live, POST LENGTH "\r\n" BODY "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &closed);

    (void)state;
    assert_int_equal(count_answers(answer), 2);
    assert_non_null(strstr(answer, "{\"status\":\"ok\"}"));
    assert_true(closed);
}

static void test_keep_alive_after_errors(void **state)
{
    bool closed;
    /* Application errors do not cost the connection: two errors and a success on one. */
    const char *answer = live_exchange(&live,
                                       "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
                                       "POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n" LENGTH
                                       "\r\n" BODY "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                                       &closed);

    (void)state;
    assert_int_equal(count_answers(answer), 3);
    assert_non_null(strstr(answer, "HTTP/1.1 404 "));
    assert_non_null(strstr(answer, "HTTP/1.1 415 "));
    assert_non_null(strstr(answer, "HTTP/1.1 200 "));
}

static void test_old_version(void **state)
{
    bool closed;
    const char *answer = live_exchange(&live, "GET /healthz HTTP/1.0\r\n\r\n", &closed);

    (void)state;
    assert_non_null(strstr(answer, " 200 "));
    assert_true(closed);
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Sends a byte every 100 ms until the daemon answers or closes; how long that took. */
static double dribble(const char *bytes, const char **ret_answer)
{
    double begin = seconds();
    int fd = live_connect(&live);
    bool closed = false;

    *ret_answer = "";
    for (; *bytes != '\0' && !closed && (*ret_answer)[0] == '\0' && seconds() - begin < 10; bytes++) {
        live_send(fd, bytes, 1);
        *ret_answer = live_read(fd, 100, &closed);
    }
    close(fd);
    return seconds() - begin;
}

static void test_slow_header(void **state)
{
    const char *answer;
    double took = dribble("GET /healthz HTTP/1.1\r\nHost: x\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", &answer);

    (void)state;
    assert_non_null(strstr(answer, "HTTP/1.1 408 "));
    assert_true(took > 0.5 && took < 5);
    alive();
}

static void test_slow_body(void **state)
{
    double begin = seconds();
    int fd = live_connect(&live);
    const char *answer;
    bool closed;

    (void)state;
    live_say(fd, POST LENGTH "\r\n{\"input\"");
    answer = live_read(fd, 5000, &closed);
    assert_non_null(strstr(answer, "HTTP/1.1 408 "));
    assert_true(closed);
    assert_true(seconds() - begin < 5);
    close(fd);
    alive();
}

/* A silent connection is closed without a word, a used one as well. */
static void test_idle(void **state)
{
    int fd = live_connect(&live);
    const char *answer;
    bool closed;

    (void)state;
    answer = live_read(fd, 5000, &closed);
    assert_true(closed);
    assert_string_equal(answer, "");
    close(fd);
    fd = live_connect(&live);
    live_say(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    answer = live_read(fd, 5000, &closed);
    assert_true(closed);
    assert_int_equal(count_answers(answer), 1);
    close(fd);
}

/* A client that closes its side inside the body is refused, and does not wait for the timeout of the body. */
static void test_half_close(void **state)
{
    int fd = live_connect(&live);
    bool closed;

    (void)state;
    live_say(fd, POST LENGTH "\r\n{");
    shutdown(fd, SHUT_WR);
    live_read(fd, 5000, &closed);
    assert_true(closed);
    close(fd);
    alive();
}

/* A client that leaves in the middle costs nothing. */
static void test_leaving(void **state)
{
    struct linger at_once = {1, 0};

    (void)state;
    for (size_t cut = 1; cut < strlen(POST LENGTH "\r\n" BODY); cut += 7) {
        int fd = live_connect(&live);

        live_send(fd, POST LENGTH "\r\n" BODY, cut);
        if (cut % 2 == 0)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        close(fd);
    }
    alive();
}

/* RFC 9110 section 9.3.2: what follows the header would be taken for the next answer. */
static void test_head_of_a_stream_has_no_body(void **state)
{
    bool closed;
    const char *answer = live_exchange(&live, "HEAD /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n", &closed);
    const char *end = strstr(answer, "\r\n\r\n");

    (void)state;
    assert_memory_equal(answer, "HTTP/1.1 200", 12);
    assert_non_null(strstr(answer, "Content-Type: text/event-stream"));
    assert_null(strstr(answer, "Transfer-Encoding"));
    assert_null(strstr(answer, "Content-Length"));
    assert_non_null(end);
    assert_string_equal(end, "\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_request_lines),
        cmocka_unit_test(test_large_bodies),
        cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_keep_alive_after_errors),
        cmocka_unit_test(test_old_version),
        cmocka_unit_test(test_head_of_a_stream_has_no_body),
        cmocka_unit_test(test_slow_header),
        cmocka_unit_test(test_slow_body),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_leaving),
        cmocka_unit_test(test_half_close),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, start, stop);
}
