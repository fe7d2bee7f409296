/* Defaults and formulas are those of transformers' modeling_rope_utils. */
#include "core/arch/rope_config.h"

#include <math.h>
#include <string.h>

#include "core/arch/config.h"

static enum att_status read_kind(const struct att_json *params, enum att_rope_kind *ret, struct att_err *err)
{
    static const struct {
        const char *name;
        enum att_rope_kind kind;
    } kinds[] = {{"default", ATT_ROPE_DEFAULT},
                 {"linear", ATT_ROPE_LINEAR},
                 {"dynamic", ATT_ROPE_DYNAMIC},
                 {"yarn", ATT_ROPE_YARN},
                 {"llama3", ATT_ROPE_LLAMA3}};
    const struct att_json *value = att_json_get(params, "rope_type");
    value = value ? value : att_json_get(params, "type");
    const char *name = att_json_string(value, NULL);
    *ret = ATT_ROPE_DEFAULT;
    if (!value)
        return ATT_OK;
    for (size_t i = 0; name && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(name, kinds[i].name) == 0) {
            *ret = kinds[i].kind;
            return ATT_OK;
        }
    return att_err_set(err, ATT_EUNSUPPORTED,
                       "rope_type: '%.40s' is not known, expected default, linear, dynamic, yarn or llama3",
                       name ? name : att_json_type_name(value));
}

/* A number of the parameters; absent or null: otherwise. NAN: it must be there. */
static enum att_status number(const struct att_json *params, const char *field, double min, double max,
                              double otherwise, double *ret, struct att_err *err)
{
    const struct att_json *value = att_json_get(params, field);
    if (value && att_json_type(value) == ATT_JSON_NULL)
        value = NULL;
    *ret = att_json_number(value, otherwise);
    if ((value && !att_json_is_number(value)) || !(*ret >= min && *ret <= max))
        return att_err_set(err, ATT_EFORMAT, "rope_parameters.%s: is %s, expected a number from %g to %g", field,
                           value ? att_json_type_name(value) : "missing", min, max);
    return ATT_OK;
}

static double yarn_scale(double factor, double mscale)
{
    return factor <= 1 ? 1.0 : 0.1 * mscale * log(factor) + 1.0;
}

static enum att_status read_yarn(const struct att_json *params, struct att_rope_scaling *scaling, struct att_err *err)
{
    double mscale = 0, mscale_all = 0;
    enum att_status status = number(params, "beta_fast", 1e-3, 1e6, 32, &scaling->beta_fast, err);
    if (status == ATT_OK)
        status = number(params, "beta_slow", 1e-3, 1e6, 1, &scaling->beta_slow, err);
    if (status == ATT_OK)
        status = number(params, "mscale", 0, 1e3, 0, &mscale, err);
    if (status == ATT_OK)
        status = number(params, "mscale_all_dim", 0, 1e3, 0, &mscale_all, err);
    double otherwise = mscale > 0 && mscale_all > 0
                           ? yarn_scale(scaling->factor, mscale) / yarn_scale(scaling->factor, mscale_all)
                           : yarn_scale(scaling->factor, 1);
    if (status == ATT_OK)
        status = number(params, "attention_factor", 1e-3, 1e3, otherwise, &scaling->attention_factor, err);
    if (status == ATT_OK)
        status = att_config_bool(params, "truncate", true, &scaling->truncate, err);
    return status;
}

static enum att_status read_scaling(const struct att_json *params, size_t max_position,
                                    struct att_rope_scaling *scaling, struct att_err *err)
{
    enum att_status status = read_kind(params, &scaling->kind, err);
    if (status != ATT_OK || scaling->kind == ATT_ROPE_DEFAULT)
        return status;
    bool llama3 = scaling->kind == ATT_ROPE_LLAMA3;
    status = number(params, "factor", 1, 1e6, NAN, &scaling->factor, err);
    if (status == ATT_OK)
        status = number(params, "original_max_position_embeddings", 1, 1e9, llama3 ? NAN : (double)max_position,
                        &scaling->original_max, err);
    if (scaling->kind == ATT_ROPE_DYNAMIC)
        scaling->original_max = (double)max_position;
    if (status == ATT_OK && scaling->kind == ATT_ROPE_YARN)
        status = read_yarn(params, scaling, err);
    if (status == ATT_OK && llama3)
        status = number(params, "low_freq_factor", 1e-3, 1e6, NAN, &scaling->low_freq_factor, err);
    if (status == ATT_OK && llama3)
        status = number(params, "high_freq_factor", 1e-3, 1e6, NAN, &scaling->high_freq_factor, err);
    if (status == ATT_OK && llama3 && scaling->high_freq_factor <= scaling->low_freq_factor)
        return att_err_set(err, ATT_EFORMAT, "rope_parameters.high_freq_factor: expected more than low_freq_factor");
    return status;
}

/* GGUF files carry Llama 3's scaling as a divisor for every frequency. */
static enum att_status divide(const struct att_json *config, struct att_rope *rope, struct att_err *err)
{
    const struct att_json *factors = att_json_get(config, "rope_freq_factors");
    if (!factors)
        return ATT_OK;
    for (size_t i = 0; i < rope->dim / 2; i++) {
        double factor = att_json_number(att_json_at(factors, i), 0);
        if (att_json_count(factors) != rope->dim / 2 || !(factor >= 1e-6 && factor <= 1e6))
            return att_err_set(err, ATT_EFORMAT, "rope_freq_factors: expected %zu numbers above 0", rope->dim / 2);
        rope->inverse[i] /= (float)factor;
    }
    return ATT_OK;
}

enum att_status att_rope_configure(const struct att_json *config, const struct att_rope_fields *fields,
                                   struct att_rope *rope, struct att_err *err)
{
    const struct att_json *params = att_json_get(config, "rope_parameters"), *scaling = params;
    static const char *const objects[] = {"rope_parameters", "rope_scaling"};
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        const struct att_json *value = att_json_get(config, objects[i]);
        if (value && att_json_type(value) != ATT_JSON_NULL && !att_json_is_object(value))
            return att_err_set(err, ATT_EFORMAT, "%s: is %s, expected an object", objects[i],
                               att_json_type_name(value));
    }
    if (fields->section && att_json_get(params, fields->section))
        params = scaling = att_json_get(params, fields->section);
    if (!att_json_is_object(params)) {
        params = config;
        scaling = att_json_get(config, "rope_scaling");
    }
    const char *theta = params == config ? fields->theta : "rope_theta";
    double partial = 1;
    enum att_status status = number(params, theta, 1.0001, 1e12, fields->default_theta, &rope->base, err);
    if (status == ATT_OK)
        status = number(params, "partial_rotary_factor", 1e-3, 1, 1, &partial, err);
    if (status == ATT_OK)
        status = read_scaling(scaling, fields->max_position, &rope->scaling, err);
    if (status != ATT_OK)
        return status;
    rope->dim = (size_t)((double)fields->head_dim * partial);
    if (rope->dim < 2 || rope->dim % 2 != 0 || rope->dim > 2 * ATT_ROPE_HALF_MAX)
        return att_err_set(err, ATT_EUNSUPPORTED, "head_dim: %zu rotated dimensions, expected an even number up to %d",
                           rope->dim, 2 * ATT_ROPE_HALF_MAX);
    att_rope_init(rope);
    return divide(config, rope, err);
}

size_t att_rope_reach(const struct att_rope *rope, size_t max_position)
{
    const struct att_rope_scaling *scaling = &rope->scaling;
    if (scaling->kind != ATT_ROPE_LINEAR && scaling->kind != ATT_ROPE_DYNAMIC && scaling->kind != ATT_ROPE_YARN)
        return max_position;
    double reach = scaling->original_max * scaling->factor;
    return reach > (double)max_position && reach < 1e9 ? (size_t)reach : max_position;
}
