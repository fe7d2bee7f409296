/* What calls on a recommender's items have in common: for tasks/recommend/items*.c alone. */
#ifndef TASK_ITEMS_H
#define TASK_ITEMS_H

#include "tasks/feed.h"
#include "tasks/recommend/catalogue.h"
#include "tasks/window.h"

/* One line of a feed. */
struct items_line {
    size_t number; /* from 1 */
    struct att_json *json;
    const char *id;            /* NULL: it says none */
    const struct att_err *err; /* why it is not taken; NULL: it is */
};

struct items_call {
    const struct task_model *model;
    struct task_catalogue catalogue;
    struct store_catalogue_item *items; /* to be written */
    size_t n;
    struct task_windows *windows; /* [n_texts] */
    size_t *text_items;           /* [n_texts] whose text it is */
    size_t n_texts;
    size_t slot;         /* of the path's item */
    size_t first, limit; /* of a list */
    struct items_line *lines;
    size_t n_lines;
    enum task_feed_results results;
};

/* One item's members; fixed_id: of the path, or NULL. path: of the object, for messages. */
enum att_status task_items_parse(struct task_call *call, const struct att_json *object, const char *path,
                                 const char *fixed_id, struct store_catalogue_item *item,
                                 struct att_err *err) ATT_MUST_USE;
/* Room for the texts of so many items; nothing where the model has no encoder. */
enum att_status task_items_plan_begin(struct task_call *call, struct items_call *items, size_t n,
                                      struct att_err *err) ATT_MUST_USE;
/* Plans what is to be embedded of items->items[index]. */
enum att_status task_items_plan(struct task_call *call, struct items_call *items, size_t index, const char *path,
                                struct att_err *err) ATT_MUST_USE;
/* Jobs for all that was planned. */
enum att_status task_items_plan_end(struct task_call *call, struct items_call *items, struct att_err *err) ATT_MUST_USE;
/* Takes the vectors from the jobs and stores all items in one transaction. */
enum att_status task_items_write(struct task_call *call, struct items_call *items, struct att_err *err) ATT_MUST_USE;

/* A chunk of lines, an item each. */
enum att_status task_items_lines_parse(struct task_call *call, struct items_call *items,
                                       struct att_err *err) ATT_MUST_USE;
enum att_status task_items_lines_render(struct task_call *call, struct items_call *items, struct att_jsonw *answer,
                                        struct att_err *err) ATT_MUST_USE;

#endif
