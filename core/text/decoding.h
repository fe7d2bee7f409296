/*
 * The text of ids that come one by one, equal after each to that of
 * att_tokenizer_decode over all of them, without decoding all of them.
 *
 * What is decoded is a window at the end: some ids whose text is known, for a
 * decoder looks at what stands before (a space, the rest of a character), and
 * those since. Where the known ids' text does not lead the window's any more (a
 * run of bytes that was a character until the next byte came), all is decoded
 * anew.
 */
#ifndef ATT_TEXT_DECODING_H
#define ATT_TEXT_DECODING_H

#include "core/text/tokenizer.h"

struct att_decoding {
    char *text; /* NUL-terminated; NULL before the first att_decoding_update */
    size_t len, capacity;
    size_t begin, known; /* of ids: the window begins; the text of those before is kept */
    size_t kept;         /* bytes of text that ids[0..known) have */
    char *lead;          /* the text of ids[begin..known) alone */
    size_t lead_len;
};

/* All zeros is an empty one. */
void att_decoding_finish(struct att_decoding *decoding);
/* `ids` are those of the call before, and more; special tokens are left out. On failure the text stays. */
enum att_status att_decoding_update(struct att_decoding *decoding, const struct att_tokenizer *tokenizer,
                                    const int32_t *ids, size_t count, struct att_err *err) ATT_MUST_USE;

#endif
