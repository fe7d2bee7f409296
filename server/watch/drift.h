/*
 * Drift: whether what is asked and answered still looks as it did. For every head
 * the last answers (labels, confidences) are compared with a reference: what
 * `attend fit` wrote beside the head, else the first answers of this process. For every model
 * the share of tokens it does not know, for every knowledge base the share of
 * questions handed to a person. Counts alone; no text is kept.
 *
 * Locks itself; any thread.
 */
#ifndef SRV_DRIFT_H
#define SRV_DRIFT_H

#include "server/models/models.h"

struct srv_drift;
#define SRV_DRIFT_ABSTAINED "(abstained)"

/* window: answers that are compared, 0: none are. */
enum att_status srv_drift_create(size_t window, struct srv_drift **ret_drift, struct att_err *err) ATT_MUST_USE;
void srv_drift_destroy(struct srv_drift *drift); /* NULL is allowed */
/* What an answered call observed. A series that there is no memory for is not kept. */
void srv_drift_observe(struct srv_drift *drift, const struct task_call *call);

/* One figure of one moment. */
struct srv_drift_figure {
    enum srv_drift_kind {
        SRV_DRIFT_ROWS,
        SRV_DRIFT_LABELS,     /* population stability index of the label mix */
        SRV_DRIFT_CONFIDENCE, /* and of the confidences */
        SRV_DRIFT_SHARE,      /* of each label, and of the answers that abstained; heads of few labels */
        SRV_DRIFT_SHARE_REFERENCE,
        SRV_DRIFT_SCORE, /* mean confidence, to a bin */
        SRV_DRIFT_SCORE_REFERENCE,
        SRV_DRIFT_UNKNOWN,
        SRV_DRIFT_UNKNOWN_REFERENCE,
        SRV_DRIFT_UNMATCHED,
        SRV_DRIFT_UNMATCHED_REFERENCE,
        SRV_DRIFT_KINDS
    } kind;
    const char *name, *head; /* of the model or the knowledge base; head "" where there is none */
    const char *label;       /* of a share, SRV_DRIFT_ABSTAINED where none was given; else NULL */
    double value;
    bool is_kb; /* what `name` is of */
};
/* Calls `visit` for every figure of one kind that has enough rows, with the lock held: it must be quick. */
void srv_drift_visit(struct srv_drift *drift, enum srv_drift_kind kind,
                     void (*visit)(void *context, const struct srv_drift_figure *figure), void *context);

#endif
