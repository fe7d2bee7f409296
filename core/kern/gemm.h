/*
 * GEMM family: c[m][n] = epilogue(x[m][k] · w[n][k]ᵀ), weights packed once at load.
 *
 * Weights come as Hugging Face stores a Linear: row-major f32 [n out][k in]. A
 * row of this family packs them, in its dtype, into panels of `panel` output
 * columns, [n/panel][k/ku][panel][ku], padded (k further, where a row wants it);
 * the row defines panel and ku, so layout and kernel cannot disagree.
 * Activations are row-major:
 *
 *   f32    read as they are
 *   bf16   rounded to bfloat16 (nearest even, denormals to zero) by `convert`;
 *          sums in f32. Or, in rows named int16, every row of x and of w to
 *          integers of 14 bits by its largest magnitude or its norm; sums are
 *          exact
 *   int8   every row of x to 0..255 by its own least and largest value, every
 *          row of w to -127..127 by its largest magnitude; sums are exact
 *          integers, so that all int8 rows give the same sums
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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum att_dtype { ATT_F32, ATT_BF16, ATT_INT8, ATT_DTYPE_COUNT };

/* "f32", "bf16", "int8". */
const char *att_dtype_name(enum att_dtype dtype);

enum att_act {
    ATT_ACT_NONE,
    ATT_ACT_RELU,
    ATT_ACT_GELU, /* exact: x Φ(x), erf form; at most 2e-7 · max(1,|x|) from the true value, 3e-6 behind products of
                     bf16 and int8 */
    ATT_ACT_GELU_TANH,
    ATT_ACT_SILU,
    ATT_ACT_TANH,
    ATT_ACT_COUNT
};

enum { ATT_GEMM_K_MAX = 1 << 16 }; /* int8 sums of so many products fit 32 bits */

/* c = act(sum + bias) + residual, in that order; with a gate act(gate's sum + gate_bias) · (sum + bias) + residual. */
struct att_gemm_epilogue {
    const float *bias; /* [n] or NULL */
    enum att_act act;
    const void *gate;       /* of a gated layer (Shazeer 2020), [n][k] packed as w is; or NULL */
    const float *gate_bias; /* [n] or NULL */
    const float *residual;  /* [m][n] with stride ldr, or NULL; may alias c when ldr == ldc */
    size_t ldr;
    /* Where a row `rounds`: instead of c, its values as bfloat16, [m] rows of stride ldb, and behind an odd n a zero,
     * so that ldb >= n rounded up to 2; then no residual. NULL: c. */
    uint16_t *rounded;
    size_t ldb;
};

/* Columns begin..end of a product; begin is a multiple of the row's panel. */
struct att_gemm_columns {
    size_t begin, end;
    /* Packed weights that this thread wants behind these: fetched, not read. NULL: those that stand there. */
    const void *next;
};

struct att_gemm {
    const char *name; /* "avx512-f32", shown in /v1/models and --version */
    enum att_dtype dtype;
    uint32_t needs;     /* enum att_cpu_feature */
    uint32_t suits;     /* what else a CPU must be for this row to be chosen there, which it is not needed for; or 0 */
    size_t panel, ku;   /* columns of a panel; k is rounded up to ku */
    bool rounds;        /* its epilogue can, see there */
    bool reads_rounded; /* its converted rows are those that such an epilogue writes, input_bytes(k) apart */
    /* Bytes of a packed [n][k] matrix; 0 when the size overflows or k is above ATT_GEMM_K_MAX. */
    size_t (*packed_bytes)(size_t n, size_t k);
    /* Bytes from one panel to the next, of k values a column; NULL in rows that fetch nothing ahead. */
    size_t (*panel_bytes)(size_t k);
    /* Packs w[n][k] (row stride ldw floats) into `packed`, aligned to 64 bytes. */
    void (*pack)(size_t n, size_t k, const float *w, size_t ldw, void *packed);
    /* Bytes of one converted row of activations, a multiple of 64; 0: rows of f32 are read as they are. */
    size_t (*input_bytes)(size_t k);
    /* x[m][k] (row stride ldx floats) into m rows of input_bytes(k), aligned to 64. NULL where input_bytes gives 0. */
    void (*convert)(size_t m, size_t k, const float *x, size_t ldx, void *input);
    /* m, n, k >= 1. x: rows `stride` bytes apart, converted or f32. ldc in floats, >= n. `packed` as packed for (n, k).
     * Writes `columns` alone. c must not alias x. Reads no byte outside the rows of x (row ends included) and the
     * packed block. */
    void (*run)(size_t m, size_t n, size_t k, const void *x, size_t stride, const void *packed, float *c, size_t ldc,
                const struct att_gemm_epilogue *epilogue, struct att_gemm_columns columns);
};

/* All rows compiled in, best first of each dtype; the last of each is the plain C reference. */
const struct att_gemm *const *att_gemm_rows(size_t *ret_count);
/* The first row of this dtype that `features` can run and suit. */
const struct att_gemm *att_gemm_choose(enum att_dtype dtype, uint32_t features);

#endif
