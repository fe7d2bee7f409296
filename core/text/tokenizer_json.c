/*
 * Reading tokenizer.json, the format of Hugging Face's `tokenizers`. Every field
 * that decides what ids come out is checked here, and everything this build does
 * not implement is refused by name, so that a model is never served with
 * tokens it was not trained on. `truncation` and `padding` are not read: callers
 * cut and batch themselves.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/text/general_json.h"
#include "core/text/pipeline.h"

enum { FILE_BYTES_MAX = 64 << 20, DEPTH_MAX = 32 };

struct reader {
    const struct att_tokenizer_bounds *bounds;
    struct att_tokenizer *tokenizer;
    struct att_err *err;
};

/* Values of a text or of another type, for messages. */
static const char *shown(const struct att_json *value)
{
    const char *text = att_json_string(value, NULL);
    return text ? text : att_json_type_name(value);
}

static enum att_status refuse_type(struct reader *reader, const char *field, const struct att_json *value,
                                   const char *expected)
{
    return att_err_set(reader->err, ATT_EFORMAT, "tokenizer.json: %s: is %s, expected %s", field,
                       value ? att_json_type_name(value) : "missing", expected);
}

static enum att_status read_bool(struct reader *reader, const struct att_json *object, const char *key,
                                 const char *field, bool *ret)
{
    const struct att_json *value = att_json_get(object, key);
    if (!att_json_is_bool(value))
        return att_err_set(reader->err, ATT_EFORMAT, "tokenizer.json: %s.%s: is %s, expected true or false", field, key,
                           value ? att_json_type_name(value) : "missing");
    *ret = att_json_bool(value, false);
    return ATT_OK;
}

static enum att_status read_id(struct reader *reader, const struct att_json *value, const char *field, int64_t *ret)
{
    int64_t max = (int64_t)reader->bounds->ids - 1;
    if (att_json_integer(value, 0, max, ret))
        return ATT_OK;
    if (!att_json_is_number(value))
        return refuse_type(reader, field, value, "an id");
    return att_err_set(reader->err, ATT_EFORMAT, "tokenizer.json: %s: is %.17g, expected an id from 0 to %lld", field,
                       att_json_number(value, 0), (long long)max);
}

static enum att_status read_type_id(struct reader *reader, const struct att_json *value, const char *field,
                                    int32_t *ret)
{
    int64_t number, max = (int64_t)reader->bounds->types - 1;
    if (!att_json_is_number(value))
        return refuse_type(reader, field, value, "a segment id");
    if (!att_json_integer(value, 0, max, &number))
        return att_err_set(reader->err, ATT_EFORMAT,
                           "tokenizer.json: %s: is %.17g, expected a segment id from 0 to %lld", field,
                           att_json_number(value, 0), (long long)max);
    *ret = (int32_t)number;
    return ATT_OK;
}

/* section.type must be `name`. */
static enum att_status check_section(struct reader *reader, const struct att_json *section, const char *field,
                                     const char *name)
{
    if (!att_json_is_object(section))
        return refuse_type(reader, field, section, name);
    const struct att_json *type = att_json_get(section, "type");
    const char *text = att_json_string(type, NULL);
    if (!text)
        return att_err_set(reader->err, ATT_EFORMAT, "tokenizer.json: %s.type: is %s, expected %s", field,
                           type ? att_json_type_name(type) : "missing", name);
    if (strcmp(text, name) != 0)
        return att_err_set(reader->err, ATT_EUNSUPPORTED, "tokenizer.json: %s.type: is '%.60s', expected %s", field,
                           text, name);
    return ATT_OK;
}

static bool is_null(const struct att_json *value)
{
    return att_json_type(value) == ATT_JSON_NULL;
}

static enum att_status read_normalizer(struct reader *reader, const struct att_json *section)
{
    struct att_normalizer *normalizer = &reader->tokenizer->normalizer;
    enum att_status status = ATT_OK;
    if (!is_null(section)) {
        status = check_section(reader, section, "normalizer", "BertNormalizer");
        if (status == ATT_OK)
            status = read_bool(reader, section, "clean_text", "normalizer", &normalizer->clean_text);
        if (status == ATT_OK)
            status =
                read_bool(reader, section, "handle_chinese_chars", "normalizer", &normalizer->handle_chinese_chars);
        if (status == ATT_OK)
            status = read_bool(reader, section, "lowercase", "normalizer", &normalizer->lowercase);
        const struct att_json *strip = att_json_get(section, "strip_accents");
        normalizer->strip_accents = normalizer->lowercase;
        if (status == ATT_OK && !is_null(strip))
            status = read_bool(reader, section, "strip_accents", "normalizer", &normalizer->strip_accents);
    }
    if (status == ATT_OK)
        att_normalizer_init(normalizer);
    return status;
}

static enum att_status read_vocab(struct reader *reader, const struct att_json *vocab)
{
    if (!att_json_is_object(vocab))
        return refuse_type(reader, "model.vocab", vocab, "an object of token texts and ids");
    struct att_vocab *to = &reader->tokenizer->wordpiece.vocab;
    int64_t id, max = (int64_t)reader->bounds->ids - 1;
    const char *text;
    const struct att_json *value;
    struct att_json_iter iter;
    att_json_iter_init(&iter, vocab);
    while (att_json_iter_next(&iter, &text, &value)) {
        size_t len = strlen(text);
        if (len > ATT_TOKEN_BYTES_MAX)
            return att_err_set(reader->err, ATT_EFORMAT,
                               "tokenizer.json: model.vocab: '%.40s' has %zu bytes, expected at most %d", text, len,
                               ATT_TOKEN_BYTES_MAX);
        if (!att_json_integer(value, 0, max, &id))
            return att_err_set(reader->err, ATT_EFORMAT,
                               "tokenizer.json: model.vocab: '%.60s' has id %.17g, expected an integer from 0 to %lld",
                               text, att_json_number(value, -1), (long long)max);
        if (att_vocab_text(to, (int32_t)id))
            return att_err_set(reader->err, ATT_EFORMAT,
                               "tokenizer.json: model.vocab: '%.60s' has id %lld, which '%.60s' has too", text,
                               (long long)id, att_vocab_text(to, (int32_t)id));
        enum att_status status = att_vocab_add(to, text, len, (int32_t)id, reader->err);
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}

static enum att_status read_model(struct reader *reader, const struct att_json *model)
{
    struct att_wordpiece *wordpiece = &reader->tokenizer->wordpiece;
    /* Files of 2020 have no type; the prefix tells WordPiece from the other models. */
    bool untyped = att_json_is_object(model) && !att_json_get(model, "type") && !att_json_get(model, "merges");
    enum att_status status = ATT_OK;
    if (!untyped || !att_json_get(model, "continuing_subword_prefix"))
        status = check_section(reader, model, "model", "WordPiece");
    if (status != ATT_OK)
        return status;
    size_t len;
    const struct att_json *value = att_json_get(model, "continuing_subword_prefix");
    const char *prefix = att_json_string(value, &len);
    if (!prefix || len > ATT_PREFIX_BYTES_MAX)
        return att_err_set(reader->err, ATT_EFORMAT,
                           "tokenizer.json: model.continuing_subword_prefix: is %.40s, expected a string of at most %d "
                           "bytes",
                           value ? shown(value) : "missing", ATT_PREFIX_BYTES_MAX);
    att_wordpiece_set_prefix(wordpiece, prefix, len);
    int64_t number;
    value = att_json_get(model, "max_input_chars_per_word");
    if (!att_json_integer(value, 1, ATT_WORD_CHARS_MAX, &number))
        return att_err_set(reader->err, ATT_EFORMAT,
                           "tokenizer.json: model.max_input_chars_per_word: is %s %.17g, expected an integer from 1 to "
                           "%d",
                           att_json_type_name(value), att_json_number(value, 0), ATT_WORD_CHARS_MAX);
    wordpiece->word_chars_max = (size_t)number;
    status = read_vocab(reader, att_json_get(model, "vocab"));
    if (status != ATT_OK)
        return status;
    value = att_json_get(model, "unk_token");
    const char *unk = att_json_string(value, &len);
    if (!unk)
        return refuse_type(reader, "model.unk_token", value, "a string");
    wordpiece->unk_id = att_vocab_find(&wordpiece->vocab, unk, len);
    if (wordpiece->unk_id < 0)
        return att_err_set(reader->err, ATT_EFORMAT,
                           "tokenizer.json: model.unk_token: is '%.60s', expected a token of model.vocab", unk);
    return ATT_OK;
}

static enum att_status read_added(struct reader *reader, const struct att_json *list)
{
    if (!is_null(list) && !att_json_is_array(list))
        return refuse_type(reader, "added_tokens", list, "an array");
    enum att_status status = ATT_OK;
    for (size_t i = 0; i < att_json_count(list) && status == ATT_OK; i++) {
        char field[64], id_field[72];
        snprintf(field, sizeof field, "tokenizer.json: added_tokens[%zu]", i);
        const char *inner = field + strlen("tokenizer.json: ");
        snprintf(id_field, sizeof id_field, "%s.id", inner);
        const struct att_json *token = att_json_at(list, i);
        struct att_added_content added;
        added.content = att_json_string(att_json_get(token, "content"), &added.len);
        if (!added.content)
            return att_err_set(reader->err, ATT_EFORMAT, "%s.content: is %s, expected a string", field,
                               att_json_type_name(att_json_get(token, "content")));
        status = read_id(reader, att_json_get(token, "id"), id_field, &added.id);
        if (status == ATT_OK)
            status = read_bool(reader, token, "single_word", inner, &added.single_word);
        if (status == ATT_OK)
            status = read_bool(reader, token, "lstrip", inner, &added.lstrip);
        if (status == ATT_OK)
            status = read_bool(reader, token, "rstrip", inner, &added.rstrip);
        if (status == ATT_OK)
            status = read_bool(reader, token, "normalized", inner, &added.normalized);
        if (status == ATT_OK)
            status = read_bool(reader, token, "special", inner, &added.special);
        if (status == ATT_OK)
            status = att_tokenizer_add(reader->tokenizer, &added, field, reader->err);
    }
    return status;
}

/* {"SpecialToken": {"id": "[CLS]", "type_id": 0}}: the ids are in post_processor.special_tokens. */
static enum att_status read_special_piece(struct reader *reader, const struct att_json *piece,
                                          const struct att_json *special_tokens, const char *field,
                                          struct att_template *template)
{
    struct att_piece to = {.kind = ATT_PIECE_SPECIAL};
    enum att_status status = read_type_id(reader, att_json_get(piece, "type_id"), field, &to.type_id);
    if (status != ATT_OK)
        return status;
    const char *name = att_json_string(att_json_get(piece, "id"), NULL);
    const struct att_json *ids = name ? att_json_get(att_json_get(special_tokens, name), "ids") : NULL;
    if (!att_json_is_array(ids))
        return att_err_set(reader->err, ATT_EFORMAT, "tokenizer.json: %s: '%.60s' has no ids in special_tokens", field,
                           name ? name : "");
    for (size_t i = 0; i < att_json_count(ids); i++) {
        int64_t id;
        status = read_id(reader, att_json_at(ids, i), "post_processor.special_tokens", &id);
        if (status != ATT_OK)
            return status;
        to.id = (int32_t)id;
        if (!att_template_push(template, to))
            return att_err_set(reader->err, ATT_EUNSUPPORTED, "tokenizer.json: %s: is longer than %d tokens", field,
                               ATT_TEMPLATE_PIECES_MAX);
    }
    return ATT_OK;
}

static enum att_status read_template(struct reader *reader, const struct att_json *processor, const char *key,
                                     struct att_template *template)
{
    char field[64];
    snprintf(field, sizeof field, "post_processor.%s", key);
    const struct att_json *pieces = att_json_get(processor, key);
    if (!att_json_is_array(pieces))
        return refuse_type(reader, field, pieces, "an array");
    size_t texts[2] = {0};
    for (size_t i = 0; i < att_json_count(pieces); i++) {
        const struct att_json *special = att_json_get(att_json_at(pieces, i), "SpecialToken");
        const struct att_json *sequence = att_json_get(att_json_at(pieces, i), "Sequence");
        snprintf(field, sizeof field, "post_processor.%s[%zu]", key, i);
        enum att_status status = ATT_OK;
        if (special) {
            status = read_special_piece(reader, special, att_json_get(processor, "special_tokens"), field, template);
            if (status != ATT_OK)
                return status;
            continue;
        }
        const char *name = att_json_string(att_json_get(sequence, "id"), NULL);
        if (!name || (strcmp(name, "A") != 0 && strcmp(name, "B") != 0))
            return att_err_set(reader->err, ATT_EFORMAT,
                               "tokenizer.json: %s: expected SpecialToken, or Sequence A or B", field);
        struct att_piece piece = {.kind = name[0] == 'A' ? ATT_PIECE_FIRST : ATT_PIECE_SECOND};
        texts[name[0] == 'B']++;
        status = read_type_id(reader, att_json_get(sequence, "type_id"), field, &piece.type_id);
        if (status != ATT_OK)
            return status;
        if (!att_template_push(template, piece))
            return att_err_set(reader->err, ATT_EUNSUPPORTED, "tokenizer.json: %s: is longer than %d tokens", field,
                               ATT_TEMPLATE_PIECES_MAX);
    }
    bool pair = strcmp(key, "pair") == 0;
    if (texts[0] != 1 || texts[1] != (pair ? 1 : 0))
        return att_err_set(reader->err, ATT_EFORMAT, "tokenizer.json: post_processor.%s: expected %s", key,
                           pair ? "Sequence A and B once each" : "Sequence A once");
    return ATT_OK;
}

/* ["[SEP]", 102] of BertProcessing. */
static enum att_status read_named_id(struct reader *reader, const struct att_json *processor, const char *key,
                                     int32_t *ret)
{
    char field[64];
    snprintf(field, sizeof field, "post_processor.%s", key);
    int64_t id;
    enum att_status status = read_id(reader, att_json_at(att_json_get(processor, key), 1), field, &id);
    if (status == ATT_OK)
        *ret = (int32_t)id;
    return status;
}

/* trim_offsets and add_prefix_space, of ByteLevel and RobertaProcessing. */
static enum att_status read_trimming(struct reader *reader, const struct att_json *processor)
{
    struct att_general *general = reader->tokenizer->general;
    const struct att_json *trim = att_json_get(processor, "trim_offsets");
    const struct att_json *space = att_json_get(processor, "add_prefix_space");
    if (!general)
        return att_err_set(reader->err, ATT_EUNSUPPORTED, "tokenizer.json: post_processor: is for byte-level models");
    if ((trim && !att_json_is_bool(trim)) || (space && !att_json_is_bool(space)))
        return refuse_type(reader, "post_processor.trim_offsets", trim, "true or false");
    general->trims = att_json_bool(trim, true);
    general->trims_added_space = att_json_bool(space, true);
    return ATT_OK;
}

/* BertProcessing, or RoBERTa's: <s> A </s> </s> B </s>, one segment. */
static enum att_status read_cls_sep(struct reader *reader, const struct att_json *processor, bool roberta)
{
    struct att_tokenizer *tokenizer = reader->tokenizer;
    int32_t cls_id = 0, sep_id = 0;
    enum att_status status = roberta ? read_trimming(reader, processor) : ATT_OK;
    if (status == ATT_OK)
        status = read_named_id(reader, processor, "cls", &cls_id);
    if (status == ATT_OK)
        status = read_named_id(reader, processor, "sep", &sep_id);
    if (roberta)
        att_template_set_roberta(&tokenizer->single, &tokenizer->pair, cls_id, sep_id);
    else
        att_template_set_bert(&tokenizer->single, &tokenizer->pair, cls_id, sep_id);
    return status;
}

static enum att_status read_processor(struct reader *reader, const struct att_json *processor, int depth)
{
    struct att_tokenizer *tokenizer = reader->tokenizer;
    const char *type = att_json_string(att_json_get(processor, "type"), NULL);
    const struct att_json *inner = att_json_get(processor, "processors");
    enum att_status status = ATT_OK;
    if (type && (strcmp(type, "BertProcessing") == 0 || strcmp(type, "RobertaProcessing") == 0))
        return read_cls_sep(reader, processor, type[0] == 'R');
    if (type && strcmp(type, "ByteLevel") == 0)
        return read_trimming(reader, processor);
    if (type && strcmp(type, "Sequence") == 0 && depth == 0 && att_json_is_array(inner)) {
        for (size_t i = 0; status == ATT_OK && i < att_json_count(inner); i++)
            status = read_processor(reader, att_json_at(inner, i), depth + 1);
        return status;
    }
    status = check_section(reader, processor, "post_processor", "TemplateProcessing");
    if (status == ATT_EUNSUPPORTED)
        return att_err_set(reader->err, ATT_EUNSUPPORTED,
                           "tokenizer.json: post_processor.type: is '%.60s', expected TemplateProcessing, "
                           "BertProcessing, RobertaProcessing, ByteLevel or Sequence",
                           shown(att_json_get(processor, "type")));
    tokenizer->post_processor = ATT_PROCESSOR_TEMPLATE;
    tokenizer->single.count = tokenizer->pair.count = 0;
    if (status == ATT_OK)
        status = read_template(reader, processor, "single", &tokenizer->single);
    if (status == ATT_OK)
        status = read_template(reader, processor, "pair", &tokenizer->pair);
    return status;
}

static enum att_status read_post_processor(struct reader *reader, const struct att_json *processor)
{
    struct att_tokenizer *tokenizer = reader->tokenizer;
    att_template_set_plain(&tokenizer->single, &tokenizer->pair);
    enum att_status status = is_null(processor) ? ATT_OK : read_processor(reader, processor, 0);
    const char *type = att_json_string(att_json_get(processor, "type"), NULL);
    if (is_null(processor))
        tokenizer->post_processor = ATT_PROCESSOR_NONE;
    bool plain = is_null(processor) || (type && strcmp(type, "ByteLevel") == 0);
    if (status == ATT_OK && plain && reader->bounds->types == 1)
        tokenizer->pair.pieces[1].type_id = 0; /* the model knows one segment */
    if (status == ATT_OK && (size_t)att_template_type_max(&tokenizer->pair) >= reader->bounds->types)
        return att_err_set(reader->err, ATT_EFORMAT,
                           "tokenizer.json: post_processor: segment id is %d, expected below %zu",
                           (int)att_template_type_max(&tokenizer->pair), reader->bounds->types);
    return status;
}

static enum att_status read_decoder(struct reader *reader, const struct att_json *decoder)
{
    struct att_tokenizer *tokenizer = reader->tokenizer;
    if (is_null(decoder))
        return ATT_OK;
    enum att_status status = check_section(reader, decoder, "decoder", "WordPiece");
    if (status == ATT_OK)
        status = read_bool(reader, decoder, "cleanup", "decoder", &tokenizer->decoder_cleanup);
    if (status != ATT_OK)
        return status;
    size_t len;
    const char *prefix = att_json_string(att_json_get(decoder, "prefix"), &len);
    if (!prefix || len > ATT_PREFIX_BYTES_MAX)
        return att_err_set(reader->err, ATT_EFORMAT,
                           "tokenizer.json: decoder.prefix: is %.40s, expected a string of at most %d bytes",
                           shown(att_json_get(decoder, "prefix")), ATT_PREFIX_BYTES_MAX);
    memcpy(tokenizer->decoder_prefix, prefix, len);
    tokenizer->decoder = true;
    return ATT_OK;
}

static enum att_status read_root(struct reader *reader, const struct att_json *root)
{
    const struct att_json *version = att_json_get(root, "version");
    if (!att_json_is_object(root))
        return refuse_type(reader, "the file", root, "an object");
    if (version && strcmp(shown(version), "1.0") != 0)
        return att_err_set(reader->err, ATT_EUNSUPPORTED, "tokenizer.json: version: is '%.20s', expected 1.0",
                           shown(version));
    bool general = att_general_wanted(root);
    enum att_status status = general ? att_general_read(root, reader->bounds, reader->tokenizer, reader->err)
                                     : read_model(reader, att_json_get(root, "model"));
    if (status == ATT_OK && !general)
        status = read_normalizer(reader, att_json_get(root, "normalizer"));
    if (status == ATT_OK && !general)
        status = check_section(reader, att_json_get(root, "pre_tokenizer"), "pre_tokenizer", "BertPreTokenizer");
    if (status == ATT_OK)
        status = read_added(reader, att_json_get(root, "added_tokens"));
    if (status == ATT_OK)
        status = att_tokenizer_finish_added(reader->tokenizer, "tokenizer.json: added_tokens", reader->err);
    if (status == ATT_OK)
        status = read_post_processor(reader, att_json_get(root, "post_processor"));
    if (status == ATT_OK && !general)
        status = read_decoder(reader, att_json_get(root, "decoder"));
    return status;
}

enum att_status att_tokenizer_parse_json(const char *json, size_t len, const struct att_tokenizer_bounds *bounds,
                                         struct att_tokenizer *tokenizer, struct att_err *err)
{
    struct att_json *root = NULL;
    enum att_status status = att_json_parse(json, len, ATT_JSON_NAME_KEYS, DEPTH_MAX, &root, err);
    if (status != ATT_OK) {
        att_err_prefix(err, "tokenizer.json");
        if (status == ATT_ESYNTAX)
            status = ATT_EFORMAT;
        if (err)
            err->status = status;
        return status;
    }
    struct reader reader = {bounds, tokenizer, err};
    status = read_root(&reader, root);
    att_json_destroy(root);
    return status;
}

enum att_status att_tokenizer_read_json(const struct att_dir *dir, const struct att_tokenizer_bounds *bounds,
                                        struct att_tokenizer *tokenizer, struct att_err *err)
{
    char *bytes = NULL;
    size_t len;
    enum att_status status = att_dir_read(dir, "tokenizer.json", FILE_BYTES_MAX, &bytes, &len, err);
    if (status == ATT_OK)
        status = att_tokenizer_parse_json(bytes, len, bounds, tokenizer, err);
    att_mem_free(bytes);
    return status;
}
