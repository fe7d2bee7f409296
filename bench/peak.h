/* How many multiply-adds a second one core can do, registers alone: what kernels are measured against. */
#ifndef BENCH_PEAK_H
#define BENCH_PEAK_H

#include "core/kern/gemm.h"

/* Operations (two a multiply-add) of one call, with the widest instruction that `features` has for the dtype. */
double bench_peak_run(enum att_dtype dtype, unsigned features);

#endif
