/*
 * Searching added tokens (see added.h). Patterns are sorted; the last one that
 * is not above the text at a place leads, through its `shorter` links, to the
 * longest pattern that the text begins with there. Most texts have few places
 * where a pattern may begin, and these are found by memchr.
 */
#include "core/text/added.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/text/unicode.h"

void att_added_init(struct att_added_set *set)
{
    *set = (struct att_added_set){.only_first_byte = -1};
}

void att_added_finish(struct att_added_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        att_mem_free(set->tokens[i].pattern);
    att_mem_free(set->tokens);
    att_added_init(set);
}

enum att_status att_added_push(struct att_added_set *set, const char *pattern, size_t len,
                               const struct att_added_token *options, struct att_err *err)
{
    assert(len > 0);
    if (set->count == set->capacity) {
        size_t capacity = set->capacity ? set->capacity * 2 : 8;
        struct att_added_token *tokens = att_mem_realloc(set->tokens, capacity, sizeof *tokens);
        if (!tokens)
            return att_err_set(err, ATT_ENOMEM, "out of memory for added tokens");
        set->tokens = tokens;
        set->capacity = capacity;
    }
    char *copy = att_mem_calloc(len + 1, 1);
    if (!copy)
        return att_err_set(err, ATT_ENOMEM, "out of memory for added tokens");
    memcpy(copy, pattern, len);
    struct att_added_token *token = &set->tokens[set->count++];
    *token = *options;
    token->pattern = copy;
    token->len = len;
    return ATT_OK;
}

static int compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int compare_tokens(const void *left, const void *right)
{
    const struct att_added_token *a = left, *b = right;
    return compare(a->pattern, a->len, b->pattern, b->len);
}

static bool begins_with(const char *text, size_t len, const struct att_added_token *token)
{
    return token->len <= len && memcmp(text, token->pattern, token->len) == 0;
}

bool att_added_sort(struct att_added_set *set, int32_t *ret_id)
{
    if (set->count > 0)
        qsort(set->tokens, set->count, sizeof *set->tokens, compare_tokens);
    size_t first_bytes = 0;
    for (size_t i = 0; i < set->count; i++) {
        struct att_added_token *token = &set->tokens[i];
        unsigned char first = (unsigned char)token->pattern[0];
        if (!set->first_bytes[first]) {
            set->first_bytes[first] = true;
            set->only_first_byte = ++first_bytes == 1 ? first : -1;
        }
        int32_t shorter = (int32_t)i - 1;
        while (shorter >= 0 && !begins_with(token->pattern, token->len, &set->tokens[shorter]))
            shorter = set->tokens[shorter].shorter;
        if (shorter >= 0 && set->tokens[shorter].len == token->len) {
            *ret_id = token->id;
            return false;
        }
        token->shorter = shorter;
    }
    return true;
}

/* The first pattern above the text. */
static size_t first_above(const struct att_added_set *set, const char *text, size_t len)
{
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct att_added_token *token = &set->tokens[mid];
        if (compare(token->pattern, token->len, text, len) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The longest pattern at the beginning of the text, or NULL. */
static const struct att_added_token *longest_at(const struct att_added_set *set, const char *text, size_t len)
{
    int32_t at = (int32_t)first_above(set, text, len) - 1;
    while (at >= 0 && !begins_with(text, len, &set->tokens[at]))
        at = set->tokens[at].shorter;
    return at >= 0 ? &set->tokens[at] : NULL;
}

/* The next place at or behind `at` where a pattern may begin, or len. */
static size_t next_candidate(const struct att_added_set *set, const char *text, size_t len, size_t at)
{
    if (set->only_first_byte >= 0) {
        const char *found = at < len ? memchr(text + at, set->only_first_byte, len - at) : NULL;
        return found ? (size_t)(found - text) : len;
    }
    while (at < len && !set->first_bytes[(unsigned char)text[at]])
        at++;
    return at;
}

/* The code point that ends at `at` > 0. */
static uint32_t code_point_before(const char *text, size_t at, size_t *ret_begin)
{
    size_t begin = at - 1;
    while (begin > 0 && ((unsigned char)text[begin] & 0xc0) == 0x80)
        begin--;
    *ret_begin = begin;
    return att_utf8_next(text, at, &begin);
}

static bool is_space(uint32_t code_point)
{
    return att_char_classify(code_point) & ATT_CHAR_SPACE;
}

static bool inside_word(const struct att_added_search *search, size_t begin, size_t end)
{
    size_t at;
    if (begin > 0 && att_char_is_word(code_point_before(search->text, begin, &at)))
        return true;
    at = end;
    return end < search->len && att_char_is_word(att_utf8_next(search->text, search->len, &at));
}

/* Where what the match before has not covered begins. */
static size_t strip_left(const char *text, size_t covered, size_t begin)
{
    size_t before;
    if (begin < covered)
        return covered;
    while (begin > covered && is_space(code_point_before(text, begin, &before)))
        begin = before;
    return begin;
}

static size_t strip_right(const char *text, size_t len, size_t end)
{
    for (size_t at = end; at < len && is_space(att_utf8_next(text, len, &at));)
        end = at;
    return end;
}

bool att_added_next(struct att_added_search *search, struct att_added_match *ret_match)
{
    const struct att_added_set *set = search->set;
    if (set->count == 0)
        return false;
    while ((search->at = next_candidate(set, search->text, search->len, search->at)) < search->len) {
        size_t begin = search->at;
        const struct att_added_token *token = longest_at(set, search->text + begin, search->len - begin);
        if (!token) {
            search->at++;
            continue;
        }
        size_t end = search->at = begin + token->len;
        if (token->special &&
            (search->special_as_text || (search->is_text && search->is_text(search->context, begin, end, token->id))))
            continue;
        if (token->single_word && inside_word(search, begin, end))
            continue;
        if (token->lstrip)
            begin = strip_left(search->text, search->covered, begin);
        if (token->rstrip)
            end = strip_right(search->text, search->len, end);
        if (begin >= end) /* white space that the match before has taken */
            continue;
        search->covered = end;
        *ret_match = (struct att_added_match){begin, end, token->id};
        return true;
    }
    return false;
}

size_t att_added_place(const struct att_added_set *set, const char *text, size_t len, size_t at)
{
    for (; set->count > 0 && (at = next_candidate(set, text, len, at)) < len; at++) {
        size_t above = first_above(set, text + at, len - at), left = len - at;
        if (longest_at(set, text + at, left))
            return at;
        if (above < set->count && set->tokens[above].len > left &&
            memcmp(set->tokens[above].pattern, text + at, left) == 0)
            return at;
    }
    return len;
}
