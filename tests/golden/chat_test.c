/*
 * Parity with Jinja2 as transformers sets it up: the cases of tests/golden/chat
 * (and of ATT_SHARED where it is set): prompts and the templates' own errors, to
 * the letter; and what a template must not do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/chat/chat.h"

/* Renders `source` over a case; the text (att_mem_free) or NULL with the error. */
static char *render(const char *source, const struct att_json *root, struct att_err *err)
{
    struct att_chat_template *template = NULL;
    const struct att_chat_input input = {
        .messages = att_json_get(root, "messages"),
        .tools = att_json_get(root, "tools"),
        .bos_token = att_json_string(att_json_get(root, "bos_token"), NULL),
        .eos_token = att_json_string(att_json_get(root, "eos_token"), NULL),
        .add_generation_prompt = att_json_bool(att_json_get(root, "add_generation_prompt"), false),
        .extra = att_json_get(root, "extra"),
    };
    char *text = NULL;
    size_t len = 0;
    if (att_chat_template_parse(source, strlen(source), &template, err) != ATT_OK)
        return NULL;
    if (att_chat_template_render(template, &input, 1 << 20, &text, &len, err) != ATT_OK)
        text = NULL;
    else
        assert_int_equal(strlen(text), len);
    att_chat_template_destroy(template);
    return text;
}

static void check_case(const struct att_dir *templates, const struct att_json *root)
{
    const char *expected = att_json_string(att_json_get(root, "expected"), NULL);
    const char *error = att_json_string(att_json_get(root, "error"), NULL);
    const char *name = att_json_string(att_json_get(root, "template"), NULL);
    struct att_err err = {.message = ""};
    char file[128], *source = NULL;
    size_t len = 0;
    snprintf(file, sizeof file, "%s.jinja", name);
    assert_int_equal(att_dir_read(templates, file, 1 << 16, &source, &len, &err), ATT_OK);
    char *text = render(source, root, &err);
    if (expected && !text)
        fail_msg("%s: %s", name, err.message);
    if (expected)
        assert_string_equal(text, expected);
    else
        assert_string_equal(err.message, error);
    att_mem_free(text);
    att_mem_free(source);
}

static size_t check_folder(const char *folder)
{
    char path[4096], *cases = NULL;
    struct att_dir dir, templates;
    size_t len = 0, count = 0;
    snprintf(path, sizeof path, "%s/templates", folder);
    assert_int_equal(att_dir_open(folder, &dir, NULL), ATT_OK);
    assert_int_equal(att_dir_open(path, &templates, NULL), ATT_OK);
    assert_int_equal(att_dir_read(&dir, "cases.jsonl", 64 << 20, &cases, &len, NULL), ATT_OK);
    for (char *at = cases, *end; (end = strchr(at, '\n')) != NULL; at = end + 1, count++) {
        struct att_json *root = NULL;
        assert_int_equal(att_json_parse(at, (size_t)(end - at), 0, 16, &root, NULL), ATT_OK);
        check_case(&templates, root);
        att_json_destroy(root);
    }
    att_mem_free(cases);
    att_dir_close(&templates);
    att_dir_close(&dir);
    return count;
}

static void chosen_cases(void **state)
{
    (void)state;
    const char *root = getenv("ATT_SOURCE_ROOT");
    char folder[2048];
    snprintf(folder, sizeof folder, "%s/tests/golden/chat", root ? root : ".");
    assert_true(check_folder(folder) >= 30);
}

static void all_cases(void **state)
{
    (void)state;
    const char *shared = getenv("ATT_SHARED");
    char folder[2048];
    if (!shared)
        return; /* cmocka's skip() reads as a failure in TAP */
    snprintf(folder, sizeof folder, "%s/golden/chat", shared);
    assert_true(check_folder(folder) >= 140);
}

/* Expected texts are Jinja2's. */
static void expressions(void **state)
{
    (void)state;
    static const struct {
        const char *source, *expected;
    } cases[] = {
        {"{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }}", "3 -4 2 3.5 1024"},
        {"{{ 1e20 }} {{ 0.1 }} {{ 1.0 }} {{ true }} {{ none }}", "1e+20 0.1 1.0 True None"},
        {"{{ [1, 'a', \"it's\", none] }} {{ {'k': (1,)} }}", "[1, 'a', \"it's\", None] {'k': (1,)}"},
        {"{{ '中文字'[1:] }} {{ '中文字'|length }} {{ 'abc'[::-1] }} {{ 'abc'[-1] }}", "文字 3 cba c"},
        {"{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a b c'.rsplit(' ', 1) }}",
         "['a', 'b', '', 'c'] ['a', 'b'] ['a b', 'c']"},
        {"{{ \"it's me\"|title }} {{ \"it's me\".title() }} {{ 'straße'|upper }}", "It's Me It'S Me STRASSE"},
        {"{{ x is defined }} {{ x }} {{ x|default('d') }} {{ (1 < 2) == (2 < 3) }} {{ 1 < 2 < 3 }}",
         "False  d True True"},
        {"{{ [3, 1, 2]|sort }} {{ ['b', 'A']|sort }} {{ [1, 1, 2]|unique|list }} {{ {'b': 1, 'a': 2}|dictsort }}",
         "[1, 2, 3] ['A', 'b'] [1, 2] [('a', 2), ('b', 1)]"},
        {"{{ messages|map(attribute='role')|join(',') }} {{ messages|selectattr('role', 'eq', 'user')|list|length }}",
         "user,assistant 1"},
        {"{{ {'b': [1, 'é'], 'a': none}|tojson }} {{ [1]|tojson(indent=2) }}",
         "{\"b\": [1, \"é\"], \"a\": null} [\n  1\n]"},
        {"{% for m in messages %}{{ loop.index }}{{ m.role[0] }}{{ ',' if not loop.last }}{% endfor %}", "1u,2a"},
        {"{% set ns = namespace(n=0) %}{% for i in range(4) %}{% set ns.n = ns.n + i %}{% set y = i %}{% endfor %}"
         "{{ ns.n }}{{ y is defined }}",
         "6False"},
        {"{% for i in range(5) %}{% if i == 1 %}{% continue %}{% elif i == 3 %}{% break %}{% endif %}{{ i }}{% endfor "
         "%}",
         "02"},
        {"{% macro m(a, b='z') %}[{{ a }}{{ b }}]{% endmacro %}{{ m(1) }}{{ m(1, b=2) }}", "[1z][12]"},
        {"{%- set t %} x {% endset -%}\n  {{- t }}{# c #}|{% raw %}{{ y }}{% endraw %}", " x |{{ y }}"},
        {"a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc"},
        {"{% for k, v in {'a': 1}.items() %}{{ k }}={{ v }}{% else %}none{% endfor %}", "a=1"},
        {"{{ '{}-{}|{1}{a}{{'.format(1, 'b', a=none) }}{% if x %}{{ x|shout }}{{ x is loud }}{% endif %}",
         "1-b|bNone{"},
        {"{% set d = {0: 'a', 512: 'b', 'k': 1} %}{{ d[512] }}{{ d.get(0) }}{{ 0 in d }}{{ d }}{{ d|tojson }}",
         "baTrue{0: 'a', 512: 'b', 'k': 1}{\"0\": \"a\", \"512\": \"b\", \"k\": 1}"},
        {"{{ none|selectattr('a')|list }}{{ x|map('upper')|list }}{{ 5[1:] }}", "[][]"},
        {"{{ '<'|safe + '>' + \"'\" }}{{ '<'|safe ~ '>' }}", "<&gt;&#39;<>"},
        {"{{ 'a' ~ 1 ~ none }} {{ 'x' * 3 }} {{ [1] + [2] }} {{ 'b' in 'abc' }} {{ 4 not in [1] }}",
         "a1None xxx [1, 2] True True"},
    };
    static const char messages[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}";
    struct att_json *root = NULL;
    assert_int_equal(att_json_parse(messages, strlen(messages), 0, 16, &root, NULL), ATT_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_err err = {.message = ""};
        char *text = render(cases[i].source, root, &err);
        if (!text)
            fail_msg("%s: %s", cases[i].source, err.message);
        assert_string_equal(text, cases[i].expected);
        att_mem_free(text);
    }
    att_json_destroy(root);
}

/* Refused when they are read, or stopped at a limit: each names the line and what is wrong. */
static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *source, *says;
    } cases[] = {
        {"{{ x|shout }}", "no filter of this name"},
        {"\n\n{{ x is loud }}", "line 3: at 'loud': no test of this name"},
        {"{% include 'x' %}", "this tag is not known"},
        {"{% if x %}", "'elif' is missing"},
        {"{{ 'a", "a string does not end"},
        {"{{ x", "a tag does not end"},
        {"{% break %}", "no loop"},
        {"{{ x.y.z }}", "'x' is undefined"},
        {"{{ 1 + 'a' }}", "int + str"},
        {"{{ 1 // 0 }}", "division by zero"},
        {"{{ raise_exception('no: ' ~ 7) }}", "no: 7"},
        {"{{ 'a'.center(1) }}", "str has no method 'center'"},
        {"{{ '{}{}'.format(1) }}", "'{' stands for no argument"},
        {"{{ '{x:>4}'.format(x=1) }}", "'{x:>4' stands for no argument"},
        {"{% if true %}{{ 1|shout }}{% endif %}", "no filter 'shout'"},
        {"{{ {2.5: 1} }}", "key is float"},
        {"{{ range(1000000) }}", "more than 100000 items"},
        {"{% set r = range(3000) %}{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}", "steps"},
        {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nested deeper"},
        {"{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(64) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
         "bytes"},
        {"{{ 9223372036854775 * 9223372036854775 }}", "64 bits"},
        {"{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns.a }}{{ ns.a|tojson }}", "has no JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_err err = {.message = ""};
        char *text = render(cases[i].source, NULL, &err);
        if (text || !strstr(err.message, cases[i].says))
            fail_msg("%s: '%s' does not say '%s'", cases[i].source, text ? text : err.message, cases[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_cases),
        cmocka_unit_test(all_cases),
        cmocka_unit_test(expressions),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
