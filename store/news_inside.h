/* The inside of the news store: for the files news*.c alone. */
#ifndef STORE_NEWS_INSIDE_H
#define STORE_NEWS_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/near.h"
#include "store/news.h"
#include "store/sqlite.h"

enum { STORE_NEWS_READERS_MAX = 4 };

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
    size_t near_before; /* what the index goes back to when the transaction fails */
    int64_t indexed_before;
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
/* SHA-256 of what makes an item's content: all that was sent but its engagement. */
enum att_status store_news_digest(const struct store_news_item *item, char ret_hex[STORE_NEWS_DIGEST_BYTES],
                                  struct att_err *err) ATT_MUST_USE;

#endif
