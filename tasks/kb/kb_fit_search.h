/*
 * Finding the numbers of kb_fit.h from questions whose right entry is known.
 *
 *   weights     under which the right entry, or "none", is most likely among all, over a grid
 *   confidence  logistic regression of "the first answer is right" on s and its lead; half is where it is even on s
 * alone decision    threshold and margin that answer most questions rightly while, of those that are answered, the
 * wanted share is right
 *
 * Pure and deterministic. Examples that are held out are looked at by task_fit_outcome alone.
 */
#ifndef TASK_KB_FIT_SEARCH_H
#define TASK_KB_FIT_SEARCH_H

#include "tasks/kb/kb_fit.h"

/* An entry as /v1/reply has scored it for one question. */
struct task_fit_candidate {
    int64_t id;
    struct task_match_features features; /* cosines as they are, not stretched */
    float bonus;
    float rerank; /* logit of the cross-encoder */
    bool reranked;
};

struct task_fit_example {
    struct task_fit_candidate *candidates;
    size_t n;
    int64_t expect; /* 0: no entry answers it */
    bool cjk, held_out;
};

/* What a fit makes of one example. */
struct task_fit_outcome {
    double score, lead, confidence;
    bool first_right, answered, clarify, offered; /* offered: clarify, and the right entry is among the near ones */
};

/* Probability of `right` as sigmoid(x · coefficients + bias), by Newton's method with a small ridge. k at most 3;
 * coefficients [k + 1], the bias last. False where the rows do not hold both outcomes: then it is their share. */
bool task_logistic_fit(const double *x, const bool *right, size_t n, size_t k, double *coefficients);

/* Fits the rows of the scripts that have enough examples (the others keep what they have), then threshold and margin.
 * `precision` in (0, 1): wanted share of right answers among those given. ret_fitted[2]: latin, cjk. */
enum att_status task_fit_search(const struct task_fit_example *examples, size_t n, double precision,
                                struct task_fit *fit, bool ret_fitted[2], struct att_err *err) ATT_MUST_USE;
/* The same for what a cross-encoder reordered, upon the rows above; digest is the cross-encoder's. */
enum att_status task_fit_search_rerank(const struct task_fit_example *examples, size_t n, double precision,
                                       const char *digest, struct task_fit *fit, struct att_err *err) ATT_MUST_USE;
/* reranks: by fit->rerank where candidates have been read by the cross-encoder. n >= 1 candidate. */
struct task_fit_outcome task_fit_outcome(const struct task_fit_example *example, const struct task_fit *fit,
                                         bool reranks);

#endif
