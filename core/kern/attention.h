/*
 * Attention of one head over one sequence:
 *   out = softmax(query · keyᵀ * scale + bias + mask) · value      (Vaswani et al. 2017)
 *
 * Rows are tokens. query is [n_query][head_dim] with row stride query_ld floats,
 * key and value [n_key][head_dim], out [n_query][head_dim]. A query's result
 * depends on its own row and the keys alone, in a fixed order of sums, so it is
 * the same in any batch, and the same bits with `probs` or without. Up to 512
 * keys a block of score rows stays in L1.
 */
#ifndef ATT_KERN_ATTENTION_H
#define ATT_KERN_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/kern/gemm.h"

struct att_attention_call {
    const float *query, *key, *value; /* row strides in floats below */
    size_t query_ld, key_ld, value_ld;
    /* Where a row `takes_rounded`: instead of query, key and value, they as bfloat16, strides in values; head_dim is
     * even. The same bits as of f32 that is rounded so. NULL: none. */
    const uint16_t *rounded_query, *rounded_key, *rounded_value;
    float *out;
    size_t out_ld;
    size_t n_query, n_key, head_dim; /* each >= 1 */
    float scale;                     /* usually 1/sqrt(head_dim) */
    size_t first;                    /* query i stands beside key first + i */
    bool causal;                     /* query i sees keys j <= first + i */
    bool local;                      /* query i sees keys |first + i - j| <= window */
    size_t window;
    const float *bias; /* bias[i * bias_ld + j] is added to the scaled score of query i, key j; zeros: bits of NULL */
    ptrdiff_t bias_ld; /* -1 for a bias by distance: bias[j - i]; 0 for a bias by key: bias[j] */
    float *probs;      /* [n_query][n_key], row-major: filled when not NULL; masked entries 0 */
    void *scratch;     /* scratch_bytes(n_query, n_key, head_dim) bytes, aligned to 64 */
};

struct att_attention {
    const char *name;
    enum att_dtype dtype; /* of the inner products */
    bool takes_rounded;
    uint32_t needs;
    /* Never decreasing in each argument; 0 on overflow. */
    size_t (*scratch_bytes)(size_t n_query, size_t n_key, size_t head_dim);
    void (*run)(const struct att_attention_call *call);
};

const struct att_attention *const *att_attention_rows(size_t *ret_count); /* best first, the reference last */
/* The first row of these products that `features` can run, or NULL. */
const struct att_attention *att_attention_choose(enum att_dtype dtype, uint32_t features);

#endif
