/* Tensors under the names that Hugging Face's checkpoints give them (gguf-py's tensor_mapping.py, read backwards). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/gguf/file.h"

/* What stands before ".weight" and ".bias"; %zu: the layer. */
struct name {
    const char *gguf, *model;
};

static const struct name llama_names[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
    {"blk.%zu.attn_norm", "model.layers.%zu.input_layernorm"},
    {"blk.%zu.attn_q", "model.layers.%zu.self_attn.q_proj"},
    {"blk.%zu.attn_k", "model.layers.%zu.self_attn.k_proj"},
    {"blk.%zu.attn_v", "model.layers.%zu.self_attn.v_proj"},
    {"blk.%zu.attn_output", "model.layers.%zu.self_attn.o_proj"},
    {"blk.%zu.attn_q_norm", "model.layers.%zu.self_attn.q_norm"},
    {"blk.%zu.attn_k_norm", "model.layers.%zu.self_attn.k_norm"},
    {"blk.%zu.ffn_norm", "model.layers.%zu.post_attention_layernorm"},
    {"blk.%zu.ffn_gate", "model.layers.%zu.mlp.gate_proj"},
    {"blk.%zu.ffn_up", "model.layers.%zu.mlp.up_proj"},
    {"blk.%zu.ffn_down", "model.layers.%zu.mlp.down_proj"},
    {NULL, NULL},
};

static const struct name bert_names[] = {
    {"token_embd", "embeddings.word_embeddings"},
    {"position_embd", "embeddings.position_embeddings"},
    {"token_types", "embeddings.token_type_embeddings"},
    {"token_embd_norm", "embeddings.LayerNorm"},
    {"blk.%zu.attn_q", "encoder.layer.%zu.attention.self.query"},
    {"blk.%zu.attn_k", "encoder.layer.%zu.attention.self.key"},
    {"blk.%zu.attn_v", "encoder.layer.%zu.attention.self.value"},
    {"blk.%zu.attn_output", "encoder.layer.%zu.attention.output.dense"},
    {"blk.%zu.attn_output_norm", "encoder.layer.%zu.attention.output.LayerNorm"},
    {"blk.%zu.ffn_up", "encoder.layer.%zu.intermediate.dense"},
    {"blk.%zu.ffn_down", "encoder.layer.%zu.output.dense"},
    {"blk.%zu.layer_output_norm", "encoder.layer.%zu.output.LayerNorm"},
    {NULL, NULL},
};

static const struct name nomic_names[] = {
    {"token_embd", "embeddings.word_embeddings"},
    {"token_types", "embeddings.token_type_embeddings"},
    {"token_embd_norm", "emb_ln"},
    {"blk.%zu.attn_qkv", "encoder.layers.%zu.attn.Wqkv"},
    {"blk.%zu.attn_output", "encoder.layers.%zu.attn.out_proj"},
    {"blk.%zu.attn_output_norm", "encoder.layers.%zu.norm1"},
    {"blk.%zu.ffn_up", "encoder.layers.%zu.mlp.fc11"},
    {"blk.%zu.ffn_gate", "encoder.layers.%zu.mlp.fc12"},
    {"blk.%zu.ffn_down", "encoder.layers.%zu.mlp.fc2"},
    {"blk.%zu.layer_output_norm", "encoder.layers.%zu.norm2"},
    {NULL, NULL},
};

static const struct name *names_of(const char *arch)
{
    static const struct {
        const char *arch;
        const struct name *names;
    } all[] = {{"llama", llama_names}, {"qwen2", llama_names},      {"qwen3", llama_names},
               {"bert", bert_names},   {"nomic-bert", nomic_names}, {NULL, NULL}};
    size_t i = 0;
    while (all[i].arch && strcmp(all[i].arch, arch) != 0)
        i++;
    return all[i].names;
}

/* "blk.3.attn_q" as `pattern` "blk.%zu.attn_q"? */
static bool matches(const char *pattern, const char *name, size_t len, size_t *ret_layer)
{
    const char *mark = strstr(pattern, "%zu");
    *ret_layer = 0;
    if (!mark)
        return strlen(pattern) == len && memcmp(pattern, name, len) == 0;
    size_t head = (size_t)(mark - pattern), at = head, digits = 0;
    if (len < head || memcmp(pattern, name, head) != 0)
        return false;
    for (; at < len && digits < 6 && name[at] >= '0' && name[at] <= '9'; at++, digits++)
        *ret_layer = 10 * *ret_layer + (size_t)(name[at] - '0');
    return digits > 0 && strlen(mark + 3) == len - at && memcmp(mark + 3, name + at, len - at) == 0;
}

/* Into `out`; names that are not known stay. */
static void model_name(const struct name *names, const char *name, char *out, size_t size)
{
    const char *dot = strrchr(name, '.');
    size_t len = dot ? (size_t)(dot - name) : strlen(name), layer = 0;
    snprintf(out, size, "%s", name);
    for (; names && names->gguf && dot; names++) {
        if (!matches(names->gguf, name, len, &layer))
            continue;
        const char *mark = strstr(names->model, "%zu");
        if (mark)
            snprintf(out, size, "%.*s%zu%s%s", (int)(mark - names->model), names->model, layer, mark + 3, dot);
        else
            snprintf(out, size, "%s%s", names->model, dot);
    }
}

/* Files of llama have the rows of queries and keys in the order that ggml's rotation wants. */
static enum att_status set_order(const struct att_gguf *gguf, const char *name, struct att_tensor *tensor,
                                 struct att_err *err)
{
    bool query = strstr(name, ".attn_q.") != NULL, key = strstr(name, ".attn_k.") != NULL;
    size_t heads = 0, key_heads = 0;
    if (strcmp(gguf->arch, "llama") != 0 || (!query && !key))
        return ATT_OK;
    enum att_status status = att_gguf_size(gguf, ".attention.head_count", 1, 65536, &heads, err);
    key_heads = heads;
    if (status == ATT_OK)
        status = att_gguf_size(gguf, ".attention.head_count_kv", 1, 65536, &key_heads, err);
    heads = query ? heads : key_heads;
    if (status == ATT_OK && (heads == 0 || tensor->shape[0] % (2 * heads) != 0))
        return att_err_set(err, ATT_EFORMAT,
                           "%s: tensor '%s' has %zu rows, expected an even number for each of %zu heads", gguf->file,
                           name, tensor->shape[0], heads);
    tensor->interleaved_heads = heads;
    return status;
}

static enum att_status add_tensor(const struct att_gguf *gguf, const struct att_gguf_tensor *from,
                                  struct att_weights *weights, struct att_err *err)
{
    char name[640];
    model_name(names_of(gguf->arch), from->name, name, sizeof name);
    struct att_tensor *tensor = &weights->tensors[weights->n_tensors];
    *tensor = (struct att_tensor){.name = att_mem_strdup(name),
                                  .dtype_name = from->type->name,
                                  .blocks = from->type,
                                  .rank = from->rank,
                                  .count = from->count,
                                  .offset = from->offset,
                                  .bytes = from->bytes};
    if (!tensor->name)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    weights->n_tensors++;
    memcpy(tensor->shape, from->shape, sizeof from->shape);
    return set_order(gguf, from->name, tensor, err);
}

enum att_status att_gguf_weights(const struct att_gguf *gguf, const struct att_dir *dir,
                                 struct att_weights *ret_weights, struct att_err *err)
{
    struct att_weights weights = {.n_shards = 0};
    enum att_status status = att_weights_add_file(&weights, dir, gguf->file, err);
    if (status == ATT_OK)
        status = att_weights_reserve(&weights, gguf->n_tensors, err);
    for (size_t i = 0; status == ATT_OK && i < gguf->n_tensors; i++)
        status = add_tensor(gguf, &gguf->tensors[i], &weights, err);
    if (status == ATT_OK)
        status = att_weights_sort(&weights, gguf->file, err);
    if (status == ATT_OK)
        *ret_weights = weights;
    else
        att_weights_close(&weights);
    return status;
}
