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
    size_t space;  /* the largest workspace that an operation asked for */
    bool overflow; /* a size did not fit; sticky */
};

/* The next block of count * size bytes, aligned to 64; NULL while counting. */
void *att_scratch_take(struct att_scratch *scratch, size_t count, size_t size);
/* An operation of the pass needs that many bytes in the workspace of each thread (base/team.h); 0: did not fit. */
void att_scratch_need(struct att_scratch *scratch, size_t bytes);

#endif
