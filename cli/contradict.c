/* See contradict.h. Words are looked for in English and Chinese. */
#include "cli/contradict.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { NUMBERS_MAX = 64, NUMBER_BYTES = 24, UNIT_BYTES = 16, WORDS_MAX = 256, WORD_BYTES = 24 };
static const double alike = 0.6; /* of the words of the shorter answer: they speak of the same */

/* A number and what it counts: the word behind it, or the sign. */
struct number {
    char digits[NUMBER_BYTES], unit[UNIT_BYTES];
};

struct numbers {
    struct number items[NUMBERS_MAX];
    size_t count;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '\'';
}

/* Bytes of the character at `at`. */
static size_t character(const char *at)
{
    unsigned char c = (unsigned char)*at;
    size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4, n = 1;
    while (n < len && ((unsigned char)at[n] & 0xc0) == 0x80)
        n++;
    return n;
}

/* The word behind a number, in small letters and without the s of many; or one character of another script. */
static void take_unit(const char *at, char unit[UNIT_BYTES])
{
    size_t len = 0;
    while (*at == ' ')
        at++;
    if (strncmp(at, "个", strlen("个")) == 0) /* counts anything */
        at += strlen("个");
    if ((unsigned char)*at >= 0x80) {
        memcpy(unit, at, len = character(at));
    } else if (*at == '%') {
        unit[len++] = '%';
    } else {
        for (; is_letter(*at) && len + 1 < UNIT_BYTES; at++)
            unit[len++] = (char)(*at | 0x20);
        len -= len > 1 && unit[len - 1] == 's';
    }
    unit[len] = '\0';
}

/* "1,250.50" is read as 1250.50, "07" as 7, "3.0" as 3; returns what follows. */
static const char *take_number(const char *at, char digits[NUMBER_BYTES])
{
    size_t len = 0;
    bool fraction = false;
    while (*at == '0' && is_digit(at[1]))
        at++;
    for (; is_digit(*at) || ((*at == '.' || *at == ',') && is_digit(at[1])); at++) {
        fraction |= *at == '.';
        if (*at != ',' && len + 1 < NUMBER_BYTES)
            digits[len++] = *at;
    }
    while (fraction && len > 1 && digits[len - 1] == '0')
        len--;
    if (len > 0 && digits[len - 1] == '.')
        len--;
    digits[len] = '\0';
    return at;
}

/* Bytes of what stands between the ends of a range, "3-5"; 0: it is none. */
static size_t range_sign(const char *at)
{
    static const char *const signs[] = {"-", "–", "~", "至", "到"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (strncmp(at, signs[i], strlen(signs[i])) == 0 && is_digit(at[strlen(signs[i])]))
            return strlen(signs[i]);
    return 0;
}

static void take_numbers(const char *text, struct numbers *numbers)
{
    size_t waiting = 0; /* how many before this one share its unit: "3-5 days" */
    numbers->count = 0;
    for (const char *at = text; *at && numbers->count < NUMBERS_MAX;) {
        if (!is_digit(*at)) {
            at++;
            continue;
        }
        struct number *item = &numbers->items[numbers->count++];
        at = take_number(at, item->digits);
        take_unit(at, item->unit);
        for (size_t i = 1; i <= waiting; i++)
            memcpy(item[-(ptrdiff_t)i].unit, item->unit, UNIT_BYTES);
        size_t sign = range_sign(at);
        waiting = sign > 0 ? waiting + 1 : 0;
        at += sign;
    }
}

static bool has(const struct numbers *numbers, const struct number *item)
{
    for (size_t i = 0; i < numbers->count; i++)
        if (strcmp(numbers->items[i].digits, item->digits) == 0 && strcmp(numbers->items[i].unit, item->unit) == 0)
            return true;
    return false;
}

/* Whether each has a number that the other lacks, of the same things. */
static bool numbers_differ(const struct numbers *a, const struct numbers *b)
{
    for (size_t i = 0; i < a->count; i++)
        for (size_t k = 0; k < b->count; k++)
            if (strcmp(a->items[i].unit, b->items[k].unit) == 0 && !has(b, &a->items[i]) && !has(a, &b->items[k]))
                return true;
    return false;
}

static bool denies(const char *text)
{
    static const char *const words[] = {"no",    "not",   "never", "cannot", "none",   "without", "unable",
                                        "don't", "can't", "won't", "isn't",  "aren't", "doesn't", "didn't"};
    static const char *const parts[] = {"不", "没", "无法", "未", "勿", "禁止"};
    /* 不 within these denies nothing. */
    static const char *const harmless[] = {"不过", "不仅", "不但", "不久", "不论", "不管", "差不多"};
    for (const char *at = text; *at;) {
        size_t len = 0, skip = 0;
        while (is_letter(at[len]))
            len++;
        for (size_t i = 0; len > 0 && i < sizeof words / sizeof *words; i++)
            if (strlen(words[i]) == len && strncasecmp(at, words[i], len) == 0)
                return true;
        for (size_t i = 0; len == 0 && i < sizeof harmless / sizeof *harmless; i++)
            if (strncmp(at, harmless[i], strlen(harmless[i])) == 0)
                skip = strlen(harmless[i]);
        for (size_t i = 0; len == 0 && skip == 0 && i < sizeof parts / sizeof *parts; i++)
            if (strncmp(at, parts[i], strlen(parts[i])) == 0)
                return true;
        at += len > 0 ? len : skip > 0 ? skip : 1;
    }
    return false;
}

/* The words of a text, those that deny without their denial: "cannot" is "can". Of scripts without blanks each
 * character is a word. */
static size_t take_words(const char *text, char words[WORDS_MAX][WORD_BYTES])
{
    size_t count = 0;
    for (const char *at = text; *at && count < WORDS_MAX;) {
        char word[WORD_BYTES];
        size_t len = 0, n = 0;
        for (; is_letter(at[n]); n++)
            if (len + 1 < WORD_BYTES)
                word[len++] = (char)(at[n] | 0x20);
        if (n == 0) {
            n = character(at);
            if (n >= 3)
                memcpy(word, at, len = n);
        }
        at += n;
        if (len > 3 && memcmp(word + len - 3, "n\'t", 3) == 0)
            len -= memcmp(word, "can", 3) == 0 && len == 5 ? 2 : 3;
        else if (len == 6 && memcmp(word, "cannot", 6) == 0)
            len = 3;
        word[len] = '\0';
        bool known = len == 0 || strcmp(word, "not") == 0 || strcmp(word, "no") == 0;
        for (size_t i = 0; i < count && !known; i++)
            known = strcmp(words[i], word) == 0;
        if (!known)
            memcpy(words[count++], word, len + 1);
    }
    return count;
}

/* Whether most words of the shorter stand in the longer. */
static bool speak_of_the_same(const char *a, const char *b)
{
    char of_a[WORDS_MAX][WORD_BYTES], of_b[WORDS_MAX][WORD_BYTES];
    size_t n_a = take_words(a, of_a), n_b = take_words(b, of_b), shared = 0;
    for (size_t i = 0; i < n_a; i++)
        for (size_t k = 0; k < n_b; k++)
            shared += strcmp(of_a[i], of_b[k]) == 0;
    return (double)shared >= alike * (double)(n_a < n_b ? n_a : n_b);
}

const char *cli_contradict(const char *a, const char *b)
{
    struct numbers in_a, in_b;
    take_numbers(a, &in_a);
    take_numbers(b, &in_b);
    if (numbers_differ(&in_a, &in_b))
        return "numbers";
    return denies(a) != denies(b) && speak_of_the_same(a, b) ? "negation" : NULL;
}
