/* Rules over the made-up news: every condition alone, what is found, and what the alert says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "news/alert.h"
#include "tests/unit/news/fixture.h"

enum { FOUND_MAX = 8 };

struct found {
    struct news_finding list[FOUND_MAX];
    size_t n;
};

static enum att_status note(void *context, const struct news_finding *finding, struct att_err *err)
{
    struct found *found = context;
    (void)err;
    assert_true(found->n < FOUND_MAX);
    found->list[found->n++] = *finding;
    return ATT_OK;
}

static struct news_rule rule_of(enum news_by subject)
{
    return (struct news_rule){.name = "r",
                              .level = NEWS_RED,
                              .subject = subject,
                              .window_ms = 24 * hour_ms,
                              .items_min = 1,
                              .sources_min = 1,
                              .polarity_max = 1};
}

static struct found evaluate(const struct news_set *set, const struct news_rule *rule, int hour)
{
    struct found found = {.n = 0};
    struct att_err err;
    if (news_rule_evaluate(set, rule, day_begin + hour * hour_ms, note, &found, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return found;
}

static struct news_set set;

static int setup(void **state)
{
    struct att_err err;
    (void)state;
    return fixture_fill(&set, &err) == ATT_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    news_set_finish(&set);
    return 0;
}

static void test_conditions(void **state)
{
    struct news_rule rule = rule_of(NEWS_BY_EVENT);
    (void)state;
    assert_int_equal(evaluate(&set, &rule, 10).n, 3); /* noise is none */
    rule.items_min = 3;
    struct found found = evaluate(&set, &rule, 10);
    assert_int_equal(found.n, 1);
    assert_int_equal(found.list[0].key, 2);
    assert_int_equal(found.list[0].is.sources, 3);
    assert_int_equal(found.list[0].first_seq, 2);
    assert_int_equal(found.list[0].last_seq, 4);
    assert_true(found.list[0].is.negative_share == 1);
    assert_int_equal(evaluate(&set, &rule, 2).n, 0); /* the third is of hour 3 */
    rule.sources_min = 4;
    assert_int_equal(evaluate(&set, &rule, 10).n, 0);
    rule = rule_of(NEWS_BY_EVENT);
    rule.polarity_max = -0.5;
    assert_int_equal(evaluate(&set, &rule, 10).n, 1);
    rule.polarity_max = -0.95;
    assert_int_equal(evaluate(&set, &rule, 10).n, 0);
    rule = rule_of(NEWS_BY_EVENT);
    rule.heat_min = 5;
    assert_int_equal(evaluate(&set, &rule, 10).n, 1); /* 2 + 3 + 4, decayed */
    rule = rule_of(NEWS_BY_EVENT);
    rule.importance_min = 0.85;
    assert_int_equal(evaluate(&set, &rule, 10).n, 1);
    rule = rule_of(NEWS_BY_ALL);
    rule.negative_share_min = 0.6;
    assert_int_equal(evaluate(&set, &rule, 10).n, 1); /* 3 of 5 */
    rule.negative_share_min = 0.61;
    assert_int_equal(evaluate(&set, &rule, 10).n, 0);
}

static void test_subjects(void **state)
{
    struct news_rule rule = rule_of(NEWS_BY_ENTITY);
    char subject[64];
    (void)state;
    assert_int_equal(evaluate(&set, &rule, 10).n, 2);
    rule.entity = "600519.SH";
    struct found found = evaluate(&set, &rule, 10);
    assert_int_equal(found.n, 1);
    news_finding_subject(&found.list[0], subject, sizeof subject);
    assert_string_equal(subject, "r 600519.SH");
    rule.entity = "nobody";
    assert_int_equal(evaluate(&set, &rule, 10).n, 0);
    rule = rule_of(NEWS_BY_SOURCE);
    rule.topic = "recall";
    assert_int_equal(evaluate(&set, &rule, 10).n, 3);
    rule.source = "Daily";
    assert_int_equal(evaluate(&set, &rule, 10).n, 1);
    rule = rule_of(NEWS_BY_TOPIC);
    assert_int_equal(evaluate(&set, &rule, 10).n, 3);
}

static void test_growth(void **state)
{
    struct news_rule rule = rule_of(NEWS_BY_ENTITY);
    (void)state;
    rule.entity = "acme";
    rule.growth_min = 3;
    struct found found = evaluate(&set, &rule, 5); /* three items after one */
    assert_int_equal(found.n, 1);
    assert_true(found.list[0].growth == 3);
    rule.growth_min = 3.5;
    assert_int_equal(evaluate(&set, &rule, 5).n, 0);
}

static void test_json(void **state)
{
    struct news_rule rule = rule_of(NEWS_BY_EVENT);
    struct store_news_item first = fixture_item(1);
    struct att_jsonw w;
    struct att_json *json = NULL;
    struct att_err err;
    (void)state;
    rule.items_min = 3;
    rule.polarity_max = -0.5;
    struct found found = evaluate(&set, &rule, 10);
    att_jsonw_init(&w, 1 << 16);
    news_finding_write(&found.list[0], &first, &w);
    assert_int_equal(att_json_parse(w.bytes, w.len, 0, 8, &json, &err), ATT_OK);
    assert_string_equal(att_json_string(att_json_get(json, "level"), NULL), "red");
    assert_string_equal(att_json_string(att_json_get(json, "time"), NULL), "2026-11-20T10:00:00Z");
    const struct att_json *subject = att_json_get(json, "subject");
    assert_string_equal(att_json_string(att_json_get(subject, "name"), NULL), "Acme recalls 2,000 pumps");
    const struct att_json *reasons = att_json_get(json, "reasons");
    assert_int_equal(att_json_count(reasons), 2);
    assert_string_equal(att_json_string(att_json_get(att_json_at(reasons, 0), "measure"), NULL), "items");
    assert_true(att_json_number(att_json_get(att_json_at(reasons, 0), "value"), 0) == 3);
    assert_true(att_json_number(att_json_get(att_json_at(reasons, 1), "limit"), 0) == -0.5);
    assert_string_equal(att_json_string(att_json_at(att_json_get(json, "entities"), 0), NULL), "acme");
    assert_string_equal(att_json_string(att_json_get(att_json_get(json, "first"), "url"), NULL),
                        "https://wire.example/2");
    att_json_destroy(json);
    att_jsonw_finish(&w);
}

/* An event without a title is called by how its text begins, cut between two characters. */
static void test_names(void **state)
{
    struct news_rule rule = rule_of(NEWS_BY_EVENT);
    struct store_news_item first = fixture_item(1);
    static const struct {
        const char *text, *name;
    } cases[] = {
        {"Pumps recalled\nAcme said on Friday", "Pumps recalled"},
        {"一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十一二三四五六",
         "一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十一…"},
    };
    (void)state;
    rule.items_min = 3;
    struct found found = evaluate(&set, &rule, 10);
    first.title = "";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct att_jsonw w;
        struct att_json *json = NULL;
        first.text = cases[i].text;
        att_jsonw_init(&w, 1 << 16);
        news_finding_write(&found.list[0], &first, &w);
        assert_int_equal(att_json_parse(w.bytes, w.len, 0, 8, &json, NULL), ATT_OK);
        assert_string_equal(att_json_string(att_json_get(att_json_get(json, "subject"), "name"), NULL), cases[i].name);
        att_json_destroy(json);
        att_jsonw_finish(&w);
    }
}

static void test_levels(void **state)
{
    enum news_level level = NEWS_RED;
    (void)state;
    assert_true(news_level_parse("orange", 6, &level));
    assert_int_equal(level, NEWS_ORANGE);
    assert_false(news_level_parse("oranges", 7, &level));
    assert_string_equal(news_level_name(NEWS_BLUE), "blue");
    assert_int_equal(news_tone("negative", 0.9), -1);
    assert_int_equal(news_tone("", -0.4), -1);
    assert_int_equal(news_tone("", 0.3), 0);
    assert_int_equal(news_tone("利好", 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions), cmocka_unit_test(test_subjects), cmocka_unit_test(test_growth),
        cmocka_unit_test(test_names),      cmocka_unit_test(test_json),     cmocka_unit_test(test_levels),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
