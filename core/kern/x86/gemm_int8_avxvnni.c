/* The int8 GEMM row for AVX-VNNI: 16 columns a panel, 5 rows a block (10 sums; more make gcc spill). */
enum { ROWS = 5 };
#include "core/kern/x86/gemm_int8.h"

const struct att_gemm att_gemm_int8_avxvnni = {
    .name = "avxvnni-int8",
    .dtype = ATT_INT8,
    .needs = ATT_CPU_AVX2 | ATT_CPU_AVX_VNNI,
    .panel = PANEL,
    .ku = KU,
    .packed_bytes = packed_bytes,
    .panel_bytes = panel_bytes,
    .pack = pack,
    .input_bytes = input_bytes,
    .convert = convert,
    .run = run,
};
