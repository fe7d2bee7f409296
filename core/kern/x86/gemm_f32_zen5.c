/* The f32 GEMM row for AMD Zen 5: 32 columns a panel, 10 rows a block (20 sums, 6 weights of 32 registers). */
enum { ROWS = 10, FREE_BROADCAST = 0 };
#include "core/kern/x86/gemm_f32_groups.h"

const struct att_gemm att_gemm_f32_zen5 = {
    .name = "zen5-f32",
    .dtype = ATT_F32,
    .needs = ATT_CPU_AVX512,
    .suits = ATT_CPU_ZEN5,
    .panel = PANEL,
    .ku = KU,
    .packed_bytes = packed_bytes,
    .panel_bytes = panel_bytes,
    .pack = pack,
    .input_bytes = input_bytes,
    .run = run,
};
