/*
 * BART (Lewis et al. 2020): learned positions, and LayerNorm of the embeddings.
 * Marian (Junczys-Dowmunt et al. 2018) has the same layers: sinusoidal positions
 * that are not stored, scaled embeddings, a bias of the logits.
 */
#include <string.h>

#include "core/arch/config.h"
#include "core/arch/seq2seq.h"

enum { VOCAB_MAX = 1 << 22 };

static const struct att_slot encoder_slots[] = {
    ATT_LINEAR(struct att_s2s_encoder_layer, self.query_key_value, ATT_S2S_HIDDEN, ATT_S2S_HIDDEN,
               "encoder.layers.#.self_attn.q_proj.*", "encoder.layers.#.self_attn.k_proj.*",
               "encoder.layers.#.self_attn.v_proj.*"),
    ATT_LINEAR(struct att_s2s_encoder_layer, self.output, ATT_S2S_HIDDEN, ATT_S2S_HIDDEN,
               "encoder.layers.#.self_attn.out_proj.*"),
    ATT_NORM(struct att_s2s_encoder_layer, self.norm, ATT_S2S_HIDDEN, "encoder.layers.#.self_attn_layer_norm.*"),
    ATT_LINEAR(struct att_s2s_encoder_layer, inner.up, ATT_S2S_ENCODER_INNER, ATT_S2S_HIDDEN, "encoder.layers.#.fc1.*"),
    ATT_LINEAR(struct att_s2s_encoder_layer, inner.down, ATT_S2S_HIDDEN, ATT_S2S_ENCODER_INNER,
               "encoder.layers.#.fc2.*"),
    ATT_NORM(struct att_s2s_encoder_layer, inner.norm, ATT_S2S_HIDDEN, "encoder.layers.#.final_layer_norm.*"),
};

static const struct att_slot decoder_slots[] = {
    ATT_LINEAR(struct att_s2s_decoder_layer, self.query_key_value, ATT_S2S_HIDDEN, ATT_S2S_HIDDEN,
               "decoder.layers.#.self_attn.q_proj.*", "decoder.layers.#.self_attn.k_proj.*",
               "decoder.layers.#.self_attn.v_proj.*"),
    ATT_LINEAR(struct att_s2s_decoder_layer, self.output, ATT_S2S_HIDDEN, ATT_S2S_HIDDEN,
               "decoder.layers.#.self_attn.out_proj.*"),
    ATT_NORM(struct att_s2s_decoder_layer, self.norm, ATT_S2S_HIDDEN, "decoder.layers.#.self_attn_layer_norm.*"),
    ATT_LINEAR(struct att_s2s_decoder_layer, cross.query, ATT_S2S_HIDDEN, ATT_S2S_HIDDEN,
               "decoder.layers.#.encoder_attn.q_proj.*"),
    ATT_LINEAR(struct att_s2s_decoder_layer, cross.query_key_value, ATT_S2S_HIDDEN, ATT_S2S_HIDDEN,
               "decoder.layers.#.encoder_attn.k_proj.*", "decoder.layers.#.encoder_attn.v_proj.*"),
    ATT_LINEAR(struct att_s2s_decoder_layer, cross.output, ATT_S2S_HIDDEN, ATT_S2S_HIDDEN,
               "decoder.layers.#.encoder_attn.out_proj.*"),
    ATT_NORM(struct att_s2s_decoder_layer, cross.norm, ATT_S2S_HIDDEN, "decoder.layers.#.encoder_attn_layer_norm.*"),
    ATT_LINEAR(struct att_s2s_decoder_layer, inner.up, ATT_S2S_DECODER_INNER, ATT_S2S_HIDDEN, "decoder.layers.#.fc1.*"),
    ATT_LINEAR(struct att_s2s_decoder_layer, inner.down, ATT_S2S_HIDDEN, ATT_S2S_DECODER_INNER,
               "decoder.layers.#.fc2.*"),
    ATT_NORM(struct att_s2s_decoder_layer, inner.norm, ATT_S2S_HIDDEN, "decoder.layers.#.final_layer_norm.*"),
};

static const struct att_slot bart_slots[] = {
    ATT_TABLE(struct att_s2s, shared, ATT_S2S_SOURCE_VOCAB, ATT_S2S_HIDDEN, "shared.weight"),
    ATT_TABLE(struct att_s2s, source_position, ATT_S2S_POSITIONS, ATT_S2S_HIDDEN, "encoder.embed_positions.weight"),
    ATT_TABLE(struct att_s2s, target_position, ATT_S2S_POSITIONS, ATT_S2S_HIDDEN, "decoder.embed_positions.weight"),
    ATT_NORM(struct att_s2s, source_norm, ATT_S2S_HIDDEN, "encoder.layernorm_embedding.*"),
    ATT_NORM(struct att_s2s, target_norm, ATT_S2S_HIDDEN, "decoder.layernorm_embedding.*"),
};

static const struct att_slot marian_slots[] = {
    {.kind = ATT_SLOT_TABLE,
     .offset = offsetof(struct att_s2s, shared),
     .patterns = {"shared.weight"},
     .rows = ATT_S2S_SOURCE_VOCAB,
     .cols = ATT_S2S_HIDDEN,
     .when = ATT_WHEN(ATT_S2S_SHARED)},
    {.kind = ATT_SLOT_TABLE,
     .offset = offsetof(struct att_s2s, source),
     .patterns = {"encoder.embed_tokens.weight"},
     .rows = ATT_S2S_SOURCE_VOCAB,
     .cols = ATT_S2S_HIDDEN,
     .when = ATT_WHEN(ATT_S2S_SEPARATE)},
    {.kind = ATT_SLOT_TABLE,
     .offset = offsetof(struct att_s2s, target),
     .patterns = {"decoder.embed_tokens.weight"},
     .rows = ATT_S2S_TARGET_VOCAB,
     .cols = ATT_S2S_HIDDEN,
     .when = ATT_WHEN(ATT_S2S_SEPARATE)},
};

/* The language model's head; without final_logits_bias the bias is zero. */
static const struct att_slot head_slots[] = {
    ATT_LINEAR_BIASED(struct att_s2s, lm_head, ATT_S2S_TARGET_VOCAB, ATT_S2S_HIDDEN, ATT_NO_BIAS, "lm_head.*"),
    {.kind = ATT_SLOT_VECTOR,
     .offset = offsetof(struct att_s2s, logits_bias),
     .patterns = {"final_logits_bias"},
     .rows = ATT_S2S_TARGET_VOCAB,
     .optional = true},
};

static const char *const aliases[][2] = {
    {"lm_head.weight", "shared.weight"},
    {"lm_head.weight", "decoder.embed_tokens.weight"},
    {"shared.weight", "encoder.embed_tokens.weight"},
    {NULL, NULL},
};

static const struct att_s2s_family bart = {
    .d_model = "d_model",
    .encoder_layers = "encoder_layers",
    .decoder_layers = "decoder_layers",
    .encoder_heads = "encoder_attention_heads",
    .decoder_heads = "decoder_attention_heads",
    .encoder_inner = "encoder_ffn_dim",
    .decoder_inner = "decoder_ffn_dim",
    .act = "activation_function",
    .positions_field = "max_position_embeddings",
    .scale_embedding = "scale_embedding",
    .default_act = ATT_ACT_GELU,
    .eps = 1e-5f,
    .positions = ATT_S2S_LEARNED,
    .first_position = 2,
};

static const struct att_s2s_family marian = {
    .d_model = "d_model",
    .encoder_layers = "encoder_layers",
    .decoder_layers = "decoder_layers",
    .encoder_heads = "encoder_attention_heads",
    .decoder_heads = "decoder_attention_heads",
    .encoder_inner = "encoder_ffn_dim",
    .decoder_inner = "decoder_ffn_dim",
    .act = "activation_function",
    .positions_field = "max_position_embeddings",
    .scale_embedding = "scale_embedding",
    .default_act = ATT_ACT_GELU,
    .eps = 1e-5f,
    .positions = ATT_S2S_HALVES,
    .first_position = 0,
};

/* The base model, or with the language model's head. */
static enum att_status configure_class(const char *base, const char *generating, struct att_arch_info *info,
                                       struct att_err *err)
{
    const char *name = info->class_name;
    if (*name && strcmp(name, base) != 0 && strcmp(name, generating) != 0)
        return att_err_set(err, ATT_EUNSUPPORTED, "architectures: '%s' is not known, expected %s or %s", name,
                           generating, base);
    info->generates = strcmp(name, base) != 0;
    info->sets[1].slots = head_slots;
    info->sets[1].n_slots = info->generates ? sizeof head_slots / sizeof *head_slots : 0;
    return ATT_OK;
}

static enum att_status configure_bart(const struct att_json *config, void *state, struct att_arch_info *info,
                                      struct att_err *err)
{
    size_t vocab = 0;
    enum att_status status = att_s2s_configure(&bart, config, state, info, err);
    if (status == ATT_OK)
        status = att_config_size(config, "vocab_size", 1, VOCAB_MAX, SIZE_MAX, &vocab, err);
    if (status == ATT_OK)
        status = configure_class("BartModel", "BartForConditionalGeneration", info, err);
    if (status == ATT_OK)
        status = att_config_must_be_bool(config, "normalize_before", false, err);
    att_s2s_vocabularies(info, vocab, vocab, true);
    info->sets[0].slots = bart_slots;
    info->sets[0].n_slots = sizeof bart_slots / sizeof *bart_slots;
    return status;
}

static enum att_status configure_marian(const struct att_json *config, void *state, struct att_arch_info *info,
                                        struct att_err *err)
{
    size_t vocab = 0, target = 0;
    bool shared = true;
    enum att_status status = att_s2s_configure(&marian, config, state, info, err);
    if (status == ATT_OK)
        status = att_config_size(config, "vocab_size", 1, VOCAB_MAX, SIZE_MAX, &vocab, err);
    if (status == ATT_OK)
        status = att_config_size(config, "decoder_vocab_size", 1, VOCAB_MAX, vocab, &target, err);
    if (status == ATT_OK)
        status = att_config_bool(config, "share_encoder_decoder_embeddings", true, &shared, err);
    if (status == ATT_OK)
        status = att_config_must_be_bool(config, "normalize_embedding", false, err);
    if (status == ATT_OK)
        status = att_config_must_be_bool(config, "normalize_before", false, err);
    if (status == ATT_OK)
        status = configure_class("MarianModel", "MarianMTModel", info, err);
    att_s2s_vocabularies(info, vocab, shared ? vocab : target, shared);
    info->sets[0].slots = marian_slots;
    info->sets[0].n_slots = sizeof marian_slots / sizeof *marian_slots;
    return status;
}

#define ARCH(type, function)                                                                                           \
    {                                                                                                                  \
        .model_type = (type), .prefix = "model.", .aliases = aliases, .configure = (function),                         \
        .stacks = {{sizeof(struct att_s2s_encoder_layer), encoder_slots,                                               \
                    sizeof encoder_slots / sizeof *encoder_slots},                                                     \
                   {sizeof(struct att_s2s_decoder_layer), decoder_slots,                                               \
                    sizeof decoder_slots / sizeof *decoder_slots}},                                                    \
        ATT_S2S_FUNCTIONS,                                                                                             \
    }
const struct att_arch att_arch_bart = ARCH("bart", configure_bart);
const struct att_arch att_arch_marian = ARCH("marian", configure_marian);
