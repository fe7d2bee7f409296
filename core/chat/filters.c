/* Filters: x|name. Those over lists are in list_filters.c. */
#include "core/chat/filters.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/chat/list_filters.h"
#include "core/chat/strings.h"

static bool trim(struct att_run *run, struct att_value of, const struct att_arguments *arguments, struct att_value *ret)
{
    static const char *const names[] = {"chars"};
    struct att_value value;
    struct att_text text, chars = {0};
    if (!att_run_bind(run, "trim", arguments, names, 1, 0, &value) || !att_run_string(run, of, &text))
        return false;
    bool given = !att_value_absent(value) && value.kind != ATT_VALUE_NONE;
    if (given && !att_run_text(run, "trim", value, &chars))
        return false;
    text = att_text_strip(text, given ? &chars : NULL, true, true);
    *ret = att_value_text(text.bytes, text.len);
    return true;
}

static bool length(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                   struct att_value *ret)
{
    size_t n = 0;
    if (!att_run_bind(run, "length", arguments, NULL, 0, 0, NULL))
        return false;
    if (of.kind == ATT_VALUE_TEXT)
        n = att_text_length(of.text);
    else if (of.kind == ATT_VALUE_LIST)
        n = of.list->count;
    else if (of.kind == ATT_VALUE_DICT)
        n = of.dict->count;
    else if (of.kind != ATT_VALUE_UNDEFINED)
        return att_run_fail(run, ATT_EINVAL, "length: %s has none", att_value_kind_name(of));
    *ret = att_value_integer((int64_t)n);
    return true;
}

static bool otherwise(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                      struct att_value *ret)
{
    static const char *const names[] = {"default_value", "boolean"};
    struct att_value values[2];
    if (!att_run_bind(run, "default", arguments, names, 2, 0, values))
        return false;
    *ret = of;
    if (of.kind == ATT_VALUE_UNDEFINED || (att_value_true(values[1]) && !att_value_true(of)))
        *ret = att_value_absent(values[0]) ? att_value_text("", 0) : values[0];
    return true;
}

/* ---- JSON ---- */

static bool read_separators(struct att_run *run, struct att_value value, struct att_json_style *style)
{
    if (att_value_absent(value) || value.kind == ATT_VALUE_NONE)
        return true;
    if (value.kind != ATT_VALUE_LIST || value.list->count != 2)
        return att_run_fail(run, ATT_EINVAL, "tojson: separators is %s, expected two strings",
                            att_value_kind_name(value));
    return att_run_text(run, "tojson", value.list->items[0], &style->item_separator) &&
           att_run_text(run, "tojson", value.list->items[1], &style->key_separator);
}

static bool to_json(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                    struct att_value *ret)
{
    static const char *const names[] = {"ensure_ascii", "indent", "separators", "sort_keys"};
    struct att_value values[4];
    struct att_chat_buffer buffer = att_run_buffer(run);
    int64_t indent = -1;
    struct att_json_style style = {.key_separator = {": ", 2}};
    if (!att_run_bind(run, "tojson", arguments, names, 4, 0, values))
        return false;
    if (values[1].kind != ATT_VALUE_NONE && !att_run_integer(run, "tojson", values[1], &indent))
        return false;
    if (indent < -1 || indent > 16)
        return att_run_fail(run, ATT_EINVAL, "tojson: indent is %lld, expected 0 to 16", (long long)indent);
    style.indent = (int)indent;
    style.ascii = att_value_true(values[0]);
    style.sort_keys = att_value_true(values[3]);
    style.item_separator = indent < 0 ? (struct att_text){", ", 2} : (struct att_text){",", 1};
    if (!read_separators(run, values[2], &style))
        return false;
    att_value_json(&buffer, of, &style, 0);
    *ret = att_value_text(buffer.bytes, buffer.len);
    return att_run_written(run, &buffer);
}

/* ---- strings ---- */

static bool recase(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                   enum att_text_case to, struct att_value *ret)
{
    struct att_text text;
    return att_run_bind(run, "a filter of case", arguments, NULL, 0, 0, NULL) && att_run_string(run, of, &text) &&
           att_run_recase(run, text, to, ret);
}

static bool upper(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                  struct att_value *ret)
{
    return recase(run, of, arguments, ATT_CASE_UPPER, ret);
}

static bool lower(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                  struct att_value *ret)
{
    return recase(run, of, arguments, ATT_CASE_LOWER, ret);
}

static bool title(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                  struct att_value *ret)
{
    return recase(run, of, arguments, ATT_CASE_WORDS, ret);
}

static bool capitalize(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                       struct att_value *ret)
{
    return recase(run, of, arguments, ATT_CASE_CAPITALIZED, ret);
}

static bool string(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                   struct att_value *ret)
{
    struct att_text text;
    if (!att_run_bind(run, "string", arguments, NULL, 0, 0, NULL) || !att_run_string(run, of, &text))
        return false;
    *ret = att_value_text(text.bytes, text.len);
    return true;
}

static bool safe(struct att_run *run, struct att_value of, const struct att_arguments *arguments, struct att_value *ret)
{
    if (!string(run, of, arguments, ret))
        return false;
    ret->markup = true;
    return true;
}

static bool replace(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                    struct att_value *ret)
{
    static const char *const names[] = {"old", "new", "count"};
    struct att_value values[3];
    struct att_text text, from, to;
    int64_t max = -1;
    return att_run_bind(run, "replace", arguments, names, 3, 2, values) && att_run_string(run, of, &text) &&
           att_run_string(run, values[0], &from) && att_run_string(run, values[1], &to) &&
           (values[2].kind == ATT_VALUE_NONE || att_run_integer(run, "replace", values[2], &max)) &&
           att_run_replace(run, text, from, to, max, ret);
}

/* Lines but the first begin with the indent; empty ones do not. */
static bool indent(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                   struct att_value *ret)
{
    static const char *const names[] = {"width", "first", "blank"};
    struct att_value values[3];
    struct att_chat_buffer buffer = att_run_buffer(run);
    struct att_text text, given = {0};
    int64_t width = 4;
    if (!att_run_bind(run, "indent", arguments, names, 3, 0, values) || !att_run_string(run, of, &text))
        return false;
    if (values[0].kind == ATT_VALUE_TEXT)
        given = values[0].text;
    else if (!att_run_integer(run, "indent", values[0], &width) || width < 0 || width > 200)
        return att_run_fail(run, ATT_EINVAL, "indent: the width is expected to be 0 to 200 or a string");
    for (size_t at = 0, line = 0; at < text.len && !buffer.failed; at = line) {
        const char *end = memchr(text.bytes + at, '\n', text.len - at);
        line = end ? (size_t)(end - text.bytes) + 1 : text.len;
        bool empty = text.bytes[at] == '\n';
        if ((at > 0 || att_value_true(values[1])) && (!empty || att_value_true(values[2]))) {
            att_buffer_put(&buffer, given.bytes, given.len);
            for (int64_t i = 0; i < width && values[0].kind != ATT_VALUE_TEXT; i++)
                att_buffer_put(&buffer, " ", 1);
        }
        att_buffer_put(&buffer, text.bytes + at, line - at);
    }
    *ret = att_value_text(buffer.bytes, buffer.len);
    return att_run_written(run, &buffer);
}

/* ---- numbers ---- */

/* A string that is a number and nothing else, blanks around it aside. */
static bool number_of(struct att_value of, struct att_value *ret)
{
    char digits[64], *end = NULL;
    if (att_value_is_number(of)) {
        *ret = of.kind == ATT_VALUE_BOOL ? att_value_integer(of.boolean) : of;
        return true;
    }
    struct att_text text =
        of.kind == ATT_VALUE_TEXT ? att_text_strip(of.text, NULL, true, true) : (struct att_text){"", 0};
    if (text.len == 0 || text.len >= sizeof digits || memchr(text.bytes, 'x', text.len) ||
        memchr(text.bytes, 'X', text.len))
        return false;
    memcpy(digits, text.bytes, text.len);
    digits[text.len] = '\0';
    long long integer = strtoll(digits, &end, 10);
    *ret = att_value_integer(integer);
    if (*end != '\0')
        *ret = (struct att_value){.kind = ATT_VALUE_FLOAT, .number = strtod(digits, &end)};
    return *end == '\0';
}

static bool integer(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                    struct att_value *ret)
{
    static const char *const names[] = {"default"};
    struct att_value value, number;
    if (!att_run_bind(run, "int", arguments, names, 1, 0, &value))
        return false;
    if (of.kind == ATT_VALUE_UNDEFINED)
        return att_run_fail(run, ATT_EINVAL, "int: '%.*s' is undefined", of.text.len > 60 ? 60 : (int)of.text.len,
                            of.text.bytes);
    *ret = att_value_absent(value) ? att_value_integer(0) : value;
    if (!number_of(of, &number))
        return true;
    if (number.kind == ATT_VALUE_FLOAT && fabs(number.number) < 9e18)
        number = att_value_integer((int64_t)number.number);
    if (number.kind == ATT_VALUE_INT)
        *ret = number;
    return true;
}

static bool floating(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                     struct att_value *ret)
{
    static const char *const names[] = {"default"};
    struct att_value value, number;
    if (!att_run_bind(run, "float", arguments, names, 1, 0, &value))
        return false;
    if (of.kind == ATT_VALUE_UNDEFINED)
        return att_run_fail(run, ATT_EINVAL, "float: '%.*s' is undefined", of.text.len > 60 ? 60 : (int)of.text.len,
                            of.text.bytes);
    *ret = att_value_absent(value) ? (struct att_value){.kind = ATT_VALUE_FLOAT} : value;
    if (number_of(of, &number))
        *ret = (struct att_value){.kind = ATT_VALUE_FLOAT, .number = att_value_number(number)};
    return true;
}

static bool absolute(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                     struct att_value *ret)
{
    if (!att_run_bind(run, "abs", arguments, NULL, 0, 0, NULL))
        return false;
    if (!att_value_is_number(of))
        return att_run_fail(run, ATT_EINVAL, "abs: is %s, expected a number", att_value_kind_name(of));
    if (att_value_number(of) < 0)
        return att_run_binary(run, ATT_OP_SUBTRACT, att_value_integer(0), of, ret);
    *ret = of.kind == ATT_VALUE_BOOL ? att_value_integer(of.boolean) : of;
    return true;
}

static bool rounded(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                    struct att_value *ret)
{
    static const char *const names[] = {"precision", "method"};
    struct att_value values[2];
    struct att_text method = {"common", 6};
    int64_t precision = 0;
    char digits[400];
    if (!att_run_bind(run, "round", arguments, names, 2, 0, values) ||
        !att_run_integer(run, "round", values[0], &precision) || !att_run_text(run, "round", values[1], &method))
        return false;
    if (!att_value_is_number(of) || precision < 0 || precision > 15)
        return att_run_fail(run, ATT_EINVAL, "round: expected a number and a precision of 0 to 15");
    double number = att_value_number(of), scale = pow(10, (double)precision);
    if (att_text_is(method, "ceil") || att_text_is(method, "floor")) {
        number = (att_text_is(method, "ceil") ? ceil(number * scale) : floor(number * scale)) / scale;
    } else {
        snprintf(digits, sizeof digits, "%.*f", (int)precision, number); /* half to even, of the exact value */
        number = strtod(digits, NULL);
    }
    *ret = (struct att_value){.kind = ATT_VALUE_FLOAT, .number = number};
    if (of.kind != ATT_VALUE_FLOAT && att_text_is(method, "common"))
        *ret = of;
    return true;
}

/* ---- by name ---- */

typedef bool filter(struct att_run *run, struct att_value of, const struct att_arguments *arguments,
                    struct att_value *ret);

static const struct {
    const char *name;
    filter *run;
} filters[] = {
    {"trim", trim},
    {"length", length},
    {"count", length},
    {"default", otherwise},
    {"d", otherwise},
    {"tojson", to_json},
    {"upper", upper},
    {"lower", lower},
    {"title", title},
    {"capitalize", capitalize},
    {"string", string},
    {"safe", safe},
    {"replace", replace},
    {"indent", indent},
    {"int", integer},
    {"float", floating},
    {"abs", absolute},
    {"round", rounded},
    {"join", att_filter_join},
    {"first", att_filter_first},
    {"last", att_filter_last},
    {"list", att_filter_list},
    {"items", att_filter_items},
    {"dictsort", att_filter_dictsort},
    {"map", att_filter_map},
    {"select", att_filter_select},
    {"reject", att_filter_reject},
    {"selectattr", att_filter_selectattr},
    {"rejectattr", att_filter_rejectattr},
    {"unique", att_filter_unique},
    {"sort", att_filter_sort},
    {"reverse", att_filter_reverse},
    {"min", att_filter_min},
    {"max", att_filter_max},
    {"sum", att_filter_sum},
    {"batch", att_filter_batch},
};

static size_t find_filter(struct att_text name)
{
    size_t at = 0;
    while (at < sizeof filters / sizeof *filters && !att_text_is(name, filters[at].name))
        at++;
    return at;
}

bool att_chat_filter_known(struct att_text name)
{
    return find_filter(name) < sizeof filters / sizeof *filters;
}

bool att_run_filter(struct att_run *run, struct att_text name, struct att_value of,
                    const struct att_arguments *arguments, struct att_value *ret)
{
    size_t at = find_filter(name);
    if (at == sizeof filters / sizeof *filters)
        return att_run_fail(run, ATT_EUNSUPPORTED, "no filter '%.*s' is known here", name.len > 60 ? 60 : (int)name.len,
                            name.bytes);
    return filters[at].run(run, of, arguments, ret);
}
