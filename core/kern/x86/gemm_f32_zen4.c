/*
 * The f32 GEMM row for AMD Zen 4: 32 columns a panel, 10 rows a block (20 sums, 6 weights of 32 registers). A vector of
 * 512 bits passes a pipe in two cycles; two of the four pipes add. A value that is broadcast as an operand costs none of
 * them, a broadcast into a register costs one its turn.
 */
enum { ROWS = 10 };
#include "core/kern/x86/gemm_winograd.h"

/* gcc 12 takes what is broadcast twice into a register. */
INLINE vec add_broadcast(vec w, const float *x)
{
    vec sum;
    __asm__("vaddps %2%{1to16%}, %1, %0" : "=v"(sum) : "v"(w), "m"(*x));
    return sum;
}

INLINE vec multiply_broadcast(vec acc, vec w, const float *x)
{
    __asm__("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(w), "m"(*x));
    return acc;
}

INLINE void group_multiply(const float *x, vec (*w)[2], sums *acc)
{
    UNROLL
    for (size_t h = 0; h < 2; h++) {
        acc[h] = vec_fma(add_broadcast(w[1][h], x), add_broadcast(w[0][h], x + 1), acc[h]);
        acc[h] = multiply_broadcast(acc[h], w[2][h], x + 2);
    }
}

const struct att_gemm att_gemm_f32_zen4 = {
    .name = "zen4-f32",
    .dtype = ATT_F32,
    .needs = ATT_CPU_AVX512,
    .suits = ATT_CPU_ZEN4,
    .panel = PANEL,
    .ku = KU,
    .packed_bytes = packed_bytes,
    .pack = pack,
    .input_bytes = input_bytes,
    .run = run,
};
