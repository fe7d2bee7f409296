/*
 * How much the events of a history count for a recommender, where attend.json
 * says it:
 *
 *   "history": {"half_life_days": 30, "sequence": 1, "weights": {"view": 0.3, "click": 0.6, "rate": 0.7, "buy": 1}}
 *
 * What is left out keeps its default. A weight of 0: such events do not count.
 */
#include <string.h>

#include "core/arch/config.h"
#include "core/model.h"

static const double half_life_days_min = 0.001, half_life_days_max = 36500, weight_max = 10;

/* An object of these members alone, or nothing. */
static enum att_status check_object(const struct att_json *object, const char *path, const char *const *names,
                                    struct att_err *err)
{
    struct att_json_iter iter;
    const struct att_json *value;
    const char *name;
    if (!object)
        return ATT_OK;
    if (!att_json_is_object(object))
        return att_err_set(err, ATT_EFORMAT, "%s: is %s, expected an object", path, att_json_type_name(object));
    att_json_iter_init(&iter, object);
    while (att_json_iter_next(&iter, &name, &value)) {
        size_t i = 0;
        while (names[i] && strcmp(names[i], name) != 0)
            i++;
        if (!names[i])
            return att_err_set(err, ATT_EFORMAT, "%s: knows no \"%.60s\"", path, name);
    }
    return ATT_OK;
}

static enum att_status read_rules(const struct att_json *history, struct att_history_rules *rules, struct att_err *err)
{
    static const char *const members[] = {"half_life_days", "sequence", "weights", NULL};
    static const char *const types[] = {"view", "click", "rate", "buy", NULL};
    float *const weights[] = {&rules->view, &rules->click, &rules->rate, &rules->buy};
    const struct att_json *own = att_json_get(history, "weights");
    enum att_status status = check_object(history, "history", members, err);
    if (status != ATT_OK)
        return status;
    status = att_config_float(history, "half_life_days", half_life_days_min, half_life_days_max,
                              (double)rules->half_life_days, &rules->half_life_days, err);
    if (status == ATT_OK)
        status = att_config_float(history, "sequence", 0, 1, (double)rules->sequence, &rules->sequence, err);
    if (status != ATT_OK) {
        att_err_prefix(err, "history");
        return status;
    }
    status = check_object(own, "history.weights", types, err);
    if (status != ATT_OK)
        return status;
    for (size_t i = 0; status == ATT_OK && types[i]; i++)
        status = att_config_float(own, types[i], 0, weight_max, (double)*weights[i], weights[i], err);
    if (status != ATT_OK)
        att_err_prefix(err, "history.weights");
    return status;
}

enum att_status att_history_load(struct att_model *model, struct att_err *err)
{
    model->info.history = (struct att_history_rules){
        .half_life_days = 30, .view = 0.3f, .click = 0.6f, .rate = 0.7f, .buy = 1, .sequence = 1};
    enum att_status status = read_rules(att_json_get(model->attend_json, "history"), &model->info.history, err);
    return status == ATT_OK ? ATT_OK : att_err_file(err, status, "attend.json");
}
