/*
 * What a database file of ours must hold before it is used, whatever is kept in
 * it: sound pages, our tables and nothing beside them, a version known here, and
 * the facts that it was made for. Ours is what bears the application_id in its
 * header, or else has a table meta; the version is the header's user_version, or
 * else the row 'schema' of meta.
 *
 * Another version of the tables gets another number and another text in `steps`. A new file runs all of them and an
 * older one those it lacks, so that both end with the same definitions.
 */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include <sqlite3.h>
#include <stddef.h>

#include "core/base/status.h"

/* A row of meta that a new file gets and any other must have, such as the encoder of its vectors. */
struct store_schema_fact {
    const char *key, *value;
    const char *advice; /* what a person can do about a file that has another value, for the message */
};

struct store_schema {
    const char *what;           /* "a news store", for messages */
    const char *application_id; /* decimal; NULL: none */
    const char *name;           /* before the version in meta: "news " for "news 1" */
    const char *const *steps;   /* [n_steps] steps[i] makes version i + 1 from the one before; where facts or a version
                                   stand in meta(key, value), the first makes that too; what has been released is
                                   never edited */
    size_t n_steps;
    const struct store_schema_fact *facts; /* [n_facts] */
    size_t n_facts;
    const char *hidden; /* GLOB pattern of tables that SQLite makes by itself and that differ by its version */
};

/* Makes the tables of an empty file, whole or not at all; checks those of any other, in one state of it; brings an
 * older version to the present one in one transaction. A file that does not fit (ATT_EFORMAT) is not changed. */
enum att_status store_schema_prepare(sqlite3 *db, const char *path, const struct store_schema *schema,
                                     struct att_err *err) ATT_MUST_USE;

#endif
