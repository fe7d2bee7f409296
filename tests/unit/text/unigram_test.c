/* Unigram: a vocabulary of long pieces with like beginnings makes a long text an error, not an hour. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text/tokenizer.h"

enum { PIECES = 2000, TEXT_BYTES = 200000 };

/* Pieces "a", "aa", … of up to PIECES letters. */
static struct att_tokenizer *load(void)
{
    char *json = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&json, &len);
    struct att_tokenizer *tokenizer = NULL;
    struct att_err err;
    assert_non_null(out);
    fputs("{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0]", out);
    for (int i = 1; i < PIECES; i++) {
        fputs(",[\"", out);
        for (int k = 0; k < i; k++)
            fputc('a', out);
        fprintf(out, "\",%d]", -10 * i);
    }
    fputs("]},\"added_tokens\":[],\"normalizer\":null,\"pre_tokenizer\":null,\"post_processor\":null,\"decoder\":null}",
          out);
    fclose(out);
    if (att_tokenizer_load_text(json, len, 0, 0, &tokenizer, &err) != ATT_OK)
        fail_msg("%s", err.message);
    free(json);
    return tokenizer;
}

static void test_long_pieces(void **state)
{
    (void)state;
    struct att_tokenizer *tokenizer = load();
    struct att_tokens tokens;
    struct att_err err = {.message = ""};
    char *text = malloc(TEXT_BYTES);
    assert_non_null(text);
    memset(text, 'a', TEXT_BYTES);
    att_tokens_init(&tokens);
    assert_int_equal(att_tokenizer_encode(tokenizer, text, TEXT_BYTES, 0, 0, &tokens, &err), ATT_ELIMIT);
    assert_non_null(strstr(err.message, "too long for the pieces"));
    assert_int_equal(att_tokenizer_encode(tokenizer, text, 500, 0, 0, &tokens, &err), ATT_OK);
    assert_true(tokens.count > 0 && tokens.items[tokens.count - 1].end == 500);
    memset(text, 'b', TEXT_BYTES);
    assert_int_equal(att_tokenizer_encode(tokenizer, text, TEXT_BYTES, 0, 0, &tokens, &err), ATT_OK);
    att_tokens_finish(&tokens);
    att_tokenizer_destroy(tokenizer);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_long_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
