/*
 * A malloc that fails on demand, for LD_PRELOAD or linked into a test: every
 * allocation of the process passes here, those of its libraries too. A daemon
 * maps its plan from a file, as its test does, so arming it needs no signal and
 * no pause.
 *
 * It calls the C library's own entries by name: a look-up at run time would
 * allocate.
 */
#include "tests/fault/fail_malloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t align, size_t size);

struct fail_plan *fail_malloc_plan;

__attribute__((constructor)) static void map_plan(void)
{
    const char *path = getenv("ATT_FAIL_FILE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *page = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(struct fail_plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (page != MAP_FAILED)
        fail_malloc_plan = page;
}

static bool fails(void)
{
    struct fail_plan *plan = fail_malloc_plan;
    if (!plan)
        return false;
    long number = atomic_fetch_add(&plan->count, 1) + 1, from = atomic_load(&plan->from);
    if (from == 0 || number < from || number >= atomic_load(&plan->until))
        return false;
    atomic_fetch_add(&plan->failed, 1);
    errno = ENOMEM;
    return true;
}

#define EXPORTED __attribute__((visibility("default")))

EXPORTED void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

EXPORTED void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

EXPORTED void *realloc(void *block, size_t size)
{
    return fails() ? NULL : __libc_realloc(block, size);
}

EXPORTED void *aligned_alloc(size_t align, size_t size)
{
    return fails() ? NULL : __libc_memalign(align, size);
}

EXPORTED int posix_memalign(void **ret_block, size_t align, size_t size)
{
    void *block = fails() ? NULL : __libc_memalign(align, size);
    if (!block)
        return ENOMEM;
    *ret_block = block;
    return 0;
}
