/* Feeds that last: bodies of lines on a live daemon that is reloaded under them. Each chunk is worked on by what is
 * configured then, an old generation goes while the feed goes on, a key that was taken away ends it; and what is kept
 * of results has a bound. */
#include "live.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/attend.h"

enum { RELOADS = 3 };

static char folder[] = "/tmp/attend-feed-XXXXXX";
static char store[64], keys[64];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(store, sizeof(store), "%s/news.db", folder);
    snprintf(keys, sizeof(keys), "%s/keys", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(keys);
    return rmdir(folder);
}

static void stop(struct live *live)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char name[80];

    live_stop(live);
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s%s", store, ends[i]);
        unlink(name);
    }
}

static const char *options_of(const char *server, const char *model)
{
    static char options[512];

    snprintf(options, sizeof(options), "%s[news]\npath = %s\nmodel = %s\n", server, store, model);
    return options;
}

static void reload(const struct live *live, const char *options, size_t times)
{
    live_configure(live, options);
    live_signal(live, SIGHUP);
    live_wait_logged(live, "event=reloaded", times);
}

static int n_fillers; /* that the present feed was told */

static int open_feed(const struct live *live, const char *headers)
{
    char head[256];
    int fd = live_connect(live);

    snprintf(head, sizeof(head),
             "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n%s"
             "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
             headers);
    live_say(fd, head);
    n_fillers = 0;
    return fd;
}

static void say_line(int fd, const char *id)
{
    char line[128], piece[160];

    snprintf(line, sizeof(line), "{\"id\":\"%s\",\"text\":\"profits of %s rose\"}\n", id, id);
    snprintf(piece, sizeof(piece), "%zx\r\n%s\r\n", strlen(line), line);
    live_say(fd, piece);
}

static long status_of(const struct live *live, const char *id, const char *header)
{
    char path[40];
    struct reply reply;
    long status;

    snprintf(path, sizeof(path), "/v1/news/%s", id);
    reply = live_ask(live, "GET", path, NULL, (const char *const[]){header, NULL});
    status = reply.status;
    reply_free(&reply);
    return status;
}

static const char *filler_name(int i)
{
    static char name[24];

    snprintf(name, sizeof(name), "filler%d", i);
    return name;
}

/* The last line that was said is worked on when another comes a quarter of a second later, and not before: fillers,
 * the last of which is then the line that waits. */
static void push(const struct live *live, int fd, const char *id, const char *header)
{
    for (int i = 0; i < 30 && status_of(live, id, header) != 200; i++) {
        usleep(260000);
        say_line(fd, filler_name(n_fillers++));
    }
    assert_int_equal(status_of(live, id, header), 200);
    /* Where it came late the one before it may still be due. */
    for (int i = 0; i < 10 && n_fillers > 1 && status_of(live, filler_name(n_fillers - 2), header) != 200; i++)
        usleep(100000);
}

static void expect_model(const struct live *live, const char *id, const char *name)
{
    char path[40];
    struct reply reply;
    struct att_json *item;
    const char *model;

    snprintf(path, sizeof(path), "/v1/news/%s", id);
    reply = live_ask(live, "GET", path, NULL, NULL);
    item = reply_json(&reply);
    model = att_json_string(att_json_get(item, "model"), NULL);
    if (reply.status != 200 || (name == NULL) != (model == NULL) || (name != NULL && strcmp(model, name) != 0))
        fail_msg("%s: %ld: %s", id, reply.status, reply.body);
    att_json_destroy(item);
    reply_free(&reply);
}

static double metric_of(const struct live *live, const char *name)
{
    struct reply reply = live_ask(live, "GET", "/metrics", NULL, NULL);
    const char *at = strstr(reply.body, name);
    double value;

    assert_non_null(at);
    value = strtod(at + strlen(name), NULL);
    reply_free(&reply);
    return value;
}

/* Old ones are freed by a thread of its own, a moment after their last request. */
static void expect_generations(const struct live *live, double n)
{
    for (int i = 0; i < 50 && metric_of(live, "\nattentd_generations ") != n; i++)
        usleep(100000);
    assert_true(metric_of(live, "\nattentd_generations ") == n);
}

static void test_a_feed_moves_on(void **state)
{
    char id[16];
    struct live live;
    const char *answer;
    bool closed;
    int fd;

    (void)state;
    live_start(&live, options_of("", "sentiment"));
    fd = open_feed(&live, "");
    say_line(fd, "f0");
    push(&live, fd, "f0", NULL);
    expect_model(&live, "f0", "sentiment");
    for (size_t i = 1; i <= RELOADS; i++) {
        const char *model = i % 2 ? "none" : "sentiment";
        const int waiting = n_fillers - 1;

        reload(&live, options_of("", model), i);
        expect_generations(&live, 2); /* the feed holds the one that its last lines were worked on by */
        snprintf(id, sizeof(id), "f%zu", i);
        say_line(fd, id);
        push(&live, fd, id, NULL);
        expect_model(&live, filler_name(waiting), i % 2 ? NULL : "sentiment");
        expect_model(&live, id, i % 2 ? NULL : "sentiment");
        expect_generations(&live, 1);
    }
    live_say(fd, "0\r\n\r\n");
    answer = live_read(fd, 5000, &closed);
    assert_non_null(strstr(answer, "HTTP/1.1 200"));
    assert_non_null(strstr(answer, "\"id\":\"f3\",\"status\":\"new\""));
    assert_non_null(strstr(answer, "\"error\":0"));
    close(fd);
    stop(&live);
}

static void write_key(const char *key)
{
    char digest[65], line[128];

    att_digest(key, strlen(key), digest);
    snprintf(line, sizeof(line), "desk %s infer,write\n", digest);
    live_write(keys, line, strlen(line));
}

/* The same key lets a feed go on after a reload; one that is gone does not, and what was stored before is told. */
static void test_a_key_that_was_taken_away(void **state)
{
    char server[128];
    struct live live;
    const char *answer;
    bool closed;
    int fd;

    (void)state;
    snprintf(server, sizeof(server), "api_keys = %s\n", keys);
    write_key("first");
    live_start(&live, options_of(server, "none"));
    fd = open_feed(&live, "X-API-Key: first\r\n");
    say_line(fd, "a");
    reload(&live, options_of(server, "none"), 1);
    push(&live, fd, "a", "X-API-Key: first");
    say_line(fd, "b");
    write_key("second");
    reload(&live, options_of(server, "none"), 2);
    usleep(300000);
    say_line(fd, "c"); /* b is due: it is refused, and all that comes */
    say_line(fd, "d");
    live_say(fd, "0\r\n\r\n");
    answer = live_read(fd, 5000, &closed);
    assert_non_null(strstr(answer, "HTTP/1.1 200"));
    assert_non_null(strstr(answer, "\"id\":\"a\",\"status\":\"new\""));
    assert_non_null(strstr(answer, "the API key is no longer known here"));
    close(fd);
    assert_int_equal(status_of(&live, "a", "X-API-Key: second"), 200);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(status_of(&live, (const char *const[]){"b", "c", "d"}[i], "X-API-Key: second"), 404);
    stop(&live);
}

/* Lines of some 70 bytes; free. */
static char *many_lines(size_t n)
{
    size_t size = n * 96 + 1, len = 0;
    char *text = malloc(size);

    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, size - len,
                                "{\"id\":\"m%zu\",\"text\":\"Item %zu of the day: %zu points.\"}\n", i, i * 7919,
                                i * 104729);
    return text;
}

static void test_results_have_a_bound(void **state)
{
    static const char *const ndjson[] = {"Content-Type: application/x-ndjson", NULL};
    const size_t n = 9000;
    struct live live;
    struct reply reply;
    char *lines = many_lines(n), expected[64];

    (void)state;
    assert_true(strlen(lines) > 3 * (128 << 10));
    live_start(&live, options_of("[limits]\nbody_bytes_max = 64K\nbodies_bytes_max = 256K\n", "none"));
    reply = live_ask(&live, "POST", "/v1/ingest", lines, ndjson);
    assert_int_equal(reply.status, 200);
    snprintf(expected, sizeof(expected), "\"summary\":{\"lines\":%zu,\"new\":%zu,", n, n);
    assert_non_null(strstr(reply.body, expected));
    assert_null(strstr(reply.body, "\"omitted\":0"));
    assert_true(reply.len > 256 << 10 && reply.len < 768 << 10);
    reply_free(&reply);
    assert_true(metric_of(&live, "\nattentd_result_bytes ") == 0);
    assert_true(metric_of(&live, "\nattentd_body_bytes ") == 0);
    free(lines);
    stop(&live);
}

/* A chunk of very short lines is no more than its memory holds. */
static void test_short_lines(void **state)
{
    static const char *const ndjson[] = {"Content-Type: application/x-ndjson", NULL};
    const size_t n = 5000;
    size_t len = 0, size = n * 16 + 1;
    char *lines = malloc(size), expected[64];
    struct live live;
    struct reply reply;

    (void)state;
    assert_non_null(lines);
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(lines + len, size - len, "{\"text\":\"%zu\"}\n", i);
    live_start(&live, options_of("[limits]\nrequest_bytes_max = 8M\n", "none"));
    reply = live_ask(&live, "POST", "/v1/ingest?results=errors", lines, ndjson);
    snprintf(expected, sizeof(expected), "{\"summary\":{\"lines\":%zu,\"new\":%zu,", n, n);
    if (reply.status != 200 || strncmp(reply.body, expected, strlen(expected)) != 0)
        fail_msg("%ld: %s", reply.status, reply.body);
    reply_free(&reply);
    free(lines);
    stop(&live);
}

/* What the model said of an item: sentiment, entities, evidence; free. */
static char *judgement_of(const struct live *live, const char *id)
{
    char path[40], *begin, *end, *copy;
    struct reply reply;

    snprintf(path, sizeof(path), "/v1/news/%s", id);
    reply = live_ask(live, "GET", path, NULL, NULL);
    begin = strstr(reply.body, "\"model\":");
    end = begin != NULL ? strrchr(begin, '}') : NULL;
    if (end == NULL)
        fail_msg("%s: %ld: %s", id, reply.status, reply.body);
    copy = strndup(begin, (size_t)(end - begin));
    assert_non_null(copy);
    reply_free(&reply);
    return copy;
}

/* Of the i-th text every third says the same; the first sentence of each names an entity. */
static void put_item(char *line, size_t size, char set, size_t i)
{
    snprintf(line, size, "{\"id\":\"%c%zu\",\"text\":\"Profits of Acme rose %zu times.%s\"}\n", set, i, i % 3 ? i : 0,
             i % 2 ? " Rivals were weak." : "");
}

/* Many in one chunk, more than the table of texts begins with, are judged as each is alone. */
static void test_alone_and_together(void **state)
{
    static const char *const ndjson[] = {"Content-Type: application/x-ndjson", NULL};
    static const char dictionary[] = "{\"id\":\"acme\",\"name\":\"Acme\"}\n";
    enum { N = 100, STEP = 7 };
    char lines[N * 96], line[96], id[16], config[640];
    struct live live;
    struct reply reply;
    size_t len = 0;

    (void)state;
    live_write(keys, dictionary, sizeof(dictionary) - 1); /* the file of the test before */
    snprintf(config, sizeof(config), "%sentities = %s\n", options_of("", "sentiment"), keys);
    live_start(&live, config);
    for (size_t i = 0; i < N; i++) {
        put_item(line, sizeof(line), 'a', i);
        len += (size_t)snprintf(lines + len, sizeof(lines) - len, "%s", line);
    }
    reply = live_ask(&live, "POST", "/v1/ingest", lines, ndjson);
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    for (size_t i = 0; i < N; i += STEP) {
        char *together, *alone;

        put_item(line, sizeof(line), 'b', i);
        reply = live_ask(&live, "POST", "/v1/ingest", line, ndjson);
        assert_int_equal(reply.status, 200);
        reply_free(&reply);
        snprintf(id, sizeof(id), "a%zu", i);
        together = judgement_of(&live, id);
        snprintf(id, sizeof(id), "b%zu", i);
        alone = judgement_of(&live, id);
        assert_non_null(strstr(alone, "\"acme\""));
        assert_string_equal(together, alone);
        free(together);
        free(alone);
    }
    stop(&live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_feed_moves_on),      cmocka_unit_test(test_a_key_that_was_taken_away),
        cmocka_unit_test(test_results_have_a_bound), cmocka_unit_test(test_short_lines),
        cmocka_unit_test(test_alone_and_together),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
