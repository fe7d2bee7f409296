/* The int8 GEMM row for AVX-512 VNNI and BF16: the same sums, and an epilogue that rounds. */
enum { ROWS = 14 };
#include "core/kern/x86/gemm_int8.h"

const struct att_gemm att_gemm_int8_avx512bf16 = {
    .name = "avx512vnni+bf16-int8",
    .dtype = ATT_INT8,
    .needs = ATT_CPU_AVX512 | ATT_CPU_AVX512_VNNI | ATT_CPU_AVX512_BF16,
    .panel = PANEL,
    .ku = KU,
    .rounds = true,
    .packed_bytes = packed_bytes,
    .panel_bytes = panel_bytes,
    .pack = pack,
    .input_bytes = input_bytes,
    .convert = convert,
    .run = run,
};
