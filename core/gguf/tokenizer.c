/* tokenizer.json and tokenizer_config.json of the checkpoint that a GGUF file was made from. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"
#include "core/gguf/file.h"
#include "core/gguf/merges.h"

enum { TEXT_MAX = 1 << 30 };

enum kind { NORMAL = 1, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE };

struct vocab {
    const struct att_gguf *gguf;
    const struct att_gguf_text *tokens;
    size_t count;
    const struct att_gguf_value *types; /* NULL: all are normal */
    struct att_jsonw *out;
    struct att_err *err;
};

static enum kind kind_of(const struct vocab *vocab, size_t id)
{
    return vocab->types ? (enum kind)att_gguf_number(vocab->types, id) : NORMAL;
}

/* A member whose value is JSON already. */
static void put_member(struct att_jsonw *out, const char *key, const char *json)
{
    att_jsonw_key(out, key);
    att_jsonw_raw(out, json, strlen(json));
}

static void begin_member(struct att_jsonw *out, const char *key)
{
    att_jsonw_key(out, key);
    att_jsonw_object_begin(out);
}

static void put_text(struct att_jsonw *out, struct att_gguf_text text)
{
    att_jsonw_string(out, text.bytes, text.len);
}

static int by_text(const void *a, const void *b)
{
    const struct att_gguf_text *x = *(const struct att_gguf_text *const *)a,
                               *y = *(const struct att_gguf_text *const *)b;
    return strcmp(x->bytes, y->bytes);
}

/* Token texts become keys of JSON: UTF-8 without NUL, none twice (but empty ones, which stand for nothing). */
static enum att_status check_texts(const struct att_gguf *gguf, const struct att_gguf_value *tokens,
                                   struct att_err *err)
{
    const struct att_gguf_text **sorted = att_mem_calloc(tokens->count, sizeof *sorted);
    enum att_status status = ATT_OK;
    if (!sorted)
        return att_err_set(err, ATT_ENOMEM, "%s: out of memory for its tokens", gguf->file);
    for (size_t id = 0; status == ATT_OK && id < tokens->count; id++) {
        const struct att_gguf_text *text = &tokens->texts[id];
        sorted[id] = text;
        if (memchr(text->bytes, '\0', text->len) || !att_utf8_valid(text->bytes, text->len))
            status = att_err_set(err, ATT_EFORMAT, "%s: tokenizer.ggml.tokens[%zu]: is no UTF-8 text without NUL",
                                 gguf->file, id);
    }
    if (status == ATT_OK)
        qsort(sorted, tokens->count, sizeof *sorted, by_text);
    for (size_t i = 1; status == ATT_OK && i < tokens->count; i++)
        if (sorted[i]->len > 0 && strcmp(sorted[i - 1]->bytes, sorted[i]->bytes) == 0)
            status = att_err_set(err, ATT_EFORMAT, "%s: tokenizer.ggml.tokens: '%.60s' stands there twice", gguf->file,
                                 sorted[i]->bytes);
    att_mem_free(sorted);
    return status;
}

static enum att_status open_vocab(struct vocab *vocab)
{
    const struct att_gguf_value *tokens = att_gguf_find(vocab->gguf, "tokenizer.ggml.tokens");
    const struct att_gguf_value *types = att_gguf_find(vocab->gguf, "tokenizer.ggml.token_type");
    if (!tokens || !tokens->texts || tokens->count == 0)
        return att_err_set(vocab->err, ATT_EFORMAT, "%s: tokenizer.ggml.tokens: is missing", vocab->gguf->file);
    if (types && (!types->numbers || types->count != tokens->count))
        return att_err_set(vocab->err, ATT_EFORMAT, "%s: tokenizer.ggml.token_type: expected %zu numbers",
                           vocab->gguf->file, tokens->count);
    for (size_t id = 0; types && id < types->count; id++) {
        double kind = att_gguf_number(types, id);
        if (!(kind >= 0 && kind <= BYTE))
            return att_err_set(vocab->err, ATT_EUNSUPPORTED,
                               "%s: tokenizer.ggml.token_type[%zu]: is %.9g, expected 0 to %d", vocab->gguf->file, id,
                               kind, BYTE);
    }
    enum att_status status = check_texts(vocab->gguf, tokens, vocab->err);
    if (status != ATT_OK)
        return status;
    vocab->tokens = tokens->texts;
    vocab->count = tokens->count;
    vocab->types = types;
    return ATT_OK;
}

/* The id of a special token, SIZE_MAX when it has none. */
static enum att_status special_id(const struct vocab *vocab, const char *key, size_t *ret)
{
    *ret = SIZE_MAX;
    return att_gguf_size(vocab->gguf, key, 0, vocab->count - 1, ret, vocab->err);
}

/* ---- parts of tokenizer.json ---- */

static void put_added(const struct vocab *vocab)
{
    struct att_jsonw *out = vocab->out;
    att_jsonw_key(out, "added_tokens");
    att_jsonw_array_begin(out);
    for (size_t id = 0; id < vocab->count; id++) {
        enum kind kind = kind_of(vocab, id);
        if ((kind != CONTROL && kind != USER_DEFINED && kind != UNKNOWN) || vocab->tokens[id].len == 0)
            continue;
        att_jsonw_object_begin(out);
        att_jsonw_put_size(out, "id", id);
        att_jsonw_key(out, "content");
        put_text(out, vocab->tokens[id]);
        put_member(out, "single_word", "false");
        put_member(out, "lstrip", "false");
        put_member(out, "rstrip", "false");
        put_member(out, "normalized", "false");
        att_jsonw_put_bool(out, "special", kind != USER_DEFINED);
        att_jsonw_object_end(out);
    }
    att_jsonw_array_end(out);
}

/* One side of a template: specials around A, or around A and around B. */
static void put_piece(struct att_jsonw *out, const char *kind, const char *id, int type)
{
    att_jsonw_object_begin(out);
    att_jsonw_key(out, kind);
    att_jsonw_object_begin(out);
    att_jsonw_put_text(out, "id", id);
    att_jsonw_put_int(out, "type_id", type);
    att_jsonw_object_end(out);
    att_jsonw_object_end(out);
}

static void put_template(const struct vocab *vocab, size_t first, size_t last, bool again)
{
    struct att_jsonw *out = vocab->out;
    const size_t ids[2] = {first, last};
    begin_member(out, "post_processor");
    put_member(out, "type", "\"TemplateProcessing\"");
    for (int pair = 0; pair < 2; pair++) {
        att_jsonw_key(out, pair ? "pair" : "single");
        att_jsonw_array_begin(out);
        for (int text = 0; text <= pair; text++) {
            if (first != SIZE_MAX && (text == 0 || again))
                put_piece(out, "SpecialToken", vocab->tokens[first].bytes, text);
            put_piece(out, "Sequence", text ? "B" : "A", text);
            if (last != SIZE_MAX)
                put_piece(out, "SpecialToken", vocab->tokens[last].bytes, text);
        }
        att_jsonw_array_end(out);
    }
    att_jsonw_key(out, "special_tokens");
    att_jsonw_object_begin(out);
    for (size_t i = 0; i < 2; i++) {
        if (ids[i] == SIZE_MAX || (i == 1 && last == first))
            continue;
        att_jsonw_key(out, vocab->tokens[ids[i]].bytes);
        att_jsonw_object_begin(out);
        att_jsonw_key(out, "id");
        put_text(out, vocab->tokens[ids[i]]);
        att_jsonw_key(out, "ids");
        att_jsonw_array_begin(out);
        att_jsonw_int(out, (int64_t)ids[i]);
        att_jsonw_array_end(out);
        att_jsonw_key(out, "tokens");
        att_jsonw_array_begin(out);
        put_text(out, vocab->tokens[ids[i]]);
        att_jsonw_array_end(out);
        att_jsonw_object_end(out);
    }
    att_jsonw_object_end(out);
    att_jsonw_object_end(out);
}

/* bos and eos around a text, where the file says so. */
static enum att_status put_ends(const struct vocab *vocab, bool bos_by_default)
{
    size_t bos, eos;
    enum att_status status = special_id(vocab, "tokenizer.ggml.bos_token_id", &bos);
    if (status == ATT_OK)
        status = special_id(vocab, "tokenizer.ggml.eos_token_id", &eos);
    if (status != ATT_OK)
        return status;
    bool with_bos = att_gguf_bool(vocab->gguf, "tokenizer.ggml.add_bos_token", bos_by_default);
    bool with_eos = att_gguf_bool(vocab->gguf, "tokenizer.ggml.add_eos_token", false);
    if ((with_bos && bos == SIZE_MAX) || (with_eos && eos == SIZE_MAX))
        return att_err_set(vocab->err, ATT_EFORMAT, "%s: tokenizer.ggml.%s_token_id: is missing", vocab->gguf->file,
                           with_bos && bos == SIZE_MAX ? "bos" : "eos");
    if (with_bos || with_eos)
        put_template(vocab, with_bos ? bos : SIZE_MAX, with_eos ? eos : SIZE_MAX, true);
    else
        put_member(vocab->out, "post_processor", "null");
    return ATT_OK;
}

static void put_vocab(const struct vocab *vocab, bool with_special)
{
    att_jsonw_key(vocab->out, "vocab");
    att_jsonw_object_begin(vocab->out);
    for (size_t id = 0; id < vocab->count; id++) {
        enum kind kind = kind_of(vocab, id);
        if (vocab->tokens[id].len == 0 || (!with_special && kind != NORMAL && kind != BYTE))
            continue;
        att_jsonw_put_size(vocab->out, vocab->tokens[id].bytes, id);
    }
    att_jsonw_object_end(vocab->out);
}

/* ---- tokenizer.ggml.model ---- */

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|"
#define REST "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define SPLIT(pattern)                                                                                                 \
    "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" pattern                  \
    "\"},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"              \
    "\"trim_offsets\":false,\"use_regex\":false}]}"
#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}"

/* How text is cut before merging, by tokenizer.ggml.pre. */
static const struct pre {
    const char *name, *pre_tokenizer;
    bool nfc, ignore_merges, bos;
} pres[] = {
    {"gpt-2", BYTE_LEVEL, false, false, false},
    {"roberta-bpe", BYTE_LEVEL, false, false, true},
    {"smollm",
     "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"individual_digits\":true}," BYTE_LEVEL "]}",
     false, false, false},
    {"llama-bpe", SPLIT(CONTRACTIONS "\\\\p{N}{1,3}" REST), false, true, true},
    {"qwen2", SPLIT(CONTRACTIONS "\\\\p{N}" REST), true, false, false},
};

static enum att_status put_byte_level(const struct vocab *vocab)
{
    const char *name = att_gguf_string(vocab->gguf, "tokenizer.ggml.pre");
    const struct att_gguf_value *merges = att_gguf_find(vocab->gguf, "tokenizer.ggml.merges");
    const struct pre *pre = pres;
    while (pre < pres + sizeof pres / sizeof *pres && (!name || strcmp(pre->name, name) != 0))
        pre++;
    if (pre == pres + sizeof pres / sizeof *pres)
        return att_err_set(vocab->err, ATT_EUNSUPPORTED,
                           "%s: tokenizer.ggml.pre: '%.40s' is not known, expected gpt-2, roberta-bpe, smollm, "
                           "llama-bpe or qwen2",
                           vocab->gguf->file, name ? name : "(none)");
    if (!merges || !merges->texts)
        return att_err_set(vocab->err, ATT_EFORMAT, "%s: tokenizer.ggml.merges: is missing", vocab->gguf->file);
    put_member(vocab->out, "normalizer", pre->nfc ? "{\"type\":\"NFC\"}" : "null");
    put_member(vocab->out, "pre_tokenizer", pre->pre_tokenizer);
    enum att_status status = put_ends(vocab, pre->bos);
    put_member(vocab->out, "decoder", BYTE_LEVEL);
    begin_member(vocab->out, "model");
    put_member(vocab->out, "type", "\"BPE\"");
    put_member(vocab->out, "unk_token", "null");
    put_member(vocab->out, "fuse_unk", "false");
    put_member(vocab->out, "byte_fallback", "false");
    att_jsonw_put_bool(vocab->out, "ignore_merges", pre->ignore_merges);
    put_vocab(vocab, false);
    att_jsonw_key(vocab->out, "merges");
    att_jsonw_array_begin(vocab->out);
    for (size_t i = 0; i < merges->count; i++)
        put_text(vocab->out, merges->texts[i]);
    att_jsonw_array_end(vocab->out);
    att_jsonw_object_end(vocab->out);
    return status;
}

#define PREPEND "{\"type\":\"Prepend\",\"prepend\":\"\xe2\x96\x81\"},"
#define STRIP ",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}"
#define PIECES_NORMALIZER(prepend)                                                                                     \
    "{\"type\":\"Sequence\",\"normalizers\":[" prepend                                                                 \
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xe2\x96\x81\"}]}"
#define PIECES_DECODER(strip)                                                                                          \
    "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\xe2\x96\x81\"},"            \
    "\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}" strip "]}"

/* SentencePiece's BPE: merges follow from the scores. */
static enum att_status put_pieces(const struct vocab *vocab)
{
    const struct att_gguf_value *scores = att_gguf_find(vocab->gguf, "tokenizer.ggml.scores");
    bool prefix = att_gguf_bool(vocab->gguf, "tokenizer.ggml.add_space_prefix", true);
    size_t unknown;
    enum att_status status = special_id(vocab, "tokenizer.ggml.unknown_token_id", &unknown);
    if (status != ATT_OK)
        return status;
    if (!scores || !scores->numbers || scores->count != vocab->count)
        return att_err_set(vocab->err, ATT_EFORMAT, "%s: tokenizer.ggml.scores: expected %zu numbers",
                           vocab->gguf->file, vocab->count);
    for (size_t id = 0; id < vocab->count; id++)
        if (isnan(att_gguf_number(scores, id))) /* merges could not be put in order */
            return att_err_set(vocab->err, ATT_EFORMAT, "%s: tokenizer.ggml.scores[%zu]: is no number",
                               vocab->gguf->file, id);
    put_member(vocab->out, "normalizer", prefix ? PIECES_NORMALIZER(PREPEND) : PIECES_NORMALIZER(""));
    put_member(vocab->out, "pre_tokenizer", "null");
    status = put_ends(vocab, true);
    put_member(vocab->out, "decoder", prefix ? PIECES_DECODER(STRIP) : PIECES_DECODER(""));
    begin_member(vocab->out, "model");
    put_member(vocab->out, "type", "\"BPE\"");
    put_member(vocab->out, "fuse_unk", "true");
    put_member(vocab->out, "byte_fallback", "true");
    put_member(vocab->out, "ignore_merges", "false");
    att_jsonw_key(vocab->out, "unk_token");
    if (unknown == SIZE_MAX)
        att_jsonw_null(vocab->out);
    else
        put_text(vocab->out, vocab->tokens[unknown]);
    put_vocab(vocab, true);
    if (status == ATT_OK)
        status = att_gguf_put_merges(vocab->tokens, scores, vocab->out, vocab->err);
    att_jsonw_object_end(vocab->out);
    return status;
}

/* Pieces that begin a word have a mark in the file, where vocab.txt marks those that go on with "##". */
static void put_word_piece(struct att_jsonw *out, struct att_gguf_text token, size_t id)
{
    static const char mark[] = "\xe2\x96\x81";
    char *key = NULL;
    bool begins = token.len >= 3 && memcmp(token.bytes, mark, 3) == 0;
    bool special = token.len >= 2 && token.bytes[0] == '[' && token.bytes[token.len - 1] == ']';
    if (begins || special) {
        att_jsonw_key(out, token.bytes + (begins ? 3 : 0));
    } else if ((key = att_mem_calloc(token.len + 3, 1)) != NULL) {
        memcpy(key, "##", 2);
        memcpy(key + 2, token.bytes, token.len);
        att_jsonw_key(out, key);
    } else {
        out->failed = true; /* what follows would stand without its key */
        return;
    }
    att_jsonw_int(out, (int64_t)id);
    att_mem_free(key);
}

#define BERT_NORMALIZER(lower)                                                                                         \
    "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null,"           \
    "\"lowercase\":" lower "}"

static enum att_status put_word_pieces(const struct vocab *vocab)
{
    size_t cls, sep, begin, unknown;
    bool lower = att_gguf_bool(vocab->gguf, "tokenizer.ggml.normalizer.lowercase", true);
    enum att_status status = special_id(vocab, "tokenizer.ggml.cls_token_id", &cls);
    if (status == ATT_OK)
        status = special_id(vocab, "tokenizer.ggml.bos_token_id", &begin);
    if (status == ATT_OK)
        status = special_id(vocab, "tokenizer.ggml.seperator_token_id", &sep);
    if (status == ATT_OK)
        status = special_id(vocab, "tokenizer.ggml.unknown_token_id", &unknown);
    if (status != ATT_OK)
        return status;
    cls = cls == SIZE_MAX ? begin : cls;
    if (cls == SIZE_MAX || sep == SIZE_MAX || unknown == SIZE_MAX)
        return att_err_set(vocab->err, ATT_EFORMAT,
                           "%s: tokenizer.ggml.cls_token_id, seperator_token_id or unknown_token_id: is missing",
                           vocab->gguf->file);
    put_member(vocab->out, "normalizer", lower ? BERT_NORMALIZER("true") : BERT_NORMALIZER("false"));
    put_member(vocab->out, "pre_tokenizer", "{\"type\":\"BertPreTokenizer\"}");
    put_template(vocab, cls, sep, false);
    put_member(vocab->out, "decoder", "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}");
    begin_member(vocab->out, "model");
    put_member(vocab->out, "type", "\"WordPiece\"");
    put_member(vocab->out, "continuing_subword_prefix", "\"##\"");
    put_member(vocab->out, "max_input_chars_per_word", "100");
    att_jsonw_key(vocab->out, "unk_token");
    put_text(vocab->out, vocab->tokens[unknown]);
    att_jsonw_key(vocab->out, "vocab");
    att_jsonw_object_begin(vocab->out);
    for (size_t id = 0; id < vocab->count; id++)
        if (vocab->tokens[id].len > 0)
            put_word_piece(vocab->out, vocab->tokens[id], id);
    att_jsonw_object_end(vocab->out);
    att_jsonw_object_end(vocab->out);
    return ATT_OK;
}

enum att_status att_gguf_tokenizer(const struct att_gguf *gguf, char **ret_text, size_t *ret_len, struct att_err *err)
{
    static const struct {
        const char *name;
        enum att_status (*put)(const struct vocab *vocab);
    } models[] = {{"gpt2", put_byte_level}, {"llama", put_pieces}, {"bert", put_word_pieces}};
    enum { N_MODELS = sizeof models / sizeof *models };
    const char *name = att_gguf_string(gguf, "tokenizer.ggml.model");
    struct att_jsonw out;
    struct vocab vocab = {.gguf = gguf, .out = &out, .err = err};
    size_t i = 0;
    while (i < N_MODELS && (!name || strcmp(models[i].name, name) != 0))
        i++;
    if (!name && att_gguf_find(gguf, "tokenizer.ggml.model"))
        return att_err_set(err, ATT_EFORMAT, "%s: tokenizer.ggml.model: is no string", gguf->file);
    if (!name)
        return att_err_set(err, ATT_ENOTFOUND, "%s: has no tokenizer", gguf->file);
    if (i == N_MODELS)
        return att_err_set(err, ATT_EUNSUPPORTED,
                           "%s: tokenizer.ggml.model: '%.40s' is not known, expected gpt2, llama or bert", gguf->file,
                           name);
    enum att_status status = open_vocab(&vocab);
    if (status != ATT_OK)
        return status;
    att_jsonw_init(&out, TEXT_MAX);
    att_jsonw_object_begin(&out);
    put_member(&out, "version", "\"1.0\"");
    put_member(&out, "truncation", "null");
    put_member(&out, "padding", "null");
    put_added(&vocab);
    status = models[i].put(&vocab);
    att_jsonw_object_end(&out);
    if (status == ATT_OK)
        status = att_jsonw_take(&out, ret_text, ret_len, err);
    att_jsonw_finish(&out);
    return status;
}

enum att_status att_gguf_tokenizer_config(const struct att_gguf *gguf, char **ret_text, size_t *ret_len,
                                          struct att_err *err)
{
    static const struct {
        const char *key, *name;
    } tokens[] = {{"tokenizer.ggml.bos_token_id", "bos_token"},
                  {"tokenizer.ggml.eos_token_id", "eos_token"},
                  {"tokenizer.ggml.padding_token_id", "pad_token"},
                  {"tokenizer.ggml.unknown_token_id", "unk_token"}};
    const struct att_gguf_value *template = att_gguf_find(gguf, "tokenizer.chat_template");
    struct att_jsonw out;
    struct vocab vocab = {.gguf = gguf, .out = &out, .err = err};
    bool has_tokens = att_gguf_find(gguf, "tokenizer.ggml.tokens") != NULL;
    enum att_status status = has_tokens ? open_vocab(&vocab) : ATT_OK;
    if (status != ATT_OK)
        return status;
    att_jsonw_init(&out, 1 << 24);
    att_jsonw_object_begin(&out);
    for (size_t i = 0; status == ATT_OK && has_tokens && i < sizeof tokens / sizeof *tokens; i++) {
        size_t id;
        status = special_id(&vocab, tokens[i].key, &id);
        if (status != ATT_OK || id == SIZE_MAX)
            continue;
        att_jsonw_key(&out, tokens[i].name);
        put_text(&out, vocab.tokens[id]);
    }
    if (template && template->type == ATT_GGUF_STRING) {
        att_jsonw_key(&out, "chat_template");
        put_text(&out, template->text);
    }
    att_jsonw_object_end(&out);
    if (status == ATT_OK)
        status = att_jsonw_take(&out, ret_text, ret_len, err);
    att_jsonw_finish(&out);
    return status;
}
