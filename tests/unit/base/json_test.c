/* JSON reading: what is refused and how it is told; writing: escapes, numbers, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"

static enum att_status parse(const char *text, unsigned flags, struct att_json **root, struct att_err *err)
{
    return att_json_parse(text, strlen(text), flags, 32, root, err);
}

static void reads_values(void **state)
{
    (void)state;
    struct att_json *root = NULL;
    struct att_err err;
    assert_int_equal(parse("{\"a\":[1,2.5,-3e2],\"t\":true,\"s\":\"x\\u00e9\",\"n\":null}", 0, &root, &err), ATT_OK);
    const struct att_json *a = att_json_get(root, "a");
    assert_int_equal(att_json_count(a), 3);
    int64_t n;
    assert_true(att_json_integer(att_json_at(a, 0), 0, 10, &n));
    assert_int_equal(n, 1);
    assert_false(att_json_integer(att_json_at(a, 1), 0, 10, &n));
    assert_false(att_json_integer(att_json_at(a, 2), 0, 10, &n));
    assert_float_equal(att_json_number(att_json_at(a, 2), 0), -300, 0);
    assert_true(att_json_bool(att_json_get(root, "t"), false));
    size_t len;
    assert_string_equal(att_json_string(att_json_get(root, "s"), &len), "x\xc3\xa9");
    assert_int_equal(len, 3);
    assert_null(att_json_get(root, "missing"));
    assert_int_equal(att_json_type(NULL), ATT_JSON_NULL);
    att_json_destroy(root);
}

static void iterates_in_file_order(void **state)
{
    (void)state;
    struct att_json *root = NULL;
    assert_int_equal(parse("{\"z\":1,\"a\":2,\"m\":3}", 0, &root, NULL), ATT_OK);
    struct att_json_iter iter;
    const char *key;
    const struct att_json *value;
    char seen[4] = "";
    att_json_iter_init(&iter, root);
    while (att_json_iter_next(&iter, &key, &value))
        strncat(seen, key, 1);
    assert_string_equal(seen, "zam");
    att_json_destroy(root);
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "empty"},
        {"{", "ends too early"},
        {"{} {}", "bytes after the end"},
        {"{\"a\":1,\"a\":2}", "duplicate"},
        {"[\"\xff\"]", "UTF-8"},
        {"[1e999]", "range"},
        {"[NaN]", "syntax"},
        {"[\"\\u0000\"]", "U+0000"},
        {"3", "syntax"},
        {"[\"\\ud800\"]", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_json *root = NULL;
        struct att_err err = {.status = ATT_OK};
        assert_int_equal(parse(cases[i].text, 0, &root, &err), ATT_ESYNTAX);
        assert_null(root);
        if (!strstr(err.message, cases[i].says))
            fail_msg("case %zu: '%s' does not say '%s'", i, err.message, cases[i].says);
    }
}

static void bounds_depth_outside_strings_only(void **state)
{
    (void)state;
    char deep[100], text[100];
    struct att_json *root = NULL;
    memset(deep, '[', 33);
    memset(deep + 33, ']', 33);
    deep[66] = '\0';
    assert_int_equal(parse(deep, 0, &root, NULL), ATT_ESYNTAX);
    memset(text, '[', sizeof text);
    memcpy(text, "[\"", 2);
    memcpy(text + 97, "\"]", 3);
    assert_int_equal(parse(text, 0, &root, NULL), ATT_OK);
    att_json_destroy(root);
}

/* Files are named to their owner, requests are not quoted. */
static void names_keys_of_files(void **state)
{
    (void)state;
    static const char text[] = "{\"first\":1,\"ab\\\"c\":2,\"ab\\\"c\":3}";
    struct att_json *root = NULL;
    struct att_err err;
    assert_int_equal(att_json_parse(text, sizeof text - 1, ATT_JSON_NAME_KEYS, 8, &root, &err), ATT_ESYNTAX);
    assert_non_null(strstr(err.message, "duplicate object key 'ab\\\"c' at line 1"));
    assert_int_equal(att_json_parse(text, sizeof text - 1, 0, 8, &root, &err), ATT_ESYNTAX);
    assert_null(strstr(err.message, "ab"));
    static const char empty[] = "{\"\":1,\"\":2}"; /* a key without a letter names nothing */
    assert_int_equal(att_json_parse(empty, sizeof empty - 1, ATT_JSON_NAME_KEYS, 8, &root, &err), ATT_ESYNTAX);
    assert_string_equal(err.message, "not JSON: duplicate object key at line 1, column 8");
    char twice[400];
    snprintf(twice, sizeof twice, "{\"%0150d\":1,\"%0150d\":2}", 7, 7);
    assert_int_equal(att_json_parse(twice, strlen(twice), ATT_JSON_NAME_KEYS, 8, &root, &err), ATT_ESYNTAX);
    char expected[200];
    snprintf(expected, sizeof expected, "not JSON: duplicate object key '%0120d' at line 1", 0);
    assert_int_equal(strncmp(err.message, expected, strlen(expected)), 0);
    assert_null(root);
}

/* U+0000 may stand in a string where a tool asks for it, in a key never; jansson's own depth is told where ours is
 * more. */
static void refuses_what_flags_cannot_allow(void **state)
{
    (void)state;
    static const char value[] = "[\"a\\u0000b\"]", key[] = "{\"a\\u0000b\":1}";
    struct att_json *root = NULL;
    struct att_err err;
    size_t len = 0;
    assert_int_equal(parse(value, ATT_JSON_ALLOW_NUL, &root, &err), ATT_OK);
    assert_memory_equal(att_json_string(att_json_at(root, 0), &len), "a\0b", 3);
    assert_int_equal(len, 3);
    att_json_destroy(root);
    root = NULL;
    assert_int_equal(parse(key, ATT_JSON_ALLOW_NUL, &root, &err), ATT_ESYNTAX);
    assert_non_null(strstr(err.message, "not JSON: U+0000 in a string at line 1"));
    enum { DEPTH = 3000 };
    char deep[DEPTH];
    memset(deep, '[', DEPTH);
    assert_int_equal(att_json_parse(deep, DEPTH, 0, DEPTH, &root, &err), ATT_ESYNTAX);
    assert_non_null(strstr(err.message, "not JSON: nested too deep at line 1"));
    assert_null(root);
}

/* Few bytes that would be much memory are refused before any is taken; many bytes that are much memory are not. */
static void bounds_memory(void **state)
{
    (void)state;
    static const char *const units[] = {"{},", "[],", "\"\",", "1,", "[{}],"};
    const size_t len = 9 << 20;
    char *text = malloc(len + 2);
    assert_non_null(text);
    for (size_t k = 0; k < sizeof units / sizeof *units; k++) {
        struct att_json *root = NULL;
        struct att_err err;
        size_t at = 1, unit = strlen(units[k]);
        text[0] = '[';
        for (; at + unit < len; at += unit)
            memcpy(text + at, units[k], unit);
        text[at - 1] = ']';
        assert_int_equal(att_json_parse(text, at, 0, 8, &root, &err), ATT_ESYNTAX);
        assert_non_null(strstr(err.message, "more values"));
    }
    struct att_json *root = NULL;
    memset(text, 'x', len);
    memcpy(text, "[\"", 2);
    memcpy(text + len - 2, "\"]", 2);
    assert_int_equal(att_json_parse(text, len, 0, 8, &root, NULL), ATT_OK);
    att_json_destroy(root);
    /* 128 bytes of memory for 16 of text, and more than the floor in all. */
    size_t at = 1;
    text[0] = '[';
    for (; at + 16 < len; at += 16)
        memcpy(text + at, "\"0123456789abc\",", 16);
    text[at - 1] = ']';
    assert_int_equal(att_json_parse(text, at, 0, 8, &root, NULL), ATT_OK);
    assert_int_equal(att_json_count(root), (at - 1) / 16);
    att_json_destroy(root);
    free(text);
}

static void reads_integers_beyond_int64(void **state)
{
    (void)state;
    struct att_json *root = NULL;
    assert_int_equal(parse("{\"model_max_length\":1000000000000000019884624838656}", 0, &root, NULL), ATT_OK);
    int64_t n;
    assert_false(att_json_integer(att_json_get(root, "model_max_length"), 0, INT64_MAX, &n));
    att_json_destroy(root);
    /* 2^53 is exact, and what lies beyond within int64 is not. */
    assert_int_equal(parse("[9007199254740992,9007199254740994,-9007199254740994]", 0, &root, NULL), ATT_OK);
    assert_true(att_json_integer(att_json_at(root, 0), INT64_MIN, INT64_MAX, &n));
    assert_true(n == (int64_t)1 << 53);
    assert_false(att_json_integer(att_json_at(root, 1), INT64_MIN, INT64_MAX, &n));
    assert_false(att_json_integer(att_json_at(root, 2), INT64_MIN, INT64_MAX, &n));
    att_json_destroy(root);
}

static char *written(struct att_jsonw *w)
{
    char *bytes = NULL;
    size_t len;
    assert_int_equal(att_jsonw_take(w, &bytes, &len, NULL), ATT_OK);
    assert_int_equal(strlen(bytes), len);
    return bytes;
}

static void writes_what_reads_back(void **state)
{
    (void)state;
    struct att_jsonw w;
    att_jsonw_init(&w, 4096);
    att_jsonw_object_begin(&w);
    att_jsonw_put_string(&w, "s", "q\"\\\n\x01\xe4\xb8\xad\xff", 9);
    att_jsonw_key(&w, "a");
    att_jsonw_array_begin(&w);
    att_jsonw_int(&w, -7);
    att_jsonw_bool(&w, true);
    att_jsonw_null(&w);
    att_jsonw_float(&w, 0.1f);
    att_jsonw_double(&w, NAN, 6);
    att_jsonw_array_end(&w);
    att_jsonw_object_end(&w);
    char *text = written(&w);
    assert_string_equal(text, "{\"s\":\"q\\\"\\\\\\n\\u0001\xe4\xb8\xad\xef\xbf\xbd\",\"a\":[-7,true,null,0.1,null]}");
    struct att_json *root = NULL;
    assert_int_equal(parse(text, 0, &root, NULL), ATT_OK);
    att_json_destroy(root);
    att_mem_free(text);
}

static void writes_members(void **state)
{
    (void)state;
    struct att_jsonw w;
    att_jsonw_init(&w, 4096);
    att_jsonw_object_begin(&w);
    att_jsonw_put_text(&w, "t", "x\"");
    att_jsonw_put_text(&w, "none", NULL);
    att_jsonw_put_int(&w, "i", INT64_MIN);
    att_jsonw_put_size(&w, "s", (size_t)1 << 40);
    att_jsonw_put_bool(&w, "b", false);
    att_jsonw_put_double(&w, "d", 1.0 / 3, 4);
    att_jsonw_put_double(&w, "n", NAN, 4);
    att_jsonw_object_end(&w);
    char *text = written(&w);
    assert_string_equal(text, "{\"t\":\"x\\\"\",\"none\":null,\"i\":-9223372036854775808,\"s\":1099511627776,"
                              "\"b\":false,\"d\":0.3333,\"n\":null}");
    att_mem_free(text);
}

static void floats_round_trip(void **state)
{
    (void)state;
    uint32_t bits = 1;
    for (int i = 0; i < 20000; i++) {
        bits = bits * 1664525u + 1013904223u;
        float value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        struct att_jsonw w;
        att_jsonw_init(&w, 64);
        att_jsonw_float(&w, value);
        char *text = written(&w);
        assert_true(strtof(text, NULL) == value);
        att_mem_free(text);
    }
}

static void copies_parsed_values(void **state)
{
    (void)state;
    const char *text = "{\"a\":[1,2.5,\"x\",1e22],\"b\":{\"c\":null,\"d\":[7,-2,0.5,0.91667,0.30000000000000004]}}";
    struct att_json *root = NULL;
    struct att_jsonw w;
    assert_int_equal(parse(text, 0, &root, NULL), ATT_OK);
    att_jsonw_init(&w, 4096);
    att_jsonw_array_begin(&w);
    att_jsonw_value(&w, att_json_get(root, "b"));
    att_jsonw_value(&w, att_json_at(att_json_get(root, "a"), 0));
    att_jsonw_value(&w, att_json_at(att_json_get(root, "a"), 1));
    att_jsonw_value(&w, att_json_at(att_json_get(root, "a"), 2));
    att_jsonw_value(&w, att_json_at(att_json_get(root, "a"), 3));
    att_jsonw_value(&w, att_json_get(root, "absent"));
    att_jsonw_array_end(&w);
    char *copy = written(&w);
    assert_string_equal(copy, "[{\"c\":null,\"d\":[7,-2,0.5,0.91667,0.30000000000000004]},1,2.5,\"x\",1e22,null]");
    att_mem_free(copy);
    att_json_destroy(root);
}

static void tells_limit_from_memory(void **state)
{
    (void)state;
    struct att_jsonw w;
    struct att_err err;
    char *bytes = NULL;
    size_t len;
    att_jsonw_init(&w, 8);
    att_jsonw_cstring(&w, "far too long");
    assert_int_equal(att_jsonw_take(&w, &bytes, &len, &err), ATT_ELIMIT);
    assert_int_equal(err.limit, 8);
    att_jsonw_init(&w, 4096);
    att_mem_fail_at(1, false);
    att_jsonw_cstring(&w, "text");
    att_mem_fail_at(0, false);
    assert_int_equal(att_jsonw_take(&w, &bytes, &len, &err), ATT_ENOMEM);
    assert_null(bytes);
}

static void out_of_memory_is_no_syntax_error(void **state)
{
    (void)state;
    const char *text = "{\"a\":[1,{\"b\":\"c\"},3]}";
    for (uint64_t k = 1;; k++) {
        struct att_json *root = NULL;
        struct att_err err = {.status = ATT_OK};
        att_mem_fail_at(k, false);
        enum att_status status = parse(text, 0, &root, &err);
        att_mem_fail_at(0, false);
        if (status == ATT_OK) {
            att_json_destroy(root);
            assert_true(k > 3);
            return;
        }
        assert_int_equal(status, ATT_ENOMEM);
    }
}

/* The fewest digits, 6 to 9, that read back to the same float, for floats of every size. */
static void floats_are_short_and_exact(void **state)
{
    (void)state;
    uint32_t seed = 11;
    for (size_t i = 0; i < 300000; i++) {
        struct att_jsonw w;
        char expected[32];
        float value;
        seed = seed * 1664525u + 1013904223u;
        uint32_t bits = i % 2 ? seed : (seed & 0x807fffffu) | (113 + i / 2 % 36) << 23; /* 6e-5 to 4e6 */
        if (i < 64)
            bits = (i % 2 ? 0x80000000u : 0) | (uint32_t)(i / 2 < 16 ? 0x3f800000 + i : 0x38d1b717 + i);
        memcpy(&value, &bits, sizeof value);
        if (!(fabsf(value) <= 3e38f))
            continue;
        for (int digits = 6; digits <= 9; digits++) {
            snprintf(expected, sizeof expected, "%.*g", digits, (double)value);
            if (strtof(expected, NULL) == value)
                break;
        }
        att_jsonw_init(&w, 64);
        att_jsonw_float(&w, value);
        char *text = written(&w);
        assert_string_equal(text, expected);
        att_mem_free(text);
    }
}

/* One behind the other, where there is room for them already; and up to a limit that falls inside one. */
static void floats_share_an_array(void **state)
{
    (void)state;
    enum { N = 500 };
    float values[N];
    struct att_jsonw w;
    att_jsonw_init(&w, 1 << 20);
    att_jsonw_array_begin(&w);
    for (size_t i = 0; i < N; i++) {
        values[i] = (i % 2 ? -1.0f : 1.0f) * ldexpf(1 + (float)i / 7, (int)(i % 50) - 40);
        att_jsonw_float(&w, values[i]);
    }
    att_jsonw_array_end(&w);
    char *text = written(&w), *at = text;
    assert_int_equal(*at++, '[');
    for (size_t i = 0; i < N; i++) {
        assert_true(strtof(at, &at) == values[i]);
        assert_int_equal(*at++, i + 1 < N ? ',' : ']');
    }
    assert_int_equal(*at, '\0');
    for (size_t limit = 1; limit < 64; limit++) {
        char *bytes = NULL;
        size_t len;
        att_jsonw_init(&w, limit);
        att_jsonw_array_begin(&w);
        for (size_t i = 0; i < 5; i++)
            att_jsonw_float(&w, 0.12345678f);
        att_jsonw_array_end(&w);
        const bool fits = limit > strlen("[0.12345678,0.12345678,0.12345678,0.12345678,0.12345678]");
        assert_int_equal(att_jsonw_take(&w, &bytes, &len, NULL), fits ? ATT_OK : ATT_ELIMIT);
        assert_true(!fits || len < limit);
        att_mem_free(bytes);
    }
    att_mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_are_short_and_exact),
        cmocka_unit_test(floats_share_an_array),
        cmocka_unit_test(reads_values),
        cmocka_unit_test(iterates_in_file_order),
        cmocka_unit_test(refuses),
        cmocka_unit_test(bounds_depth_outside_strings_only),
        cmocka_unit_test(bounds_memory),
        cmocka_unit_test(names_keys_of_files),
        cmocka_unit_test(refuses_what_flags_cannot_allow),
        cmocka_unit_test(reads_integers_beyond_int64),
        cmocka_unit_test(writes_what_reads_back),
        cmocka_unit_test(writes_members),
        cmocka_unit_test(floats_round_trip),
        cmocka_unit_test(copies_parsed_values),
        cmocka_unit_test(tells_limit_from_memory),
        cmocka_unit_test(out_of_memory_is_no_syntax_error),
    };
    return cmocka_run_group_tests_name("base/json", tests, NULL, NULL);
}
