/* What tasks over lines (task_feed) have in common: reading a chunk's lines, and results a line with their errors. */
#ifndef TASK_FEED_H
#define TASK_FEED_H

#include "tasks/encode.h"

/* Query parameter "results": which results are answered; the summary counts all. */
enum task_feed_results { TASK_FEED_ALL, TASK_FEED_ERRORS, TASK_FEED_NONE };

/* The next line that is not blank, from *begin on, which moves behind it; counts lines. false: there is none. */
bool task_feed_next(struct task_feed *feed, size_t *begin, const char **ret_line, size_t *ret_len);
/* The line as JSON; one that is longer than it may be is refused. */
enum att_status task_feed_parse(const struct task_feed *feed, const char *line, size_t len, struct att_json **ret_json,
                                struct att_err *err) ATT_MUST_USE;
/* What a person sent wrong fails a line; what the machine lacks fails the call. */
bool task_feed_is_theirs(enum att_status status);
/* A copy of the error in the call's arena; NULL: no memory, as err says then. */
const struct att_err *task_feed_keep_error(struct task_call *call, struct att_err *err);

enum att_status task_feed_results_parse(struct task_call *call, enum task_feed_results *results,
                                        struct att_err *err) ATT_MUST_USE;
/* Counts a line's result as an error, or as left out; true: it is to be answered. Results beyond what an answer may
 * hold are left out: first those that went well, then the errors too. len: of the answer to this chunk so far. */
bool task_feed_count(const struct task_call *call, struct task_feed *feed, enum task_feed_results results, bool failed,
                     size_t len);
/* The member "error"; of a line, by its status. */
void task_feed_put_error(const char *code, const struct att_err *err, struct att_jsonw *answer);
void task_feed_put_line_error(const struct att_err *err, struct att_jsonw *answer);
/* The member "summary": lines (`all`: what they are called), feed->counts by `names`, which end with NULL, errors, and
 * what was left out. */
void task_feed_put_counts(const struct task_feed *feed, const char *all, const char *const *names,
                          struct att_jsonw *answer);
/* The last line of an answer: the summary, and why the feed stopped, if it did. */
void task_feed_put_summary(const struct task_feed *feed, const char *const *names, struct att_jsonw *answer);
/* Behind a document: lines are documents of their own. */
void task_feed_end_line(struct att_jsonw *answer);

#endif
