/* Looking up and summing embedding rows. */
#ifndef ATT_OPS_EMBEDDING_H
#define ATT_OPS_EMBEDDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ops/table.h"

/* Where tokens stand: token t of sequence s at first + offsets[s] + (t - begin of s). */
struct att_positions {
    const uint32_t *cu_seqlens;
    size_t n_seqs, first;
    const uint32_t *offsets; /* [n_seqs] tokens before these, in a cache; or NULL */
    size_t begin, end;       /* these tokens alone, by their numbers in the batch; end 0: all */
};

/* Of the tokens that are asked for, into the whole batch's rows. */
void att_positions_set(const struct att_positions *positions, int32_t *rows);
/* RoBERTa's: pad_id + the number of tokens of the sequence up to this one that are not pad_id; pad_id itself stands at
 * pad_id. ids are the whole batch's; first and offsets are not looked at. */
void att_positions_set_counted(const struct att_positions *positions, const int32_t *ids, int32_t pad_id,
                               int32_t *rows);
/* y[t] = table[ids[t]] * scale. Ids were checked against table->rows. */
void att_embedding_set(const struct att_table *table, size_t n_tokens, const int32_t *ids, float scale, float *y);
/* y[t] += table[ids[t]]; ids NULL: row 0 for every token. */
void att_embedding_add(const struct att_table *table, size_t n_tokens, const int32_t *ids, float *y);
/* y[t] += table[position of t]; y is the whole batch's. */
void att_embedding_add_positions(const struct att_table *table, const struct att_positions *positions, float *y);
/* y[t][n] += sinusoids of the position of t (Vaswani et al. 2017): sines and cosines interleaved, or sines in the first
 * half and cosines in the second. */
void att_embedding_add_sinusoids(const struct att_positions *positions, size_t n, bool interleaved, float *y);

#endif
