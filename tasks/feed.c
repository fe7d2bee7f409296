/* See feed.h. */
#include "tasks/feed.h"

#include <string.h>

enum { DEPTH_MAX = 8 };

bool task_feed_next(struct task_feed *feed, size_t *begin, const char **ret_line, size_t *ret_len)
{
    while (*begin < feed->len) {
        const char *line = feed->text + *begin;
        const char *newline = memchr(line, '\n', feed->len - *begin);
        size_t len = newline ? (size_t)(newline - line) : feed->len - *begin, blank = 0;
        *begin += len + 1;
        if (feed->n_lines == 0 && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark */
            line += 3;
            len -= 3;
        }
        while (blank < len && (line[blank] == ' ' || line[blank] == '\t' || line[blank] == '\r'))
            blank++;
        feed->n_lines++;
        if (blank == len)
            continue;
        *ret_line = line;
        *ret_len = len;
        return true;
    }
    return false;
}

enum att_status task_feed_parse(const struct task_feed *feed, const char *line, size_t len, struct att_json **ret_json,
                                struct att_err *err)
{
    if (len > feed->line_bytes_max)
        return att_err_limit(err, NULL, feed->line_bytes_max, len, "the line is longer than %zu bytes",
                             feed->line_bytes_max);
    return att_json_parse(line, len, 0, DEPTH_MAX, ret_json, err);
}

bool task_feed_is_theirs(enum att_status status)
{
    return status == ATT_EINVAL || status == ATT_ESYNTAX || status == ATT_ELIMIT;
}

const struct att_err *task_feed_keep_error(struct task_call *call, struct att_err *err)
{
    struct att_err *kept = task_alloc(call, 1, sizeof *kept, err);
    if (kept)
        *kept = *err;
    return kept;
}

enum att_status task_feed_results_parse(struct task_call *call, enum task_feed_results *results, struct att_err *err)
{
    static const char *const names[] = {"results", NULL};
    static const char *const words[] = {"all", "errors", "none", NULL};
    size_t word = TASK_FEED_ALL;
    enum att_status status = task_query_known(call, names, err);
    if (status == ATT_OK)
        status = task_query_enum(call, "results", words, &word, err);
    *results = (enum task_feed_results)word;
    return status;
}

static bool shows(const struct task_call *call, const struct task_feed *feed, enum task_feed_results results,
                  bool failed, size_t len)
{
    size_t limit = call->env->limits.answer_bytes_max, used = feed->answer_bytes + len;
    if (results == TASK_FEED_NONE || (results == TASK_FEED_ERRORS && !failed))
        return false;
    return used < (failed ? limit / 4 * 3 : limit / 2);
}

bool task_feed_count(const struct task_call *call, struct task_feed *feed, enum task_feed_results results, bool failed,
                     size_t len)
{
    bool shown = shows(call, feed, results, failed, len);
    feed->n_errors += failed;
    feed->n_omitted += !shown;
    return shown;
}

void task_feed_put_error(const char *code, const struct att_err *err, struct att_jsonw *answer)
{
    att_jsonw_key(answer, "error");
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "code", code);
    att_jsonw_put_text(answer, "message", err->message);
    att_jsonw_put_text(answer, "param", err->param[0] ? err->param : NULL);
    att_jsonw_object_end(answer);
}

void task_feed_put_line_error(const struct att_err *err, struct att_jsonw *answer)
{
    const char *code = err->status == ATT_ELIMIT    ? "limit_exceeded"
                       : err->status == ATT_ESYNTAX ? "malformed_line"
                                                    : "invalid_value";
    task_feed_put_error(code, err, answer);
}

void task_feed_put_counts(const struct task_feed *feed, const char *all, const char *const *names,
                          struct att_jsonw *answer)
{
    att_jsonw_key(answer, "summary");
    att_jsonw_object_begin(answer);
    att_jsonw_put_size(answer, all, feed->n_lines);
    for (size_t i = 0; names[i]; i++)
        att_jsonw_put_size(answer, names[i], feed->counts[i]);
    att_jsonw_put_size(answer, "error", feed->n_errors);
    att_jsonw_put_size(answer, "omitted", feed->n_omitted);
    att_jsonw_object_end(answer);
}

void task_feed_put_summary(const struct task_feed *feed, const char *const *names, struct att_jsonw *answer)
{
    att_jsonw_object_begin(answer);
    task_feed_put_counts(feed, "lines", names, answer);
    if (feed->failed)
        task_feed_put_error("stopped", feed->failed, answer);
    att_jsonw_object_end(answer);
    task_feed_end_line(answer);
}

void task_feed_end_line(struct att_jsonw *answer)
{
    answer->comma = false;
    att_jsonw_raw(answer, "\n", 1);
    answer->comma = false;
}
