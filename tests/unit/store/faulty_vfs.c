/* See faulty_vfs.h. One lock guards the counters and the list of files; nothing here is fast. */
#include "faulty_vfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sqlite3.h>
#include <unistd.h>

enum { FILES_MAX = 16 };

struct pending {
    sqlite3_int64 at;
    size_t len; /* 0: the file is cut to `at` bytes */
    unsigned char *bytes;
};

/* A file by its name, whoever has it open. */
struct disk_file {
    char *path;
    unsigned char *durable;
    size_t len;
    struct pending *pending;
    size_t n_pending;
};

struct open_file {
    sqlite3_file base;
    struct disk_file *disk; /* NULL: not watched */
    sqlite3_file real[];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct disk_file files[FILES_MAX];
static unsigned countdown;
static bool failing, failed, with_full, is_lasting;

static sqlite3_vfs *real_vfs, vfs;

void faulty_vfs_fail_at(unsigned k, bool full, bool lasting)
{
    pthread_mutex_lock(&mutex);
    countdown = k;
    failing = failed = false;
    with_full = full;
    is_lasting = lasting;
    pthread_mutex_unlock(&mutex);
}

bool faulty_vfs_failed(void)
{
    pthread_mutex_lock(&mutex);
    bool result = failed;
    pthread_mutex_unlock(&mutex);
    return result;
}

/* The error of this operation, or SQLITE_OK when it shall be done. */
static int fault(int error, bool writes)
{
    pthread_mutex_lock(&mutex);
    bool fails = failing || (countdown > 0 && --countdown == 0);
    failing = fails && is_lasting;
    failed = failed || fails;
    pthread_mutex_unlock(&mutex);
    return !fails ? SQLITE_OK : writes && with_full ? SQLITE_FULL : error;
}

/* ---- what is on the disk ---- */

static void forget_pending(struct disk_file *disk)
{
    for (size_t i = 0; i < disk->n_pending; i++)
        free(disk->pending[i].bytes);
    free(disk->pending);
    disk->pending = NULL;
    disk->n_pending = 0;
}

static void forget(struct disk_file *disk)
{
    forget_pending(disk);
    free(disk->durable);
    free(disk->path);
    memset(disk, 0, sizeof *disk);
}

static struct disk_file *find(const char *path)
{
    for (size_t i = 0; i < FILES_MAX; i++)
        if (files[i].path && strcmp(files[i].path, path) == 0)
            return &files[i];
    return NULL;
}

static void take_durable(struct disk_file *disk)
{
    FILE *stream = fopen(disk->path, "rb");
    forget_pending(disk);
    free(disk->durable);
    disk->durable = NULL;
    disk->len = 0;
    if (!stream)
        return;
    fseek(stream, 0, SEEK_END);
    disk->len = (size_t)ftell(stream);
    rewind(stream);
    disk->durable = malloc(disk->len + 1);
    if (!disk->durable || fread(disk->durable, 1, disk->len, stream) != disk->len)
        abort();
    fclose(stream);
}

static void watch(struct open_file *file, const char *path)
{
    pthread_mutex_lock(&mutex);
    struct disk_file *disk = find(path);
    for (size_t i = 0; !disk && i < FILES_MAX; i++)
        if (!files[i].path) {
            disk = &files[i];
            disk->path = strdup(path);
            take_durable(disk);
        }
    file->disk = disk;
    pthread_mutex_unlock(&mutex);
}

static void note(struct disk_file *disk, sqlite3_int64 at, const void *bytes, size_t len)
{
    if (!disk)
        return;
    pthread_mutex_lock(&mutex);
    disk->pending = realloc(disk->pending, (disk->n_pending + 1) * sizeof *disk->pending);
    struct pending *pending = &disk->pending[disk->n_pending++];
    *pending = (struct pending){at, len, len ? malloc(len) : NULL};
    if (len)
        memcpy(pending->bytes, bytes, len);
    pthread_mutex_unlock(&mutex);
}

static void apply(unsigned char **image, size_t *len, const struct pending *pending)
{
    size_t end = (size_t)pending->at + pending->len;
    if (pending->len == 0 || end > *len) {
        *image = realloc(*image, end + 1);
        if (!*image)
            abort();
        if (end > *len)
            memset(*image + *len, 0, end - *len);
        *len = end;
    }
    if (pending->len)
        memcpy(*image + pending->at, pending->bytes, pending->len);
}

void faulty_vfs_cut(const char *path, const char *copy, unsigned share)
{
    static uint32_t random = 2463534242u;
    pthread_mutex_lock(&mutex);
    const struct disk_file *disk = find(path);
    unlink(copy);
    if (disk && access(path, F_OK) == 0) {
        size_t len = disk->len;
        unsigned char *image = malloc(len + 1);
        assert_non_null(image);
        if (len)
            memcpy(image, disk->durable, len);
        for (size_t i = 0; i < disk->n_pending; i++) {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            if ((random >> 8 & 255) < share)
                apply(&image, &len, &disk->pending[i]);
        }
        FILE *stream = fopen(copy, "wb");
        assert_non_null(stream);
        assert_int_equal(fwrite(image, 1, len, stream), len);
        assert_int_equal(fclose(stream), 0);
        free(image);
    }
    pthread_mutex_unlock(&mutex);
}

/* ---- an open file ---- */

#define REAL(file) (((struct open_file *)(file))->real)
#define DISK(file) (((struct open_file *)(file))->disk)
#define FORWARD(file, call, ...) REAL(file)->pMethods->call(REAL(file), __VA_ARGS__)

static int file_close(sqlite3_file *file)
{
    return REAL(file)->pMethods->xClose(REAL(file));
}

static int file_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 at)
{
    int error = fault(SQLITE_IOERR_READ, false);
    return error ? error : FORWARD(file, xRead, bytes, len, at);
}

static int file_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    int error = fault(SQLITE_IOERR_WRITE, true);
    if (error) { /* a disk that fills up takes a part first */
        if (with_full && FORWARD(file, xWrite, bytes, len / 2, at) == SQLITE_OK)
            note(DISK(file), at, bytes, (size_t)len / 2);
        return error;
    }
    error = FORWARD(file, xWrite, bytes, len, at);
    if (!error)
        note(DISK(file), at, bytes, (size_t)len);
    return error;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 len)
{
    int error = fault(SQLITE_IOERR_TRUNCATE, false);
    if (!error)
        error = FORWARD(file, xTruncate, len);
    if (!error)
        note(DISK(file), len, NULL, 0);
    return error;
}

/* Here the bytes are kept as the disk has them; the real one need not be troubled. */
static int file_sync(sqlite3_file *file, int flags)
{
    int error = fault(SQLITE_IOERR_FSYNC, true);
    (void)flags;
    if (!error && DISK(file)) {
        pthread_mutex_lock(&mutex);
        take_durable(DISK(file));
        pthread_mutex_unlock(&mutex);
    }
    return error;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret_len)
{
    int error = fault(SQLITE_IOERR_FSTAT, false);
    return error ? error : FORWARD(file, xFileSize, ret_len);
}

static int file_lock(sqlite3_file *file, int lock)
{
    return FORWARD(file, xLock, lock);
}

static int file_unlock(sqlite3_file *file, int lock)
{
    return FORWARD(file, xUnlock, lock);
}

static int file_reserved(sqlite3_file *file, int *ret)
{
    return FORWARD(file, xCheckReservedLock, ret);
}

static int file_control(sqlite3_file *file, int op, void *argument)
{
    return FORWARD(file, xFileControl, op, argument);
}

static int file_sector(sqlite3_file *file)
{
    return REAL(file)->pMethods->xSectorSize(REAL(file));
}

/* A plain disk, that promises nothing. */
static int file_characteristics(sqlite3_file *file)
{
    (void)file;
    return 0;
}

static int shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
    int error = fault(SQLITE_IOERR_SHMMAP, true);
    return error ? error : FORWARD(file, xShmMap, page, size, extend, ret);
}

static int shm_lock(sqlite3_file *file, int at, int n, int flags)
{
    return FORWARD(file, xShmLock, at, n, flags);
}

static void shm_barrier(sqlite3_file *file)
{
    REAL(file)->pMethods->xShmBarrier(REAL(file));
}

static int shm_unmap(sqlite3_file *file, int remove)
{
    return FORWARD(file, xShmUnmap, remove);
}

/* Version 2: no memory mapping. */
static const sqlite3_io_methods methods = {
    2,           file_close,    file_read,    file_write,  file_truncate,        file_sync, file_size, file_lock,
    file_unlock, file_reserved, file_control, file_sector, file_characteristics, shm_map,   shm_lock,  shm_barrier,
    shm_unmap,   NULL,          NULL};

static int vfs_open(sqlite3_vfs *own, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    (void)own;
    struct open_file *opened = (struct open_file *)file;
    memset(opened, 0, sizeof *opened);
    int error = fault(SQLITE_CANTOPEN, true);
    if (error)
        return error;
    error = real_vfs->xOpen(real_vfs, name, opened->real, flags, ret_flags);
    if (error)
        return error;
    file->pMethods = &methods;
    if (name && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)))
        watch(opened, name);
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *own, const char *name, int sync)
{
    (void)own;
    int error = fault(SQLITE_IOERR_DELETE, false);
    if (!error)
        error = real_vfs->xDelete(real_vfs, name, sync);
    if (!error) {
        pthread_mutex_lock(&mutex);
        struct disk_file *disk = find(name);
        if (disk)
            forget(disk);
        pthread_mutex_unlock(&mutex);
    }
    return error;
}

void faulty_vfs_install(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "faulty";
    vfs.pNext = NULL;
    vfs.szOsFile = (int)(sizeof(struct open_file) + (size_t)real_vfs->szOsFile);
    vfs.xOpen = vfs_open;
    vfs.xDelete = vfs_delete;
    assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}
