/*
 * The seam between POST /v1/feedback and what becomes of an event. The frame
 * (tasks/feedback.c) reads one event or {"events":[…]}, gives each kind the
 * events whose "type" is a word of its own, and adds up what they stored.
 *
 * A new sort of feedback is a file tasks/feedback_NAME.c with one struct
 * task_feedback_kind, declared here and named in the list of tasks/feedback.c.
 * Kinds check their events' members themselves, all of them before anything is
 * stored, and store them all in one transaction; a repeated request must change
 * nothing more, because a client that got no answer sends it again.
 */
#ifndef TASK_FEEDBACK_H
#define TASK_FEEDBACK_H

#include "tasks/encode.h"

enum { TASK_USER_BYTES_MAX = 128 };

struct task_feedback_event {
    const struct att_json *object; /* lives as long as the call */
    const char *path;              /* "events[3]", or "" for a single event */
    size_t type;                   /* index into the kind's types */
};

struct task_feedback_counts {
    size_t stored, duplicates, expired;
};

struct task_feedback_kind {
    const char *const *types; /* NULL-terminated words of "type" */
    /* Checks all events of this kind, at least one, and leaves what is to be stored in *ret_state, in the arena. */
    enum att_status (*parse)(struct task_call *call, const struct task_feedback_event *events, size_t n,
                             void **ret_state, struct att_err *err);
    /* On the writer's thread. Adds to the counts. */
    enum att_status (*store)(struct task_call *call, void *state, struct task_feedback_counts *counts,
                             struct att_err *err);
};

/* view, click, rate, buy: what recommend reads as a user's history. */
extern const struct task_feedback_kind task_feedback_items;
/* accepted, rejected, escalated: what became of a reply. */
extern const struct task_feedback_kind task_feedback_replies;

/* The optional or required text `name` of an event: at most max bytes, at least 1 where it is present. */
enum att_status task_feedback_text(const struct task_call *call, const struct task_feedback_event *event,
                                   const char *name, bool required, size_t max, const char **ret_text,
                                   struct att_err *err) ATT_MUST_USE;

#endif
