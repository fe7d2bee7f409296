/* A recommend request once it is read: what recommend.c leaves for recommend_render.c. All of it lies in the arena. */
#ifndef TASK_RECOMMEND_H
#define TASK_RECOMMEND_H

#include "tasks/catalogue.h"
#include "tasks/names.h"
#include "tasks/preference.h"
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
    bool explain, exclude_seen;
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
};

/* Whether the encoder reads an event's own text: nobody knows its item, and it has one. */
bool task_recommend_event_text(const struct task_recommend *recommend, const struct task_event *event);
/* How many of the best are looked at: more than are answered where they shall be diverse. */
size_t task_recommend_pool(const struct task_recommend *recommend);
/* All jobs are done: ranks and writes. */
enum att_status task_recommend_render(struct task_call *call, struct att_jsonw *answer,
                                      struct att_err *err) ATT_MUST_USE;

#endif
