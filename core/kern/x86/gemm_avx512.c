/* The f32 GEMM row for AVX-512: 32 columns a panel, 14 rows a block (28 accumulators of 32 registers). */
#include "core/kern/x86/simd.h"

enum { ROWS = 14 };

static void accumulate_rows(size_t rows, size_t k, const float *x, size_t ldx, const float *panel, const float *ahead,
                            float (*out)[2 * VEC]);

#include "core/kern/cpu.h"
#include "core/kern/x86/gemm_simd.h"
#include "core/kern/x86/tables.h"

static void accumulate_rows(size_t rows, size_t k, const float *x, size_t ldx, const float *panel, const float *ahead,
                            float (*out)[2 * VEC])
{
#define CASE(R)                                                                                                        \
    case R:                                                                                                            \
        accumulate(R, k, x, ldx, panel, ahead, out);                                                                   \
        break
    switch (rows) {
        CASE(1);
        CASE(2);
        CASE(3);
        CASE(4);
        CASE(5);
        CASE(6);
        CASE(7);
        CASE(8);
        CASE(9);
        CASE(10);
        CASE(11);
        CASE(12);
        CASE(13);
        CASE(14);
    default:
        assert(0 && "a block has 1 to ROWS rows");
    }
#undef CASE
}

const struct att_gemm att_gemm_avx512 = {
    .name = "avx512-f32",
    .dtype = ATT_F32,
    .needs = ATT_CPU_AVX512,
    .panel = PANEL,
    .ku = 1,
    .packed_bytes = packed_bytes,
    .pack = pack,
    .run = run,
};
