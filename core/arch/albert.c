/*
 * ALBERT (Lan et al. 2019): narrow embeddings projected up, and layers that
 * share their weights.
 */
#include "core/arch/config.h"
#include "core/arch/post_norm.h"

static const struct att_slot projection_slot =
    ATT_LINEAR(struct att_post_norm, projection, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_EMBEDDING,
               "encoder.embedding_hidden_mapping_in.*");

static const struct att_slot layer_slots[] = {
    ATT_LINEAR(struct att_post_norm_layer, query_key_value, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_HIDDEN,
               "encoder.albert_layer_groups.#.albert_layers.0.attention.query.*",
               "encoder.albert_layer_groups.#.albert_layers.0.attention.key.*",
               "encoder.albert_layer_groups.#.albert_layers.0.attention.value.*"),
    ATT_LINEAR(struct att_post_norm_layer, attention_output, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_HIDDEN,
               "encoder.albert_layer_groups.#.albert_layers.0.attention.dense.*"),
    ATT_NORM(struct att_post_norm_layer, attention_norm, ATT_POST_NORM_HIDDEN,
             "encoder.albert_layer_groups.#.albert_layers.0.attention.LayerNorm.*"),
    ATT_LINEAR(struct att_post_norm_layer, intermediate, ATT_POST_NORM_INTERMEDIATE, ATT_POST_NORM_HIDDEN,
               "encoder.albert_layer_groups.#.albert_layers.0.ffn.*"),
    ATT_LINEAR(struct att_post_norm_layer, output, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_INTERMEDIATE,
               "encoder.albert_layer_groups.#.albert_layers.0.ffn_output.*"),
    ATT_NORM(struct att_post_norm_layer, output_norm, ATT_POST_NORM_HIDDEN,
             "encoder.albert_layer_groups.#.albert_layers.0.full_layer_layer_norm.*"),
};

static const struct att_slot pooler_slots[] = {
    {.kind = ATT_SLOT_LINEAR,
     .offset = offsetof(struct att_post_norm, head.dense),
     .patterns = {"pooler.*"},
     .rows = ATT_POST_NORM_HIDDEN,
     .cols = ATT_POST_NORM_HIDDEN,
     .optional = true},
};

static const struct att_slot sequence_slots[] = {
    ATT_LINEAR(struct att_post_norm, head.dense, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_HIDDEN, "pooler.*"),
    ATT_LINEAR(struct att_post_norm, head.out, ATT_POST_NORM_LABELS, ATT_POST_NORM_HIDDEN, "classifier.*"),
};

static const struct att_slot masked_lm_slots[] = {
    ATT_LINEAR(struct att_post_norm, head.dense, ATT_POST_NORM_EMBEDDING, ATT_POST_NORM_HIDDEN, "predictions.dense.*"),
    ATT_NORM(struct att_post_norm, head.norm, ATT_POST_NORM_EMBEDDING, "predictions.LayerNorm.*"),
    ATT_LINEAR(struct att_post_norm, head.out, ATT_POST_NORM_VOCAB, ATT_POST_NORM_EMBEDDING, "predictions.decoder.*"),
};

static const char *const aliases[][2] = {
    {"predictions.decoder.weight", "embeddings.word_embeddings.weight"},
    {"predictions.decoder.bias", "predictions.bias"},
    {NULL, NULL},
};

static const struct att_head_class classes[] = {
    {.suffix = "Model",
     .kind = ATT_HEAD_NONE,
     .slots = pooler_slots,
     .n_slots = sizeof pooler_slots / sizeof *pooler_slots,
     .act = ATT_ACT_TANH,
     .is_pooler = true},
    {.suffix = "ForSequenceClassification",
     .kind = ATT_HEAD_SEQUENCE,
     .slots = sequence_slots,
     .n_slots = sizeof sequence_slots / sizeof *sequence_slots,
     .act = ATT_ACT_TANH,
     .is_pooler = true},
    ATT_POST_NORM_TOKEN_CLASS,
    ATT_POST_NORM_SPAN_CLASS,
    {.suffix = "ForMaskedLM",
     .kind = ATT_HEAD_MASKED_LM,
     .slots = masked_lm_slots,
     .n_slots = sizeof masked_lm_slots / sizeof *masked_lm_slots,
     .act_of_config = true},
};

static const struct att_post_norm_family family = {
    .hidden_size = "hidden_size",
    .n_layers = "num_hidden_layers",
    .n_heads = "num_attention_heads",
    .intermediate_size = "intermediate_size",
    .act = "hidden_act",
    .eps = "layer_norm_eps",
    .default_act = ATT_ACT_GELU_TANH,
    .class_name = "Albert",
    .type_vocab_size = "type_vocab_size",
    .embedding_size = "embedding_size",
    .groups = "num_hidden_groups",
    .default_eps = 1e-12,
    .projection_slot = &projection_slot,
    .always_projects = true,
    .slots = att_post_norm_embeddings,
    .n_slots = ATT_POST_NORM_EMBEDDINGS_SEGMENTED,
    .classes = classes,
    .n_classes = sizeof classes / sizeof *classes,
};

static enum att_status configure(const struct att_json *config, void *state, struct att_arch_info *info,
                                 struct att_err *err)
{
    size_t inner = 1;
    enum att_status status = att_config_size(config, "inner_group_num", 1, 1, 1, &inner, err);
    return status == ATT_OK ? att_post_norm_configure(&family, config, state, info, err) : status;
}

const struct att_arch att_arch_albert = {
    .model_type = "albert",
    .prefix = "albert.",
    .aliases = aliases,
    .stacks = {{sizeof(struct att_post_norm_layer), layer_slots, sizeof layer_slots / sizeof *layer_slots}},
    .configure = configure,
    ATT_POST_NORM_FUNCTIONS,
};
