/* One head's attention in plain C, a query at a time, straight from the formula. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/kern/ref/tables.h"

static size_t scratch_bytes(size_t n_query, size_t n_key, size_t head_dim)
{
    size_t bytes;
    (void)n_query;
    (void)head_dim;
    return att_size_mul(n_key, sizeof(float), &bytes) && att_size_add(bytes, ATT_MEM_ALIGN, &bytes) ? bytes : 0;
}

static int hidden(const struct att_attention_call *call, size_t i, size_t j)
{
    if (call->causal && j > i + (call->n_key - call->n_query))
        return 1;
    return call->window > 0 && (i > j ? i - j : j - i) > call->window;
}

static void run(const struct att_attention_call *call)
{
    float *scores = call->scratch;
    assert(call->n_query > 0 && call->n_key > 0 && (!call->causal || call->n_key >= call->n_query));
    for (size_t i = 0; i < call->n_query; i++) {
        const float *query = call->query + i * call->query_ld;
        float *out = call->out + i * call->out_ld;
        for (size_t j = 0; j < call->n_key; j++) {
            float sum = 0;
            for (size_t p = 0; p < call->head_dim; p++)
                sum += query[p] * call->key[j * call->key_ld + p];
            scores[j] = hidden(call, i, j) ? -INFINITY : sum;
        }
        att_rows_ref.softmax(call->n_key, scores, call->scale);
        if (call->probs)
            memcpy(call->probs + i * call->n_key, scores, call->n_key * sizeof *scores);
        for (size_t p = 0; p < call->head_dim; p++) {
            float sum = 0;
            for (size_t j = 0; j < call->n_key; j++)
                sum += scores[j] * call->value[j * call->value_ld + p];
            out[p] = sum;
        }
    }
}

const struct att_attention att_attention_ref = {
    .name = "ref-f32",
    .dtype = ATT_F32,
    .scratch_bytes = scratch_bytes,
    .run = run,
};
