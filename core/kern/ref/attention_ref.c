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

static bool hidden(const struct att_attention_call *call, size_t i, size_t j)
{
    size_t at = call->first + i;
    if (call->causal && j > at)
        return true;
    return call->local && (at > j ? at - j : j - at) > call->window;
}

static void run(const struct att_attention_call *call)
{
    float *scores = call->scratch;
    assert(call->n_query > 0 && call->n_key > 0);
    for (size_t i = 0; i < call->n_query; i++) {
        const float *query = call->query + i * call->query_ld;
        const float *bias = call->bias ? call->bias + (ptrdiff_t)i * call->bias_ld : NULL;
        float *out = call->out + i * call->out_ld;
        for (size_t j = 0; j < call->n_key; j++) {
            float sum = 0;
            for (size_t p = 0; p < call->head_dim; p++)
                sum += query[p] * call->key[j * call->key_ld + p];
            sum *= call->scale;
            scores[j] = hidden(call, i, j) ? -INFINITY : bias ? sum + bias[j] : sum;
        }
        att_rows_ref.softmax(call->n_key, scores, 1);
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

const struct att_attention att_attention_f32_ref = {
    .name = "ref-f32",
    .dtype = ATT_F32,
    .scratch_bytes = scratch_bytes,
    .run = run,
};
