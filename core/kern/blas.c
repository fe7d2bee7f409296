/*
 * The GEMM row over OpenBLAS: the fallback where no kernel of ours fits the
 * CPU, and an oracle for tests. OpenBLAS chooses other kernels for other
 * numbers of rows, which changes the order of sums; one row a call keeps a
 * row's result independent of the batch, at the price of its speed.
 */
#include <assert.h>
#include <cblas.h>

#include "core/kern/ref/tables.h"

static void run(size_t m, size_t n, size_t k, const float *a, size_t lda, const void *packed, float *c, size_t ldc,
                const struct att_gemm_epilogue *e)
{
    assert(m > 0 && n > 0 && k > 0);
    enum { COLUMNS = 256 };
    float sums[COLUMNS];
    const float *w = packed;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j += COLUMNS) {
            size_t columns = n - j < COLUMNS ? n - j : COLUMNS;
            cblas_sgemv(CblasRowMajor, CblasNoTrans, (blasint)columns, (blasint)k, 1, w + j * k, (blasint)k,
                        a + i * lda, 1, 0, sums, 1);
            for (size_t q = 0; q < columns; q++) {
                float y = att_ref_act(sums[q] + (e->bias ? e->bias[j + q] : 0), e->act);
                c[i * ldc + j + q] = e->residual ? y + e->residual[i * e->ldr + j + q] : y;
            }
        }
}

const struct att_gemm att_gemm_blas = {
    .name = "openblas-f32",
    .dtype = ATT_F32,
    .panel = 1,
    .ku = 1,
    .packed_bytes = att_ref_packed_bytes,
    .pack = att_ref_pack,
    .run = run,
};
