/* What the weight files of a directory hold, for people who look into it. */
#include "core/attend.h"
#include "core/gguf/gguf.h"
#include "core/io/safetensors.h"
#include "core/model.h"

static enum att_status open_gguf(const struct att_dir *dir, const char *name, struct att_weights *ret_weights,
                                 struct att_err *err)
{
    struct att_gguf *gguf = NULL;
    enum att_status status = att_gguf_open(dir, name, &gguf, err);
    if (status == ATT_OK)
        status = att_gguf_weights(gguf, dir, ret_weights, err);
    att_gguf_close(gguf);
    return status;
}

static enum att_status open_any(const struct att_dir *dir, struct att_weights *ret_weights, struct att_err *err)
{
    char gguf[ATT_FILE_NAME_MAX];
    if (att_dir_has(dir, "adapter_config.json"))
        return att_safetensors_open(dir, "adapter_model.safetensors", ret_weights, err);
    if (att_gguf_in(dir, gguf))
        return open_gguf(dir, gguf, ret_weights, err);
    return att_checkpoint_weights(dir, ret_weights, err);
}

enum att_status att_model_tensors(const char *path, void (*visit)(void *context, const struct att_tensor_info *tensor),
                                  void *context, struct att_err *err)
{
    struct att_dir dir;
    struct att_weights weights;
    enum att_status status = att_dir_open(path, &dir, err);
    if (status != ATT_OK)
        return status;
    status = open_any(&dir, &weights, err);
    for (size_t i = 0; status == ATT_OK && i < weights.n_tensors; i++) {
        const struct att_tensor *tensor = &weights.tensors[i];
        visit(context, &(struct att_tensor_info){.file = att_weights_file(&weights, tensor),
                                                 .name = tensor->name,
                                                 .dtype = tensor->dtype_name,
                                                 .rank = tensor->rank,
                                                 .shape = tensor->shape});
    }
    if (status == ATT_OK)
        att_weights_close(&weights);
    att_dir_close(&dir);
    return status;
}
