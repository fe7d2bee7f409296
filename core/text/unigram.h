/*
 * Unigram language model (Kudo 2018) as Hugging Face's `tokenizers` runs it: the
 * segmentation of a word with the highest sum of scores (Viterbi), unknown
 * characters fused.
 */
#ifndef ATT_TEXT_UNIGRAM_H
#define ATT_TEXT_UNIGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"
#include "core/text/tokenizer.h"
#include "core/text/vocab.h"

/* Immutable once built; shared by threads. */
struct att_unigram {
    const struct att_vocab *vocab;
    double *scores; /* [n_ids] */
    double min_score;
    int32_t unk_id; /* -1: none */
    bool byte_fallback;
    int32_t byte_ids[256];
    struct att_trie_node *nodes; /* [0] is the root; children are neighbours, sorted by byte */
    size_t n_nodes, n_ids;
};

/* scores [n_ids], finite, for the ids 0..n_ids of vocab, which outlives the model; they are taken over. */
enum att_status att_unigram_build(struct att_unigram *unigram, const struct att_vocab *vocab, double *scores,
                                  size_t n_ids, int32_t unk_id, bool byte_fallback, struct att_err *err) ATT_MUST_USE;
void att_unigram_finish(struct att_unigram *unigram);

/* Buffers of a thread. */
struct att_unigram_work {
    struct att_unigram_best *best;
    struct att_token *reversed;
    size_t capacity;
};
void att_unigram_work_finish(struct att_unigram_work *work);

/* Appends the tokens of one word, start and end as bytes of it. ATT_EINVAL for an unknown character without unk. */
enum att_status att_unigram_encode(const struct att_unigram *unigram, const char *word, size_t len,
                                   struct att_unigram_work *work, struct att_tokens *tokens,
                                   struct att_err *err) ATT_MUST_USE;

#endif
