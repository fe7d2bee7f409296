/*
 * DistilBERT (Sanh et al. 2019): BERT without segments and pooler, under names
 * of its own.
 */
#include "core/arch/post_norm.h"

static const struct att_slot layer_slots[] = {
    ATT_LINEAR(struct att_post_norm_layer, query_key_value, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_HIDDEN,
               "transformer.layer.#.attention.q_lin.*", "transformer.layer.#.attention.k_lin.*",
               "transformer.layer.#.attention.v_lin.*"),
    ATT_LINEAR(struct att_post_norm_layer, attention_output, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_HIDDEN,
               "transformer.layer.#.attention.out_lin.*"),
    ATT_NORM(struct att_post_norm_layer, attention_norm, ATT_POST_NORM_HIDDEN, "transformer.layer.#.sa_layer_norm.*"),
    ATT_LINEAR(struct att_post_norm_layer, intermediate, ATT_POST_NORM_INTERMEDIATE, ATT_POST_NORM_HIDDEN,
               "transformer.layer.#.ffn.lin1.*"),
    ATT_LINEAR(struct att_post_norm_layer, output, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_INTERMEDIATE,
               "transformer.layer.#.ffn.lin2.*"),
    ATT_NORM(struct att_post_norm_layer, output_norm, ATT_POST_NORM_HIDDEN, "transformer.layer.#.output_layer_norm.*"),
};

static const struct att_slot sequence_slots[] = {
    ATT_LINEAR(struct att_post_norm, head.dense, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_HIDDEN, "pre_classifier.*"),
    ATT_LINEAR(struct att_post_norm, head.out, ATT_POST_NORM_LABELS, ATT_POST_NORM_HIDDEN, "classifier.*"),
};

static const struct att_slot masked_lm_slots[] = {
    ATT_LINEAR(struct att_post_norm, head.dense, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_HIDDEN, "vocab_transform.*"),
    ATT_NORM(struct att_post_norm, head.norm, ATT_POST_NORM_HIDDEN, "vocab_layer_norm.*"),
    ATT_LINEAR(struct att_post_norm, head.out, ATT_POST_NORM_VOCAB, ATT_POST_NORM_HIDDEN, "vocab_projector.*"),
};

static const char *const aliases[][2] = {
    {"vocab_projector.weight", "embeddings.word_embeddings.weight"},
    {NULL, NULL},
};

static const struct att_head_class classes[] = {
    {.suffix = "Model", .kind = ATT_HEAD_NONE},
    {.suffix = "ForSequenceClassification",
     .kind = ATT_HEAD_SEQUENCE,
     .slots = sequence_slots,
     .n_slots = sizeof sequence_slots / sizeof *sequence_slots,
     .act = ATT_ACT_RELU},
    ATT_POST_NORM_TOKEN_CLASS,
    ATT_POST_NORM_SPAN_CLASS,
    {.suffix = "ForMaskedLM",
     .kind = ATT_HEAD_MASKED_LM,
     .slots = masked_lm_slots,
     .n_slots = sizeof masked_lm_slots / sizeof *masked_lm_slots,
     .act_of_config = true},
};

static const struct att_post_norm_family family = {
    .hidden_size = "dim",
    .n_layers = "n_layers",
    .n_heads = "n_heads",
    .intermediate_size = "hidden_dim",
    .act = "activation",
    .default_act = ATT_ACT_GELU,
    .class_name = "DistilBert",
    .default_eps = 1e-12,
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

const struct att_arch att_arch_distilbert = {
    .model_type = "distilbert",
    .prefix = "distilbert.",
    .aliases = aliases,
    .stacks = {{sizeof(struct att_post_norm_layer), layer_slots, sizeof layer_slots / sizeof *layer_slots}},
    .configure = configure,
    ATT_POST_NORM_FUNCTIONS,
};
