/*
 * Entities by a token-classification model: jobs over a text, and the spans that
 * its labels mark ("B-ORG", "I-ORG", …; "O": nothing). A word counts by the label
 * of its first piece.
 */
#ifndef TASK_NER_H
#define TASK_NER_H

#include "tasks/encode.h"

enum { TASK_NER_LABELS_MAX = 256, TASK_NER_JOBS_MAX = 8 }; /* windows of one text; what is longer is read so far */

struct task_ner {
    size_t first_job, n_jobs;
    struct task_tokens tokens;
    struct task_spans spans[TASK_NER_JOBS_MAX];
};

struct task_ner_span {
    size_t start, end; /* bytes of the text */
    const char *type;  /* the label behind "B-" or "I-" */
};

/* Encodes the text and says how many jobs it needs. */
enum att_status task_ner_plan(struct task_call *call, const struct task_model *model, const char *text, size_t len,
                              struct task_ner *ner, struct att_err *err) ATT_MUST_USE;
/* Fills the ner->n_jobs jobs from call->n_jobs on, and counts them there. */
enum att_status task_ner_jobs(struct task_call *call, const struct task_model *model, struct task_ner *ner,
                              struct att_err *err) ATT_MUST_USE;
/* At most max spans of the text, in order; their number. */
size_t task_ner_read(const struct task_call *call, const struct task_model *model, const struct task_ner *ner,
                     const char *text, struct task_ner_span *spans, size_t max);

#endif
