/* Strings as Python sees them: code points, white space, case. */
#ifndef ATT_CHAT_STRINGS_H
#define ATT_CHAT_STRINGS_H

#include "core/chat/run.h"

size_t att_text_length(struct att_text text); /* code points */
/* Bytes before code point n. */
size_t att_text_offset(struct att_text text, size_t n);
/* Without what stands at its ends: white space, or any of the characters of `chars`. */
struct att_text att_text_strip(struct att_text text, const struct att_text *chars, bool left, bool right);
/* Bytes up to the first (last) occurrence, or len. */
size_t att_text_find(struct att_text text, struct att_text what, size_t from);
bool att_char_is_blank(uint32_t code_point);

/* TITLE is str.title(), WORDS the filter: the one begins a word behind any sign, the other behind blanks and -({[<. */
enum att_text_case { ATT_CASE_UPPER, ATT_CASE_LOWER, ATT_CASE_TITLE, ATT_CASE_WORDS, ATT_CASE_CAPITALIZED };
bool att_run_recase(struct att_run *run, struct att_text text, enum att_text_case to, struct att_value *ret);
bool att_run_replace(struct att_run *run, struct att_text text, struct att_text from, struct att_text to, int64_t max,
                     struct att_value *ret);
bool att_run_split(struct att_run *run, struct att_text text, const struct att_text *separator, int64_t max,
                   bool from_right, struct att_value *ret);

#endif
