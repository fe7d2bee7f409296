/*
 * Filling struct att_err. Messages end up in logs and answers, so whatever a
 * hostile name brings is cut at a character and stripped of control bytes here,
 * once, for every caller.
 */
#include "core/base/status.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/utf8.h"

/* Replaces what is not printable UTF-8 and drops a character cut at the end. */
static void clean(char *text)
{
    size_t len = strlen(text), at = 0, to = 0;
    while (at < len) {
        size_t start = at;
        uint32_t c = att_utf8_next(text, len, &at);
        bool bad =
            (c == 0xfffd && at - start == 1) || c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
        if (bad) {
            /* The tail of a cut character is dropped rather than shown as marks. */
            if (c == 0xfffd && len - start < 4)
                break;
            text[to++] = '?';
        } else {
            memmove(text + to, text + start, at - start);
            to += at - start;
        }
    }
    text[to] = '\0';
}

static enum att_status fill(struct att_err *err, enum att_status status, const char *param, const char *fmt,
                            va_list args) ATT_PRINTF(4, 0);

static enum att_status fill(struct att_err *err, enum att_status status, const char *param, const char *fmt,
                            va_list args)
{
    assert(status != ATT_OK);
    assert(status < ATT_STATUS_COUNT);
    if (!err)
        return status;
    err->status = status;
    err->limit = err->given = 0;
    vsnprintf(err->message, sizeof err->message, fmt, args);
    clean(err->message);
    snprintf(err->param, sizeof err->param, "%s", param ? param : "");
    clean(err->param);
    return status;
}

enum att_status att_err_set(struct att_err *err, enum att_status status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fill(err, status, NULL, fmt, args);
    va_end(args);
    return status;
}

enum att_status att_err_param(struct att_err *err, enum att_status status, const char *param, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fill(err, status, param, fmt, args);
    va_end(args);
    return status;
}

enum att_status att_err_limit(struct att_err *err, const char *param, uint64_t limit, uint64_t given, const char *fmt,
                              ...)
{
    va_list args;
    va_start(args, fmt);
    fill(err, ATT_ELIMIT, param, fmt, args);
    va_end(args);
    if (err) {
        err->limit = limit;
        err->given = given;
    }
    return ATT_ELIMIT;
}

enum att_status att_err_prefix(struct att_err *err, const char *fmt, ...)
{
    if (!err)
        return ATT_EINTERNAL;
    char joined[ATT_ERR_MESSAGE_MAX], prefix[ATT_ERR_MESSAGE_MAX / 2];
    va_list args;
    va_start(args, fmt);
    vsnprintf(prefix, sizeof prefix, fmt, args);
    va_end(args);
    int room = (int)(sizeof joined - strlen(prefix)) - 3;
    snprintf(joined, sizeof joined, "%s: %.*s", prefix, room, err->message);
    clean(joined);
    memcpy(err->message, joined, sizeof joined);
    return err->status;
}
