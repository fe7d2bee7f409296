/* What every call about one knowledge base has: POST, PUT, GET and DELETE below /v1/kb/{kb}. */
#ifndef TASK_KB_CALL_H
#define TASK_KB_CALL_H

#include "store/kb.h"
#include "tasks/kb/kb_entry.h"

struct task_kb_call {
    const struct task_kb *kb;
    struct store_kb_entry *entries; /* of the body */
    size_t n_entries;
    int64_t id;                       /* of the path, or 0 */
    const struct store_kb_view *view; /* held until finish, for reads */
    void *state;                      /* of the task that needs more */
};

/* The call's state, the knowledge base of its path and, where the path has one, the entry's id. */
enum att_status task_kb_begin(struct task_call *call, bool with_id, struct task_kb_call **ret,
                              struct att_err *err) ATT_MUST_USE;
void task_kb_finish(struct task_call *call);
/* The store's words name a file, which is nobody's business outside; only ATT_EBUSY would carry them there. */
enum att_status task_kb_told(enum att_status status, struct att_err *err);

#endif
