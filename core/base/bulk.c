/* See bulk.h. The blocks of a file are reserved before it is mapped: writing to a page that the disk has no room for
 * would end the process. */
#include "core/base/bulk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/mem.h"

static enum att_status refuse(const char *folder, const char *what, int error, struct att_err *err)
{
    const bool full = error == ENOSPC || error == EDQUOT || error == EROFS || error == EFBIG;
    return att_err_set(err, full ? ATT_ESPACE : ATT_EIO, "%s: %s: %s", folder, what, strerror(error));
}

static int reserve(int fd, size_t bytes)
{
    int error;
    do
        error = posix_fallocate(fd, 0, (off_t)bytes);
    while (error == EINTR);
    return error;
}

static enum att_status map_file(const char *folder, size_t bytes, void **ret_data, struct att_err *err)
{
    const int fd = open(folder, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return refuse(folder, "cannot have a file without a name", errno, err);
    const int error = reserve(fd, bytes);
    void *data = error == 0 ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    enum att_status status = ATT_OK;
    if (error != 0)
        status = refuse(folder, "has no room for an item table", error, err);
    else if (data == MAP_FAILED)
        status = refuse(folder, "a file there cannot be mapped", errno, err);
    else
        *ret_data = data;
    close(fd);
    return status;
}

enum att_status att_bulk_create(struct att_bulk *bulk, struct att_bulk_place *place, size_t bytes, struct att_err *err)
{
    struct att_err why;
    assert(bytes > 0);
    *bulk = (struct att_bulk){.bytes = bytes};
    if (place && place->folder) {
        if (map_file(place->folder, bytes, &bulk->data, &why) == ATT_OK) {
            bulk->in_file = true;
            return ATT_OK;
        }
        snprintf(place->why, sizeof place->why, "%s", why.message);
    }
    bulk->data = att_mem_aligned(bytes, 1);
    return bulk->data ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory for %zu bytes", bytes);
}

enum att_status att_bulk_seal(struct att_bulk *bulk, struct att_err *err)
{
    if (!bulk->in_file)
        return ATT_OK;
    if (msync(bulk->data, bulk->bytes, MS_SYNC) != 0)
        return att_err_set(err, ATT_EIO, "an item table cannot be written out: %s", strerror(errno));
    if (mprotect(bulk->data, bulk->bytes, PROT_READ) != 0)
        return att_err_set(err, ATT_EIO, "an item table cannot be made read-only: %s", strerror(errno));
    return ATT_OK;
}

void att_bulk_rest(const struct att_bulk *bulk)
{
    if (!bulk->in_file)
        return;
    (void)madvise(bulk->data, bulk->bytes, MADV_RANDOM);
    (void)madvise(bulk->data, bulk->bytes, MADV_DONTNEED);
}

void att_bulk_finish(struct att_bulk *bulk)
{
    if (bulk->in_file)
        att_mem_unmap(bulk->data, bulk->bytes);
    else
        att_mem_free(bulk->data);
    *bulk = (struct att_bulk){.data = NULL};
}
