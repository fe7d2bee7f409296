/* One directory a process; see directory.h. */
#include "fuzz/directory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64], file_path[160];

static void clean(void)
{
    unlink(file_path);
    rmdir(folder);
}

struct att_dir fuzz_directory(const char *name, const uint8_t *bytes, size_t size)
{
    struct att_dir dir;
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "/tmp/attend-fuzz-XXXXXX");
        if (!mkdtemp(folder))
            exit(1);
        snprintf(file_path, sizeof file_path, "%s/%s", folder, name);
        atexit(clean);
    }
    FILE *file = fopen(file_path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0 ||
        att_dir_open(folder, &dir, NULL) != ATT_OK)
        exit(1);
    return dir;
}

const char *fuzz_directory_path(void)
{
    return folder;
}
