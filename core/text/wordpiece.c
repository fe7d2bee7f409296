/*
 * Words and their pieces (see wordpiece.h).
 *
 * For each piece the hashes of all prefixes of the rest of the word are built
 * in one pass and looked up from the longest down, so that a word that is in
 * the vocabulary as a whole, the common case, costs one lookup.
 */
#include "core/text/wordpiece.h"

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"

void att_wordpiece_set_prefix(struct att_wordpiece *wordpiece, const char *prefix, size_t len)
{
    assert(len <= ATT_PREFIX_BYTES_MAX);
    memcpy(wordpiece->prefix, prefix, len);
    wordpiece->prefix[len] = '\0';
    wordpiece->prefix_len = len;
    wordpiece->prefix_hash = att_vocab_hash_begin();
    for (size_t i = 0; i < len; i++)
        wordpiece->prefix_hash = att_vocab_hash_step(wordpiece->prefix_hash, prefix[i]);
}

enum att_status att_tokens_push(struct att_tokens *tokens, struct att_token token, struct att_err *err)
{
    if (tokens->count == tokens->capacity) {
        size_t capacity = tokens->capacity ? tokens->capacity * 2 : 256;
        struct att_token *items = att_mem_realloc(tokens->items, capacity, sizeof *items);
        if (!items)
            return att_err_set(err, ATT_ENOMEM, "out of memory for %zu tokens", capacity);
        tokens->items = items;
        tokens->capacity = capacity;
    }
    tokens->items[tokens->count++] = token;
    return ATT_OK;
}

enum att_status att_tokens_check(const struct att_tokens *tokens, size_t tokens_max, struct att_err *err)
{
    if (tokens_max == 0 || tokens->count <= tokens_max)
        return ATT_OK;
    return att_err_limit(err, NULL, tokens_max, tokens->count, "the text has more than %zu tokens", tokens_max);
}

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* The longest token at word[at..len); its length in *ret_len. -1 when there is none. */
static int32_t longest_token(const struct att_wordpiece *wordpiece, const char *word, size_t at, size_t len,
                             size_t *ret_len)
{
    uint32_t hashes[ATT_WORD_CHARS_MAX * 4];
    size_t prefix_len = at > 0 ? wordpiece->prefix_len : 0;
    size_t longest = wordpiece->vocab.token_bytes_max > prefix_len ? wordpiece->vocab.token_bytes_max - prefix_len : 0;
    if (longest > len - at)
        longest = len - at;
    assert(longest <= sizeof hashes / sizeof *hashes);
    uint64_t state = at > 0 ? wordpiece->prefix_hash : att_vocab_hash_begin();
    for (size_t i = 0; i < longest; i++)
        hashes[i] = att_vocab_hash_end(state = att_vocab_hash_step(state, word[at + i]));
    for (size_t n = longest; n > 0; n--) {
        if (at + n < len && is_continuation(word[at + n]))
            continue;
        int32_t id =
            att_vocab_find_hashed(&wordpiece->vocab, hashes[n - 1], wordpiece->prefix, prefix_len, word + at, n);
        if (id >= 0) {
            *ret_len = n;
            return id;
        }
    }
    return -1;
}

/* One word, bytes [begin, end) of normal, of `chars` characters. */
static enum att_status encode_word(const struct att_wordpiece *wordpiece, const struct att_normal *normal, size_t begin,
                                   size_t end, size_t chars, struct att_tokens *tokens, struct att_err *err)
{
    size_t count_before = tokens->count, len = end - begin, n = 0;
    bool covered = chars <= wordpiece->word_chars_max;
    for (size_t at = 0; covered && at < len; at += n) {
        int32_t id = longest_token(wordpiece, normal->bytes + begin, at, len, &n);
        if (id < 0) {
            covered = false;
            break;
        }
        struct att_token token = {id, att_normal_start(normal, begin + at), att_normal_end(normal, begin + at + n)};
        enum att_status status = att_tokens_push(tokens, token, err);
        if (status != ATT_OK)
            return status;
    }
    if (covered)
        return ATT_OK;
    tokens->count = count_before;
    struct att_token unk = {wordpiece->unk_id, att_normal_start(normal, begin), att_normal_end(normal, end)};
    return att_tokens_push(tokens, unk, err);
}

enum att_status att_wordpiece_encode(const struct att_wordpiece *wordpiece, const uint8_t *char_table,
                                     const struct att_normal *normal, size_t begin, size_t end, size_t tokens_max,
                                     struct att_tokens *tokens, struct att_err *err)
{
    enum { SPLIT = ATT_CHAR_SPACE | ATT_CHAR_PUNCTUATION };
    size_t word = begin, chars = 0;
    enum att_status status = ATT_OK;
    bool over = false;
    for (size_t at = begin; at < end && status == ATT_OK && !over;) {
        size_t start = at;
        unsigned char byte = (unsigned char)normal->bytes[at];
        unsigned class;
        if (byte < 128) {
            class = char_table[byte];
            at++;
        } else {
            class = att_char_class(char_table, att_utf8_next(normal->bytes, end, &at));
        }
        if (!(class & SPLIT)) {
            chars++;
            continue;
        }
        if (start > word)
            status = encode_word(wordpiece, normal, word, start, chars, tokens, err);
        if (status == ATT_OK && !(class & ATT_CHAR_SPACE))
            status = encode_word(wordpiece, normal, start, at, 1, tokens, err);
        over = tokens_max != 0 && tokens->count > tokens_max;
        word = at;
        chars = 0;
    }
    if (status == ATT_OK && !over && end > word)
        status = encode_word(wordpiece, normal, word, end, chars, tokens, err);
    return status == ATT_OK ? att_tokens_check(tokens, tokens_max, err) : status;
}
