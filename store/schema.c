/*
 * Making, checking and upgrading the tables of a file. Each is one transaction:
 * a killed first start leaves an empty file or a complete one, and a check sees
 * one state of a file that another process may be upgrading.
 *
 * Definitions are compared with those of a database in memory that the same
 * steps made: a trigger, view or column of somebody else's file must not act in
 * our name.
 */
#include "store/schema.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "store/sqlite.h"

static enum att_status is_empty(sqlite3 *db, const char *path, bool *ret_empty, struct att_err *err)
{
    int64_t count = 0;
    enum att_status status = store_sqlite_integer(db, path, "SELECT count(*) FROM sqlite_master", &count, err);
    *ret_empty = count == 0;
    return status;
}

/* ---- making ---- */

static enum att_status run_steps(sqlite3 *db, const char *path, const struct store_schema *schema, size_t from,
                                 size_t to, struct att_err *err)
{
    enum att_status status = ATT_OK;
    for (size_t i = from; status == ATT_OK && i < to; i++)
        status = store_sqlite_exec(db, path, schema->steps[i], err);
    return status;
}

static enum att_status meta_put(sqlite3 *db, const char *path, const char *key, const char *value, struct att_err *err)
{
    sqlite3_stmt *row = NULL;
    enum att_status status = store_sqlite_prepare(db, path, "INSERT OR REPLACE INTO meta VALUES (?1, ?2)", &row, err);
    if (status != ATT_OK)
        return status;
    if (sqlite3_bind_text(row, 1, key, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_text(row, 2, value, -1, SQLITE_STATIC) != SQLITE_OK)
        status = store_sqlite_error(db, path, err);
    else
        status = store_sqlite_run(db, path, row, err);
    sqlite3_finalize(row);
    return status;
}

static enum att_status put_version(sqlite3 *db, const char *path, const struct store_schema *schema,
                                   struct att_err *err)
{
    char text[96];
    if (!schema->application_id) {
        snprintf(text, sizeof text, "%s%zu", schema->name, schema->n_steps);
        return meta_put(db, path, "schema", text, err);
    }
    snprintf(text, sizeof text, "PRAGMA application_id=%s; PRAGMA user_version=%zu", schema->application_id,
             schema->n_steps);
    return store_sqlite_exec(db, path, text, err);
}

static enum att_status make_tables(sqlite3 *db, const char *path, const struct store_schema *schema,
                                   struct att_err *err)
{
    bool empty = false;
    enum att_status status = store_sqlite_exec(db, path, "BEGIN IMMEDIATE", err);
    if (status != ATT_OK)
        return status;
    /* Another process may have made them while this one waited for the lock. */
    status = is_empty(db, path, &empty, err);
    if (status == ATT_OK && empty) {
        status = run_steps(db, path, schema, 0, schema->n_steps, err);
        if (status == ATT_OK)
            status = put_version(db, path, schema, err);
        for (size_t i = 0; status == ATT_OK && i < schema->n_facts; i++)
            status = meta_put(db, path, schema->facts[i].key, schema->facts[i].value, err);
    }
    return store_sqlite_end(db, path, status, err);
}

/* ---- checking ---- */

static enum att_status meta_get(sqlite3 *db, const char *path, const char *key, char value[STORE_SQLITE_TEXT_BYTES],
                                struct att_err *err)
{
    return store_sqlite_text(db, path, "SELECT value FROM meta WHERE key = ?1", key, value, err);
}

static enum att_status check_fact(sqlite3 *db, const char *path, const struct store_schema_fact *fact,
                                  struct att_err *err)
{
    char value[STORE_SQLITE_TEXT_BYTES] = "";
    enum att_status status = meta_get(db, path, fact->key, value, err);
    if (status == ATT_OK && strcmp(value, fact->value) != 0)
        status = att_err_set(err, ATT_EFORMAT, "%s: its %s is %.16s, expected %.16s: %s", path, fact->key,
                             *value ? value : "missing", fact->value, fact->advice);
    return status;
}

/* All that SQLite would run by itself stands in these texts. */
static const char definitions[] =
    "SELECT group_concat(type || ' ' || name || ' ' || coalesce(sql, ''), char(10)) FROM (SELECT * FROM sqlite_master"
    " WHERE NOT (type = 'table' AND (name GLOB ?1 OR name GLOB 'sqlite_*')) ORDER BY type, name)";

static enum att_status read_definitions(sqlite3 *db, const char *path, const char *hidden, sqlite3_stmt **row,
                                        const char **ret_text, struct att_err *err)
{
    enum att_status status = store_sqlite_prepare(db, path, definitions, row, err);
    if (status != ATT_OK)
        return status;
    if (sqlite3_bind_text(*row, 1, hidden, -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_step(*row) != SQLITE_ROW)
        return store_sqlite_error(db, path, err);
    *ret_text = (const char *)sqlite3_column_text(*row, 0);
    return *ret_text ? ATT_OK : store_sqlite_error(db, path, err);
}

/* The tables must be those that this program would make, or its predecessor of that version made. */
static enum att_status check_definitions(sqlite3 *db, const char *path, const struct store_schema *schema,
                                         size_t version, struct att_err *err)
{
    sqlite3 *model = NULL;
    sqlite3_stmt *row = NULL, *model_row = NULL;
    const char *found = NULL, *expected = NULL;
    enum att_status status = ATT_OK;
    if (sqlite3_open(":memory:", &model) != SQLITE_OK)
        status = store_sqlite_error(model, path, err);
    if (status == ATT_OK)
        status = run_steps(model, path, schema, 0, version, err);
    if (status == ATT_OK)
        status = read_definitions(db, path, schema->hidden, &row, &found, err);
    if (status == ATT_OK)
        status = read_definitions(model, path, schema->hidden, &model_row, &expected, err);
    if (status == ATT_OK && strcmp(found, expected) != 0)
        status = att_err_set(err, ATT_EFORMAT, "%s: its tables, indexes or triggers are not those of %s", path,
                             schema->what);
    sqlite3_finalize(row);
    sqlite3_finalize(model_row);
    sqlite3_close(model);
    return status;
}

static enum att_status check_file(sqlite3 *db, const char *path, const struct store_schema *schema, struct att_err *err)
{
    const char *sql = schema->application_id
                          ? "PRAGMA application_id"
                          : "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'";
    char found[STORE_SQLITE_TEXT_BYTES] = "";
    enum att_status status = store_sqlite_text(db, path, sql, NULL, found, err);
    if (status == ATT_OK && strcmp(found, schema->application_id ? schema->application_id : "1") != 0)
        status = att_err_set(err, ATT_EFORMAT, "%s: is a database of another program, not %s", path, schema->what);
    return status == ATT_OK ? store_sqlite_check_pages(db, path, err) : status;
}

static enum att_status read_version(sqlite3 *db, const char *path, const struct store_schema *schema,
                                    size_t *ret_version, struct att_err *err)
{
    char value[STORE_SQLITE_TEXT_BYTES] = "";
    const char *name = schema->application_id ? "" : schema->name;
    enum att_status status = schema->application_id
                                 ? store_sqlite_text(db, path, "PRAGMA user_version", NULL, value, err)
                                 : meta_get(db, path, "schema", value, err);
    if (status != ATT_OK)
        return status;
    for (size_t version = 1; version <= schema->n_steps; version++) {
        char text[48];
        snprintf(text, sizeof text, "%s%zu", name, version);
        if (strcmp(value, text) == 0) {
            *ret_version = version;
            return ATT_OK;
        }
    }
    return att_err_set(err, ATT_EFORMAT,
                       "%s: its schema is %.32s, expected at most %s%zu: it was written by another version", path,
                       *value ? value : "missing", name, schema->n_steps);
}

static enum att_status check(sqlite3 *db, const char *path, const struct store_schema *schema, size_t *ret_version,
                             struct att_err *err)
{
    enum att_status status = store_sqlite_exec(db, path, "BEGIN", err);
    if (status != ATT_OK)
        return status;
    status = check_file(db, path, schema, err);
    if (status == ATT_OK)
        status = read_version(db, path, schema, ret_version, err);
    if (status == ATT_OK)
        status = check_definitions(db, path, schema, *ret_version, err);
    for (size_t i = 0; status == ATT_OK && i < schema->n_facts; i++)
        status = check_fact(db, path, &schema->facts[i], err);
    return store_sqlite_end(db, path, status, err);
}

static enum att_status upgrade(sqlite3 *db, const char *path, const struct store_schema *schema, struct att_err *err)
{
    size_t version = 0;
    enum att_status status = store_sqlite_exec(db, path, "BEGIN IMMEDIATE", err);
    if (status != ATT_OK)
        return status;
    /* Another process may have done it while this one waited for the lock. */
    status = read_version(db, path, schema, &version, err);
    if (status == ATT_OK)
        status = run_steps(db, path, schema, version, schema->n_steps, err);
    if (status == ATT_OK)
        status = put_version(db, path, schema, err);
    return store_sqlite_end(db, path, status, err);
}

enum att_status store_schema_prepare(sqlite3 *db, const char *path, const struct store_schema *schema,
                                     struct att_err *err)
{
    bool empty = false;
    size_t version = 0;
    enum att_status status = is_empty(db, path, &empty, err);
    if (status == ATT_OK && empty)
        status = make_tables(db, path, schema, err);
    if (status == ATT_OK)
        status = check(db, path, schema, &version, err);
    if (status == ATT_OK && version < schema->n_steps)
        status = upgrade(db, path, schema, err);
    return status;
}
