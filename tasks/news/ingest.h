/* What a chunk of news is on its way from lines to the store and the answer: for tasks/news/ingest*.c alone. */
#ifndef TASK_INGEST_H
#define TASK_INGEST_H

#include "tasks/feed.h"
#include "tasks/news/ner.h"
#include "tasks/news/news_analysis.h"
#include "tasks/window.h"

/* The jobs under way: all heads over whole items, an entity model over them, single sentences. */
enum round { ROUND_HEADS, ROUND_ENTITIES, ROUND_SENTENCES };

struct ingest_item {
    size_t place; /* line of the feed, from 1, or index in the array */
    struct att_json *json;
    const struct att_err *err;      /* why it is not taken; NULL: it is */
    bool known;                     /* stored with the same content */
    const struct task_model *model; /* that classifies it, or NULL */
    struct task_windows windows;
    struct task_news_analysis analysis;
    struct task_signals signals;
    float *vector;
    const char *joined; /* title and text, as classified; where an entity model reads it */
    struct task_ner ner;
    size_t first_sentence; /* job of the last round */
};

struct ingest {
    const struct task_news *news;
    struct ingest_item *items;
    struct store_news_item *stored; /* [n_items], what goes to the store; index as items */
    size_t n_items;
    struct task_windows_options options;
    struct task_windows *windows; /* of the items that are classified, in order */
    size_t n_windows;
    enum round round;
    enum task_feed_results results;
    bool lines; /* NDJSON */
};

/* One result for each item, in order, as far as they fit the answer; counts them in the feed. results: of the items
 * without an error. */
void task_ingest_put_results(const struct task_call *call, const struct ingest *ingest, struct task_feed *feed,
                             const struct store_news_result *results, struct att_jsonw *answer);
/* The member "summary". */
void task_ingest_put_counts(const struct task_feed *feed, bool lines, struct att_jsonw *answer);

#endif
