/* What is added to scores for pairs: the newest items' rows with decay, and the sequence's own past, by hand. */
#include "tests/unit/tasks/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "tasks/recommend/follows.h"

enum { ITEMS = 1000, BYTES = 100000 };
static char folder[] = "/tmp/attend-boosts-XXXXXX", path[64];
static struct att_arena arena;
static struct task_call call = {.arena = &arena};

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/follows.jsonl", folder);
    att_arena_init(&arena, 1 << 22);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    att_arena_finish(&arena);
    unlink(path);
    return rmdir(folder);
}

static struct store_follows *opened(const char *text)
{
    struct store_follows *follows = NULL;
    struct att_err err;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    if (store_follows_open(folder, ITEMS, &follows, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return follows;
}

static size_t boosts_of(const struct store_follows *follows, const int32_t *ids, size_t n_ids,
                        struct task_boost **ret_boosts)
{
    struct att_err err;
    size_t n = 0;
    if (task_follows_boosts(&call, follows, ids, n_ids, ret_boosts, &n, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return n;
}

static void expect(const struct store_follows *follows, const int32_t *ids, size_t n_ids, double weight, double scale,
                   const struct store_follow *shares, size_t n_shares)
{
    struct task_boost *boosts;
    size_t n = boosts_of(follows, ids, n_ids, &boosts);
    assert_int_equal(n, n_shares);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(boosts[i].item, shares[i].item);
        assert_true(fabs((double)boosts[i].value - weight * log1p(scale * (double)shares[i].share)) < 1e-5);
        assert_true(task_follows_boost(boosts, n, shares[i].item) == boosts[i].value);
    }
    assert_true(task_follows_boost(boosts, n, 999) == 0 && task_follows_boost(boosts, n, 0) == 0);
}

static const char rows[] = "{\"index\":1,\"next\":[[9,0.5],[2,0.25]]}\n"
                           "{\"index\":2,\"next\":[[9,0.125],[3,0.5]]}\n";

static void of_the_last_item_alone(void **state)
{
    static const struct store_follow shares[] = {{3, 0.5f}, {9, 0.125f}};
    char text[256];
    (void)state;
    snprintf(text, sizeof text, "{\"scale\":100,\"weight\":2}\n%s", rows);
    struct store_follows *follows = opened(text);
    expect(follows, (const int32_t[]){2, 5, 2, 1, 2}, 5, 2, 100, shares, 2);
    /* The last item has no row: nothing, whatever stands before it. */
    expect(follows, (const int32_t[]){1, 2, 5}, 3, 2, 100, NULL, 0);
    expect(follows, NULL, 0, 2, 100, NULL, 0);
    expect(NULL, (const int32_t[]){1}, 1, 2, 100, NULL, 0);
    store_follows_close(follows);
}

static void older_items_count_less(void **state)
{
    static const struct store_follow two[] = {{2, 0.125f}, {3, 0.5f}, {9, 0.375f}};
    static const struct store_follow gap[] = {{2, 0.0625f}, {9, 0.125f}};
    char text[256];
    int32_t far[TASK_FOLLOWS_BACK_MAX + 1] = {1};
    (void)state;
    snprintf(text, sizeof text, "{\"scale\":100,\"weight\":1,\"decay\":0.5}\n%s", rows);
    struct store_follows *follows = opened(text);
    expect(follows, (const int32_t[]){1, 2}, 2, 1, 100, two, 3);
    expect(follows, (const int32_t[]){1, 7, 8}, 3, 1, 100, gap, 2);
    for (size_t i = 1; i <= TASK_FOLLOWS_BACK_MAX; i++)
        far[i] = 7;
    expect(follows, far, TASK_FOLLOWS_BACK_MAX + 1, 1, 100, NULL, 0);
    store_follows_close(follows);
}

static void what_one_did_before_counts(void **state)
{
    static const struct store_follow shares[] = {{3, 0.5f}, {4, 0.2f}, {6, 0.2f}, {9, 0.125f}};
    char text[256];
    (void)state;
    snprintf(text, sizeof text, "{\"scale\":100,\"weight\":1,\"own\":0.4}\n%s", rows);
    struct store_follows *follows = opened(text);
    expect(follows, (const int32_t[]){2, 6, 5, 2, 4, 2}, 6, 1, 100, shares, 4);
    store_follows_close(follows);
}

/* Full rows of all the items that count, and a long past: each item once, in order, and the same bits again. */
static void the_largest_is_in_bounds(void **state)
{
    char *text = malloc(BYTES);
    int32_t ids[400];
    struct task_boost *boosts, *again;
    (void)state;
    assert_non_null(text);
    size_t len = (size_t)snprintf(text, BYTES, "{\"scale\":1e9,\"weight\":100,\"decay\":0.9,\"own\":10}\n");
    for (int a = 1; a <= TASK_FOLLOWS_BACK_MAX; a++) {
        len += (size_t)snprintf(text + len, BYTES - len, "{\"index\":%d,\"next\":[", a);
        for (int i = 0; i < STORE_FOLLOWS_MAX; i++)
            len +=
                (size_t)snprintf(text + len, BYTES - len, "%s[%d,0.00390625]", i ? "," : "", 1 + (a * 37 + i) % ITEMS);
        len += (size_t)snprintf(text + len, BYTES - len, "]}\n");
    }
    struct store_follows *follows = opened(text);
    free(text);
    for (int i = 0; i < 400; i++)
        ids[i] = i % 2 || i >= 400 - TASK_FOLLOWS_BACK_MAX ? 1 + i % TASK_FOLLOWS_BACK_MAX : 500 + i;
    size_t n = boosts_of(follows, ids, 400, &boosts);
    assert_true(n > STORE_FOLLOWS_MAX);
    assert_int_equal(boosts_of(follows, ids, 400, &again), n);
    for (size_t i = 0; i < n; i++) {
        assert_true(i == 0 || boosts[i].item > boosts[i - 1].item);
        assert_true(isfinite(boosts[i].value) && boosts[i].value > 0);
        assert_true(boosts[i].item == again[i].item && boosts[i].value == again[i].value);
    }
    store_follows_close(follows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_the_last_item_alone),
        cmocka_unit_test(older_items_count_less),
        cmocka_unit_test(what_one_did_before_counts),
        cmocka_unit_test(the_largest_is_in_bounds),
    };
    return cmocka_run_group_tests_name("tasks/recommend/follows", tests, setup, teardown);
}
