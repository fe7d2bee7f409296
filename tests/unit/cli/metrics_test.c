/* Quality figures against values worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "cli/metrics.h"

static const double close = 1e-12;

static void accuracy_leaves_out_what_is_out_of_scope(void **state)
{
    (void)state;
    const struct cli_prediction p[] = {{0, 0, .9}, {1, 0, .8}, {1, 1, .7}, {SIZE_MAX, 1, .6}};
    assert_true(fabs(cli_accuracy(p, 4) - 2.0 / 3) < close);
    assert_true(isnan(cli_accuracy(p + 3, 1)));
    assert_true(isnan(cli_accuracy(p, 0)));
}

/* Label 0: 2·1/(1+2), label 1: 2·1/(2+1), label 2 predicted once: 0, label 3 never seen: left out. */
static void macro_f1_is_over_labels_that_occur(void **state)
{
    (void)state;
    const struct cli_prediction p[] = {{0, 0, 0}, {1, 0, 0}, {1, 1, 0}, {0, 2, 0}, {SIZE_MAX, 3, 0}};
    size_t counts[12];
    double expected = (2.0 * 1 / (2 + 2) + 2.0 * 1 / (2 + 1) + 0) / 3;
    assert_true(fabs(cli_macro_f1(p, 5, 4, counts) - expected) < close);
    assert_true(isnan(cli_macro_f1(p, 0, 4, counts)));
}

/* Two bins: scores .95 and .95 with one hit (|1 - 1.9|), .5 with a hit (|1 - .5|). */
static void ece_weighs_bins_by_their_size(void **state)
{
    (void)state;
    const struct cli_prediction p[] = {{0, 0, .95}, {1, 0, .95}, {2, 2, .5}};
    const struct cli_prediction edge[] = {{0, 0, 1.0}, {0, 0, 0.0}};
    assert_true(fabs(cli_ece(p, 3) - (0.9 + 0.5) / 3) < close);
    assert_true(fabs(cli_ece(edge, 2) - 0.5) < close);
}

static void auroc_counts_ties_half(void **state)
{
    (void)state;
    struct cli_prediction apart[] = {{0, 0, .9}, {SIZE_MAX, 0, .1}, {0, 0, .8}, {SIZE_MAX, 0, .2}};
    struct cli_prediction tied[] = {{0, 0, .5}, {SIZE_MAX, 0, .5}, {SIZE_MAX, 0, .5}};
    /* pairs: .9>.7, .9>.3, .6<.7, .6>.3 and .7 tied once */
    struct cli_prediction mixed[] = {{0, 0, .9}, {0, 0, .6}, {0, 0, .7}, {SIZE_MAX, 0, .7}, {SIZE_MAX, 0, .3}};
    assert_true(fabs(cli_auroc(apart, 4) - 1) < close);
    assert_true(fabs(cli_auroc(tied, 3) - 0.5) < close);
    assert_true(fabs(cli_auroc(mixed, 5) - (1 + 1 + 0 + 1 + 0.5 + 1) / 6) < close);
    assert_true(isnan(cli_auroc(apart, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accuracy_leaves_out_what_is_out_of_scope),
        cmocka_unit_test(macro_f1_is_over_labels_that_occur),
        cmocka_unit_test(ece_weighs_bins_by_their_size),
        cmocka_unit_test(auroc_counts_ties_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
