/*
 * The news file's life: opening, the writer's transaction, readers' connections,
 * alerts, small values, retention. What is put is in news_put.c, what is read in
 * news_read.c. Lock order: none, since no lock is taken while another is held.
 */
#include "store/news.h"

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"
#include "store/news_inside.h"

/* ---- opening and closing ---- */

static enum att_status open_file(struct store_news *news, struct att_err *err)
{
    enum att_status status = store_sqlite_open(news->path, &news->db, err);
    if (status == ATT_OK)
        status = store_news_schema_prepare(news->db, news->path, err);
    if (status == ATT_OK)
        status = store_sqlite_place_find(news->path, &news->place, err);
    if (status == ATT_OK)
        status = store_near_create(news->options.window_ms, &news->near, err);
    return status;
}

enum att_status store_news_open(const char *path, const struct store_news_options *options,
                                struct store_news **ret_news, struct att_err *err)
{
    assert(path && options);
    struct store_news *news = att_mem_calloc(1, sizeof *news);
    if (!news)
        return att_err_set(err, ATT_ENOMEM, "%s: out of memory", path);
    atomic_init(&news->refs, 1);
    atomic_init(&news->changes, 0);
    pthread_mutex_init(&news->write_mutex, NULL);
    pthread_mutex_init(&news->read_mutex, NULL);
    pthread_cond_init(&news->returned, NULL);
    news->options = *options;
    news->path = att_mem_strdup(path);
    enum att_status status =
        news->path ? open_file(news, err) : att_err_set(err, ATT_ENOMEM, "%s: out of memory", path);
    if (status != ATT_OK)
        store_news_close(news);
    else
        *ret_news = news;
    return status;
}

void store_news_close(struct store_news *news)
{
    if (!news || atomic_fetch_sub(&news->refs, 1) != 1)
        return;
    for (size_t i = 0; i < STORE_NEWS_READERS_MAX; i++)
        sqlite3_close(news->readers[i]);
    sqlite3_close(news->db);
    store_near_destroy(news->near);
    pthread_cond_destroy(&news->returned);
    pthread_mutex_destroy(&news->read_mutex);
    pthread_mutex_destroy(&news->write_mutex);
    att_mem_free(news->path);
    att_mem_free(news);
}

struct store_news *store_news_ref(struct store_news *news)
{
    size_t before = atomic_fetch_add(&news->refs, 1);
    assert(before > 0);
    (void)before;
    return news;
}

const char *store_news_path(const struct store_news *news)
{
    return news->path;
}

bool store_news_is(const struct store_news *news, const char *path, const struct store_news_options *options)
{
    return strcmp(news->path, path) == 0 && news->options.window_ms == options->window_ms &&
           news->options.similar_min == options->similar_min && news->options.retention_ms == options->retention_ms;
}

/* ---- readers ---- */

enum att_status store_news_reader_take(struct store_news *news, size_t *ret_reader, struct att_err *err)
{
    enum att_status status = ATT_OK;
    size_t reader = 0;
    pthread_mutex_lock(&news->read_mutex);
    for (;;) {
        for (reader = 0; reader < STORE_NEWS_READERS_MAX && news->is_lent[reader]; reader++)
            ;
        if (reader < STORE_NEWS_READERS_MAX)
            break;
        pthread_cond_wait(&news->returned, &news->read_mutex);
    }
    news->is_lent[reader] = true;
    pthread_mutex_unlock(&news->read_mutex);
    if (!news->readers[reader])
        status = store_sqlite_open(news->path, &news->readers[reader], err);
    if (status != ATT_OK)
        store_news_reader_give(news, reader, status);
    else
        *ret_reader = reader;
    return status;
}

void store_news_reader_give(struct store_news *news, size_t reader, enum att_status status)
{
    /* What failed inside SQLite may have left its connection in any state: the next reader gets a new one. */
    if (status != ATT_OK) {
        sqlite3_close(news->readers[reader]);
        news->readers[reader] = NULL;
    }
    pthread_mutex_lock(&news->read_mutex);
    news->is_lent[reader] = false;
    pthread_cond_signal(&news->returned);
    pthread_mutex_unlock(&news->read_mutex);
}

/* ---- the writer ---- */

static enum att_status begin(struct store_news *news, struct att_err *err)
{
    sqlite3 *fresh = NULL;
    enum att_status status = ATT_OK;
    if (news->db_suspect) {
        status = store_sqlite_open(news->path, &fresh, err);
        if (status != ATT_OK)
            return status;
        sqlite3_close(news->db);
        news->db = fresh;
        news->db_suspect = false;
    }
    status = store_sqlite_place_check(news->path, &news->place, err);
    if (status == ATT_OK)
        status = store_sqlite_exec(news->db, news->path, "BEGIN IMMEDIATE", err);
    news->db_suspect = status == ATT_ENOMEM;
    return status;
}

enum att_status store_news_write_begin(struct store_news *news, struct att_err *err)
{
    pthread_mutex_lock(&news->write_mutex);
    enum att_status status = begin(news, err);
    store_near_begin(news->near);
    news->changes_items = false;
    news->indexed_before = news->indexed_seq;
    if (status != ATT_OK)
        pthread_mutex_unlock(&news->write_mutex);
    return status;
}

enum att_status store_news_write_end(struct store_news *news, enum att_status status, struct att_err *err)
{
    status = store_sqlite_end(news->db, news->path, status, err);
    if (status != ATT_OK) {
        news->db_suspect = status == ATT_ENOMEM || !sqlite3_get_autocommit(news->db);
        store_near_undo(news->near);
        news->indexed_seq = news->indexed_before;
    } else if (news->changes_items) {
        atomic_fetch_add(&news->changes, 1);
    }
    pthread_mutex_unlock(&news->write_mutex);
    return status;
}

uint64_t store_news_changes(struct store_news *news)
{
    return atomic_load(&news->changes);
}

/* ---- retention ---- */

/* *ret_changed: rows. */
static enum att_status run_expiry(struct store_news *news, const char *sql, int64_t before_ms, size_t max,
                                  size_t *ret_changed, struct att_err *err)
{
    sqlite3_stmt *row = NULL;
    enum att_status status = store_sqlite_prepare(news->db, news->path, sql, &row, err);
    if (status == ATT_OK) {
        sqlite3_bind_int64(row, 1, before_ms);
        sqlite3_bind_int64(row, 2, (sqlite3_int64)max);
        status = store_sqlite_run(news->db, news->path, row, err);
        *ret_changed = (size_t)sqlite3_changes(news->db);
    }
    sqlite3_finalize(row);
    return status;
}

#define EXPIRED "SELECT seq FROM items WHERE received_ms < ?1 ORDER BY received_ms LIMIT ?2"

enum att_status store_news_expire_items(struct store_news *news, int64_t before_ms, size_t max, size_t *ret_removed,
                                        struct att_err *err)
{
    size_t moved = 0;
    enum att_status status = run_expiry(news, STORE_NEWS_LEAVE(EXPIRED), before_ms, max, &moved, err);
    if (status == ATT_OK)
        status = run_expiry(news, "DELETE FROM items WHERE seq IN (" EXPIRED ")", before_ms, max, ret_removed, err);
    news->changes_items = news->changes_items || moved > 0;
    return status;
}

enum att_status store_news_expire(struct store_news *news, int64_t before_ms, size_t max, size_t *ret_removed,
                                  struct att_err *err)
{
    static const char alerts[] =
        "DELETE FROM alerts WHERE seq IN (SELECT seq FROM alerts WHERE time_ms < ?1 ORDER BY time_ms LIMIT ?2)";
    size_t removed = 0, removed_alerts = 0;
    enum att_status status = store_news_write_begin(news, err);
    if (status != ATT_OK)
        return status;
    status = store_news_expire_items(news, before_ms, max, &removed, err);
    if (status == ATT_OK)
        status = run_expiry(news, alerts, before_ms, max, &removed_alerts, err);
    removed += removed_alerts;
    status = store_news_write_end(news, status, err);
    if (status == ATT_OK)
        *ret_removed = removed;
    return status;
}

static enum att_status run_for_id(struct store_news *news, const char *sql, const char *id, struct att_err *err)
{
    sqlite3_stmt *row = NULL;
    enum att_status status = store_sqlite_prepare(news->db, news->path, sql, &row, err);
    if (status == ATT_OK && sqlite3_bind_text(row, 1, id, -1, SQLITE_STATIC) != SQLITE_OK)
        status = store_sqlite_error(news->db, news->path, err);
    if (status == ATT_OK)
        status = store_sqlite_run(news->db, news->path, row, err);
    sqlite3_finalize(row);
    return status;
}

enum att_status store_news_remove(struct store_news *news, const char *id, bool *ret_removed, struct att_err *err)
{
    bool removed = false;
    enum att_status status = store_news_write_begin(news, err);
    if (status != ATT_OK)
        return status;
    status = run_for_id(news, STORE_NEWS_LEAVE("SELECT seq FROM items WHERE id = ?1"), id, err);
    if (status == ATT_OK)
        status = run_for_id(news, "DELETE FROM items WHERE id = ?1", id, err);
    removed = status == ATT_OK && sqlite3_changes(news->db) > 0;
    news->changes_items = removed;
    status = store_news_write_end(news, status, err);
    if (status == ATT_OK)
        *ret_removed = removed;
    return status;
}

/* ---- alerts ---- */

static enum att_status put_alert(struct store_news *news, sqlite3_stmt *row, const struct store_news_alert *alert,
                                 struct att_err *err)
{
    if (sqlite3_bind_int64(row, 1, alert->time_ms) != SQLITE_OK ||
        sqlite3_bind_text(row, 2, alert->level, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_text(row, 3, alert->kind, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_text(row, 4, alert->json, -1, SQLITE_STATIC) != SQLITE_OK)
        return store_sqlite_error(news->db, news->path, err);
    return store_sqlite_run(news->db, news->path, row, err);
}

enum att_status store_news_alerts_put(struct store_news *news, const struct store_news_alert *alerts, size_t n,
                                      int64_t *seqs, struct att_err *err)
{
    sqlite3_stmt *row = NULL;
    enum att_status status = store_news_write_begin(news, err);
    if (status != ATT_OK)
        return status;
    status = store_sqlite_prepare(news->db, news->path,
                                  "INSERT INTO alerts(time_ms, level, kind, json) VALUES (?1,?2,?3,?4)", &row, err);
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        status = put_alert(news, row, &alerts[i], err);
        seqs[i] = sqlite3_last_insert_rowid(news->db);
    }
    sqlite3_finalize(row);
    return store_news_write_end(news, status, err);
}

/* ---- small values ---- */

enum att_status store_news_meta_put(struct store_news *news, const char *key, const char *value, struct att_err *err)
{
    sqlite3_stmt *row = NULL;
    enum att_status status = store_news_write_begin(news, err);
    if (status != ATT_OK)
        return status;
    status = store_sqlite_prepare(news->db, news->path, "INSERT OR REPLACE INTO meta VALUES (?1, ?2)", &row, err);
    if (status == ATT_OK && (sqlite3_bind_text(row, 1, key, -1, SQLITE_STATIC) != SQLITE_OK ||
                             sqlite3_bind_text(row, 2, value, -1, SQLITE_STATIC) != SQLITE_OK))
        status = store_sqlite_error(news->db, news->path, err);
    if (status == ATT_OK)
        status = store_sqlite_run(news->db, news->path, row, err);
    sqlite3_finalize(row);
    return store_news_write_end(news, status, err);
}
