/* Standard scores, the best k against sorting everything, and diversity. */
#include "tests/unit/tasks/fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/ranking.h"

static void standardises_what_counts(void **state)
{
    (void)state;
    const float x[] = {-INFINITY, 1, 3, 100, 5};
    const unsigned char counted[] = {0, 1, 1, 0, 1};
    struct task_moments moments = task_moments_of(x, counted, 5);
    assert_true(fabsf(moments.mean - 3) < 1e-6f);
    assert_true(fabsf(moments.deviation - sqrtf(8.0f / 3)) < 1e-6f);
    assert_true(fabsf(task_standard_score(moments, 5) - 2 / moments.deviation) < 1e-6f);
}

/* Equal numbers deviate by nothing, or by rounding; neither may become large scores. */
static void equal_numbers_have_the_score_zero(void **state)
{
    (void)state;
    const float x[] = {0.1f, 0.1f, 0.1f}, zeros[3] = {0};
    const unsigned char counted[] = {1, 1, 1}, none[3] = {0};
    struct task_moments moments = task_moments_of(x, counted, 3);
    assert_true(moments.deviation == 1 && fabsf(task_standard_score(moments, x[0])) < 1e-6f);
    moments = task_moments_of(zeros, counted, 3);
    assert_true(moments.deviation == 1 && moments.mean == 0);
    moments = task_moments_of(x, none, 3);
    assert_true(moments.deviation == 1 && moments.mean == 0);
}

static int by_rank(const void *a, const void *b)
{
    const struct task_ranked *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->slot < y->slot ? -1 : x->slot > y->slot;
}

static void the_best_are_those_that_sorting_finds(void **state)
{
    (void)state;
    enum { N = 300 };
    struct task_ranked all[N], heap[N];
    uint32_t seed = 1;
    for (size_t capacity = 1; capacity <= N; capacity += 1 + capacity / 3) {
        struct task_best best = {.items = heap, .capacity = capacity};
        for (size_t i = 0; i < N; i++) {
            seed = seed * 1664525u + 1013904223u;
            all[i] = (struct task_ranked){i, (float)(seed >> 24) / 8}; /* few values: many ties */
            task_best_offer(&best, i, all[i].logit);
        }
        qsort(all, N, sizeof *all, by_rank);
        task_best_sort(&best);
        assert_int_equal(best.count, capacity);
        for (size_t i = 0; i < capacity; i++)
            assert_int_equal(heap[i].slot, all[i].slot);
    }
}

/* Slots of the same parity are alike. */
static float same_parity(const void *context, size_t a, size_t b)
{
    (void)context;
    return a % 2 == b % 2 ? 1.0f : 0.0f;
}

static void diversity_mixes_kinds(void **state)
{
    (void)state;
    const struct task_ranked ranked[] = {{0, 6}, {2, 5}, {4, 4}, {1, 3.5f}, {3, 1}, {6, 0}};
    struct task_ranked got[6];
    float nearest[6];
    const size_t plain[] = {0, 2, 4, 1, 3, 6}, mixed[] = {0, 1, 2, 4, 3, 6}, spread[] = {0, 1, 2, 4, 3, 6};
    memcpy(got, ranked, sizeof got);
    task_ranked_diversify(got, 6, 6, 0, same_parity, NULL, nearest);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(got[i].slot, plain[i]);
    memcpy(got, ranked, sizeof got);
    task_ranked_diversify(got, 6, 6, 0.5f, same_parity, NULL, nearest);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(got[i].slot, mixed[i]);
    memcpy(got, ranked, sizeof got);
    task_ranked_diversify(got, 6, 2, 1, same_parity, NULL, nearest);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(got[i].slot, spread[i]);
    task_ranked_diversify(got, 0, 2, 1, same_parity, NULL, nearest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(standardises_what_counts),
        cmocka_unit_test(equal_numbers_have_the_score_zero),
        cmocka_unit_test(the_best_are_those_that_sorting_finds),
        cmocka_unit_test(diversity_mixes_kinds),
    };
    return cmocka_run_group_tests_name("tasks/ranking", tests, NULL, NULL);
}
