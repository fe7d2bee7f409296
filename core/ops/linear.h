/*
 * A Linear layer: y[m][n] = act(x[m][k] · wᵀ + bias) + residual; or two of them,
 * one of which gates the other. Weights are
 * packed once, in the dtype of the layer, for the chosen GEMM row; read-only
 * afterwards, shared by threads. Activations are f32 outside of the product.
 */
#ifndef ATT_OPS_LINEAR_H
#define ATT_OPS_LINEAR_H

#include <stddef.h>

#include "core/base/pages.h"
#include "core/base/status.h"
#include "core/base/team.h"
#include "core/kern/gemm.h"

/* Rows that a thread converts and multiplies at a time: they stay in its cache. */
enum { ATT_LINEAR_ROWS = 112 };

struct att_linear {
    size_t n, k; /* outputs, inputs */
    void *packed;
    bool in_pages; /* packed is a block of somebody's pages, else its own memory */
    float *bias;   /* [n] or NULL */
    const struct att_gemm *gemm;
    size_t bytes; /* of packed and bias */
};

/* weight is row-major [n][k]; bias [n] or NULL. Both are copied, the weight into a block of `pages`, which outlive the
 * layer, or, where that is NULL, into memory of its own. */
enum att_status att_linear_init(struct att_linear *linear, enum att_dtype dtype, size_t n, size_t k,
                                const float *weight, const float *bias, struct att_pages *pages,
                                struct att_err *err) ATT_MUST_USE;
void att_linear_finish(struct att_linear *linear);
/* Workspace of a run, bytes aligned to 64; 0: none is needed (f32). */
size_t att_linear_space(const struct att_linear *linear);
/* Row strides in floats. residual [m][n] may be NULL and may be y itself. y must not be x. team NULL: this thread
 * alone, for a layer that needs no workspace. */
void att_linear_run(struct att_team *team, const struct att_linear *linear, size_t m, const float *x, size_t ldx,
                    float *y, size_t ldy, enum att_act act, const float *residual, size_t ldr);

/* A run with all that a product can do on its way; of x, y, residual, team and workspace what att_linear_run says. */
struct att_linear_call {
    const struct att_linear *linear;
    const struct att_linear *gate; /* of the same shape: y = act(gate(x)) · linear(x) + residual; or NULL */
    enum att_act act;
    size_t m;
    const float *x;
    size_t ldx; /* floats, as the other row strides but one */
    float *y;
    size_t ldy;
    uint16_t *rounded; /* instead of y, for layers of a gemm that rounds: y as bfloat16; then no residual; or NULL */
    size_t ld_rounded; /* in values, even */
    const float *residual;
    size_t ldr;
    const struct att_linear *then; /* the layer that the same team runs next, whose weights are fetched at the end of
                                      this one's; a hint, or NULL */
};

void att_linear_run_call(struct att_team *team, const struct att_linear_call *call);
/* x as the gemm reads it, rows of input_bytes(k); by this thread alone. */
void att_linear_run_input(const struct att_linear *linear, size_t m, const void *input, float *y, size_t ldy,
                          const float *residual, size_t ldr);

#endif
