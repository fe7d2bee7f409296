/*
 * Why a text got its answer, word by word. Three methods, whose meaning and
 * limits are told in docs/explain.md:
 *
 *   attention   where the pooled states looked in the last layer: free
 *   rollout     the same through all layers (Abnar and Zuidema 2020): memory
 *   occlusion   how the logit changes when a word is left out: one pass a word
 *
 * What is left out is asked for exactly as a request without it would be, in
 * further rounds of jobs (occlusion.c). The same rounds measure faithfulness: how
 * far the score falls when the words said to matter are deleted.
 */
#ifndef TASK_EXPLAIN_H
#define TASK_EXPLAIN_H

#include "tasks/explain/deletion.h"
#include "tasks/explain/words.h"
#include "tasks/window.h"

enum task_explain_method { TASK_EXPLAIN_NONE, TASK_EXPLAIN_ATTENTION, TASK_EXPLAIN_OCCLUSION, TASK_EXPLAIN_ROLLOUT };

/* What is explained of an answer: a logit, and the probability that it stands for. */
struct task_outcome {
    float logit, score;
};

/* One text (or pair) of a request. */
struct task_explained {
    const char *texts[2]; /* [1] NULL: no pair */
    size_t lens[2];
    const struct task_windows *windows; /* among the jobs of the first round */
    bool second_only;                   /* the first text stands fast */
    /* the rest is filled by the rounds */
    struct task_word *words;
    size_t n_words, first_variant;
    struct task_outcome *base;              /* [n_targets] */
    double *weights;                        /* occlusion: [n_targets][n_words]; else [n_words] */
    struct task_faithfulness *faithfulness; /* [n_targets]; NULL: not measured */
};

struct task_explain {
    enum task_explain_method method;
    bool faithfulness;
    const struct task_model *model;
    struct task_windows_options options; /* of the texts, as in the first round */
    size_t n_targets;                    /* outcomes of one text: one a head */
    /* Reads ret[n_targets] of a text, or of a variant of it, from its windows among call->jobs. */
    void (*measure)(const struct task_call *call, size_t item, const struct task_windows *windows,
                    struct task_outcome *ret);
    struct task_explained *items;
    size_t n_items;
    /* own */
    enum { TASK_ROUND_BASE, TASK_ROUND_LEFT_OUT, TASK_ROUND_DELETED, TASK_ROUND_END } round;
    struct task_job *first_jobs;
    size_t n_first_jobs;
    struct task_windows *variants;
    size_t n_variants;
};

/* Reads "explain" (one of `words`, in the order of the enum; fewer: the first of them) and "faithfulness" (default: for
 * occlusion). */
enum att_status task_explain_parse(const struct att_json *body, const char *const *words, struct task_explain *explain,
                                   struct att_err *err) ATT_MUST_USE;
/* After each round, while explain->method is not NONE: fills call->jobs with the next; n_jobs is 0 after the last, when
 * call->jobs are those of the first round again. ATT_ELIMIT when the texts without words have more tokens together
 * than one request may have. */
enum att_status task_explain_advance(struct task_call *call, struct task_explain *explain,
                                     struct att_err *err) ATT_MUST_USE;
/* Members of the open object: "tokens":[{"text","start","end","weight"},…] of target `target`, and "faithfulness" where
 * it was measured. Words of the second text carry "pair":true. */
void task_explain_render(const struct task_explain *explain, size_t item, size_t target, struct att_jsonw *answer);
/* The name of the method. */
const char *task_explain_name(enum task_explain_method method);

/* The attention method alone, as a value {"method":"attention","tokens":[…]}: words of all windows, weights together
 * sum to 1. Starts and ends are bytes of the text. ATT_ENOMEM or ATT_ELIMIT when the arena is full. */
enum att_status task_explain_attention(struct task_call *call, const struct task_windows *windows, const char *text,
                                       size_t len, struct att_jsonw *answer, struct att_err *err) ATT_MUST_USE;

/* ---- for explain.c and occlusion.c ---- */

/* Words of the text into item->words, joined to spans when they are to be left out one by one. */
enum att_status task_explain_words(struct task_call *call, const struct task_model *model, struct task_explained *item,
                                   size_t words_max, struct att_err *err) ATT_MUST_USE;
/* item->weights from the attention of its windows. */
enum att_status task_explain_attend(struct task_call *call, struct task_explained *item,
                                    struct att_err *err) ATT_MUST_USE;

#endif
