/* Every endpoint of a live daemon: a good body, wrong ones, and the headers that all answers carry. */
#include "live.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct live live;

static int start(void **state)
{
    (void)state;
    live_start(&live, "[limits]\nitems_max = 100\n");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    live_stop(&live);
    return 0;
}

static struct att_json *ok(struct reply reply)
{
    if (reply.status == 200)
        assert_string_equal(reply_header(&reply, "Content-Type"), "application/json");
    return expect_json(reply, 200);
}

static struct att_json *post(const char *path, const char *body)
{
    return ok(live_post(&live, path, body));
}

static struct att_json *get(const char *path)
{
    return ok(live_ask(&live, "GET", path, NULL, NULL));
}

static const char *text_at(const struct att_json *object, const char *key)
{
    const char *text = att_json_string(att_json_get(object, key), NULL);

    if (text == NULL)
        fail_msg("no text '%s'", key);
    return text;
}

static double number_at(const struct att_json *object, const char *key)
{
    if (!att_json_is_number(att_json_get(object, key)))
        fail_msg("no number '%s'", key);
    return att_json_number(att_json_get(object, key), 0);
}

/* ---- what is the same everywhere ---- */

static void test_health(void **state)
{
    struct att_json *json = get("/healthz");
    struct reply reply;

    (void)state;
    assert_string_equal(text_at(json, "status"), "ok");
    att_json_destroy(json);
    json = get("/readyz");
    assert_string_equal(text_at(json, "status"), "ready");
    att_json_destroy(json);
    reply = live_ask(&live, "HEAD", "/healthz", NULL, NULL);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.len, 0);
    reply_free(&reply);
    reply = live_ask(&live, "OPTIONS", "/v1/classify", NULL, NULL);
    assert_int_equal(reply.status, 204);
    assert_string_equal(reply_header(&reply, "Allow"), "POST, OPTIONS");
    reply_free(&reply);
}

static void test_headers(void **state)
{
    static const char *const given[] = {"X-Request-Id: my-request.1",
                                        "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", NULL};
    static const char *const insane[] = {"X-Request-Id: <script>", "Traceparent: 00-zz", NULL};
    struct reply reply = live_ask(&live, "POST", "/v1/classify", "{\"input\":\"shares rose\"}", given);
    const char *timing;

    (void)state;
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "X-Request-Id"), "my-request.1");
    assert_string_equal(reply_header(&reply, "Traceparent"), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    timing = reply_header(&reply, "Server-Timing");
    assert_non_null(timing);
    assert_non_null(strstr(timing, "compute;dur="));
    reply_free(&reply);
    reply = live_ask(&live, "POST", "/v1/classify", "{}", given);
    assert_non_null(strstr(reply.body, "\"request_id\":\"my-request.1\""));
    reply_free(&reply);
    reply = live_ask(&live, "GET", "/healthz", NULL, insane);
    assert_non_null(reply_header(&reply, "X-Request-Id"));
    assert_null(strchr(reply_header(&reply, "X-Request-Id"), '<'));
    assert_null(reply_header(&reply, "Traceparent"));
    reply_free(&reply);
}

static void test_routes_and_methods(void **state)
{
    static const char *const plain[] = {"Content-Type: text/plain", NULL};
    struct reply reply = live_ask(&live, "PATCH", "/v1/classify", NULL, NULL);

    (void)state;
    assert_string_equal(reply_header(&reply, "Allow"), "POST, OPTIONS");
    expect_error(reply, 405, "method_not_allowed", NULL);
    expect_error(live_ask(&live, "GET", "/v1/nothing", NULL, NULL), 404, "route_not_found", NULL);
    expect_error(live_ask(&live, "GET", "/v1/models/none", NULL, NULL), 404, "not_found", NULL);
    expect_error(live_ask(&live, "GET", "/v1/models", "{}", NULL), 400, "body_not_allowed", NULL);
    /* libcurl sends the last field of a name beside the first: two of them are one too many. */
    expect_error(live_ask(&live, "POST", "/v1/classify", "{}", plain), 400, "bad_header", NULL);
}

static void test_bad_bodies(void **state)
{
    static const char *const paths[] = {"/v1/classify", "/v1/embeddings", "/v1/rerank",   "/rerank",
                                        "/v1/tokenize", "/v1/reply",      "/v1/recommend"};
    static const char *const malformed[] = {
        "",
        "{",
        "[]",
        "\"text\"",
        "{\"input\":\"a\",\"input\":\"b\"}",
        "{\"input\":\"a\"}{}",
        "{\"input\":NaN}",
        "{\"input\":\"\xe9\"}",
        "{\"input\":\"\\udead\"}",
        "{\"input\":\"a\\u0000\"}",
        "{\"x\":1e400,\"input\":\"a\"}",
        "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}"};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        for (size_t k = 0; k < sizeof(malformed) / sizeof(malformed[0]); k++)
            expect_error(live_post(&live, paths[i], malformed[k]), 400, "malformed_body", NULL);
        /* Nothing known of a user is a question that has an answer. */
        if (strcmp(paths[i], "/v1/recommend") != 0)
            expect_error(live_post(&live, paths[i], "{}"), 422, "invalid_value", NULL);
        /* Paths of other servers ignore what they do not know, and miss what is not there. */
        expect_error(live_post(&live, paths[i], "{\"tpyo\":1}"), 422, "invalid_value",
                     strcmp(paths[i], "/rerank") == 0 ? "query" : "tpyo");
    }
}

/* ---- models and metrics ---- */

static void test_models(void **state)
{
    struct att_json *json = get("/v1/models");
    const struct att_json *data = att_json_get(json, "data"), *head;

    (void)state;
    assert_string_equal(text_at(json, "object"), "list");
    assert_int_equal(att_json_count(data), 4);
    assert_string_equal(text_at(att_json_at(data, 0), "id"), "sentiment");
    assert_string_equal(text_at(att_json_at(data, 0), "object"), "model");
    assert_string_equal(text_at(att_json_at(data, 2), "task"), "recommend");
    att_json_destroy(json);
    json = get("/v1/models/sentiment");
    assert_string_equal(text_at(json, "architecture"), "bert");
    assert_string_equal(text_at(json, "dtype"), "f32");
    assert_int_equal(strlen(text_at(json, "digest")), 64);
    assert_true(number_at(att_json_get(json, "limits"), "max_tokens") == 64);
    assert_true(number_at(att_json_get(json, "self_test"), "cases_passed") > 0);
    head = att_json_at(att_json_get(json, "heads"), 0);
    assert_int_equal(att_json_count(att_json_get(head, "labels")), 3);
    att_json_destroy(json);
}

static void test_metrics(void **state)
{
    struct reply reply = live_ask(&live, "GET", "/metrics", NULL, NULL);

    (void)state;
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply_header(&reply, "Content-Type"), "text/plain; version=0.0.4"));
    assert_non_null(strstr(reply.body, "attentd_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} "));
    assert_non_null(strstr(reply.body, "attentd_model_info{model=\"sentiment\",arch=\"bert\""));
    assert_non_null(strstr(reply.body, "attentd_batch_tokens_count "));
    assert_non_null(strstr(reply.body, "attentd_drops_total{reason=\"queue_full\"} 0"));
    assert_non_null(strstr(reply.body, "process_resident_memory_bytes "));
    /* Started a moment ago. */
    assert_non_null(strstr(reply.body, "\nprocess_start_time_seconds "));
    assert_in_range(strtoll(strstr(reply.body, "\nprocess_start_time_seconds ") + 28, NULL, 10), time(NULL) - 600,
                    time(NULL) + 1);
    /* Every line is a comment or "name{labels} value". */
    for (const char *line = reply.body; *line != '\0'; line += strcspn(line, "\n") + 1)
        assert_true(line[0] == '#' || memchr(line, ' ', strcspn(line, "\n")) != NULL);
    reply_free(&reply);
}

/* ---- tasks ---- */

static void test_classify(void **state)
{
    struct att_json *json =
        post("/v1/classify", "{\"model\":\"sentiment\",\"input\":\"shares rose after strong profit\"}");
    const struct att_json *row = att_json_at(att_json_get(json, "data"), 0), *scores;
    double sum = 0;

    (void)state;
    assert_string_equal(text_at(json, "object"), "list");
    assert_string_equal(text_at(json, "model"), "sentiment");
    assert_string_equal(text_at(row, "label"), text_at(att_json_get(att_json_get(row, "heads"), "default"), "label"));
    scores = att_json_get(att_json_get(att_json_get(row, "heads"), "default"), "scores");
    assert_int_equal(att_json_count(scores), 3);
    for (size_t i = 0; i < 3; i++)
        sum += number_at(att_json_at(scores, i), "score");
    assert_true(fabs(sum - 1) < 1e-5);
    assert_true(number_at(att_json_get(json, "usage"), "prompt_tokens") > 2);
    assert_true(number_at(att_json_get(json, "timing_ms"), "total") > 0);
    att_json_destroy(json);
    json = post("/v1/classify", "{\"input\":[{\"id\":\"n1\",\"text\":\"profit\"},\"loss\"],\"explain\":\"attention\"}");
    assert_int_equal(att_json_count(att_json_get(json, "data")), 2);
    row = att_json_at(att_json_get(json, "data"), 0);
    assert_string_equal(text_at(row, "id"), "n1");
    assert_true(att_json_count(att_json_get(att_json_get(row, "explain"), "tokens")) > 0);
    att_json_destroy(json);
}

static void test_classify_refusals(void **state)
{
    static const struct {
        const char *body;
        long status;
        const char *code, *param;
    } rows[] = {
        {"{\"input\":null}", 422, "invalid_value", "input"},
        {"{\"input\":3.5}", 422, "invalid_value", "input"},
        {"{\"input\":{}}", 422, "invalid_value", "input"},
        {"{\"input\":[]}", 422, "invalid_value", "input"},
        {"{\"input\":[[\"x\"]]}", 422, "invalid_value", "input[0]"},
        {"{\"input\":[\"a\",7]}", 422, "invalid_value", "input[1]"},
        {"{\"input\":\"a\",\"top_k\":-1}", 422, "invalid_value", "top_k"},
        {"{\"input\":\"a\",\"top_k\":1.5}", 422, "invalid_value", "top_k"},
        {"{\"input\":\"a\",\"explain\":\"magic\"}", 422, "invalid_value", "explain"},
        {"{\"input\":\"a\",\"priority\":\"urgent\"}", 422, "invalid_value", "priority"},
        {"{\"input\":\"a\",\"model\":\"/etc/shadow\"}", 404, "not_found", "model"},
        {"{\"input\":\"a\",\"model\":7}", 422, "invalid_value", "model"},
    };
    char many[2048] = "{\"input\":[";

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_error(live_post(&live, "/v1/classify", rows[i].body), rows[i].status, rows[i].code, rows[i].param);
    for (size_t i = 0; i < 101; i++)
        snprintf(many + strlen(many), sizeof(many) - strlen(many), "%s\"a\"", i > 0 ? "," : "");
    snprintf(many + strlen(many), sizeof(many) - strlen(many), "]}");
    expect_error(live_post(&live, "/v1/classify", many), 413, "limit_exceeded", "input");
    struct reply reply = live_post(&live, "/v1/classify", "{\"input\":\"a\",\"heads\":[]}");
    assert_non_null(strstr(reply.body, "heads: is empty, expected an array of head names"));
    expect_error(reply, 422, "invalid_value", "heads");
}

static void test_embeddings(void **state)
{
    struct att_json *json = post("/v1/embeddings", "{\"input\":[\"where is my parcel\",\"refund\"]}");
    const struct att_json *vector = att_json_get(att_json_at(att_json_get(json, "data"), 0), "embedding");
    double norm = 0;

    (void)state;
    assert_int_equal(att_json_count(att_json_get(json, "data")), 2);
    assert_int_equal(att_json_count(vector), 32);
    for (size_t i = 0; i < 32; i++)
        norm += att_json_number(att_json_at(vector, i), 0) * att_json_number(att_json_at(vector, i), 0);
    assert_true(fabs(norm - 1) < 1e-4);
    att_json_destroy(json);
    json = post("/v1/embeddings", "{\"input\":\"refund\",\"encoding_format\":\"base64\"}");
    assert_int_equal(strlen(text_at(att_json_at(att_json_get(json, "data"), 0), "embedding")), (32 * 4 + 2) / 3 * 4);
    att_json_destroy(json);
    expect_error(live_post(&live, "/v1/embeddings", "{\"input\":\"a\",\"encoding_format\":\"hex\"}"), 422,
                 "invalid_value", "encoding_format");
}

static void test_rerank(void **state)
{
    static const char *const paths[] = {"/v1/rerank", "/rerank", "/v2/rerank"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct att_json *json = post(paths[i], "{\"query\":\"refund\",\"documents\":[\"store hours\",\"refund\"]}");
        const struct att_json *results = att_json_get(json, "results");

        assert_int_equal(att_json_count(results), 2);
        assert_true(number_at(att_json_at(results, 0), "index") == 1);
        assert_true(number_at(att_json_at(results, 0), "relevance_score") >
                    number_at(att_json_at(results, 1), "relevance_score"));
        att_json_destroy(json);
    }
    expect_error(live_post(&live, "/v1/rerank", "{\"query\":\"a\",\"documents\":[]}"), 422, "invalid_value",
                 "documents");
}

static void test_tokenize(void **state)
{
    struct att_json *json = post("/v1/tokenize", "{\"model\":\"encoder\",\"input\":\"refund policy\"}");

    (void)state;
    att_json_destroy(json);
    expect_error(live_post(&live, "/v1/tokenize", "{\"model\":\"movies\",\"input\":\"a\"}"), 422, NULL, NULL);
}

static const char entries[] =
    "{\"entries\":["
    "{\"id\":1,\"question\":\"Where is my parcel?\",\"alternates\":[\"track my order\"],\"answer\":\"See the tracking "
    "page.\"},"
    "{\"id\":2,\"question\":\"How do I get a refund?\",\"answer\":\"Ask for it within 30 days.\"}]}";

static void test_knowledge_base(void **state)
{
    struct att_json *json = ok(live_ask(&live, "PUT", "/v1/kb/default", entries, NULL));

    (void)state;
    assert_true(number_at(json, "entries") == 2);
    att_json_destroy(json);
    json = get("/v1/kb/default/entries/2");
    assert_string_equal(text_at(json, "answer"), "Ask for it within 30 days.");
    att_json_destroy(json);
    json = ok(live_ask(&live, "PUT", "/v1/kb/default/entries/3",
                       "{\"question\":\"Opening hours?\",\"answer\":\"9 to 5\"}", NULL));
    assert_true(number_at(json, "entries") == 3);
    att_json_destroy(json);
    att_json_destroy(ok(live_ask(&live, "DELETE", "/v1/kb/default/entries/3", NULL, NULL)));
    expect_error(live_ask(&live, "GET", "/v1/kb/default/entries/3", NULL, NULL), 404, "not_found", "id");
    expect_error(live_ask(&live, "DELETE", "/v1/kb/default/entries/x", NULL, NULL), 404, "not_found", "id");
    expect_error(live_ask(&live, "GET", "/v1/kb/other", NULL, NULL), 404, "not_found", "kb");
    expect_error(live_ask(&live, "PUT", "/v1/kb/default", "{\"entries\":[{\"id\":1}]}", NULL), 422, "invalid_value",
                 NULL);
    expect_error(live_ask(&live, "PUT", "/v1/kb/default", "{\"entries\":", NULL), 400, "malformed_body", NULL);
    json = get("/v1/kb/default");
    assert_true(number_at(json, "entries") == 2);
    att_json_destroy(json);
}

static void test_reply(void **state)
{
    struct att_json *json = post("/v1/reply", "{\"question\":\"How do I get a refund?\",\"top\":2}");
    const struct att_json *best = att_json_at(att_json_get(json, "answers"), 0);

    (void)state;
    assert_true(number_at(best, "id") == 2);
    assert_string_equal(text_at(best, "answer"), "Ask for it within 30 days.");
    assert_string_equal(text_at(json, "decision"), "answered");
    att_json_destroy(json);
    expect_error(live_post(&live, "/v1/reply", "{\"question\":7}"), 422, "invalid_value", "question");
    expect_error(live_post(&live, "/v1/reply", "{\"question\":\"a\",\"top\":0}"), 422, "invalid_value", "top");
    expect_error(live_post(&live, "/v1/reply", "{\"question\":\"a\",\"kb\":\"other\"}"), 404, "not_found", "kb");
}

static void test_recommend(void **state)
{
    struct att_json *json = post("/v1/recommend", "{\"history\":[{\"item\":\"12\"},{\"item\":\"40\"}],\"top_k\":5}");
    const struct att_json *items = att_json_get(json, "items");

    (void)state;
    assert_int_equal(att_json_count(items), 5);
    for (size_t i = 0; i < 5; i++) {
        assert_true(number_at(att_json_at(items, i), "rank") == (double)(i + 1));
        /* exclude_seen is the default. */
        assert_string_not_equal(text_at(att_json_at(items, i), "id"), "12");
    }
    att_json_destroy(json);
    json = post("/v1/recommend", "{\"history\":[{\"item\":\"12\"}],\"candidates\":[\"7\",\"nothing\"],\"top_k\":5}");
    assert_int_equal(att_json_count(att_json_get(json, "items")), 1);
    assert_string_equal(att_json_string(att_json_at(att_json_get(json, "unknown"), 0), NULL), "nothing");
    att_json_destroy(json);
    expect_error(live_post(&live, "/v1/recommend", "{\"history\":[{\"item\":12}]}"), 422, "invalid_value",
                 "history[0].item");
    expect_error(live_post(&live, "/v1/recommend", "{\"history\":[{\"item\":\"1\"}],\"top_k\":0}"), 422,
                 "invalid_value", "top_k");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_routes_and_methods),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_bad_bodies),
        cmocka_unit_test(test_classify),
        cmocka_unit_test(test_classify_refusals),
        cmocka_unit_test(test_embeddings),
        cmocka_unit_test(test_rerank),
        cmocka_unit_test(test_tokenize),
        cmocka_unit_test(test_knowledge_base),
        cmocka_unit_test(test_reply),
        cmocka_unit_test(test_recommend),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, start, stop);
}
