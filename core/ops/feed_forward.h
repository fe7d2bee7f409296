/*
 * The feed-forward part of a layer: y = act(x · upᵀ) · downᵀ + residual, or with
 * a gate (Shazeer 2020) y = (act(x · gateᵀ) ⊙ (x · upᵀ)) · downᵀ + residual. Runs in
 * blocks of rows, so that the wide inner rows never leave the cache of the thread
 * that computes them.
 */
#ifndef ATT_OPS_FEED_FORWARD_H
#define ATT_OPS_FEED_FORWARD_H

#include "core/ops/linear.h"

struct att_feed_forward {
    const struct att_linear *gate, *up, *down; /* gate: of up's shape, or NULL */
    enum att_act act;
    const struct att_linear *then; /* the layer behind it, as of att_linear_call; or NULL */
};

/* Workspace of a run for this shape, whatever its dtype; 0 on overflow. */
size_t att_feed_forward_space(size_t inner, size_t hidden);
/* Row strides in floats; residual may be NULL and may be y; y may be x. */
void att_feed_forward_run(struct att_team *team, const struct att_feed_forward *part, size_t m, const float *x,
                          size_t ldx, float *y, size_t ldy, const float *residual, size_t ldr);

#endif
