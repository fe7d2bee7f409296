/*
 * The f32 GEMM driver of the vector rows, compiled for each instruction set:
 * panels of PANEL = 2 · VEC columns, blocks of up to ROWS rows, accumulators in
 * registers (ROWS · 2, plus two of w and one of x).
 *
 *   for every panel                  w stays in L1 or L2
 *     for every block of rows        x is read row-major, by broadcast
 *       for p in 0..k                acc[r][0..1] += x[r][p] · w[p][0..1]
 *       bias, activation, residual   on the block while it is in L1
 *
 * While the first block of a panel runs, the next panel is prefetched two lines
 * a step, so that weights that come from L3 or memory are there in time. Every
 * element is one chain of FMAs over p in order, whatever its block: this is
 * what makes results independent of the batch.
 */
#ifndef ATT_KERN_X86_GEMM_SIMD_H
#define ATT_KERN_X86_GEMM_SIMD_H

#include <assert.h>

#include "core/base/mem.h"
#include "core/kern/x86/simd.h"

enum { PANEL = 2 * VEC };

static size_t packed_bytes(size_t n, size_t k)
{
    size_t columns, bytes;
    if (!att_size_add(n, PANEL - 1, &columns) || !att_size_mul(columns / PANEL * PANEL, k, &bytes) ||
        !att_size_mul(bytes, sizeof(float), &bytes))
        return 0;
    return bytes;
}

static void pack(size_t n, size_t k, const float *w, size_t ldw, void *packed)
{
    float *out = packed;
    for (size_t j = 0; j < n; j += PANEL)
        for (size_t p = 0; p < k; p++)
            for (size_t c = 0; c < PANEL; c++)
                *out++ = j + c < n ? w[(j + c) * ldw + p] : 0;
}

/* acc = x[rows][k] · panel; `ahead` is prefetched on the way. rows is a constant at every call. */
INLINE void accumulate(const size_t rows, size_t k, const float *x, size_t ldx, const float *panel, const float *ahead,
                       float (*out)[PANEL])
{
    vec acc[ROWS][2];
    for (size_t r = 0; r < rows; r++)
        acc[r][0] = acc[r][1] = vec_zero();
    for (size_t p = 0; p < k; p++) {
        const vec w0 = vec_load(panel + p * PANEL), w1 = vec_load(panel + p * PANEL + VEC);
        _mm_prefetch((const char *)(ahead + p * PANEL), _MM_HINT_T0);
        _mm_prefetch((const char *)(ahead + p * PANEL + PANEL / 2), _MM_HINT_T0);
#pragma GCC unroll 16
        for (size_t r = 0; r < rows; r++) {
            const vec value = vec_set(x[r * ldx + p]);
            acc[r][0] = vec_fma(value, w0, acc[r][0]);
            acc[r][1] = vec_fma(value, w1, acc[r][1]);
        }
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++) {
        vec_store(out[r], acc[r][0]);
        vec_store(out[r] + VEC, acc[r][1]);
    }
}

/* out → c with bias, activation and residual; columns <= PANEL. */
static void finish(size_t rows, size_t columns, float (*out)[PANEL], size_t column, float *c, size_t ldc,
                   const struct att_gemm_epilogue *e)
{
    for (size_t h = 0; h < columns; h += VEC) {
        const size_t n = columns - h < VEC ? columns - h : VEC;
        const vec bias = e->bias ? vec_load_tail(e->bias + column + h, n) : vec_zero();
        for (size_t r = 0; r < rows; r++) {
            vec y = vec_act(vec_add(vec_load(out[r] + h), bias), e->act);
            if (e->residual)
                y = vec_add(y, vec_load_tail(e->residual + r * e->ldr + column + h, n));
            vec_store_tail(c + r * ldc + column + h, y, n);
        }
    }
}

static void run(size_t m, size_t n, size_t k, const float *a, size_t lda, const void *packed, float *c, size_t ldc,
                const struct att_gemm_epilogue *epilogue)
{
    assert(m > 0 && n > 0 && k > 0);
    const float *w = packed;
    for (size_t j = 0; j < n; j += PANEL) {
        const float *panel = w + j * k;
        const float *ahead = j + PANEL < n ? panel + PANEL * k : w;
        const size_t columns = n - j < PANEL ? n - j : PANEL;
        for (size_t i = 0; i < m;) {
            const size_t left = m - i, blocks = (left + ROWS - 1) / ROWS;
            const size_t rows = (left + blocks - 1) / blocks; /* blocks of nearly equal height */
            float out[ROWS][PANEL] __attribute__((aligned(64)));
            struct att_gemm_epilogue part = *epilogue;
            accumulate_rows(rows, k, a + i * lda, lda, panel, i == 0 ? ahead : panel, out);
            if (part.residual)
                part.residual += i * part.ldr;
            finish(rows, columns, out, j, c + i * ldc, ldc, &part);
            i += rows;
        }
    }
}

#endif
