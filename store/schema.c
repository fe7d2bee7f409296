/*
 * Making and checking the tables of a file. Definitions are compared with those
 * of a database in memory that the same text made: a trigger, view or column of
 * somebody else's file must not act in our name.
 */
#include "store/schema.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "store/sqlite.h"

enum { VALUE_BYTES = 128 };

/* The first column of the first row; "" when there is no row. */
static enum att_status ask(sqlite3 *db, const char *path, const char *sql, char value[VALUE_BYTES], struct att_err *err)
{
    sqlite3_stmt *row = NULL;
    enum att_status status = store_sqlite_prepare(db, path, sql, &row, err);
    if (status != ATT_OK)
        return status;
    int step = sqlite3_step(row);
    const char *text = step == SQLITE_ROW ? (const char *)sqlite3_column_text(row, 0) : "";
    if ((step != SQLITE_ROW && step != SQLITE_DONE) || !text)
        status = store_sqlite_error(db, path, err);
    else
        snprintf(value, VALUE_BYTES, "%s", text);
    sqlite3_finalize(row);
    return status;
}

static enum att_status is_empty(sqlite3 *db, const char *path, bool *ret_empty, struct att_err *err)
{
    char count[VALUE_BYTES] = "";
    enum att_status status = ask(db, path, "SELECT count(*) FROM sqlite_master", count, err);
    *ret_empty = strcmp(count, "0") == 0;
    return status;
}

static enum att_status make_tables(sqlite3 *db, const char *path, const char *sql, struct att_err *err)
{
    bool empty = false;
    enum att_status status = store_sqlite_exec(db, path, "BEGIN IMMEDIATE", err);
    if (status != ATT_OK)
        return status;
    /* Another process may have made them while this one waited for the lock. */
    status = is_empty(db, path, &empty, err);
    if (status == ATT_OK && empty)
        status = store_sqlite_exec(db, path, sql, err);
    if (status == ATT_OK)
        status = store_sqlite_exec(db, path, "COMMIT", err);
    if (status != ATT_OK)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

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

static enum att_status check_definitions(sqlite3 *db, const char *path, const struct store_schema *schema,
                                         struct att_err *err)
{
    sqlite3 *model = NULL;
    sqlite3_stmt *row = NULL, *model_row = NULL;
    const char *found = NULL, *expected = NULL;
    enum att_status status = ATT_OK;
    if (sqlite3_open(":memory:", &model) != SQLITE_OK)
        status = store_sqlite_error(model, path, err);
    if (status == ATT_OK)
        status = store_sqlite_exec(model, path, schema->sql, err);
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
    char found[VALUE_BYTES] = "";
    enum att_status status =
        ask(db, path, "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'meta'", found, err);
    if (status == ATT_OK && !*found)
        status = att_err_set(err, ATT_EFORMAT, "%s: is a database of another program, not %s", path, schema->what);
    if (status == ATT_OK)
        status = ask(db, path, "PRAGMA quick_check(1)", found, err);
    const char *line = strrchr(found, '\n'); /* below a headline */
    if (status == ATT_OK && strcmp(found, "ok") != 0)
        status = att_err_set(err, ATT_EFORMAT, "%s: is damaged: %s", path, line ? line + 1 : found);
    if (status == ATT_OK)
        status = ask(db, path, "SELECT value FROM meta WHERE key = 'schema'", found, err);
    if (status == ATT_OK && strcmp(found, schema->version) != 0)
        status =
            att_err_set(err, ATT_EFORMAT, "%s: its schema is %.32s, expected %s: it was written by another version",
                        path, *found ? found : "missing", schema->version);
    return status;
}

enum att_status store_schema_prepare(sqlite3 *db, const char *path, const struct store_schema *schema,
                                     struct att_err *err)
{
    bool empty = false;
    enum att_status status = is_empty(db, path, &empty, err);
    if (status == ATT_OK && empty)
        status = make_tables(db, path, schema->sql, err);
    if (status == ATT_OK)
        status = check_file(db, path, schema, err);
    if (status == ATT_OK)
        status = check_definitions(db, path, schema, err);
    return status;
}
