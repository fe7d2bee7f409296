/* Reading checked fields of config.json. */
#include "core/arch/config.h"

#include <string.h>

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
    if (value && att_json_type(value) == ATT_JSON_NULL)
        value = NULL;
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
    if (value && att_json_type(value) == ATT_JSON_NULL)
        value = NULL;
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
        {"gelu", ATT_ACT_GELU},          {"gelu_python", ATT_ACT_GELU},    {"relu", ATT_ACT_RELU},
        {"gelu_new", ATT_ACT_GELU_TANH}, {"gelu_fast", ATT_ACT_GELU_TANH}, {"gelu_pytorch_tanh", ATT_ACT_GELU_TANH},
        {"silu", ATT_ACT_SILU},          {"swish", ATT_ACT_SILU},          {"tanh", ATT_ACT_TANH},
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

enum att_status att_config_sizes(const struct att_json *config, const struct att_config_field *fields, size_t n_fields,
                                 struct att_err *err)
{
    for (size_t i = 0; i < n_fields; i++) {
        const struct att_config_field *field = &fields[i];
        if (!field->name)
            continue;
        enum att_status status =
            att_config_size(config, field->name, field->min, field->max, field->otherwise, field->ret, err);
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}

enum att_status att_config_heads(const char *field, size_t width, size_t n_heads, struct att_err *err)
{
    if (n_heads == 0 || width % n_heads != 0)
        return att_err_set(err, ATT_EFORMAT, "%s: is %zu, expected a divisor of %zu", field, n_heads, width);
    return ATT_OK;
}

enum att_status att_config_must_be(const struct att_json *config, const char *field, const char *expected,
                                   struct att_err *err)
{
    const struct att_json *value = att_json_get(config, field);
    const char *text = att_json_string(value, NULL);
    if (!value || att_json_type(value) == ATT_JSON_NULL || (text && strcmp(text, expected) == 0))
        return ATT_OK;
    return att_err_set(err, ATT_EUNSUPPORTED, "%s: is '%s', expected '%s'", field,
                       text ? text : att_json_type_name(value), expected);
}

enum att_status att_config_must_be_bool(const struct att_json *config, const char *field, bool expected,
                                        struct att_err *err)
{
    bool value = expected;
    enum att_status status = att_config_bool(config, field, expected, &value, err);
    if (status == ATT_OK && value != expected)
        return att_err_set(err, ATT_EUNSUPPORTED, "%s: is %s, expected %s", field, value ? "true" : "false",
                           expected ? "true" : "false");
    return status;
}
