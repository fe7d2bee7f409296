/*
 * Large arrays that are filled once and then only read: item tables and their vectors, hundreds of megabytes.
 *
 * In a folder, one is the pages of a file that has no name: made with O_TMPFILE, never linked, its descriptor closed
 * when it is mapped. So nobody can open, cut or replace it, which is what kills a process that maps files of others;
 * the kernel writes its pages back and drops them when memory is short, which it cannot do with memory of the process.
 * The file ends with its mapping. Without a folder, or where the folder cannot have it, it is memory.
 */
#ifndef ATT_BASE_BULK_H
#define ATT_BASE_BULK_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/status.h"

struct att_bulk {
    void *data; /* zero-filled, aligned to a cache line; NULL: none */
    size_t bytes;
    bool in_file;
};

/* Where arrays go. */
struct att_bulk_place {
    const char *folder;            /* NULL: memory */
    char why[ATT_ERR_MESSAGE_MAX]; /* why one went to memory all the same; "": none did */
};

/* place may be NULL: memory. */
enum att_status att_bulk_create(struct att_bulk *bulk, struct att_bulk_place *place, size_t bytes,
                                struct att_err *err) ATT_MUST_USE;
/* It is filled. A file is written out, so that its pages can go, and is read-only from now on. ATT_EIO: the disk does
 * not take it, and what it holds is not to be trusted. */
enum att_status att_bulk_seal(struct att_bulk *bulk, struct att_err *err) ATT_MUST_USE;
/* A row here and there will be read: pages of a file leave the process until somebody touches them, and then come
 * without their neighbours, which would push others out. */
void att_bulk_rest(const struct att_bulk *bulk);
void att_bulk_finish(struct att_bulk *bulk);

#endif
