/* Byte-pair, Unigram and word-level models from their JSON. */
#include "core/text/general_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/text/steps_json.h"

static const char file[] = "tokenizer.json";

static const char *type_of(const struct att_json *section)
{
    const char *type = att_json_string(att_json_get(section, "type"), NULL);
    return type ? type : "";
}

bool att_general_wanted(const struct att_json *root)
{
    const struct att_json *model = att_json_get(root, "model");
    const char *type = type_of(model);
    return strcmp(type, "BPE") == 0 || strcmp(type, "Unigram") == 0 || strcmp(type, "WordLevel") == 0 ||
           (!*type && (att_json_get(model, "merges") || att_json_is_array(att_json_get(model, "vocab"))));
}

static enum att_status bad(const struct att_json *model, const char *field, const char *expected, struct att_err *err)
{
    const struct att_json *value = att_json_get(model, field);
    return att_err_set(err, ATT_EFORMAT, "%s: model.%s: is %s, expected %s", file, field,
                       value ? att_json_type_name(value) : "missing", expected);
}

static bool is_null(const struct att_json *value)
{
    return !value || att_json_type(value) == ATT_JSON_NULL;
}

static enum att_status read_flag(const struct att_json *model, const char *field, bool *ret, struct att_err *err)
{
    const struct att_json *value = att_json_get(model, field);
    if (!is_null(value) && !att_json_is_bool(value))
        return bad(model, field, "true or false", err);
    *ret = att_json_bool(value, false);
    return ATT_OK;
}

static enum att_status add(struct att_vocab *vocab, const char *text, size_t len, int64_t id,
                           const struct att_tokenizer_bounds *bounds, struct att_err *err)
{
    if (len > ATT_TOKEN_BYTES_MAX)
        return att_err_set(err, ATT_EFORMAT, "%s: model.vocab: '%.40s' has %zu bytes, expected at most %d", file, text,
                           len, ATT_TOKEN_BYTES_MAX);
    if (id < 0 || (size_t)id >= bounds->ids)
        return att_err_set(err, ATT_EFORMAT, "%s: model.vocab: '%.60s' has id %lld, expected an integer from 0 to %zu",
                           file, text, (long long)id, bounds->ids - 1);
    if (att_vocab_text(vocab, (int32_t)id))
        return att_err_set(err, ATT_EFORMAT, "%s: model.vocab: '%.60s' has id %lld, which '%.60s' has too", file, text,
                           (long long)id, att_vocab_text(vocab, (int32_t)id));
    return att_vocab_add(vocab, text, len, (int32_t)id, err);
}

static enum att_status read_vocab(const struct att_json *texts, const struct att_tokenizer_bounds *bounds,
                                  struct att_vocab *vocab, struct att_err *err)
{
    struct att_json_iter iter;
    const char *text;
    const struct att_json *value;
    if (!att_json_is_object(texts))
        return att_err_set(err, ATT_EFORMAT, "%s: model.vocab: is %s, expected an object of token texts and ids", file,
                           att_json_type_name(texts));
    att_json_iter_init(&iter, texts);
    while (att_json_iter_next(&iter, &text, &value)) {
        int64_t id = -1;
        if (!att_json_integer(value, 0, INT32_MAX, &id))
            id = -1;
        enum att_status status = add(vocab, text, strlen(text), id, bounds, err);
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}

/* unk_token by its text; null: none. */
static enum att_status read_unk(const struct att_json *model, const struct att_vocab *vocab, int32_t *ret,
                                struct att_err *err)
{
    const struct att_json *value = att_json_get(model, "unk_token");
    size_t len = 0;
    const char *text = att_json_string(value, &len);
    *ret = -1;
    if (is_null(value))
        return ATT_OK;
    *ret = text ? att_vocab_find(vocab, text, len) : -1;
    return *ret >= 0 ? ATT_OK : bad(model, "unk_token", "a token of model.vocab", err);
}

/* ---- BPE ---- */

static enum att_status read_affix(const struct att_json *model, const char *field, char *ret, struct att_err *err)
{
    const struct att_json *value = att_json_get(model, field);
    size_t len = 0;
    const char *text = att_json_string(value, &len);
    if (is_null(value))
        return ATT_OK;
    if (!text || len > ATT_AFFIX_BYTES_MAX)
        return bad(model, field, "a short string", err);
    memcpy(ret, text, len);
    return ATT_OK;
}

static enum att_status read_merges(const struct att_json *merges, struct att_bpe *bpe, struct att_err *err)
{
    if (!att_json_is_array(merges))
        return att_err_set(err, ATT_EFORMAT, "%s: model.merges: is %s, expected an array", file,
                           att_json_type_name(merges));
    for (size_t i = 0; i < att_json_count(merges); i++) {
        const struct att_json *merge = att_json_at(merges, i);
        size_t len = 0, left_len = 0, right_len = 0;
        const char *line = att_json_string(merge, &len), *left = line, *right = NULL;
        char field[64];
        snprintf(field, sizeof field, "%s: model.merges[%zu]", file, i);
        if (line) {
            const char *space = memchr(line, ' ', len);
            if (!space || memchr(space + 1, ' ', len - (size_t)(space + 1 - line)))
                return att_err_set(err, ATT_EFORMAT, "%s: is '%.60s', expected two pieces", field, line);
            left_len = (size_t)(space - line);
            right = space + 1;
            right_len = len - left_len - 1;
        } else {
            left = att_json_string(att_json_at(merge, 0), &left_len);
            right = att_json_string(att_json_at(merge, 1), &right_len);
        }
        if (!left || !right || (!line && att_json_count(merge) != 2))
            return att_err_set(err, ATT_EFORMAT, "%s: expected \"LEFT RIGHT\" or [LEFT, RIGHT]", field);
        enum att_status status = att_bpe_merge(bpe, left, left_len, right, right_len, field, err);
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}

static enum att_status read_bpe(const struct att_json *model, const struct att_tokenizer_bounds *bounds,
                                struct att_vocab *vocab, struct att_bpe *bpe, struct att_err *err)
{
    const struct att_json *dropout = att_json_get(model, "dropout");
    enum att_status status = read_vocab(att_json_get(model, "vocab"), bounds, vocab, err);
    if (status != ATT_OK)
        return status;
    if (!is_null(dropout) && att_json_number(dropout, 1) != 0)
        return att_err_set(err, ATT_EUNSUPPORTED, "%s: model.dropout: is not null, expected null", file);
    att_bpe_init(bpe, vocab);
    status = read_unk(model, vocab, &bpe->unk_id, err);
    if (status == ATT_OK)
        status = read_flag(model, "fuse_unk", &bpe->fuse_unk, err);
    if (status == ATT_OK)
        status = read_flag(model, "byte_fallback", &bpe->byte_fallback, err);
    if (status == ATT_OK)
        status = read_flag(model, "ignore_merges", &bpe->ignore_merges, err);
    if (status == ATT_OK)
        status = read_affix(model, "continuing_subword_prefix", bpe->prefix, err);
    if (status == ATT_OK)
        status = read_affix(model, "end_of_word_suffix", bpe->suffix, err);
    return status == ATT_OK ? read_merges(att_json_get(model, "merges"), bpe, err) : status;
}

/* ---- Unigram ---- */

static enum att_status read_unigram(const struct att_json *model, const struct att_tokenizer_bounds *bounds,
                                    struct att_vocab *vocab, struct att_unigram *unigram, struct att_err *err)
{
    const struct att_json *pieces = att_json_get(model, "vocab"), *unk = att_json_get(model, "unk_id");
    size_t n = att_json_count(pieces);
    int64_t unk_id = -1;
    bool byte_fallback = false;
    if (!att_json_is_array(pieces) || n == 0)
        return bad(model, "vocab", "an array of pieces and scores", err);
    if (n > bounds->ids)
        return att_err_set(err, ATT_EFORMAT, "%s: model.vocab: has %zu pieces, expected at most %zu", file, n,
                           bounds->ids);
    if (!is_null(unk) && !att_json_integer(unk, 0, (int64_t)n - 1, &unk_id))
        return bad(model, "unk_id", "the number of a piece, or null", err);
    enum att_status status = read_flag(model, "byte_fallback", &byte_fallback, err);
    double *scores = status == ATT_OK ? att_mem_calloc(n, sizeof *scores) : NULL;
    if (status == ATT_OK && !scores)
        return att_err_set(err, ATT_ENOMEM, "out of memory for %zu pieces", n);
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        const struct att_json *piece = att_json_at(pieces, i);
        size_t len = 0;
        const char *text = att_json_string(att_json_at(piece, 0), &len);
        scores[i] = att_json_number(att_json_at(piece, 1), NAN);
        if (!text || !isfinite(scores[i]))
            status = att_err_set(err, ATT_EFORMAT, "%s: model.vocab[%zu]: expected [PIECE, SCORE]", file, i);
        else
            status = add(vocab, text, len, (int64_t)i, bounds, err);
    }
    if (status == ATT_OK)
        return att_unigram_build(unigram, vocab, scores, n, (int32_t)unk_id, byte_fallback, err);
    att_mem_free(scores);
    return status;
}

static enum att_status read_model(const struct att_json *model, const struct att_tokenizer_bounds *bounds,
                                  struct att_tokenizer *tokenizer, struct att_err *err)
{
    struct att_general *general = tokenizer->general;
    struct att_vocab *vocab = &tokenizer->wordpiece.vocab;
    const char *type = type_of(model);
    bool array = att_json_is_array(att_json_get(model, "vocab"));
    if (strcmp(type, "Unigram") == 0 || (!*type && array)) {
        general->model = ATT_MODEL_UNIGRAM;
        return read_unigram(model, bounds, vocab, &general->unigram, err);
    }
    if (strcmp(type, "WordLevel") == 0) {
        general->model = ATT_MODEL_WORD_LEVEL;
        enum att_status status = read_vocab(att_json_get(model, "vocab"), bounds, vocab, err);
        return status == ATT_OK ? read_unk(model, vocab, &general->unk_id, err) : status;
    }
    general->model = ATT_MODEL_BPE;
    return read_bpe(model, bounds, vocab, &general->bpe, err);
}

enum att_status att_general_read(const struct att_json *root, const struct att_tokenizer_bounds *bounds,
                                 struct att_tokenizer *tokenizer, struct att_err *err)
{
    tokenizer->general = att_general_create();
    if (!tokenizer->general)
        return att_err_set(err, ATT_ENOMEM, "out of memory for the tokenizer");
    struct att_general *general = tokenizer->general;
    enum att_status status = read_model(att_json_get(root, "model"), bounds, tokenizer, err);
    if (status == ATT_OK)
        status = att_steps_read(ATT_NORMALIZERS, att_json_get(root, "normalizer"), file, &general->normalizers, err);
    if (status == ATT_OK)
        status = att_steps_read(ATT_PRE_TOKENIZERS, att_json_get(root, "pre_tokenizer"), file, &general->pre_tokenizers,
                                err);
    if (status == ATT_OK)
        status = att_steps_read(ATT_DECODERS, att_json_get(root, "decoder"), file, &general->decoders, err);
    return status;
}
