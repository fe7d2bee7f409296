/*
 * Scratch memory of a forward pass. The same function that takes the buffers
 * runs twice: once on an empty scratch, which only counts, and once on the
 * memory allocated for that count. So the plan and its use cannot differ.
 */
#ifndef ATT_OPS_SCRATCH_H
#define ATT_OPS_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

struct att_scratch {
    char *base; /* NULL while counting; aligned to 64 */
    size_t used;
    bool overflow; /* a size did not fit; sticky */
};

/* The next block of count * size bytes, aligned to 64; NULL while counting. */
void *att_scratch_take(struct att_scratch *scratch, size_t count, size_t size);

#endif
