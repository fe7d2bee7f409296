/* JSON files of a model directory, and errors that name them. */
#ifndef ATT_IO_JSON_FILE_H
#define ATT_IO_JSON_FILE_H

#include <stdbool.h>

#include "core/base/json.h"
#include "core/io/dir.h"

/* Reads a JSON file of the directory, an object of at most 16 MiB and 64 levels; an absent one leaves *ret_json as it
 * is when optional. Free with att_json_destroy. */
enum att_status att_json_file(const struct att_dir *dir, const char *name, bool optional, struct att_json **ret_json,
                              struct att_err *err) ATT_MUST_USE;
/* The same, whatever the root is. */
enum att_status att_json_file_any(const struct att_dir *dir, const char *name, bool optional,
                                  struct att_json **ret_json, struct att_err *err) ATT_MUST_USE;
/* "file: field: …": puts the file before a message that starts with the field, and makes it a format error. */
enum att_status att_err_file(struct att_err *err, enum att_status status, const char *file);

#endif
