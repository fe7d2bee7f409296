#include "database.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool database_place(char folder[64], const char *name, char path[96])
{
    snprintf(folder, 64, "/tmp/attend-store-XXXXXX");
    if (!mkdtemp(folder))
        return false;
    snprintf(path, 96, "%s/%s", folder, name);
    return true;
}

void database_remove(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char name[120];
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
}

void database_run(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}
