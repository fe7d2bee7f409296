/* The parts of a tokenizer and who fills them: private to core/text. */
#ifndef ATT_TEXT_PIPELINE_H
#define ATT_TEXT_PIPELINE_H

#include "core/text/added.h"
#include "core/text/general.h"
#include "core/text/normalizer.h"
#include "core/text/template.h"
#include "core/text/tokenizer.h"
#include "core/text/wordpiece.h"

enum {
    ATT_ID_SPECIAL = 1,    /* decoding with skip_special leaves it out */
    ATT_ID_NORMALIZED = 2, /* decodes to its normalized form, which is in added_normalized */
};

struct att_tokenizer {
    struct att_normalizer normalizer;
    struct att_added_set added_original, added_normalized;
    struct att_added_set specials; /* the special ones of both, as files write them */
    struct att_wordpiece wordpiece;
    struct att_vocab added; /* added tokens that the model does not have: no pieces of words */
    struct att_template single, pair;
    enum att_post_processor post_processor;
    struct att_general *general; /* every model but WordPiece, whose vocabulary it shares; NULL: WordPiece */
    uint8_t *id_flags;           /* of every id in either vocabulary */
    bool decoder;                /* WordPiece; else tokens are joined by spaces */
    bool decoder_cleanup;
    char decoder_prefix[ATT_PREFIX_BYTES_MAX + 1];
};

/* What ids and segments must stay below. */
struct att_tokenizer_bounds {
    size_t ids, types;
};

/* Fill an empty tokenizer from a file of the directory. */
enum att_status att_tokenizer_read_json(const struct att_dir *dir, const struct att_tokenizer_bounds *bounds,
                                        struct att_tokenizer *tokenizer, struct att_err *err) ATT_MUST_USE;
enum att_status att_tokenizer_parse_json(const char *json, size_t len, const struct att_tokenizer_bounds *bounds,
                                         struct att_tokenizer *tokenizer, struct att_err *err) ATT_MUST_USE;
enum att_status att_tokenizer_read_merges(const struct att_dir *dir, const struct att_tokenizer_bounds *bounds,
                                          struct att_tokenizer *tokenizer, struct att_err *err) ATT_MUST_USE;
enum att_status att_tokenizer_read_vocab(const struct att_dir *dir, const struct att_tokenizer_bounds *bounds,
                                         struct att_tokenizer *tokenizer, struct att_err *err) ATT_MUST_USE;

/* An added token as files have it. */
struct att_added_content {
    const char *content;
    size_t len;
    int64_t id;
    bool single_word, lstrip, rstrip, normalized, special;
};

/* Gives the token its id in the vocabulary and a place in its set. The normalizer and the model are filled before.
 * Errors begin with `field`, "tokenizer.json: added_tokens[3]". Call att_tokenizer_finish_added behind the last. */
enum att_status att_tokenizer_add(struct att_tokenizer *tokenizer, const struct att_added_content *added,
                                  const char *field, struct att_err *err) ATT_MUST_USE;
enum att_status att_tokenizer_finish_added(struct att_tokenizer *tokenizer, const char *field,
                                           struct att_err *err) ATT_MUST_USE;

#endif
