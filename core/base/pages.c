/* The chunks of pages.h; there are a few, so that a list is searched. */
#include "core/base/pages.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>

#include "core/base/mem.h"

#define LARGE_PAGE ((size_t)2 << 20)
#define CHUNK (8 * LARGE_PAGE)

struct chunk {
    struct chunk *next;
    void *map;
    size_t map_bytes;
    char *base; /* of the first whole large page */
    size_t size, used, blocks;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct chunk *chunks; /* the newest first: blocks come out of it alone */
static size_t mapped;

static struct chunk *chunk_create(size_t bytes)
{
    struct chunk *chunk = att_mem_calloc(1, sizeof *chunk);
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
    chunk->base = (char *)chunk->map + ((LARGE_PAGE - begin % LARGE_PAGE) % LARGE_PAGE);
    (void)madvise(chunk->base, chunk->size, MADV_HUGEPAGE); /* without it: small pages */
    chunk->next = chunks;
    chunks = chunk;
    mapped += chunk->map_bytes;
    return chunk;
}

void *att_pages_take(size_t bytes)
{
    void *block = NULL;
    if (bytes == 0 || bytes > SIZE_MAX / 2)
        return NULL;
    pthread_mutex_lock(&mutex);
    struct chunk *chunk = chunks;
    if (!chunk || bytes > chunk->size - chunk->used)
        chunk = chunk_create(bytes);
    if (chunk) {
        block = chunk->base + chunk->used;
        const size_t end = chunk->used + (bytes + ATT_MEM_ALIGN - 1) / ATT_MEM_ALIGN * ATT_MEM_ALIGN;
        chunk->used = end < chunk->size ? end : chunk->size;
        chunk->blocks++;
    }
    pthread_mutex_unlock(&mutex);
    return block;
}

static bool holds(const struct chunk *chunk, const char *block)
{
    return block >= chunk->base && block < chunk->base + chunk->size;
}

void att_pages_give(void *block)
{
    if (!block)
        return;
    pthread_mutex_lock(&mutex);
    struct chunk **at = &chunks;
    while (*at && !holds(*at, block))
        at = &(*at)->next;
    struct chunk *chunk = *at;
    assert(chunk && chunk->blocks > 0);
    if (--chunk->blocks == 0) {
        *at = chunk->next;
        mapped -= chunk->map_bytes;
        att_mem_unmap(chunk->map, chunk->map_bytes);
        att_mem_free(chunk);
    }
    pthread_mutex_unlock(&mutex);
}

size_t att_pages_mapped(void)
{
    pthread_mutex_lock(&mutex);
    const size_t bytes = mapped;
    pthread_mutex_unlock(&mutex);
    return bytes;
}
