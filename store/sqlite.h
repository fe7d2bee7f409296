/* What the store's files share of SQLite: opening, statements, errors. */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include <sqlite3.h>

#include "core/base/status.h"

/* The error of the last call on db, told with the file's name. ATT_ESPACE: the disk is full or read-only; ATT_EBUSY:
 * another process held the file for too long; ATT_EFORMAT: damaged; ATT_ENOMEM; ATT_EIO: all else. */
enum att_status store_sqlite_error(sqlite3 *db, const char *path, struct att_err *err);
/* Opens or creates a regular file: write-ahead log, synced by every commit; five seconds of patience with writers. */
enum att_status store_sqlite_open(const char *path, sqlite3 **ret_db, struct att_err *err) ATT_MUST_USE;
enum att_status store_sqlite_exec(sqlite3 *db, const char *path, const char *sql, struct att_err *err) ATT_MUST_USE;
enum att_status store_sqlite_prepare(sqlite3 *db, const char *path, const char *sql, sqlite3_stmt **ret_statement,
                                     struct att_err *err) ATT_MUST_USE;

#endif
