/* The GEMM in plain C for each dtype: what every other row is compared with, and the last choice of any CPU. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/kern/bf16.h"
#include "core/kern/int8.h"
#include "core/kern/ref/tables.h"

enum { HEADER = 64 };

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

/* value and gate: sums with their bias. The residual may be c itself: an element is read before it is written. */
float att_ref_finish(float value, float gate, size_t i, size_t j, const struct att_gemm_epilogue *e)
{
    const float y = e->gate ? att_ref_act(gate, e->act) * value : att_ref_act(value, e->act);
    return e->residual ? y + e->residual[i * e->ldr + j] : y;
}

/* One element of a product with its bias (NULL: none): row x, column j of a packed [n][k]. */
typedef float element(const void *x, const void *packed, size_t n, size_t k, size_t j, const float *bias);

static float bias_at(const float *bias, size_t j)
{
    return bias ? bias[j] : 0;
}

static void run_elements(element *value, size_t m, size_t n, size_t k, const void *x, size_t stride, const void *packed,
                         float *c, size_t ldc, const struct att_gemm_epilogue *e, struct att_gemm_columns columns)
{
    assert(m > 0 && n > 0 && k > 0 && columns.end <= n);
    for (size_t i = 0; i < m; i++)
        for (size_t j = columns.begin; j < columns.end; j++) {
            const void *row = (const char *)x + i * stride;
            const float gate = e->gate ? value(row, e->gate, n, k, j, e->gate_bias) : 0;
            c[i * ldc + j] = att_ref_finish(value(row, packed, n, k, j, e->bias), gate, i, j, e);
        }
}

static size_t matrix_bytes(size_t n, size_t k, size_t size)
{
    size_t bytes;
    return k <= ATT_GEMM_K_MAX && att_size_mul(n, k, &bytes) && att_size_mul(bytes, size, &bytes) ? bytes : 0;
}

static size_t line_bytes(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* ---- f32 ---- */

size_t att_ref_packed_bytes(size_t n, size_t k)
{
    return matrix_bytes(n, k, sizeof(float));
}

/* Rows as they are: a panel of one column. */
void att_ref_pack(size_t n, size_t k, const float *w, size_t ldw, void *packed)
{
    float *out = packed;
    for (size_t j = 0; j < n; j++)
        for (size_t p = 0; p < k; p++)
            out[j * k + p] = w[j * ldw + p];
}

size_t att_ref_input_bytes(size_t k)
{
    (void)k;
    return 0;
}

static float f32_element(const void *x, const void *packed, size_t n, size_t k, size_t j, const float *bias)
{
    const float *a = x, *w = (const float *)packed + j * k;
    float sum = 0;
    (void)n;
    for (size_t p = 0; p < k; p++)
        sum += a[p] * w[p];
    return sum + bias_at(bias, j);
}

static void f32_run(size_t m, size_t n, size_t k, const void *x, size_t stride, const void *packed, float *c,
                    size_t ldc, const struct att_gemm_epilogue *e, struct att_gemm_columns columns)
{
    run_elements(f32_element, m, n, k, x, stride, packed, c, ldc, e, columns);
}

/* ---- bf16 ---- */

static size_t bf16_packed_bytes(size_t n, size_t k)
{
    return matrix_bytes(n, k, sizeof(uint16_t));
}

static void bf16_pack(size_t n, size_t k, const float *w, size_t ldw, void *packed)
{
    uint16_t *out = packed;
    for (size_t j = 0; j < n; j++)
        for (size_t p = 0; p < k; p++)
            out[j * k + p] = bf16_of(w[j * ldw + p]);
}

static size_t bf16_input_bytes(size_t k)
{
    return line_bytes(k * sizeof(uint16_t));
}

static void bf16_convert(size_t m, size_t k, const float *x, size_t ldx, void *input)
{
    for (size_t i = 0; i < m; i++)
        bf16_pack(1, k, x + i * ldx, ldx, (char *)input + i * bf16_input_bytes(k));
}

static float bf16_element(const void *x, const void *packed, size_t n, size_t k, size_t j, const float *bias)
{
    const uint16_t *a = x, *w = (const uint16_t *)packed + j * k;
    float sum = 0;
    (void)n;
    for (size_t p = 0; p < k; p++)
        sum += bf16_value(a[p]) * bf16_value(w[p]);
    return sum + bias_at(bias, j);
}

static void bf16_run(size_t m, size_t n, size_t k, const void *x, size_t stride, const void *packed, float *c,
                     size_t ldc, const struct att_gemm_epilogue *e, struct att_gemm_columns columns)
{
    run_elements(bf16_element, m, n, k, x, stride, packed, c, ldc, e, columns);
}

/* ---- int8: see int8.h; packed is q[n][k], then scale[n] and sum[n] ---- */

static size_t int8_tail(size_t n, size_t k)
{
    return line_bytes(n * k);
}

static size_t int8_packed_bytes(size_t n, size_t k)
{
    return matrix_bytes(n, k, 8) ? int8_tail(n, k) + n * 2 * sizeof(float) : 0;
}

static void int8_pack(size_t n, size_t k, const float *w, size_t ldw, void *packed)
{
    int8_t *out = packed;
    float *scale = (float *)(void *)((char *)packed + int8_tail(n, k)), *sum = scale + n;
    for (size_t j = 0; j < n; j++) {
        scale[j] = att_int8_scale(k, w + j * ldw);
        sum[j] = (float)att_int8_row_sum(k, w + j * ldw, scale[j]);
        for (size_t p = 0; p < k; p++)
            out[j * k + p] = (int8_t)att_int8_quantum(w[j * ldw + p], scale[j]);
    }
}

static size_t int8_input_bytes(size_t k)
{
    return HEADER + line_bytes(k);
}

static void int8_convert(size_t m, size_t k, const float *x, size_t ldx, void *input)
{
    for (size_t i = 0; i < m; i++, x += ldx) {
        char *row = (char *)input + i * int8_input_bytes(k);
        uint8_t *q = (uint8_t *)row + HEADER;
        float low = x[0], high = x[0];
        bool finite = true;
        for (size_t p = 0; p < k; p++) {
            low = x[p] < low ? x[p] : low;
            high = x[p] > high ? x[p] : high;
            finite = finite && isfinite(x[p]);
        }
        const struct att_int8_range range = att_int8_range(low, high, finite);
        memcpy(row, &range, sizeof range);
        for (size_t p = 0; p < k; p++)
            q[p] = finite ? (uint8_t)rintf(fmaf(x[p], range.inverse, -range.low * range.inverse)) : 0;
    }
}

static float int8_element(const void *x, const void *packed, size_t n, size_t k, size_t j, const float *bias)
{
    const float *scale = (const float *)(const void *)((const char *)packed + int8_tail(n, k)), *sums = scale + n;
    const float *header = x;
    const uint8_t *a = (const uint8_t *)x + HEADER;
    const int8_t *w = (const int8_t *)packed + j * k;
    int32_t sum = 0;
    for (size_t p = 0; p < k; p++)
        sum += (int32_t)a[p] * w[p];
    return fmaf(fmaf((float)sum, header[0], header[1] * sums[j]), scale[j], bias_at(bias, j));
}

static void int8_run(size_t m, size_t n, size_t k, const void *x, size_t stride, const void *packed, float *c,
                     size_t ldc, const struct att_gemm_epilogue *e, struct att_gemm_columns columns)
{
    run_elements(int8_element, m, n, k, x, stride, packed, c, ldc, e, columns);
}

const struct att_gemm att_gemm_f32_ref = {
    .name = "ref-f32",
    .dtype = ATT_F32,
    .panel = 1,
    .ku = 1,
    .packed_bytes = att_ref_packed_bytes,
    .pack = att_ref_pack,
    .input_bytes = att_ref_input_bytes,
    .run = f32_run,
};

const struct att_gemm att_gemm_bf16_ref = {
    .name = "ref-bf16",
    .dtype = ATT_BF16,
    .panel = 1,
    .ku = 1,
    .packed_bytes = bf16_packed_bytes,
    .pack = bf16_pack,
    .input_bytes = bf16_input_bytes,
    .convert = bf16_convert,
    .run = bf16_run,
};

const struct att_gemm att_gemm_int8_ref = {
    .name = "ref-int8",
    .dtype = ATT_INT8,
    .panel = 1,
    .ku = 1,
    .packed_bytes = int8_packed_bytes,
    .pack = int8_pack,
    .input_bytes = int8_input_bytes,
    .convert = int8_convert,
    .run = int8_run,
};
