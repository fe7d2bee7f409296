/*
 * Multi-head attention over a packed batch: every sequence attends to itself.
 * Nothing is allocated; sequences and heads are independent of one another.
 */
#ifndef ATT_OPS_ATTENTION_H
#define ATT_OPS_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where attention probabilities go when somebody asks (attend.h's struct att_tap without the model's part). */
struct att_attention_sink {
    void *context;
    bool (*wants)(void *context, size_t seq); /* NULL: all */
    void (*take)(void *context, size_t layer, size_t seq, size_t head, const float *probs, size_t n_query,
                 size_t n_key);
};

struct att_mha {
    size_t n_heads, head_dim;
    float scale;
    bool causal;
};

/* Scratch for sequences of up to max_len tokens; 0 on overflow. */
size_t att_mha_scratch_bytes(const struct att_mha *mha, size_t max_len);
/* query, key, value: [n_tokens][n_heads * head_dim] with row strides; head h is columns h*head_dim.. . out likewise,
 * and may not alias them. sink may be NULL. scratch as counted, aligned to 64. */
void att_mha_run(const struct att_mha *mha, const uint32_t *cu_seqlens, size_t n_seqs, const float *query,
                 size_t query_ld, const float *key, const float *value, size_t kv_ld, float *out, size_t out_ld,
                 const struct att_attention_sink *sink, size_t layer, size_t max_len, void *scratch);

#endif
