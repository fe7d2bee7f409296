/*
 * A model directory, read safely: names are opened beneath it and nowhere else
 * (openat2 RESOLVE_BENEATH; and the blobs of Hugging Face's cache, see dir.c), only
 * regular files, never blocking on a FIFO, never mapped: a file that is truncated while we read gives an error, not a
 * signal.
 */
#ifndef ATT_IO_DIR_H
#define ATT_IO_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

struct att_dir {
    int fd;
    char *path; /* as given, for messages and for opening it again */
};

enum att_status att_dir_open(const char *path, struct att_dir *ret_dir, struct att_err *err) ATT_MUST_USE;
void att_dir_close(struct att_dir *dir);
bool att_dir_has(const struct att_dir *dir, const char *name); /* something of that name is there */

enum { ATT_FILE_NAME_MAX = 256 };
/* The one file whose name ends so, to `name`; false when there is none, or more than one. */
bool att_dir_find(const struct att_dir *dir, const char *ending, char name[ATT_FILE_NAME_MAX]);

struct att_file {
    int fd;
    uint64_t size;
    const char *name; /* borrowed from the caller */
};
/* Errors name the file: "config.json: is missing", "model.safetensors: is a FIFO, expected a regular file". */
enum att_status att_file_open(const struct att_dir *dir, const char *name, struct att_file *ret_file,
                              struct att_err *err) ATT_MUST_USE;
void att_file_close(struct att_file *file);
/* Exactly len bytes at offset, or an error. */
enum att_status att_file_read(const struct att_file *file, uint64_t offset, void *bytes, size_t len,
                              struct att_err *err) ATT_MUST_USE;
/* The whole file with a NUL behind it; ATT_ELIMIT above max_bytes. Free with att_mem_free. */
enum att_status att_dir_read(const struct att_dir *dir, const char *name, size_t max_bytes, char **ret_bytes,
                             size_t *ret_len, struct att_err *err) ATT_MUST_USE;

#endif
