/* First rows to the front and back; see firsts.h. */
#include "core/arch/firsts.h"

#include <assert.h>
#include <string.h>

bool att_firsts_suffice(const struct att_arch_info *info, const struct att_arch_batch *batch, size_t index)
{
    return batch->first_only && !info->head_reads_all && index + 1 == info->n_layers;
}

size_t att_firsts_attend(const struct att_mha *mha, const struct att_mha_call *call, const struct att_arch_info *info,
                         const struct att_arch_batch *batch, float *x)
{
    const size_t hidden = info->hidden_size, width = mha->n_heads * mha->head_dim;
    if (!att_firsts_suffice(info, batch, call->layer)) {
        att_mha_run(batch->team, mha, call);
        return batch->n_tokens;
    }
    struct att_mha_call one = *call;
    struct att_team alone = att_team_alone(batch->team->space); /* a row is not worth telling others */
    assert(!call->sink);
    for (size_t s = 0; s < batch->n_seqs; s++) {
        const size_t row = batch->cu_seqlens[s];
        one.begin = row;
        one.end = row + 1;
        att_mha_run(&alone, mha, &one);
        /* Rows up to s hold nothing that is still to be read: row >= s. */
        memmove(call->out + s * call->out_ld, call->out + row * call->out_ld, width * sizeof *call->out);
        memmove(x + s * hidden, x + row * hidden, hidden * sizeof *x);
    }
    return batch->n_seqs;
}

void att_firsts_return(const struct att_arch_info *info, const struct att_arch_batch *batch, size_t index, float *x)
{
    const size_t hidden = info->hidden_size;
    if (att_firsts_suffice(info, batch, index))
        for (size_t s = batch->n_seqs; s-- > 0;)
            memmove(x + batch->cu_seqlens[s] * hidden, x + s * hidden, hidden * sizeof *x);
}
