/*
 * Loops of independent multiply-adds. Inline assembly, so that no compiler moves
 * or merges them: fourteen chains hide a latency of six cycles at two a cycle.
 */
#include "bench/peak.h"

#include "core/kern/cpu.h"

enum { ROUNDS = 20000, CHAINS = 14 };

#define CHAINS_OF(OP, REG)                                                                                             \
    OP REG "0\n" OP REG "1\n" OP REG "2\n" OP REG "3\n" OP REG "4\n" OP REG "5\n" OP REG "6\n" OP REG "7\n" OP REG     \
           "8\n" OP REG "9\n" OP REG "10\n" OP REG "11\n" OP REG "12\n" OP REG "13\n"
#define CLOBBERS                                                                                                       \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",         \
        "xmm13", "xmm14", "xmm15"
#define LOOP(OP, REG)                                                                                                  \
    do {                                                                                                               \
        for (int i = 0; i < ROUNDS; i++)                                                                               \
            __asm__ volatile(CHAINS_OF(OP, REG)::: CLOBBERS);                                                          \
    } while (0)

static double operations(double lanes)
{
    return 2.0 * lanes * ROUNDS * CHAINS;
}

double bench_peak_run(enum att_dtype dtype, unsigned features)
{
    __asm__ volatile("vzeroall" ::: CLOBBERS);
    if (dtype == ATT_BF16 && (features & ATT_CPU_AVX512_BF16)) {
        LOOP("vdpbf16ps %%zmm15, %%zmm14, ", "%%zmm");
        return operations(32);
    }
    if (dtype == ATT_INT8 && (features & ATT_CPU_AVX512_VNNI)) {
        LOOP("vpdpbusd %%zmm15, %%zmm14, ", "%%zmm");
        return operations(64);
    }
    if (dtype == ATT_INT8 && (features & ATT_CPU_AVX_VNNI)) {
        LOOP("%{vex%} vpdpbusd %%ymm15, %%ymm14, ", "%%ymm");
        return operations(32);
    }
    if (features & ATT_CPU_AVX512) {
        LOOP("vfmadd231ps %%zmm15, %%zmm14, ", "%%zmm");
        return operations(16);
    }
    if (features & ATT_CPU_AVX2) {
        LOOP("vfmadd231ps %%ymm15, %%ymm14, ", "%%ymm");
        return operations(8);
    }
    volatile float x = 1;
    for (int i = 0; i < ROUNDS; i++)
        x = x * 0.5f + 1;
    return 2.0 * ROUNDS;
}
