/*
 * GEMM rows that multiply by groups (gemm_groups.h): that both forms of each have the same bits, that f32 leaves the
 * identity where it would lose digits, and that sums of 16-bit integers are exact up to the ends of their range.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/kern/cpu.h"
#include "core/kern/gemm.h"
#include "tests/unit/kern/noise.h"

static uint32_t features;

/* The row that a CPU like this one but of that kind would take, or NULL where this one cannot run it. */
static const struct att_gemm *row_for(enum att_dtype dtype, uint32_t kind)
{
    const struct att_gemm *gemm = att_gemm_choose(dtype, (features & ~(uint32_t)(ATT_CPU_ZEN4 | ATT_CPU_ZEN5)) | kind);
    return gemm->suits ? gemm : NULL;
}

/* c[m][n] = x · wᵀ, all blocks of the exact size; the caller frees it. */
static float *product(const struct att_gemm *gemm, size_t m, size_t n, size_t k, const float *x, const float *w)
{
    const size_t row = gemm->input_bytes(k);
    void *packed = aligned_alloc(64, (gemm->packed_bytes(n, k) + 63) / 64 * 64);
    void *input = aligned_alloc(64, row ? m * row : 64);
    float *c = malloc(m * n * sizeof *c);
    assert_true(packed && input && c);
    gemm->pack(n, k, w, k, packed);
    if (row)
        gemm->convert(m, k, x, k, input);
    gemm->run(m, n, k, row ? input : x, row ? row : k * sizeof *x, packed, c, n,
              &(struct att_gemm_epilogue){.bias = NULL}, (struct att_gemm_columns){.end = n});
    free(packed);
    free(input);
    return c;
}

/* Every third row and fifth column has values that the identity does not suit. */
static void disturb(size_t count, size_t k, size_t each, float *x)
{
    for (size_t i = 0; i < count; i += each)
        for (size_t p = 0; p < k && p < 2; p++)
            x[i * k + p] *= 3000;
}

static void both_forms_have_the_same_bits(void **state)
{
    (void)state;
    for (enum att_dtype dtype = ATT_F32; dtype <= ATT_BF16; dtype++) {
        const struct att_gemm *one = row_for(dtype, ATT_CPU_ZEN4), *other = row_for(dtype, ATT_CPU_ZEN5);
        for (size_t k = 1; one && other && k <= 150; k++) {
            const size_t m = 1 + k % 33, n = 1 + k % 70;
            float *x = fresh(m * k), *w = fresh(n * k);
            if (k % 2) {
                disturb(m, k, 3, x);
                disturb(n, k, 5, w);
            }
            float *a = product(one, m, n, k, x, w), *b = product(other, m, n, k, x, w);
            assert_memory_equal(a, b, m * n * sizeof *a);
            free(x);
            free(w);
            free(a);
            free(b);
        }
    }
}

static void a_row_alone_has_the_bits_it_has_among_others(void **state)
{
    (void)state;
    enum { M = 150, N = 40, K = 50 }; /* more rows than are looked at together */
    for (enum att_dtype dtype = ATT_F32; dtype <= ATT_BF16; dtype++) {
        const struct att_gemm *gemm = row_for(dtype, ATT_CPU_ZEN4);
        if (!gemm)
            continue;
        float *x = fresh(M * K), *w = fresh(N * K);
        disturb(M, K, 3, x);
        x[7 * K + 1] = INFINITY;
        x[8 * K + 2] = NAN;
        float *all = product(gemm, M, N, K, x, w);
        for (size_t i = 0; i < M; i++) {
            float *one = product(gemm, 1, N, K, x + i * K, w);
            assert_memory_equal(one, all + i * N, N * sizeof *one);
            for (size_t j = 0; j < N; j++)
                assert_int_equal(isfinite(one[j]) != 0, i != 7 && i != 8);
            free(one);
        }
        free(x);
        free(w);
        free(all);
    }
}

static const struct att_gemm *plain_row(void)
{
    return att_gemm_choose(ATT_F32, features & ~(uint32_t)(ATT_CPU_ZEN4 | ATT_CPU_ZEN5));
}

/* The root mean square of a product's distance from the exact one. */
static double distance(size_t m, size_t n, size_t k, const float *x, const float *w, const float *c)
{
    double squares = 0;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = -(double)c[i * n + j];
            for (size_t p = 0; p < k; p++)
                sum += (double)x[i * k + p] * (double)w[j * k + p];
            squares += sum * sum;
        }
    return sqrt(squares / (double)(m * n));
}

enum shape { AROUND_ZERO, POSITIVE, AROUND_ONE, HALF_ZEROS, LARGE_PAIR, LARGE_PAIRS, SHAPES };

/* Rows of k values of about that size. */
static float *shaped(size_t rows, size_t k, enum shape shape, float size)
{
    float *x = fresh(rows * k);
    for (size_t i = 0; i < rows * k; i++) {
        const float v = x[i];
        const size_t p = i % k;
        x[i] = size * (shape == POSITIVE                                                    ? fabsf(v)
                       : shape == AROUND_ONE                                                ? 1 + v / 10
                       : shape == HALF_ZEROS                                                ? fmaxf(v, 0)
                       : (shape == LARGE_PAIR && p < 2) || (shape == LARGE_PAIRS && p < 30) ? 100 * v
                                                                                            : v);
    }
    return x;
}

/* Where the identity alone would be up to thousands of times as far. */
static void f32_stays_near_plain_sums(void **state)
{
    (void)state;
    enum { M = 8, N = 32 };
    static const float sizes[] = {1, 0.05f, 8, 1e-6f, 1e6f, 1e-30f};
    static const size_t ks[] = {96, 3072};
    const struct att_gemm *gemm = row_for(ATT_F32, ATT_CPU_ZEN4), *plain = plain_row();
    for (size_t at = 0; gemm && at < 2 * 6 * SHAPES * SHAPES; at++) {
        const size_t k = ks[at % 2];
        const float size = sizes[at / 2 % 6];
        const enum shape x_shape = at / 12 % SHAPES, w_shape = at / 12 / SHAPES;
        float *x = shaped(M, k, x_shape, size), *w = shaped(N, k, w_shape, 0.03f / size);
        float *a = product(gemm, M, N, k, x, w), *b = product(plain, M, N, k, x, w);
        const double grouped = distance(M, N, k, x, w, a), plainly = distance(M, N, k, x, w, b);
        if (!(grouped <= 16 * plainly))
            fail_msg("k %zu, size %g, shapes %d %d: %.3g from the exact product, plain sums %.3g", k, (double)size,
                     x_shape, w_shape, grouped, plainly);
        free(x);
        free(w);
        free(a);
        free(b);
    }
}

/* Else the tests above would say nothing. */
static void f32_takes_the_identity_where_it_is_safe(void **state)
{
    (void)state;
    enum { M = 10, N = 64, K = 384 };
    const struct att_gemm *gemm = row_for(ATT_F32, ATT_CPU_ZEN4);
    static const float sizes[] = {0.3f, 1, 3};
    for (size_t s = 0; gemm && s < 3; s++) {
        float *x = shaped(M, K, AROUND_ZERO, sizes[s]), *w = shaped(N, K, AROUND_ZERO, 0.05f);
        memset(w + 3 * K, 0, K * sizeof *w); /* a pruned output does not keep others from it */
        float *a = product(gemm, M, N, K, x, w), *b = product(plain_row(), M, N, K, x, w);
        for (size_t i = 0; i < M; i++)
            for (size_t part = 0; part < N; part += 32)
                assert_memory_not_equal(a + i * N + part, b + i * N + part, 32 * sizeof *a);
        free(x);
        free(w);
        free(a);
        free(b);
    }
}

/* Squares that overflow, in lanes of their own, hide no pair. */
static void f32_holds_large_values(void **state)
{
    (void)state;
    enum { K = 96 };
    const struct att_gemm *gemm = row_for(ATT_F32, ATT_CPU_ZEN4);
    for (int large = 0; gemm && large < 2; large++) {
        float *x = fresh(K), *w = fresh(K);
        double sum = 0, size = 0;
        for (size_t p = 0; p < K; p++) {
            if (large == 0)
                x[p] = p == 2 ? 4e18f : p == 18 || p == 19 ? 1e19f : x[p];
            if (large == 1)
                w[p] *= p == 2 ? 9e9f : p == 18 || p == 19 ? 1.5e11f : p % 3 == 2 ? 5e9f : 1;
            sum += (double)x[p] * (double)w[p];
            size += fabs((double)x[p] * (double)w[p]);
        }
        float *c = product(gemm, 1, 1, K, x, w);
        assert_true(fabs((double)c[0] - sum) <= 1e-5 * size);
        free(x);
        free(w);
        free(c);
    }
}

static void f32_zeros_stay_zeros(void **state)
{
    (void)state;
    enum { M = 5, N = 40, K = 60 };
    const struct att_gemm *gemm = row_for(ATT_F32, ATT_CPU_ZEN4);
    for (int zero = 0; gemm && zero < 2; zero++) {
        float *x = fresh(M * K), *w = fresh(N * K);
        memset(zero ? x : w, 0, (zero ? M : N) * K * sizeof *x);
        float *c = product(gemm, M, N, K, x, w);
        for (size_t i = 0; i < M * N; i++)
            assert_true(c[i] == 0);
        free(x);
        free(w);
        free(c);
    }
}

static void f32_picks_values_as_they_are(void **state)
{
    (void)state;
    enum { M = 5, N = 60 };
    const struct att_gemm *gemm = row_for(ATT_F32, ATT_CPU_ZEN4);
    float *x = fresh(M * N), *w = fresh(N * N);
    for (size_t i = 0; i < N * N; i++)
        w[i] = i / N == i % N;
    float *c = gemm ? product(gemm, M, N, N, x, w) : NULL;
    if (c)
        assert_memory_equal(c, x, M * N * sizeof *x);
    free(x);
    free(w);
    free(c);
}

/* Integers with 8191 among them keep their values, so that every sum is known exactly. */
static void int16_sums_are_exact(void **state)
{
    (void)state;
    enum { M = 13, N = 37 };
    const struct att_gemm *gemm = row_for(ATT_BF16, ATT_CPU_ZEN4);
    for (size_t k = 1; gemm && k <= 300; k += k < 40 ? 1 : 13) {
        float *x = fresh(M * k), *w = fresh(N * k);
        const float size = k < 30 ? 8191 : 8191 * sqrtf(30 / (float)k) * 0.9f; /* norms below 46000 */
        for (size_t i = 0; i < M * k; i++)
            x[i] = i % k == k / 2 ? -8191 : rintf(x[i] * size);
        for (size_t i = 0; i < N * k; i++)
            w[i] = i % k == k / 2 ? 8191 : rintf(w[i] * size);
        float *c = product(gemm, M, N, k, x, w);
        for (size_t i = 0; i < M; i++)
            for (size_t j = 0; j < N; j++) {
                int64_t sum = 0;
                for (size_t p = 0; p < k; p++)
                    sum += (int64_t)x[i * k + p] * (int64_t)w[j * k + p];
                assert_true(c[i * N + j] == (float)sum);
            }
        free(x);
        free(w);
        free(c);
    }
}

/* The largest sums there are: a row and a column of one direction, or of opposite ones. */
static void int16_sums_do_not_wrap(void **state)
{
    (void)state;
    const struct att_gemm *gemm = row_for(ATT_BF16, ATT_CPU_ZEN4);
    for (size_t k = 1; gemm && k <= ATT_GEMM_K_MAX; k *= 4)
        for (int shape = 0; shape < 3; shape++) {
            float *x = malloc(k * sizeof *x), *w = malloc(2 * k * sizeof *w);
            assert_true(x && w);
            for (size_t p = 0; p < k; p++) {
                x[p] = shape == 0 ? 3e4f : shape == 1 ? noise() : p % 7 ? 1e-3f : -4e15f;
                w[p] = x[p];
                w[k + p] = -x[p];
            }
            double sum = 0;
            for (size_t p = 0; p < k; p++)
                sum += (double)x[p] * (double)x[p];
            float *c = product(gemm, 1, 2, k, x, w);
            assert_true(fabs((double)c[0] / sum - 1) < 1e-2 && fabs((double)c[1] / sum + 1) < 1e-2);
            free(x);
            free(w);
            free(c);
        }
}

static void int16_holds_large_values(void **state)
{
    (void)state;
    enum { K = 1024 };
    const struct att_gemm *gemm = row_for(ATT_BF16, ATT_CPU_ZEN4);
    for (int large = 0; gemm && large < 2; large++) {
        float *x = fresh(K), *w = fresh(K);
        double sum = 0;
        for (size_t p = 0; p < K; p++) {
            x[p] = large ? 1e37f * fabsf(x[p]) : 1e33f;
            w[p] = 1e-3f;
            sum += (double)x[p] * (double)w[p];
        }
        float *c = product(gemm, 1, 1, K, x, w);
        assert_true(fabs((double)c[0] / sum - 1) < 1e-2);
        free(x);
        free(w);
        free(c);
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
        cmocka_unit_test(both_forms_have_the_same_bits), cmocka_unit_test(a_row_alone_has_the_bits_it_has_among_others),
        cmocka_unit_test(f32_stays_near_plain_sums),     cmocka_unit_test(f32_takes_the_identity_where_it_is_safe),
        cmocka_unit_test(f32_holds_large_values),        cmocka_unit_test(f32_zeros_stay_zeros),
        cmocka_unit_test(f32_picks_values_as_they_are),  cmocka_unit_test(int16_sums_are_exact),
        cmocka_unit_test(int16_sums_do_not_wrap),        cmocka_unit_test(int16_holds_large_values),
    };
    return cmocka_run_group_tests_name("kern-groups", tests, detect, NULL);
}
