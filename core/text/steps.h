/*
 * The steps that a tokenizer.json names: normalisers rewrite a text,
 * pre-tokenisers cut it into words (and may rewrite them), decoders turn tokens
 * back into text. Each is one entry of a list, run in order, with the results
 * and alignments of Hugging Face's `tokenizers`.
 */
#ifndef ATT_TEXT_STEPS_H
#define ATT_TEXT_STEPS_H

#include "core/text/aligned.h"
#include "core/text/charsmap.h"
#include "core/text/regex.h"

enum att_step_kind {
    /* normalisers */
    ATT_STEP_NFC,
    ATT_STEP_NFD,
    ATT_STEP_NFKC,
    ATT_STEP_NFKD,
    ATT_STEP_LOWERCASE,
    ATT_STEP_STRIP_ACCENTS,
    ATT_STEP_STRIP,   /* left, right */
    ATT_STEP_PREPEND, /* text */
    ATT_STEP_REPLACE, /* pattern, text; a decoder too */
    ATT_STEP_NMT,
    ATT_STEP_PRECOMPILED, /* map */
    /* pre-tokenisers */
    ATT_STEP_WHITESPACE,
    ATT_STEP_WHITESPACE_SPLIT,
    ATT_STEP_BERT,
    ATT_STEP_BYTE_LEVEL,  /* left: add_prefix_space; regex: use_regex; a decoder and a normaliser too */
    ATT_STEP_METASPACE,   /* text: the replacement; prepend; right: split; a decoder too */
    ATT_STEP_SPLIT,       /* pattern, behavior, left: invert */
    ATT_STEP_DIGITS,      /* left: one by one */
    ATT_STEP_PUNCTUATION, /* behavior */
    ATT_STEP_DELIMITER,   /* text: one character */
    /* decoders */
    ATT_STEP_WORDPIECE,  /* text: the prefix; left: cleanup */
    ATT_STEP_BPE_SUFFIX, /* text */
    ATT_STEP_BYTE_FALLBACK,
    ATT_STEP_FUSE,
    ATT_STEP_STRIP_TOKEN, /* text: one character; start, stop */
};

enum att_behavior {
    ATT_REMOVED,
    ATT_ISOLATED,
    ATT_MERGED_WITH_PREVIOUS,
    ATT_MERGED_WITH_NEXT,
    ATT_CONTIGUOUS,
};

enum att_prepend { ATT_PREPEND_ALWAYS, ATT_PREPEND_FIRST, ATT_PREPEND_NEVER };

struct att_step {
    enum att_step_kind kind;
    bool left, right;
    enum att_behavior behavior;
    enum att_prepend prepend;
    size_t start, stop;
    char *text; /* NUL-terminated */
    size_t text_len;
    char *literal; /* what Split and Replace look for, or a regex */
    size_t literal_len;
    struct att_regex *regex;
    struct att_charsmap map;
};

enum { ATT_STEPS_MAX = 32 };

struct att_steps {
    struct att_step items[ATT_STEPS_MAX];
    size_t count;
};

void att_steps_finish(struct att_steps *steps);

/* A word on its way: a slice of the aligned text, and where its slice of the original begins. */
struct att_piece_span {
    uint32_t begin, end, origin;
};

struct att_pieces {
    struct att_aligned text;
    struct att_piece_span *items;
    size_t count, capacity;
    bool failed;
};

void att_pieces_finish(struct att_pieces *pieces);
void att_pieces_reset(struct att_pieces *pieces);
/* Ends the piece that began at byte `begin` of the text; an empty one is left out. */
void att_pieces_close(struct att_pieces *pieces, size_t begin, uint32_t origin);

/* Buffers of a thread. */
struct att_step_work {
    struct att_aligned normal[2];
    struct att_pieces pieces[2];
    struct att_changes changes;
    struct att_regex_match *match;
};
void att_step_work_finish(struct att_step_work *work);

/* Rewrites text[begin..end), valid UTF-8; *ret points into work. ATT_ENOMEM, or ATT_ELIMIT for a pattern that takes too
 * long. */
enum att_status att_normalize(const struct att_steps *steps, const char *text, size_t begin, size_t end,
                              struct att_step_work *work, const struct att_aligned **ret,
                              struct att_err *err) ATT_MUST_USE;
/* Cuts a slice of a normalized text, whose original begins at origin; *ret points into work. */
enum att_status att_pretokenize(const struct att_steps *steps, const struct att_aligned *normal, size_t begin,
                                size_t end, uint32_t origin, struct att_step_work *work, const struct att_pieces **ret,
                                struct att_err *err) ATT_MUST_USE;

/* Texts of tokens in, one text out (att_mem_free). */
enum att_status att_decode_steps(const struct att_steps *steps, const char *const *tokens, size_t count,
                                 char **ret_text, size_t *ret_len, struct att_err *err) ATT_MUST_USE;

/* The character that stands for a byte in byte-level vocabularies, and the way back (-1: none). */
uint32_t att_byte_char(unsigned char byte);
int att_char_byte(uint32_t code_point);
/* White space, or the character that stands for the byte of a space. */
bool att_is_token_space(uint32_t code_point);

#endif
