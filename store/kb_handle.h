/* An open knowledge base: what store/kb.c shares with the files that write other tables of it. */
#ifndef STORE_KB_HANDLE_H
#define STORE_KB_HANDLE_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "store/kb.h"
#include "store/sqlite.h"

struct kb_view; /* store/kb_view.h */

struct store_kb {
    char *path;
    size_t dimensions;
    atomic_size_t refs;
    struct store_sqlite_place place;
    pthread_mutex_t write_mutex; /* protects db and version: one transaction at a time, held until it is on the disk */
    sqlite3 *db;
    int64_t version; /* SQLite's data_version as of the current view: other processes' commits change it */
    bool db_suspect;
    pthread_mutex_t search_mutex; /* protects search */
    sqlite3 *search;
    bool search_suspect;
    pthread_mutex_t view_mutex; /* protects current; held for no call but the count of a reference */
    struct kb_view *current;
};

/* Begins a transaction on kb->db; the caller holds write_mutex. */
enum att_status store_kb_begin(struct store_kb *kb, struct att_err *err) ATT_MUST_USE;
/* Ends it where entries, texts and meta are as before, so that the view stays: commits when status is ATT_OK, else
 * rolls back. */
enum att_status store_kb_end(struct store_kb *kb, enum att_status status, struct att_err *err) ATT_MUST_USE;
/* The connection for reads beside a write under way; the caller holds search_mutex. */
enum att_status store_kb_search(struct store_kb *kb, sqlite3 **ret_db, struct att_err *err) ATT_MUST_USE;

#endif
