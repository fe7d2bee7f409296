/*
 * WordPiece (Schuster & Nakajima 2012, as BERT uses it): a word becomes the
 * longest tokens of the vocabulary from left to right, all but the first with
 * the continuing prefix; a word without such a cover, or too long, is unk.
 * BertPreTokenizer cuts the words: at white space, and around punctuation.
 */
#ifndef ATT_TEXT_WORDPIECE_H
#define ATT_TEXT_WORDPIECE_H

#include "core/text/normalizer.h"
#include "core/text/tokenizer.h"
#include "core/text/vocab.h"

enum { ATT_WORD_CHARS_MAX = 1000, ATT_PREFIX_BYTES_MAX = 16 };

/* Immutable after load. */
struct att_wordpiece {
    struct att_vocab vocab;
    int32_t unk_id;
    char prefix[ATT_PREFIX_BYTES_MAX + 1]; /* "##" */
    size_t prefix_len;
    uint64_t prefix_hash;
    size_t word_chars_max; /* 1..ATT_WORD_CHARS_MAX */
};

/* Sets the prefix, at most ATT_PREFIX_BYTES_MAX bytes. */
void att_wordpiece_set_prefix(struct att_wordpiece *wordpiece, const char *prefix, size_t len);

/* Appends one token. ATT_ENOMEM only. */
enum att_status att_tokens_push(struct att_tokens *tokens, struct att_token token, struct att_err *err) ATT_MUST_USE;
/* ATT_ELIMIT when there are more than tokens_max (0 = no limit). */
enum att_status att_tokens_check(const struct att_tokens *tokens, size_t tokens_max, struct att_err *err) ATT_MUST_USE;

/* Appends the tokens of the words in normal's bytes [begin, end). ATT_ENOMEM, or ATT_ELIMIT soon after there are more
 * than tokens_max (0 = no limit). */
enum att_status att_wordpiece_encode(const struct att_wordpiece *wordpiece, const uint8_t *char_table,
                                     const struct att_normal *normal, size_t begin, size_t end, size_t tokens_max,
                                     struct att_tokens *tokens, struct att_err *err) ATT_MUST_USE;

#endif
