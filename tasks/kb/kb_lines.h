/* Entries as lines: the body of PUT /v1/kb/{kb}/entries as NDJSON; call->state is the begun task_kb_call. */
#ifndef TASK_KB_LINES_H
#define TASK_KB_LINES_H

#include "tasks/kb/kb_call.h"

enum att_status task_kb_lines_parse(struct task_call *call, struct att_err *err) ATT_MUST_USE;
/* Stores the chunk and answers its results. */
enum att_status task_kb_lines_render(struct task_call *call, struct att_jsonw *answer,
                                     struct att_err *err) ATT_MUST_USE;
void task_kb_lines_finish(struct task_call *call);

#endif
