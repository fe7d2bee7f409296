/* What attention_simd.h needs of f32: a unit is one value, queries are read as they are. The includer defines ROWS. */
#ifndef ATT_KERN_X86_ATTENTION_F32_H
#define ATT_KERN_X86_ATTENTION_F32_H

#include "core/kern/attention.h"
#include "core/kern/x86/simd.h"

enum { KU = 1 };
typedef float weight;

/* VEC values of key j from value p on, zeros behind head_dim. */
INLINE vec keys_load(const struct att_attention_call *call, size_t j, size_t p)
{
    const float *row = call->key + j * call->key_ld + p;
    const size_t n = call->head_dim - p;
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

INLINE void values_pack(const struct att_attention_call *call, size_t j, float *out)
{
    const float *row = call->value + j * call->value_ld;
    const size_t d = call->head_dim;
    size_t c = 0;
    for (; c + VEC <= d; c += VEC)
        vec_store(out + c, vec_load(row + c));
    for (; c < padded(d); c += VEC)
        vec_store(out + c, c < d ? vec_load_tail(row + c, d - c) : vec_zero());
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
