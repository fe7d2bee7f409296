/*
 * SentencePiece's precompiled normalisation (Kudo & Richardson 2018): a double
 * array over byte strings, whose values point into a block of NUL-terminated
 * replacements. The map is a stranger's: every step is checked.
 */
#ifndef ATT_TEXT_CHARSMAP_H
#define ATT_TEXT_CHARSMAP_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

struct att_charsmap {
    uint32_t *units; /* of the double array */
    size_t n_units;
    char *block; /* replacements; NUL-terminated */
    size_t block_len;
};

/* From the base64 of tokenizer.json's precompiled_charsmap. Messages begin with `field`. */
enum att_status att_charsmap_read(const char *base64, size_t len, const char *field, struct att_charsmap *ret_map,
                                  struct att_err *err) ATT_MUST_USE;
void att_charsmap_finish(struct att_charsmap *map);
/* The replacement of the shortest key that the text begins with, or NULL. */
const char *att_charsmap_find(const struct att_charsmap *map, const char *text, size_t len);

#endif
