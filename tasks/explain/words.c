/* Joining pieces, and cutting words out; see words.h. */
#include "tasks/explain/words.h"

#include <string.h>

#include "core/base/utf8.h"

static bool in_ranges(uint32_t c, const uint32_t (*ranges)[2], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return false;
}

/* A letter or digit of a script that puts blanks between its words. */
static bool is_spaced_letter(uint32_t c)
{
    static const uint32_t others[][2] = {
        {0x80, 0xbf},     {0xd7, 0xd7},     {0xf7, 0xf7},     {0x0e00, 0x0eff},
        {0x1000, 0x109f}, /* Thai, Lao, Burmese */
        {0x1780, 0x17ff}, /* Khmer */
        {0x2000, 0x2bff}, /* symbols */
        {0x2e00, 0x31ff}, {0x3200, 0x9fff}, {0xf900, 0xfaff}, {0xfe30, 0xfe4f},
        {0xff00, 0xff0f}, /* CJK, kana */
        {0xff1a, 0xff20}, {0xff3b, 0xff40}, {0xff5b, 0xffff}, {0x1f000, 0x3ffff},
    };
    if (c < 0x80)
        return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    return !in_ranges(c, others, sizeof others / sizeof *others);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool letter_at(const char *text, size_t len, size_t at)
{
    return at < len && is_spaced_letter(att_utf8_next(text, len, &at));
}

static bool letter_before(const char *text, size_t len, size_t at)
{
    if (at == 0)
        return false;
    do {
        at--;
    } while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80);
    return is_spaced_letter(att_utf8_next(text, len, &at));
}

/* Whether a token goes on with the word that ends at `end`. WordPiece says so itself ("##"). */
static bool continues(const struct att_tokenizer *tokenizer, const char *text, size_t len,
                      const struct att_token *token, const struct att_token *before, uint32_t end)
{
    const char *piece = att_tokenizer_token(tokenizer, token->id);
    if (token->start == before->start || token->start < end)
        return true; /* two tokens of one character */
    if (token->start != end)
        return false;
    return (piece && strncmp(piece, "##", 2) == 0) || (letter_before(text, len, end) && letter_at(text, len, end));
}

size_t task_words_find(const struct att_tokenizer *tokenizer, const char *text, size_t len,
                       const struct att_token *tokens, size_t count, bool second, struct task_word *words)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct task_word *last = &words[n - (n > 0)];
        if (n > 0 && continues(tokenizer, text, len, &tokens[i], &tokens[i - 1], last->end)) {
            last->end = tokens[i].end > last->end ? tokens[i].end : last->end;
            last->count++;
        } else {
            words[n++] = (struct task_word){tokens[i].start, tokens[i].end, (uint32_t)i, 1, second};
        }
    }
    for (size_t i = 0; i < n; i++) /* some tokenizers count the blank before a word to it */
        while (words[i].start + 1 < words[i].end && is_blank(text[words[i].start]))
            words[i].start++;
    return n;
}

size_t task_words_group(struct task_word *words, size_t count, size_t max)
{
    size_t size = (count + max - 1) / max, n = 0, joined = 0;
    if (size > 1 && max > 1) /* one more where two texts meet */
        size = (count + max - 2) / (max - 1);
    for (size_t i = 0; i < count; i++) {
        struct task_word *last = &words[n - (n > 0)];
        if (n > 0 && joined < size && last->second == words[i].second) {
            last->end = words[i].end;
            last->count = words[i].first + words[i].count - last->first;
            joined++;
        } else {
            words[n++] = words[i];
            joined = 1;
        }
    }
    return n;
}

size_t task_words_leave_out(const char *text, size_t len, bool second, const struct task_word *words, size_t count,
                            const bool *out, char *copy)
{
    size_t at = 0, n = 0;
    for (size_t i = 0; i < count; i++) {
        if (words[i].second != second || !out[i])
            continue;
        size_t start = words[i].start > at ? words[i].start : at, end = words[i].end > start ? words[i].end : start;
        memcpy(copy + n, text + at, start - at);
        n += start - at;
        at = end;
        if (at < len && is_blank(text[at]) && (n == 0 || is_blank(copy[n - 1])))
            at++;
        else if (letter_before(copy, n, n) && letter_at(text, len, at) && (i + 1 == count || !out[i + 1]))
            copy[n++] = ' ';
    }
    memcpy(copy + n, text + at, len - at);
    return n + len - at;
}
