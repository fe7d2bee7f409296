/*
 * The gate of malloc. The counters are atomics so that the fault tests may run
 * with threads; when no fault is armed the cost is one relaxed increment.
 *
 * Arena blocks grow by doubling from 16 KiB; a request that needs little pays
 * for one block.
 */
#include "core/base/mem.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static _Atomic uint64_t allocations;
static _Atomic uint64_t fail_at; /* value of `allocations` that fails; 0 = none */
static atomic_bool fail_burst;

static bool allowed(void)
{
    uint64_t n = atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed) + 1;
    uint64_t at = atomic_load_explicit(&fail_at, memory_order_relaxed);
    if (at == 0)
        return true;
    return !(n == at || (n > at && atomic_load_explicit(&fail_burst, memory_order_relaxed)));
}

void att_mem_fail_at(uint64_t k, bool burst)
{
    atomic_store(&fail_burst, burst);
    atomic_store(&fail_at, k == 0 ? 0 : atomic_load(&allocations) + k);
}

uint64_t att_mem_count(void)
{
    return atomic_load(&allocations);
}

bool att_size_mul(size_t a, size_t b, size_t *ret)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *ret = product;
    return true;
}

bool att_size_add(size_t a, size_t b, size_t *ret)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *ret = sum;
    return true;
}

void *att_mem_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (!att_size_mul(count, size, &bytes) || !allowed())
        return NULL;
    return calloc(bytes ? bytes : 1, 1); /* one byte keeps NULL meaning "no memory" */
}

void *att_mem_realloc(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (!att_size_mul(count, size, &bytes) || !allowed())
        return NULL;
    return realloc(block, bytes ? bytes : 1);
}

char *att_mem_strdup(const char *text)
{
    assert(text);
    size_t len = strlen(text) + 1;
    char *copy = att_mem_calloc(len, 1);
    if (copy)
        memcpy(copy, text, len);
    return copy;
}

void *att_mem_aligned(size_t count, size_t size)
{
    size_t bytes;
    if (!att_size_mul(count, size, &bytes) || !att_size_add(bytes, ATT_MEM_ALIGN, &bytes) || !allowed())
        return NULL;
    bytes = bytes / ATT_MEM_ALIGN * ATT_MEM_ALIGN;
    void *block = aligned_alloc(ATT_MEM_ALIGN, bytes ? bytes : ATT_MEM_ALIGN);
    if (block)
        memset(block, 0, bytes);
    return block;
}

void *att_mem_map(size_t bytes)
{
    if (bytes == 0 || !allowed())
        return NULL;
    void *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return block == MAP_FAILED ? NULL : block;
}

void att_mem_unmap(void *block, size_t bytes)
{
    if (block)
        (void)munmap(block, bytes);
}

void att_mem_free(void *block)
{
    free(block);
}

struct att_arena_block {
    struct att_arena_block *next;
    size_t size, used; /* of the bytes behind this header */
};

enum { ARENA_HEADER = 64, ARENA_FIRST = 16384, ARENA_GROW_MAX = 1 << 20 };
_Static_assert(sizeof(struct att_arena_block) <= ARENA_HEADER, "the header keeps blocks aligned");

void att_arena_init(struct att_arena *arena, size_t limit_bytes)
{
    *arena = (struct att_arena){.limit = limit_bytes};
}

void att_arena_finish(struct att_arena *arena)
{
    struct att_arena_block *block = arena->head;
    while (block) {
        struct att_arena_block *next = block->next;
        att_mem_free(block);
        block = next;
    }
    *arena = (struct att_arena){.limit = arena->limit};
}

static struct att_arena_block *arena_grow(struct att_arena *arena, size_t bytes)
{
    size_t size = arena->head ? arena->head->size * 2 : ARENA_FIRST;
    if (size > ARENA_GROW_MAX)
        size = ARENA_GROW_MAX;
    if (size < bytes)
        size = bytes;
    size_t total;
    if (!att_size_add(size, ARENA_HEADER, &total))
        return NULL;
    struct att_arena_block *block = att_mem_aligned(total, 1);
    if (!block)
        return NULL;
    *block = (struct att_arena_block){.next = arena->head, .size = size};
    arena->head = block;
    return block;
}

void *att_arena_alloc(struct att_arena *arena, size_t count, size_t size)
{
    size_t bytes, padded;
    if (!att_size_mul(count, size, &bytes) || !att_size_add(bytes, ATT_MEM_ALIGN, &padded))
        return NULL;
    if (padded > arena->limit - arena->used)
        return NULL;
    size_t align = bytes >= ATT_MEM_ALIGN ? ATT_MEM_ALIGN : 16;
    struct att_arena_block *block = arena->head;
    size_t begin = block ? (block->used + align - 1) / align * align : 0;
    if (!block || begin > block->size || bytes > block->size - begin) {
        block = arena_grow(arena, bytes);
        if (!block)
            return NULL;
        begin = 0;
    }
    block->used = begin + bytes;
    arena->used += bytes;
    return (char *)block + ARENA_HEADER + begin;
}

char *att_arena_copy(struct att_arena *arena, const char *bytes, size_t len)
{
    char *copy = len == SIZE_MAX ? NULL : att_arena_alloc(arena, len + 1, 1);
    if (copy && len)
        memcpy(copy, bytes, len);
    return copy;
}
