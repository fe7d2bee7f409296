/* What a knowledge base file must hold before it is used: for store/kb.c alone. */
#ifndef STORE_KB_SCHEMA_H
#define STORE_KB_SCHEMA_H

#include <sqlite3.h>
#include <stddef.h>

#include "core/base/status.h"

/* Makes the tables of an empty file, whole or not at all; checks those of any other: its pages, that it is a knowledge
 * base of a version that is known here, and whose encoder's it is; an older version is brought to the present one. A
 * file that does not fit is not changed. */
enum att_status store_kb_schema_prepare(sqlite3 *db, const char *path, const char *encoder_digest, size_t dimensions,
                                        struct att_err *err) ATT_MUST_USE;

#endif
