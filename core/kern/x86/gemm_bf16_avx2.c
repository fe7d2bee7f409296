/* The bf16 GEMM row for AVX2: 16 columns a panel, 4 rows a block (8 sums, 4 widened weights, 2 activations). */
enum { ROWS = 4 };
#include "core/kern/x86/gemm_bf16.h"

const struct att_gemm att_gemm_bf16_avx2 = {
    .name = "avx2-bf16",
    .dtype = ATT_BF16,
    .needs = ATT_CPU_AVX2,
    .panel = PANEL,
    .ku = KU,
    .packed_bytes = panels_bytes,
    .panel_bytes = panel_bytes,
    .pack = pack,
    .input_bytes = input_bytes,
    .convert = convert,
    .run = run,
};
