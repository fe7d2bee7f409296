/*
 * What gemm_simd.h needs of f32 on a CPU whose adders stand idle while it
 * multiplies. Of every three k's two are multiplied by the identity
 *
 *   x0 w0 + x1 w1 = (x0 + w1)(x1 + w0) - x0 x1 - w0 w1
 *
 * (S. Winograd, "A New Algorithm for Inner Product", IEEE Trans. Comput. C-17,
 * 1968) and the third as it is: two additions and two multiply-adds instead of
 * three multiply-adds. Σ x0 x1 of a row is taken before its products, Σ w0 w1 of
 * a column when it is packed.
 *
 * What is added should be of one size, or digits are lost. So every column is
 * packed times a power of two that brings its root mean square near SIZE, and
 * a row takes part if, by the expected rounding errors (`excess`), its sums are
 * at most some LIMIT_ROOT times as far from the exact ones as plain ones.
 * Other rows, those with NaN or infinity among them, and panels with such a column
 * are multiplied plainly. That depends on the row or the column alone.
 *
 *   packed   panels | offset[columns] | scale[columns] | paired[panels]     columns padded to PANEL
 *
 * The includer defines ROWS and group_multiply.
 */
#ifndef ATT_KERN_X86_GEMM_WINOGRAD_H
#define ATT_KERN_X86_GEMM_WINOGRAD_H

#include <float.h>
#include <math.h>

#include "core/kern/x86/simd.h"

enum { KU = 1, HEADER = 0, ROWS_KNOWN = 128, GROUP = 3 };

#define SIZE 1.0f
#define LIMIT 64.0f /* of the squared error, in those of plain sums */

typedef vec sums;

struct columns {
    vec bias, offset, scale, paired;
};

struct facts {
    size_t first;             /* row */
    float offset[ROWS_KNOWN]; /* Σ x0 x1; 0 of a row that is multiplied plainly */
    float paired[ROWS_KNOWN]; /* 1, or 0 of a row that is multiplied plainly */
};

#include "core/kern/x86/gemm_simd.h"

/* acc += x[0..2] · w, the first two by the identity. */
INLINE void group_multiply(const float *x, vec (*w)[2], sums *acc);

INLINE sums sums_zero(void)
{
    return vec_zero();
}

INLINE vec activation(vec x, enum att_act act)
{
    return vec_act(x, act);
}

static const float *offsets_of(const struct product *p)
{
    return (const float *)(const void *)(p->packed + p->tail);
}

INLINE struct columns columns_load(const struct product *p, size_t j, size_t h)
{
    const float *offset = offsets_of(p), *scale = offset + padded_columns(p->n), *paired = scale + padded_columns(p->n);
    return (struct columns){bias_load(p, j, h), vec_load(offset + j + h), vec_load(scale + j + h),
                            vec_set(paired[j / PANEL])};
}

INLINE vec columns_value(sums acc, const struct product *p, size_t i, const struct columns *columns)
{
    const struct facts *facts = p->facts;
    const vec of_row = vec_set(facts->offset[i - facts->first]), paired = vec_set(facts->paired[i - facts->first]);
    const vec offset = vec_fma(columns->offset, paired, vec_mul(of_row, columns->paired));
    return vec_fma(vec_sub(acc, offset), columns->scale, columns->bias);
}

/* ---- sums ---- */

INLINE const float *at(const char *base, size_t k)
{
    return (const float *)(const void *)base + k;
}

/* k's begin to end, plainly. */
INLINE void singles(const size_t rows, const struct product *p, size_t i, const char *panel, size_t begin, size_t end,
                    sums (*acc)[2])
{
    const char *first = p->x + i * p->stride;
    for (size_t k = begin; k < end; k++) {
        const float *w = at(panel, k * PANEL);
        const vec w0 = vec_load(w), w1 = vec_load(w + VEC);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            const vec x = vec_set(*at(first + r * p->stride, k));
            acc[r][0] = vec_fma(x, w0, acc[r][0]);
            acc[r][1] = vec_fma(x, w1, acc[r][1]);
        }
    }
}

/* All whole groups of k's. */
INLINE void groups(const size_t rows, const struct product *p, size_t i, const char *panel, const char *next, sums (*acc)[2])
{
    const size_t stride = p->stride, bases = bases_of(rows), end = p->k / GROUP;
    const char *base[BASES];
    UNROLL
    for (size_t b = 0; b < bases; b++)
        base[b] = p->x + (i + b * FAN) * stride;
    for (size_t s = 0; s < end; s++) {
        const float *w = at(panel, s * GROUP * PANEL);
        for (size_t line = 0; line < GROUP * LINE; line += LINE)
            _mm_prefetch(next + s * GROUP * LINE + line, _MM_HINT_T1);
        vec weights[GROUP][2];
        UNROLL
        for (size_t k = 0; k < GROUP; k++) {
            weights[k][0] = vec_load(w + k * PANEL);
            weights[k][1] = vec_load(w + k * PANEL + VEC);
        }
        bases_pin(bases, base);
        UNROLL
        for (size_t r = 0; r < rows; r++)
            group_multiply(at(base[r / FAN] + r % FAN * stride, 0), weights, acc[r]);
        UNROLL
        for (size_t b = 0; b < bases; b++)
            base[b] += GROUP * STEP;
    }
}

INLINE void block_sums(const size_t rows, const struct product *p, size_t i, size_t j, const char *next, sums (*acc)[2])
{
    (void)next;
    const char *panel = p->packed + j * p->steps * STEP;
    const float *paired = offsets_of(p) + 2 * padded_columns(p->n);
    size_t done = 0;
    if (paired[j / PANEL] != 0 && p->facts->paired[i - p->facts->first] != 0) {
        groups(rows, p, i, panel, next, acc);
        done = p->k / GROUP * GROUP;
    }
    singles(rows, p, i, panel, done, p->k, acc);
}

/* ---- rows ---- */

/* Lanes of v's that start at k of a group, of the three vectors that 16 groups make. */
static const __mmask16 firsts[GROUP] = {0x9249, 0x4924, 0x2492};

struct pairs {
    float products; /* Σ x0 x1 */
    float excess;   /* Σ (x0 x1)² - weight · Σ x² */
};

/* Of k values from x on. Both are NaN or infinite if a value is. */
static struct pairs pairs_of(size_t k, const float *x, float weight)
{
    const size_t grouped = k / GROUP * GROUP;
    const vec factor = vec_set(-weight);
    vec products = vec_zero(), excess = vec_zero();
    for (size_t i = 0; i < k; i += GROUP * VEC)
        for (size_t part = 0; part < GROUP && i + part * VEC < k; part++) {
            const size_t begin = i + part * VEC, left = k - begin;
            const __mmask16 all = left < VEC ? tail_mask(left) : (__mmask16)-1;
            const __mmask16 whole =
                grouped <= begin ? 0 : grouped - begin < VEC ? tail_mask(grouped - begin) : (__mmask16)-1;
            const vec v = _mm512_maskz_loadu_ps(all, x + begin);
            const vec pair = vec_mul(v, _mm512_maskz_loadu_ps(firsts[part] & whole, x + begin + 1));
            products = vec_add(products, pair);
            excess = vec_fma(vec_mul(v, factor), v, vec_fma(pair, pair, excess));
        }
    return (struct pairs){vec_sum(products), vec_sum(excess)};
}

/*
 * With partners w of root mean square SIZE, K values x in t = K / 3 pairs, the squared error of the sums by groups is
 * expected to be 1 + (Σ (x0 x1)² + t SIZE⁴) / (SIZE² Σ x²) times that of plain sums.
 */
static bool may_pair(size_t k, struct pairs pairs)
{
    return pairs.excess <= -(float)(k / GROUP) * SIZE * SIZE * SIZE * SIZE;
}

INLINE void facts_read(const struct product *p, size_t begin, size_t end, struct facts *facts)
{
    facts->first = begin;
    for (size_t i = begin; i < end; i++) {
        const struct pairs pairs = pairs_of(p->k, at(p->x + i * p->stride, 0), LIMIT * SIZE * SIZE);
        const bool paired = may_pair(p->k, pairs);
        facts->offset[i - begin] = paired ? pairs.products : 0;
        facts->paired[i - begin] = paired;
    }
}

INLINE size_t rows_alike(const struct product *p, size_t i, size_t end)
{
    const float *paired = p->facts->paired - p->facts->first;
    size_t next = i + 1;
    while (next < end && paired[next] == paired[i])
        next++;
    return next - i;
}

/* ---- columns ---- */

static size_t packed_bytes(size_t n, size_t k)
{
    const size_t panels = panels_bytes(n, k), columns = padded_columns(n);
    size_t bytes;
    return panels && att_size_mul(columns, 3 * sizeof(float), &bytes) && att_size_add(panels, bytes, &bytes) ? bytes
                                                                                                            : 0;
}

/* The power of two that brings a column's root mean square near SIZE; 1 where none does. */
static float scale_of(size_t k, const float *w)
{
    vec sum = vec_zero();
    for (size_t p = 0; p < k; p += VEC) {
        const vec v = k - p < VEC ? vec_load_tail(w + p, k - p) : vec_load(w + p);
        sum = vec_fma(v, v, sum);
    }
    const float size = sqrtf(vec_sum(sum) / (float)k);
    return size > 0x1p-60f && size < 0x1p60f ? exp2f(rintf(log2f(SIZE / size))) : 1;
}

static bool column_pack(size_t k, const float *w, float scale, float *ret_offset)
{
    const float square = scale * scale;
    const struct pairs pairs = pairs_of(k, w, LIMIT * SIZE * SIZE / square);
    *ret_offset = pairs.products * square;
    return may_pair(k, (struct pairs){pairs.products, pairs.excess * square * square});
}

static void pack(size_t n, size_t k, const float *w, size_t ldw, void *packed)
{
    float *out = packed, *offset = (float *)(void *)((char *)packed + panels_bytes(n, k));
    float *scale = offset + padded_columns(n), *paired = scale + padded_columns(n);
    for (size_t j = 0; j < n; j += PANEL, paired++) {
        float scales[PANEL];
        *paired = 1;
        for (size_t c = 0; c < PANEL; c++) {
            offset[j + c] = 0;
            scales[c] = j + c < n ? scale_of(k, w + (j + c) * ldw) : 1;
            scale[j + c] = 1 / scales[c];
            if (j + c < n && !column_pack(k, w + (j + c) * ldw, scales[c], &offset[j + c]))
                *paired = 0;
        }
        for (size_t c = 0; c < PANEL; c++)
            offset[j + c] = *paired != 0 ? offset[j + c] : 0;
        for (size_t p = 0; p < k; p++)
            for (size_t c = 0; c < PANEL; c++)
                *out++ = j + c < n ? w[(j + c) * ldw + p] * scales[c] : 0;
    }
}

static size_t input_bytes(size_t k)
{
    (void)k;
    return 0;
}

#endif
