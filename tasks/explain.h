/*
 * Attention weights of a text's words. They say where the pooled states looked
 * in the last layer, which is not the same as what decided the answer:
 * docs/explain.md.
 */
#ifndef TASK_EXPLAIN_H
#define TASK_EXPLAIN_H

#include "tasks/window.h"

/* {"method":"attention","tokens":[{"text","start","end","weight"},…]}: WordPiece pieces merged to words, special
 * tokens left out, weights of all windows together sum to 1. Starts and ends are bytes of the text; words of the pair
 * carry "pair":true. ATT_ENOMEM or ATT_ELIMIT when the arena is full. */
enum att_status task_explain_attention(struct task_call *call, const struct task_windows *windows, const char *text,
                                       const char *pair, struct att_jsonw *answer, struct att_err *err) ATT_MUST_USE;

#endif
