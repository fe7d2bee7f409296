/* From token states to one vector a sequence. */
#ifndef ATT_OPS_POOLING_H
#define ATT_OPS_POOLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum att_pool_kind { ATT_POOL_KIND_MEAN, ATT_POOL_KIND_FIRST, ATT_POOL_KIND_LAST };

/* hidden [n_tokens][n], pooled [n_seqs][n]; every sequence has a token. normalize: L2. */
void att_pool_run(enum att_pool_kind kind, bool normalize, const uint32_t *cu_seqlens, size_t n_seqs, size_t n,
                  const float *hidden, float *pooled);

#endif
