/* The rows that the instruction-set libraries define; the lists in gemm.c, attention.c and rows.c name them. */
#ifndef ATT_KERN_X86_TABLES_H
#define ATT_KERN_X86_TABLES_H

#include "core/kern/attention.h"
#include "core/kern/gemm.h"
#include "core/kern/rows.h"

extern const struct att_gemm att_gemm_avx512, att_gemm_avx2;
extern const struct att_attention att_attention_avx512, att_attention_avx2;
extern const struct att_rows att_rows_avx512, att_rows_avx2;

#endif
