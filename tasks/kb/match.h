/*
 * Which entries of a knowledge base answer a question: exact vector search and
 * lexical likeness fused into one number s, by these features of an entry:
 *
 *   best     largest cosine of the question and one of the entry's texts
 *   near     mean of the few largest: what several phrasings agree on
 *   lexical  largest likeness by n-grams (store/lexical.h)
 *   covered  part of the question's n-grams that the entry's texts have together
 *
 * With a dialogue s is the mean of that for the question alone and for the last
 * user turn followed by the question; entries that the answer before prompts for
 * gain, that entry itself loses. Entries in another language, or where none is
 * asked for in the other script, lose.
 *
 * What an encoder knows of Chinese differs, so the weights of CJK questions are
 * their own. kb_fit.h turns s into scores and confidence.
 */
#ifndef TASK_MATCH_H
#define TASK_MATCH_H

#include "store/kb.h"
#include "tasks/encode.h"
#include "tasks/kb/kb_fit.h"

struct task_match_text {
    const char *text; /* NULL: there is none */
    size_t len;
    const float *vector; /* unit length */
};

struct task_match_query {
    struct task_match_text question;
    struct task_match_text turn;   /* the last user turn, or the question of previous_id's entry */
    struct task_match_text joined; /* turn, a blank, question */
    int64_t previous_id;           /* entry that was answered before; 0: not known */
    bool follows;                  /* what was answered before counts: its prompts, and against its repetition */
    float joined_share;            /* of joined in the mean, 0..1 */
    const char *lang;              /* of entries that do not lose; NULL: by script */
    const bool *allowed;           /* [n_entries]; NULL: all */
    const struct task_fit *fit;
};

struct task_match {
    size_t entry;                        /* of the view */
    size_t text;                         /* the text that matched best */
    struct task_match_features features; /* mean over the question's texts */
    float bonus;                         /* of dialogue and language, in s */
    float s, lead, score;                /* score: 0..1, compared with threshold and margin */
    float rerank;                        /* logit of a cross-encoder, where one has read it */
    double logit, confidence;
};

/* The best `max` entries, best first, into matches; equal scores by id. ret_count <= max; max at least 2. */
enum att_status task_match_rank(struct task_call *call, struct store_kb *kb, const struct store_kb_view *view,
                                const struct task_match_query *query, struct task_match *matches, size_t max,
                                size_t *ret_count, struct att_err *err) ATT_MUST_USE;

/* For evaluation of the ranking on other sets. */
void task_match_cosines(const float *cosines, size_t n,
                        struct task_match_features *features); /* best and near; n > 0 */

#endif
