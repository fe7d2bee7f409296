/* The bump pointer of scratch.h. */
#include "core/ops/scratch.h"

#include "core/base/mem.h"

void *att_scratch_take(struct att_scratch *scratch, size_t count, size_t size)
{
    size_t bytes, end;
    if (!att_size_mul(count, size, &bytes) || !att_size_add(bytes, ATT_MEM_ALIGN - 1, &bytes) ||
        !att_size_add(scratch->used, bytes / ATT_MEM_ALIGN * ATT_MEM_ALIGN, &end)) {
        scratch->overflow = true;
        return NULL;
    }
    char *block = scratch->base ? scratch->base + scratch->used : NULL;
    scratch->used = end;
    return block;
}

void att_scratch_need(struct att_scratch *scratch, size_t bytes)
{
    scratch->overflow = scratch->overflow || bytes == 0;
    scratch->space = bytes > scratch->space ? bytes : scratch->space;
}
