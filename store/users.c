/*
 * The file of users' events. Two connections: in WAL mode a reader sees the
 * last commit and never waits for the one under way.
 *
 * Triggers and views are switched off, so that nothing in a file of somebody
 * else runs in our name.
 */
#include "store/users.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "store/schema.h"
#include "store/sqlite.h"

struct store_users {
    char *path;
    atomic_size_t references;
    pthread_mutex_t write_mutex; /* protects db and limits: one transaction at a time */
    sqlite3 *db;
    struct store_users_limits limits;
    pthread_mutex_t read_mutex; /* protects reader */
    sqlite3 *reader;
    _Atomic double keep_s; /* of limits, for readers */
};

static const char *const steps[] = {
    "CREATE TABLE events(seq INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, id TEXT, model TEXT NOT NULL,"
    " item TEXT NOT NULL, type INTEGER NOT NULL, value REAL, time REAL NOT NULL, text TEXT NOT NULL);"
    "CREATE UNIQUE INDEX events_id ON events(user, id) WHERE id IS NOT NULL;"
    "CREATE INDEX events_user ON events(user, time, seq);"
    "CREATE INDEX events_time ON events(time);",
};

static const struct store_schema schema = {.what = "a file of users",
                                           .application_id = "1098147925",
                                           .steps = steps,
                                           .n_steps = sizeof steps / sizeof *steps,
                                           .hidden = "sqlite_*"};

/* ---- the file ---- */

static enum att_status connect(const char *path, sqlite3 **ret_db, struct att_err *err)
{
    enum att_status status = store_sqlite_open(path, ret_db, err);
    if (status == ATT_OK)
        status = store_sqlite_distrust(*ret_db, path, err);
    return status == ATT_OK ? store_sqlite_exec(*ret_db, path, "PRAGMA secure_delete=ON", err) : status;
}

static void limit(struct store_users *users, const struct store_users_limits *limits)
{
    assert(limits->events_max > 0 && limits->keep_s >= 0);
    pthread_mutex_lock(&users->write_mutex);
    users->limits = *limits;
    atomic_store(&users->keep_s, limits->keep_s);
    pthread_mutex_unlock(&users->write_mutex);
}

enum att_status store_users_open(const char *path, const struct store_users_limits *limits,
                                 struct store_users **ret_users, struct att_err *err)
{
    struct store_users *users = att_mem_calloc(1, sizeof *users);
    if (!users)
        return att_err_set(err, ATT_ENOMEM, "%s: out of memory", path);
    atomic_init(&users->references, 1);
    pthread_mutex_init(&users->write_mutex, NULL);
    pthread_mutex_init(&users->read_mutex, NULL);
    users->path = att_mem_strdup(path);
    limit(users, limits);
    enum att_status status =
        users->path ? connect(path, &users->db, err) : att_err_set(err, ATT_ENOMEM, "%s: out of memory", path);
    if (status == ATT_OK)
        status = store_schema_prepare(users->db, path, &schema, err);
    if (status == ATT_OK)
        status = connect(path, &users->reader, err);
    if (status == ATT_OK)
        *ret_users = users;
    else
        store_users_close(users);
    return status;
}

struct store_users *store_users_share(struct store_users *users, const struct store_users_limits *limits)
{
    limit(users, limits);
    atomic_fetch_add(&users->references, 1);
    return users;
}

void store_users_close(struct store_users *users)
{
    if (!users || atomic_fetch_sub(&users->references, 1) != 1)
        return;
    sqlite3_close(users->reader);
    sqlite3_close(users->db);
    pthread_mutex_destroy(&users->read_mutex);
    pthread_mutex_destroy(&users->write_mutex);
    att_mem_free(users->path);
    att_mem_free(users);
}

/* ---- writing ---- */

static enum att_status delete_expired(struct store_users *users, double now_s, struct att_err *err)
{
    sqlite3_stmt *row = NULL;
    if (users->limits.keep_s <= 0)
        return ATT_OK;
    enum att_status status =
        store_sqlite_prepare(users->db, users->path, "DELETE FROM events WHERE time < ?1", &row, err);
    if (status == ATT_OK) {
        sqlite3_bind_double(row, 1, now_s - users->limits.keep_s);
        status = store_sqlite_run(users->db, users->path, row, err);
    }
    sqlite3_finalize(row);
    return status;
}

static enum att_status insert(struct store_users *users, sqlite3_stmt *row, const struct store_user_event *event,
                              struct att_err *err)
{
    const char *const texts[] = {event->user, event->id[0] ? event->id : NULL, event->model, event->item, event->text};
    for (int i = 0; i < 5; i++)
        if (sqlite3_bind_text(row, i + 1, texts[i], -1, SQLITE_STATIC) != SQLITE_OK)
            return store_sqlite_error(users->db, users->path, err);
    sqlite3_bind_int(row, 6, event->type);
    if (isnan(event->value))
        sqlite3_bind_null(row, 7);
    else
        sqlite3_bind_double(row, 7, event->value);
    sqlite3_bind_double(row, 8, event->time);
    return store_sqlite_run(users->db, users->path, row, err);
}

/* Leaves the newest events of one user. */
static enum att_status prune(struct store_users *users, sqlite3_stmt *row, const char *user, struct att_err *err)
{
    if (sqlite3_bind_text(row, 1, user, -1, SQLITE_STATIC) != SQLITE_OK)
        return store_sqlite_error(users->db, users->path, err);
    sqlite3_bind_int64(row, 2, (sqlite3_int64)users->limits.events_max);
    return store_sqlite_run(users->db, users->path, row, err);
}

static enum att_status put_all(struct store_users *users, const struct store_user_event *events, size_t n, double now_s,
                               struct store_users_counts *counts, struct att_err *err)
{
    static const char adding[] = "INSERT INTO events(user, id, model, item, text, type, value, time)"
                                 " VALUES (?1,?2,?3,?4,?5,?6,?7,?8) ON CONFLICT DO NOTHING";
    static const char pruning[] = "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE user = ?1"
                                  " ORDER BY time DESC, seq DESC LIMIT -1 OFFSET ?2)";
    sqlite3_stmt *add = NULL, *cut = NULL;
    enum att_status status = store_sqlite_prepare(users->db, users->path, adding, &add, err);
    if (status == ATT_OK)
        status = store_sqlite_prepare(users->db, users->path, pruning, &cut, err);
    if (status == ATT_OK)
        status = delete_expired(users, now_s, err);
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        if (users->limits.keep_s > 0 && events[i].time < now_s - users->limits.keep_s) {
            counts->expired++;
            continue;
        }
        status = insert(users, add, &events[i], err);
        *(sqlite3_changes(users->db) > 0 ? &counts->stored : &counts->duplicates) += status == ATT_OK;
        if (status == ATT_OK && (i + 1 == n || strcmp(events[i].user, events[i + 1].user) != 0))
            status = prune(users, cut, events[i].user, err);
    }
    sqlite3_finalize(add);
    sqlite3_finalize(cut);
    return status;
}

enum att_status store_users_put(struct store_users *users, const struct store_user_event *events, size_t n,
                                double now_s, struct store_users_counts *ret_counts, struct att_err *err)
{
    struct store_users_counts counts = {0};
    pthread_mutex_lock(&users->write_mutex);
    enum att_status status = store_sqlite_begin(users->db, users->path, err);
    if (status == ATT_OK) {
        status = put_all(users, events, n, now_s, &counts, err);
        status = store_sqlite_end(users->db, users->path, status, err);
    }
    pthread_mutex_unlock(&users->write_mutex);
    if (status == ATT_OK)
        *ret_counts = counts;
    return status;
}

enum att_status store_users_expire(struct store_users *users, double now_s, struct att_err *err)
{
    pthread_mutex_lock(&users->write_mutex);
    enum att_status status = delete_expired(users, now_s, err);
    pthread_mutex_unlock(&users->write_mutex);
    return status;
}

enum att_status store_users_remove(struct store_users *users, const char *user, size_t *ret_removed,
                                   struct att_err *err)
{
    sqlite3_stmt *row = NULL;
    size_t removed = 0;
    pthread_mutex_lock(&users->write_mutex);
    enum att_status status =
        store_sqlite_prepare(users->db, users->path, "DELETE FROM events WHERE user = ?1", &row, err);
    if (status == ATT_OK && sqlite3_bind_text(row, 1, user, -1, SQLITE_STATIC) != SQLITE_OK)
        status = store_sqlite_error(users->db, users->path, err);
    if (status == ATT_OK)
        status = store_sqlite_run(users->db, users->path, row, err);
    if (status == ATT_OK)
        removed = (size_t)sqlite3_changes(users->db);
    sqlite3_finalize(row);
    /* The log still holds what was written before. A reader may keep it for a moment; the next removal gets it then. */
    if (status == ATT_OK && removed > 0)
        sqlite3_exec(users->db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
    pthread_mutex_unlock(&users->write_mutex);
    if (status == ATT_OK)
        *ret_removed = removed;
    return status;
}

/* ---- reading ---- */

struct reading {
    struct store_users *users;
    struct att_arena *arena;
    sqlite3_stmt *row;
};

static enum att_status copy_text(const struct reading *reading, int column, const char **ret, struct att_err *err)
{
    const char *text = (const char *)sqlite3_column_text(reading->row, column);
    size_t len = (size_t)sqlite3_column_bytes(reading->row, column);
    char *copy = att_arena_copy(reading->arena, text ? text : "", text ? len : 0);
    if (!copy)
        return att_err_set(err, ATT_ENOMEM, "out of memory for a user's events");
    *ret = copy;
    return ATT_OK;
}

static enum att_status copy_event(const struct reading *reading, struct store_user_event *event, struct att_err *err)
{
    enum att_status status = copy_text(reading, 0, &event->id, err);
    if (status == ATT_OK)
        status = copy_text(reading, 1, &event->model, err);
    if (status == ATT_OK)
        status = copy_text(reading, 2, &event->item, err);
    if (status == ATT_OK)
        status = copy_text(reading, 3, &event->text, err);
    event->type = sqlite3_column_int(reading->row, 4);
    event->value =
        sqlite3_column_type(reading->row, 5) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(reading->row, 5);
    event->time = sqlite3_column_double(reading->row, 6);
    return status;
}

/* Rows come newest first and are turned round. */
static enum att_status read_events(const struct reading *reading, const char *user, size_t max,
                                   struct store_user_event **ret_events, size_t *ret_n, struct att_err *err)
{
    struct store_user_event *events = NULL;
    size_t n = 0, capacity = 0;
    enum att_status status = ATT_OK;
    int step = SQLITE_DONE;
    while (status == ATT_OK && n < max && (step = sqlite3_step(reading->row)) == SQLITE_ROW) {
        if (n == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            struct store_user_event *more = att_arena_alloc(reading->arena, capacity, sizeof *more);
            if (!more)
                return att_err_set(err, ATT_ENOMEM, "out of memory for a user's events");
            if (n)
                memcpy(more, events, n * sizeof *more);
            events = more;
        }
        events[n].user = user;
        status = copy_event(reading, &events[n++], err);
    }
    if (status == ATT_OK && step != SQLITE_ROW && step != SQLITE_DONE)
        status = store_sqlite_error(reading->users->reader, reading->users->path, err);
    for (size_t i = 0; status == ATT_OK && i < n / 2; i++) {
        struct store_user_event other = events[i];
        events[i] = events[n - 1 - i];
        events[n - 1 - i] = other;
    }
    if (status == ATT_OK) {
        *ret_events = events;
        *ret_n = n;
    }
    return status;
}

enum att_status store_users_history(struct store_users *users, const char *user, const char *model, size_t max,
                                    double now_s, struct att_arena *arena, struct store_user_event **ret_events,
                                    size_t *ret_n, struct att_err *err)
{
    static const char sql[] = "SELECT id, model, item, text, type, value, time FROM events WHERE user = ?1"
                              " AND time >= ?2 AND (?3 IS NULL OR model = ?3) ORDER BY time DESC, seq DESC LIMIT ?4";
    double keep_s = atomic_load(&users->keep_s);
    struct reading reading = {.users = users, .arena = arena};
    pthread_mutex_lock(&users->read_mutex);
    enum att_status status = store_sqlite_prepare(users->reader, users->path, sql, &reading.row, err);
    if (status == ATT_OK) {
        bool bound = sqlite3_bind_text(reading.row, 1, user, -1, SQLITE_STATIC) == SQLITE_OK &&
                     sqlite3_bind_text(reading.row, 3, model, -1, SQLITE_STATIC) == SQLITE_OK;
        sqlite3_bind_double(reading.row, 2, keep_s > 0 ? now_s - keep_s : -INFINITY);
        sqlite3_bind_int64(reading.row, 4, (sqlite3_int64)max);
        status = bound ? read_events(&reading, user, max, ret_events, ret_n, err)
                       : store_sqlite_error(users->reader, users->path, err);
    }
    sqlite3_finalize(reading.row);
    pthread_mutex_unlock(&users->read_mutex);
    return status;
}
