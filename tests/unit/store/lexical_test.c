/* N-grams and their likeness: Latin words with typing errors, Chinese without word breaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "store/lexical.h"

static struct att_arena arena;
static struct store_idf idf;

static const char *const corpus[] = {"Where is my order?", "How do I return an item?", "怎么退货？",
                                     "我的订单到哪里了？"};

static int setup(void **state)
{
    (void)state;
    static uint32_t all[4 * STORE_GRAMS_MAX];
    size_t n = 0;
    att_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < 4; i++)
        n += store_grams(corpus[i], strlen(corpus[i]), all + n);
    return store_idf_build(&arena, all, n, 4, &idf) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    att_arena_finish(&arena);
    return 0;
}

static float likeness(const char *a, const char *b)
{
    uint32_t x[STORE_GRAMS_MAX], y[STORE_GRAMS_MAX];
    size_t n = store_grams(a, strlen(a), x), m = store_grams(b, strlen(b), y);
    return store_grams_cosine(&idf, x, n, store_grams_norm(&idf, x, n), y, m, store_grams_norm(&idf, y, m));
}

static void likeness_is_a_cosine(void **state)
{
    (void)state;
    assert_float_equal(likeness("Where is my order?", "where IS my order"), 1, 1e-6);
    assert_true(likeness("", "order") == 0);
    assert_true(likeness("abc", "xyz") == 0);
    assert_float_equal(likeness("my order", "order status"), likeness("order status", "my order"), 1e-7);
}

static float cover(const char *a, const char *b)
{
    uint32_t x[STORE_GRAMS_MAX], y[STORE_GRAMS_MAX];
    size_t n = store_grams(a, strlen(a), x), m = store_grams(b, strlen(b), y);
    return store_grams_cover(&idf, x, n, store_grams_norm(&idf, x, n), y, m);
}

static void cover_is_the_part_that_is_there(void **state)
{
    (void)state;
    assert_float_equal(cover("my order", "Where is my order?"), 1, 1e-6);
    assert_true(cover("Where is my order?", "my order") < 0.8f);
    assert_true(cover("Where is my order?", "my order") > 0.2f);
    assert_true(cover("", "order") == 0);
    assert_true(cover("order", "") == 0);
    uint32_t twice[] = {7, 3, 7, 3, 3};
    assert_int_equal(store_grams_distinct(twice, 5), 2);
    assert_true(twice[0] == 3 && twice[1] == 7);
    assert_int_equal(store_grams_distinct(twice, 0), 0);
}

static void typing_errors_cost_little(void **state)
{
    (void)state;
    assert_true(likeness("where is my ordr", "Where is my order?") > 0.6f);
    assert_true(likeness("where is my ordr", "Where is my order?") >
                likeness("where is my ordr", "How do I return an item?"));
}

static void chinese_needs_no_word_breaks(void **state)
{
    (void)state;
    assert_true(likeness("我要退货", "怎么退货？") > 0.3f);
    assert_true(likeness("哈哈哈哈", "哈") == 0); /* laughter has no words */
    assert_float_equal(likeness("哈哈哈", "哈哈哈哈哈"), 1, 1e-6);
    assert_true(likeness("谢谢", "谢谢你") > 0.5f);
    assert_true(likeness("订单在哪里", "我的订单到哪里了？") > likeness("订单在哪里", "怎么退货？"));
}

static void script_is_told_by_its_share(void **state)
{
    (void)state;
    assert_true(store_cjk_share("怎么退货？", strlen("怎么退货？")) == 1);
    assert_true(store_cjk_share("refund", 6) == 0);
    assert_true(store_cjk_share("  ", 2) == 0);
    assert_float_equal(store_cjk_share("ab退货", strlen("ab退货")), 0.5, 1e-6);
}

static void long_texts_stay_in_bounds(void **state)
{
    (void)state;
    static char text[200000];
    uint32_t grams[STORE_GRAMS_MAX];
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof text; i++) {
        seed = seed * 1664525u + 1013904223u;
        text[i] = (char)(seed >> 24);
    }
    size_t n = store_grams(text, sizeof text, grams);
    assert_true(n > 0 && n <= STORE_GRAMS_MAX);
    for (size_t i = 1; i < n; i++)
        assert_true(grams[i - 1] < grams[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(likeness_is_a_cosine),        cmocka_unit_test(cover_is_the_part_that_is_there),
        cmocka_unit_test(typing_errors_cost_little),   cmocka_unit_test(chinese_needs_no_word_breaks),
        cmocka_unit_test(script_is_told_by_its_share), cmocka_unit_test(long_texts_stay_in_bounds),
    };
    return cmocka_run_group_tests_name("store/lexical", tests, setup, teardown);
}
