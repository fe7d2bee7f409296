/*
 * What the tasks of TEI's paths share (Hugging Face text-embeddings-inference).
 * There a text is one sequence of the model: longer ones are refused, or cut where
 * "truncate" is true. Bodies name no model there; ours may.
 */
#ifndef TASK_WIRE_TEI_H
#define TASK_WIRE_TEI_H

#include "tasks/window.h"

struct task_tei {
    const struct task_model *model;
    bool truncate, left; /* left: the beginning of the text is dropped */
    const char *prompt;  /* of prompt_name; NULL: none was named */
};

/* deadline_ms and priority, the model for `task`, and of `object` (named `path`; the body or a part of it) truncate,
 * truncation_direction and prompt_name. */
enum att_status task_tei_parse(struct task_call *call, const struct att_json *body, const char *task,
                               const struct att_json *object, const char *path, struct task_tei *tei,
                               struct att_err *err) ATT_MUST_USE;
/* How many values "inputs" holds: 1 for a value alone. ATT_ESYNTAX (told as "Empty") for none. `single`: is it one
 * value by itself. */
enum att_status task_tei_count(const struct task_call *call, const struct att_json *inputs, bool single,
                               const char *path, size_t *ret_n, struct att_err *err) ATT_MUST_USE;
/* One text (and pair, or NULL) as one sequence. An empty text is "Empty" unless it has a pair. */
enum att_status task_tei_plan(struct task_call *call, const struct task_tei *tei, const struct att_json *text,
                              const struct att_json *pair, const char *path, struct task_windows *windows,
                              struct att_err *err) ATT_MUST_USE;
/* An array of token ids as one sequence. */
enum att_status task_tei_plan_ids(struct task_call *call, const struct task_tei *tei, const struct att_json *ids,
                                  const char *path, struct task_windows *windows, struct att_err *err) ATT_MUST_USE;

#endif
