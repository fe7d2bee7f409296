/* Encoding: special tokens as text or not, limits, long texts, threads, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "core/base/mem.h"
#include "fixture.h"

static struct att_tokenizer *tokenizer;

static int setup(void **state)
{
    (void)state;
    return fixture_load(fixture_json, 21, 2, &tokenizer, NULL) == ATT_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    att_tokenizer_destroy(tokenizer);
    return 0;
}

static void expect(const char *text, size_t len, unsigned flags, const struct att_token *expected, size_t count)
{
    struct att_tokens tokens;
    att_tokens_init(&tokens);
    assert_int_equal(att_tokenizer_encode(tokenizer, text, len, flags, 0, &tokens, NULL), ATT_OK);
    assert_non_null(tokens.items);
    if (tokens.count != count)
        fail_msg("'%s' has %zu tokens, expected %zu", text, tokens.count, count);
    for (size_t i = 0; i < count; i++)
        if (tokens.items[i].id != expected[i].id || tokens.items[i].start != expected[i].start ||
            tokens.items[i].end != expected[i].end)
            fail_msg("'%s': token %zu is %d [%u,%u), expected %d [%u,%u)", text, i, (int)tokens.items[i].id,
                     (unsigned)tokens.items[i].start, (unsigned)tokens.items[i].end, (int)expected[i].id,
                     (unsigned)expected[i].start, (unsigned)expected[i].end);
    att_tokens_finish(&tokens);
}

#define EXPECT(text, flags, ...)                                                                                       \
    do {                                                                                                               \
        const struct att_token expected_[] = {__VA_ARGS__};                                                            \
        expect(text, sizeof(text) - 1, flags, expected_, sizeof expected_ / sizeof *expected_);                        \
    } while (0)

static void words(void **state)
{
    (void)state;
    expect("", 0, 0, NULL, 0);
    expect(" \t\n", 3, 0, NULL, 0);
    EXPECT("The prices.", 0, {4, 0, 3}, {5, 4, 9}, {6, 9, 10}, {11, 10, 11});
    EXPECT("unaffable", 0, {7, 0, 2}, {8, 2, 5}, {9, 5, 9});
    EXPECT("unaffably a", 0, {1, 0, 9}, {10, 10, 11});
    EXPECT("don't", 0, {12, 0, 3}, {13, 3, 4}, {14, 4, 5});
    EXPECT("\xe4\xb8\xad\xe4\xb8\xad"
           "a",
           0, {19, 0, 3}, {19, 3, 6}, {10, 6, 7});
    EXPECT("a\0the", 0, {1, 0, 5}); /* U+0000 is removed, not a separator */
    EXPECT("\xe2\x80\x9cthe\xe2\x80\x9d", 0, {1, 0, 3}, {4, 3, 6}, {1, 6, 9});
}

static void special_tokens(void **state)
{
    (void)state;
    EXPECT("a[SEP]a", 0, {10, 0, 1}, {3, 1, 6}, {10, 6, 7});
    EXPECT("a[SEP]a", ATT_ENCODE_SPECIAL_AS_TEXT, {10, 0, 1}, {15, 1, 2}, {17, 2, 5}, {16, 5, 6}, {10, 6, 7});
    EXPECT("[sep]", 0, {15, 0, 1}, {17, 1, 4}, {16, 4, 5});
    EXPECT("[SEP", 0, {15, 0, 1}, {17, 1, 4});
    /* Not special, so found with either flag; in normalized text, and as a whole word only. */
    EXPECT("a cafe noir.", ATT_ENCODE_SPECIAL_AS_TEXT, {10, 0, 1}, {20, 2, 11}, {11, 11, 12});
    EXPECT("CAF\xc3\x89 NOIR", 0, {20, 0, 10});
    EXPECT("cafe noirs", 0, {1, 0, 4}, {1, 5, 10});
}

/* A special token that a cut lies in is text; one that ends or begins beside it is not. */
static void cuts(void **state)
{
    (void)state;
    static const char text[] = "[SEP]a[SEP]";
    static const struct {
        size_t cut, count;
        int32_t ids[6];
    } cases[] = {
        {0, 3, {3, 10, 3}}, {1, 5, {15, 17, 16, 10, 3}}, {5, 5, {15, 17, 16, 10, 3}},
        {6, 3, {3, 10, 3}}, {7, 5, {3, 10, 15, 17, 16}}, {11, 5, {3, 10, 15, 17, 16}},
    };
    struct att_tokens tokens;
    att_tokens_init(&tokens);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t at = cases[i].cut;
        const struct att_cuts one = {&at, 1};
        assert_int_equal(att_tokenizer_encode_cut(tokenizer, text, strlen(text), &one, 0, &tokens, NULL), ATT_OK);
        assert_int_equal(tokens.count, cases[i].count);
        for (size_t t = 0; t < tokens.count; t++)
            assert_int_equal(tokens.items[t].id, cases[i].ids[t]);
    }
    att_tokens_finish(&tokens);
    assert_int_equal(att_tokenizer_special_place(tokenizer, text, strlen(text), 0), 0);
    assert_int_equal(att_tokenizer_special_place(tokenizer, text, strlen(text), 1), 6);
    assert_int_equal(att_tokenizer_special_place(tokenizer, text, strlen(text), 7), strlen(text));
    assert_int_equal(att_tokenizer_special_place(tokenizer, "[SEx [UN", 8, 0), 5); /* the rest may follow */
    assert_int_equal(att_tokenizer_special_place(tokenizer, "Caf\xc3\xa9 Noir", 10, 0), 10);
}

static void invalid_utf8(void **state)
{
    (void)state;
    static const char *const texts[] = {"\xff",    "a\x80", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80",
                                        "\xe2\x82"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct att_tokens tokens;
        struct att_err err;
        att_tokens_init(&tokens);
        assert_int_equal(att_tokenizer_encode(tokenizer, texts[i], strlen(texts[i]), 0, 0, &tokens, &err), ATT_EINVAL);
        assert_non_null(strstr(err.message, "UTF-8"));
        att_tokens_finish(&tokens);
    }
}

static void limit(void **state)
{
    (void)state;
    struct att_tokens tokens;
    struct att_err err;
    att_tokens_init(&tokens);
    assert_int_equal(att_tokenizer_encode(tokenizer, "a a a", 5, 0, 3, &tokens, &err), ATT_OK);
    assert_int_equal(att_tokenizer_encode(tokenizer, "a a a a", 7, 0, 3, &tokens, &err), ATT_ELIMIT);
    assert_int_equal(err.limit, 3);
    assert_true(err.given > 3);
    assert_int_equal(att_tokenizer_encode(tokenizer, "[SEP][SEP]", 10, 0, 1, &tokens, &err), ATT_ELIMIT);
    assert_int_equal(att_tokenizer_encode(tokenizer, "cafe noir a", 11, 0, 1, &tokens, &err), ATT_ELIMIT);
    /* Pieces of a word that turns out unknown do not count. */
    assert_int_equal(att_tokenizer_encode(tokenizer, "unaffablx", 9, 0, 1, &tokens, &err), ATT_OK);
    assert_int_equal(att_tokenizer_encode(tokenizer, "a", 1, 0, 1, &tokens, &err), ATT_OK);
    assert_int_equal(tokens.count, 1);
    att_tokens_finish(&tokens);
}

static void one_long_word(void **state)
{
    (void)state;
    enum { LEN = 300 << 10 };
    char *text = malloc(LEN);
    assert_non_null(text);
    memset(text, 'a', LEN);
    const struct att_token unk = {1, 0, LEN};
    expect(text, LEN, 0, &unk, 1);
    for (size_t i = 0; i < LEN; i++) /* é: two bytes each, and decomposed */
        text[i] = i % 2 ? '\xa9' : '\xc3';
    expect(text, LEN, 0, &unk, 1);
    free(text);
}

/* A text of many chunks has the tokens of its parts. */
static void long_text_is_its_parts(void **state)
{
    (void)state;
    static const char part[] =
        "The unaffable pric\xc3\xa9s\n[SEP] caf\xc3\xa9 noir don't \xe4\xb8\xad x\xcc\x81\xcc\xa3 ";
    enum { PARTS = 3000, LEN = sizeof part - 1 };
    struct att_tokens one, all;
    att_tokens_init(&one);
    att_tokens_init(&all);
    char *text = malloc((size_t)PARTS * LEN);
    assert_non_null(text);
    for (size_t i = 0; i < PARTS; i++)
        memcpy(text + i * LEN, part, LEN);
    assert_int_equal(att_tokenizer_encode(tokenizer, part, LEN, 0, 0, &one, NULL), ATT_OK);
    assert_int_equal(att_tokenizer_encode(tokenizer, text, (size_t)PARTS * LEN, 0, 0, &all, NULL), ATT_OK);
    assert_int_equal(all.count, PARTS * one.count);
    for (size_t i = 0; i < all.count; i++) {
        const struct att_token *token = &one.items[i % one.count];
        uint32_t shift = (uint32_t)(i / one.count * LEN);
        if (all.items[i].id != token->id || all.items[i].start != token->start + shift ||
            all.items[i].end != token->end + shift)
            fail_msg("token %zu differs", i);
    }
    free(text);
    att_tokens_finish(&one);
    att_tokens_finish(&all);
}

static void *encode_often(void *answer)
{
    static const char text[] = "The pric\xc3\xa9s [SEP] of unaffable caf\xc3\xa9 noir. \xe4\xb8\xad";
    struct att_tokens tokens;
    uint64_t digest = 0;
    att_tokens_init(&tokens);
    for (int i = 0; i < 200; i++) {
        digest = 0;
        if (att_tokenizer_encode(tokenizer, text, sizeof text - 1, 0, 0, &tokens, NULL) != ATT_OK)
            break;
        for (size_t j = 0; j < tokens.count; j++)
            digest = digest * 31 + (uint64_t)tokens.items[j].id * 7 + tokens.items[j].end;
    }
    att_tokens_finish(&tokens);
    *(uint64_t *)answer = digest;
    return NULL;
}

static void threads_share(void **state)
{
    (void)state;
    pthread_t threads[4];
    uint64_t digests[5];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, encode_often, &digests[i]), 0);
    encode_often(&digests[4]);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(digests[i] == digests[4]);
    }
    assert_true(digests[4] != 0);
}

static void no_memory(void **state)
{
    (void)state;
    static const char text[] = "The pric\xc3\xa9s [SEP] caf\xc3\xa9 noir";
    bool succeeded = false;
    for (uint64_t k = 1; !succeeded && k < 100; k++) {
        struct att_tokens tokens;
        att_tokens_init(&tokens);
        att_mem_fail_at(k, false);
        enum att_status status = att_tokenizer_encode(tokenizer, text, sizeof text - 1, 0, 0, &tokens, NULL);
        att_mem_fail_at(0, false);
        succeeded = status == ATT_OK;
        if (!succeeded)
            assert_int_equal(status, ATT_ENOMEM);
        /* The same buffers serve the next text. */
        assert_int_equal(att_tokenizer_encode(tokenizer, text, sizeof text - 1, 0, 0, &tokens, NULL), ATT_OK);
        att_tokens_finish(&tokens);
    }
    assert_true(succeeded);
}

/* Once the buffers have grown, encoding allocates nothing. */
static void buffers_are_kept(void **state)
{
    (void)state;
    static const char text[] = "The pric\xc3\xa9s [SEP] caf\xc3\xa9 noir don't x\xcc\x81\xcc\xa3\xf0\x9d\x85\xa5";
    struct att_tokens tokens;
    att_tokens_init(&tokens);
    assert_int_equal(att_tokenizer_encode(tokenizer, text, sizeof text - 1, 0, 0, &tokens, NULL), ATT_OK);
    uint64_t before = att_mem_count();
    for (int i = 0; i < 10; i++)
        assert_int_equal(att_tokenizer_encode(tokenizer, text, sizeof text - 1, 0, 0, &tokens, NULL), ATT_OK);
    assert_int_equal(att_mem_count(), before);
    att_tokens_finish(&tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),
        cmocka_unit_test(special_tokens),
        cmocka_unit_test(cuts),
        cmocka_unit_test(invalid_utf8),
        cmocka_unit_test(limit),
        cmocka_unit_test(one_long_word),
        cmocka_unit_test(long_text_is_its_parts),
        cmocka_unit_test(threads_share),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(buffers_are_kept),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
