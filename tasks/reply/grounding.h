/*
 * Whether a text that a model wrote says what its facts say. Two cheap signs, both to be read by a person: how much of
 * its words the facts have, and numbers and addresses that nobody has said. A price, a period or a telephone number
 * that the model made up is what does harm; a wrong "not", or a number in words, is beyond such signs. Pure functions.
 */
#ifndef TASK_GROUNDING_H
#define TASK_GROUNDING_H

#include "store/lexical.h"

struct task_source {
    const char *text;
    size_t len;
};

/* The first number or address of the text that is in no source: its bytes. False: none. Numbers are digits, full-width
 * ones too, with a point between ("1,000.50" is "1000.5"); the 1, 2, 3 that begin lines are none. Addresses have an
 * "@", a "://" or a point within (shop.example), and are the same whatever their case. */
bool task_grounding_foreign(const char *text, size_t len, const struct task_source *sources, size_t n_sources,
                            size_t *ret_begin, size_t *ret_end);

/* The part of the text's n-grams (store/lexical.h: inflected words count in part), weighted by idf, that the facts
 * have, 0..1 in thousandths. What the questions alone have counts neither way: an answer may take up their words, and
 * nothing but their words is no answer. A text without words: 0. */
enum att_status task_grounding_cover(struct att_arena *arena, const struct store_idf *idf, struct task_source text,
                                     const struct task_source *questions, size_t n_questions,
                                     const struct task_source *facts, size_t n_facts, double *ret_cover,
                                     struct att_err *err) ATT_MUST_USE;

#endif
