/*
 * Every row of every kernel family that this CPU can run, against sums in
 * double precision: all small shapes, odd strides, heap blocks of the exact size
 * so that a sanitizer sees one byte too many, NaN and infinity, and the promise
 * that a row's bits do not depend on the rows beside it.
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

#include "core/base/mem.h"
#include "core/kern/bf16.h"
#include "core/kern/cpu.h"
#include "core/kern/kern.h"
#include "tests/unit/kern/noise.h"

static uint32_t features;

static double act_exact(double x, enum att_act act)
{
    switch (act) {
    case ATT_ACT_RELU:
        return x > 0 ? x : 0;
    case ATT_ACT_GELU:
        return 0.5 * x * (1 + erf(x * M_SQRT1_2));
    case ATT_ACT_GELU_TANH:
        return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    case ATT_ACT_SILU:
        return x / (1 + exp(-x));
    case ATT_ACT_TANH:
        return tanh(x);
    default:
        return x;
    }
}

/* How far GELU of x may be from the true one behind a product of this dtype: what gemm.h promises. */
static double gelu_bound(enum att_dtype dtype, double x)
{
    return (dtype == ATT_F32 ? 2e-7 : 3e-6) * fmax(1, fabs(x));
}

/* The rows that this CPU can run, one after the other; NULL behind the last. */
static const struct att_gemm *next_gemm(size_t *at)
{
    size_t count;
    const struct att_gemm *const *rows = att_gemm_rows(&count);
    while (*at < count && (rows[*at]->needs & ~features))
        ++*at;
    return *at < count ? rows[(*at)++] : NULL;
}

static void *packed_of(const struct att_gemm *gemm, size_t n, size_t k, const float *w, size_t ldw)
{
    size_t bytes = gemm->packed_bytes(n, k);
    assert_true(bytes >= n * k);
    void *packed = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(packed);
    gemm->pack(n, k, w, ldw, packed);
    return packed;
}

/* All columns in one call, activations converted where the row wants it, into blocks of the exact size. */
static void gemm_run(const struct att_gemm *gemm, size_t m, size_t n, size_t k, const float *a, size_t lda,
                     const void *packed, float *c, size_t ldc, const struct att_gemm_epilogue *e)
{
    const size_t row = gemm->input_bytes(k);
    assert_int_equal(row % 64, 0);
    if (!row) {
        gemm->run(m, n, k, a, lda * sizeof *a, packed, c, ldc, e, (struct att_gemm_columns){.end = n});
        return;
    }
    void *input = aligned_alloc(64, m * row);
    assert_non_null(input);
    gemm->convert(m, k, a, lda, input);
    gemm->run(m, n, k, input, row, packed, c, ldc, e, (struct att_gemm_columns){.end = n});
    free(input);
}

/* How far a product may be from the exact one: rounding of sums, and what the dtype loses of each factor. */
static double gemm_bound(enum att_dtype dtype, size_t k, const float *x, const float *w)
{
    double size = 0, x_sum = 0, w_sum = 0, low = (double)x[0], high = (double)x[0], top = 0;
    for (size_t p = 0; p < k; p++) {
        size += fabs((double)x[p] * (double)w[p]);
        x_sum += fabs((double)x[p]);
        w_sum += fabs((double)w[p]);
        low = fmin(low, (double)x[p]);
        high = fmax(high, (double)x[p]);
        top = fmax(top, fabs((double)w[p]));
    }
    double bound = 1e-6 + 6e-8 * size * (1 + sqrt((double)k));
    if (dtype == ATT_BF16)
        bound += size * 0x1p-7;
    if (dtype == ATT_INT8) {
        double x_step = (high - low) / 255, w_step = top / 127;
        bound += 0.51 * (x_step * w_sum + w_step * x_sum + x_step * w_step * (double)k) + 1e-5;
    }
    return bound;
}

static void gemm_check(const struct att_gemm *gemm, size_t m, size_t n, size_t k, enum att_act act, bool bias,
                       bool residual)
{
    size_t lda = k + m % 3, ldw = k + n % 2, ldc = n + k % 3, ldr = n + 1;
    float *a = fresh((m - 1) * lda + k), *w = fresh((n - 1) * ldw + k), *c = fresh((m - 1) * ldc + n);
    float *b = fresh(n), *r = fresh((m - 1) * ldr + n);
    float *before = malloc(((m - 1) * ldc + n) * sizeof *before);
    memcpy(before, c, ((m - 1) * ldc + n) * sizeof *before);
    void *packed = packed_of(gemm, n, k, w, ldw);
    const struct att_gemm_epilogue e = {
        .bias = bias ? b : NULL, .act = act, .residual = residual ? r : NULL, .ldr = ldr};
    gemm_run(gemm, m, n, k, a, lda, packed, c, ldc, &e);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t p = 0; p < k; p++)
                sum += (double)a[i * lda + p] * (double)w[j * ldw + p];
            double x = sum + (bias ? (double)b[j] : 0);
            double y = act_exact(x, act) + (residual ? (double)r[i * ldr + j] : 0);
            /* No activation is steeper than 1.13. In f32 its own error is within that of the sums. */
            double bound = 1.13 * gemm_bound(gemm->dtype, k, a + i * lda, w + j * ldw);
            if (act == ATT_ACT_GELU && gemm->dtype != ATT_F32)
                bound += gelu_bound(gemm->dtype, x);
            if (!(fabs((double)c[i * ldc + j] - y) <= bound))
                fail_msg("%s m %zu n %zu k %zu act %d: c[%zu][%zu] is %.9g, expected %.9g", gemm->name, m, n, k, act, i,
                         j, (double)c[i * ldc + j], y);
        }
    for (size_t i = 0; i + 1 < m; i++) /* what lies between the rows of c is not ours */
        for (size_t j = n; j < ldc; j++)
            assert_true(c[i * ldc + j] == before[i * ldc + j]);
    free(a);
    free(w);
    free(c);
    free(b);
    free(r);
    free(before);
    free(packed);
}

static void gemm_multiplies(void **state)
{
    (void)state;
    static const size_t ks[] = {1, 2, 7, 31, 64, 384};
    const struct att_gemm *gemm;
    for (size_t at = 0; (gemm = next_gemm(&at)) != NULL;) {
        for (size_t m = 1; m <= 31; m += m < 16 ? 1 : 5)
            for (size_t n = 1; n <= 67; n += n < 4 ? 1 : 9)
                for (size_t i = 0; i < sizeof ks / sizeof *ks; i++)
                    gemm_check(gemm, m, n, ks[i], (enum att_act)((m + n + i) % ATT_ACT_COUNT), (m + i) % 2,
                               (n + i) % 3 == 0);
    }
}

static void gemm_bits_do_not_depend_on_the_batch(void **state)
{
    (void)state;
    enum { M = 40, N = 96, K = 129 };
    const struct att_gemm *gemm;
    float *a = fresh(M * K), *w = fresh(N * K), *b = fresh(N), *one = fresh(M * N), *many = fresh(M * N);
    for (size_t at = 0; (gemm = next_gemm(&at)) != NULL;) {
        void *packed = packed_of(gemm, N, K, w, K);
        const struct att_gemm_epilogue e = {.bias = b, .act = ATT_ACT_GELU};
        for (size_t i = 0; i < M; i++)
            gemm_run(gemm, 1, N, K, a + i * K, K, packed, one + i * N, N, &e);
        for (size_t m = 1; m <= M; m++)
            for (size_t first = 0; first + m <= M; first += 7) {
                gemm_run(gemm, m, N, K, a + first * K, K, packed, many, N, &e);
                assert_memory_equal(many, one + first * N, m * N * sizeof(float));
            }
        free(packed);
    }
    free(a);
    free(w);
    free(b);
    free(one);
    free(many);
}

/* A team's split: columns in parts give the bits of the whole, and touch nothing else. */
static void gemm_columns_are_independent(void **state)
{
    (void)state;
    enum { M = 9, N = 150, K = 77 };
    const struct att_gemm *gemm;
    for (size_t at = 0; (gemm = next_gemm(&at)) != NULL;) {
        float *a = fresh(M * K), *w = fresh(N * K), *b = fresh(N), *whole = fresh(M * N), *parts = fresh(M * N);
        void *packed = packed_of(gemm, N, K, w, K);
        const size_t row = gemm->input_bytes(K), step = gemm->panel * 2;
        void *input = aligned_alloc(64, row ? M * row : 64);
        const struct att_gemm_epilogue e = {.bias = b, .act = ATT_ACT_SILU};
        const void *behind = (const char *)packed + gemm->packed_bytes(N, K); /* may be fetched, not read */
        if (row)
            gemm->convert(M, K, a, K, input);
        gemm_run(gemm, M, N, K, a, K, packed, whole, N, &e);
        for (size_t begin = 0; begin < N; begin += step)
            gemm->run(
                M, N, K, row ? input : a, row ? row : K * sizeof *a, packed, parts, N, &e,
                (struct att_gemm_columns){.begin = begin, .end = begin + step < N ? begin + step : N, .next = behind});
        assert_memory_equal(whole, parts, M * N * sizeof *whole);
        free(a);
        free(w);
        free(b);
        free(whole);
        free(parts);
        free(packed);
        free(input);
    }
}

/* Sums of int8 are exact, so all rows of that dtype agree to the bit, at the largest values too. */
static void int8_rows_give_the_same_bits(void **state)
{
    (void)state;
    enum { M = 5, N = 40, K = 1030 };
    size_t count;
    const struct att_gemm *const *rows = att_gemm_rows(&count);
    for (int extreme = 0; extreme < 2; extreme++) {
        float *a = fresh(M * K), *w = fresh(N * K), *b = fresh(N), *expected = fresh(M * N), *got = fresh(M * N);
        for (size_t i = 0; extreme && i < M * K; i++)
            a[i] = i % K ? 1 : -1e-3f;
        for (size_t i = 0; extreme && i < N * K; i++)
            w[i] = i / K % 2 ? 3 : -3;
        const struct att_gemm_epilogue e = {.bias = b, .act = ATT_ACT_NONE};
        for (size_t g = count; g-- > 0;) {
            if (rows[g]->dtype != ATT_INT8 || (rows[g]->needs & ~features))
                continue;
            void *packed = packed_of(rows[g], N, K, w, K);
            gemm_run(rows[g], M, N, K, a, K, packed, rows[g]->needs ? got : expected, N, &e);
            for (size_t i = 0; rows[g]->needs && i < M * N; i++)
                if (got[i] != expected[i])
                    fail_msg("%s: c[%zu] is %.9g, the reference has %.9g", rows[g]->name, i, (double)got[i],
                             (double)expected[i]);
            free(packed);
        }
        free(a);
        free(w);
        free(b);
        free(expected);
        free(got);
    }
}

static void gemm_residual_may_be_the_output(void **state)
{
    (void)state;
    enum { M = 17, N = 50, K = 33 };
    const struct att_gemm *gemm;
    for (size_t at = 0; (gemm = next_gemm(&at)) != NULL;) {
        float *a = fresh(M * K), *w = fresh(N * K), *r = fresh(M * N), *c = fresh(M * N);
        void *packed = packed_of(gemm, N, K, w, K);
        const struct att_gemm_epilogue apart = {.act = ATT_ACT_RELU, .residual = r, .ldr = N};
        gemm_run(gemm, M, N, K, a, K, packed, c, N, &apart);
        const struct att_gemm_epilogue same = {.act = ATT_ACT_RELU, .residual = r, .ldr = N};
        gemm_run(gemm, M, N, K, a, K, packed, r, N, &same);
        assert_memory_equal(c, r, M * N * sizeof(float));
        free(a);
        free(w);
        free(r);
        free(c);
        free(packed);
    }
}

static void gemm_keeps_nan_in_its_row(void **state)
{
    (void)state;
    enum { M = 15, N = 40, K = 20 };
    const struct att_gemm *gemm;
    for (size_t at = 0; (gemm = next_gemm(&at)) != NULL;) {
        for (int act = 0; act < ATT_ACT_COUNT; act++) {
            float *a = fresh(M * K), *w = fresh(N * K), *c = fresh(M * N);
            a[3 * K + 2] = NAN;
            void *packed = packed_of(gemm, N, K, w, K);
            const struct att_gemm_epilogue e = {.act = (enum att_act)act};
            gemm_run(gemm, M, N, K, a, K, packed, c, N, &e);
            for (size_t i = 0; i < M; i++)
                for (size_t j = 0; j < N; j++)
                    assert_int_equal(isnan(c[i * N + j]) != 0, i == 3);
            free(a);
            free(w);
            free(c);
            free(packed);
        }
    }
}

/* Behind weights of zero the bias alone is left, so that an activation's error is not hidden by the product's. */
static void gemm_activations_hold_their_bound(void **state)
{
    (void)state;
    enum { N = 24001 };
    const struct att_gemm *gemm;
    float *w = calloc(N, sizeof *w), *b = fresh(N), *c = fresh(N);
    for (size_t j = 0; j < N; j++)
        b[j] = (float)((int)j - N / 2) / 1000;
    for (size_t at = 0; (gemm = next_gemm(&at)) != NULL;) {
        void *packed = packed_of(gemm, N, 1, w, 1);
        for (int act = 0; act < ATT_ACT_COUNT; act++) {
            const struct att_gemm_epilogue e = {.bias = b, .act = (enum att_act)act};
            gemm_run(gemm, 1, N, 1, (const float[]){0.75f}, 1, packed, c, N, &e);
            for (size_t j = 0; j < N; j++) {
                const double x = (double)b[j], y = act_exact(x, (enum att_act)act);
                const double bound = act == ATT_ACT_GELU ? gelu_bound(gemm->dtype, x) : 2.5e-7 * fmax(1, fabs(x));
                if (!(fabs((double)c[j] - y) <= bound))
                    fail_msg("%s act %d of %.9g is %.9g, expected %.9g", gemm->name, act, x, (double)c[j], y);
            }
        }
        free(packed);
    }
    free(w);
    free(b);
    free(c);
}

static void gemm_activations_hold_at_the_ends(void **state)
{
    (void)state;
    enum { N = 7 };
    static const float w[N] = {0}, ends[N] = {INFINITY, -INFINITY, NAN, 1e30f, -1e30f, 100, -100};
    const struct att_gemm *gemm;
    for (size_t at = 0; (gemm = next_gemm(&at)) != NULL;) {
        float *c = fresh(N);
        void *packed = packed_of(gemm, N, 1, w, 1);
        struct att_gemm_epilogue e = {.bias = ends, .act = ATT_ACT_RELU};
        gemm_run(gemm, 1, N, 1, (const float[]){0.75f}, 1, packed, c, N, &e);
        assert_true(isinf(c[0]) && c[1] == 0 && isnan(c[2]) && c[3] == 1e30f && c[4] == 0 && c[5] == 100 && c[6] == 0);
        e.act = ATT_ACT_GELU;
        gemm_run(gemm, 1, N, 1, (const float[]){0.75f}, 1, packed, c, N, &e);
        assert_true(isnan(c[2]) && c[3] == 1e30f && c[5] == 100 && fabsf(c[6]) < 1e-4f);
        free(c);
        free(packed);
    }
}

/* ---- epilogue.gate ---- */

/* A gated layer is the product of two layers, bit for bit, all columns at once or in parts. */
static void check_gate(const struct att_gemm *gemm, size_t m, size_t n, size_t k, enum att_act act, bool biased,
                       bool residual)
{
    float *a = fresh(m * k), *w = fresh(n * k), *v = fresh(n * k), *b = fresh(n), *gate_bias = fresh(n);
    float *gates = fresh(m * n), *ups = fresh(m * n), *got = fresh(m * n), *r = fresh(m * n);
    void *up = packed_of(gemm, n, k, w, k), *gate = packed_of(gemm, n, k, v, k);
    gemm_run(gemm, m, n, k, a, k, gate, gates, n,
             &(struct att_gemm_epilogue){.bias = biased ? gate_bias : NULL, .act = act});
    gemm_run(gemm, m, n, k, a, k, up, ups, n, &(struct att_gemm_epilogue){.bias = biased ? b : NULL});
    const struct att_gemm_epilogue e = {.bias = biased ? b : NULL,
                                        .act = act,
                                        .gate = gate,
                                        .gate_bias = biased ? gate_bias : NULL,
                                        .residual = residual ? r : NULL,
                                        .ldr = n};
    gemm_run(gemm, m, n, k, a, k, up, got, n, &e);
    for (size_t i = 0; i < m * n; i++) {
        const float product = gates[i] * ups[i], expected = residual ? product + r[i] : product;
        if (got[i] != expected)
            fail_msg("%s m %zu n %zu k %zu act %d: %zu is %.9g, expected %.9g", gemm->name, m, n, k, act, i,
                     (double)got[i], (double)expected);
    }
    if (gemm->input_bytes(k) == 0)
        for (size_t j = 0; j < n; j += gemm->panel) {
            float *part = fresh(m * n);
            const size_t end = j + gemm->panel < n ? j + gemm->panel : n;
            gemm->run(m, n, k, a, k * sizeof *a, up, part, n, &e,
                      (struct att_gemm_columns){.begin = j, .end = end, .next = up});
            for (size_t i = 0; i < m; i++)
                assert_memory_equal(part + i * n + j, got + i * n + j, (end - j) * sizeof *got);
            free(part);
        }
    float *const blocks[] = {a, w, v, b, gate_bias, gates, ups, got, r};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        free(blocks[i]);
    free(up);
    free(gate);
}

static void gemm_gates(void **state)
{
    (void)state;
    const struct att_gemm *gemm;
    for (size_t at = 0; (gemm = next_gemm(&at)) != NULL;) {
        for (size_t m = 1; m <= 31; m += m < 16 ? 1 : 5)
            for (size_t n = 1; n <= 70; n += n < 4 ? 1 : 6)
                check_gate(gemm, m, n, 1 + (m * n) % 40, (enum att_act)((m + n) % ATT_ACT_COUNT), m % 2, n % 3 == 0);
    }
}

/* ---- epilogue.rounded ---- */

/* A product whose epilogue rounds; the blocks are of the exact size. */
struct rounding {
    const struct att_gemm *gemm;
    size_t m, n, k, ld; /* ld of the rounded rows: n, or one more that makes it even */
    void *input, *packed;
    float *bias;
};

enum { ROUNDING_ROWS = 112 };

static void rounding_init(struct rounding *p, const struct att_gemm *gemm, size_t n, size_t k)
{
    float *a = fresh(ROUNDING_ROWS * k), *w = fresh(n * k);
    *p = (struct rounding){.gemm = gemm, .n = n, .k = k, .ld = (n + 1) / 2 * 2, .bias = fresh(n)};
    for (size_t j = 0; j < n; j++)
        p->bias[j] *= 6; /* to the flat ends of the activations */
    p->packed = packed_of(gemm, n, k, w, k);
    p->input = aligned_alloc(64, ROUNDING_ROWS * gemm->input_bytes(k));
    assert_non_null(p->input);
    gemm->convert(ROUNDING_ROWS, k, a, k, p->input);
    free(a);
    free(w);
}

static void rounding_finish(struct rounding *p)
{
    free(p->input);
    free(p->packed);
    free(p->bias);
}

/* All bits set, so that a value which is not written is seen. */
static uint16_t *rounded_block(const struct rounding *p)
{
    uint16_t *block = malloc(p->m * p->ld * sizeof *block);
    assert_non_null(block);
    memset(block, 0xff, p->m * p->ld * sizeof *block);
    return block;
}

static void rounding_run(const struct rounding *p, const struct att_gemm_epilogue *e, float *c,
                         struct att_gemm_columns columns)
{
    p->gemm->run(p->m, p->n, p->k, p->input, p->gemm->input_bytes(p->k), p->packed, c, p->n, e, columns);
}

/* c, every value rounded, and the zero behind an odd n. */
static uint16_t *rounded_apart(const struct rounding *p, struct att_gemm_epilogue e)
{
    float *c = fresh(p->m * p->n);
    uint16_t *block = rounded_block(p);
    e.rounded = NULL;
    rounding_run(p, &e, c, (struct att_gemm_columns){.end = p->n});
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->ld; j++)
            block[i * p->ld + j] = j < p->n ? bf16_of(c[i * p->n + j]) : 0;
    free(c);
    return block;
}

static void rounded_equal(const struct rounding *p, enum att_act act, const uint16_t *got, const uint16_t *expected)
{
    for (size_t i = 0; i < p->m; i++)
        if (memcmp(got + i * p->ld, expected + i * p->ld, p->ld * sizeof *got) != 0)
            fail_msg("%s m %zu n %zu act %d: row %zu is not c, rounded", p->gemm->name, p->m, p->n, act, i);
}

/* Every second part first, then those between them: none writes into its neighbours. */
static void rounded_in_parts(const struct rounding *p, const struct att_gemm_epilogue *e, size_t first)
{
    const size_t step = p->gemm->panel, n_parts = (p->n + step - 1) / step;
    for (size_t turn = 0; turn < 2; turn++)
        for (size_t part = (first + turn) % 2; part < n_parts; part += 2) {
            const size_t begin = part * step, end = begin + step < p->n ? begin + step : p->n;
            rounding_run(p, e, NULL, (struct att_gemm_columns){.begin = begin, .end = end});
        }
}

static void check_rounded(const struct rounding *p, enum att_act act)
{
    struct att_gemm_epilogue e = {.bias = (p->m + p->n) % 3 ? p->bias : NULL, .act = act, .ldb = p->ld};
    e.gate = p->m % 2 ? p->packed : NULL;
    uint16_t *expected = rounded_apart(p, e), *got = rounded_block(p);
    e.rounded = got;
    rounding_run(p, &e, NULL, (struct att_gemm_columns){.end = p->n});
    rounded_equal(p, act, got, expected);
    for (size_t first = 0; first < 2; first++) {
        memset(got, 0xff, p->m * p->ld * sizeof *got);
        rounded_in_parts(p, &e, first);
        rounded_equal(p, act, got, expected);
    }
    free(got);
    free(expected);
}

static void check_rounding(const struct att_gemm *gemm, size_t n)
{
    struct rounding p;
    rounding_init(&p, gemm, n, 5 + n % 7);
    for (p.m = 1; p.m <= ROUNDING_ROWS; p.m += p.m < 15 ? 1 : ROUNDING_ROWS - 15)
        for (int act = 0; act < ATT_ACT_COUNT; act++)
            check_rounded(&p, (enum att_act)act);
    rounding_finish(&p);
}

/* Rows that read_rounded convert to what an epilogue writes, the zero behind an odd k with it. */
static void check_reads_rounded(const struct att_gemm *gemm, size_t k)
{
    float *x = fresh(k);
    uint16_t *row = aligned_alloc(64, gemm->input_bytes(k));
    assert_non_null(row);
    gemm->convert(1, k, x, k, row);
    for (size_t p = 0; p < (k + 1) / 2 * 2; p++)
        assert_int_equal(row[p], p < k ? bf16_of(x[p]) : 0);
    free(row);
    free(x);
}

/* What the epilogue rounds is c, rounded, bit for bit, whole or in a team's parts. */
static void gemm_rounds_as_the_next_product_reads(void **state)
{
    (void)state;
    const struct att_gemm *gemm;
    for (size_t at = 0; (gemm = next_gemm(&at)) != NULL;) {
        for (size_t k = 1; k <= 300 && gemm->reads_rounded; k++)
            check_reads_rounded(gemm, k);
        if (!gemm->rounds)
            continue;
        for (size_t n = 1; n <= 70; n++)
            check_rounding(gemm, n);
        check_rounding(gemm, 384);
        check_rounding(gemm, 385);
    }
}

static void gemm_sizes_do_not_wrap(void **state)
{
    (void)state;
    const struct att_gemm *gemm;
    for (size_t at = 0; (gemm = next_gemm(&at)) != NULL;) {
        assert_int_equal(gemm->packed_bytes(SIZE_MAX / 2, 8), 0);
        assert_int_equal(gemm->packed_bytes(SIZE_MAX, SIZE_MAX), 0);
    }
    size_t n;
    const struct att_attention *const *attention = att_attention_rows(&n);
    for (size_t i = 0; i < n; i++)
        if (!(attention[i]->needs & ~features))
            assert_int_equal(attention[i]->scratch_bytes(1, SIZE_MAX, 64), 0);
}

static void near(const char *what, const char *row, size_t n, double got, double expected, double bound)
{
    if (!(fabs(got - expected) <= bound))
        fail_msg("%s of %s, n %zu: %.9g, expected %.9g", what, row, n, got, expected);
}

static void check_norms(const struct att_rows *rows, size_t n)
{
    float *x = fresh(n), *w = fresh(n), *b = fresh(n), *y = fresh(n);
    double mean = 0, variance = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        mean += (double)x[i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
        squares += (double)x[i] * (double)x[i];
    }
    near("scale of layer_norm", rows->name, n, (double)rows->layer_norm(n, x, w, b, 1e-5f, y),
         1 / sqrt(variance + 1e-5), 1e-5 / sqrt(variance + 1e-5));
    for (size_t i = 0; i < n; i++)
        near("layer_norm", rows->name, n, (double)y[i],
             ((double)x[i] - mean) / sqrt(variance + 1e-5) * (double)w[i] + (double)b[i], 3e-5);
    rows->rms_norm(n, x, w, 1e-6f, y);
    for (size_t i = 0; i < n; i++)
        near("rms_norm", rows->name, n, (double)y[i], (double)x[i] / sqrt(squares / (double)n + 1e-6) * (double)w[i],
             1e-5);
    near("dot", rows->name, n, (double)rows->dot(n, x, x), squares, 1e-5 * (1 + squares));
    memcpy(y, x, n * sizeof *y);
    rows->l2_normalize(n, y);
    for (size_t i = 0; i < n; i++)
        near("l2_normalize", rows->name, n, (double)y[i], (double)x[i] / sqrt(squares), 1e-6);
    free(x);
    free(w);
    free(b);
    free(y);
}

static void check_softmax(const struct att_rows *rows, size_t n)
{
    float *x = fresh(n), *y = fresh(n);
    double top = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] *= 30;
        top = fmax(top, (double)x[i] * 0.5);
    }
    for (size_t i = 0; i < n; i++)
        sum += exp((double)x[i] * 0.5 - top);
    memcpy(y, x, n * sizeof *y);
    rows->softmax(n, y, 0.5f);
    for (size_t i = 0; i < n; i++)
        near("softmax", rows->name, n, (double)y[i], exp((double)x[i] * 0.5 - top) / sum, 1e-6);
    for (size_t i = 0; i < n; i++)
        y[i] = -INFINITY;
    rows->softmax(n, y, 1);
    for (size_t i = 0; i < n; i++)
        assert_true(y[i] == 0);
    y[n / 2] = 3;
    for (size_t i = 0; i < n; i++)
        y[i] = i == n / 2 ? 3 : -INFINITY;
    rows->softmax(n, y, 1);
    for (size_t i = 0; i < n; i++)
        assert_true(y[i] == (i == n / 2 ? 1.0f : 0.0f));
    y[0] = NAN;
    rows->softmax(n, y, 1);
    assert_true(isnan(y[0]));
    free(x);
    free(y);
}

static void check_sums(const struct att_rows *rows, size_t n)
{
    size_t count = 1 + n % 9, ld = n + 3;
    float *x = fresh((count - 1) * ld + n), *y = fresh(n), *z = fresh(n), *scores = fresh(count);
    rows->mean_pool(count, n, x, ld, z);
    rows->dot_table(0, count, n, x, ld, y, scores);
    for (size_t i = 0; i < n; i++) {
        double mean = 0;
        for (size_t r = 0; r < count; r++)
            mean += (double)x[r * ld + i] / (double)count;
        near("mean_pool", rows->name, n, (double)z[i], mean, 1e-6);
    }
    for (size_t r = 0; r < count; r++)
        assert_true(scores[r] == rows->dot(n, x + r * ld, y));
    memcpy(z, y, n * sizeof *z);
    rows->add(n, x, z);
    for (size_t i = 0; i < n; i++)
        assert_true(z[i] == y[i] + x[i]);
    rows->scale(n, x, 0.25f, z);
    for (size_t i = 0; i < n; i++)
        assert_true(z[i] == x[i] * 0.25f);
    free(x);
    free(y);
    free(z);
    free(scores);
}

static void check_scaled_sums(const struct att_rows *rows, size_t n)
{
    float *a = fresh(n), *b = fresh(n), *c = fresh(n), *bias = fresh(n), *y = fresh(n);
    uint16_t *a_rounded = malloc(n * sizeof *a_rounded), *y_rounded = malloc(n * sizeof *y_rounded);
    assert_true(a_rounded && y_rounded);
    rows->scaled_sum(n, a, b, c, 1.5f, bias, y);
    for (size_t i = 0; i < n; i++) {
        const double expected = ((double)a[i] + (double)b[i] + (double)c[i]) * 1.5 + (double)bias[i];
        near("scaled_sum", rows->name, n, (double)y[i], expected, 1e-6);
        a_rounded[i] = bf16_of(a[i]);
    }
    rows->scaled_sum_rounded(n, a_rounded, b, c, 1.5f, bias, y_rounded);
    for (size_t i = 0; i < n; i++) {
        const double sum = (double)bf16_value(a_rounded[i]) + (double)b[i] + (double)c[i];
        const double expected = sum * 1.5 + (double)bias[i];
        near("scaled_sum_rounded", rows->name, n, (double)bf16_value(y_rounded[i]), expected,
             fabs(expected) / 256 + 1e-6);
    }
    /* Nothing but the rounding: of any bits, NaN and denormals among them, as one value in plain C. */
    for (size_t i = 0; i < n; i++) {
        static const uint32_t special[] = {0x7f800000, 0xff800000, 0x7fc00001, 0x7f800001, 0xffbfffff, 1,
                                           0x807fffff, 0x3f808000, 0x3f818000, 0x3f808001, 0x7f7fffff, 0x80000000};
        const uint32_t bits =
            i % 3 ? (uint32_t)(noise() * 0x1p31f) : special[(n + i) % (sizeof special / sizeof *special)];
        memcpy(&b[i], &bits, sizeof bits);
        a_rounded[i] = 0x8000;
        c[i] = bias[i] = -0.0f;
    }
    rows->scaled_sum_rounded(n, a_rounded, b, c, 1, bias, y_rounded);
    for (size_t i = 0; i < n; i++)
        if (y_rounded[i] != bf16_of(b[i]))
            fail_msg("%s, n %zu: %a is rounded to %04x, expected %04x", rows->name, n, (double)b[i], y_rounded[i],
                     bf16_of(b[i]));
    free(a);
    free(b);
    free(c);
    free(bias);
    free(y);
    free(a_rounded);
    free(y_rounded);
}

static void rows_are_right_at_every_length(void **state)
{
    (void)state;
    size_t count;
    const struct att_rows *const *rows = att_rows_rows(&count);
    for (size_t r = 0; r < count; r++)
        for (size_t n = 1; n <= 300 && !(rows[r]->needs & ~features); n++) {
            if (n > 2)
                check_norms(rows[r], n);
            check_softmax(rows[r], n);
            check_sums(rows[r], n);
            check_scaled_sums(rows[r], n);
        }
}

static void masks_hide_features(void **state)
{
    (void)state;
    uint32_t all, some;
    struct att_err err;
    assert_int_equal(att_cpu_detect(NULL, &all, &err), ATT_OK);
    assert_int_equal(att_cpu_detect("-avx512", &some, &err), ATT_OK);
    assert_int_equal(some, all & (ATT_CPU_AVX2 | ATT_CPU_AVX_VNNI));
    assert_int_equal(att_cpu_detect("-winograd", &some, &err), ATT_OK);
    assert_int_equal(some, all & ~(uint32_t)(ATT_CPU_ZEN4 | ATT_CPU_ZEN5));
    assert_int_equal(att_cpu_detect("-avx2,-avx512", &some, &err), ATT_OK);
    assert_int_equal(some, 0);
    assert_ptr_equal(att_rows_choose(0), att_rows_rows(&(size_t){0})[2]);
    assert_string_equal(att_byte_dots_choose(0)->name, "ref");
    assert_int_equal(att_cpu_detect("-avx9", &some, &err), ATT_EINVAL);
    assert_non_null(strstr(err.message, "'-avx9'"));
    assert_int_equal(att_cpu_detect("avx512", &some, &err), ATT_EINVAL);
}

static int detect(void **state)
{
    (void)state;
    return att_cpu_detect(NULL, &features, NULL) == ATT_OK ? 0 : -1;
}

/* Every row sums the same integers, at the ends of both ranges too. */
static void byte_dots_sum_integers(void **state)
{
    enum { PANELS = 3, STEPS = 70 };
    static _Alignas(64) int8_t table[PANELS * STEPS * ATT_BYTE_PANEL * ATT_BYTE_STEP];
    static _Alignas(64) int32_t sums[PANELS * ATT_BYTE_PANEL];
    static uint8_t query[STEPS * ATT_BYTE_STEP];
    size_t count;
    const struct att_byte_dots *const *rows = att_byte_dots_rows(&count);
    (void)state;
    for (size_t round = 0; round < 4; round++) {
        for (size_t i = 0; i < sizeof table; i++)
            table[i] = round == 0 ? -127 : round == 1 ? 127 : (int8_t)(i * 7919 % 255 - 127);
        for (size_t i = 0; i < sizeof query; i++)
            query[i] = round < 2 ? 127 : (uint8_t)(i * 31 % 128);
        for (size_t r = 0; r < count; r++) {
            const size_t steps = round == 3 ? 1 : STEPS;
            if (rows[r]->needs & ~features)
                continue;
            rows[r]->run(PANELS, steps, query, table, sums);
            for (size_t i = 0; i < PANELS * ATT_BYTE_PANEL; i++) {
                int32_t expected = 0;
                for (size_t p = 0; p < steps * ATT_BYTE_STEP; p++)
                    expected += query[p] * table[(i / ATT_BYTE_PANEL * steps + p / ATT_BYTE_STEP) * 64 +
                                                 i % ATT_BYTE_PANEL * ATT_BYTE_STEP + p % ATT_BYTE_STEP];
                assert_int_equal(sums[i], expected);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(byte_dots_sum_integers),
        cmocka_unit_test(gemm_multiplies),
        cmocka_unit_test(gemm_bits_do_not_depend_on_the_batch),
        cmocka_unit_test(gemm_residual_may_be_the_output),
        cmocka_unit_test(gemm_columns_are_independent),
        cmocka_unit_test(int8_rows_give_the_same_bits),
        cmocka_unit_test(gemm_keeps_nan_in_its_row),
        cmocka_unit_test(gemm_activations_hold_their_bound),
        cmocka_unit_test(gemm_activations_hold_at_the_ends),
        cmocka_unit_test(gemm_gates),
        cmocka_unit_test(gemm_rounds_as_the_next_product_reads),
        cmocka_unit_test(gemm_sizes_do_not_wrap),
        cmocka_unit_test(rows_are_right_at_every_length),
        cmocka_unit_test(masks_hide_features),
    };
    return cmocka_run_group_tests_name("kern", tests, detect, NULL);
}
