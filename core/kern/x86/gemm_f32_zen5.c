/*
 * The f32 GEMM row for AMD Zen 5: as Zen 4's (gemm_f32_zen4.c), with the same bits. Its pipes take 512 bits a cycle, as
 * many as it loads twice, so that a value is loaded once for both halves of a panel.
 */
enum { ROWS = 10 };
#include "core/kern/x86/gemm_winograd.h"

INLINE void group_multiply(const float *x, vec (*w)[2], sums *acc)
{
    const vec x0 = vec_set(x[0]), x1 = vec_set(x[1]), x2 = vec_set(x[2]);
    UNROLL
    for (size_t h = 0; h < 2; h++) {
        acc[h] = vec_fma(vec_add(x0, w[1][h]), vec_add(x1, w[0][h]), acc[h]);
        acc[h] = vec_fma(x2, w[2][h], acc[h]);
    }
}

const struct att_gemm att_gemm_f32_zen5 = {
    .name = "zen5-f32",
    .dtype = ATT_F32,
    .needs = ATT_CPU_AVX512,
    .suits = ATT_CPU_ZEN5,
    .panel = PANEL,
    .ku = KU,
    .packed_bytes = packed_bytes,
    .pack = pack,
    .input_bytes = input_bytes,
    .run = run,
};
