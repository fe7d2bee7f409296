/*
 * Reports over the made-up news against stored ones, in both languages and all
 * forms; hostile text; charts. ATT_GOLDEN_WRITE=1 writes the stored ones anew.
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

#include "news/page.h"
#include "news/svg.h"
#include "tests/unit/news/fixture.h"

typedef void render(const struct news_report *report, struct att_jsonw *w);

static char *render_wish(const struct news_wish *wish, render *form)
{
    struct news_lookup lookup = {.item = fixture_look_up};
    struct att_arena arena;
    struct news_set set;
    struct news_report report;
    struct att_jsonw w;
    struct att_err err = {.message = ""};
    char *text = NULL;
    size_t len;
    att_arena_init(&arena, 16 << 20);
    att_jsonw_init(&w, 16 << 20);
    if (fixture_fill(&set, &err) != ATT_OK || news_report_build(&set, wish, &lookup, &arena, &report, &err) != ATT_OK)
        fail_msg("%s", err.message);
    static struct news_reason reasons[] = {{"items", ">=", 3, 3}, {"negative_share", ">=", 1, 0.6}};
    struct news_past_alert alert = {.seq = 4,
                                    .time_ms = day_begin + 4 * hour_ms,
                                    .level = "red",
                                    .rule = "outbreak",
                                    .kind = "event",
                                    .name = "Acme recalls 2,000 pumps",
                                    .reasons = reasons,
                                    .n_reasons = 2};
    report.alerts = &alert;
    report.n_alerts = report.n_all_alerts = 1;
    form(&report, &w);
    assert_int_equal(att_jsonw_take(&w, &text, &len, &err), ATT_OK);
    assert_int_equal(strlen(text), len);
    news_set_finish(&set);
    att_arena_finish(&arena);
    return text;
}

static struct news_wish two_days(bool chinese)
{
    return (struct news_wish){.from_ms = day_begin,
                              .to_ms = day_begin + 48 * hour_ms,
                              .offset_minutes = chinese ? 480 : 0,
                              .chinese = chinese,
                              .top = 10};
}

static void compare(const char *text, const char *name)
{
    char path[4096];
    static char stored[1 << 18];
    const char *root = getenv("ATT_SOURCE_ROOT");
    if (!root)
        return; /* cmocka's skip() reads as a failure in TAP */
    snprintf(path, sizeof path, "%s/tests/data/news/%s", root, name);
    if (getenv("ATT_GOLDEN_WRITE")) {
        FILE *out = fopen(path, "w");
        assert_non_null(out);
        fputs(text, out);
        fclose(out);
    }
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    stored[fread(stored, 1, sizeof stored - 1, in)] = '\0';
    fclose(in);
    if (strcmp(stored, text) != 0) {
        size_t at = 0;
        while (stored[at] == text[at])
            at++;
        fail_msg("%s differs at byte %zu: '%.60s', stored '%.60s'", name, at, text + at, stored + at);
    }
}

static void test_golden(void **state)
{
    (void)state;
    for (int chinese = 0; chinese < 2; chinese++) {
        struct news_wish wish = two_days(chinese);
        char *html = render_wish(&wish, news_report_html), *again = render_wish(&wish, news_report_html);
        char *markdown = render_wish(&wish, news_report_markdown);
        assert_string_equal(html, again);
        compare(html, chinese ? "report.zh.html" : "report.en.html");
        compare(markdown, chinese ? "report.zh.md" : "report.en.md");
        att_mem_free(html);
        att_mem_free(again);
        att_mem_free(markdown);
    }
}

static void test_json(void **state)
{
    struct news_wish wish = two_days(false);
    struct att_json *json = NULL;
    struct att_err err;
    char *text = render_wish(&wish, news_report_json);
    (void)state;
    assert_int_equal(att_json_parse(text, strlen(text), 0, 16, &json, &err), ATT_OK);
    const struct att_json *summary = att_json_get(json, "summary"), *events = att_json_get(json, "events");
    assert_true(att_json_number(att_json_get(summary, "items"), 0) == 6);
    assert_true(att_json_number(att_json_get(summary, "noise"), 0) == 1);
    assert_true(att_json_number(att_json_get(att_json_get(summary, "before"), "items"), 0) == 1);
    assert_int_equal(att_json_count(events), 3);
    const struct att_json *first = att_json_at(events, 0);
    assert_string_equal(att_json_string(att_json_get(first, "title"), NULL), "Acme recalls 2,000 pumps");
    assert_string_equal(att_json_string(att_json_get(att_json_get(first, "first"), "source"), NULL), "Wire");
    assert_int_equal(att_json_count(att_json_get(first, "spread")), 3);
    assert_string_equal(att_json_string(att_json_get(att_json_at(att_json_get(first, "evidence"), 2), "text"), NULL),
                        "Two people were hurt.");
    att_json_destroy(json);
    att_mem_free(text);
}

static void test_filter(void **state)
{
    static const char *const entities[] = {"600519.SH"}, *const nobody[] = {"nobody"};
    struct news_wish wish = two_days(true);
    (void)state;
    wish.entities = entities;
    wish.n_entities = 1;
    char *text = render_wish(&wish, news_report_markdown);
    assert_non_null(strstr(text, "共有 2 条报道"));
    assert_non_null(strstr(text, "600519.SH"));
    assert_null(strstr(text, "recall |"));
    att_mem_free(text);
    wish.entities = nobody;
    text = render_wish(&wish, news_report_html);
    assert_non_null(strstr(text, "该时间段内没有报道。"));
    assert_null(strstr(text, "class=\"chart\""));
    att_mem_free(text);
}

/* ---- over a store ---- */

struct report_row {
    int hour; /* after day_begin */
    double noise;
};

static struct store_news *open_store(const char *path)
{
    static const struct store_news_options options = {.window_ms = INT64_C(72) * 3600000, .similar_min = 0.6};
    struct store_news *store = NULL;
    struct att_err err;
    if (store_news_open(path, &options, &store, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return store;
}

/* One event, told as often as there are rows. */
static void put_rows(struct store_news *store, const struct report_row *rows, size_t n)
{
    struct store_news_result result;
    struct att_err err;
    for (size_t i = 0; i < n; i++) {
        char id[16];
        struct store_news_item item = fixture_item(1);
        snprintf(id, sizeof id, "%zu", i);
        item.id = id;
        item.time_ms = day_begin + rows[i].hour * hour_ms;
        item.received_ms = item.time_ms;
        item.engagement = 0;
        item.noise = rows[i].noise;
        if (store_news_put(store, &item, 1, &result, &err) != ATT_OK)
            fail_msg("%s", err.message);
    }
}

/* The report of a store that holds these rows, at most items_max of which are read. */
static char *render_stored(const struct report_row *rows, size_t n, size_t items_max, const struct news_wish *wish,
                           render *form)
{
    char folder[] = "/tmp/attentd-report-XXXXXX", path[64];
    struct att_arena arena;
    struct news_set set;
    struct news_report report;
    struct att_jsonw w;
    struct att_err err = {.message = ""};
    char *text = NULL;
    size_t len;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/news.db", folder);
    struct store_news *store = open_store(path);
    put_rows(store, rows, n);
    struct news_lookup lookup = news_lookup_store(store);
    att_arena_init(&arena, 16 << 20);
    att_jsonw_init(&w, 16 << 20);
    news_set_init(&set, &fixture_view, items_max);
    if (news_report_load(&set, store, wish, &err) != ATT_OK ||
        news_report_build(&set, wish, &lookup, &arena, &report, &err) != ATT_OK)
        fail_msg("%s", err.message);
    form(&report, &w);
    assert_int_equal(att_jsonw_take(&w, &text, &len, &err), ATT_OK);
    news_set_finish(&set);
    att_arena_finish(&arena);
    store_news_close(store);
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
    return text;
}

static struct news_wish one_day(bool chinese)
{
    return (struct news_wish){.from_ms = day_begin, .to_ms = day_begin + 24 * hour_ms, .chinese = chinese, .top = 10};
}

/* Heat and life cycle do not depend on how long the window is: what still has heat counts, also from before the period
 * that the window is compared with. */
static void test_long_life(void **state)
{
    static const struct report_row rows[] = {{-31, 0}, {-29, 0}, {-27, 0}, {-25, 0}, {-24, 0}, {-23, 0}, {22, 0}};
    struct news_wish wishes[] = {one_day(false), one_day(false)};
    double heat[2];
    (void)state;
    wishes[1].from_ms -= 144 * hour_ms;
    for (size_t i = 0; i < 2; i++) {
        struct att_json *json = NULL;
        struct att_err err;
        char *text = render_stored(rows, sizeof rows / sizeof rows[0], 1000, &wishes[i], news_report_json);
        assert_int_equal(att_json_parse(text, strlen(text), 0, 16, &json, &err), ATT_OK);
        const struct att_json *event = att_json_at(att_json_get(json, "events"), 0);
        const struct att_json *life = att_json_get(event, "life");
        const struct att_json *before = att_json_get(att_json_get(json, "summary"), "before");
        assert_string_equal(att_json_string(att_json_get(life, "stage"), NULL), "rising");
        assert_string_equal(att_json_string(att_json_get(life, "first_at"), NULL), "2026-11-18T17:00:00Z");
        assert_true(att_json_number(att_json_get(before, "items"), -1) == (i == 0 ? 2 : 0));
        heat[i] = att_json_number(att_json_get(event, "heat"), 0);
        att_json_destroy(json);
        att_mem_free(text);
    }
    assert_true(heat[0] == heat[1]);
}

/* In every form, and in JSON by its figures, a day's report says what it is to say. */
static void expect_said(const struct report_row *rows, size_t n, size_t items_max, const char *const says[2],
                        const char *figures)
{
    for (int chinese = 0; chinese < 2; chinese++) {
        struct news_wish wish = one_day(chinese);
        render *const forms[] = {news_report_markdown, news_report_html, news_report_json};
        for (size_t f = 0; f < 3; f++) {
            char *text = render_stored(rows, n, items_max, &wish, forms[f]);
            if (!strstr(text, f < 2 ? says[chinese] : figures))
                fail_msg("no '%s' in %s", f < 2 ? says[chinese] : figures, text);
            assert_null(strstr(text, "Nothing was published"));
            assert_null(strstr(text, "没有报道"));
            assert_null(strstr(text, "Nothing is stored"));
            assert_null(strstr(text, "No model classified"));
            assert_null(strstr(text, "未经模型分类"));
            att_mem_free(text);
        }
    }
}

static void test_noise(void **state)
{
    static const struct report_row alone[] = {{3, 0.9}, {4, 0.9}}, before[] = {{-5, 0.9}, {3, 0}};
    (void)state;
    expect_said(alone, 2, 1000,
                (const char *const[]){"Nothing but noise was published in this window: 2 items were left out.",
                                      "该时间段内只有噪声，已排除 2 条报道。"},
                "\"noise\":2,");
    expect_said(alone, 2, 1000, (const char *const[]){"Model: finance, SHA-256 " DIGEST ", 2 items.", "模型：finance"},
                "\"models\":[{\"name\":\"finance\",\"digest\":\"" DIGEST "\",\"items\":2}]");
    expect_said(before, 2, 1000,
                (const char *const[]){"The period before has nothing to compare with: 1 item was left out as noise.",
                                      "上一周期没有可比数据：1 条报道作为噪声排除。"},
                "\"noise\":1,\"items_cut\":false}");
}

/* Where the period before has more than is read, the window is whole all the same. */
static void test_cut(void **state)
{
    static const struct report_row rows[] = {{-20, 0}, {-19, 0}, {-18, 0}, {-17, 0}, {-16, 0}, {5, 0}, {6, 0}};
    (void)state;
    expect_said(rows, 7, 4, (const char *const[]){"2 items from 1 source form 1 event", "共有 2 条报道"},
                "\"summary\":{\"items\":2,");
    expect_said(rows, 7, 4,
                (const char *const[]){"The period before is not compared: not all of its items were read.",
                                      "上一周期的报道未全部读取，故不作比较。"},
                "\"items_cut\":true}},\"alerts\"");
    expect_said(rows, 7, 4, (const char *const[]){"Only the newest 4 items were read", "仅读取了最新的 4 条报道"},
                "\"items_cut\":true,\"models\"");
}

/* Whichever allocation fails, a report fails with it or is the same. */
static void test_no_memory(void **state)
{
    struct news_wish wish = two_days(false);
    struct news_lookup lookup = {.item = fixture_look_up};
    char *whole = render_wish(&wish, news_report_json);
    size_t n_failed = 0;
    (void)state;
    for (uint64_t k = 1; k == n_failed + 1; k++) {
        struct att_arena arena;
        struct news_set set;
        struct news_report report;
        struct att_err err = {.message = ""};
        att_arena_init(&arena, 16 << 20);
        att_mem_fail_at(k, false);
        enum att_status status = fixture_fill(&set, &err);
        if (status == ATT_OK)
            status = news_report_build(&set, &wish, &lookup, &arena, &report, &err);
        att_mem_fail_at(0, false);
        if (status != ATT_OK) {
            assert_int_equal(status, ATT_ENOMEM);
            n_failed++;
        }
        news_set_finish(&set);
        att_arena_finish(&arena);
    }
    assert_true(n_failed > 20);
    char *again = render_wish(&wish, news_report_json);
    assert_string_equal(whole, again);
    att_mem_free(whole);
    att_mem_free(again);
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
        n++;
    return n;
}

static void test_hostile(void **state)
{
    struct news_wish wish = two_days(false);
    (void)state;
    char *html = render_wish(&wish, news_report_html), *markdown = render_wish(&wish, news_report_markdown);
    assert_null(strstr(html, "<script"));
    assert_null(strstr(html, "<img"));
    assert_null(strstr(html, "href=\"javascript"));
    assert_non_null(strstr(html, "&lt;script&gt;alert(&#39;x&#39;)"));
    assert_non_null(strstr(html, "default-src 'none'"));
    assert_int_equal(count(html, "http://"), count(html, "xmlns=\"http://www.w3.org/2000/svg\""));
    assert_int_equal(count(html, "<svg class=\"chart\""), 4);
    assert_int_equal(count(html, "<desc "), 4);
    assert_null(strstr(markdown, "](javascript"));
    assert_int_equal(count(markdown, "<script"), count(markdown, "\\<script"));
    assert_non_null(strstr(markdown, "\\<script\\>"));
    assert_non_null(strstr(markdown, "\\| \\*\\*bold\\*\\*"));
    att_mem_free(html);
    att_mem_free(markdown);
}

/* Charts draw the first few, and say how many there are. */
static void test_chart_counts(void **state)
{
    struct news_lookup lookup = {.item = fixture_look_up};
    struct news_wish wish = two_days(false);
    struct att_arena arena;
    struct news_set set;
    struct news_report report;
    struct att_jsonw w;
    struct att_err err = {.message = ""};
    (void)state;
    att_arena_init(&arena, 16 << 20);
    att_jsonw_init(&w, 16 << 20);
    news_set_init(&set, &fixture_view, 1000);
    for (size_t i = 0; i < 25; i++) {
        char topic[64];
        struct store_news_item item = fixture_item(1);
        snprintf(topic, sizeof topic, "[{\"label\":\"topic %zu\",\"score\":0.9}]", i);
        item.seq = item.cluster = (int64_t)i + 1;
        item.topics = topic;
        assert_int_equal(news_set_add(&set, &item, &err), ATT_OK);
    }
    assert_int_equal(news_report_build(&set, &wish, &lookup, &arena, &report, &err), ATT_OK);
    news_report_html(&report, &w);
    att_jsonw_append(&w, "", 1);
    assert_non_null(strstr(w.bytes, ">25 events; the hottest is "));
    assert_non_null(strstr(w.bytes, ">25 topics; the hottest is "));
    att_jsonw_finish(&w);
    news_set_finish(&set);
    att_arena_finish(&arena);
}

static void expect(news_escape *escape, const char *text, size_t len, const char *expected)
{
    struct att_jsonw w;
    att_jsonw_init(&w, 1 << 12);
    escape(&w, text, len);
    att_jsonw_append(&w, "", 1);
    assert_string_equal(w.bytes, expected);
    att_jsonw_finish(&w);
}

static void test_escapes(void **state)
{
    (void)state;
    expect(news_html_text, "a\0<\xff\n\xe2\x80\xae>", 9, "a &lt;\xef\xbf\xbd  &gt;");
    expect(news_markdown_text, "# a", 3, "\\# a");
    expect(news_markdown_text, "12. a", 5, "12\\. a");
    expect(news_markdown_text, "-0.5", 4, "-0.5");
    expect(news_markdown_text, "---", 3, "\\---");
    expect(news_markdown_text, "2.5", 3, "2.5");
    expect(news_markdown_text, "a 12. b-c # d", 13, "a 12. b-c # d");
    expect(news_markdown_text, "http://x www.x", 14, "http\\://x www\\.x");
    expect(news_markdown_text, "`a` [b](c)\nd", 12, "\\`a\\` \\[b\\](c) d");
    assert_true(news_url_is_safe("https://example.org/a?b=c&d=%20"));
    assert_false(news_url_is_safe("javascript:alert(1)"));
    assert_false(news_url_is_safe("https://example.org/\"onclick=x"));
    assert_false(news_url_is_safe("https://example.org/a b"));
    assert_false(news_url_is_safe("data:text/html,x"));
    assert_false(news_url_is_safe(""));
}

static void test_fill(void **state)
{
    struct att_jsonw w;
    (void)state;
    att_jsonw_init(&w, 1 << 12);
    news_fill(&w, "{0:dog:dogs} and {1:cat:cats} of {2}{2}.", news_html_text, (const char *[]){"1", "2", "<x>"}, 3);
    att_jsonw_append(&w, "", 1);
    assert_string_equal(w.bytes, "1 dog and 2 cats of &lt;x&gt;&lt;x&gt;.");
    att_jsonw_finish(&w);
}

static void test_charts(void **state)
{
    static const double values[] = {1, 0, 3}, others[] = {0, 0, 1};
    static const char *const labels[] = {"a", "b", "c<"};
    const struct news_svg_series series[] = {{"low & high", "#000000", values}, {"x", "#111111", others}};
    struct news_svg_chart chart = {
        .id = "c", .title = "T", .description = "D", .labels = labels, .n = 3, .series = series, .n_series = 2};
    struct att_jsonw w;
    (void)state;
    att_jsonw_init(&w, 1 << 16);
    news_svg_columns(&w, &chart, true);
    att_jsonw_append(&w, "", 1);
    assert_non_null(strstr(w.bytes, "c&lt; \xe2\x80\x94 low &amp; high 3, x 1"));
    assert_int_equal(count(w.bytes, "<g>"), 2); /* an empty column is none */
    assert_int_equal(count(w.bytes, "height=\"160.0\""), 1);
    assert_int_equal(count(w.bytes, "height=\"120.0\""), 1); /* three quarters */
    assert_int_equal(count(w.bytes, "nan"), 0);
    att_jsonw_finish(&w);
    att_jsonw_init(&w, 1 << 16);
    chart.n = 0;
    news_svg_columns(&w, &chart, false);
    news_svg_lines(&w, &chart);
    news_svg_rows(&w, &chart);
    att_jsonw_append(&w, "", 1);
    assert_int_equal(count(w.bytes, "nan"), 0);
    assert_int_equal(count(w.bytes, "inf"), 0);
    att_jsonw_finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),  cmocka_unit_test(test_json),   cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_filter),  cmocka_unit_test(test_fill),   cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_escapes), cmocka_unit_test(test_charts), cmocka_unit_test(test_long_life),
        cmocka_unit_test(test_noise),   cmocka_unit_test(test_cut),    cmocka_unit_test(test_chart_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
