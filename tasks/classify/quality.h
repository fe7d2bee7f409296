/*
 * Quality figures of classifiers and rankings, each with an interval. Figures are
 * pure functions over rows that count once, or as often as a resample has them;
 * intervals are the bootstrap's (Efron 1979): 1,000 resamples of the rows, drawn
 * with a fixed seed, and the 2.5th and 97.5th percentile of the figure.
 */
#ifndef TASK_QUALITY_H
#define TASK_QUALITY_H

#include <stddef.h>
#include <stdint.h>

#include "core/attend.h"

#define TASK_LABEL_OUTSIDE SIZE_MAX /* none of the labels: out of scope */

/* One prediction: the label with the largest probability, and that probability. */
struct task_prediction {
    size_t expected, predicted; /* label numbers; expected may be TASK_LABEL_OUTSIDE */
    double score;               /* in [0, 1] */
    double outside;             /* chance that it is none of the labels; 0 where the head does not say */
};
/* What says whether to answer: the chance that it is a label at all, times that it is this one. */
double task_confidence(const struct task_prediction *prediction);

/* counts[n]: how often each row counts; NULL: once. But for task_auroc all are over the in-scope predictions alone.
 * NAN when there is none. */
double task_accuracy(const struct task_prediction *predictions, const uint32_t *counts, size_t n);
/* Mean over the labels that were expected or predicted of 2·hits / (expected + predicted). space: of 3 * n_labels. */
double task_macro_f1(const struct task_prediction *predictions, const uint32_t *counts, size_t n, size_t n_labels,
                     size_t *space);
/* Expected calibration error: |accuracy − mean score| over 15 bins of equal width, weighted by their size (Guo et al.
 * 2017). */
double task_ece(const struct task_prediction *predictions, const uint32_t *counts, size_t n);
/* Probability that an in-scope confidence is above an out-of-scope one, ties count half. The predictions are sorted by
 * task_predictions_sort. */
double task_auroc(const struct task_prediction *sorted, const uint32_t *counts, size_t n);
void task_predictions_sort(struct task_prediction *predictions, size_t n);

/* low and high are NAN where a figure has none. */
struct task_interval {
    double value, low, high;
};

struct task_quality {
    size_t rows, outside; /* in scope, out of scope */
    struct task_interval accuracy, macro_f1, ece, auroc;
};

/* Sorts the predictions by confidence. */
enum att_status task_quality_measure(struct task_prediction *predictions, size_t n, size_t n_labels,
                                     struct task_quality *ret, struct att_err *err) ATT_MUST_USE;
/* Of the mean of one value a row: reciprocal ranks, hits, gains. n >= 1. */
enum att_status task_interval_mean(const double *values, size_t n, struct task_interval *ret,
                                   struct att_err *err) ATT_MUST_USE;

/* Several labels a row, as sets of 0 and 1, [n][n_labels]. */
struct task_quality_several {
    struct task_interval micro_f1, macro_f1, exact; /* exact: rows whose whole set is right */
};
enum att_status task_quality_several(const unsigned char *expected, const unsigned char *predicted, size_t n,
                                     size_t n_labels, struct task_quality_several *ret,
                                     struct att_err *err) ATT_MUST_USE;

/* Of one label: rows that have it, that were given it, and that were rightly. */
struct task_label_count {
    size_t expected, predicted, right;
};
void task_labels_count(const unsigned char *expected, const unsigned char *predicted, size_t n, size_t n_labels,
                       struct task_label_count *counts);
/* "labels":{LABEL:{expected,predicted,right,precision,recall,f1}} of the open object. */
void task_labels_render(const char *const *labels, const struct task_label_count *counts, size_t n_labels,
                        struct att_jsonw *answer);
double task_label_f1(const struct task_label_count *count);

/* One named figure of a report. */
struct task_figure {
    const char *name;
    struct task_interval interval;
};
enum { TASK_FIGURES_MAX = 4 };
/* The figures of struct task_quality by their names in reports; how many. */
size_t task_quality_figures(const struct task_quality *quality, struct task_figure figures[TASK_FIGURES_MAX]);
size_t task_quality_several_figures(const struct task_quality_several *quality,
                                    struct task_figure figures[TASK_FIGURES_MAX]);
/* Members of the open object: each figure's value, and "intervals":{NAME:[low,high]} of those that have one. */
void task_figures_render(const struct task_figure *figures, size_t n, struct att_jsonw *answer);

#endif
