/* Escaping for HTML and Markdown; the buffer is the one that answers are written into. */
#include "news/page.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/utf8.h"

enum { LINE_BYTES = 512, URL_BYTES_MAX = 2000 };

void news_put(struct att_jsonw *w, const char *text)
{
    att_jsonw_append(w, text, strlen(text));
}

void news_putf(struct att_jsonw *w, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    att_jsonw_append(w, line, len < 0 ? 0 : len < LINE_BYTES ? (size_t)len : LINE_BYTES - 1);
}

/* The next character of foreign text; what is no text becomes a blank. Line and paragraph separators and marks that
 * turn the direction of writing could make a line show something else than it says. */
static uint32_t next_clean(const char *text, size_t len, size_t *at)
{
    uint32_t c = att_utf8_next(text, len, at);
    bool is_control = c < 0x20 || (c >= 0x7f && c < 0xa0);
    bool turns = (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f;
    return is_control || turns || c == 0x2028 || c == 0x2029 ? ' ' : c;
}

static void put_character(struct att_jsonw *w, uint32_t c)
{
    char bytes[4];
    att_jsonw_append(w, bytes, att_utf8_put(c, bytes));
}

void news_html_text(struct att_jsonw *w, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        uint32_t c = next_clean(text, len, &at);
        switch (c) {
        case '<':
            news_put(w, "&lt;");
            break;
        case '>':
            news_put(w, "&gt;");
            break;
        case '&':
            news_put(w, "&amp;");
            break;
        case '"':
            news_put(w, "&quot;");
            break;
        case '\'':
            news_put(w, "&#39;");
            break;
        default:
            put_character(w, c);
        }
    }
}

/* What makes a heading, a list or a rule at the beginning of a line; `next`: what follows, a blank at the end. */
static bool begins_block(uint32_t c, char next, size_t n_digits, size_t n_before)
{
    if (n_before == 0)
        return (c == '#' || c == '-' || c == '+' || c == '=') && (next == ' ' || (unsigned char)next == c);
    return n_digits == n_before && (c == '.' || c == ')') && next == ' ';
}

void news_markdown_text(struct att_jsonw *w, const char *text, size_t len)
{
    size_t n_before = 0, n_digits = 0;
    for (size_t at = 0; at < len;) {
        size_t begin = at;
        uint32_t c = next_clean(text, len, &at);
        bool is_link = (c == ':' && len - at >= 2 && memcmp(text + at, "//", 2) == 0) ||
                       (c == '.' && begin >= 3 && strncasecmp(text + begin - 3, "www", 3) == 0);
        if ((c != 0 && c < 0x80 && strchr("\\`*_[]<>|~&$@", (int)c)) || is_link ||
            begins_block(c, at < len ? text[at] : ' ', n_digits, n_before))
            news_put(w, "\\");
        put_character(w, c);
        n_before += c != ' ' || n_before > 0;
        n_digits += c >= '0' && c <= '9';
    }
}

/* {0:item:items}: the argument, and the word that goes with one or with many. Returns what follows the brace. */
static const char *fill_one(struct att_jsonw *w, const char *at, news_escape *escape, const char *argument)
{
    escape(w, argument, strlen(argument));
    if (at[2] == ':') {
        const char *one = at + 3, *many = strchr(one, ':') + 1;
        bool is_one = strcmp(argument, "1") == 0;
        news_put(w, " ");
        att_jsonw_append(w, is_one ? one : many, is_one ? (size_t)(many - 1 - one) : strcspn(many, "}"));
    }
    return at + strcspn(at, "}") + 1;
}

void news_fill(struct att_jsonw *w, const char *template, news_escape *escape, const char *const *arguments, size_t n)
{
    for (const char *at = template; *at;) {
        size_t plain = strcspn(at, "{");
        att_jsonw_append(w, at, plain);
        at += plain;
        if (*at) {
            size_t i = (size_t)(at[1] - '0');
            assert(i < n);
            at = fill_one(w, at, escape, arguments[i]);
        }
    }
}

bool news_url_is_safe(const char *url)
{
    size_t len = strlen(url);
    if (len > URL_BYTES_MAX || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0))
        return false;
    for (size_t i = 0; i < len; i++)
        if (url[i] <= ' ' || url[i] > '~' || strchr("\"'<>\\`(){}|^", url[i]))
            return false;
    return true;
}
