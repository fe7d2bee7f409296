/* Reading checked fields of config.json, and the list of families. */
#include <string.h>

#include "core/arch/arch.h"

static const struct att_arch *const families[] = {&att_arch_bert, &att_arch_sasrec};

const struct att_arch *att_arch_find(const char *model_type)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strcmp(families[i]->model_type, model_type) == 0)
            return families[i];
    return NULL;
}

const char *att_arch_names(void)
{
    return "bert, sasrec";
}

enum att_status att_config_size(const struct att_json *config, const char *field, size_t min, size_t max,
                                size_t otherwise, size_t *ret, struct att_err *err)
{
    const struct att_json *value = att_json_get(config, field);
    if (!value || att_json_type(value) == ATT_JSON_NULL) {
        if (otherwise == SIZE_MAX)
            return att_err_set(err, ATT_EFORMAT, "%s: is missing, expected an integer from %zu to %zu", field, min,
                               max);
        *ret = otherwise;
        return ATT_OK;
    }
    int64_t number;
    if (!att_json_integer(value, (int64_t)min, (int64_t)max, &number))
        return att_err_set(err, ATT_EFORMAT, "%s: is %s %.17g, expected an integer from %zu to %zu", field,
                           att_json_type_name(value), att_json_number(value, 0), min, max);
    *ret = (size_t)number;
    return ATT_OK;
}

enum att_status att_config_float(const struct att_json *config, const char *field, double min, double max,
                                 double otherwise, float *ret, struct att_err *err)
{
    const struct att_json *value = att_json_get(config, field);
    double number = att_json_number(value, otherwise);
    if ((value && !att_json_is_number(value)) || !(number >= min && number <= max))
        return att_err_set(err, ATT_EFORMAT, "%s: is %s %.9g, expected a number from %g to %g", field,
                           att_json_type_name(value), number, min, max);
    *ret = (float)number;
    return ATT_OK;
}

enum att_status att_config_bool(const struct att_json *config, const char *field, bool otherwise, bool *ret,
                                struct att_err *err)
{
    const struct att_json *value = att_json_get(config, field);
    if (value && !att_json_is_bool(value))
        return att_err_set(err, ATT_EFORMAT, "%s: is %s, expected true or false", field, att_json_type_name(value));
    *ret = att_json_bool(value, otherwise);
    return ATT_OK;
}

enum att_status att_config_act(const struct att_json *config, const char *field, enum att_act otherwise,
                               enum att_act *ret, struct att_err *err)
{
    static const struct {
        const char *name;
        enum att_act act;
    } names[] = {
        {"gelu", ATT_ACT_GELU},          {"relu", ATT_ACT_RELU},
        {"gelu_new", ATT_ACT_GELU_TANH}, {"gelu_pytorch_tanh", ATT_ACT_GELU_TANH},
        {"silu", ATT_ACT_SILU},          {"swish", ATT_ACT_SILU},
        {"tanh", ATT_ACT_TANH},
    };
    const struct att_json *value = att_json_get(config, field);
    if (!value) {
        *ret = otherwise;
        return ATT_OK;
    }
    const char *name = att_json_string(value, NULL);
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i].name) == 0) {
            *ret = names[i].act;
            return ATT_OK;
        }
    return att_err_set(err, ATT_EUNSUPPORTED,
                       "%s: '%s' is not known, expected gelu, gelu_new, gelu_pytorch_tanh, relu, silu or tanh", field,
                       name ? name : att_json_type_name(value));
}

enum att_status att_config_labels(const struct att_json *config, size_t *ret, struct att_err *err)
{
    const struct att_json *labels = att_json_get(config, "id2label");
    if (!labels)
        return att_config_size(config, "num_labels", 1, 100000, 2, ret, err);
    if (!att_json_is_object(labels) || att_json_count(labels) == 0 || att_json_count(labels) > 100000)
        return att_err_set(err, ATT_EFORMAT, "id2label: is %s of %zu, expected an object of 1 to 100000 labels",
                           att_json_type_name(labels), att_json_count(labels));
    *ret = att_json_count(labels);
    return ATT_OK;
}
