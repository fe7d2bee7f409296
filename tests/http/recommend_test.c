/* Recommendation on a live daemon: what is stored of users joins what a request brings. */
#include "live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct live live;

static int start(void **state)
{
    (void)state;
    live_start(&live, "[users]\nretention_days = 0\n");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    live_stop(&live);
    return 0;
}

/* ' for ". */
static struct reply ask(const char *method, const char *path, const char *body)
{
    char text[4096];

    snprintf(text, sizeof(text), "%s", body != NULL ? body : "");
    for (char *c = text; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    return live_ask(&live, method, path, body != NULL ? text : NULL, NULL);
}

static struct att_json *ok(const char *method, const char *path, const char *body)
{
    struct reply reply = ask(method, path, body);
    struct att_json *json;

    if (reply.status != 200)
        fail_msg("%s %s: %ld %s", method, path, reply.status, reply.body ? reply.body : "");
    json = reply_json(&reply);
    reply_free(&reply);
    return json;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stored_history),
        cmocka_unit_test(test_unknown_user),
        cmocka_unit_test(test_counterfactual),
    };

    return cmocka_run_group_tests_name("http/recommend", tests, start, stop);
}
