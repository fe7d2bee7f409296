/*
 * The stamp of a model directory: what the file system says of its files, as one number. Names, sizes, inodes and
 * times of change are summed, so the order in which a folder lists them does not matter. ctime cannot be set by
 * who writes a file, so a file written or renamed into place always changes the stamp.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/attend.h"

enum { FOLDERS_DEEP_MAX = 3 }; /* sentence-transformers keep 1_Pooling/config.json */

/* FNV-1a, 64 bits, with a last step that spreads the high bits. */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *byte = bytes;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash ^ (hash >> 29);
}

static uint64_t hash_file(const char *name, const struct stat *facts)
{
    const uint64_t numbers[] = {(uint64_t)facts->st_dev,          (uint64_t)facts->st_ino,
                                (uint64_t)facts->st_size,         (uint64_t)facts->st_mtim.tv_sec,
                                (uint64_t)facts->st_mtim.tv_nsec, (uint64_t)facts->st_ctim.tv_sec,
                                (uint64_t)facts->st_ctim.tv_nsec};
    uint64_t hash = hash_bytes(UINT64_C(0xcbf29ce484222325), name, strlen(name));

    return hash_bytes(hash, numbers, sizeof(numbers));
}

/* Takes the descriptor. */
static uint64_t stamp_folder(int fd, unsigned depth)
{
    DIR *dir = fdopendir(fd);
    const struct dirent *entry;
    uint64_t sum = 1;

    if (dir == NULL) {
        close(fd);
        return 0;
    }
    while ((entry = readdir(dir)) != NULL) {
        struct stat facts;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (fstatat(dirfd(dir), entry->d_name, &facts, 0) != 0)
            continue;
        if (S_ISREG(facts.st_mode)) {
            sum += hash_file(entry->d_name, &facts);
        } else if (S_ISDIR(facts.st_mode) && depth < FOLDERS_DEEP_MAX) {
            int sub = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

            if (sub >= 0)
                sum += stamp_folder(sub, depth + 1) * 31;
        }
    }
    closedir(dir);
    return sum;
}

uint64_t att_path_stamp(const char *path)
{
    struct stat facts;
    int fd;

    if (stat(path, &facts) != 0)
        return 0;
    if (!S_ISDIR(facts.st_mode))
        return hash_file("", &facts);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 ? stamp_folder(fd, 0) : 0;
}
