/* The bf16 GEMM row for AVX-512 BF16: 32 columns a panel, 14 rows a block (28 sums of 32 registers). */
enum { ROWS = 14 };
#include "core/kern/x86/gemm_bf16.h"

const struct att_gemm att_gemm_bf16_avx512 = {
    .name = "avx512bf16",
    .dtype = ATT_BF16,
    .needs = ATT_CPU_AVX512 | ATT_CPU_AVX512_BF16,
    .panel = PANEL,
    .ku = KU,
    .rounds = true,
    .reads_rounded = true,
    .packed_bytes = panels_bytes,
    .panel_bytes = panel_bytes,
    .pack = pack,
    .input_bytes = input_bytes,
    .convert = convert,
    .run = run,
};
