/*
 * MPNet (Song et al. 2020): BERT without segments, with RoBERTa's positions and
 * T5's relative bias in the attention.
 */
#include "core/arch/post_norm.h"

static const struct att_slot relative_slot = ATT_TABLE(struct att_post_norm, relative, ATT_POST_NORM_BUCKETS,
                                                       ATT_POST_NORM_HEADS, "encoder.relative_attention_bias.weight");

static const struct att_slot layer_slots[] = {
    ATT_LINEAR(struct att_post_norm_layer, query_key_value, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_HIDDEN,
               "encoder.layer.#.attention.attn.q.*", "encoder.layer.#.attention.attn.k.*",
               "encoder.layer.#.attention.attn.v.*"),
    ATT_LINEAR(struct att_post_norm_layer, attention_output, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_HIDDEN,
               "encoder.layer.#.attention.attn.o.*"),
    ATT_NORM(struct att_post_norm_layer, attention_norm, ATT_POST_NORM_HIDDEN, "encoder.layer.#.attention.LayerNorm.*"),
    ATT_LINEAR(struct att_post_norm_layer, intermediate, ATT_POST_NORM_INTERMEDIATE, ATT_POST_NORM_HIDDEN,
               "encoder.layer.#.intermediate.dense.*"),
    ATT_LINEAR(struct att_post_norm_layer, output, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_INTERMEDIATE,
               "encoder.layer.#.output.dense.*"),
    ATT_NORM(struct att_post_norm_layer, output_norm, ATT_POST_NORM_HIDDEN, "encoder.layer.#.output.LayerNorm.*"),
};

static const struct att_slot sequence_slots[] = {
    ATT_LINEAR(struct att_post_norm, head.dense, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_HIDDEN, "classifier.dense.*"),
    ATT_LINEAR(struct att_post_norm, head.out, ATT_POST_NORM_LABELS, ATT_POST_NORM_HIDDEN, "classifier.out_proj.*"),
};

static const struct att_slot masked_lm_slots[] = {
    ATT_LINEAR(struct att_post_norm, head.dense, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_HIDDEN, "lm_head.dense.*"),
    ATT_NORM(struct att_post_norm, head.norm, ATT_POST_NORM_HIDDEN, "lm_head.layer_norm.*"),
    ATT_LINEAR(struct att_post_norm, head.out, ATT_POST_NORM_VOCAB, ATT_POST_NORM_HIDDEN, "lm_head.decoder.*"),
};

static const char *const aliases[][2] = {
    {"lm_head.decoder.weight", "embeddings.word_embeddings.weight"},
    {"lm_head.decoder.bias", "lm_head.bias"},
    {NULL, NULL},
};

static const struct att_head_class classes[] = {
    {.suffix = "Model",
     .kind = ATT_HEAD_NONE,
     .slots = att_post_norm_pooler,
     .n_slots = 1,
     .act = ATT_ACT_TANH,
     .is_pooler = true},
    {.suffix = "ForSequenceClassification",
     .kind = ATT_HEAD_SEQUENCE,
     .slots = sequence_slots,
     .n_slots = sizeof sequence_slots / sizeof *sequence_slots,
     .act = ATT_ACT_TANH},
    ATT_POST_NORM_TOKEN_CLASS,
    ATT_POST_NORM_SPAN_CLASS,
    {.suffix = "ForMaskedLM",
     .kind = ATT_HEAD_MASKED_LM,
     .slots = masked_lm_slots,
     .n_slots = sizeof masked_lm_slots / sizeof *masked_lm_slots,
     .act = ATT_ACT_GELU},
};

static const struct att_post_norm_family family = {
    .hidden_size = "hidden_size",
    .n_layers = "num_hidden_layers",
    .n_heads = "num_attention_heads",
    .intermediate_size = "intermediate_size",
    .act = "hidden_act",
    .eps = "layer_norm_eps",
    .default_act = ATT_ACT_GELU,
    .class_name = "MPNet",
    .default_eps = 1e-12,
    .positions = ATT_POSITIONS_COUNTED,
    .relative_slot = &relative_slot,
    .slots = att_post_norm_embeddings,
    .n_slots = ATT_POST_NORM_EMBEDDINGS,
    .classes = classes,
    .n_classes = sizeof classes / sizeof *classes,
};

static enum att_status configure(const struct att_json *config, void *state, struct att_arch_info *info,
                                 struct att_err *err)
{
    return att_post_norm_configure(&family, config, state, info, err);
}

const struct att_arch att_arch_mpnet = {
    .model_type = "mpnet",
    .prefix = "mpnet.",
    .aliases = aliases,
    .stacks = {{sizeof(struct att_post_norm_layer), layer_slots, sizeof layer_slots / sizeof *layer_slots}},
    .configure = configure,
    ATT_POST_NORM_FUNCTIONS,
};
