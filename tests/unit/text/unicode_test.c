/* Unicode properties: single facts, and that the class table says what the ranges say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/text/unicode.h"

static uint8_t table[ATT_CHAR_TABLE_LEN];

static void table_is_the_ranges(void **state)
{
    (void)state;
    att_char_table_fill(table);
    for (uint32_t c = 0; c < ATT_CHAR_TABLE_LEN; c++)
        if ((c < 0xd800 || c > 0xdfff) && table[c] != att_char_classify(c))
            fail_msg("U+%04X: %u, expected %u", (unsigned)c, table[c], att_char_classify(c));
    assert_int_equal(att_char_class(table, 0x1f600), att_char_classify(0x1f600));
}

static void classes(void **state)
{
    (void)state;
    static const struct {
        uint32_t c;
        unsigned class;
    } cases[] = {
        {'a', 0},
        {'A', ATT_CHAR_UPPER},
        {'$', ATT_CHAR_PUNCTUATION},
        {'\n', ATT_CHAR_SPACE},
        {0, ATT_CHAR_REMOVED},
        {0x0b, ATT_CHAR_SPACE | ATT_CHAR_REMOVED},
        {0x85, ATT_CHAR_SPACE | ATT_CHAR_REMOVED},
        {0xa0, ATT_CHAR_SPACE},
        {0xad, ATT_CHAR_REMOVED},
        {0xfffd, ATT_CHAR_REMOVED},
        {0xe000, ATT_CHAR_REMOVED},
        {0x301, ATT_CHAR_MARK | ATT_CHAR_NFD},
        {0xc9, ATT_CHAR_UPPER | ATT_CHAR_NFD},
        {0x4e00, ATT_CHAR_IDEOGRAPH},
        {0xf900, ATT_CHAR_IDEOGRAPH | ATT_CHAR_NFD},
        {0xac00, ATT_CHAR_NFD},
        {0x2014, ATT_CHAR_PUNCTUATION},
        {0x20000, ATT_CHAR_IDEOGRAPH},
        {0x1f92f, 0},  /* newer than Unicode 8, and kept */
        {0x2e52, 0},   /* punctuation only since Unicode 14 */
        {0x7fd, 0},    /* a mark only since Unicode 11 */
        {0x10ffff, 0}, /* not assigned */
        {0x8e2, 0},    /* a format character only since Unicode 9 */
        {0x200b, ATT_CHAR_REMOVED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (att_char_classify(cases[i].c) != cases[i].class)
            fail_msg("U+%04X: %u, expected %u", (unsigned)cases[i].c, att_char_classify(cases[i].c), cases[i].class);
}

static void lower_case(void **state)
{
    (void)state;
    static const struct {
        uint32_t c, lower;
    } cases[] = {{'a', 'a'},       {'Z', 'z'},         {0xc9, 0xe9},       {0x3a3, 0x3c3},
                 {0x1e9e, 0xdf},   {0x10400, 0x10428}, {0x10d50, 0x10d70}, {0xa7cb, 0x264},
                 {0xa7cc, 0xa7cd}, {0xa7cd, 0xa7cd},   {0xa7dc, 0x19b},    {0x16ea0, 0x16ebb}};
    uint32_t lower[ATT_LOWER_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(att_char_lower(cases[i].c, lower), 1);
        assert_int_equal(lower[0], cases[i].lower);
    }
    assert_int_equal(att_char_lower(0x130, lower), 2);
    assert_int_equal(lower[0], 'i');
    assert_int_equal(lower[1], 0x307);
}

static void decomposition(void **state)
{
    (void)state;
    static const struct {
        uint32_t c, parts[ATT_DECOMPOSED_MAX];
    } cases[] = {{'a', {'a'}},
                 {0xe9, {'e', 0x301}},
                 {0xac01, {0x1100, 0x1161, 0x11a8}},
                 {0xac00, {0x1100, 0x1161}},
                 {0x1f82, {0x3b1, 0x313, 0x300, 0x345}},
                 {0xf900, {0x8c48}},
                 {0xfb01, {0xfb01}},   /* compatibility only */
                 {0x11938, {0x11938}}, /* newer than the reference's tables */
                 {0x1d15f, {0x1d158, 0x1d165}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t parts[ATT_DECOMPOSED_MAX];
        unsigned n = att_char_decompose(cases[i].c, parts);
        for (unsigned j = 0; j < ATT_DECOMPOSED_MAX; j++)
            if ((j < n ? parts[j] : 0) != cases[i].parts[j])
                fail_msg("U+%04X: part %u of %u", (unsigned)cases[i].c, j, n);
    }
}

static void combining_classes(void **state)
{
    (void)state;
    assert_int_equal(att_char_combining('a'), 0);
    assert_int_equal(att_char_combining(0x301), 230);
    assert_int_equal(att_char_combining(0x323), 220);
    assert_int_equal(att_char_combining(0x1dfb), 230);  /* Unicode 9 */
    assert_int_equal(att_char_combining(0x1d165), 216); /* Mc */
    assert_int_equal(att_char_combining(0x7fd), 0);     /* Unicode 11 */
}

static void word_characters(void **state)
{
    (void)state;
    static const uint32_t in[] = {'a', 'Z', '0', '_', 0xe9, 0x301, 0x200d, 0x24b6, 0x4e00, 0x1f130, 0x1429c, 0x203f};
    static const uint32_t out[] = {' ', '-', '\'', 0xa0, 0x2014, 0x20ac, 0x1f600, 0xb2, 0x10ffff};
    for (size_t i = 0; i < sizeof in / sizeof *in; i++)
        assert_true(att_char_is_word(in[i]));
    for (size_t i = 0; i < sizeof out / sizeof *out; i++)
        assert_false(att_char_is_word(out[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_the_ranges), cmocka_unit_test(classes),           cmocka_unit_test(lower_case),
        cmocka_unit_test(decomposition),       cmocka_unit_test(combining_classes), cmocka_unit_test(word_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
