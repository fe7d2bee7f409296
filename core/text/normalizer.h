/*
 * BertNormalizer: clean_text, spaces around CJK ideographs, strip_accents (NFD
 * without Mn), lower case, each result byte aligned to the bytes of the
 * original that it came from. Offsets follow Hugging Face's NormalizedString,
 * where it attributes reordered marks to each other's places too.
 */
#ifndef ATT_TEXT_NORMALIZER_H
#define ATT_TEXT_NORMALIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"
#include "core/text/unicode.h"

/* Immutable after init; shared by threads. */
struct att_normalizer {
    bool clean_text, handle_chinese_chars, strip_accents, lowercase;
    uint8_t ascii[128]; /* what an ASCII byte becomes; 0: removed */
    uint8_t table[ATT_CHAR_TABLE_LEN];
};

/* The four flags are set; fills the tables. */
void att_normalizer_init(struct att_normalizer *normalizer);

struct att_pending; /* a mark that waits for its place */

/* A normalized text, and the buffers for the next; belongs to one thread at a time. */
struct att_normal {
    char *bytes;
    uint32_t *starts, *ends; /* of the original, for each byte; not filled when `shifted` */
    size_t len, capacity;
    bool shifted; /* byte i comes from byte shift + i of the original */
    uint32_t shift;
    struct att_pending *pending;
    uint32_t *order; /* their indexes, sorted by combining class */
    size_t pending_count, pending_capacity;
    uint32_t last_start, last_end; /* the original character that canonical ordering reached */
};

void att_normal_init(struct att_normal *normal);
void att_normal_finish(struct att_normal *normal);

/* Normalizes text[begin..end), valid UTF-8 below 2^31 bytes; `normal` holds the result. ATT_ENOMEM only. */
enum att_status att_normalizer_run(const struct att_normalizer *normalizer, const char *text, size_t begin, size_t end,
                                   struct att_normal *normal, struct att_err *err) ATT_MUST_USE;

static inline uint32_t att_normal_start(const struct att_normal *normal, size_t at)
{
    return normal->shifted ? normal->shift + (uint32_t)at : normal->starts[at];
}

/* End of the original bytes of the byte at at - 1. */
static inline uint32_t att_normal_end(const struct att_normal *normal, size_t at)
{
    return normal->shifted ? normal->shift + (uint32_t)at : normal->ends[at - 1];
}

#endif
