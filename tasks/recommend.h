/* The parsed request of /v1/recommend, shared by its two files: recommend.c (request, answer), profile.c (evidence). */
#ifndef TASK_RECOMMEND_H
#define TASK_RECOMMEND_H

#include "store/items.h"
#include "tasks/encode.h"
#include "tasks/ranking.h"

enum event_type { EVENT_VIEW, EVENT_CLICK, EVENT_RATE, EVENT_BUY };

struct event {
    const char *item, *text;  /* text NULL: none */
    size_t item_len, text_len, place; /* place: in the request's history */
    size_t index;             /* the model's item number, or 0 */
    enum event_type type;
    double value, time;       /* NAN: not given */
    double weight;            /* liking: > 0 attracts, < 0 a dislike */
    const float *vector;      /* of its text, unit length; NULL: none */
    size_t job;               /* its text's job + 1; 0: none */
    float attention;          /* share of the sequence model's attention */
};

struct candidate {
    const char *id, *text;    /* text NULL: none */
    size_t id_len, text_len, index;
    const float *vector;
    size_t job;               /* + 1; 0: none */
};

struct recommend {
    const struct task_model *model;
    struct event *events;     /* in time order */
    size_t n_events;
    struct candidate *candidates; /* NULL: the whole catalogue */
    size_t n_candidates;
    const struct att_json *exclude;
    const char *interest;
    size_t interest_len, interest_job; /* + 1 */
    const float *interest_vector;
    size_t top_k;
    double diversity;
    bool exclude_seen, explain, has_sequence;
    size_t *sequence_events;  /* events that the sequence holds, in order */
    size_t sequence_len, n_items, dimensions;
    const char **unknown;     /* ids */
    size_t *unknown_lens, n_unknown;
};

/* The evidence for all items from the finished jobs; arrays in the arena. mean and deviation put the content scores
 * of candidates outside the catalogue on the catalogue's scale. */
struct task_recommend_evidence {
    struct task_ranking_evidence catalogue;
    const float *profile_vector;
    float interest_mean, interest_deviation, profile_mean, profile_deviation;
};
enum att_status task_recommend_evidence_make(struct task_call *call, struct recommend *recommend,
                                        struct task_recommend_evidence *evidence, struct att_err *err) ATT_MUST_USE;
/* Likeness of two things by their vectors: item numbers in the recommender's own space, else texts; 0 when neither. */
float task_recommend_likeness(const struct recommend *recommend, size_t index_a, const float *vector_a, size_t index_b,
                         const float *vector_b);
/* What the item table says of an item, or NULL. */
const struct store_item *task_recommend_item(const struct recommend *recommend, size_t index);
/* The text vector of an item, or NULL. */
const float *task_recommend_item_vector(const struct recommend *recommend, size_t index);

#endif
