/* What gemm_simd.h needs of f32: a step is one k, activations are read as they are. The includer defines ROWS. */
#ifndef ATT_KERN_X86_GEMM_F32_H
#define ATT_KERN_X86_GEMM_F32_H

#include "core/kern/x86/simd.h"

enum { KU = 1, HEADER = 0 };

typedef vec sums;
typedef vec weights;
typedef vec inputs;

INLINE sums sums_zero(void)
{
    return vec_zero();
}
INLINE weights weights_load(const char *p)
{
    return vec_load((const float *)(const void *)p);
}
INLINE inputs inputs_load(const char *p)
{
    return vec_set(*(const float *)(const void *)p);
}
INLINE sums multiply_add(sums acc, inputs x, weights w)
{
    return vec_fma(x, w, acc);
}

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
    return vec_act(x, act);
}

INLINE struct columns columns_load(const struct product *p, size_t j, size_t h)
{
    return (struct columns){bias_load(p, j, h)};
}

static void pack(size_t n, size_t k, const float *w, size_t ldw, void *packed)
{
    float *out = packed;
    for (size_t j = 0; j < n; j += PANEL)
        for (size_t p = 0; p < k; p++)
            for (size_t c = 0; c < PANEL; c++)
                *out++ = j + c < n ? w[(j + c) * ldw + p] : 0;
}

static size_t input_bytes(size_t k)
{
    (void)k;
    return 0;
}

#endif
