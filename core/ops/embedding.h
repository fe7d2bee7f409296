/* Looking up and summing embedding rows. */
#ifndef ATT_OPS_EMBEDDING_H
#define ATT_OPS_EMBEDDING_H

#include <stddef.h>
#include <stdint.h>

#include "core/ops/table.h"

/* y[t] = table[ids[t]] * scale. Ids were checked against table->rows. */
void att_embedding_set(const struct att_table *table, size_t n_tokens, const int32_t *ids, float scale, float *y);
/* y[t] += table[ids[t]]; ids NULL: row 0 for every token. */
void att_embedding_add(const struct att_table *table, size_t n_tokens, const int32_t *ids, float *y);
/* y[t] += table[first + position of t in its sequence]. */
void att_embedding_add_positions(const struct att_table *table, const uint32_t *cu_seqlens, size_t n_seqs, size_t first,
                                 float *y);

#endif
