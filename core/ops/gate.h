/* Gated inner layers (Shazeer 2020): y = act(a) · b. */
#ifndef ATT_OPS_GATE_H
#define ATT_OPS_GATE_H

#include <stddef.h>

#include "core/kern/gemm.h" /* enum att_act */

/* x [m][2 * n] holds a|b; y [m][n]. Row strides in floats; y may be x with ldy == ldx. x is changed. */
void att_gate_run(size_t m, size_t n, enum att_act act, float *x, size_t ldx, float *y, size_t ldy);

#endif
