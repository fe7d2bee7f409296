/* Calls: arguments by parameter, macros, methods, and the functions that every template has. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/chat/filters.h"
#include "core/chat/run.h"

enum { RANGE_MAX = 100000, PARAMETERS_MAX = 64, DATE_MAX = 256 };

bool att_value_absent(struct att_value value)
{
    return value.kind == ATT_VALUE_UNDEFINED && !value.text.bytes;
}

bool att_run_bind(struct att_run *run, const char *who, const struct att_arguments *arguments, const char *const *names,
                  size_t n_names, size_t n_required, struct att_value *ret)
{
    for (size_t i = 0; i < n_names; i++)
        ret[i] = (struct att_value){.kind = ATT_VALUE_UNDEFINED};
    for (size_t i = 0; i < arguments->n; i++) {
        struct att_text name = arguments->names[i];
        size_t at = name.bytes ? 0 : i;
        while (name.bytes && at < n_names && !att_text_is(name, names[at]))
            at++;
        if (at >= n_names)
            return name.bytes ? att_run_fail(run, ATT_EUNSUPPORTED, "%s: no argument '%.*s' is known here", who,
                                             name.len > 60 ? 60 : (int)name.len, name.bytes)
                              : att_run_fail(run, ATT_EINVAL, "%s: takes at most %zu arguments", who, n_names);
        ret[at] = arguments->values[i];
        if (att_value_absent(ret[at]))
            ret[at].text = (struct att_text){"argument", 8};
    }
    for (size_t i = 0; i < n_required; i++)
        if (att_value_absent(ret[i]))
            return att_run_fail(run, ATT_EINVAL, "%s: the argument '%s' is missing", who, names[i]);
    return true;
}

bool att_run_integer(struct att_run *run, const char *who, struct att_value value, int64_t *ret)
{
    if (att_value_absent(value))
        return true;
    if (value.kind != ATT_VALUE_INT && value.kind != ATT_VALUE_BOOL)
        return att_run_fail(run, ATT_EINVAL, "%s: an argument is %s, expected an integer", who,
                            att_value_kind_name(value));
    *ret = value.kind == ATT_VALUE_INT ? value.integer : value.boolean;
    return true;
}

bool att_run_text(struct att_run *run, const char *who, struct att_value value, struct att_text *ret)
{
    if (att_value_absent(value))
        return true;
    if (value.kind != ATT_VALUE_TEXT)
        return att_run_fail(run, ATT_EINVAL, "%s: an argument is %s, expected a string", who,
                            att_value_kind_name(value));
    *ret = value.text;
    return true;
}

/* ---- functions ---- */

static bool call_range(struct att_run *run, const struct att_arguments *arguments, struct att_value *ret)
{
    static const char *const names[] = {"start", "stop", "step"};
    struct att_value values[3];
    int64_t start = 0, stop = 0, step = 1;
    struct att_list *list = att_list_create(&run->arena);
    if (!list)
        return att_run_no_memory(run);
    if (!att_run_bind(run, "range", arguments, names, 3, 1, values) ||
        !att_run_integer(run, "range", values[0], &start) || !att_run_integer(run, "range", values[1], &stop) ||
        !att_run_integer(run, "range", values[2], &step))
        return false;
    if (att_value_absent(values[1])) {
        stop = start;
        start = 0;
    }
    if (step == 0)
        return att_run_fail(run, ATT_EINVAL, "range: the step is 0");
    for (int64_t at = start; step > 0 ? at < stop : at > stop;) {
        if (list->count == RANGE_MAX)
            return att_run_fail(run, ATT_ELIMIT, "range: has more than %d items", RANGE_MAX);
        if (!att_run_step(run))
            return false;
        if (!att_list_push(&run->arena, list, att_value_integer(at)))
            return att_run_no_memory(run);
        if (__builtin_add_overflow(at, step, &at))
            break;
    }
    *ret = att_value_list(list);
    return true;
}

/* namespace(a=1) and dict(a=1), either from a dictionary too. */
static bool call_dict(struct att_run *run, enum att_value_kind kind, const struct att_arguments *arguments,
                      struct att_value *ret)
{
    struct att_dict *dict = att_dict_create(&run->arena);
    if (!dict)
        return att_run_no_memory(run);
    for (size_t i = 0; i < arguments->n; i++) {
        struct att_value value = arguments->values[i];
        bool set = true;
        if (arguments->names[i].bytes)
            set = att_dict_set(&run->arena, dict, arguments->names[i], value);
        else if (value.kind != ATT_VALUE_DICT)
            return att_run_fail(run, ATT_EINVAL, "an argument is %s, expected a name with a value or a dictionary",
                                att_value_kind_name(value));
        else
            for (size_t k = 0; k < value.dict->count && set; k++)
                set = att_run_step(run) && att_dict_put(&run->arena, dict, value.dict->keys[k], value.dict->values[k]);
        if (!set)
            return att_run_no_memory(run);
    }
    *ret = (struct att_value){.kind = kind, .dict = dict};
    return true;
}

static bool call_raise(struct att_run *run, const struct att_arguments *arguments)
{
    static const char *const names[] = {"message"};
    struct att_value value;
    struct att_text text;
    if (!att_run_bind(run, "raise_exception", arguments, names, 1, 1, &value) || !att_run_string(run, value, &text))
        return false;
    (void)att_err_set(run->err, ATT_EINVAL, "%.*s",
                      text.len > ATT_ERR_MESSAGE_MAX ? ATT_ERR_MESSAGE_MAX : (int)text.len,
                      text.bytes ? text.bytes : "");
    return false;
}

static bool call_now(struct att_run *run, const struct att_arguments *arguments, struct att_value *ret)
{
    static const char *const names[] = {"format"};
    struct att_value value;
    struct att_text text = {0};
    char format[DATE_MAX], date[DATE_MAX];
    if (!att_run_bind(run, "strftime_now", arguments, names, 1, 1, &value) ||
        !att_run_text(run, "strftime_now", value, &text))
        return false;
    if (text.len >= sizeof format)
        return att_run_fail(run, ATT_ELIMIT, "strftime_now: the format is longer than %d bytes", DATE_MAX - 1);
    memcpy(format, text.bytes, text.len);
    format[text.len] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    size_t len = strftime(date, sizeof date, format, run->input->now);
#pragma GCC diagnostic pop
    char *copy = att_arena_copy(&run->arena, date, len);
    if (!copy)
        return att_run_no_memory(run);
    *ret = att_value_text(copy, len);
    return true;
}

bool att_run_function(const struct att_run *run, struct att_text name, struct att_value *ret)
{
    static const char *const names[] = {"range", "namespace", "dict", "raise_exception", "strftime_now"};
    size_t count = sizeof names / sizeof *names - (run->input->now == NULL);
    for (size_t i = 0; i < count; i++)
        if (att_text_is(name, names[i])) {
            *ret = (struct att_value){.kind = ATT_VALUE_FUNCTION, .text = name};
            return true;
        }
    return false;
}

static bool call_function(struct att_run *run, struct att_text name, const struct att_arguments *arguments,
                          struct att_value *ret)
{
    if (att_text_is(name, "range"))
        return call_range(run, arguments, ret);
    if (att_text_is(name, "namespace"))
        return call_dict(run, ATT_VALUE_NAMESPACE, arguments, ret);
    if (att_text_is(name, "dict"))
        return call_dict(run, ATT_VALUE_DICT, arguments, ret);
    if (att_text_is(name, "raise_exception"))
        return call_raise(run, arguments);
    if (att_text_is(name, "strftime_now") && run->input->now)
        return call_now(run, arguments, ret);
    return att_run_fail(run, ATT_EUNSUPPORTED, "a method that was taken from its object cannot be called here");
}

/* ---- macros ---- */

bool att_run_macro(struct att_run *run, const struct att_node *macro, const struct att_arguments *arguments,
                   struct att_value *ret)
{
    const char *names[PARAMETERS_MAX];
    struct att_value values[PARAMETERS_MAX];
    struct att_frame frame = {.outer = run->top}, *outer = run->frame;
    struct att_chat_buffer buffer = att_run_buffer(run), *out = run->out;
    if (macro->n_items > PARAMETERS_MAX)
        return att_run_fail(run, ATT_ELIMIT, "a macro has more than %d parameters", PARAMETERS_MAX);
    for (size_t i = 0; i < macro->n_items; i++)
        if (!(names[i] = att_arena_copy(&run->arena, macro->names[i].bytes, macro->names[i].len)))
            return att_run_no_memory(run);
    if (!att_run_bind(run, "a macro", arguments, names, macro->n_items, 0, values))
        return false;
    run->frame = &frame;
    run->out = &buffer;
    bool done = true;
    for (size_t i = 0; i < macro->n_items && done; i++) {
        if (att_value_absent(values[i]) && macro->items[i])
            done = att_run_evaluate(run, macro->items[i], &values[i]);
        else if (att_value_absent(values[i]))
            values[i].text = macro->names[i];
        if (done && !att_dict_set(&run->arena, &frame.variables, macro->names[i], values[i]))
            done = att_run_no_memory(run);
    }
    done = done && att_run_statement(run, macro->b) && att_run_written(run, &buffer);
    run->frame = outer;
    run->out = out;
    *ret = att_value_text(buffer.bytes, buffer.len);
    return done;
}

bool att_run_call(struct att_run *run, const struct att_node *node, struct att_value *ret)
{
    const struct att_node *of = node->a;
    struct att_value callee, object;
    struct att_arguments arguments;
    bool method = of->kind == ATT_NODE_ATTRIBUTE;
    if (method && !att_run_evaluate(run, of->a, &object))
        return false;
    method = method && att_chat_method_known(object, of->text);
    if (!method && !(of->kind == ATT_NODE_ATTRIBUTE ? att_run_attribute(run, object, of->text, &callee)
                                                    : att_run_evaluate(run, of, &callee)))
        return false;
    if (!att_run_arguments(run, node, &arguments))
        return false;
    run->line = node->line;
    if (method)
        return att_run_method(run, object, of->text, &arguments, ret);
    if (callee.kind == ATT_VALUE_MACRO)
        return att_run_macro(run, callee.macro, &arguments, ret);
    if (callee.kind == ATT_VALUE_FUNCTION)
        return call_function(run, callee.text, &arguments, ret);
    if (callee.kind == ATT_VALUE_UNDEFINED && of->kind == ATT_NODE_ATTRIBUTE)
        return att_run_fail(run, ATT_EUNSUPPORTED, "%s has no method '%.*s' here", att_value_kind_name(object),
                            of->text.len > 60 ? 60 : (int)of->text.len, of->text.bytes);
    if (callee.kind == ATT_VALUE_UNDEFINED)
        return att_run_fail(run, ATT_EINVAL, "'%.*s' is undefined", callee.text.len > 60 ? 60 : (int)callee.text.len,
                            callee.text.bytes);
    return att_run_fail(run, ATT_EINVAL, "%s cannot be called", att_value_kind_name(callee));
}
