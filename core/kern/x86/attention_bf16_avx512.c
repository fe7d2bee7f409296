/*
 * One head's attention with bf16 products (vdpbf16ps), sums and softmax in f32.
 *
 *   keys     → scratch, panels of 32 keys, [head_dim/2][32][2]
 *   values   → scratch, pairs of keys, [n_key/2][padded head_dim][2]
 *   queries  → scratch, a block of up to ROWS rows
 *   for every block of queries, over the keys that one of its rows sees
 *     scores = query · keys              f32
 *     weights e^(score - largest)        f32, then rounded to bf16
 *     out = weights · values / their sum f32
 *
 * A row's sums run in order over pairs from the first key on, whatever block it
 * is in; keys that it does not see have the probability 0.
 */
enum { ROWS = 14 };

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/kern/cpu.h"
#include "core/kern/x86/bf16.h"
#include "core/kern/x86/mask_simd.h"
#include "core/kern/x86/tables.h"

enum { PANEL = 2 * VEC };

static size_t padded(size_t n)
{
    return (n + PANEL - 1) / PANEL * PANEL;
}

/* In pairs, whole lines. */
static size_t pairs(size_t n)
{
    return (n + 1) / 2;
}

static size_t scratch_bytes(size_t n_query, size_t n_key, size_t head_dim)
{
    size_t keys, values, scores, probs, queries, total;
    (void)n_query;
    if (n_key > SIZE_MAX / 1024 || head_dim > SIZE_MAX / 1024 ||
        !att_size_mul(padded(n_key) * 4, pairs(head_dim), &keys) ||
        !att_size_mul(padded(head_dim) * 4, pairs(padded(n_key)), &values) ||
        !att_size_mul(padded(n_key), ROWS * sizeof(float), &scores) ||
        !att_size_mul(padded(n_key), ROWS * sizeof(uint16_t), &probs) ||
        !att_size_mul(padded(head_dim), ROWS * sizeof(uint16_t), &queries) || !att_size_add(keys, values, &total) ||
        !att_size_add(total, scores, &total) || !att_size_add(total, probs, &total) ||
        !att_size_add(total, queries, &total) || !att_size_add(total, 5 * ATT_MEM_ALIGN, &total))
        return 0;
    return total;
}

/* out[rows][PANEL] (row stride ldo) = x[rows][pairs] · w[pairs][PANEL][2] (stride ldw pairs); rows is a constant at
 * every call. */
INLINE void multiply(const size_t rows, size_t n_pairs, const uint16_t *x, size_t ldx, const uint32_t *w, size_t ldw,
                     float *out, size_t ldo)
{
    vec acc[ROWS][2];
    for (size_t r = 0; r < rows; r++)
        acc[r][0] = acc[r][1] = vec_zero();
    for (size_t p = 0; p < n_pairs; p++) {
        const __m512bh w0 = (__m512bh)_mm512_loadu_si512(w + p * ldw);
        const __m512bh w1 = (__m512bh)_mm512_loadu_si512(w + p * ldw + VEC);
#pragma GCC unroll 16
        for (size_t r = 0; r < rows; r++) {
            const __m512bh value = (__m512bh)_mm512_set1_epi32(*(const int *)(const void *)(x + r * ldx + 2 * p));
            acc[r][0] = _mm512_dpbf16_ps(acc[r][0], value, w0);
            acc[r][1] = _mm512_dpbf16_ps(acc[r][1], value, w1);
        }
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++) {
        vec_store(out + r * ldo, acc[r][0]);
        vec_store(out + r * ldo + VEC, acc[r][1]);
    }
}

static void multiply_rows(size_t rows, size_t n_pairs, const uint16_t *x, size_t ldx, const uint32_t *w, size_t ldw,
                          float *out, size_t ldo)
{
    size_t r = 0;
    for (; r + ROWS <= rows; r += ROWS)
        multiply(ROWS, n_pairs, x + r * ldx, ldx, w, ldw, out + r * ldo, ldo);
    for (; r + 7 <= rows; r += 7)
        multiply(7, n_pairs, x + r * ldx, ldx, w, ldw, out + r * ldo, ldo);
    for (; r + 3 <= rows; r += 3)
        multiply(3, n_pairs, x + r * ldx, ldx, w, ldw, out + r * ldo, ldo);
    for (; r < rows; r++)
        multiply(1, n_pairs, x + r * ldx, ldx, w, ldw, out + r * ldo, ldo);
}

/* Sixteen 32-bit rows become columns: row r of `out` (stride PANEL) is element r of every input. */
INLINE void transpose(const __m512i rows[16], uint32_t *out)
{
    __m512i a[16], b[16];
    for (size_t i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    for (size_t i = 0; i < 16; i += 4) {
        b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    for (size_t i = 0; i < 4; i++) {
        const __m512i low = _mm512_shuffle_i32x4(b[i], b[i + 4], 0x88),
                      high = _mm512_shuffle_i32x4(b[i], b[i + 4], 0xdd);
        const __m512i low2 = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0x88);
        const __m512i high2 = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0xdd);
        _mm512_storeu_si512(out + i * PANEL, _mm512_shuffle_i32x4(low, low2, 0x88));
        _mm512_storeu_si512(out + (i + 8) * PANEL, _mm512_shuffle_i32x4(low, low2, 0xdd));
        _mm512_storeu_si512(out + (i + 4) * PANEL, _mm512_shuffle_i32x4(high, high2, 0x88));
        _mm512_storeu_si512(out + (i + 12) * PANEL, _mm512_shuffle_i32x4(high, high2, 0xdd));
    }
}

/* Sixteen pairs of one row from column c on; zeros behind the last column. */
INLINE __m512i pairs_load(const float *row, size_t c, size_t n)
{
    const size_t left = n - c;
    const vec low = left >= VEC ? vec_load(row + c) : vec_load_tail(row + c, left);
    const vec high = left >= PANEL ? vec_load(row + c + VEC)
                     : left > VEC  ? vec_load_tail(row + c + VEC, left - VEC)
                                   : vec_zero();
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

static void pack_keys(const struct att_attention_call *call, uint32_t *keys)
{
    const size_t d = call->head_dim, half = pairs(d);
    for (size_t j = 0; j < call->n_key; j += PANEL, keys += half * PANEL)
        for (size_t h = 0; h < PANEL; h += VEC)
            for (size_t c = 0; c < half; c += VEC) {
                uint32_t block[VEC][PANEL];
                __m512i rows[VEC];
                for (size_t r = 0; r < VEC; r++)
                    rows[r] = j + h + r < call->n_key ? pairs_load(call->key + (j + h + r) * call->key_ld, 2 * c, d)
                                                      : _mm512_setzero_si512();
                const bool whole = half - c >= VEC;
                transpose(rows, whole ? keys + c * PANEL + h : block[0]);
                for (size_t p = 0; !whole && p < half - c; p++)
                    memcpy(keys + (c + p) * PANEL + h, block[p], VEC * sizeof **block);
            }
}

/* Two rows of values side by side. */
INLINE void pack_pair(const float *even, const float *odd, size_t d, uint32_t *out)
{
    const __m512i order = _mm512_setr_epi32(0x00100000, 0x00110001, 0x00120002, 0x00130003, 0x00140004, 0x00150005,
                                            0x00160006, 0x00170007, 0x00180008, 0x00190009, 0x001a000a, 0x001b000b,
                                            0x001c000c, 0x001d000d, 0x001e000e, 0x001f000f);
    for (size_t c = 0; c < padded(d); c += VEC) {
        const size_t left = c < d ? d - c : 0, n = left < VEC ? left : VEC;
        const vec low = n ? vec_load_tail(even + c, n) : vec_zero();
        const vec high = n && odd ? vec_load_tail(odd + c, n) : vec_zero();
        _mm512_storeu_si512(out + c, _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(high, low)));
    }
}

static void pack_values(const struct att_attention_call *call, uint32_t *values)
{
    for (size_t j = 0; j < call->n_key; j += 2, values += padded(call->head_dim)) {
        const float *even = call->value + j * call->value_ld;
        pack_pair(even, j + 1 < call->n_key ? even + call->value_ld : NULL, call->head_dim, values);
    }
}

struct blocks {
    uint32_t *keys, *values;
    float *scores;
    uint16_t *weights, *queries;
};

static char *lines_after(char *at, size_t bytes)
{
    return at + (bytes + ATT_MEM_ALIGN - 1) / ATT_MEM_ALIGN * ATT_MEM_ALIGN;
}

static struct blocks blocks_of(const struct att_attention_call *call)
{
    const size_t ld = padded(call->n_key), d = call->head_dim;
    struct blocks b;
    char *at = call->scratch;
    b.keys = (uint32_t *)(void *)at;
    at = lines_after(at, ld * pairs(d) * 4);
    b.values = (uint32_t *)(void *)at;
    at = lines_after(at, padded(d) * pairs(ld) * 4);
    b.scores = (float *)(void *)at;
    at = lines_after(at, ld * ROWS * sizeof(float));
    b.weights = (uint16_t *)(void *)at;
    at = lines_after(at, ld * ROWS * sizeof(uint16_t));
    b.queries = (uint16_t *)(void *)at;
    return b;
}

/* Lane r is vector r folded by OP, every lane in the same order: a third of the work of folding them one by one, and
 * no row waits for another. */
#define FOLD(NAME, OP)                                                                                                 \
    INLINE vec NAME(const vec x[VEC])                                                                                  \
    {                                                                                                                  \
        vec quads[4];                                                                                                  \
        for (size_t q = 0; q < 4; q++) {                                                                               \
            const vec *v = x + 4 * q;                                                                                  \
            const __m512d a = _mm512_castps_pd(OP(_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1])));    \
            const __m512d b = _mm512_castps_pd(OP(_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3])));    \
            quads[q] = OP(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));     \
        }                                                                                                              \
        const vec low =                                                                                                \
            OP(_mm512_shuffle_f32x4(quads[0], quads[1], 0x88), _mm512_shuffle_f32x4(quads[0], quads[1], 0xdd));        \
        const vec high =                                                                                               \
            OP(_mm512_shuffle_f32x4(quads[2], quads[3], 0x88), _mm512_shuffle_f32x4(quads[2], quads[3], 0xdd));        \
        return OP(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd));                       \
    }
FOLD(fold_max, vec_max)
FOLD(fold_add, vec_add)

INLINE vec largest_lanes(size_t n, const float *x)
{
    const vec low = vec_set(-INFINITY);
    vec top = low;
    size_t j = 0;
    for (; j + VEC <= n; j += VEC)
        top = vec_max(top, vec_load(x + j));
    return j < n ? vec_max(top, vec_first(vec_load_tail(x + j, n - j), n - j, low)) : top;
}

/* weights = e^(x * scale - top), rounded to bf16; their sum before rounding, lane by lane. x keeps them in f32. */
INLINE vec weigh_row(size_t n, float *x, vec scale, vec top, uint16_t *weights)
{
    vec total = vec_zero();
    size_t j = 0;
    for (; j + VEC <= n; j += VEC) {
        const vec e = exp_below(vec_mul(vec_load(x + j), scale), top);
        total = vec_add(total, e);
        vec_store(x + j, e);
        _mm256_storeu_si256((__m256i *)(void *)(weights + j), bf16_vector(e));
    }
    if (j < n) {
        const size_t left = n - j;
        const vec e = vec_first(exp_below(vec_mul(vec_load_tail(x + j, left), scale), top), left, vec_zero());
        total = vec_add(total, e);
        vec_store_tail(x + j, e, left);
        _mm256_mask_storeu_epi16(weights + j, tail_mask(left), bf16_vector(e));
    }
    return total;
}

/*
 * The scores of the block's queries become weights e^(score - largest), rounded
 * to bf16; factors[r] is what query r's weighted sum of values is to be multiplied
 * by. Dividing the sum of 32 columns costs less than dividing every weight.
 */
static void weigh(const struct att_attention_call *call, const struct blocks *b, size_t i, size_t rows,
                  struct att_span span, float factors[VEC])
{
    const size_t ld = padded(call->n_key), count = span.end - span.begin;
    const vec scale = vec_set(call->bias ? 1.0f : call->scale);
    struct att_span seen[ROWS];
    vec tops[VEC], sums[VEC];
    float top[VEC];
    for (size_t r = 0; r < VEC; r++)
        tops[r] = sums[r] = vec_zero();
    for (size_t r = 0; r < rows; r++) {
        seen[r] = att_mask_visible(call, i + r);
        float *x = b->scores + r * ld + seen[r].begin;
        const size_t n = seen[r].end - seen[r].begin;
        if (n > 0 && call->bias)
            scale_and_add(n, x, call->scale, call->bias + (ptrdiff_t)(i + r) * call->bias_ld + seen[r].begin);
        tops[r] = largest_lanes(n, x);
    }
    const vec largest = vec_mul(fold_max(tops), scale);
    vec_store(top, vec_keep_finite_low(largest, largest));
    for (size_t r = 0; r < rows; r++) {
        const size_t before = seen[r].begin - span.begin, n = seen[r].end - seen[r].begin;
        uint16_t *weights = b->weights + r * ld;
        for (size_t j = 0; j < before; j++)
            weights[j] = 0;
        sums[r] = weigh_row(n, b->scores + r * ld + seen[r].begin, scale, vec_set(top[r]), weights + before);
        for (size_t j = before + n; j < 2 * pairs(count); j++)
            weights[j] = 0;
    }
    const vec total = fold_add(sums);
    vec_store(factors, _mm512_maskz_div_ps(_mm512_cmp_ps_mask(total, vec_zero(), _CMP_NEQ_UQ), vec_set(1), total));
    for (size_t r = 0; call->probs && r < rows; r++) {
        float *probs = call->probs + (i + r) * call->n_key;
        memset(probs, 0, call->n_key * sizeof *probs);
        scale_row(seen[r].end - seen[r].begin, b->scores + r * ld + seen[r].begin, factors[r], probs + seen[r].begin);
    }
}

static void run_block(const struct att_attention_call *call, const struct blocks *b, size_t i, size_t rows)
{
    const size_t d = call->head_dim, ld = padded(call->n_key), query_ld = padded(d);
    const struct att_span span = att_mask_span(call, i, rows, PANEL);
    for (size_t r = 0; r < rows; r++) {
        bf16_convert(d, call->query + (i + r) * call->query_ld, b->queries + r * query_ld);
        if (d % 2)
            b->queries[r * query_ld + d] = 0;
    }
    for (size_t j = span.begin; j < span.end; j += PANEL)
        multiply_rows(rows, pairs(d), b->queries, query_ld, b->keys + j * pairs(d), PANEL, b->scores + j, ld);
    const size_t count = span.end - span.begin;
    float factors[VEC];
    weigh(call, b, i, rows, span, factors);
    for (size_t c = 0; c < d; c += PANEL) {
        const size_t columns = d - c < PANEL ? d - c : PANEL;
        float out[ROWS][PANEL] __attribute__((aligned(64)));
        multiply_rows(rows, pairs(count), b->weights, ld, b->values + span.begin / 2 * padded(d) + c, padded(d), out[0],
                      PANEL);
        for (size_t r = 0; r < rows; r++) {
            float *to = call->out + (i + r) * call->out_ld + c;
            scale_row(columns, out[r], factors[r], to);
        }
    }
}

static void run(const struct att_attention_call *call)
{
    assert(call->n_query > 0 && call->n_key > 0 && call->head_dim > 0);
    const struct blocks b = blocks_of(call);
    pack_keys(call, b.keys);
    pack_values(call, b.values);
    for (size_t i = 0; i < call->n_query;) {
        const size_t left = call->n_query - i, n_blocks = (left + ROWS - 1) / ROWS;
        const size_t rows = (left + n_blocks - 1) / n_blocks; /* of nearly equal height */
        run_block(call, &b, i, rows);
        i += rows;
    }
}

const struct att_attention att_attention_bf16_avx512 = {
    .name = "avx512bf16",
    .dtype = ATT_BF16,
    .needs = ATT_CPU_AVX512 | ATT_CPU_AVX512_BF16,
    .scratch_bytes = scratch_bytes,
    .run = run,
};
