/* Heads by their names: what each says of an item, and what stays empty without one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "tasks/news/signals.h"

static const char *const moods[] = {"negative", "neutral", "positive"};
static const float mood_values[] = {-1, 0, 1};
static const char *const topics[] = {"earnings", "macro", "politics"};
static const char *const kinds[] = {"news", "advertisement", "boilerplate"};
static const char *const grades[] = {"low", "high"};
static const float grade_values[] = {0.1f, 0.9f};
static const float thresholds[] = {0.5f, 0.3f, 0.9f};

static void test_all_heads(void **state)
{
    (void)state;
    const struct att_head_info heads[] = {
        {.name = "sentiment",
         .n_labels = 3,
         .logits_begin = 0,
         .labels = moods,
         .polarity = mood_values,
         .temperature = 1},
        {.name = "topic", .n_labels = 3, .logits_begin = 3, .labels = topics, .temperature = 1},
        {.name = "noise", .n_labels = 3, .logits_begin = 6, .labels = kinds, .temperature = 1},
        {.name = "importance",
         .n_labels = 2,
         .logits_begin = 9,
         .labels = grades,
         .polarity = grade_values,
         .temperature = 1},
    };
    const struct att_model_info info = {.n_head_infos = 4, .heads = heads, .n_logits = 11};
    const float logits[] = {0, 0, 8, 3, 2.9f, -5, 9, 0, 0, 0, 20};
    float scratch[11];
    struct task_signals signals;
    task_signals_read(&info, logits, scratch, &signals);
    assert_string_equal(signals.sentiment, "positive");
    assert_true(signals.polarity > 0.99 && signals.sentiment_score > 0.99);
    assert_int_equal(signals.n_topics, 2); /* the best, and one that is nearly as likely */
    assert_string_equal(signals.topics[0].label, "earnings");
    assert_string_equal(signals.topics[1].label, "macro");
    assert_true(signals.noise < 0.01); /* the first label is none */
    assert_true(fabs(signals.importance - 0.9) < 1e-3);
}

static void test_several_labels_and_none(void **state)
{
    (void)state;
    const struct att_head_info heads[] = {
        {.name = "mood", .n_labels = 3, .logits_begin = 0, .labels = moods, .temperature = 1},
        {.name = "topics",
         .n_labels = 3,
         .logits_begin = 3,
         .labels = topics,
         .multi_label = true,
         .thresholds = thresholds,
         .temperature = 1},
    };
    struct att_model_info info = {.n_head_infos = 2, .heads = heads, .n_logits = 6};
    const float logits[] = {5, 0, 0, -3, 0, 2};
    float scratch[6];
    struct task_signals signals;
    task_signals_read(&info, logits, scratch, &signals);
    assert_string_equal(signals.sentiment, ""); /* two heads, and none is called sentiment */
    assert_int_equal(signals.n_topics, 1);      /* macro at 0.5 over 0.3; politics at 0.88 under 0.9 */
    assert_string_equal(signals.topics[0].label, "macro");
    assert_true(isnan(signals.noise) && isnan(signals.importance));
    /* A model's only head is its sentiment, its labels' names tell their values. */
    info.n_head_infos = 1;
    task_signals_read(&info, logits, scratch, &signals);
    assert_string_equal(signals.sentiment, "negative");
    assert_true(signals.polarity < -0.9);
    assert_int_equal(signals.n_topics, 0);
}

int main(void)
{
    struct att_err err;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_heads),
        cmocka_unit_test(test_several_labels_and_none),
    };
    if (att_init(NULL, &err) != ATT_OK) /* softmax is a kernel */
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
