/*
 * Tokenizer: text in, ids out, exactly as Hugging Face's `tokenizers` runs the
 * same tokenizer.json (normaliser, pre-tokeniser, model, post-processor,
 * decoder): WordPiece, BPE, Unigram and WordLevel, and vocab.txt alone. What is
 * not known is refused by name. Immutable after load; used by any number of
 * threads.
 *
 * A text is encoded once without special tokens (att_tokens), then windows of
 * it are assembled with the post-processor's template. Offsets are half-open
 * UTF-8 byte ranges of the original text.
 */
#ifndef ATT_TEXT_TOKENIZER_H
#define ATT_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"
#include "core/io/dir.h"
#include "core/text/truncate.h"

struct att_tokenizer;

/* Reads tokenizer.json, or else vocab.txt with tokenizer_config.json where present. Every id must be below vocab_rows
 * (the embedding table) and every template segment id below type_rows; 0 skips the check. Refused as well: ids from
 * 2^22 on, tokens above 4,096 bytes, templates above 32 pieces, prefixes above 16 bytes, words above 1,000 characters.
 * ATT_EFORMAT and ATT_EUNSUPPORTED name "FILE: FIELD: what, expected what". */
enum att_status att_tokenizer_load(const struct att_dir *dir, size_t vocab_rows, size_t type_rows,
                                   struct att_tokenizer **ret_tokenizer, struct att_err *err) ATT_MUST_USE;
/* Whether the directory holds a tokenizer's files. */
bool att_tokenizer_in(const struct att_dir *dir);
/* The same from the text of a tokenizer.json. */
enum att_status att_tokenizer_load_text(const char *json, size_t len, size_t vocab_rows, size_t type_rows,
                                        struct att_tokenizer **ret_tokenizer, struct att_err *err) ATT_MUST_USE;
void att_tokenizer_destroy(struct att_tokenizer *tokenizer);

struct att_token {
    int32_t id;
    uint32_t start, end; /* bytes of the original text */
};

/* Tokens of one text; reused from call to call, it grows and never shrinks. */
struct att_tokens {
    struct att_token *items;
    size_t count, capacity;
    struct att_normal *work;          /* the encoder's own buffers */
    struct att_general_work *general; /* those of models other than WordPiece */
};
void att_tokens_init(struct att_tokens *tokens);
void att_tokens_finish(struct att_tokens *tokens);

enum {
    ATT_ENCODE_SPECIAL_AS_TEXT = 1, /* "[SEP]" in a text is text, not the special token: for texts of strangers */
};

/* Encodes without special tokens, replacing what `tokens` held. Invalid UTF-8 is ATT_EINVAL; text up to 2^31 bytes.
 * ATT_ELIMIT above tokens_max tokens (0 = no limit). */
enum att_status att_tokenizer_encode(const struct att_tokenizer *tokenizer, const char *text, size_t len,
                                     unsigned flags, size_t tokens_max, struct att_tokens *tokens,
                                     struct att_err *err) ATT_MUST_USE;

/* A text of ours with texts of strangers in it: special tokens count, but none that a cut lies in, be it at its end.
 * To keep a stranger's text from making one, cut it behind the first character of each att_tokenizer_special_place. */
struct att_cuts {
    size_t *items; /* bytes of the text, ascending */
    size_t count;
};
enum att_status att_tokenizer_encode_cut(const struct att_tokenizer *tokenizer, const char *text, size_t len,
                                         const struct att_cuts *cuts, size_t tokens_max, struct att_tokens *tokens,
                                         struct att_err *err) ATT_MUST_USE;
/* The next place from `at` on where a special token's text begins, whole or cut off by the end; len: there is none. */
size_t att_tokenizer_special_place(const struct att_tokenizer *tokenizer, const char *text, size_t len, size_t at);

/* Special tokens that the template adds to one text, or to a pair. */
size_t att_tokenizer_special_count(const struct att_tokenizer *tokenizer, bool pair);

/* One assembled sequence; arrays of `capacity` given by the caller. NULL arrays are not filled. */
struct att_sequence {
    int32_t *ids;
    int32_t *type_ids;
    uint32_t *starts, *ends; /* 0,0 for special tokens */
    uint8_t *special;        /* 1 for tokens that the template added */
    int8_t *text_index;      /* 0 = first text, 1 = second, -1 = special */
    size_t len, capacity;
};
/* Template around a[0..a_count) and, when b is not NULL, b[0..b_count). ATT_ELIMIT when capacity is too small. */
enum att_status att_tokenizer_assemble(const struct att_tokenizer *tokenizer, const struct att_token *a, size_t a_count,
                                       const struct att_token *b, size_t b_count, struct att_sequence *sequence,
                                       struct att_err *err) ATT_MUST_USE;

/* What puts the special tokens. It matters where a pair is cut into windows: the reference gives segments and text
 * numbers to the parts that it keeps, and leaves overflowing parts as they were, unless the processor is FIXED. */
enum att_post_processor { ATT_PROCESSOR_FIXED, ATT_PROCESSOR_NONE, ATT_PROCESSOR_TEMPLATE };
enum att_post_processor att_tokenizer_post_processor(const struct att_tokenizer *tokenizer);

/* How many windows of at most max_len tokens (template included) cover `count` tokens when neighbours overlap by
 * `stride` tokens; 1 for an empty text. stride < room. Window i is [*ret_begin, *ret_end). */
size_t att_window_count(size_t count, size_t room, size_t stride);
void att_window_range(size_t count, size_t room, size_t stride, size_t index, size_t *ret_begin, size_t *ret_end);

/* The text of one id, or NULL; NUL-terminated, owned by the tokenizer. */
const char *att_tokenizer_token(const struct att_tokenizer *tokenizer, int32_t id);
/* The id of a token's exact text, or -1. */
int32_t att_tokenizer_id(const struct att_tokenizer *tokenizer, const char *token);
/* Text of ids as the decoder writes it, NUL-terminated; byte-level models may write U+0000 within. ret_len may be NULL.
 * Free with att_mem_free. */
enum att_status att_tokenizer_decode(const struct att_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                     bool skip_special, char **ret_text, size_t *ret_len,
                                     struct att_err *err) ATT_MUST_USE;
size_t att_tokenizer_vocab_size(const struct att_tokenizer *tokenizer);
/* "WordPiece", for inspection. */
const char *att_tokenizer_model_name(const struct att_tokenizer *tokenizer);

#endif
