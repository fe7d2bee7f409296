/* The inside of the news store: for the files news*.c alone. */
#ifndef STORE_NEWS_INSIDE_H
#define STORE_NEWS_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/near.h"
#include "store/news.h"
#include "store/sqlite.h"

enum { STORE_NEWS_READERS_MAX = 4 };

/* Takes items out of the clusters that bear their numbers: of those that remain in one the earliest becomes its first.
 * gone: a SELECT of the seqs. */
#define STORE_NEWS_LEAVE(gone)                                                                                         \
    "WITH gone(seq) AS (" gone "), first AS (SELECT cluster, min(seq) AS seq, received_ms FROM items"                  \
    " WHERE cluster IN gone AND seq NOT IN gone GROUP BY cluster)"                                                     \
    " UPDATE items SET cluster = first.seq, first_seen_ms = first.received_ms FROM first"                              \
    " WHERE items.cluster = first.cluster AND items.seq NOT IN gone"

struct store_news {
    char *path;
    struct store_news_options options;
    atomic_size_t refs;
    struct store_sqlite_place place;
    pthread_mutex_t write_mutex; /* protects what stands up to read_mutex: one transaction at a time, held until it is
                                    on the disk */
    sqlite3 *db;
    bool db_suspect;         /* an allocation failed inside: replaced before its next use */
    struct store_near *near; /* of the items up to indexed_seq */
    int64_t indexed_seq;
    int64_t indexed_before; /* what indexed_seq goes back to when the transaction fails */
    bool changes_items;     /* this transaction removes or rewrites some that were there */
    atomic_uint_fast64_t changes;
    pthread_mutex_t read_mutex; /* protects readers and is_lent */
    pthread_cond_t returned;
    sqlite3 *readers[STORE_NEWS_READERS_MAX]; /* NULL: not opened yet */
    bool is_lent[STORE_NEWS_READERS_MAX];
};

/* Makes the tables of an empty file, whole or not at all; checks those of any other. */
enum att_status store_news_schema_prepare(sqlite3 *db, const char *path, struct att_err *err) ATT_MUST_USE;

/* A connection for one reader, waited for when all are lent; give it back with the status of what was read. */
enum att_status store_news_reader_take(struct store_news *news, size_t *ret_reader, struct att_err *err) ATT_MUST_USE;
void store_news_reader_give(struct store_news *news, size_t reader, enum att_status status);

/* Begins a transaction under the writer's lock, which store_news_write_end gives back in any case. */
enum att_status store_news_write_begin(struct store_news *news, struct att_err *err) ATT_MUST_USE;
enum att_status store_news_write_end(struct store_news *news, enum att_status status, struct att_err *err) ATT_MUST_USE;
/* Removes at most `max` of the items that were received before this time, inside a transaction. */
enum att_status store_news_expire_items(struct store_news *news, int64_t before_ms, size_t max, size_t *ret_removed,
                                        struct att_err *err) ATT_MUST_USE;
/* SHA-256 of what makes an item's content: all that was sent but its engagement. */
enum att_status store_news_digest(const struct store_news_item *item, char ret_hex[STORE_NEWS_DIGEST_BYTES],
                                  struct att_err *err) ATT_MUST_USE;

#endif
