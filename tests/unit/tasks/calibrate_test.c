/* Temperatures and thresholds of rows whose best ones are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "tasks/calibrate.h"

/* Of four rows with logits (z, 0) three are label 0: the best temperature gives 3/4, z / T = log 3. */
static void the_temperature_gives_the_share_that_was_right(void **state)
{
    (void)state;
    const float logits[] = {4, 0, 4, 0, 4, 0, 4, 0, 9, 0};
    const int32_t labels[] = {0, 0, 0, 1, -1}; /* the last is out of scope */
    const struct task_logits rows = {logits, 5, 2, labels, NULL};
    assert_true(fabs(task_temperature_fit(&rows) - 4 / log(3)) < 0.01);
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
    assert_true(fabs(task_temperature_fit(&rows) - 4 / log(3)) < 0.01);
}

static void precision_is_kept_from_the_threshold_on(void **state)
{
    (void)state;
    struct task_scored scored[] = {{.2, false}, {.9, true}, {.8, true}, {.7, false},
                                   {.6, true},  {.6, true}, {.5, false}};
    double threshold = -1, share = -1;
    assert_true(task_threshold_precision(scored, 7, 0.8, &threshold, &share));
    assert_true(threshold == 0.6 && fabs(share - 5.0 / 7) < 1e-12); /* 4 of 5, both rows of .6 together */
    assert_true(task_threshold_precision(scored, 7, 1, &threshold, &share));
    assert_true(threshold == 0.8);
    struct task_scored wrong[] = {{.9, false}, {.8, true}};
    assert_false(task_threshold_precision(wrong, 2, 0.9, &threshold, &share));
    assert_false(task_threshold_precision(wrong, 0, 0.9, &threshold, &share));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_temperature_gives_the_share_that_was_right),
        cmocka_unit_test(several_labels_share_a_temperature),
        cmocka_unit_test(precision_is_kept_from_the_threshold_on),
        cmocka_unit_test(thresholds_lie_between_scores),
    };
    return cmocka_run_group_tests_name("calibrate", tests, NULL, NULL);
}
