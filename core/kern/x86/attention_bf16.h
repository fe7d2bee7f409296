/*
 * What attention_simd.h needs of bf16: a unit is a pair along the sum, products
 * of both at once (vdpbf16ps), sums and softmax in f32; queries, keys, values and
 * the weights of the softmax are rounded. The includer defines ROWS.
 */
#ifndef ATT_KERN_X86_ATTENTION_BF16_H
#define ATT_KERN_X86_ATTENTION_BF16_H

#include <string.h>

#include "core/kern/x86/bf16.h"
#include "core/kern/x86/simd.h"

enum { KU = 2 };
typedef uint16_t weight;

/* VEC pairs from n values of a row, zeros behind them. */
INLINE vec units_load(const float *row, size_t n)
{
    const vec low = n >= VEC ? vec_load(row) : vec_load_tail(row, n);
    const vec high = n >= 2 * VEC ? vec_load(row + VEC) : n > VEC ? vec_load_tail(row + VEC, n - VEC) : vec_zero();
    return _mm512_castsi512_ps((__m512i)_mm512_cvtne2ps_pbh(high, low));
}
INLINE vec unit_broadcast(const weight *p)
{
    int pair;
    memcpy(&pair, p, sizeof pair);
    return _mm512_castsi512_ps(_mm512_set1_epi32(pair));
}
INLINE vec multiply_add(vec acc, vec x, const float *w)
{
    return _mm512_dpbf16_ps(acc, (__m512bh)_mm512_castps_si512(x), (__m512bh)_mm512_loadu_si512(w));
}
INLINE void weights_store(weight *p, vec x)
{
    _mm256_storeu_si256((__m256i *)(void *)p, bf16_vector(x));
}

#include "core/kern/x86/attention_simd.h"

INLINE void pairs_store(float *out, vec even, vec odd, __m512i order)
{
    _mm512_storeu_si512(out, _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(odd, even)));
}

INLINE void values_store(const float *even, const float *odd, size_t d, float *out)
{
    const __m512i order = _mm512_setr_epi32(0x00100000, 0x00110001, 0x00120002, 0x00130003, 0x00140004, 0x00150005,
                                            0x00160006, 0x00170007, 0x00180008, 0x00190009, 0x001a000a, 0x001b000b,
                                            0x001c000c, 0x001d000d, 0x001e000e, 0x001f000f);
    size_t c = 0;
    for (; c + VEC <= d; c += VEC)
        pairs_store(out + c, vec_load(even + c), odd ? vec_load(odd + c) : vec_zero(), order);
    for (; c < padded(d); c += VEC) {
        const size_t n = c < d ? d - c : 0;
        const vec high = n && odd ? vec_load_tail(odd + c, n) : vec_zero();
        pairs_store(out + c, n ? vec_load_tail(even + c, n) : vec_zero(), high, order);
    }
}

static const weight *queries_of(const struct att_attention_call *call, size_t i, size_t rows, weight *space,
                                size_t *ret_ld)
{
    const size_t d = call->head_dim;
    *ret_ld = padded(d);
    for (size_t r = 0; r < rows; r++) {
        bf16_convert(d, call->query + (i + r) * call->query_ld, space + r * *ret_ld);
        if (d % 2)
            space[r * *ret_ld + d] = 0;
    }
    return space;
}

#endif
