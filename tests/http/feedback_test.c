/* POST /v1/feedback and /v1/users/{user} on a live daemon: stored once, refused as a whole, shown, removed, durable. */
#include "live.h"

#include <setjmp.h>
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
    live_start(&live, "[users]\nevents_max = 4\nretention_days = 30\n");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    live_stop(&live);
    return 0;
}

static struct reply ask(const char *method, const char *path, const char *body)
{
    return live_ask_quoted(&live, method, path, body);
}

static struct att_json *ok(const char *method, const char *path, const char *body)
{
    return expect_json(ask(method, path, body), 200);
}

static void expect_counts(const char *body, double stored, double duplicates, double expired)
{
    struct att_json *json = ok("POST", "/v1/feedback", body);

    assert_true(att_json_number(att_json_get(json, "stored"), -1) == stored);
    assert_true(att_json_number(att_json_get(json, "duplicates"), -1) == duplicates);
    assert_true(att_json_number(att_json_get(json, "expired"), -1) == expired);
    att_json_destroy(json);
}

static void expect_items(const char *user, const char *items)
{
    char path[128], found[256] = "";
    struct att_json *json;
    const struct att_json *events;

    snprintf(path, sizeof(path), "/v1/users/%s", user);
    json = ok("GET", path, NULL);
    events = att_json_get(json, "events");
    for (size_t i = 0; i < att_json_count(events); i++) {
        const struct att_json *event = att_json_at(events, i);
        size_t len = strlen(found);

        snprintf(found + len, sizeof(found) - len, "%s:%s ", att_json_string(att_json_get(event, "item"), NULL),
                 att_json_string(att_json_get(event, "type"), NULL));
    }
    att_json_destroy(json);
    assert_string_equal(found, items);
}

static void test_store_show_remove(void **state)
{
    double before = (double)time(NULL);
    struct att_json *json;
    char body[512];

    (void)state;
    expect_counts("{'user':'ann','item':'3','type':'click','id':'e1'}", 1, 0, 0);
    expect_counts("{'user':'ann','item':'3','type':'click','id':'e1'}", 0, 1, 0);
    snprintf(body, sizeof(body),
             "{'events':[{'user':'ann','item':'5','type':'rate','value':4.5,'time':%.0f},"
             "{'user':'ann','item':'new thing','type':'view','text':'a red shoe','time':%.0f},"
             "{'user':'ann','item':'7','type':'buy','time':5}]}",
             before - 100, before - 200);
    expect_counts(body, 2, 0, 1);
    expect_items("ann", "new thing:view 5:rate 3:click ");
    json = ok("GET", "/v1/users/ann", NULL);
    const struct att_json *last = att_json_at(att_json_get(json, "events"), 2);
    double when = att_json_number(att_json_get(last, "time"), 0);
    assert_true(when >= before && when <= before + 10);
    assert_string_equal(att_json_string(att_json_get(last, "model"), NULL), "movies");
    assert_string_equal(att_json_string(att_json_get(last, "id"), NULL), "e1");
    att_json_destroy(json);
    /* The bound of four. */
    expect_counts("{'events':[{'user':'ann','item':'1','type':'buy'},{'user':'ann','item':'2','type':'buy'}]}", 2, 0,
                  0);
    expect_items("ann", "5:rate 3:click 1:buy 2:buy ");
    expect_counts("{'user':'张三 &co','item':'2','type':'view'}", 1, 0, 0);
    expect_items("%E5%BC%A0%E4%B8%89%20%26co", "2:view ");
    /* Its escapes are more than a name may have bytes. */
    expect_counts("{'user':'张三李四王五赵六孙七周八吴九郑','item':'2','type':'view'}", 1, 0, 0);
    static const char long_name[] = "/v1/users/%E5%BC%A0%E4%B8%89%E6%9D%8E%E5%9B%9B%E7%8E%8B%E4%BA%94%E8%B5%B5%E5%85%AD"
                                    "%E5%AD%99%E4%B8%83%E5%91%A8%E5%85%AB%E5%90%B4%E4%B9%9D%E9%83%91";
    att_json_destroy(ok("GET", long_name, NULL));
    att_json_destroy(ok("DELETE", long_name, NULL));
    json = ok("DELETE", "/v1/users/ann", NULL);
    assert_true(att_json_number(att_json_get(json, "deleted"), -1) == 4);
    att_json_destroy(json);
    expect_error(ask("GET", "/v1/users/ann", NULL), 404, "not_found", "user");
    expect_error(ask("DELETE", "/v1/users/ann", NULL), 404, "not_found", "user");
}

static void test_refusals_store_nothing(void **state)
{
    static const struct {
        const char *body, *code, *param;
        long status;
    } cases[] = {
        {"{'user':'bob','item':'1'}", "invalid_value", "type", 422},
        {"{'user':'bob','item':'1','type':'eat'}", "invalid_value", "type", 422},
        {"{'item':'1','type':'view'}", "invalid_value", "user", 422},
        {"{'user':'','item':'1','type':'view'}", "invalid_value", "user", 422},
        {"{'user':'a/b','item':'1','type':'view'}", "invalid_value", "user", 422},
        {"{'user':'..','item':'1','type':'view'}", "invalid_value", "user", 422},
        {"{'user':'bob','type':'view'}", "invalid_value", "item", 422},
        {"{'user':'bob','item':'1','type':'view','x':1}", "invalid_value", "x", 422},
        {"{'user':'bob','item':'1','type':'view','model':'no'}", "not_found", "model", 404},
        {"{'user':'bob','item':'1','type':'view','model':'encoder'}", "unsupported", "model", 422},
        {"{'user':'bob','item':'1','type':'rate','value':9}", "invalid_value", "value", 422},
        {"{'user':'bob','item':'1','type':'view','time':99999999999}", "invalid_value", "time", 422},
        {"{'events':[]}", "invalid_value", "events", 422},
        {"{'events':{}}", "invalid_value", "events", 422},
        {"{'events':[7]}", "invalid_value", "events[0]", 422},
        {"{'events':[{'user':'bob','item':'1','type':'view'},{'user':'bob','item':'1','type':'view','id':''}]}",
         "invalid_value", "events[1].id", 422},
        {"{'events':[{'user':'bob','item':'1','type':'view'}],'user':'x'}", "invalid_value", "user", 422},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_error(ask("POST", "/v1/feedback", cases[i].body), cases[i].status, cases[i].code, cases[i].param);
    expect_error(ask("GET", "/v1/users/bob", NULL), 404, "not_found", "user");
}

/* What was stored stays over a reload, and the new limits hold from then on. */
static void test_reload(void **state)
{
    const char *extra = "[users]\nevents_max = 2\n";

    (void)state;
    expect_counts("{'events':[{'user':'eve','item':'1','type':'view'},{'user':'eve','item':'2','type':'view'},"
                  "{'user':'eve','item':'3','type':'view'}]}",
                  3, 0, 0);
    live_configure(&live, extra);
    live_signal(&live, 1); /* SIGHUP */
    live_wait_logged(&live, "event=reloaded", 1);
    expect_items("eve", "1:view 2:view 3:view ");
    expect_counts("{'user':'eve','item':'4','type':'view'}", 1, 0, 0);
    expect_items("eve", "3:view 4:view ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_show_remove),
        cmocka_unit_test(test_refusals_store_nothing),
        cmocka_unit_test(test_reload),
    };

    return cmocka_run_group_tests_name("http/feedback", tests, start, stop);
}
