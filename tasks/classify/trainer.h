/*
 * A calibrated head from labelled vectors: logistic regression over the frozen
 * encoder (core/fit.c). Cross-validation chooses the penalty and gives logits of
 * rows that the head has not seen; from these come temperature, thresholds and
 * the figures that the head is presented with. The head itself is then fitted on all
 * rows. Same rows in the same order, same head.
 */
#ifndef TASK_TRAINER_H
#define TASK_TRAINER_H

#include "tasks/classify/quality.h"

enum { TASK_LABELS_MAX = 1000, TASK_HEAD_CELLS_MAX = 1 << 20 };

struct task_examples {
    size_t n, n_features, n_labels;
    const float *features;        /* [n][n_features] */
    const int32_t *labels;        /* [n]; -1: out of scope. At least two rows of every label. Or */
    const unsigned char *several; /* [n][n_labels] of 0 and 1 */
    double precision;             /* of the answers that the head gives; 0: not asked for */
};

struct task_head {
    float *weight, *bias; /* [n_labels][n_features], [n_labels] */
    float *thresholds;    /* [n_labels] of several; else NULL */
    double temperature, c;
    double scope_scale, scope_bias;                     /* of att_head_in_scope; scale 0: no rows out of scope */
    bool abstains;                                      /* below out_of_scope_threshold */
    double out_of_scope_threshold, answered, precision; /* of the rows in scope: answered, and right of these */
    size_t folds;
    struct task_figure figures[TASK_FIGURES_MAX]; /* cross-validated */
    size_t n_figures;
};

/* Free with task_head_finish, also after a failure. */
enum att_status task_head_train(const struct task_examples *examples, struct task_head *ret_head,
                                struct att_err *err) ATT_MUST_USE;
void task_head_finish(struct task_head *head);

#endif
