/* Texts that grow id by id: at each the same as all ids decoded at once, for every tokenizer of the golden data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/text/decoding.h"

enum { RUNS = 40, IDS = 60 };

static const char *const names[] = {"bpe-gpt2", "bpe-llama2", "wordpiece-small", "wordpiece-cased"};

static struct att_tokenizer *load(const char *name)
{
    const char *root = getenv("ATT_SOURCE_ROOT");
    char path[1024];
    struct att_dir dir;
    struct att_tokenizer *tokenizer = NULL;
    assert_non_null(root);
    snprintf(path, sizeof path, "%s/tests/golden/tokenizers/%s", root, name);
    assert_int_equal(att_dir_open(path, &dir, NULL), ATT_OK);
    assert_int_equal(att_tokenizer_load(&dir, 0, 0, &tokenizer, NULL), ATT_OK);
    att_dir_close(&dir);
    return tokenizer;
}

/* xorshift */
static uint32_t draw(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void check(const struct att_tokenizer *tokenizer, const int32_t *ids, size_t n)
{
    struct att_decoding decoding = {0};
    for (size_t count = 0; count <= n; count++) {
        char *whole = NULL;
        size_t len = 0;
        assert_int_equal(att_tokenizer_decode(tokenizer, ids, count, true, &whole, &len, NULL), ATT_OK);
        assert_int_equal(att_decoding_update(&decoding, tokenizer, ids, count, NULL), ATT_OK);
        assert_int_equal(decoding.len, len);
        assert_memory_equal(decoding.text, whole, len + 1);
        att_mem_free(whole);
    }
    att_decoding_finish(&decoding);
}

/* Ids at random: of the whole vocabulary, and of its begin, where special tokens and single bytes are. */
static void any_ids(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct att_tokenizer *tokenizer = load(names[i]);
        uint32_t vocab = (uint32_t)att_tokenizer_vocab_size(tokenizer), random = 7;
        for (size_t run = 0; run < RUNS; run++) {
            int32_t ids[IDS];
            for (size_t t = 0; t < IDS; t++)
                ids[t] = (int32_t)(draw(&random) % (draw(&random) % 4 < run % 4 && vocab > 270 ? 270 : vocab));
            check(tokenizer, ids, IDS);
        }
        att_tokenizer_destroy(tokenizer);
    }
}

/* Characters of several tokens, and bytes that are none. */
static void texts(void **state)
{
    (void)state;
    static const char *const samples[] = {
        "How do I return an item?  Two  spaces, a tab\t and a line.\n\nDon't!",
        "\xe8\xaf\xb7\xe5\x9c\xa8\xe4\xb8\x89\xe5\x8d\x81\xe5\xa4\xa9\xe5\x86\x85\xe5\xaf\x84\xe5\x9b\x9e\xef\xbc\x8c"
        "ok \xf0\x9f\x98\x80\xf0\x9f\x8f\xb3\xef\xb8\x8f\xe2\x80\x8d\xf0\x9f\x8c\x88 caf\xc3\xa9",
        "\xef\xbf\xbd\xef\xbf\xbd a \xef\xbf\xbd",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct att_tokenizer *tokenizer = load(names[i]);
        struct att_tokens tokens;
        att_tokens_init(&tokens);
        for (size_t s = 0; s < sizeof samples / sizeof *samples; s++) {
            int32_t ids[512];
            assert_int_equal(att_tokenizer_encode(tokenizer, samples[s], strlen(samples[s]), 0, 500, &tokens, NULL),
                             ATT_OK);
            for (size_t t = 0; t < tokens.count; t++)
                ids[t] = tokens.items[t].id;
            check(tokenizer, ids, tokens.count);
        }
        att_tokens_finish(&tokens);
        att_tokenizer_destroy(tokenizer);
    }
}

/* What is decoded at each id does not grow with the text. */
static void window_stays_short(void **state)
{
    (void)state;
    enum { MANY = 4000, WINDOW = 32 };
    static const char word[] = " returns \xe9\x80\x80\xe8\xb4\xa7";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct att_tokenizer *tokenizer = load(names[i]);
        struct att_tokens tokens;
        struct att_decoding decoding = {0};
        int32_t *ids = att_mem_calloc(MANY, sizeof *ids);
        att_tokens_init(&tokens);
        assert_int_equal(att_tokenizer_encode(tokenizer, word, strlen(word), 0, WINDOW, &tokens, NULL), ATT_OK);
        for (size_t t = 0; t < MANY; t++) {
            ids[t] = tokens.items[t % tokens.count].id;
            assert_int_equal(att_decoding_update(&decoding, tokenizer, ids, t + 1, NULL), ATT_OK);
            assert_true(t + 1 - decoding.begin <= 2 * WINDOW);
        }
        att_decoding_finish(&decoding);
        att_tokens_finish(&tokens);
        att_mem_free(ids);
        att_tokenizer_destroy(tokenizer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_ids),
        cmocka_unit_test(texts),
        cmocka_unit_test(window_stays_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
