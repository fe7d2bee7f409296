/* See sentences.h. */
#include "tasks/sentences.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/base/utf8.h"

enum { VERB_LETTERS_MIN = 4 }; /* headlines write shorter words small that are none: "of", "and" */

static bool is_space(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0 || c == 0x3000;
}

static bool closes(uint32_t c)
{
    return c == '"' || c == '\'' || c == ')' || c == ']' || c == 0x201d || c == 0x2019 || c == 0x300d || c == 0x300f ||
           c == 0xff09 || c == 0xbb;
}

static bool ends_wide(uint32_t c)
{
    return c == 0x3002 || c == 0xff01 || c == 0xff1f || c == 0xff1b || c == 0x2026;
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* ---- abbreviations ---- */

/* Never the last word. */
static const char *const titles[] = {"e.g",  "i.e", "etc", "no",  "mr",     "mrs", "ms",     "dr", "st",
                                     "prof", "sen", "gov", "gen", "messrs", "vs",  "approx", NULL};
/* May be the last word. */
static const char *const suffixes[] = {"inc", "co",  "corp", "cos", "ltd", "llc",  "plc", "bros", "jr",  "sr",
                                       "a.m", "p.m", "jan",  "feb", "aug", "sept", "oct", "nov",  "dec", NULL};
/* What goes on behind a company's name or a time, capital or not. */
static const char *const followers[] = {
    "chief", "ceo",      "cfo",      "coo",       "cto",       "chair",    "chairman",   "chairwoman", "president",
    "vice",  "senior",   "managing", "executive", "director",  "founder",  "co-founder", "class",      "series",
    "group", "holdings", "monday",   "tuesday",   "wednesday", "thursday", "friday",     "saturday",   "sunday",
    "et",    "est",      "edt",      "eastern",   "gmt",       NULL};
/* What begins a sentence behind "U.S.", where a capital alone says nothing: "U.S. Treasury". */
static const char *const starters[] = {
    "the",   "a",     "an",   "it",     "its",    "he",       "she",       "they",      "we",      "this",
    "that",  "these", "in",   "on",     "at",     "for",      "but",       "and",       "as",      "if",
    "after", "while", "when", "shares", "stocks", "analysts", "investors", "meanwhile", "however", NULL};

static bool is_one_of(const char *word, size_t len, const char *const *words)
{
    for (; *words; words++) {
        size_t at = 0;
        while (at < len && (*words)[at] && (word[at] | 0x20) == ((*words)[at] | 0x20))
            at++;
        if (at == len && !(*words)[at])
            return true;
    }
    return false;
}

static bool is_letter(char c)
{
    return is_lower(c) || is_upper(c);
}

/* "U", "U.S", "N.Y". */
static bool is_initials(const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (i % 2 == 0 ? !is_letter(word[i]) : word[i] != '.')
            return false;
    return len % 2 == 1;
}

/* The first word from `at` on, behind spaces and an opening quote; its length, 0 where none begins with a capital. */
static size_t capital_word(const char *text, size_t len, size_t at, const char **ret_word)
{
    for (size_t next = at; next < len; at = next) {
        uint32_t c = att_utf8_next(text, len, &next);
        if (!is_space(c) && c != '"' && c != 0x201c)
            break;
    }
    size_t end = at;
    while (end < len && (is_letter(text[end]) || text[end] == '-'))
        end++;
    *ret_word = text + at;
    return end > at && is_upper(text[at]) ? end - at : 0;
}

/* Whether the full stop at `stop` belongs to a short word and the sentence goes on. A capital behind it begins the next
 * one where this one can be whole: "Boeing Co. Shares Plunge" has no verb before. */
static bool is_abbreviation(const char *text, size_t len, size_t begin, size_t stop, size_t end, bool has_verb)
{
    size_t from = stop;
    while (from > begin && !is_space((unsigned char)text[from - 1]) && text[from - 1] != '(')
        from--;
    const char *word = text + from, *next = NULL;
    size_t word_len = stop - from, next_len = capital_word(text, len, end, &next);
    if (is_one_of(word, word_len, titles))
        return true;
    bool may_end = is_one_of(word, word_len, suffixes), initials = is_initials(word, word_len);
    if (word_len == 1 || next_len == 0 || !has_verb)
        return may_end || initials;
    if (may_end)
        return is_one_of(next, next_len, followers) || is_one_of(next, next_len, suffixes);
    return initials && !is_one_of(next, next_len, starters);
}

static size_t trimmed_end(const char *text, size_t begin, size_t end)
{
    while (end > begin && (text[end - 1] == ' ' || (text[end - 1] >= '\t' && text[end - 1] <= '\r')))
        end--;
    return end;
}

size_t task_sentences_split(const char *text, size_t len, struct task_sentence *sentences, size_t max)
{
    size_t count = 0, begin = 0, at = 0;
    size_t small = 0;      /* letters so far of a word of small letters */
    bool has_verb = false; /* as far as the length of such a word tells */
    while (at < len) {
        size_t mark = at;
        uint32_t c = att_utf8_next(text, len, &at);
        bool narrow = c == '.' || c == '!' || c == '?' || c == ';', wide = ends_wide(c), line = c == '\n';
        if (mark == begin && is_space(c)) {
            begin = at;
            continue;
        }
        bool first = mark == begin || is_space((unsigned char)text[mark - 1]);
        small = is_lower(text[mark]) && (first || small > 0) ? small + 1 : 0;
        has_verb = has_verb || small == VERB_LETTERS_MIN;
        if (!narrow && !wide && !line)
            continue;
        size_t end = at;
        while (end < len) { /* the marks and closing quotes that belong to it */
            size_t next = end;
            uint32_t more = att_utf8_next(text, len, &next);
            if (!closes(more) && !ends_wide(more) && more != '!' && more != '?')
                break;
            end = next;
        }
        bool spaced = end == len || is_space((unsigned char)text[end]);
        if ((narrow && !spaced) || (c == '.' && is_abbreviation(text, len, begin, mark, end, has_verb)))
            continue;
        size_t stop = trimmed_end(text, begin, line ? mark : end);
        if (stop > begin && count + 1 < max)
            sentences[count++] = (struct task_sentence){begin, stop};
        else if (stop > begin)
            break; /* the rest is one */
        begin = at = end;
        has_verb = false;
    }
    size_t stop = trimmed_end(text, begin, len);
    if (stop > begin && max > 0)
        sentences[count++] = (struct task_sentence){begin, stop};
    return count;
}
