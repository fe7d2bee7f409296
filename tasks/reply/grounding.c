/* Signs that a written text is not from its sources; see grounding.h. */
#include "tasks/reply/grounding.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/utf8.h"

enum { NUMBER_MAX = 32, ADDRESS_MAX = 256 }; /* longer ones are nobody's */

struct found {
    char key[ADDRESS_MAX]; /* what is compared */
    size_t len;            /* more than fits: too long */
};
/* Finds the next number or address from *at on: its first byte, or len; *at moves behind it. */
typedef size_t find_next(const char *text, size_t len, size_t *at, struct found *found);

static void put(struct found *found, char c)
{
    if (found->len < sizeof found->key)
        found->key[found->len] = c;
    found->len++;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* ---- numbers ---- */

/* The digit at *at, and *at behind it; or -1, and *at stays. */
static int digit_at(const char *text, size_t len, size_t *at)
{
    if (*at < len && is_digit(text[*at]))
        return text[(*at)++] - '0';
    if (len - *at < 3 || (unsigned char)text[*at] != 0xef) /* U+FF10 is ef bc 90 */
        return -1;
    size_t next = *at;
    uint32_t c = att_utf8_next(text, len, &next);
    if (c < 0xff10 || c > 0xff19)
        return -1;
    *at = next;
    return (int)(c - 0xff10);
}

/* Whether three digits and no fourth follow: the comma before them parts thousands. */
static bool thousands_follow(const char *text, size_t len, size_t at)
{
    size_t count = 0;
    while (count < 4 && digit_at(text, len, &at) >= 0)
        count++;
    return count == 3;
}

/* Of "3.50" the 0 says nothing, of "1.2.30" it does. */
static void drop_last_zeros(struct found *number)
{
    const char *point = memchr(number->key, '.', number->len < NUMBER_MAX ? number->len : NUMBER_MAX);
    if (!point || number->len > NUMBER_MAX || memchr(point + 1, '.', number->len - (size_t)(point + 1 - number->key)))
        return;
    while (number->key[number->len - 1] == '0')
        number->len--;
    if (number->key[number->len - 1] == '.')
        number->len--;
}

static size_t next_number(const char *text, size_t len, size_t *at, struct found *number)
{
    size_t begin = *at;
    int digit = -1;
    number->len = 0;
    while (begin < len && (digit = digit_at(text, len, at)) < 0)
        begin = ++*at;
    while (digit >= 0) {
        put(number, (char)('0' + digit));
        size_t next = *at + 1;
        digit = digit_at(text, len, at);
        if (digit >= 0 || *at >= len || (text[*at] != '.' && text[*at] != ','))
            continue;
        bool is_point = text[*at] == '.';
        if ((is_point || thousands_follow(text, len, next)) && (digit = digit_at(text, len, &next)) >= 0) {
            if (is_point)
                put(number, '.');
            *at = next;
        }
    }
    drop_last_zeros(number);
    return begin;
}

/* "2." or "2)" that begins a line, as the list's second: it says nothing. */
static bool is_line_number(const char *text, size_t len, size_t begin, size_t end, const struct found *number,
                           size_t line)
{
    char expected[24];
    int digits = snprintf(expected, sizeof expected, "%zu", line);
    while (begin > 0 && text[begin - 1] == ' ')
        begin--;
    return (begin == 0 || text[begin - 1] == '\n') && len - end > 1 && (text[end] == '.' || text[end] == ')') &&
           text[end + 1] == ' ' && number->len == (size_t)digits && memcmp(number->key, expected, number->len) == 0;
}

/* ---- addresses ---- */

static bool is_address_byte(char c)
{
    return is_letter(c) || is_digit(c) || (c != '\0' && strchr("@._-+/:%?&=#~", c));
}

/* A point between letters or digits with small letters behind it, as no sentence ends. */
static bool has_domain(const char *run, size_t len)
{
    for (size_t i = 1; i + 2 < len; i++)
        if (run[i] == '.' && (is_letter(run[i - 1]) || is_digit(run[i - 1])) && run[i + 1] >= 'a' &&
            run[i + 1] <= 'z' && run[i + 2] >= 'a' && run[i + 2] <= 'z')
            return true;
    return false;
}

static bool is_address(const char *run, size_t len)
{
    for (size_t i = 1; i + 1 < len; i++)
        if (run[i] == '@' || (i + 2 < len && memcmp(run + i, "://", 3) == 0))
            return true;
    return has_domain(run, len);
}

static size_t next_address(const char *text, size_t len, size_t *at, struct found *address)
{
    while (*at < len) {
        while (*at < len && !is_letter(text[*at]) && !is_digit(text[*at]))
            ++*at;
        size_t begin = *at, end;
        while (*at < len && is_address_byte(text[*at]))
            ++*at;
        for (end = *at; end > begin && !is_letter(text[end - 1]) && !is_digit(text[end - 1]); end--)
            ;
        for (size_t i = begin; i < end; i++) /* "mail:help@shop.example", "site=www.shop.example" */
            if ((text[i] == ':' && end - i > 1 && text[i + 1] != '/' && !is_digit(text[i + 1])) || text[i] == '=')
                begin = memchr(text + begin, '?', i - begin) ? begin : i + 1;
        if (end > begin && is_address(text + begin, end - begin)) {
            address->len = 0;
            for (size_t i = begin; i < end; i++)
                put(address, (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]));
            return begin;
        }
    }
    return len;
}

/* ---- all of a text ---- */

static bool is_said(const struct task_source *sources, size_t n_sources, find_next *next, size_t most,
                    const struct found *wanted)
{
    struct found other;
    if (wanted->len > most)
        return false;
    for (size_t i = 0; i < n_sources; i++) {
        size_t at = 0;
        while (next(sources[i].text, sources[i].len, &at, &other) < sources[i].len)
            if (other.len == wanted->len && memcmp(other.key, wanted->key, other.len) == 0)
                return true;
    }
    return false;
}

bool task_grounding_foreign(const char *text, size_t len, const struct task_source *sources, size_t n_sources,
                            size_t *ret_begin, size_t *ret_end)
{
    struct found found;
    size_t at = 0, line = 1;
    while ((*ret_begin = next_number(text, len, &at, &found)) < len) {
        *ret_end = at;
        if (is_line_number(text, len, *ret_begin, at, &found, line))
            line++;
        else if (!is_said(sources, n_sources, next_number, NUMBER_MAX, &found))
            return true;
    }
    at = 0;
    while ((*ret_begin = next_address(text, len, &at, &found)) < len) {
        *ret_end = *ret_begin + found.len;
        if (!is_said(sources, n_sources, next_address, ADDRESS_MAX, &found))
            return true;
    }
    return false;
}

/* The n-grams of texts of any length, sorted: in pieces of as many bytes as have STORE_GRAMS_MAX at most, cut between
 * words where there is a blank. NULL when memory is out. */
static uint32_t *all_grams(struct att_arena *arena, const struct task_source *texts, size_t n_texts, size_t *ret_count)
{
    enum { PIECE = STORE_GRAMS_MAX - 1, BLANK = 64 };
    size_t room = 0, count = 0;
    for (size_t i = 0; i < n_texts; i++)
        room += texts[i].len / (PIECE - BLANK) + 1;
    uint32_t *grams = att_arena_alloc(arena, room, STORE_GRAMS_MAX * sizeof *grams);
    for (size_t i = 0; grams && i < n_texts; i++) {
        const char *text = texts[i].text;
        for (size_t begin = 0, end; begin < texts[i].len; begin = end) {
            end = texts[i].len;
            if (end - begin > PIECE) {
                size_t cut = end = begin + PIECE;
                while (cut > end - BLANK && text[cut] != ' ')
                    cut--;
                end = text[cut] == ' ' ? cut : end;
                while ((text[end] & 0xc0) == 0x80 && end > cut) /* no half character */
                    end--;
            }
            count += store_grams(text + begin, end - begin, grams + count);
        }
    }
    *ret_count = grams ? store_grams_distinct(grams, count) : 0;
    return grams;
}

enum att_status task_grounding_cover(struct att_arena *arena, const struct store_idf *idf, struct task_source text,
                                     const struct task_source *questions, size_t n_questions,
                                     const struct task_source *facts, size_t n_facts, double *ret_cover,
                                     struct att_err *err)
{
    size_t n_own = 0, n_asked = 0, n_known = 0, n = 0;
    uint32_t *own = all_grams(arena, &text, 1, &n_own);
    const uint32_t *asked = all_grams(arena, questions, n_questions, &n_asked);
    const uint32_t *known = all_grams(arena, facts, n_facts, &n_known);
    if (!own || !asked || !known)
        return att_err_set(err, ATT_ENOMEM, "out of memory for the reply");
    for (size_t i = 0; i < n_own; i++)
        if (!store_grams_has(asked, n_asked, own[i]) || store_grams_has(known, n_known, own[i]))
            own[n++] = own[i];
    float cover = store_grams_cover(idf, own, n, store_grams_norm(idf, own, n), known, n_known);
    *ret_cover = fmin(1, round(1000 * (double)cover) / 1000);
    return ATT_OK;
}
