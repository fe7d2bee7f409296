/*
 * LoRA (Hu et al. 2021) in PEFT's layout: adapter_config.json and
 * adapter_model.safetensors with base_model.model.<module>.lora_A.weight [r][in]
 * and .lora_B.weight [out][r]. The change scale · B·A is added to the base's
 * weight once, at load; a forward pass knows nothing of it.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/arch/config.h"
#include "core/base/mem.h"
#include "core/model.h"

enum { RANK_MAX = 1024, NAME_BYTES = 256 };

static const char root[] = "base_model.model.";

static enum att_status config_check(const struct att_json *config, struct att_adapter *adapter, struct att_err *err)
{
    const char *type = att_json_string(att_json_get(config, "peft_type"), NULL);
    if (!type || strcmp(type, "LORA") != 0)
        return att_err_set(err, ATT_EUNSUPPORTED, "peft_type: is '%s', expected 'LORA'", type ? type : "(none)");
    static const char *const off[] = {"use_dora", "use_qalora", "lora_bias"}, *const empty[] = {"rank_pattern",
                                                                                                "alpha_pattern"};
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
        enum att_status status = att_config_must_be_bool(config, off[i], false, err);
        if (status != ATT_OK)
            return status;
    }
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
        if (att_json_count(att_json_get(config, empty[i])) > 0)
            return att_err_set(err, ATT_EUNSUPPORTED, "%s: has patterns, expected none", empty[i]);
    const char *init = att_json_string(att_json_get(config, "init_lora_weights"), NULL);
    if (init && strcmp(init, "gaussian") != 0 && strcmp(init, "eva") != 0 && strcmp(init, "orthogonal") != 0)
        return att_err_set(err, ATT_EUNSUPPORTED,
                           "init_lora_weights: is '%.40s', which changes the base; expected an adapter saved for the "
                           "unchanged one",
                           init);
    float alpha = 0;
    bool stabilised = false;
    enum att_status status = att_config_must_be_null(
        config, "alora_invocation_tokens", "an adapter that is active from some token on cannot be merged", err);
    if (status == ATT_OK)
        status = att_config_must_be(config, "bias", "none", err);
    if (status == ATT_OK)
        status = att_config_size(config, "r", 1, RANK_MAX, SIZE_MAX, &adapter->rank, err);
    if (status == ATT_OK)
        status = att_config_float(config, "lora_alpha", 0, 65536, 8, &alpha, err);
    if (status == ATT_OK)
        status = att_config_bool(config, "fan_in_fan_out", false, &adapter->transposed, err);
    if (status == ATT_OK)
        status = att_config_bool(config, "use_rslora", false, &stabilised, err);
    if (status != ATT_OK)
        return status;
    adapter->scale = alpha / (stabilised ? sqrtf((float)adapter->rank) : (float)adapter->rank);
    return ATT_OK;
}

enum att_status att_adapter_open(const struct att_dir *dir, const struct att_json *config, const struct att_arch *arch,
                                 struct att_adapter *ret_adapter, struct att_err *err)
{
    struct att_adapter adapter = {.rank = 0};
    enum att_status status = config_check(config, &adapter, err);
    if (status != ATT_OK)
        return att_err_file(err, status, "adapter_config.json");
    status = att_safetensors_open(dir, "adapter_model.safetensors", &adapter.weights, err);
    if (status != ATT_OK)
        return status;
    char prefix[NAME_BYTES];
    snprintf(prefix, sizeof prefix, "%s%s", root, arch->prefix);
    for (size_t i = 0; *arch->prefix && i < adapter.weights.n_tensors; i++)
        if (strncmp(adapter.weights.tensors[i].name, prefix, strlen(prefix)) == 0)
            adapter.prefixed = true;
    *ret_adapter = adapter;
    return ATT_OK;
}

void att_adapter_close(struct att_adapter *adapter)
{
    att_weights_close(&adapter->weights);
}

struct att_tensor *att_adapter_own(struct att_adapter *adapter, const struct att_arch *arch, const char *name)
{
    char full[NAME_BYTES];
    snprintf(full, sizeof full, "%s%s%s", root, adapter->prefixed ? arch->prefix : "", name);
    struct att_tensor *tensor = att_weights_find(&adapter->weights, full);
    if (tensor)
        return tensor;
    snprintf(full, sizeof full, "%s%s", root, name);
    return att_weights_find(&adapter->weights, full);
}

/* lora_A or lora_B of a module, checked against [rows][cols], as f32; *ret stays NULL when there is none. */
static enum att_status factor_read(struct att_adapter *adapter, const struct att_arch *arch, const char *name,
                                   const char *which, size_t rows, size_t cols, float **ret, struct att_err *err)
{
    char full[NAME_BYTES];
    size_t module_len = strlen(name) - strlen(".weight");
    snprintf(full, sizeof full, "%s%s%.*s.%s.weight", root, adapter->prefixed ? arch->prefix : "", (int)module_len,
             name, which);
    struct att_tensor *tensor = att_weights_find(&adapter->weights, full);
    if (!tensor)
        return ATT_OK;
    if (tensor->rank != 2 || tensor->shape[0] != rows || tensor->shape[1] != cols) {
        char got[96];
        att_shape_text(tensor->rank, tensor->shape, got, sizeof got);
        return att_err_set(err, ATT_EFORMAT, "adapter_model.safetensors: tensor '%s' has shape %s, expected [%zu,%zu]",
                           full, got, rows, cols);
    }
    float *data = att_mem_aligned(tensor->count, sizeof *data);
    if (!data)
        return att_err_set(err, ATT_ENOMEM, "out of memory for '%s'", full);
    enum att_status status = att_weights_read(&adapter->weights, tensor, data, err);
    if (status != ATT_OK)
        att_mem_free(data);
    else
        *ret = data;
    return status;
}

/* weight[i][c] += scale * (B A)[i][c], or of its transpose. */
static void add_product(const struct att_adapter *adapter, size_t rows, size_t cols, const float *a, const float *b,
                        float *weight)
{
    size_t r = adapter->rank;
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < r; j++) {
            float factor = adapter->scale * (adapter->transposed ? a[j * rows + i] : b[i * r + j]);
            const float *other = adapter->transposed ? b + j : a + j * cols;
            size_t step = adapter->transposed ? r : 1;
            for (size_t c = 0; c < cols; c++)
                weight[i * cols + c] += factor * other[c * step];
        }
    }
}

enum att_status att_adapter_merge(struct att_adapter *adapter, const struct att_arch *arch, const char *name,
                                  size_t rows, size_t cols, float *weight, struct att_err *err)
{
    size_t len = strlen(name), r = adapter->rank;
    size_t in = adapter->transposed ? rows : cols, out = adapter->transposed ? cols : rows;
    if (len < 8 || strcmp(name + len - 7, ".weight") != 0)
        return ATT_OK;
    float *a = NULL, *b = NULL;
    enum att_status status = factor_read(adapter, arch, name, "lora_A", r, in, &a, err);
    if (status == ATT_OK)
        status = factor_read(adapter, arch, name, "lora_B", out, r, &b, err);
    if (status == ATT_OK && (!a) != (!b))
        status = att_err_set(err, ATT_EFORMAT, "adapter_model.safetensors: '%s' has lora_%s without lora_%s", name,
                             a ? "A" : "B", a ? "B" : "A");
    if (status == ATT_OK && a)
        add_product(adapter, rows, cols, a, b, weight);
    for (size_t i = 0; status == ATT_OK && a && i < rows * cols; i++)
        if (!isfinite(weight[i]))
            status = att_err_set(err, ATT_EFORMAT,
                                 "adapter_model.safetensors: lora_A and lora_B of '%s' make it overflow", name);
    att_mem_free(a);
    att_mem_free(b);
    return status;
}

enum att_status att_adapter_check_used(const struct att_adapter *adapter, struct att_err *err)
{
    for (size_t i = 0; i < adapter->weights.n_tensors; i++)
        if (!adapter->weights.tensors[i].used)
            return att_err_set(err, ATT_EUNSUPPORTED,
                               "adapter_model.safetensors: tensor '%s' belongs to no weight of the base model",
                               adapter->weights.tensors[i].name);
    return ATT_OK;
}
