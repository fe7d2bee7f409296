/* POST /v1/tokenize as a task: the reference's ids, tokens, byte offsets. */
#include "tests/unit/tasks/fixture.h"

#include <string.h>

static void numbers_equal(const struct att_json *array, const int *expected, size_t count)
{
    assert_int_equal(att_json_count(array), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal((int)att_json_number(att_json_at(array, i), -1), expected[i]);
}

static void ids_are_the_references(void **state)
{
    (void)state;
    static const int ids[] = {2, 997, 821, 886, 1009, 35, 869, 1336, 507, 11, 62, 943, 1208, 796, 5, 3};
    struct att_json *answer = fixture_answer(&task_tokenize, "{\"input\":\"Where is my order? It hasn't arrived!\"}");
    numbers_equal(fixture_at(answer, "data.0.ids"), ids, 16);
    assert_string_equal(fixture_text(answer, "data.0.tokens.0"), "[CLS]");
    assert_string_equal(fixture_text(answer, "data.0.tokens.15"), "[SEP]");
    assert_int_equal(fixture_number(answer, "data.0.offsets.0.1"), 0);
    assert_int_equal(fixture_number(answer, "data.0.count"), 16);
    att_json_destroy(answer);
    answer = fixture_answer(&task_tokenize,
                            "{\"text\":\"Where is my order? It hasn't arrived!\",\"add_special_tokens\":false}");
    numbers_equal(fixture_at(answer, "data.0.ids"), ids + 1, 14);
    att_json_destroy(answer);
}

static void offsets_are_bytes_of_the_text(void **state)
{
    (void)state;
    static const char text[] = "我的 café";
    struct att_json *answer =
        fixture_answer(&task_tokenize, "{'input':['我的 café',''],'add_special_tokens':false,'model':'plain'}");
    const struct att_json *offsets = fixture_at(answer, "data.0.offsets");
    size_t n = att_json_count(offsets);
    assert_true(n >= 3);
    assert_int_equal(att_json_number(att_json_at(att_json_at(offsets, 0), 1), 0), 3);
    assert_int_equal(att_json_number(att_json_at(att_json_at(offsets, 1), 0), 0), 3);
    assert_int_equal(att_json_number(att_json_at(att_json_at(offsets, n - 1), 1), 0), strlen(text));
    assert_int_equal(fixture_number(answer, "data.1.count"), 0);
    att_json_destroy(answer);
}

static void refusals_name_the_field(void **state)
{
    (void)state;
    fixture_refused(&task_tokenize, "{}", ATT_EINVAL, "input", "missing");
    fixture_refused(&task_tokenize, "{'input':[]}", ATT_EINVAL, "input", "empty");
    fixture_refused(&task_tokenize, "{'input':['a',1]}", ATT_EINVAL, "input[1]", "");
    fixture_refused(&task_tokenize, "{'input':'a','text':'b'}", ATT_EINVAL, "text", "");
    fixture_refused(&task_tokenize, "{'input':'a','add_special_tokens':1}", ATT_EINVAL, "add_special_tokens", "");
    fixture_refused(&task_tokenize, "{'input':'a','model':'x'}", ATT_ENOTFOUND, "model", "");
    fixture_refused(&task_tokenize, "{'input':'a','special':true}", ATT_EINVAL, "special", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_the_references),
        cmocka_unit_test(offsets_are_bytes_of_the_text),
        cmocka_unit_test(refusals_name_the_field),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
