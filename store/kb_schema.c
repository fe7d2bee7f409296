/*
 * The tables of a knowledge base file, and whether a file fits: that its pages
 * are sound, that it is ours, of a version known here, and embedded by the
 * encoder that will read it. Making them is one transaction, so that a killed
 * first start leaves an empty file or a complete one.
 *
 * Another version of the tables gets another number in meta and another text in
 * `steps`. A new file runs all of them and an older one those it lacks, so that
 * both end with the same definitions; an upgrade is one transaction.
 */
#include "store/kb_schema.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "store/sqlite.h"

enum { VALUE_BYTES = 128 };

/* steps[i] makes version i + 1 from the one before; what has been released is never edited. */
static const char *const steps[] = {
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE entries(id INTEGER PRIMARY KEY, lang TEXT NOT NULL, question TEXT NOT NULL,"
    " answer TEXT NOT NULL, source TEXT NOT NULL, metadata TEXT NOT NULL, prompts TEXT NOT NULL,"
    " context_only INTEGER NOT NULL);"
    "CREATE TABLE texts(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " entry INTEGER NOT NULL REFERENCES entries(id) ON DELETE CASCADE, text TEXT NOT NULL, vector BLOB NOT NULL);"
    "CREATE INDEX texts_entry ON texts(entry);"
    "CREATE VIRTUAL TABLE texts_fts USING fts5(text, content='texts', content_rowid='id', tokenize='trigram');"
    "CREATE TRIGGER texts_insert AFTER INSERT ON texts BEGIN"
    " INSERT INTO texts_fts(rowid, text) VALUES (new.id, new.text); END;"
    "CREATE TRIGGER texts_delete AFTER DELETE ON texts BEGIN"
    " INSERT INTO texts_fts(texts_fts, rowid, text) VALUES ('delete', old.id, old.text); END;",
    /* 2: times and small talk of entries; what customers asked and thought of the answers */
    "ALTER TABLE entries ADD COLUMN chitchat INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE entries ADD COLUMN valid_from INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE entries ADD COLUMN valid_until INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE questions(id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, kind INTEGER NOT NULL,"
    " entry INTEGER NOT NULL, reply TEXT NOT NULL, text TEXT NOT NULL);"
    "CREATE INDEX questions_time ON questions(time);",
};
enum { VERSION = sizeof steps / sizeof *steps };

/* The first column of the first row; "" when there is no row. */
static enum att_status ask(sqlite3 *db, const char *path, const char *sql, const char *key, char value[VALUE_BYTES],
                           struct att_err *err)
{
    sqlite3_stmt *row = NULL;
    enum att_status status = store_sqlite_prepare(db, path, sql, &row, err);
    if (status != ATT_OK)
        return status;
    int step = SQLITE_NOMEM;
    if (!key || sqlite3_bind_text(row, 1, key, -1, SQLITE_STATIC) == SQLITE_OK)
        step = sqlite3_step(row);
    const char *text = step == SQLITE_ROW ? (const char *)sqlite3_column_text(row, 0) : "";
    if ((step != SQLITE_ROW && step != SQLITE_DONE) || !text)
        status = store_sqlite_error(db, path, err);
    else
        snprintf(value, VALUE_BYTES, "%s", text);
    sqlite3_finalize(row);
    return status;
}

static enum att_status meta_put(sqlite3 *db, const char *path, const char *key, const char *value, struct att_err *err)
{
    sqlite3_stmt *row = NULL;
    enum att_status status = store_sqlite_prepare(db, path, "INSERT INTO meta VALUES (?1, ?2)", &row, err);
    if (status != ATT_OK)
        return status;
    if (sqlite3_bind_text(row, 1, key, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_text(row, 2, value, -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_step(row) != SQLITE_DONE)
        status = store_sqlite_error(db, path, err);
    sqlite3_finalize(row);
    return status;
}

static enum att_status is_empty(sqlite3 *db, const char *path, bool *ret_empty, struct att_err *err)
{
    char count[VALUE_BYTES] = "";
    enum att_status status = ask(db, path, "SELECT count(*) FROM sqlite_master", NULL, count, err);
    *ret_empty = strcmp(count, "0") == 0;
    return status;
}

/* The steps from one version of the tables to the present one. */
static enum att_status run_steps(sqlite3 *db, const char *path, size_t from, size_t to, struct att_err *err)
{
    enum att_status status = ATT_OK;
    for (size_t i = from; status == ATT_OK && i < to; i++)
        status = store_sqlite_exec(db, path, steps[i], err);
    return status;
}

/* Ends what BEGIN began. */
static enum att_status end_transaction(sqlite3 *db, const char *path, enum att_status status, struct att_err *err)
{
    if (status == ATT_OK)
        status = store_sqlite_exec(db, path, "COMMIT", err);
    if (status != ATT_OK)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

static enum att_status make_tables(sqlite3 *db, const char *path, const char *encoder_digest, const char *dimensions,
                                   struct att_err *err)
{
    bool empty = false;
    enum att_status status = store_sqlite_exec(db, path, "BEGIN IMMEDIATE", err);
    if (status != ATT_OK)
        return status;
    /* Another process may have made them while this one waited for the lock. */
    status = is_empty(db, path, &empty, err);
    if (status == ATT_OK && empty) {
        char version[24];
        snprintf(version, sizeof version, "%d", VERSION);
        status = run_steps(db, path, 0, VERSION, err);
        if (status == ATT_OK)
            status = meta_put(db, path, "schema", version, err);
        if (status == ATT_OK)
            status = meta_put(db, path, "encoder", encoder_digest, err);
        if (status == ATT_OK)
            status = meta_put(db, path, "dimensions", dimensions, err);
    }
    return end_transaction(db, path, status, err);
}

static enum att_status meta_agree(sqlite3 *db, const char *path, const char *key, const char *expected,
                                  const char *advice, struct att_err *err)
{
    char value[VALUE_BYTES] = "";
    enum att_status status = ask(db, path, "SELECT value FROM meta WHERE key = ?1", key, value, err);
    if (status == ATT_OK && strcmp(value, expected) != 0)
        status = att_err_set(err, ATT_EFORMAT, "%s: its %s is %.16s, expected %.16s: %s", path, key,
                             *value ? value : "missing", expected, advice);
    return status;
}

/* All that SQLite would run by itself stands in these texts: a trigger, view or column of somebody else's file must not
 * act in our name. The tables inside the full-text index are SQLite's own and differ by its version. */
static const char definitions[] =
    "SELECT group_concat(type || ' ' || name || ' ' || coalesce(sql, ''), char(10)) FROM (SELECT * FROM sqlite_master"
    " WHERE NOT (type = 'table' AND (name GLOB 'texts_fts_*' OR name GLOB 'sqlite_*')) ORDER BY type, name)";

static enum att_status same_definitions(sqlite3 *db, sqlite3 *model, const char *path, bool *ret_same,
                                        struct att_err *err)
{
    sqlite3_stmt *row = NULL, *model_row = NULL;
    enum att_status status = store_sqlite_prepare(db, path, definitions, &row, err);
    if (status == ATT_OK)
        status = store_sqlite_prepare(model, path, definitions, &model_row, err);
    if (status == ATT_OK && sqlite3_step(row) != SQLITE_ROW)
        status = store_sqlite_error(db, path, err);
    if (status == ATT_OK && sqlite3_step(model_row) != SQLITE_ROW)
        status = store_sqlite_error(model, path, err);
    if (status == ATT_OK) {
        const char *found = (const char *)sqlite3_column_text(row, 0);
        const char *expected = (const char *)sqlite3_column_text(model_row, 0);
        if (!found || !expected)
            status = store_sqlite_error(found ? model : db, path, err);
        else
            *ret_same = strcmp(found, expected) == 0;
    }
    sqlite3_finalize(row);
    sqlite3_finalize(model_row);
    return status;
}

/* The tables must be those that this program would make, or its predecessor of that version made. */
static enum att_status check_definitions(sqlite3 *db, const char *path, size_t version, struct att_err *err)
{
    sqlite3 *model = NULL;
    bool same = false;
    enum att_status status = ATT_OK;
    if (sqlite3_open(":memory:", &model) != SQLITE_OK)
        status = store_sqlite_error(model, path, err);
    if (status == ATT_OK)
        status = run_steps(model, path, 0, version, err);
    if (status == ATT_OK)
        status = same_definitions(db, model, path, &same, err);
    if (status == ATT_OK && !same)
        status = att_err_set(err, ATT_EFORMAT, "%s: its tables, indexes or triggers are not those of a knowledge base",
                             path);
    sqlite3_close(model);
    return status;
}

static enum att_status check_file(sqlite3 *db, const char *path, struct att_err *err)
{
    char found[VALUE_BYTES] = "";
    enum att_status status =
        ask(db, path, "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'meta'", NULL, found, err);
    if (status == ATT_OK && !*found)
        status = att_err_set(err, ATT_EFORMAT, "%s: is a database of another program, no knowledge base", path);
    if (status == ATT_OK)
        status = ask(db, path, "PRAGMA quick_check(1)", NULL, found, err);
    const char *line = strrchr(found, '\n'); /* below a headline */
    if (status == ATT_OK && strcmp(found, "ok") != 0)
        status = att_err_set(err, ATT_EFORMAT, "%s: is damaged: %s", path, line ? line + 1 : found);
    return status;
}

static enum att_status read_version(sqlite3 *db, const char *path, size_t *ret_version, struct att_err *err)
{
    char value[VALUE_BYTES] = "";
    enum att_status status = ask(db, path, "SELECT value FROM meta WHERE key = ?1", "schema", value, err);
    if (status != ATT_OK)
        return status;
    for (size_t version = 1; version <= VERSION; version++) {
        char text[24];
        snprintf(text, sizeof text, "%zu", version);
        if (strcmp(value, text) == 0) {
            *ret_version = version;
            return ATT_OK;
        }
    }
    return att_err_set(err, ATT_EFORMAT,
                       "%s: its schema is %.16s, expected at most %d: it was written by another version", path,
                       *value ? value : "missing", VERSION);
}

static enum att_status upgrade(sqlite3 *db, const char *path, struct att_err *err)
{
    size_t version = VERSION;
    char sql[96];
    enum att_status status = store_sqlite_exec(db, path, "BEGIN IMMEDIATE", err);
    if (status != ATT_OK)
        return status;
    /* Another process may have done it while this one waited for the lock. */
    status = read_version(db, path, &version, err);
    if (status == ATT_OK)
        status = run_steps(db, path, version, VERSION, err);
    snprintf(sql, sizeof sql, "UPDATE meta SET value = '%d' WHERE key = 'schema'", VERSION);
    if (status == ATT_OK)
        status = store_sqlite_exec(db, path, sql, err);
    return end_transaction(db, path, status, err);
}

/* All of it in one state of the file: another process may be upgrading it. */
static enum att_status check(sqlite3 *db, const char *path, const char *encoder_digest, const char *dimensions,
                             size_t *ret_version, struct att_err *err)
{
    enum att_status status = store_sqlite_exec(db, path, "BEGIN", err);
    if (status != ATT_OK)
        return status;
    status = check_file(db, path, err);
    if (status == ATT_OK)
        status = read_version(db, path, ret_version, err);
    if (status == ATT_OK)
        status = check_definitions(db, path, *ret_version, err);
    if (status == ATT_OK)
        status = meta_agree(db, path, "encoder", encoder_digest,
                            "it was embedded by another encoder; import its entries into a new file", err);
    if (status == ATT_OK)
        status = meta_agree(db, path, "dimensions", dimensions, "it was embedded by another encoder", err);
    return end_transaction(db, path, status, err);
}

enum att_status store_kb_schema_prepare(sqlite3 *db, const char *path, const char *encoder_digest, size_t size,
                                        struct att_err *err)
{
    char dimensions[24];
    bool empty = false;
    size_t version = 0;
    snprintf(dimensions, sizeof dimensions, "%zu", size);
    enum att_status status = is_empty(db, path, &empty, err);
    if (status == ATT_OK && empty)
        status = make_tables(db, path, encoder_digest, dimensions, err);
    if (status == ATT_OK)
        status = check(db, path, encoder_digest, dimensions, &version, err);
    if (status == ATT_OK && version < VERSION)
        status = upgrade(db, path, err);
    return status;
}
