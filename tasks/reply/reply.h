/*
 * One call of /v1/reply, which takes up to four kinds of rounds of model work:
 *
 *   embed   the question and its rewritings (reply_parse.c)
 *   rerank  the best entries through a cross-encoder, where one is configured (reply_rerank.c)
 *   span    the sentences of the answers, where the part that answers is asked for (reply_span.c)
 *   write   a text made from the answers, one token a round, where it is asked for (reply_generate.c)
 *
 * reply.c ranks, decides and writes the answer.
 */
#ifndef TASK_REPLY_H
#define TASK_REPLY_H

#include "tasks/kb/match.h"
#include "tasks/window.h"

enum { TASK_REPLY_TOP_MAX = 50, TASK_REPLY_SPANS_MAX = 3 };

enum { TASK_REPLY_QUESTION, TASK_REPLY_JOINED, TASK_REPLY_TURN, TASK_REPLY_TEXTS }; /* what is embedded */

/* What is made of the dialogue. */
enum task_rewrite {
    TASK_REWRITE_NONE,     /* nothing: the question alone */
    TASK_REWRITE_PREVIOUS, /* the question alone; prompts of the entry that was answered before gain */
    TASK_REWRITE_JOIN,     /* also: the last user turn and the question as one text */
    TASK_REWRITE_MIX,      /* also: the mean of the question alone and joined */
    TASK_REWRITE_TURNS     /* as MIX, with the last two user turns */
};

enum task_decision { TASK_HANDOFF, TASK_CLARIFY, TASK_ANSWERED };

/* Bytes of an answer; end 0: none was looked for. */
struct task_reply_span {
    size_t begin, end;
    double score;
};

struct task_sentences;  /* reply_span.c */
struct task_generation; /* generation.h */

struct task_reply {
    const struct task_kb *kb;
    const struct store_kb_view *view;
    const char *question, *turn, *joined; /* turn and joined: NULL without dialogue */
    size_t question_len, turn_len, joined_len;
    const char *earlier; /* the user turn before `turn`, or NULL */
    size_t earlier_len;
    const char *said; /* the assistant's answer to the last user turn, or NULL */
    int64_t previous_id;
    const char *lang;         /* or NULL */
    double threshold, margin; /* negative: those of the calibration */
    size_t top;
    enum task_rewrite rewrite;
    bool explains_attention, explains_features, match_any, reranks, spans, generates;
    const struct att_json *metadata; /* filters, or NULL */
    const char *filter_lang;         /* or NULL */
    struct task_fit fit;
    struct task_windows windows[TASK_REPLY_TEXTS];
    size_t n_texts;
    struct task_job *embed_jobs; /* of the first round, which the explanation looks at */
    size_t round;
    struct task_match matches[TASK_REPLY_TOP_MAX];
    size_t n_matches, n_reranked; /* reranked: the first so many of matches */
    struct task_windows *pair_windows;
    struct task_reply_span found[TASK_REPLY_SPANS_MAX];
    struct task_spans reader_spans[TASK_REPLY_SPANS_MAX]; /* of the reader's jobs */
    struct task_sentences *sentences;                     /* of the answers that are searched, while they are in work */
    enum task_decision decision;
    struct task_generation *generation; /* or NULL */
    const char *why_not;                /* why nothing is written or shown, or NULL */
    bool withheld;                      /* written, but it strays from the entries: */
    double covered;                     /* the part of it that they have, 0..1 */
    struct task_observation observation;
    bool records; /* the question is to be kept: no answer of business was given */
};

/* Reads the body and leaves the first round's jobs. */
enum att_status task_reply_parse(struct task_call *call, const struct att_json *body, struct att_err *err) ATT_MUST_USE;
/* The unit vector of one embedded text, in the arena. */
enum att_status task_reply_vector(struct task_call *call, const struct task_reply *reply, size_t which,
                                  float **ret_vector, struct att_err *err) ATT_MUST_USE;
/* Leaves the pairs of the best entries as jobs; afterwards orders `matches` by them. */
enum att_status task_reply_rerank_plan(struct task_call *call, struct task_reply *reply,
                                       struct att_err *err) ATT_MUST_USE;
void task_reply_rerank(struct task_call *call, struct task_reply *reply);
/* Leaves the sentences of the first answers as jobs (none where every answer is one sentence); afterwards fills
 * `found`. */
enum att_status task_reply_span_plan(struct task_call *call, struct task_reply *reply,
                                     struct att_err *err) ATT_MUST_USE;
enum att_status task_reply_span(struct task_call *call, struct task_reply *reply, struct att_err *err) ATT_MUST_USE;

/* How many of the first matches are good enough to write from. */
size_t task_reply_facts(const struct task_reply *reply);
/* Leaves the first job of a text that is written from the entries, or none and why_not; then each next one. */
enum att_status task_reply_generate_plan(struct task_call *call, struct task_reply *reply,
                                         struct att_err *err) ATT_MUST_USE;
enum att_status task_reply_generate(struct task_call *call, struct task_reply *reply, struct att_err *err) ATT_MUST_USE;
/* "generated" and "generate" as members of the open object. */
void task_reply_generate_render(const struct task_reply *reply, struct att_jsonw *answer);
/* Spans by the knowledge base's reader, for the first n answers. */
enum att_status task_reply_reader_plan(struct task_call *call, struct task_reply *reply, size_t n,
                                       struct att_err *err) ATT_MUST_USE;
void task_reply_reader(const struct task_call *call, struct task_reply *reply, size_t n);

#endif
