/*
 * The GEMM row over OpenBLAS: the fallback where no kernel of ours fits the
 * CPU, and an oracle for tests. OpenBLAS chooses other kernels for other
 * numbers of rows, which changes the order of sums; one row a call keeps a
 * row's result independent of the batch, at the price of its speed.
 */
#include <assert.h>
#include <cblas.h>

#include "core/kern/ref/tables.h"

/* Of one call: the order of OpenBLAS's sums depends on their number too, so a team's parts begin at multiples of it. */
enum { COLUMNS = 256 };

static void sum_columns(size_t count, size_t k, const float *w, const float *x, const float *bias, float sums[COLUMNS])
{
    cblas_sgemv(CblasRowMajor, CblasNoTrans, (blasint)count, (blasint)k, 1, w, (blasint)k, x, 1, 0, sums, 1);
    for (size_t j = 0; bias && j < count; j++)
        sums[j] += bias[j];
}

static void run(size_t m, size_t n, size_t k, const void *x, size_t stride, const void *packed, float *c, size_t ldc,
                const struct att_gemm_epilogue *e, struct att_gemm_columns columns)
{
    assert(m > 0 && n > 0 && k > 0 && columns.end <= n);
    float sums[COLUMNS], gates[COLUMNS] = {0};
    const float *w = packed, *gate = e->gate;
    for (size_t i = 0; i < m; i++)
        for (size_t j = columns.begin; j < columns.end; j += COLUMNS) {
            const float *a = (const float *)(const void *)((const char *)x + i * stride);
            const size_t count = columns.end - j < COLUMNS ? columns.end - j : COLUMNS;
            sum_columns(count, k, w + j * k, a, e->bias ? e->bias + j : NULL, sums);
            if (gate)
                sum_columns(count, k, gate + j * k, a, e->gate_bias ? e->gate_bias + j : NULL, gates);
            for (size_t q = 0; q < count; q++)
                c[i * ldc + j + q] = att_ref_finish(sums[q], gates[q], i, j + q, e);
        }
}

const struct att_gemm att_gemm_blas = {
    .name = "openblas-f32",
    .dtype = ATT_F32,
    .panel = COLUMNS,
    .ku = 1,
    .packed_bytes = att_ref_packed_bytes,
    .pack = att_ref_pack,
    .input_bytes = att_ref_input_bytes,
    .run = run,
};
