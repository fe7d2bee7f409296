/*
 * What gemm_simd.h needs of f32 multiplied by groups (gemm_groups.h).
 *
 * Numbers that are added should be of one size, or digits are lost. So every
 * column is packed times a power of two that brings its root mean square near
 * SIZE, and a row or a column takes part if, by the expected rounding errors
 * (`may_pair`), its sums are at most √LIMIT times as far from the exact ones as
 * plain ones. Other rows, those with NaN or infinity among them, and panels with
 * such a column are multiplied plainly. That depends on the row and the column
 * alone.
 *
 *   packed   panels | offset[columns] | scale[columns] | paired[panels]     columns padded to PANEL
 *
 * The includer defines ROWS and FREE_BROADCAST.
 */
#ifndef ATT_KERN_X86_GEMM_F32_GROUPS_H
#define ATT_KERN_X86_GEMM_F32_GROUPS_H

#include <math.h>

#include "core/kern/x86/simd.h"

enum { KU = 1, STEPS = 1, HEADER = 0, ROWS_KNOWN = 128 };

#define SIZE 1.0f
#define LIMIT 64.0f

typedef vec sums;
typedef vec weights;

struct columns {
    vec bias, offset, scale, paired;
};

struct facts {
    size_t first;             /* row */
    float offset[ROWS_KNOWN]; /* Σ x0 x1; 0 of a row that is multiplied plainly */
    float paired[ROWS_KNOWN]; /* 1, or 0 of a row that is multiplied plainly */
};

#include "core/kern/x86/gemm_groups.h"

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

INLINE weights weights_load(const char *p)
{
    return vec_load((const float *)(const void *)p);
}
INLINE weights inputs_load(const char *x)
{
    return vec_set(*(const float *)(const void *)x);
}
INLINE weights add(weights x, weights w)
{
    return vec_add(x, w);
}
INLINE sums multiply_add(sums acc, weights x, weights w)
{
    return vec_fma(x, w, acc);
}
/* gcc 12 takes what is broadcast twice into a register. */
INLINE weights add_word(const char *x, weights w)
{
    vec sum;
    __asm__("vaddps %2%{1to16%}, %1, %0" : "=v"(sum) : "v"(w), "m"(*(const float *)(const void *)x));
    return sum;
}
INLINE sums multiply_add_word(sums acc, const char *x, weights w)
{
    __asm__("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(w), "m"(*(const float *)(const void *)x));
    return acc;
}

/* k's begin to end, plainly. */
INLINE void singles_run(const size_t rows, const struct product *p, size_t i, const char *panel, size_t begin,
                        size_t end, sums (*acc)[2])
{
    const char *first = p->x + i * p->stride;
    for (size_t k = begin; k < end; k++) {
        const weights w0 = weights_load(panel + k * PANEL_STEP), w1 = weights_load(panel + k * PANEL_STEP + VEC * WORD);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            const weights x = inputs_load(first + r * p->stride + k * WORD);
            acc[r][0] = multiply_add(acc[r][0], x, w0);
            acc[r][1] = multiply_add(acc[r][1], x, w1);
        }
    }
}

INLINE void block_sums(const size_t rows, const struct product *p, size_t i, size_t j, const char *next, sums (*acc)[2])
{
    const char *panel = p->packed + j * p->steps * STEP;
    const float *paired = offsets_of(p) + 2 * padded_columns(p->n);
    const size_t groups = p->k / GROUP;
    const bool by_groups = paired[j / PANEL] != 0 && p->facts->paired[i - p->facts->first] != 0;
    if (by_groups)
        groups_run(rows, p, i, panel, next, groups, acc);
    singles_run(rows, p, i, panel, by_groups ? groups * GROUP : 0, p->k, acc);
}

/* ---- rows ---- */

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
            const __mmask16 whole = grouped <= begin        ? 0
                                    : grouped - begin < VEC ? tail_mask(grouped - begin)
                                                            : (__mmask16)-1;
            const vec v = _mm512_maskz_loadu_ps(all, x + begin);
            const vec pair = vec_mul(v, _mm512_maskz_loadu_ps(group_begins[part] & whole, x + begin + 1));
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
        const struct pairs pairs =
            pairs_of(p->k, (const float *)(const void *)(p->x + i * p->stride), LIMIT * SIZE * SIZE);
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

/* An identity's column picks values, and should give them as they are. */
static bool is_sparse(size_t k, const float *w)
{
    size_t zeros = 0;
    for (size_t p = 0; p < k; p++)
        zeros += w[p] == 0;
    return zeros > k / 2;
}

/* Whether a column may be multiplied by groups, and its offset. */
static bool column_fits(size_t k, const float *w, float scale, float *ret_offset)
{
    const float square = scale * scale;
    const struct pairs pairs = pairs_of(k, w, LIMIT * SIZE * SIZE / square);
    *ret_offset = pairs.products * square;
    return may_pair(k, (struct pairs){pairs.products, pairs.excess * square * square}) && !is_sparse(k, w);
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
            if (j + c < n && !column_fits(k, w + (j + c) * ldw, scales[c], &offset[j + c]))
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
