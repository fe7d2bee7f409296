/*
 * One head over one sequence on vectors, compiled for each instruction set.
 *
 *   keys   → scratch, transposed into panels [head_dim][PANEL] of PANEL keys
 *   values → scratch, rows of head_dim padded to PANEL columns
 *   for every block of up to ROWS queries, over the keys that one of them sees
 *     scores = query · panels          registers over head_dim, broadcast query
 *     softmax of every row             scores of the block stay in L1
 *     out = scores · values            registers over the keys, broadcast score
 *
 * A row's sums run over head_dim and over the keys in order, whatever block it
 * is in. Keys that the mask hides get the score -infinity and the probability 0.
 */
#ifndef ATT_KERN_X86_ATTENTION_SIMD_H
#define ATT_KERN_X86_ATTENTION_SIMD_H

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/kern/cpu.h"
#include "core/kern/x86/mask_simd.h"
#include "core/kern/x86/tables.h"

enum { PANEL = 2 * VEC };

static size_t padded(size_t n)
{
    return (n + PANEL - 1) / PANEL * PANEL;
}

static size_t scratch_bytes(size_t n_query, size_t n_key, size_t head_dim)
{
    size_t keys, values, scores, total;
    (void)n_query;
    if (n_key > SIZE_MAX / 8 || head_dim > SIZE_MAX / 8 || !att_size_mul(padded(n_key), head_dim, &keys) ||
        !att_size_mul(n_key, padded(head_dim), &values) || !att_size_mul(padded(n_key), ROWS, &scores) ||
        !att_size_add(keys, values, &total) || !att_size_add(total, scores, &total) ||
        !att_size_mul(total, sizeof(float), &total) || !att_size_add(total, 3 * ATT_MEM_ALIGN, &total))
        return 0;
    return total;
}

/* out[rows][PANEL columns of ldo] (+)= x[rows][k] · panel[k][PANEL]; rows is a constant at every call. */
INLINE void multiply(const size_t rows, size_t k, const float *x, size_t ldx, const float *panel, size_t ldp,
                     float *out, size_t ldo)
{
    vec acc[ROWS][2];
    for (size_t r = 0; r < rows; r++)
        acc[r][0] = acc[r][1] = vec_zero();
    for (size_t p = 0; p < k; p++) {
        const vec w0 = vec_load(panel + p * ldp), w1 = vec_load(panel + p * ldp + VEC);
#pragma GCC unroll 16
        for (size_t r = 0; r < rows; r++) {
            const vec value = vec_set(x[r * ldx + p]);
            acc[r][0] = vec_fma(value, w0, acc[r][0]);
            acc[r][1] = vec_fma(value, w1, acc[r][1]);
        }
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++) {
        vec_store(out + r * ldo, acc[r][0]);
        vec_store(out + r * ldo + VEC, acc[r][1]);
    }
}

static void multiply_rows(size_t rows, size_t k, const float *x, size_t ldx, const float *panel, size_t ldp, float *out,
                          size_t ldo)
{
    size_t r = 0;
    for (; r + ROWS <= rows; r += ROWS)
        multiply(ROWS, k, x + r * ldx, ldx, panel, ldp, out + r * ldo, ldo);
    for (; r + 4 <= rows; r += 4)
        multiply(4, k, x + r * ldx, ldx, panel, ldp, out + r * ldo, ldo);
    for (; r < rows; r++)
        multiply(1, k, x + r * ldx, ldx, panel, ldp, out + r * ldo, ldo);
}

static void pack_keys(const struct att_attention_call *call, float *keys)
{
    const size_t d = call->head_dim;
    for (size_t j = 0; j < call->n_key; j += PANEL, keys += d * PANEL) {
        const size_t count = call->n_key - j < PANEL ? call->n_key - j : PANEL;
        if (count < PANEL)
            memset(keys, 0, d * PANEL * sizeof *keys);
        for (size_t c = 0; c < count; c++) {
            const float *key = call->key + (j + c) * call->key_ld;
            for (size_t p = 0; p < d; p++)
                keys[p * PANEL + c] = key[p];
        }
    }
}

static void pack_values(const struct att_attention_call *call, float *values)
{
    const size_t d = call->head_dim, ld = padded(d);
    for (size_t j = 0; j < call->n_key; j++, values += ld) {
        memcpy(values, call->value + j * call->value_ld, d * sizeof *values);
        memset(values + d, 0, (ld - d) * sizeof *values);
    }
}

/* Scores of queries first .. first + rows become probabilities within `span`; what a query does not see gets 0. */
static void softmax_block(const struct att_attention_call *call, size_t first, size_t rows, struct att_span span,
                          float *scores, size_t ld)
{
    for (size_t r = 0; r < rows; r++) {
        float *row = scores + r * ld;
        const float *bias = call->bias ? call->bias + (ptrdiff_t)(first + r) * call->bias_ld : NULL;
        const struct att_span seen = att_mask_visible(call, first + r);
        const size_t begin = seen.begin, end = seen.end;
        for (size_t j = span.begin; j < begin; j++)
            row[j] = 0;
        for (size_t j = end; j < span.end; j++)
            row[j] = 0;
        if (end > begin && bias)
            scale_and_add(end - begin, row + begin, call->scale, bias + begin);
        if (end > begin)
            softmax(end - begin, row + begin, bias ? 1.0f : call->scale);
        if (call->probs) {
            float *probs = call->probs + (first + r) * call->n_key;
            memset(probs, 0, span.begin * sizeof *probs);
            memcpy(probs + span.begin, row + span.begin, (span.end - span.begin) * sizeof *probs);
            memset(probs + span.end, 0, (call->n_key - span.end) * sizeof *probs);
        }
    }
}

static void run(const struct att_attention_call *call)
{
    const size_t n_key = call->n_key, d = call->head_dim, ld = padded(n_key), value_ld = padded(d);
    assert(call->n_query > 0 && n_key > 0 && d > 0);
    float *keys = call->scratch, *values = keys + ld * d, *scores = values + n_key * value_ld;
    pack_keys(call, keys);
    pack_values(call, values);
    for (size_t i = 0; i < call->n_query; i += ROWS) {
        const size_t rows = call->n_query - i < ROWS ? call->n_query - i : ROWS;
        const struct att_span span = att_mask_span(call, i, rows, PANEL);
        for (size_t j = span.begin; j < span.end; j += PANEL)
            multiply_rows(rows, d, call->query + i * call->query_ld, call->query_ld, keys + j * d, PANEL, scores + j,
                          ld);
        softmax_block(call, i, rows, span, scores, ld);
        for (size_t c = 0; c < d; c += PANEL) {
            const size_t columns = d - c < PANEL ? d - c : PANEL;
            float block[ROWS][PANEL] __attribute__((aligned(64)));
            multiply_rows(rows, span.end - span.begin, scores + span.begin, ld, values + span.begin * value_ld + c,
                          value_ld, block[0], PANEL);
            for (size_t r = 0; r < rows; r++)
                memcpy(call->out + (i + r) * call->out_ld + c, block[r], columns * sizeof(float));
        }
    }
}

#endif
