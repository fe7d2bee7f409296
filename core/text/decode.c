/*
 * The WordPiece decoder: ids to text. Continuing pieces are glued, others take
 * a space before them, and `cleanup` closes up punctuation and English
 * contractions inside each token, exactly as the reference's list of
 * replacements does.
 */
#include <string.h>

#include "core/base/mem.h"
#include "core/text/pipeline.h"

struct text {
    char *bytes;
    size_t len, capacity;
};

/* Room for `more` bytes and a NUL. */
static bool reserve(struct text *text, size_t more)
{
    if (text->capacity - text->len > more)
        return true;
    size_t capacity = text->capacity ? text->capacity : 256;
    while (capacity - text->len <= more)
        capacity *= 2;
    char *bytes = att_mem_realloc(text->bytes, capacity, 1);
    if (!bytes)
        return false;
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

/* Replaces in bytes[begin..len) from left to right; `to` is not longer than `from`. */
static void replace(struct text *text, size_t begin, const char *from, const char *to)
{
    size_t from_len = strlen(from), to_len = strlen(to), write = begin;
    for (size_t read = begin; read < text->len;) {
        if (text->len - read >= from_len && memcmp(text->bytes + read, from, from_len) == 0) {
            memcpy(text->bytes + write, to, to_len);
            write += to_len;
            read += from_len;
        } else {
            text->bytes[write++] = text->bytes[read++];
        }
    }
    text->len = write;
}

static void clean_up(struct text *text, size_t begin)
{
    static const struct {
        const char *from, *to;
    } rules[] = {
        {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},    {" n't", "n't"},
        {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        replace(text, begin, rules[i].from, rules[i].to);
}

/* The text that an id decodes to; NULL for ids that are left out. */
static const char *token_text(const struct att_tokenizer *tokenizer, int32_t id, bool skip_special, size_t *ret_len)
{
    const char *text = att_tokenizer_token(tokenizer, id);
    if (!text || (skip_special && (tokenizer->id_flags[id] & ATT_ID_SPECIAL)))
        return NULL;
    *ret_len = strlen(text);
    const struct att_added_set *set = &tokenizer->added_normalized;
    for (size_t i = 0; (tokenizer->id_flags[id] & ATT_ID_NORMALIZED) && i < set->count; i++)
        if (set->tokens[i].id == id) {
            *ret_len = set->tokens[i].len;
            return set->tokens[i].pattern;
        }
    return text;
}

enum att_status att_tokenizer_decode(const struct att_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                     bool skip_special, char **ret_text, struct att_err *err)
{
    struct text text = {0};
    const char *prefix = tokenizer->decoder_prefix;
    size_t prefix_len = tokenizer->decoder ? strlen(prefix) : 0;
    bool first = true;
    for (size_t i = 0; i < count; i++) {
        size_t len, begin = text.len;
        const char *token = token_text(tokenizer, ids[i], skip_special, &len);
        if (!token)
            continue;
        if (!reserve(&text, len + 1))
            goto fail;
        bool glued = !first && tokenizer->decoder && len >= prefix_len && memcmp(token, prefix, prefix_len) == 0;
        if (glued) {
            token += prefix_len;
            len -= prefix_len;
        } else if (!first) {
            text.bytes[text.len++] = ' ';
        }
        memcpy(text.bytes + text.len, token, len);
        text.len += len;
        if (tokenizer->decoder && tokenizer->decoder_cleanup)
            clean_up(&text, begin);
        first = false;
    }
    if (!reserve(&text, 0))
        goto fail;
    text.bytes[text.len] = '\0';
    *ret_text = text.bytes;
    return ATT_OK;
fail:
    att_mem_free(text.bytes);
    return att_err_set(err, ATT_ENOMEM, "out of memory for a text");
}
