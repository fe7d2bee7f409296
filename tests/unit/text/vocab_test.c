/* The vocabulary's hash table: growth, duplicates, hashes with a prefix. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/text/vocab.h"

static void finds_what_was_added(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    struct att_vocab vocab;
    att_vocab_init(&vocab);
    assert_int_equal(att_vocab_find(&vocab, "a", 1), -1);
    char text[16];
    for (int32_t i = 0; i < COUNT; i++) {
        int len = snprintf(text, sizeof text, "%d", (int)i);
        assert_int_equal(att_vocab_add(&vocab, text, (size_t)len, COUNT - 1 - i, NULL), ATT_OK);
    }
    for (int32_t i = 0; i < COUNT; i++) {
        int len = snprintf(text, sizeof text, "%d", (int)i);
        assert_int_equal(att_vocab_find(&vocab, text, (size_t)len), COUNT - 1 - i);
        assert_string_equal(att_vocab_text(&vocab, COUNT - 1 - i), text);
    }
    assert_int_equal(vocab.count, COUNT);
    assert_int_equal(vocab.token_bytes_max, 5);
    assert_int_equal(att_vocab_find(&vocab, "20000", 5), -1);
    assert_int_equal(att_vocab_find(&vocab, "", 0), -1);
    assert_null(att_vocab_text(&vocab, -1));
    assert_null(att_vocab_text(&vocab, COUNT));
    att_vocab_finish(&vocab);
}

static void later_duplicates_win(void **state)
{
    (void)state;
    struct att_vocab vocab;
    att_vocab_init(&vocab);
    assert_int_equal(att_vocab_add(&vocab, "a", 1, 0, NULL), ATT_OK);
    assert_int_equal(att_vocab_add(&vocab, "", 0, 1, NULL), ATT_OK);
    assert_int_equal(att_vocab_add(&vocab, "a", 1, 7, NULL), ATT_OK);
    assert_int_equal(att_vocab_find(&vocab, "a", 1), 7);
    assert_int_equal(att_vocab_find(&vocab, "", 0), 1);
    assert_string_equal(att_vocab_text(&vocab, 0), "a");
    assert_null(att_vocab_text(&vocab, 5));
    assert_int_equal(vocab.count, 2);
    att_vocab_finish(&vocab);
}

static void finds_with_prefix(void **state)
{
    (void)state;
    struct att_vocab vocab;
    att_vocab_init(&vocab);
    assert_int_equal(att_vocab_add(&vocab, "##ing", 5, 3, NULL), ATT_OK);
    uint64_t hash = att_vocab_hash_begin();
    for (const char *at = "##ing"; *at; at++)
        hash = att_vocab_hash_step(hash, *at);
    assert_int_equal(att_vocab_find_hashed(&vocab, att_vocab_hash_end(hash), "##", 2, "ing", 3), 3);
    assert_int_equal(att_vocab_find_hashed(&vocab, att_vocab_hash_end(hash), "", 0, "ing", 3), -1);
    assert_int_equal(att_vocab_find_hashed(&vocab, att_vocab_hash_end(hash), "@@", 2, "ing", 3), -1);
    att_vocab_finish(&vocab);
}

static void no_memory(void **state)
{
    (void)state;
    for (uint64_t k = 1; k <= 3; k++) {
        struct att_vocab vocab;
        att_vocab_init(&vocab);
        att_mem_fail_at(k, false);
        assert_int_equal(att_vocab_add(&vocab, "a", 1, 0, NULL), ATT_ENOMEM);
        att_mem_fail_at(0, false);
        assert_int_equal(att_vocab_add(&vocab, "a", 1, 0, NULL), ATT_OK);
        assert_int_equal(att_vocab_find(&vocab, "a", 1), 0);
        att_vocab_finish(&vocab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_added),
        cmocka_unit_test(later_duplicates_win),
        cmocka_unit_test(finds_with_prefix),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
