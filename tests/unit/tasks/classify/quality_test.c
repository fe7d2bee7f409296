/* Quality figures against values worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "tasks/classify/quality.h"

static const double close = 1e-12;

static void accuracy_leaves_out_what_is_out_of_scope(void **state)
{
    (void)state;
    const struct task_prediction p[] = {{0, 0, .9, 0}, {1, 0, .8, 0}, {1, 1, .7, 0}, {TASK_LABEL_OUTSIDE, 1, .6, 0}};
    assert_true(fabs(task_accuracy(p, NULL, 4) - 2.0 / 3) < close);
    assert_true(isnan(task_accuracy(p + 3, NULL, 1)));
    assert_true(isnan(task_accuracy(p, NULL, 0)));
}

/* Label 0: 2·1/(1+2), label 1: 2·1/(2+1), label 2 predicted once: 0, label 3 never seen: left out. */
static void macro_f1_is_over_labels_that_occur(void **state)
{
    (void)state;
    const struct task_prediction p[] = {
        {0, 0, 0, 0}, {1, 0, 0, 0}, {1, 1, 0, 0}, {0, 2, 0, 0}, {TASK_LABEL_OUTSIDE, 3, 0, 0}};
    size_t counts[12];
    double expected = (2.0 * 1 / (2 + 2) + 2.0 * 1 / (2 + 1) + 0) / 3;
    assert_true(fabs(task_macro_f1(p, NULL, 5, 4, counts) - expected) < close);
    assert_true(isnan(task_macro_f1(p, NULL, 0, 4, counts)));
}

/* Two bins: scores .95 and .95 with one hit (|1 - 1.9|), .5 with a hit (|1 - .5|). */
static void ece_weighs_bins_by_their_size(void **state)
{
    (void)state;
    const struct task_prediction p[] = {{0, 0, .95, 0}, {1, 0, .95, 0}, {2, 2, .5, 0}};
    const struct task_prediction edge[] = {{0, 0, 1.0, 0}, {0, 0, 0.0, 0}};
    assert_true(fabs(task_ece(p, NULL, 3) - (0.9 + 0.5) / 3) < close);
    assert_true(fabs(task_ece(edge, NULL, 2) - 0.5) < close);
}

static double auroc(struct task_prediction *predictions, size_t n)
{
    task_predictions_sort(predictions, n);
    return task_auroc(predictions, NULL, n);
}

static void auroc_counts_ties_half(void **state)
{
    (void)state;
    struct task_prediction apart[] = {
        {0, 0, .9, 0}, {TASK_LABEL_OUTSIDE, 0, .1, 0}, {0, 0, .8, 0}, {TASK_LABEL_OUTSIDE, 0, .2, 0}};
    struct task_prediction tied[] = {{0, 0, .5, 0}, {TASK_LABEL_OUTSIDE, 0, .5, 0}, {TASK_LABEL_OUTSIDE, 0, .5, 0}};
    /* pairs: .9>.7, .9>.3, .6<.7, .6>.3 and .7 tied once */
    struct task_prediction mixed[] = {
        {0, 0, .9, 0}, {0, 0, .6, 0}, {0, 0, .7, 0}, {TASK_LABEL_OUTSIDE, 0, .7, 0}, {TASK_LABEL_OUTSIDE, 0, .3, 0}};
    assert_true(fabs(auroc(apart, 4) - 1) < close);
    assert_true(fabs(auroc(tied, 3) - 0.5) < close);
    assert_true(fabs(auroc(mixed, 5) - (1 + 1 + 0 + 1 + 0.5 + 1) / 6) < close);
    assert_true(isnan(auroc(apart, 0)));
    /* One that is sure of its label, and as sure that the text is none. */
    struct task_prediction doubted[] = {{0, 0, .6, .1}, {TASK_LABEL_OUTSIDE, 0, .9, .9}};
    assert_true(fabs(task_confidence(&doubted[1]) - .09) < close);
    assert_true(fabs(auroc(doubted, 2) - 1) < close);
}

/* A row that counts three times is three rows. */
static void counts_are_repeated_rows(void **state)
{
    (void)state;
    struct task_prediction once[] = {{0, 0, .9, 0}, {1, 0, .8, 0}, {TASK_LABEL_OUTSIDE, 0, .7, 0}, {1, 1, .6, 0}};
    struct task_prediction thrice[] = {
        {0, 0, .9, 0}, {1, 0, .8, 0}, {1, 0, .8, 0}, {1, 0, .8, 0}, {TASK_LABEL_OUTSIDE, 0, .7, 0}};
    const uint32_t counts[] = {0, 1, 3, 1}; /* sorted: .6, .7, .8, .9 */
    size_t space[6];
    task_predictions_sort(once, 4);
    task_predictions_sort(thrice, 5);
    assert_true(task_accuracy(once, counts, 4) == task_accuracy(thrice, NULL, 5));
    assert_true(task_macro_f1(once, counts, 4, 2, space) == task_macro_f1(thrice, NULL, 5, 2, space));
    assert_true(fabs(task_ece(once, counts, 4) - task_ece(thrice, NULL, 5)) < close);
    assert_true(fabs(task_auroc(once, counts, 4) - task_auroc(thrice, NULL, 5)) < close);
}

/* The interval of a share has the width that the binomial law gives, and is the same every time. */
static void intervals_cover_what_they_should(void **state)
{
    (void)state;
    struct task_prediction p[400];
    struct task_quality first, second;
    struct att_err err;
    for (size_t i = 0; i < 400; i++)
        p[i] = (struct task_prediction){i % 2, i % 5 == 0 ? 1 - i % 2 : i % 2, 0.5 + (double)i / 1000, 0};
    assert_int_equal(task_quality_measure(p, 400, 2, &first, &err), ATT_OK);
    assert_int_equal(task_quality_measure(p, 400, 2, &second, &err), ATT_OK);
    assert_true(first.accuracy.value == 0.8 && first.rows == 400 && first.outside == 0);
    assert_true(fabs((first.accuracy.high - first.accuracy.low) / 2 - 1.96 * sqrt(0.8 * 0.2 / 400)) < 0.005);
    assert_true(first.accuracy.low < 0.8 && first.accuracy.high > 0.8);
    assert_true(first.ece.low == second.ece.low && first.macro_f1.high == second.macro_f1.high);
    assert_true(isnan(first.auroc.value) && isnan(first.auroc.low));
    assert_int_equal(task_quality_measure(p, 0, 2, &first, &err), ATT_OK);
    assert_true(isnan(first.accuracy.value));
}

static void means_have_intervals(void **state)
{
    (void)state;
    const double same[] = {0.5, 0.5, 0.5}, mixed[] = {0, 1, 0, 1, 0, 1, 0, 1};
    struct task_interval interval;
    struct att_err err;
    assert_int_equal(task_interval_mean(same, 3, &interval, &err), ATT_OK);
    assert_true(interval.value == 0.5 && interval.low == 0.5 && interval.high == 0.5);
    assert_int_equal(task_interval_mean(mixed, 8, &interval, &err), ATT_OK);
    assert_true(interval.value == 0.5 && interval.low >= 0.125 && interval.low <= 0.25 && interval.high >= 0.75);
}

/* Label 0: one hit of one expected and two predicted; label 1: one of two and one. */
static void sets_of_labels(void **state)
{
    (void)state;
    const unsigned char expected[] = {1, 1, 0, 1, 0, 0}, predicted[] = {1, 1, 1, 0, 0, 0};
    struct task_quality_several quality;
    struct att_err err;
    assert_int_equal(task_quality_several(expected, predicted, 3, 2, &quality, &err), ATT_OK);
    assert_true(fabs(quality.micro_f1.value - 2.0 * 2 / (3 + 3)) < close);
    assert_true(fabs(quality.macro_f1.value - (2.0 / 3 + 2.0 / 3) / 2) < close);
    assert_true(fabs(quality.exact.value - 2.0 / 3) < close);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accuracy_leaves_out_what_is_out_of_scope),
        cmocka_unit_test(macro_f1_is_over_labels_that_occur),
        cmocka_unit_test(ece_weighs_bins_by_their_size),
        cmocka_unit_test(auroc_counts_ties_half),
        cmocka_unit_test(counts_are_repeated_rows),
        cmocka_unit_test(intervals_cover_what_they_should),
        cmocka_unit_test(means_have_intervals),
        cmocka_unit_test(sets_of_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
