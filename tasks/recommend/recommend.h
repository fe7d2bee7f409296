/* A recommend request once it is read: what recommend.c leaves for recommend_render.c. All of it lies in the arena. */
#ifndef TASK_RECOMMEND_H
#define TASK_RECOMMEND_H

#include "tasks/explain/explain.h"
#include "tasks/names.h"
#include "tasks/recommend/catalogue.h"
#include "tasks/recommend/preference.h"
#include "tasks/window.h"

struct task_candidate { /* known by text alone */
    const char *id, *text;
    size_t text_len;
    size_t number; /* of its text among the encoder's */
};

/* tasks/recommend/recommend_without.c: the request without something. */
struct task_without {
    bool is_whole; /* its events are all there */
    struct task_history history;
    size_t *sequence; /* events of the job */
    size_t n_sequence, job;
    const float **event_vectors;
    const float *interest; /* unit length; NULL: none */
    struct task_preference preference;
};

struct task_without_set {
    struct task_without *list;
    struct task_job *jobs;
    size_t n, n_jobs;
    unsigned char *disliked; /* work space */
};

/* tasks/recommend/recommend_occlusion.c: what the best items owe to each event, and to each word of the interest. */
struct task_occlusion {
    enum { TASK_OCCLUSION_BEGIN, TASK_OCCLUSION_LEFT_OUT, TASK_OCCLUSION_DELETED, TASK_OCCLUSION_END } round;
    size_t n_events, n_words, n_measured;
    size_t *positions;                      /* [n_events] the newest first */
    struct task_word *words;                /* [n_words] of the interest */
    struct task_windows *variants;          /* [n_words] its texts without one each */
    bool *is_blank;                         /* [n_words] nothing is left of it */
    struct task_without_set left_out;       /* events, the interest if there is one, words */
    struct task_without_set deleted;        /* for each measured item those of its order; then the draws */
    struct task_faithfulness *faithfulness; /* [n_measured] of the best items */
};

struct task_recommend {
    const struct task_model *model;
    struct task_catalogue catalogue;
    size_t n_items, n_slots, top_k; /* n_slots: of the catalogue, and 0 */
    double diversity;
    bool reasons, counterfactual, occlude, faithfulness, exclude_seen;
    const char *user; /* NULL: nobody */
    struct task_history history;
    struct task_candidate *candidates;
    size_t n_candidates;
    unsigned char *allowed;    /* [n_slots + n_candidates] slots that may be answered; candidates known by text alone
                                  come last */
    struct task_names unknown; /* met before */
    const char **unknown_list; /* in the order of the request */
    const char *interest;      /* NULL: none */
    size_t interest_len;
    struct task_windows *windows; /* [n_texts] the interest first, then events, then candidates */
    size_t n_texts;
    size_t *sequence; /* [n_sequence] events */
    size_t n_sequence;

    /* Of the first round. */
    bool concluded;
    struct task_preference preference;
    struct task_best best;
    double log_sum;
    struct task_occlusion occlusion; /* of the rounds behind it */
};

/* A job (its ids, len and pooled) for the newest liked items that the model can take, and which events they are; len 0:
 * none is liked. */
enum att_status task_recommend_sequence(struct task_call *call, const struct task_model *model,
                                        const struct task_history *history, struct task_job *job, size_t **ret_events,
                                        struct att_err *err) ATT_MUST_USE;

/* How many variants of the request one round may have: where all slots are computed anew each time, not too many. */
size_t task_without_most(const struct task_recommend *recommend);
/* Room for `most` variants. */
enum att_status task_without_begin(struct task_call *call, const struct task_recommend *recommend, size_t most,
                                   struct task_without_set *set, struct att_err *err) ATT_MUST_USE;
/* One without the events whose out[position] is set (NULL: with all of them), and with this interest (NULL: none). */
enum att_status task_without_add(struct task_call *call, const struct task_recommend *recommend,
                                 struct task_without_set *set, const bool *out, const float *interest,
                                 struct att_err *err) ATT_MUST_USE;
/* The set's jobs behind those that the call has. */
enum att_status task_without_jobs(struct task_call *call, const struct task_without_set *set,
                                  struct att_err *err) ATT_MUST_USE;
/* After the round. */
enum att_status task_without_conclude(struct task_call *call, const struct task_recommend *recommend,
                                      struct task_without_set *set, struct att_err *err) ATT_MUST_USE;
/* "counterfactual":[…] of one slot. */
enum att_status task_without_render(struct task_call *call, const struct task_recommend *recommend, size_t slot,
                                    float logit, struct att_jsonw *answer, struct att_err *err) ATT_MUST_USE;

/* tasks/recommend/recommend_occlusion.c */
/* After the answer is known, and after each round: leaves the jobs of the next, none after the last. */
enum att_status task_occlusion_advance(struct task_call *call, struct task_recommend *recommend,
                                       struct att_err *err) ATT_MUST_USE;
/* "explain":{…} of the i-th of the best. */
enum att_status task_occlusion_render(struct task_call *call, const struct task_recommend *recommend, size_t i,
                                      struct att_jsonw *answer, struct att_err *err) ATT_MUST_USE;

/* Whether the encoder reads an event's own text: nobody knows its item, and it has one. */
bool task_recommend_event_text(const struct task_recommend *recommend, const struct task_event *event);
/* Boosts for what stood beside the newest items of a sequence. */
enum att_status task_recommend_boosts(struct task_call *call, const struct task_recommend *recommend,
                                      const struct task_job *sequence, struct task_preference *preference,
                                      struct att_err *err) ATT_MUST_USE;
/* A text's vector at unit length from the jobs of its windows, those of a long text averaged by their tokens. vector:
 * [hidden] zeros. */
void task_recommend_text_vector(const struct task_call *call, const struct task_windows *windows, size_t hidden,
                                float *vector);
/* Of exp(logit) over all that may be answered, by a preference that scored all of them. */
double task_recommend_log_sum(const struct task_recommend *recommend, const struct task_preference *preference);
/* How many of the best are looked at: more than are answered where they shall be diverse. */
size_t task_recommend_pool(const struct task_recommend *recommend);
/* After a round of jobs: ranks, and leaves the jobs of counterfactuals where they are asked for. */
enum att_status task_recommend_advance(struct task_call *call, struct att_err *err) ATT_MUST_USE;
/* All jobs are done: writes. */
enum att_status task_recommend_render(struct task_call *call, struct att_jsonw *answer,
                                      struct att_err *err) ATT_MUST_USE;

#endif
