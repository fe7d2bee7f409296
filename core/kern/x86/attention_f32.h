/* What attention_simd.h needs of f32: a unit is one value, queries are read as they are. The includer defines ROWS. */
#ifndef ATT_KERN_X86_ATTENTION_F32_H
#define ATT_KERN_X86_ATTENTION_F32_H

#include "core/kern/x86/simd.h"

enum { KU = 1 };
typedef float weight;

/* n of VEC values from a row, zeros behind them. */
INLINE vec units_load(const float *row, size_t n)
{
    return n >= VEC ? vec_load(row) : vec_load_tail(row, n);
}
INLINE vec unit_broadcast(const weight *p)
{
    return vec_set(*p);
}
INLINE vec multiply_add(vec acc, vec x, const float *w)
{
    return vec_fma(x, vec_load(w), acc);
}
INLINE void weights_store(weight *p, vec x)
{
    vec_store(p, x);
}

#include "core/kern/x86/attention_simd.h"

INLINE void values_store(const float *even, const float *odd, size_t d, float *out)
{
    size_t c = 0;
    (void)odd;
    for (; c + VEC <= d; c += VEC)
        vec_store(out + c, vec_load(even + c));
    for (; c < padded(d); c += VEC)
        vec_store(out + c, c < d ? vec_load_tail(even + c, d - c) : vec_zero());
}

static const weight *queries_of(const struct att_attention_call *call, size_t i, size_t rows, weight *space,
                                size_t *ret_ld)
{
    (void)rows;
    (void)space;
    *ret_ld = call->query_ld;
    return call->query + i * call->query_ld;
}

#endif
