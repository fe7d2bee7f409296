/* The portable rows, and what blas.c shares with the reference. */
#ifndef ATT_KERN_REF_TABLES_H
#define ATT_KERN_REF_TABLES_H

#include "core/kern/attention.h"
#include "core/kern/byte_dots.h"
#include "core/kern/gemm.h"
#include "core/kern/rows.h"

extern const struct att_gemm att_gemm_f32_ref, att_gemm_bf16_ref, att_gemm_int8_ref, att_gemm_blas;
extern const struct att_attention att_attention_f32_ref;
extern const struct att_rows att_rows_ref;
extern const struct att_byte_dots att_byte_dots_ref;

float att_ref_act(float x, enum att_act act);
float att_ref_finish(float value, float gate, size_t i, size_t j, const struct att_gemm_epilogue *e);
size_t att_ref_packed_bytes(size_t n, size_t k);
size_t att_ref_input_bytes(size_t k);
void att_ref_pack(size_t n, size_t k, const float *w, size_t ldw, void *packed);

#endif
