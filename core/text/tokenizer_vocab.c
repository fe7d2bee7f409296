/*
 * Reading vocab.txt, one token a line, its id the line's number: the older form
 * of BERT's tokenizer, where tokenizer_config.json holds the few settings and
 * BertTokenizer's defaults the rest.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/text/pipeline.h"

enum { VOCAB_BYTES_MAX = 64 << 20, CONFIG_BYTES_MAX = 4 << 20, DEPTH_MAX = 32 };

/* The special tokens by their keys in tokenizer_config.json. The first three must be in the vocabulary. */
enum role { UNK, CLS, SEP, PAD, MASK, ROLE_COUNT };
static const struct {
    const char *key, *text;
} roles[ROLE_COUNT] = {
    {"unk_token", "[UNK]"}, {"cls_token", "[CLS]"},   {"sep_token", "[SEP]"},
    {"pad_token", "[PAD]"}, {"mask_token", "[MASK]"},
};

static enum att_status read_lines(const char *bytes, size_t len, size_t ids_max, struct att_vocab *vocab,
                                  struct att_err *err)
{
    size_t at = 0;
    for (size_t line = 0; at < len; line++) {
        const char *feed = memchr(bytes + at, '\n', len - at);
        size_t end = feed ? (size_t)(feed - bytes) : len, text_len = end - at;
        if (text_len > 0 && bytes[at + text_len - 1] == '\r')
            text_len--;
        if (line >= ids_max)
            return att_err_set(err, ATT_EFORMAT,
                               "vocab.txt: line %zu: is one token too many, expected at most %zu lines", line + 1,
                               ids_max);
        if (text_len > ATT_TOKEN_BYTES_MAX || memchr(bytes + at, '\0', text_len) ||
            !att_utf8_valid(bytes + at, text_len))
            return att_err_set(err, ATT_EFORMAT, "vocab.txt: line %zu: expected at most %d bytes of UTF-8", line + 1,
                               ATT_TOKEN_BYTES_MAX);
        enum att_status status = att_vocab_add(vocab, bytes + at, text_len, (int32_t)line, err);
        if (status != ATT_OK)
            return status;
        at = end + 1;
    }
    return ATT_OK;
}

static enum att_status config_bool(const struct att_json *config, const char *key, bool otherwise, bool *ret,
                                   struct att_err *err)
{
    const struct att_json *value = att_json_get(config, key);
    if (att_json_type(value) != ATT_JSON_NULL && !att_json_is_bool(value))
        return att_err_set(err, ATT_EFORMAT, "tokenizer_config.json: %s: is %s, expected true or false", key,
                           att_json_type_name(value));
    *ret = att_json_bool(value, otherwise);
    return ATT_OK;
}

/* Only BERT's own class reads vocab.txt as this file does; others have the same file name and another meaning. */
static enum att_status check_class(const struct att_json *config, struct att_err *err)
{
    static const char *const known[] = {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer",
                                        "MobileBertTokenizer"};
    const struct att_json *value = att_json_get(config, "tokenizer_class");
    const char *name = att_json_string(value, NULL);
    if (!name && att_json_type(value) == ATT_JSON_NULL)
        return ATT_OK;
    if (!name)
        return att_err_set(err, ATT_EFORMAT, "tokenizer_config.json: tokenizer_class: is %s, expected a string",
                           att_json_type_name(value));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t len = strlen(known[i]);
        if (strncmp(name, known[i], len) == 0 && (name[len] == '\0' || strcmp(name + len, "Fast") == 0))
            return ATT_OK;
    }
    return att_err_set(err, ATT_EUNSUPPORTED,
                       "tokenizer_config.json: tokenizer_class: is '%.60s', expected BertTokenizer beside vocab.txt",
                       name);
}

static enum att_status set_normalizer(const struct att_json *config, struct att_normalizer *normalizer,
                                      struct att_err *err)
{
    bool basic = true;
    normalizer->clean_text = true;
    enum att_status status = check_class(config, err);
    if (status == ATT_OK)
        status = config_bool(config, "do_basic_tokenize", true, &basic, err);
    if (status == ATT_OK && !basic)
        status =
            att_err_set(err, ATT_EUNSUPPORTED, "tokenizer_config.json: do_basic_tokenize: is false, expected true");
    if (status == ATT_OK)
        status = config_bool(config, "do_lower_case", true, &normalizer->lowercase, err);
    if (status == ATT_OK)
        status = config_bool(config, "strip_accents", normalizer->lowercase, &normalizer->strip_accents, err);
    if (status == ATT_OK)
        status = config_bool(config, "tokenize_chinese_chars", true, &normalizer->handle_chinese_chars, err);
    if (status == ATT_OK)
        att_normalizer_init(normalizer);
    return status;
}

/* "[SEP]" or {"content": "[SEP]", …}. */
static const char *token_text(const struct att_json *value, size_t *ret_len)
{
    return att_json_string(att_json_is_object(value) ? att_json_get(value, "content") : value, ret_len);
}

static bool is_added(const struct att_tokenizer *tokenizer, int32_t id)
{
    const struct att_added_set *sets[] = {&tokenizer->added_original, &tokenizer->added_normalized};
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < sets[i]->count; j++)
            if (sets[i]->tokens[j].id == id)
                return true;
    return false;
}

/* added_tokens_decoder: {"4000": {"content": …, "lstrip": …}}. */
static enum att_status add_listed(struct att_tokenizer *tokenizer, const struct att_tokenizer_bounds *bounds,
                                  const struct att_json *list, struct att_err *err)
{
    const char *key;
    const struct att_json *value;
    struct att_json_iter iter;
    enum att_status status = ATT_OK;
    if (att_json_type(list) != ATT_JSON_NULL && !att_json_is_object(list))
        return att_err_set(err, ATT_EFORMAT, "tokenizer_config.json: added_tokens_decoder: is %s, expected an object",
                           att_json_type_name(list));
    att_json_iter_init(&iter, list);
    while (status == ATT_OK && att_json_iter_next(&iter, &key, &value)) {
        char field[96];
        snprintf(field, sizeof field, "tokenizer_config.json: added_tokens_decoder.%.20s", key);
        struct att_added_content added = {
            .single_word = att_json_bool(att_json_get(value, "single_word"), false),
            .lstrip = att_json_bool(att_json_get(value, "lstrip"), false),
            .rstrip = att_json_bool(att_json_get(value, "rstrip"), false),
            .normalized = att_json_bool(att_json_get(value, "normalized"), true),
            .special = att_json_bool(att_json_get(value, "special"), false),
        };
        added.content = token_text(value, &added.len);
        size_t digits = strspn(key, "0123456789");
        for (size_t i = 0; i < digits && i < 10; i++)
            added.id = added.id * 10 + (key[i] - '0');
        if (!added.content || digits == 0 || digits > 9 || key[digits] != '\0' || (size_t)added.id >= bounds->ids)
            return att_err_set(err, ATT_EFORMAT, "%s: expected an id below %zu with a content", field, bounds->ids);
        status = att_tokenizer_add(tokenizer, &added, field, err);
    }
    return status;
}

static enum att_status add_special(struct att_tokenizer *tokenizer, const struct att_json *config,
                                   int32_t ids[ROLE_COUNT], struct att_err *err)
{
    for (enum role role = UNK; role < ROLE_COUNT; role++) {
        size_t len = strlen(roles[role].text);
        const char *text = roles[role].text;
        const struct att_json *value = att_json_get(config, roles[role].key);
        if (att_json_type(value) != ATT_JSON_NULL)
            text = token_text(value, &len);
        if (!text || len == 0)
            return att_err_set(err, ATT_EFORMAT, "tokenizer_config.json: %s: is %s, expected a token", roles[role].key,
                               att_json_type_name(value));
        ids[role] = att_vocab_find(&tokenizer->wordpiece.vocab, text, len);
        if (ids[role] < 0 && role <= SEP)
            return att_err_set(err, ATT_EFORMAT, "vocab.txt: %s: '%.60s' has no line, expected one", roles[role].key,
                               text);
        if (ids[role] < 0 || is_added(tokenizer, ids[role]))
            continue;
        struct att_added_content added = {.content = text, .len = len, .id = ids[role], .special = true};
        enum att_status status = att_tokenizer_add(tokenizer, &added, "vocab.txt: special token", err);
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}

static enum att_status read_config(const struct att_dir *dir, struct att_json **ret_config, struct att_err *err)
{
    if (!att_dir_has(dir, "tokenizer_config.json"))
        return ATT_OK;
    char *bytes = NULL;
    size_t len;
    enum att_status status = att_dir_read(dir, "tokenizer_config.json", CONFIG_BYTES_MAX, &bytes, &len, err);
    if (status != ATT_OK)
        return status;
    status = att_json_parse(bytes, len, ATT_JSON_NAME_KEYS, DEPTH_MAX, ret_config, err);
    att_mem_free(bytes);
    if (status == ATT_OK && !att_json_is_object(*ret_config))
        status = att_err_set(err, ATT_EFORMAT, "is %s, expected a JSON object", att_json_type_name(*ret_config));
    if (status == ATT_OK)
        return ATT_OK;
    att_err_prefix(err, "tokenizer_config.json");
    if (status == ATT_ESYNTAX)
        status = ATT_EFORMAT;
    if (err)
        err->status = status;
    return status;
}

static enum att_status build(struct att_tokenizer *tokenizer, const struct att_tokenizer_bounds *bounds,
                             const struct att_json *config, const char *bytes, size_t len, struct att_err *err)
{
    enum { WORD_CHARS_MAX = 100 }; /* BertTokenizer's */
    struct att_wordpiece *wordpiece = &tokenizer->wordpiece;
    int32_t ids[ROLE_COUNT];
    enum att_status status = set_normalizer(config, &tokenizer->normalizer, err);
    if (status == ATT_OK)
        status = read_lines(bytes, len, bounds->ids, &wordpiece->vocab, err);
    if (status == ATT_OK)
        status = add_listed(tokenizer, bounds, att_json_get(config, "added_tokens_decoder"), err);
    if (status == ATT_OK)
        status = add_special(tokenizer, config, ids, err);
    if (status == ATT_OK)
        status = att_tokenizer_finish_added(tokenizer, "tokenizer_config.json: added tokens", err);
    if (status != ATT_OK)
        return status;
    att_wordpiece_set_prefix(wordpiece, "##", 2);
    wordpiece->word_chars_max = WORD_CHARS_MAX;
    wordpiece->unk_id = ids[UNK];
    att_template_set_bert(&tokenizer->single, &tokenizer->pair, ids[CLS], ids[SEP]);
    if ((size_t)att_template_type_max(&tokenizer->pair) >= bounds->types)
        return att_err_set(err, ATT_EFORMAT, "vocab.txt: a pair has segments 0 and 1, expected segments below %zu",
                           bounds->types);
    tokenizer->decoder = true;
    tokenizer->decoder_cleanup = true;
    memcpy(tokenizer->decoder_prefix, wordpiece->prefix, sizeof tokenizer->decoder_prefix);
    return ATT_OK;
}

enum att_status att_tokenizer_read_vocab(const struct att_dir *dir, const struct att_tokenizer_bounds *bounds,
                                         struct att_tokenizer *tokenizer, struct att_err *err)
{
    struct att_json *config = NULL;
    char *bytes = NULL;
    size_t len;
    enum att_status status = read_config(dir, &config, err);
    if (status == ATT_OK)
        status = att_dir_read(dir, "vocab.txt", VOCAB_BYTES_MAX, &bytes, &len, err);
    if (status == ATT_OK)
        status = build(tokenizer, bounds, config, bytes, len, err);
    att_mem_free(bytes);
    att_json_destroy(config);
    return status;
}
