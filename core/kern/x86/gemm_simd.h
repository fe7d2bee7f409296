/*
 * The GEMM driver of the vector rows, compiled for each dtype and instruction
 * set: panels of PANEL = 2 · VEC columns, blocks of up to ROWS rows, all sums of
 * a block in registers.
 *
 *   for every panel                  w stays in L1 or L2
 *     for every block of rows        x is read row-major, by broadcast
 *       for every step of KU k's     sums[r][0..1] += x[r][step] · w[step][0..1]
 *       dequantise, bias, residual   in registers
 *       activation, gate             on the block while it is in L1; a gate's block comes before it
 *
 * A step is 32 bits of every row and column: one f32, two bf16 or int16, four
 * int8 (or two of them widened), so that one driver serves all. Panels lie end to
 * end; the next one is fetched into the second cache while the first two blocks of
 * this one run, so that weights from L3 or memory are there in time. After the last
 * panel the caller says what is wanted next, or it is what stands behind: weights
 * are packed in the order of their use (base/pages.h). The sum of an element runs
 * over k in one order, whatever its block: this is what makes results independent
 * of the batch.
 *
 * The includer defines ROWS, KU, STEPS, HEADER, `sums`, `struct columns`, what is
 * to be known of ROWS_KNOWN rows before they are multiplied (`struct facts`; none:
 * gemm_alike.h), and the functions that are declared below: gemm_f32.h,
 * gemm_bf16.h and gemm_int8.h with gemm_steps.h, gemm_f32_groups.h and
 * gemm_int16.h with gemm_groups.h.
 */
#ifndef ATT_KERN_X86_GEMM_SIMD_H
#define ATT_KERN_X86_GEMM_SIMD_H

#include <assert.h>

#include "core/base/mem.h"
#include "core/kern/cpu.h"
#include "core/kern/x86/bf16.h"
#include "core/kern/x86/simd.h"
#include "core/kern/x86/tables.h"

enum { PANEL = 2 * VEC, STEP = 4, PANEL_STEP = PANEL * STEP, LINE = 64 };
/* Padded to whole groups of STEPS. */
static size_t steps_of(size_t k)
{
    return (k + KU * STEPS - 1) / (KU * STEPS) * STEPS;
}

static size_t padded_columns(size_t n)
{
    return (n + PANEL - 1) / PANEL * PANEL;
}

static size_t panel_bytes(size_t k)
{
    return steps_of(k) * PANEL_STEP;
}

/* Bytes of all panels, what stands behind them not counted; 0 on overflow. */
static size_t panels_bytes(size_t n, size_t k)
{
    size_t bytes;
    if (n > SIZE_MAX / 2 || k > ATT_GEMM_K_MAX || !att_size_mul(padded_columns(n), steps_of(k) * STEP, &bytes))
        return 0;
    return bytes;
}

/* The same and a_column bytes for every column behind them. */
INLINE size_t panels_bytes_with(size_t n, size_t k, size_t a_column)
{
    const size_t panels = panels_bytes(n, k);
    size_t bytes;
    return panels && att_size_mul(padded_columns(n), a_column, &bytes) && att_size_add(panels, bytes, &bytes) ? bytes
                                                                                                              : 0;
}

struct product {
    size_t n, k, steps, stride;
    const char *x, *packed;
    size_t tail; /* bytes of the panels: what stands behind them */
    const float *bias;
    float *c;
    size_t ldc;
    const struct att_gemm_epilogue *epilogue;
    const struct facts *facts; /* about the rows that run_rows takes */
};

/* Of the includer: */
INLINE sums sums_zero(void);
/* acc += rows i .. of x · the panel of column j. */
INLINE void block_sums(size_t rows, const struct product *p, size_t i, size_t j, const char *next, sums (*acc)[2]);
INLINE struct columns columns_load(const struct product *p, size_t j, size_t h);
/* The sum of row i with its bias. */
INLINE vec columns_value(sums acc, const struct product *p, size_t i, const struct columns *columns);
INLINE vec activation(vec x, enum att_act act);
INLINE void facts_read(const struct product *p, size_t begin, size_t end, struct facts *facts);
/* Rows may be taken in another order: which one is the i-th; and how many from there on a block of column j may take.
 */
INLINE size_t row_at(const struct product *p, size_t i);
INLINE size_t rows_alike(const struct product *p, size_t i, size_t end, size_t j);

/* Sums of `rows` rows from the i-th on with the panel of column j, finished up to the activation: straight into c, or
 * into `out` when something is left to do. rows is a constant at every call. */
INLINE void block(const size_t rows, const struct product *p, size_t i, size_t j, const char *next, float (*out)[PANEL])
{
    sums acc[ROWS][2];
    UNROLL
    for (size_t r = 0; r < rows; r++)
        acc[r][0] = acc[r][1] = sums_zero();
    block_sums(rows, p, i, j, next, acc);
    const struct columns left = columns_load(p, j, 0), right = columns_load(p, j, VEC);
    const float *residual = out || !p->epilogue->residual ? NULL : p->epilogue->residual + j;
    uint16_t *rounded = out || !ROUNDS || !p->epilogue->rounded ? NULL : p->epilogue->rounded + j;
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        const size_t row = row_at(p, i + r);
        float *c = out ? out[r] : rounded ? NULL : p->c + row * p->ldc + j;
        vec y0 = columns_value(acc[r][0], p, row, &left);
        vec y1 = columns_value(acc[r][1], p, row, &right);
        if (residual) {
            y0 = vec_add(y0, vec_load(residual + row * p->epilogue->ldr));
            y1 = vec_add(y1, vec_load(residual + row * p->epilogue->ldr + VEC));
        }
        if (rounded) {
            rounded_store(rounded + row * p->epilogue->ldb, y0, VEC);
            rounded_store(rounded + row * p->epilogue->ldb + VEC, y1, VEC);
        } else {
            vec_store(c, y0);
            vec_store(c + VEC, y1);
        }
    }
}

static void block_rows(size_t rows, const struct product *p, size_t i, size_t j, const char *next, float (*out)[PANEL]);

/* What a block has: its sums with their bias, and of a gated layer the gate's, else NULL. */
struct tile {
    size_t rows, columns; /* columns <= PANEL */
    float (*out)[PANEL], (*gate)[PANEL];
};

INLINE vec activated(const enum att_act act, const struct tile *tile, size_t r, size_t h)
{
    const vec y = vec_load(tile->out[r] + h);
    return tile->gate ? vec_mul(activation(vec_load(tile->gate[r] + h), act), y) : activation(y, act);
}

/* The tile → c with activation and residual. */
INLINE void finish(const enum att_act act, const struct tile *tile, const struct product *p, size_t i, size_t j)
{
    const struct att_gemm_epilogue *e = p->epilogue;
    for (size_t r = 0; r < tile->rows; r++) {
        const size_t row = row_at(p, i + r);
        const float *residual = e->residual ? e->residual + row * e->ldr + j : NULL;
        float *c = p->c + row * p->ldc + j;
        for (size_t h = 0; h < tile->columns; h += VEC) {
            vec y = activated(act, tile, r, h);
            const size_t n = tile->columns - h;
            if (n >= VEC) {
                y = residual ? vec_add(y, vec_load(residual + h)) : y;
                vec_store(c + h, y);
            } else {
                y = residual ? vec_add(y, vec_load_tail(residual + h, n)) : y;
                vec_store_tail(c + h, y, n);
            }
        }
    }
}

/* The same, rounded. */
INLINE void finish_rounded(const enum att_act act, const struct tile *tile, const struct product *p, size_t i, size_t j)
{
    for (size_t r = 0; r < tile->rows; r++) {
        uint16_t *y = p->epilogue->rounded + row_at(p, i + r) * p->epilogue->ldb + j;
        for (size_t h = 0; h < tile->columns; h += VEC)
            rounded_store(y + h, activated(act, tile, r, h), tile->columns - h);
    }
}

static void finish_tile(const struct product *p, size_t i, size_t j, const struct tile *tile)
{
    const struct att_gemm_epilogue *e = p->epilogue;
    switch (e->act) {
#define CASE(ACT)                                                                                                      \
    case ACT:                                                                                                          \
        if (ROUNDS && e->rounded)                                                                                      \
            finish_rounded(ACT, tile, p, i, j);                                                                        \
        else                                                                                                           \
            finish(ACT, tile, p, i, j);                                                                                \
        break
        CASE(ATT_ACT_NONE);
        CASE(ATT_ACT_RELU);
        CASE(ATT_ACT_GELU);
        CASE(ATT_ACT_GELU_TANH);
        CASE(ATT_ACT_SILU);
        CASE(ATT_ACT_TANH);
#undef CASE
    default:
        assert(0 && "an activation of the table");
    }
}

/* Rows begin to end, of which p->facts knows. */
static void run_rows(const struct product *p, size_t begin, size_t end, struct att_gemm_columns columns)
{
    const struct att_gemm_epilogue *epilogue = p->epilogue;
    struct product gate = *p;
    gate.packed = epilogue->gate;
    gate.bias = epilogue->gate_bias;
    for (size_t j = columns.begin; j < columns.end; j += PANEL) {
        const size_t panel = j * p->steps * STEP;
        const bool hint = columns.next && columns.end - j <= PANEL;
        const char *here = p->packed + panel, *ahead = hint ? columns.next : here + p->steps * PANEL_STEP;
        const bool direct = p->n - j >= PANEL && epilogue->act == ATT_ACT_NONE && !epilogue->gate;
        for (size_t i = begin, nth = 0; i < end; nth++) {
            /* A half of the next panel; then lines that are there. */
            const char *next = nth < 2 ? ahead + nth * p->steps * LINE : here;
            const size_t left = rows_alike(p, i, end, j), blocks = (left + ROWS - 1) / ROWS;
            const size_t rows = (left + blocks - 1) / blocks; /* blocks of nearly equal height */
            float out[2][ROWS][PANEL] __attribute__((aligned(64)));
            const struct tile tile = {rows, p->n - j < PANEL ? p->n - j : PANEL, out[0],
                                      epilogue->gate ? out[1] : NULL};
            if (epilogue->gate)
                block_rows(rows, &gate, i, j, hint ? next : gate.packed + (next - p->packed), tile.gate);
            block_rows(rows, p, i, j, next, direct ? NULL : tile.out);
            if (!direct)
                finish_tile(p, i, j, &tile);
            i += rows;
        }
    }
}

static void run(size_t m, size_t n, size_t k, const void *x, size_t stride, const void *packed, float *c, size_t ldc,
                const struct att_gemm_epilogue *epilogue, struct att_gemm_columns columns)
{
    assert(m > 0 && n > 0 && k > 0 && columns.begin % PANEL == 0 && columns.end <= n);
    assert(!epilogue->rounded || (ROUNDS && !epilogue->residual));
    struct facts facts;
    const struct product p = {.n = n,
                              .k = k,
                              .steps = steps_of(k),
                              .stride = stride,
                              .x = x,
                              .packed = packed,
                              .tail = panels_bytes(n, k),
                              .bias = epilogue->bias,
                              .c = c,
                              .ldc = ldc,
                              .epilogue = epilogue,
                              .facts = &facts};
    for (size_t begin = 0, end; begin < m; begin = end) {
        end = m - begin < ROWS_KNOWN ? m : begin + ROWS_KNOWN;
        facts_read(&p, begin, end, &facts);
        run_rows(&p, begin, end, columns);
    }
}

#define CASE_ROWS(R)                                                                                                   \
    case R:                                                                                                            \
        if (R <= ROWS)                                                                                                 \
            block(R <= ROWS ? R : 1, p, i, j, next, out);                                                              \
        break

static void block_rows(size_t rows, const struct product *p, size_t i, size_t j, const char *next, float (*out)[PANEL])
{
    switch (rows) {
        CASE_ROWS(1);
        CASE_ROWS(2);
        CASE_ROWS(3);
        CASE_ROWS(4);
        CASE_ROWS(5);
        CASE_ROWS(6);
        CASE_ROWS(7);
        CASE_ROWS(8);
        CASE_ROWS(9);
        CASE_ROWS(10);
        CASE_ROWS(11);
        CASE_ROWS(12);
        CASE_ROWS(13);
        CASE_ROWS(14);
    default:
        assert(0 && "a block has 1 to ROWS rows");
    }
}

/* The bias of columns j + h ..; behind the last column zeros. */
INLINE vec bias_load(const struct product *p, size_t j, size_t h)
{
    if (!p->bias || j + h >= p->n)
        return vec_zero();
    return p->n - j - h >= VEC ? vec_load(p->bias + j + h) : vec_load_tail(p->bias + j + h, p->n - j - h);
}

#endif
