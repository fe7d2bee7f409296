/*
 * What gemm_simd.h needs of 16-bit integers, two a word, multiplied by groups
 * (gemm_groups.h): what dtype bf16 is where this is faster than bfloat16's own
 * products; nearer to f32 too, unless a row has outliers of a hundred times its
 * size. Rows of x and columns of w are rounded to integers
 *
 *   q = round(x · inverse) + MIDDLE in 1..16383,  |x · inverse| < MIDDLE
 *
 * so that the sum of two is 16 bits wide and carries nothing into its neighbour.
 * Sums are kept modulo 2^32. The product itself, Σ (q_x - MIDDLE)(q_w - MIDDLE), is
 * below 2^31, since `inverse` keeps the Euclidean norm of a row and of a column
 * below NORM, whatever their lengths: so it is exact, and all rows of this kind
 * give the same bits.
 *
 *   packed   panels | scale[columns] | offset[columns]           columns padded to PANEL
 *   a row    scale, offset … 64 bytes | words, padded with MIDDLE  input_bytes(k)
 *
 * offset: Σ of a group's q0 q1 + MIDDLE · Σ q. The includer defines ROWS and
 * FREE_BROADCAST.
 */
#ifndef ATT_KERN_X86_GEMM_INT16_H
#define ATT_KERN_X86_GEMM_INT16_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "core/kern/x86/simd.h"

enum { KU = 2, STEPS = 3, HEADER = 64, MIDDLE = 8192 };

#define NORM 46000.0f /* what rounding adds to it stays below √2^31 = 46340 */

typedef __m512i sums;
typedef __m512i weights;

struct columns {
    vec bias, scale;
    __m512i offset;
};

#include "core/kern/x86/gemm_alike.h"
#include "core/kern/x86/gemm_groups.h"

INLINE sums sums_zero(void)
{
    return _mm512_setzero_si512();
}
INLINE weights weights_load(const char *p)
{
    return _mm512_loadu_si512(p);
}
INLINE weights inputs_load(const char *x)
{
    return _mm512_set1_epi32(*(const int *)(const void *)x);
}
INLINE weights add(weights x, weights w)
{
    return _mm512_add_epi32(x, w);
}
/* gcc 12 copies and spills the sums around the intrinsic, and takes what is broadcast twice into a register. */
INLINE sums multiply_add(sums acc, weights x, weights w)
{
    __asm__("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w));
    return acc;
}
INLINE weights add_word(const char *x, weights w)
{
    __m512i sum;
    __asm__("vpaddd %2%{1to16%}, %1, %0" : "=v"(sum) : "v"(w), "m"(*(const int *)(const void *)x));
    return sum;
}
INLINE sums multiply_add_word(sums acc, const char *x, weights w)
{
    __asm__("vpdpwssd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(w), "m"(*(const int *)(const void *)x));
    return acc;
}

INLINE void block_sums(const size_t rows, const struct product *p, size_t i, size_t j, const char *next, sums (*acc)[2])
{
    groups_run(rows, p, i, p->packed + j * p->steps * STEP, next, p->steps / GROUP, acc);
}

/* ---- what precedes the words of a row ---- */

struct header {
    float scale; /* NaN where a value is not finite */
    uint32_t offset;
};

INLINE struct columns columns_load(const struct product *p, size_t j, size_t h)
{
    const char *scale = p->packed + p->tail, *offset = scale + padded_columns(p->n) * sizeof(float);
    return (struct columns){bias_load(p, j, h), vec_load((const float *)(const void *)scale + j + h),
                            _mm512_loadu_si512(offset + (j + h) * sizeof(uint32_t))};
}

INLINE vec columns_value(sums acc, const struct product *p, size_t i, const struct columns *columns)
{
    const struct header *header = (const struct header *)(const void *)(p->x + i * p->stride);
    const __m512i offset = _mm512_add_epi32(columns->offset, _mm512_set1_epi32((int)header->offset));
    const vec sum = _mm512_cvtepi32_ps(_mm512_sub_epi32(acc, offset));
    return vec_fma(vec_mul(sum, columns->scale), vec_set(header->scale), columns->bias);
}

INLINE vec activation(vec x, enum att_act act)
{
    return vec_act_short(x, act);
}

/* ---- rounding ---- */

/* What brings x into the range and its norm below NORM; NaN when a value is not finite. */
static float inverse_of(size_t k, const float *x)
{
    vec squares = vec_zero(), top = vec_zero();
    for (size_t i = 0; i < k; i += VEC) {
        const vec v = k - i < VEC ? vec_load_tail(x + i, k - i) : vec_load(x + i);
        squares = vec_fma(v, v, squares);
        top = vec_max(top, vec_abs(v));
    }
    const float most = vec_largest(top), sum = vec_sum(squares);
    if (isnan(sum) || !(most <= FLT_MAX))
        return NAN;
    /* Squares may overflow, or vanish: then no value is more than the largest. */
    const float by_norm = sum <= FLT_MAX && sum >= FLT_MIN ? NORM / sqrtf(sum) : NORM / sqrtf((float)k) / most;
    return most == 0 ? 0 : fminf(fminf((MIDDLE - 1) / most, by_norm), FLT_MAX);
}

/* Words of a chunk: whole groups and whole vectors. */
enum { CHUNK = GROUP * VEC };

/* `words` words, at most CHUNK and whole groups, of `left` values from x on, zeros behind them; and their part of the
 * offset. */
INLINE __m512i round_chunk(size_t words, size_t left, const float *x, float inverse, uint32_t *out)
{
    const __m512i middle = _mm512_set1_epi32(MIDDLE), middles = _mm512_set1_epi16(MIDDLE);
    const vec factor = vec_set(inverse);
    uint16_t q[2 * CHUNK + 2 * VEC] __attribute__((aligned(64))); /* the last word's neighbour is masked, and here */
    for (size_t i = 0; i < 2 * CHUNK; i += VEC) {
        const vec v = i + VEC <= left ? vec_load(x + i) : i < left ? vec_load_tail(x + i, left - i) : vec_zero();
        const __m512i rounded = _mm512_add_epi32(_mm512_cvtps_epi32(vec_mul(v, factor)), middle);
        _mm256_store_si256((__m256i *)(void *)(q + i), _mm512_cvtepi32_epi16(rounded));
    }
    __m512i offset = _mm512_setzero_si512();
    for (size_t part = 0; part < GROUP && part * VEC < words; part++) {
        const __mmask16 whole = first_lanes(words - part * VEC);
        const __m512i word = _mm512_maskz_loadu_epi32(whole, q + 2 * part * VEC);
        const __m512i behind = _mm512_maskz_loadu_epi32(group_begins[part] & whole, q + 2 * (part * VEC + 1));
        offset = _mm512_add_epi32(offset, _mm512_madd_epi16(word, behind));
        offset = _mm512_add_epi32(offset, _mm512_madd_epi16(word, middles));
        _mm512_mask_storeu_epi32(out + part * VEC, whole, word);
    }
    return offset;
}

/* Modulo 2^32. */
INLINE uint32_t lanes_sum(__m512i x)
{
    uint32_t lanes[VEC], sum = 0;
    _mm512_storeu_si512(lanes, x);
    for (size_t i = 0; i < VEC; i++)
        sum += lanes[i];
    return sum;
}

/* k values as words, `apart` words from one to the next, and their offset. Zeros where inverse is NaN. */
INLINE uint32_t round_row(size_t k, const float *x, float inverse, size_t apart, uint32_t *out)
{
    const size_t steps = steps_of(k);
    const float factor = isnan(inverse) ? 0 : inverse;
    __m512i offset = _mm512_setzero_si512();
    for (size_t s = 0; s < steps; s += CHUNK) {
        uint32_t words[CHUNK];
        const size_t count = steps - s < CHUNK ? steps - s : CHUNK, left = KU * s < k ? k - KU * s : 0;
        offset = _mm512_add_epi32(offset, round_chunk(count, left, x + KU * s, factor, apart == 1 ? out + s : words));
        for (size_t i = 0; apart != 1 && i < count; i++)
            out[(s + i) * apart] = words[i];
    }
    return lanes_sum(offset);
}

static float scale_of(float inverse)
{
    return inverse == 0 ? 0 : 1 / inverse;
}

static size_t input_bytes(size_t k)
{
    return HEADER + (steps_of(k) * STEP + LINE - 1) / LINE * LINE;
}

static void convert(size_t m, size_t k, const float *x, size_t ldx, void *input)
{
    for (size_t i = 0; i < m; i++) {
        char *row = (char *)input + i * input_bytes(k);
        const float inverse = inverse_of(k, x + i * ldx);
        uint32_t *words = (uint32_t *)(void *)(row + HEADER);
        *(struct header *)(void *)row =
            (struct header){scale_of(inverse), round_row(k, x + i * ldx, inverse, 1, words)};
    }
}

/* ---- columns ---- */

static size_t packed_bytes(size_t n, size_t k)
{
    return panels_bytes_with(n, k, sizeof(float) + sizeof(uint32_t));
}

static void pack(size_t n, size_t k, const float *w, size_t ldw, void *packed)
{
    const size_t steps = steps_of(k), columns = padded_columns(n);
    float *scale = (float *)(void *)((char *)packed + panels_bytes(n, k));
    uint32_t *words = packed, *offset = (uint32_t *)(void *)(scale + columns);
    for (size_t j = 0; j < columns; j++) {
        const float inverse = j < n ? inverse_of(k, w + j * ldw) : 0;
        const float *column = j < n ? w + j * ldw : w;
        uint32_t *out = words + j / PANEL * PANEL * steps + j % PANEL;
        scale[j] = scale_of(inverse);
        offset[j] = round_row(k, column, inverse, PANEL, out);
        /* What Σ (q_x - MIDDLE)(q_w - MIDDLE) has once, and offsets of a row and a column twice. */
        offset[j] -= (uint32_t)(KU * steps) * MIDDLE * MIDDLE;
    }
}

#endif
