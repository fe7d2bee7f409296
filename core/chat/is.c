/* Tests: x is name. */
#include "core/chat/filters.h"
#include "core/chat/strings.h"

typedef bool predicate(struct att_run *run, struct att_value of, const struct att_value *argument, bool *ret);

/* A test that looks at its value alone. */
#define LOOKS_AT(name, condition)                                                                                      \
    static bool name(struct att_run *run, struct att_value of, const struct att_value *argument, bool *ret)            \
    {                                                                                                                  \
        (void)run;                                                                                                     \
        (void)argument;                                                                                                \
        *ret = (condition);                                                                                            \
        return true;                                                                                                   \
    }

LOOKS_AT(is_defined, of.kind != ATT_VALUE_UNDEFINED)
LOOKS_AT(is_undefined, of.kind == ATT_VALUE_UNDEFINED)
LOOKS_AT(is_none, of.kind == ATT_VALUE_NONE)
LOOKS_AT(is_boolean, of.kind == ATT_VALUE_BOOL)
LOOKS_AT(is_true, of.kind == ATT_VALUE_BOOL && of.boolean)
LOOKS_AT(is_false, of.kind == ATT_VALUE_BOOL && !of.boolean)
LOOKS_AT(is_integer, of.kind == ATT_VALUE_INT)
LOOKS_AT(is_float, of.kind == ATT_VALUE_FLOAT)
LOOKS_AT(is_number, att_value_is_number(of))
LOOKS_AT(is_string, of.kind == ATT_VALUE_TEXT)
LOOKS_AT(is_mapping, of.kind == ATT_VALUE_DICT)
LOOKS_AT(is_sequence, of.kind == ATT_VALUE_TEXT || of.kind == ATT_VALUE_LIST || of.kind == ATT_VALUE_DICT ||
                          of.kind == ATT_VALUE_UNDEFINED)
LOOKS_AT(is_iterable, of.kind == ATT_VALUE_TEXT || of.kind == ATT_VALUE_LIST || of.kind == ATT_VALUE_DICT ||
                          of.kind == ATT_VALUE_UNDEFINED || of.kind == ATT_VALUE_LOOP)
LOOKS_AT(is_callable, of.kind == ATT_VALUE_MACRO || of.kind == ATT_VALUE_FUNCTION || of.kind == ATT_VALUE_UNDEFINED)

static bool remainder_is(struct att_run *run, struct att_value of, int64_t divisor, int64_t expected, bool *ret)
{
    struct att_value remainder;
    if (!att_run_binary(run, ATT_OP_REMAINDER, of, att_value_integer(divisor), &remainder))
        return false;
    *ret = att_value_number(remainder) == (double)expected;
    return true;
}

static bool is_odd(struct att_run *run, struct att_value of, const struct att_value *argument, bool *ret)
{
    (void)argument;
    return remainder_is(run, of, 2, 1, ret);
}

static bool is_even(struct att_run *run, struct att_value of, const struct att_value *argument, bool *ret)
{
    (void)argument;
    return remainder_is(run, of, 2, 0, ret);
}

static bool is_divisible(struct att_run *run, struct att_value of, const struct att_value *argument, bool *ret)
{
    int64_t divisor = 1;
    return att_run_integer(run, "divisibleby", *argument, &divisor) && remainder_is(run, of, divisor, 0, ret);
}

static bool in_case(struct att_run *run, struct att_value of, enum att_text_case to, bool *ret)
{
    struct att_text text;
    struct att_value same, other;
    if (!att_run_string(run, of, &text) || !att_run_recase(run, text, to, &same) ||
        !att_run_recase(run, text, to == ATT_CASE_UPPER ? ATT_CASE_LOWER : ATT_CASE_UPPER, &other))
        return false;
    *ret = att_text_same(text, same.text) && !att_text_same(text, other.text); /* something in it has a case */
    return true;
}

static bool is_upper(struct att_run *run, struct att_value of, const struct att_value *argument, bool *ret)
{
    (void)argument;
    return in_case(run, of, ATT_CASE_UPPER, ret);
}

static bool is_lower(struct att_run *run, struct att_value of, const struct att_value *argument, bool *ret)
{
    (void)argument;
    return in_case(run, of, ATT_CASE_LOWER, ret);
}

static bool by_operator(struct att_run *run, enum att_operator op, struct att_value of,
                        const struct att_value *argument, bool *ret)
{
    struct att_value truth;
    if (!att_run_binary(run, op, of, *argument, &truth))
        return false;
    *ret = truth.boolean;
    return true;
}

#define COMPARES(name, op)                                                                                             \
    static bool name(struct att_run *run, struct att_value of, const struct att_value *argument, bool *ret)            \
    {                                                                                                                  \
        return by_operator(run, op, of, argument, ret);                                                                \
    }

COMPARES(is_equal, ATT_OP_EQUAL)
COMPARES(is_not_equal, ATT_OP_NOT_EQUAL)
COMPARES(is_less, ATT_OP_LESS)
COMPARES(is_less_equal, ATT_OP_LESS_EQUAL)
COMPARES(is_greater, ATT_OP_GREATER)
COMPARES(is_greater_equal, ATT_OP_GREATER_EQUAL)
COMPARES(is_in, ATT_OP_IN)

static bool is_same(struct att_run *run, struct att_value of, const struct att_value *argument, bool *ret)
{
    *ret = of.kind == argument->kind && att_value_equal(of, *argument, &run->steps);
    return true;
}

static const struct {
    const char *name;
    predicate *run;
    bool has_argument;
} tests[] = {
    {"defined", is_defined, false},
    {"undefined", is_undefined, false},
    {"none", is_none, false},
    {"boolean", is_boolean, false},
    {"true", is_true, false},
    {"false", is_false, false},
    {"integer", is_integer, false},
    {"float", is_float, false},
    {"number", is_number, false},
    {"string", is_string, false},
    {"mapping", is_mapping, false},
    {"sequence", is_sequence, false},
    {"iterable", is_iterable, false},
    {"callable", is_callable, false},
    {"odd", is_odd, false},
    {"even", is_even, false},
    {"divisibleby", is_divisible, true},
    {"upper", is_upper, false},
    {"lower", is_lower, false},
    {"sameas", is_same, true},
    {"eq", is_equal, true},
    {"equalto", is_equal, true},
    {"ne", is_not_equal, true},
    {"lt", is_less, true},
    {"lessthan", is_less, true},
    {"le", is_less_equal, true},
    {"gt", is_greater, true},
    {"greaterthan", is_greater, true},
    {"ge", is_greater_equal, true},
    {"in", is_in, true},
};

static size_t find_test(struct att_text name)
{
    size_t at = 0;
    while (at < sizeof tests / sizeof *tests && !att_text_is(name, tests[at].name))
        at++;
    return at;
}

bool att_chat_test_known(struct att_text name)
{
    return find_test(name) < sizeof tests / sizeof *tests;
}

bool att_run_test(struct att_run *run, struct att_text name, struct att_value of, const struct att_arguments *arguments,
                  bool *ret)
{
    static const char *const names[] = {"other"};
    size_t at = find_test(name);
    if (at == sizeof tests / sizeof *tests)
        return att_run_fail(run, ATT_EUNSUPPORTED, "no test '%.*s' is known here", name.len > 60 ? 60 : (int)name.len,
                            name.bytes);
    size_t n = tests[at].has_argument;
    struct att_value argument = {.kind = ATT_VALUE_UNDEFINED};
    return att_run_bind(run, tests[at].name, arguments, names, n, n, &argument) &&
           tests[at].run(run, of, &argument, ret);
}
