/*
 * The news store: what was ingested, with what the models said of it, in one SQLite file.
 *
 *   items(seq, id, time_ms, source, cluster, polarity, noise, importance, …)   one row an item
 *   mentions(entity, seq)                                                     which items name an entity
 *   alerts(seq, time_ms, level, kind, json)                                   what was reported, in order
 *   meta(key, value)                                                          schema version; cursors of others
 *
 * An item has an id of its client's and a seq, its number in order of arrival.
 * A put is one transaction with synchronous=FULL: acknowledged means durable,
 * failed means unchanged, the same item twice is stored once. The put also finds
 * the item's near-duplicates (near.h), under the writer's lock and so in one
 * order. In WAL mode readers, each with a connection of their own, neither wait
 * for the writer nor make it wait. Thread safe. Messages name the file.
 */
#ifndef STORE_NEWS_H
#define STORE_NEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

enum { STORE_NEWS_ENTITIES_MAX = 64, STORE_NEWS_DIGEST_BYTES = 65 };

struct store_news_options {
    int64_t window_ms;    /* items further apart in time are no near-duplicates */
    double similar_min;   /* from this similarity on they are */
    int64_t retention_ms; /* a put removes what was received longer ago, at most as much as it brings; 0: nothing */
};

struct store_news_item {
    int64_t seq; /* read only: put gives it */
    /* as sent; strings are never NULL but may be "" (lang, url, title, source) */
    const char *id, *source, *url, *title, *text, *lang;
    int64_t time_ms;              /* published, Unix time */
    bool time_is_sent;            /* else it is that of receiving, and no part of the content */
    int64_t received_ms;          /* first seen here */
    double engagement;            /* >= 0, from its parts */
    const char *engagement_parts; /* {"views":…,"comments":…,"shares":…,"likes":…} as text */
    /* as analysed */
    bool analysed;                    /* false: what follows is empty; put stores only what needs no model */
    const char *model, *model_digest; /* that classified; "" when none did */
    const char *sentiment;            /* label, or "" */
    double sentiment_score, polarity; /* polarity -1..1 */
    const char *topics;               /* [{"label":…,"score":…},…] as text, best first */
    double noise, importance;         /* 0..1; NAN: the model has no such head */
    double relevance;                 /* 0..1 of the item's best entity; 0 without one */
    const char
        *entities; /* [{"id","name","type","ticker","mentions","polarity","label","relevance","spans"}] as text */
    const char *const *entity_ids;       /* of put: the ids in entities, each once; NULL after a read */
    size_t n_entity_ids;                 /* at most STORE_NEWS_ENTITIES_MAX */
    size_t evidence_start, evidence_end; /* byte range in text of the most telling sentence; equal: none */
    const float *vector;                 /* of put: the pooled vector, or NULL; NULL after a read */
    size_t dimensions;
    /* as found by put */
    int64_t cluster;       /* seq of the first item of its cluster of near-duplicates; its own for a first one */
    double similarity;     /* 0..1, with the most similar earlier item of the window */
    double novelty;        /* 1 - similarity */
    int64_t first_seen_ms; /* received_ms of the first item of the cluster */
};

enum store_news_outcome {
    STORE_NEWS_NEW,
    STORE_NEWS_DUPLICATE, /* the same id and content: nothing was written */
    STORE_NEWS_UPDATED,   /* the same id: its content, or its engagement alone, was replaced; seq stays */
    STORE_NEWS_ABSENT,    /* not analysed, since it was known, and gone by now: analyse it and put it again */
};

struct store_news_result {
    enum store_news_outcome outcome;
    int64_t seq, cluster, first_seen_ms;
    double similarity, novelty;
};

struct store_news_filter {                                        /* zeros: everything, oldest first */
    int64_t from_ms, to_ms;                                       /* time_ms in [from, to); to 0: no end */
    int64_t after_seq;                                            /* seq > this */
    const char *source, *lang, *sentiment, *entity, *topic;       /* equal; NULL: any. topic: a label of topics */
    int64_t cluster;                                              /* 0: any */
    double noise_max, importance_min, polarity_min, polarity_max; /* used when set by has_*; unknown noise passes */
    bool has_noise_max, has_importance_min, has_polarity_min, has_polarity_max;
    bool first_of_cluster; /* only the first item of each cluster */
    bool by_seq;           /* order by seq instead of (time_ms, seq) */
    bool newest_first;
    size_t skip, limit; /* limit 0: no limit */
};

struct store_news_alert {
    int64_t seq; /* read only: put gives it */
    int64_t time_ms;
    const char *level, *kind, *json; /* "red", "orange", "yellow", "blue"; what it is about; the whole alert */
};

struct store_news_counts {
    int64_t items, last_seq /* ever given */, oldest_ms, newest_ms; /* times of publication; 0 when empty */
    int64_t alerts, last_alert_seq;
};

struct store_news;

/* Opens or creates. A file that is damaged or something else: ATT_EFORMAT. */
enum att_status store_news_open(const char *path, const struct store_news_options *options,
                                struct store_news **ret_news, struct att_err *err) ATT_MUST_USE;
/* Drops one reference; the last one closes. NULL is allowed. */
void store_news_close(struct store_news *news);
struct store_news *store_news_ref(struct store_news *news);
const char *store_news_path(const struct store_news *news);
/* The same path is open with the same options? Else it is to be opened anew. */
bool store_news_is(const struct store_news *news, const char *path, const struct store_news_options *options);

/* Says of each item whether its id is stored with the same content: then it needs no analysis. */
enum att_status store_news_known(struct store_news *news, const struct store_news_item *items, size_t n, bool *known,
                                 struct att_err *err) ATT_MUST_USE;
/* Stores items in order, in one transaction; results[n]. ATT_ESPACE, ATT_EBUSY, ATT_EIO as in kb.h. */
enum att_status store_news_put(struct store_news *news, const struct store_news_item *items, size_t n,
                               struct store_news_result *results, struct att_err *err) ATT_MUST_USE;

/* Calls `visit` for each item in order, until it answers false; what the item points to is valid during the call. One
 * consistent state of the file. `visit` must not call the store. */
enum att_status store_news_scan(struct store_news *news, const struct store_news_filter *filter,
                                bool (*visit)(void *context, const struct store_news_item *item), void *context,
                                struct att_err *err) ATT_MUST_USE;
/* One item by id; *ret_found says whether `visit` was called. */
enum att_status store_news_get(struct store_news *news, const char *id,
                               bool (*visit)(void *context, const struct store_news_item *item), void *context,
                               bool *ret_found, struct att_err *err) ATT_MUST_USE;
enum att_status store_news_count(struct store_news *news, struct store_news_counts *ret_counts,
                                 struct att_err *err) ATT_MUST_USE;
/* Removes at most `max` of the items that were received, and of the alerts that were raised, before this time. */
enum att_status store_news_expire(struct store_news *news, int64_t before_ms, size_t max, size_t *ret_removed,
                                  struct att_err *err) ATT_MUST_USE;
enum att_status store_news_remove(struct store_news *news, const char *id, bool *ret_removed,
                                  struct att_err *err) ATT_MUST_USE;
/* Grows when items that somebody may have read are removed, rewritten or moved to another cluster through this handle.
 * What goes by its age alone does not count. */
uint64_t store_news_changes(struct store_news *news);

/* Appends alerts in one transaction; seqs[n] are theirs. */
enum att_status store_news_alerts_put(struct store_news *news, const struct store_news_alert *alerts, size_t n,
                                      int64_t *seqs, struct att_err *err) ATT_MUST_USE;
/* Alerts with a seq > after, in order, at most `max`. */
enum att_status store_news_alerts_scan(struct store_news *news, int64_t after, size_t max,
                                       bool (*visit)(void *context, const struct store_news_alert *alert),
                                       void *context, struct att_err *err) ATT_MUST_USE;
/* The same backwards: alerts with a seq < before, the newest first. */
enum att_status store_news_alerts_scan_back(struct store_news *news, int64_t before, size_t max,
                                            bool (*visit)(void *context, const struct store_news_alert *alert),
                                            void *context, struct att_err *err) ATT_MUST_USE;

/* Small values of others, such as how far a webhook has come. *ret_value is NULL when there is none; free it with
 * att_mem_free. Keys should begin with their owner's name and a dot. */
enum att_status store_news_meta_get(struct store_news *news, const char *key, char **ret_value,
                                    struct att_err *err) ATT_MUST_USE;
enum att_status store_news_meta_put(struct store_news *news, const char *key, const char *value,
                                    struct att_err *err) ATT_MUST_USE;

#endif
