/* LayerNorm and RMSNorm over packed rows. */
#ifndef ATT_OPS_NORM_H
#define ATT_OPS_NORM_H

#include <stddef.h>

#include "core/ops/slots.h"

/* y[m][n] = LayerNorm(x[m][n]); y may be x. Rows are contiguous. */
void att_norm_run(const struct att_norm *norm, size_t m, size_t n, float eps, const float *x, float *y);
/* The same; scales[m] are the rows' 1 / sqrt(variance + eps), or NULL: not wanted. */
void att_norm_run_scales(const struct att_norm *norm, size_t m, size_t n, float eps, const float *x, float *y,
                         float *scales);

/* y[m][n] = RMSNorm(x[m][n]) with weight[n]; y may be x. Row strides in floats. */
void att_rms_norm_run(const float *weight, size_t m, size_t n, float eps, const float *x, size_t ldx, float *y,
                      size_t ldy);

#endif
