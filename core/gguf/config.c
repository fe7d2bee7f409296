/* config.json of the checkpoint that a GGUF file was made from. */
#include <math.h>
#include <string.h>

#include "core/gguf/file.h"

enum { DIM_MAX = 1 << 24, DIGITS = 17 };

/* Keys under "ARCH." and their names in config.json; * has no default. */
struct field {
    const char *key, *name;
    bool required;
};

static const struct field shared_fields[] = {
    {".embedding_length", "hidden_size", true},
    {".block_count", "num_hidden_layers", true},
    {".attention.head_count", "num_attention_heads", true},
    {".feed_forward_length", "intermediate_size", true},
    {".context_length", "max_position_embeddings", true},
};

static const struct family {
    const char *arch, *model_type, *class_name;
    bool decoder;
} families[] = {
    {"llama", "llama", "LlamaForCausalLM", true},          {"qwen2", "qwen2", "Qwen2ForCausalLM", true},
    {"qwen3", "qwen3", "Qwen3ForCausalLM", true},          {"bert", "bert", "BertModel", false},
    {"nomic-bert", "nomic_bert", "NomicBertModel", false},
};

static const struct family *family_of(const struct att_gguf *gguf, struct att_err *err)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strcmp(families[i].arch, gguf->arch) == 0)
            return &families[i];
    (void)att_err_set(
        err, ATT_EUNSUPPORTED,
        "%s: general.architecture: '%.60s' is not known, expected llama, qwen2, qwen3, bert or nomic-bert", gguf->file,
        gguf->arch);
    return NULL;
}

/* What would change the result and is not computed here. */
static enum att_status refuse(const struct att_gguf *gguf, struct att_err *err)
{
    static const char *const unknown[] = {".expert_count",
                                          ".logit_scale",
                                          ".residual_scale",
                                          ".embedding_scale",
                                          ".attention.scale",
                                          ".attention.max_alibi_bias",
                                          ".attention.clamp_kqv",
                                          ".attn_logit_softcapping",
                                          ".final_logit_softcapping",
                                          ".moe_every_n_layers"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        const struct att_gguf_value *value = att_gguf_find(gguf, unknown[i]);
        if (value && value->number != 0)
            return att_err_set(err, ATT_EUNSUPPORTED, "%s: %s: is %.9g; this is not supported", gguf->file, value->key,
                               value->number);
    }
    const struct att_gguf_value *parts = att_gguf_find(gguf, "split.count");
    if (parts && parts->number > 1)
        return att_err_set(err, ATT_EUNSUPPORTED, "%s: split.count: is %.9g, expected a whole file: join its parts",
                           gguf->file, parts->number);
    for (size_t i = 0; i < gguf->n_tensors; i++)
        if (strncmp(gguf->tensors[i].name, "cls.", 4) == 0)
            return att_err_set(err, ATT_EUNSUPPORTED, "%s: tensor '%s': heads that rank are not read from GGUF files",
                               gguf->file, gguf->tensors[i].name);
    return ATT_OK;
}

/* Of decoders: what is computed here looks back alone, and over everything. llama.cpp writes encoders' as false. */
static enum att_status refuse_attention(const struct att_gguf *gguf, struct att_err *err)
{
    size_t window = 0;
    const struct att_gguf_value *causal = att_gguf_find(gguf, ".attention.causal");
    if (causal && causal->type != ATT_GGUF_BOOL)
        return att_err_set(err, ATT_EFORMAT, "%s: %s: is no boolean", gguf->file, causal->key);
    if (causal && causal->number == 0)
        return att_err_set(err, ATT_EUNSUPPORTED, "%s: %s: is false, expected true", gguf->file, causal->key);
    enum att_status status = att_gguf_size(gguf, ".attention.sliding_window", 0, DIM_MAX, &window, err);
    if (status == ATT_OK && window > 0)
        return att_err_set(err, ATT_EUNSUPPORTED, "%s: %s.attention.sliding_window: is %zu, expected 0", gguf->file,
                           gguf->arch, window);
    return status;
}

static enum att_status put_size(const struct att_gguf *gguf, const char *key, const char *name, bool required,
                                struct att_jsonw *out, struct att_err *err)
{
    size_t value = 0;
    enum att_status status = att_gguf_size(gguf, key, 1, DIM_MAX, &value, err);
    if (status == ATT_OK && value == 0 && required)
        return att_err_set(err, ATT_EFORMAT, "%s: %s%s: is missing", gguf->file, gguf->arch, key);
    if (status == ATT_OK && value != 0)
        att_jsonw_put_size(out, name, value);
    return status;
}

static void put_number(const struct att_gguf *gguf, const char *key, const char *name, struct att_jsonw *out)
{
    const struct att_gguf_value *value = att_gguf_find(gguf, key);
    if (!value)
        return;
    att_jsonw_key(out, name);
    if (value->type == ATT_GGUF_STRING || value->type == ATT_GGUF_ARRAY || value->type == ATT_GGUF_BOOL ||
        !isfinite(value->number)) { /* the reader of the config refuses it by its name */
        att_jsonw_cstring(out, isfinite(value->number) ? "no number" : "not finite");
        return;
    }
    /* A float of the file is the float that the config's digits meant. */
    if (value->type == ATT_GGUF_F32)
        att_jsonw_float(out, (float)value->number);
    else
        att_jsonw_double(out, value->number, DIGITS);
}

static enum att_status put_scaling(const struct att_gguf *gguf, struct att_jsonw *out, struct att_err *err)
{
    const char *type = att_gguf_string(gguf, ".rope.scaling.type");
    if (!type && att_gguf_find(gguf, ".rope.scaling.type"))
        return att_err_set(err, ATT_EFORMAT, "%s: %s.rope.scaling.type: is no string", gguf->file, gguf->arch);
    if (!type || strcmp(type, "none") == 0)
        return ATT_OK;
    if (strcmp(type, "linear") != 0 && strcmp(type, "yarn") != 0)
        return att_err_set(err, ATT_EUNSUPPORTED,
                           "%s: %s.rope.scaling.type: '%.40s' is not known, expected none, "
                           "linear or yarn",
                           gguf->file, gguf->arch, type);
    att_jsonw_key(out, "rope_scaling");
    att_jsonw_object_begin(out);
    att_jsonw_put_text(out, "rope_type", type);
    put_number(gguf, ".rope.scaling.factor", "factor", out);
    put_number(gguf, ".rope.scaling.original_context_length", "original_max_position_embeddings", out);
    put_number(gguf, ".rope.scaling.yarn_beta_fast", "beta_fast", out);
    put_number(gguf, ".rope.scaling.yarn_beta_slow", "beta_slow", out);
    att_jsonw_object_end(out);
    return ATT_OK;
}

/* The tensor of frequencies, one a pair of rotated dimensions. */
static enum att_status put_frequencies(const struct att_weights *weights, struct att_jsonw *out, struct att_err *err)
{
    enum { PAIRS_MAX = 4096 };
    struct att_weights *found_in = (struct att_weights *)(uintptr_t)weights;
    struct att_tensor *tensor = att_weights_find(found_in, "rope_freqs.weight");
    if (!tensor)
        return ATT_OK;
    if (tensor->rank != 1 || tensor->count > PAIRS_MAX)
        return att_err_set(err, ATT_EFORMAT, "%s: tensor 'rope_freqs.weight' has no shape of at most %d numbers",
                           att_weights_file(weights, tensor), PAIRS_MAX);
    float *factors = att_mem_aligned(tensor->count, sizeof *factors);
    if (!factors)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    enum att_status status = att_weights_read(weights, tensor, factors, err);
    att_jsonw_key(out, "rope_freq_factors");
    att_jsonw_array_begin(out);
    for (size_t i = 0; status == ATT_OK && i < tensor->count; i++)
        att_jsonw_float(out, factors[i]);
    att_jsonw_array_end(out);
    att_mem_free(factors);
    return status;
}

static enum att_status put_decoder(const struct att_gguf *gguf, const struct att_weights *weights,
                                   struct att_jsonw *out, struct att_err *err)
{
    size_t rotated = 0, head = 0;
    enum att_status status = refuse_attention(gguf, err);
    if (status == ATT_OK)
        status = put_size(gguf, ".attention.head_count_kv", "num_key_value_heads", false, out, err);
    if (status == ATT_OK)
        status = put_size(gguf, ".attention.key_length", "head_dim", false, out, err);
    if (status == ATT_OK)
        status = att_gguf_size(gguf, ".attention.key_length", 1, DIM_MAX, &head, err);
    if (status == ATT_OK)
        status = att_gguf_size(gguf, ".rope.dimension_count", 1, DIM_MAX, &rotated, err);
    if (status == ATT_OK && head == 0 && rotated > 0) { /* old files name it by the rotation alone */
        att_jsonw_put_size(out, "head_dim", rotated);
    } else if (status == ATT_OK && rotated > 0 && rotated != head) {
        return att_err_set(err, ATT_EUNSUPPORTED, "%s: %s.rope.dimension_count: is %zu, expected key_length, %zu",
                           gguf->file, gguf->arch, rotated, head);
    }
    put_number(gguf, ".attention.layer_norm_rms_epsilon", "rms_norm_eps", out);
    put_number(gguf, ".rope.freq_base", "rope_theta", out);
    att_jsonw_put_text(out, "hidden_act", "silu");
    att_jsonw_put_bool(out, "tie_word_embeddings", !att_gguf_tensor(gguf, "output.weight"));
    att_jsonw_put_bool(out, "attention_bias",
                       att_gguf_tensor(gguf, "blk.0.attn_q.bias") != NULL && strcmp(gguf->arch, "qwen2") != 0);
    if (status == ATT_OK)
        status = put_scaling(gguf, out, err);
    return status == ATT_OK ? put_frequencies(weights, out, err) : status;
}

static void put_encoder(const struct att_gguf *gguf, struct att_jsonw *out)
{
    const struct att_gguf_tensor *types = att_gguf_tensor(gguf, "token_types.weight");
    put_number(gguf, ".attention.layer_norm_epsilon", "layer_norm_eps", out);
    att_jsonw_put_text(out, "hidden_act", strcmp(gguf->arch, "bert") == 0 ? "gelu" : "silu");
    att_jsonw_put_int(out, "type_vocab_size", types ? (int64_t)(types->rank == 2 ? types->shape[0] : 1) : 1);
    if (strcmp(gguf->arch, "bert") != 0)
        put_number(gguf, ".rope.freq_base", "rope_theta", out);
}

static enum att_status put_pooling(const struct att_gguf *gguf, struct att_jsonw *out, struct att_err *err)
{
    static const char *const pooling[] = {"none", "mean", "cls", "last", "rank"};
    size_t kind = 0;
    enum att_status status = att_gguf_size(gguf, ".pooling_type", 0, 4, &kind, err);
    if (status == ATT_OK && kind == 4)
        return att_err_set(err, ATT_EUNSUPPORTED, "%s: %s.pooling_type: is 4 (rank), expected 0 to 3", gguf->file,
                           gguf->arch);
    if (status == ATT_OK && att_gguf_find(gguf, ".pooling_type"))
        att_jsonw_put_text(out, "pooling_type", pooling[kind]);
    return status;
}

/* The rows of the embedding table are the vocabulary. */
static enum att_status put_vocabulary(const struct att_gguf *gguf, struct att_jsonw *out, struct att_err *err)
{
    static const struct {
        const char *key, *name;
    } ids[] = {{"tokenizer.ggml.bos_token_id", "bos_token_id"},
               {"tokenizer.ggml.eos_token_id", "eos_token_id"},
               {"tokenizer.ggml.padding_token_id", "pad_token_id"}};
    const struct att_gguf_tensor *table = att_gguf_tensor(gguf, "token_embd.weight");
    size_t end = 0, turn = 0;
    if (!table || table->rank != 2)
        return att_err_set(err, ATT_EFORMAT, "%s: tensor 'token_embd.weight' is missing or no matrix", gguf->file);
    att_jsonw_put_size(out, "vocab_size", table->shape[0]);
    enum att_status status = att_gguf_size(gguf, "tokenizer.ggml.eos_token_id", 0, table->shape[0] - 1, &end, err);
    turn = end;
    if (status == ATT_OK)
        status = att_gguf_size(gguf, "tokenizer.ggml.eot_token_id", 0, table->shape[0] - 1, &turn, err);
    for (size_t i = 0; status == ATT_OK && i < sizeof ids / sizeof *ids; i++) {
        size_t id = SIZE_MAX;
        status = att_gguf_size(gguf, ids[i].key, 0, table->shape[0] - 1, &id, err);
        if (status != ATT_OK || id == SIZE_MAX)
            continue;
        att_jsonw_key(out, ids[i].name);
        bool both = i == 1 && turn != end; /* a turn's end ends the writing too */
        if (both)
            att_jsonw_array_begin(out);
        att_jsonw_int(out, (int64_t)id);
        if (both) {
            att_jsonw_int(out, (int64_t)turn);
            att_jsonw_array_end(out);
        }
    }
    return status;
}

enum att_status att_gguf_config(const struct att_gguf *gguf, const struct att_weights *weights, char **ret_text,
                                size_t *ret_len, struct att_err *err)
{
    struct att_jsonw out;
    const struct family *family = family_of(gguf, err);
    enum att_status status = family ? refuse(gguf, err) : ATT_EUNSUPPORTED;
    if (status != ATT_OK)
        return status;
    att_jsonw_init(&out, 1 << 20);
    att_jsonw_object_begin(&out);
    att_jsonw_put_text(&out, "model_type", family->model_type);
    att_jsonw_key(&out, "architectures");
    att_jsonw_array_begin(&out);
    att_jsonw_cstring(&out, family->class_name);
    att_jsonw_array_end(&out);
    for (size_t i = 0; status == ATT_OK && i < sizeof shared_fields / sizeof *shared_fields; i++)
        status = put_size(gguf, shared_fields[i].key, shared_fields[i].name, shared_fields[i].required, &out, err);
    if (status == ATT_OK && family->decoder)
        status = put_decoder(gguf, weights, &out, err);
    else if (status == ATT_OK)
        put_encoder(gguf, &out);
    if (status == ATT_OK)
        status = put_pooling(gguf, &out, err);
    if (status == ATT_OK)
        status = put_vocabulary(gguf, &out, err);
    att_jsonw_object_end(&out);
    if (status == ATT_OK)
        status = att_jsonw_take(&out, ret_text, ret_len, err);
    att_jsonw_finish(&out);
    return status;
}
