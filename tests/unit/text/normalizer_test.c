/* BertNormalizer: texts, alignment, canonical ordering, and every code point against a digest of the reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/text/normalizer.h"

enum { CLEAN = 1, CJK = 2, STRIP = 4, LOWER = 8, ALL = 15 };

static struct att_normalizer normalizers[16];
static struct att_normal normal;

static int setup(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        normalizers[i].clean_text = i & CLEAN;
        normalizers[i].handle_chinese_chars = i & CJK;
        normalizers[i].strip_accents = i & STRIP;
        normalizers[i].lowercase = i & LOWER;
        att_normalizer_init(&normalizers[i]);
    }
    att_normal_init(&normal);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    att_normal_finish(&normal);
    return 0;
}

static void run(unsigned flags, const char *text, size_t len)
{
    assert_int_equal(att_normalizer_run(&normalizers[flags], text, 0, len, &normal, NULL), ATT_OK);
}

static void texts(void **state)
{
    (void)state;
    static const struct {
        unsigned flags;
        const char *text, *expected;
    } cases[] = {
        {ALL, "", ""},
        {ALL, "Hello, WORLD!", "hello, world!"},
        {ALL, "a\tb\nc\rd", "a b c d"},
        {ALL,
         "a\x0b"
         "b\x7f"
         "c",
         "abc"},
        {0, "A\x0b\tb\x7f", "A\x0b\tb\x7f"},
        {LOWER, "A\x0b\tB", "a\x0b\tb"},
        {ALL, "\xc3\x89t\xc3\xa9", "ete"},                        /* Été */
        {ALL & ~STRIP, "\xc3\x89t\xc3\xa9", "\xc3\xa9t\xc3\xa9"}, /* Été */
        {STRIP, "\xc3\x89t\xc3\xa9", "Ete"},
        {ALL, "x\xe4\xb8\xad\xe6\x96\x87", "x \xe4\xb8\xad  \xe6\x96\x87 "}, /* x中文 */
        {ALL & ~CJK, "x\xe4\xb8\xad", "x\xe4\xb8\xad"},
        {ALL,
         "a\xc2\xa0"
         "b\xe3\x80\x80"
         "c",
         "a b c"},                                         /* no-break and ideographic space */
        {ALL, "\xef\xbf\xbd\xe2\x80\x8b\xee\x80\x80", ""}, /* U+FFFD U+200B U+E000 */
        {ALL, "\xc4\xb0", "i"},                            /* U+0130 */
        {LOWER, "\xc4\xb0", "i\xcc\x87"},
        {ALL, "\xea\xb0\x81", "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8"}, /* 각 as three letters */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run(cases[i].flags, cases[i].text, strlen(cases[i].text));
        if (normal.len != strlen(cases[i].expected) ||
            (normal.len > 0 && memcmp(normal.bytes, cases[i].expected, normal.len) != 0))
            fail_msg("case %zu: '%.*s', expected '%s'", i, (int)normal.len, normal.bytes, cases[i].expected);
    }
    run(ALL, "a\0b", 3);
    assert_int_equal(normal.len, 2);
    run(0, "a\0b", 3);
    assert_int_equal(normal.len, 3);
}

static void alignment(void **state)
{
    (void)state;
    /* é, tab, 中, A: two, one, three and one bytes */
    const char *text = "\xc3\xa9\t\xe4\xb8\xad"
                       "A";
    run(ALL, text, strlen(text));
    static const uint32_t starts[] = {0, 2, 3, 3, 3, 3, 3, 6}, ends[] = {2, 3, 6, 6, 6, 6, 6, 7};
    assert_int_equal(normal.len, 8); /* e, space, space, 中, space, a */
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(att_normal_start(&normal, i), starts[i]);
        assert_int_equal(att_normal_end(&normal, i + 1), ends[i]);
    }
    assert_int_equal(att_normalizer_run(&normalizers[ALL], "xx ABC", 3, 6, &normal, NULL), ATT_OK);
    assert_true(normal.shifted);
    assert_int_equal(att_normal_start(&normal, 0), 3);
    assert_int_equal(att_normal_end(&normal, 3), 6);
}

/* U+1D165 (class 216, not Mn) behind U+0301 (230) comes before it, and takes its place in the original too. */
static void ordering(void **state)
{
    (void)state;
    const char *text = "a\xcc\x81\xf0\x9d\x85\xa5z";
    run(STRIP, text, strlen(text));
    assert_int_equal(normal.len, 6);
    assert_memory_equal(normal.bytes, "a\xf0\x9d\x85\xa5z", 6);
    assert_int_equal(att_normal_start(&normal, 1), 1);
    assert_int_equal(att_normal_end(&normal, 2), 3);
    assert_int_equal(att_normal_start(&normal, 5), 7);
}

/* A run of marks longer than any letter bears: sorted stably, in time that does not explode. */
static void many_marks(void **state)
{
    (void)state;
    enum { PAIRS = 50000 };
    static const char kept_216[] = "\xf0\x9d\x85\xa5", kept_226[] = "\xf0\x9d\x85\xad"; /* U+1D165, U+1D16D: both Mc */
    char *text = malloc(1 + (size_t)PAIRS * 8);
    assert_non_null(text);
    text[0] = 'a';
    for (size_t i = 0; i < PAIRS; i++) {
        memcpy(text + 1 + i * 8, kept_226, 4);
        memcpy(text + 1 + i * 8 + 4, kept_216, 4);
    }
    run(STRIP, text, 1 + (size_t)PAIRS * 8);
    assert_int_equal(normal.len, 1 + (size_t)PAIRS * 8);
    for (size_t i = 0; i < 2 * (size_t)PAIRS; i++) {
        assert_memory_equal(normal.bytes + 1 + i * 4, i < PAIRS ? kept_216 : kept_226, 4);
        assert_int_equal(att_normal_start(&normal, 1 + i * 4), 1 + i * 4);
    }
    free(text);
}

/* Every code point through each of the four steps alone, and its kind for the pre-tokenizer. The digest was taken from
 * `tokenizers` 0.23.3. And no code point grows beyond the bound that the buffers rely on. */
static void every_code_point(void **state)
{
    (void)state;
    static const unsigned steps[] = {CLEAN, STRIP, LOWER, CJK};
    const uint64_t prime = 0x100000001b3u;
    uint64_t digest = 0xcbf29ce484222325u;
    for (uint32_t c = 0; c < 0x110000; c++) {
        if (c >= 0xd800 && c < 0xe000)
            continue;
        char utf8[4];
        size_t len = att_utf8_put(c, utf8);
        for (size_t i = 0; i < 4; i++) {
            run(steps[i], utf8, len);
            for (size_t j = 0; j < normal.len; j++)
                digest = (digest ^ (unsigned char)normal.bytes[j]) * prime;
            digest = (digest ^ 0xff) * prime;
        }
        unsigned class = att_char_classify(c);
        int kind = class & ATT_CHAR_SPACE ? 's' : class & ATT_CHAR_PUNCTUATION ? 'p' : 'w';
        digest = (digest ^ (unsigned char)kind) * prime;
        run(ALL & ~CLEAN, utf8, len);
        if (normal.len > 4 * len)
            fail_msg("U+%04X grows to %zu bytes", (unsigned)c, normal.len);
    }
    assert_true(digest == 0x9a59fc7625dd7d05u);
}

static void no_memory(void **state)
{
    (void)state;
    const char *text = "a\xcc\x81\xcc\xa3 \xe4\xb8\xad";
    bool succeeded = false;
    for (uint64_t k = 1; !succeeded && k < 100; k++) {
        struct att_normal fresh;
        struct att_err err = {.status = ATT_OK};
        att_normal_init(&fresh);
        att_mem_fail_at(k, false);
        enum att_status status = att_normalizer_run(&normalizers[ALL], text, 0, strlen(text), &fresh, &err);
        att_mem_fail_at(0, false);
        succeeded = status == ATT_OK;
        if (!succeeded)
            assert_int_equal(status, ATT_ENOMEM);
        att_normal_finish(&fresh);
    }
    assert_true(succeeded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),      cmocka_unit_test(alignment),        cmocka_unit_test(ordering),
        cmocka_unit_test(many_marks), cmocka_unit_test(every_code_point), cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
