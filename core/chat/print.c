/* Values as text: Python's str(), repr() and json.dumps. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"
#include "core/chat/template.h"
#include "core/chat/value.h"

/* Shortest digits that read back, in Python's form: 1.0, 1e+20, 0.0001. */
static void put_float(struct att_chat_buffer *buffer, double number)
{
    char text[64];
    if (!isfinite(number)) {
        att_buffer_puts(buffer, isnan(number) ? "nan" : number > 0 ? "inf" : "-inf");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, number);
        if (strtod(text, NULL) != number)
            continue;
        long exponent = strtol(strchr(text, 'e') + 1, NULL, 10);
        if (exponent >= -4 && exponent < 16) {
            int decimals = digits - 1 - (int)exponent > 1 ? digits - 1 - (int)exponent : 1;
            snprintf(text, sizeof text, "%.*f", decimals, number);
        }
        break;
    }
    att_buffer_puts(buffer, text);
}

static void put_integer(struct att_chat_buffer *buffer, int64_t integer)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)integer);
    att_buffer_puts(buffer, text);
}

static void put_quoted(struct att_chat_buffer *buffer, struct att_text text)
{
    bool single = text.len > 0 && memchr(text.bytes, '\'', text.len);
    bool both = single && memchr(text.bytes, '"', text.len);
    char quote = single && !both ? '"' : '\'', escaped[8];
    att_buffer_put(buffer, &quote, 1);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.bytes[i];
        if (c == '\n' || c == '\r' || c == '\t') {
            att_buffer_puts(buffer, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
        } else if (c == '\\' || c == quote) {
            att_buffer_put(buffer, "\\", 1);
            att_buffer_put(buffer, &c, 1);
        } else if ((unsigned char)c < 0x20 || c == 0x7f) {
            snprintf(escaped, sizeof escaped, "\\x%02x", (unsigned)(unsigned char)c);
            att_buffer_puts(buffer, escaped);
        } else {
            att_buffer_put(buffer, &c, 1);
        }
    }
    att_buffer_put(buffer, &quote, 1);
}

static void repr_list(struct att_chat_buffer *buffer, const struct att_list *list, int depth)
{
    att_buffer_puts(buffer, list->tuple ? "(" : "[");
    for (size_t i = 0; i < list->count && !buffer->failed; i++) {
        att_buffer_puts(buffer, i ? ", " : "");
        att_value_repr(buffer, list->items[i], depth + 1);
    }
    att_buffer_puts(buffer, !list->tuple ? "]" : list->count == 1 ? ",)" : ")");
}

void att_value_repr(struct att_chat_buffer *buffer, struct att_value value, int depth)
{
    if (depth > ATT_CHAT_DEPTH_MAX) {
        buffer->failed = buffer->over = true;
        return;
    }
    switch (value.kind) {
    case ATT_VALUE_UNDEFINED:
        att_buffer_puts(buffer, "Undefined");
        break;
    case ATT_VALUE_NONE:
        att_buffer_puts(buffer, "None");
        break;
    case ATT_VALUE_BOOL:
        att_buffer_puts(buffer, value.boolean ? "True" : "False");
        break;
    case ATT_VALUE_INT:
        put_integer(buffer, value.integer);
        break;
    case ATT_VALUE_FLOAT:
        put_float(buffer, value.number);
        break;
    case ATT_VALUE_TEXT:
        put_quoted(buffer, value.text);
        break;
    case ATT_VALUE_LIST:
        repr_list(buffer, value.list, depth);
        break;
    case ATT_VALUE_DICT:
        att_buffer_puts(buffer, "{");
        for (size_t i = 0; i < value.dict->count && !buffer->failed; i++) {
            att_buffer_puts(buffer, i ? ", " : "");
            att_value_repr(buffer, value.dict->keys[i], depth + 1);
            att_buffer_puts(buffer, ": ");
            att_value_repr(buffer, value.dict->values[i], depth + 1);
        }
        att_buffer_puts(buffer, "}");
        break;
    default:
        att_buffer_puts(buffer, "<function>");
        break;
    }
}

void att_value_print(struct att_chat_buffer *buffer, struct att_value value)
{
    if (value.kind == ATT_VALUE_TEXT)
        att_buffer_put(buffer, value.text.bytes, value.text.len);
    else if (value.kind != ATT_VALUE_UNDEFINED)
        att_value_repr(buffer, value, 0);
}

static void put_unicode(struct att_chat_buffer *buffer, uint32_t code)
{
    char escaped[16];
    if (code >= 0x10000)
        snprintf(escaped, sizeof escaped, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((code - 0x10000) >> 10)),
                 (unsigned)(0xdc00 + ((code - 0x10000) & 0x3ff)));
    else
        snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)code);
    att_buffer_puts(buffer, escaped);
}

static void json_text(struct att_chat_buffer *buffer, struct att_text text, bool ascii)
{
    static const char known[] = "\"\\\n\r\t\b\f", letters[] = "\"\\nrtbf";
    att_buffer_put(buffer, "\"", 1);
    for (size_t i = 0; i < text.len && !buffer->failed;) {
        char c = text.bytes[i];
        const char *found = c ? strchr(known, c) : NULL;
        if (found) {
            att_buffer_put(buffer, "\\", 1);
            att_buffer_put(buffer, letters + (found - known), 1);
            i++;
        } else if ((unsigned char)c < 0x20 || (ascii && (unsigned char)c >= 0x7f)) {
            put_unicode(buffer, att_utf8_next(text.bytes, text.len, &i));
        } else {
            att_buffer_put(buffer, &c, 1);
            i++;
        }
    }
    att_buffer_put(buffer, "\"", 1);
}

/* A number stands as a text, as in Python. */
static void json_key(struct att_chat_buffer *buffer, struct att_value key, bool ascii)
{
    if (key.kind == ATT_VALUE_TEXT) {
        json_text(buffer, key.text, ascii);
        return;
    }
    att_buffer_put(buffer, "\"", 1);
    att_value_repr(buffer, key, 0);
    att_buffer_put(buffer, "\"", 1);
}

static void new_line(struct att_chat_buffer *buffer, int indent, int depth)
{
    if (indent < 0)
        return;
    att_buffer_put(buffer, "\n", 1);
    for (int i = 0; i < indent * depth && !buffer->failed; i++)
        att_buffer_put(buffer, " ", 1);
}

static int by_key(const void *a, const void *b)
{
    const struct att_value *const *x = a, *const *y = b;
    if ((*x)->kind != (*y)->kind)
        return (*x)->kind < (*y)->kind ? -1 : 1;
    return att_value_compare(**x, **y, &(size_t){1});
}

/* The dictionary's keys in the order of writing; NULL when memory is out. */
static const struct att_value **keys_in_order(struct att_chat_buffer *buffer, const struct att_dict *dict, bool sorted)
{
    const struct att_value **keys = att_arena_alloc(buffer->arena, dict->count + 1, sizeof(void *));
    for (size_t i = 0; keys && i < dict->count; i++)
        keys[i] = &dict->keys[i];
    if (keys && sorted)
        qsort(keys, dict->count, sizeof(void *), by_key);
    return keys;
}

static void json_items(struct att_chat_buffer *buffer, struct att_value value, const struct att_json_style *style,
                       int depth)
{
    bool dict = value.kind == ATT_VALUE_DICT;
    size_t count = dict ? value.dict->count : value.list->count;
    const struct att_value **keys = dict ? keys_in_order(buffer, value.dict, style->sort_keys) : NULL;
    if (dict && !keys) {
        buffer->failed = true;
        return;
    }
    att_buffer_puts(buffer, dict ? "{" : "[");
    for (size_t i = 0; i < count && !buffer->failed; i++) {
        if (i)
            att_buffer_put(buffer, style->item_separator.bytes, style->item_separator.len);
        new_line(buffer, style->indent, depth + 1);
        if (dict) {
            json_key(buffer, *keys[i], style->ascii);
            att_buffer_put(buffer, style->key_separator.bytes, style->key_separator.len);
        }
        att_value_json(buffer, dict ? value.dict->values[keys[i] - value.dict->keys] : value.list->items[i], style,
                       depth + 1);
    }
    if (count > 0)
        new_line(buffer, style->indent, depth);
    att_buffer_puts(buffer, dict ? "}" : "]");
}

void att_value_json(struct att_chat_buffer *buffer, struct att_value value, const struct att_json_style *style,
                    int depth)
{
    if (depth > ATT_CHAT_DEPTH_MAX) {
        buffer->failed = buffer->over = true;
        return;
    }
    switch (value.kind) {
    case ATT_VALUE_TEXT:
        json_text(buffer, value.text, style->ascii);
        break;
    case ATT_VALUE_BOOL:
        att_buffer_puts(buffer, value.boolean ? "true" : "false");
        break;
    case ATT_VALUE_NONE:
        att_buffer_puts(buffer, "null");
        break;
    case ATT_VALUE_INT:
        put_integer(buffer, value.integer);
        break;
    case ATT_VALUE_FLOAT:
        if (isfinite(value.number))
            put_float(buffer, value.number);
        else
            att_buffer_puts(buffer, isnan(value.number) ? "NaN" : value.number > 0 ? "Infinity" : "-Infinity");
        break;
    case ATT_VALUE_LIST:
    case ATT_VALUE_DICT:
        json_items(buffer, value, style, depth);
        break;
    default:
        buffer->failed = buffer->not_json = true;
        break;
    }
}
