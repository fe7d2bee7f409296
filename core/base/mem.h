/*
 * Memory: the one gate of malloc, overflow-checked sizes, and the arena.
 *
 * Every allocation of the project and of jansson passes through here, so that
 * a test can fail the k-th one and count them all. Thread safe, except that an
 * arena is used by one thread at a time.
 */
#ifndef ATT_BASE_MEM_H
#define ATT_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

enum { ATT_MEM_ALIGN = 64 }; /* a cache line, and the widest vector */

/* NULL when memory is out or count * size overflows. Zero-filled. Free with att_mem_free. */
void *att_mem_calloc(size_t count, size_t size) ATT_MUST_USE;
/* Contents beyond the old size are undefined; the old block stays valid on failure. */
void *att_mem_realloc(void *block, size_t count, size_t size) ATT_MUST_USE;
char *att_mem_strdup(const char *text) ATT_MUST_USE;
/* Aligned to ATT_MEM_ALIGN, zero-filled. Free with att_mem_free. */
void *att_mem_aligned(size_t count, size_t size) ATT_MUST_USE;
/* Whole pages, zero-filled, of which only those that are touched take memory: for what is planned for the longest
 * sequence and mostly used for short ones. Give back with att_mem_unmap and the same size. */
void *att_mem_map(size_t bytes) ATT_MUST_USE;
void att_mem_unmap(void *block, size_t bytes); /* NULL is allowed */
void att_mem_free(void *block);

/* a * b and a + b; false when the result does not fit. *ret is written only on success. */
bool att_size_mul(size_t a, size_t b, size_t *ret) ATT_MUST_USE;
bool att_size_add(size_t a, size_t b, size_t *ret) ATT_MUST_USE;

/* For tests. Fails the k-th allocation from now (1 = the next; 0 = none), and,
 * when `burst` is set, all later ones. att_mem_count: allocations so far. */
void att_mem_fail_at(uint64_t k, bool burst);
uint64_t att_mem_count(void);

/* A capped bump allocator: everything a request needs, freed at once. */
struct att_arena_block;
struct att_arena {
    struct att_arena_block *head;
    size_t used, limit; /* bytes handed out; bytes allowed */
};

void att_arena_init(struct att_arena *arena, size_t limit_bytes);
void att_arena_finish(struct att_arena *arena);
/* Zero-filled, aligned to 64 bytes when count * size >= 64, else to 16. NULL
 * when memory is out, the size overflows, or the arena's limit is reached. */
void *att_arena_alloc(struct att_arena *arena, size_t count, size_t size) ATT_MUST_USE;
/* Copy of len bytes with a NUL behind them. */
char *att_arena_copy(struct att_arena *arena, const char *bytes, size_t len) ATT_MUST_USE;

#endif
