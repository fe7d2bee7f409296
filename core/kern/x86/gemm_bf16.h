/*
 * What gemm_simd.h needs of bf16: a step is two k's. AVX-512 BF16 multiplies
 * pairs (vdpbf16ps); AVX2 widens a pair to two f32 and multiplies these, at the
 * speed of f32 but half its memory. The includer defines ROWS.
 */
#ifndef ATT_KERN_X86_GEMM_BF16_H
#define ATT_KERN_X86_GEMM_BF16_H

#include "core/kern/x86/bf16.h"

enum { KU = 2, HEADER = 0 };

typedef vec sums;

INLINE sums sums_zero(void)
{
    return vec_zero();
}

#if defined(__AVX512BF16__)

typedef __m512bh weights;
typedef __m512bh inputs;

INLINE weights weights_load(const char *p)
{
    return (__m512bh)_mm512_loadu_si512(p);
}
INLINE inputs inputs_load(const char *p)
{
    return (__m512bh)_mm512_set1_epi32(*(const int *)(const void *)p);
}
INLINE sums multiply_add(sums acc, inputs x, weights w)
{
    return _mm512_dpbf16_ps(acc, x, w);
}

#else

struct widened {
    vec even, odd;
};

#define weights struct widened
#define inputs struct widened

INLINE weights widen(__m256i pairs)
{
    const __m256i high = _mm256_set1_epi32((int)0xffff0000u);
    return (weights){_mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)),
                     _mm256_castsi256_ps(_mm256_and_si256(pairs, high))};
}
INLINE weights weights_load(const char *p)
{
    return widen(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
INLINE inputs inputs_load(const char *p)
{
    return widen(_mm256_set1_epi32(*(const int *)(const void *)p));
}
INLINE sums multiply_add(sums acc, inputs x, weights w)
{
    return vec_fma(x.odd, w.odd, vec_fma(x.even, w.even, acc));
}

#endif

struct columns {
    vec bias;
};

#include "core/kern/x86/gemm_steps.h"

INLINE vec columns_value(sums acc, const struct product *p, size_t i, const struct columns *columns)
{
    (void)p, (void)i;
    return vec_add(acc, columns->bias);
}

INLINE vec activation(vec x, enum att_act act)
{
    return vec_act_short(x, act);
}

INLINE struct columns columns_load(const struct product *p, size_t j, size_t h)
{
    return (struct columns){bias_load(p, j, h)};
}

static void pack(size_t n, size_t k, const float *w, size_t ldw, void *packed)
{
    uint16_t *out = packed;
    for (size_t j = 0; j < n; j += PANEL)
        for (size_t p = 0; p < k; p += KU)
            for (size_t c = 0; c < PANEL; c++)
                for (size_t u = 0; u < KU; u++)
                    *out++ = j + c < n && p + u < k ? bf16_of(w[(j + c) * ldw + p + u]) : 0;
}

/* A line between rows keeps rows of a large power of two apart in the cache. */
static size_t input_bytes(size_t k)
{
    return (steps_of(k) * STEP + LINE - 1) / LINE * LINE + LINE;
}

static void convert(size_t m, size_t k, const float *x, size_t ldx, void *input)
{
    for (size_t i = 0; i < m; i++) {
        uint16_t *out = (uint16_t *)(void *)((char *)input + i * input_bytes(k));
        bf16_convert(k, x + i * ldx, out);
        if (k % KU)
            out[k] = 0;
    }
}

#endif
