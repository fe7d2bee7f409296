/*
 * The tokenizer's front (see tokenizer.h): loading chooses the file, encoding
 * walks added tokens → normalizer → added tokens again → WordPiece, lookups and
 * assembly pass to the parts.
 *
 * A text is encoded in chunks that end behind white space, so that the buffers
 * stay in the cache and a long text costs no memory but its tokens.
 */
#include "core/text/tokenizer.h"

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/text/pipeline.h"

static struct att_tokenizer *create(void)
{
    struct att_tokenizer *tokenizer = att_mem_calloc(1, sizeof *tokenizer);
    if (!tokenizer)
        return NULL;
    att_vocab_init(&tokenizer->wordpiece.vocab);
    att_vocab_init(&tokenizer->added);
    att_added_init(&tokenizer->added_original);
    att_added_init(&tokenizer->added_normalized);
    att_added_init(&tokenizer->specials);
    return tokenizer;
}

static struct att_tokenizer_bounds bounds_of(size_t vocab_rows, size_t type_rows)
{
    return (struct att_tokenizer_bounds){
        .ids = vocab_rows == 0 || vocab_rows > ATT_VOCAB_IDS_MAX ? ATT_VOCAB_IDS_MAX : vocab_rows,
        .types = type_rows == 0 || type_rows > INT32_MAX ? INT32_MAX : type_rows,
    };
}

enum att_status att_tokenizer_load_text(const char *json, size_t len, size_t vocab_rows, size_t type_rows,
                                        struct att_tokenizer **ret_tokenizer, struct att_err *err)
{
    struct att_tokenizer *tokenizer = create();
    const struct att_tokenizer_bounds bounds = bounds_of(vocab_rows, type_rows);
    if (!tokenizer)
        return att_err_set(err, ATT_ENOMEM, "out of memory for the tokenizer");
    enum att_status status = att_tokenizer_parse_json(json, len, &bounds, tokenizer, err);
    if (status != ATT_OK)
        att_tokenizer_destroy(tokenizer);
    else
        *ret_tokenizer = tokenizer;
    return status;
}

/* SentencePiece's own files hold what tokenizer.json says, in a form that this program does not read. */
static enum att_status refuse_sentencepiece(const struct att_dir *dir, struct att_err *err)
{
    static const char *const names[] = {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (att_dir_has(dir, names[i]))
            return att_err_set(err, ATT_EUNSUPPORTED,
                               "%s: is not read without tokenizer.json: make one by "
                               "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR) in Python's transformers",
                               names[i]);
    return ATT_OK;
}

enum att_status att_tokenizer_load(const struct att_dir *dir, size_t vocab_rows, size_t type_rows,
                                   struct att_tokenizer **ret_tokenizer, struct att_err *err)
{
    assert(dir && ret_tokenizer);
    struct att_tokenizer *tokenizer = create();
    if (!tokenizer)
        return att_err_set(err, ATT_ENOMEM, "out of memory for the tokenizer");
    const struct att_tokenizer_bounds bounds = bounds_of(vocab_rows, type_rows);
    bool json = att_dir_has(dir, "tokenizer.json");
    enum att_status status = json ? ATT_OK : refuse_sentencepiece(dir, err);
    if (status == ATT_OK && !json && att_dir_has(dir, "vocab.json") && att_dir_has(dir, "merges.txt"))
        status = att_tokenizer_read_merges(dir, &bounds, tokenizer, err);
    else if (status == ATT_OK && !json && att_dir_has(dir, "vocab.txt"))
        status = att_tokenizer_read_vocab(dir, &bounds, tokenizer, err);
    else if (status == ATT_OK)
        status = att_tokenizer_read_json(dir, &bounds, tokenizer, err);
    if (status != ATT_OK) {
        att_tokenizer_destroy(tokenizer);
        return status;
    }
    *ret_tokenizer = tokenizer;
    return ATT_OK;
}

bool att_tokenizer_in(const struct att_dir *dir)
{
    static const char *const names[] = {"tokenizer.json", "vocab.txt",  "tokenizer.model",
                                        "spiece.model",   "merges.txt", "sentencepiece.bpe.model"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (att_dir_has(dir, names[i]))
            return true;
    return false;
}

void att_tokenizer_destroy(struct att_tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    att_vocab_finish(&tokenizer->wordpiece.vocab);
    att_vocab_finish(&tokenizer->added);
    att_added_finish(&tokenizer->added_original);
    att_added_finish(&tokenizer->added_normalized);
    att_added_finish(&tokenizer->specials);
    att_general_destroy(tokenizer->general);
    att_mem_free(tokenizer->id_flags);
    att_mem_free(tokenizer);
}

void att_tokens_init(struct att_tokens *tokens)
{
    *tokens = (struct att_tokens){0};
}

void att_tokens_finish(struct att_tokens *tokens)
{
    if (tokens->work)
        att_normal_finish(tokens->work);
    att_general_work_destroy(tokens->general);
    att_mem_free(tokens->work);
    att_mem_free(tokens->items);
    att_tokens_init(tokens);
}

/* One call of att_tokenizer_encode. */
struct encoding {
    const struct att_tokenizer *tokenizer;
    const char *text;
    bool special_as_text;
    size_t tokens_max;
    struct att_tokens *tokens;
    const struct att_cuts *cuts; /* NULL: special tokens may stand anywhere */
};

/* Whether a cut lies in text(begin..end]. */
static bool is_cut(const struct att_cuts *cuts, size_t begin, size_t end)
{
    size_t low = 0, high = cuts->count; /* the first one behind `begin` */
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (cuts->items[mid] <= begin)
            low = mid + 1;
        else
            high = mid;
    }
    return low < cuts->count && cuts->items[low] <= end;
}

/* att_added_search's is_text, of the original text. */
static bool is_text(const void *context, size_t begin, size_t end, int32_t id)
{
    const struct encoding *encoding = context;
    (void)id;
    return is_cut(encoding->cuts, begin, end);
}

/* text[begin..end) became a special token's text by normalizing: what is written there must be that text, too. */
static bool is_text_normalized(const struct encoding *encoding, size_t begin, size_t end, int32_t id)
{
    const char *content = att_tokenizer_token(encoding->tokenizer, id);
    return is_cut(encoding->cuts, begin, end) || !memmem(encoding->text + begin, end - begin, content, strlen(content));
}

static bool is_text_in_normal(const void *context, size_t begin, size_t end, int32_t id)
{
    const struct encoding *encoding = context;
    const struct att_normal *normal = encoding->tokens->work;
    return is_text_normalized(encoding, att_normal_start(normal, begin), att_normal_end(normal, end), id);
}

struct aligned_encoding {
    const struct encoding *encoding;
    const struct att_aligned *normal;
};

static bool is_text_in_aligned(const void *context, size_t begin, size_t end, int32_t id)
{
    const struct aligned_encoding *of = context;
    return is_text_normalized(of->encoding, of->normal->starts[begin], of->normal->ends[end - 1], id);
}

static enum att_status encode_words(const struct encoding *encoding, size_t begin, size_t end, struct att_err *err)
{
    return att_wordpiece_encode(&encoding->tokenizer->wordpiece, encoding->tokenizer->normalizer.table,
                                encoding->tokens->work, begin, end, encoding->tokens_max, encoding->tokens, err);
}

/* What the normalizer holds: tokens that are searched in normalized text, and words between them. */
static enum att_status encode_normal(const struct encoding *encoding, struct att_err *err)
{
    const struct att_normal *normal = encoding->tokens->work;
    struct att_added_search search = {
        .set = &encoding->tokenizer->added_normalized,
        .text = normal->bytes,
        .len = normal->len,
        .special_as_text = encoding->special_as_text,
        .is_text = encoding->cuts ? is_text_in_normal : NULL,
        .context = encoding,
    };
    struct att_added_match match;
    size_t covered = 0;
    enum att_status status = ATT_OK;
    while (status == ATT_OK && att_added_next(&search, &match)) {
        if (covered < match.begin)
            status = encode_words(encoding, covered, match.begin, err);
        struct att_token token = {match.id, att_normal_start(normal, match.begin), att_normal_end(normal, match.end)};
        if (status == ATT_OK)
            status = att_tokens_push(encoding->tokens, token, err);
        covered = match.end;
    }
    if (status == ATT_OK && covered < normal->len)
        status = encode_words(encoding, covered, normal->len, err);
    return status;
}

/* The end of a chunk from `begin` on: behind white space, which no word and no canonical ordering crosses. */
static size_t chunk_end(const char *text, size_t begin, size_t end)
{
    enum { CHUNK_BYTES = 8192 };
    if (end - begin <= CHUNK_BYTES)
        return end;
    size_t at = begin + CHUNK_BYTES;
    while (at < end && text[at - 1] != ' ' && text[at - 1] != '\n')
        at++;
    return at;
}

/* The place `count` characters behind `at`, at most `end`. */
static uint32_t chars_after(const char *text, uint32_t at, uint32_t end, size_t count)
{
    size_t place = at;
    while (count-- > 0 && place < end)
        att_utf8_next(text, end, &place);
    return (uint32_t)place;
}

/* The place `count` characters before `end`, at least `at`; end where the text before it is shorter. */
static uint32_t chars_before(const char *text, uint32_t at, uint32_t end, size_t count)
{
    uint32_t place = end;
    while (count > 0 && place > 0) {
        do
            place--;
        while (place > 0 && ((unsigned char)text[place] & 0xc0) == 0x80);
        count--;
    }
    return count > 0 ? end : place > at ? place : at;
}

/* Spaces at a token's ends are not its own: ByteLevel's and RoBERTa's trim_offsets. `own` is how the token is spelled
 * or what it covers, which normalizing may have changed: each space there is one character of the original text. */
static void trim(const struct encoding *encoding, const char *own, size_t len, bool first, struct att_token *token)
{
    size_t leading = 0, trailing = 0;
    for (size_t at = 0; at < len && att_is_token_space(att_utf8_next(own, len, &at)); leading++)
        ;
    for (size_t at = 0; at < len;)
        trailing = att_is_token_space(att_utf8_next(own, len, &at)) ? trailing + 1 : 0;
    if (leading > 0 && (first || token->start == 0) && encoding->tokenizer->general->trims_added_space)
        leading--;
    token->start = chars_after(encoding->text, token->start, token->end, leading);
    token->end = chars_before(encoding->text, token->start, token->end, trailing);
}

/* An added token that covers text[begin..end). */
static enum att_status push_added(const struct encoding *encoding, struct att_token token, const char *text,
                                  size_t begin, size_t end, struct att_err *err)
{
    const struct att_general *general = encoding->tokenizer->general;
    if (general && general->trims)
        trim(encoding, text + begin, end - begin, encoding->tokens->count == 0, &token);
    return att_tokens_push(encoding->tokens, token, err);
}

/* A slice of normalized text through the model. */
static enum att_status encode_slice(const struct encoding *encoding, const struct att_aligned *normal, size_t begin,
                                    size_t end, uint32_t origin, struct att_err *err)
{
    const struct att_tokenizer *tokenizer = encoding->tokenizer;
    struct att_tokens *tokens = encoding->tokens;
    size_t first = tokens->count;
    enum att_status status = att_general_encode(tokenizer->general, &tokenizer->wordpiece.vocab, normal, begin, end,
                                                begin > 0 ? normal->starts[begin] : origin, encoding->tokens_max,
                                                tokens->general, tokens, err);
    for (size_t i = first; status == ATT_OK && tokenizer->general->trims && i < tokens->count; i++) {
        const char *text = att_vocab_text(&tokenizer->wordpiece.vocab, tokens->items[i].id);
        trim(encoding, text, strlen(text), i == 0, &tokens->items[i]);
    }
    return status;
}

/* Text between added tokens, for models other than WordPiece. */
static enum att_status encode_generally(const struct encoding *encoding, size_t begin, size_t end, struct att_err *err)
{
    const struct att_tokenizer *tokenizer = encoding->tokenizer;
    const struct att_aligned *normal = NULL;
    uint32_t origin = (uint32_t)begin;
    enum att_status status = att_normalize(&tokenizer->general->normalizers, encoding->text, begin, end,
                                           &encoding->tokens->general->steps, &normal, err);
    if (status != ATT_OK || normal->len == 0)
        return status;
    const struct aligned_encoding aligned = {encoding, normal};
    struct att_added_search search = {.set = &tokenizer->added_normalized,
                                      .text = normal->bytes,
                                      .len = normal->len,
                                      .special_as_text = encoding->special_as_text,
                                      .is_text = encoding->cuts ? is_text_in_aligned : NULL,
                                      .context = &aligned};
    struct att_added_match match;
    size_t covered = 0;
    while (status == ATT_OK && att_added_next(&search, &match)) {
        if (covered < match.begin)
            status = encode_slice(encoding, normal, covered, match.begin, origin, err);
        const struct att_token token = {match.id, normal->starts[match.begin], normal->ends[match.end - 1]};
        if (status == ATT_OK)
            status = push_added(encoding, token, normal->bytes, match.begin, match.end, err);
        covered = match.end;
    }
    if (status == ATT_OK && covered < normal->len)
        status = encode_slice(encoding, normal, covered, normal->len, origin, err);
    return status;
}

/* Text between added tokens. */
static enum att_status encode_plain(const struct encoding *encoding, size_t begin, size_t end, struct att_err *err)
{
    const struct att_tokenizer *tokenizer = encoding->tokenizer;
    bool whole = tokenizer->added_normalized.count > 0; /* such a token may hold white space */
    if (tokenizer->general)
        return encode_generally(encoding, begin, end, err);
    enum att_status status = ATT_OK;
    while (status == ATT_OK && begin < end) {
        size_t chunk = whole ? end : chunk_end(encoding->text, begin, end);
        status = att_normalizer_run(&tokenizer->normalizer, encoding->text, begin, chunk, encoding->tokens->work, err);
        if (status == ATT_OK)
            status = encode_normal(encoding, err);
        begin = chunk;
    }
    return status;
}

static enum att_status encode_text(const struct encoding *encoding, size_t len, struct att_err *err)
{
    struct att_added_search search = {
        .set = &encoding->tokenizer->added_original,
        .text = encoding->text,
        .len = len,
        .special_as_text = encoding->special_as_text,
        .is_text = encoding->cuts ? is_text : NULL,
        .context = encoding,
    };
    struct att_added_match match;
    size_t covered = 0;
    enum att_status status = ATT_OK;
    while (status == ATT_OK && att_added_next(&search, &match)) {
        if (covered < match.begin)
            status = encode_plain(encoding, covered, match.begin, err);
        if (status == ATT_OK)
            status = push_added(encoding, (struct att_token){match.id, (uint32_t)match.begin, (uint32_t)match.end},
                                encoding->text, match.begin, match.end, err);
        if (status == ATT_OK)
            status = att_tokens_check(encoding->tokens, encoding->tokens_max, err);
        covered = match.end;
    }
    if (status == ATT_OK && covered < len)
        status = encode_plain(encoding, covered, len, err);
    return status == ATT_OK ? att_tokens_check(encoding->tokens, encoding->tokens_max, err) : status;
}

/* So that items is not NULL, even for no tokens, and the buffers exist. */
static bool prepare(struct att_tokens *tokens)
{
    enum { ITEMS_MIN = 256 };
    if (!tokens->items) {
        tokens->items = att_mem_calloc(ITEMS_MIN, sizeof *tokens->items);
        tokens->capacity = tokens->items ? ITEMS_MIN : 0;
    }
    if (!tokens->work)
        tokens->work = att_mem_calloc(1, sizeof *tokens->work);
    tokens->count = 0;
    return tokens->items && tokens->work;
}

static enum att_status encode(const struct encoding *encoding, size_t len, struct att_err *err)
{
    const struct att_tokenizer *tokenizer = encoding->tokenizer;
    const char *text = encoding->text;
    struct att_tokens *tokens = encoding->tokens;
    assert(tokenizer && tokens && (text || len == 0));
    if (len > INT32_MAX)
        return att_err_limit(err, NULL, INT32_MAX, len, "the text has %zu bytes, expected at most %d", len, INT32_MAX);
    if (!att_utf8_valid(text, len))
        return att_err_set(err, ATT_EINVAL, "the text is not valid UTF-8");
    if (!prepare(tokens))
        return att_err_set(err, ATT_ENOMEM, "out of memory for tokens");
    if (tokenizer->general && !tokens->general && !(tokens->general = att_mem_calloc(1, sizeof *tokens->general)))
        return att_err_set(err, ATT_ENOMEM, "out of memory for tokens");
    if (tokens->general && !tokens->general->steps.match && !(tokens->general->steps.match = att_regex_match_create()))
        return att_err_set(err, ATT_ENOMEM, "out of memory for tokens");
    if (tokens->general)
        att_regex_match_begin(tokens->general->steps.match, len);
    return encode_text(encoding, len, err);
}

enum att_status att_tokenizer_encode(const struct att_tokenizer *tokenizer, const char *text, size_t len,
                                     unsigned flags, size_t tokens_max, struct att_tokens *tokens, struct att_err *err)
{
    const struct encoding encoding = {.tokenizer = tokenizer,
                                      .text = text,
                                      .special_as_text = flags & ATT_ENCODE_SPECIAL_AS_TEXT,
                                      .tokens_max = tokens_max,
                                      .tokens = tokens};
    return encode(&encoding, len, err);
}

enum att_status att_tokenizer_encode_cut(const struct att_tokenizer *tokenizer, const char *text, size_t len,
                                         const struct att_cuts *cuts, size_t tokens_max, struct att_tokens *tokens,
                                         struct att_err *err)
{
    const struct encoding encoding = {
        .tokenizer = tokenizer, .text = text, .tokens_max = tokens_max, .tokens = tokens, .cuts = cuts};
    enum att_status status = encode(&encoding, len, err);
    /* A Unigram model may have a special token's text among its pieces. */
    for (size_t i = 0; status == ATT_OK && cuts->count > 0 && i < tokens->count; i++) {
        const struct att_token *token = &tokens->items[i];
        const char *content = att_tokenizer_token(tokenizer, token->id);
        size_t n = token->end - token->start;
        if ((tokenizer->id_flags[token->id] & ATT_ID_SPECIAL) && is_cut(cuts, token->start, token->end) &&
            strlen(content) == n && memcmp(text + token->start, content, n) == 0)
            status =
                att_err_set(err, ATT_EINVAL,
                            "the text holds the special token '%.60s', which this model cannot read as text", content);
    }
    return status;
}

size_t att_tokenizer_special_place(const struct att_tokenizer *tokenizer, const char *text, size_t len, size_t at)
{
    return att_added_place(&tokenizer->specials, text, len, at);
}

enum att_post_processor att_tokenizer_post_processor(const struct att_tokenizer *tokenizer)
{
    return tokenizer->post_processor;
}

size_t att_tokenizer_special_count(const struct att_tokenizer *tokenizer, bool pair)
{
    return pair ? tokenizer->pair.special_count : tokenizer->single.special_count;
}

enum att_status att_tokenizer_assemble(const struct att_tokenizer *tokenizer, const struct att_token *a, size_t a_count,
                                       const struct att_token *b, size_t b_count, struct att_sequence *sequence,
                                       struct att_err *err)
{
    return att_template_assemble(b ? &tokenizer->pair : &tokenizer->single, a, a_count, b, b_count, sequence, err);
}

const char *att_tokenizer_token(const struct att_tokenizer *tokenizer, int32_t id)
{
    const char *text = att_vocab_text(&tokenizer->wordpiece.vocab, id);
    return text ? text : att_vocab_text(&tokenizer->added, id);
}

int32_t att_tokenizer_id(const struct att_tokenizer *tokenizer, const char *token)
{
    size_t len = strlen(token);
    int32_t id = att_vocab_find(&tokenizer->wordpiece.vocab, token, len);
    return id >= 0 ? id : att_vocab_find(&tokenizer->added, token, len);
}

size_t att_tokenizer_vocab_size(const struct att_tokenizer *tokenizer)
{
    return tokenizer->wordpiece.vocab.count + tokenizer->added.count;
}

const char *att_tokenizer_model_name(const struct att_tokenizer *tokenizer)
{
    static const char *const names[] = {"BPE", "Unigram", "WordLevel"};
    return tokenizer->general ? names[tokenizer->general->model] : "WordPiece";
}
