/* vocab.txt alone, with and without tokenizer_config.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "fixture.h"

static const char vocab[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nprice\n##s\nThe\ncaf\xc3\xa9\ncafe\n\xe4\xb8\xad\n";

/* Ids of `text` as "4 5 6". */
static void encode(const struct att_tokenizer *tokenizer, const char *text, char *out, size_t size)
{
    struct att_tokens tokens;
    att_tokens_init(&tokens);
    assert_int_equal(att_tokenizer_encode(tokenizer, text, strlen(text), 0, 0, &tokens, NULL), ATT_OK);
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < tokens.count; i++)
        len += (size_t)snprintf(out + len, size - len, i ? " %d" : "%d", (int)tokens.items[i].id);
    att_tokens_finish(&tokens);
}

static enum att_status load(const char *lines, const char *config, size_t rows, struct att_tokenizer **ret,
                            struct att_err *err)
{
    struct fixture fixture;
    fixture_open(&fixture);
    fixture_write(&fixture, "vocab.txt", lines, strlen(lines));
    if (config)
        fixture_write(&fixture, "tokenizer_config.json", config, strlen(config));
    enum att_status status = att_tokenizer_load(&fixture.dir, rows, 2, ret, err);
    fixture_close(&fixture);
    return status;
}

static void settings(void **state)
{
    (void)state;
    static const struct {
        const char *config, *text, *ids;
    } cases[] = {
        {NULL, "The Prices Caf\xc3\xa9", "5 6 7 10"},
        {NULL, "the[MASK] [PAD]", "5 4 0"},
        {"{}", "The", "5"},
        {"{\"model_max_length\":1000000000000000019884624838656}", "The", "5"},
        {"{\"do_lower_case\":false}", "The caf\xc3\xa9", "8 9"},
        {"{\"do_lower_case\":false,\"strip_accents\":true}", "The caf\xc3\xa9", "8 10"},
        {"{\"strip_accents\":false}", "Caf\xc3\xa9", "9"},
        {"{\"strip_accents\":null,\"tokenizer_class\":\"DistilBertTokenizerFast\"}", "Caf\xc3\xa9", "10"},
        {"{\"tokenize_chinese_chars\":false}", "\xe4\xb8\xad\xe4\xb8\xad", "1"},
        {"{\"tokenize_chinese_chars\":true}", "\xe4\xb8\xad\xe4\xb8\xad", "11 11"},
        {"{\"mask_token\":\"price\",\"unk_token\":{\"content\":\"[PAD]\"}}", "xyz theprice", "0 5 6"},
        {"{\"mask_token\":\"<none>\"}", "[MASK]", "1 1 1"},
        {"{\"added_tokens_decoder\":{\"12\":{\"content\":\"A B\",\"normalized\":false},\"4\":\"[MASK]\"}}",
         "the A B a b", "5 12 1 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_tokenizer *tokenizer = NULL;
        struct att_err err = {.message = ""};
        if (load(vocab, cases[i].config, 13, &tokenizer, &err) != ATT_OK)
            fail_msg("case %zu: %s", i, err.message);
        char ids[64];
        encode(tokenizer, cases[i].text, ids, sizeof ids);
        if (strcmp(ids, cases[i].ids) != 0)
            fail_msg("case %zu: %s, expected %s", i, ids, cases[i].ids);
        assert_int_equal(att_tokenizer_special_count(tokenizer, true), 3);
        att_tokenizer_destroy(tokenizer);
    }
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *lines, *config, *says;
    } cases[] = {
        {"", NULL, "vocab.txt: unk_token: '[UNK]'"},
        {"[UNK]\n[CLS]\n", NULL, "vocab.txt: sep_token: '[SEP]'"},
        {"[UNK]\n[CLS]\n[SEP]\na\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n", NULL, "vocab.txt: line 14"},
        {"[UNK]\n[CLS]\n\xff\n", NULL, "vocab.txt: line 3"},
        {vocab, "{\"do_lower_case\":1}", "tokenizer_config.json: do_lower_case: is number"},
        {vocab, "{\"do_basic_tokenize\":false}", "do_basic_tokenize"},
        {vocab, "{\"tokenizer_class\":\"BertJapaneseTokenizer\"}", "tokenizer_class: is 'BertJapaneseTokenizer'"},
        {vocab, "{\"cls_token\":3}", "cls_token: is number"},
        {vocab, "{\"cls_token\":\"\"}", "cls_token"},
        {vocab, "{\"added_tokens_decoder\":{\"x\":{\"content\":\"A\"}}}", "added_tokens_decoder.x"},
        {vocab, "{\"added_tokens_decoder\":{\"13\":{\"content\":\"A\"}}}", "expected an id below 13"},
        {vocab, "{\"added_tokens_decoder\":{\"99999999999999999999\":{\"content\":\"A\"}}}", "expected an id below 13"},
        {vocab, "{\"added_tokens_decoder\":{\"3\":{\"content\":\"A\"}}}", "which '[SEP]' has too"},
        {vocab, "{\"added_tokens_decoder\":{\"3x\":{\"content\":\"A\"}}}",
         "added_tokens_decoder.3x: expected an id below"},
        {vocab, "{\"added_tokens_decoder\":{\"12\":{}}}",
         "added_tokens_decoder.12: expected an id below 13 with a content"},
        {vocab, "{\"added_tokens_decoder\":[]}", "added_tokens_decoder: is array, expected an object"},
        {vocab, "{\"do_basic_tokenize\":1}", "do_basic_tokenize: is number, expected true or false"},
        {vocab, "{\"strip_accents\":\"no\"}", "strip_accents: is string, expected true or false"},
        {vocab, "{\"tokenize_chinese_chars\":[]}", "tokenize_chinese_chars: is array, expected true or false"},
        {vocab, "{\"tokenizer_class\":3}", "tokenizer_class: is number, expected a string"},
        {vocab, "{\"tokenizer_class\":\"BertTokenizerFaster\"}", "tokenizer_class: is 'BertTokenizerFaster', expected"},
        {vocab, "{", "tokenizer_config.json: not JSON"},
        {vocab, "[]", "tokenizer_config.json: is array, expected a JSON object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_tokenizer *tokenizer = NULL;
        struct att_err err = {.message = ""};
        enum att_status status = load(cases[i].lines, cases[i].config, 13, &tokenizer, &err);
        if (status == ATT_OK || err.status != status || !strstr(err.message, cases[i].says))
            fail_msg("case %zu: status %d, '%s', expected '%s'", i, (int)status, err.message, cases[i].says);
    }
}

/* A token has at most 4,096 bytes; and a model without segments takes no pairs. */
static void bounds(void **state)
{
    (void)state;
    enum { LEN = 4097 };
    char lines[LEN + 32] = "[UNK]\n[CLS]\n[SEP]\n";
    const size_t head = strlen(lines);
    struct att_tokenizer *tokenizer = NULL;
    struct att_err err = {.message = ""};
    memset(lines + head, 'a', LEN);
    assert_int_equal(load(lines, NULL, 13, &tokenizer, &err), ATT_EFORMAT);
    assert_string_equal(err.message, "vocab.txt: line 4: expected at most 4096 bytes of UTF-8");
    lines[head + LEN - 1] = '\0';
    assert_int_equal(load(lines, NULL, 13, &tokenizer, &err), ATT_OK);
    assert_int_equal(strlen(att_tokenizer_token(tokenizer, 3)), LEN - 1);
    att_tokenizer_destroy(tokenizer);
    tokenizer = NULL;
    struct fixture fixture;
    fixture_open(&fixture);
    fixture_write(&fixture, "vocab.txt", vocab, strlen(vocab));
    assert_int_equal(att_tokenizer_load(&fixture.dir, 13, 1, &tokenizer, &err), ATT_EFORMAT);
    assert_string_equal(err.message, "vocab.txt: a pair has segments 0 and 1, expected segments below 1");
    assert_null(tokenizer);
    fixture_close(&fixture);
}

static void json_wins(void **state)
{
    (void)state;
    struct fixture fixture;
    struct att_tokenizer *tokenizer = NULL;
    fixture_open(&fixture);
    fixture_write(&fixture, "vocab.txt", vocab, strlen(vocab));
    fixture_write(&fixture, "tokenizer.json", fixture_json, strlen(fixture_json));
    assert_int_equal(att_tokenizer_load(&fixture.dir, 21, 2, &tokenizer, NULL), ATT_OK);
    assert_int_equal(att_tokenizer_id(tokenizer, "##aff"), 8);
    att_tokenizer_destroy(tokenizer);
    fixture_close(&fixture);
}

/* A line that comes twice: the last has the text, and both ids decode. Windows line ends are no part of a token. */
static void odd_lines(void **state)
{
    (void)state;
    struct att_tokenizer *tokenizer = NULL;
    assert_int_equal(load("[UNK]\r\n[CLS]\r\n[SEP]\r\na\r\n\r\na", NULL, 0, &tokenizer, NULL), ATT_OK);
    assert_int_equal(att_tokenizer_id(tokenizer, "a"), 5);
    assert_string_equal(att_tokenizer_token(tokenizer, 3), "a");
    assert_string_equal(att_tokenizer_token(tokenizer, 4), "");
    att_tokenizer_destroy(tokenizer);
    assert_int_equal(load("[UNK]\n[CLS]\n\n[SEP]\n", NULL, 0, &tokenizer, NULL), ATT_OK);
    assert_string_equal(att_tokenizer_token(tokenizer, 2), "");
    assert_int_equal(att_tokenizer_id(tokenizer, "[SEP]"), 3);
    att_tokenizer_destroy(tokenizer);
}

static void no_memory(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    fixture_write(&fixture, "vocab.txt", vocab, strlen(vocab));
    const char *config = "{\"added_tokens_decoder\":{\"12\":{\"content\":\"A B\"}}}";
    fixture_write(&fixture, "tokenizer_config.json", config, strlen(config));
    bool succeeded = false;
    for (uint64_t k = 1; !succeeded && k < 1000; k++) {
        struct att_tokenizer *tokenizer = NULL;
        att_mem_fail_at(k, false);
        enum att_status status = att_tokenizer_load(&fixture.dir, 13, 2, &tokenizer, NULL);
        att_mem_fail_at(0, false);
        succeeded = status == ATT_OK;
        if (!succeeded)
            assert_int_equal(status, ATT_ENOMEM);
        att_tokenizer_destroy(tokenizer);
    }
    assert_true(succeeded);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings),  cmocka_unit_test(refusals),  cmocka_unit_test(bounds),
        cmocka_unit_test(json_wins), cmocka_unit_test(odd_lines), cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
