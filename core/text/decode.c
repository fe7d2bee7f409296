/*
 * The WordPiece decoder: ids to text. Continuing pieces are glued, others take
 * a space before them, and `cleanup` closes up punctuation and English
 * contractions inside each token, exactly as the reference's list of
 * replacements does.
 */
#include <string.h>

#include "core/base/mem.h"
#include "core/text/cleanup.h"
#include "core/text/general.h"
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

/* Through the list of decoders; without one tokens are joined by spaces. */
static enum att_status decode_general(const struct att_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                      bool skip_special, char **ret_text, size_t *ret_len, struct att_err *err)
{
    const char **texts = att_mem_calloc(count + 1, sizeof *texts);
    size_t n = 0, len;
    if (!texts)
        return att_err_set(err, ATT_ENOMEM, "out of memory for a text");
    for (size_t i = 0; i < count; i++)
        if ((texts[n] = token_text(tokenizer, ids[i], skip_special, &len)) != NULL)
            n++;
    enum att_status status = att_decode_steps(&tokenizer->general->decoders, texts, n, ret_text, &len, err);
    att_mem_free(texts);
    if (status == ATT_OK && ret_len)
        *ret_len = len;
    return status;
}

enum att_status att_tokenizer_decode(const struct att_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                     bool skip_special, char **ret_text, size_t *ret_len, struct att_err *err)
{
    if (tokenizer->general)
        return decode_general(tokenizer, ids, count, skip_special, ret_text, ret_len, err);
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
            text.len = begin + att_cleanup(text.bytes + begin, text.len - begin);
        first = false;
    }
    if (!reserve(&text, 0))
        goto fail;
    text.bytes[text.len] = '\0';
    *ret_text = text.bytes;
    if (ret_len)
        *ret_len = text.len;
    return ATT_OK;
fail:
    att_mem_free(text.bytes);
    return att_err_set(err, ATT_ENOMEM, "out of memory for a text");
}
