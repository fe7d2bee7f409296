/* The loop over rows; one row's arithmetic is the kernel's. */
#include "core/ops/norm.h"

#include "core/kern/kern.h"

void att_norm_run(const struct att_norm *norm, size_t m, size_t n, float eps, const float *x, float *y)
{
    att_norm_run_scales(norm, m, n, eps, x, y, NULL);
}

void att_norm_run_scales(const struct att_norm *norm, size_t m, size_t n, float eps, const float *x, float *y,
                         float *scales)
{
    const struct att_rows *rows = att_kern()->rows;
    for (size_t i = 0; i < m; i++) {
        const float scale = rows->layer_norm(n, x + i * n, norm->weight, norm->bias, eps, y + i * n);
        if (scales)
            scales[i] = scale;
    }
}

void att_rms_norm_run(const float *weight, size_t m, size_t n, float eps, const float *x, size_t ldx, float *y,
                      size_t ldy)
{
    const struct att_rows *rows = att_kern()->rows;
    for (size_t i = 0; i < m; i++)
        rows->rms_norm(n, x + i * ldx, weight, eps, y + i * ldy);
}
