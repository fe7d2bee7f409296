/* The f32 GEMM row for AVX2: 16 columns a panel, 6 rows a block (12 sums of 16 registers). */
enum { ROWS = 6 };
#include "core/kern/x86/gemm_f32.h"

const struct att_gemm att_gemm_f32_avx2 = {
    .name = "avx2-f32",
    .dtype = ATT_F32,
    .needs = ATT_CPU_AVX2,
    .panel = PANEL,
    .ku = KU,
    .packed_bytes = panels_bytes,
    .panel_bytes = panel_bytes,
    .pack = pack,
    .input_bytes = input_bytes,
    .run = run,
};
