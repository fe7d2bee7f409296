/*
 * What gemm_simd.h needs of f32 multiplied by groups (gemm_groups.h).
 *
 * Numbers that are added should be of one size, or digits are lost. So columns
 * are packed times a power of two that makes them of one size, and rows and
 * columns of which errors are expected (row_fits, column_fits) some ten times
 * those of plain sums or more are left out: such rows, those with NaN or infinity
 * among them, and panels with such a column are multiplied plainly. That depends
 * on the row and the panel alone. Rows of one kind come together in blocks. A
 * panel's factors let values above 1e35 overflow, whatever the weights.
 *
 *   packed   panels | offset[columns] | scale[columns] | paired[panels]     columns padded to PANEL
 *
 * The includer defines ROWS and FREE_BROADCAST.
 */
#ifndef ATT_KERN_X86_GEMM_F32_GROUPS_H
#define ATT_KERN_X86_GEMM_F32_GROUPS_H

#include <float.h>
#include <math.h>
#include <stdint.h>

#include "core/kern/x86/simd.h"

enum { KU = 1, STEPS = 1, HEADER = 0, ROWS_KNOWN = 128 };

#define LIMIT 32.0f

typedef vec sums;
typedef vec weights;

struct columns {
    vec bias, offset, scale, paired;
};

struct facts {
    size_t first, n_paired;    /* row; of the rows from there on */
    float offset[ROWS_KNOWN];  /* Σ x0 x1; 0 of a row that is multiplied plainly */
    float paired[ROWS_KNOWN];  /* 1, or 0 of a row that is multiplied plainly */
    uint8_t order[ROWS_KNOWN]; /* those of the one kind before those of the other */
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
    const char *row[ROWS];
    UNROLL
    for (size_t r = 0; r < rows; r++)
        row[r] = p->x + row_at(p, i + r) * p->stride;
    for (size_t k = begin; k < end; k++) {
        const weights w0 = weights_load(panel + k * PANEL_STEP), w1 = weights_load(panel + k * PANEL_STEP + VEC * STEP);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            const weights x = inputs_load(row[r] + k * STEP);
            acc[r][0] = multiply_add(acc[r][0], x, w0);
            acc[r][1] = multiply_add(acc[r][1], x, w1);
        }
    }
}

static bool is_paired(const struct product *p, size_t j)
{
    return offsets_of(p)[2 * padded_columns(p->n) + j / PANEL] != 0;
}

INLINE void block_sums(const size_t rows, const struct product *p, size_t i, size_t j, const char *next, sums (*acc)[2])
{
    const char *panel = p->packed + j * p->steps * STEP;
    const bool by_groups = is_paired(p, j) && i - p->facts->first < p->facts->n_paired;
    const size_t groups = by_groups ? p->k / GROUP : 0;
    if (by_groups)
        groups_run(rows, p, i, panel, next, groups, acc);
    singles_run(rows, p, i, panel, groups * GROUP, p->k, acc);
}

/* ---- rows ---- */

struct pairs {
    float products; /* Σ x0 x1 */
    float squares;  /* Σ (x0 x1)² */
    float size;     /* Σ x² */
};

/* One of each for every vector of a period of groups, so that no sum waits for another. */
struct pair_sums {
    vec products[GROUP], squares[GROUP], size[GROUP];
};

/* Adds lanes from x on, each times factor: `values` of them, and the pairs that begin at `begins`. */
INLINE void pairs_add(struct pair_sums *s, size_t part, const float *x, vec factor, __mmask16 values, __mmask16 begins)
{
    const vec v = vec_mul(_mm512_maskz_loadu_ps(values, x), factor);
    const vec pair = vec_mul(v, vec_mul(_mm512_maskz_loadu_ps(begins, x + 1), factor));
    s->products[part] = vec_add(s->products[part], pair);
    s->squares[part] = vec_fma(pair, pair, s->squares[part]);
    s->size[part] = vec_fma(v, v, s->size[part]);
}

INLINE float parts_sum(const vec *parts)
{
    return vec_sum(vec_add(vec_add(parts[0], parts[1]), parts[2]));
}

/* Of k values from x on, each times scale. */
INLINE struct pairs pairs_of(size_t k, const float *x, float scale)
{
    const size_t grouped = k / GROUP * GROUP;
    const vec factor = vec_set(scale), zero = vec_zero();
    struct pair_sums s = {{zero, zero, zero}, {zero, zero, zero}, {zero, zero, zero}};
    size_t i = 0;
    for (; i + GROUP * VEC <= k; i += GROUP * VEC)
        UNROLL
    for (size_t part = 0; part < GROUP; part++)
        pairs_add(&s, part, x + i + part * VEC, factor, 0xffff, group_begins[part]);
    for (size_t part = 0; part < GROUP && i + part * VEC < k; part++) {
        const size_t begin = i + part * VEC;
        pairs_add(&s, part, x + begin, factor, first_lanes(k - begin),
                  group_begins[part] & first_lanes(grouped > begin ? grouped - begin : 0));
    }
    return (struct pairs){parts_sum(s.products), parts_sum(s.squares), parts_sum(s.size)};
}

/*
 * Rounding errors of a plain sum are expected to grow with Σ x² of a row (columns being of one size), those of a sum by
 * groups with Σ (x0 x1)² and Σ (w0 w1)², and, where pairs are of one sign and add up on the way to the end, with half
 * of (Σ x0 x1)² and (Σ w0 w1)². Of columns that fit this is at most one a group.
 */
static float pairs_error(struct pairs pairs)
{
    return pairs.squares + 0.5f * pairs.products * pairs.products;
}

/* False where a value is not finite, or so large that it cannot be told. */
static bool row_fits(size_t k, struct pairs pairs)
{
    const float most = LIMIT * pairs.size;
    return most <= FLT_MAX && pairs_error(pairs) + (float)(k / GROUP) <= most;
}

INLINE void facts_read(const struct product *p, size_t begin, size_t end, struct facts *facts)
{
    size_t n_paired = 0, n_plain = 0;
    for (size_t i = begin; i < end; i++) {
        const struct pairs pairs = pairs_of(p->k, (const float *)(const void *)(p->x + i * p->stride), 1);
        const bool paired = row_fits(p->k, pairs);
        facts->offset[i - begin] = paired ? pairs.products : 0;
        facts->paired[i - begin] = paired;
        facts->order[paired ? n_paired++ : end - begin - ++n_plain] = (uint8_t)(i - begin);
    }
    facts->first = begin;
    facts->n_paired = n_paired;
}

INLINE size_t row_at(const struct product *p, size_t i)
{
    return p->facts->first + p->facts->order[i - p->facts->first];
}

INLINE size_t rows_alike(const struct product *p, size_t i, size_t end, size_t j)
{
    const size_t plain = p->facts->first + p->facts->n_paired;
    return is_paired(p, j) && i < plain ? plain - i : end - i;
}

/* ---- columns ---- */

static size_t packed_bytes(size_t n, size_t k)
{
    return panels_bytes_with(n, k, 3 * sizeof(float));
}

/* The power of two that brings a column's root mean square to 1/2..1; 1 where none does. */
static float scale_of(size_t k, const float *w)
{
    vec sum = vec_zero();
    for (size_t p = 0; p < k; p += VEC) {
        const vec v = k - p < VEC ? vec_load_tail(w + p, k - p) : vec_load(w + p);
        sum = vec_fma(v, v, sum);
    }
    const float size = sqrtf(vec_sum(sum) / (float)k);
    return size > 0x1p-60f && size < 0x1p60f ? exp2f(floorf(-log2f(size))) : 1;
}

static size_t zeros_of(size_t k, const float *w)
{
    size_t zeros = 0;
    for (size_t p = 0; p < k; p++)
        zeros += w[p] == 0;
    return zeros;
}

/* Of a column: what it is packed times, what its sums are multiplied by, Σ w0 w1. */
struct packing {
    float factor, scale, offset;
};

/* Whether a column may be multiplied by groups. One that picks values, as an identity's, is to give them as they are.
 */
static bool column_fits(size_t k, const float *w, struct packing *ret_packing)
{
    const float factor = scale_of(k, w), groups = (float)(k / GROUP);
    const struct pairs pairs = pairs_of(k, w, factor);
    const float error = pairs_error(pairs);
    /* Most columns are small enough, or half of them is; what has to be smaller yet has outliers, or one sign. */
    const float half = error <= groups ? 1 : 0.5f;
    const size_t zeros = zeros_of(k, w);
    *ret_packing = (struct packing){factor * half, zeros == k ? 0 : 1 / (factor * half), pairs.products * half * half};
    return error * half * half * half * half <= groups && (zeros <= k / 2 || zeros == k);
}

static void pack(size_t n, size_t k, const float *w, size_t ldw, void *packed)
{
    float *out = packed, *offset = (float *)(void *)((char *)packed + panels_bytes(n, k));
    float *scale = offset + padded_columns(n), *paired = scale + padded_columns(n);
    for (size_t j = 0; j < n; j += PANEL, paired++) {
        const size_t columns = n - j < PANEL ? n - j : PANEL;
        struct packing packing[PANEL];
        bool fits = true;
        for (size_t c = 0; c < columns && fits; c++)
            fits = column_fits(k, w + (j + c) * ldw, &packing[c]);
        *paired = fits;
        for (size_t c = 0; c < PANEL; c++) {
            if (!fits || c >= columns)
                packing[c] = (struct packing){1, 1, 0};
            scale[j + c] = packing[c].scale;
            offset[j + c] = packing[c].offset;
        }
        for (size_t p = 0; p < k; p++)
            for (size_t c = 0; c < PANEL; c++)
                *out++ = c < columns ? w[(j + c) * ldw + p] * packing[c].factor : 0;
    }
}

static size_t input_bytes(size_t k)
{
    (void)k;
    return 0;
}

#endif
