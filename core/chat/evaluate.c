/* Expressions: names, items, arguments and choices; operators are in operators.c, calls in call.c. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/utf8.h"
#include "core/chat/filters.h"
#include "core/chat/run.h"
#include "core/chat/strings.h"

/* ---- errors and limits ---- */

bool att_run_fail(struct att_run *run, enum att_status status, const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)att_err_set(run->err, status, "chat_template: line %u: %s", run->line, text);
    return false;
}

bool att_run_no_memory(struct att_run *run)
{
    if (run->arena.limit - run->arena.used < ATT_CHAT_MEMORY_MAX / 2)
        return att_run_fail(run, ATT_ELIMIT, "needs more than %d bytes of memory", ATT_CHAT_MEMORY_MAX);
    return att_run_fail(run, ATT_ENOMEM, "out of memory");
}

struct att_chat_buffer att_run_buffer(struct att_run *run)
{
    return (struct att_chat_buffer){.arena = &run->arena, .limit = ATT_CHAT_MEMORY_MAX};
}

bool att_run_written(struct att_run *run, const struct att_chat_buffer *buffer)
{
    if (!buffer->failed)
        return true;
    if (buffer->not_json)
        return att_run_fail(run, ATT_EINVAL, "tojson: an undefined value, a namespace or a function has no JSON");
    if (buffer->over)
        return att_run_fail(run, ATT_ELIMIT, "the text is longer than %zu bytes", buffer->limit);
    return att_run_no_memory(run);
}

bool att_run_step(struct att_run *run)
{
    if (run->steps > 0) {
        run->steps--;
        return true;
    }
    return att_run_fail(run, ATT_ELIMIT, "needs more than %d steps", ATT_CHAT_STEPS_MAX);
}

bool att_run_enter(struct att_run *run, const struct att_node *node)
{
    run->line = node->line;
    if (!att_run_step(run))
        return false;
    if (run->depth >= ATT_CHAT_DEPTH_MAX)
        return att_run_fail(run, ATT_ELIMIT, "nested deeper than %d", ATT_CHAT_DEPTH_MAX);
    run->depth++;
    return true;
}

/* ---- values ---- */

struct att_value att_value_boolean(bool truth)
{
    return (struct att_value){.kind = ATT_VALUE_BOOL, .boolean = truth};
}

struct att_value att_value_integer(int64_t integer)
{
    return (struct att_value){.kind = ATT_VALUE_INT, .integer = integer};
}

struct att_value att_value_undefined(struct att_text name)
{
    return (struct att_value){.kind = ATT_VALUE_UNDEFINED, .text = name};
}

struct att_value att_value_list(struct att_list *list)
{
    return (struct att_value){.kind = ATT_VALUE_LIST, .list = list};
}

bool att_run_string(struct att_run *run, struct att_value value, struct att_text *ret)
{
    struct att_chat_buffer buffer = att_run_buffer(run);
    if (value.kind == ATT_VALUE_TEXT) {
        *ret = value.text;
        return true;
    }
    att_value_print(&buffer, value);
    *ret = (struct att_text){buffer.bytes ? buffer.bytes : "", buffer.len};
    return att_run_written(run, &buffer);
}

static bool characters(struct att_run *run, struct att_text text, struct att_list *list)
{
    for (size_t at = 0, next = 0; at < text.len; at = next) {
        (void)att_utf8_next(text.bytes, text.len, &next);
        if (!att_run_step(run))
            return false;
        if (!att_list_push(&run->arena, list, att_value_text(text.bytes + at, next - at)))
            return att_run_no_memory(run);
    }
    return true;
}

bool att_run_items(struct att_run *run, struct att_value of, struct att_list **ret)
{
    struct att_list *list = of.kind == ATT_VALUE_LIST ? of.list : att_list_create(&run->arena);
    if (!list)
        return att_run_no_memory(run);
    if (of.kind == ATT_VALUE_TEXT && !characters(run, of.text, list))
        return false;
    if (of.kind == ATT_VALUE_DICT)
        for (size_t i = 0; i < of.dict->count; i++)
            if (!att_list_push(&run->arena, list, of.dict->keys[i]))
                return att_run_no_memory(run);
    if (of.kind != ATT_VALUE_LIST && of.kind != ATT_VALUE_TEXT && of.kind != ATT_VALUE_DICT &&
        of.kind != ATT_VALUE_UNDEFINED)
        return att_run_fail(run, ATT_EINVAL, "'%s' is not iterable", att_value_kind_name(of));
    *ret = list;
    return true;
}

static struct att_value loop_attribute(const struct att_loop *loop, struct att_text name)
{
    size_t index = loop->index, count = loop->list->count;
    if (att_text_is(name, "index"))
        return att_value_integer((int64_t)index + 1);
    if (att_text_is(name, "index0"))
        return att_value_integer((int64_t)index);
    if (att_text_is(name, "revindex"))
        return att_value_integer((int64_t)(count - index));
    if (att_text_is(name, "revindex0"))
        return att_value_integer((int64_t)(count - index) - 1);
    if (att_text_is(name, "first"))
        return att_value_boolean(index == 0);
    if (att_text_is(name, "last"))
        return att_value_boolean(index + 1 == count);
    if (att_text_is(name, "length"))
        return att_value_integer((int64_t)count);
    if (att_text_is(name, "depth") || att_text_is(name, "depth0"))
        return att_value_integer(att_text_is(name, "depth"));
    if (att_text_is(name, "previtem") && index > 0)
        return loop->list->items[index - 1];
    if (att_text_is(name, "nextitem") && index + 1 < count)
        return loop->list->items[index + 1];
    return att_value_undefined(name);
}

static bool undefined_fails(struct att_run *run, struct att_value of)
{
    return att_run_fail(run, ATT_EINVAL, "'%.*s' is undefined", of.text.len > 80 ? 80 : (int)of.text.len,
                        of.text.bytes ? of.text.bytes : "");
}

bool att_run_attribute(struct att_run *run, struct att_value of, struct att_text name, struct att_value *ret)
{
    const struct att_value *found = NULL;
    *ret = att_value_undefined(name);
    if (of.kind == ATT_VALUE_UNDEFINED)
        return undefined_fails(run, of);
    if (of.kind == ATT_VALUE_LOOP)
        *ret = loop_attribute(of.loop, name);
    else if (att_chat_method_known(of, name))
        *ret = (struct att_value){.kind = ATT_VALUE_FUNCTION, .text = name};
    else if (of.kind == ATT_VALUE_DICT || of.kind == ATT_VALUE_NAMESPACE)
        found = att_dict_get(of.dict, name);
    if (found)
        *ret = *found;
    return true;
}

/* Python's index: from the end when negative. SIZE_MAX: outside. */
static size_t python_index(int64_t index, size_t count)
{
    if (index < 0)
        index += (int64_t)count;
    return index >= 0 && index < (int64_t)count ? (size_t)index : SIZE_MAX;
}

bool att_run_item(struct att_run *run, struct att_value of, struct att_value key, struct att_value *ret)
{
    const struct att_value *found;
    *ret = att_value_undefined(key.kind == ATT_VALUE_TEXT ? key.text : (struct att_text){"item", 4});
    if (of.kind == ATT_VALUE_UNDEFINED)
        return undefined_fails(run, of);
    if (key.kind == ATT_VALUE_TEXT) {
        if (of.kind != ATT_VALUE_DICT)
            return att_run_attribute(run, of, key.text, ret);
        if ((found = att_dict_get(of.dict, key.text)) != NULL)
            *ret = *found;
        return true;
    }
    if (key.kind != ATT_VALUE_INT && key.kind != ATT_VALUE_BOOL)
        return true;
    if (of.kind == ATT_VALUE_DICT && (found = att_dict_find(of.dict, key)) != NULL)
        *ret = *found;
    int64_t number = key.kind == ATT_VALUE_INT ? key.integer : key.boolean;
    if (of.kind == ATT_VALUE_LIST) {
        size_t index = python_index(number, of.list->count);
        if (index != SIZE_MAX)
            *ret = of.list->items[index];
    } else if (of.kind == ATT_VALUE_TEXT) {
        size_t index = python_index(number, att_text_length(of.text));
        if (index != SIZE_MAX) {
            size_t at = att_text_offset(of.text, index), end = at;
            (void)att_utf8_next(of.text.bytes, of.text.len, &end);
            *ret = att_value_text(of.text.bytes + at, end - at);
        }
    }
    return true;
}

/* ---- nodes ---- */

static struct att_value look_up(const struct att_run *run, struct att_text name)
{
    for (const struct att_frame *frame = run->frame; frame; frame = frame->outer) {
        const struct att_value *found = att_dict_get(&frame->variables, name);
        if (found)
            return *found;
    }
    struct att_value function;
    return att_run_function(run, name, &function) ? function : att_value_undefined(name);
}

static bool evaluate_list(struct att_run *run, const struct att_node *node, struct att_value *ret)
{
    struct att_list *list = att_list_create(&run->arena);
    if (!list)
        return att_run_no_memory(run);
    list->tuple = node->kind == ATT_NODE_TUPLE;
    for (size_t i = 0; i < node->n_items; i++) {
        struct att_value item;
        if (!att_run_evaluate(run, node->items[i], &item))
            return false;
        if (!att_list_push(&run->arena, list, item))
            return att_run_no_memory(run);
    }
    *ret = att_value_list(list);
    return true;
}

static bool evaluate_dict(struct att_run *run, const struct att_node *node, struct att_value *ret)
{
    struct att_dict *dict = att_dict_create(&run->arena);
    if (!dict)
        return att_run_no_memory(run);
    for (size_t i = 0; i + 1 < node->n_items; i += 2) {
        struct att_value key, value;
        if (!att_run_evaluate(run, node->items[i], &key) || !att_run_evaluate(run, node->items[i + 1], &value))
            return false;
        if (key.kind != ATT_VALUE_TEXT && key.kind != ATT_VALUE_INT)
            return att_run_fail(run, ATT_EUNSUPPORTED, "a dictionary's key is %s, expected a string or an integer",
                                att_value_kind_name(key));
        if (!att_dict_put(&run->arena, dict, key, value))
            return att_run_no_memory(run);
    }
    *ret = (struct att_value){.kind = ATT_VALUE_DICT, .dict = dict};
    return true;
}

static bool evaluate_sign(struct att_run *run, const struct att_node *node, struct att_value *ret)
{
    struct att_value value;
    if (!att_run_evaluate(run, node->a, &value))
        return false;
    if (!att_value_is_number(value))
        return value.kind == ATT_VALUE_UNDEFINED
                   ? undefined_fails(run, value)
                   : att_run_fail(run, ATT_EINVAL, "a sign before %s", att_value_kind_name(value));
    if (value.kind == ATT_VALUE_BOOL)
        value = att_value_integer(value.boolean);
    if (node->kind == ATT_NODE_NEGATIVE && value.kind == ATT_VALUE_INT)
        return att_run_binary(run, ATT_OP_SUBTRACT, att_value_integer(0), value, ret);
    if (node->kind == ATT_NODE_NEGATIVE)
        value.number = -value.number;
    *ret = value;
    return true;
}

static bool evaluate_slice(struct att_run *run, const struct att_node *node, struct att_value *ret)
{
    const struct att_node *parts[3] = {node->b, node->c, node->d};
    struct att_value of, values[3] = {{.kind = ATT_VALUE_NONE}, {.kind = ATT_VALUE_NONE}, {.kind = ATT_VALUE_NONE}};
    if (!att_run_evaluate(run, node->a, &of))
        return false;
    for (size_t i = 0; i < 3; i++)
        if (parts[i] && !att_run_evaluate(run, parts[i], &values[i]))
            return false;
    return att_run_slice(run, of, values, ret);
}

bool att_run_arguments(struct att_run *run, const struct att_node *node, struct att_arguments *ret)
{
    *ret = (struct att_arguments){.names = node->names, .n = node->n_items};
    ret->values = att_arena_alloc(&run->arena, node->n_items + 1, sizeof *ret->values);
    if (!ret->values)
        return att_run_no_memory(run);
    for (size_t i = 0; i < node->n_items; i++)
        if (!att_run_evaluate(run, node->items[i], &ret->values[i]))
            return false;
    return true;
}

/* x|name(…) and x is name(…). default and defined are what takes an undefined value. */
static bool evaluate_named(struct att_run *run, const struct att_node *node, struct att_value *ret)
{
    struct att_value of;
    struct att_arguments arguments;
    bool truth = false;
    if (!att_run_evaluate(run, node->a, &of) || !att_run_arguments(run, node, &arguments))
        return false;
    run->line = node->line;
    if (node->kind == ATT_NODE_FILTER)
        return att_run_filter(run, node->text, of, &arguments, ret);
    if (!att_run_test(run, node->text, of, &arguments, &truth))
        return false;
    *ret = att_value_boolean(truth);
    return true;
}

/* and, or, not, a if b else c */
static bool evaluate_choice(struct att_run *run, const struct att_node *node, struct att_value *ret)
{
    struct att_value first;
    if (!att_run_evaluate(run, node->kind == ATT_NODE_CHOICE ? node->b : node->a, &first))
        return false;
    bool truth = att_value_true(first);
    *ret = first;
    if (node->kind == ATT_NODE_NOT)
        *ret = att_value_boolean(!truth);
    else if (node->kind == ATT_NODE_AND ? truth : node->kind == ATT_NODE_OR && !truth)
        return att_run_evaluate(run, node->b, ret);
    else if (node->kind == ATT_NODE_CHOICE && truth)
        return att_run_evaluate(run, node->a, ret);
    else if (node->kind == ATT_NODE_CHOICE && node->c)
        return att_run_evaluate(run, node->c, ret);
    else if (node->kind == ATT_NODE_CHOICE)
        *ret = att_value_undefined((struct att_text){"else", 4});
    return true;
}

static bool evaluate_access(struct att_run *run, const struct att_node *node, struct att_value *ret)
{
    struct att_value of, key;
    if (!att_run_evaluate(run, node->a, &of))
        return false;
    if (node->kind == ATT_NODE_ITEM && !att_run_evaluate(run, node->b, &key))
        return false;
    run->line = node->line;
    return node->kind == ATT_NODE_ITEM ? att_run_item(run, of, key, ret) : att_run_attribute(run, of, node->text, ret);
}

static bool evaluate(struct att_run *run, const struct att_node *node, struct att_value *ret)
{
    struct att_value a, b;
    switch (node->kind) {
    case ATT_NODE_LITERAL:
        *ret = node->value;
        return true;
    case ATT_NODE_NAME:
        *ret = look_up(run, node->text);
        return true;
    case ATT_NODE_ATTRIBUTE:
    case ATT_NODE_ITEM:
        return evaluate_access(run, node, ret);
    case ATT_NODE_SLICE:
        return evaluate_slice(run, node, ret);
    case ATT_NODE_CALL:
        return att_run_call(run, node, ret);
    case ATT_NODE_FILTER:
    case ATT_NODE_TEST:
        return evaluate_named(run, node, ret);
    case ATT_NODE_NEGATIVE:
    case ATT_NODE_POSITIVE:
        return evaluate_sign(run, node, ret);
    case ATT_NODE_BINARY:
        return att_run_evaluate(run, node->a, &a) && att_run_evaluate(run, node->b, &b) &&
               att_run_binary(run, node->op, a, b, ret);
    case ATT_NODE_LIST:
    case ATT_NODE_TUPLE:
        return evaluate_list(run, node, ret);
    case ATT_NODE_DICT:
        return evaluate_dict(run, node, ret);
    default:
        return evaluate_choice(run, node, ret);
    }
}

bool att_run_evaluate(struct att_run *run, const struct att_node *node, struct att_value *ret)
{
    if (!att_run_enter(run, node))
        return false;
    bool done = evaluate(run, node, ret);
    run->depth--;
    return done;
}
