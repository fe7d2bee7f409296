/*
 * Runs a target over its corpus and over seeded mutations of it: flipped bits,
 * changed bytes, cuts and repeats. A sanitizer build makes this a real check;
 * any build shows crashes and hangs. TAP on standard output.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/target.h"

enum { MUTATIONS_MAX = 400, RUNS_MAX = 4000, SIZE_MAX_BYTES = 1 << 20 };

static uint64_t random_state = 88172645463325252u;

static uint64_t next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* The target gets a block of exactly the input's size, so that a sanitizer sees one byte too many. */
static void run(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        exit(1);
    memcpy(exact, bytes, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static size_t mutate(uint8_t *bytes, size_t size)
{
    static const char marks[] = "{}[]\",:0-\\u\x7f\xff";
    for (uint64_t times = 1 + next() % 4; times > 0 && size > 0; times--) {
        size_t at = next() % size, len = 1 + next() % 16;
        switch (next() % 5) {
        case 0:
            bytes[at] ^= (uint8_t)(1u << next() % 8);
            break;
        case 1:
            bytes[at] = (uint8_t)marks[next() % (sizeof marks - 1)];
            break;
        case 2:
            size = at;
            break;
        case 3:
            len = len < size - at ? len : size - at;
            memmove(bytes + at, bytes + at + len, size - at - len);
            size -= len;
            break;
        default:
            len = len < size - at ? len : size - at;
            if (size + len <= SIZE_MAX_BYTES) {
                memmove(bytes + at + len, bytes + at, size - at);
                size += len;
            }
        }
    }
    return size;
}

/* A large corpus needs fewer of each file. */
static int mutations_each(DIR *corpus)
{
    int files = 1;
    for (struct dirent *entry; (entry = readdir(corpus)) != NULL;)
        files += entry->d_name[0] != '.';
    rewinddir(corpus);
    return RUNS_MAX / files < MUTATIONS_MAX ? RUNS_MAX / files : MUTATIONS_MAX;
}

int main(int argc, char **argv)
{
    static uint8_t bytes[SIZE_MAX_BYTES], copy[SIZE_MAX_BYTES];
    size_t files = 0;
    DIR *corpus = argc == 2 ? opendir(argv[1]) : NULL;
    if (!corpus) {
        fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
        return 2;
    }
    int mutations = mutations_each(corpus);
    run(bytes, 0);
    for (struct dirent *entry; (entry = readdir(corpus)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        FILE *file = fopen(path, "rb");
        if (!file)
            continue;
        size_t size = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        run(bytes, size);
        for (int i = 0; i < mutations; i++) {
            memcpy(copy, bytes, size);
            run(copy, mutate(copy, size));
        }
        files++;
    }
    closedir(corpus);
    printf("1..1\n%s 1 - %zu inputs and their mutations\n", files > 0 ? "ok" : "not ok", files);
    return files > 0 ? 0 : 1;
}
