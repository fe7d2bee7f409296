/* What the store's files share of SQLite: opening, statements, transactions, errors. */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include <sqlite3.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/status.h"

enum { STORE_SQLITE_TEXT_BYTES = 128 };

/* The error of the last call on db, told with the file's name. ATT_ESPACE: the disk is full or read-only; ATT_EBUSY:
 * another process held the file for too long; ATT_EFORMAT: damaged; ATT_ENOMEM; ATT_EIO: all else. */
enum att_status store_sqlite_error(sqlite3 *db, const char *path, struct att_err *err);
/* Opens or creates a regular file: write-ahead log, synced by every commit; five seconds of patience with writers. */
enum att_status store_sqlite_open(const char *path, sqlite3 **ret_db, struct att_err *err) ATT_MUST_USE;
/* Switches off what a file of somebody else could run in our name where its definitions are not compared with ours:
 * triggers, views, and functions with side effects in indexes and columns. */
enum att_status store_sqlite_distrust(sqlite3 *db, const char *path, struct att_err *err) ATT_MUST_USE;

enum att_status store_sqlite_exec(sqlite3 *db, const char *path, const char *sql, struct att_err *err) ATT_MUST_USE;
enum att_status store_sqlite_prepare(sqlite3 *db, const char *path, const char *sql, sqlite3_stmt **ret_statement,
                                     struct att_err *err) ATT_MUST_USE;
/* One step of a statement that gives no row; resets it. */
enum att_status store_sqlite_run(sqlite3 *db, const char *path, sqlite3_stmt *statement,
                                 struct att_err *err) ATT_MUST_USE;
/* The first column of the only row. */
enum att_status store_sqlite_integer(sqlite3 *db, const char *path, const char *sql, int64_t *ret,
                                     struct att_err *err) ATT_MUST_USE;
/* The first column of the first row, cut where the buffer ends; "" when there is no row. key: for ?1, or NULL. */
enum att_status store_sqlite_text(sqlite3 *db, const char *path, const char *sql, const char *key,
                                  char ret_text[STORE_SQLITE_TEXT_BYTES], struct att_err *err) ATT_MUST_USE;

/* BEGIN IMMEDIATE, after the end of a transaction that could not even be rolled back, as where memory was out. */
enum att_status store_sqlite_begin(sqlite3 *db, const char *path, struct att_err *err) ATT_MUST_USE;
/* Ends what BEGIN began: commits when status is ATT_OK; when it is not, or the commit fails, rolls back. */
enum att_status store_sqlite_end(sqlite3 *db, const char *path, enum att_status status,
                                 struct att_err *err) ATT_MUST_USE;
/* ATT_EFORMAT when a page of the file is damaged. Reads all of it. */
enum att_status store_sqlite_check_pages(sqlite3 *db, const char *path, struct att_err *err) ATT_MUST_USE;

/* Which file is open: SQLite goes on with it wherever its name has gone. */
struct store_sqlite_place {
    dev_t device;
    ino_t inode;
};
/* Of the file that bears the name. */
enum att_status store_sqlite_place_find(const char *path, struct store_sqlite_place *ret_place,
                                        struct att_err *err) ATT_MUST_USE;
/* A write to a file that was removed or replaced would be lost: ATT_EIO. Nor can the new one be opened: the old one's
 * log lies beside it, and SQLite would take that for its own. */
enum att_status store_sqlite_place_check(const char *path, const struct store_sqlite_place *place,
                                         struct att_err *err) ATT_MUST_USE;

#endif
