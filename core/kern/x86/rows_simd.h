/*
 * The row operations of rows.h on vectors, compiled for each instruction set.
 * Sums use four vector accumulators whose pattern depends on n alone;
 * tails are masked, so nothing is read or written outside a row.
 */
#ifndef ATT_KERN_X86_ROWS_SIMD_H
#define ATT_KERN_X86_ROWS_SIMD_H

#include <math.h>

#include "core/kern/cpu.h"
#include "core/kern/x86/bf16.h"
#include "core/kern/x86/softmax_simd.h"
#include "core/kern/x86/tables.h"

static float sum_of(size_t n, const float *x)
{
    vec a = vec_zero(), b = vec_zero(), c = vec_zero(), d = vec_zero();
    size_t i = 0;
    for (; i + 4 * VEC <= n; i += 4 * VEC) {
        a = vec_add(a, vec_load(x + i));
        b = vec_add(b, vec_load(x + i + VEC));
        c = vec_add(c, vec_load(x + i + 2 * VEC));
        d = vec_add(d, vec_load(x + i + 3 * VEC));
    }
    for (; i + VEC <= n; i += VEC)
        a = vec_add(a, vec_load(x + i));
    if (i < n)
        b = vec_add(b, vec_load_tail(x + i, n - i));
    return vec_sum(vec_add(vec_add(a, b), vec_add(c, d)));
}

INLINE vec add_square(vec sum, vec x, vec mean)
{
    const vec d = vec_sub(x, mean);
    return vec_fma(d, d, sum);
}

/* Sum of the squares of x - mean. */
static float squares_of(size_t n, const float *x, vec mean)
{
    vec a = vec_zero(), b = vec_zero(), c = vec_zero(), d = vec_zero();
    size_t i = 0;
    for (; i + 4 * VEC <= n; i += 4 * VEC) {
        a = add_square(a, vec_load(x + i), mean);
        b = add_square(b, vec_load(x + i + VEC), mean);
        c = add_square(c, vec_load(x + i + 2 * VEC), mean);
        d = add_square(d, vec_load(x + i + 3 * VEC), mean);
    }
    for (; i + VEC <= n; i += VEC)
        a = add_square(a, vec_load(x + i), mean);
    if (i < n)
        b = add_square(b, vec_first(vec_load_tail(x + i, n - i), n - i, mean), mean);
    return vec_sum(vec_add(vec_add(a, b), vec_add(c, d)));
}

static float layer_norm(size_t n, const float *x, const float *weight, const float *bias, float eps, float *y)
{
    const vec mean = vec_set(sum_of(n, x) / (float)n);
    const float factor = 1.0f / sqrtf(squares_of(n, x, mean) / (float)n + eps);
    const vec scale = vec_set(factor);
    size_t i = 0;
    for (; i + VEC <= n; i += VEC) {
        const vec d = vec_mul(vec_sub(vec_load(x + i), mean), scale);
        vec_store(y + i, vec_fma(d, vec_load(weight + i), vec_load(bias + i)));
    }
    if (i < n) {
        const vec d = vec_mul(vec_sub(vec_load_tail(x + i, n - i), mean), scale);
        vec_store_tail(y + i, vec_fma(d, vec_load_tail(weight + i, n - i), vec_load_tail(bias + i, n - i)), n - i);
    }
    return factor;
}

static float dot(size_t n, const float *x, const float *y)
{
    vec a = vec_zero(), b = vec_zero(), c = vec_zero(), d = vec_zero();
    size_t i = 0;
    for (; i + 4 * VEC <= n; i += 4 * VEC) {
        a = vec_fma(vec_load(x + i), vec_load(y + i), a);
        b = vec_fma(vec_load(x + i + VEC), vec_load(y + i + VEC), b);
        c = vec_fma(vec_load(x + i + 2 * VEC), vec_load(y + i + 2 * VEC), c);
        d = vec_fma(vec_load(x + i + 3 * VEC), vec_load(y + i + 3 * VEC), d);
    }
    for (; i + VEC <= n; i += VEC)
        a = vec_fma(vec_load(x + i), vec_load(y + i), a);
    if (i < n)
        b = vec_fma(vec_load_tail(x + i, n - i), vec_load_tail(y + i, n - i), b);
    return vec_sum(vec_add(vec_add(a, b), vec_add(c, d)));
}

static void rms_norm(size_t n, const float *x, const float *weight, float eps, float *y)
{
    const float factor = 1.0f / sqrtf(dot(n, x, x) / (float)n + eps);
    const vec scale = vec_set(factor);
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        vec_store(y + i, vec_mul(vec_mul(vec_load(x + i), scale), vec_load(weight + i)));
    if (i < n)
        vec_store_tail(y + i, vec_mul(vec_mul(vec_load_tail(x + i, n - i), scale), vec_load_tail(weight + i, n - i)),
                       n - i);
}

static void add_row(size_t n, const float *x, float *y)
{
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        vec_store(y + i, vec_add(vec_load(y + i), vec_load(x + i)));
    if (i < n)
        vec_store_tail(y + i, vec_add(vec_load_tail(y + i, n - i), vec_load_tail(x + i, n - i)), n - i);
}

INLINE vec scaled(vec a, vec b, vec c, vec scale, vec bias)
{
    return vec_fma(vec_add(vec_add(a, b), c), scale, bias);
}

static void scaled_sum(size_t n, const float *a, const float *b, const float *c, float scale, const float *bias,
                       float *y)
{
    const vec factor = vec_set(scale);
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        vec_store(y + i, scaled(vec_load(a + i), vec_load(b + i), vec_load(c + i), factor, vec_load(bias + i)));
    if (i < n) {
        const size_t left = n - i;
        vec_store_tail(y + i,
                       scaled(vec_load_tail(a + i, left), vec_load_tail(b + i, left), vec_load_tail(c + i, left),
                              factor, vec_load_tail(bias + i, left)),
                       left);
    }
}

static void scaled_sum_rounded(size_t n, const uint16_t *a, const float *b, const float *c, float scale,
                               const float *bias, uint16_t *y)
{
    const vec factor = vec_set(scale);
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        bf16_store(y + i, scaled(bf16_load(a + i), vec_load(b + i), vec_load(c + i), factor, vec_load(bias + i)));
    if (i < n) {
        const size_t left = n - i;
        bf16_store_tail(y + i,
                        scaled(bf16_load_tail(a + i, left), vec_load_tail(b + i, left), vec_load_tail(c + i, left),
                               factor, vec_load_tail(bias + i, left)),
                        left);
    }
}

static void l2_normalize(size_t n, float *x)
{
    const float length = sqrtf(dot(n, x, x));
    scale_row(n, x, 1.0f / (length > 1e-12f ? length : 1e-12f), x);
}

static void mean_pool(size_t rows, size_t n, const float *x, size_t ldx, float *y)
{
    const vec factor = vec_set(1.0f / (float)rows);
    for (size_t i = 0; i < n; i += VEC) {
        const size_t left = n - i < VEC ? n - i : VEC;
        vec total = vec_zero();
        for (size_t r = 0; r < rows; r++)
            total = vec_add(total, vec_load_tail(x + r * ldx + i, left));
        vec_store_tail(y + i, vec_mul(total, factor), left);
    }
}

static void dot_table(size_t begin, size_t end, size_t n, const float *table, size_t ld, const float *x, float *scores)
{
    for (size_t i = begin; i < end; i++)
        scores[i] = dot(n, table + i * ld, x);
}

#endif
