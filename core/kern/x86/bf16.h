/* f32 to bfloat16 on vectors, rounded to the nearest, ties to even; NaN stays NaN. */
#ifndef ATT_KERN_X86_BF16_H
#define ATT_KERN_X86_BF16_H

#include <string.h>

#include "core/kern/x86/simd.h"

/* One value, in plain C: denormals become zero, as the instruction does. */
INLINE uint16_t bf16_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u);
    if ((bits & 0x7f800000u) == 0)
        return (uint16_t)(bits >> 16 & 0x8000u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

#if defined(__AVX512BF16__)

INLINE __m256i bf16_vector(__m512 x)
{
    return (__m256i)_mm512_cvtneps_pbh(x);
}

/* n values, out needs no alignment. */
INLINE void bf16_convert(size_t n, const float *x, uint16_t *out)
{
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        _mm256_storeu_si256((__m256i *)(void *)(out + i), bf16_vector(vec_load(x + i)));
    if (i < n)
        _mm256_mask_storeu_epi16(out + i, tail_mask(n - i), bf16_vector(vec_load_tail(x + i, n - i)));
}

/* Whether rounded_store is there: a GEMM row compiled so rounds in its epilogue. */
enum { ROUNDS = 1 };

/* The first n values of y, or all; behind an odd n a zero. */
INLINE void rounded_store(uint16_t *out, __m512 y, size_t n)
{
    if (n >= VEC)
        _mm256_storeu_si256((__m256i *)(void *)out, bf16_vector(y));
    else
        _mm256_mask_storeu_epi16(out, tail_mask((n + 1) / 2 * 2), bf16_vector(vec_first(y, n, vec_zero())));
}

#else

INLINE void bf16_convert(size_t n, const float *x, uint16_t *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = bf16_of(x[i]);
}

enum { ROUNDS = 0 };

INLINE void rounded_store(uint16_t *out, vec y, size_t n)
{
    (void)out;
    (void)y;
    (void)n;
}

#endif

#endif
