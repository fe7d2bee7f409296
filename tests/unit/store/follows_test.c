/* The table of what stood beside what: old and new first lines, and everything that a file may have wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/follows.h"

enum { ITEMS = 20 };
static char folder[] = "/tmp/attend-follows-XXXXXX", path[64];

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/follows.jsonl", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static enum att_status open_text(const char *text, struct store_follows **ret_follows, struct att_err *err)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    return store_follows_open(folder, ITEMS, ret_follows, err);
}

static struct store_follows *opened(const char *text)
{
    struct store_follows *follows = NULL;
    struct att_err err;
    if (open_text(text, &follows, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return follows;
}

static void a_first_line_of_two_numbers_is_enough(void **state)
{
    (void)state;
    struct store_follows *follows = opened("{\"scale\": 1000, \"weight\": 1.5}\n"
                                           "{\"index\": 3, \"next\": [[7, 0.5], [20, 0.25]]}\n");
    const struct store_follows_rule *rule = store_follows_rule(follows);
    size_t n = 9;
    assert_true(rule->scale == 1000 && rule->weight == 1.5 && rule->decay == 0 && rule->own == 0);
    const struct store_follow *row = store_follows_of(follows, 3, &n);
    assert_int_equal(n, 2);
    assert_true(row[0].item == 7 && row[0].share == 0.5f && row[1].item == 20 && row[1].share == 0.25f);
    assert_null(store_follows_of(follows, 7, &n));
    assert_int_equal(n, 0);
    store_follows_close(follows);
}

static void a_rule_may_say_more(void **state)
{
    (void)state;
    struct store_follows *follows = opened("{\"scale\": 10, \"weight\": 0, \"decay\": 0.9, \"own\": 10}");
    const struct store_follows_rule *rule = store_follows_rule(follows);
    assert_true(rule->scale == 10 && rule->weight == 0 && rule->decay == 0.9 && rule->own == 10);
    store_follows_close(follows);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "line 1: is missing"},
        {"{", "line 1: is no JSON object"},
        {"{\"scale\":0,\"weight\":1}", "line 1: expected \"scale\""},
        {"{\"scale\":1,\"weight\":101}", "line 1: expected \"scale\""},
        {"{\"scale\":1,\"weight\":1,\"decay\":0.91}", "line 1: decay: expected"},
        {"{\"scale\":1,\"weight\":1,\"decay\":-0.1}", "line 1: decay: expected"},
        {"{\"scale\":1,\"weight\":1,\"decay\":\"0.3\"}", "line 1: decay: expected"},
        {"{\"scale\":1,\"weight\":1,\"own\":10.5}", "line 1: own: expected"},
        {"{\"scale\":1,\"weight\":1,\"own\":null}", "line 1: own: expected"},
        {"{\"scale\":1,\"weight\":1}\n{\"index\":0,\"next\":[]}", "line 2: index"},
        {"{\"scale\":1,\"weight\":1}\n{\"index\":21,\"next\":[]}", "line 2: index"},
        {"{\"scale\":1,\"weight\":1}\n{\"index\":1,\"next\":[[2,1]]}\n{\"index\":1,\"next\":[[3,1]]}", "line 3: index"},
        {"{\"scale\":1,\"weight\":1}\n{\"index\":1,\"next\":[[2,1],[2,1]]}",
         "line 2: next: an item stands there twice"},
        {"{\"scale\":1,\"weight\":1}\n{\"index\":1,\"next\":[[2,0]]}", "line 2: next: expected pairs"},
        {"{\"scale\":1,\"weight\":1}\n{\"index\":1,\"next\":[[2,1.5]]}", "line 2: next: expected pairs"},
        {"{\"scale\":1,\"weight\":1}\n{\"index\":1,\"next\":[[21,1]]}", "line 2: next: expected pairs"},
        {"{\"scale\":1,\"weight\":1}\n{\"index\":1,\"next\":{}}", "line 2: next: expected at most"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct store_follows *follows = NULL;
        struct att_err err = {.message = ""};
        if (open_text(cases[i].text, &follows, &err) != ATT_EFORMAT || !strstr(err.message, cases[i].says))
            fail_msg("%s: \"%s\", expected %s", cases[i].text, err.message, cases[i].says);
        assert_null(follows);
    }
}

static void no_file_is_told_apart(void **state)
{
    struct store_follows *follows = NULL;
    struct att_err err;
    (void)state;
    unlink(path);
    assert_int_equal(store_follows_open(folder, ITEMS, &follows, &err), ATT_ENOTFOUND);
    store_follows_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_line_of_two_numbers_is_enough),
        cmocka_unit_test(a_rule_may_say_more),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(no_file_is_told_apart),
    };
    return cmocka_run_group_tests_name("store/follows", tests, setup, teardown);
}
