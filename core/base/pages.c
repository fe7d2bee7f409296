/* The chunks of pages.h: mappings whose large pages are filled from the first one on. */
#include "core/base/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#include "core/base/mem.h"

#define LARGE_PAGE ((size_t)2 << 20)
#define CHUNK (8 * LARGE_PAGE)

struct att_pages_chunk {
    struct att_pages_chunk *next;
    void *map;
    size_t map_bytes;
    char *base; /* of the first whole large page */
    size_t size, used;
};

static struct att_pages_chunk *chunk_create(struct att_pages *pages, size_t bytes)
{
    struct att_pages_chunk *chunk = att_mem_calloc(1, sizeof *chunk);
    if (!chunk)
        return NULL;
    chunk->size = bytes < CHUNK ? CHUNK : (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    chunk->map_bytes = chunk->size + LARGE_PAGE;
    chunk->map = att_mem_map(chunk->map_bytes);
    if (!chunk->map) {
        att_mem_free(chunk);
        return NULL;
    }
    const uintptr_t begin = (uintptr_t)chunk->map;
    chunk->base = (char *)chunk->map + (LARGE_PAGE - begin % LARGE_PAGE) % LARGE_PAGE;
    (void)madvise(chunk->base, chunk->size, MADV_HUGEPAGE); /* without it: small pages */
    chunk->next = pages->newest;
    pages->newest = chunk;
    return chunk;
}

void *att_pages_take(struct att_pages *pages, size_t bytes)
{
    if (bytes == 0 || bytes > SIZE_MAX / 2)
        return NULL;
    struct att_pages_chunk *chunk = pages->newest;
    if (!chunk || bytes > chunk->size - chunk->used)
        chunk = chunk_create(pages, bytes);
    if (!chunk)
        return NULL;
    char *block = chunk->base + chunk->used;
    const size_t end = chunk->used + (bytes + ATT_MEM_ALIGN - 1) / ATT_MEM_ALIGN * ATT_MEM_ALIGN;
    chunk->used = end < chunk->size ? end : chunk->size;
    return block;
}

void att_pages_finish(struct att_pages *pages)
{
    while (pages->newest) {
        struct att_pages_chunk *chunk = pages->newest;
        pages->newest = chunk->next;
        att_mem_unmap(chunk->map, chunk->map_bytes);
        att_mem_free(chunk);
    }
}
