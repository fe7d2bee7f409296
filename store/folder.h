/*
 * Folders that a program makes: written beside their place, then moved there, so
 * that a folder is there whole or not at all. Names are plain words, never paths.
 */
#ifndef STORE_FOLDER_H
#define STORE_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/status.h"

enum { STORE_FOLDER_NAME_MAX = 64, STORE_FOLDERS_MAX = 64 };

struct store_folder_file {
    const char *name;
    const void *bytes;
    size_t len;
};

/* 1 to 64 letters, digits, '.', '_', '-', the first a letter or digit. */
bool store_folder_name_valid(const char *name);
bool store_folder_exists(const char *parent, const char *name);
/* Makes parent/name with these files, durable when it returns; parent is made when it is missing. ATT_EINVAL when the
 * name is taken; ATT_ESPACE, ATT_EIO. One writer of a parent at a time. */
enum att_status store_folder_write(const char *parent, const char *name, const struct store_folder_file *files,
                                   size_t n_files, struct att_err *err) ATT_MUST_USE;
/* The same for a name that may be taken: the folder changes in one step, and what stood there is kept aside until
 * store_folder_settle. ATT_EUNSUPPORTED where the file system cannot do that. */
enum att_status store_folder_replace(const char *parent, const char *name, const struct store_folder_file *files,
                                     size_t n_files, struct att_err *err) ATT_MUST_USE;
/* Takes parent/name away, durable when it returns, and keeps it aside until store_folder_settle. ATT_ENOTFOUND. */
enum att_status store_folder_set_aside(const char *parent, const char *name, struct att_err *err) ATT_MUST_USE;
/* After store_folder_replace and store_folder_set_aside: drops what was kept aside; or, with keep false, brings it
 * back, and removes the folder where nothing had stood. */
enum att_status store_folder_settle(const char *parent, const char *name, bool keep, struct att_err *err) ATT_MUST_USE;
/* Removes parent/name with the plain files in it. ATT_ENOTFOUND. */
enum att_status store_folder_remove(const char *parent, const char *name, struct att_err *err) ATT_MUST_USE;
/* Names of the folders in parent, sorted; a parent that is missing has none. ATT_ELIMIT above STORE_FOLDERS_MAX. */
enum att_status store_folder_list(const char *parent, char names[STORE_FOLDERS_MAX][STORE_FOLDER_NAME_MAX + 1],
                                  size_t *ret_count, struct att_err *err) ATT_MUST_USE;
/* Replaces path by these bytes, durable when it returns. */
enum att_status store_file_replace(const char *path, const void *bytes, size_t len, struct att_err *err) ATT_MUST_USE;

#endif
