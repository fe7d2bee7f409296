/* Drift of answers that are made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/watch/drift.h"

enum { WINDOW = 100 };

static struct task_model model = {.name = "heads"};

static int start(void **state)
{
    const char *root = getenv("ATT_SOURCE_ROOT");
    char path[4096];
    struct att_model_options options = {.dtype = ATT_F32};

    (void)state;
    snprintf(path, sizeof(path), "%s/tests/data/models/bert-sentiment", root != NULL ? root : ".");
    if (att_init(NULL, NULL) != ATT_OK)
        return -1;
    return att_model_load(path, &options, &model.model, NULL) == ATT_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    att_model_unref(model.model);
    return 0;
}

static void answer(struct srv_drift *drift, size_t label, float score, size_t unknown, size_t times)
{
    const struct task_observation observed = {
        .model = &model, .label = label, .score = score, .tokens = 10, .unknown = unknown};
    const struct task_call call = {.observations = &observed, .n_observations = 1};

    for (size_t i = 0; i < times; i++)
        srv_drift_observe(drift, &call);
}

static void keep(void *context, const struct srv_drift_figure *figure)
{
    *(double *)context = figure->value;
    assert_string_equal(figure->name, "heads");
    assert_string_equal(figure->head, "default");
}

/* NAN: no series has the figure. */
static double figure(struct srv_drift *drift, enum srv_drift_kind kind)
{
    double value = NAN;

    srv_drift_visit(drift, kind, keep, &value);
    return value;
}

static struct srv_drift *make(size_t window)
{
    struct srv_drift *drift = NULL;

    assert_int_equal(srv_drift_create(window, &drift, NULL), ATT_OK);
    return drift;
}

static void the_first_answers_are_the_reference(void **state)
{
    struct srv_drift *drift = make(WINDOW);

    (void)state;
    answer(drift, 0, 0.9f, 1, WINDOW / 2);
    answer(drift, 1, 0.5f, 1, WINDOW / 2);
    assert_true(figure(drift, SRV_DRIFT_ROWS) == 0);
    assert_true(isnan(figure(drift, SRV_DRIFT_LABELS)));
    answer(drift, 0, 0.9f, 1, WINDOW / 2);
    answer(drift, 1, 0.5f, 1, WINDOW / 2);
    assert_true(fabs(figure(drift, SRV_DRIFT_LABELS)) < 1e-12);
    assert_true(fabs(figure(drift, SRV_DRIFT_CONFIDENCE)) < 1e-12);
    assert_true(figure(drift, SRV_DRIFT_UNKNOWN) == 0.1);
    /* Half of the window is of another label: shares .25 + .25 + .5 against .5 + .5. */
    answer(drift, 2, 0.9f, 10, WINDOW / 2);
    assert_true(figure(drift, SRV_DRIFT_ROWS) == WINDOW);
    assert_true(figure(drift, SRV_DRIFT_LABELS) > 1);
    assert_true(fabs(figure(drift, SRV_DRIFT_UNKNOWN) - 0.55) < 1e-9);
    assert_true(figure(drift, SRV_DRIFT_UNKNOWN_REFERENCE) == 0.1);
    assert_true(isnan(figure(drift, SRV_DRIFT_UNMATCHED)));
    srv_drift_destroy(drift);
}

/* The index by hand: counts 75 and 25 against 50 and 50, half a row more in each of the four places. */
static void the_index_is_what_the_books_say(void **state)
{
    struct srv_drift *drift = make(WINDOW);
    const double now[] = {75.5 / 102, 25.5 / 102}, before[] = {50.5 / 102, 50.5 / 102};
    double expected = 0;

    (void)state;
    for (size_t i = 0; i < 2; i++)
        expected += (now[i] - before[i]) * log(now[i] / before[i]);
    answer(drift, 0, 0.5f, 0, 50);
    answer(drift, 1, 0.5f, 0, 50);
    answer(drift, 0, 0.5f, 0, 75);
    answer(drift, 1, 0.5f, 0, 25);
    assert_true(fabs(figure(drift, SRV_DRIFT_LABELS) - expected) < 1e-9);
    srv_drift_destroy(drift);
}

struct shares {
    size_t count;
    double sum, first, abstained;
};

static void add_share(void *context, const struct srv_drift_figure *figure)
{
    struct shares *shares = context;

    shares->count++;
    shares->sum += figure->value;
    if (strcmp(figure->label, SRV_DRIFT_ABSTAINED) == 0)
        shares->abstained = figure->value;
    else if (strcmp(figure->label, att_model_info(model.model)->heads[0].labels[0]) == 0)
        shares->first = figure->value;
}

/* What moved: the share of each label and the mean score, beside those of the reference. */
static void shares_say_which_label_moved(void **state)
{
    struct srv_drift *drift = make(WINDOW);
    size_t n_labels = att_model_info(model.model)->heads[0].n_labels;
    struct shares now = {0}, before = {0};

    (void)state;
    answer(drift, 0, 0.91f, 0, 25);
    answer(drift, 1, 0.71f, 0, 75);
    answer(drift, 0, 0.52f, 0, 40);
    srv_drift_visit(drift, SRV_DRIFT_SHARE, add_share, &now);
    assert_int_equal(now.count, 0); /* too few yet */
    answer(drift, 0, 0.52f, 0, 40);
    srv_drift_visit(drift, SRV_DRIFT_SHARE, add_share, &now);
    srv_drift_visit(drift, SRV_DRIFT_SHARE_REFERENCE, add_share, &before);
    assert_int_equal(now.count, n_labels + 1);
    assert_int_equal(before.count, n_labels + 1);
    assert_true(fabs(now.sum - 1) < 1e-9 && fabs(before.sum - 1) < 1e-9);
    assert_true(now.first == 1 && before.first == 0.25);
    assert_true(now.abstained == 0 && before.abstained == 0);
    assert_true(fabs(figure(drift, SRV_DRIFT_SCORE) - 0.55) < 1e-9);
    assert_true(fabs(figure(drift, SRV_DRIFT_SCORE_REFERENCE) - 0.8) < 1e-9);
    srv_drift_destroy(drift);
}

static void old_answers_leave_the_window(void **state)
{
    struct srv_drift *drift = make(WINDOW);

    (void)state;
    answer(drift, 0, 0.5f, 0, WINDOW);
    answer(drift, 1, 0.5f, 0, 5 * WINDOW);
    assert_true(figure(drift, SRV_DRIFT_LABELS) > 1);
    answer(drift, 0, 0.5f, 0, WINDOW);
    assert_true(fabs(figure(drift, SRV_DRIFT_LABELS)) < 1e-12);
    srv_drift_destroy(drift);
}

static void a_window_of_nothing_keeps_nothing(void **state)
{
    struct srv_drift *drift = make(0);

    (void)state;
    answer(drift, 0, 0.5f, 0, 10);
    assert_true(isnan(figure(drift, SRV_DRIFT_ROWS)));
    srv_drift_destroy(drift);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_answers_are_the_reference), cmocka_unit_test(the_index_is_what_the_books_say),
        cmocka_unit_test(shares_say_which_label_moved),        cmocka_unit_test(old_answers_leave_the_window),
        cmocka_unit_test(a_window_of_nothing_keeps_nothing),
    };

    return cmocka_run_group_tests_name("drift", tests, start, stop);
}
