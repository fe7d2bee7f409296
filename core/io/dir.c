/*
 * Opening and reading files of a model directory (see dir.h). openat2 with
 * RESOLVE_BENEATH keeps symlinks and ".." inside; where there is no openat2
 * (kernels before 5.6, valgrind, and every systemd service with RestrictSUIDSGID=, which
 * refuses it with ENOSYS) the name is walked and no symlink is followed at all.
 *
 * One way leads out: Hugging Face's cache keeps a model as links, from
 * snapshots/REVISION/NAME to ../../blobs/HASH. Such a link is followed by hand:
 * its text must be just that, and the blob a file, no link, of that one folder.
 */
#include "core/io/dir.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/mem.h"

enum att_status att_dir_open(const char *path, struct att_dir *ret_dir, struct att_err *err)
{
    assert(path && ret_dir);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT)
            return att_err_set(err, ATT_ENOTFOUND, "%s: no such directory", path);
        if (errno == ENOTDIR)
            return att_err_set(err, ATT_EFORMAT, "%s: is a file, expected the directory that holds it", path);
        return att_err_set(err, ATT_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    }
    char *copy = att_mem_strdup(path);
    if (!copy) {
        close(fd);
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    }
    *ret_dir = (struct att_dir){.fd = fd, .path = copy};
    return ATT_OK;
}

void att_dir_close(struct att_dir *dir)
{
    if (!dir || !dir->path)
        return;
    close(dir->fd);
    att_mem_free(dir->path);
    *dir = (struct att_dir){.fd = -1};
}

/* Folder by folder; `name` is relative and "..", "." or an empty part in it is refused. */
static int open_by_steps(int dir_fd, const char *name, int flags)
{
    char part[ATT_FILE_NAME_MAX];
    int at = dir_fd, fd = -1;

    for (;;) {
        size_t len = strcspn(name, "/");
        bool is_last = name[len] == '\0';
        int how = (is_last ? flags : O_PATH | O_DIRECTORY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW;

        errno = len >= sizeof part ? ENAMETOOLONG : EXDEV;
        fd = -1;
        if (len == 0 || len >= sizeof part || (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'))))
            break;
        memcpy(part, name, len);
        part[len] = '\0';
        fd = openat(at, part, how);
        if (is_last || fd < 0)
            break;
        if (at != dir_fd)
            close(at);
        at = fd;
        name += len + 1;
    }
    if (at != dir_fd) {
        int saved = errno;

        close(at);
        errno = saved;
    }
    return fd;
}

enum { BLOB_LINK_MAX = 128 };

/* "../../blobs/HASH", with one "../" more for each folder in name; the hash, or NULL. */
static const char *blob_hash(const char *name, const char *target)
{
    static const char blobs[] = "blobs/";
    size_t up = 2;
    for (const char *at = name; *at; at++)
        up += *at == '/';
    for (; up > 0; up--, target += 3)
        if (strncmp(target, "../", 3) != 0)
            return NULL;
    if (strncmp(target, blobs, sizeof blobs - 1) != 0)
        return NULL;
    const char *hash = target + sizeof blobs - 1;
    size_t len = strspn(hash, "0123456789abcdef");
    return (len == 40 || len == 64) && hash[len] == '\0' ? hash : NULL;
}

/* The model directory is REVISION in REPOSITORY/snapshots, and name a link into REPOSITORY/blobs. -1: it is not. */
static int open_blob(int dir_fd, const char *name)
{
    char target[BLOB_LINK_MAX];
    struct stat above, snapshots;
    ssize_t len = readlinkat(dir_fd, name, target, sizeof target - 1);
    if (len <= 0 || len == sizeof target - 1)
        return -1;
    target[len] = '\0';
    const char *hash = blob_hash(name, target);
    if (!hash || fstatat(dir_fd, "..", &above, 0) != 0 ||
        fstatat(dir_fd, "../../snapshots", &snapshots, AT_SYMLINK_NOFOLLOW) != 0 || above.st_dev != snapshots.st_dev ||
        above.st_ino != snapshots.st_ino)
        return -1;
    int blobs = openat(dir_fd, "../../blobs", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (blobs < 0)
        return -1;
    int fd = openat(blobs, hash, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
    close(blobs);
    return fd;
}

static int open_beneath(int dir_fd, const char *name, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof how);
    if (fd < 0 && (errno == EXDEV || errno == ENOSYS)) {
        int why = errno, blob = open_blob(dir_fd, name);

        if (blob >= 0)
            return blob;
        errno = why;
    }
    return fd < 0 && errno == ENOSYS ? open_by_steps(dir_fd, name, flags) : (int)fd;
}

bool att_dir_has(const struct att_dir *dir, const char *name)
{
    struct stat st;
    return fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

bool att_dir_find(const struct att_dir *dir, const char *ending, char name[ATT_FILE_NAME_MAX])
{
    /* readdir would need memory, and to be out of it is not to have found nothing. */
    _Alignas(struct dirent64) char block[4096];
    size_t found = 0, end = strlen(ending);
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    for (ssize_t n; (n = getdents64(fd, block, sizeof block)) > 0;) {
        for (ssize_t at = 0; at < n; at += ((const struct dirent64 *)(const void *)(block + at))->d_reclen) {
            const char *entry = ((const struct dirent64 *)(const void *)(block + at))->d_name;
            size_t len = strlen(entry);
            if (entry[0] == '.' || len < end || len >= ATT_FILE_NAME_MAX || strcmp(entry + len - end, ending) != 0)
                continue;
            memcpy(name, entry, len + 1);
            found++;
        }
    }
    close(fd);
    return found == 1;
}

static const char *kind_of(mode_t mode)
{
    if (S_ISDIR(mode))
        return "a directory";
    if (S_ISFIFO(mode))
        return "a FIFO";
    return "a device"; /* a socket is refused by open: ENXIO */
}

enum att_status att_file_open(const struct att_dir *dir, const char *name, struct att_file *ret_file,
                              struct att_err *err)
{
    assert(dir && name);
    int fd = open_beneath(dir->fd, name, O_RDONLY);
    if (fd < 0) {
        if (errno == ENOENT)
            return att_err_set(err, ATT_ENOTFOUND, "%s: is missing", name);
        if (errno == ENXIO)
            return att_err_set(err, ATT_EFORMAT, "%s: is a socket, expected a regular file", name);
        if (errno == EXDEV || errno == ELOOP)
            return att_err_set(err, ATT_EFORMAT, "%s: leads outside the model directory, expected a regular file in it",
                               name);
        return att_err_set(err, ATT_EIO, "%s: cannot be opened: %s", name, strerror(errno));
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return att_err_set(err, ATT_EFORMAT, "%s: is %s, expected a regular file", name, kind_of(st.st_mode));
    }
    *ret_file = (struct att_file){.fd = fd, .size = (uint64_t)st.st_size, .name = name};
    return ATT_OK;
}

void att_file_close(struct att_file *file)
{
    if (file && file->name) {
        close(file->fd);
        *file = (struct att_file){.fd = -1};
    }
}

enum att_status att_file_read(const struct att_file *file, uint64_t offset, void *bytes, size_t len,
                              struct att_err *err)
{
    if (offset > file->size || len > file->size - offset)
        return att_err_set(err, ATT_EFORMAT, "%s: ends at byte %llu, expected %zu bytes at %llu", file->name,
                           (unsigned long long)file->size, len, (unsigned long long)offset);
    char *to = bytes;
    while (len > 0) {
        ssize_t n = pread(file->fd, to, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return att_err_set(err, ATT_EIO, "%s: cannot be read: %s", file->name, strerror(errno));
        if (n == 0)
            return att_err_set(err, ATT_EFORMAT, "%s: was truncated while it was read", file->name);
        to += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return ATT_OK;
}

enum att_status att_dir_read(const struct att_dir *dir, const char *name, size_t max_bytes, char **ret_bytes,
                             size_t *ret_len, struct att_err *err)
{
    struct att_file file;
    enum att_status status = att_file_open(dir, name, &file, err);
    if (status != ATT_OK)
        return status;
    char *bytes = NULL;
    if (file.size > max_bytes) {
        status = att_err_limit(err, NULL, max_bytes, file.size, "%s: size is %llu bytes, expected at most %zu", name,
                               (unsigned long long)file.size, max_bytes);
        goto done;
    }
    size_t len = (size_t)file.size;
    bytes = att_mem_calloc(len + 1, 1);
    if (!bytes) {
        status = att_err_set(err, ATT_ENOMEM, "out of memory for %s", name);
        goto done;
    }
    status = att_file_read(&file, 0, bytes, len, err);
    if (status == ATT_OK) {
        *ret_bytes = bytes;
        *ret_len = len;
        bytes = NULL;
    }
done:
    att_mem_free(bytes);
    att_file_close(&file);
    return status;
}
