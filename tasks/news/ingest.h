/* What a chunk of news is on its way from lines to the store and the answer: for tasks/news/ingest*.c alone. */
#ifndef TASK_INGEST_H
#define TASK_INGEST_H

#include "tasks/feed.h"
#include "tasks/news/ner.h"
#include "tasks/news/news_analysis.h"
#include "tasks/window.h"

/* ---- texts that models read (ingest_texts.c) ---- */

enum ingest_text_kind {
    INGEST_ITEM,     /* title and text; in windows, and its vector is wanted */
    INGEST_SENTENCE, /* cut where it is longer than the model */
};

struct ingest_text {
    bool is_item;
    /* once its jobs ran: */
    const float *logits; /* [n_logits]; of several windows their mean */
    float *vector;       /* [hidden_size], of the first window; NULL: not wanted */
};

/* Each sequence of tokens once; all zero to begin with. */
struct ingest_texts {
    struct task_windows *windows; /* [n] */
    struct ingest_text *list;     /* [n] */
    size_t *slots;                /* [2 * capacity], a power of two: index + 1, 0: empty */
    size_t n, capacity;
    size_t n_run; /* the first so many have run */
};

/* A text to be read; the index of one with the same tokens where there is one. ATT_EINVAL: there is nothing in it that
 * the model could read. */
enum att_status task_ingest_text_add(struct task_call *call, struct ingest_texts *texts, const struct task_model *model,
                                     enum ingest_text_kind kind, const char *text, size_t len, size_t *ret_index,
                                     struct att_err *err) ATT_MUST_USE;
/* The call's jobs become those of the texts that have not run; n_jobs may be 0. */
enum att_status task_ingest_texts_jobs(struct task_call *call, struct ingest_texts *texts,
                                       struct att_err *err) ATT_MUST_USE;
/* Their outputs, before the jobs go. */
enum att_status task_ingest_texts_take(struct task_call *call, struct ingest_texts *texts,
                                       struct att_err *err) ATT_MUST_USE;

/* ---- items ---- */

/* The jobs under way: items, an entity model over them and, where there is no such model, sentences that name an
 * entity of the dictionary; else sentences once their entities are known. */
enum round { ROUND_ITEMS, ROUND_SENTENCES };

struct ingest_item {
    size_t place; /* line of the feed, from 1, or index in the array */
    struct att_json *json;
    const struct att_err *err;      /* why it is not taken; NULL: it is */
    bool known;                     /* stored with the same content */
    const struct task_model *model; /* that classifies it, or NULL */
    size_t text;                    /* index into texts: title and text */
    struct task_news_analysis analysis;
    size_t sentences[TASK_NEWS_SENTENCES_JUDGED_MAX]; /* index into texts: the judged ones */
    struct task_signals signals;
    float *vector;
    const char *joined; /* title and text, as classified; where an entity model reads it */
    struct task_ner ner;
};

struct ingest {
    const struct task_news *news;
    struct ingest_item *items;
    struct store_news_item *stored; /* [n_items], what goes to the store; index as items */
    size_t n_items;
    struct ingest_texts texts;
    enum round round;
    enum task_feed_results results;
    bool lines; /* NDJSON */
};

/* One result for each item, in order, as far as they fit the answer; counts them in the feed. results: of the items
 * without an error. */
void task_ingest_put_results(const struct task_call *call, const struct ingest *ingest, struct task_feed *feed,
                             const struct store_news_result *results, struct att_jsonw *answer);
/* The words of task_feed's counts in a summary. */
extern const char *const task_ingest_count_names[];

#endif
