/*
 * Memory for a model's weights: blocks that stand one behind the other in large pages, where the kernel has them
 * (madvise or always in /sys/kernel/mm/transparent_hugepage/enabled). A pass reads megabytes of weights in order; in
 * pages of 4 KiB it would wait for an address translation every few hundred cycles, twice as long under a hypervisor.
 *
 * Blocks are given back all at once. Used by one thread at a time.
 */
#ifndef ATT_BASE_PAGES_H
#define ATT_BASE_PAGES_H

#include <stddef.h>

#include "core/base/status.h"

struct att_pages_chunk;
struct att_pages {
    struct att_pages_chunk *newest; /* NULL: nothing was taken */
};

/* Zero-filled, aligned to ATT_MEM_ALIGN; NULL when memory is out or bytes is 0. */
void *att_pages_take(struct att_pages *pages, size_t bytes) ATT_MUST_USE;
void att_pages_finish(struct att_pages *pages);

#endif
