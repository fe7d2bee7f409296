/*
 * Dense modules of sentence-transformers: linear layers behind the pooling, each
 * with an activation, in the order of modules.json. A folder holds config.json
 *
 *   {"in_features":384,"out_features":384,"bias":true,"activation_function":"torch.nn.modules.linear.Identity"}
 *
 * and model.safetensors with linear.weight [out][in] and linear.bias [out]. What
 * the last one gives is the model's vector, so it is as wide as the encoder;
 * layers between may be wider. Always f32: against the encoder they cost nothing.
 */
#include <stdio.h>
#include <string.h>

#include "core/arch/config.h"
#include "core/base/mem.h"
#include "core/kern/kern.h"
#include "core/model.h"

enum { WIDTH_MAX = 16384 };

/* The class of an activation: newer files write its place in torch before the name, older ones too. */
static enum att_status act_read(const struct att_json *config, enum att_act *ret_act, struct att_err *err)
{
    static const struct {
        const char *name;
        enum att_act act;
    } names[] = {{"Identity", ATT_ACT_NONE},
                 {"Tanh", ATT_ACT_TANH},
                 {"ReLU", ATT_ACT_RELU},
                 {"GELU", ATT_ACT_GELU},
                 {"SiLU", ATT_ACT_SILU}};
    const struct att_json *value = att_json_get(config, "activation_function");
    const char *name = value ? att_json_string(value, NULL) : "Tanh"; /* what the library takes without one */
    const char *dot = name ? strrchr(name, '.') : NULL;
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        if (strcmp(dot ? dot + 1 : name, names[i].name) == 0) {
            *ret_act = names[i].act;
            return ATT_OK;
        }
    return att_err_set(err, ATT_EUNSUPPORTED,
                       "activation_function: '%.60s' is not known, expected Identity, Tanh, ReLU, GELU or SiLU",
                       name ? name : att_json_type_name(value));
}

/* One tensor of the module, as f32; *ret_values is NULL on failure. */
static enum att_status tensor_read(struct att_weights *weights, const char *name, size_t rank, const size_t *shape,
                                   float **ret_values, struct att_err *err)
{
    const struct att_tensor *tensor = att_weights_find(weights, name);
    char got[96] = "missing", expected[96];
    if (!tensor || tensor->rank != rank || memcmp(tensor->shape, shape, rank * sizeof *shape) != 0) {
        if (tensor)
            att_shape_text(tensor->rank, tensor->shape, got, sizeof got);
        att_shape_text(rank, shape, expected, sizeof expected);
        return att_err_set(err, ATT_EFORMAT, "%s: tensor '%s' is %s, expected %s", weights->shard_names[0], name, got,
                           expected);
    }
    float *values = att_mem_aligned(tensor->count, sizeof *values);
    if (!values)
        return att_err_set(err, ATT_ENOMEM, "out of memory for '%s'", name);
    enum att_status status = att_weights_read(weights, tensor, values, err);
    if (status == ATT_OK)
        *ret_values = values;
    else
        att_mem_free(values);
    return status;
}

static enum att_status layer_read(struct att_weights *weights, size_t n, size_t k, bool biased,
                                  struct att_linear *linear, struct att_err *err)
{
    float *weight = NULL, *bias = NULL;
    enum att_status status = tensor_read(weights, "linear.weight", 2, (size_t[]){n, k}, &weight, err);
    if (status == ATT_OK && biased)
        status = tensor_read(weights, "linear.bias", 1, &n, &bias, err);
    for (size_t i = 0; status == ATT_OK && i < weights->n_tensors; i++)
        if (!weights->tensors[i].used)
            status = att_err_set(err, ATT_EUNSUPPORTED, "%s: tensor '%s' belongs to no layer of a Dense module",
                                 weights->shard_names[0], weights->tensors[i].name);
    if (status == ATT_OK)
        status = att_linear_init(linear, ATT_F32, n, k, weight, bias, NULL, err);
    att_mem_free(weight);
    att_mem_free(bias);
    return status;
}

enum att_status att_dense_load(struct att_model *model, const struct att_dir *dir, const char *folder,
                               struct att_weights *files, struct att_err *err)
{
    char config_name[ATT_FILE_NAME_MAX + 24], weights_name[ATT_FILE_NAME_MAX + 24];
    const size_t k = model->n_dense ? model->dense[model->n_dense - 1].linear.n : model->info.hidden_size;
    size_t in = 0, out = 0;
    bool biased = true;
    struct att_dense dense = {.act = ATT_ACT_NONE};
    struct att_json *config = NULL;
    struct att_weights weights = {.n_shards = 0};
    if (model->arch_info.scores_items)
        return att_err_set(err, ATT_EUNSUPPORTED, "modules.json: has a Dense module, expected none for a recommender");
    if (model->n_dense == ATT_DENSE_MAX)
        return att_err_limit(err, NULL, ATT_DENSE_MAX, model->n_dense + 1, "modules.json: more than %d Dense modules",
                             ATT_DENSE_MAX);
    snprintf(config_name, sizeof config_name, "%s/config.json", folder);
    snprintf(weights_name, sizeof weights_name, "%s/model.safetensors", folder);
    enum att_status status = att_json_file(dir, config_name, false, &config, err);
    if (status != ATT_OK)
        return status;
    status = att_config_size(config, "in_features", k, k, SIZE_MAX, &in, err);
    if (status == ATT_OK)
        status = att_config_size(config, "out_features", 1, WIDTH_MAX, SIZE_MAX, &out, err);
    if (status == ATT_OK)
        status = att_config_bool(config, "bias", true, &biased, err);
    if (status == ATT_OK)
        status = act_read(config, &dense.act, err);
    att_json_destroy(config);
    if (status != ATT_OK)
        return att_err_file(err, status, config_name);
    status = att_safetensors_open(dir, weights_name, &weights, err);
    if (status == ATT_OK)
        status = layer_read(&weights, out, in, biased, &dense.linear, err);
    if (status == ATT_OK)
        status = att_weights_keep_files(files, &weights, err);
    att_weights_close(&weights);
    if (status != ATT_OK) {
        att_linear_finish(&dense.linear);
        return status;
    }
    model->info.weight_bytes += dense.linear.bytes;
    model->dense[model->n_dense++] = dense;
    return ATT_OK;
}

size_t att_dense_width(const struct att_model *model)
{
    size_t width = model->info.hidden_size;
    for (size_t i = 0; i < model->n_dense; i++)
        width = model->dense[i].linear.n > width ? model->dense[i].linear.n : width;
    return width;
}

const float *att_dense_run(const struct att_model *model, struct att_team *team, size_t n_seqs, float *x, float *y)
{
    for (size_t i = 0; i < model->n_dense; i++) {
        const struct att_dense *dense = &model->dense[i];
        const size_t n = dense->linear.n, k = dense->linear.k;
        att_linear_run(team, &dense->linear, n_seqs, x, k, y, n, dense->act, NULL, 0);
        for (size_t s = 0; dense->normalize && s < n_seqs; s++)
            att_kern()->rows->l2_normalize(n, y + s * n);
        float *other = x;
        x = y;
        y = other;
    }
    return x;
}
