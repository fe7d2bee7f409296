/* Softmax of one row on vectors: rows and attention use the same code. */
#ifndef ATT_KERN_X86_SOFTMAX_SIMD_H
#define ATT_KERN_X86_SOFTMAX_SIMD_H

#include "core/kern/x86/simd.h"

static void scale_row(size_t n, const float *x, float scale, float *y)
{
    const vec factor = vec_set(scale);
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        vec_store(y + i, vec_mul(vec_load(x + i), factor));
    if (i < n)
        vec_store_tail(y + i, vec_mul(vec_load_tail(x + i, n - i), factor), n - i);
}

static float largest_of(size_t n, const float *x)
{
    const vec low = vec_set(-INFINITY);
    vec top = low;
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        top = vec_max(top, vec_load(x + i));
    if (i < n)
        top = vec_max(top, vec_first(vec_load_tail(x + i, n - i), n - i, low));
    return vec_largest(top);
}

/* e^(x - top), and exactly 0 for -INFINITY. */
INLINE vec exp_below(vec x, vec top)
{
    const vec d = vec_sub(x, top);
    return vec_keep_finite_low(vec_exp(d), d);
}

static inline void softmax(size_t n, float *x, float scale)
{
    scale_row(n, x, scale, x);
    const float largest = largest_of(n, x);
    if (largest == -INFINITY) {
        for (size_t i = 0; i < n; i++)
            x[i] = x[i] == x[i] ? 0 : x[i];
        return;
    }
    const vec top = vec_set(largest);
    vec total = vec_zero();
    size_t i = 0;
    for (; i + VEC <= n; i += VEC) {
        const vec e = exp_below(vec_load(x + i), top);
        vec_store(x + i, e);
        total = vec_add(total, e);
    }
    if (i < n) {
        const vec e = vec_first(exp_below(vec_load_tail(x + i, n - i), top), n - i, vec_zero());
        vec_store_tail(x + i, e, n - i);
        total = vec_add(total, e);
    }
    scale_row(n, x, 1.0f / vec_sum(total), x);
}

#endif
