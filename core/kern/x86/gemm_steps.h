/*
 * The sums of a block as most dtypes take them: one multiply-add an element and
 * step. Two prefetches a step run AHEAD bytes before the weights that are used.
 * The includer defines `weights`, `inputs`, weights_load, inputs_load and
 * multiply_add.
 */
#ifndef ATT_KERN_X86_GEMM_STEPS_H
#define ATT_KERN_X86_GEMM_STEPS_H

enum { STEPS = 1, AHEAD = 4096 };

#include "core/kern/x86/gemm_alike.h"

/* So many rows have a pointer each, in registers. More are addressed from every FAN-th: an address adds
 * 0, 1, 2 or 4 times the stride to a base, and for the row between once or twice to a sum. */
enum { POINTERS = 11, FAN = 5, BASES = (ROWS + FAN - 1) / FAN };

INLINE size_t bases_of(size_t rows)
{
    return (rows + FAN - 1) / FAN;
}

/* Else the compiler makes a pointer a row, more than there are registers. */
INLINE void bases_pin(const size_t bases, const char **base)
{
    UNROLL
    for (size_t b = 0; b < bases; b++)
        __asm__("" : "+r"(base[b]));
}

INLINE void block_sums(const size_t rows, const struct product *p, size_t i, size_t j, const char *next, sums (*acc)[2])
{
    const char *panel = p->packed + j * p->steps * STEP, *first = p->x + i * p->stride + HEADER, *base[BASES];
    const size_t stride = p->stride, steps = p->steps, bases = rows > POINTERS ? bases_of(rows) : 0;
    UNROLL
    for (size_t b = 0; b < bases; b++)
        base[b] = first + b * FAN * stride;
    for (size_t s = 0; s < steps; s++) {
        const weights w0 = weights_load(panel + s * PANEL_STEP), w1 = weights_load(panel + s * PANEL_STEP + VEC * STEP);
        for (size_t line = 0; line < PANEL_STEP; line += LINE)
            _mm_prefetch(panel + AHEAD + s * PANEL_STEP + line, _MM_HINT_T0);
        _mm_prefetch(next + s * LINE, _MM_HINT_T1);
        bases_pin(bases, base);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            const inputs value = inputs_load(bases ? base[r / FAN] + r % FAN * stride : first + r * stride + s * STEP);
            acc[r][0] = multiply_add(acc[r][0], value, w0);
            acc[r][1] = multiply_add(acc[r][1], value, w1);
        }
        UNROLL
        for (size_t b = 0; b < bases; b++)
            base[b] += STEP;
    }
}

#endif
