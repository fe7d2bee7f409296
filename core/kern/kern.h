/*
 * The kernel tables of this process: one chosen row of every family.
 *
 * att_kern_init chooses once, before threads start; after that everything here
 * is read-only. Each family's header says its contract and lists its rows, best
 * first, so that tests can run all rows that the machine supports.
 */
#ifndef ATT_KERN_KERN_H
#define ATT_KERN_KERN_H

#include "core/base/status.h"
#include "core/kern/attention.h"
#include "core/kern/byte_dots.h"
#include "core/kern/gemm.h"
#include "core/kern/rows.h"

struct att_kern {
    uint32_t features;                                      /* enum att_cpu_feature, after the mask */
    const struct att_gemm *gemm[ATT_DTYPE_COUNT];           /* the chosen rows; never NULL after init */
    const struct att_attention *attention[ATT_DTYPE_COUNT]; /* f32 where the CPU has no faster products; int8: bf16's */
    const struct att_rows *rows;
    const struct att_byte_dots *byte_dots;
};

/* Chooses for this CPU less `cpu_mask` (see cpu.h). Idempotent; the first call counts. Not thread safe. */
enum att_status att_kern_init(const char *cpu_mask, struct att_err *err) ATT_MUST_USE;
/* The chosen table; att_kern_init must have succeeded (asserted). */
const struct att_kern *att_kern(void);

#endif
