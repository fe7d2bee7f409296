/* See span.h. */
#include "tasks/news/span.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "news/time.h"

static const int64_t last_s = 253402300799, span_ms_max = 3650LL * 86400000;

static enum att_status read_time(const char *name, const char *text, int offset_minutes, int64_t *ret_ms,
                                 struct att_err *err)
{
    char *end = NULL;
    if (news_time_parse(text, offset_minutes, ret_ms))
        return ATT_OK;
    errno = 0;
    long long seconds = *text >= '0' && *text <= '9' && strlen(text) < 16 ? strtoll(text, &end, 10) : -1;
    if (seconds < 0 || *end || errno != 0 || seconds > last_s)
        return att_err_param(err, ATT_EINVAL, name,
                             "%s: is \"%.40s\", expected a time such as 2026-11-28, 2026-11-28T09:30:00Z or seconds "
                             "since 1970",
                             name, text);
    *ret_ms = seconds * 1000;
    return ATT_OK;
}

enum att_status task_span_read(const struct task_span_words *words, int64_t now_ms, int64_t default_ms,
                               struct task_span *ret_span, struct att_err *err)
{
    struct task_span span = {.to_ms = now_ms};
    int64_t length_ms = default_ms;
    enum att_status status = ATT_OK;
    if (words->utc_offset && !news_time_offset_parse(words->utc_offset, &span.offset_minutes))
        return att_err_param(err, ATT_EINVAL, "utc_offset",
                             "utc_offset: is \"%.40s\", expected Z or hours and minutes such as +08:00",
                             words->utc_offset);
    if (words->window && !news_time_span_parse(words->window, &length_ms))
        return att_err_param(err, ATT_EINVAL, "window",
                             "window: is \"%.40s\", expected minutes, hours or days such as 90m, 24h or 7d",
                             words->window);
    if (words->window && words->from)
        return att_err_param(err, ATT_EINVAL, "window", "window: stands beside from, expected one of them");
    if (words->to)
        status = read_time("to", words->to, span.offset_minutes, &span.to_ms, err);
    span.from_ms = span.to_ms - length_ms;
    if (status == ATT_OK && words->from)
        status = read_time("from", words->from, span.offset_minutes, &span.from_ms, err);
    if (status != ATT_OK)
        return status;
    span.from_ms = span.from_ms < 0 ? 0 : span.from_ms;
    if (span.from_ms >= span.to_ms)
        return att_err_param(err, ATT_EINVAL, words->from ? "from" : "to", "from: is not before to");
    if (span.to_ms - span.from_ms > span_ms_max)
        return att_err_param(err, ATT_EINVAL, "from", "from: more than 3650 days before to");
    *ret_span = span;
    return ATT_OK;
}
