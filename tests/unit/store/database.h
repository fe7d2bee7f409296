/* Database files of a test: each test has a folder of its own, which is gone after it with all that SQLite put beside.
 */
#ifndef DATABASE_H
#define DATABASE_H

#include <stdbool.h>

/* A new folder in /tmp, and the path of `name` in it. */
bool database_place(char folder[64], const char *name, char path[96]);
/* The file, its log and what goes with that; a file that is not there is no error. */
void database_remove(const char *path);
/* SQL as an operator or another program would run it; fails the test. */
void database_run(const char *path, const char *sql);

#endif
