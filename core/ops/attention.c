/* The loop over sequences and heads; one head's arithmetic is the kernel's. */
#include "core/ops/attention.h"

#include <assert.h>

#include "core/base/mem.h"
#include "core/kern/kern.h"

/* Probabilities and biases are held for so many queries at a time, so that memory stays linear in the length. */
enum { BLOCK_QUERIES = 64, CHUNKS_EACH = 2 };

static size_t block_rows(size_t longest_query)
{
    return longest_query < BLOCK_QUERIES ? longest_query : BLOCK_QUERIES;
}

static size_t block_bytes(size_t longest_query, size_t longest_key)
{
    size_t count, bytes;
    if (!att_size_mul(block_rows(longest_query), longest_key, &count) || !att_size_mul(count, sizeof(float), &bytes) ||
        !att_size_add(bytes, ATT_MEM_ALIGN - 1, &bytes))
        return 0;
    return bytes / ATT_MEM_ALIGN * ATT_MEM_ALIGN;
}

bool att_mha_takes_rounded(const struct att_mha *mha)
{
    return att_kern()->attention[mha->dtype]->takes_rounded;
}

size_t att_mha_space(const struct att_mha *mha, size_t longest_query, size_t longest_key)
{
    size_t kernel = att_kern()->attention[mha->dtype]->scratch_bytes(longest_query, longest_key, mha->head_dim);
    size_t block = block_bytes(longest_query, longest_key), total;
    return kernel && block && att_size_mul(block, 2, &block) && att_size_add(kernel, block, &total) ? total : 0;
}

/* Queries and keys of one sequence. */
struct span {
    size_t seq, query_begin, n_query, n_key;
    size_t first, end; /* the queries to be computed */
    const float *key, *value;
    size_t kv_ld;
};

static struct span span_of(const struct att_mha_call *call, size_t seq)
{
    struct span span = {.seq = seq, .query_begin = call->cu_query[seq]};
    span.n_query = span.end = call->cu_query[seq + 1] - span.query_begin;
    if (call->begin > span.query_begin)
        span.first = call->begin - span.query_begin;
    if (call->end && call->end < call->cu_query[seq + 1])
        span.end = call->end - span.query_begin;
    if (call->cache) {
        span.n_key = call->cache->len[seq] + span.n_query;
        span.key = att_kv_cache_key(call->cache, call->layer, seq);
        span.value = att_kv_cache_value(call->cache, call->layer, seq);
        span.kv_ld = call->cache->width;
    } else if (call->memory) {
        span.n_key = call->memory_len[seq];
        span.key = call->memory[seq] + call->layer * span.n_key * call->kv_ld;
        span.value = span.key + call->kv_ld / 2;
        span.kv_ld = call->kv_ld;
    } else if (call->rounded) {
        span.n_key = span.n_query;
    } else {
        const uint32_t *cu = call->cu_key ? call->cu_key : call->cu_query;
        span.n_key = cu[seq + 1] - cu[seq];
        span.key = call->key + cu[seq] * call->kv_ld;
        span.value = call->value + cu[seq] * call->kv_ld;
        span.kv_ld = call->kv_ld;
    }
    assert(span.n_query >= 1 && span.n_query <= call->longest_query);
    assert(span.n_key >= 1 && span.n_key <= call->longest_key);
    return span;
}

static void run_head(const struct att_mha *mha, const struct att_mha_call *call, const struct span *span, size_t head,
                     bool wanted, void *space)
{
    size_t block = block_bytes(call->longest_query, call->longest_key);
    float *probs = space, *biases = (float *)(void *)((char *)space + block);
    const struct att_mha_bias *bias = call->bias;
    bool filled = bias && bias->fill;
    size_t past = span->n_key > span->n_query ? span->n_key - span->n_query : 0;
    size_t column = head * mha->head_dim, group = head / (mha->n_heads / mha->n_kv_heads) * mha->head_dim;
    size_t step = wanted || filled ? block_rows(call->longest_query) : span->n_query;
    for (size_t first = span->first; first < span->end; first += step) {
        size_t count = span->end - first < step ? span->end - first : step;
        struct att_attention_call one = {
            .query_ld = call->query_ld,
            .key_ld = span->kv_ld,
            .value_ld = span->kv_ld,
            .out = call->out + (span->query_begin + first) * call->out_ld + column,
            .out_ld = call->out_ld,
            .n_query = count,
            .n_key = span->n_key,
            .head_dim = mha->head_dim,
            .scale = mha->scale,
            .first = past + first,
            .causal = mha->causal,
            .local = mha->local,
            .window = mha->window,
            .probs = wanted ? probs : NULL,
            .scratch = (char *)space + 2 * block,
        };
        if (call->rounded) {
            const size_t width = mha->n_heads * mha->head_dim;
            const uint16_t *rows = call->rounded + span->query_begin * call->query_ld + column;
            one.rounded_query = rows + first * call->query_ld;
            one.rounded_key = rows + width;
            one.rounded_value = rows + 2 * width;
            one.key_ld = one.value_ld = call->query_ld;
        } else {
            one.query = call->query + (span->query_begin + first) * call->query_ld + column;
            one.key = span->key + group;
            one.value = span->value + group;
        }
        if (filled) {
            bias->fill(bias->context, span->seq, head, first, count, span->n_key, biases);
            one.bias = biases;
            one.bias_ld = (ptrdiff_t)span->n_key;
        } else if (bias && bias->by_distance) {
            assert(bias->origin >= past + first + count - 1 && bias->origin + span->n_key <= bias->distances);
            one.bias = bias->by_distance + head * bias->distances + bias->origin - (past + first);
            one.bias_ld = -1;
        } else if (bias && bias->by_key) {
            one.bias = bias->by_key[span->seq]; /* one row for all queries */
            one.bias_ld = 0;
        }
        att_kern()->attention[mha->dtype]->run(&one);
        if (wanted)
            call->sink->take(call->sink->context, call->layer, span->seq, head, first, probs, count, span->n_key);
    }
}

struct work {
    const struct att_mha *mha;
    const struct att_mha_call *call;
    size_t first_seq, n_units, units; /* all; of a chunk: a unit is one head of one sequence */
};

static bool is_wanted(const struct att_mha_call *call, size_t seq)
{
    const struct att_attention_sink *sink = call->sink;
    return sink && sink->take && (!sink->wants || sink->wants(sink->context, seq));
}

static void heads_chunk(void *context, size_t chunk, void *space)
{
    const struct work *work = context;
    const struct att_mha *mha = work->mha;
    const struct att_mha_call *call = work->call;
    const size_t begin = chunk * work->units, end = begin + work->units;
    for (size_t unit = begin; unit < end && unit < work->n_units; unit++) {
        const size_t seq = work->first_seq + unit / mha->n_heads;
        const struct span span = span_of(call, seq);
        run_head(mha, call, &span, unit % mha->n_heads, is_wanted(call, seq), space);
    }
}

/* The sequence of a row. */
static size_t seq_of(const struct att_mha_call *call, size_t row)
{
    size_t low = 0, high = call->n_seqs - 1;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (call->cu_query[middle + 1] > row)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void att_mha_run(struct att_team *team, const struct att_mha *mha, const struct att_mha_call *call)
{
    assert(team && mha->n_kv_heads > 0 && mha->n_heads % mha->n_kv_heads == 0);
    assert(call->end ? call->begin < call->end && call->end <= call->cu_query[call->n_seqs] : call->begin == 0);
    const bool alone = att_team_size(team) == 1 || (call->sink && call->sink->take);
    const size_t first = seq_of(call, call->begin), last = call->end ? seq_of(call, call->end - 1) : call->n_seqs - 1;
    const size_t n_units = (last + 1 - first) * mha->n_heads, parts = alone ? 1 : CHUNKS_EACH * att_team_size(team);
    struct work work = {
        .mha = mha, .call = call, .first_seq = first, .n_units = n_units, .units = (n_units + parts - 1) / parts};
    att_team_run(team, (n_units + work.units - 1) / work.units, heads_chunk, &work);
}
