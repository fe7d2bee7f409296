/* Words of texts in several scripts, and the text without some of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tasks/explain/words.h"
#include "tests/unit/tasks/fixture.h"

/* Words of a text under the tiny WordPiece tokenizer. */
static size_t words_of(const char *text, struct task_word words[64])
{
    const struct att_tokenizer *tokenizer = att_model_tokenizer(fixture_model("encoder"));
    struct att_tokens tokens;
    struct att_err err;
    att_tokens_init(&tokens);
    assert_int_equal(att_tokenizer_encode(tokenizer, text, strlen(text), ATT_ENCODE_SPECIAL_AS_TEXT, 64, &tokens, &err),
                     ATT_OK);
    size_t n = task_words_find(tokenizer, text, strlen(text), tokens.items, tokens.count, false, words);
    att_tokens_finish(&tokens);
    return n;
}

static void expect_words(const char *text, const char *const *expected, size_t n)
{
    struct task_word words[64];
    assert_int_equal(words_of(text, words), n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(words[i].end - words[i].start, strlen(expected[i]));
        assert_memory_equal(text + words[i].start, expected[i], strlen(expected[i]));
    }
}

static void pieces_of_a_word_are_one(void **state)
{
    (void)state;
    expect_words("Internationalization, isn't 5%",
                 (const char *const[]){"Internationalization", ",", "isn", "'", "t", "5", "%"}, 7);
    expect_words("股价大涨", (const char *const[]){"股", "价", "大", "涨"}, 4);
    expect_words("", NULL, 0);
}

static void expect_without(const char *text, const char *marks, const char *expected)
{
    struct task_word words[64];
    bool out[64] = {false};
    char copy[256];
    size_t n = words_of(text, words);
    assert_int_equal(n, strlen(marks));
    for (size_t i = 0; i < n; i++)
        out[i] = marks[i] == 'x';
    copy[task_words_leave_out(text, strlen(text), false, words, n, out, copy)] = '\0';
    assert_string_equal(copy, expected);
}

static void what_is_left_reads_as_a_text(void **state)
{
    (void)state;
    expect_without("profit beats estimates", ".x.", "profit estimates");
    expect_without("profit beats estimates", "x..", "beats estimates");
    expect_without("profit beats estimates", "..x", "profit beats ");
    expect_without("profit beats estimates", ".xx", "profit ");
    expect_without("profit beats estimates", "xxx", "");
    expect_without("profit,loss", ".x.", "profit loss"); /* two words do not become one */
    expect_without("up 5%", ".x.", "up %");
    expect_without("股价大涨", ".xx.", "股涨");
    expect_without("  a  b ", "x.", "   b ");
}

static void long_texts_have_spans(void **state)
{
    (void)state;
    struct task_word words[10];
    for (size_t i = 0; i < 10; i++)
        words[i] = (struct task_word){(uint32_t)i * 2, (uint32_t)i * 2 + 1, (uint32_t)i, 1, i >= 7};
    size_t n = task_words_group(words, 10, 5); /* by threes, and not over the end of the first text */
    assert_int_equal(n, 4);
    assert_int_equal(words[0].start, 0);
    assert_int_equal(words[0].end, 5);
    assert_int_equal(words[0].count, 3);
    assert_int_equal(words[2].end, 13);
    assert_int_equal(words[2].count, 1);
    assert_true(words[3].second);
    assert_int_equal(words[3].count, 3);
    for (size_t count = 1; count < 300; count++) {
        struct task_word many[300];
        for (size_t i = 0; i < count; i++)
            many[i] = (struct task_word){(uint32_t)i, (uint32_t)i + 1, (uint32_t)i, 1, i >= count / 2};
        n = task_words_group(many, count, 64);
        assert_true(n >= 1 && n <= 64);
        assert_int_equal(many[n - 1].end, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_a_word_are_one),
        cmocka_unit_test(what_is_left_reads_as_a_text),
        cmocka_unit_test(long_texts_have_spans),
    };
    return cmocka_run_group_tests_name("words", tests, fixture_start, fixture_stop);
}
