/* See decoding.h. */
#include "core/text/decoding.h"

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"

void att_decoding_finish(struct att_decoding *decoding)
{
    att_mem_free(decoding->text);
    att_mem_free(decoding->lead);
    *decoding = (struct att_decoding){0};
}

/* The text is its first `kept` bytes and these. */
static enum att_status put(struct att_decoding *decoding, size_t kept, const char *bytes, size_t len,
                           struct att_err *err)
{
    if (decoding->capacity <= kept + len) {
        size_t capacity = 2 * (kept + len) + 64;
        char *more = att_mem_realloc(decoding->text, capacity, 1);
        if (!more)
            return att_err_set(err, ATT_ENOMEM, "out of memory for a text");
        decoding->text = more;
        decoding->capacity = capacity;
    }
    if (len > 0)
        memcpy(decoding->text + kept, bytes, len);
    decoding->len = kept + len;
    decoding->text[decoding->len] = '\0';
    return ATT_OK;
}

/* U+FFFD at the end: perhaps the begin of a character. */
static bool is_broken(const char *text, size_t len)
{
    return len >= 3 && memcmp(text + len - 3, "\xef\xbf\xbd", 3) == 0;
}

/* Byte fallback judges a run of such tokens as a whole. */
static bool is_byte(const struct att_tokenizer *tokenizer, int32_t id)
{
    const char *token = att_tokenizer_token(tokenizer, id);
    return token && strlen(token) == 6 && memcmp(token, "<0x", 3) == 0;
}

/* Moves the window on: it begins with the ids that were new, whose own text must be whole and not empty, so that what
 * is decoded behind it is neither a first token nor the rest of a character. */
static enum att_status move(struct att_decoding *decoding, const struct att_tokenizer *tokenizer, const int32_t *ids,
                            size_t count, struct att_err *err)
{
    char *lead = NULL;
    size_t len = 0;
    enum att_status status =
        att_tokenizer_decode(tokenizer, ids + decoding->known, count - decoding->known, true, &lead, &len, err);
    if (status != ATT_OK)
        return status;
    if (len == 0 || is_broken(lead, len)) {
        att_mem_free(lead);
        return ATT_OK;
    }
    att_mem_free(decoding->lead);
    decoding->lead = lead;
    decoding->lead_len = len;
    decoding->begin = decoding->known;
    decoding->known = count;
    decoding->kept = decoding->len;
    return ATT_OK;
}

enum att_status att_decoding_update(struct att_decoding *decoding, const struct att_tokenizer *tokenizer,
                                    const int32_t *ids, size_t count, struct att_err *err)
{
    assert(count >= decoding->known);
    char *window = NULL;
    size_t len = 0, lead = decoding->lead_len, kept = decoding->kept;
    enum att_status status =
        att_tokenizer_decode(tokenizer, ids + decoding->begin, count - decoding->begin, true, &window, &len, err);
    if (status == ATT_OK && (len < lead || (lead > 0 && memcmp(window, decoding->lead, lead) != 0))) {
        att_mem_free(window);
        window = NULL;
        status = att_tokenizer_decode(tokenizer, ids, count, true, &window, &len, err);
        lead = kept = 0;
        decoding->begin = decoding->known = decoding->kept = decoding->lead_len = 0;
    }
    if (status == ATT_OK)
        status = put(decoding, kept, window + lead, len - lead, err);
    att_mem_free(window);
    if (status == ATT_OK && count > decoding->known && !is_byte(tokenizer, ids[count - 1]) &&
        !is_broken(decoding->text, decoding->len))
        status = move(decoding, tokenizer, ids, count, err);
    return status;
}
