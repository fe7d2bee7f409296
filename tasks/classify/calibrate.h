/*
 * From logits and true labels to the numbers of a head that are no weights: its
 * temperature (Guo et al. 2017), the thresholds of several labels, and the score
 * below which it had better not answer. Pure functions.
 */
#ifndef TASK_CALIBRATE_H
#define TASK_CALIBRATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows of logits with their labels. A row whose label is negative is out of scope and does not count for the
 * temperature. */
struct task_logits {
    const float *logits; /* [n][n_labels] */
    size_t n, n_labels;
    const int32_t *labels;        /* [n]; or */
    const unsigned char *several; /* [n][n_labels] of 0 and 1 */
};

/* The temperature, 0.05 to 20, under which the labels are most likely, if one more row were right and one wrong (few
 * rows make no certainty); 1 without rows. */
double task_temperature_fit(const struct task_logits *rows);
/* Mean negative log likelihood of the labels under a temperature. */
double task_log_loss(const struct task_logits *rows, double temperature);

/* How sure `right` is by a value that rises with it: *ret_scale · value + *ret_bias is the logit, where both kinds are
 * taken to be equally many (Platt's scaling, with his targets: a handful of rows makes nothing certain). scale 0 where
 * one kind is missing or the value does not rise. */
struct task_scored;
void task_scale_fit(const struct task_scored *rows, size_t n, double *ret_scale, double *ret_bias);

/* Scores with whether each was right; the functions sort them, best first. */
struct task_scored {
    double score;
    bool right;
};
/* How sure a wanted precision is to be kept by texts to come: the share of right answers that was seen, or what it is
 * at least with 95 % certainty (Wilson's lower bound, one-sided), which needs 52 right answers for .95. */
enum task_surety { TASK_SEEN, TASK_SURE };
/* The least score from which on at least `precision` of the answers were right; false when no score reaches that.
 * *ret_share: the part that is answered. */
bool task_threshold_precision(struct task_scored *scored, size_t n, double precision, enum task_surety surety,
                              double *ret_threshold, double *ret_share);
/* The score from which on F1 is largest; 0.5 where nothing is right. */
double task_threshold_f1(struct task_scored *scored, size_t n);
/* The score that parts `right` (in scope) from the rest best: largest sum of both shares (Youden's J). */
double task_threshold_parting(struct task_scored *scored, size_t n);
/* The threshold of each label of rows with several: for the precision, or for F1 where that is 0. A label that does not
 * reach the precision keeps what stands in thresholds[n_labels]. space: of rows->n. */
void task_thresholds_fit(const struct task_logits *rows, double temperature, double precision, enum task_surety surety,
                         struct task_scored *space, double *thresholds);

#endif
