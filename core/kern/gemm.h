/*
 * GEMM family: c[m][n] = epilogue(a[m][k] · w[n][k]ᵀ), weights packed once at load.
 *
 * Weights come as Hugging Face stores a Linear: row-major [n out][k in]. They
 * are packed into panels of `panel` output columns, [n/panel][k/ku][panel][ku],
 * zero-padded; the chosen row defines panel and ku, so layout and kernel cannot
 * disagree. Activations are row-major f32 and never packed.
 *
 * Batch invariance: every c[i][j] is accumulated over k in one order that does
 * not depend on m, on i, or on the caller's split of rows and columns.
 * No row allocates. Thread safe: a packed matrix is read-only.
 *
 * Layout and blocking follow Goto & van de Geijn, "Anatomy of High-Performance
 * Matrix Multiplication" (2008), without packing of the activations.
 */
#ifndef ATT_KERN_GEMM_H
#define ATT_KERN_GEMM_H

#include <stddef.h>
#include <stdint.h>

enum att_dtype { ATT_F32, ATT_BF16, ATT_INT8, ATT_DTYPE_COUNT };

enum att_act {
    ATT_ACT_NONE,
    ATT_ACT_RELU,
    ATT_ACT_GELU, /* exact: x Φ(x), erf form; at most 2e-7 · max(1,|x|) from the true value */
    ATT_ACT_GELU_TANH,
    ATT_ACT_SILU,
    ATT_ACT_TANH,
    ATT_ACT_COUNT
};

/* c = act(sum + bias) + residual, in that order. */
struct att_gemm_epilogue {
    const float *bias; /* [n] or NULL */
    enum att_act act;
    const float *residual; /* [m][n] with stride ldr, or NULL; may alias c when ldr == ldc */
    size_t ldr;
};

struct att_gemm {
    const char *name; /* "avx512-f32", shown in /v1/models and --version */
    enum att_dtype dtype;
    uint32_t needs;   /* enum att_cpu_feature */
    size_t panel, ku; /* columns of a panel; k is rounded up to ku */
    /* Bytes of a packed [n][k] matrix; 0 when the size overflows. */
    size_t (*packed_bytes)(size_t n, size_t k);
    /* Packs w[n][k] (row stride ldw floats) into `packed`, aligned to 64 bytes. */
    void (*pack)(size_t n, size_t k, const float *w, size_t ldw, void *packed);
    /* m, n, k >= 1; strides in floats, lda >= k, ldc >= n. `packed` as packed for (n, k).
     * c must not alias a. Reads no byte outside a[m][k] (row ends included) and the packed block. */
    void (*run)(size_t m, size_t n, size_t k, const float *a, size_t lda, const void *packed, float *c, size_t ldc,
                const struct att_gemm_epilogue *epilogue);
};

/* All rows compiled in, best first; the last is the plain C reference. */
const struct att_gemm *const *att_gemm_rows(size_t *ret_count);
/* The first row of this dtype that `features` can run and that keeps batch invariance. */
const struct att_gemm *att_gemm_choose(enum att_dtype dtype, uint32_t features);

#endif
