/* The families' lists of rows, best first, and the choice from them. */
#include <assert.h>
#include <stddef.h>

#include "core/kern/kern.h"
#include "core/kern/ref/tables.h"
#if defined(__x86_64__)
#include "core/kern/x86/tables.h"
#endif

static const struct att_gemm *const gemm_rows[] = {
#if defined(__x86_64__)
    &att_gemm_f32_zen5,
    &att_gemm_f32_zen4,
    &att_gemm_f32_avx512,
    &att_gemm_f32_avx2,
#endif
    &att_gemm_blas,
    &att_gemm_f32_ref,
#if defined(__x86_64__)
    &att_gemm_int16_zen5,
    &att_gemm_int16_zen4,
    &att_gemm_bf16_avx512,
    &att_gemm_bf16_avx2,
#endif
    &att_gemm_bf16_ref,
#if defined(__x86_64__)
    &att_gemm_int8_avx512bf16,
    &att_gemm_int8_avx512,
    &att_gemm_int8_avxvnni,
    &att_gemm_int8_avx2,
#endif
    &att_gemm_int8_ref,
};

static const struct att_attention *const attention_rows[] = {
#if defined(__x86_64__)
    &att_attention_bf16_avx512,
    &att_attention_f32_avx512,
    &att_attention_f32_avx2,
#endif
    &att_attention_f32_ref,
};

static const struct att_rows *const rows_rows[] = {
#if defined(__x86_64__)
    &att_rows_avx512,
    &att_rows_avx2,
#endif
    &att_rows_ref,
};

static const struct att_byte_dots *const byte_dots_rows[] = {
#if defined(__x86_64__)
    &att_byte_dots_avx512,
    &att_byte_dots_avx2,
#endif
    &att_byte_dots_ref,
};

const struct att_gemm *const *att_gemm_rows(size_t *ret_count)
{
    *ret_count = sizeof gemm_rows / sizeof *gemm_rows;
    return gemm_rows;
}

const struct att_attention *const *att_attention_rows(size_t *ret_count)
{
    *ret_count = sizeof attention_rows / sizeof *attention_rows;
    return attention_rows;
}

const struct att_rows *const *att_rows_rows(size_t *ret_count)
{
    *ret_count = sizeof rows_rows / sizeof *rows_rows;
    return rows_rows;
}

const struct att_byte_dots *const *att_byte_dots_rows(size_t *ret_count)
{
    *ret_count = sizeof byte_dots_rows / sizeof *byte_dots_rows;
    return byte_dots_rows;
}

const struct att_gemm *att_gemm_choose(enum att_dtype dtype, uint32_t features)
{
    size_t count;
    const struct att_gemm *const *rows = att_gemm_rows(&count);
    for (size_t i = 0; i < count; i++)
        if (rows[i]->dtype == dtype && ((rows[i]->needs | rows[i]->suits) & ~features) == 0)
            return rows[i];
    return NULL;
}

const struct att_attention *att_attention_choose(enum att_dtype dtype, uint32_t features)
{
    size_t count;
    const struct att_attention *const *rows = att_attention_rows(&count);
    for (size_t i = 0; i < count; i++)
        if (rows[i]->dtype == dtype && (rows[i]->needs & ~features) == 0)
            return rows[i];
    return NULL;
}

const struct att_rows *att_rows_choose(uint32_t features)
{
    size_t count;
    const struct att_rows *const *rows = att_rows_rows(&count);
    for (size_t i = 0; i < count; i++)
        if ((rows[i]->needs & ~features) == 0)
            return rows[i];
    assert(0 && "the reference needs nothing");
    return NULL;
}

const struct att_byte_dots *att_byte_dots_choose(uint32_t features)
{
    size_t count;
    const struct att_byte_dots *const *rows = att_byte_dots_rows(&count);
    for (size_t i = 0; i < count; i++)
        if ((rows[i]->needs & ~features) == 0)
            return rows[i];
    assert(0 && "the reference needs nothing");
    return NULL;
}

const char *att_dtype_name(enum att_dtype dtype)
{
    static const char *const names[ATT_DTYPE_COUNT] = {"f32", "bf16", "int8"};
    assert(dtype < ATT_DTYPE_COUNT);
    return names[dtype];
}
