/*
 * Added tokens: texts that are found as they stand before the model sees the
 * rest, as Hugging Face's AddedVocabulary does. Tokens with normalized = false
 * are searched in the original text, the others in the normalized one. At each
 * place the leftmost and there the longest match counts, whether or not its
 * options then let it stand.
 */
#ifndef ATT_TEXT_ADDED_H
#define ATT_TEXT_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

struct att_added_token {
    char *pattern; /* what is searched for: the content, or its normalized form; NUL-terminated */
    size_t len;
    int32_t id;
    int32_t shorter; /* index of the longest other token that this one begins with, or -1 */
    bool single_word, lstrip, rstrip, special;
};

/* One set: original or normalized. Immutable once finished. */
struct att_added_set {
    struct att_added_token *tokens; /* sorted by pattern */
    size_t count, capacity;
    bool first_bytes[256]; /* some pattern begins so */
    int only_first_byte;   /* that byte when there is just one, else -1 */
};

void att_added_init(struct att_added_set *set);
void att_added_finish(struct att_added_set *set);
/* Adds a token with a copy of pattern[0..len), len > 0, for its own. ATT_ENOMEM only. */
enum att_status att_added_push(struct att_added_set *set, const char *pattern, size_t len,
                               const struct att_added_token *options, struct att_err *err) ATT_MUST_USE;
/* Sorts. False when two patterns are equal; *ret_id then is the id of one of them. */
bool att_added_sort(struct att_added_set *set, int32_t *ret_id) ATT_MUST_USE;

/* A search through one text. */
struct att_added_search {
    const struct att_added_set *set;
    const char *text;
    size_t len, at;
    size_t covered; /* end of the last match, with the spaces it took */
    bool special_as_text;
    /* Whether a special token that is found at [begin, end) is text nevertheless; NULL: none is. */
    bool (*is_text)(const void *context, size_t begin, size_t end, int32_t id);
    const void *context;
};

struct att_added_match {
    size_t begin, end; /* bytes of the text, with stripped white space */
    int32_t id;
};

/* The next match; what lies between `covered` before the call and its begin is plain text. False at the end. */
bool att_added_next(struct att_added_search *search, struct att_added_match *ret_match);

/* The next place from `at` on where a token begins, whole or cut off by the text's end; len: there is none. */
size_t att_added_place(const struct att_added_set *set, const char *text, size_t len, size_t at);

#endif
