/* vocab.json with merges.txt, as GPT-2 and RoBERTa were published: whose conventions hold, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "fixture.h"

static const char vocab[] = "{\"<s>\":0,\"<pad>\":1,\"</s>\":2,\"<unk>\":3,\"<mask>\":4,\"<|endoftext|>\":5,"
                            "\"a\":6,\"b\":7,\"c\":8,\"\xc4\xa0\":9,\"ab\":10,\"\xc4\xa0"
                            "ab\":11}";
static const char merges[] = "#version: 0.2\r\na b\r\n\n\xc4\xa0 ab\n";

static enum att_status load(const char *words, const char *pairs, const char *config, const char *model,
                            struct att_tokenizer **ret, struct att_err *err)
{
    struct fixture fixture;
    fixture_open(&fixture);
    fixture_write(&fixture, "vocab.json", words, strlen(words));
    if (pairs)
        fixture_write(&fixture, "merges.txt", pairs, strlen(pairs));
    if (config)
        fixture_write(&fixture, "tokenizer_config.json", config, strlen(config));
    if (model)
        fixture_write(&fixture, "config.json", model, strlen(model));
    enum att_status status = att_tokenizer_load(&fixture.dir, 12, 2, ret, err);
    fixture_close(&fixture);
    return status;
}

/* Ids of `text` within its template, as "0 10 2". */
static void encode(const struct att_tokenizer *tokenizer, const char *text, char *out, size_t size)
{
    struct att_tokens tokens;
    int32_t ids[32];
    struct att_sequence sequence = {.ids = ids, .capacity = 32};
    size_t len = 0;
    att_tokens_init(&tokens);
    assert_int_equal(att_tokenizer_encode(tokenizer, text, strlen(text), 0, 0, &tokens, NULL), ATT_OK);
    assert_int_equal(att_tokenizer_assemble(tokenizer, tokens.items, tokens.count, NULL, 0, &sequence, NULL), ATT_OK);
    out[0] = '\0';
    for (size_t i = 0; i < sequence.len; i++)
        len += (size_t)snprintf(out + len, size - len, i ? " %d" : "%d", (int)ids[i]);
    att_tokens_finish(&tokens);
}

static void families_have_their_conventions(void **state)
{
    static const struct {
        const char *config, *model, *text, *ids;
    } cases[] = {
        {"{\"tokenizer_class\":\"RobertaTokenizer\"}", NULL, "ab ab", "0 10 11 2"},
        {"{\"tokenizer_class\":\"BartTokenizer\",\"add_prefix_space\":true}", NULL, "ab", "0 11 2"},
        {"{\"tokenizer_class\":\"GPT2Tokenizer\"}", NULL, "ab<|endoftext|>", "10 5"},
        {NULL, "{\"model_type\":\"roberta\"}", "ab <mask>", "0 10 4 2"}, /* takes the blank before it */
        {"{}", "{\"model_type\":\"gpt2\"}", "cab", "8 10"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_tokenizer *tokenizer = NULL;
        struct att_err err = {.message = ""};
        char ids[64];
        if (load(vocab, merges, cases[i].config, cases[i].model, &tokenizer, &err) != ATT_OK)
            fail_msg("case %zu: %s", i, err.message);
        encode(tokenizer, cases[i].text, ids, sizeof ids);
        assert_string_equal(ids, cases[i].ids);
        att_tokenizer_destroy(tokenizer);
    }
}

static void refusals_name_the_file(void **state)
{
    static const struct {
        const char *words, *pairs, *config, *says;
    } cases[] = {
        {"{", merges, NULL, "vocab.json: not JSON"},
        {"[]", merges, NULL, "vocab.json: is array, expected a JSON object"},
        {vocab, merges, "{\"tokenizer_class\":\"CTRLTokenizer\"}", "merges.txt: belongs to 'CTRLTokenizer'"},
        {vocab, merges, NULL, "merges.txt: belongs to ''"},
        {vocab, "a z\n", "{\"tokenizer_class\":\"GPT2Tokenizer\"}", "vocab.json and merges.txt"},
        {"{\"a\":-1}", "a a\n", "{\"tokenizer_class\":\"GPT2Tokenizer\"}", "vocab.json and merges.txt"},
        {"{\"a\":0}", "a a\n", "{\"tokenizer_class\":\"RobertaTokenizer\"}", "vocab.json and merges.txt"},
        {vocab, "", "{\"tokenizer_class\":\"GPT2Tokenizer\"}", "merges.txt: is empty"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_tokenizer *tokenizer = NULL;
        struct att_err err = {.message = ""};
        if (load(cases[i].words, cases[i].pairs, cases[i].config, NULL, &tokenizer, &err) == ATT_OK)
            fail_msg("case %zu was taken", i);
        assert_null(tokenizer);
        if (!strstr(err.message, cases[i].says))
            fail_msg("case %zu: '%s' does not say '%s'", i, err.message, cases[i].says);
    }
}

static void every_failed_allocation_is_told(void **state)
{
    static const char config[] = "{\"tokenizer_class\":\"RobertaTokenizer\"}";
    struct fixture fixture;
    enum att_status status = ATT_ENOMEM;
    (void)state;
    fixture_open(&fixture);
    fixture_write(&fixture, "vocab.json", vocab, strlen(vocab));
    fixture_write(&fixture, "merges.txt", merges, strlen(merges));
    fixture_write(&fixture, "tokenizer_config.json", config, strlen(config));
    for (uint64_t k = 1; status != ATT_OK; k++) {
        struct att_tokenizer *tokenizer = NULL;
        att_mem_fail_at(k, k % 2);
        status = att_tokenizer_load(&fixture.dir, 12, 2, &tokenizer, NULL);
        att_mem_fail_at(0, false);
        assert_true(status == ATT_OK ? k > 40 : status == ATT_ENOMEM && !tokenizer);
        att_tokenizer_destroy(tokenizer);
    }
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_have_their_conventions),
        cmocka_unit_test(refusals_name_the_file),
        cmocka_unit_test(every_failed_allocation_is_told),
    };
    return cmocka_run_group_tests_name("text/merges_file", tests, NULL, NULL);
}
