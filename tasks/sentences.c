/* See sentences.h. */
#include "tasks/sentences.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/base/utf8.h"

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

/* A full stop behind one letter, or behind a short word that is no word: it goes on. */
static bool is_abbreviation(const char *text, size_t begin, size_t stop)
{
    static const char *const words[] = {"e.g", "i.e", "etc", "no", "mr",     "mrs",
                                        "ms",  "dr",  "st",  "vs", "approx", "inc"};
    size_t from = stop;
    while (from > begin && !is_space((unsigned char)text[from - 1]) && text[from - 1] != '(')
        from--;
    size_t len = stop - from;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t at = 0;
        while (at < len && words[i][at] && (text[from + at] | 0x20) == (words[i][at] | 0x20))
            at++;
        if (at == len && !words[i][at])
            return true;
    }
    return len == 1 && ((text[from] >= 'A' && text[from] <= 'Z') || is_lower(text[from]));
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
    while (at < len) {
        size_t mark = at;
        uint32_t c = att_utf8_next(text, len, &at);
        bool narrow = c == '.' || c == '!' || c == '?' || c == ';', wide = ends_wide(c), line = c == '\n';
        if (mark == begin && is_space(c)) {
            begin = at;
            continue;
        }
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
        if ((narrow && !spaced) || (c == '.' && is_abbreviation(text, begin, mark)))
            continue;
        size_t stop = trimmed_end(text, begin, line ? mark : end);
        if (stop > begin && count + 1 < max)
            sentences[count++] = (struct task_sentence){begin, stop};
        else if (stop > begin)
            break; /* the rest is one */
        begin = at = end;
    }
    size_t stop = trimmed_end(text, begin, len);
    if (stop > begin && max > 0)
        sentences[count++] = (struct task_sentence){begin, stop};
    return count;
}
