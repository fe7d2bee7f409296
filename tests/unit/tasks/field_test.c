/* Reading request fields: what is accepted, and how a refusal names the field. */
#include "tests/unit/tasks/fixture.h"

#include <stdio.h>
#include <string.h>

static struct att_json *root;

static const struct att_json *parsed(const char *text)
{
    struct att_err err;
    att_json_destroy(root);
    root = NULL;
    if (att_json_parse(text, strlen(text), 0, 16, &root, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return root;
}

static const struct att_json *value(const char *text)
{
    return att_json_get(parsed(text), "t");
}

static int drop(void **state)
{
    (void)state;
    att_json_destroy(root);
    root = NULL;
    return 0;
}

static void unknown_fields_are_named(void **state)
{
    (void)state;
    static const char *const names[] = {"input", "top_k", NULL};
    struct att_err err;
    assert_int_equal(task_fields_known(parsed("{\"input\":1,\"top_k\":2}"), "", names, &err), ATT_OK);
    assert_int_equal(task_fields_known(parsed("{}"), "", names, &err), ATT_OK);
    assert_int_equal(task_fields_known(parsed("{\"inptu\":1}"), "", names, &err), ATT_EINVAL);
    assert_string_equal(err.param, "inptu");
    assert_int_equal(task_fields_known(parsed("{\"x\":1}"), "input[3]", names, &err), ATT_EINVAL);
    assert_string_equal(err.param, "input[3].x");
    assert_int_equal(task_fields_known(parsed("[]"), "", names, &err), ATT_EINVAL);
    assert_non_null(strstr(err.message, "object"));
}

static void arrays_are_bounded(void **state)
{
    (void)state;
    struct att_err err;
    size_t n = 9;
    assert_int_equal(task_field_array(value("{\"t\":[1,2]}"), "t", "ids", true, 2, &n, &err), ATT_OK);
    assert_int_equal(n, 2);
    assert_int_equal(task_field_array(value("{\"t\":[1,2,3]}"), "t", "ids", true, 2, &n, &err), ATT_ELIMIT);
    assert_string_equal(err.message, "t: 3 ids, expected at most 2");
    assert_string_equal(err.param, "t");
    static const char *const wrong[][2] = {{"{\"t\":[]}", "t: is empty, expected an array of ids"},
                                           {"{}", "t: is missing, expected an array of ids"},
                                           {"{\"t\":null}", "t: is null, expected an array of ids"},
                                           {"{\"t\":\"x\"}", "t: is string, expected an array of ids"},
                                           {"{\"t\":{\"a\":1}}", "t: is object, expected an array of ids"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(task_field_array(value(wrong[i][0]), "t", "ids", true, 2, &n, &err), ATT_EINVAL);
        assert_string_equal(err.message, wrong[i][1]);
        assert_int_equal(n, 2);
        /* Where it is not required, the first three say that there is none. */
        size_t optional = 9;
        assert_int_equal(task_field_array(value(wrong[i][0]), "t", "ids", false, 2, &optional, &err),
                         i < 3 ? ATT_OK : ATT_EINVAL);
        assert_int_equal(optional, i < 3 ? 0 : 9);
    }
}

static void depth_is_bounded(void **state)
{
    (void)state;
    struct att_err err;
    static const char *const deep[] = {"{\"t\":{\"a\":1,\"b\":{\"c\":[]}}}", "{\"t\":[0,[],[[7]]]}"};
    for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
        assert_int_equal(task_field_depth(value(deep[i]), "t", 3, &err), ATT_OK);
        assert_int_equal(task_field_depth(value(deep[i]), "t", 2, &err), ATT_EINVAL);
        assert_string_equal(err.message, "t: is nested deeper than 2 levels");
        assert_string_equal(err.param, "t");
    }
    assert_int_equal(task_field_depth(value("{\"t\":7}"), "t", 0, &err), ATT_OK);
    assert_int_equal(task_field_depth(value("{\"t\":{}}"), "t", 0, &err), ATT_EINVAL);
}

static void a_text_or_several(void **state)
{
    (void)state;
    struct task_env env = {.limits = {.items_max = 2}};
    struct task_call call = {.env = &env};
    struct att_err err;
    size_t n = 9;
    assert_int_equal(task_field_inputs(&call, value("{\"t\":\"x\"}"), "t", &n, &err), ATT_OK);
    assert_int_equal(n, 1);
    assert_int_equal(task_field_inputs(&call, value("{\"t\":[\"x\",\"y\"]}"), "t", &n, &err), ATT_OK);
    assert_int_equal(n, 2);
    assert_int_equal(task_field_inputs(&call, value("{\"t\":[1,2,3]}"), "t", &n, &err), ATT_ELIMIT);
    static const char *const wrong[] = {"{\"t\":[]}", "{}", "{\"t\":7}", "{\"t\":{}}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(task_field_inputs(&call, value(wrong[i]), "t", &n, &err), ATT_EINVAL);
    assert_string_equal(err.message, "t: is object, expected a text or an array of texts");
}

static void a_long_or_strange_name_stays_within_bounds(void **state)
{
    (void)state;
    static const char *const names[] = {NULL};
    struct att_err err;
    char body[700];
    snprintf(body, sizeof body, "{\"%0500d\":1}", 7);
    assert_int_equal(task_fields_known(parsed(body), "", names, &err), ATT_EINVAL);
    assert_true(strlen(err.param) < ATT_ERR_PARAM_MAX);
    assert_int_equal(task_fields_known(parsed("{\"a\\nb\":1}"), "", names, &err), ATT_EINVAL);
    assert_null(strchr(err.message, '\n'));
}

static void absent_and_null_keep_the_default(void **state)
{
    (void)state;
    static const char *const words[] = {"mean", "max", NULL};
    static const char *const bodies[] = {"{}", "{\"x\":null}"};
    for (size_t i = 0; i < 2; i++) {
        const struct att_json *body = parsed(bodies[i]);
        const char *text = "kept";
        bool flag = true;
        int64_t integer = 7;
        double number = 0.5;
        size_t word = 1;
        assert_int_equal(task_field_string(body, "", "x", &text, NULL, NULL), ATT_OK);
        assert_int_equal(task_field_bool(body, "", "x", &flag, NULL), ATT_OK);
        assert_int_equal(task_field_int(body, "", "x", 0, 9, &integer, NULL), ATT_OK);
        assert_int_equal(task_field_number(body, "", "x", 0, 1, &number, NULL), ATT_OK);
        assert_int_equal(task_field_enum(body, "", "x", words, &word, NULL), ATT_OK);
        assert_string_equal(text, "kept");
        assert_true(flag && integer == 7 && number == 0.5 && word == 1);
    }
}

static void values_are_read(void **state)
{
    (void)state;
    static const char *const words[] = {"mean", "max", NULL};
    const struct att_json *body = parsed("{\"s\":\"héllo\",\"b\":false,\"i\":-3,\"n\":0.25,\"w\":\"max\"}");
    const char *text = NULL;
    size_t len = 0, word = 9;
    bool flag = true;
    int64_t integer = 0;
    double number = 0;
    assert_int_equal(task_field_string(body, "", "s", &text, &len, NULL), ATT_OK);
    assert_int_equal(task_field_bool(body, "", "b", &flag, NULL), ATT_OK);
    assert_int_equal(task_field_int(body, "", "i", -3, 3, &integer, NULL), ATT_OK);
    assert_int_equal(task_field_number(body, "", "n", 0, 1, &number, NULL), ATT_OK);
    assert_int_equal(task_field_enum(body, "", "w", words, &word, NULL), ATT_OK);
    assert_int_equal(len, 6);
    assert_true(!flag && integer == -3 && number == 0.25 && word == 1);
}

static void wrong_values_are_refused_and_change_nothing(void **state)
{
    (void)state;
    static const char *const words[] = {"mean", "max", NULL};
    static const char *const bad_integers[] = {"1.5", "\"1\"", "10", "-1", "1e300", "true", "[]"};
    static const char *const bad_numbers[] = {"1.01", "-0.01", "\"0\"", "1e308", "{}"};
    static const char *const bad_words[] = {"\"MEAN\"", "\"\"", "\"me\"", "0", "[\"mean\"]"};
    char body[64];
    struct att_err err;
    for (size_t i = 0; i < 7; i++) {
        int64_t integer = 5;
        snprintf(body, sizeof body, "{\"x\":%s}", bad_integers[i]);
        assert_int_equal(task_field_int(parsed(body), "windows", "x", 0, 9, &integer, &err), ATT_EINVAL);
        assert_string_equal(err.param, "windows.x");
        assert_int_equal(integer, 5);
    }
    for (size_t i = 0; i < 5; i++) {
        double number = 0.5;
        snprintf(body, sizeof body, "{\"x\":%s}", bad_numbers[i]);
        assert_int_equal(task_field_number(parsed(body), "", "x", 0, 1, &number, &err), ATT_EINVAL);
        assert_true(number == 0.5);
    }
    for (size_t i = 0; i < 5; i++) {
        size_t word = 1;
        snprintf(body, sizeof body, "{\"x\":%s}", bad_words[i]);
        assert_int_equal(task_field_enum(parsed(body), "", "x", words, &word, &err), ATT_EINVAL);
        assert_non_null(strstr(err.message, "\"mean\", \"max\""));
        assert_int_equal(word, 1);
    }
    bool flag = true;
    assert_int_equal(task_field_bool(parsed("{\"x\":1}"), "", "x", &flag, &err), ATT_EINVAL);
    assert_true(flag);
}

static void texts_are_bounded_utf8(void **state)
{
    (void)state;
    const struct task_call call = {.env = &fixture_env};
    const char *text = NULL;
    size_t len = 0, limit = fixture_env.limits.text_bytes_max;
    struct att_err err;
    static char body[9000];
    assert_int_equal(task_field_text(&call, value("{\"t\":\"好\"}"), "t", &text, &len, &err), ATT_OK);
    assert_int_equal(len, 3);
    assert_int_equal(task_field_text(&call, NULL, "input[2].text", &text, &len, &err), ATT_EINVAL);
    assert_string_equal(err.param, "input[2].text");
    assert_int_equal(task_field_text(&call, value("{\"t\":5}"), "t", &text, &len, &err), ATT_EINVAL);
    snprintf(body, sizeof body, "{\"t\":\"%0*d\"}", (int)limit, 0);
    assert_int_equal(task_field_text(&call, value(body), "t", &text, &len, &err), ATT_OK);
    snprintf(body, sizeof body, "{\"t\":\"%0*d\"}", (int)limit + 1, 0);
    assert_int_equal(task_field_text(&call, value(body), "t", &text, &len, &err), ATT_ELIMIT);
    assert_int_equal(err.limit, limit);
    assert_int_equal(err.given, limit + 1);
    /* A document that was read with U+0000 allowed does not bring it into a task. */
    struct att_json *nul = NULL;
    assert_int_equal(att_json_parse("{\"t\":\"a\\u0000b\"}", 16, ATT_JSON_ALLOW_NUL, 8, &nul, &err), ATT_OK);
    assert_int_equal(task_field_text(&call, att_json_get(nul, "t"), "t", &text, &len, &err), ATT_EINVAL);
    att_json_destroy(nul);
}

static void deadline_and_priority(void **state)
{
    (void)state;
    struct task_call call = {.env = &fixture_env};
    struct att_err err;
    assert_int_equal(task_field_common(&call, parsed("{}"), &err), ATT_OK);
    assert_true(call.deadline_ms == 0 && !call.bulk);
    assert_int_equal(task_field_common(&call, parsed("{\"deadline_ms\":250,\"priority\":\"bulk\"}"), &err), ATT_OK);
    assert_true(call.deadline_ms == 250 && call.bulk);
    assert_int_equal(task_field_common(&call, parsed("{\"deadline_ms\":0}"), &err), ATT_EINVAL);
    assert_int_equal(task_field_common(&call, parsed("{\"deadline_ms\":10001}"), &err), ATT_EINVAL);
    assert_string_equal(err.param, "deadline_ms");
    assert_int_equal(task_field_common(&call, parsed("{\"priority\":\"high\"}"), &err), ATT_EINVAL);
}

static void models_are_names(void **state)
{
    (void)state;
    struct task_call call = {.env = &fixture_env};
    const struct task_model *model = NULL;
    struct att_err err;
    assert_int_equal(task_field_model(&call, parsed("{}"), "classify", &model, &err), ATT_OK);
    assert_string_equal(model->name, "plain");
    assert_ptr_equal(call.model, model);
    assert_int_equal(task_field_model(&call, parsed("{\"model\":\"heads\"}"), "classify", &model, &err), ATT_OK);
    assert_string_equal(model->name, "heads");
    assert_int_equal(task_field_model(&call, parsed("{\"model\":\"../../etc\"}"), "classify", &model, &err),
                     ATT_ENOTFOUND);
    assert_string_equal(err.param, "model");
    assert_int_equal(task_field_model(&call, parsed("{\"model\":3}"), "classify", &model, &err), ATT_EINVAL);
}

static void ids_differ(void **state)
{
    (void)state;
    char seen[50][64];
    for (size_t i = 0; i < 50; i++) {
        struct att_jsonw w;
        char *text = NULL;
        size_t len = 0;
        att_jsonw_init(&w, 1000);
        att_jsonw_object_begin(&w);
        task_render_id(&w, "cls");
        att_jsonw_object_end(&w);
        assert_int_equal(att_jsonw_take(&w, &text, &len, NULL), ATT_OK);
        assert_int_equal(len, strlen("{\"id\":\"cls-\"}") + 24);
        snprintf(seen[i], sizeof seen[i], "%s", text);
        att_mem_free(text);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(seen[i], seen[j]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(unknown_fields_are_named, drop),
        cmocka_unit_test_teardown(arrays_are_bounded, drop),
        cmocka_unit_test_teardown(depth_is_bounded, drop),
        cmocka_unit_test_teardown(a_text_or_several, drop),
        cmocka_unit_test_teardown(a_long_or_strange_name_stays_within_bounds, drop),
        cmocka_unit_test_teardown(absent_and_null_keep_the_default, drop),
        cmocka_unit_test_teardown(values_are_read, drop),
        cmocka_unit_test_teardown(wrong_values_are_refused_and_change_nothing, drop),
        cmocka_unit_test_teardown(texts_are_bounded_utf8, drop),
        cmocka_unit_test_teardown(deadline_and_priority, drop),
        cmocka_unit_test_teardown(models_are_names, drop),
        cmocka_unit_test_teardown(ids_differ, drop),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
