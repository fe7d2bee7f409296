/* Signs that a written text is not from its sources; see grounding.h. */
#include "tasks/reply/grounding.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "core/base/utf8.h"

enum { DIGITS_MAX = 32 }; /* of a number; what is longer is compared by these */

/* ---- numbers ---- */

/* The digit that the character at *at is, and *at behind it; or -1, and *at stays. */
static int digit_at(const char *text, size_t len, size_t *at)
{
    size_t next = *at;
    if (next >= len)
        return -1;
    uint32_t c = att_utf8_next(text, len, &next);
    if (c >= 0xff10 && c <= 0xff19)
        c -= 0xff10 - '0';
    if (c < '0' || c > '9')
        return -1;
    *at = next;
    return (int)(c - '0');
}

/* Whether three digits and no fourth follow: the comma before them parts thousands. */
static bool thousands_follow(const char *text, size_t len, size_t at)
{
    size_t count = 0;
    while (count < 4 && digit_at(text, len, &at) >= 0)
        count++;
    return count == 3;
}

/* Reads a number whose first digit is at *at, without its thousands' commas; *at moves behind it. */
static size_t read_number(const char *text, size_t len, size_t *at, char number[DIGITS_MAX])
{
    size_t count = 0;
    for (;;) {
        int digit = digit_at(text, len, at);
        size_t next = *at + 1;
        if (digit >= 0) {
            number[count < DIGITS_MAX ? count++ : DIGITS_MAX - 1] = (char)('0' + digit);
            continue;
        }
        if (*at >= len || (text[*at] != '.' && text[*at] != ',') || digit_at(text, len, &next) < 0)
            return count;
        if (text[*at] == '.' || !thousands_follow(text, len, *at + 1))
            number[count < DIGITS_MAX ? count++ : DIGITS_MAX - 1] = '.';
        ++*at;
    }
}

/* The next number from *at on: its first byte, or len. */
static size_t next_number(const char *text, size_t len, size_t *at, char number[DIGITS_MAX], size_t *ret_count)
{
    while (*at < len) {
        size_t begin = *at, next = *at;
        if (digit_at(text, len, &next) >= 0) {
            *ret_count = read_number(text, len, at, number);
            return begin;
        }
        (void)att_utf8_next(text, len, at);
    }
    return len;
}

static bool source_has_number(const struct task_source *source, const char *number, size_t count)
{
    char other[DIGITS_MAX];
    size_t at = 0, n = 0;
    while (next_number(source->text, source->len, &at, other, &n) < source->len)
        if (n == count && memcmp(other, number, n) == 0)
            return true;
    return false;
}

/* "2." or "2)" at the begin of a line counts the lines, and says nothing. */
static bool is_line_number(const char *text, size_t len, size_t begin, size_t end)
{
    while (begin > 0 && text[begin - 1] == ' ')
        begin--;
    return (begin == 0 || text[begin - 1] == '\n') && end + 1 < len && (text[end] == '.' || text[end] == ')') &&
           text[end + 1] == ' ';
}

/* ---- addresses ---- */

static bool has(const char *text, size_t len, const char *part, size_t part_len)
{
    for (size_t i = 0; i + part_len <= len; i++)
        if (strncasecmp(text + i, part, part_len) == 0)
            return true;
    return false;
}

static bool is_address(const char *word, size_t len)
{
    return memchr(word + 1, '@', len - 1) || has(word, len, "://", 3) || (len > 4 && strncasecmp(word, "www.", 4) == 0);
}

/* The next word between white space from *at on, without punctuation around it: its first byte, or len. */
static size_t next_word(const char *text, size_t len, size_t *at, size_t *ret_end)
{
    while (*at < len && !isalnum((unsigned char)text[*at]))
        ++*at;
    size_t begin = *at;
    while (*at < len && !isspace((unsigned char)text[*at]) && !((unsigned char)text[*at] & 0x80))
        ++*at;
    *ret_end = *at;
    while (*ret_end > begin && !isalnum((unsigned char)text[*ret_end - 1]) && text[*ret_end - 1] != '/')
        --*ret_end;
    return begin;
}

/* ---- all of a text ---- */

bool task_grounding_foreign(const char *text, size_t len, const struct task_source *sources, size_t n_sources,
                            size_t *ret_begin, size_t *ret_end)
{
    char number[DIGITS_MAX];
    size_t at = 0, count = 0;
    for (size_t begin; (begin = next_number(text, len, &at, number, &count)) < len;) {
        bool found = is_line_number(text, len, begin, at);
        for (size_t i = 0; !found && i < n_sources; i++)
            found = source_has_number(&sources[i], number, count);
        *ret_begin = begin;
        *ret_end = at;
        if (!found)
            return true;
    }
    at = 0;
    for (size_t begin; (begin = next_word(text, len, &at, ret_end)) < len;) {
        bool found = !is_address(text + begin, *ret_end - begin);
        for (size_t i = 0; !found && i < n_sources; i++)
            found = has(sources[i].text, sources[i].len, text + begin, *ret_end - begin);
        *ret_begin = begin;
        if (!found)
            return true;
    }
    return false;
}

static bool contains(const uint32_t *sorted, size_t count, uint32_t gram)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted[middle] < gram)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && sorted[low] == gram;
}

enum att_status task_grounding_cover(struct att_arena *arena, const struct store_idf *idf, struct task_source text,
                                     struct task_source question, const struct task_source *facts, size_t n_facts,
                                     float *ret_cover, struct att_err *err)
{
    uint32_t *own = att_arena_alloc(arena, n_facts + 2, STORE_GRAMS_MAX * sizeof *own);
    if (!own)
        return att_err_set(err, ATT_ENOMEM, "out of memory for the reply");
    uint32_t *asked = own + STORE_GRAMS_MAX, *known = asked + STORE_GRAMS_MAX;
    size_t n_own = store_grams(text.text, text.len, own), n_asked = store_grams(question.text, question.len, asked);
    size_t n_known = 0, n = 0;
    for (size_t i = 0; i < n_facts; i++)
        n_known += store_grams(facts[i].text, facts[i].len, known + n_known);
    n_known = store_grams_distinct(known, n_known);
    for (size_t i = 0; i < n_own; i++)
        if (!contains(asked, n_asked, own[i]) || contains(known, n_known, own[i]))
            own[n++] = own[i];
    *ret_cover = store_grams_cover(idf, own, n, store_grams_norm(idf, own, n), known, n_known);
    return ATT_OK;
}
