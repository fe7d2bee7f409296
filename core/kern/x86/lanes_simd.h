/* Operations across a register full of vectors, VEC of them: folds and the transpose of a square of 32-bit units. */
#ifndef ATT_KERN_X86_LANES_SIMD_H
#define ATT_KERN_X86_LANES_SIMD_H

#include "core/kern/x86/simd.h"

#if defined(__AVX512F__)

/* Lane r is vector r folded by OP, every lane in the same order: a third of the work of folding them one by one, and
 * no row waits for another. */
#define FOLD(NAME, OP)                                                                                                 \
    INLINE vec NAME(const vec x[VEC])                                                                                  \
    {                                                                                                                  \
        vec quads[4];                                                                                                  \
        for (size_t q = 0; q < 4; q++) {                                                                               \
            const vec *v = x + 4 * q;                                                                                  \
            const __m512d a = _mm512_castps_pd(OP(_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1])));    \
            const __m512d b = _mm512_castps_pd(OP(_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3])));    \
            quads[q] = OP(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));     \
        }                                                                                                              \
        const vec low =                                                                                                \
            OP(_mm512_shuffle_f32x4(quads[0], quads[1], 0x88), _mm512_shuffle_f32x4(quads[0], quads[1], 0xdd));        \
        const vec high =                                                                                               \
            OP(_mm512_shuffle_f32x4(quads[2], quads[3], 0x88), _mm512_shuffle_f32x4(quads[2], quads[3], 0xdd));        \
        return OP(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd));                       \
    }

/* Row r of `out` (row stride ldo) is unit r of every vector. */
INLINE void transpose(const vec x[VEC], float *out, size_t ldo)
{
    __m512i a[VEC], b[VEC];
    for (size_t i = 0; i < VEC; i += 2) {
        const __m512i even = _mm512_castps_si512(x[i]), odd = _mm512_castps_si512(x[i + 1]);
        a[i] = _mm512_unpacklo_epi32(even, odd);
        a[i + 1] = _mm512_unpackhi_epi32(even, odd);
    }
    for (size_t i = 0; i < VEC; i += 4) {
        b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    for (size_t i = 0; i < 4; i++) {
        const __m512i low = _mm512_shuffle_i32x4(b[i], b[i + 4], 0x88);
        const __m512i high = _mm512_shuffle_i32x4(b[i], b[i + 4], 0xdd);
        const __m512i low2 = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0x88);
        const __m512i high2 = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0xdd);
        _mm512_storeu_si512(out + i * ldo, _mm512_shuffle_i32x4(low, low2, 0x88));
        _mm512_storeu_si512(out + (i + 8) * ldo, _mm512_shuffle_i32x4(low, low2, 0xdd));
        _mm512_storeu_si512(out + (i + 4) * ldo, _mm512_shuffle_i32x4(high, high2, 0x88));
        _mm512_storeu_si512(out + (i + 12) * ldo, _mm512_shuffle_i32x4(high, high2, 0xdd));
    }
}

#else

#define FOLD(NAME, OP)                                                                                                 \
    INLINE vec NAME(const vec x[VEC])                                                                                  \
    {                                                                                                                  \
        vec quads[2];                                                                                                  \
        for (size_t q = 0; q < 2; q++) {                                                                               \
            const vec *v = x + 4 * q;                                                                                  \
            const __m256d a = _mm256_castps_pd(OP(_mm256_unpacklo_ps(v[0], v[1]), _mm256_unpackhi_ps(v[0], v[1])));    \
            const __m256d b = _mm256_castps_pd(OP(_mm256_unpacklo_ps(v[2], v[3]), _mm256_unpackhi_ps(v[2], v[3])));    \
            quads[q] = OP(_mm256_castpd_ps(_mm256_unpacklo_pd(a, b)), _mm256_castpd_ps(_mm256_unpackhi_pd(a, b)));     \
        }                                                                                                              \
        return OP(_mm256_permute2f128_ps(quads[0], quads[1], 0x20), _mm256_permute2f128_ps(quads[0], quads[1], 0x31)); \
    }

INLINE void transpose(const vec x[VEC], float *out, size_t ldo)
{
    vec a[VEC], b[VEC];
    for (size_t i = 0; i < VEC; i += 2) {
        a[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
        a[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
    }
    for (size_t i = 0; i < VEC; i += 4)
        for (size_t h = 0; h < 2; h++) {
            b[i + 2 * h] = _mm256_shuffle_ps(a[i + h], a[i + 2 + h], 0x44);
            b[i + 2 * h + 1] = _mm256_shuffle_ps(a[i + h], a[i + 2 + h], 0xee);
        }
    for (size_t i = 0; i < 4; i++) {
        vec_store(out + i * ldo, _mm256_permute2f128_ps(b[i], b[i + 4], 0x20));
        vec_store(out + (i + 4) * ldo, _mm256_permute2f128_ps(b[i], b[i + 4], 0x31));
    }
}

#endif

FOLD(fold_max, vec_max)
FOLD(fold_add, vec_add)

#endif
