/* The int8 GEMM row for AVX-512 VNNI: 32 columns a panel, 14 rows a block (28 sums of 32 registers). */
enum { ROWS = 14 };
#include "core/kern/x86/gemm_int8.h"

const struct att_gemm att_gemm_int8_avx512 = {
    .name = "avx512vnni-int8",
    .dtype = ATT_INT8,
    .needs = ATT_CPU_AVX512 | ATT_CPU_AVX512_VNNI,
    .panel = PANEL,
    .ku = KU,
    .packed_bytes = packed_bytes,
    .panel_bytes = panel_bytes,
    .pack = pack,
    .input_bytes = input_bytes,
    .convert = convert,
    .run = run,
};
