/* Values: making and comparing them as Python does. */
#include "core/chat/value.h"

#include <string.h>

#include "core/chat/template.h"

void att_buffer_put(struct att_chat_buffer *buffer, const char *bytes, size_t len)
{
    if (buffer->failed || len == 0)
        return;
    if (len > buffer->limit - buffer->len) {
        buffer->failed = buffer->over = true;
        return;
    }
    if (buffer->capacity - buffer->len < len) {
        size_t capacity = buffer->capacity ? buffer->capacity : 128;
        while (capacity - buffer->len < len)
            capacity *= 2;
        char *more = att_arena_alloc(buffer->arena, capacity, 1);
        if (!more) {
            buffer->failed = true;
            return;
        }
        if (buffer->len > 0)
            memcpy(more, buffer->bytes, buffer->len);
        buffer->bytes = more;
        buffer->capacity = capacity;
    }
    memcpy(buffer->bytes + buffer->len, bytes, len);
    buffer->len += len;
}

void att_buffer_puts(struct att_chat_buffer *buffer, const char *text)
{
    att_buffer_put(buffer, text, strlen(text));
}

struct att_value att_value_text(const char *bytes, size_t len)
{
    return (struct att_value){.kind = ATT_VALUE_TEXT, .text = {bytes ? bytes : "", len}};
}

bool att_text_is(struct att_text text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.bytes, word, text.len) == 0;
}

bool att_text_same(struct att_text a, struct att_text b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.bytes, b.bytes, a.len) == 0);
}

struct att_list *att_list_create(struct att_arena *arena)
{
    return att_arena_alloc(arena, 1, sizeof(struct att_list));
}

struct att_dict *att_dict_create(struct att_arena *arena)
{
    return att_arena_alloc(arena, 1, sizeof(struct att_dict));
}

bool att_list_push(struct att_arena *arena, struct att_list *list, struct att_value value)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 8;
        struct att_value *items = att_arena_alloc(arena, capacity, sizeof *items);
        if (!items)
            return false;
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = value;
    return true;
}

bool att_dict_append(struct att_arena *arena, struct att_dict *dict, struct att_value key, struct att_value value)
{
    if (dict->count == dict->capacity) {
        size_t capacity = dict->capacity ? 2 * dict->capacity : 8;
        struct att_value *keys = att_arena_alloc(arena, capacity, sizeof *keys);
        struct att_value *values = keys ? att_arena_alloc(arena, capacity, sizeof *values) : NULL;
        if (!values)
            return false;
        if (dict->count > 0) {
            memcpy(keys, dict->keys, dict->count * sizeof *keys);
            memcpy(values, dict->values, dict->count * sizeof *values);
        }
        dict->keys = keys;
        dict->values = values;
        dict->capacity = capacity;
    }
    dict->keys[dict->count] = key;
    dict->values[dict->count++] = value;
    return true;
}

/* True and False are the keys 1 and 0, as in Python. */
static bool same_keys(struct att_value a, struct att_value b)
{
    if (a.kind == ATT_VALUE_TEXT)
        return b.kind == ATT_VALUE_TEXT && att_text_same(a.text, b.text);
    if (b.kind == ATT_VALUE_BOOL)
        return a.integer == b.boolean;
    return b.kind == ATT_VALUE_INT && a.integer == b.integer;
}

const struct att_value *att_dict_find(const struct att_dict *dict, struct att_value key)
{
    for (size_t i = 0; i < dict->count; i++)
        if (same_keys(dict->keys[i], key))
            return &dict->values[i];
    return NULL;
}

const struct att_value *att_dict_get(const struct att_dict *dict, struct att_text key)
{
    return att_dict_find(dict, (struct att_value){.kind = ATT_VALUE_TEXT, .text = key});
}

bool att_dict_put(struct att_arena *arena, struct att_dict *dict, struct att_value key, struct att_value value)
{
    const struct att_value *found = att_dict_find(dict, key);
    if (!found)
        return att_dict_append(arena, dict, key, value);
    dict->values[found - dict->values] = value;
    return true;
}

bool att_dict_set(struct att_arena *arena, struct att_dict *dict, struct att_text key, struct att_value value)
{
    return att_dict_put(arena, dict, (struct att_value){.kind = ATT_VALUE_TEXT, .text = key}, value);
}

bool att_value_of_json(struct att_arena *arena, const struct att_json *json, int depth, struct att_value *ret)
{
    size_t len = 0;
    const char *text = att_json_string(json, &len), *key;
    int64_t integer = 0;
    if (depth > ATT_CHAT_DEPTH_MAX)
        return false;
    *ret = (struct att_value){.kind = ATT_VALUE_NONE};
    if (text) {
        *ret = att_value_text(text, len);
    } else if (att_json_is_bool(json)) {
        *ret = (struct att_value){.kind = ATT_VALUE_BOOL, .boolean = att_json_bool(json, false)};
    } else if (att_json_integer(json, -((int64_t)1 << 53), (int64_t)1 << 53, &integer)) {
        *ret = (struct att_value){.kind = ATT_VALUE_INT, .integer = integer};
    } else if (att_json_is_number(json)) {
        *ret = (struct att_value){.kind = ATT_VALUE_FLOAT, .number = att_json_number(json, 0)};
    } else if (att_json_is_array(json)) {
        *ret = (struct att_value){.kind = ATT_VALUE_LIST, .list = att_list_create(arena)};
        for (size_t i = 0; ret->list && i < att_json_count(json); i++) {
            struct att_value item;
            if (!att_value_of_json(arena, att_json_at(json, i), depth + 1, &item) ||
                !att_list_push(arena, ret->list, item))
                return false;
        }
        return ret->list != NULL;
    } else if (att_json_is_object(json)) {
        struct att_json_iter iter;
        const struct att_json *member;
        *ret = (struct att_value){.kind = ATT_VALUE_DICT, .dict = att_dict_create(arena)};
        att_json_iter_init(&iter, json);
        while (ret->dict && att_json_iter_next(&iter, &key, &member)) {
            struct att_value item;
            if (!att_value_of_json(arena, member, depth + 1, &item) ||
                !att_dict_append(arena, ret->dict, att_value_text(key, strlen(key)), item))
                return false;
        }
        return ret->dict != NULL;
    }
    return true;
}

bool att_value_true(struct att_value value)
{
    switch (value.kind) {
    case ATT_VALUE_UNDEFINED:
    case ATT_VALUE_NONE:
        return false;
    case ATT_VALUE_BOOL:
        return value.boolean;
    case ATT_VALUE_INT:
        return value.integer != 0;
    case ATT_VALUE_FLOAT:
        return value.number != 0;
    case ATT_VALUE_TEXT:
        return value.text.len > 0;
    case ATT_VALUE_LIST:
        return value.list->lazy || value.list->count > 0;
    case ATT_VALUE_DICT:
        return value.dict->count > 0;
    default:
        return true;
    }
}

bool att_value_is_number(struct att_value value)
{
    return value.kind == ATT_VALUE_BOOL || value.kind == ATT_VALUE_INT || value.kind == ATT_VALUE_FLOAT;
}

double att_value_number(struct att_value value)
{
    return value.kind == ATT_VALUE_FLOAT  ? value.number
           : value.kind == ATT_VALUE_BOOL ? (double)value.boolean
                                          : (double)value.integer;
}

static bool same_dicts(const struct att_dict *a, const struct att_dict *b, size_t *steps)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct att_value *other = att_dict_find(b, a->keys[i]);
        if (!other || !att_value_equal(a->values[i], *other, steps))
            return false;
    }
    return true;
}

bool att_value_equal(struct att_value a, struct att_value b, size_t *steps)
{
    if (*steps == 0)
        return false;
    --*steps;
    if (att_value_is_number(a) && att_value_is_number(b)) {
        if (a.kind != ATT_VALUE_FLOAT && b.kind != ATT_VALUE_FLOAT)
            return (a.kind == ATT_VALUE_BOOL ? a.boolean : a.integer) ==
                   (b.kind == ATT_VALUE_BOOL ? b.boolean : b.integer);
        return att_value_number(a) == att_value_number(b);
    }
    if (a.kind != b.kind)
        return false;
    switch (a.kind) {
    case ATT_VALUE_TEXT:
        return att_text_same(a.text, b.text);
    case ATT_VALUE_LIST:
        if (a.list->count != b.list->count || a.list->tuple != b.list->tuple)
            return false;
        for (size_t i = 0; i < a.list->count; i++)
            if (!att_value_equal(a.list->items[i], b.list->items[i], steps))
                return false;
        return true;
    case ATT_VALUE_DICT:
        return a.dict == b.dict || same_dicts(a.dict, b.dict, steps);
    case ATT_VALUE_NAMESPACE:
        return a.dict == b.dict;
    case ATT_VALUE_LOOP:
        return a.loop == b.loop;
    case ATT_VALUE_MACRO:
        return a.macro == b.macro;
    case ATT_VALUE_FUNCTION:
        return att_text_same(a.text, b.text);
    default:
        return true; /* none and none, undefined and undefined */
    }
}

int att_value_compare(struct att_value a, struct att_value b, size_t *steps)
{
    if (att_value_is_number(a) && att_value_is_number(b)) {
        double x = att_value_number(a), y = att_value_number(b);
        return (x > y) - (x < y);
    }
    if (a.kind == ATT_VALUE_TEXT && b.kind == ATT_VALUE_TEXT) {
        size_t n = a.text.len < b.text.len ? a.text.len : b.text.len;
        int order = n ? memcmp(a.text.bytes, b.text.bytes, n) : 0;
        return order != 0 ? (order > 0) - (order < 0) : (a.text.len > b.text.len) - (a.text.len < b.text.len);
    }
    if (a.kind == ATT_VALUE_LIST && b.kind == ATT_VALUE_LIST && a.list->tuple == b.list->tuple) {
        for (size_t i = 0; i < a.list->count && i < b.list->count; i++) {
            int order = att_value_equal(a.list->items[i], b.list->items[i], steps)
                            ? 0
                            : att_value_compare(a.list->items[i], b.list->items[i], steps);
            if (order != 0)
                return order;
        }
        return (a.list->count > b.list->count) - (a.list->count < b.list->count);
    }
    return 2;
}

const char *att_value_kind_name(struct att_value value)
{
    static const char *const names[] = {"undefined", "none", "bool",      "int",  "float", "str",
                                        "list",      "dict", "namespace", "loop", "macro", "function"};
    return names[value.kind];
}
