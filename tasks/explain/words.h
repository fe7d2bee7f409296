/*
 * The words of a text, as explanations show them, and the text without some of
 * them. Pieces of one word are one word whatever the tokenizer; scripts that
 * write no blanks (Chinese, Japanese, Thai) keep the tokenizer's pieces. Pure
 * functions.
 */
#ifndef TASK_WORDS_H
#define TASK_WORDS_H

#include "tasks/encode.h"

struct task_word {
    uint32_t start, end;   /* bytes of the text */
    uint32_t first, count; /* its tokens */
    bool second;           /* of the pair's second text */
};

/* The words of `count` tokens of a text into words[count]; how many they are. */
size_t task_words_find(const struct att_tokenizer *tokenizer, const char *text, size_t len,
                       const struct att_token *tokens, size_t count, bool second, struct task_word *words);
/* Joins neighbours so that at most `max` spans are left; those of two texts are not joined. */
size_t task_words_group(struct task_word *words, size_t count, size_t max);
/* Writes the text without the words whose `out` is set to copy[len + count] and answers its length. A blank that
 * would stand twice goes; one is put where two words of a script with blanks would touch. Words of the other text
 * are passed over. */
size_t task_words_leave_out(const char *text, size_t len, bool second, const struct task_word *words, size_t count,
                            const bool *out, char *copy);

#endif
