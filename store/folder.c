/* Writing, moving and removing folders; see folder.h. */
#include "store/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

static enum att_status io_error(const char *path, struct att_err *err)
{
    enum att_status status = errno == ENOSPC || errno == EDQUOT || errno == EROFS ? ATT_ESPACE : ATT_EIO;
    return att_err_set(err, status, "%s: %s", path, strerror(errno));
}

bool store_folder_name_valid(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(name);
    return len > 0 && len <= STORE_FOLDER_NAME_MAX && strspn(name, letters) == len && !strchr("._-", name[0]);
}

static bool join(char path[PATH_BYTES], const char *parent, const char *dot, const char *name)
{
    int n = snprintf(path, PATH_BYTES, "%s/%s%s", parent, dot, name);
    return n > 0 && n < PATH_BYTES;
}

bool store_folder_exists(const char *parent, const char *name)
{
    char path[PATH_BYTES];
    struct stat info;
    return join(path, parent, "", name) && lstat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static enum att_status sync_path(const char *path, struct att_err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum att_status status = fd >= 0 && fsync(fd) == 0 ? ATT_OK : io_error(path, err);
    if (fd >= 0)
        close(fd);
    return status;
}

static enum att_status write_file(const char *path, const void *bytes, size_t len, struct att_err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    const char *at = bytes;
    if (fd < 0)
        return io_error(path, err);
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        at += n;
        len -= (size_t)n;
    }
    enum att_status status = len == 0 && fsync(fd) == 0 ? ATT_OK : io_error(path, err);
    close(fd);
    return status;
}

/* Removes a folder and the files in it; what is not there is well. */
static enum att_status remove_all(const char *path, struct att_err *err)
{
    DIR *dir = opendir(path);
    char file[PATH_BYTES];
    if (!dir)
        return errno == ENOENT ? ATT_OK : io_error(path, err);
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && join(file, path, "", entry->d_name))
            unlink(file);
    closedir(dir);
    return rmdir(path) == 0 ? ATT_OK : io_error(path, err);
}

/* Moves what was written to its place; what stands there gets the other name, where it may. */
static enum att_status move_in(const char *part, const char *path, const char *name, bool may_replace,
                               struct att_err *err)
{
    struct stat info;
    bool taken = may_replace && lstat(path, &info) == 0 && S_ISDIR(info.st_mode);
    if (renameat2(AT_FDCWD, part, AT_FDCWD, path, taken ? RENAME_EXCHANGE : 0) == 0)
        return ATT_OK;
    if (taken && (errno == EINVAL || errno == ENOSYS))
        return att_err_set(err, ATT_EUNSUPPORTED, "%s: the file system cannot swap two folders; remove this one first",
                           path);
    if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR)
        return att_err_set(err, ATT_EINVAL, "%s: is there already", name);
    return io_error(path, err);
}

static enum att_status write_folder(const char *parent, const char *name, const struct store_folder_file *files,
                                    size_t n_files, bool may_replace, struct att_err *err)
{
    char part[PATH_BYTES], path[PATH_BYTES], file[PATH_BYTES];
    if (!store_folder_name_valid(name) || !join(part, parent, ".part-", name) || !join(path, parent, "", name))
        return att_err_set(err, ATT_EINVAL, "'%.64s' is no name of a folder", name);
    if (mkdir(parent, 0755) != 0 && errno != EEXIST)
        return io_error(parent, err);
    enum att_status status = remove_all(part, err); /* of one that was cut short */
    if (status == ATT_OK && mkdir(part, 0755) != 0)
        status = io_error(part, err);
    for (size_t i = 0; status == ATT_OK && i < n_files; i++)
        status = join(file, part, "", files[i].name) ? write_file(file, files[i].bytes, files[i].len, err)
                                                     : att_err_set(err, ATT_EINVAL, "%s: too long", part);
    if (status == ATT_OK)
        status = sync_path(part, err);
    if (status == ATT_OK)
        status = move_in(part, path, name, may_replace, err);
    if (status == ATT_OK)
        return sync_path(parent, err);
    struct att_err ignored; /* what is left is removed by the next writer */
    if (remove_all(part, &ignored) != ATT_OK)
        return status;
    return status;
}

enum att_status store_folder_write(const char *parent, const char *name, const struct store_folder_file *files,
                                   size_t n_files, struct att_err *err)
{
    return write_folder(parent, name, files, n_files, false, err);
}

enum att_status store_folder_replace(const char *parent, const char *name, const struct store_folder_file *files,
                                     size_t n_files, struct att_err *err)
{
    return write_folder(parent, name, files, n_files, true, err);
}

enum att_status store_folder_settle(const char *parent, const char *name, bool keep, struct att_err *err)
{
    char path[PATH_BYTES], part[PATH_BYTES];
    struct stat info;
    if (!store_folder_name_valid(name) || !join(path, parent, "", name) || !join(part, parent, ".part-", name))
        return att_err_set(err, ATT_ENOTFOUND, "no folder '%.64s'", name);
    if (lstat(part, &info) != 0)
        return keep ? ATT_OK : store_folder_remove(parent, name, err);
    const unsigned how = store_folder_exists(parent, name) ? RENAME_EXCHANGE : 0;
    if (!keep && renameat2(AT_FDCWD, part, AT_FDCWD, path, how) != 0)
        return io_error(path, err);
    enum att_status status = keep ? ATT_OK : sync_path(parent, err);
    return status == ATT_OK ? remove_all(part, err) : status;
}

enum att_status store_folder_set_aside(const char *parent, const char *name, struct att_err *err)
{
    char path[PATH_BYTES], part[PATH_BYTES];
    if (!store_folder_name_valid(name) || !store_folder_exists(parent, name) || !join(path, parent, "", name) ||
        !join(part, parent, ".part-", name))
        return att_err_set(err, ATT_ENOTFOUND, "no folder '%.64s'", name);
    enum att_status status = remove_all(part, err);
    if (status == ATT_OK && rename(path, part) != 0)
        return io_error(path, err);
    if (status == ATT_OK && (status = sync_path(parent, err)) != ATT_OK)
        (void)rename(part, path); /* as if it had not been asked for */
    return status;
}

enum att_status store_folder_remove(const char *parent, const char *name, struct att_err *err)
{
    enum att_status status = store_folder_set_aside(parent, name, err);
    return status == ATT_OK ? store_folder_settle(parent, name, true, err) : status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

enum att_status store_folder_list(const char *parent, char names[STORE_FOLDERS_MAX][STORE_FOLDER_NAME_MAX + 1],
                                  size_t *ret_count, struct att_err *err)
{
    DIR *dir = opendir(parent);
    size_t count = 0;
    enum att_status status = ATT_OK;
    if (!dir && errno != ENOENT)
        return io_error(parent, err);
    for (const struct dirent *entry; dir && status == ATT_OK && (entry = readdir(dir));) {
        if (!store_folder_name_valid(entry->d_name) || !store_folder_exists(parent, entry->d_name))
            continue;
        if (count == STORE_FOLDERS_MAX)
            status = att_err_limit(err, NULL, STORE_FOLDERS_MAX, count + 1, "more than %d folders", STORE_FOLDERS_MAX);
        else
            memcpy(names[count++], entry->d_name, strlen(entry->d_name) + 1);
    }
    if (dir)
        closedir(dir);
    if (status != ATT_OK)
        return status;
    qsort(names, count, sizeof names[0], by_name);
    *ret_count = count;
    return ATT_OK;
}

enum att_status store_file_replace(const char *path, const void *bytes, size_t len, struct att_err *err)
{
    char part[PATH_BYTES], parent[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    int n = snprintf(part, sizeof part, "%s.part", path);
    snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    if (n <= 0 || n >= PATH_BYTES)
        return att_err_set(err, ATT_EINVAL, "%s: is too long", path);
    enum att_status status = write_file(part, bytes, len, err);
    if (status == ATT_OK && rename(part, path) != 0)
        status = io_error(path, err);
    if (status == ATT_OK)
        return sync_path(*parent ? parent : "/", err);
    unlink(part);
    return status;
}
