/* WordPiece against a naive longest-match search, over random words of a small alphabet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/text/wordpiece.h"

static struct att_wordpiece wordpiece;
static struct att_normalizer normalizer; /* changes nothing */

/* The vocabulary: [UNK], and pieces of a, b and é with and without the prefix. */
static const char *const pieces[] = {"[UNK]", "a",    "ab", "abb",      "b",          "##a",    "##b",
                                     "##bab", "##aa", "-",  "\xc3\xa9", "##\xc3\xa9", "##abba", "b\xc3\xa9"};
enum { PIECES = sizeof pieces / sizeof *pieces };

static int setup(void **state)
{
    (void)state;
    att_normalizer_init(&normalizer);
    att_vocab_init(&wordpiece.vocab);
    for (int32_t i = 0; i < PIECES; i++)
        if (att_vocab_add(&wordpiece.vocab, pieces[i], strlen(pieces[i]), i, NULL) != ATT_OK)
            return -1;
    att_wordpiece_set_prefix(&wordpiece, "##", 2);
    wordpiece.word_chars_max = 12;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    att_vocab_finish(&wordpiece.vocab);
    return 0;
}

static void encode(const char *text, size_t len, struct att_tokens *tokens)
{
    struct att_normal normal;
    att_normal_init(&normal);
    tokens->count = 0;
    assert_int_equal(att_normalizer_run(&normalizer, text, 0, len, &normal, NULL), ATT_OK);
    assert_int_equal(att_wordpiece_encode(&wordpiece, normalizer.table, &normal, 0, normal.len, 0, tokens, NULL),
                     ATT_OK);
    att_normal_finish(&normal);
}

/* Ids of one word by the definition. */
static size_t naive(const char *word, size_t len, size_t chars, int32_t ids[64])
{
    size_t count = 0;
    ids[0] = 0;
    if (chars > wordpiece.word_chars_max)
        return 1;
    for (size_t at = 0; at < len;) {
        int32_t best = -1;
        size_t best_len = 0;
        for (int32_t i = 1; i < PIECES; i++) {
            bool continues = strncmp(pieces[i], "##", 2) == 0;
            const char *piece = pieces[i] + (continues ? 2 : 0);
            size_t n = strlen(piece);
            if (continues == (at > 0) && n > best_len && n <= len - at && memcmp(word + at, piece, n) == 0) {
                best = i;
                best_len = n;
            }
        }
        if (best < 0) {
            ids[0] = 0;
            return 1;
        }
        ids[count++] = best;
        at += best_len;
    }
    return count;
}

static void longest_match(void **state)
{
    (void)state;
    static const char *const letters[] = {"a", "b", "\xc3\xa9"};
    struct att_tokens tokens;
    att_tokens_init(&tokens);
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        char word[64];
        size_t len = 0;
        random = random * 1664525 + 1013904223;
        size_t chars = 1 + (random >> 28);
        for (size_t i = 0; i < chars; i++) {
            random = random * 1664525 + 1013904223;
            const char *letter = letters[(random >> 16) % 8 < 7 ? (random >> 20) % 2 : 2];
            memcpy(word + len, letter, strlen(letter));
            len += strlen(letter);
        }
        int32_t ids[64];
        size_t count = naive(word, len, chars, ids);
        encode(word, len, &tokens);
        if (tokens.count != count)
            fail_msg("'%.*s' has %zu tokens, expected %zu", (int)len, word, tokens.count, count);
        uint32_t end = 0;
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(tokens.items[i].id, ids[i]);
            assert_int_equal(tokens.items[i].start, end);
            end = tokens.items[i].end;
        }
        assert_int_equal(end, len);
    }
    att_tokens_finish(&tokens);
}

static void words_and_punctuation(void **state)
{
    (void)state;
    static const int32_t expected[] = {1, 9, 9, 3, 0, 2};
    struct att_tokens tokens;
    att_tokens_init(&tokens);
    encode(" a--abb  . ab", 13, &tokens);
    assert_int_equal(tokens.count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(tokens.items[i].id, expected[i]);
    att_tokens_finish(&tokens);
}

static void word_length(void **state)
{
    (void)state;
    struct att_tokens tokens;
    att_tokens_init(&tokens);
    encode("abababababab", 12, &tokens);
    assert_true(tokens.count > 1);
    encode("ababababababa", 13, &tokens);
    assert_int_equal(tokens.count, 1);
    assert_int_equal(tokens.items[0].id, 0);
    /* Counted in characters, not bytes. */
    encode("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 14, &tokens);
    assert_int_equal(tokens.count, 7);
    att_tokens_finish(&tokens);
}

static void no_prefix(void **state)
{
    (void)state;
    struct att_tokens tokens;
    att_tokens_init(&tokens);
    att_wordpiece_set_prefix(&wordpiece, "", 0);
    encode("abba", 4, &tokens);
    att_wordpiece_set_prefix(&wordpiece, "##", 2);
    assert_int_equal(tokens.count, 2);
    assert_int_equal(tokens.items[0].id, 3);
    assert_int_equal(tokens.items[1].id, 1);
    att_tokens_finish(&tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(longest_match),
        cmocka_unit_test(words_and_punctuation),
        cmocka_unit_test(word_length),
        cmocka_unit_test(no_prefix),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
