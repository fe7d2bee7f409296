/* A temporary directory in which some files are the input: one a process, removed at exit. What the machine refuses
 * ends the program. */
#ifndef FUZZ_DIRECTORY_H
#define FUZZ_DIRECTORY_H

#include "core/io/dir.h"

const char *fuzz_directory_path(void);
/* `name` may stand in a folder: "base/config.json". */
void fuzz_directory_write(const char *name, const uint8_t *bytes, size_t size);
/* A copy of a file of the source tree. */
void fuzz_directory_copy(const char *source, const char *name);
/* Writes the bytes as `name` and opens the directory. */
struct att_dir fuzz_directory(const char *name, const uint8_t *bytes, size_t size);

#endif
