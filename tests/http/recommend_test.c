/* Recommendation on a live daemon: what is stored of users joins what a request brings, and what stood beside the
 * newest items before is raised by what the model's table says. */
#include "live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

static struct live live;
static char folder[] = "/tmp/attentd-recommend-XXXXXX";

/* The recommender of the tests, as "pairs" with a table of what stood beside what. */
static int start(void **state)
{
    static const char table[] = "{\"scale\":1000,\"weight\":20,\"decay\":0.5,\"own\":0.25}\n"
                                "{\"index\":11,\"next\":[[12,0.5],[300,0.125]]}\n"
                                "{\"index\":13,\"next\":[[300,0.25],[400,0.5]]}\n";
    const char *root = getenv("ATT_SOURCE_ROOT");
    char source[256], path[128], extra[256];

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(source, sizeof(source), "%s/tests/data/models/sasrec", root != NULL ? root : ".");
    snprintf(path, sizeof(path), "%s/pairs", folder);
    live_copy_folder(source, path);
    snprintf(path, sizeof(path), "%s/pairs/follows.jsonl", folder);
    live_write(path, table, sizeof(table) - 1);
    snprintf(extra, sizeof(extra), "[users]\nretention_days = 0\n[model pairs]\npath = %s/pairs\n", folder);
    live_start(&live, extra);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    static const char *const names[] = {"pairs/config.json", "pairs/golden.jsonl", "pairs/model.safetensors",
                                        "pairs/follows.jsonl"};
    char path[128];

    live_stop(&live);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/pairs", folder);
    return rmdir(path) == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static struct reply ask(const char *method, const char *path, const char *body)
{
    return live_ask_quoted(&live, method, path, body);
}

static struct att_json *ok(const char *method, const char *path, const char *body)
{
    return expect_json(ask(method, path, body), 200);
}

static struct att_json *recommend(const char *body)
{
    return ok("POST", "/v1/recommend", body);
}

static void feed(const char *body)
{
    att_json_destroy(ok("POST", "/v1/feedback", body));
}

/* The items of an answer with their logits, as one text. */
static const char *ranking(const struct att_json *answer)
{
    static char texts[4][2048];
    static size_t turn;
    char *text = texts[turn++ % 4];
    const struct att_json *items = att_json_get(answer, "items");
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = 0; i < att_json_count(items); i++) {
        const struct att_json *item = att_json_at(items, i);

        len += (size_t)snprintf(text + len, sizeof(texts[0]) - len, "%s:%.9g ",
                                att_json_string(att_json_get(item, "id"), NULL),
                                att_json_number(att_json_get(item, "logit"), 0));
    }
    return text;
}

static void expect_same_ranking(const char *body, const char *other_body)
{
    struct att_json *answer = recommend(body), *other = recommend(other_body);

    assert_string_equal(ranking(answer), ranking(other));
    att_json_destroy(answer);
    att_json_destroy(other);
}

static double number(const struct att_json *json, const char *name)
{
    return att_json_number(att_json_get(json, name), -1);
}

static void test_stored_history(void **state)
{
    struct att_json *answer;
    const struct att_json *weight;

    (void)state;
    feed("{'events':[{'user':'ann','item':'11','type':'buy','time':1700000000},"
         "{'user':'ann','item':'12','type':'click','time':1700000100}]}");
    /* What is stored counts as if it were sent, alone and before what is sent. */
    expect_same_ranking("{'user':'ann'}", "{'history':[{'item':'11','type':'buy','time':1700000000},"
                                          "{'item':'12','type':'click','time':1700000100}]}");
    expect_same_ranking(
        "{'user':'ann','history':[{'item':'13','type':'buy','time':1700000050}]}",
        "{'history':[{'item':'11','type':'buy','time':1700000000},"
        "{'item':'13','type':'buy','time':1700000050},{'item':'12','type':'click','time':1700000100}]}");
    expect_same_ranking("{'user':'ann','history':[{'item':'13','type':'buy'}]}",
                        "{'history':[{'item':'11','type':'buy','time':1700000000},"
                        "{'item':'12','type':'click','time':1700000100},{'item':'13','type':'buy'}]}");
    answer = recommend("{'user':'ann','history':[{'item':'13','type':'buy'}],'top_k':500}");
    assert_true(number(answer, "stored_events") == 2);
    assert_true(att_json_type(att_json_get(answer, "fallback")) == ATT_JSON_NULL);
    /* Seen is seen, whoever says so. */
    for (size_t i = 0; i < att_json_count(att_json_get(answer, "items")); i++) {
        const char *id = att_json_string(att_json_get(att_json_at(att_json_get(answer, "items"), i), "id"), NULL);
        assert_true(strcmp(id, "11") != 0 && strcmp(id, "12") != 0 && strcmp(id, "13") != 0);
    }
    /* Event 0 is the request's, 1 and 2 the stored ones. */
    weight = att_json_get(answer, "weights");
    assert_int_equal(att_json_count(weight), 3);
    assert_null(att_json_get(att_json_at(weight, 0), "stored"));
    assert_string_equal(att_json_string(att_json_get(att_json_at(weight, 1), "item"), NULL), "11");
    assert_true(att_json_bool(att_json_get(att_json_at(weight, 2), "stored"), false));
    att_json_destroy(answer);
}

static void test_unknown_user(void **state)
{
    struct att_json *answer = recommend("{'user':'nobody'}");

    (void)state;
    assert_string_equal(att_json_string(att_json_get(answer, "fallback"), NULL), "popularity");
    assert_true(number(answer, "stored_events") == 0);
    assert_string_equal(att_json_string(att_json_get(att_json_at(att_json_get(answer, "items"), 0), "source"), NULL),
                        "popular");
    att_json_destroy(answer);
    expect_same_ranking("{'user':'nobody'}", "{}");
    /* Removed is forgotten at once. */
    feed("{'user':'eve','item':'11','type':'buy'}");
    answer = recommend("{'user':'eve'}");
    assert_true(att_json_type(att_json_get(answer, "fallback")) == ATT_JSON_NULL);
    att_json_destroy(answer);
    att_json_destroy(ok("DELETE", "/v1/users/eve", NULL));
    expect_same_ranking("{'user':'eve'}", "{'user':'nobody'}");
}

/* A change is the difference to the answer of the request without that event. */
static void expect_changes(const char *with, const char *const *without, size_t n)
{
    struct att_json *answer = recommend(with);
    const struct att_json *items = att_json_get(answer, "items");

    assert_true(att_json_count(items) > 0);
    for (size_t i = 0; i < att_json_count(items); i++) {
        const struct att_json *item = att_json_at(items, i), *changes = att_json_get(item, "counterfactual");
        char body[1024];

        assert_int_equal(att_json_count(changes), n);
        for (size_t c = 0; c < n; c++) {
            const struct att_json *change = att_json_at(changes, c);
            size_t event = (size_t)att_json_number(att_json_get(change, "event"), 0);
            struct att_json *other;
            double logit;

            snprintf(body, sizeof(body), "{%s,'candidates':['%s'],'exclude_seen':false}", without[event],
                     att_json_string(att_json_get(item, "id"), NULL));
            other = recommend(body);
            logit = number(att_json_at(att_json_get(other, "items"), 0), "logit");
            assert_true((float)number(change, "change") == (float)logit - (float)number(item, "logit"));
            att_json_destroy(other);
        }
    }
    att_json_destroy(answer);
}

static void test_counterfactual(void **state)
{
    static const char *const without[] = {
        "'history':[{'item':'12','type':'rate','value':5},{'item':'13','type':'buy','time':1700009000}]",
        "'history':[{'item':'11','type':'buy','time':1700000000},{'item':'13','type':'buy','time':1700009000}]",
        "'history':[{'item':'11','type':'buy','time':1700000000},{'item':'12','type':'rate','value':5}]",
    };
    static const char *const alone[] = {"'history':[]"};

    (void)state;
    expect_changes("{'history':[{'item':'11','type':'buy','time':1700000000},{'item':'12','type':'rate','value':5},"
                   "{'item':'13','type':'buy','time':1700009000}],'counterfactual':true,'top_k':5}",
                   without, 3);
    expect_changes("{'history':[{'item':'11'}],'counterfactual':true,'top_k':3}", alone, 1);
    struct att_json *answer = recommend("{'counterfactual':true,'top_k':1}");
    assert_int_equal(att_json_count(att_json_get(att_json_at(att_json_get(answer, "items"), 0), "counterfactual")), 0);
    att_json_destroy(answer);
}

/* How much higher an item stands with the table of pairs than without it. */
static double raised(const char *history, const char *item)
{
    char body[1024];
    double logits[2];

    for (size_t i = 0; i < 2; i++) {
        struct att_json *answer;

        snprintf(body, sizeof(body), "{'model':'%s',%s,'candidates':['%s'],'exclude_seen':false}",
                 i ? "pairs" : "movies", history, item);
        answer = recommend(body);
        logits[i] = number(att_json_at(att_json_get(answer, "items"), 0), "logit");
        att_json_destroy(answer);
    }
    return logits[1] - logits[0];
}

static void expect_raised(const char *history, const char *item, double share)
{
    double got = raised(history, item), expected = 20 * log1p(1000 * share);

    if (!(fabs(got - expected) < 1e-3))
        fail_msg("%s of %s: %.6f, expected %.6f", item, history, got, expected);
}

static void test_pairs(void **state)
{
    static const char once[] = "'history':[{'item':'11'},{'item':'13'}]";
    static const char twice[] = "'history':[{'item':'13'},{'item':'7'},{'item':'9'},{'item':'13'}]";
    static const char *const without[] = {"'model':'pairs','history':[{'item':'13'}]",
                                          "'model':'pairs','history':[{'item':'11'}]"};

    (void)state;
    /* The last item's row, half of that of the one before it, and nothing else. */
    expect_raised(once, "400", 0.5);
    expect_raised(once, "300", 0.25 + 0.125 / 2);
    expect_raised(once, "12", 0.25);
    expect_raised(once, "13", 0);
    /* What this one took after it before. */
    expect_raised(twice, "7", 0.25);
    expect_raised(twice, "9", 0);
    expect_raised(twice, "400", 0.5 + 0.5 / 8);
    struct att_json *answer = recommend("{'model':'pairs','history':[{'item':'11'},{'item':'13'}],'top_k':2}");
    assert_string_equal(att_json_string(att_json_get(att_json_at(att_json_get(answer, "items"), 0), "id"), NULL),
                        "400");
    att_json_destroy(answer);
    expect_changes("{'model':'pairs','history':[{'item':'11'},{'item':'13'}],'counterfactual':true,'top_k':3}", without,
                   2);
}

/* The share of an item in the answer of a request that answers all. */
static double score_of(const char *body, const char *id)
{
    struct att_json *answer = recommend(body);
    const struct att_json *items = att_json_get(answer, "items");
    double score = -1;

    for (size_t i = 0; i < att_json_count(items); i++)
        if (strcmp(att_json_string(att_json_get(att_json_at(items, i), "id"), NULL), id) == 0)
            score = number(att_json_at(items, i), "score");
    att_json_destroy(answer);
    return score;
}

/* Weights are exact: what the logit loses without that event. */
static void expect_weights(const struct att_json *item, const char *const *without, size_t n)
{
    const struct att_json *explain = att_json_get(item, "explain"), *events = att_json_get(explain, "events");

    assert_string_equal(att_json_string(att_json_get(explain, "method"), NULL), "occlusion");
    assert_null(att_json_get(explain, "tokens"));
    assert_int_equal(att_json_count(events), n);
    for (size_t e = 0; e < n; e++) {
        struct att_json *other;
        char body[1024];
        double logit;

        assert_true(number(att_json_at(events, e), "event") == (double)e);
        snprintf(body, sizeof(body), "{%s,'candidates':['%s'],'exclude_seen':false}", without[e],
                 att_json_string(att_json_get(item, "id"), NULL));
        other = recommend(body);
        logit = number(att_json_at(att_json_get(other, "items"), 0), "logit");
        assert_true((float)number(att_json_at(events, e), "weight") ==
                    (float)((double)(float)number(item, "logit") - (double)(float)logit));
        att_json_destroy(other);
    }
}

static void test_occlusion(void **state)
{
    static const char *const without[] = {
        "'history':[{'item':'12'},{'item':'13'},{'item':'14'}]",
        "'history':[{'item':'11'},{'item':'13'},{'item':'14'}]",
        "'history':[{'item':'11'},{'item':'12'},{'item':'14'}]",
        "'history':[{'item':'11'},{'item':'12'},{'item':'13'}]",
    };
    struct att_json *answer = recommend("{'history':[{'item':'11'},{'item':'12'},{'item':'13'},{'item':'14'}],"
                                        "'explain':'occlusion','top_k':12}");
    const struct att_json *items = att_json_get(answer, "items");

    (void)state;
    assert_int_equal(att_json_count(items), 12);
    for (size_t i = 0; i < 12; i++) {
        const struct att_json *item = att_json_at(items, i), *explain = att_json_get(item, "explain");
        const char *id = att_json_string(att_json_get(item, "id"), NULL);

        expect_weights(item, without, 4);
        assert_non_null(att_json_get(item, "reasons"));
        /* The first ten are measured: without the three events of most weight, as a request without them answers. */
        const struct att_json *figures = att_json_get(explain, "faithfulness");
        assert_true((figures != NULL) == (i < 10));
        if (i >= 10)
            continue;
        size_t least = 0;
        for (size_t e = 1; e < 4; e++) {
            const struct att_json *events = att_json_get(explain, "events");
            if (number(att_json_at(events, e), "weight") < number(att_json_at(events, least), "weight"))
                least = e;
        }
        char body[256];
        snprintf(body, sizeof(body), "{'history':[{'item':'1%zu'}],'exclude':['11','12','13','14'],'top_k':2000}",
                 least + 1);
        assert_true(fabs(number(item, "score") - score_of(body, id) - number(figures, "top3_drop")) < 1e-5);
    }
    att_json_destroy(answer);
    /* The same request, the same draws and bytes. */
    expect_same_ranking("{'history':[{'item':'11'}],'explain':'occlusion'}", "{'history':[{'item':'11'}]}");
    answer = recommend("{'history':[{'item':'11'}],'explain':'none'}");
    assert_null(att_json_get(answer, "weights"));
    assert_null(att_json_get(att_json_at(att_json_get(answer, "items"), 0), "reasons"));
    att_json_destroy(answer);
    answer = recommend("{'explain':'occlusion','top_k':1}");
    assert_int_equal(
        att_json_count(att_json_get(att_json_get(att_json_at(att_json_get(answer, "items"), 0), "explain"), "events")),
        0);
    att_json_destroy(answer);
    expect_error(ask("POST", "/v1/recommend", "{'explain':'rollout'}"), 422, "invalid_value", "explain");
    expect_error(ask("POST", "/v1/recommend", "{'explain':true,'faithfulness':true}"), 422, "invalid_value",
                 "faithfulness");
}

static void test_diversity(void **state)
{
    static const char plain_body[] = "{'history':[{'item':'11'},{'item':'12'}],'top_k':10}";
    static const char diverse_body[] = "{'history':[{'item':'11'},{'item':'12'}],'top_k':10,'diversity':0.9}";
    struct att_json *plain = recommend(plain_body), *diverse = recommend(diverse_body);
    const struct att_json *items = att_json_get(diverse, "items"), *best = att_json_get(plain, "items");
    bool falls = true;

    (void)state;
    expect_same_ranking(plain_body, "{'history':[{'item':'11'},{'item':'12'}],'top_k':10,'diversity':0}");
    expect_same_ranking(diverse_body, diverse_body);
    /* The best one leads; the others stand where they are unlike those before, each with the logit that it has alone.
     */
    assert_int_equal(att_json_count(items), 10);
    assert_string_equal(att_json_string(att_json_get(att_json_at(items, 0), "id"), NULL),
                        att_json_string(att_json_get(att_json_at(best, 0), "id"), NULL));
    for (size_t i = 0; i < 10; i++) {
        const struct att_json *item = att_json_at(items, i);
        struct att_json *alone;
        char body[160];

        assert_true(number(item, "rank") == (double)(i + 1));
        if (i > 0 && number(item, "logit") > number(att_json_at(items, i - 1), "logit"))
            falls = false;
        snprintf(body, sizeof(body), "{'history':[{'item':'11'},{'item':'12'}],'candidates':['%s']}",
                 att_json_string(att_json_get(item, "id"), NULL));
        alone = recommend(body);
        assert_true(number(att_json_at(att_json_get(alone, "items"), 0), "logit") == number(item, "logit"));
        att_json_destroy(alone);
    }
    assert_false(falls);
    att_json_destroy(plain);
    att_json_destroy(diverse);
    expect_error(ask("POST", "/v1/recommend", "{'diversity':1.5}"), 422, "invalid_value", "diversity");
    expect_error(ask("POST", "/v1/recommend", "{'diversity':0.5,'top_k':201}"), 422, "invalid_value", "top_k");
}

/* Order by time, dislikes and left-out kinds: what a sequence model sees of its events. */
static void test_events_of_a_sequence(void **state)
{
    (void)state;
    expect_same_ranking("{'history':[{'item':'12','time':1700000100},{'item':'11','time':1700000000}]}",
                        "{'history':[{'item':'11','time':1700000000},{'item':'12','time':1700000100}]}");
    expect_same_ranking(
        "{'history':[{'item':'11'},{'item':'13','type':'rate','value':1}],'exclude':['13'],'explain':false}",
        "{'history':[{'item':'11'}],'exclude':['13'],'explain':false}");
    struct att_json *answer = recommend("{'history':[{'item':'11','type':'rate','value':1}]}");
    assert_string_equal(att_json_string(att_json_get(answer, "fallback"), NULL), "popularity");
    att_json_destroy(answer);
    expect_error(ask("POST", "/v1/recommend", "{'history':[{'item':'11','type':'gift'}]}"), 422, "invalid_value",
                 "history[0].type");
}

/* What `weights` gives to an event of the request. */
static double weight_of(const char *body, size_t event)
{
    struct att_json *answer = recommend(body);
    const struct att_json *weights = att_json_get(answer, "weights");
    double weight = -1;

    for (size_t i = 0; i < att_json_count(weights); i++)
        if (number(att_json_at(weights, i), "event") == (double)event)
            weight = number(att_json_at(weights, i), "weight");
    att_json_destroy(answer);
    assert_true(weight >= 0);
    return weight;
}

static void expect_other_ranking(const char *body, const char *other_body)
{
    struct att_json *answer = recommend(body), *other = recommend(other_body);

    assert_string_not_equal(ranking(answer), ranking(other));
    att_json_destroy(answer);
    att_json_destroy(other);
}

/* A purchase counts more than a view and an event of today more than an old one, for the sequence model too. */
static void test_events_weigh_in_a_sequence(void **state)
{
    static const char plain[] = "{'history':[{'item':'11'},{'item':'12'},{'item':'13'}]}";
    static const char bought[] = "{'history':[{'item':'11','type':'%s'},{'item':'12','type':'%s'}]}";
    static const char aged[] = "{'history':[{'item':'11','type':'buy','time':%d},"
                               "{'item':'12','type':'buy','time':1700000000}]}";
    static const int months[] = {1700000000, 1697408000, 1694816000, 1600000000, 1};
    char first[192], second[192];
    double before = 1;

    (void)state;
    /* All alike is as nothing said, bit for bit, at any strength and age. */
    expect_same_ranking(plain, "{'history':[{'item':'11','type':'buy'},{'item':'12','type':'buy'},"
                               "{'item':'13','type':'buy'}]}");
    expect_same_ranking(plain, "{'history':[{'item':'11','type':'rate','value':4,'time':1700000000},"
                               "{'item':'12','type':'rate','value':4,'time':1700000000},"
                               "{'item':'13','type':'rate','value':4,'time':1700000000}]}");
    snprintf(first, sizeof(first), bought, "buy", "view");
    snprintf(second, sizeof(second), bought, "view", "buy");
    expect_other_ranking(first, second);
    assert_true(weight_of(first, 0) > 1.5 * weight_of(second, 0));
    assert_true(weight_of(first, 1) < weight_of(second, 1));
    for (size_t i = 0; i < sizeof(months) / sizeof(months[0]); i++) {
        double weight;

        snprintf(first, sizeof(first), aged, months[i]);
        weight = weight_of(first, 0);
        assert_true(i + 1 < sizeof(months) / sizeof(months[0]) ? weight < before : weight == before);
        if (i > 0) {
            snprintf(second, sizeof(second), aged, months[0]);
            expect_other_ranking(first, second);
        }
        before = weight;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stored_history),
        cmocka_unit_test(test_unknown_user),
        cmocka_unit_test(test_counterfactual),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_occlusion),
        cmocka_unit_test(test_diversity),
        cmocka_unit_test(test_events_of_a_sequence),
        cmocka_unit_test(test_events_weigh_in_a_sequence),
    };

    return cmocka_run_group_tests_name("http/recommend", tests, start, stop);
}
