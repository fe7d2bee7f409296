/* Searching added tokens: leftmost-longest, the options, and sets of many patterns against a naive search. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/text/added.h"

static void push(struct att_added_set *set, const char *pattern, struct att_added_token options)
{
    assert_int_equal(att_added_push(set, pattern, strlen(pattern), &options, NULL), ATT_OK);
}

static void sort(struct att_added_set *set)
{
    int32_t id;
    assert_true(att_added_sort(set, &id));
}

/* Matches as "id[begin,end) ". */
static void find(const struct att_added_set *set, const char *text, bool special_as_text, char *out, size_t size)
{
    struct att_added_search search = {
        .set = set, .text = text, .len = strlen(text), .special_as_text = special_as_text};
    struct att_added_match match;
    size_t len = 0;
    out[0] = '\0';
    while (att_added_next(&search, &match))
        len += (size_t)snprintf(out + len, size - len, "%d[%zu,%zu) ", (int)match.id, match.begin, match.end);
}

static void leftmost_longest(void **state)
{
    (void)state;
    struct att_added_set set;
    char found[128];
    att_added_init(&set);
    find(&set, "abc", false, found, sizeof found);
    assert_string_equal(found, "");
    push(&set, "ab", (struct att_added_token){.id = 1});
    push(&set, "abcd", (struct att_added_token){.id = 2});
    push(&set, "bcde", (struct att_added_token){.id = 3});
    push(&set, "abcx", (struct att_added_token){.id = 4});
    sort(&set);
    static const char *const cases[][2] = {
        {"abcde", "2[0,4) "},
        {"abce", "1[0,2) "},
        {"xbcdeab", "3[1,5) 1[5,7) "},
        {"a", ""},
        {"", ""},
        {"abcab", "1[0,2) 1[3,5) "},
        {"abcxabcd", "4[0,4) 2[4,8) "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        find(&set, cases[i][0], false, found, sizeof found);
        assert_string_equal(found, cases[i][1]);
    }
    att_added_finish(&set);
}

static void options(void **state)
{
    (void)state;
    struct att_added_set set;
    char found[128];
    att_added_init(&set);
    push(&set, "<l>", (struct att_added_token){.id = 1, .lstrip = true});
    push(&set, "<r>", (struct att_added_token){.id = 2, .rstrip = true});
    push(&set, "word", (struct att_added_token){.id = 3, .single_word = true});
    push(&set, "[S]", (struct att_added_token){.id = 4, .special = true});
    sort(&set);
    static const char *const cases[][2] = {
        {"a  <l>  b", "1[1,6) "},
        {"a  <r>  b", "2[3,8) "},
        {"<r>  <l>", "2[0,5) 1[5,8) "},  /* the first match has the spaces */
        {"a\xe3\x80\x80<l>", "1[1,7) "}, /* ideographic space */
        {"word", "3[0,4) "},
        {"a word, word", "3[2,6) 3[8,12) "},
        {"words", ""},
        {"keyword", ""},
        {"\xc3\xa9word", ""}, /* é is a word character */
        {"word\xcc\x81", ""}, /* and so is a mark */
        {"\xe2\x80\x94word\xe2\x80\x94", "3[3,7) "},
        {"[S]", "4[0,3) "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        find(&set, cases[i][0], false, found, sizeof found);
        if (strcmp(found, cases[i][1]) != 0)
            fail_msg("'%s': %s, expected %s", cases[i][0], found, cases[i][1]);
    }
    find(&set, "[S]<l>", true, found, sizeof found);
    assert_string_equal(found, "1[3,6) ");
    att_added_finish(&set);
}

/* White space that is a token itself, and that the match before it takes too: as `tokenizers` has it. */
static void white_space_is_taken_once(void **state)
{
    (void)state;
    static const struct {
        bool lstrip, rstrip;
        const char *text, *found;
    } cases[] = {
        {true, true, "    ", "1[0,4) "},           {true, true, "x    x", "1[1,5) "},
        {true, true, "  \n xx", "1[0,4) 2[4,5) "}, {true, false, "    ", "1[0,2) 1[2,4) "},
        {false, false, "    ", "1[0,2) 1[2,4) "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_added_set set;
        char found[128];
        att_added_init(&set);
        push(&set, "  ", (struct att_added_token){.id = 1, .lstrip = cases[i].lstrip, .rstrip = cases[i].rstrip});
        push(&set, "\n x", (struct att_added_token){.id = 2, .lstrip = true});
        sort(&set);
        find(&set, cases[i].text, false, found, sizeof found);
        if (strcmp(found, cases[i].found) != 0)
            fail_msg("case %zu: %s, expected %s", i, found, cases[i].found);
        att_added_finish(&set);
    }
}

static void many_patterns(void **state)
{
    (void)state;
    enum { LETTERS = 3, LEN_MAX = 5 };
    struct att_added_set set;
    att_added_init(&set);
    char patterns[64][LEN_MAX + 1];
    size_t count = 0;
    uint32_t random = 7;
    while (count < 64) {
        random = random * 1664525 + 1013904223;
        size_t len = 1 + (random >> 16) % LEN_MAX;
        for (size_t i = 0; i < len; i++) {
            random = random * 1664525 + 1013904223;
            patterns[count][i] = (char)('a' + (random >> 16) % LETTERS);
        }
        patterns[count][len] = '\0';
        bool known = false;
        for (size_t i = 0; i < count; i++)
            known |= strcmp(patterns[i], patterns[count]) == 0;
        if (known)
            continue;
        push(&set, patterns[count], (struct att_added_token){.id = (int32_t)count});
        count++;
    }
    sort(&set);
    for (int round = 0; round < 2000; round++) {
        char text[41], found[1024], expected[1024];
        for (size_t i = 0; i < 40; i++) {
            random = random * 1664525 + 1013904223;
            text[i] = (char)('a' + (random >> 16) % (LETTERS + 1));
        }
        text[40] = '\0';
        size_t len = 0;
        expected[0] = '\0';
        for (size_t at = 0; at < 40;) {
            size_t best = count;
            for (size_t i = 0; i < count; i++)
                if (strncmp(text + at, patterns[i], strlen(patterns[i])) == 0 &&
                    (best == count || strlen(patterns[i]) > strlen(patterns[best])))
                    best = i;
            size_t n = best < count ? strlen(patterns[best]) : 1;
            if (best < count)
                len += (size_t)snprintf(expected + len, sizeof expected - len, "%zu[%zu,%zu) ", best, at, at + n);
            at += n;
        }
        find(&set, text, false, found, sizeof found);
        assert_string_equal(found, expected);
    }
    att_added_finish(&set);
}

static void refuses_duplicates(void **state)
{
    (void)state;
    struct att_added_set set;
    int32_t id = -1;
    att_added_init(&set);
    push(&set, "ab", (struct att_added_token){.id = 1});
    push(&set, "a", (struct att_added_token){.id = 2});
    push(&set, "ab", (struct att_added_token){.id = 3});
    assert_false(att_added_sort(&set, &id));
    assert_true(id == 1 || id == 3);
    att_added_finish(&set);
}

static void no_memory(void **state)
{
    (void)state;
    for (uint64_t k = 1; k <= 2; k++) {
        struct att_added_set set;
        struct att_added_token token = {.id = 1};
        att_added_init(&set);
        att_mem_fail_at(k, false);
        assert_int_equal(att_added_push(&set, "a", 1, &token, NULL), ATT_ENOMEM);
        att_mem_fail_at(0, false);
        att_added_finish(&set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leftmost_longest),          cmocka_unit_test(options),
        cmocka_unit_test(white_space_is_taken_once), cmocka_unit_test(many_patterns),
        cmocka_unit_test(refuses_duplicates),        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
