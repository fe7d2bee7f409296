/* See directory.h. What was made is noted, so that it can be removed in the opposite order. */
#include "fuzz/directory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MADE_MAX = 48, FILE_MAX = 1 << 22 };

static char made[MADE_MAX][200];
static size_t n_made;

static void clean(void)
{
    while (n_made > 0)
        (void)remove(made[--n_made]);
}

static void give_up(const char *what)
{
    perror(what);
    exit(1);
}

static void note(const char *path)
{
    for (size_t i = 0; i < n_made; i++)
        if (strcmp(made[i], path) == 0)
            return;
    if (n_made == MADE_MAX)
        give_up(path);
    snprintf(made[n_made++], sizeof made[0], "%s", path);
}

const char *fuzz_directory_path(void)
{
    static char folder[] = "/tmp/attend-fuzz-XXXXXX";
    if (n_made == 0) {
        if (!mkdtemp(folder))
            give_up(folder);
        note(folder);
        atexit(clean);
    }
    return folder;
}

void fuzz_directory_write(const char *name, const uint8_t *bytes, size_t size)
{
    char path[200];
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(path, sizeof path, "%s/%.*s", fuzz_directory_path(), (int)(slash - name), name);
        if (mkdir(path, 0700) == 0)
            note(path);
    }
    snprintf(path, sizeof path, "%s/%s", fuzz_directory_path(), name);
    unlink(path); /* a new file need not reach the disk; one that is cut and written again does, on some file systems */
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        give_up(path);
    note(path);
}

void fuzz_directory_copy(const char *source, const char *name)
{
    static uint8_t bytes[FILE_MAX];
    const char *root = getenv("ATT_SOURCE_ROOT");
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", root ? root : ".", source);
    FILE *file = fopen(path, "rb");
    if (!file)
        give_up(path);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    fuzz_directory_write(name, bytes, size);
}

struct att_dir fuzz_directory(const char *name, const uint8_t *bytes, size_t size)
{
    struct att_dir dir;
    fuzz_directory_write(name, bytes, size);
    if (att_dir_open(fuzz_directory_path(), &dir, NULL) != ATT_OK)
        give_up(fuzz_directory_path());
    return dir;
}
