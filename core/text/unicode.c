/*
 * Unicode properties (see unicode.h): the only file that includes utf8proc.h.
 *
 * Categories come from our own ranges, because the reference library still has
 * those of Unicode 8, whatever utf8proc knows. Decompositions and combining
 * classes never change once assigned, so utf8proc's are used where the
 * reference has any; lower case follows Rust, which is newer than utf8proc.
 */
#include "core/text/unicode.h"

#include <assert.h>
#include <stddef.h>
#include <utf8proc.h>

#include "core/base/utf8.h"
#include "core/text/unicode_tables.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static bool in_ranges(const struct range *ranges, size_t count, uint32_t c)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (c > ranges[mid].last)
            low = mid + 1;
        else
            high = mid;
    }
    return low < count && c >= ranges[low].first;
}

/* The one code point above ASCII whose lower case is two: LATIN CAPITAL LETTER I WITH DOT ABOVE. */
enum { DOTTED_CAPITAL_I = 0x130, DOT_ABOVE = 0x307 };

unsigned att_char_lower(uint32_t c, uint32_t out[ATT_LOWER_MAX])
{
    if (c == DOTTED_CAPITAL_I) {
        out[0] = 'i';
        out[1] = DOT_ABOVE;
        return 2;
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    for (size_t i = 0; i < COUNT(lower_new); i++) {
        const struct lower_run *run = &lower_new[i];
        if (c >= run->first && c <= run->last && (c - run->first) % run->step == 0)
            out[0] = (uint32_t)((int32_t)c + run->distance);
    }
    return 1;
}

unsigned att_char_upper(uint32_t code_point, uint32_t out[ATT_UPPER_MAX])
{
    if (code_point == 0xdf) {
        out[0] = out[1] = 'S';
        return 2;
    }
    out[0] = (uint32_t)utf8proc_toupper((utf8proc_int32_t)code_point);
    return 1;
}

unsigned att_char_decompose(uint32_t c, uint32_t out[ATT_DECOMPOSED_MAX])
{
    utf8proc_int32_t parts[ATT_DECOMPOSED_MAX];
    utf8proc_ssize_t count = 1;
    parts[0] = (utf8proc_int32_t)c;
    if (!in_ranges(undecomposed, COUNT(undecomposed), c))
        count = utf8proc_decompose_char((utf8proc_int32_t)c, parts, ATT_DECOMPOSED_MAX,
                                        (utf8proc_option_t)(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), NULL);
    assert(count >= 1 && count <= ATT_DECOMPOSED_MAX);
    for (utf8proc_ssize_t i = 0; i < count; i++)
        out[i] = (uint32_t)parts[i];
    return (unsigned)count;
}

unsigned att_char_decompose_compatible(uint32_t c, uint32_t out[ATT_COMPATIBLE_MAX])
{
    utf8proc_int32_t parts[ATT_COMPATIBLE_MAX];
    utf8proc_ssize_t count = 1;
    parts[0] = (utf8proc_int32_t)c;
    if (!in_ranges(undecomposed, COUNT(undecomposed), c))
        count =
            utf8proc_decompose_char((utf8proc_int32_t)c, parts, ATT_COMPATIBLE_MAX,
                                    (utf8proc_option_t)(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_STABLE), NULL);
    assert(count >= 1 && count <= ATT_COMPATIBLE_MAX);
    for (utf8proc_ssize_t i = 0; i < count; i++)
        out[i] = (uint32_t)parts[i];
    return (unsigned)count;
}

uint32_t att_char_compose(uint32_t first, uint32_t second)
{
    enum { FIRST_COMPOSING = 0x300, JAMO_FIRST = 0x1161, JAMO_LAST = 0x11c2 };
    if (second < FIRST_COMPOSING)
        return 0;
    bool jamo = second >= JAMO_FIRST && second <= JAMO_LAST;
    if (!jamo && utf8proc_get_property((utf8proc_int32_t)second)->comb_index == UINT16_MAX)
        return 0;
    utf8proc_int32_t pair[2] = {(utf8proc_int32_t)first, (utf8proc_int32_t)second};
    utf8proc_ssize_t count = utf8proc_normalize_utf32(pair, 2, (utf8proc_option_t)(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    return count == 1 ? (uint32_t)pair[0] : 0;
}

bool att_char_is_mark(uint32_t c)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC || category == UTF8PROC_CATEGORY_ME;
}

bool att_char_is_number(uint32_t c)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_NO;
}

size_t att_grapheme_end(const char *text, size_t len, size_t at)
{
    utf8proc_int32_t state = 0, before = (utf8proc_int32_t)att_utf8_next(text, len, &at);
    while (at < len) {
        size_t next = at;
        utf8proc_int32_t c = (utf8proc_int32_t)att_utf8_next(text, len, &next);
        if (utf8proc_grapheme_break_stateful(before, c, &state))
            break;
        before = c;
        at = next;
    }
    return at;
}

unsigned att_char_combining(uint32_t c)
{
    if (!in_ranges(mark, COUNT(mark), c) && !in_ranges(class_only, COUNT(class_only), c))
        return 0;
    return (unsigned)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}

/* ATT_CHAR_UPPER and ATT_CHAR_NFD, which have no ranges. */
static unsigned mapping_classes(uint32_t c)
{
    uint32_t lower[ATT_LOWER_MAX], parts[ATT_DECOMPOSED_MAX];
    unsigned class = att_char_lower(c, lower) > 1 || lower[0] != c ? ATT_CHAR_UPPER : 0;
    if (att_char_decompose(c, parts) > 1 || parts[0] != c || att_char_combining(c) != 0)
        class |= ATT_CHAR_NFD;
    return class;
}

static const struct {
    const struct range *ranges;
    size_t count;
    unsigned class;
} classes[] = {
    {space, COUNT(space), ATT_CHAR_SPACE},
    {removed, COUNT(removed), ATT_CHAR_REMOVED},
    {punctuation, COUNT(punctuation), ATT_CHAR_PUNCTUATION},
    {ideograph, COUNT(ideograph), ATT_CHAR_IDEOGRAPH},
    {mark, COUNT(mark), ATT_CHAR_MARK},
};

unsigned att_char_classify(uint32_t c)
{
    unsigned class = mapping_classes(c);
    for (size_t i = 0; i < COUNT(classes); i++)
        if (in_ranges(classes[i].ranges, classes[i].count, c))
            class |= classes[i].class;
    return class;
}

void att_char_table_fill(uint8_t table[ATT_CHAR_TABLE_LEN])
{
    /* The ideographs of this run neither decompose nor have case: a third of the plane, skipped to load sooner. */
    enum { PLAIN_FIRST = 0x3400, PLAIN_LAST = 0x9fff, SURROGATE_FIRST = 0xd800, SURROGATE_LAST = 0xdfff };
    for (uint32_t c = 0; c < ATT_CHAR_TABLE_LEN; c++) {
        bool plain = (c >= PLAIN_FIRST && c <= PLAIN_LAST) || (c >= SURROGATE_FIRST && c <= SURROGATE_LAST);
        table[c] = plain ? 0 : (uint8_t)mapping_classes(c);
    }
    for (size_t i = 0; i < COUNT(classes); i++)
        for (size_t j = 0; j < classes[i].count; j++)
            for (uint32_t c = classes[i].ranges[j].first; c <= classes[i].ranges[j].last && c < ATT_CHAR_TABLE_LEN; c++)
                table[c] |= (uint8_t)classes[i].class;
}

bool att_char_is_word(uint32_t c)
{
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    case UTF8PROC_CATEGORY_SO:
        return in_ranges(word_symbol, COUNT(word_symbol), c);
    default:
        return c == 0x200c || c == 0x200d || in_ranges(word_new, COUNT(word_new), c);
    }
}
