/*
 * News on a live daemon: lines in any number and of any kind, each with its result; what is told as stored is there
 * after a crash; a slow client, a broken line or a client that leaves does nobody else harm.
 */
#include "live.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const ndjson[] = {"Content-Type: application/x-ndjson", NULL};

static const char entities[] =
    "{\"id\":\"acme\",\"name\":\"Acme\",\"type\":\"company\",\"ticker\":\"ACME\"}\n"
    "{\"id\":\"moutai\",\"name\":\"贵州茅台\",\"ticker\":\"600519.SH\",\"aliases\":[\"茅台\"]}\n";

static char folder[] = "/tmp/attend-ingest-XXXXXX";
static char dictionary[96], store[96];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(dictionary, sizeof(dictionary), "%s/entities.jsonl", folder);
    snprintf(store, sizeof(store), "%s/news.db", folder);
    live_write(dictionary, entities, sizeof(entities) - 1);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(dictionary);
    return rmdir(folder);
}

/* With the dictionary, and a store that goes with the daemon. */
static void start(struct live *live, const char *extra)
{
    char config[1024];

    snprintf(config, sizeof(config), "%s\n[news]\npath = %s\nentities = %s\n", extra, store, dictionary);
    live_start(live, config);
}

static void stop(struct live *live)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char name[120];

    live_stop(live);
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s%s", store, ends[i]);
        unlink(name);
    }
}

/* Line i of an answer, from 0, as JSON; NULL: there is none. */
static struct att_json *line_of(const struct reply *reply, size_t index)
{
    struct att_json *json = NULL;
    const char *at = reply->body;
    struct att_err err;

    for (; index > 0 && at != NULL; index--)
        at = (at = strchr(at, '\n')) != NULL ? at + 1 : NULL;
    if (at == NULL || *at == '\0')
        return NULL;
    if (att_json_parse(at, strcspn(at, "\n"), 0, 32, &json, &err) != ATT_OK)
        fail_msg("%s in %s", err.message, at);
    return json;
}

static void expect_line(const struct reply *reply, size_t index, const char *key, const char *value)
{
    struct att_json *line = line_of(reply, index);
    const char *found;

    if (line == NULL)
        fail_msg("no line %zu in %s", index, reply->body);
    found = att_json_string(att_json_get(line, key), NULL);
    if (found == NULL || strcmp(found, value) != 0)
        fail_msg("line %zu: %s is %s, expected %s: %s", index, key, found != NULL ? found : "none", value, reply->body);
    att_json_destroy(line);
}

static double summary_of(const struct reply *reply, const char *key)
{
    const char *last = reply->body, *at = reply->body;
    struct att_json *json = NULL;
    double count;

    for (; (at = strchr(at, '\n')) != NULL && at[1] != '\0'; last = at)
        at++;
    assert_int_equal(att_json_parse(last, strlen(last), 0, 32, &json, NULL), ATT_OK);
    count = att_json_number(att_json_get(att_json_get(json, "summary"), key), -1);
    att_json_destroy(json);
    return count;
}

static struct reply ingest(const struct live *live, const char *lines)
{
    struct reply reply = live_ask(live, "POST", "/v1/ingest", lines, ndjson);

    if (reply.status != 200)
        fail_msg("%ld: %s", reply.status, reply.body);
    return reply;
}

static struct att_json *get(const struct live *live, const char *path)
{
    return expect_json(live_ask(live, "GET", path, NULL, NULL), 200);
}

static const char *text_of(const struct att_json *object, const char *key)
{
    const char *text = att_json_string(att_json_get(object, key), NULL);

    return text != NULL ? text : "";
}

static void test_results_line_by_line(void **state)
{
    static const char lines[] =
        "{\"id\":\"a\",\"source\":\"wire\",\"title\":\"Acme raises its outlook\",\"time\":\"2026-11-28T09:00:00Z\","
        "\"text\":\"Acme raises its outlook for the year. Orders from Asia were strong. Rivals fall behind.\","
        "\"engagement\":{\"views\":100,\"shares\":2}}\r\n"
        "\n"
        "{\"id\":\"b\",\"text\":\"贵州茅台发布三季报。净利润增长。\"}\n"
        "{\"id\":\"c\"\n"
        "{\"id\":\"d\",\"txt\":\"a typo\"}\n"
        "{\"id\":\"e\",\"time\":\"yesterday\",\"text\":\"x\"}\n"
        "[1]\n"
        "\xff\xfe\n"
        "{\"id\":\"a\",\"source\":\"wire\",\"title\":\"Acme raises its outlook\",\"time\":\"2026-11-28T09:00:00Z\","
        "\"text\":\"Acme raises its outlook for the year. Orders from Asia were strong. Rivals fall behind.\","
        "\"engagement\":{\"views\":100,\"shares\":2}}\n"
        "{\"source\":\"blog\",\"title\":\"No id\"}";
    static const char *const status[] = {"new", "new", "error", "error", "error", "error", "error", "duplicate", "new"};
    struct live live;
    struct reply reply;
    struct att_json *json, *error;

    (void)state;
    start(&live, "");
    reply = ingest(&live, lines);
    assert_string_equal(reply_header(&reply, "Content-Type"), "application/x-ndjson");
    for (size_t i = 0; i < 9; i++)
        expect_line(&reply, i, "status", status[i]);
    error = line_of(&reply, 3);
    assert_true(att_json_number(att_json_get(error, "line"), 0) == 5);
    assert_string_equal(text_of(att_json_get(error, "error"), "param"), "txt");
    att_json_destroy(error);
    assert_true(summary_of(&reply, "lines") == 10 && summary_of(&reply, "new") == 3);
    assert_true(summary_of(&reply, "duplicate") == 1 && summary_of(&reply, "error") == 5);
    reply_free(&reply);

    json = get(&live, "/v1/news/a");
    assert_string_equal(text_of(json, "source"), "wire");
    assert_string_equal(text_of(json, "time"), "2026-11-28T09:00:00Z");
    assert_true(att_json_number(att_json_get(json, "engagement"), 0) == 160);
    assert_true(text_of(json, "sentiment")[0] != '\0');
    const struct att_json *acme = att_json_at(att_json_get(json, "entities"), 0);
    assert_string_equal(text_of(acme, "id"), "acme");
    assert_true(att_json_number(att_json_get(acme, "mentions"), 0) == 2); /* title and text */
    assert_string_equal(text_of(att_json_get(json, "evidence"), "text"), "Acme raises its outlook for the year.");
    att_json_destroy(json);
    json = get(&live, "/v1/news?entity=moutai&lang=zh&text=yes");
    assert_int_equal(att_json_count(att_json_get(json, "data")), 1);
    assert_string_equal(text_of(att_json_at(att_json_get(json, "data"), 0), "id"), "b");
    att_json_destroy(json);
    stop(&live);
}

static void test_json_bodies(void **state)
{
    struct live live;
    struct reply reply;
    struct att_json *json;

    (void)state;
    start(&live, "");
    reply = live_post(&live, "/v1/ingest", "{\"items\":[{\"id\":\"a\",\"text\":\"one\"},{\"id\":7}]}");
    assert_int_equal(reply.status, 200);
    json = reply_json(&reply);
    assert_string_equal(text_of(att_json_at(att_json_get(json, "data"), 0), "status"), "new");
    assert_string_equal(text_of(att_json_get(att_json_at(att_json_get(json, "data"), 1), "error"), "param"),
                        "items[1].id");
    att_json_destroy(json);
    reply_free(&reply);
    reply = live_post(&live, "/v1/ingest", "[{\"id\":\"b\",\"text\":\"two\"}]");
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    reply = live_post(&live, "/v1/ingest", "{\"id\":\"c\",\"text\":\"three\"}");
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    expect_error(live_post(&live, "/v1/ingest", "{\"id\":\"c\",\"texts\":\"three\"}"), 422, "invalid_value", "texts");
    expect_error(live_post(&live, "/v1/ingest?result=all", "{\"text\":\"x\"}"), 422, "invalid_value", "result");
    json = get(&live, "/v1/news?order=arrival");
    assert_int_equal(att_json_count(att_json_get(json, "data")), 3);
    att_json_destroy(json);
    reply = live_ask(&live, "DELETE", "/v1/news/b", NULL, NULL);
    assert_int_equal(reply.status, 204);
    reply_free(&reply);
    expect_error(live_ask(&live, "GET", "/v1/news/b", NULL, NULL), 404, "not_found", "id");
    /* The guid of a feed is often a URL. */
    reply = live_post(&live, "/v1/ingest", "{\"id\":\"https://e.example/1\",\"text\":\"four\"}");
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    json = get(&live, "/v1/news/https%3A%2F%2Fe.example%2F1");
    assert_string_equal(text_of(json, "id"), "https://e.example/1");
    att_json_destroy(json);
    expect_error(live_ask(&live, "GET", "/v1/news/a%2F..%2Fb", NULL, NULL), 400, "bad_target", NULL);
    reply = live_ask(&live, "DELETE", "/v1/news/https%3A%2F%2Fe.example%2F1", NULL, NULL);
    assert_int_equal(reply.status, 204);
    reply_free(&reply);
    expect_error(live_ask(&live, "GET", "/v1/news?noise_max=2", NULL, NULL), 422, "invalid_value", "noise_max");
    stop(&live);
}

static double number_of(const struct live *live, const char *id, const char *key)
{
    char path[40];
    struct att_json *item;
    double number;

    snprintf(path, sizeof(path), "/v1/news/%s", id);
    item = get(live, path);
    number = att_json_number(att_json_get(item, key), -9);
    if (strcmp(key, "entity") == 0)
        number = att_json_number(att_json_get(att_json_at(att_json_get(item, "entities"), 0), "polarity"), -9);
    att_json_destroy(item);
    return number;
}

static double sequences(const struct live *live)
{
    static const char name[] = "\nattentd_sequences_total ";
    struct reply reply = live_ask(live, "GET", "/metrics", NULL, NULL);
    const char *at = strstr(reply.body, name);
    double count = at != NULL ? strtod(at + strlen(name), NULL) : -1;

    reply_free(&reply);
    return count;
}

/* What was passed on word for word, and a sentence that is all another item says, cost the model nothing more. */
static void test_equal_texts_are_read_once(void **state)
{
    static const char lines[] = "{\"id\":\"two\",\"text\":\"Profits of Acme rose. Rivals were weak.\"}\n"
                                "{\"id\":\"one\",\"text\":\"Profits of Acme rose.\"}\n"
                                "{\"id\":\"again\",\"source\":\"wire\",\"text\":\"Profits of Acme rose.\"}\n";
    struct live live;
    struct reply reply;
    double before;

    (void)state;
    start(&live, "");
    before = sequences(&live);
    reply = ingest(&live, lines);
    reply_free(&reply);
    assert_true(sequences(&live) == before + 2);
    assert_true(number_of(&live, "one", "sentiment_score") > 0);
    assert_true(number_of(&live, "again", "sentiment_score") == number_of(&live, "one", "sentiment_score"));
    assert_true(number_of(&live, "again", "similarity") == 1);
    assert_true(number_of(&live, "two", "polarity") != number_of(&live, "one", "polarity"));
    /* Of the entity four digits are kept, of the item six. */
    assert_true(fabs(number_of(&live, "two", "entity") - number_of(&live, "one", "polarity")) < 1e-4);
    stop(&live);
}

/* Entities that a model finds beside those of the dictionary; where both name one, the dictionary's stands. */
static void test_an_entity_model(void **state)
{
    char config[1024], body[256];
    static const char text[] = "Oil prices rise as Acme and other banks cut costs. Shares of the bank fell.";
    const char *source = getenv("ATT_SOURCE_ROOT");
    struct live live;
    struct reply reply;
    struct att_json *json;
    size_t n_found = 0;

    (void)state;
    snprintf(config, sizeof(config),
             "\n[model ner]\npath = %s/tests/data/models/ner\n[news]\npath = %s\nentities = %s\nner = ner\n"
             "model = sentiment\n",
             source != NULL ? source : ".", store, dictionary);
    live_start(&live, config);
    snprintf(body, sizeof(body), "{\"id\":\"a\",\"title\":\"Banks\",\"text\":\"%s\"}\n", text);
    reply = ingest(&live, body);
    expect_line(&reply, 0, "status", "new");
    reply_free(&reply);
    json = get(&live, "/v1/news/a");
    const struct att_json *list = att_json_get(json, "entities");
    for (size_t i = 0; i < att_json_count(list); i++) {
        const struct att_json *entity = att_json_at(list, i), *span = att_json_at(att_json_get(entity, "spans"), 0);
        size_t start = (size_t)att_json_number(att_json_get(span, "start"), 0);
        size_t end = (size_t)att_json_number(att_json_get(span, "end"), 0);
        const char *in = strcmp(text_of(span, "in"), "title") == 0 ? "Banks" : text;

        assert_true(start < end && end <= strlen(in));
        if (strcmp(text_of(entity, "id"), "acme") == 0) {
            assert_string_equal(text_of(entity, "type"), "company");
            continue;
        }
        assert_string_equal(text_of(entity, "type"), "ORG");
        assert_int_equal(strncmp(text_of(entity, "name"), in + start, end - start), 0);
        n_found++;
    }
    assert_true(n_found > 0 && n_found + 1 == att_json_count(list));
    att_json_destroy(json);
    stop(&live);
}

/* n lines of about 90 bytes; free. */
static char *many_lines(const char *prefix, size_t n)
{
    size_t size = n * 128 + 1, len = 0;
    char *text = malloc(size);

    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        len +=
            (size_t)snprintf(text + len, size - len,
                             "{\"id\":\"%s%zu\",\"source\":\"wire\",\"text\":\"Item %zu of the day: %zu points.\"}\n",
                             prefix, i, i * 7919, i * 104729);
    return text;
}

static long memory_kib(const struct live *live)
{
    char path[64], line[128];
    long kib = 0;
    FILE *in;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)live->pid);
    in = fopen(path, "r");
    assert_non_null(in);
    while (fgets(line, sizeof(line), in) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    fclose(in);
    return kib;
}

/* Chinese items go to a model of their own, told by their characters or by what the sender says. */
static void test_a_model_for_chinese(void **state)
{
    static const char body[] = "{\"id\":\"en\",\"text\":\"profits rose at the bank\"}\n"
                               "{\"id\":\"zh\",\"text\":\"银行利润增长，股价上涨\"}\n"
                               "{\"id\":\"said\",\"lang\":\"zh-CN\",\"text\":\"profits fell at the bank\"}\n";
    static const char *const models[][2] = {{"en", "sentiment"}, {"zh", "chinese"}, {"said", "chinese"}};
    static const char posted[] =
        "{\"input\":[{\"text\":\"profits rose\"},{\"text\":\"银行利润增长\"}],\"format\":\"json\"}";
    char config[1024];
    struct live live;
    struct reply reply;

    (void)state;
    snprintf(config, sizeof(config),
             "[model chinese]\npath = %s/tests/data/models/two-heads\n"
             "[news]\npath = %s\nmodel = sentiment\nmodel_zh = chinese\n",
             getenv("ATT_SOURCE_ROOT"), store);
    live_start(&live, config);
    reply = live_ask(&live, "POST", "/v1/ingest", body, ndjson);
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    for (size_t i = 0; i < 3; i++) {
        char path[40];

        snprintf(path, sizeof(path), "/v1/news/%s", models[i][0]);
        reply = live_ask(&live, "GET", path, NULL, NULL);
        struct att_json *item = reply_json(&reply);

        assert_string_equal(att_json_string(att_json_get(item, "model"), NULL), models[i][1]);
        assert_string_not_equal(att_json_string(att_json_get(item, "sentiment"), NULL), "");
        att_json_destroy(item);
        reply_free(&reply);
    }
    reply = live_post(&live, "/v1/report", posted);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body, "\"chinese\""));
    assert_non_null(strstr(reply.body, "\"sentiment\""));
    reply_free(&reply);
    stop(&live);
}

/* More than the daemon takes as one body, in many chunks; twice, the second time all duplicates. */
static void test_a_body_of_any_length(void **state)
{
    const size_t n = 6000;
    struct live live;
    struct reply reply;
    char *lines = many_lines("m", n);

    (void)state;
    start(&live, "[limits]\nbody_bytes_max = 64K\n");
    assert_true(strlen(lines) > 256 << 10);
    reply = ingest(&live, lines);
    assert_true(summary_of(&reply, "new") == (double)n);
    expect_line(&reply, n - 1, "id", "m5999");
    reply_free(&reply);
    reply = live_ask(&live, "POST", "/v1/ingest?results=errors", lines, ndjson);
    assert_true(summary_of(&reply, "duplicate") == (double)n && summary_of(&reply, "omitted") == (double)n);
    assert_true(reply.len < 1000);
    reply_free(&reply);
    free(lines);
    stop(&live);
}

static void test_long_lines_fail_alone(void **state)
{
    struct live live;
    struct reply reply;
    size_t size = 400 << 10, len;
    char *lines = malloc(size);

    (void)state;
    assert_non_null(lines);
    start(&live, "[limits]\nbody_bytes_max = 64K\n");
    len = (size_t)snprintf(lines, size, "{\"id\":\"before\",\"text\":\"x\"}\n{\"id\":\"long\",\"text\":\"");
    memset(lines + len, 'a', 300 << 10);
    len += 300 << 10;
    snprintf(lines + len, size - len, "\"}\n{\"id\":\"after\",\"text\":\"y\"}\n");
    reply = ingest(&live, lines);
    expect_line(&reply, 0, "status", "new");
    expect_line(&reply, 1, "status", "error");
    expect_line(&reply, 2, "id", "after");
    assert_true(summary_of(&reply, "lines") == 3 && summary_of(&reply, "error") == 1);
    reply_free(&reply);
    free(lines);
    stop(&live);
}

static void say_chunk(int fd, const char *text)
{
    char head[32];

    snprintf(head, sizeof(head), "%zx\r\n", strlen(text));
    live_say(fd, head);
    live_say(fd, text);
    live_say(fd, "\r\n");
}

/* Lines that come one by one outlive the time for a body, since each is progress; half a line that stops does not. */
static void test_a_slow_feed(void **state)
{
    struct live live;
    const char *answer;
    bool closed;
    int fd, stuck;

    (void)state;
    start(&live, "body_timeout_ms = 600\n");
    fd = live_connect(&live);
    stuck = live_connect(&live);
    live_say(fd, "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
                 "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    live_say(stuck, "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n");
    say_chunk(stuck, "{\"id\":\"half");
    for (int i = 0; i < 6; i++) {
        char line[64];
        struct att_json *json;

        snprintf(line, sizeof(line), "{\"id\":\"s%d\",\"text\":\"slow %d\"}\n", i, i * 7919);
        say_chunk(fd, line);
        usleep(300000);
        /* Those of a moment ago are stored while the body goes on. */
        if (i == 5) {
            json = get(&live, "/v1/news?order=arrival");
            assert_true(att_json_count(att_json_get(json, "data")) >= 3);
            att_json_destroy(json);
        }
    }
    live_say(fd, "0\r\n\r\n");
    answer = live_read(fd, 5000, &closed);
    assert_non_null(strstr(answer, "HTTP/1.1 200"));
    assert_non_null(strstr(answer, "\"lines\":6,\"new\":6"));
    close(fd);
    answer = live_read(stuck, 3000, &closed);
    assert_non_null(strstr(answer, "HTTP/1.1 408"));
    close(stuck);
    stop(&live);
}

/* A sender that never reads and never ends is held back by its socket, not by the daemon's memory. */
static void test_back_pressure(void **state)
{
    struct live live;
    char *lines = many_lines("p", 200), head[32];
    long before;
    size_t sent = 0;
    int fd;

    (void)state;
    start(&live, "");
    fd = live_connect(&live);
    live_say(fd, "POST /v1/ingest?results=none HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n");
    before = memory_kib(&live);
    snprintf(head, sizeof(head), "%zx\r\n", strlen(lines));
    for (int i = 0; i < 400; i++) { /* about 6 MB of duplicates */
        if (send(fd, head, strlen(head), MSG_NOSIGNAL) < 0 || send(fd, lines, strlen(lines), MSG_NOSIGNAL) < 0)
            break;
        live_say(fd, "\r\n");
        sent += strlen(lines);
    }
    assert_true(sent > 5 << 20);
    assert_true(memory_kib(&live) - before < (64 << 10) * LIVE_SLOWNESS);
    close(fd); /* leaves in the middle of a line: what was whole before is stored */
    live_wait_logged(&live, "status=499", 1);
    struct att_json *json = get(&live, "/v1/news?limit=1000");
    assert_int_equal(att_json_count(att_json_get(json, "data")), 200);
    att_json_destroy(json);
    free(lines);
    stop(&live);
}

/* What was acknowledged is there after kill -9; sending all again stores the rest, nothing twice. */
static void test_a_crash(void **state)
{
    struct live live;
    struct reply reply;
    struct att_json *json;

    (void)state;
    live_start(&live, "");
    reply = ingest(&live, "{\"id\":\"k1\",\"text\":\"acknowledged\"}\n{\"id\":\"k2\",\"text\":\"this too\"}\n");
    reply_free(&reply);
    live_crash(&live, "");
    json = get(&live, "/v1/news?order=arrival");
    assert_int_equal(att_json_count(att_json_get(json, "data")), 2);
    att_json_destroy(json);
    reply = ingest(&live, "{\"id\":\"k2\",\"text\":\"this too\"}\n{\"id\":\"k3\",\"text\":\"new\"}\n");
    expect_line(&reply, 0, "status", "duplicate");
    expect_line(&reply, 1, "status", "new");
    reply_free(&reply);
    live_stop(&live);
}

static void test_refusals(void **state)
{
    static const char *const gzip[] = {"Content-Type: application/x-ndjson", "Content-Encoding: gzip", NULL};
    struct live live;
    struct reply reply;

    (void)state;
    start(&live, "");
    expect_error(live_ask(&live, "POST", "/v1/ingest", "x", gzip), 415, "unsupported_media_type", NULL);
    expect_error(live_ask(&live, "POST", "/v1/classify", "x", ndjson), 415, "unsupported_media_type", NULL);
    expect_error(live_ask(&live, "POST", "/v1/ingest?results=some", "{}\n", ndjson), 422, "invalid_value", "results");
    reply = ingest(&live, "");
    assert_true(summary_of(&reply, "lines") == 0);
    reply_free(&reply);
    reply = ingest(&live, "\n\n\r\n");
    assert_true(summary_of(&reply, "lines") == 3 && summary_of(&reply, "error") == 0);
    reply_free(&reply);
    live_configure(&live, "[news]\npath = none\n");
    live_signal(&live, SIGHUP);
    live_wait_logged(&live, "event=reloaded", 1);
    expect_error(live_ask(&live, "POST", "/v1/ingest", "{\"text\":\"x\"}\n", ndjson), 404, "not_found", NULL);
    expect_error(live_ask(&live, "GET", "/v1/news", NULL, NULL), 404, "not_found", NULL);
    stop(&live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results_line_by_line),
        cmocka_unit_test(test_json_bodies),
        cmocka_unit_test(test_equal_texts_are_read_once),
        cmocka_unit_test(test_an_entity_model),
        cmocka_unit_test(test_a_model_for_chinese),
        cmocka_unit_test(test_a_body_of_any_length),
        cmocka_unit_test(test_long_lines_fail_alone),
        cmocka_unit_test(test_a_slow_feed),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_a_crash),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
