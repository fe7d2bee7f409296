/* The f32 GEMM row for AVX512: 32 columns a panel, 14 rows a block (28 sums of 32 registers). */
enum { ROWS = 14 };
#include "core/kern/x86/gemm_f32.h"

const struct att_gemm att_gemm_f32_avx512 = {
    .name = "avx512-f32",
    .dtype = ATT_F32,
    .needs = ATT_CPU_AVX512,
    .panel = PANEL,
    .ku = KU,
    .packed_bytes = panels_bytes,
    .panel_bytes = panel_bytes,
    .pack = pack,
    .input_bytes = input_bytes,
    .run = run,
};
