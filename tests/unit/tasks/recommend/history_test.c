/* Events in the order of time, and what each one counts. */
#include "tests/unit/tasks/fixture.h"

#include <math.h>
#include <string.h>

#include "tasks/recommend/history.h"

enum { MARKS = 10 };
static const double day_s = 86400;
static struct att_history_rules rules = {
    .half_life_days = 30, .view = 0.3f, .click = 0.6f, .rate = 0.7f, .buy = 1, .sequence = 1};

static void weigh(struct task_event *events, size_t n)
{
    unsigned char disliked[MARKS] = {0};
    struct task_history history = {.events = events, .n = n};
    for (size_t i = 0; i < n; i++)
        events[i].position = i;
    task_history_weigh(&history, &rules, disliked);
}

static void assert_near(double got, double expected)
{
    if (!(fabs(got - expected) < 1e-5))
        fail_msg("%.6f, expected %.6f", got, expected);
}

static void stronger_deeds_weigh_more(void **state)
{
    (void)state;
    const struct {
        enum task_event_type type;
        double value, weight;
    } cases[] = {
        {TASK_EVENT_VIEW, NAN, 0.3}, {TASK_EVENT_VIEW, 5, 0.3},   {TASK_EVENT_CLICK, NAN, 0.6},
        {TASK_EVENT_BUY, NAN, 1},    {TASK_EVENT_BUY, 2, 1},      {TASK_EVENT_RATE, NAN, 0.7},
        {TASK_EVENT_RATE, 5, 1},     {TASK_EVENT_RATE, 3.5, 0.5}, {TASK_EVENT_RATE, 2.1, 0.1 / 3},
        {TASK_EVENT_RATE, 2, -0.2},  {TASK_EVENT_RATE, 0, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct task_event event = {.index = 1, .type = cases[i].type, .value = cases[i].value, .time = NAN};
        weigh(&event, 1);
        assert_near((double)event.weight, cases[i].weight);
    }
}

static void old_events_fade(void **state)
{
    (void)state;
    struct task_event events[] = {
        {.index = 1, .type = TASK_EVENT_BUY, .value = NAN, .time = 1000 * day_s},
        {.index = 2, .type = TASK_EVENT_BUY, .value = NAN, .time = 970 * day_s},
        {.index = 3, .type = TASK_EVENT_BUY, .value = NAN, .time = 1 * day_s},
    };
    weigh(events, 3);
    assert_int_equal(events[0].index, 3);
    assert_int_equal(events[2].index, 1);
    assert_near((double)events[2].weight, 1);
    assert_near((double)events[1].weight, 0.5);
    assert_near((double)events[0].weight, 0.05);
    struct task_event untimed[] = {
        {.index = 1, .type = TASK_EVENT_BUY, .value = NAN, .time = NAN},
        {.index = 2, .type = TASK_EVENT_BUY, .value = NAN, .time = NAN},
    };
    weigh(untimed, 2);
    assert_int_equal(untimed[0].index, 1);
    assert_near((double)untimed[0].weight, 0.95);
    assert_near((double)untimed[1].weight, 1);
}

static void a_model_has_rules_of_its_own(void **state)
{
    const struct att_history_rules usual = rules;
    struct task_event events[] = {
        {.index = 1, .type = TASK_EVENT_VIEW, .value = NAN, .time = 0},
        {.index = 2, .type = TASK_EVENT_CLICK, .value = NAN, .time = 5 * day_s},
        {.index = 3, .type = TASK_EVENT_RATE, .value = NAN, .time = 10 * day_s},
        {.index = 4, .type = TASK_EVENT_BUY, .value = NAN, .time = 10 * day_s},
    };
    (void)state;
    rules = (struct att_history_rules){.half_life_days = 5, .view = 0, .click = 2, .rate = 0.25f, .buy = 3};
    weigh(events, 4);
    rules = usual;
    assert_near((double)events[0].weight, 0);
    assert_near((double)events[1].weight, 1);
    assert_near((double)events[2].weight, 0.25);
    assert_near((double)events[3].weight, 3);
}

/* For the sequence model: strength and age, but not the place of events without times; tempered by the rules. */
static void a_sequence_knows_order_but_not_age(void **state)
{
    (void)state;
    const struct att_history_rules usual = rules;
    struct task_event untimed[] = {
        {.index = 1, .type = TASK_EVENT_BUY, .value = NAN, .time = NAN},
        {.index = 2, .type = TASK_EVENT_VIEW, .value = NAN, .time = NAN},
        {.index = 3, .type = TASK_EVENT_VIEW, .value = NAN, .time = NAN},
        {.index = 4, .type = TASK_EVENT_RATE, .value = 1, .time = NAN},
    };
    weigh(untimed, 4);
    assert_near((double)untimed[0].presence, 1);
    assert_near((double)untimed[1].presence, 0.3);
    assert_true(untimed[1].presence == untimed[2].presence);
    assert_near((double)untimed[3].presence, 0);
    struct task_event timed[] = {
        {.index = 1, .type = TASK_EVENT_BUY, .value = NAN, .time = 1 * day_s},
        {.index = 2, .type = TASK_EVENT_RATE, .value = 3.5, .time = 970 * day_s},
        {.index = 3, .type = TASK_EVENT_BUY, .value = NAN, .time = 1000 * day_s},
    };
    weigh(timed, 3);
    assert_near((double)timed[0].presence, 0.05);
    assert_near((double)timed[1].presence, 0.25);
    assert_near((double)timed[2].presence, 1);
    rules.sequence = 0.5f;
    weigh(timed, 3);
    assert_near((double)timed[1].presence, 0.5);
    rules.sequence = 0;
    weigh(timed, 3);
    rules = usual;
    assert_true(timed[0].presence == 1 && timed[1].presence == 1 && timed[2].presence == 1);
}

/* Equal times keep the order of the request; an event without a time stays behind the one before it. */
static void sorting_is_stable(void **state)
{
    (void)state;
    struct task_event events[] = {
        {.index = 1, .time = NAN}, {.index = 2, .time = 50}, {.index = 3, .time = 70},
        {.index = 4, .time = NAN}, {.index = 5, .time = 50}, {.index = 6, .time = 10},
    };
    const size_t expected[] = {6, 1, 2, 5, 3, 4};
    weigh(events, 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(events[i].index, expected[i]);
}

static void the_last_rating_decides(void **state)
{
    (void)state;
    struct task_event events[] = {
        {.index = 1, .type = TASK_EVENT_VIEW, .value = NAN, .time = 1},
        {.index = 2, .type = TASK_EVENT_RATE, .value = 1, .time = 2},
        {.index = 1, .type = TASK_EVENT_RATE, .value = 2, .time = 3},
        {.index = 2, .type = TASK_EVENT_RATE, .value = 4, .time = 4},
        {.index = 0, .type = TASK_EVENT_RATE, .value = 1, .time = 5},
        {.index = 0, .type = TASK_EVENT_VIEW, .value = NAN, .time = 6},
    };
    weigh(events, 6);
    assert_true(events[0].weight < 0 && events[2].weight < 0);
    assert_true(events[1].weight < 0 && events[3].weight > 0);
    /* Unknown items have no common index. */
    assert_true(events[4].weight < 0 && events[5].weight > 0);
    weigh(events, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stronger_deeds_weigh_more),    cmocka_unit_test(old_events_fade),
        cmocka_unit_test(a_model_has_rules_of_its_own), cmocka_unit_test(sorting_is_stable),
        cmocka_unit_test(the_last_rating_decides),      cmocka_unit_test(a_sequence_knows_order_but_not_age),
    };
    return cmocka_run_group_tests_name("tasks/history", tests, NULL, NULL);
}
