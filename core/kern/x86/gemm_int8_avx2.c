/* The int8 GEMM row for AVX2: 16 columns a panel, 4 rows a block (8 sums; more make gcc spill). */
enum { ROWS = 4 };
#include "core/kern/x86/gemm_int8.h"

const struct att_gemm att_gemm_int8_avx2 = {
    .name = "avx2-int8",
    .dtype = ATT_INT8,
    .needs = ATT_CPU_AVX2,
    .panel = PANEL,
    .ku = KU,
    .packed_bytes = packed_bytes,
    .panel_bytes = panel_bytes,
    .pack = pack,
    .input_bytes = input_bytes,
    .convert = convert,
    .run = run,
};
