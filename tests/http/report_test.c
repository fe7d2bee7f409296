/*
 * Reports and trends over news that a live daemon has ingested: the same window
 * gives the same bytes, in every form and both languages; hostile text stays
 * text; posted news needs no store; every field is checked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "live.h"

static struct live live;

/* Two events on 2026-11-20, one of them from three sources, and one hostile item. */
static const char items[] =
    "{\"items\":["
    "{\"id\":\"a1\",\"source\":\"Wire\",\"url\":\"https://wire.example/1\",\"title\":\"Acme recalls 2,000 pumps after "
    "accidents\","
    "\"text\":\"Acme recalls 2,000 pumps after accidents in two "
    "plants.\",\"time\":\"2026-11-20T01:00:00Z\",\"engagement\":9},"
    "{\"id\":\"a2\",\"source\":\"Daily\",\"url\":\"https://daily.example/1\",\"title\":\"Acme recalls 2,000 pumps "
    "after accidents\","
    "\"text\":\"Acme recalls 2,000 pumps after accidents in two plants.\",\"time\":\"2026-11-20T02:00:00Z\"},"
    "{\"id\":\"a3\",\"source\":\"论坛\",\"url\":\"https://bbs.example/1\",\"title\":\"Acme recalls 2,000 pumps after "
    "accidents\","
    "\"text\":\"Acme recalls 2,000 pumps after accidents in two plants!\",\"time\":\"2026-11-20T03:00:00Z\"},"
    "{\"id\":\"b1\",\"source\":\"论坛\",\"url\":\"https://bbs.example/2\",\"title\":\"贵州茅台公布三季报\","
    "\"text\":\"贵州茅台公布三季报，净利润同比增长。\",\"time\":\"2026-11-20T05:00:00Z\"},"
    "{\"id\":\"c1\",\"source\":\"x\",\"url\":\"javascript:alert(1)\",\"title\":\"<script>alert(1)</script>\","
    "\"text\":\"</style><img src=x onerror=alert(1)>\",\"time\":\"2026-11-20T06:00:00Z\"}]}";

static int setup(void **state)
{
    (void)state;
    live_start(&live, "");
    struct reply reply = live_post(&live, "/v1/ingest", items);
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_stop(&live);
    return 0;
}

static char *report(const char *body, const char *type)
{
    struct reply reply = live_post(&live, "/v1/report", body);
    if (reply.status != 200)
        fail_msg("%ld: %s", reply.status, reply.body);
    assert_string_equal(reply_header(&reply, "Content-Type"), type);
    char *text = strdup(reply.body);
    reply_free(&reply);
    return text;
}

static void test_same_bytes(void **state)
{
    static const char *const forms[][2] = {{"json", "application/json"},
                                           {"markdown", "text/markdown; charset=utf-8"},
                                           {"html", "text/html; charset=utf-8"}};
    (void)state;
    for (size_t f = 0; f < 3; f++)
        for (size_t l = 0; l < 2; l++) {
            char body[2][256];
            for (size_t i = 0; i < 2; i++)
                snprintf(body[i], sizeof body[i],
                         i == 0 ? "{\"from\":\"2026-11-20\",\"to\":\"2026-11-21\",\"format\":\"%s\",\"lang\":\"%s\","
                                  "\"utc_offset\":\"+08:00\"}"
                                : "{\"to\":\"2026-11-21T00:00:00+08:00\",\"window\":\"24h\",\"format\":\"%s\","
                                  "\"lang\":\"%s\",\"utc_offset\":\"+08:00\"}",
                         forms[f][0], l ? "zh" : "en");
            char *one = report(body[0], forms[f][1]), *two = report(body[1], forms[f][1]);
            assert_string_equal(one, two);
            if (f > 0)
                assert_non_null(strstr(one, l ? "舆情报告" : "Public opinion report"));
            free(one);
            free(two);
        }
}

static void test_json(void **state)
{
    (void)state;
    struct reply reply = live_post(&live, "/v1/report", "{\"from\":\"2026-11-20\",\"to\":\"2026-11-21\",\"top\":2}");
    assert_int_equal(reply.status, 200);
    struct att_json *json = reply_json(&reply);
    const struct att_json *summary = att_json_get(json, "summary"), *events = att_json_get(json, "events");
    assert_true(att_json_number(att_json_get(summary, "items"), 0) == 5);
    assert_true(att_json_number(att_json_get(summary, "events"), 0) == 3);
    assert_true(att_json_number(att_json_get(summary, "sources"), 0) == 4);
    assert_int_equal(att_json_count(events), 2);
    const struct att_json *first = att_json_at(events, 0), *spread = att_json_get(first, "spread");
    assert_true(att_json_number(att_json_get(first, "items"), 0) == 3);
    assert_string_equal(att_json_string(att_json_get(att_json_get(first, "first"), "id"), NULL), "a1");
    assert_int_equal(att_json_count(spread), 3);
    assert_string_equal(att_json_string(att_json_get(att_json_at(spread, 2), "source"), NULL), "论坛");
    const struct att_json *models = att_json_get(att_json_get(json, "method"), "models");
    assert_int_equal(att_json_count(models), 1);
    assert_int_equal(strlen(att_json_string(att_json_get(att_json_at(models, 0), "digest"), NULL)), 64);
    att_json_destroy(json);
    reply_free(&reply);
}

static void test_hostile(void **state)
{
    (void)state;
    char *html =
        report("{\"from\":\"2026-11-20\",\"to\":\"2026-11-21\",\"format\":\"html\"}", "text/html; charset=utf-8");
    assert_null(strstr(html, "<script"));
    assert_null(strstr(html, "<img"));
    assert_null(strstr(html, "href=\"javascript"));
    assert_non_null(strstr(html, "&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_non_null(strstr(html, "default-src 'none'"));
    free(html);
}

/* Beside the daemon, from its store, and with its rules of heat. */
static void test_offline(void **state)
{
    static const char body[] = "{\"from\":\"2026-11-20\",\"to\":\"2026-11-21\",\"format\":\"html\",\"lang\":\"zh\"}";
    static char output[1 << 18];
    const char *const arguments[] = {"report", "--db", live_path(&live, "news.db"), body, NULL};
    const char *const wrong[] = {"report", "--db", live_path(&live, "news.db"), "{\"top\":0}", NULL};
    (void)state;
    char *html = report(body, "text/html; charset=utf-8");
    assert_int_equal(live_attend_output(arguments, output, sizeof output), 0);
    assert_string_equal(output, html);
    free(html);
    assert_int_equal(live_attend_output(wrong, output, sizeof output), 1);
    assert_string_equal(output, "");
}

/* Noise, sentiment and clusters of posted news come from this call. */
static void test_posted(void **state)
{
    static const char posted[] = "{\"lang\":\"zh\",\"format\":\"markdown\",\"model\":\"sentiment\",\"input\":["
                                 "{\"source\":\"A\",\"title\":\"Pumps recalled after accidents in two "
                                 "plants\",\"time\":\"2026-11-21T09:00:00Z\"},"
                                 "{\"source\":\"B\",\"title\":\"Pumps recalled after accidents in two "
                                 "plants\",\"time\":\"2026-11-21T08:00:00Z\"},"
                                 "{\"source\":\"C\",\"title\":\"Nothing of the kind\",\"time\":1795255200}]}";
    (void)state;
    char *one = report(posted, "text/markdown; charset=utf-8"), *two = report(posted, "text/markdown; charset=utf-8");
    assert_string_equal(one, two);
    assert_non_null(strstr(one, "共有 3 条报道，来自 3 个来源，归为 2 个事件"));
    assert_non_null(strstr(one, "首发来源：B，2026-11-21 08:00"));
    assert_non_null(strstr(one, "模型：sentiment，SHA-256 "));
    free(one);
    free(two);
    expect_error(live_post(&live, "/v1/report", "{\"input\":[]}"), 422, "invalid_value", "input");
    expect_error(live_post(&live, "/v1/report", "{\"input\":[{\"title\":\"a\"},{\"title\":7}]}"), 422, "invalid_value",
                 "input[1].title");
    expect_error(live_post(&live, "/v1/report", "{\"model\":\"sentiment\"}"), 422, "invalid_value", "model");
}

/* Near-duplicates of posted news are those of [news], whether there is a store or not. */
static void test_near_by_configuration(void **state)
{
    static const char posted[] = "{\"model\":\"sentiment\",\"input\":["
                                 "{\"title\":\"Pumps recalled after accidents\",\"time\":\"2026-11-21T09:00:00Z\"},"
                                 "{\"title\":\"Pumps recalled after accidents\",\"time\":\"2026-11-26T09:00:00Z\"}]}";
    struct live other;
    (void)state;
    char *apart = report(posted, "application/json");
    assert_non_null(strstr(apart, "\"events\":2"));
    free(apart);
    live_start(&other, "[news]\npath = none\nnear_days = 10\n");
    struct reply together = live_post(&other, "/v1/report", posted);
    assert_int_equal(together.status, 200);
    assert_non_null(strstr(together.body, "\"events\":1"));
    reply_free(&together);
    live_stop(&other);
}

/* News without titles is called by how it begins; a sentence that differs in a word is no second piece of evidence. */
static void test_untitled(void **state)
{
    static const char text[] =
        "The maker of pumps recalled every pump of this year after accidents in two of its plants "
        "near the coast, the regulator said";
    char posted[2048];
    struct att_json *json = NULL;
    struct att_err err;
    (void)state;
    snprintf(posted, sizeof posted,
             "{\"model\":\"sentiment\",\"input\":[{\"source\":\"A\",\"text\":\"%s on Friday.\"},"
             "{\"source\":\"B\",\"text\":\"%s on Monday.\"},{\"source\":\"C\",\"text\":\"%s today.\"}]}",
             text, text, text);
    char *body = report(posted, "application/json");
    assert_int_equal(att_json_parse(body, strlen(body), 0, 16, &json, &err), ATT_OK);
    const struct att_json *event = att_json_at(att_json_get(json, "events"), 0);
    assert_true(att_json_number(att_json_get(event, "items"), 0) == 3);
    const char *title = att_json_string(att_json_get(event, "title"), NULL);
    assert_memory_equal(title, text, 60);
    assert_true(strlen(title) < 128 && strcmp(title + strlen(title) - 3, "…") == 0);
    assert_int_equal(att_json_count(att_json_get(event, "evidence")), 1);
    att_json_destroy(json);
    free(body);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *body, *param;
    } cases[] = {
        {"{\"form\":\"html\"}", "form"},
        {"{\"format\":\"pdf\"}", "format"},
        {"{\"lang\":\"fr\"}", "lang"},
        {"{\"top\":0}", "top"},
        {"{\"top\":51}", "top"},
        {"{\"from\":\"yesterday\"}", "from"},
        {"{\"from\":1.5}", "from"},
        {"{\"from\":\"2026-11-21\",\"to\":\"2026-11-20\"}", "from"},
        {"{\"from\":\"1990-01-01\"}", "from"},
        {"{\"window\":\"1w\"}", "window"},
        {"{\"window\":\"1h\",\"from\":\"2026-11-20\"}", "window"},
        {"{\"utc_offset\":\"+25:00\"}", "utc_offset"},
        {"{\"entities\":\"acme\"}", "entities"},
        {"{\"topics\":[\"a\",3]}", "topics[1]"},
        {"{\"entities\":[\"\"]}", "entities[0]"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_error(live_post(&live, "/v1/report", cases[i].body), 422, "invalid_value", cases[i].param);
}

static void test_trends(void **state)
{
    (void)state;
    struct reply reply =
        live_ask(&live, "GET", "/v1/trends?from=2026-11-20&to=2026-11-21&bucket=hour&by=source&top=2", NULL, NULL);
    assert_int_equal(reply.status, 200);
    struct att_json *json = reply_json(&reply);
    const struct att_json *series = att_json_get(json, "series"), *first = att_json_at(series, 0);
    size_t n_items = 0;
    assert_true(att_json_number(att_json_get(json, "n_series"), 0) == 4);
    assert_int_equal(att_json_count(series), 2);
    const struct att_json *points = att_json_get(first, "points");
    assert_int_equal(att_json_count(points), 24);
    for (size_t i = 0; i < 24; i++)
        n_items += (size_t)att_json_number(att_json_get(att_json_at(points, i), "items"), 0);
    assert_true((double)n_items == att_json_number(att_json_get(first, "items"), 0));
    att_json_destroy(json);
    reply_free(&reply);
    /* Days begin at midnight of the offset. */
    reply = live_ask(&live, "GET", "/v1/trends?from=2026-11-20&to=2026-11-21&bucket=day&by=all&utc_offset=%2B08:00",
                     NULL, NULL);
    assert_non_null(strstr(reply.body, "{\"begin\":\"2026-11-20T00:00:00+08:00\",\"items\":5,"));
    reply_free(&reply);
    expect_error(live_ask(&live, "GET", "/v1/trends?by=mood", NULL, NULL), 422, "invalid_value", "by");
    expect_error(live_ask(&live, "GET", "/v1/trends?window=100d&bucket=hour", NULL, NULL), 422, "invalid_value",
                 "bucket");
    expect_error(live_ask(&live, "GET", "/v1/trends?form=x", NULL, NULL), 422, "invalid_value", "form");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes), cmocka_unit_test(test_json),   cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_offline),    cmocka_unit_test(test_posted), cmocka_unit_test(test_near_by_configuration),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_trends), cmocka_unit_test(test_untitled),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
