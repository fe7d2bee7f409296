/* Reading checked fields of config.json. */
#include "core/arch/config.h"

#include <stdio.h>
#include <string.h>

/* A value for messages: a short text or a number as it is, else its type. */
static const char *shown(const struct att_json *value, char text[64])
{
    if (att_json_is_string(value))
        snprintf(text, 64, "'%.40s'", att_json_string(value, NULL));
    else if (att_json_is_number(value))
        snprintf(text, 64, "%.17g", att_json_number(value, 0));
    else if (att_json_is_bool(value))
        snprintf(text, 64, "%s", att_json_bool(value, false) ? "true" : "false");
    else
        snprintf(text, 64, "%s", att_json_type_name(value));
    return text;
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
    char text[64];
    if (!att_json_integer(value, (int64_t)min, (int64_t)max, &number))
        return att_err_set(err, ATT_EFORMAT, "%s: is %s, expected an integer from %zu to %zu", field,
                           shown(value, text), min, max);
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
    char text[64];
    if ((value && !att_json_is_number(value)) || !(number >= min && number <= max))
        return att_err_set(err, ATT_EFORMAT, "%s: is %s, expected a number from %g to %g", field, shown(value, text),
                           min, max);
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

static enum att_status check_id(const struct att_json *value, const char *field, int64_t max, struct att_err *err)
{
    int64_t id;
    char text[64];
    if (!value || att_json_type(value) == ATT_JSON_NULL || att_json_integer(value, -1, max, &id))
        return ATT_OK;
    return att_err_set(err, ATT_EFORMAT, "%s: is %s, expected a token id from 0 to %lld", field, shown(value, text),
                       (long long)max);
}

enum att_status att_config_ids(const struct att_json *config, size_t rows, bool generates, struct att_err *err)
{
    static const char *const fields[] = {"pad_token_id",           "bos_token_id",        "eos_token_id",
                                         "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id"};
    enum att_status status = ATT_OK;
    for (size_t i = 0; status == ATT_OK && i < sizeof fields / sizeof *fields; i++) {
        const struct att_json *value = att_json_get(config, fields[i]);
        int64_t max = i == 0 || generates ? (int64_t)rows - 1 : INT32_MAX;
        if (!att_json_is_array(value) || strcmp(fields[i], "eos_token_id") != 0)
            status = check_id(value, fields[i], max, err);
        else
            for (size_t k = 0; status == ATT_OK && k < att_json_count(value); k++)
                status = check_id(att_json_at(value, k), fields[i], max, err);
    }
    return status;
}

enum att_status att_config_names(const struct att_json *config, const char *field, struct att_err *err)
{
    const struct att_json *names = att_json_get(config, field);
    bool good = !names || att_json_type(names) == ATT_JSON_NULL || att_json_is_array(names);
    for (size_t i = 0; good && i < att_json_count(names); i++)
        good = att_json_is_string(att_json_at(names, i));
    return good ? ATT_OK
                : att_err_set(err, ATT_EFORMAT, "%s: is %s, expected an array of strings", field,
                              att_json_is_array(names) ? "an array of others" : att_json_type_name(names));
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

enum att_status att_config_must_be_null(const struct att_json *config, const char *field, const char *why,
                                        struct att_err *err)
{
    const struct att_json *value = att_json_get(config, field);
    if (!value || att_json_type(value) == ATT_JSON_NULL)
        return ATT_OK;
    return att_err_set(err, ATT_EUNSUPPORTED, "%s: is %s, expected null: %s", field, att_json_type_name(value), why);
}
