/*
 * The general pipeline: any list of normalisers and pre-tokenisers before a
 * model of tokens. (BERT's own pipeline has a faster path: wordpiece.h.)
 */
#ifndef ATT_TEXT_GENERAL_H
#define ATT_TEXT_GENERAL_H

#include "core/text/bpe.h"
#include "core/text/steps.h"
#include "core/text/unigram.h"

enum att_general_model { ATT_MODEL_BPE, ATT_MODEL_UNIGRAM, ATT_MODEL_WORD_LEVEL };

/* Immutable after load. The vocabulary is the tokenizer's. */
struct att_general {
    struct att_steps normalizers, pre_tokenizers, decoders;
    enum att_general_model model;
    struct att_bpe bpe;
    struct att_unigram unigram;
    int32_t unk_id;         /* of the word level; -1: none */
    bool trims;             /* offsets do not cover the spaces at a token's ends */
    bool trims_added_space; /* the first token's space was added, and counts as its own */
};

/* NULL when memory is out. */
struct att_general *att_general_create(void) ATT_MUST_USE;
void att_general_destroy(struct att_general *general);

/* Buffers of a thread. */
struct att_general_work {
    struct att_step_work steps;
    struct att_bpe_work bpe;
    struct att_unigram_work unigram;
};
void att_general_work_destroy(struct att_general_work *work);

/* Appends the tokens of one slice of a normalized text, whose original begins at origin, with offsets of the original.
 * ATT_ELIMIT soon after there are more than tokens_max (0: no limit). */
enum att_status att_general_encode(const struct att_general *general, const struct att_vocab *vocab,
                                   const struct att_aligned *normal, size_t begin, size_t end, uint32_t origin,
                                   size_t tokens_max, struct att_general_work *work, struct att_tokens *tokens,
                                   struct att_err *err) ATT_MUST_USE;

#endif
