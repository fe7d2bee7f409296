/*
 * What a database file of ours must hold before it is used, whatever is kept in
 * it: sound pages, our tables and nothing beside them, a version known here.
 */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include <sqlite3.h>

#include "core/base/status.h"

struct store_schema {
    const char *what; /* "a news store", for messages */
    const char *sql;  /* makes all tables, among them meta(key, value) with the row schema = version */
    const char *version;
    const char *hidden; /* GLOB pattern of tables that SQLite makes by itself and that differ by its version */
};

/* Makes the tables of an empty file, whole or not at all; checks those of any other. A file that does not fit
 * (ATT_EFORMAT) is not changed. */
enum att_status store_schema_prepare(sqlite3 *db, const char *path, const struct store_schema *schema,
                                     struct att_err *err) ATT_MUST_USE;

#endif
