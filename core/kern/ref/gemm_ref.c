/* The f32 GEMM in plain C: what every other row is compared with, and the last choice of any CPU. */
#include <assert.h>
#include <math.h>

#include "core/base/mem.h"
#include "core/kern/ref/tables.h"

float att_ref_act(float x, enum att_act act)
{
    switch (act) {
    case ATT_ACT_RELU:
        return x > 0 || isnan(x) ? x : 0;
    case ATT_ACT_GELU:
        return 0.5f * x * (1.0f + erff(x * 0.70710678118f));
    case ATT_ACT_GELU_TANH:
        return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
    case ATT_ACT_SILU:
        return x / (1.0f + expf(-x));
    case ATT_ACT_TANH:
        return tanhf(x);
    default:
        return x;
    }
}

size_t att_ref_packed_bytes(size_t n, size_t k)
{
    size_t bytes;
    return att_size_mul(n, k, &bytes) && att_size_mul(bytes, sizeof(float), &bytes) ? bytes : 0;
}

/* Rows as they are: a panel of one column. */
void att_ref_pack(size_t n, size_t k, const float *w, size_t ldw, void *packed)
{
    float *out = packed;
    for (size_t j = 0; j < n; j++)
        for (size_t p = 0; p < k; p++)
            out[j * k + p] = w[j * ldw + p];
}

static void run(size_t m, size_t n, size_t k, const float *a, size_t lda, const void *packed, float *c, size_t ldc,
                const struct att_gemm_epilogue *epilogue)
{
    const float *w = packed;
    assert(m > 0 && n > 0 && k > 0);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            float sum = 0;
            for (size_t p = 0; p < k; p++)
                sum += a[i * lda + p] * w[j * k + p];
            float y = att_ref_act(sum + (epilogue->bias ? epilogue->bias[j] : 0), epilogue->act);
            /* The residual may be c itself: element (i, j) is read before it is written. */
            c[i * ldc + j] = epilogue->residual ? y + epilogue->residual[i * epilogue->ldr + j] : y;
        }
}

const struct att_gemm att_gemm_ref = {
    .name = "ref-f32",
    .dtype = ATT_F32,
    .panel = 1,
    .ku = 1,
    .packed_bytes = att_ref_packed_bytes,
    .pack = att_ref_pack,
    .run = run,
};
