/*
 * RoBERTa (Liu et al. 2019), and XLM-RoBERTa and CamemBERT, which differ in
 * their vocabularies alone: BERT with positions that count from the padding id
 * on, and other heads.
 */
#include "core/arch/post_norm.h"

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

#define FAMILY(name)                                                                                                   \
    {                                                                                                                  \
        .class_name = (name), .hidden_size = "hidden_size", .n_layers = "num_hidden_layers",                           \
        .n_heads = "num_attention_heads", .intermediate_size = "intermediate_size", .act = "hidden_act",               \
        .eps = "layer_norm_eps", .default_eps = 1e-12, .default_act = ATT_ACT_GELU,                                    \
        .type_vocab_size = "type_vocab_size", .positions = ATT_POSITIONS_COUNTED, .slots = att_post_norm_embeddings,   \
        .n_slots = ATT_POST_NORM_EMBEDDINGS_SEGMENTED, .classes = classes,                                             \
        .n_classes = sizeof classes / sizeof *classes                                                                  \
    }
static const struct att_post_norm_family roberta = FAMILY("Roberta"), xlm_roberta = FAMILY("XLMRoberta"),
                                         camembert = FAMILY("Camembert");

static enum att_status configure_roberta(const struct att_json *config, void *state, struct att_arch_info *info,
                                         struct att_err *err)
{
    return att_post_norm_configure(&roberta, config, state, info, err);
}

static enum att_status configure_xlm_roberta(const struct att_json *config, void *state, struct att_arch_info *info,
                                             struct att_err *err)
{
    return att_post_norm_configure(&xlm_roberta, config, state, info, err);
}

static enum att_status configure_camembert(const struct att_json *config, void *state, struct att_arch_info *info,
                                           struct att_err *err)
{
    return att_post_norm_configure(&camembert, config, state, info, err);
}

#define ARCH(type, function)                                                                                           \
    {                                                                                                                  \
        .model_type = (type), .prefix = "roberta.", .aliases = aliases, .configure = (function),                       \
        .stacks = {{sizeof(struct att_post_norm_layer), att_post_norm_bert_layer, ATT_POST_NORM_BERT_LAYER}},          \
        ATT_POST_NORM_FUNCTIONS,                                                                                       \
    }
const struct att_arch att_arch_roberta = ARCH("roberta", configure_roberta);
const struct att_arch att_arch_xlm_roberta = ARCH("xlm-roberta", configure_xlm_roberta);
const struct att_arch att_arch_camembert = ARCH("camembert", configure_camembert);
