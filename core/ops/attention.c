/* The loop over sequences and heads; one head's arithmetic is the kernel's. */
#include "core/ops/attention.h"

#include <assert.h>

#include "core/base/mem.h"
#include "core/kern/kern.h"

static size_t probs_bytes(size_t max_len)
{
    size_t count, bytes;
    if (!att_size_mul(max_len, max_len, &count) || !att_size_mul(count, sizeof(float), &bytes) ||
        !att_size_add(bytes, ATT_MEM_ALIGN - 1, &bytes))
        return 0;
    return bytes / ATT_MEM_ALIGN * ATT_MEM_ALIGN;
}

size_t att_mha_scratch_bytes(const struct att_mha *mha, size_t max_len)
{
    size_t kernel = att_kern()->attention_f32->scratch_bytes(max_len, max_len, mha->head_dim);
    size_t probs = probs_bytes(max_len), total;
    return kernel && probs && att_size_add(kernel, probs, &total) ? total : 0;
}

void att_mha_run(const struct att_mha *mha, const uint32_t *cu_seqlens, size_t n_seqs, const float *query,
                 size_t query_ld, const float *key, const float *value, size_t kv_ld, float *out, size_t out_ld,
                 const struct att_attention_sink *sink, size_t layer, size_t max_len, void *scratch)
{
    const struct att_attention *kernel = att_kern()->attention_f32;
    float *probs = scratch;
    char *work = (char *)scratch + probs_bytes(max_len);
    for (size_t s = 0; s < n_seqs; s++) {
        size_t begin = cu_seqlens[s], len = cu_seqlens[s + 1] - begin;
        assert(len >= 1 && len <= max_len);
        bool wanted = sink && sink->take && (!sink->wants || sink->wants(sink->context, s));
        for (size_t h = 0; h < mha->n_heads; h++) {
            size_t column = h * mha->head_dim;
            struct att_attention_call call = {
                .query = query + begin * query_ld + column,
                .key = key + begin * kv_ld + column,
                .value = value + begin * kv_ld + column,
                .query_ld = query_ld,
                .key_ld = kv_ld,
                .value_ld = kv_ld,
                .out = out + begin * out_ld + column,
                .out_ld = out_ld,
                .n_query = len,
                .n_key = len,
                .head_dim = mha->head_dim,
                .scale = mha->scale,
                .causal = mha->causal,
                .probs = wanted ? probs : NULL,
                .scratch = work,
            };
            kernel->run(&call);
            if (wanted)
                sink->take(sink->context, layer, s, h, probs, len, len);
        }
    }
}
