/*
 * The encoder of BERT (Devlin et al. 2018) and of those who kept its shape:
 * embeddings, then layers with LayerNorm behind each residual sum.
 *
 *   x = LayerNorm(word [+ position] [+ segment]) [· projection]
 *   every layer:  a = LayerNorm(x + Wo·MHA(x))
 *                 x = LayerNorm(a + W2·act(W1·a))
 *
 * A family is its names (config fields, tensors, classes) and the brackets it
 * takes; bert.c, roberta.c, … hold these as data, but for the names that most
 * families share, which stand here.
 */
#ifndef ATT_ARCH_POST_NORM_H
#define ATT_ARCH_POST_NORM_H

#include "core/arch/head.h"
#include "core/ops/projected.h"

enum {
    ATT_POST_NORM_HIDDEN,
    ATT_POST_NORM_INTERMEDIATE,
    ATT_POST_NORM_VOCAB,
    ATT_POST_NORM_POSITIONS,
    ATT_POST_NORM_SEGMENTS,
    ATT_POST_NORM_LABELS,
    ATT_POST_NORM_EMBEDDING,
    ATT_POST_NORM_HEADS,
    ATT_POST_NORM_BUCKETS,
    ATT_POST_NORM_SPAN, /* 2: begin and end of an answer */
};

struct att_post_norm_layer {
    struct att_linear query_key_value, attention_output, intermediate, output;
    struct att_norm attention_norm, output_norm;
};

enum att_post_norm_positions {
    ATT_POSITIONS_ABSOLUTE, /* 0, 1, 2, … */
    ATT_POSITIONS_COUNTED,  /* RoBERTa's: pad_token_id + 1 … */
};

struct att_post_norm {
    struct att_table *word, *position, *segment; /* segment NULL: none */
    struct att_norm embedding_norm;
    struct att_linear projection;    /* embedding_size to hidden_size; packed NULL: none */
    struct att_projected *projected; /* the first layer's query|key|value; NULL: multiplied */
    struct att_table *relative;      /* [buckets][heads], a bias by distance; NULL: none */
    struct att_head head;
    struct att_mha mha;
    enum att_act act;
    enum att_post_norm_positions positions;
    int32_t pad_id;
    size_t layers_per_stored;
    float eps;
};

/* What differs among the families. Field names NULL: the family has no such thing. */
struct att_post_norm_family {
    const char *class_name; /* "Bert", of BertModel */
    const char *hidden_size, *n_layers, *n_heads, *intermediate_size, *type_vocab_size, *embedding_size, *groups, *act,
        *eps;
    double default_eps;
    enum att_act default_act;
    enum att_post_norm_positions positions;
    const struct att_slot *slots; /* embeddings */
    size_t n_slots;
    const struct att_slot *projection_slot, *relative_slot;
    bool always_projects; /* also where embedding_size is hidden_size */
    const struct att_head_class *classes;
    size_t n_classes;
};

/* What most families call by the same names. */
enum { ATT_POST_NORM_EMBEDDINGS = 4, ATT_POST_NORM_EMBEDDINGS_SEGMENTED = 5, ATT_POST_NORM_BERT_LAYER = 6 };
extern const struct att_slot att_post_norm_embeddings[ATT_POST_NORM_EMBEDDINGS_SEGMENTED]; /* the segments come last */
extern const struct att_slot att_post_norm_bert_layer[ATT_POST_NORM_BERT_LAYER];
extern const struct att_slot att_post_norm_pooler[1], att_post_norm_token[1], att_post_norm_span[1];
#define ATT_POST_NORM_TOKEN_CLASS                                                                                      \
    {                                                                                                                  \
        .suffix = "ForTokenClassification", .kind = ATT_HEAD_TOKEN, .slots = att_post_norm_token, .n_slots = 1         \
    }
#define ATT_POST_NORM_SPAN_CLASS                                                                                       \
    {                                                                                                                  \
        .suffix = "ForQuestionAnswering", .kind = ATT_HEAD_SPAN, .slots = att_post_norm_span, .n_slots = 1             \
    }

enum att_status att_post_norm_configure(const struct att_post_norm_family *family, const struct att_json *config,
                                        struct att_post_norm *state, struct att_arch_info *info,
                                        struct att_err *err) ATT_MUST_USE;

struct att_post_norm_buffers {
    float *x, *a;       /* [tokens][hidden] */
    void *wide[2];      /* [tokens][3 * hidden]: query|key|value, of this layer and of the next one */
    float *context;     /* [tokens][hidden] */
    float *bias;        /* [heads][2 * longest - 1], where there is a relative bias */
    int32_t *positions; /* [tokens] */
    /* where words are projected: */
    float *scales;          /* [tokens] */
    const void **word_rows; /* [tokens] */
    struct att_head_buffers head;
};

enum att_status att_post_norm_prepare(void *state, void *layers, const struct att_arch_info *info,
                                      struct att_err *err) ATT_MUST_USE;
/* Whether query, key and value leave their product as the bfloat16 that attention multiplies. */
bool att_post_norm_rounds(const struct att_post_norm *model, const struct att_post_norm_layer *layers);
void att_post_norm_plan(const void *state, const struct att_arch_info *info, const struct att_arch_limits *limits,
                        struct att_scratch *scratch, void *buffers);
void att_post_norm_forward(const void *state, const void *layers, const struct att_arch_info *info,
                           const struct att_arch_batch *batch, const struct att_arch_tap *tap, void *buffers,
                           struct att_arch_output *output);

/* The functions of an att_arch of this shape. */
#define ATT_POST_NORM_FUNCTIONS                                                                                        \
    .state_bytes = sizeof(struct att_post_norm), .buffers_bytes = sizeof(struct att_post_norm_buffers),                \
    .prepare = att_post_norm_prepare, .plan = att_post_norm_plan, .forward = att_post_norm_forward

#endif
