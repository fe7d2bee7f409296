/* Heads from vectors whose labels are known to be learnable, or known not to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "tasks/classify/trainer.h"

enum { ROWS = 120, FEATURES = 8, LABELS = 3 };
static float features[ROWS * FEATURES];
static int32_t labels[ROWS];
static unsigned char several[ROWS * LABELS];

/* Rows lie about one of three corners; `noise` moves them. */
static void fill(double noise)
{
    uint32_t random = 7;
    for (size_t i = 0; i < ROWS; i++) {
        labels[i] = (int32_t)(i / 40);
        for (size_t j = 0; j < FEATURES; j++) {
            random = random * 1664525u + 1013904223u;
            double x = ((double)(random >> 8) / (1 << 24) - 0.5) * 2 * noise;
            features[i * FEATURES + j] =
                (float)(5 + x + (j == i / 40 ? 1 : 0)); /* far from the middle, as encoders' are */
        }
        for (size_t k = 0; k < LABELS; k++)
            several[i * LABELS + k] = features[i * FEATURES + k] > 5.5f;
    }
}

static struct task_examples examples(void)
{
    return (struct task_examples){
        .n = ROWS, .n_features = FEATURES, .n_labels = LABELS, .features = features, .labels = labels};
}

static size_t best_of(const struct task_head *head, const float *x)
{
    size_t best = 0;
    double scores[LABELS];
    for (size_t k = 0; k < LABELS; k++) {
        scores[k] = (double)head->bias[k];
        for (size_t j = 0; j < FEATURES; j++)
            scores[k] += (double)head->weight[k * FEATURES + j] * (double)x[j];
        best = scores[k] > scores[best] ? k : best;
    }
    return best;
}

static void what_can_be_learnt_is(void **state)
{
    (void)state;
    struct task_head head, again;
    struct att_err err;
    fill(0.3);
    const struct task_examples all = examples();
    assert_int_equal(task_head_train(&all, &head, &err), ATT_OK);
    assert_int_equal(head.folds, 5);
    assert_int_equal(head.n_figures, 3);
    assert_true(head.figures[0].interval.value > 0.95);
    assert_true(head.temperature > 0.04 && head.temperature <= 20);
    assert_false(head.abstains);
    assert_true(head.scope_scale == 0); /* nothing says what is none of the labels */
    for (size_t i = 0; i < ROWS; i++)
        assert_int_equal(best_of(&head, features + i * FEATURES), labels[i]);
    assert_int_equal(task_head_train(&all, &again, &err), ATT_OK);
    assert_memory_equal(head.weight, again.weight, sizeof(float) * LABELS * FEATURES);
    task_head_finish(&head);
    task_head_finish(&again);
}

/* Labels at random: figures of seen rows would be far above chance. */
static void the_figures_are_of_rows_not_seen(void **state)
{
    (void)state;
    struct task_head head;
    struct att_err err;
    fill(0.3);
    for (size_t i = 0; i < ROWS; i++)
        labels[i] = (int32_t)((i * 2654435761u >> 7) % LABELS);
    const struct task_examples all = examples();
    assert_int_equal(task_head_train(&all, &head, &err), ATT_OK);
    assert_true(head.figures[0].interval.value < 0.5);
    assert_true(head.figures[2].interval.value < 0.2); /* it knows that it does not know */
    task_head_finish(&head);
}

static void a_wanted_precision_is_kept(void **state)
{
    (void)state;
    struct task_head head;
    struct att_err err;
    fill(1.2);
    struct task_examples all = examples();
    assert_int_equal(task_head_train(&all, &head, &err), ATT_OK);
    double plain = head.figures[0].interval.value;
    task_head_finish(&head);
    all.precision = 0.95;
    assert_true(plain < 0.93);
    assert_int_equal(task_head_train(&all, &head, &err), ATT_OK);
    assert_true(head.abstains && head.out_of_scope_threshold > 0.4);
    assert_true(head.precision >= 0.95 && head.answered < 1 && head.answered > 0.1);
    task_head_finish(&head);
}

/* Rows that are none of the labels do not change the head, and give the threshold. */
static void out_of_scope_rows_part(void **state)
{
    (void)state;
    struct task_head head;
    struct att_err err;
    fill(0.3);
    for (size_t i = 0; i < ROWS; i += 4) {
        labels[i] = -1;
        for (size_t j = 0; j < FEATURES; j++)
            features[i * FEATURES + j] = 5.3f + 0.01f * (float)((i + j) % 3);
    }
    const struct task_examples all = examples();
    assert_int_equal(task_head_train(&all, &head, &err), ATT_OK);
    assert_int_equal(head.n_figures, 4);
    assert_true(head.abstains && head.figures[3].interval.value > 0.9);
    assert_true(head.scope_scale > 0);
    assert_true(head.answered > 0.8);
    task_head_finish(&head);
}

static void several_labels_have_thresholds(void **state)
{
    (void)state;
    struct task_head head;
    struct att_err err;
    fill(0.6);
    struct task_examples all = examples();
    all.labels = NULL;
    all.several = several;
    assert_int_equal(task_head_train(&all, &head, &err), ATT_OK);
    assert_non_null(head.thresholds);
    assert_string_equal(head.figures[0].name, "micro_f1");
    assert_true(head.figures[0].interval.value > 0.9);
    for (size_t k = 0; k < LABELS; k++)
        assert_true(head.thresholds[k] > 0 && head.thresholds[k] < 1);
    task_head_finish(&head);
}

/* More rows than the penalty is chosen by, sorted by label as files often are. */
static void many_rows(void **state)
{
    (void)state;
    enum { MANY = 4000 };
    static float x[MANY * 2];
    static int32_t y[MANY];
    struct task_head head;
    struct att_err err;
    for (size_t i = 0; i < MANY; i++) {
        y[i] = i >= MANY / 2;
        x[2 * i] = (float)y[i] + (float)(i % 7) / 20;
        x[2 * i + 1] = (float)(i % 11) / 10;
    }
    const struct task_examples all = {.n = MANY, .n_features = 2, .n_labels = 2, .features = x, .labels = y};
    assert_int_equal(task_head_train(&all, &head, &err), ATT_OK);
    assert_true(head.figures[0].interval.value > 0.99);
    task_head_finish(&head);
}

static int start(void **state)
{
    (void)state;
    return att_init(NULL, NULL) == ATT_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_can_be_learnt_is),          cmocka_unit_test(the_figures_are_of_rows_not_seen),
        cmocka_unit_test(a_wanted_precision_is_kept),     cmocka_unit_test(out_of_scope_rows_part),
        cmocka_unit_test(several_labels_have_thresholds), cmocka_unit_test(many_rows),
    };
    return cmocka_run_group_tests_name("trainer", tests, start, NULL);
}
