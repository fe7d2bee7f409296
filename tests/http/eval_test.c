/* POST /v1/eval of a live daemon, and what its metrics say of drift. */
#include "live.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct live live;

static int start(void **state)
{
    (void)state;
    live_start(&live, "drift_window = 60\n");
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

static double number(const struct att_json *object, const char *key)
{
    return att_json_number(att_json_get(object, key), NAN);
}

static const char *const texts[] = {
    "shares rose", "profit fell", "the meeting is on monday", "strong quarter", "weak", "dividend", "loss", "a"};
enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };

/* What /v1/classify says of each text is what /v1/eval counts. */
static void test_counts_what_classify_says(void **state)
{
    char body[2048], one[256];
    size_t len = (size_t)snprintf(body, sizeof(body), "{\"model\":\"sentiment\",\"examples\":[");
    struct att_json *json;
    size_t right = 0, confused = 0;
    const struct att_json *interval, *confusions;

    (void)state;
    for (size_t i = 0; i < TEXTS; i++) {
        snprintf(one, sizeof(one), "{\"model\":\"sentiment\",\"input\":\"%s\"}", texts[i]);
        json = post("/v1/classify", one);
        right += strcmp(att_json_string(att_json_get(att_json_at(att_json_get(json, "data"), 0), "label"), NULL),
                        "positive") == 0;
        att_json_destroy(json);
        len += (size_t)snprintf(body + len, sizeof(body) - len, "%s{\"text\":\"%s\",\"label\":\"positive\"}",
                                i > 0 ? "," : "", texts[i]);
    }
    snprintf(body + len, sizeof(body) - len, "]}");
    json = post("/v1/eval", body);
    assert_int_equal(number(json, "rows"), TEXTS);
    assert_true(fabs(number(json, "accuracy") - (double)right / TEXTS) < 1e-4);
    interval = att_json_get(att_json_get(json, "intervals"), "accuracy");
    assert_true(att_json_number(att_json_at(interval, 0), 2) <= number(json, "accuracy"));
    assert_true(att_json_number(att_json_at(interval, 1), -2) >= number(json, "accuracy"));
    confusions = att_json_get(json, "confusions");
    for (size_t i = 0; i < att_json_count(confusions); i++)
        confused += (size_t)number(att_json_at(confusions, i), "count");
    assert_int_equal(confused, TEXTS - right);
    att_json_destroy(json);
}

static void test_out_of_scope(void **state)
{
    struct att_json *json =
        post("/v1/eval", "{\"model\":\"sentiment\",\"examples\":[{\"text\":\"shares rose\",\"label\":\"positive\"},"
                         "{\"text\":\"who won\",\"label\":null}]}");

    (void)state;
    assert_int_equal(number(json, "rows"), 1);
    assert_int_equal(number(json, "out_of_scope_rows"), 1);
    assert_true(number(json, "auroc") >= 0 && number(json, "auroc") <= 1);
    att_json_destroy(json);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *body;
        long status;
        const char *code, *param;
    } rows[] = {
        {"{}", 422, "invalid_value", "examples"},
        {"{\"examples\":[]}", 422, "invalid_value", "examples"},
        {"{\"examples\":[{\"text\":\"a\"}]}", 422, "invalid_value", "examples[0].label"},
        {"{\"examples\":[{\"text\":\"a\",\"label\":\"happy\"}]}", 422, "invalid_value", "examples[0].label"},
        {"{\"examples\":[{\"text\":7,\"label\":\"positive\"}]}", 422, "invalid_value", "examples[0].text"},
        {"{\"head\":\"mood\",\"examples\":[{\"text\":\"a\",\"label\":\"positive\"}]}", 422, "invalid_value", "head"},
        {"{\"model\":\"encoder\",\"examples\":[{\"text\":\"a\",\"label\":\"positive\"}]}", 422, "invalid_value",
         "model"},
        {"{\"model\":\"none\",\"examples\":[{\"text\":\"a\",\"label\":\"positive\"}]}", 404, "not_found", "model"},
        {"{\"folds\":2,\"examples\":[{\"text\":\"a\",\"label\":\"positive\"}]}", 422, "invalid_value", "folds"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_error(live_post(&live, "/v1/eval", rows[i].body), rows[i].status, rows[i].code, rows[i].param);
}

/* The value of a metric's line, or NAN. */
static double metric(const char *line)
{
    struct reply reply = live_ask(&live, "GET", "/metrics", NULL, NULL);
    const char *found = strstr(reply.body, line);
    double value = found != NULL ? strtod(found + strlen(line), NULL) : NAN;

    reply_free(&reply);
    return value;
}

static void classify(const char *text, size_t times)
{
    char body[256];

    snprintf(body, sizeof(body), "{\"model\":\"sentiment\",\"input\":\"%s\"}", text);
    for (size_t i = 0; i < times; i++)
        att_json_destroy(post("/v1/classify", body));
}

/* The first answers are the reference; the same again is no drift, something else is. */
static void test_drift(void **state)
{
    static const char psi[] = "attentd_drift_confidence_psi{model=\"sentiment\",head=\"default\"} ";
    static const char unknown[] =
        "attentd_drift_unknown_token_ratio{model=\"sentiment\",head=\"default\",period=\"now\"} ";
    double calm, moved;

    (void)state;
    for (size_t round = 0; round < 16; round++)
        for (size_t i = 0; i < TEXTS; i++)
            classify(texts[i], 1);
    calm = metric(psi);
    assert_true(calm >= 0 && calm < 0.2);
    assert_true(metric("attentd_drift_rows{model=\"sentiment\",head=\"default\"} ") == 60);
    assert_true(metric(unknown) < 0.5);
    assert_true(metric("attentd_drift_label_ratio{model=\"sentiment\",head=\"default\",label=\"positive\",period="
                       "\"reference\"} ") > 0);
    assert_true(metric("attentd_drift_label_ratio{model=\"sentiment\",head=\"default\",label=\"(abstained)\",period="
                       "\"now\"} ") == 0);
    assert_true(metric("attentd_drift_confidence{model=\"sentiment\",head=\"default\",period=\"now\"} ") > 0.3);
    classify("\xe2\x98\x83", 60); /* a snowman, which no vocabulary of news has */
    moved = metric(psi);
    assert_true(moved > 1 && moved > calm);
    assert_true(metric(unknown) == 1);
    assert_true(
        metric("attentd_drift_unknown_token_ratio{model=\"sentiment\",head=\"default\",period=\"reference\"} ") < 0.5);
}

/* Questions that no entry answers: the share of a knowledge base without entries is 1. */
static void test_unmatched(void **state)
{
    (void)state;
    for (size_t i = 0; i < 120; i++)
        att_json_destroy(post("/v1/reply", "{\"question\":\"where is my order\"}"));
    assert_true(metric("attentd_drift_unmatched_ratio{kb=\"default\",period=\"now\"} ") == 1);
    assert_true(metric("attentd_drift_unmatched_ratio{kb=\"default\",period=\"reference\"} ") == 1);
    assert_true(metric("attentd_drift_rows{kb=\"default\"} ") == 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_what_classify_says),
        cmocka_unit_test(test_out_of_scope),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_unmatched),
    };

    return cmocka_run_group_tests_name("eval", tests, start, stop);
}
