/* A recommend request once it is read: what recommend.c leaves for recommend_render.c. All of it lies in the arena. */
#ifndef TASK_RECOMMEND_H
#define TASK_RECOMMEND_H

#include "tasks/names.h"
#include "tasks/recommend/catalogue.h"
#include "tasks/recommend/preference.h"
#include "tasks/window.h"

struct task_candidate { /* known by text alone */
    const char *id, *text;
    size_t text_len;
    size_t number; /* of its text among the encoder's */
};

struct task_recommend {
    const struct task_model *model;
    struct task_catalogue catalogue;
    size_t n_items, n_slots, top_k; /* n_slots: of the catalogue, and 0 */
    double diversity;
    bool explain, counterfactual, exclude_seen;
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
    struct task_without *without; /* [n_without] counterfactuals, or NULL */
    size_t n_without;
};

/* A job (its ids, len and pooled) for the newest liked items that the model can take, and which events they are; len 0:
 * none is liked. */
enum att_status task_recommend_sequence(struct task_call *call, const struct task_model *model,
                                        const struct task_history *history, struct task_job *job, size_t **ret_events,
                                        struct att_err *err) ATT_MUST_USE;

/* tasks/recommend/recommend_without.c: what the best items' logits would be without one event, or without the interest.
 */
struct task_without {
    size_t position; /* of the event; SIZE_MAX: the interest */
    struct task_history history;
    size_t *sequence; /* events of the job */
    size_t n_sequence, job;
    const float **event_vectors;
    struct task_preference preference;
};
enum att_status task_without_plan(struct task_call *call, struct task_recommend *recommend,
                                  struct att_err *err) ATT_MUST_USE;
/* After the round of its jobs. */
enum att_status task_without_conclude(struct task_call *call, struct task_recommend *recommend,
                                      struct att_err *err) ATT_MUST_USE;
/* "counterfactual":[…] of one slot. */
enum att_status task_without_render(struct task_call *call, const struct task_recommend *recommend, size_t slot,
                                    float logit, struct att_jsonw *answer, struct att_err *err) ATT_MUST_USE;

/* Whether the encoder reads an event's own text: nobody knows its item, and it has one. */
bool task_recommend_event_text(const struct task_recommend *recommend, const struct task_event *event);
/* Boosts for what stood beside the newest items of a sequence. */
enum att_status task_recommend_boosts(struct task_call *call, const struct task_recommend *recommend,
                                      const struct task_job *sequence, struct task_preference *preference,
                                      struct att_err *err) ATT_MUST_USE;
/* How many of the best are looked at: more than are answered where they shall be diverse. */
size_t task_recommend_pool(const struct task_recommend *recommend);
/* After a round of jobs: ranks, and leaves the jobs of counterfactuals where they are asked for. */
enum att_status task_recommend_advance(struct task_call *call, struct att_err *err) ATT_MUST_USE;
/* All jobs are done: writes. */
enum att_status task_recommend_render(struct task_call *call, struct att_jsonw *answer,
                                      struct att_err *err) ATT_MUST_USE;

#endif
