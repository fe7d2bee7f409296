/* Opening a database file as the store needs it. */
#include "store/sqlite.h"

#include <assert.h>
#include <stddef.h>

enum { BUSY_MS = 5000 };

enum att_status store_sqlite_error(sqlite3 *db, const char *path, struct att_err *err)
{
    int code = db ? sqlite3_errcode(db) : SQLITE_NOMEM;
    const char *text = db ? sqlite3_errmsg(db) : "out of memory";
    switch (code & 255) {
    case SQLITE_NOMEM:
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    case SQLITE_FULL:
    case SQLITE_READONLY:
        return att_err_set(err, ATT_ESPACE, "%s: cannot be written: %s", path, text);
    case SQLITE_IOERR:
        return att_err_set(err, ATT_ESPACE, "%s: %s", path, text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return att_err_set(err, ATT_EFORMAT, "%s: is no SQLite database or is damaged: %s", path, text);
    case SQLITE_BUSY:
        return att_err_set(err, ATT_EIO, "%s: another process writes to it", path);
    default:
        return att_err_set(err, ATT_EIO, "%s: %s", path, text);
    }
}

enum att_status store_sqlite_exec(sqlite3 *db, const char *path, const char *sql, struct att_err *err)
{
    assert(db && sql);
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? ATT_OK : store_sqlite_error(db, path, err);
}

enum att_status store_sqlite_prepare(sqlite3 *db, const char *path, const char *sql, sqlite3_stmt **ret_statement,
                                     struct att_err *err)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        return store_sqlite_error(db, path, err);
    *ret_statement = statement;
    return ATT_OK;
}

enum att_status store_sqlite_open(const char *path, sqlite3 **ret_db, struct att_err *err)
{
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_EXRESCODE;
    if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK) {
        enum att_status status = store_sqlite_error(db, path, err);
        sqlite3_close(db);
        return status;
    }
    sqlite3_busy_timeout(db, BUSY_MS);
    enum att_status status =
        store_sqlite_exec(db, path, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;", err);
    if (status != ATT_OK) {
        sqlite3_close(db);
        return status;
    }
    *ret_db = db;
    return ATT_OK;
}
