/*
 * Attention of every row that this CPU can run, against sums in double precision:
 * masks, biases, lengths beyond a chunk of keys, and the promise that a query's
 * bits do not depend on the queries beside it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/kern/bf16.h"
#include "core/kern/cpu.h"
#include "core/kern/kern.h"
#include "tests/unit/kern/noise.h"

static uint32_t features;

static void near(const char *what, const char *row, size_t n, double got, double expected, double bound)
{
    if (!(fabs(got - expected) <= bound))
        fail_msg("%s of %s, n %zu: %.9g, expected %.9g", what, row, n, got, expected);
}

/* bias_kind: 0 none, 1 a matrix, 2 by distance, 3 by key. */
static void attention_check(const struct att_attention *attention, size_t n_query, size_t n_key, size_t d, bool causal,
                            size_t window, int bias_kind)
{
    size_t past = n_key > n_query ? n_key - n_query : 0;
    size_t bias_count = bias_kind == 1 ? n_query * n_key : n_query + n_key + past;
    float *bias = fresh(bias_count);
    ptrdiff_t bias_ld = bias_kind == 1 ? (ptrdiff_t)n_key : bias_kind == 2 ? -1 : 0;
    const float *bias_first = bias_kind == 0 ? NULL : bias_kind == 2 ? bias + n_query - 1 : bias;
    size_t ld = d + n_key % 4;
    float *q = fresh((n_query - 1) * ld + d), *k = fresh((n_key - 1) * ld + d), *v = fresh((n_key - 1) * ld + d);
    float *out = fresh((n_query - 1) * ld + d), *plain = fresh((n_query - 1) * ld + d);
    float *probs = fresh(n_query * n_key);
    void *scratch = aligned_alloc(64, (attention->scratch_bytes(n_query, n_key, d) + 63) / 64 * 64);
    assert_non_null(scratch);
    struct att_attention_call call = {.query = q,
                                      .key = k,
                                      .value = v,
                                      .query_ld = ld,
                                      .key_ld = ld,
                                      .value_ld = ld,
                                      .out = out,
                                      .out_ld = ld,
                                      .n_query = n_query,
                                      .n_key = n_key,
                                      .head_dim = d,
                                      .scale = 0.7f,
                                      .first = past,
                                      .causal = causal,
                                      .local = window > 0,
                                      .window = window,
                                      .bias = bias_first,
                                      .bias_ld = bias_ld,
                                      .probs = probs,
                                      .scratch = scratch};
    attention->run(&call);
    call.probs = NULL;
    call.out = plain;
    attention->run(&call);
    double *p = malloc(n_key * sizeof *p);
    for (size_t i = 0; i < n_query; i++) {
        assert_memory_equal(out + i * ld, plain + i * ld, d * sizeof(float));
        double sum = 0;
        for (size_t j = 0; j < n_key; j++) {
            size_t at = past + i;
            bool hidden = (causal && j > at) || (window && (at > j ? at - j : j - at) > window);
            double s = 0;
            for (size_t c = 0; c < d; c++)
                s += (double)q[i * ld + c] * (double)k[j * ld + c];
            s = 0.7 * s + (bias_first ? (double)bias_first[(ptrdiff_t)i * bias_ld + (ptrdiff_t)j] : 0);
            p[j] = hidden ? 0 : exp(s);
            sum += p[j];
        }
        for (size_t j = 0; j < n_key; j++)
            near("probability", attention->name, n_key, (double)probs[i * n_key + j], sum > 0 ? p[j] / sum : 0,
                 attention->dtype == ATT_BF16 ? 2e-2 : 2e-6);
        for (size_t c = 0; c < d; c++) {
            double y = 0;
            for (size_t j = 0; j < n_key; j++)
                y += sum > 0 ? p[j] / sum * (double)v[j * ld + c] : 0;
            near("attention", attention->name, n_key, (double)out[i * ld + c], y,
                 attention->dtype == ATT_BF16 ? 2e-2 : 3e-6);
        }
    }
    free(p);
    free(bias);
    free(q);
    free(k);
    free(v);
    free(out);
    free(plain);
    free(probs);
    free(scratch);
}

static void attention_attends(void **state)
{
    (void)state;
    static const size_t dims[] = {1, 8, 12, 32, 50, 64}, lengths[] = {1, 2, 5, 13, 14, 15, 31, 33, 70, 130};
    size_t count;
    const struct att_attention *const *rows = att_attention_rows(&count);
    for (size_t r = 0; r < count; r++) {
        if (rows[r]->needs & ~features)
            continue;
        for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
            for (size_t j = 0; j < sizeof lengths / sizeof *lengths; j++) {
                attention_check(rows[r], lengths[j], lengths[j], dims[i], false, 0, 0);
                attention_check(rows[r], lengths[j], lengths[j], dims[i], false, 0, 1);
                attention_check(rows[r], lengths[j], lengths[j], dims[i], false, 0, 2);
                attention_check(rows[r], (lengths[j] + 1) / 2, lengths[j], dims[i], true, 2, 1);
                attention_check(rows[r], lengths[j], lengths[j], dims[i], true, 0, 0);
                attention_check(rows[r], lengths[j], lengths[j], dims[i], true, 0, 3);
                attention_check(rows[r], (lengths[j] + 1) / 2, lengths[j], dims[i], true, 0, 0);
                attention_check(rows[r], lengths[j], lengths[j], dims[i], false, 3, 0);
            }
    }
}

/* Rows longer than one chunk of keys, by online softmax; windows that begin and end in other chunks. */
static void attention_attends_far(void **state)
{
    (void)state;
    static const size_t lengths[] = {511, 512, 513, 600, 1100};
    size_t count;
    const struct att_attention *const *rows = att_attention_rows(&count);
    for (size_t r = 0; r < count; r++) {
        if (rows[r]->needs & ~features)
            continue;
        for (size_t j = 0; j < sizeof lengths / sizeof *lengths; j++) {
            attention_check(rows[r], 17, lengths[j], 32, false, 0, 0);
            attention_check(rows[r], 5, lengths[j], 33, false, 0, 1);
            attention_check(rows[r], 30, lengths[j], 16, false, 0, 2);
            attention_check(rows[r], 40, lengths[j], 8, true, 0, 0);
            attention_check(rows[r], 40, lengths[j], 8, true, 0, 3);
            attention_check(rows[r], lengths[j], lengths[j], 4, false, 64, 0);
            attention_check(rows[r], lengths[j], lengths[j], 4, true, 520, 1);
        }
    }
}

/* One head of n tokens over themselves, rows of d values. */
static struct att_attention_call call_of(const float *q, const float *k, const float *v, float *out, size_t n, size_t d,
                                         void *scratch)
{
    return (struct att_attention_call){.query = q,
                                       .key = k,
                                       .value = v,
                                       .query_ld = d,
                                       .key_ld = d,
                                       .value_ld = d,
                                       .out = out,
                                       .out_ld = d,
                                       .n_query = n,
                                       .n_key = n,
                                       .head_dim = d,
                                       .scale = 0.3f,
                                       .scratch = scratch};
}

/* A query's bits do not depend on which other queries the call holds. */
static void attention_keeps_bits(void **state)
{
    (void)state;
    enum { N = 600, D = 20 };
    float *q = fresh(N * D), *k = fresh(N * D), *v = fresh(N * D), *all = fresh(N * D), *part = fresh(N * D);
    size_t count;
    const struct att_attention *const *rows = att_attention_rows(&count);
    for (size_t r = 0; r < count; r++) {
        if (rows[r]->needs & ~features)
            continue;
        void *scratch = aligned_alloc(64, (rows[r]->scratch_bytes(N, N, D) + 63) / 64 * 64);
        assert_non_null(scratch);
        struct att_attention_call call = call_of(q, k, v, all, N, D, scratch);
        call.local = true;
        call.window = 90;
        rows[r]->run(&call);
        for (size_t first = 0, n = 1; first < N; first += n, n = n % 37 + 5) {
            call.first = first;
            call.n_query = N - first < n ? N - first : n;
            call.query = q + first * D;
            call.out = part + first * D;
            rows[r]->run(&call);
        }
        assert_memory_equal(all, part, N * D * sizeof *all);
        free(scratch);
    }
    free(q);
    free(k);
    free(v);
    free(all);
    free(part);
}

/* A bias of zeros, as of events that weigh the same, gives the bits of no bias. */
static void attention_takes_bias_of_zeros(void **state)
{
    (void)state;
    enum { N = 70, D = 16 };
    float *q = fresh(N * D), *k = fresh(N * D), *v = fresh(N * D), *out = fresh(N * D), *same = fresh(N * D);
    float zeros[N] = {0};
    size_t count;
    const struct att_attention *const *rows = att_attention_rows(&count);
    for (size_t r = 0; r < count; r++) {
        if (rows[r]->needs & ~features)
            continue;
        void *scratch = aligned_alloc(64, (rows[r]->scratch_bytes(N, N, D) + 63) / 64 * 64);
        assert_non_null(scratch);
        struct att_attention_call call = call_of(q, k, v, out, N, D, scratch);
        rows[r]->run(&call);
        call.bias = zeros;
        call.out = same;
        rows[r]->run(&call);
        assert_memory_equal(out, same, N * D * sizeof *out);
        free(scratch);
    }
    free(q);
    free(k);
    free(v);
    free(out);
    free(same);
}

/* n rows of d values as bfloat16, in a block of exactly that size. */
static uint16_t *rounded_of(const float *x, size_t n, size_t d)
{
    uint16_t *y = malloc(n * d * sizeof *y);
    assert_non_null(y);
    for (size_t i = 0; i < n * d; i++)
        y[i] = bf16_of(x[i]);
    return y;
}

static void rounded_check(const struct att_attention *attention, size_t n, size_t d)
{
    float *q = fresh(n * d), *k = fresh(n * d), *v = fresh(n * d), *out = fresh(n * d), *same = fresh(n * d);
    k[0] = 1e-40f; /* denormals are rounded to zero in both */
    uint16_t *rq = rounded_of(q, n, d), *rk = rounded_of(k, n, d), *rv = rounded_of(v, n, d);
    void *scratch = aligned_alloc(64, (attention->scratch_bytes(n, n, d) + 63) / 64 * 64);
    assert_non_null(scratch);
    struct att_attention_call call = call_of(q, k, v, out, n, d, scratch);
    attention->run(&call);
    call.query = call.key = call.value = NULL;
    call.rounded_query = rq;
    call.rounded_key = rk;
    call.rounded_value = rv;
    call.out = same;
    attention->run(&call);
    assert_memory_equal(out, same, n * d * sizeof *out);
    void *blocks[] = {q, k, v, out, same, rq, rk, rv, scratch};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        free(blocks[i]);
}

/* Inputs that were rounded before give the bits of inputs that the kernel rounds. */
static void attention_takes_rounded(void **state)
{
    (void)state;
    size_t count;
    const struct att_attention *const *rows = att_attention_rows(&count);
    for (size_t r = 0; r < count; r++) {
        if ((rows[r]->needs & ~features) || !rows[r]->takes_rounded)
            continue;
        for (size_t n = 1; n < 70; n++)
            rounded_check(rows[r], n, 2 + 2 * (n % 40));
        rounded_check(rows[r], 600, 64);
    }
}

static int detect(void **state)
{
    (void)state;
    return att_cpu_detect(NULL, &features, NULL) == ATT_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_attends),       cmocka_unit_test(attention_attends_far),
        cmocka_unit_test(attention_keeps_bits),    cmocka_unit_test(attention_takes_bias_of_zeros),
        cmocka_unit_test(attention_takes_rounded),
    };
    return cmocka_run_group_tests_name("attention", tests, detect, NULL);
}
