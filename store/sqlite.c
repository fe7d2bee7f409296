/*
 * Opening a database file as the store needs it, and SQLite's errors in our
 * words. The settings stand here and nowhere else: a write-ahead log that is
 * synced by every commit and bounded in size, no memory mapping of the file (a
 * failing disk would be a signal instead of an error), temporary tables in
 * memory (no other disk is needed).
 */
#include "store/sqlite.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { BUSY_MS = 5000, STEP_MS = 20 };

/* error: what the system said, for failures of input and output; 0: unknown. */
static enum att_status describe(sqlite3 *db, int error, const char *path, struct att_err *err)
{
    int code = db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM;
    bool full = error == ENOSPC || error == EDQUOT || error == EFBIG || error == EROFS;
    if (code == SQLITE_IOERR_NOMEM)
        code = SQLITE_NOMEM;
    switch (code & 255) {
    case SQLITE_NOMEM:
        return att_err_set(err, ATT_ENOMEM, "%s: out of memory", path);
    case SQLITE_FULL:
    case SQLITE_READONLY:
        return att_err_set(err, ATT_ESPACE, "%s: cannot be written: %s", path, sqlite3_errmsg(db));
    case SQLITE_IOERR:
        return att_err_set(err, full ? ATT_ESPACE : ATT_EIO, "%s: cannot be %s: %s", path,
                           code == SQLITE_IOERR_READ || code == SQLITE_IOERR_SHORT_READ ? "read" : "read or written",
                           error != 0 ? strerror(error) : sqlite3_errmsg(db));
    case SQLITE_CANTOPEN:
        return att_err_set(err, full ? ATT_ESPACE : ATT_EIO, "%s: it or its log cannot be opened: %s", path,
                           error != 0 ? strerror(error) : sqlite3_errmsg(db));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return att_err_set(err, ATT_EFORMAT, "%s: is no SQLite database or is damaged: %s", path, sqlite3_errmsg(db));
    case SQLITE_BUSY:
    case SQLITE_PROTOCOL:
        return att_err_set(err, ATT_EBUSY, "%s: another process writes to it", path);
    case SQLITE_TOOBIG:
        return att_err_limit(err, NULL, (uint64_t)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, -1), 0,
                             "%s: a row is over SQLite's limit", path);
    default:
        return att_err_set(err, ATT_EIO, "%s: %s", path, sqlite3_errmsg(db));
    }
}

enum att_status store_sqlite_error(sqlite3 *db, const char *path, struct att_err *err)
{
    return describe(db, db ? sqlite3_system_errno(db) : 0, path, err);
}

enum att_status store_sqlite_exec(sqlite3 *db, const char *path, const char *sql, struct att_err *err)
{
    assert(db && sql);
    errno = 0;
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
        return ATT_OK;
    /* SQLite notes the system's error of a failed statement, but not of a failed COMMIT. */
    int error = errno;
    return describe(db, error ? error : sqlite3_system_errno(db), path, err);
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

enum att_status store_sqlite_run(sqlite3 *db, const char *path, sqlite3_stmt *statement, struct att_err *err)
{
    int step = sqlite3_step(statement);
    enum att_status status = step == SQLITE_DONE ? ATT_OK : store_sqlite_error(db, path, err);
    sqlite3_reset(statement);
    return status;
}

enum att_status store_sqlite_integer(sqlite3 *db, const char *path, const char *sql, int64_t *ret, struct att_err *err)
{
    sqlite3_stmt *row = NULL;
    enum att_status status = store_sqlite_prepare(db, path, sql, &row, err);
    if (status == ATT_OK && sqlite3_step(row) == SQLITE_ROW)
        *ret = sqlite3_column_int64(row, 0);
    else if (status == ATT_OK)
        status = store_sqlite_error(db, path, err);
    sqlite3_finalize(row);
    return status;
}

enum att_status store_sqlite_text(sqlite3 *db, const char *path, const char *sql, const char *key,
                                  char ret_text[STORE_SQLITE_TEXT_BYTES], struct att_err *err)
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
        snprintf(ret_text, STORE_SQLITE_TEXT_BYTES, "%s", text);
    sqlite3_finalize(row);
    return status;
}

enum att_status store_sqlite_begin(sqlite3 *db, const char *path, struct att_err *err)
{
    enum att_status status = ATT_OK;
    if (!sqlite3_get_autocommit(db))
        status = store_sqlite_exec(db, path, "ROLLBACK", err);
    return status == ATT_OK ? store_sqlite_exec(db, path, "BEGIN IMMEDIATE", err) : status;
}

enum att_status store_sqlite_end(sqlite3 *db, const char *path, enum att_status status, struct att_err *err)
{
    if (status == ATT_OK)
        status = store_sqlite_exec(db, path, "COMMIT", err);
    /* Some failures end the transaction themselves; then this one fails, harmlessly. */
    if (status != ATT_OK)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

enum att_status store_sqlite_check_pages(sqlite3 *db, const char *path, struct att_err *err)
{
    char found[STORE_SQLITE_TEXT_BYTES] = "";
    enum att_status status = store_sqlite_text(db, path, "PRAGMA quick_check(1)", NULL, found, err);
    const char *line = strrchr(found, '\n'); /* below a headline */
    if (status == ATT_OK && strcmp(found, "ok") != 0)
        status = att_err_set(err, ATT_EFORMAT, "%s: is damaged: %s", path, line ? line + 1 : found);
    return status;
}

enum att_status store_sqlite_place_find(const char *path, struct store_sqlite_place *ret_place, struct att_err *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return att_err_set(err, ATT_EIO, "%s: vanished while it was opened", path);
    *ret_place = (struct store_sqlite_place){.device = info.st_dev, .inode = info.st_ino};
    return ATT_OK;
}

enum att_status store_sqlite_place_check(const char *path, const struct store_sqlite_place *place, struct att_err *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return att_err_set(err, ATT_EIO, "%s: was removed or moved while it is open: %s", path, strerror(errno));
    if (info.st_dev != place->device || info.st_ino != place->inode)
        return att_err_set(err, ATT_EIO, "%s: was replaced while it is open; stop what has it open first", path);
    return ATT_OK;
}

/* SQLite would wait for the other end of a FIFO, and say little about a folder. A missing file is made. */
static enum att_status check_kind(const char *path, struct att_err *err)
{
    struct stat info;
    if (stat(path, &info) != 0 || S_ISREG(info.st_mode))
        return ATT_OK;
    return att_err_set(err, ATT_EFORMAT, "%s: is %s, expected a regular file", path,
                       S_ISDIR(info.st_mode)    ? "a folder"
                       : S_ISFIFO(info.st_mode) ? "a FIFO"
                                                : "a device or socket");
}

/* Of two that turn the log on at once SQLite tells one at once that it is busy, without the patience that holds
 * elsewhere, since it may not wait with a lock in hand. */
static int step_patiently(sqlite3_stmt *row)
{
    int code = sqlite3_step(row);
    for (int waited_ms = 0; (code & 0xff) == SQLITE_BUSY && waited_ms < BUSY_MS; waited_ms += STEP_MS) {
        sqlite3_reset(row);
        sqlite3_sleep(STEP_MS);
        code = sqlite3_step(row);
    }
    return code;
}

/* Where no log can be kept, SQLite stays in another mode without an error; then nothing would be durable as promised.
 */
static enum att_status use_log(sqlite3 *db, const char *path, struct att_err *err)
{
    sqlite3_stmt *row = NULL;
    enum att_status status = store_sqlite_prepare(db, path, "PRAGMA journal_mode=WAL", &row, err);
    if (status == ATT_OK && step_patiently(row) != SQLITE_ROW) {
        status = store_sqlite_error(db, path, err);
    } else if (status == ATT_OK) {
        const char *mode = (const char *)sqlite3_column_text(row, 0);
        if (!mode)
            status = store_sqlite_error(db, path, err);
        else if (strcmp(mode, "wal") != 0)
            status = att_err_set(err, sqlite3_db_readonly(db, "main") == 1 ? ATT_ESPACE : ATT_EIO,
                                 "%s: cannot keep a write-ahead log: %s", path,
                                 sqlite3_db_readonly(db, "main") == 1 ? "the file or its disk is read-only" : mode);
    }
    sqlite3_finalize(row);
    return status;
}

static enum att_status configure(sqlite3 *db, const char *path, struct att_err *err)
{
    static const char settings[] = "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cell_size_check=ON;"
                                   "PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=1000;"
                                   "PRAGMA journal_size_limit=16777216;";
    sqlite3_busy_timeout(db, BUSY_MS);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    enum att_status status = store_sqlite_exec(db, path, settings, err);
    return status == ATT_OK ? use_log(db, path, err) : status;
}

enum att_status store_sqlite_open(const char *path, sqlite3 **ret_db, struct att_err *err)
{
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_EXRESCODE;
    enum att_status status = check_kind(path, err);
    if (status != ATT_OK)
        return status;
    if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK)
        status = store_sqlite_error(db, path, err);
    else
        status = configure(db, path, err);
    if (status == ATT_OK)
        *ret_db = db;
    else
        sqlite3_close(db);
    return status;
}

enum att_status store_sqlite_distrust(sqlite3 *db, const char *path, struct att_err *err)
{
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    return store_sqlite_exec(db, path, "PRAGMA trusted_schema=OFF", err);
}
