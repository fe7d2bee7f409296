/*
 * Paths of other servers on a live daemon: bodies as those servers define them, the
 * same numbers as on our own paths, and errors in the shape that their clients read.
 */
#include "live.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static struct att_json *post(const char *path, const char *body)
{
    return expect_json(live_post(&live, path, body), 200);
}

static struct att_json *get(const char *path)
{
    return expect_json(live_ask(&live, "GET", path, NULL, NULL), 200);
}

/* A value by path: "data.0.embedding.3". */
static const struct att_json *at(const struct att_json *value, const char *path)
{
    char step[64];

    for (; *path != '\0'; path += strlen(step) + (path[strlen(step)] == '.')) {
        snprintf(step, sizeof(step), "%.*s", (int)strcspn(path, "."), path);
        value =
            att_json_is_array(value) ? att_json_at(value, (size_t)strtoul(step, NULL, 10)) : att_json_get(value, step);
        if (value == NULL)
            fail_msg("no %s", step);
    }
    return value;
}

static double number(const struct att_json *value, const char *path)
{
    assert_true(att_json_is_number(at(value, path)));
    return att_json_number(at(value, path), NAN);
}

static const char *text(const struct att_json *value, const char *path)
{
    assert_true(att_json_is_string(at(value, path)));
    return att_json_string(at(value, path), NULL);
}

/* TEI's shape. */
static void expect_flat(struct reply reply, long status, const char *type)
{
    struct att_json *json = reply_json(&reply);

    if (reply.status != status || strcmp(text(json, "error_type"), type) != 0)
        fail_msg("status %ld: %s, expected %ld and %s", reply.status, reply.body, status, type);
    assert_int_equal(att_json_count(json), 2);
    assert_true(strlen(text(json, "error")) > 0);
    att_json_destroy(json);
    reply_free(&reply);
}

/* ---- TEI ---- */

static void test_embed(void **state)
{
    struct att_json *ours = post("/v1/embeddings", "{\"input\":\"refund policy\"}");
    struct att_json *tei = post("/embed", "{\"inputs\":\"refund policy\",\"some_day\":1}");
    struct att_json *all = post("/embed_all", "{\"inputs\":[\"refund policy\",\"refund\"]}");
    struct att_json *raw = post("/embed", "{\"inputs\":[\"refund policy\"],\"normalize\":false}");
    struct att_json *cut = post("/embed", "{\"inputs\":\"refund policy\",\"dimensions\":4}");
    size_t hidden = att_json_count(at(ours, "data.0.embedding")), tokens = att_json_count(at(all, "0"));
    double norm = 0, cut_norm = 0;

    (void)state;
    assert_int_equal(att_json_count(tei), 1);
    assert_int_equal(att_json_count(at(tei, "0")), hidden);
    assert_int_equal(att_json_count(all), 2);
    assert_true(tokens > att_json_count(at(all, "1")));
    for (size_t i = 0; i < hidden; i++) {
        double mean = 0, scaled = att_json_number(att_json_at(at(raw, "0"), i), 0);

        assert_true(att_json_number(att_json_at(at(tei, "0"), i), 0) ==
                    att_json_number(att_json_at(at(ours, "data.0.embedding"), i), 1));
        for (size_t t = 0; t < tokens; t++)
            mean += att_json_number(att_json_at(att_json_at(at(all, "0"), t), i), 0) / (double)tokens;
        /* This encoder pools by the mean. */
        assert_true(fabs(mean - scaled) < 1e-4);
        norm += scaled * scaled;
    }
    assert_true(fabs(sqrt(norm) - 1) > 1e-3);
    for (size_t i = 0; i < hidden; i++)
        assert_true(fabs(att_json_number(att_json_at(at(raw, "0"), i), 0) / sqrt(norm) -
                         att_json_number(att_json_at(at(tei, "0"), i), 0)) < 1e-5);
    assert_int_equal(att_json_count(at(cut, "0")), 4);
    for (size_t i = 0; i < 4; i++)
        cut_norm += pow(att_json_number(att_json_at(at(cut, "0"), i), 0), 2);
    assert_true(fabs(cut_norm - 1) < 1e-5);
    att_json_destroy(ours);
    att_json_destroy(tei);
    att_json_destroy(all);
    att_json_destroy(raw);
    att_json_destroy(cut);
}

/* A body with many words in its middle. */
static struct reply post_long(const char *path, const char *head, const char *tail)
{
    char words[4096] = "", body[8192];

    for (size_t i = 0; i < 200; i++)
        memcpy(words + 7 * i, "refund ", 8);
    assert_true(snprintf(body, sizeof(body), "%s%s%s", head, words, tail) < (int)sizeof(body));
    return live_post(&live, path, body);
}

static void test_truncation(void **state)
{
    struct att_json *right, *left, *whole, *end;

    (void)state;
    expect_flat(post_long("/embed", "{\"inputs\":\"", "\"}"), 413, "Validation");
    expect_flat(post_long("/predict", "{\"inputs\":\"", "\"}"), 413, "Validation");
    right = expect_json(post_long("/embed", "{\"inputs\":\"store ", "hours\",\"truncate\":true}"), 200);
    left = expect_json(
        post_long("/embed", "{\"inputs\":\"store ", "hours\",\"truncate\":true,\"truncation_direction\":\"Left\"}"),
        200);
    whole = expect_json(post_long("/embed", "{\"inputs\":\"store ", "\",\"truncate\":true}"), 200);
    end = expect_json(
        post_long("/embed", "{\"inputs\":\"", "hours\",\"truncate\":true,\"truncation_direction\":\"left\"}"), 200);
    assert_true(number(right, "0.0") == number(whole, "0.0") && number(left, "0.0") == number(end, "0.0"));
    assert_true(number(right, "0.0") != number(left, "0.0"));
    att_json_destroy(right);
    att_json_destroy(left);
    att_json_destroy(whole);
    att_json_destroy(end);
}

static void test_similarity(void **state)
{
    struct att_json *json = post("/similarity", "{\"inputs\":{\"source_sentence\":\"refund\",\"sentences\":[\"store "
                                                "hours\",\"refund\"]},\"parameters\":{\"truncate\":true}}");

    (void)state;
    assert_int_equal(att_json_count(json), 2);
    assert_true(fabs(number(json, "1") - 1) < 1e-5 && number(json, "0") < number(json, "1"));
    att_json_destroy(json);
    expect_flat(live_post(&live, "/similarity", "{\"inputs\":\"a\"}"), 422, "Validation");
    expect_flat(live_post(&live, "/similarity", "{\"inputs\":{\"source_sentence\":\"a\",\"sentences\":[]}}"), 400,
                "Empty");
}

static void test_predict(void **state)
{
    struct att_json *ours =
        post("/v1/classify", "{\"input\":[\"good day\",{\"text\":\"good\",\"text_pair\":\"day\"}]}");
    struct att_json *one = post("/predict", "{\"inputs\":\"good day\"}");
    struct att_json *pair = post("/predict", "{\"inputs\":[\"good\",\"day\"]}");
    struct att_json *batch = post("/predict", "{\"inputs\":[[\"good day\"],[\"good\",\"day\"]]}");
    struct att_json *raw = post("/predict", "{\"inputs\":\"good day\",\"raw_scores\":true}");

    (void)state;
    assert_string_equal(text(one, "0.label"), text(ours, "data.0.label"));
    assert_true(number(one, "0.score") == number(ours, "data.0.score"));
    assert_true(number(one, "0.score") >= number(one, "1.score"));
    assert_true(number(pair, "0.score") == number(ours, "data.1.score"));
    assert_int_equal(att_json_count(batch), 2);
    assert_true(number(batch, "0.0.score") == number(one, "0.score"));
    assert_true(number(batch, "1.0.score") == number(pair, "0.score"));
    assert_true(number(raw, "0.score") == number(ours, "data.0.heads.default.logit"));
    att_json_destroy(ours);
    att_json_destroy(one);
    att_json_destroy(pair);
    att_json_destroy(batch);
    att_json_destroy(raw);
    expect_flat(live_post(&live, "/predict", "{\"inputs\":[\"a\",\"b\",\"c\"]}"), 422, "Validation");
    expect_flat(live_post(&live, "/predict", "{\"inputs\":[[\"a\",\"b\",\"c\"]]}"), 422, "Validation");
    expect_flat(live_post(&live, "/predict", "{\"inputs\":[]}"), 400, "Empty");
}

/* A model without special tokens reads nothing of an empty text: the request is refused, and nobody else's. */
static void test_empty_texts_of_a_model_without_special_tokens(void **state)
{
    static const char *const bodies[][2] = {
        {"/v1/rerank", "{\"model\":\"chat\",\"query\":\"\",\"documents\":[\"a\"]}"},
        {"/v2/rerank", "{\"model\":\"chat\",\"query\":\"a\",\"documents\":[\"b\",\"\"]}"},
        {"/v1/embeddings", "{\"model\":\"chat\",\"input\":\"\"}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        expect_error(live_post(&live, bodies[i][0], bodies[i][1]), 422, "invalid_value", NULL);
}

static void test_rerank(void **state)
{
    static const char body[] = "{\"query\":\"refund\",\"documents\":[\"store hours\",{\"text\":\"refund\",\"id\":7}],"
                               "\"top_n\":1,\"priority\":0,\"return_documents\":true}";
    struct att_json *jina = post("/rerank", body), *cohere = post("/v2/rerank", body);
    struct att_json *tei = post("/rerank", "{\"query\":\"refund\",\"texts\":[\"store hours\",\"refund\"]}");
    struct att_json *raw =
        post("/rerank",
             "{\"query\":\"refund\",\"texts\":[\"store hours\",\"refund\"],\"raw_scores\":true,\"return_text\":true}");

    (void)state;
    assert_int_equal(att_json_count(at(jina, "results")), 1);
    assert_string_equal(text(cohere, "results.0.document.text"), "refund");
    assert_true(number(cohere, "results.0.relevance_score") == number(jina, "results.0.relevance_score"));
    assert_true(number(cohere, "meta.billed_units.search_units") == 1);
    assert_int_equal(att_json_count(tei), 2);
    assert_true(number(tei, "0.index") == 1 && number(tei, "0.score") == number(jina, "results.0.relevance_score"));
    assert_null(att_json_get(at(tei, "0"), "text"));
    assert_true(number(raw, "0.score") == number(jina, "results.0.logit"));
    assert_string_equal(text(raw, "0.text"), "refund");
    att_json_destroy(jina);
    att_json_destroy(cohere);
    att_json_destroy(tei);
    att_json_destroy(raw);
    expect_flat(live_post(&live, "/rerank", "{\"texts\":[\"a\"]}"), 422, "Validation");
    expect_flat(live_post(&live, "/rerank", "{\"query\":\"a\",\"texts\":[]}"), 400, "Empty");
    expect_error(live_post(&live, "/rerank", "{\"query\":\"a\",\"documents\":[]}"), 422, "invalid_value", "documents");
    expect_error(live_post(&live, "/v1/rerank", "{\"query\":\"a\",\"documents\":[{\"text\":\"b\",\"id\":7}]}"), 422,
                 "invalid_value", "documents[0].id");
}

static void test_tokens(void **state)
{
    struct att_json *tokens = post("/tokenize", "{\"inputs\":\"refund policy\",\"model\":\"encoder\"}");
    struct att_json *plain = post("/tokenize", "{\"inputs\":[\"refund policy\"],\"add_special_tokens\":false}");
    size_t n = att_json_count(at(tokens, "0"));
    struct att_json *decoded;
    char body[256];
    int len = snprintf(body, sizeof(body), "{\"ids\":[");

    (void)state;
    assert_true(n > 3 && att_json_count(at(plain, "0")) == n - 2);
    assert_true(att_json_bool(at(tokens, "0.0.special"), false));
    assert_true(att_json_type(att_json_get(at(tokens, "0.0"), "start")) == ATT_JSON_NULL);
    assert_true(number(tokens, "0.1.start") == 0);
    for (size_t i = 0; i < n; i++)
        len += snprintf(body + len, sizeof(body) - (size_t)len, "%s%.0f", i > 0 ? "," : "",
                        att_json_number(att_json_get(att_json_at(at(tokens, "0"), i), "id"), 0));
    snprintf(body + len, sizeof(body) - (size_t)len, "]}");
    decoded = post("/decode", body);
    assert_string_equal(text(decoded, "0"), "refund policy");
    att_json_destroy(tokens);
    att_json_destroy(plain);
    att_json_destroy(decoded);
    expect_flat(live_post(&live, "/decode", "{\"ids\":[99999999]}"), 422, "Validation");
    expect_flat(live_post(&live, "/decode", "{\"ids\":[]}"), 400, "Empty");
    expect_flat(live_post(&live, "/tokenize", "{\"inputs\":\"a\",\"model\":\"movies\"}"), 422, "Tokenizer");
}

static void test_flat_errors(void **state)
{
    static const char *const plain[] = {"Content-Type: text/plain", NULL};

    (void)state;
    expect_flat(live_post(&live, "/embed", "{"), 400, "Validation");
    expect_flat(live_post(&live, "/embed", "{}"), 422, "Validation");
    expect_flat(live_post(&live, "/embed", "{\"inputs\":\"\"}"), 400, "Empty");
    expect_flat(live_post(&live, "/embed", "{\"inputs\":[[]]}"), 400, "Empty");
    expect_flat(live_post(&live, "/embed", "{\"inputs\":\"a\",\"prompt_name\":\"nothing\"}"), 422, "Validation");
    expect_flat(live_post(&live, "/embed", "{\"inputs\":\"a\",\"model\":\"nothing\"}"), 404, "Validation");
    expect_flat(live_ask(&live, "GET", "/info", "{}", NULL), 400, "Validation");
    /* libcurl sends the last field of a name beside the first. */
    expect_error(live_ask(&live, "POST", "/embed", "{}", plain), 400, "bad_header", NULL);
}

static void test_tei_server(void **state)
{
    struct reply reply = live_ask(&live, "GET", "/health", NULL, NULL);
    struct att_json *info = get("/info");

    (void)state;
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.len, 0);
    reply_free(&reply);
    assert_string_equal(text(info, "model_id"), "encoder");
    assert_string_equal(text(info, "model_type.embedding.pooling"), "mean");
    assert_true(number(info, "max_client_batch_size") == 100);
    att_json_destroy(info);
}

/* ---- vLLM ---- */

static void test_vllm(void **state)
{
    struct att_json *ours = post("/v1/classify", "{\"input\":\"good day\"}");
    struct att_json *classes = post("/classify", "{\"input\":[\"good day\"],\"priority\":3}");
    struct att_json *logits = post("/classify", "{\"input\":\"good day\",\"activation\":false}");
    struct att_json *many = post("/score", "{\"text_1\":\"refund\",\"text_2\":[\"store hours\",\"refund\"]}");
    struct att_json *each =
        post("/v1/score", "{\"queries\":[\"refund\",\"store\"],\"documents\":[\"refund\",\"hours\"]}");
    double sum = 0;

    (void)state;
    assert_string_equal(text(classes, "data.0.label"), text(ours, "data.0.label"));
    assert_int_equal(att_json_count(at(classes, "data.0.probs")), (size_t)number(classes, "data.0.num_classes"));
    for (size_t i = 0; i < att_json_count(at(classes, "data.0.probs")); i++)
        sum += att_json_number(att_json_at(at(classes, "data.0.probs"), i), 0);
    assert_true(fabs(sum - 1) < 1e-5);
    assert_true(number(logits, "data.0.probs.0") != number(classes, "data.0.probs.0"));
    assert_int_equal(att_json_count(at(many, "data")), 2);
    assert_true(fabs(number(many, "data.1.score") - 1) < 1e-5);
    assert_true(fabs(number(each, "data.0.score") - 1) < 1e-5 && number(each, "data.1.score") < 1);
    att_json_destroy(ours);
    att_json_destroy(classes);
    att_json_destroy(logits);
    att_json_destroy(many);
    att_json_destroy(each);
    expect_error(live_post(&live, "/score", "{\"queries\":[\"a\",\"b\"],\"documents\":[\"a\",\"b\",\"c\"]}"), 422,
                 "invalid_value", "queries");
    expect_error(live_post(&live, "/score", "{\"text_1\":\"a\"}"), 422, "invalid_value", "text_2");
    expect_error(live_post(&live, "/score", "{\"text_1\":\"a\",\"text_2\":\"b\",\"data_2\":\"c\"}"), 422,
                 "invalid_value", "data_2");
    expect_error(live_post(&live, "/score", "{}"), 422, "invalid_value", "queries");
    expect_error(live_post(&live, "/classify", "{\"input\":[]}"), 422, "invalid_value", "input");
}

/* ---- KServe V2 ---- */

static void test_kserve_metadata(void **state)
{
    struct att_json *server = get("/v2"), *live_answer = get("/v2/health/live"), *ready = get("/v2/health/ready");
    struct att_json *model = get("/v2/models/sentiment"), *model_ready = get("/v2/models/encoder/versions/1/ready");

    (void)state;
    assert_string_equal(text(server, "name"), "attentd");
    assert_true(att_json_bool(at(live_answer, "live"), false) && att_json_bool(at(ready, "ready"), false));
    assert_true(att_json_bool(at(model_ready, "ready"), false));
    assert_string_equal(text(model, "inputs.0.datatype"), "BYTES");
    assert_string_equal(text(model, "outputs.0.name"), "label");
    assert_string_equal(text(model, "versions.0"), "1");
    att_json_destroy(server);
    att_json_destroy(live_answer);
    att_json_destroy(ready);
    att_json_destroy(model);
    att_json_destroy(model_ready);
    expect_error(live_ask(&live, "GET", "/v2/models/nothing", NULL, NULL), 404, "not_found", NULL);
    expect_error(live_ask(&live, "GET", "/v2/models/encoder/versions/9", NULL, NULL), 404, "not_found", NULL);
}

static void test_kserve_infer(void **state)
{
    static const char two[] = "{\"id\":\"x\",\"inputs\":[{\"name\":\"text\",\"shape\":[2,1],\"datatype\":\"BYTES\","
                              "\"data\":[[\"good day\"],[\"refund\"]]}]}";
    struct att_json *ours = post("/v1/classify", "{\"input\":[\"good day\",\"refund\"]}");
    struct att_json *vectors = post("/v1/embeddings", "{\"input\":[\"good day\",\"refund\"]}");
    struct att_json *classes = post("/v2/models/sentiment/infer", two);
    struct att_json *embedded = post("/v2/models/encoder/versions/1/infer", two);
    struct att_json *labels =
        post("/v2/models/sentiment/infer", "{\"inputs\":[{\"name\":\"text\",\"shape\":[1],\"datatype\":\"BYTES\","
                                           "\"data\":[\"good day\"]}],\"outputs\":[{\"name\":\"label\"}]}");
    size_t hidden = (size_t)number(embedded, "outputs.0.shape.1");

    (void)state;
    assert_string_equal(text(classes, "id"), "x");
    assert_string_equal(text(classes, "outputs.0.data.0"), text(ours, "data.0.label"));
    assert_string_equal(text(classes, "outputs.0.data.1"), text(ours, "data.1.label"));
    assert_int_equal(att_json_count(at(classes, "outputs")), 3);
    assert_int_equal(att_json_count(at(classes, "outputs.1.data")), 2 * (size_t)number(classes, "outputs.1.shape.1"));
    assert_int_equal(att_json_count(at(embedded, "outputs.0.data")), 2 * hidden);
    for (size_t i = 0; i < hidden; i++)
        assert_true(att_json_number(att_json_at(at(embedded, "outputs.0.data"), hidden + i), 0) ==
                    att_json_number(att_json_at(at(vectors, "data.1.embedding"), i), 1));
    assert_int_equal(att_json_count(at(labels, "outputs")), 1);
    att_json_destroy(ours);
    att_json_destroy(vectors);
    att_json_destroy(classes);
    att_json_destroy(embedded);
    att_json_destroy(labels);
}

/* As Triton's client sends by default: JSON, then the tensors as octets. */
static struct reply post_binary(const char *path, const char *json, const char *tail, size_t tail_len, const char *type)
{
    char request[2048];
    size_t json_len = strlen(json);
    int len = snprintf(request, sizeof(request),
                       "POST %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%sInference-Header-Content-Length: "
                       "%zu\r\nContent-Length: %zu\r\n\r\n%s",
                       path, type, json_len, json_len + tail_len, json);
    bool closed;
    const char *answer, *body;
    struct reply reply = {.status = 0};
    int fd = live_connect(&live);

    memcpy(request + len, tail, tail_len);
    live_send(fd, request, (size_t)len + tail_len);
    answer = live_read(fd, 5000, &closed);
    close(fd);
    assert_true(closed && strncmp(answer, "HTTP/1.1 ", 9) == 0);
    reply.status = strtol(answer + 9, NULL, 10);
    body = strstr(answer, "\r\n\r\n");
    assert_non_null(body);
    reply.head = strndup(answer, (size_t)(body + 2 - answer));
    reply.body = strdup(body + 4);
    reply.len = strlen(reply.body);
    return reply;
}

static void test_kserve_binary(void **state)
{
    static const char octets[] = "Content-Type: application/octet-stream\r\n";
    static const char json[] = "{\"inputs\":[{\"name\":\"text\",\"shape\":[2],\"datatype\":\"BYTES\",\"parameters\":{"
                               "\"binary_data_size\":22}}]}";
    static const char tail[] = "\x08\0\0\0good day\x06\0\0\0refund";
    static const char path[] = "/v2/models/sentiment/infer";
    struct att_json *plain =
        post(path, "{\"inputs\":[{\"name\":\"text\",\"shape\":[2],\"datatype\":\"BYTES\",\"data\":[\"good day\","
                   "\"refund\"]}]}");
    struct att_json *binary = expect_json(post_binary(path, json, tail, 22, octets), 200);
    struct att_json *untyped = expect_json(post_binary(path, json, tail, 22, ""), 200);

    (void)state;
    for (size_t i = 0; i < 6; i++)
        assert_true(att_json_number(att_json_at(at(plain, "outputs.1.data"), i), 0) ==
                    att_json_number(att_json_at(at(binary, "outputs.1.data"), i), 1));
    assert_string_equal(text(untyped, "outputs.0.data.1"), text(plain, "outputs.0.data.1"));
    att_json_destroy(plain);
    att_json_destroy(binary);
    att_json_destroy(untyped);
    /* Too short, too long, a length beyond the end, octets where no JSON stands before them. */
    expect_error(post_binary(path, json, tail, 21, octets), 422, "invalid_value", "inputs[0]");
    expect_error(post_binary(path, json, "\x08\0\0\0good day\x06\0\0\0refund!", 23, octets), 422, "invalid_value",
                 "inputs");
    expect_error(post_binary(path, json, "\x08\0\0\xffgood day\x06\0\0\0refund", 22, octets), 422, "invalid_value",
                 "inputs[0]");
    expect_error(post_binary("/v1/classify", "{\"input\":\"a\"}", "", 0, octets), 415, "unsupported_media_type", NULL);
}

static void test_kserve_refusals(void **state)
{
    static const struct {
        const char *body, *param;
        long status;
    } bad[] = {
        {"{}", "inputs", 422},
        {"{\"inputs\":[]}", "inputs", 422},
        {"{\"inputs\":[{\"name\":\"text\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]}]}", "inputs[0]", 422},
        {"{\"inputs\":[{\"name\":\"text\",\"shape\":[2],\"datatype\":\"BYTES\",\"data\":[\"a\"]}]}", "inputs[0]", 422},
        {"{\"inputs\":[{\"name\":\"text\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"a\",\"b\"]}]}", "inputs[0]",
         422},
        {"{\"inputs\":[{\"name\":\"text\",\"shape\":[0],\"datatype\":\"BYTES\",\"data\":[]}]}", "inputs[0]", 422},
        {"{\"inputs\":[{\"name\":\"text\",\"shape\":[4294967296,4294967296],\"datatype\":\"BYTES\",\"data\":[]}]}",
         "inputs[0]", 422},
        {"{\"inputs\":[{\"name\":\"text\",\"shape\":[101],\"datatype\":\"BYTES\",\"data\":[]}]}", "inputs[0]", 413},
        {"{\"inputs\":[{\"name\":\"text\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[7]}]}", "inputs[0]", 422},
        {"{\"inputs\":[{\"name\":\"text_pair\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"a\"]}]}", "inputs",
         422},
        {"{\"inputs\":[{\"name\":\"text\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"a\"]}],\"outputs\":[{"
         "\"name\":"
         "\"x\"}]}",
         "outputs[0]", 422},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_error(live_post(&live, "/v2/models/encoder/infer", bad[i].body), bad[i].status, NULL, bad[i].param);
    expect_error(live_post(&live, "/v2/models/nothing/infer", "{}"), 404, "not_found", NULL);
    expect_error(live_post(&live, "/v2/models/encoder/versions/7/infer", "{}"), 404, "not_found", NULL);
    expect_error(live_post(&live, "/v2/models/movies/infer", "{}"), 422, "unsupported", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed),           cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_similarity),      cmocka_unit_test(test_predict),
        cmocka_unit_test(test_rerank),          cmocka_unit_test(test_empty_texts_of_a_model_without_special_tokens),
        cmocka_unit_test(test_tokens),          cmocka_unit_test(test_flat_errors),
        cmocka_unit_test(test_tei_server),      cmocka_unit_test(test_vllm),
        cmocka_unit_test(test_kserve_metadata), cmocka_unit_test(test_kserve_infer),
        cmocka_unit_test(test_kserve_refusals), cmocka_unit_test(test_kserve_binary),
    };

    return cmocka_run_group_tests_name("http/wire", tests, start, stop);
}
