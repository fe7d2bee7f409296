/* Merges of SentencePiece's BPE out of scores: which halves, and in which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/gguf/merges.h"
#include "tests/unit/gguf/fixture.h"

static enum att_status put(const struct att_gguf_text *tokens, const float *scores, size_t n, char **text, size_t *len,
                           struct att_err *err)
{
    const struct att_gguf_value value = NUMBERS_VALUE("scores", ATT_GGUF_F32, scores, n);
    struct att_jsonw out;
    att_jsonw_init(&out, 1 << 24);
    att_jsonw_object_begin(&out);
    enum att_status status = att_gguf_put_merges(tokens, &value, &out, err);
    att_jsonw_object_end(&out);
    if (status == ATT_OK)
        status = att_jsonw_take(&out, text, len, err);
    att_jsonw_finish(&out);
    return status;
}

struct token {
    const char *text;
    float score;
};

/* The merges as "left+right left+right …". */
static void gives(const struct token *tokens, size_t n, const char *expected)
{
    struct att_gguf_text texts[16];
    float scores[16];
    char *text = NULL, said[512] = "";
    size_t len = 0, at = 0;
    struct att_err err = {.message = ""};
    assert_true(n <= COUNT(texts));
    for (size_t i = 0; i < n; i++) {
        texts[i] = (struct att_gguf_text){tokens[i].text, strlen(tokens[i].text)};
        scores[i] = tokens[i].score;
    }
    assert_int_equal(put(texts, scores, n, &text, &len, &err), ATT_OK);
    struct att_json *root = fixture_parse(text, len);
    const struct att_json *merges = att_json_get(root, "merges");
    assert_true(att_json_is_array(merges));
    for (size_t i = 0; i < att_json_count(merges); i++)
        at += (size_t)snprintf(said + at, sizeof said - at, "%s%s+%s", i ? " " : "",
                               att_json_string(att_json_at(att_json_at(merges, i), 0), NULL),
                               att_json_string(att_json_at(att_json_at(merges, i), 1), NULL));
    att_json_destroy(root);
    assert_string_equal(said, expected);
}

static void both_halves_are_tokens(void **state)
{
    (void)state;
    static const struct token none[] = {{"a", 0}, {"b", 0}, {"xy", 0}, {"ax", 0}, {"xb", 0}, {"", 0}};
    gives(none, COUNT(none), "");
    static const struct token some[] = {{"a", 0}, {"b", 0}, {"ab", -1}, {"abab", -2}, {"aab", -3}};
    gives(some, COUNT(some), "a+b ab+ab a+ab");
}

static void characters_are_not_cut(void **state)
{
    (void)state;
    static const struct token tokens[] = {{"\xc3\xa9", 0}, {"a", 0}, {"a\xc3\xa9", -1}, {"\xc3\xa9\xc3\xa9", -2}};
    gives(tokens, COUNT(tokens), "a+\xc3\xa9 \xc3\xa9+\xc3\xa9");
}

/* Score, then the longer left, the longer right, the token's id; lengths in characters. */
static void the_best_comes_first(void **state)
{
    (void)state;
    static const struct token by_score[] = {{"a", 0}, {"b", 0}, {"c", 0}, {"ab", -3}, {"bc", -1}, {"ca", -2}};
    gives(by_score, COUNT(by_score), "b+c c+a a+b");
    static const struct token by_left[] = {{"a", 0}, {"aa", -1}, {"aaa", -2}};
    gives(by_left, COUNT(by_left), "a+a aa+a a+aa");
    static const struct token by_right[] = {{"a", 0}, {"b", 0}, {"ba", -5}, {"ab", -1}, {"aba", -1}};
    gives(by_right, COUNT(by_right), "ab+a a+ba a+b b+a");
    static const struct token turned[] = {{"a", 0}, {"b", 0}, {"ba", -5}, {"aba", -1}, {"ab", -1}};
    gives(turned, COUNT(turned), "ab+a a+ba a+b b+a");
    static const struct token by_id[] = {{"c", 0}, {"b", 0}, {"a", 0}, {"bc", -1}, {"ab", -1}, {"ca", -1}};
    gives(by_id, COUNT(by_id), "b+c a+b c+a");
    static const struct token wide[] = {{"\xc3\xa9", 0}, {"a", 0}, {"aa", -7}, {"\xc3\xa9\xc3\xa9", -1}, {"aaa", -1}};
    gives(wide, COUNT(wide), "aa+a a+aa \xc3\xa9+\xc3\xa9 a+a");
}

/* A piece that no text is merged to, for its length: 256 bytes and no more are cut. */
static void long_pieces_are_left_out(void **state)
{
    (void)state;
    static char text[258], half[130];
    const struct att_gguf_text tokens[] = {{half, 128}, {text, 256}},
                               longer[] = {{half, 128}, {half, 129}, {text, 257}};
    const float scores[] = {0, 0, 0};
    struct att_err err = {.message = ""};
    char *out = NULL;
    size_t len = 0;
    memset(text, 'a', sizeof text - 1);
    memset(half, 'a', sizeof half - 1);
    assert_int_equal(put(tokens, scores, 2, &out, &len, &err), ATT_OK);
    struct att_json *root = fixture_parse(out, len);
    assert_int_equal(att_json_count(att_json_get(root, "merges")), 1);
    att_json_destroy(root);
    assert_int_equal(put(longer, scores, 3, &out, &len, &err), ATT_OK);
    root = fixture_parse(out, len);
    assert_int_equal(att_json_count(att_json_get(root, "merges")), 0);
    att_json_destroy(root);
}

/* Thousands of pieces: texts share slots, merges outgrow their first memory, and the order is total. */
static void thousands_are_in_order(void **state)
{
    (void)state;
    enum { LETTERS = 26, PAIRS = LETTERS * LETTERS, ALL = LETTERS + PAIRS + LETTERS * PAIRS };
    static char bytes[ALL][4];
    static struct att_gguf_text tokens[ALL];
    static float scores[ALL];
    struct att_err err = {.message = ""};
    char *out = NULL;
    size_t len = 0, n = 0;
    for (size_t size = 1, many = LETTERS; size <= 3; size++, many *= LETTERS)
        for (size_t i = 0; i < many; i++, n++) {
            for (size_t at = size, rest = i; at-- > 0; rest /= LETTERS)
                bytes[n][at] = (char)('a' + rest % LETTERS);
            tokens[n] = (struct att_gguf_text){bytes[n], size};
            scores[n] = -(float)(i % 7);
        }
    assert_int_equal(n, ALL);
    assert_int_equal(put(tokens, scores, n, &out, &len, &err), ATT_OK);
    struct att_json *root = fixture_parse(out, len);
    const struct att_json *merges = att_json_get(root, "merges");
    assert_int_equal(att_json_count(merges), PAIRS + 2 * LETTERS * PAIRS);
    /* The first: score 0, two letters and one, the least id: "aaa". The last: score -6, one and one. */
    assert_string_equal(att_json_string(att_json_at(att_json_at(merges, 0), 0), NULL), "aa");
    assert_string_equal(att_json_string(att_json_at(att_json_at(merges, 0), 1), NULL), "a");
    const struct att_json *last = att_json_at(merges, att_json_count(merges) - 1);
    assert_string_equal(att_json_string(att_json_at(last, 0), NULL), "z");
    assert_int_equal(strlen(att_json_string(att_json_at(last, 1), NULL)), 1);
    att_json_destroy(root);

    for (uint64_t k = 1; k <= 3; k++) { /* the slots, the first merges, the growth */
        out = NULL;
        att_mem_fail_at(k, false);
        enum att_status status = put(tokens, scores, n, &out, &len, &err);
        att_mem_fail_at(0, false);
        att_mem_free(out);
        assert_int_equal(status, ATT_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_halves_are_tokens), cmocka_unit_test(characters_are_not_cut),
        cmocka_unit_test(the_best_comes_first),   cmocka_unit_test(long_pieces_are_left_out),
        cmocka_unit_test(thousands_are_in_order),
    };
    return cmocka_run_group_tests_name("gguf/merges", tests, NULL, NULL);
}
