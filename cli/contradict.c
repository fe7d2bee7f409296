/* See contradict.h. Words are looked for in English and Chinese. */
#include "cli/contradict.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { NUMBERS_MAX = 64, NUMBER_BYTES = 24 };

struct numbers {
    char items[NUMBERS_MAX][NUMBER_BYTES];
    size_t count;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool has(const struct numbers *numbers, const char *item)
{
    for (size_t i = 0; i < numbers->count; i++)
        if (strcmp(numbers->items[i], item) == 0)
            return true;
    return false;
}

/* "1,250.50" is read as 1250.50, "07" as 7, "3.0" as 3. */
static void take_numbers(const char *text, struct numbers *numbers)
{
    numbers->count = 0;
    for (const char *at = text; *at && numbers->count < NUMBERS_MAX;) {
        char *item = numbers->items[numbers->count];
        size_t len = 0;
        bool fraction = false;
        if (!is_digit(*at)) {
            at++;
            continue;
        }
        while (*at == '0' && is_digit(at[1]))
            at++;
        for (; is_digit(*at) || ((*at == '.' || *at == ',') && is_digit(at[1])); at++) {
            fraction |= *at == '.';
            if (*at != ',' && len + 1 < NUMBER_BYTES)
                item[len++] = *at;
        }
        while (fraction && len > 1 && item[len - 1] == '0')
            len--;
        if (len > 0 && item[len - 1] == '.')
            len--;
        item[len] = '\0';
        if (!has(numbers, item))
            numbers->count++;
    }
}

/* Whether each has a number that the other lacks. */
static bool numbers_differ(const struct numbers *a, const struct numbers *b)
{
    bool a_alone = false, b_alone = false;
    for (size_t i = 0; i < a->count; i++)
        a_alone |= !has(b, a->items[i]);
    for (size_t i = 0; i < b->count; i++)
        b_alone |= !has(a, b->items[i]);
    return a_alone && b_alone;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '\'';
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

const char *cli_contradict(const char *a, const char *b)
{
    struct numbers in_a, in_b;
    take_numbers(a, &in_a);
    take_numbers(b, &in_b);
    if (numbers_differ(&in_a, &in_b))
        return "numbers";
    return denies(a) != denies(b) ? "negation" : NULL;
}
