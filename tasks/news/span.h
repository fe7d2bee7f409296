/* The time that trends and reports are about: from, to, window and utc_offset, of a query or a body. */
#ifndef TASK_SPAN_H
#define TASK_SPAN_H

#include "tasks/task.h"

struct task_span {
    int64_t from_ms, to_ms; /* [from, to) */
    int offset_minutes;     /* of dates without a time, and of what is shown */
};

/* As they are written; NULL: not given. Times: what news/time.h takes, or seconds since 1970. */
struct task_span_words {
    const char *from, *to, *window, *utc_offset;
};

/* to: else `now_ms`; from: else to - window; window ("24h"): else default_ms. At most ten years. Errors name the
 * parameter. */
enum att_status task_span_read(const struct task_span_words *words, int64_t now_ms, int64_t default_ms,
                               struct task_span *ret_span, struct att_err *err) ATT_MUST_USE;

#endif
