/* Reading the URL's parameters: what is accepted, and how a refusal names them. */
#include "tests/unit/tasks/fixture.h"

#include <string.h>

static struct task_call call_of(const struct task_param *query, size_t n)
{
    return (struct task_call){.query = query, .n_query = n};
}

static void unknown_and_double_parameters_are_named(void **state)
{
    (void)state;
    static const char *const names[] = {"limit", "after", NULL};
    static const struct task_param query[] = {{"limit", "3"}, {"after", "x"}, {"limit", "4"}, {"lmit", "1"}};
    struct att_err err;
    struct task_call call = call_of(query, 2);
    assert_int_equal(task_query_known(&call, names, &err), ATT_OK);
    call.n_query = 3;
    assert_int_equal(task_query_known(&call, names, &err), ATT_EINVAL);
    assert_string_equal(err.message, "limit: stands twice in the query");
    call = call_of(query + 3, 1);
    assert_int_equal(task_query_known(&call, names, &err), ATT_EINVAL);
    assert_string_equal(err.param, "lmit");
}

static void integers_are_whole_and_in_range(void **state)
{
    (void)state;
    static const char *const good[] = {"0", "-5", "100"};
    static const int64_t values[] = {0, -5, 100};
    static const char *const bad[] = {"", " 1", "+1", "1x", "1.0", "101", "-6", "99999999999999999999", "-"};
    struct att_err err;
    for (size_t i = 0; i < 3; i++) {
        struct task_param query = {"n", good[i]};
        struct task_call call = call_of(&query, 1);
        int64_t value = 77;
        assert_int_equal(task_query_int(&call, "n", -5, 100, &value, &err), ATT_OK);
        assert_int_equal(value, values[i]);
        assert_int_equal(task_query_int(&call, "m", -5, 100, &value, &err), ATT_OK);
        assert_int_equal(value, values[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct task_param query = {"n", bad[i]};
        struct task_call call = call_of(&query, 1);
        int64_t value = 77;
        assert_int_equal(task_query_int(&call, "n", -5, 100, &value, &err), ATT_EINVAL);
        assert_int_equal(value, 77);
        assert_string_equal(err.param, "n");
    }
}

static void words_are_listed_in_a_refusal(void **state)
{
    (void)state;
    static const char *const words[] = {"hour", "day", NULL};
    struct task_param query = {"bucket", "day"};
    struct task_call call = call_of(&query, 1);
    struct att_err err;
    size_t word = 0;
    assert_int_equal(task_query_enum(&call, "bucket", words, &word, &err), ATT_OK);
    assert_int_equal(word, 1);
    query.value = "week";
    assert_int_equal(task_query_enum(&call, "bucket", words, &word, &err), ATT_EINVAL);
    assert_string_equal(err.message, "bucket: is \"week\", expected one of hour, day");
    assert_int_equal(word, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_and_double_parameters_are_named),
        cmocka_unit_test(integers_are_whole_and_in_range),
        cmocka_unit_test(words_are_listed_in_a_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
