/*
 * ELECTRA (Clark et al. 2020): BERT's encoder over embeddings that may be
 * narrower, without a pooler.
 */
#include "core/arch/post_norm.h"

static const struct att_slot projection_slot =
    ATT_LINEAR(struct att_post_norm, projection, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_EMBEDDING, "embeddings_project.*");

static const struct att_slot sequence_slots[] = {
    ATT_LINEAR(struct att_post_norm, head.dense, ATT_POST_NORM_HIDDEN, ATT_POST_NORM_HIDDEN, "classifier.dense.*"),
    ATT_LINEAR(struct att_post_norm, head.out, ATT_POST_NORM_LABELS, ATT_POST_NORM_HIDDEN, "classifier.out_proj.*"),
};

static const struct att_slot masked_lm_slots[] = {
    ATT_LINEAR(struct att_post_norm, head.dense, ATT_POST_NORM_EMBEDDING, ATT_POST_NORM_HIDDEN,
               "generator_predictions.dense.*"),
    ATT_NORM(struct att_post_norm, head.norm, ATT_POST_NORM_EMBEDDING, "generator_predictions.LayerNorm.*"),
    ATT_LINEAR(struct att_post_norm, head.out, ATT_POST_NORM_VOCAB, ATT_POST_NORM_EMBEDDING, "generator_lm_head.*"),
};

static const char *const aliases[][2] = {
    {"generator_lm_head.weight", "embeddings.word_embeddings.weight"},
    {NULL, NULL},
};

static const struct att_head_class classes[] = {
    {.suffix = "Model", .kind = ATT_HEAD_NONE},
    {.suffix = "ForSequenceClassification",
     .kind = ATT_HEAD_SEQUENCE,
     .slots = sequence_slots,
     .n_slots = sizeof sequence_slots / sizeof *sequence_slots,
     .act = ATT_ACT_GELU},
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
    .class_name = "Electra",
    .type_vocab_size = "type_vocab_size",
    .embedding_size = "embedding_size",
    .default_eps = 1e-12,
    .projection_slot = &projection_slot,
    .slots = att_post_norm_embeddings,
    .n_slots = ATT_POST_NORM_EMBEDDINGS_SEGMENTED,
    .classes = classes,
    .n_classes = sizeof classes / sizeof *classes,
};

static enum att_status configure(const struct att_json *config, void *state, struct att_arch_info *info,
                                 struct att_err *err)
{
    return att_post_norm_configure(&family, config, state, info, err);
}

const struct att_arch att_arch_electra = {
    .model_type = "electra",
    .prefix = "electra.",
    .aliases = aliases,
    .stacks = {{sizeof(struct att_post_norm_layer), att_post_norm_bert_layer, ATT_POST_NORM_BERT_LAYER}},
    .configure = configure,
    ATT_POST_NORM_FUNCTIONS,
};
