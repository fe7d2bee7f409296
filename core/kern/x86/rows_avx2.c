/* The row operations for AVX2 with FMA. */
#include "core/kern/x86/rows_simd.h"

const struct att_rows att_rows_avx2 = {
    .name = "avx2",
    .needs = ATT_CPU_AVX2,
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
