/*
 * The sums of a block where additions run beside multiplications, as on AMD since
 * Zen 4: two of the four pipes add and would stand idle. Of three words of a row
 * and a column the first two are multiplied by the identity
 *
 *   x0 w0 + x1 w1 = (x0 + w1)(x1 + w0) - x0 x1 - w0 w1
 *
 * (S. Winograd, "A New Algorithm for Inner Product", IEEE Trans. Comput. C-17,
 * 1968) and the third as it is: two additions and two multiplications instead of
 * three multiplications. Σ x0 x1 of a row and Σ w0 w1 of a column are known before
 * and taken off in the epilogue. A word is one f32, or two int16 multiplied lane
 * by lane and added.
 *
 * The includer defines ROWS, FREE_BROADCAST (an operand that is broadcast from
 * memory costs no pipe: Zen 4, where a broadcast into a register costs one; else
 * a word is loaded once for both halves of a panel), `weights`, and of it
 * weights_load, inputs_load, add, multiply_add, add_word and multiply_add_word.
 */
#ifndef ATT_KERN_X86_GEMM_GROUPS_H
#define ATT_KERN_X86_GEMM_GROUPS_H

#include "core/kern/x86/gemm_simd.h"

enum { GROUP = 3 }; /* words: steps */

/* Lanes where a group begins, of the three vectors of words that 16 groups are. */
static const __mmask16 group_begins[GROUP] = {0x9249, 0x4924, 0x2492};

INLINE __mmask16 first_lanes(size_t n)
{
    return tail_mask(n < VEC ? n : VEC);
}

INLINE weights weights_load(const char *p);
/* A word for every column. */
INLINE weights inputs_load(const char *x);
INLINE weights add(weights x, weights w);
INLINE sums multiply_add(sums acc, weights x, weights w);
/* The same with a word of memory. */
INLINE weights add_word(const char *x, weights w);
INLINE sums multiply_add_word(sums acc, const char *x, weights w);

INLINE void group_multiply(const char *x, weights (*w)[2], sums *acc)
{
    if (FREE_BROADCAST) {
        UNROLL
        for (size_t h = 0; h < 2; h++) {
            acc[h] = multiply_add(acc[h], add_word(x, w[1][h]), add_word(x + STEP, w[0][h]));
            acc[h] = multiply_add_word(acc[h], x + 2 * STEP, w[2][h]);
        }
        return;
    }
    const weights x0 = inputs_load(x), x1 = inputs_load(x + STEP), x2 = inputs_load(x + 2 * STEP);
    UNROLL
    for (size_t h = 0; h < 2; h++) {
        acc[h] = multiply_add(acc[h], add(x0, w[1][h]), add(x1, w[0][h]));
        acc[h] = multiply_add(acc[h], x2, w[2][h]);
    }
}

/* acc += the first `count` groups of rows i .. of x · a panel. The next panel comes into the second cache meanwhile. */
INLINE void groups_run(const size_t rows, const struct product *p, size_t i, const char *panel, const char *next,
                       size_t count, sums (*acc)[2])
{
    const char *x[ROWS];
    UNROLL
    for (size_t r = 0; r < rows; r++)
        x[r] = p->x + row_at(p, i + r) * p->stride + HEADER;
    for (size_t step = 0; step < count * GROUP; step += GROUP) {
        weights w[GROUP][2];
        UNROLL
        for (size_t s = 0; s < GROUP; s++) {
            const char *at = panel + (step + s) * PANEL_STEP;
            _mm_prefetch(next + (step + s) * LINE, _MM_HINT_T1);
            w[s][0] = weights_load(at);
            w[s][1] = weights_load(at + VEC * STEP);
        }
        UNROLL
        for (size_t r = 0; r < rows; r++)
            group_multiply(x[r] + step * STEP, w, acc[r]);
    }
}

#endif
