/* Near-duplicates: what is almost the same is found, what is not is not, and forgetting undoes adding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "store/near.h"

enum { DAY_MS = 86400000 };

static struct store_near *created(void)
{
    struct store_near *near = NULL;
    struct att_err err;
    if (store_near_create(3 * (int64_t)DAY_MS, &near, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return near;
}

static double jaccard(const char *a, const char *b)
{
    uint32_t x[STORE_NEAR_HASHES], y[STORE_NEAR_HASHES];
    size_t equal = 0;
    assert_true(store_near_sign("", a, x));
    assert_true(store_near_sign("", b, y));
    for (size_t i = 0; i < STORE_NEAR_HASHES; i++)
        equal += x[i] == y[i];
    return (double)equal / STORE_NEAR_HASHES;
}

static void test_signatures(void **state)
{
    (void)state;
    uint32_t signature[STORE_NEAR_HASHES];
    assert_true(jaccard("Profits rose 12% at Acme.", "profits ROSE 12 at acme") == 1.0);
    assert_true(jaccard("贵州茅台发布三季报，净利润同比增长百分之十二。",
                        "贵州茅台发布三季报 净利润同比增长百分之十二！") == 1.0);
    assert_true(jaccard("The central bank left its main rate unchanged at 4.5 percent on Thursday, as expected",
                        "The central bank left its main rate unchanged at 4.5 percent on Thursday as forecast") > 0.5);
    assert_true(jaccard("The central bank left its main rate unchanged at 4.5 percent on Thursday",
                        "A carmaker recalls two million vehicles over a faulty airbag inflator in Asia") < 0.2);
    assert_true(jaccard("央行维持基准利率不变，符合市场预期", "汽车公司因安全气囊缺陷召回两百万辆汽车") < 0.2);
    assert_false(store_near_sign("", " ,.!。", signature));
    assert_false(store_near_sign(NULL, NULL, signature));
    assert_true(store_near_sign("涨", "", signature)); /* shorter than a shingle is one */
}

static struct store_near_text text_of(int64_t seq, int64_t time_ms, const char *text, uint32_t *signature)
{
    return (struct store_near_text){.seq = seq,
                                    .cluster = seq,
                                    .time_ms = time_ms,
                                    .signature = store_near_sign("", text, signature) ? signature : NULL};
}

static void test_finds_the_first_in_the_window(void **state)
{
    (void)state;
    static const char *const texts[] = {"Acme raises its outlook for the year after strong orders from Asia",
                                        "Oil falls as stocks of crude rise more than expected in the week",
                                        "Acme raises its outlook for the year after strong orders from Asia"};
    struct store_near *near = created();
    uint32_t signature[STORE_NEAR_HASHES];
    struct att_err err;
    for (size_t i = 0; i < 3; i++) {
        struct store_near_text text = text_of((int64_t)i + 1, 0, texts[i], signature);
        assert_int_equal(store_near_add(near, &text, &err), ATT_OK);
    }
    struct store_near_text asked = text_of(9, DAY_MS, texts[0], signature);
    struct store_near_match match = store_near_find(near, &asked, 9);
    assert_int_equal(match.seq, 1);
    assert_true(match.similarity == 1.0);
    assert_int_equal(store_near_find(near, &asked, 1).seq, 3); /* an item is not its own duplicate */
    asked.time_ms = 4 * (int64_t)DAY_MS;
    assert_int_equal(store_near_find(near, &asked, 9).seq, 0); /* out of the window */
    asked.time_ms = 0;
    store_near_forget(near, match.index);
    assert_int_equal(store_near_find(near, &asked, 9).seq, 3);
    store_near_undo(near);
    assert_int_equal(store_near_find(near, &asked, 9).seq, 0);
    assert_int_equal(store_near_count(near), 0);
    store_near_destroy(near);
}

/* What a failed transaction forgot is there again, what an earlier one forgot is not. */
static void test_forgetting_is_undone(void **state)
{
    (void)state;
    static const char words[] = "Acme raises its outlook for the year after strong orders from Asia";
    struct store_near *near = created();
    uint32_t signature[STORE_NEAR_HASHES];
    struct att_err err;
    for (int64_t i = 1; i <= 3; i++) {
        struct store_near_text text = text_of(i, 0, words, signature);
        assert_int_equal(store_near_add(near, &text, &err), ATT_OK);
    }
    struct store_near_text asked = text_of(9, 0, words, signature);
    store_near_begin(near);
    store_near_forget(near, store_near_find(near, &asked, 9).index);
    assert_int_equal(store_near_find(near, &asked, 9).seq, 2);
    store_near_begin(near);
    store_near_forget(near, store_near_find(near, &asked, 9).index);
    assert_int_equal(store_near_find(near, &asked, 9).seq, 3);
    store_near_undo(near);
    struct store_near_match match = store_near_find(near, &asked, 9);
    assert_int_equal(match.seq, 2);
    asked.seq = 2;
    assert_true(store_near_is(near, match.index, &asked));
    asked.time_ms = 1;
    assert_false(store_near_is(near, match.index, &asked));
    store_near_destroy(near);
}

static void test_vectors_support(void **state)
{
    (void)state;
    struct store_near *near = created();
    uint32_t a[STORE_NEAR_HASHES], b[STORE_NEAR_HASHES];
    float toward[4] = {1, 0.1f, 0, 0}, away[4] = {0, 0, 1, 0};
    int8_t same[4], other[4];
    struct att_err err;
    store_near_quantize(toward, 4, same);
    store_near_quantize(away, 4, other);
    struct store_near_text text = text_of(1, 0, "Acme raises its outlook after strong orders from Asia", a);
    text.vector = same;
    text.dimensions = 4;
    assert_int_equal(store_near_add(near, &text, &err), ATT_OK);
    struct store_near_text asked = text_of(2, 0, "Acme raises its outlook, strong orders from Asia cited", b);
    double plain = store_near_find(near, &asked, 0).similarity;
    asked.vector = same;
    asked.dimensions = 4;
    double supported = store_near_find(near, &asked, 0).similarity;
    asked.vector = other;
    double opposed = store_near_find(near, &asked, 0).similarity;
    asked.model = 7;
    double foreign = store_near_find(near, &asked, 0).similarity;
    assert_true(supported > plain && plain > opposed);
    assert_true(foreign == plain);
    store_near_destroy(near);
}

static void test_forgets_what_is_old(void **state)
{
    (void)state;
    struct store_near *near = created();
    uint32_t signature[STORE_NEAR_HASHES];
    struct att_err err;
    char line[64];
    for (int64_t i = 0; i < 600; i++) {
        snprintf(line, sizeof line, "item number %lld about something else entirely", (long long)(i * 7919));
        struct store_near_text text = text_of(i + 1, i < 400 ? 0 : 10 * (int64_t)DAY_MS, line, signature);
        assert_int_equal(store_near_add(near, &text, &err), ATT_OK);
    }
    store_near_settle(near, 10 * (int64_t)DAY_MS);
    assert_int_equal(store_near_count(near), 200);
    snprintf(line, sizeof line, "item number %lld about something else entirely", 500 * 7919LL);
    struct store_near_text asked = text_of(0, 10 * (int64_t)DAY_MS, line, signature);
    struct store_near_match match = store_near_find(near, &asked, 0);
    assert_int_equal(match.seq, 501);
    assert_true(match.similarity == 1.0);
    store_near_destroy(near);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures),           cmocka_unit_test(test_finds_the_first_in_the_window),
        cmocka_unit_test(test_forgetting_is_undone), cmocka_unit_test(test_vectors_support),
        cmocka_unit_test(test_forgets_what_is_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
