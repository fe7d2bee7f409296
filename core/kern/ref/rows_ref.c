/* The row operations in plain C. */
#include <math.h>

#include "core/kern/bf16.h"
#include "core/kern/ref/tables.h"

static float layer_norm(size_t n, const float *x, const float *weight, const float *bias, float eps, float *y)
{
    float mean = 0, variance = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i];
    mean /= (float)n;
    for (size_t i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean);
    float scale = 1.0f / sqrtf(variance / (float)n + eps);
    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * scale * weight[i] + bias[i];
    return scale;
}

static float dot(size_t n, const float *x, const float *y)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

static void rms_norm(size_t n, const float *x, const float *weight, float eps, float *y)
{
    float scale = 1.0f / sqrtf(dot(n, x, x) / (float)n + eps);
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * scale * weight[i];
}

static void softmax(size_t n, float *x, float scale)
{
    float top = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] *= scale;
        top = x[i] > top ? x[i] : top;
    }
    if (top == -INFINITY) {
        for (size_t i = 0; i < n; i++)
            x[i] = isnan(x[i]) ? x[i] : 0;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - top);
        sum += x[i];
    }
    for (size_t i = 0; i < n; i++)
        x[i] /= sum;
}

static void add_row(size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void scale_row(size_t n, const float *x, float scale, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * scale;
}

static void scaled_sum(size_t n, const float *a, const float *b, const float *c, float scale, const float *bias,
                       float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (a[i] + b[i] + c[i]) * scale + bias[i];
}

static void scaled_sum_rounded(size_t n, const uint16_t *a, const float *b, const float *c, float scale,
                               const float *bias, uint16_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = bf16_of((bf16_value(a[i]) + b[i] + c[i]) * scale + bias[i]);
}

static void l2_normalize(size_t n, float *x)
{
    float length = sqrtf(dot(n, x, x));
    scale_row(n, x, 1.0f / (length > 1e-12f ? length : 1e-12f), x);
}

static void mean_pool(size_t rows, size_t n, const float *x, size_t ldx, float *y)
{
    for (size_t i = 0; i < n; i++) {
        float sum = 0;
        for (size_t r = 0; r < rows; r++)
            sum += x[r * ldx + i];
        y[i] = sum * (1.0f / (float)rows);
    }
}

static void dot_table(size_t begin, size_t end, size_t n, const float *table, size_t ld, const float *x, float *scores)
{
    for (size_t i = begin; i < end; i++)
        scores[i] = dot(n, table + i * ld, x);
}

const struct att_rows att_rows_ref = {
    .name = "ref",
    .layer_norm = layer_norm,
    .rms_norm = rms_norm,
    .softmax = softmax,
    .add = add_row,
    .scale = scale_row,
    .scaled_sum = scaled_sum,
    .scaled_sum_rounded = scaled_sum_rounded,
    .dot = dot,
    .l2_normalize = l2_normalize,
    .mean_pool = mean_pool,
    .dot_table = dot_table,
};
