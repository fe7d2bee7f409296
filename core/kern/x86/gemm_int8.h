/*
 * What gemm_simd.h needs of int8. Activations are unsigned, x = low + scale · q
 * for each row; weights are signed, w = scale · q for each column; so
 *
 *   x · w = scale_w · (scale_x · Σ q_x q_w + low_x · Σ q_w)
 *
 * with the first sum from the kernel and the second kept for each column behind
 * the panels. VNNI takes four products a step (vpdpbusd); plain AVX2 takes two,
 * widened to 16 bits, because its 8-bit multiply-add saturates. All are exact,
 * so every row of this dtype gives the same bits.
 *
 *   packed   panels | scale[columns] | sum[columns]     columns padded to PANEL
 *   a row    scale, low, … 64 bytes | q, zero-padded    input_bytes(k)
 *
 * The includer defines ROWS.
 */
#ifndef ATT_KERN_X86_GEMM_INT8_H
#define ATT_KERN_X86_GEMM_INT8_H

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "core/kern/int8.h"
#include "core/kern/x86/simd.h"

enum { HEADER = 64 };

#if defined(__AVX512VNNI__)

enum { KU = 4 };
typedef int8_t stored;
typedef uint8_t quantum;
typedef __m512i sums;
typedef __m512i weights;
typedef __m512i inputs;

INLINE sums sums_zero(void)
{
    return _mm512_setzero_si512();
}
INLINE weights weights_load(const char *p)
{
    return _mm512_loadu_si512(p);
}
INLINE inputs inputs_load(const char *p)
{
    return _mm512_set1_epi32(*(const int *)(const void *)p);
}
/* gcc 12 copies and spills the sums around the intrinsic: half the speed. */
INLINE sums multiply_add(sums acc, inputs x, weights w)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w));
    return acc;
}
INLINE vec sums_float(sums acc)
{
    return _mm512_cvtepi32_ps(acc);
}

/* Four vectors of values 0..255 as bytes in order. */
INLINE void quanta_store(uint8_t *out, vec a, vec b, vec c, vec d)
{
    const __m512i ab = _mm512_packs_epi32(_mm512_cvtps_epi32(a), _mm512_cvtps_epi32(b));
    const __m512i cd = _mm512_packs_epi32(_mm512_cvtps_epi32(c), _mm512_cvtps_epi32(d));
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(out, _mm512_permutexvar_epi32(order, _mm512_packus_epi16(ab, cd)));
}

#else

#if defined(__AVXVNNI__)
enum { KU = 4 };
typedef int8_t stored;
typedef uint8_t quantum;
#else
enum { KU = 2 };
typedef int16_t stored;
typedef uint16_t quantum;
#endif
typedef __m256i sums;
typedef __m256i weights;
typedef __m256i inputs;

INLINE sums sums_zero(void)
{
    return _mm256_setzero_si256();
}
INLINE weights weights_load(const char *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
INLINE inputs inputs_load(const char *p)
{
    return _mm256_set1_epi32(*(const int *)(const void *)p);
}
INLINE sums multiply_add(sums acc, inputs x, weights w)
{
#if defined(__AVXVNNI__)
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(x), "x"(w)); /* as above */
    return acc;
#else
    return _mm256_add_epi32(acc, _mm256_madd_epi16(x, w));
#endif
}
INLINE vec sums_float(sums acc)
{
    return _mm256_cvtepi32_ps(acc);
}

#if defined(__AVXVNNI__)
INLINE void quanta_store(uint8_t *out, vec a, vec b, vec c, vec d)
{
    const __m256i ab = _mm256_packs_epi32(_mm256_cvtps_epi32(a), _mm256_cvtps_epi32(b));
    const __m256i cd = _mm256_packs_epi32(_mm256_cvtps_epi32(c), _mm256_cvtps_epi32(d));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256((__m256i *)(void *)out, _mm256_permutevar8x32_epi32(_mm256_packus_epi16(ab, cd), order));
}
#else
INLINE void quanta_store(uint16_t *out, vec a, vec b, vec c, vec d)
{
    const __m256i ab = _mm256_packus_epi32(_mm256_cvtps_epi32(a), _mm256_cvtps_epi32(b));
    const __m256i cd = _mm256_packus_epi32(_mm256_cvtps_epi32(c), _mm256_cvtps_epi32(d));
    _mm256_storeu_si256((__m256i *)(void *)out, _mm256_permute4x64_epi64(ab, 0xd8));
    _mm256_storeu_si256((__m256i *)(void *)(out + 2 * VEC), _mm256_permute4x64_epi64(cd, 0xd8));
}
#endif

#endif

struct columns {
    vec bias, scale, sum;
};

#include "core/kern/x86/gemm_steps.h"

INLINE vec columns_value(sums acc, const struct product *p, size_t i, const struct columns *columns)
{
    const float *header = (const float *)(const void *)(p->x + i * p->stride);
    const vec low = vec_mul(vec_set(header[1]), columns->sum);
    return vec_fma(vec_fma(sums_float(acc), vec_set(header[0]), low), columns->scale, columns->bias);
}

INLINE vec activation(vec x, enum att_act act)
{
    return vec_act_short(x, act);
}

INLINE struct columns columns_load(const struct product *p, size_t j, size_t h)
{
    const float *scale = (const float *)(const void *)(p->packed + p->tail), *sum = scale + padded_columns(p->n);
    return (struct columns){bias_load(p, j, h), vec_load(scale + j + h), vec_load(sum + j + h)};
}

static size_t packed_bytes(size_t n, size_t k)
{
    return panels_bytes_with(n, k, 2 * sizeof(float));
}

static void pack(size_t n, size_t k, const float *w, size_t ldw, void *packed)
{
    stored *out = packed;
    float *scale = (float *)(void *)((char *)packed + panels_bytes(n, k)), *sum = scale + padded_columns(n);
    for (size_t j = 0; j < padded_columns(n); j++)
        sum[j] = scale[j] = j < n ? att_int8_scale(k, w + j * ldw) : 0;
    for (size_t j = 0; j < n; j++)
        sum[j] = (float)att_int8_row_sum(k, w + j * ldw, scale[j]);
    for (size_t j = 0; j < n; j += PANEL)
        for (size_t p = 0; p < steps_of(k) * KU; p += KU)
            for (size_t c = 0; c < PANEL; c++)
                for (size_t u = 0; u < KU; u++)
                    *out++ =
                        j + c < n && p + u < k ? (stored)att_int8_quantum(w[(j + c) * ldw + p + u], scale[j + c]) : 0;
}

static size_t input_bytes(size_t k)
{
    return HEADER + (steps_of(k) * STEP + LINE - 1) / LINE * LINE;
}

/* Least and largest of a row; *ret_finite is false when it holds NaN or infinity. */
INLINE void range_of(size_t n, const float *x, float *ret_low, float *ret_high, bool *ret_finite)
{
    enum { CHAINS = 4 }; /* none waits for itself */
    const vec zero = vec_zero(), first = vec_set(x[0]);
    vec low[CHAINS], high[CHAINS], odd[CHAINS];
    for (size_t c = 0; c < CHAINS; c++) {
        low[c] = high[c] = first;
        odd[c] = zero;
    }
    size_t i = 0;
    for (; i + CHAINS * VEC <= n; i += CHAINS * VEC)
        for (size_t c = 0; c < CHAINS; c++) {
            const vec v = vec_load(x + i + c * VEC);
            low[c] = vec_min(low[c], v);
            high[c] = vec_max(high[c], v);
            odd[c] = vec_fma(v, zero, odd[c]); /* NaN once v is not finite */
        }
    for (; i < n; i += VEC) {
        const vec v = n - i >= VEC ? vec_load(x + i) : vec_first(vec_load_tail(x + i, n - i), n - i, first);
        low[0] = vec_min(low[0], v);
        high[0] = vec_max(high[0], v);
        odd[0] = vec_fma(v, zero, odd[0]);
    }
    low[0] = vec_min(vec_min(low[0], low[1]), vec_min(low[2], low[3]));
    high[0] = vec_max(vec_max(high[0], high[1]), vec_max(high[2], high[3]));
    *ret_low = -vec_largest(vec_sub(zero, low[0]));
    *ret_high = vec_largest(high[0]);
    *ret_finite = vec_sum(vec_add(vec_add(odd[0], odd[1]), vec_add(odd[2], odd[3]))) == 0;
}

static void convert_row(size_t k, const float *x, char *row)
{
    float low, high;
    bool finite;
    range_of(k, x, &low, &high, &finite);
    const struct att_int8_range range = att_int8_range(low, high, finite);
    memcpy(row, &range, sizeof range);
    quantum *out = (quantum *)(void *)(row + HEADER);
    const vec factor = vec_set(range.inverse), shift = vec_set(-range.low * range.inverse);
    size_t i = 0;
    for (; i + 4 * VEC <= k; i += 4 * VEC)
        quanta_store(out + i, vec_fma(vec_load(x + i), factor, shift), vec_fma(vec_load(x + i + VEC), factor, shift),
                     vec_fma(vec_load(x + i + 2 * VEC), factor, shift),
                     vec_fma(vec_load(x + i + 3 * VEC), factor, shift));
    for (; i < steps_of(k) * KU; i += 4 * VEC) {
        float rest[4 * VEC] = {0};
        quantum quanta[4 * VEC];
        const size_t left = k - i < 4 * VEC ? k - i : 4 * VEC;
        const size_t bytes = (steps_of(k) * KU - i) * sizeof *quanta;
        for (size_t q = 0; q < left; q++)
            rest[q] = fmaf(x[i + q], range.inverse, -range.low * range.inverse);
        quanta_store(quanta, vec_load(rest), vec_load(rest + VEC), vec_load(rest + 2 * VEC), vec_load(rest + 3 * VEC));
        memcpy(out + i, quanta, bytes < sizeof quanta ? bytes : sizeof quanta);
    }
}

static void convert(size_t m, size_t k, const float *x, size_t ldx, void *input)
{
    for (size_t i = 0; i < m; i++)
        convert_row(k, x + i * ldx, (char *)input + i * input_bytes(k));
}

#endif
