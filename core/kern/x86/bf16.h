/* f32 to bfloat16 on vectors, rounded to the nearest, ties to even; NaN stays NaN. */
#ifndef ATT_KERN_X86_BF16_H
#define ATT_KERN_X86_BF16_H

#include "core/kern/bf16.h"
#include "core/kern/x86/simd.h"

#if defined(__AVX512F__)

INLINE vec bf16_load(const uint16_t *p)
{
    const __m512i bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
}

INLINE __m256i bf16_vector(vec x)
{
#if defined(__AVX512BF16__)
    return (__m256i)_mm512_cvtneps_pbh(x);
#else
    const __m512i bits = _mm512_castps_si512(x), high = _mm512_srli_epi32(bits, 16);
    const __m512i half = _mm512_add_epi32(_mm512_and_si512(high, _mm512_set1_epi32(1)), _mm512_set1_epi32(0x7fff));
    const __mmask16 normal = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x7f800000));
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    __m512i y = _mm512_and_si512(high, _mm512_set1_epi32(0x8000));
    y = _mm512_mask_srli_epi32(y, normal, _mm512_add_epi32(bits, half), 16);
    return _mm512_cvtepi32_epi16(_mm512_mask_or_epi32(y, nan, high, _mm512_set1_epi32(0x40)));
#endif
}

INLINE void bf16_store(uint16_t *out, vec x)
{
    _mm256_storeu_si256((__m256i *)(void *)out, bf16_vector(x));
}

INLINE void bf16_store_tail(uint16_t *out, vec x, size_t n)
{
    _mm256_mask_storeu_epi16(out, tail_mask(n), bf16_vector(x));
}

INLINE vec bf16_load_tail(const uint16_t *p, size_t n)
{
    const __m512i bits = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(tail_mask(n), p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
}

#else

INLINE vec bf16_load(const uint16_t *p)
{
    const __m256i bits = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(bits, 16));
}

INLINE void bf16_store(uint16_t *out, vec x)
{
    const __m256i bits = _mm256_castps_si256(x), high = _mm256_srli_epi32(bits, 16);
    const __m256i half = _mm256_add_epi32(_mm256_and_si256(high, _mm256_set1_epi32(1)), _mm256_set1_epi32(0x7fff));
    const __m256i exponent = _mm256_and_si256(bits, _mm256_set1_epi32(0x7f800000));
    const __m256i small = _mm256_cmpeq_epi32(exponent, _mm256_setzero_si256());
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    __m256i y = _mm256_srli_epi32(_mm256_add_epi32(bits, half), 16);
    y = _mm256_blendv_epi8(y, _mm256_and_si256(high, _mm256_set1_epi32(0x8000)), small);
    y = _mm256_blendv_epi8(y, _mm256_or_si256(high, _mm256_set1_epi32(0x40)), nan);
    _mm_storeu_si128((__m128i *)(void *)out,
                     _mm_packus_epi32(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1)));
}

INLINE void bf16_store_tail(uint16_t *out, vec x, size_t n)
{
    uint16_t all[VEC];
    bf16_store(all, x);
    memcpy(out, all, n * sizeof *all);
}

INLINE vec bf16_load_tail(const uint16_t *p, size_t n)
{
    uint16_t all[VEC] = {0};
    memcpy(all, p, n * sizeof *all);
    return bf16_load(all);
}

#endif

/* n values, out needs no alignment. */
INLINE void bf16_convert(size_t n, const float *x, uint16_t *out)
{
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        bf16_store(out + i, vec_load(x + i));
    if (i < n)
        bf16_store_tail(out + i, vec_load_tail(x + i, n - i), n - i);
}

#if defined(__AVX512BF16__)

/* Whether rounded_store is there: a GEMM row compiled so rounds in its epilogue. */
enum { ROUNDS = 1 };

/* The first n values of y, or all; behind an odd n a zero. */
INLINE void rounded_store(uint16_t *out, __m512 y, size_t n)
{
    if (n >= VEC)
        bf16_store(out, y);
    else
        bf16_store_tail(out, vec_first(y, n, vec_zero()), (n + 1) / 2 * 2);
}

#else

enum { ROUNDS = 0 };

INLINE void rounded_store(uint16_t *out, vec y, size_t n)
{
    (void)out;
    (void)y;
    (void)n;
}

#endif

#endif
