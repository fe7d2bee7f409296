/* Which keys a query sees: shared by the attention rows. */
#ifndef ATT_KERN_X86_MASK_SIMD_H
#define ATT_KERN_X86_MASK_SIMD_H

#include "core/kern/attention.h"
#include "core/kern/x86/softmax_simd.h"

struct att_span {
    size_t begin, end;
};

/* The keys that query i sees. */
static struct att_span att_mask_visible(const struct att_attention_call *call, size_t i)
{
    const size_t at = call->first + i;
    size_t begin = 0, end = call->n_key;
    if (call->causal && at + 1 < end)
        end = at + 1;
    if (call->local) {
        if (at > call->window)
            begin = at - call->window;
        if (call->window < end && at < end - call->window)
            end = at + call->window + 1 < end ? at + call->window + 1 : end;
    }
    return (struct att_span){begin < end ? begin : end, end};
}

/* The keys that one of the queries i .. i + rows sees, from a whole panel on. */
static struct att_span att_mask_span(const struct att_attention_call *call, size_t i, size_t rows, size_t panel)
{
    const size_t begin = att_mask_visible(call, i).begin, end = att_mask_visible(call, i + rows - 1).end;
    return (struct att_span){(begin < end ? begin : 0) / panel * panel, end};
}

#endif
