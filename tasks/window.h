/*
 * Long texts in windows: a text that is longer than the model is cut into
 * overlapping windows, one job each, and the windows' outputs are aggregated.
 * Nothing is dropped unless the request asks for truncation.
 */
#ifndef TASK_WINDOW_H
#define TASK_WINDOW_H

#include "tasks/encode.h"

enum task_aggregate { TASK_AGGREGATE_MEAN, TASK_AGGREGATE_MAX, TASK_AGGREGATE_FIRST };

struct task_windows_options {
    size_t stride; /* tokens from one window's start to the next; 0: three quarters of the window */
    enum task_aggregate aggregate;
    bool truncate;                          /* one window, the rest dropped */
    size_t tokens_max;                      /* of the pair, or of the text where there is no pair; 0: no limit */
    bool logits, pooled, hidden, attention; /* what the jobs are to give */
    bool rollout;                           /* attention is that of all layers */
    const char *prompt;                     /* before a text without a pair, in every window; NULL: the default one */
};

/* One text (and pair) of a request and its windows among the call's jobs. */
struct task_windows {
    const struct task_model *model; /* that reads it */
    struct task_tokens prompt;      /* stands before every window's part of the text; count 0: none */
    struct task_tokens text, pair;  /* text.items follow the prompt's; pair.items NULL: none */
    size_t pair_count;              /* tokens of the pair that take part */
    size_t first_job, count;
    size_t room, overlap;     /* tokens of text in a window, shared with the next */
    size_t dropped;           /* tokens that no window has */
    struct task_spans *spans; /* [count] when attention is asked for, else NULL */
};

/* Reads "windows" and "truncate" of the body. */
enum att_status task_windows_parse(const struct att_json *body, struct task_windows_options *options,
                                   struct att_err *err) ATT_MUST_USE;
/* Encodes and counts the windows; jobs come later, when all texts are counted. pair may be NULL. */
enum att_status task_windows_plan(struct task_call *call, const struct task_model *model,
                                  const struct task_windows_options *options, const char *text, size_t len,
                                  const char *pair, size_t pair_len, const char *path, struct task_windows *windows,
                                  struct att_err *err) ATT_MUST_USE;
/* The same for a text that is given as an array of ids; without overlap. */
enum att_status task_windows_ids(struct task_call *call, const struct task_model *model, const struct att_json *ids,
                                 const char *path, struct task_windows *windows, struct att_err *err) ATT_MUST_USE;
/* Allocates the jobs of n texts and fills them. */
enum att_status task_windows_jobs(struct task_call *call, const struct task_windows_options *options,
                                  struct task_windows *windows, size_t n, struct att_err *err) ATT_MUST_USE;
/* logits[n_logits] of the text from those of its windows. */
void task_windows_logits(const struct task_call *call, const struct task_windows *windows,
                         enum task_aggregate aggregate, size_t n_logits, float *logits);
/* vector[hidden_size] of the text: its only window's, or the average by tokens, at length 1 where the model's are. */
void task_windows_pooled(const struct task_call *call, const struct task_model *model,
                         const struct task_windows *windows, float *vector);
/* {"count":…,"tokens":…,"dropped":…} */
void task_windows_render(const struct task_windows *windows, struct att_jsonw *answer);

#endif
