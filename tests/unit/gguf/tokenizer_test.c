/* tokenizer.json and tokenizer_config.json out of a GGUF file: what is written, and what is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "tests/unit/gguf/fixture.h"

enum { NORMAL = 1, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE };

#define MARK "\xe2\x96\x81"
#define TEXT(t)                                                                                                        \
    {                                                                                                                  \
        (t), sizeof(t) - 1                                                                                             \
    }

static const struct att_gguf_text letters[] = {TEXT("<s>"), TEXT("</s>"), TEXT("a"),      TEXT("b"),
                                               TEXT("ab"),  TEXT("<x>"),  TEXT("unused"), TEXT("<unk>")};
static const int32_t kinds[] = {CONTROL, CONTROL, NORMAL, BYTE, NORMAL, USER_DEFINED, UNUSED, UNKNOWN};
static const float scores[] = {0, 0, 0, 0, -1, 0, 0, 0};
static const struct att_gguf_text merges[] = {TEXT("a b")};
static const struct att_gguf_value byte_level[] = {
    STRING_VALUE("tokenizer.ggml.model", "gpt2"),
    STRING_VALUE("tokenizer.ggml.pre", "gpt-2"),
    TEXTS_VALUE("tokenizer.ggml.tokens", letters, COUNT(letters)),
    NUMBERS_VALUE("tokenizer.ggml.token_type", ATT_GGUF_I32, kinds, COUNT(kinds)),
    TEXTS_VALUE("tokenizer.ggml.merges", merges, COUNT(merges)),
    U32_VALUE("tokenizer.ggml.bos_token_id", 0),
    U32_VALUE("tokenizer.ggml.eos_token_id", 1),
};
static const struct att_gguf_value pieces[] = {
    STRING_VALUE("tokenizer.ggml.model", "llama"),
    TEXTS_VALUE("tokenizer.ggml.tokens", letters, COUNT(letters)),
    NUMBERS_VALUE("tokenizer.ggml.token_type", ATT_GGUF_I32, kinds, COUNT(kinds)),
    NUMBERS_VALUE("tokenizer.ggml.scores", ATT_GGUF_F32, scores, COUNT(scores)),
    U32_VALUE("tokenizer.ggml.bos_token_id", 0),
    U32_VALUE("tokenizer.ggml.eos_token_id", 1),
};
static const struct att_gguf_text words[] = {TEXT("[PAD]"), TEXT("[UNK]"),   TEXT("[CLS]"), TEXT("[SEP]"),
                                             TEXT("ing"),   TEXT(MARK "go"), TEXT("]"),     TEXT("[")};
static const struct att_gguf_value word_pieces[] = {
    STRING_VALUE("tokenizer.ggml.model", "bert"),    TEXTS_VALUE("tokenizer.ggml.tokens", words, COUNT(words)),
    U32_VALUE("tokenizer.ggml.cls_token_id", 2),     U32_VALUE("tokenizer.ggml.seperator_token_id", 3),
    U32_VALUE("tokenizer.ggml.unknown_token_id", 1),
};

static struct att_json *tokenizer_of(const struct fixture *fixture)
{
    struct att_err err = {.message = ""};
    char *text = NULL;
    size_t len = 0;
    if (att_gguf_tokenizer(&fixture->gguf, &text, &len, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return fixture_parse(text, len);
}

static struct att_json *tokenizer_config_of(const struct fixture *fixture)
{
    struct att_err err = {.message = ""};
    char *text = NULL;
    size_t len = 0;
    if (att_gguf_tokenizer_config(&fixture->gguf, &text, &len, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return fixture_parse(text, len);
}

static void refused_with(const struct fixture *fixture, enum att_status expected, const char *says)
{
    struct att_err err = {.message = ""};
    char *text = NULL;
    size_t len = 7;
    enum att_status status = att_gguf_tokenizer(&fixture->gguf, &text, &len, &err);
    assert_string_equal(err.message, says);
    assert_int_equal(status, expected);
    assert_null(text);
    assert_int_equal(len, 7);
}

/* A file of `values`, one of them another. */
static void refused_but_for(const struct att_gguf_value *values, size_t n, struct att_gguf_value other,
                            enum att_status expected, const char *says)
{
    struct fixture f;
    fixture_init(&f, "llama", values, n);
    fixture_set(&f, other);
    refused_with(&f, expected, says);
}

static void refused_without(const struct att_gguf_value *values, size_t n, const char *key, enum att_status expected,
                            const char *says)
{
    struct fixture f;
    fixture_init(&f, "llama", values, n);
    fixture_drop(&f, key);
    refused_with(&f, expected, says);
}

/* ---- what every model shares ---- */

static void kinds_decide_what_is_added(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, "llama", byte_level, COUNT(byte_level));
    struct att_json *json = tokenizer_of(&f);
    const struct att_json *vocab = fixture_at(json, "model/vocab");
    assert_int_equal(att_json_count(att_json_get(json, "added_tokens")), 4);
    fixture_says(json, "added_tokens/0/content", "<s>");
    assert_true(att_json_bool(fixture_at(json, "added_tokens/0/special"), false));
    fixture_says(json, "added_tokens/2/content", "<x>");
    fixture_counts(json, "added_tokens/2/id", 5);
    assert_false(att_json_bool(fixture_at(json, "added_tokens/2/special"), true));
    fixture_says(json, "added_tokens/3/content", "<unk>");
    assert_int_equal(att_json_count(vocab), 3); /* normal ones and bytes */
    fixture_counts(vocab, "a", 2);
    fixture_counts(vocab, "b", 3);
    fixture_counts(vocab, "ab", 4);
    att_json_destroy(json);

    fixture_drop(&f, "tokenizer.ggml.token_type"); /* all are normal */
    json = tokenizer_of(&f);
    assert_int_equal(att_json_count(att_json_get(json, "added_tokens")), 0);
    assert_int_equal(att_json_count(fixture_at(json, "model/vocab")), COUNT(letters));
    att_json_destroy(json);
}

static void vocabularies_that_lie_are_refused(void **state)
{
    (void)state;
    static const struct att_gguf_text nul[] = {TEXT("a"), TEXT("b\0c")}, latin[] = {TEXT("caf\xe9")},
                                      twice[] = {TEXT("b"), TEXT("a"), TEXT("b")};
    static const int32_t unknown[] = {NORMAL, NORMAL, 7, NORMAL, NORMAL, NORMAL, NORMAL, NORMAL},
                         negative[] = {NORMAL, -1, NORMAL, NORMAL, NORMAL, NORMAL, NORMAL, NORMAL};
    static const float nan_kind[] = {NAN, 1, 1, 1, 1, 1, 1, 1};
    static const struct {
        struct att_gguf_value value;
        enum att_status status;
        const char *says;
    } cases[] = {
        {TEXTS_VALUE("tokenizer.ggml.tokens", letters, 0), ATT_EFORMAT,
         "model.gguf: tokenizer.ggml.tokens: is missing"},
        {NUMBERS_VALUE("tokenizer.ggml.tokens", ATT_GGUF_I32, kinds, COUNT(kinds)), ATT_EFORMAT,
         "model.gguf: tokenizer.ggml.tokens: is missing"},
        {NUMBERS_VALUE("tokenizer.ggml.token_type", ATT_GGUF_I32, kinds, COUNT(kinds) - 1), ATT_EFORMAT,
         "model.gguf: tokenizer.ggml.token_type: expected 8 numbers"},
        {TEXTS_VALUE("tokenizer.ggml.token_type", letters, COUNT(letters)), ATT_EFORMAT,
         "model.gguf: tokenizer.ggml.token_type: expected 8 numbers"},
        {NUMBERS_VALUE("tokenizer.ggml.token_type", ATT_GGUF_I32, unknown, COUNT(unknown)), ATT_EUNSUPPORTED,
         "model.gguf: tokenizer.ggml.token_type[2]: is 7, expected 0 to 6"},
        {NUMBERS_VALUE("tokenizer.ggml.token_type", ATT_GGUF_I32, negative, COUNT(negative)), ATT_EUNSUPPORTED,
         "model.gguf: tokenizer.ggml.token_type[1]: is -1, expected 0 to 6"},
        {NUMBERS_VALUE("tokenizer.ggml.token_type", ATT_GGUF_F32, nan_kind, COUNT(nan_kind)), ATT_EUNSUPPORTED,
         "model.gguf: tokenizer.ggml.token_type[0]: is nan, expected 0 to 6"},
        {STRING_VALUE("tokenizer.ggml.model", "plamo2"), ATT_EUNSUPPORTED,
         "model.gguf: tokenizer.ggml.model: 'plamo2' is not known, expected gpt2, llama or bert"},
        {U32_VALUE("tokenizer.ggml.model", 1), ATT_EFORMAT, "model.gguf: tokenizer.ggml.model: is no string"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        refused_but_for(byte_level, COUNT(byte_level), cases[i].value, cases[i].status, cases[i].says);
    refused_without(byte_level, COUNT(byte_level), "tokenizer.ggml.tokens", ATT_EFORMAT,
                    "model.gguf: tokenizer.ggml.tokens: is missing");
    refused_without(byte_level, COUNT(byte_level), "tokenizer.ggml.model", ATT_ENOTFOUND,
                    "model.gguf: has no tokenizer");
    struct fixture f;
    fixture_init(&f, "llama", byte_level, COUNT(byte_level));
    fixture_drop(&f, "tokenizer.ggml.token_type");
    fixture_set(&f, (struct att_gguf_value)TEXTS_VALUE("tokenizer.ggml.tokens", nul, COUNT(nul)));
    refused_with(&f, ATT_EFORMAT, "model.gguf: tokenizer.ggml.tokens[1]: is no UTF-8 text without NUL");
    fixture_set(&f, (struct att_gguf_value)TEXTS_VALUE("tokenizer.ggml.tokens", latin, COUNT(latin)));
    refused_with(&f, ATT_EFORMAT, "model.gguf: tokenizer.ggml.tokens[0]: is no UTF-8 text without NUL");
    fixture_set(&f, (struct att_gguf_value)TEXTS_VALUE("tokenizer.ggml.tokens", twice, COUNT(twice)));
    refused_with(&f, ATT_EFORMAT, "model.gguf: tokenizer.ggml.tokens: 'b' stands there twice");
}

/* Empty tokens stand for nothing, however many there are. */
static void empty_tokens_may_stand_twice(void **state)
{
    (void)state;
    static const struct att_gguf_text some[] = {TEXT("a"),     TEXT(""),      TEXT("b"),     TEXT(""),
                                                TEXT("[CLS]"), TEXT("[SEP]"), TEXT("[UNK]"), TEXT("")};
    static const int32_t types[] = {NORMAL, NORMAL, NORMAL, NORMAL, CONTROL, CONTROL, UNKNOWN, CONTROL};
    static const struct {
        const char *name;
        size_t len, in_vocab;
    } models[] = {{"gpt2", 4, 2}, {"llama", 5, 5}, {"bert", 4, 5}};
    for (size_t i = 0; i < COUNT(models); i++) {
        struct fixture f;
        fixture_init(&f, "llama", byte_level, COUNT(byte_level));
        fixture_set(&f, (struct att_gguf_value){.key = "tokenizer.ggml.model",
                                                .type = ATT_GGUF_STRING,
                                                .text = {models[i].name, models[i].len}});
        fixture_set(&f, (struct att_gguf_value)TEXTS_VALUE("tokenizer.ggml.tokens", some, COUNT(some)));
        fixture_set(&f, (struct att_gguf_value)NUMBERS_VALUE("tokenizer.ggml.token_type", ATT_GGUF_I32, types, 8));
        fixture_set(&f, (struct att_gguf_value)NUMBERS_VALUE("tokenizer.ggml.scores", ATT_GGUF_F32, scores, 8));
        fixture_set(&f, (struct att_gguf_value)U32_VALUE("tokenizer.ggml.bos_token_id", 4));
        fixture_set(&f, (struct att_gguf_value)U32_VALUE("tokenizer.ggml.seperator_token_id", 5));
        fixture_set(&f, (struct att_gguf_value)U32_VALUE("tokenizer.ggml.unknown_token_id", 6));
        struct att_json *json = tokenizer_of(&f);
        assert_int_equal(att_json_count(att_json_get(json, "added_tokens")), 3);
        assert_int_equal(att_json_count(fixture_at(json, "model/vocab")), models[i].in_vocab);
        att_json_destroy(json);
    }
}

/* ---- byte-level BPE ---- */

static void texts_are_cut_as_the_file_says(void **state)
{
    (void)state;
    static const struct {
        struct att_gguf_value value;
        const char *type;
        bool nfc, ignore_merges, bos;
    } cases[] = {
        {STRING_VALUE("tokenizer.ggml.pre", "gpt-2"), "ByteLevel", false, false, false},
        {STRING_VALUE("tokenizer.ggml.pre", "roberta-bpe"), "ByteLevel", false, false, true},
        {STRING_VALUE("tokenizer.ggml.pre", "smollm"), "Sequence", false, false, false},
        {STRING_VALUE("tokenizer.ggml.pre", "llama-bpe"), "Sequence", false, true, true},
        {STRING_VALUE("tokenizer.ggml.pre", "qwen2"), "Sequence", true, false, false},
    };
    struct fixture f;
    fixture_init(&f, "llama", byte_level, COUNT(byte_level));
    for (size_t i = 0; i < COUNT(cases); i++) {
        fixture_set(&f, cases[i].value);
        struct att_json *json = tokenizer_of(&f);
        fixture_says(json, "model/type", "BPE");
        fixture_says(json, "model/merges/0", "a b");
        fixture_says(json, "pre_tokenizer/type", cases[i].type);
        assert_int_equal(att_json_is_object(att_json_get(json, "normalizer")), cases[i].nfc);
        assert_int_equal(att_json_bool(fixture_at(json, "model/ignore_merges"), !cases[i].ignore_merges),
                         cases[i].ignore_merges);
        assert_int_equal(att_json_is_object(att_json_get(json, "post_processor")), cases[i].bos);
        att_json_destroy(json);
    }
    refused_but_for(byte_level, COUNT(byte_level), (struct att_gguf_value)STRING_VALUE("tokenizer.ggml.pre", "mystery"),
                    ATT_EUNSUPPORTED,
                    "model.gguf: tokenizer.ggml.pre: 'mystery' is not known, expected gpt-2, roberta-bpe, smollm, "
                    "llama-bpe or qwen2");
    refused_without(byte_level, COUNT(byte_level), "tokenizer.ggml.pre", ATT_EUNSUPPORTED,
                    "model.gguf: tokenizer.ggml.pre: '(none)' is not known, expected gpt-2, roberta-bpe, smollm, "
                    "llama-bpe or qwen2");
    refused_without(byte_level, COUNT(byte_level), "tokenizer.ggml.merges", ATT_EFORMAT,
                    "model.gguf: tokenizer.ggml.merges: is missing");
    refused_but_for(byte_level, COUNT(byte_level), (struct att_gguf_value)U32_VALUE("tokenizer.ggml.merges", 1),
                    ATT_EFORMAT, "model.gguf: tokenizer.ggml.merges: is missing");
}

/* The template of one text and of two, as "<s>:0 A:0 </s>:0". */
static void has_template(const struct fixture *f, const char *single, const char *pair)
{
    const char *const expected[] = {single, pair}, *const names[] = {"single", "pair"};
    struct att_json *json = tokenizer_of(f);
    for (size_t side = 0; side < 2; side++) {
        const struct att_json *list = att_json_get(att_json_get(json, "post_processor"), names[side]);
        char said[128] = "";
        size_t at = 0;
        for (size_t i = 0; i < att_json_count(list); i++) {
            const struct att_json *piece = att_json_get(att_json_at(list, i), "SpecialToken");
            piece = piece ? piece : att_json_get(att_json_at(list, i), "Sequence");
            at += (size_t)snprintf(said + at, sizeof said - at, "%s%s:%.0f", i ? " " : "",
                                   att_json_string(att_json_get(piece, "id"), NULL),
                                   att_json_number(att_json_get(piece, "type_id"), -1));
        }
        assert_string_equal(said, expected[side]);
    }
    att_json_destroy(json);
}

static void ends_are_added_as_the_file_says(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, "llama", byte_level, COUNT(byte_level));
    fixture_set(&f, (struct att_gguf_value)BOOL_VALUE("tokenizer.ggml.add_bos_token", 1));
    has_template(&f, "<s>:0 A:0", "<s>:0 A:0 <s>:1 B:1");
    fixture_set(&f, (struct att_gguf_value)BOOL_VALUE("tokenizer.ggml.add_eos_token", 1));
    has_template(&f, "<s>:0 A:0 </s>:0", "<s>:0 A:0 </s>:0 <s>:1 B:1 </s>:1");
    struct att_json *json = tokenizer_of(&f);
    assert_int_equal(att_json_count(fixture_at(json, "post_processor/special_tokens")), 2);
    att_json_destroy(json);
    fixture_set(&f, (struct att_gguf_value)BOOL_VALUE("tokenizer.ggml.add_bos_token", 0));
    has_template(&f, "A:0 </s>:0", "A:0 </s>:0 B:1 </s>:1");
    fixture_set(&f, (struct att_gguf_value)BOOL_VALUE("tokenizer.ggml.add_bos_token", 1));
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("tokenizer.ggml.eos_token_id", 0)); /* the same */
    has_template(&f, "<s>:0 A:0 <s>:0", "<s>:0 A:0 <s>:0 <s>:1 B:1 <s>:1");
    json = tokenizer_of(&f);
    assert_int_equal(att_json_count(fixture_at(json, "post_processor/special_tokens")), 1);
    fixture_says(json, "post_processor/special_tokens/<s>/tokens/0", "<s>");
    att_json_destroy(json);

    fixture_set(&f, (struct att_gguf_value)U32_VALUE("tokenizer.ggml.eos_token_id", 8));
    refused_with(&f, ATT_EFORMAT, "model.gguf: tokenizer.ggml.eos_token_id: is 8, expected an integer from 0 to 7");
    fixture_drop(&f, "tokenizer.ggml.eos_token_id");
    refused_with(&f, ATT_EFORMAT, "model.gguf: tokenizer.ggml.eos_token_id: is missing");
    fixture_drop(&f, "tokenizer.ggml.bos_token_id");
    refused_with(&f, ATT_EFORMAT, "model.gguf: tokenizer.ggml.bos_token_id: is missing");
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("tokenizer.ggml.bos_token_id", 99));
    refused_with(&f, ATT_EFORMAT, "model.gguf: tokenizer.ggml.bos_token_id: is 99, expected an integer from 0 to 7");
}

/* ---- SentencePiece ---- */

static void pieces_have_merges_and_a_prefix(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, "llama", pieces, COUNT(pieces));
    has_template(&f, "<s>:0 A:0", "<s>:0 A:0 <s>:1 B:1");
    struct att_json *json = tokenizer_of(&f);
    assert_int_equal(att_json_count(fixture_at(json, "model/vocab")), COUNT(letters));
    assert_int_equal(att_json_count(fixture_at(json, "model/merges")), 1);
    fixture_says(json, "model/merges/0/0", "a");
    fixture_says(json, "model/merges/0/1", "b");
    assert_null(att_json_string(fixture_at(json, "model/unk_token"), NULL));
    fixture_says(json, "normalizer/normalizers/0/type", "Prepend");
    fixture_says(json, "decoder/decoders/3/type", "Strip");
    att_json_destroy(json);
    fixture_set(&f, (struct att_gguf_value)BOOL_VALUE("tokenizer.ggml.add_space_prefix", 0));
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("tokenizer.ggml.unknown_token_id", 7));
    json = tokenizer_of(&f);
    fixture_says(json, "model/unk_token", "<unk>");
    fixture_says(json, "normalizer/normalizers/0/type", "Replace");
    assert_int_equal(att_json_count(fixture_at(json, "decoder/decoders")), 3);
    att_json_destroy(json);
}

static void pieces_that_lie_are_refused(void **state)
{
    (void)state;
    static const float lost[] = {0, 0, 0, NAN, 0, 0, 0, 0};
    const char *says = "model.gguf: tokenizer.ggml.scores: expected 8 numbers";
    refused_without(pieces, COUNT(pieces), "tokenizer.ggml.scores", ATT_EFORMAT, says);
    refused_but_for(pieces, COUNT(pieces),
                    (struct att_gguf_value)NUMBERS_VALUE("tokenizer.ggml.scores", ATT_GGUF_F32, scores, 7), ATT_EFORMAT,
                    says);
    refused_but_for(pieces, COUNT(pieces), (struct att_gguf_value)TEXTS_VALUE("tokenizer.ggml.scores", letters, 8),
                    ATT_EFORMAT, says);
    refused_but_for(pieces, COUNT(pieces),
                    (struct att_gguf_value)NUMBERS_VALUE("tokenizer.ggml.scores", ATT_GGUF_F32, lost, 8), ATT_EFORMAT,
                    "model.gguf: tokenizer.ggml.scores[3]: is no number");
    refused_but_for(pieces, COUNT(pieces), (struct att_gguf_value)U32_VALUE("tokenizer.ggml.unknown_token_id", 8),
                    ATT_EFORMAT, "model.gguf: tokenizer.ggml.unknown_token_id: is 8, expected an integer from 0 to 7");
    refused_without(pieces, COUNT(pieces), "tokenizer.ggml.bos_token_id", ATT_EFORMAT,
                    "model.gguf: tokenizer.ggml.bos_token_id: is missing");
}

/* ---- WordPiece ---- */

static void word_pieces_have_their_prefix(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, "bert", word_pieces, COUNT(word_pieces));
    has_template(&f, "[CLS]:0 A:0 [SEP]:0", "[CLS]:0 A:0 [SEP]:0 B:1 [SEP]:1");
    struct att_json *json = tokenizer_of(&f);
    const struct att_json *vocab = fixture_at(json, "model/vocab");
    fixture_says(json, "model/type", "WordPiece");
    fixture_says(json, "model/unk_token", "[UNK]");
    assert_true(att_json_bool(fixture_at(json, "normalizer/lowercase"), false));
    assert_int_equal(att_json_count(vocab), COUNT(words));
    fixture_counts(vocab, "[CLS]", 2);
    fixture_counts(vocab, "##ing", 4);
    fixture_counts(vocab, "go", 5);
    fixture_counts(vocab, "##]", 6);
    fixture_counts(vocab, "##[", 7);
    att_json_destroy(json);
    fixture_set(&f, (struct att_gguf_value)BOOL_VALUE("tokenizer.ggml.normalizer.lowercase", 0));
    fixture_drop(&f, "tokenizer.ggml.cls_token_id");
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("tokenizer.ggml.bos_token_id", 2)); /* as some files name it */
    has_template(&f, "[CLS]:0 A:0 [SEP]:0", "[CLS]:0 A:0 [SEP]:0 B:1 [SEP]:1");
    json = tokenizer_of(&f);
    assert_false(att_json_bool(fixture_at(json, "normalizer/lowercase"), true));
    att_json_destroy(json);
}

static void word_pieces_without_their_specials_are_refused(void **state)
{
    (void)state;
    static const char *const keys[] = {"tokenizer.ggml.cls_token_id", "tokenizer.ggml.seperator_token_id",
                                       "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.bos_token_id"};
    for (size_t i = 0; i < COUNT(keys); i++) {
        char says[128];
        snprintf(says, sizeof says, "model.gguf: %s: is 8, expected an integer from 0 to 7", keys[i]);
        refused_but_for(word_pieces, COUNT(word_pieces), (struct att_gguf_value)U32_VALUE(keys[i], 8), ATT_EFORMAT,
                        says);
        if (i < 3)
            refused_without(word_pieces, COUNT(word_pieces), keys[i], ATT_EFORMAT,
                            "model.gguf: tokenizer.ggml.cls_token_id, seperator_token_id or unknown_token_id: is "
                            "missing");
    }
}

/* ---- tokenizer_config.json ---- */

static void the_config_names_tokens_and_template(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, "llama", byte_level, COUNT(byte_level));
    fixture_set(&f, (struct att_gguf_value)STRING_VALUE("tokenizer.chat_template", "{{ \"x\" }}"));
    struct att_json *json = tokenizer_config_of(&f);
    fixture_says(json, "bos_token", "<s>");
    fixture_says(json, "eos_token", "</s>");
    assert_null(att_json_get(json, "pad_token"));
    fixture_says(json, "chat_template", "{{ \"x\" }}");
    att_json_destroy(json);
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("tokenizer.chat_template", 1)); /* no text, no template */
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("tokenizer.ggml.unknown_token_id", 7));
    json = tokenizer_config_of(&f);
    assert_null(att_json_get(json, "chat_template"));
    fixture_says(json, "unk_token", "<unk>");
    att_json_destroy(json);

    struct att_err err = {.message = ""};
    char *text = NULL;
    size_t len = 0;
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("tokenizer.ggml.padding_token_id", 8));
    assert_int_equal(att_gguf_tokenizer_config(&f.gguf, &text, &len, &err), ATT_EFORMAT);
    assert_string_equal(err.message,
                        "model.gguf: tokenizer.ggml.padding_token_id: is 8, expected an integer from 0 to 7");
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("tokenizer.ggml.tokens", 1));
    assert_int_equal(att_gguf_tokenizer_config(&f.gguf, &text, &len, &err), ATT_EFORMAT);
    assert_string_equal(err.message, "model.gguf: tokenizer.ggml.tokens: is missing");
    assert_null(text);
    fixture_drop(&f, "tokenizer.ggml.tokens"); /* a model of ids needs no words */
    json = tokenizer_config_of(&f);
    assert_int_equal(att_json_count(json), 0);
    att_json_destroy(json);
}

static void no_memory_is_told_as_that(void **state)
{
    (void)state;
    static const struct {
        const struct att_gguf_value *values;
        size_t n;
    } models[] = {{byte_level, COUNT(byte_level)}, {pieces, COUNT(pieces)}, {word_pieces, COUNT(word_pieces)}};
    for (size_t i = 0; i < COUNT(models); i++) {
        struct fixture f;
        enum att_status status = ATT_ENOMEM;
        uint64_t k = 0;
        fixture_init(&f, "llama", models[i].values, models[i].n);
        while (status != ATT_OK) {
            struct att_err err = {.message = ""};
            char *text = NULL;
            size_t len = 0;
            att_mem_fail_at(++k, false);
            status = att_gguf_tokenizer(&f.gguf, &text, &len, &err);
            att_mem_fail_at(0, false);
            if (status != ATT_OK)
                assert_int_equal(status, ATT_ENOMEM);
            assert_int_equal(text != NULL, status == ATT_OK);
            att_mem_free(text);
        }
        assert_true(k > 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_decide_what_is_added),
        cmocka_unit_test(vocabularies_that_lie_are_refused),
        cmocka_unit_test(empty_tokens_may_stand_twice),
        cmocka_unit_test(texts_are_cut_as_the_file_says),
        cmocka_unit_test(ends_are_added_as_the_file_says),
        cmocka_unit_test(pieces_have_merges_and_a_prefix),
        cmocka_unit_test(pieces_that_lie_are_refused),
        cmocka_unit_test(word_pieces_have_their_prefix),
        cmocka_unit_test(word_pieces_without_their_specials_are_refused),
        cmocka_unit_test(the_config_names_tokens_and_template),
        cmocka_unit_test(no_memory_is_told_as_that),
    };
    return cmocka_run_group_tests_name("gguf/tokenizer", tests, NULL, NULL);
}
