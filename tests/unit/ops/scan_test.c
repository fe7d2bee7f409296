/* The scan against the plain way: every score in f32, sorted. Kernels are those of this CPU; ATTEND_CPU_MASK chooses
 * others, and the suite runs this file with several. */
#include "core/ops/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/attend.h"
#include "core/kern/kern.h"

static uint64_t seed = 7;

static float uniform(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)(seed >> 40) / (float)(1 << 24);
}

static float normal(void)
{
    return sqrtf(-2 * logf(uniform() + 1e-9f)) * cosf(6.2831853f * uniform());
}

struct table {
    size_t n, k;
    float *rows, *bias, *query, *scores;
    unsigned char *allowed;
};

static struct table make_table(size_t n, size_t k, bool bias)
{
    struct table t = {.n = n, .k = k};
    t.rows = calloc(n * k, sizeof(float));
    t.bias = bias ? calloc(n, sizeof(float)) : NULL;
    t.query = calloc(k, sizeof(float));
    t.scores = calloc(n, sizeof(float));
    t.allowed = calloc(n, 1);
    for (size_t i = 0; i < n; i++) {
        float size = 0.2f + 2 * uniform(); /* rows of all lengths, as popular items have */
        for (size_t p = 0; p < k; p++)
            t.rows[i * k + p] = size * normal();
        if (bias)
            t.bias[i] = normal();
        t.allowed[i] = uniform() < 0.9f;
    }
    for (size_t p = 0; p < k; p++)
        t.query[p] = normal();
    return t;
}

static void free_table(struct table *t)
{
    free(t->rows);
    free(t->bias);
    free(t->query);
    free(t->scores);
    free(t->allowed);
}

static const float *sorted_scores;

static int by_score(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (sorted_scores[x] != sorted_scores[y])
        return sorted_scores[x] > sorted_scores[y] ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* Bits of the scan's answer against those of the full product. */
static void check(struct table *t, struct att_team *team, size_t best)
{
    struct att_scan *scan = NULL;
    struct att_scan_answer answer;
    uint32_t *order = calloc(t->n, sizeof *order);
    size_t n = 0;
    double sum = 0;
    assert_int_equal(att_scan_create(t->n, t->k, t->rows, t->bias, NULL, &scan, NULL), ATT_OK);
    void *space = att_mem_aligned(att_scan_space_bytes(scan, best), 1);
    const struct att_scan_query query = {.x = t->query, .allowed = t->allowed, .best = best, .space = space};
    att_team_begin(team);
    att_scan_run(scan, team, &query, &answer);
    att_team_end(team);
    att_kern()->rows->dot_table(0, t->n, t->k, t->rows, t->k, t->query, t->scores);
    for (size_t i = 0; i < t->n; i++) {
        t->scores[i] += t->bias ? t->bias[i] : 0;
        if (t->allowed[i]) {
            order[n++] = (uint32_t)i;
            sum += exp((double)t->scores[i]);
        }
    }
    sorted_scores = t->scores;
    qsort(order, n, sizeof *order, by_score);
    assert_int_equal(answer.count, n < best ? n : best);
    for (size_t i = 0; i < answer.count; i++) {
        assert_int_equal(answer.rows[i].row, order[i]);
        assert_memory_equal(&answer.rows[i].score, &t->scores[order[i]], sizeof(float));
    }
    if (n > 0)
        assert_true(fabs(answer.log_sum - log(sum)) < 0.1);
    else
        assert_true(answer.log_sum == -INFINITY);
    att_mem_free(space);
    att_scan_unref(scan);
    free(order);
}

static void *make_space(void)
{
    void *space = att_mem_aligned(att_scan_thread_bytes(), 1);
    assert_non_null(space);
    return space;
}

static void test_equals_the_full_product(void **state)
{
    static const struct {
        size_t n, k, best;
        bool bias;
    } cases[] = {
        {1, 1, 1, false},      {1, 64, 10, true},      {63, 8, 5, true},       {64, 50, 64, false},
        {65, 33, 100, true},   {8191, 16, 10, true},   {8192, 16, 1, true},    {8193, 64, 10, true},
        {40000, 64, 10, true}, {30000, 64, 10, false}, {20000, 96, 500, true}, {20000, 7, ATT_SCAN_BEST_MAX, true},
    };
    struct att_team team;
    (void)state;
    att_team_init(&team, make_space());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct table t = make_table(cases[i].n, cases[i].k, cases[i].bias);
        check(&t, &team, cases[i].best);
        free_table(&t);
    }
    att_mem_free(team.space);
    att_team_finish(&team);
}

/* Ties, equal rows, rows of zeros, a query of equal numbers, tiny and huge numbers, nothing allowed. */
static void test_hard_tables(void **state)
{
    enum { N = 20000, K = 24 };
    struct att_team team;
    struct table t = make_table(N, K, true);
    (void)state;
    att_team_init(&team, make_space());
    for (size_t i = 0; i < N; i++) {
        memcpy(t.rows + i * K, t.rows + i % 50 * K, K * sizeof(float));
        t.bias[i] = t.bias[i % 50];
    }
    check(&t, &team, 300);
    for (size_t p = 0; p < K; p++)
        t.query[p] = 0.25f;
    check(&t, &team, 10);
    memset(t.query, 0, K * sizeof(float));
    check(&t, &team, 10);
    memset(t.rows, 0, (size_t)N * K * sizeof(float));
    memset(t.bias, 0, N * sizeof(float));
    t.query[0] = 1;
    check(&t, &team, 10);
    for (size_t i = 0; i < (size_t)N * K; i++)
        t.rows[i] = normal() * (i % 3 ? 1e-20f : 1e3f);
    for (size_t p = 0; p < K; p++)
        t.query[p] = normal() * 1e-3f;
    check(&t, &team, 10);
    memset(t.allowed, 0, N);
    check(&t, &team, 10);
    free_table(&t);
    att_mem_free(team.space);
    att_team_finish(&team);
}

struct helper {
    struct att_team *team;
    atomic_bool stop;
};

static void *help(void *argument)
{
    struct helper *helper = argument;
    void *space = make_space();
    while (!atomic_load(&helper->stop))
        att_team_help(helper->team, space, NULL, NULL);
    att_mem_free(space);
    return NULL;
}

/* Who computes which chunk, and when, changes no bit. */
static void test_with_helpers(void **state)
{
    struct att_team team;
    struct helper helper = {.team = &team};
    struct table t = make_table(30000, 32, true);
    pthread_t threads[2];
    (void)state;
    att_team_init(&team, make_space());
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, help, &helper), 0);
    for (size_t round = 0; round < 5; round++)
        check(&t, &team, 1 + 7 * round);
    atomic_store(&helper.stop, true);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    free_table(&t);
    att_mem_free(team.space);
    att_team_finish(&team);
}

static int start(void **state)
{
    (void)state;
    return att_init(NULL, NULL) == ATT_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_the_full_product),
        cmocka_unit_test(test_hard_tables),
        cmocka_unit_test(test_with_helpers),
    };
    return cmocka_run_group_tests_name("ops/scan", tests, start, NULL);
}
