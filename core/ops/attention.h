/*
 * Multi-head attention over packed sequences: to themselves, to a cache of
 * earlier tokens, or to other sequences (cross-attention); with grouped heads
 * and an additive bias. Nothing is allocated; sequences and heads are
 * independent of one another.
 */
#ifndef ATT_OPS_ATTENTION_H
#define ATT_OPS_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/team.h"
#include "core/kern/gemm.h"
#include "core/ops/kv_cache.h"

/* Where attention probabilities go when somebody asks (attend.h's struct att_tap without the model's part): n_query
 * rows from query `first` on, a few calls for a long sequence. */
struct att_attention_sink {
    void *context;
    bool (*wants)(void *context, size_t seq); /* NULL: all */
    void (*take)(void *context, size_t layer, size_t seq, size_t head, size_t first, const float *probs, size_t n_query,
                 size_t n_key);
};

struct att_mha {
    size_t n_heads, n_kv_heads, head_dim; /* n_kv_heads divides n_heads: heads of a group share keys and values */
    float scale;
    bool causal;
    bool local; /* only keys at most `window` tokens away */
    size_t window;
    enum att_dtype dtype; /* of the inner products: bf16 and int8 take bf16's where the CPU has them */
};

/* What is added to the scaled scores. One of the three, or none. */
struct att_mha_bias {
    const float *by_distance; /* head h, key - query = d: by_distance[h * distances + origin + d]; or NULL */
    size_t distances, origin;
    /* [n_seqs], each [n_key], the same for all queries and heads, or NULL: nothing, in the bits of a call without
     * bias; or NULL. */
    const float *const *by_key;
    void *context;
    /* Writes [n_query][n_key] for queries from `first` on, from any thread of the team; or NULL. */
    void (*fill)(void *context, size_t seq, size_t head, size_t first, size_t n_query, size_t n_key, float *bias);
};

/* One pass. Row strides in floats; head h is columns h * head_dim .. of query and out, and group h / (n_heads /
 * n_kv_heads) of key and value. */
struct att_mha_call {
    const uint32_t *cu_query; /* [n_seqs + 1] */
    size_t n_seqs;
    const float *query;
    size_t query_ld;
    const float *key, *value;
    size_t kv_ld;
    /* Instead of query, key and value: query | key | value as bfloat16 in rows of query_ld values, to themselves, and
     * as many groups as heads. For a kernel that takes_rounded. NULL: none. */
    const uint16_t *rounded;
    const uint32_t *cu_key;     /* sequences of key and value; NULL: the queries' */
    const float *const *memory; /* instead of key and value: [n_seqs], each [layers][memory_len][key | value] of row
                                   stride kv_ld; NULL: none */
    const uint32_t *memory_len; /* [n_seqs] */
    const struct att_kv_cache *cache; /* instead of key and value: row s of layer `layer`, the new tokens appended */
    const struct att_mha_bias *bias;  /* NULL: none */
    float *out;                       /* may not alias the inputs */
    size_t out_ld;
    const struct att_attention_sink *sink; /* NULL: nobody asks */
    size_t layer;
    size_t longest_query, longest_key; /* as the workspace was counted, or less */
    size_t begin, end;                 /* the queries of these rows alone; end 0: of all */
};

/* Whether a call may have its inputs rounded. */
bool att_mha_takes_rounded(const struct att_mha *mha);
/* Workspace for sequences of up to that many queries and keys; 0 on overflow. */
size_t att_mha_space(const struct att_mha *mha, size_t longest_query, size_t longest_key);
/* The sink, when there is one, is called by this thread alone. */
void att_mha_run(struct att_team *team, const struct att_mha *mha, const struct att_mha_call *call);

#endif
