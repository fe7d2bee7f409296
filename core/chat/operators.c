/* Operators on values, and slices. */
#include <math.h>

#include "core/base/utf8.h"
#include "core/chat/run.h"
#include "core/chat/strings.h"

static bool refuse(struct att_run *run, const char *sign, struct att_value a, struct att_value b)
{
    struct att_value undefined = a.kind == ATT_VALUE_UNDEFINED ? a : b;
    if (undefined.kind == ATT_VALUE_UNDEFINED)
        return att_run_fail(run, ATT_EINVAL, "'%.*s' is undefined",
                            undefined.text.len > 80 ? 80 : (int)undefined.text.len,
                            undefined.text.bytes ? undefined.text.bytes : "");
    return att_run_fail(run, ATT_EINVAL, "%s %s %s: these have no such operation", att_value_kind_name(a), sign,
                        att_value_kind_name(b));
}

static void put_escaped(struct att_chat_buffer *buffer, struct att_text text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.bytes[i];
        const char *escaped = c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&#34;" : NULL;
        if (escaped || c == '\'')
            att_buffer_puts(buffer, escaped ? escaped : "&#39;");
        else
            att_buffer_put(buffer, &c, 1);
    }
}

/* As texts. With +, a text beside markup is escaped; ~ looks at the texts alone. */
static bool join(struct att_run *run, enum att_operator op, struct att_value a, struct att_value b,
                 struct att_value *ret)
{
    struct att_chat_buffer buffer = att_run_buffer(run);
    const struct att_value halves[2] = {a, b};
    bool markup = op == ATT_OP_ADD && (a.markup || b.markup);
    for (size_t i = 0; i < 2; i++) {
        struct att_text text;
        if (!att_run_string(run, halves[i], &text))
            return false;
        if (markup && !halves[i].markup)
            put_escaped(&buffer, text);
        else
            att_buffer_put(&buffer, text.bytes, text.len);
    }
    *ret = att_value_text(buffer.bytes, buffer.len);
    ret->markup = markup;
    return att_run_written(run, &buffer);
}

static bool push_all(struct att_run *run, struct att_list *to, const struct att_list *from)
{
    for (size_t i = 0; i < from->count; i++) {
        if (!att_run_step(run))
            return false;
        if (!att_list_push(&run->arena, to, from->items[i]))
            return att_run_no_memory(run);
    }
    return true;
}

/* `of` n times over. */
static bool repeat(struct att_run *run, struct att_value of, int64_t n, struct att_value *ret)
{
    struct att_chat_buffer buffer = att_run_buffer(run);
    struct att_list *list = att_list_create(&run->arena);
    if (!list)
        return att_run_no_memory(run);
    if (of.kind == ATT_VALUE_TEXT) {
        for (int64_t i = 0; i < n && !buffer.failed && of.text.len > 0; i++)
            att_buffer_put(&buffer, of.text.bytes, of.text.len);
        *ret = att_value_text(buffer.bytes, buffer.len);
        return att_run_written(run, &buffer);
    }
    list->tuple = of.list->tuple;
    for (int64_t i = 0; i < n && of.list->count > 0; i++)
        if (!push_all(run, list, of.list))
            return false;
    *ret = att_value_list(list);
    return true;
}

static bool too_large(struct att_run *run)
{
    return att_run_fail(run, ATT_ELIMIT, "an integer is beyond 64 bits");
}

static bool integers(struct att_run *run, enum att_operator op, int64_t a, int64_t b, struct att_value *ret)
{
    int64_t result = 0;
    bool over = false;
    if (op == ATT_OP_ADD)
        over = __builtin_add_overflow(a, b, &result);
    else if (op == ATT_OP_SUBTRACT)
        over = __builtin_sub_overflow(a, b, &result);
    else if (op == ATT_OP_MULTIPLY)
        over = __builtin_mul_overflow(a, b, &result);
    else if (op == ATT_OP_POWER) {
        result = 1;
        for (int64_t i = 0; i < b && !over && !(result == 0 || (a == 1 && result == 1)); i++)
            over = __builtin_mul_overflow(result, a, &result) || i > 128;
        if (a == -1)
            result = b % 2 ? -1 : 1, over = false;
    } else {
        if (b == -1 && a == INT64_MIN)
            return too_large(run);
        result = op == ATT_OP_REMAINDER ? a % b : a / b;
        if (a % b != 0 && (a % b < 0) != (b < 0)) /* towards minus infinity, as Python */
            result += op == ATT_OP_REMAINDER ? b : -1;
    }
    *ret = att_value_integer(result);
    return over ? too_large(run) : true;
}

static bool numbers(struct att_run *run, enum att_operator op, struct att_value a, struct att_value b,
                    struct att_value *ret)
{
    double x = att_value_number(a), y = att_value_number(b), result = 0;
    bool whole = a.kind != ATT_VALUE_FLOAT && b.kind != ATT_VALUE_FLOAT;
    bool divides = op == ATT_OP_DIVIDE || op == ATT_OP_FLOOR_DIVIDE || op == ATT_OP_REMAINDER;
    if (divides && y == 0)
        return att_run_fail(run, ATT_EINVAL, "division by zero");
    if (whole && op != ATT_OP_DIVIDE && !(op == ATT_OP_POWER && y < 0))
        return integers(run, op, a.kind == ATT_VALUE_BOOL ? a.boolean : a.integer,
                        b.kind == ATT_VALUE_BOOL ? b.boolean : b.integer, ret);
    if (op == ATT_OP_ADD)
        result = x + y;
    else if (op == ATT_OP_SUBTRACT)
        result = x - y;
    else if (op == ATT_OP_MULTIPLY)
        result = x * y;
    else if (op == ATT_OP_DIVIDE)
        result = x / y;
    else if (op == ATT_OP_FLOOR_DIVIDE)
        result = floor(x / y);
    else if (op == ATT_OP_REMAINDER)
        result = x - y * floor(x / y);
    else
        result = pow(x, y);
    *ret = (struct att_value){.kind = ATT_VALUE_FLOAT, .number = result};
    return true;
}

static bool contains(struct att_run *run, struct att_value what, struct att_value in, bool *ret)
{
    *ret = false;
    if (in.kind == ATT_VALUE_TEXT) {
        if (what.kind != ATT_VALUE_TEXT)
            return refuse(run, "in", what, in);
        *ret = what.text.len == 0 || att_text_find(in.text, what.text, 0) < in.text.len;
    } else if (in.kind == ATT_VALUE_DICT) {
        *ret = att_dict_find(in.dict, what) != NULL;
    } else if (in.kind == ATT_VALUE_LIST) {
        for (size_t i = 0; i < in.list->count && !*ret; i++) {
            *ret = att_value_equal(what, in.list->items[i], &run->steps);
            if (!att_run_step(run))
                return false;
        }
    } else if (in.kind != ATT_VALUE_UNDEFINED) {
        return att_run_fail(run, ATT_EINVAL, "'%s' is not iterable", att_value_kind_name(in));
    }
    return true;
}

static bool compare(struct att_run *run, enum att_operator op, struct att_value a, struct att_value b, bool *ret)
{
    static const char *const signs[] = {"<", "<=", ">", ">="};
    if (op == ATT_OP_EQUAL || op == ATT_OP_NOT_EQUAL) {
        *ret = att_value_equal(a, b, &run->steps) == (op == ATT_OP_EQUAL);
        return att_run_step(run);
    }
    if (op == ATT_OP_IN || op == ATT_OP_NOT_IN) {
        if (!contains(run, a, b, ret))
            return false;
        *ret = *ret == (op == ATT_OP_IN);
        return true;
    }
    int order = att_value_compare(a, b, &run->steps);
    if (order == 2)
        return refuse(run, signs[op - ATT_OP_LESS], a, b);
    *ret = op == ATT_OP_LESS         ? order < 0
           : op == ATT_OP_LESS_EQUAL ? order <= 0
           : op == ATT_OP_GREATER    ? order > 0
                                     : order >= 0;
    return att_run_step(run);
}

static bool add_lists(struct att_run *run, const struct att_list *a, const struct att_list *b, struct att_value *ret)
{
    struct att_list *list = att_list_create(&run->arena);
    if (!list)
        return att_run_no_memory(run);
    list->tuple = a->tuple;
    *ret = att_value_list(list);
    return push_all(run, list, a) && push_all(run, list, b);
}

bool att_run_binary(struct att_run *run, enum att_operator op, struct att_value a, struct att_value b,
                    struct att_value *ret)
{
    static const char *const signs[] = {"+", "-", "*", "/", "//", "%", "**"};
    bool truth = false;
    if (op == ATT_OP_CONCATENATE)
        return join(run, op, a, b, ret);
    if (op >= ATT_OP_EQUAL) {
        if (!compare(run, op, a, b, &truth))
            return false;
        *ret = att_value_boolean(truth);
        return true;
    }
    if (att_value_is_number(a) && att_value_is_number(b))
        return numbers(run, op, a, b, ret);
    if (op == ATT_OP_ADD && a.kind == ATT_VALUE_TEXT && b.kind == ATT_VALUE_TEXT)
        return join(run, op, a, b, ret);
    if (op == ATT_OP_ADD && a.kind == ATT_VALUE_LIST && b.kind == ATT_VALUE_LIST && a.list->tuple == b.list->tuple)
        return add_lists(run, a.list, b.list, ret);
    if (op == ATT_OP_MULTIPLY && (b.kind == ATT_VALUE_TEXT || b.kind == ATT_VALUE_LIST) && a.kind == ATT_VALUE_INT)
        return repeat(run, b, a.integer, ret);
    if (op == ATT_OP_MULTIPLY && (a.kind == ATT_VALUE_TEXT || a.kind == ATT_VALUE_LIST) && b.kind == ATT_VALUE_INT)
        return repeat(run, a, b.integer, ret);
    return refuse(run, signs[op], a, b);
}

/* ---- slices ---- */

/* One end of a slice, as Python's slice.indices. */
static int64_t clamp(struct att_value part, int64_t otherwise, int64_t count, int64_t low, int64_t high)
{
    if (part.kind == ATT_VALUE_NONE)
        return otherwise;
    int64_t at = part.integer < 0 && part.integer > -count - 1 ? part.integer + count : part.integer;
    return at < low ? low : at > high ? high : at;
}

/* Bytes [at, end) in code points. */
static struct att_value cut(struct att_text text, int64_t at, int64_t end)
{
    size_t begin = att_text_offset(text, (size_t)at);
    struct att_text rest = {text.bytes + begin, text.len - begin};
    return att_value_text(rest.bytes, end > at ? att_text_offset(rest, (size_t)(end - at)) : 0);
}

/* Every `step`th from `at`. */
static bool pick(struct att_run *run, struct att_value of, int64_t at, int64_t end, int64_t step, struct att_value *ret)
{
    struct att_chat_buffer buffer = att_run_buffer(run);
    struct att_list *items, *list = att_list_create(&run->arena);
    if (!list)
        return att_run_no_memory(run);
    if (!att_run_items(run, of, &items))
        return false;
    for (; step > 0 ? at < end : at > end; at += step) {
        if (of.kind == ATT_VALUE_TEXT)
            att_buffer_put(&buffer, items->items[at].text.bytes, items->items[at].text.len);
        else if (!att_list_push(&run->arena, list, items->items[at]))
            return att_run_no_memory(run);
    }
    list->tuple = of.kind == ATT_VALUE_LIST && of.list->tuple;
    *ret = of.kind == ATT_VALUE_TEXT ? att_value_text(buffer.bytes, buffer.len) : att_value_list(list);
    return att_run_written(run, &buffer);
}

bool att_run_slice(struct att_run *run, struct att_value of, const struct att_value parts[3], struct att_value *ret)
{
    for (size_t i = 0; i < 3; i++)
        if (parts[i].kind != ATT_VALUE_NONE && parts[i].kind != ATT_VALUE_INT)
            return att_run_fail(run, ATT_EINVAL, "a slice's part is %s, expected an integer",
                                att_value_kind_name(parts[i]));
    if (of.kind == ATT_VALUE_UNDEFINED)
        return refuse(run, "[:]", of, of);
    if (of.kind != ATT_VALUE_LIST && of.kind != ATT_VALUE_TEXT) {
        *ret = (struct att_value){.kind = ATT_VALUE_UNDEFINED};
        return true;
    }
    int64_t step = parts[2].kind == ATT_VALUE_NONE ? 1 : parts[2].integer;
    if (step == 0)
        return att_run_fail(run, ATT_EINVAL, "a slice's step is 0");
    int64_t count = (int64_t)(of.kind == ATT_VALUE_LIST ? of.list->count : att_text_length(of.text));
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? count : count - 1;
    int64_t at = clamp(parts[0], step > 0 ? low : high, count, low, high);
    int64_t end = clamp(parts[1], step > 0 ? high : low, count, low, high);
    step = step > count + 1 ? count + 1 : step < -count - 1 ? -count - 1 : step;
    if (of.kind == ATT_VALUE_TEXT && step == 1) {
        *ret = cut(of.text, at, end);
        return true;
    }
    return pick(run, of, at, end, step, ret);
}
