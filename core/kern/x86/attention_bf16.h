/*
 * What attention_simd.h needs of bf16: a unit is a pair along the sum, products
 * of both at once (vdpbf16ps), sums and softmax in f32; queries, keys, values and
 * the weights of the softmax are rounded. The includer defines ROWS.
 */
#ifndef ATT_KERN_X86_ATTENTION_BF16_H
#define ATT_KERN_X86_ATTENTION_BF16_H

#include <string.h>

#include "core/kern/attention.h"
#include "core/kern/x86/bf16.h"
#include "core/kern/x86/simd.h"

enum { KU = 2 };
typedef uint16_t weight;

/* 2 * VEC values as bfloat16 from a row, of which n are left, and zeros behind them; rounded NULL: from f32. */
INLINE __m512i values_load(const float *row, const uint16_t *rounded, size_t n)
{
    if (rounded)
        return _mm512_maskz_loadu_epi16(n >= 2 * VEC ? ~(__mmask32)0 : (__mmask32)((1u << n) - 1), rounded);
    const vec low = n >= VEC ? vec_load(row) : vec_load_tail(row, n);
    const vec high = n >= 2 * VEC ? vec_load(row + VEC) : n > VEC ? vec_load_tail(row + VEC, n - VEC) : vec_zero();
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* VEC pairs of key j from value p on, zeros behind head_dim. */
INLINE vec keys_load(const struct att_attention_call *call, size_t j, size_t p)
{
    const size_t at = j * call->key_ld + p;
    const uint16_t *rounded = call->rounded_key ? call->rounded_key + at : NULL;
    return _mm512_castsi512_ps(values_load(rounded ? NULL : call->key + at, rounded, call->head_dim - p));
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

/* Value j from c on; zeros behind head_dim, and for the one behind the last. */
INLINE __m512i value_load(const struct att_attention_call *call, size_t j, size_t c)
{
    const size_t at = j * call->value_ld + c;
    if (j == call->n_key)
        return _mm512_setzero_si512();
    const uint16_t *rounded = call->rounded_value ? call->rounded_value + at : NULL;
    return values_load(rounded ? NULL : call->value + at, rounded, call->head_dim - c);
}

INLINE void values_pack(const struct att_attention_call *call, size_t j, float *out)
{
    const __m512i low = _mm512_setr_epi32(0x00200000, 0x00210001, 0x00220002, 0x00230003, 0x00240004, 0x00250005,
                                          0x00260006, 0x00270007, 0x00280008, 0x00290009, 0x002a000a, 0x002b000b,
                                          0x002c000c, 0x002d000d, 0x002e000e, 0x002f000f);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(VEC));
    for (size_t c = 0; c < call->head_dim; c += 2 * VEC) { /* up to padded(head_dim) */
        const __m512i even = value_load(call, j, c), odd = value_load(call, j + 1, c);
        _mm512_storeu_si512(out + c, _mm512_permutex2var_epi16(even, low, odd));
        _mm512_storeu_si512(out + c + VEC, _mm512_permutex2var_epi16(even, high, odd));
    }
}

static const weight *queries_of(const struct att_attention_call *call, size_t i, size_t rows, weight *space,
                                size_t *ret_ld)
{
    const size_t d = call->head_dim;
    if (call->rounded_query) {
        *ret_ld = call->query_ld;
        return call->rounded_query + i * call->query_ld;
    }
    *ret_ld = padded(d);
    for (size_t r = 0; r < rows; r++) {
        bf16_convert(d, call->query + (i + r) * call->query_ld, space + r * *ret_ld);
        if (d % 2)
            space[r * *ret_ld + d] = 0;
    }
    return space;
}

#endif
