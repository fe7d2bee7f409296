/* attend.json's "history": what is taken and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/model.h"

static enum att_status load(struct att_model *model, const char *own, struct att_err *err)
{
    *model = (struct att_model){.base = NULL};
    *err = (struct att_err){.message = ""};
    if (own)
        assert_int_equal(att_json_parse(own, strlen(own), 0, 8, &model->attend_json, err), ATT_OK);
    enum att_status status = att_history_load(model, err);
    att_json_destroy(model->attend_json);
    return status;
}

static void expect(const char *own, const struct att_history_rules *rules)
{
    struct att_model model;
    struct att_err err;
    if (load(&model, own, &err) != ATT_OK)
        fail_msg("%s: %s", own ? own : "", err.message);
    assert_float_equal(model.info.history.half_life_days, rules->half_life_days, 0);
    assert_float_equal(model.info.history.view, rules->view, 0);
    assert_float_equal(model.info.history.click, rules->click, 0);
    assert_float_equal(model.info.history.rate, rules->rate, 0);
    assert_float_equal(model.info.history.buy, rules->buy, 0);
    assert_float_equal(model.info.history.sequence, rules->sequence, 0);
}

static void what_is_left_out_is_the_default(void **state)
{
    (void)state;
    struct att_history_rules rules = {
        .half_life_days = 30, .view = 0.3f, .click = 0.6f, .rate = 0.7f, .buy = 1, .sequence = 1};
    expect(NULL, &rules);
    expect("{\"history\":{}}", &rules);
    expect("{\"history\":{\"weights\":{}}}", &rules);
    rules.half_life_days = 7.5f;
    expect("{\"history\":{\"half_life_days\":7.5}}", &rules);
    rules.view = 0;
    rules.rate = 10;
    expect("{\"history\":{\"half_life_days\":7.5,\"weights\":{\"view\":0,\"rate\":10}}}", &rules);
    rules =
        (struct att_history_rules){.half_life_days = 30, .view = 1, .click = 2, .rate = 3, .buy = 4, .sequence = 0.5f};
    expect("{\"history\":{\"sequence\":0.5,\"weights\":{\"view\":1,\"click\":2,\"rate\":3,\"buy\":4}}}", &rules);
}

static void what_is_no_rule_is_refused(void **state)
{
    static const struct {
        const char *own, *message;
    } cases[] = {
        {"{\"history\":7}", "attend.json: history: is number, expected an object"},
        {"{\"history\":{\"halflife\":7}}", "attend.json: history: knows no \"halflife\""},
        {"{\"history\":{\"half_life_days\":0}}", "attend.json: history: half_life_days: is 0, expected a number from"},
        {"{\"history\":{\"half_life_days\":\"long\"}}", "attend.json: history: half_life_days: is"},
        {"{\"history\":{\"sequence\":1.5}}", "attend.json: history: sequence: is 1.5, expected a number from 0 to 1"},
        {"{\"history\":{\"weights\":[1]}}", "attend.json: history.weights: is array, expected an object"},
        {"{\"history\":{\"weights\":{\"like\":1}}}", "attend.json: history.weights: knows no \"like\""},
        {"{\"history\":{\"weights\":{\"view\":-1}}}", "attend.json: history.weights: view: is -1, expected a number"},
        {"{\"history\":{\"weights\":{\"buy\":11}}}", "attend.json: history.weights: buy: is 11, expected a number"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_model model;
        struct att_err err;
        assert_int_equal(load(&model, cases[i].own, &err), ATT_EFORMAT);
        if (!strstr(err.message, cases[i].message))
            fail_msg("%s: '%s' instead of '%s'", cases[i].own, err.message, cases[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_is_the_default),
        cmocka_unit_test(what_is_no_rule_is_refused),
    };
    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
