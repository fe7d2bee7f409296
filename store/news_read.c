/*
 * Reading: scans with filters, one item, counts, alerts. A scan is one statement
 * and so sees one state of the file, however long it takes; its text is put
 * together from fixed pieces, and values are bound.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "store/news_inside.h"

enum { SQL_BYTES = 2048 };

#define COLUMNS                                                                                                        \
    "seq, id, time_ms, received_ms, source, lang, cluster, similarity, first_seen_ms, engagement, parts, sentiment,"   \
    " sentiment_score, polarity, noise, importance, relevance, model, model_digest, topics, entities,"                 \
    " evidence_start, evidence_end, url, title, text"

static const char *text_at(sqlite3_stmt *row, int column, bool *failed)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    *failed = *failed || !text;
    return text ? text : "";
}

static double number_or_nan(sqlite3_stmt *row, int column)
{
    return sqlite3_column_type(row, column) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(row, column);
}

/* False: a text could not be read. */
static bool read_item(sqlite3_stmt *row, struct store_news_item *item)
{
    bool failed = false;
    *item = (struct store_news_item){
        .seq = sqlite3_column_int64(row, 0),
        .id = text_at(row, 1, &failed),
        .time_ms = sqlite3_column_int64(row, 2),
        .received_ms = sqlite3_column_int64(row, 3),
        .source = text_at(row, 4, &failed),
        .lang = text_at(row, 5, &failed),
        .cluster = sqlite3_column_int64(row, 6),
        .similarity = sqlite3_column_double(row, 7),
        .novelty = 1 - sqlite3_column_double(row, 7),
        .first_seen_ms = sqlite3_column_int64(row, 8),
        .engagement = sqlite3_column_double(row, 9),
        .engagement_parts = text_at(row, 10, &failed),
        .analysed = true,
        .sentiment = text_at(row, 11, &failed),
        .sentiment_score = sqlite3_column_double(row, 12),
        .polarity = sqlite3_column_double(row, 13),
        .noise = number_or_nan(row, 14),
        .importance = number_or_nan(row, 15),
        .relevance = sqlite3_column_double(row, 16),
        .model = text_at(row, 17, &failed),
        .model_digest = text_at(row, 18, &failed),
        .topics = text_at(row, 19, &failed),
        .entities = text_at(row, 20, &failed),
        .evidence_start = (size_t)sqlite3_column_int64(row, 21),
        .evidence_end = (size_t)sqlite3_column_int64(row, 22),
        .url = text_at(row, 23, &failed),
        .title = text_at(row, 24, &failed),
        .text = text_at(row, 25, &failed),
    };
    return !failed;
}

/* ---- the statement of a scan ---- */

struct clause {
    const char *sql; /* NULL: the end */
    bool used;
    enum { INTEGER, NUMBER, TEXT } type;
    int64_t integer;
    double number;
    const char *text;
};

enum { CLAUSES = 14 };

static size_t list_clauses(const struct store_news_filter *f, struct clause clauses[CLAUSES])
{
    const struct clause all[] = {
        {"time_ms >= ?", f->from_ms != 0, INTEGER, f->from_ms, 0, NULL},
        {"time_ms < ?", f->to_ms != 0, INTEGER, f->to_ms, 0, NULL},
        {"seq > ?", f->after_seq != 0, INTEGER, f->after_seq, 0, NULL},
        {"source = ?", f->source != NULL, TEXT, 0, 0, f->source},
        {"lang = ?", f->lang != NULL, TEXT, 0, 0, f->lang},
        {"sentiment = ?", f->sentiment != NULL, TEXT, 0, 0, f->sentiment},
        {"seq IN (SELECT seq FROM mentions WHERE entity = ?)", f->entity != NULL, TEXT, 0, 0, f->entity},
        {"EXISTS (SELECT 1 FROM json_each(topics) WHERE json_extract(value, '$.label') = ?)", f->topic != NULL, TEXT, 0,
         0, f->topic},
        {"cluster = ?", f->cluster != 0, INTEGER, f->cluster, 0, NULL},
        {"coalesce(noise, 0) <= ?", f->has_noise_max, NUMBER, 0, f->noise_max, NULL},
        {"importance >= ?", f->has_importance_min, NUMBER, 0, f->importance_min, NULL},
        {"polarity >= ?", f->has_polarity_min, NUMBER, 0, f->polarity_min, NULL},
        {"polarity <= ?", f->has_polarity_max, NUMBER, 0, f->polarity_max, NULL},
        {"cluster = CASE WHEN ? THEN seq END", f->first_of_cluster, INTEGER, 1, 0, NULL},
    };
    size_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].used)
            clauses[n++] = all[i];
    return n;
}

static enum att_status prepare_scan(struct store_news *news, sqlite3 *db, const struct store_news_filter *filter,
                                    sqlite3_stmt **ret_row, struct att_err *err)
{
    struct clause clauses[CLAUSES];
    char sql[SQL_BYTES];
    size_t n = list_clauses(filter, clauses), at = 0;
    const char *order = filter->newest_first ? " DESC" : "";
    int failed = SQLITE_OK;
    at += (size_t)snprintf(sql, sizeof sql, "SELECT " COLUMNS " FROM items");
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(sql + at, sizeof sql - at, "%s %s", i ? " AND" : " WHERE", clauses[i].sql);
    if (filter->by_seq)
        snprintf(sql + at, sizeof sql - at, " ORDER BY seq%s LIMIT ? OFFSET ?", order);
    else
        snprintf(sql + at, sizeof sql - at, " ORDER BY time_ms%s, seq%s LIMIT ? OFFSET ?", order, order);
    enum att_status status = store_sqlite_prepare(db, news->path, sql, ret_row, err);
    if (status != ATT_OK)
        return status;
    for (size_t i = 0; i < n; i++) {
        const struct clause *clause = &clauses[i];
        int place = (int)i + 1;
        if (clause->type == TEXT)
            failed |= sqlite3_bind_text(*ret_row, place, clause->text, -1, SQLITE_STATIC);
        else if (clause->type == NUMBER)
            failed |= sqlite3_bind_double(*ret_row, place, clause->number);
        else
            failed |= sqlite3_bind_int64(*ret_row, place, clause->integer);
    }
    failed |= sqlite3_bind_int64(*ret_row, (int)n + 1, filter->limit ? (sqlite3_int64)filter->limit : -1);
    failed |= sqlite3_bind_int64(*ret_row, (int)n + 2, (sqlite3_int64)filter->skip);
    return failed ? store_sqlite_error(db, news->path, err) : ATT_OK;
}

static enum att_status visit_rows(struct store_news *news, sqlite3 *db, sqlite3_stmt *row,
                                  bool (*visit)(void *context, const struct store_news_item *item), void *context,
                                  size_t *ret_visited, struct att_err *err)
{
    struct store_news_item item;
    size_t visited = 0;
    int step;
    while ((step = sqlite3_step(row)) == SQLITE_ROW) {
        if (!read_item(row, &item))
            return store_sqlite_error(db, news->path, err);
        visited++;
        if (!visit(context, &item)) {
            step = SQLITE_DONE;
            break;
        }
    }
    *ret_visited = visited;
    return step == SQLITE_DONE ? ATT_OK : store_sqlite_error(db, news->path, err);
}

/* One statement on a lent connection. */
struct reading {
    sqlite3 *db;
    sqlite3_stmt *row;
    size_t reader;
};

/* sql NULL: the caller prepares reading->row. Reading is ended only where this succeeded. */
static enum att_status begin_reading(struct store_news *news, const char *sql, struct reading *reading,
                                     struct att_err *err)
{
    enum att_status status = store_news_reader_take(news, &reading->reader, err);
    if (status != ATT_OK)
        return status;
    reading->db = news->readers[reading->reader];
    reading->row = NULL;
    if (sql)
        status = store_sqlite_prepare(reading->db, news->path, sql, &reading->row, err);
    if (status != ATT_OK)
        store_news_reader_give(news, reading->reader, status);
    return status;
}

/* With the status of what was read. */
static enum att_status end_reading(struct store_news *news, struct reading *reading, enum att_status status)
{
    sqlite3_finalize(reading->row);
    store_news_reader_give(news, reading->reader, status);
    return status;
}

enum att_status store_news_scan(struct store_news *news, const struct store_news_filter *filter,
                                bool (*visit)(void *context, const struct store_news_item *item), void *context,
                                struct att_err *err)
{
    struct reading reading;
    size_t visited = 0;
    enum att_status status = begin_reading(news, NULL, &reading, err);
    if (status != ATT_OK)
        return status;
    status = prepare_scan(news, reading.db, filter, &reading.row, err);
    if (status == ATT_OK)
        status = visit_rows(news, reading.db, reading.row, visit, context, &visited, err);
    return end_reading(news, &reading, status);
}

enum att_status store_news_get(struct store_news *news, const char *id,
                               bool (*visit)(void *context, const struct store_news_item *item), void *context,
                               bool *ret_found, struct att_err *err)
{
    struct reading reading;
    size_t visited = 0;
    enum att_status status = begin_reading(news, "SELECT " COLUMNS " FROM items WHERE id = ?1", &reading, err);
    if (status != ATT_OK)
        return status;
    if (sqlite3_bind_text(reading.row, 1, id, -1, SQLITE_STATIC) != SQLITE_OK)
        status = store_sqlite_error(reading.db, news->path, err);
    else
        status = visit_rows(news, reading.db, reading.row, visit, context, &visited, err);
    status = end_reading(news, &reading, status);
    if (status == ATT_OK)
        *ret_found = visited > 0;
    return status;
}

/* ---- other reads ---- */

static enum att_status look_up(struct store_news *news, sqlite3 *db, sqlite3_stmt *row,
                               const struct store_news_item *item, bool *ret_known, struct att_err *err)
{
    char content[STORE_NEWS_DIGEST_BYTES];
    enum att_status status = store_news_digest(item, content, err);
    if (status != ATT_OK)
        return status;
    if (sqlite3_bind_text(row, 1, item->id, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_text(row, 2, content, -1, SQLITE_STATIC) != SQLITE_OK)
        return store_sqlite_error(db, news->path, err);
    int step = sqlite3_step(row);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        status = store_sqlite_error(db, news->path, err);
    *ret_known = step == SQLITE_ROW;
    sqlite3_reset(row);
    return status;
}

enum att_status store_news_known(struct store_news *news, const struct store_news_item *items, size_t n, bool *known,
                                 struct att_err *err)
{
    struct reading reading;
    enum att_status status = begin_reading(news, "SELECT 1 FROM items WHERE id = ?1 AND content = ?2", &reading, err);
    if (status != ATT_OK)
        return status;
    for (size_t i = 0; status == ATT_OK && i < n; i++)
        status = look_up(news, reading.db, reading.row, &items[i], &known[i], err);
    return end_reading(news, &reading, status);
}

enum att_status store_news_count(struct store_news *news, struct store_news_counts *ret_counts, struct att_err *err)
{
    static const char sql[] =
        "SELECT (SELECT count(*) FROM items), coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'items'), 0),"
        " (SELECT coalesce(min(time_ms), 0) FROM items), (SELECT coalesce(max(time_ms), 0) FROM items),"
        " (SELECT count(*) FROM alerts), coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'alerts'), 0)";
    struct reading reading;
    enum att_status status = begin_reading(news, sql, &reading, err);
    if (status != ATT_OK)
        return status;
    sqlite3_stmt *row = reading.row;
    if (sqlite3_step(row) == SQLITE_ROW)
        *ret_counts = (struct store_news_counts){sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1),
                                                 sqlite3_column_int64(row, 2), sqlite3_column_int64(row, 3),
                                                 sqlite3_column_int64(row, 4), sqlite3_column_int64(row, 5)};
    else
        status = store_sqlite_error(reading.db, news->path, err);
    return end_reading(news, &reading, status);
}

static enum att_status visit_alerts(struct store_news *news, sqlite3 *db, sqlite3_stmt *row,
                                    bool (*visit)(void *context, const struct store_news_alert *alert), void *context,
                                    struct att_err *err)
{
    int step;
    while ((step = sqlite3_step(row)) == SQLITE_ROW) {
        bool failed = false;
        struct store_news_alert alert = {.seq = sqlite3_column_int64(row, 0),
                                         .time_ms = sqlite3_column_int64(row, 1),
                                         .level = text_at(row, 2, &failed),
                                         .kind = text_at(row, 3, &failed),
                                         .json = text_at(row, 4, &failed)};
        if (failed)
            break;
        if (!visit(context, &alert))
            return ATT_OK;
    }
    return step == SQLITE_DONE ? ATT_OK : store_sqlite_error(db, news->path, err);
}

static enum att_status scan_alerts(struct store_news *news, const char *sql, int64_t from, size_t max,
                                   bool (*visit)(void *context, const struct store_news_alert *alert), void *context,
                                   struct att_err *err)
{
    struct reading reading;
    enum att_status status = begin_reading(news, sql, &reading, err);
    if (status != ATT_OK)
        return status;
    sqlite3_bind_int64(reading.row, 1, from);
    sqlite3_bind_int64(reading.row, 2, (sqlite3_int64)max);
    status = visit_alerts(news, reading.db, reading.row, visit, context, err);
    return end_reading(news, &reading, status);
}

enum att_status store_news_alerts_scan(struct store_news *news, int64_t after, size_t max,
                                       bool (*visit)(void *context, const struct store_news_alert *alert),
                                       void *context, struct att_err *err)
{
    return scan_alerts(news, "SELECT seq, time_ms, level, kind, json FROM alerts WHERE seq > ?1 ORDER BY seq LIMIT ?2",
                       after, max, visit, context, err);
}

enum att_status store_news_alerts_scan_back(struct store_news *news, int64_t before, size_t max,
                                            bool (*visit)(void *context, const struct store_news_alert *alert),
                                            void *context, struct att_err *err)
{
    return scan_alerts(news,
                       "SELECT seq, time_ms, level, kind, json FROM alerts WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
                       before, max, visit, context, err);
}

enum att_status store_news_meta_get(struct store_news *news, const char *key, char **ret_value, struct att_err *err)
{
    struct reading reading;
    char *value = NULL;
    enum att_status status = begin_reading(news, "SELECT value FROM meta WHERE key = ?1", &reading, err);
    if (status != ATT_OK)
        return status;
    int step = SQLITE_NOMEM;
    if (sqlite3_bind_text(reading.row, 1, key, -1, SQLITE_STATIC) == SQLITE_OK)
        step = sqlite3_step(reading.row);
    if (step == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(reading.row, 0);
        value = text ? att_mem_strdup(text) : NULL;
        if (!value)
            status = att_err_set(err, ATT_ENOMEM, "%s: out of memory", news->path);
    } else if (step != SQLITE_DONE) {
        status = store_sqlite_error(reading.db, news->path, err);
    }
    status = end_reading(news, &reading, status);
    if (status == ATT_OK)
        *ret_value = value;
    return status;
}
