/*
 * The items of one recommend call: those of the model and its table, what the
 * catalogue changes of them, and the catalogue's new items. Slots number them:
 * 1..n_items the model's, behind them the new ones.
 */
#ifndef TASK_CATALOGUE_H
#define TASK_CATALOGUE_H

#include "store/catalogue.h"
#include "tasks/encode.h"

struct task_catalogue {
    const struct task_model *model;
    size_t n_items;
    const struct store_catalogue_view *view;   /* NULL: the model has no catalogue */
    size_t *slots;                             /* [view->n]; 0: a removed item that the model does not know */
    const struct store_catalogue_item **added; /* [n_added] the new items, of slots n_items + 1 .. */
    size_t n_added;
};

/* Takes the newest state; task_catalogue_release once, also after a failure. */
enum att_status task_catalogue_open(struct task_call *call, const struct task_model *model,
                                    struct task_catalogue *catalogue, struct att_err *err) ATT_MUST_USE;
void task_catalogue_release(struct task_catalogue *catalogue);
/* 0: nobody knows the item. */
size_t task_catalogue_slot(const struct task_catalogue *catalogue, const char *id);
bool task_catalogue_is_removed(const struct task_catalogue *catalogue, const char *id);
/* What the catalogue says of a slot; NULL: nothing. */
const struct store_catalogue_item *task_catalogue_at(const struct task_catalogue *catalogue, size_t slot);
/* Clears allowed[slot] of what is removed or not available. allowed: [n_items + 1 + n_added]. */
void task_catalogue_forbid(const struct task_catalogue *catalogue, unsigned char *allowed);
/* {"metadata":{…},"logic":"and"|"or"} of the body: clears allowed[slot] of what has other metadata. */
enum att_status task_catalogue_filter(const struct task_catalogue *catalogue, const struct att_json *filters,
                                      unsigned char *allowed, struct att_err *err) ATT_MUST_USE;
/* The title of a slot, or NULL. */
const char *task_catalogue_title(const struct task_catalogue *catalogue, size_t slot);

#endif
