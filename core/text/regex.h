/*
 * Regular expressions of tokenizer files, by PCRE2, with the meaning that the
 * reference's engine (Oniguruma) gives them: \s is Unicode's White_Space. What
 * would mean something else is refused. Immutable after compile; shared by
 * threads, each with its own match.
 */
#ifndef ATT_TEXT_REGEX_H
#define ATT_TEXT_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/status.h"

struct att_regex;

/* ATT_EUNSUPPORTED names what is not known; messages begin with `field`. */
enum att_status att_regex_compile(const char *pattern, const char *field, struct att_regex **ret_regex,
                                  struct att_err *err) ATT_MUST_USE;
void att_regex_destroy(struct att_regex *regex);

struct att_regex_match;
struct att_regex_match *att_regex_match_create(void);
void att_regex_match_destroy(struct att_regex_match *match);
/* Begins a text of len bytes: its matches may compute for a quarter of a second and a microsecond a byte in all. A new
 * one has begun an empty text. */
void att_regex_match_begin(struct att_regex_match *match, size_t len);
/* The first match at or behind `from` in valid UTF-8; 1 found, 0 none, -1 the pattern takes too long or memory is out.
 */
int att_regex_find(const struct att_regex *regex, struct att_regex_match *match, const char *text, size_t len,
                   size_t from, size_t *ret_begin, size_t *ret_end);
/* What -1 was: ATT_ENOMEM, or ATT_ELIMIT for a pattern `of` something. */
enum att_status att_regex_gave_up(const struct att_regex_match *match, const char *of, struct att_err *err);

#endif
