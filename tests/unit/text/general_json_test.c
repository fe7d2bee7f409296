/*
 * tokenizer.json of byte-pair, Unigram and word-level models: what loads gives
 * the ids of Hugging Face's `tokenizers`; what is wrong is refused by its field;
 * lack of memory is told as such.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "core/text/vocab.h"
#include "fixture.h"

#define AROUND(model)                                                                                                  \
    "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[],\"normalizer\":null,"               \
    "\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"},\"post_processor\":null,\"decoder\":null,\"model\":{" model "}}"

static const char bpe[] =
    AROUND("\"type\":\"BPE\",\"dropout\":null,\"unk_token\":\"<unk>\",\"continuing_subword_prefix\":null,"
           "\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":false,"
           "\"vocab\":{\"<unk>\":0,\"a\":1,\"b\":2,\"ab\":3,\"c\":4,\"abc\":5},\"merges\":[\"a b\",[\"ab\",\"c\"]]");
static const char unigram[] =
    AROUND("\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":false,"
           "\"vocab\":[[\"<unk>\",0.0],[\"a\",-1.5],[\"b\",-2.0],[\"ab\",-3.0],[\"c\",-1],[\"abc\",-9]]");
static const char words[] = AROUND("\"type\":\"WordLevel\",\"unk_token\":\"<unk>\",\"vocab\":{\"<unk>\":0,\"ab\":1}");

enum { ROWS = 6 };

struct change {
    const char *json, *from, *to; /* from NULL: as it is */
    const char *says;             /* the ids of "abc ab xx", or the message behind "tokenizer.json: " */
};

static const struct change accepted[] = {
    {bpe, NULL, NULL, "5 3 0 0 "},
    {bpe, "\"type\":\"BPE\",", "", "5 3 0 0 "},
    {bpe, "\"fuse_unk\":false", "\"fuse_unk\":true", "5 3 0 "},
    {bpe, "\"fuse_unk\":false", "\"fuse_unk\":null", "5 3 0 0 "},
    {bpe, "\"fuse_unk\":false,", "", "5 3 0 0 "},
    {bpe, "\"dropout\":null", "\"dropout\":0", "5 3 0 0 "},
    {bpe, "\"unk_token\":\"<unk>\"", "\"unk_token\":null", "5 3 "},
    {bpe, ",[\"ab\",\"c\"]", "", "3 4 3 0 0 "},
    {bpe, "\"ignore_merges\":false", "\"ignore_merges\":true", "5 3 0 0 "},
    {bpe, "\"end_of_word_suffix\":null", "\"end_of_word_suffix\":\"\"", "5 3 0 0 "},
    {bpe, "\"continuing_subword_prefix\":null", "\"continuing_subword_prefix\":\"#\"", "1 0 0 1 0 0 0 "},
    {unigram, NULL, NULL, "3 4 3 0 "},
    {unigram, "\"type\":\"Unigram\",", "", "3 4 3 0 "},
    {unigram, "[\"abc\",-9]", "[\"abc\",-1]", "5 3 0 "},
    {words, NULL, NULL, "0 1 0 "},
};

static const struct change refused[] = {
    /* the vocabulary of BPE and word-level models */
    {bpe, "\"abc\":5", "\"abc\":6", "model.vocab: 'abc' has id 6, expected an integer from 0 to 5"},
    {bpe, "\"abc\":5", "\"abc\":-1", "model.vocab: 'abc' has id -1, expected an integer from 0 to 5"},
    {bpe, "\"abc\":5", "\"abc\":\"5\"", "model.vocab: 'abc' has id -1, expected an integer from 0 to 5"},
    {bpe, "\"abc\":5", "\"abc\":4", "model.vocab: 'abc' has id 4, which 'c' has too"},
    {bpe, "\"vocab\":{", "\"vocab\":[],\"other\":{",
     "model.vocab: is array, expected an object of token texts and ids"},
    {words, "\"vocab\":{", "\"vocab\":5,\"other\":{",
     "model.vocab: is number, expected an object of token texts and ids"},
    {words, "\"unk_token\":\"<unk>\"", "\"unk_token\":\"zz\"",
     "model.unk_token: is string, expected a token of model.vocab"},
    /* BPE */
    {bpe, "\"dropout\":null", "\"dropout\":0.1", "model.dropout: is not null, expected null"},
    {bpe, "\"dropout\":null", "\"dropout\":\"\"", "model.dropout: is not null, expected null"},
    {bpe, "\"unk_token\":\"<unk>\"", "\"unk_token\":5", "model.unk_token: is number, expected a token of model.vocab"},
    {bpe, "\"fuse_unk\":false", "\"fuse_unk\":1", "model.fuse_unk: is number, expected true or false"},
    {bpe, "\"byte_fallback\":false", "\"byte_fallback\":\"\"",
     "model.byte_fallback: is string, expected true or false"},
    {bpe, "\"ignore_merges\":false", "\"ignore_merges\":[]", "model.ignore_merges: is array, expected true or false"},
    {bpe, "\"continuing_subword_prefix\":null", "\"continuing_subword_prefix\":5",
     "model.continuing_subword_prefix: is number, expected a short string"},
    {bpe, "\"end_of_word_suffix\":null", "\"end_of_word_suffix\":\"012345678901234567890123456789012\"",
     "model.end_of_word_suffix: is string, expected a short string"},
    {bpe, "\"merges\":[", "\"merges\":{},\"other\":[", "model.merges: is object, expected an array"},
    {bpe, "\"merges\":[", "\"other\":[", "model.merges: is nothing, expected an array"},
    {bpe, "\"a b\"", "\"ab\"", "model.merges[0]: is 'ab', expected two pieces"},
    {bpe, "\"a b\"", "\"a b c\"", "model.merges[0]: is 'a b c', expected two pieces"},
    {bpe, "\"a b\"", "\"a bc\"", "model.merges[0]: "},
    {bpe, "[\"ab\",\"c\"]", "[\"ab\"]", "model.merges[1]: expected \"LEFT RIGHT\" or [LEFT, RIGHT]"},
    {bpe, "[\"ab\",\"c\"]", "[\"ab\",\"c\",\"c\"]", "model.merges[1]: expected \"LEFT RIGHT\" or [LEFT, RIGHT]"},
    {bpe, "[\"ab\",\"c\"]", "[5,\"c\"]", "model.merges[1]: expected \"LEFT RIGHT\" or [LEFT, RIGHT]"},
    {bpe, "[\"ab\",\"c\"]", "[\"ab\",5]", "model.merges[1]: expected \"LEFT RIGHT\" or [LEFT, RIGHT]"},
    {bpe, "[\"ab\",\"c\"]", "null", "model.merges[1]: expected \"LEFT RIGHT\" or [LEFT, RIGHT]"},
    /* Unigram */
    {unigram, "\"vocab\":[", "\"vocab\":{},\"other\":[",
     "model.vocab: is object, expected an array of pieces and scores"},
    {unigram, "\"vocab\":[", "\"vocab\":[],\"other\":[",
     "model.vocab: is array, expected an array of pieces and scores"},
    {unigram, "\"vocab\":[", "\"vocab\":[[\"d\",-1],", "model.vocab: has 7 pieces, expected at most 6"},
    {unigram, "\"unk_id\":0", "\"unk_id\":6", "model.unk_id: is number, expected the number of a piece, or null"},
    {unigram, "\"unk_id\":0", "\"unk_id\":\"\"", "model.unk_id: is string, expected the number of a piece, or null"},
    {unigram, "\"byte_fallback\":false", "\"byte_fallback\":0",
     "model.byte_fallback: is number, expected true or false"},
    {unigram, "[\"c\",-1]", "[5,-1]", "model.vocab[4]: expected [PIECE, SCORE]"},
    {unigram, "[\"c\",-1]", "[\"c\"]", "model.vocab[4]: expected [PIECE, SCORE]"},
    {unigram, "[\"c\",-1]", "[\"c\",\"-1\"]", "model.vocab[4]: expected [PIECE, SCORE]"},
    {unigram, "[\"c\",-1]", "\"c\"", "model.vocab[4]: expected [PIECE, SCORE]"},
    /* which model it is */
    {bpe, "\"type\":\"BPE\"", "\"type\":\"Bpe\"", "model.type: is 'Bpe'"},
    /* the sections around it */
    {bpe, "\"normalizer\":null", "\"normalizer\":{}", "normalizer.type: is missing, expected a string"},
    {bpe, "\"WhitespaceSplit\"", "5", "pre_tokenizer.type: is number, expected a string"},
    {unigram, "\"decoder\":null", "\"decoder\":{\"type\":\"Loud\"}", "decoder.type: 'Loud' is not known, expected "},
};

static char *changed(const struct change *change)
{
    return change->from ? fixture_replace(change->json, change->from, change->to) : strdup(change->json);
}

static void what_is_sound_loads(void **state)
{
    static const char text[] = "abc ab xx";
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        char *json = changed(&accepted[i]), ids[64] = "";
        struct att_tokenizer *tokenizer = NULL;
        struct att_tokens tokens;
        struct att_err err = {.message = ""};
        if (fixture_load(json, ROWS, 2, &tokenizer, &err) != ATT_OK)
            fail_msg("case %zu: %s", i, err.message);
        att_tokens_init(&tokens);
        assert_int_equal(att_tokenizer_encode(tokenizer, text, strlen(text), 0, 0, &tokens, &err), ATT_OK);
        for (size_t k = 0, len = 0; k < tokens.count; k++)
            len += (size_t)snprintf(ids + len, sizeof ids - len, "%d ", (int)tokens.items[k].id);
        if (strcmp(ids, accepted[i].says) != 0)
            fail_msg("case %zu (%s): '%s', expected '%s'", i, accepted[i].to, ids, accepted[i].says);
        att_tokens_finish(&tokens);
        att_tokenizer_destroy(tokenizer);
        free(json);
    }
}

static void refuses(const char *json, const char *says)
{
    struct att_tokenizer *tokenizer = NULL;
    struct att_err err = {.message = ""};
    enum att_status status = fixture_load(json, ROWS, 2, &tokenizer, &err);
    if (status != ATT_EFORMAT && status != ATT_EUNSUPPORTED)
        fail_msg("'%s': status %d, '%s'", says, (int)status, err.message);
    if (strncmp(err.message, "tokenizer.json: ", 16) != 0 || strncmp(err.message + 16, says, strlen(says)) != 0)
        fail_msg("'%s' is not '%s'", err.message, says);
    assert_null(tokenizer);
}

static void what_is_wrong_is_refused_by_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char *json = changed(&refused[i]);
        refuses(json, refused[i].says);
        free(json);
    }
}

/* A token as long as may be, and one byte longer. */
static void a_token_has_a_length(void **state)
{
    char *token = calloc(1, ATT_TOKEN_BYTES_MAX + 4);
    struct att_tokenizer *tokenizer = NULL;
    struct att_err err = {.message = ""};
    (void)state;
    token[0] = '"';
    memset(token + 1, 'x', ATT_TOKEN_BYTES_MAX);
    token[ATT_TOKEN_BYTES_MAX + 1] = '"';
    char *json = fixture_replace(words, "\"ab\"", token);
    if (fixture_load(json, ROWS, 2, &tokenizer, &err) != ATT_OK)
        fail_msg("%s", err.message);
    att_tokenizer_destroy(tokenizer);
    free(json);
    token[ATT_TOKEN_BYTES_MAX + 1] = 'x';
    token[ATT_TOKEN_BYTES_MAX + 2] = '"';
    json = fixture_replace(words, "\"ab\"", token);
    refuses(json, "model.vocab: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' has 4097 bytes, expected at most 4096");
    free(json);
    json = fixture_replace(unigram, "\"c\"", token);
    refuses(json, "model.vocab: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' has 4097 bytes, expected at most 4096");
    free(json);
    free(token);
}

/* The spaces around an added token are characters, of one byte or of three. */
static void added_tokens_are_trimmed_by_characters(void **state)
{
    static const char added[] =
        "\"added_tokens\":[{\"id\":5,\"content\":\"abc\",\"single_word\":false,\"lstrip\":true,\"rstrip\":true,"
        "\"normalized\":false,\"special\":false}]",
                      trims[] = "\"post_processor\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
                                "\"trim_offsets\":true}";
    static const struct {
        const char *text;
        uint32_t start, end;
    } cases[] = {
        {"a abc b", 2, 5},
        {"a\xe3\x80\x80"
         "abc\xe3\x80\x80"
         "b",
         4, 7},
        {"a \xe3\x80\x80"
         "abc\xe3\x80\x80 b",
         5, 8},
    };
    char *with_token = fixture_replace(bpe, "\"added_tokens\":[]", added);
    char *json = fixture_replace(with_token, "\"post_processor\":null", trims);
    struct att_tokenizer *tokenizer = NULL;
    struct att_err err = {.message = ""};
    (void)state;
    if (fixture_load(json, ROWS, 2, &tokenizer, &err) != ATT_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_tokens tokens;
        att_tokens_init(&tokens);
        assert_int_equal(att_tokenizer_encode(tokenizer, cases[i].text, strlen(cases[i].text), 0, 0, &tokens, NULL),
                         ATT_OK);
        assert_int_equal(tokens.count, 3);
        assert_int_equal(tokens.items[1].id, 5);
        assert_int_equal(tokens.items[1].start, cases[i].start);
        assert_int_equal(tokens.items[1].end, cases[i].end);
        att_tokens_finish(&tokens);
    }
    att_tokenizer_destroy(tokenizer);
    free(json);
    free(with_token);
}

static void no_memory(void **state)
{
    static const char *const models[] = {bpe, unigram, words};
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        struct fixture fixture;
        bool succeeded = false;
        fixture_open(&fixture);
        fixture_write(&fixture, "tokenizer.json", models[i], strlen(models[i]));
        for (uint64_t k = 1; !succeeded && k < 1000; k++) {
            struct att_tokenizer *tokenizer = NULL;
            struct att_err err = {.message = ""};
            att_mem_fail_at(k, false);
            enum att_status status = att_tokenizer_load(&fixture.dir, ROWS, 2, &tokenizer, &err);
            att_mem_fail_at(0, false);
            succeeded = status == ATT_OK;
            if (!succeeded && status != ATT_ENOMEM)
                fail_msg("model %zu, allocation %llu: status %d, '%s'", i, (unsigned long long)k, (int)status,
                         err.message);
            att_tokenizer_destroy(tokenizer);
        }
        assert_true(succeeded);
        fixture_close(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sound_loads),
        cmocka_unit_test(what_is_wrong_is_refused_by_field),
        cmocka_unit_test(a_token_has_a_length),
        cmocka_unit_test(added_tokens_are_trimmed_by_characters),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests_name("text/general_json", tests, NULL, NULL);
}
