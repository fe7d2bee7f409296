/* Quality figures of classifiers. Pure functions over predictions. */
#ifndef CLI_METRICS_H
#define CLI_METRICS_H

#include <stddef.h>

/* One prediction: the label with the largest probability, and that probability. */
struct cli_prediction {
    size_t expected, predicted; /* label numbers; expected SIZE_MAX: none of the labels (out of scope) */
    double score;               /* in [0, 1] */
};

/* All over the in-scope predictions alone; NAN when there is none. */
double cli_accuracy(const struct cli_prediction *predictions, size_t n);
/* Mean over the labels that were expected or predicted of 2·hits / (expected + predicted). counts: work space of
 * 3 * n_labels. */
double cli_macro_f1(const struct cli_prediction *predictions, size_t n, size_t n_labels, size_t *counts);
/* Expected calibration error: |accuracy − mean score| over 15 bins of equal width, weighted by their size (Guo et al.
 * 2017). */
double cli_ece(const struct cli_prediction *predictions, size_t n);
/* Probability that an in-scope score is above an out-of-scope one, ties count half. Sorts the predictions by score. */
double cli_auroc(struct cli_prediction *predictions, size_t n);

#endif
