/*
 * The last layer where the first token of each sequence is read alone, by a
 * pooling or a head: keys and values are of all tokens, and what follows attention
 * is computed for the first rows, which stand side by side meanwhile.
 */
#ifndef ATT_ARCH_FIRSTS_H
#define ATT_ARCH_FIRSTS_H

#include "core/arch/arch.h"
#include "core/ops/attention.h"

/* Whether layer `index` computes no other rows. */
bool att_firsts_suffice(const struct att_arch_info *info, const struct att_arch_batch *batch, size_t index);
/* The call's attention, and the rows of call->out and x [n_tokens][hidden_size] that the layer goes on with: all of
 * them or, where the first suffice, 0 .. n_seqs. */
size_t att_firsts_attend(const struct att_mha *mha, const struct att_mha_call *call, const struct att_arch_info *info,
                         const struct att_arch_batch *batch, float *x);
/* Behind layer `index`: x back to its places. */
void att_firsts_return(const struct att_arch_info *info, const struct att_arch_batch *batch, size_t index, float *x);

#endif
