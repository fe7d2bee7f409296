/* Tags are found in the text first; inside a tag, signs, names and literals. */
#include "core/chat/lexer.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"

struct lexer {
    struct att_arena *arena;
    const char *source;
    size_t len, at;
    unsigned line;
    bool trim;         /* the next text loses its leading white space ("-%}") */
    bool trim_newline; /* or its first newline (trim_blocks) */
    struct att_lexemes *out;
    struct att_err *err;
};

static enum att_status fail(const struct lexer *lexer, const char *what)
{
    return att_err_set(lexer->err, ATT_EFORMAT, "chat_template: line %u: %s", lexer->line, what);
}

static enum att_status push(struct lexer *lexer, struct att_lexeme lexeme)
{
    struct att_lexemes *out = lexer->out;
    if (out->count == out->capacity) {
        size_t capacity = out->capacity ? 2 * out->capacity : 64;
        struct att_lexeme *items = att_arena_alloc(lexer->arena, capacity, sizeof *items);
        if (!items)
            return att_err_set(lexer->err, ATT_ENOMEM, "out of memory for a chat template");
        if (out->count > 0)
            memcpy(items, out->items, out->count * sizeof *items);
        out->items = items;
        out->capacity = capacity;
    }
    lexeme.line = lexer->line;
    out->items[out->count++] = lexeme;
    return ATT_OK;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static size_t find(const struct lexer *lexer, size_t from, const char *what)
{
    const char *found = memmem(lexer->source + from, lexer->len - from, what, strlen(what));
    return found ? (size_t)(found - lexer->source) : lexer->len;
}

/* The text up to `end`, where a tag begins with `mark` ('%', '{', '#') and maybe a sign behind it; or the end. */
static enum att_status put_text(struct lexer *lexer, size_t end, char mark, char sign)
{
    size_t begin = lexer->at, stop = end;
    if (lexer->trim)
        while (begin < stop && is_space(lexer->source[begin]))
            begin++;
    else if (lexer->trim_newline && begin < stop && lexer->source[begin] == '\n')
        begin++;
    if (sign == '-') {
        while (stop > begin && is_space(lexer->source[stop - 1]))
            stop--;
    } else if ((mark == '%' || mark == '#') && sign != '+') { /* lstrip_blocks */
        size_t line = stop;
        while (line > begin && lexer->source[line - 1] != '\n' && is_space(lexer->source[line - 1]))
            line--;
        if (line == 0 || lexer->source[line - 1] == '\n')
            stop = line;
    }
    enum att_status status = ATT_OK;
    if (stop > begin)
        status =
            push(lexer, (struct att_lexeme){.kind = ATT_TOKEN_TEXT, .text = {lexer->source + begin, stop - begin}});
    for (size_t i = lexer->at; i < end; i++)
        lexer->line += lexer->source[i] == '\n';
    lexer->at = end;
    lexer->trim = lexer->trim_newline = false;
    return status;
}

static size_t unescape(const char *from, size_t len, char *to)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        static const char *const letters = "nrtbfva0\\'\"", *const values = "\n\r\t\b\f\v\a\0\\'\"";
        const char *found = NULL;
        if (from[i] != '\\' || i + 1 == len) {
            to[n++] = from[i];
            continue;
        }
        char c = from[++i];
        unsigned digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
        if (digits > 0 && len - i > digits) {
            char hex[9] = "", *end = NULL;
            memcpy(hex, from + i + 1, digits);
            unsigned long value = strtoul(hex, &end, 16);
            if (*end == '\0' && value <= 0x10ffff && !(value >= 0xd800 && value <= 0xdfff)) {
                n += att_utf8_put((uint32_t)value, to + n);
                i += digits;
                continue;
            }
        }
        if (c != '\0' && (found = strchr(letters, c)) != NULL) {
            to[n++] = values[found - letters];
        } else if (c == '\n') {
            continue;
        } else {
            to[n++] = '\\';
            to[n++] = c;
        }
    }
    return n;
}

static enum att_status lex_string(struct lexer *lexer)
{
    char quote = lexer->source[lexer->at];
    size_t begin = lexer->at + 1, end = begin;
    while (end < lexer->len && lexer->source[end] != quote)
        end += lexer->source[end] == '\\' ? 2 : 1;
    if (end >= lexer->len)
        return fail(lexer, "a string does not end");
    char *text = att_arena_alloc(lexer->arena, end - begin + 1, 1);
    if (!text)
        return att_err_set(lexer->err, ATT_ENOMEM, "out of memory for a chat template");
    size_t len = unescape(lexer->source + begin, end - begin, text);
    enum att_status status = push(lexer, (struct att_lexeme){.kind = ATT_TOKEN_STRING, .text = {text, len}});
    for (size_t i = begin; i < end; i++)
        lexer->line += lexer->source[i] == '\n';
    lexer->at = end + 1;
    return status;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static enum att_status lex_number(struct lexer *lexer)
{
    char digits[64];
    size_t at = lexer->at, n = 0;
    bool real = false, behind_dot = at > 0 && lexer->source[at - 1] == '.'; /* a.0.1: two indices */
    for (; at < lexer->len && n < sizeof digits - 2; at++) {                /* an exponent takes two */
        char c = lexer->source[at];
        if (c == '_')
            continue;
        bool fraction = c == '.' && !real && !behind_dot && at + 1 < lexer->len && is_digit(lexer->source[at + 1]);
        bool exponent =
            (c == 'e' || c == 'E') && !behind_dot && at + 1 < lexer->len &&
            (is_digit(lexer->source[at + 1]) || lexer->source[at + 1] == '-' || lexer->source[at + 1] == '+');
        if (!is_digit(c) && !fraction && !exponent)
            break;
        real = real || fraction || exponent;
        digits[n++] = c;
        if (exponent && !is_digit(lexer->source[at + 1]))
            digits[n++] = lexer->source[++at];
    }
    digits[n] = '\0';
    lexer->at = at;
    if (real)
        return push(lexer, (struct att_lexeme){.kind = ATT_TOKEN_FLOAT, .number = strtod(digits, NULL)});
    if (n > 18)
        return fail(lexer, "a number has more than 18 digits");
    return push(lexer, (struct att_lexeme){.kind = ATT_TOKEN_INTEGER, .integer = strtoll(digits, NULL, 10)});
}

static enum att_status lex_sign(struct lexer *lexer)
{
    static const char *const twos[] = {"==", "!=", "<=", ">=", "//", "**"};
    const char *here = lexer->source + lexer->at;
    size_t len = 1;
    for (size_t i = 0; i < sizeof twos / sizeof *twos && lexer->at + 1 < lexer->len; i++)
        if (memcmp(here, twos[i], 2) == 0)
            len = 2;
    if (len == 1 && (*here == '\0' || !strchr("+-*/%~<>=.,:|()[]{}", *here)))
        return fail(lexer, "a character that no expression has");
    lexer->at += len;
    return push(lexer, (struct att_lexeme){.kind = ATT_TOKEN_SIGN, .text = {here, len}});
}

/* The inside of a tag up to its end mark, "%}" or "}}". */
static enum att_status lex_tag(struct lexer *lexer, const char *end_mark, enum att_token_kind end_kind)
{
    int braces = 0;
    while (true) {
        while (lexer->at < lexer->len && is_space(lexer->source[lexer->at]))
            lexer->line += lexer->source[lexer->at++] == '\n';
        size_t left = lexer->len - lexer->at;
        const char *here = lexer->source + lexer->at;
        if (left == 0)
            return fail(lexer, "a tag does not end");
        bool sign = left >= 3 && (*here == '-' || *here == '+') && memcmp(here + 1, end_mark, 2) == 0;
        if (sign || (left >= 2 && braces == 0 && memcmp(here, end_mark, 2) == 0)) {
            lexer->trim = sign && *here == '-';
            lexer->trim_newline = end_kind == ATT_TOKEN_TAG_END && !sign;
            lexer->at += sign ? 3 : 2;
            return push(lexer, (struct att_lexeme){.kind = end_kind});
        }
        enum att_status status;
        if (*here == '"' || *here == '\'') {
            status = lex_string(lexer);
        } else if (is_digit(*here)) {
            status = lex_number(lexer);
        } else if (is_letter(*here)) {
            size_t n = 1;
            while (n < left && (is_letter(here[n]) || is_digit(here[n])))
                n++;
            lexer->at += n;
            status = push(lexer, (struct att_lexeme){.kind = ATT_TOKEN_NAME, .text = {here, n}});
        } else {
            braces += *here == '{' ? 1 : *here == '}' ? -1 : 0;
            status = lex_sign(lexer);
        }
        if (status != ATT_OK)
            return status;
    }
}

static size_t skip_space(const struct lexer *lexer, size_t at)
{
    while (at < lexer->len && is_space(lexer->source[at]))
        at++;
    return at;
}

static bool stands(const struct lexer *lexer, size_t at, const char *word)
{
    return lexer->len - at >= strlen(word) && memcmp(lexer->source + at, word, strlen(word)) == 0;
}

/* {% raw %} … {% endraw %} as text; the place is behind "{%" and its sign. True when it was one. */
static bool lex_raw(struct lexer *lexer, enum att_status *ret_status)
{
    size_t at = skip_space(lexer, lexer->at);
    if (!stands(lexer, at, "raw"))
        return false;
    at = skip_space(lexer, at + 3);
    bool trim = stands(lexer, at, "-");
    if (!stands(lexer, at + trim, "%}"))
        return false;
    lexer->at = at + trim + 2;
    for (size_t open = lexer->at; (open = find(lexer, open, "{%")) < lexer->len; open += 2) {
        char sign = stands(lexer, open + 2, "-") ? '-' : stands(lexer, open + 2, "+") ? '+' : 0;
        at = skip_space(lexer, open + 2 + (sign != 0));
        if (!stands(lexer, at, "endraw"))
            continue;
        at = skip_space(lexer, at + 6);
        char close = stands(lexer, at, "-") ? '-' : stands(lexer, at, "+") ? '+' : 0;
        if (!stands(lexer, at + (close != 0), "%}"))
            continue;
        lexer->trim = trim;
        lexer->trim_newline = false;
        *ret_status = put_text(lexer, open, '%', sign);
        lexer->at = at + (close != 0) + 2;
        lexer->trim = close == '-';
        lexer->trim_newline = close == 0;
        return true;
    }
    *ret_status = fail(lexer, "raw does not end");
    return true;
}

static enum att_status lex_comment(struct lexer *lexer)
{
    size_t end = find(lexer, lexer->at, "#}");
    if (end == lexer->len)
        return fail(lexer, "a comment does not end");
    lexer->trim = lexer->source[end - 1] == '-';
    lexer->trim_newline = !lexer->trim && lexer->source[end - 1] != '+';
    for (size_t i = lexer->at; i < end; i++)
        lexer->line += lexer->source[i] == '\n';
    lexer->at = end + 2;
    return ATT_OK;
}

enum att_status att_chat_lex(struct att_arena *arena, const char *source, size_t len, struct att_lexemes *ret,
                             struct att_err *err)
{
    struct lexer lexer = {.arena = arena, .source = source, .len = len, .line = 1, .out = ret, .err = err};
    enum att_status status = ATT_OK;
    if (len > 0 && source[len - 1] == '\n')
        lexer.len--; /* one newline at the end does not count */
    while (status == ATT_OK && lexer.at < lexer.len) {
        size_t tag = lexer.at;
        while (tag + 1 < lexer.len && !(source[tag] == '{' && strchr("{%#", source[tag + 1]) && source[tag + 1]))
            tag++;
        if (tag + 1 >= lexer.len) {
            status = put_text(&lexer, lexer.len, 0, 0);
            break;
        }
        char mark = source[tag + 1], sign = tag + 2 < lexer.len ? source[tag + 2] : 0;
        sign = sign == '-' || sign == '+' ? sign : 0;
        status = put_text(&lexer, tag, mark, sign);
        lexer.at = tag + 2 + (sign != 0);
        if (status != ATT_OK)
            break;
        if (mark == '#') {
            status = lex_comment(&lexer);
        } else if (mark == '{') {
            status = push(&lexer, (struct att_lexeme){.kind = ATT_TOKEN_OUTPUT_BEGIN});
            if (status == ATT_OK)
                status = lex_tag(&lexer, "}}", ATT_TOKEN_OUTPUT_END);
        } else if (!lex_raw(&lexer, &status)) {
            status = push(&lexer, (struct att_lexeme){.kind = ATT_TOKEN_TAG_BEGIN});
            if (status == ATT_OK)
                status = lex_tag(&lexer, "%}", ATT_TOKEN_TAG_END);
        }
    }
    return status == ATT_OK ? push(&lexer, (struct att_lexeme){.kind = ATT_TOKEN_END}) : status;
}
