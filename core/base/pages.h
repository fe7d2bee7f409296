/*
 * Memory for weights: blocks that stand beside each other in large pages, where the kernel has them (madvise or always
 * in /sys/kernel/mm/transparent_hugepage/enabled). A pass reads megabytes of weights in order; in pages of 4 KiB it
 * would wait for an address translation every few hundred cycles, twice as long under a hypervisor.
 *
 * Blocks come out of chunks, in order; a chunk is given back to the system when its last block is. Thread safe.
 */
#ifndef ATT_BASE_PAGES_H
#define ATT_BASE_PAGES_H

#include <stddef.h>

#include "core/base/status.h"

/* Zero-filled, aligned to ATT_MEM_ALIGN; NULL when memory is out or bytes is 0. */
void *att_pages_take(size_t bytes) ATT_MUST_USE;
void att_pages_give(void *block); /* NULL is allowed */
/* Bytes mapped at present, for tests. */
size_t att_pages_mapped(void);

#endif
