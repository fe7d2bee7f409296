/* Customer-service replies on a live daemon: entries with times and small talk, listing and export. */
#include "live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct live live;

/* ' for ". */
static struct reply ask(const char *method, const char *path, const char *body)
{
    char *text = body ? strdup(body) : NULL;
    for (char *c = text; c && *c; c++)
        *c = *c == '\'' ? '"' : *c;
    struct reply reply = live_ask(&live, method, path, text, NULL);
    free(text);
    return reply;
}

static struct att_json *ok(const char *method, const char *path, const char *body)
{
    struct reply reply = ask(method, path, body);
    if (reply.status != 200)
        fail_msg("%s %s: %ld %s", method, path, reply.status, reply.body ? reply.body : "");
    struct att_json *json = reply_json(&reply);
    reply_free(&reply);
    return json;
}

static void done(const char *method, const char *path, const char *body)
{
    att_json_destroy(ok(method, path, body));
}

static double number(const struct att_json *json, const char *name)
{
    return att_json_number(att_json_get(json, name), -1);
}

static bool has_id(const struct att_json *list, double id)
{
    for (size_t i = 0; i < att_json_count(list); i++) {
        const struct att_json *item = att_json_at(list, i);
        if ((att_json_is_object(item) ? number(item, "id") : att_json_number(item, -1)) == id)
            return true;
    }
    return false;
}

static const char shop[] =
    "{'entries':["
    "{'id':1,'lang':'en','question':'Where is my order?','alternates':['track my parcel'],'answer':'In My orders.'},"
    "{'id':2,'lang':'en','question':'Is there a winter sale?','answer':'Yes, until the end of 2001.',"
    "'valid_from':'2001-12-01','valid_until':'2002-01-01T00:00:00+01:00'},"
    "{'id':3,'lang':'en','question':'Do you sell flying cars?','answer':'We do now.','valid_from':'2999-01-01'},"
    "{'id':4,'lang':'en','question':'Thank you very much','answer':'You are welcome.','chitchat':true},"
    "{'id':5,'lang':'zh','question':'怎么退货？','answer':'打开订单，点退货。'}]}";

static int start(void **state)
{
    (void)state;
    live_start(&live, "");
    done("PUT", "/v1/kb/default", shop);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    live_stop(&live);
    return 0;
}

static void entries_are_listed_by_state_and_in_pages(void **state)
{
    (void)state;
    struct att_json *json = ok("GET", "/v1/kb/default", NULL);
    assert_true(number(json, "chitchat") == 1 && number(json, "pending") == 1 && number(json, "expired") == 1);
    att_json_destroy(json);
    json = ok("GET", "/v1/kb/default/entries?limit=2", NULL);
    assert_int_equal(att_json_count(att_json_get(json, "entries")), 2);
    assert_true(number(json, "next") == 2 && number(json, "left") == 3);
    assert_true(has_id(att_json_get(json, "expired"), 2));
    assert_string_equal(
        att_json_string(att_json_get(att_json_at(att_json_get(json, "entries"), 1), "valid_until"), NULL),
        "2001-12-31T23:00:00Z");
    att_json_destroy(json);
    json = ok("GET", "/v1/kb/default/entries?limit=2&after=2", NULL);
    assert_true(has_id(att_json_get(json, "entries"), 3) && has_id(att_json_get(json, "pending"), 3));
    assert_false(has_id(att_json_get(json, "expired"), 2));
    att_json_destroy(json);
    json = ok("GET", "/v1/kb/default/entries?state=expired", NULL);
    assert_int_equal(att_json_count(att_json_get(json, "entries")), 1);
    assert_true(att_json_type(att_json_get(json, "next")) == ATT_JSON_NULL);
    att_json_destroy(json);
    json = ok("GET", "/v1/kb/default/entries?lang=zh&contains=%E9%80%80%E8%B4%A7", NULL);
    assert_int_equal(att_json_count(att_json_get(json, "entries")), 1);
    att_json_destroy(json);
    expect_error(ask("GET", "/v1/kb/default/entries?limit=0", NULL), 422, "invalid_value", "limit");
    expect_error(ask("GET", "/v1/kb/default/entries?page=1", NULL), 422, NULL, "page");
    expect_error(ask("GET", "/v1/kb/default/entries?state=old", NULL), 422, "invalid_value", "state");
    expect_error(ask("PUT", "/v1/kb/default/entries/9", "{'question':'a','answer':'b','valid_from':'tomorrow'}"), 422,
                 "invalid_value", "valid_from");
    expect_error(ask("PUT", "/v1/kb/default/entries/9",
                     "{'question':'a','answer':'b','valid_from':'2026-02-01','valid_until':'2026-01-01'}"),
                 422, "invalid_value", "valid_until");
}

static void everything_is_exported(void **state)
{
    (void)state;
    struct reply reply = ask("GET", "/v1/kb/default/export", NULL);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "Content-Type"), "application/x-ndjson");
    size_t lines = 0;
    for (const char *at = reply.body; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines, 5);
    assert_memory_equal(reply.body, "{\"id\":1,", 8);
    assert_non_null(strstr(reply.body, "}\n{\"id\":2,"));
    reply_free(&reply);
    reply = ask("GET", "/v1/kb/default/export?format=csv", NULL);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "Content-Type"), "text/csv; charset=utf-8");
    assert_memory_equal(reply.body, "id,lang,question,", 17);
    assert_non_null(strstr(reply.body, "\r\n5,zh,怎么退货？,\"\",打开订单，点退货。,"));
    reply_free(&reply);
    expect_error(ask("GET", "/v1/kb/default/export?format=xml", NULL), 422, "invalid_value", "format");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_listed_by_state_and_in_pages),
        cmocka_unit_test(everything_is_exported),
    };
    return cmocka_run_group_tests_name("http/reply", tests, start, stop);
}
