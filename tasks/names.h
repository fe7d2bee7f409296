/* A set of names in the arena of a call: which were met before, which are excluded. */
#ifndef TASK_NAMES_H
#define TASK_NAMES_H

#include "tasks/encode.h"

struct task_names {
    const char **slots; /* borrowed strings; NULL: empty */
    size_t mask, count, capacity;
};

/* Room for `capacity` names. */
enum att_status task_names_init(struct task_call *call, size_t capacity, struct task_names *names,
                                struct att_err *err) ATT_MUST_USE;
/* True when the name is new. */
bool task_names_add(struct task_names *names, const char *name);
bool task_names_has(const struct task_names *names, const char *name);

#endif
