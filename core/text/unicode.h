/*
 * What Unicode says of a code point, as Hugging Face's `tokenizers` sees it (see
 * unicode_tables.h): classes for BertNormalizer and BertPreTokenizer, canonical
 * decomposition, combining classes, and Rust's char::to_lowercase.
 *
 * A class table covers the Basic Multilingual Plane, one byte a code point; the
 * planes above are searched in ranges. All functions are pure.
 */
#ifndef ATT_TEXT_UNICODE_H
#define ATT_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ATT_CHAR_SPACE = 1,       /* White_Space */
    ATT_CHAR_REMOVED = 2,     /* control, format, private use, U+FFFD: clean_text drops it */
    ATT_CHAR_PUNCTUATION = 4, /* P* and ASCII symbols: a word of its own */
    ATT_CHAR_IDEOGRAPH = 8,   /* CJK: spaces around it */
    ATT_CHAR_MARK = 16,       /* Mn: strip_accents drops it */
    ATT_CHAR_NFD = 32,        /* decomposes, or has a combining class: canonical decomposition may change or move it */
    ATT_CHAR_UPPER = 64,      /* lower case differs */
};

enum { ATT_CHAR_TABLE_LEN = 0x10000 };
enum { ATT_LOWER_MAX = 2, ATT_UPPER_MAX = 2, ATT_DECOMPOSED_MAX = 4, ATT_COMPATIBLE_MAX = 32 };

/* Fills the classes of U+0000..U+FFFF. */
void att_char_table_fill(uint8_t table[ATT_CHAR_TABLE_LEN]);
/* Classes of any code point, without the table. */
unsigned att_char_classify(uint32_t code_point);
/* Code points of the lower case (1 or 2), independent of context. */
unsigned att_char_lower(uint32_t code_point, uint32_t out[ATT_LOWER_MAX]);
/* Code points of the upper case: the simple mapping, and two letters for U+00DF. */
unsigned att_char_upper(uint32_t code_point, uint32_t out[ATT_UPPER_MAX]);
/* Code points of the full canonical decomposition (1..4), Hangul included. */
unsigned att_char_decompose(uint32_t code_point, uint32_t out[ATT_DECOMPOSED_MAX]);
/* Code points of the full compatibility decomposition (1..ATT_COMPATIBLE_MAX). */
unsigned att_char_decompose_compatible(uint32_t code_point, uint32_t out[ATT_COMPATIBLE_MAX]);
/* The canonical composition of two code points, or 0. */
uint32_t att_char_compose(uint32_t first, uint32_t second);
/* Canonical combining class: 0 for a starter. */
unsigned att_char_combining(uint32_t code_point);
/* Mn, Mc or Me. */
bool att_char_is_mark(uint32_t code_point);
/* Nd, Nl or No. */
bool att_char_is_number(uint32_t code_point);
/* The end of the extended grapheme cluster that begins at text[at], at < len. */
size_t att_grapheme_end(const char *text, size_t len, size_t at);
/* \w of Rust's regex crate (Unicode 16). */
bool att_char_is_word(uint32_t code_point);

static inline unsigned att_char_class(const uint8_t table[ATT_CHAR_TABLE_LEN], uint32_t code_point)
{
    return code_point < ATT_CHAR_TABLE_LEN ? table[code_point] : att_char_classify(code_point);
}

#endif
