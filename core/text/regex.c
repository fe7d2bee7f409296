/* Patterns are rewritten before PCRE2 sees them: \s and \S gain U+0085, which PCRE2's leave out. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/text/regex.h"

#include <pcre2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"

enum { PATTERN_MAX = 4096, MATCH_LIMIT = 50000000, HEAP_LIMIT_KIB = 1 << 16 };
/* PCRE2's limits count backtracking within one match, not the places where none begins, nor runs that are scanned
 * whole: so the time is looked at, after every few of either. */
enum { BASE_US = 250000, STARTS = 64, FINDS = 64 };

struct att_regex {
    pcre2_code *code;
};

struct att_regex_match {
    pcre2_match_data *data;
    pcre2_match_context *context;
    bool out_of_memory; /* at the last find */
    uint64_t end_us;    /* of this thread's clock */
    size_t finds;
};

static enum att_status refuse(const char *field, const char *what, const char *pattern, struct att_err *err)
{
    return att_err_set(err, ATT_EUNSUPPORTED, "%s: '%.80s': %s is not known", field, pattern, what);
}

/* What follows "(": groups, (?:…), (?=…), (?!…), (?<…), (?>…) and flags are known. */
static bool group_refused(const char *at)
{
    return *at == '*' || (*at == '?' && (!at[1] || !strchr(":=!<>imsx-^", at[1]) || (at[1] == '-' && at[2] == '1')));
}

/* Writes the rewritten pattern to `to`, which has room for eight times its length. */
static enum att_status rewrite(const char *pattern, const char *field, char *to, struct att_err *err)
{
    bool in_class = false;
    size_t at = 0;
    for (const char *p = pattern; *p; p++) {
        const char *put = NULL;
        if (*p == '\\' && p[1]) {
            char c = *++p;
            if (strchr("wWbBhHvVRXGKkgEQ123456789", c))
                return refuse(field, "an escape of words, lines or references", pattern, err);
            if (c == 's')
                put = in_class ? "\\s\\x{85}" : "[\\s\\x{85}]";
            else if (c == 'S' && in_class)
                return refuse(field, "\\S in a class", pattern, err);
            else if (c == 'S')
                put = "[^\\s\\x{85}]";
            if (!put) {
                to[at++] = '\\';
                to[at++] = c;
                continue;
            }
        } else if (*p == '(' && !in_class && group_refused(p + 1)) {
            return refuse(field, "a group that recurses, refers, comments or calls", pattern, err);
        } else if (*p == '[' && p[1] != ':') {
            if (in_class)
                return refuse(field, "a class in a class", pattern, err);
            in_class = true;
            to[at++] = *p;
            if (p[1] == '^')
                to[at++] = *++p;
            if (p[1] == ']')
                to[at++] = *++p;
            continue;
        } else if (*p == '[') {
            return refuse(field, "[:class:]", pattern, err);
        } else if (*p == ']') {
            in_class = false;
        } else if (in_class && *p == '&' && p[1] == '&') {
            return refuse(field, "&& in a class", pattern, err);
        }
        if (put) {
            memcpy(to + at, put, strlen(put));
            at += strlen(put);
        } else {
            to[at++] = *p;
        }
    }
    to[at] = '\0';
    return ATT_OK;
}

enum att_status att_regex_compile(const char *pattern, const char *field, struct att_regex **ret_regex,
                                  struct att_err *err)
{
    int code = 0;
    PCRE2_SIZE where = 0;
    size_t len = strlen(pattern);
    if (len > PATTERN_MAX)
        return att_err_set(err, ATT_EUNSUPPORTED, "%s: has %zu bytes, expected at most %d", field, len, PATTERN_MAX);
    struct att_regex *regex = att_mem_calloc(1, sizeof *regex);
    char *rewritten = att_mem_calloc(len + 1, 12);
    enum att_status status = regex && rewritten ? rewrite(pattern, field, rewritten, err)
                                                : att_err_set(err, ATT_ENOMEM, "out of memory for a pattern");
    if (status == ATT_OK) {
        regex->code = pcre2_compile((PCRE2_SPTR)rewritten, PCRE2_ZERO_TERMINATED,
                                    PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT, &code,
                                    &where, NULL);
        if (!regex->code && code == PCRE2_ERROR_HEAP_FAILED)
            status = att_err_set(err, ATT_ENOMEM, "out of memory for a pattern");
        else if (!regex->code)
            status = att_err_set(err, ATT_EUNSUPPORTED, "%s: '%.80s' is not a pattern that is known (error %d)", field,
                                 pattern, code);
    }
    att_mem_free(rewritten);
    if (status != ATT_OK)
        att_regex_destroy(regex);
    else
        *ret_regex = regex;
    return status;
}

void att_regex_destroy(struct att_regex *regex)
{
    if (!regex)
        return;
    pcre2_code_free(regex->code);
    att_mem_free(regex);
}

void att_regex_match_begin(struct att_regex_match *match, size_t len)
{
    match->end_us = att_clock_thread_us() + BASE_US + len;
    match->finds = 0;
}

struct att_regex_match *att_regex_match_create(void)
{
    struct att_regex_match *match = att_mem_calloc(1, sizeof *match);
    if (!match)
        return NULL;
    match->data = pcre2_match_data_create(1, NULL);
    match->context = pcre2_match_context_create(NULL);
    if (!match->data || !match->context) {
        att_regex_match_destroy(match);
        return NULL;
    }
    att_regex_match_begin(match, 0);
    pcre2_set_match_limit(match->context, MATCH_LIMIT);
    pcre2_set_heap_limit(match->context, HEAP_LIMIT_KIB);
    return match;
}

void att_regex_match_destroy(struct att_regex_match *match)
{
    if (!match)
        return;
    pcre2_match_data_free(match->data);
    pcre2_match_context_free(match->context);
    att_mem_free(match);
}

int att_regex_find(const struct att_regex *regex, struct att_regex_match *match, const char *text, size_t len,
                   size_t from, size_t *ret_begin, size_t *ret_end)
{
    int rc;
    match->out_of_memory = false;
    if (match->finds++ % FINDS == 0 && att_clock_thread_us() > match->end_us)
        return -1;
    for (;;) {
        size_t last = len - from > STARTS ? from + STARTS : len;
        pcre2_set_offset_limit(match->context, last);
        rc = pcre2_match(regex->code, (PCRE2_SPTR)text, len, from, PCRE2_NO_UTF_CHECK, match->data, match->context);
        match->out_of_memory = rc == PCRE2_ERROR_NOMEMORY;
        if (rc != PCRE2_ERROR_NOMATCH)
            break;
        for (from = last + 1; from < len && ((unsigned char)text[from] & 0xc0) == 0x80; from++)
            ;
        if (from > len)
            return 0;
        if (att_clock_thread_us() > match->end_us)
            return -1;
    }
    if (rc < 0)
        return -1;
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(match->data);
    *ret_begin = found[0];
    *ret_end = found[1];
    return 1;
}

enum att_status att_regex_gave_up(const struct att_regex_match *match, const char *of, struct att_err *err)
{
    if (match->out_of_memory)
        return att_err_set(err, ATT_ENOMEM, "out of memory for a pattern");
    return att_err_set(err, ATT_ELIMIT, "the text takes too long for a pattern of the %s", of);
}
