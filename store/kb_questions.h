/*
 * Questions of customers that a knowledge base keeps: those it had no single
 * answer to (when the configuration asks for it), and those whose answer was
 * accepted, rejected or passed on to a person. They are personal data: each
 * write drops what is older or more than the retention allows.
 */
#ifndef STORE_KB_QUESTIONS_H
#define STORE_KB_QUESTIONS_H

#include "core/base/mem.h"
#include "store/kb.h"

enum { STORE_KB_QUESTION_BYTES_MAX = 4096 };

/* As numbers in the file: append only. */
enum store_kb_kind {
    STORE_KB_HANDOFF,
    STORE_KB_CLARIFY,
    STORE_KB_ACCEPTED,
    STORE_KB_REJECTED,
    STORE_KB_ESCALATED,
    STORE_KB_KINDS
};

struct store_kb_question {
    int64_t id;   /* ascending in order of arrival; given by the store */
    int64_t time; /* Unix seconds */
    enum store_kb_kind kind;
    int64_t entry;     /* that was answered, or best; 0: none */
    const char *reply; /* "rep-…", or ""; with a reply, a question of the same kind is kept once */
    const char *text;
};

struct store_kb_retention {
    int64_t since; /* Unix seconds: what is older goes */
    size_t max;    /* the newest that stay; at least 1 */
};

/* Durable when it returns. *ret_added: those that were not there. Errors as store_kb_put's; readers are not disturbed.
 */
enum att_status store_kb_questions_add(struct store_kb *kb, const struct store_kb_question *questions, size_t n,
                                       const struct store_kb_retention *retention, size_t *ret_added,
                                       struct att_err *err) ATT_MUST_USE;
/* The newest `max` of time >= since, newest first, copied into the arena. */
enum att_status store_kb_questions_read(struct store_kb *kb, int64_t since, size_t max, struct att_arena *arena,
                                        struct store_kb_question **ret_questions, size_t *ret_count,
                                        struct att_err *err) ATT_MUST_USE;
/* Forgets all of them; how many there were. */
enum att_status store_kb_questions_clear(struct store_kb *kb, size_t *ret_removed, struct att_err *err) ATT_MUST_USE;

#endif
