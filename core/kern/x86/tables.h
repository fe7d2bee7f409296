/* The rows that the instruction-set libraries define; lists.c names them in order. */
#ifndef ATT_KERN_X86_TABLES_H
#define ATT_KERN_X86_TABLES_H

#include "core/kern/attention.h"
#include "core/kern/byte_dots.h"
#include "core/kern/gemm.h"
#include "core/kern/rows.h"

extern const struct att_gemm att_gemm_f32_zen5, att_gemm_f32_zen4, att_gemm_f32_avx512, att_gemm_f32_avx2;
extern const struct att_gemm att_gemm_int16_zen5, att_gemm_int16_zen4;
extern const struct att_gemm att_gemm_bf16_avx512, att_gemm_bf16_avx2;
extern const struct att_gemm att_gemm_int8_avx512bf16, att_gemm_int8_avx512, att_gemm_int8_avxvnni, att_gemm_int8_avx2;
extern const struct att_attention att_attention_f32_avx512, att_attention_f32_avx2, att_attention_bf16_avx512;
extern const struct att_rows att_rows_avx512, att_rows_avx2;
extern const struct att_byte_dots att_byte_dots_avx512, att_byte_dots_avx2;

#endif
