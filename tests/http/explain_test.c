/* Explanations of a live daemon: what a word weighs is what the daemon answers when it is asked without the word. */
#include "live.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct live live;

static int start(void **state)
{
    (void)state;
    live_start(&live, "");
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

static const struct att_json *first(const struct att_json *answer, const char *list)
{
    return att_json_at(att_json_get(answer, list), 0);
}

static double number(const struct att_json *object, const char *key)
{
    return att_json_number(att_json_get(object, key), NAN);
}

/* The logit of `label` for `text`. */
static float logit_of(const char *text, const char *label)
{
    char body[256];
    float logit = NAN;
    struct att_json *json;
    const struct att_json *scores;

    snprintf(body, sizeof(body), "{\"model\":\"sentiment\",\"input\":\"%s\"}", text);
    json = post("/v1/classify", body);
    scores = att_json_get(att_json_get(att_json_get(first(json, "data"), "heads"), "default"), "scores");
    for (size_t i = 0; i < att_json_count(scores); i++)
        if (strcmp(att_json_string(att_json_get(att_json_at(scores, i), "label"), NULL), label) == 0)
            logit = (float)number(att_json_at(scores, i), "logit");
    att_json_destroy(json);
    return logit;
}

static void test_occlusion_is_asking_again(void **state)
{
    static const char *const left[] = {"rose after profit", "shares after profit", "shares rose profit",
                                       "shares rose after "};
    struct att_json *json = post("/v1/classify", "{\"model\":\"sentiment\",\"input\":\"shares rose after profit\","
                                                 "\"explain\":\"occlusion\"}");
    const struct att_json *explain = att_json_get(first(json, "data"), "explain");
    const struct att_json *tokens = att_json_get(explain, "tokens");
    const char *label = att_json_string(att_json_get(explain, "label"), NULL);
    float whole = logit_of("shares rose after profit", label);

    (void)state;
    assert_string_equal(att_json_string(att_json_get(explain, "method"), NULL), "occlusion");
    assert_int_equal(att_json_count(tokens), 4);
    for (size_t i = 0; i < 4; i++)
        assert_true((float)number(att_json_at(tokens, i), "weight") == whole - logit_of(left[i], label));
    assert_int_equal(number(att_json_at(tokens, 3), "start"), 18);
    assert_int_equal(number(att_json_at(tokens, 3), "end"), 24);
    assert_true(isfinite(number(att_json_get(explain, "faithfulness"), "top3_drop")));
    assert_true(isfinite(number(att_json_get(explain, "faithfulness"), "deletion_area")));
    att_json_destroy(json);
}

static void test_rollout(void **state)
{
    struct att_json *json = post(
        "/v1/classify", "{\"model\":\"sentiment\",\"input\":\"shares rose after profit\",\"explain\":\"rollout\"}");
    const struct att_json *tokens = att_json_get(att_json_get(first(json, "data"), "explain"), "tokens");
    double sum = 0;

    (void)state;
    for (size_t i = 0; i < att_json_count(tokens); i++)
        sum += number(att_json_at(tokens, i), "weight");
    assert_true(fabs(sum - 1) < 1e-4);
    att_json_destroy(json);
}

static void test_rerank(void **state)
{
    struct att_json *json = post("/v1/rerank", "{\"query\":\"where is my order\",\"documents\":[\"where is my order\","
                                               "\"inflation\"],\"top_n\":1,\"explain\":\"occlusion\"}");
    struct att_json *left = post("/v1/rerank", "{\"query\":\"where is my order\",\"documents\":[\"where my order\"]}");
    const struct att_json *tokens = att_json_get(att_json_get(first(json, "results"), "explain"), "tokens");

    (void)state;
    assert_int_equal(att_json_count(tokens), 4);
    assert_true((float)number(att_json_at(tokens, 1), "weight") ==
                (float)number(first(json, "results"), "logit") - (float)number(first(left, "results"), "logit"));
    att_json_destroy(left);
    att_json_destroy(json);
}

/* A deadline counts for all rounds, and a wrong word is refused. */
static void test_refusals(void **state)
{
    (void)state;
    expect_error(live_post(&live, "/v1/classify", "{\"input\":\"a\",\"explain\":\"lime\"}"), 422, "invalid_value",
                 "explain");
    expect_error(live_post(&live, "/v1/classify", "{\"input\":\"a\",\"faithfulness\":\"yes\"}"), 422, "invalid_value",
                 "faithfulness");
    expect_error(live_post(&live, "/v1/rerank", "{\"query\":\"a\",\"documents\":[\"b\"],\"explain\":\"attention\"}"),
                 422, "invalid_value", "explain");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_occlusion_is_asking_again),
        cmocka_unit_test(test_rollout),
        cmocka_unit_test(test_rerank),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests_name("explain", tests, start, stop);
}
