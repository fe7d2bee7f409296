/* LayerNorm over packed rows. */
#ifndef ATT_OPS_NORM_H
#define ATT_OPS_NORM_H

#include <stddef.h>

#include "core/ops/slots.h"

/* y[m][n] = LayerNorm(x[m][n]); y may be x. Rows are contiguous. */
void att_norm_run(const struct att_norm *norm, size_t m, size_t n, float eps, const float *x, float *y);

#endif
