/* Patterns of tokenizer files: what is refused, what is found, and that none takes long, whatever the text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/text/regex.h"

enum { TEXT_BYTES = 1 << 20, PART_BYTES = 1 << 17 };

static struct att_regex *compile(const char *pattern)
{
    struct att_regex *regex = NULL;
    struct att_err err;
    if (att_regex_compile(pattern, "field", &regex, &err) != ATT_OK)
        fail_msg("%s: %s", pattern, err.message);
    return regex;
}

/* All matches of a text, as a splitter asks for them: their number, or -1. */
static long count(const char *pattern, const char *text, size_t len)
{
    struct att_regex *regex = compile(pattern);
    struct att_regex_match *match = att_regex_match_create();
    long found = 0;
    int rc = 1;
    assert_non_null(match);
    att_regex_match_begin(match, len);
    for (size_t at = 0, begin, end;
         at < len && (rc = att_regex_find(regex, match, text, len, at, &begin, &end)) == 1;) {
        assert_true(begin >= at && end >= begin && end <= len);
        found++;
        at = end > begin ? end : end + 1;
    }
    att_regex_match_destroy(match);
    att_regex_destroy(regex);
    return rc < 0 ? -1 : found;
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "(?R)",    "(?1)",   "(?+1)",  "(?&a)", "(?P>a)",  "(?C)",    "(?#a)", "(?(1)a)", "(*LIMIT_MATCH=9)a",
        "(*UTF)a", "(a)\\1", "\\k<a>", "\\Gab", "\\Qa\\E", "a\\K",    "\\X",   "\\R",     "[[:alpha:]]",
        "[a[b]]",  "[a&&b]", "(",      "[a",    "a{5,2}",  "(?|a|b)", "\\C"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct att_regex *regex = NULL;
        struct att_err err = {.message = ""};
        if (att_regex_compile(patterns[i], "field", &regex, &err) != ATT_EUNSUPPORTED)
            fail_msg("%s is taken", patterns[i]);
        assert_ptr_equal(strstr(err.message, "field"), err.message);
    }
}

static void test_found(void **state)
{
    (void)state;
    assert_int_equal(count("(?i:'s|'t)|(?:ab)+|(?<!x)y|z(?=!)|(?>q)", "'S abab xy y z! z q", 19), 5);
    assert_int_equal(count("\\s",
                           "a b\xc2\x85"
                           "c",
                           6),
                     2);
    assert_int_equal(count("[^\\s]+", "\xc3\xa9\xc3\xa9 \xe4\xb8\xad", 8), 2);
    /* A match that begins far behind, right after many characters of several bytes. */
    char text[3003];
    for (size_t i = 0; i < 1000; i++)
        memcpy(text + 3 * i, "\xe4\xb8\xad", 3);
    memcpy(text + 3000, "abc", 3);
    assert_int_equal(count("abc", text, sizeof text), 1);
    assert_int_equal(count("b", text, sizeof text), 1);
    assert_int_equal(count("(?<=\xe4\xb8\xad)a", text, sizeof text), 1);
}

/* Those of GPT-2, Llama 3 and Qwen 2 are linear in every text. */
static void test_published(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
        "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
        "\\s+(?!\\S)|\\s+"};
    static const char *const units[] = {"a", " ", "\n", "a ", " \n", "1", "!", "'s", "\xe4\xb8\xad"};
    /* The whole megabyte of blanks; less of the rest. */
    char *text = malloc(TEXT_BYTES);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        for (size_t k = 0; k < sizeof units / sizeof *units; k++) {
            size_t unit = strlen(units[k]), len = (units[k][0] == ' ' ? TEXT_BYTES : PART_BYTES) / unit * unit;
            for (size_t at = 0; at < len; at += unit)
                memcpy(text + at, units[k], unit);
            if (count(patterns[i], text, len) <= 0)
                fail_msg("%s on '%s' takes too long", patterns[i], units[k]);
        }
    free(text);
}

/* Each would take minutes to ages on many x, by backtracking or by reading the rest of it at every place. */
static void test_catastrophic(void **state)
{
    (void)state;
    static const char *const patterns[] = {"(x+x+)+y",  "(x|x)*y",    "(x*)*$y", "[x]*[yz]",
                                           "[x]*+[yz]", "x*+y|x",     "(?>x+)y", "(?:x+)+[^x]{2}",
                                           "x+?y|x",    "(?=x*y)x|x", "(x*?)*z", "x{1,999}y"};
    char *text = malloc(TEXT_BYTES);
    assert_non_null(text);
    memset(text, 'x', TEXT_BYTES);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        uint64_t begin = att_clock_thread_us();
        (void)count(patterns[i], text, i == 0 ? TEXT_BYTES : PART_BYTES);
        uint64_t took = att_clock_thread_us() - begin;
        if (took > 20000000) /* a quarter of a second and some, but ten times that under a sanitizer */
            fail_msg("%s takes %llu us", patterns[i], (unsigned long long)took);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_catastrophic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
