/*
 * Byte-pair encoding (Sennrich et al. 2016) as Hugging Face's `tokenizers` runs
 * it: the characters of a word become tokens, then the neighbours whose merge
 * has the lowest rank are joined, leftmost first, until none is left.
 */
#ifndef ATT_TEXT_BPE_H
#define ATT_TEXT_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"
#include "core/text/tokenizer.h"
#include "core/text/vocab.h"

enum { ATT_AFFIX_BYTES_MAX = 32 };

struct att_merge {
    uint64_t pair; /* left << 32 | right */
    uint32_t rank;
    int32_t id; /* -1: an empty slot */
};

/* The options are set before the merges are added. Immutable once filled; shared by threads. */
struct att_bpe {
    const struct att_vocab *vocab;
    int32_t unk_id; /* -1: unknown characters are left out */
    bool fuse_unk, byte_fallback, ignore_merges;
    char prefix[ATT_AFFIX_BYTES_MAX + 1]; /* of all but a word's first token; "" none */
    char suffix[ATT_AFFIX_BYTES_MAX + 1]; /* of a word's last; "" none */
    struct att_merge *slots;
    size_t n_slots, n_merges;
    int32_t byte_ids[256]; /* of <0x00>..<0xFF>; -1 */
};

/* Sets byte_ids from the vocabulary. */
void att_bpe_init(struct att_bpe *bpe, const struct att_vocab *vocab);
void att_bpe_finish(struct att_bpe *bpe);
/* The next merge in order of rank. ATT_EFORMAT names a piece that the vocabulary lacks, after `field`. */
enum att_status att_bpe_merge(struct att_bpe *bpe, const char *left, size_t left_len, const char *right,
                              size_t right_len, const char *field, struct att_err *err) ATT_MUST_USE;

/* Buffers of a thread. */
struct att_bpe_work {
    struct att_bpe_symbol *symbols;
    struct att_bpe_entry *heap;
    size_t capacity, heap_capacity, heap_count;
};
void att_bpe_work_finish(struct att_bpe_work *work);

/* Appends the tokens of one word, start and end as bytes of it. ATT_ENOMEM only. */
enum att_status att_bpe_encode(const struct att_bpe *bpe, const char *word, size_t len, struct att_bpe_work *work,
                               struct att_tokens *tokens, struct att_err *err) ATT_MUST_USE;

#endif
