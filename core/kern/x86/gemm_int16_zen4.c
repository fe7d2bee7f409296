/* The bf16 GEMM row for AMD Zen 4: 32 columns a panel, 10 rows a block (20 sums, 6 weights of 32 registers). */
enum { ROWS = 10, FREE_BROADCAST = 1 };
#include "core/kern/x86/gemm_int16.h"

const struct att_gemm att_gemm_int16_zen4 = {
    .name = "zen4-int16",
    .dtype = ATT_BF16,
    .needs = ATT_CPU_AVX512 | ATT_CPU_AVX512_VNNI | ATT_CPU_AVX512_BF16,
    .suits = ATT_CPU_ZEN4,
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
