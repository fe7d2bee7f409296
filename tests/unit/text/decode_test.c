/* Decoding: gluing, cleaning up, special tokens, ids that do not exist. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "fixture.h"

static void expect(const struct att_tokenizer *tokenizer, const int32_t *ids, size_t count, bool skip,
                   const char *expected)
{
    char *text = NULL;
    assert_int_equal(att_tokenizer_decode(tokenizer, ids, count, skip, &text, NULL, NULL), ATT_OK);
    assert_string_equal(text, expected);
    att_mem_free(text);
}

#define EXPECT(tokenizer, skip, expected, ...)                                                                         \
    do {                                                                                                               \
        const int32_t ids_[] = {__VA_ARGS__};                                                                          \
        expect(tokenizer, ids_, sizeof ids_ / sizeof *ids_, skip, expected);                                           \
    } while (0)

static void decodes(void **state)
{
    (void)state;
    struct att_tokenizer *tokenizer = NULL;
    assert_int_equal(fixture_load(fixture_json, 21, 2, &tokenizer, NULL), ATT_OK);
    expect(tokenizer, NULL, 0, true, "");
    EXPECT(tokenizer, true, "the prices.", 2, 4, 5, 6, 11, 3);
    EXPECT(tokenizer, false, "[CLS] the prices. [SEP]", 2, 4, 5, 6, 11, 3);
    EXPECT(tokenizer, true, "##s a", 6, 10);        /* the first piece keeps its prefix */
    EXPECT(tokenizer, true, "##s a", 2, 6, 10);     /* and special tokens do not count */
    EXPECT(tokenizer, true, "don ' t", 12, 13, 14); /* cleaning up looks at one token at a time */
    EXPECT(tokenizer, true, "a", -5, 21, 10, 2000000000);
    EXPECT(tokenizer, true, "cafe noir", 20); /* normalized, as the reference does */
    att_tokenizer_destroy(tokenizer);
}

static void variants(void **state)
{
    (void)state;
    struct att_tokenizer *tokenizer = NULL;
    char *json = fixture_replace(fixture_json, "\"cleanup\":true", "\"cleanup\":false");
    assert_int_equal(fixture_load(json, 21, 2, &tokenizer, NULL), ATT_OK);
    EXPECT(tokenizer, true, "the prices .", 4, 5, 6, 11);
    att_tokenizer_destroy(tokenizer);
    free(json);
    json = fixture_replace(fixture_json, "\"decoder\":{", "\"decoder\":null,\"other\":{");
    assert_int_equal(fixture_load(json, 21, 2, &tokenizer, NULL), ATT_OK);
    EXPECT(tokenizer, true, "the price ##s .", 4, 5, 6, 11);
    att_tokenizer_destroy(tokenizer);
    free(json);
    /* A token that itself holds what is cleaned up. */
    json = fixture_replace(fixture_json, "\"the\":4", "\"x do not y n't\":4");
    assert_int_equal(fixture_load(json, 21, 2, &tokenizer, NULL), ATT_OK);
    EXPECT(tokenizer, true, "x don't yn't", 4);
    att_tokenizer_destroy(tokenizer);
    free(json);
}

static void no_memory(void **state)
{
    (void)state;
    struct att_tokenizer *tokenizer = NULL;
    assert_int_equal(fixture_load(fixture_json, 21, 2, &tokenizer, NULL), ATT_OK);
    int32_t ids[200];
    for (size_t i = 0; i < 200; i++)
        ids[i] = 4;
    bool succeeded = false;
    for (uint64_t k = 1; !succeeded && k < 20; k++) {
        char *text = NULL;
        att_mem_fail_at(k, false);
        enum att_status status = att_tokenizer_decode(tokenizer, ids, 200, true, &text, NULL, NULL);
        att_mem_fail_at(0, false);
        succeeded = status == ATT_OK;
        assert_int_equal(succeeded ? ATT_ENOMEM : status, ATT_ENOMEM);
        assert_true(succeeded == (text != NULL));
        att_mem_free(text);
    }
    assert_true(succeeded);
    att_tokenizer_destroy(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes),
        cmocka_unit_test(variants),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
