/*
 * What a user did: the events of a recommend request, and those that are stored
 * of the user, in the order of time, and
 * how much each one counts for what the user likes.
 *
 *   weight = strength × decay
 *   strength   the model's weight of the type (view 0.3, click 0.6, buy 1, rate without a value 0.7), or of a rating
 *              (value - 2)/3
 *              a rating of 2 or less of 5 is a dislike: -(2.5 - value)/2.5, and so are all other events of that item
 *              while it is the item's last rating
 *   decay      half in the model's half-life (30 days) before the newest event; without times 0.95 an event; 0.05 at
 *              least
 *
 * The sequence model reads the liked items that it knows with weights of their own, (strength × decay)^sequence, where
 * events without times do not decay: it knows their order by their positions.
 */
#ifndef TASK_HISTORY_H
#define TASK_HISTORY_H

#include "tasks/encode.h"

enum task_event_type { TASK_EVENT_VIEW, TASK_EVENT_CLICK, TASK_EVENT_RATE, TASK_EVENT_BUY };
enum { TASK_ITEM_ID_BYTES_MAX = 256 };

struct task_event {
    const char *item;
    size_t index;     /* of the model; 0: unknown */
    const char *text; /* NULL: none */
    size_t text_len;
    enum task_event_type type;
    double value;    /* NAN: none */
    double time;     /* seconds since 1970; NAN: none */
    size_t position; /* stored events first, then those of the request, each in the order they came */
    float weight;    /* above 0 it attracts, below 0 it repels */
    float presence;  /* of one that attracts: its weight for the sequence model, above 0 */
};

struct task_history {
    struct task_event *events; /* in the order of time */
    size_t n, n_stored;        /* all; those of the store */
    struct task_event *given;  /* [n] the same by position, neither dated nor weighed; NULL: not kept */
};

/* The model's index of an item by its id in the table, or as a number where there is no table. 0: unknown. */
size_t task_item_find(const struct task_model *model, const char *id);
/* A text of 1 to 256 bytes. */
enum att_status task_item_id(const struct task_call *call, const struct att_json *value, const char *path,
                             const char **ret_id, struct att_err *err) ATT_MUST_USE;
/* Reads item, type, value, time and text of one event; position and index are the caller's. Without a "type", an event
 * with a value is a rating, else a view. */
enum att_status task_event_parse(struct task_call *call, const struct att_json *object, const char *path,
                                 struct task_event *event, struct att_err *err) ATT_MUST_USE;
/* Reads what is stored of the user (NULL: nobody) and "history" of the body, joins, sorts and weighs. */
enum att_status task_history_parse(struct task_call *call, const struct task_model *model, const struct att_json *body,
                                   const char *user, struct task_history *history, struct att_err *err) ATT_MUST_USE;
/* The number of an event in answers: those of the request as they stand there, then the stored ones. */
size_t task_history_number(const struct task_history *history, size_t position);
/* The sorting and weighing alone: pure. Events stand in the order of the request. An event without a time has that of
 * the event before it, else of the first that has one. disliked: work space of n_items + 1 zeros. */
void task_history_weigh(struct task_history *history, const struct att_history_rules *rules, unsigned char *disliked);

#endif
