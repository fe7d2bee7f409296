/* Packing and running a Linear layer; the arithmetic is the GEMM row's. */
#include "core/ops/linear.h"

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/kern/kern.h"

enum att_status att_linear_init(struct att_linear *linear, size_t n, size_t k, const float *weight, const float *bias,
                                struct att_err *err)
{
    assert(linear && weight);
    const struct att_gemm *gemm = att_kern()->gemm_f32;
    size_t bytes = gemm->packed_bytes(n, k);
    struct att_linear made = {.n = n, .k = k, .gemm = gemm, .bytes = bytes + (bias ? n * sizeof *bias : 0)};
    made.packed = bytes ? att_mem_aligned(bytes, 1) : NULL;
    made.bias = bias ? att_mem_aligned(n, sizeof *bias) : NULL;
    if (!made.packed || (bias && !made.bias)) {
        att_linear_finish(&made);
        return att_err_set(err, ATT_ENOMEM, "out of memory for a [%zu,%zu] weight", n, k);
    }
    gemm->pack(n, k, weight, k, made.packed);
    if (bias)
        memcpy(made.bias, bias, n * sizeof *bias);
    *linear = made;
    return ATT_OK;
}

void att_linear_finish(struct att_linear *linear)
{
    att_mem_free(linear->packed);
    att_mem_free(linear->bias);
    *linear = (struct att_linear){.n = 0};
}

void att_linear_run(const struct att_linear *linear, size_t m, const float *x, size_t ldx, float *y, size_t ldy,
                    enum att_act act, const float *residual, size_t ldr)
{
    assert(linear->packed && m > 0);
    const struct att_gemm_epilogue epilogue = {.bias = linear->bias, .act = act, .residual = residual, .ldr = ldr};
    linear->gemm->run(m, linear->n, linear->k, x, ldx, linear->packed, y, ldy, &epilogue);
}
