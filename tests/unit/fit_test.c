/* The head that L-BFGS finds, against optima that are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "core/attend.h"

static struct att_fit *make(const struct att_fit_rows *rows)
{
    struct att_fit *fit = NULL;
    struct att_err err;
    if (att_fit_create(rows, &fit, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return fit;
}

static void run(struct att_fit *fit, const struct att_fit_options *options, double *theta)
{
    struct att_err err;
    if (att_fit_run(fit, options, theta, &err) != ATT_OK)
        fail_msg("%s", err.message);
}

/* One feature, ±1, two labels: by symmetry weights ±w and biases 0, and the gradient of
 * 2·log(1 + exp(-2w)) + w²/c, -4/(1 + exp(2w)) + 2w/c, is 0. */
static void two_points_have_a_known_head(void **state)
{
    (void)state;
    const float features[] = {1, -1};
    const int32_t labels[] = {0, 1};
    const struct att_fit_rows rows = {.n = 2, .n_features = 1, .n_labels = 2, .features = features, .labels = labels};
    struct att_fit *fit = make(&rows);
    for (double c = 0.5; c < 100; c *= 4) {
        double theta[4] = {0}, low = 0, high = 50;
        const struct att_fit_options options = {.c = c, .steps_max = 100, .tolerance = 1e-7};
        run(fit, &options, theta);
        for (size_t i = 0; i < 100; i++) {
            double w = (low + high) / 2;
            if (-4 / (1 + exp(2 * w)) + 2 * w / c < 0)
                low = w;
            else
                high = w;
        }
        assert_true(fabs(theta[0] - low) < 1e-4 && fabs(theta[2] + low) < 1e-4);
        assert_true(fabs(theta[1]) < 1e-4 && fabs(theta[3]) < 1e-4);
        const float *logits = NULL;
        assert_int_equal(att_fit_logits(fit, theta, &logits, NULL), ATT_OK);
        assert_true(fabs((double)logits[0] - (theta[0] + theta[1])) < 1e-5);
    }
    att_fit_destroy(fit);
}

/* Without features that tell anything the biases give the shares of the labels. */
static void biases_are_free(void **state)
{
    (void)state;
    float features[40] = {0};
    int32_t labels[40];
    for (size_t i = 0; i < 40; i++)
        labels[i] = i < 30 ? 0 : i < 38 ? 1 : 2;
    const struct att_fit_rows rows = {.n = 40, .n_features = 1, .n_labels = 3, .features = features, .labels = labels};
    struct att_fit *fit = make(&rows);
    double theta[6] = {0};
    const struct att_fit_options options = {.c = 1, .steps_max = 200, .tolerance = 1e-7};
    run(fit, &options, theta);
    assert_true(fabs(exp(theta[1] - theta[3]) - 30.0 / 8) < 0.02);
    assert_true(fabs(exp(theta[3] - theta[5]) - 8.0 / 2) < 0.02);
    att_fit_destroy(fit);
}

/* A skipped row counts as little as one that is not there, and its logits are given all the same. */
static void skipped_rows_do_not_count(void **state)
{
    (void)state;
    const float features[] = {1, 0, 0, 1, .7f, .2f, -1, -1};
    const int32_t labels[] = {0, 1, 0, 1};
    const bool skipped[] = {false, false, false, true};
    struct att_fit_rows rows = {.n = 4, .n_features = 2, .n_labels = 2, .features = features, .labels = labels};
    struct att_fit *all = make(&rows);
    rows.n = 3;
    struct att_fit *three = make(&rows);
    double a[6] = {0}, b[6] = {0};
    struct att_fit_options options = {.c = 2, .skipped = skipped, .steps_max = 100, .tolerance = 1e-7};
    run(all, &options, a);
    options.skipped = NULL;
    run(three, &options, b);
    for (size_t i = 0; i < 6; i++)
        assert_true(fabs(a[i] - b[i]) < 1e-4);
    const float *logits = NULL;
    assert_int_equal(att_fit_logits(all, a, &logits, NULL), ATT_OK);
    assert_true(fabs((double)logits[6] - (a[2] - a[0] - a[1])) < 1e-5);
    att_fit_destroy(all);
    att_fit_destroy(three);
}

/* Labels that do not know of each other: each has the head that it has alone. */
static void several_labels_are_independent(void **state)
{
    (void)state;
    float features[60];
    unsigned char both[60], first[30];
    for (size_t i = 0; i < 30; i++) {
        features[2 * i] = (float)(i % 5) / 4;
        features[2 * i + 1] = (float)(i % 3) / 2;
        both[2 * i] = first[i] = i % 5 > 2;
        both[2 * i + 1] = i % 3 == 0;
    }
    const struct att_fit_rows two = {.n = 30, .n_features = 2, .n_labels = 2, .features = features, .several = both};
    const struct att_fit_rows one = {.n = 30, .n_features = 2, .n_labels = 1, .features = features, .several = first};
    struct att_fit *a = make(&two), *b = make(&one);
    double theta_a[6] = {0}, theta_b[3] = {0};
    const struct att_fit_options options = {.c = 3, .steps_max = 200, .tolerance = 1e-7};
    run(a, &options, theta_a);
    run(b, &options, theta_b);
    for (size_t i = 0; i < 3; i++)
        assert_true(fabs(theta_a[i] - theta_b[i]) < 1e-3);
    att_fit_destroy(a);
    att_fit_destroy(b);
}

static void the_same_rows_give_the_same_bits(void **state)
{
    (void)state;
    float features[400];
    int32_t labels[40];
    for (size_t i = 0; i < 400; i++)
        features[i] = (float)((i * 7919) % 101) / 101 - 0.5f;
    for (size_t i = 0; i < 40; i++)
        labels[i] = (int32_t)(i % 4);
    const struct att_fit_rows rows = {.n = 40, .n_features = 10, .n_labels = 4, .features = features, .labels = labels};
    double theta[2][44] = {{0}};
    for (size_t i = 0; i < 2; i++) {
        struct att_fit *fit = make(&rows);
        const struct att_fit_options options = {.c = 10, .steps_max = 50, .tolerance = 1e-6};
        run(fit, &options, theta[i]);
        att_fit_destroy(fit);
    }
    assert_memory_equal(theta[0], theta[1], sizeof theta[0]);
}

static int start(void **state)
{
    (void)state;
    return att_init(NULL, NULL) == ATT_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_points_have_a_known_head),     cmocka_unit_test(biases_are_free),
        cmocka_unit_test(skipped_rows_do_not_count),        cmocka_unit_test(several_labels_are_independent),
        cmocka_unit_test(the_same_rows_give_the_same_bits),
    };
    return cmocka_run_group_tests_name("fit", tests, start, NULL);
}
