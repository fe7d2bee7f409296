/*
 * Whether a text that a model wrote says what its facts say. Two cheap signs, both to be read by a person: how much of
 * its words the facts have (store/lexical.h, so inflected words count in part), and numbers and addresses that nobody
 * has said. A price, a period or a telephone number that the model made up is what does harm; a wrong "not" is beyond
 * such signs. Pure functions.
 */
#ifndef TASK_GROUNDING_H
#define TASK_GROUNDING_H

#include "store/lexical.h"

struct task_source {
    const char *text;
    size_t len;
};

/* The first number ("1,000" is "1000", full-width digits are digits; the "2." that begins a line is none) or address
 * (with
 * "@", "://" or "www.") of the text that is in no source: its bytes. False: none. */
bool task_grounding_foreign(const char *text, size_t len, const struct task_source *sources, size_t n_sources,
                            size_t *ret_begin, size_t *ret_end);

/* The part of the text's n-grams, weighted by idf, that the facts have, 0..1. What the question alone has counts
 * neither way: an answer may take up its words, and nothing but its words is no answer. A text without words: 0. */
enum att_status task_grounding_cover(struct att_arena *arena, const struct store_idf *idf, struct task_source text,
                                     struct task_source question, const struct task_source *facts, size_t n_facts,
                                     float *ret_cover, struct att_err *err) ATT_MUST_USE;

#endif
