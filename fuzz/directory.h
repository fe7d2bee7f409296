/* A temporary model directory in which one file is the input. */
#ifndef FUZZ_DIRECTORY_H
#define FUZZ_DIRECTORY_H

#include "core/io/dir.h"

/* Writes the bytes as `name` into this process's own directory, made at the first call and removed at exit, and
 * opens it. Ends the program when the machine does not play along. */
struct att_dir fuzz_directory(const char *name, const uint8_t *bytes, size_t size);
/* Where it is, once it was made. */
const char *fuzz_directory_path(void);

#endif
