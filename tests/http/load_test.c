/* Many clients at once: the same answers as alone, a bounded queue, deadlines, clients that leave, and the drain. */
#include "live.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/mem.h"

enum { TEXTS = 12, CLIENTS = 8, ROUNDS = 15, SLOW_TEXTS = 1500 / LIVE_SLOWNESS };

static const char *const words[] = {"shares", "rose", "profit", "fell", "after",
                                    "the",    "bank", "cut",    "its",  "outlook"};

/* A classify body of n texts of different lengths, the same for the same seed. */
static char *make_body(unsigned seed, size_t n, const char *more)
{
    size_t size = 64 + n * 40 * 9 + strlen(more), len = 0;
    char *body = malloc(size);

    assert_non_null(body);
    len += (size_t)snprintf(body + len, size - len, "{\"model\":\"sentiment\",\"input\":[");
    for (size_t i = 0; i < n; i++) {
        len += (size_t)snprintf(body + len, size - len, "%s\"", i > 0 ? "," : "");
        for (size_t k = 0; k < 1 + (seed + i * 7) % 30; k++)
            len += (size_t)snprintf(body + len, size - len, "%s ", words[(seed * 31 + i * 3 + k) % 10]);
        len += (size_t)snprintf(body + len, size - len, "\"");
    }
    snprintf(body + len, size - len, "]%s}", more);
    return body;
}

/* "data" of an answer, as text; att_mem_free. */
static char *data_of(const struct reply *reply)
{
    struct att_json *json = reply_json(reply);
    struct att_jsonw w;
    char *bytes;
    size_t len;

    att_jsonw_init(&w, 1 << 24);
    att_jsonw_value(&w, att_json_get(json, "data"));
    assert_int_equal(att_jsonw_take(&w, &bytes, &len, NULL), ATT_OK);
    att_jsonw_finish(&w);
    att_json_destroy(json);
    return bytes;
}

struct client {
    const struct live *live;
    pthread_t thread;
    unsigned seed;
    char **bodies, **expected;
    atomic_int *stop;
    size_t n_same, n_different, n_answered, n_lost;
    size_t n_refused;
};

static void *ask_repeatedly(void *argument)
{
    struct client *client = argument;

    for (size_t i = 0; i < ROUNDS; i++) {
        size_t which = (client->seed * 7 + i * 5) % TEXTS;
        struct reply reply = live_post(client->live, "/v1/classify", client->bodies[which]);

        if (reply.status == 200) {
            char *data = data_of(&reply);

            if (strcmp(data, client->expected[which]) == 0)
                client->n_same++;
            else
                client->n_different++;
            att_mem_free(data);
        }
        reply_free(&reply);
    }
    return NULL;
}

static void test_answers_do_not_depend_on_load(void **state)
{
    struct live live;
    char *bodies[TEXTS], *expected[TEXTS];
    struct client clients[CLIENTS] = {{0}};

    (void)state;
    live_start(&live, "");
    for (unsigned i = 0; i < TEXTS; i++) {
        struct reply reply;

        bodies[i] = make_body(i, 1 + i % 5, "");
        reply = live_post(&live, "/v1/classify", bodies[i]);
        assert_int_equal(reply.status, 200);
        expected[i] = data_of(&reply);
        assert_string_not_equal(expected[i], "null");
        reply_free(&reply);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.live = &live, .seed = i, .bodies = bodies, .expected = expected};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, ask_repeatedly, &clients[i]), 0);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_equal(clients[i].n_different, 0);
        assert_int_equal(clients[i].n_same, ROUNDS);
    }
    for (size_t i = 0; i < TEXTS; i++) {
        free(bodies[i]);
        att_mem_free(expected[i]);
    }
    live_stop(&live);
}

/* ---- the queue ---- */

static void *ask_once(void *argument)
{
    struct client *client = argument;
    struct reply reply = live_post(client->live, "/v1/classify", client->bodies[0]);

    client->n_answered = reply.status == 200;
    client->n_refused = reply.status == 429;
    atomic_store(client->stop, 1);
    reply_free(&reply);
    return NULL;
}

static void test_full_queue(void **state)
{
    struct live live;
    char *slow = make_body(3, SLOW_TEXTS, "");
    char *bodies[] = {slow};
    atomic_int stop;
    size_t n_refused = 0;

    (void)state;
    live_start(&live, "[batching]\nqueue_requests_max = 1\n");
    for (int attempt = 0; attempt < 5 && n_refused == 0; attempt++) {
        struct client client = {.live = &live, .bodies = bodies, .stop = &stop};

        atomic_init(&stop, 0);
        assert_int_equal(pthread_create(&client.thread, NULL, ask_once, &client), 0);
        while (atomic_load(&stop) == 0) {
            struct reply reply = live_post(&live, "/v1/classify", "{\"input\":\"a\"}");

            if (reply.status == 429) {
                assert_non_null(reply_header(&reply, "Retry-After"));
                expect_error(reply, 429, "queue_full", NULL);
                n_refused++;
            } else {
                reply_free(&reply);
            }
        }
        pthread_join(client.thread, NULL);
        n_refused += client.n_refused; /* whichever of the two came second */
    }
    assert_true(n_refused > 0);
    /* Health answers whatever the queue holds, and afterwards there is room again. */
    struct reply reply = live_post(&live, "/v1/classify", "{\"input\":\"a\"}");

    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    free(slow);
    live_stop(&live);
}

static void test_deadlines(void **state)
{
    static const char *const one_ms[] = {"X-Request-Timeout-Ms: 1", NULL}, *const bad[] = {"X-Request-Timeout-Ms: soon",
                                                                                           NULL};
    struct live live;
    char *slow = make_body(5, SLOW_TEXTS, ""), *hurried = make_body(5, SLOW_TEXTS, ",\"deadline_ms\":1");
    struct reply reply;

    (void)state;
    live_start(&live, "");
    expect_error(live_ask(&live, "POST", "/v1/classify", slow, one_ms), 504, "deadline_exceeded", NULL);
    expect_error(live_post(&live, "/v1/classify", hurried), 504, "deadline_exceeded", NULL);
    expect_error(live_ask(&live, "POST", "/v1/classify", "{\"input\":\"a\"}", bad), 422, "invalid_value",
                 "X-Request-Timeout-Ms");
    expect_error(live_post(&live, "/v1/classify", "{\"input\":\"a\",\"deadline_ms\":0}"), 422, "invalid_value",
                 "deadline_ms");
    reply = live_post(&live, "/v1/classify", "{\"input\":\"a\",\"deadline_ms\":20000}");
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    free(slow);
    free(hurried);
    live_stop(&live);
}

static size_t gauge(const struct live *live, const char *name)
{
    struct reply reply = live_ask(live, "GET", "/metrics", NULL, NULL);
    char line[128];
    const char *at;
    size_t value;

    assert_int_equal(reply.status, 200);
    snprintf(line, sizeof(line), "\n%s ", name);
    at = strstr(reply.body, line);
    assert_non_null(at);
    value = strtoul(at + strlen(line), NULL, 10);
    reply_free(&reply);
    return value;
}

static void send_request(int fd, const char *body)
{
    char head[256];

    snprintf(head, sizeof(head),
             "POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
             strlen(body));
    live_send(fd, head, strlen(head));
    live_send(fd, body, strlen(body));
}

static void nap_ms(long ms)
{
    struct timespec time = {0, ms * 1000000};

    nanosleep(&time, NULL);
}

static void test_leaving_clients_free_their_places(void **state)
{
    struct live live;
    char *slow = make_body(7, SLOW_TEXTS, "");

    (void)state;
    live_start(&live, "[batching]\nqueue_tokens_max = 1M\n");
    for (int i = 0; i < 10; i++) {
        int fd = live_connect(&live);

        send_request(fd, slow);
        close(fd);
    }
    /* One connection is that of the question itself. */
    for (int i = 0; i < 500 && (gauge(&live, "attentd_queue_requests") > 0 || gauge(&live, "attentd_connections") > 1);
         i++)
        nap_ms(10);
    assert_int_equal(gauge(&live, "attentd_queue_requests"), 0);
    assert_int_equal(gauge(&live, "attentd_queue_tokens"), 0);
    assert_int_equal(gauge(&live, "attentd_queue_bytes"), 0);
    assert_int_equal(gauge(&live, "attentd_body_bytes"), 0);
    free(slow);
    live_stop(&live);
}

/* ---- the drain ---- */

static void *ask_until_refused(void *argument)
{
    struct client *client = argument;

    for (bool refused = false; !refused;) {
        struct reply reply = live_post(client->live, "/v1/classify", client->bodies[client->n_answered % TEXTS]);

        if (reply.status == 200)
            client->n_answered++;
        else if (!reply.refused)
            client->n_lost++;
        refused = reply.refused;
        reply_free(&reply);
    }
    return NULL;
}

static void test_drain_answers_what_was_accepted(void **state)
{
    struct live live;
    char *slow = make_body(9, SLOW_TEXTS, ""), *bodies[TEXTS];
    struct client clients[CLIENTS] = {{0}};
    bool closed;
    int fds[4];

    (void)state;
    live_start(&live, "[batching]\nqueue_tokens_max = 1M\n");
    for (unsigned i = 0; i < TEXTS; i++)
        bodies[i] = make_body(i, 2, "");
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.live = &live, .seed = i, .bodies = bodies};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, ask_until_refused, &clients[i]), 0);
    }
    nap_ms(200);
    for (size_t i = 0; i < 4; i++) {
        fds[i] = live_connect(&live);
        send_request(fds[i], slow);
    }
    live_signal(&live, SIGTERM);
    for (size_t i = 0; i < 4; i++) {
        const char *answer = live_read(fds[i], 30000, &closed);

        assert_non_null(strstr(answer, "HTTP/1.1 200 "));
        assert_true(closed);
        close(fds[i]);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_true(clients[i].n_answered > 0);
        assert_int_equal(clients[i].n_lost, 0);
    }
    for (size_t i = 0; i < TEXTS; i++)
        free(bodies[i]);
    free(slow);
    live_wait(&live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_do_not_depend_on_load),
        cmocka_unit_test(test_full_queue),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_leaving_clients_free_their_places),
        cmocka_unit_test(test_drain_answers_what_was_accepted),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
