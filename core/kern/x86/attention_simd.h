/*
 * One head over one sequence, compiled for each dtype of the products and each
 * instruction set. A unit is 32 bits along a sum: one f32, or a pair of bf16.
 *
 *   keys   → scratch, panels of PANEL keys, [units of head_dim][PANEL]
 *   values → scratch, [units of n_key][padded head_dim]
 *   for every block of up to ROWS queries
 *     for every CHUNK of the keys that one of them sees
 *       scores = query · keys           registers over head_dim, broadcast query
 *       tops, totals, weights           online softmax (Milakov & Gimelshein 2018)
 *       sums = sums · 2^(top before - top) + weights · values
 *     out = sums / totals
 *
 * Scores and weights of a chunk stay in L1 however long the sequence; one chunk
 * is the whole row up to CHUNK keys. A row's sums run over units in order and
 * chunks begin at multiples of CHUNK, whatever block it is in. Keys that the mask
 * hides weigh 0.
 *
 * The includer defines ROWS, KU, `weight` and the inline functions
 * keys_load, unit_broadcast, multiply_add, weights_store, values_pack and queries_of
 * (attention_f32.h, attention_bf16.h).
 */
#ifndef ATT_KERN_X86_ATTENTION_SIMD_H
#define ATT_KERN_X86_ATTENTION_SIMD_H

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/kern/cpu.h"
#include "core/kern/x86/lanes_simd.h"
#include "core/kern/x86/mask_simd.h"
#include "core/kern/x86/tables.h"

enum { PANEL = 2 * VEC, CHUNK = 512 };
#define LOG2_E 1.44269504f

static size_t padded(size_t n)
{
    return (n + PANEL - 1) / PANEL * PANEL;
}

static size_t units(size_t n)
{
    return (n + KU - 1) / KU;
}

/* The values of the keys of one unit, from key j on, side by side; zeros up to padded(head_dim). */
INLINE void values_pack(const struct att_attention_call *call, size_t j, float *out);
/* The rows i .. i + rows of the query, in `space` or where they are. */
static const weight *queries_of(const struct att_attention_call *call, size_t i, size_t rows, weight *space,
                                size_t *ret_ld);

/* Every part a whole number of lines. */
struct sizes {
    size_t keys, values, queries, sums, scores, weights, total;
};

static bool sizes_of(size_t n_key, size_t head_dim, struct sizes *ret)
{
    if (n_key > SIZE_MAX / 1024 || head_dim > SIZE_MAX / 1024 / ROWS)
        return false;
    const size_t ld = padded(n_key < CHUNK ? n_key : CHUNK), d = padded(head_dim);
    *ret = (struct sizes){.queries = ROWS * d * sizeof(weight),
                          .sums = ROWS * d * sizeof(float),
                          .scores = ROWS * ld * sizeof(float),
                          .weights = ROWS * ld * sizeof(weight)};
    ret->total = ret->queries + ret->sums + ret->scores + ret->weights;
    return att_size_mul(padded(n_key) * sizeof(float), units(head_dim), &ret->keys) &&
           att_size_mul(d * sizeof(float), units(padded(n_key)), &ret->values) &&
           att_size_add(ret->total, ret->keys, &ret->total) && att_size_add(ret->total, ret->values, &ret->total);
}

static size_t scratch_bytes(size_t n_query, size_t n_key, size_t head_dim)
{
    struct sizes sizes;
    (void)n_query;
    return sizes_of(n_key, head_dim, &sizes) ? sizes.total : 0;
}

/* out[rows][PANEL] = x[rows][n] · w[n][PANEL] over n units; rows is a constant at every call. */
INLINE void multiply(const size_t rows, size_t n, const weight *x, size_t ldx, const float *w, size_t ldw, float *out,
                     size_t ldo)
{
    vec acc[ROWS][2];
    for (size_t r = 0; r < rows; r++)
        acc[r][0] = acc[r][1] = vec_zero();
    for (size_t u = 0; u < n; u++) {
        const float *at = w + u * ldw;
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            const vec value = unit_broadcast(x + r * ldx + KU * u);
            acc[r][0] = multiply_add(acc[r][0], value, at);
            acc[r][1] = multiply_add(acc[r][1], value, at + VEC);
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        vec_store(out + r * ldo, acc[r][0]);
        vec_store(out + r * ldo + VEC, acc[r][1]);
    }
}

#define CASE_ROWS(R)                                                                                                   \
    case R:                                                                                                            \
        if (R <= ROWS)                                                                                                 \
            multiply(R <= ROWS ? R : 1, n, x, ldx, w, ldw, out, ldo);                                                  \
        break

static void multiply_rows(size_t rows, size_t n, const weight *x, size_t ldx, const float *w, size_t ldw, float *out,
                          size_t ldo)
{
    switch (rows) {
        CASE_ROWS(1);
        CASE_ROWS(2);
        CASE_ROWS(3);
        CASE_ROWS(4);
        CASE_ROWS(5);
        CASE_ROWS(6);
        CASE_ROWS(7);
        CASE_ROWS(8);
        CASE_ROWS(9);
        CASE_ROWS(10);
        CASE_ROWS(11);
        CASE_ROWS(12);
        CASE_ROWS(13);
        CASE_ROWS(14);
    default:
        assert(0 && "a block has 1 to ROWS rows");
    }
}

static void pack_keys(const struct att_attention_call *call, float *keys)
{
    const size_t d = call->head_dim, n = units(d);
    for (size_t j = 0; j < call->n_key; j += PANEL, keys += n * PANEL)
        for (size_t h = 0; h < PANEL; h += VEC)
            for (size_t u = 0; u < n; u += VEC) {
                float block[VEC][PANEL];
                vec rows[VEC];
                for (size_t r = 0; r < VEC; r++)
                    rows[r] = j + h + r < call->n_key ? keys_load(call, j + h + r, KU * u) : vec_zero();
                const bool whole = n - u >= VEC;
                transpose(rows, whole ? keys + u * PANEL + h : block[0], PANEL);
                for (size_t p = 0; !whole && p < n - u; p++)
                    memcpy(keys + (u + p) * PANEL + h, block[p], VEC * sizeof **block);
            }
}

static void pack_values(const struct att_attention_call *call, float *values)
{
    for (size_t j = 0; j < call->n_key; j += KU, values += padded(call->head_dim))
        values_pack(call, j, values);
}

/* A block of queries on its way through the chunks. */
struct block {
    const struct att_attention_call *call;
    float *keys, *values, *sums, *scores;
    weight *weights, *queries;
    size_t ld;      /* of scores and weights: keys of a chunk */
    size_t i, rows; /* its queries */
    struct att_span span;
    float factor;   /* scores times this are in powers of 2 */
    vec top, total; /* lane r: the largest power of query i + r so far, and the sum of its weights */
};

static struct block block_of(const struct att_attention_call *call)
{
    struct sizes sizes;
    const bool fits = sizes_of(call->n_key, call->head_dim, &sizes);
    assert(fits);
    (void)fits;
    char *at = call->scratch;
    struct block b = {.call = call,
                      .ld = padded(call->n_key < CHUNK ? call->n_key : CHUNK),
                      .factor = call->bias ? 1.0f : call->scale * LOG2_E};
    b.keys = (float *)(void *)at;
    b.values = (float *)(void *)(at += sizes.keys);
    b.sums = (float *)(void *)(at += sizes.values);
    b.scores = (float *)(void *)(at += sizes.sums);
    b.weights = (weight *)(void *)(at += sizes.scores);
    b.queries = (weight *)(void *)(at + sizes.weights);
    return b;
}

/* The keys of `chunk` that query i sees; where there are none, an empty span in it. */
static struct att_span seen_of(const struct att_attention_call *call, size_t i, struct att_span chunk)
{
    struct att_span seen = att_mask_visible(call, i);
    seen.begin = seen.begin < chunk.begin ? chunk.begin : seen.begin < chunk.end ? seen.begin : chunk.end;
    seen.end = seen.end < seen.begin ? seen.begin : seen.end < chunk.end ? seen.end : chunk.end;
    return seen;
}

/* x = x * scale + bias, in powers of 2; a bias of zeros gives the bits of no bias. */
static void add_bias(size_t n, float *x, float scale, const float *bias)
{
    const vec factor = vec_set(scale), unit = vec_set(LOG2_E);
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        vec_store(x + i, vec_fma(vec_load(x + i), factor, vec_mul(vec_load(bias + i), unit)));
    if (i < n)
        vec_store_tail(
            x + i, vec_fma(vec_load_tail(x + i, n - i), factor, vec_mul(vec_load_tail(bias + i, n - i), unit)), n - i);
}

/* The chunk's scores of query i with its bias; what it does not see becomes -infinity. */
static void finish_scores(const struct block *b, struct att_span chunk, size_t i, float *scores)
{
    const struct att_attention_call *call = b->call;
    const struct att_span seen = seen_of(call, i, chunk);
    const size_t begin = seen.begin - chunk.begin, end = seen.end - chunk.begin, n = chunk.end - chunk.begin;
    const vec hidden = vec_set(-INFINITY);
    if (call->bias && begin < end)
        add_bias(end - begin, scores + begin, call->scale * LOG2_E,
                 call->bias + (ptrdiff_t)i * call->bias_ld + seen.begin);
    size_t j = 0;
    for (; j + VEC <= begin; j += VEC)
        vec_store(scores + j, hidden);
    if (j < begin)
        vec_store(scores + j, vec_first(hidden, begin - j, vec_load(scores + j)));
    j = end / VEC * VEC;
    if (j < end) {
        vec_store(scores + j, vec_first(vec_load(scores + j), end - j, hidden));
        j += VEC;
    }
    for (; j < n; j += VEC)
        vec_store(scores + j, hidden);
    if (call->probs && begin < end)
        scale_row(end - begin, scores + begin, b->factor, call->probs + i * call->n_key + seen.begin);
}

/* Lane r: the largest of the n scores of query r. */
INLINE vec largest_scores(const struct block *b, size_t n)
{
    const vec low = vec_set(-INFINITY);
    vec tops[VEC];
    UNROLL
    for (size_t r = 0; r < VEC; r++)
        tops[r] = low;
    for (size_t r = 0; r < b->rows; r++) {
        const float *x = b->scores + r * b->ld;
        vec top = low;
        size_t j = 0;
        for (; j + VEC <= n; j += VEC)
            top = vec_max(top, vec_load(x + j));
        tops[r] = j < n ? vec_max(top, vec_first(vec_load(x + j), n - j, low)) : top;
    }
    return fold_max(tops);
}

/* weights = 2^(x * factor - top), zeros from n on; answers their sum, lane by lane. */
INLINE vec weigh_row(size_t n, const float *x, vec factor, vec top, weight *weights)
{
    vec total = vec_zero();
    size_t j = 0;
    for (; j + VEC <= n; j += VEC) {
        const vec e = vec_exp2(vec_sub(vec_mul(vec_load(x + j), factor), top));
        total = vec_add(total, e);
        weights_store(weights + j, e);
    }
    if (j < n) {
        const vec e = vec_first(vec_exp2(vec_sub(vec_mul(vec_load(x + j), factor), top)), n - j, vec_zero());
        total = vec_add(total, e);
        weights_store(weights + j, e);
    }
    return total;
}

/* Scores become weights; answers what the sums so far are to be multiplied by. */
static vec weigh(struct block *b, struct att_span chunk)
{
    const struct att_attention_call *call = b->call;
    const size_t n = chunk.end - chunk.begin;
    const vec factor = vec_set(b->factor);
    if (call->causal || call->local || call->bias || call->probs)
        for (size_t r = 0; r < b->rows; r++)
            finish_scores(b, chunk, b->i + r, b->scores + r * b->ld);
    const vec before = b->top;
    b->top = vec_max(before, vec_mul(largest_scores(b, n), factor));
    const vec largest = vec_keep_finite_low(b->top, b->top);
    vec sums[VEC];
    float top[VEC];
    vec_store(top, largest);
    UNROLL
    for (size_t r = 0; r < VEC; r++)
        sums[r] = vec_zero();
    for (size_t r = 0; r < b->rows; r++)
        sums[r] = weigh_row(n, b->scores + r * b->ld, factor, vec_set(top[r]), b->weights + r * b->ld);
    if (chunk.begin == b->span.begin) {
        b->total = fold_add(sums);
        return vec_zero();
    }
    const vec fade = vec_exp2(vec_sub(before, largest));
    b->total = vec_fma(b->total, fade, fold_add(sums));
    return fade;
}

/* 0 for a query that sees nothing. */
INLINE vec inverse_totals(const struct block *b)
{
    return vec_keep_nonzero(vec_div(vec_set(1), b->total), b->total);
}

/* sums = sums * fade + weights · values; behind the last chunk, out = sums / totals. */
static void add_values(const struct block *b, struct att_span chunk, vec fade)
{
    const struct att_attention_call *call = b->call;
    const size_t d = call->head_dim, ld = padded(d);
    const bool first = chunk.begin == b->span.begin, last = chunk.end == b->span.end;
    float fades[VEC], inverse[VEC];
    vec_store(fades, fade);
    vec_store(inverse, inverse_totals(b));
    for (size_t c = 0; c < ld; c += PANEL) {
        float block[ROWS][PANEL] __attribute__((aligned(64)));
        multiply_rows(b->rows, units(chunk.end - chunk.begin), b->weights, b->ld, b->values + chunk.begin / KU * ld + c,
                      ld, block[0], PANEL);
        for (size_t r = 0; r < b->rows; r++)
            for (size_t h = 0; h < PANEL && c + h < d; h += VEC) {
                float *sums = b->sums + r * ld + c + h, *out = call->out + (b->i + r) * call->out_ld + c + h;
                vec y = vec_load(block[r] + h);
                if (!first)
                    y = vec_fma(vec_load(sums), vec_set(fades[r]), y);
                if (!last)
                    vec_store(sums, y);
                else if (d - c - h >= VEC)
                    vec_store(out, vec_mul(y, vec_set(inverse[r])));
                else
                    vec_store_tail(out, vec_mul(y, vec_set(inverse[r])), d - c - h);
            }
    }
}

/* The scores kept in probs, in powers of 2, become probabilities. */
static void finish_probs(const struct block *b)
{
    const struct att_attention_call *call = b->call;
    float top[VEC], inverse[VEC];
    vec_store(top, vec_keep_finite_low(b->top, b->top));
    vec_store(inverse, inverse_totals(b));
    for (size_t r = 0; r < b->rows; r++) {
        const struct att_span seen = att_mask_visible(call, b->i + r);
        float *probs = call->probs + (b->i + r) * call->n_key;
        memset(probs, 0, seen.begin * sizeof *probs);
        for (size_t j = seen.begin; j < seen.end; j += VEC) {
            const size_t n = seen.end - j < VEC ? seen.end - j : VEC;
            const vec e = vec_exp2(vec_sub(vec_load_tail(probs + j, n), vec_set(top[r])));
            vec_store_tail(probs + j, vec_mul(e, vec_set(inverse[r])), n);
        }
        memset(probs + seen.end, 0, (call->n_key - seen.end) * sizeof *probs);
    }
}

static void run_block(struct block *b)
{
    const struct att_attention_call *call = b->call;
    const size_t n = units(call->head_dim);
    size_t query_ld;
    const weight *queries = queries_of(call, b->i, b->rows, b->queries, &query_ld);
    b->span = att_mask_span(call, b->i, b->rows, PANEL);
    b->top = vec_set(-INFINITY);
    b->total = vec_zero();
    for (size_t r = 0; b->span.begin >= b->span.end && r < b->rows; r++)
        memset(call->out + (b->i + r) * call->out_ld, 0, call->head_dim * sizeof *call->out); /* nothing is seen */
    for (struct att_span chunk = {.begin = b->span.begin}; chunk.begin < b->span.end; chunk.begin = chunk.end) {
        const size_t next = (chunk.begin / CHUNK + 1) * CHUNK;
        chunk.end = next < b->span.end ? next : b->span.end;
        for (size_t j = chunk.begin; j < chunk.end; j += PANEL)
            multiply_rows(b->rows, n, queries, query_ld, b->keys + j * n, PANEL, b->scores + (j - chunk.begin), b->ld);
        add_values(b, chunk, weigh(b, chunk));
    }
    if (call->probs)
        finish_probs(b);
}

static void run(const struct att_attention_call *call)
{
    assert(call->n_query > 0 && call->n_key > 0 && call->head_dim > 0);
    struct block b = block_of(call);
    pack_keys(call, b.keys);
    pack_values(call, b.values);
    for (; b.i < call->n_query; b.i += b.rows) {
        const size_t left = call->n_query - b.i, blocks = (left + ROWS - 1) / ROWS;
        b.rows = (left + blocks - 1) / blocks; /* of nearly equal height */
        run_block(&b);
    }
}

#endif
