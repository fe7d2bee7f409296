/* Which keys a query sees, and the softmax of a block of score rows under that mask: shared by the attention rows. */
#ifndef ATT_KERN_X86_MASK_SIMD_H
#define ATT_KERN_X86_MASK_SIMD_H

#include <string.h>

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

/* x = x * scale + bias */
static void scale_and_add(size_t n, float *x, float scale, const float *bias)
{
    const vec factor = vec_set(scale);
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        vec_store(x + i, vec_fma(vec_load(x + i), factor, vec_load(bias + i)));
    if (i < n)
        vec_store_tail(x + i, vec_fma(vec_load_tail(x + i, n - i), factor, vec_load_tail(bias + i, n - i)), n - i);
}

/* Scores of queries first .. first + rows become probabilities within `span`; what a query does not see gets 0. */
static void att_mask_softmax(const struct att_attention_call *call, size_t first, size_t rows, struct att_span span,
                             float *scores, size_t ld)
{
    for (size_t r = 0; r < rows; r++) {
        float *row = scores + r * ld;
        const float *bias = call->bias ? call->bias + (ptrdiff_t)(first + r) * call->bias_ld : NULL;
        const struct att_span seen = att_mask_visible(call, first + r);
        const size_t begin = seen.begin, end = seen.end;
        for (size_t j = span.begin; j < begin; j++)
            row[j] = 0;
        for (size_t j = end; j < span.end; j++)
            row[j] = 0;
        if (end > begin && bias)
            scale_and_add(end - begin, row + begin, call->scale, bias + begin);
        if (end > begin)
            softmax(end - begin, row + begin, bias ? 1.0f : call->scale);
        if (call->probs) {
            float *probs = call->probs + (first + r) * call->n_key;
            memset(probs, 0, span.begin * sizeof *probs);
            memcpy(probs + span.begin, row + span.begin, (span.end - span.begin) * sizeof *probs);
            memset(probs + span.end, 0, (call->n_key - span.end) * sizeof *probs);
        }
    }
}

#endif
