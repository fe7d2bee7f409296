/*
 * The position terms of DeBERTa's disentangled attention (He et al. 2021), as a
 * bias of the attention: (q_i · K(δ) + k_j · Q(δ)) * scale with δ of i - j.
 */
#ifndef ATT_OPS_DISENTANGLED_H
#define ATT_OPS_DISENTANGLED_H

#include <stddef.h>
#include <stdint.h>

#include "core/ops/table.h"

/* Which of 2 * span rows stands for a distance: itself, or a logarithmic bucket. */
struct att_relative_rows {
    size_t span, buckets, max_distance; /* buckets 0: distances themselves */
};

size_t att_relative_row(const struct att_relative_rows *rows, ptrdiff_t distance);

/* The context of att_disentangled_fill, for one layer's pass. */
struct att_disentangled {
    const struct att_relative_rows *relative;
    const struct att_table *position_key, *position_query; /* K, Q: [2 * span][heads * head_dim]; NULL: no such term */
    size_t head_dim;
    float scale;
    const uint32_t *cu_seqlens;
    const float *query, *key; /* of the packed tokens, row stride ld */
    size_t ld;
};

/* An att_mha_bias fill. */
void att_disentangled_fill(void *context, size_t seq, size_t head, size_t first, size_t n_query, size_t n_key,
                           float *bias);

#endif
