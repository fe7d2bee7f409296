/* Temperatures and thresholds of rows whose best ones are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "tasks/classify/calibrate.h"

/* Of four rows with logits (z, 0) three are label 0. One row in six of doubt makes 2/3 of the 3/4, so z / T = log 2. */
static void the_temperature_gives_the_share_that_was_right(void **state)
{
    (void)state;
    const float logits[] = {4, 0, 4, 0, 4, 0, 4, 0, 9, 0};
    const int32_t labels[] = {0, 0, 0, 1, -1}; /* the last is out of scope */
    const struct task_logits rows = {logits, 5, 2, labels, NULL};
    assert_true(fabs(task_temperature_fit(&rows) - 4 / log(2)) < 0.01);
    assert_true(fabs(task_log_loss(&rows, 4 / log(3)) - (0.75 * log(4.0 / 3) + 0.25 * log(4))) < 1e-9);
    const struct task_logits none = {logits, 0, 2, labels, NULL};
    assert_true(task_temperature_fit(&none) == 1);
}

static void several_labels_share_a_temperature(void **state)
{
    (void)state;
    const float logits[] = {4, -4, 4, -4};
    const unsigned char truth[] = {1, 0, 1, 1}; /* 3 of 4 signs are right */
    const struct task_logits rows = {logits, 2, 2, NULL, truth};
    /* One row in four of doubt: (3/4)(3/4) + (1/4)(1/4) = 5/8. */
    assert_true(fabs(task_temperature_fit(&rows) - 4 / log(5.0 / 3)) < 0.01);
}

/* Rows that are all told apart leave as much doubt as there are few of them. */
static void few_rows_make_no_certainty(void **state)
{
    (void)state;
    float logits[200];
    int32_t labels[100];
    for (size_t i = 0; i < 100; i++) {
        labels[i] = (int32_t)(i % 2);
        logits[2 * i] = labels[i] == 0 ? 3 : 0;
        logits[2 * i + 1] = labels[i] == 1 ? 3 : 0;
    }
    struct task_logits rows = {logits, 8, 2, labels, NULL};
    assert_true(fabs(1 / (1 + exp(-3 / task_temperature_fit(&rows))) - 0.9) < 0.001);
    rows.n = 98;
    assert_true(fabs(1 / (1 + exp(-3 / task_temperature_fit(&rows))) - 0.99) < 0.001);
}

static void precision_is_kept_from_the_threshold_on(void **state)
{
    (void)state;
    struct task_scored scored[] = {{.2, false}, {.9, true}, {.8, true}, {.7, false},
                                   {.6, true},  {.6, true}, {.5, false}};
    double threshold = -1, share = -1;
    assert_true(task_threshold_precision(scored, 7, 0.8, TASK_SEEN, &threshold, &share));
    assert_true(threshold == 0.6 && fabs(share - 5.0 / 7) < 1e-12); /* 4 of 5, both rows of .6 together */
    assert_true(task_threshold_precision(scored, 7, 1, TASK_SEEN, &threshold, &share));
    assert_true(threshold == 0.8);
    struct task_scored wrong[] = {{.9, false}, {.8, true}};
    assert_false(task_threshold_precision(wrong, 2, 0.9, TASK_SEEN, &threshold, &share));
    assert_false(task_threshold_precision(wrong, 0, 0.9, TASK_SEEN, &threshold, &share));
}

/* Wilson's lower bound of 60 right of 60 is 60 / (60 + z²) = .9568, and of 51 of 51 .9496. */
static void a_sure_precision_needs_rows(void **state)
{
    (void)state;
    struct task_scored scored[60];
    double threshold = -1, share = -1;
    for (size_t i = 0; i < 60; i++)
        scored[i] = (struct task_scored){1 - (double)i / 100, true};
    assert_false(task_threshold_precision(scored, 51, .95, TASK_SURE, &threshold, &share));
    assert_true(task_threshold_precision(scored, 60, .95, TASK_SURE, &threshold, &share));
    assert_true(fabs(threshold - .41) < 1e-12);
    assert_true(task_threshold_precision(scored, 60, .9567, TASK_SURE, &threshold, &share));
    assert_false(task_threshold_precision(scored, 60, .9570, TASK_SURE, &threshold, &share));
    scored[56].right = false; /* three in four of the last four: 59 of 60 are .983 seen, .925 sure */
    assert_true(task_threshold_precision(scored, 60, .95, TASK_SURE, &threshold, &share));
    assert_true(fabs(threshold - .45) < 1e-12 && fabs(share - 56.0 / 60) < 1e-12);
    assert_true(task_threshold_precision(scored, 60, .95, TASK_SEEN, &threshold, &share));
    assert_true(share == 1);
}

static void every_label_has_its_own_threshold(void **state)
{
    (void)state;
    const float logits[] = {3, -1, 2, -2, 1, -3, 0, -4}; /* the second label's scores are all below one half */
    const unsigned char truth[] = {1, 1, 1, 1, 0, 0, 0, 0};
    const struct task_logits rows = {logits, 4, 2, NULL, truth};
    struct task_scored space[4];
    double thresholds[2] = {.5, .5}, one = 1 / (1 + exp(-1)), two = 1 / (1 + exp(-2));
    task_thresholds_fit(&rows, 1, 0, TASK_SEEN, space, thresholds);
    assert_true(fabs(thresholds[0] - (one + two) / 2) < 1e-9);
    assert_true(fabs(thresholds[1] - (1 - two + 1 / (1 + exp(3))) / 2) < 1e-9);
    task_thresholds_fit(&rows, 2, .6, TASK_SEEN, space, thresholds); /* two of three */
    assert_true(fabs(thresholds[0] - 1 / (1 + exp(-.5))) < 1e-9);
    thresholds[0] = .25;
    task_thresholds_fit(&rows, 1, .9, TASK_SURE, space, thresholds); /* two rows are sure of nothing: it stays */
    assert_true(thresholds[0] == .25);
}

static void thresholds_lie_between_scores(void **state)
{
    (void)state;
    struct task_scored scored[] = {{.9, true}, {.7, true}, {.3, false}, {.1, false}};
    assert_true(task_threshold_f1(scored, 4) == 0.5);
    assert_true(task_threshold_parting(scored, 4) == 0.5);
    struct task_scored none[] = {{.9, false}};
    assert_true(task_threshold_f1(none, 1) == 0.5);
    assert_true(task_threshold_parting(none, 1) == 0);
}

/* Two heaps of values: in the middle between them it is even, and one kind alone says nothing. */
static void a_scale_parts_two_heaps(void **state)
{
    (void)state;
    struct task_scored rows[80];
    double scale, bias;
    for (size_t i = 0; i < 80; i++)
        rows[i] = (struct task_scored){(i % 2 ? 12 : 8) + (double)(i % 7) / 3 - 1, i % 2};
    task_scale_fit(rows, 80, &scale, &bias);
    assert_true(scale > 0.5 && scale < 100);
    assert_true(fabs(-bias / scale - 10) < 0.3);
    task_scale_fit(rows, 1, &scale, &bias);
    assert_true(scale == 0 && bias == 0);
    for (size_t i = 0; i < 80; i++)
        rows[i].right = !rows[i].right; /* what falls is no measure */
    task_scale_fit(rows, 80, &scale, &bias);
    assert_true(scale == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scale_parts_two_heaps),
        cmocka_unit_test(the_temperature_gives_the_share_that_was_right),
        cmocka_unit_test(several_labels_share_a_temperature),
        cmocka_unit_test(few_rows_make_no_certainty),
        cmocka_unit_test(precision_is_kept_from_the_threshold_on),
        cmocka_unit_test(a_sure_precision_needs_rows),
        cmocka_unit_test(every_label_has_its_own_threshold),
        cmocka_unit_test(thresholds_lie_between_scores),
    };
    return cmocka_run_group_tests_name("calibrate", tests, NULL, NULL);
}
