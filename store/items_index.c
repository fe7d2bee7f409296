/*
 * items.index: the vectors of the items' texts as store/items.h draws them.
 * What a file says of itself is checked before anything is read by it, and
 * three digests tell a stale or damaged file from a good one, so that a start
 * never embeds anything. A new file is written beside and renamed.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/items_table.h"

enum { HEADER_BYTES = 256, VERSION = 1, HEX_BYTES = 64 };
enum { AT_VERSION = 8, AT_DIMENSIONS = 12, AT_ROWS = 16, AT_ENCODER = 24, AT_TABLE = 88, AT_VECTORS = 152 };
static const char magic[8] = "ATTITEMS";

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "vectors are written as they lie in memory");

static void put_number(unsigned char *bytes, size_t size, uint64_t value)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get_number(const unsigned char *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static enum att_status io_error(const char *path, const char *what, struct att_err *err)
{
    enum att_status status =
        errno == ENOSPC || errno == EROFS || errno == EDQUOT || errno == EFBIG ? ATT_ESPACE : ATT_EIO;
    return att_err_set(err, status, "%s: %s: %s", path, what, strerror(errno));
}

/* ---- reading ---- */

/* Opens a regular file, or a link to one if `follow`; never waits for the other end of a FIFO. */
static enum att_status open_file(const char *path, bool follow, int *ret_fd, size_t *ret_size, struct att_err *err)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (follow ? 0 : O_NOFOLLOW));
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return att_err_set(err, ATT_ENOTFOUND, "%s: is missing", path);
    if (fd < 0 && errno == ELOOP)
        return att_err_set(err, ATT_EFORMAT, "%s: is a symbolic link, expected a regular file", path);
    if (fd < 0 && errno == ENXIO)
        return att_err_set(err, ATT_EFORMAT, "%s: is a socket, expected a regular file", path);
    if (fd < 0)
        return io_error(path, "cannot be opened", err);
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return att_err_set(err, ATT_EFORMAT, "%s: is no regular file", path);
    }
    *ret_fd = fd;
    *ret_size = (size_t)info.st_size;
    return ATT_OK;
}

static enum att_status read_bytes(const char *path, int fd, void *bytes, size_t len, struct att_err *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = read(fd, (char *)bytes + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return io_error(path, "cannot be read", err);
        if (n == 0)
            return att_err_set(err, ATT_EFORMAT, "%s: ends after %zu bytes, expected %zu", path, done, len);
        done += (size_t)n;
    }
    return ATT_OK;
}

enum att_status store_file_read(const char *path, bool follow, size_t max_bytes, char **ret_bytes, size_t *ret_len,
                                struct att_err *err)
{
    int fd = -1;
    size_t size = 0;
    enum att_status status = open_file(path, follow, &fd, &size, err);
    if (status != ATT_OK)
        return status;
    char *bytes = NULL;
    if (size > max_bytes)
        status =
            att_err_limit(err, NULL, max_bytes, size, "%s: has %zu bytes, expected at most %zu", path, size, max_bytes);
    else if (!(bytes = att_mem_calloc(size + 1, 1)))
        status = att_err_set(err, ATT_ENOMEM, "%s: out of memory for %zu bytes", path, size);
    else
        status = read_bytes(path, fd, bytes, size, err);
    close(fd);
    if (status != ATT_OK) {
        att_mem_free(bytes);
        return status;
    }
    *ret_bytes = bytes;
    *ret_len = size;
    return ATT_OK;
}

/* items.jsonl → items.index. */
static char *index_path(const struct store_items *items, const char *ending)
{
    static const char jsonl[] = ".jsonl";
    size_t len = strlen(items->path), size;
    if (len > sizeof jsonl - 1 && strcmp(items->path + len - (sizeof jsonl - 1), jsonl) == 0)
        len -= sizeof jsonl - 1;
    size = len + strlen(ending) + 1;
    char *path = att_mem_calloc(size, 1);
    if (path)
        snprintf(path, size, "%.*s%s", (int)len, items->path, ending);
    return path;
}

static const char advice[] = "make it anew: attend items index --model DIR --encoder DIR";

/* Whose vectors these are, before any of them is read. */
static enum att_status check_header(const struct store_items *items, const char *path, const unsigned char *header,
                                    size_t size, const char *encoder_digest, size_t dimensions, struct att_err *err)
{
    uint64_t version = get_number(header + AT_VERSION, 4), rows = get_number(header + AT_ROWS, 8);
    size_t bytes = 0;
    if (memcmp(header, magic, sizeof magic) != 0)
        return att_err_set(err, ATT_EFORMAT, "%s: is no index of items; %s", path, advice);
    if (version != VERSION)
        return att_err_set(err, ATT_EFORMAT, "%s: version is %llu, expected %d; %s", path, (unsigned long long)version,
                           VERSION, advice);
    if (memcmp(header + AT_TABLE, items->digest, HEX_BYTES) != 0 || rows != items->count + 1)
        return att_err_set(err, ATT_EFORMAT, "%s: was made from another items.jsonl than %s; %s", path, items->path,
                           advice);
    if (memcmp(header + AT_ENCODER, encoder_digest, HEX_BYTES) != 0 ||
        get_number(header + AT_DIMENSIONS, 4) != dimensions)
        return att_err_set(err, ATT_EFORMAT, "%s: was made with another encoder; %s", path, advice);
    if (!att_size_mul(items->count + 1, dimensions, &bytes) || !att_size_mul(bytes, sizeof(float), &bytes) ||
        !att_size_add(bytes, HEADER_BYTES, &bytes) || bytes != size)
        return att_err_set(err, ATT_EFORMAT, "%s: has %zu bytes, expected %zu; %s", path, size, bytes, advice);
    return ATT_OK;
}

static enum att_status check_vectors(const char *path, const unsigned char *header, const float *vectors, size_t count,
                                     struct att_err *err)
{
    char digest[HEX_BYTES + 1] = "";
    att_digest(vectors, count * sizeof *vectors, digest);
    if (!digest[0])
        return att_err_set(err, ATT_ENOMEM, "%s: out of memory", path);
    if (memcmp(digest, header + AT_VECTORS, HEX_BYTES) != 0)
        return att_err_set(err, ATT_EFORMAT, "%s: its vectors are damaged; %s", path, advice);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(vectors[i]))
            return att_err_set(err, ATT_EFORMAT, "%s: a vector is not finite; %s", path, advice);
    return ATT_OK;
}

static enum att_status read_vectors(const char *path, int fd, const unsigned char *header, size_t count,
                                    struct att_bulk_place *place, struct att_bulk *ret_vectors, struct att_err *err)
{
    struct att_bulk vectors;
    const size_t bytes = count * sizeof(float);
    enum att_status status = att_bulk_create(&vectors, place, bytes, err);
    if (status != ATT_OK)
        return att_err_prefix(err, "%s", path);
    status = read_bytes(path, fd, vectors.data, bytes, err);
    if (status == ATT_OK)
        status = check_vectors(path, header, vectors.data, count, err);
    if (status == ATT_OK)
        status = att_bulk_seal(&vectors, err);
    if (status != ATT_OK) {
        att_bulk_finish(&vectors);
        return status;
    }
    *ret_vectors = vectors;
    return ATT_OK;
}

enum att_status store_items_vectors_load(struct store_items *items, const char *encoder_digest, size_t dimensions,
                                         struct att_bulk_place *place, struct att_err *err)
{
    assert(!items->vectors.data && strlen(encoder_digest) == HEX_BYTES && dimensions > 0);
    unsigned char header[HEADER_BYTES];
    int fd = -1;
    size_t size = 0;
    char *path = index_path(items, ".index");
    if (!path)
        return att_err_set(err, ATT_ENOMEM, "%s: out of memory", items->path);
    enum att_status status = open_file(path, items->named, &fd, &size, err);
    if (status == ATT_ENOTFOUND)
        att_err_set(err, ATT_ENOTFOUND, "%s: is missing; %s", path, advice);
    if (status == ATT_OK && size < HEADER_BYTES)
        status = att_err_set(err, ATT_EFORMAT, "%s: has %zu bytes, expected at least %d; %s", path, size, HEADER_BYTES,
                             advice);
    if (status == ATT_OK)
        status = read_bytes(path, fd, header, sizeof header, err);
    if (status == ATT_OK)
        status = check_header(items, path, header, size, encoder_digest, dimensions, err);
    if (status == ATT_OK)
        status = read_vectors(path, fd, header, (items->count + 1) * dimensions, place, &items->vectors, err);
    if (status == ATT_OK)
        items->dimensions = dimensions;
    if (fd >= 0)
        close(fd);
    att_mem_free(path);
    return status;
}

/* ---- writing ---- */

static enum att_status write_bytes(const char *path, int fd, const void *bytes, size_t len, struct att_err *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, (const char *)bytes + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return io_error(path, "cannot be written", err);
        done += (size_t)n;
    }
    return ATT_OK;
}

/* Opens the new file for this process alone: two writers would mix their bytes. Who waited for a file that has been
 * renamed or removed meanwhile tries the name again. */
static enum att_status open_part(const char *path, int *ret_fd, struct att_err *err)
{
    for (;;) {
        struct stat opened, named;
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
        if (fd < 0)
            return io_error(path, "cannot be created", err);
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            enum att_status status = errno == EWOULDBLOCK
                                         ? att_err_set(err, ATT_EBUSY, "%s: another process is writing it", path)
                                         : io_error(path, "cannot be locked", err);
            close(fd);
            return status;
        }
        bool same = fstat(fd, &opened) == 0 && stat(path, &named) == 0 && opened.st_dev == named.st_dev &&
                    opened.st_ino == named.st_ino;
        if (same && ftruncate(fd, 0) == 0) {
            *ret_fd = fd;
            return ATT_OK;
        }
        enum att_status status = same ? io_error(path, "cannot be emptied", err) : ATT_OK;
        close(fd);
        if (status != ATT_OK)
            return status;
    }
}

/* A name is durable when its folder is. */
static enum att_status sync_folder(const char *path, struct att_err *err)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) + 1 : 1;
    char *folder = att_mem_calloc(len + 1, 1);
    if (!folder)
        return att_err_set(err, ATT_ENOMEM, "%s: out of memory", path);
    memcpy(folder, slash ? path : ".", len);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum att_status status = ATT_OK;
    if (fd < 0 || fsync(fd) != 0)
        status = io_error(folder, "cannot be written", err);
    if (fd >= 0)
        close(fd);
    att_mem_free(folder);
    return status;
}

/* The whole file beside its place, then moved there. */
static enum att_status write_file(const char *path, const char *part, const unsigned char *header, const float *vectors,
                                  size_t bytes, struct att_err *err)
{
    int fd = -1;
    enum att_status status = open_part(part, &fd, err);
    if (status != ATT_OK)
        return status;
    status = write_bytes(part, fd, header, HEADER_BYTES, err);
    if (status == ATT_OK)
        status = write_bytes(part, fd, vectors, bytes, err);
    if (status == ATT_OK && fsync(fd) != 0)
        status = io_error(part, "cannot be written", err);
    if (status == ATT_OK && rename(part, path) != 0)
        status = io_error(path, "cannot be replaced", err);
    if (status != ATT_OK)
        unlink(part);
    close(fd); /* the lock ends here, when the name is gone */
    return status == ATT_OK ? sync_folder(path, err) : status;
}

enum att_status store_items_vectors_write(const struct store_items *items, const float *vectors,
                                          const char *encoder_digest, size_t dimensions, struct att_err *err)
{
    assert(strlen(encoder_digest) == HEX_BYTES && dimensions > 0 && dimensions <= UINT32_MAX);
    unsigned char header[HEADER_BYTES] = {0};
    char digest[HEX_BYTES + 1] = "";
    char *path = index_path(items, ".index"), *part = index_path(items, ".index.part");
    size_t bytes = (items->count + 1) * dimensions * sizeof *vectors;
    att_digest(vectors, bytes, digest);
    enum att_status status =
        path && part && digest[0] ? ATT_OK : att_err_set(err, ATT_ENOMEM, "%s: out of memory", items->path);
    if (status == ATT_OK) {
        memcpy(header, magic, sizeof magic);
        put_number(header + AT_VERSION, 4, VERSION);
        put_number(header + AT_DIMENSIONS, 4, dimensions);
        put_number(header + AT_ROWS, 8, items->count + 1);
        memcpy(header + AT_ENCODER, encoder_digest, HEX_BYTES);
        memcpy(header + AT_TABLE, items->digest, HEX_BYTES);
        memcpy(header + AT_VECTORS, digest, HEX_BYTES);
        status = write_file(path, part, header, vectors, bytes, err);
    }
    att_mem_free(path);
    att_mem_free(part);
    return status;
}
