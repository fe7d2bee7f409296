/* The loop over rows; one row's arithmetic is the kernel's. */
#include "core/ops/gate.h"

#include <string.h>

#include "core/kern/kern.h"

void att_gate_run(size_t m, size_t n, enum att_act act, float *x, size_t ldx, float *y, size_t ldy)
{
    const struct att_rows *rows = att_kern()->rows;
    for (size_t i = 0; i < m; i++, x += ldx, y += ldy) {
        rows->activate(n, x, act);
        rows->multiply(n, x + n, x);
        if (y != x)
            memcpy(y, x, n * sizeof *y);
    }
}
