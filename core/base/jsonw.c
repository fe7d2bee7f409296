/*
 * Writing JSON into one growing buffer. No tree is built: answers are written
 * once, front to back.
 */
#include "core/base/jsonw.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/decimal.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"

void att_jsonw_init(struct att_jsonw *w, size_t limit_bytes)
{
    *w = (struct att_jsonw){.limit = limit_bytes};
}

void att_jsonw_finish(struct att_jsonw *w)
{
    att_mem_free(w->bytes);
    *w = (struct att_jsonw){.limit = w->limit};
}

void att_jsonw_append(struct att_jsonw *w, const char *bytes, size_t len)
{
    if (w->failed)
        return;
    /* One byte is kept for the NUL. */
    if (len >= w->limit || w->len > w->limit - len - 1) {
        w->failed = w->over = true;
        return;
    }
    if (w->capacity - w->len <= len) {
        size_t capacity = w->capacity ? w->capacity * 2 : 1024;
        while (capacity - w->len <= len)
            capacity *= 2;
        char *grown = att_mem_realloc(w->bytes, capacity, 1);
        if (!grown) {
            w->failed = true;
            return;
        }
        w->bytes = grown;
        w->capacity = capacity;
    }
    if (len)
        memcpy(w->bytes + w->len, bytes, len);
    w->len += len;
}

void att_jsonw_separate(struct att_jsonw *w)
{
    if (w->comma)
        att_jsonw_append(w, ",", 1);
    w->comma = true;
}

static void open_bracket(struct att_jsonw *w, const char *bracket)
{
    att_jsonw_separate(w);
    att_jsonw_append(w, bracket, 1);
    w->comma = false;
}

static void close_bracket(struct att_jsonw *w, const char *bracket)
{
    att_jsonw_append(w, bracket, 1);
    w->comma = true;
}

void att_jsonw_object_begin(struct att_jsonw *w)
{
    open_bracket(w, "{");
}

void att_jsonw_object_end(struct att_jsonw *w)
{
    close_bracket(w, "}");
}

void att_jsonw_array_begin(struct att_jsonw *w)
{
    open_bracket(w, "[");
}

void att_jsonw_array_end(struct att_jsonw *w)
{
    close_bracket(w, "]");
}

static void escaped(struct att_jsonw *w, const char *bytes, size_t len)
{
    size_t plain = 0; /* start of the run that needs no escape */
    for (size_t at = 0; at < len;) {
        unsigned char c = (unsigned char)bytes[at];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            at++;
            continue;
        }
        size_t start = at;
        char text[8];
        size_t n = 0;
        if (c >= 0x80) {
            uint32_t point = att_utf8_next(bytes, len, &at);
            if (point != 0xfffd || at - start > 1)
                continue;
            n = att_utf8_put(0xfffd, text);
        } else {
            at++;
            const char *found = strchr("\"\\\b\f\n\r\t", c);
            if (c != 0 && found) {
                text[n++] = '\\';
                text[n++] = "\"\\bfnrt"[found - "\"\\\b\f\n\r\t"];
            } else {
                n = (size_t)snprintf(text, sizeof text, "\\u%04x", c);
            }
        }
        att_jsonw_append(w, bytes + plain, start - plain);
        att_jsonw_append(w, text, n);
        plain = at;
    }
    att_jsonw_append(w, bytes + plain, len - plain);
}

void att_jsonw_string(struct att_jsonw *w, const char *bytes, size_t len)
{
    att_jsonw_separate(w);
    att_jsonw_append(w, "\"", 1);
    escaped(w, bytes, len);
    att_jsonw_append(w, "\"", 1);
}

void att_jsonw_cstring(struct att_jsonw *w, const char *text)
{
    if (text)
        att_jsonw_string(w, text, strlen(text));
    else
        att_jsonw_null(w);
}

void att_jsonw_key(struct att_jsonw *w, const char *key)
{
    att_jsonw_cstring(w, key);
    att_jsonw_append(w, ":", 1);
    w->comma = false;
}

void att_jsonw_raw(struct att_jsonw *w, const char *bytes, size_t len)
{
    att_jsonw_separate(w);
    att_jsonw_append(w, bytes, len);
}

void att_jsonw_int(struct att_jsonw *w, int64_t value)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%" PRId64, value);
    att_jsonw_raw(w, text, (size_t)n);
}

void att_jsonw_bool(struct att_jsonw *w, bool value)
{
    att_jsonw_raw(w, value ? "true" : "false", value ? 4 : 5);
}

void att_jsonw_null(struct att_jsonw *w)
{
    att_jsonw_raw(w, "null", 4);
}

void att_jsonw_float(struct att_jsonw *w, float value)
{
    if (!isfinite(value)) {
        att_jsonw_null(w);
        return;
    }
    att_jsonw_separate(w);
    if (!w->failed && w->capacity - w->len > ATT_DECIMAL_BYTES && w->limit - w->len > ATT_DECIMAL_BYTES) {
        w->len += att_decimal_print(value, w->bytes + w->len);
        return;
    }
    char text[ATT_DECIMAL_BYTES];
    att_jsonw_append(w, text, att_decimal_print(value, text));
}

void att_jsonw_double(struct att_jsonw *w, double value, int digits)
{
    assert(digits >= 1 && digits <= 17);
    if (!isfinite(value)) {
        att_jsonw_null(w);
        return;
    }
    char text[40];
    int n = snprintf(text, sizeof text, "%.*g", digits, value);
    att_jsonw_raw(w, text, (size_t)n);
}

enum att_status att_jsonw_take(struct att_jsonw *w, char **ret_bytes, size_t *ret_len, struct att_err *err)
{
    if (w->failed || !w->bytes) {
        bool over = w->over;
        att_jsonw_finish(w);
        if (over)
            return att_err_limit(err, NULL, w->limit, 0, "the answer is larger than %zu bytes", w->limit);
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    }
    w->bytes[w->len] = '\0';
    *ret_bytes = w->bytes;
    *ret_len = w->len;
    w->bytes = NULL;
    att_jsonw_finish(w);
    return ATT_OK;
}

void att_jsonw_put_text(struct att_jsonw *w, const char *key, const char *text)
{
    att_jsonw_key(w, key);
    att_jsonw_cstring(w, text);
}

void att_jsonw_put_string(struct att_jsonw *w, const char *key, const char *bytes, size_t len)
{
    att_jsonw_key(w, key);
    att_jsonw_string(w, bytes, len);
}

void att_jsonw_put_int(struct att_jsonw *w, const char *key, int64_t value)
{
    att_jsonw_key(w, key);
    att_jsonw_int(w, value);
}

void att_jsonw_put_size(struct att_jsonw *w, const char *key, size_t value)
{
    att_jsonw_put_int(w, key, (int64_t)value);
}

void att_jsonw_put_bool(struct att_jsonw *w, const char *key, bool value)
{
    att_jsonw_key(w, key);
    att_jsonw_bool(w, value);
}

void att_jsonw_put_float(struct att_jsonw *w, const char *key, float value)
{
    att_jsonw_key(w, key);
    att_jsonw_float(w, value);
}

void att_jsonw_put_double(struct att_jsonw *w, const char *key, double value, int digits)
{
    att_jsonw_key(w, key);
    att_jsonw_double(w, value, digits);
}
