/*
 * The head of an encoder: what a checkpoint puts on top of the base model.
 *
 *   sequence   pool → [dense → act → norm] → linear           one row a sequence
 *   token      [dense → act → norm] → linear                  one row a token
 *   masked LM  dense → act → norm → linear to the vocabulary  one row a token
 *   none       a pooler (dense → act of the first token) where the file has one
 */
#ifndef ATT_ARCH_HEAD_H
#define ATT_ARCH_HEAD_H

#include "core/arch/arch.h"

enum att_head_kind { ATT_HEAD_NONE, ATT_HEAD_SEQUENCE, ATT_HEAD_TOKEN, ATT_HEAD_SPAN, ATT_HEAD_MASKED_LM };

struct att_head {
    enum att_head_kind kind;
    struct att_linear dense, out;
    struct att_norm norm; /* weight NULL: none */
    enum att_act act;
    bool mean;      /* sequences are pooled by the mean of their tokens, not the first one */
    bool is_pooler; /* act(dense) is BERT's pooler_output */
    size_t width;   /* of dense's output */
    float eps;
};

/* One class name of a family: BertForSequenceClassification. */
struct att_head_class {
    const char *suffix; /* behind the family's name: "ForSequenceClassification" */
    enum att_head_kind kind;
    const struct att_slot *slots;
    size_t n_slots;
    enum att_act act;
    bool act_of_config; /* the hidden activation instead of act */
    bool is_pooler;
};

struct att_head_buffers {
    float *in, *dense, *logits;
};

/* Finds info->class_name ("" is the base model) among FAMILY ++ suffix, fills head and the parts of info that follow
 * from it (n_logits by n_labels, dims untouched), and sets info->sets[set]. */
enum att_status att_head_configure(const char *family, const struct att_head_class *classes, size_t n_classes,
                                   enum att_act hidden_act, size_t n_labels, size_t set, struct att_head *head,
                                   struct att_arch_info *info, struct att_err *err) ATT_MUST_USE;
void att_head_plan(const struct att_head *head, const struct att_arch_info *info, const struct att_arch_limits *limits,
                   struct att_scratch *scratch, struct att_head_buffers *buffers);
/* x [n_tokens][hidden_size]; fills output->pooler and output->logits. */
void att_head_run(const struct att_head *head, const struct att_arch_info *info, const struct att_arch_batch *batch,
                  const float *x, const struct att_head_buffers *buffers, struct att_arch_output *output);

#endif
