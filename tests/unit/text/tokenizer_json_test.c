/* Loading tokenizer.json: variants that are served, every refusal by name, and no memory at any allocation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "fixture.h"

static void loads(void **state)
{
    (void)state;
    struct att_tokenizer *tokenizer = NULL;
    struct att_err err = {.message = ""};
    if (fixture_load(fixture_json, 21, 2, &tokenizer, &err) != ATT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(att_tokenizer_vocab_size(tokenizer), 21);
    assert_string_equal(att_tokenizer_token(tokenizer, 8), "##aff");
    assert_string_equal(att_tokenizer_token(tokenizer, 20), "Caf\xc3\xa9 Noir");
    assert_null(att_tokenizer_token(tokenizer, 21));
    assert_null(att_tokenizer_token(tokenizer, -1));
    assert_int_equal(att_tokenizer_id(tokenizer, "price"), 5);
    assert_int_equal(att_tokenizer_id(tokenizer, "Caf\xc3\xa9 Noir"), 20);
    assert_int_equal(att_tokenizer_id(tokenizer, "nothing"), -1);
    assert_string_equal(att_tokenizer_model_name(tokenizer), "WordPiece");
    assert_int_equal(att_tokenizer_special_count(tokenizer, false), 2);
    assert_int_equal(att_tokenizer_special_count(tokenizer, true), 3);
    att_tokenizer_destroy(tokenizer);
    att_tokenizer_destroy(NULL);
}

struct change {
    const char *from, *to;
    enum att_status status; /* ATT_OK: served */
    const char *says;
};

#define TEMPLATE_BEGIN "\"post_processor\":{\"type\":\"TemplateProcessing\","
#define FIRST_ADDED                                                                                                    \
    "{\"id\":0,\"content\":\"[PAD]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"    \
    "\"special\":true}"
#define NORMALIZER                                                                                                     \
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"                   \
    "\"strip_accents\":null,\"lowercase\":true}"
#define DECODER "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}"

static const struct change changes[] = {
    /* served */
    {"\"version\":\"1.0\",", "", ATT_OK, ""},
    {NORMALIZER, "\"normalizer\":null", ATT_OK, ""},
    {DECODER, "\"decoder\":null", ATT_OK, ""},
    {"\"model\":{\"type\":\"WordPiece\",", "\"model\":{", ATT_OK, ""},
    {"\"strip_accents\":null,", "", ATT_OK, ""},
    {"\"strip_accents\":null", "\"strip_accents\":false", ATT_OK, ""},
    {TEMPLATE_BEGIN, "\"post_processor\":null,\"ignored\":{", ATT_OK, ""},
    {TEMPLATE_BEGIN,
     "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]},\"ignored\":{",
     ATT_OK, ""},
    {"Caf\xc3\xa9 Noir", "", ATT_OK, ""}, /* an empty token is left out */
    /* the file */
    {"\"version\":\"1.0\"", "\"version\":\"2.0\"", ATT_EUNSUPPORTED, "version"},
    {"\"truncation\":{", "\"truncation\":{{", ATT_EFORMAT, "not JSON"},
    {"\"padding\":null", "\"padding\":null,\"padding\":null", ATT_EFORMAT, "duplicate"},
    /* model */
    {"\"model\":{", "\"other\":{", ATT_EFORMAT, "model: is missing"},
    {"\"model\":{\"type\":\"WordPiece\"", "\"model\":{\"type\":\"Hash\"", ATT_EUNSUPPORTED, "model.type: is 'Hash'"},
    {"\"model\":{\"type\":\"WordPiece\"", "\"model\":{\"type\":\"BPE\"", ATT_EFORMAT, "model.merges: is nothing"},
    {"\"model\":{\"type\":\"WordPiece\"", "\"model\":{\"type\":3", ATT_EFORMAT, "model.type: is number"},
    {"\"unk_token\":\"[UNK]\"", "\"unk_token\":\"<none>\"", ATT_EFORMAT, "model.unk_token: is '<none>'"},
    {"\"unk_token\":\"[UNK]\"", "\"unk_token\":null", ATT_EFORMAT, "model.unk_token: is null"},
    {"\"unk_token\":\"[UNK]\",", "", ATT_EFORMAT, "model.unk_token: is missing"},
    {"\"continuing_subword_prefix\":\"##\"", "\"continuing_subword_prefix\":2", ATT_EFORMAT,
     "continuing_subword_prefix: is number"},
    {"\"continuing_subword_prefix\":\"##\"", "\"continuing_subword_prefix\":\"12345678901234567\"", ATT_EFORMAT,
     "at most 16"},
    {"\"max_input_chars_per_word\":100", "\"max_input_chars_per_word\":0", ATT_EFORMAT, "max_input_chars_per_word"},
    {"\"max_input_chars_per_word\":100", "\"max_input_chars_per_word\":1e9", ATT_EFORMAT, "from 1 to 1000"},
    {"\"max_input_chars_per_word\":100,", "", ATT_EFORMAT, "max_input_chars_per_word"},
    {"\"the\":4", "\"the\":21", ATT_EFORMAT, "model.vocab: 'the' has id 21, expected an integer from 0 to 20"},
    {"\"the\":4", "\"the\":-1", ATT_EFORMAT, "model.vocab: 'the' has id -1"},
    {"\"the\":4", "\"the\":4.5", ATT_EFORMAT, "model.vocab: 'the' has id 4.5"},
    {"\"the\":4", "\"the\":1e300", ATT_EFORMAT, "model.vocab: 'the'"},
    {"\"the\":4", "\"the\":\"4\"", ATT_EFORMAT, "model.vocab: 'the'"},
    {"\"the\":4", "\"the\":5", ATT_EFORMAT, "has id 5, which"},
    {"\"vocab\":{", "\"vocab\":[],\"other\":{", ATT_EFORMAT, "model.vocab: is array"},
    {"\"vocab\":{", "\"vocab\":{},\"other\":{", ATT_EFORMAT, "model.unk_token"},
    /* normalizer, pre-tokenizer, decoder */
    {"\"type\":\"BertNormalizer\"", "\"type\":\"NFX\"", ATT_EUNSUPPORTED, "normalizer.type: is 'NFX'"},
    {"\"type\":\"BertNormalizer\",", "", ATT_EFORMAT, "normalizer.type: is missing"},
    {"\"clean_text\":true", "\"clean_text\":1", ATT_EFORMAT, "normalizer.clean_text: is number"},
    {"\"handle_chinese_chars\":true,", "", ATT_EFORMAT, "normalizer.handle_chinese_chars: is missing"},
    {"\"lowercase\":true", "\"lowercase\":null", ATT_EFORMAT, "normalizer.lowercase: is null"},
    {"\"strip_accents\":null", "\"strip_accents\":\"no\"", ATT_EFORMAT, "normalizer.strip_accents: is string"},
    {"\"type\":\"BertPreTokenizer\"", "\"type\":\"Words\"", ATT_EUNSUPPORTED, "pre_tokenizer.type: is 'Words'"},
    {"\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}", "\"pre_tokenizer\":null", ATT_EFORMAT,
     "pre_tokenizer: is null"},
    {"\"decoder\":{\"type\":\"WordPiece\"", "\"decoder\":{\"type\":\"Loud\"", ATT_EUNSUPPORTED, "decoder.type"},
    {"\"prefix\":\"##\"", "\"prefix\":null", ATT_EFORMAT, "decoder.prefix"},
    {"\"cleanup\":true", "\"cleanup\":0", ATT_EFORMAT, "decoder.cleanup"},
    /* added tokens */
    {"\"id\":20", "\"id\":21", ATT_EFORMAT, "added_tokens[4].id: is 21, expected an id from 0 to 20"},
    {"\"id\":20", "\"id\":19", ATT_EFORMAT, "added_tokens[4].id: is 19, which '\xe4\xb8\xad' has too"},
    {"\"id\":20", "\"id\":\"20\"", ATT_EFORMAT, "added_tokens[4].id: is string"},
    {"{\"id\":0,\"content\":\"[PAD]\"", "{\"id\":4,\"content\":\"[PAD]\"", ATT_EFORMAT, "added_tokens[0].id: is 4"},
    {"\"content\":\"[PAD]\"", "\"content\":0", ATT_EFORMAT, "added_tokens[0].content: is number"},
    {"\"lstrip\":false", "\"lstrip\":\"\"", ATT_EFORMAT, "added_tokens[0].lstrip: is string"},
    {"\"added_tokens\":[", "\"added_tokens\":[" FIRST_ADDED ",", ATT_EFORMAT, "added_tokens: '[PAD]' is there twice"},
    {"\"added_tokens\":[", "\"added_tokens\":[7,", ATT_EFORMAT, "added_tokens[0]"},
    {"\"added_tokens\":[", "\"added_tokens\":{},\"other\":[", ATT_EFORMAT, "added_tokens: is object"},
    {"Caf\xc3\xa9 Noir", "\xcc\x81", ATT_EFORMAT, "which the normalizer removes"},
    /* post-processor */
    {"\"type\":\"TemplateProcessing\"", "\"type\":\"Loud\"", ATT_EUNSUPPORTED, "post_processor.type: is 'Loud'"},
    {"\"type\":\"TemplateProcessing\",", "", ATT_EFORMAT, "post_processor.type: is missing"},
    {"\"ids\":[2]", "\"ids\":[21]", ATT_EFORMAT, "post_processor.special_tokens: is 21"},
    {"\"ids\":[2]", "\"ids\":2", ATT_EFORMAT, "post_processor.single[0]: '[CLS]' has no ids"},
    {"\"SpecialToken\":{\"id\":\"[CLS]\"", "\"SpecialToken\":{\"id\":\"[cls]\"", ATT_EFORMAT, "'[cls]' has no ids"},
    {"\"type_id\":1", "\"type_id\":2", ATT_EFORMAT, "post_processor.pair[3]: is 2, expected a segment id from 0 to 1"},
    {"\"type_id\":1", "\"type_id\":null", ATT_EFORMAT, "post_processor.pair[3]: is null"},
    {"\"Sequence\":{\"id\":\"A\"", "\"Sequence\":{\"id\":\"B\"", ATT_EFORMAT,
     "post_processor.single: expected Sequence A"},
    {"\"Sequence\":{\"id\":\"B\"", "\"Sequence\":{\"id\":\"A\"", ATT_EFORMAT,
     "post_processor.pair: expected Sequence A and B"},
    {"\"Sequence\":{\"id\":\"A\"", "\"Sequence\":{\"id\":\"C\"", ATT_EFORMAT, "post_processor.single[1]"},
    {"\"single\":[", "\"single\":{},\"other\":[", ATT_EFORMAT, "post_processor.single: is object"},
    {"\"ids\":[2]", "\"ids\":[2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2]", ATT_EUNSUPPORTED,
     "longer than 32"},
    {TEMPLATE_BEGIN, "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3]},\"ignored\":{",
     ATT_EFORMAT, "post_processor.cls"},
    {TEMPLATE_BEGIN,
     "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",30],\"cls\":[\"[CLS]\",2]},\"ignored\":{",
     ATT_EFORMAT, "post_processor.sep: is 30"},
};

static void changed_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char *json = fixture_replace(fixture_json, changes[i].from, changes[i].to);
        struct att_tokenizer *tokenizer = NULL;
        struct att_err err = {.status = ATT_OK, .message = ""};
        enum att_status status = fixture_load(json, 21, 2, &tokenizer, &err);
        if (status != changes[i].status || !strstr(err.message, changes[i].says))
            print_error("change %zu (%s): status %d, '%s'\n", i, changes[i].to, (int)status, err.message);
        if (status != ATT_OK &&
            (err.status != status || strncmp(err.message, "tokenizer.json: ", 16) != 0 || tokenizer))
            fail_msg("change %zu: status %d, '%s'", i, (int)err.status, err.message);
        att_tokenizer_destroy(tokenizer);
        free(json);
    }
}

static void bounds(void **state)
{
    (void)state;
    struct att_tokenizer *tokenizer = NULL;
    struct att_err err;
    assert_int_equal(fixture_load(fixture_json, 0, 0, &tokenizer, &err), ATT_OK);
    att_tokenizer_destroy(tokenizer);
    assert_int_equal(fixture_load(fixture_json, 20, 2, &tokenizer, &err), ATT_EFORMAT);
    assert_int_equal(fixture_load(fixture_json, 21, 1, &tokenizer, &err), ATT_EFORMAT);
    char *json = fixture_replace(fixture_json, TEMPLATE_BEGIN, "\"post_processor\":null,\"ignored\":{");
    assert_int_equal(fixture_load(json, 21, 1, &tokenizer, &err), ATT_OK); /* one segment: pairs have it twice */
    att_tokenizer_destroy(tokenizer);
    free(json);
    json = fixture_replace(fixture_json, TEMPLATE_BEGIN,
                           "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],"
                           "\"cls\":[\"[CLS]\",2]},\"ignored\":{");
    assert_int_equal(fixture_load(json, 21, 1, &tokenizer, &err), ATT_EFORMAT);
    assert_non_null(strstr(err.message, "segment id is 1"));
    free(json);
    /* Without a table an id still has a bound, so that no file makes us reserve memory for two thousand million. */
    json = fixture_replace(fixture_json, "\"the\":4", "\"the\":2000000000");
    assert_int_equal(fixture_load(json, 0, 0, &tokenizer, &err), ATT_EFORMAT);
    free(json);
}

static void missing_files(void **state)
{
    (void)state;
    struct fixture fixture;
    struct att_tokenizer *tokenizer = NULL;
    struct att_err err;
    fixture_open(&fixture);
    assert_int_equal(att_tokenizer_load(&fixture.dir, 0, 0, &tokenizer, &err), ATT_ENOTFOUND);
    assert_string_equal(err.message, "tokenizer.json: is missing");
    fixture_write(&fixture, "tokenizer.json", "", 0);
    assert_int_equal(att_tokenizer_load(&fixture.dir, 0, 0, &tokenizer, &err), ATT_EFORMAT);
    fixture_close(&fixture);
}

static void truncated_anywhere(void **state)
{
    (void)state;
    size_t len = strlen(fixture_json);
    struct fixture fixture;
    fixture_open(&fixture);
    for (size_t cut = 0; cut < len; cut += 7) {
        struct att_tokenizer *tokenizer = NULL;
        fixture_write(&fixture, "tokenizer.json", fixture_json, cut);
        assert_int_equal(att_tokenizer_load(&fixture.dir, 21, 2, &tokenizer, NULL), ATT_EFORMAT);
    }
    fixture_close(&fixture);
}

static void no_memory(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    fixture_write(&fixture, "tokenizer.json", fixture_json, strlen(fixture_json));
    /* Allocations of the JSON parser are the business of its own tests. */
    struct att_json *root = NULL;
    uint64_t before = att_mem_count();
    assert_int_equal(att_json_parse(fixture_json, strlen(fixture_json), 0, 32, &root, NULL), ATT_OK);
    uint64_t parsing = att_mem_count() - before;
    att_json_destroy(root);
    bool succeeded = false;
    for (uint64_t k = 1; !succeeded && k < 10000; k = k == 2 ? k + 1 + parsing : k + 1) {
        struct att_tokenizer *tokenizer = NULL;
        struct att_err err = {.status = ATT_OK};
        att_mem_fail_at(k, false);
        enum att_status status = att_tokenizer_load(&fixture.dir, 21, 2, &tokenizer, &err);
        att_mem_fail_at(0, false);
        succeeded = status == ATT_OK;
        if (!succeeded && status != ATT_ENOMEM)
            fail_msg("allocation %llu: status %d, '%s'", (unsigned long long)k, (int)status, err.message);
        att_tokenizer_destroy(tokenizer);
    }
    assert_true(succeeded);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads),         cmocka_unit_test(changed_files),      cmocka_unit_test(bounds),
        cmocka_unit_test(missing_files), cmocka_unit_test(truncated_anywhere), cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
