/* Blocks of memory in large pages: what they hold, where they stand, and that all of it is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/pages.h"

enum { MIB = 1 << 20, LARGE = 40 * MIB, THREADS = 4, KEPT = 8, ROUNDS = 400 };

/* A byte, what ends at a line and beside it, parts of a chunk (16 MiB), a whole one and more. */
static const size_t sizes[] = {1,           63,      64,       65,           1000,         4096,  100003,
                               2 * MIB + 1, 5 * MIB, 16 * MIB, 16 * MIB - 1, 16 * MIB + 1, LARGE, 1};
enum { SIZES = sizeof sizes / sizeof *sizes };

static uint32_t noise(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* All bytes are `value`: the first is, and each is like the one before it. */
static bool all_are(const void *block, size_t bytes, unsigned char value)
{
    const unsigned char *p = block;
    return p[0] == value && memcmp(p, p + 1, bytes - 1) == 0;
}

/* A new block, filled with a byte of its own. */
static void *filled(size_t bytes, unsigned char value)
{
    void *block = att_pages_take(bytes);
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % ATT_MEM_ALIGN, 0);
    assert_true(all_are(block, bytes, 0));
    memset(block, value, bytes);
    return block;
}

static void blocks_are_zero_and_do_not_overlap(void **state)
{
    const size_t before = att_pages_mapped();
    uint32_t seed = 1;
    (void)state;
    for (size_t round = 0; round < 6; round++) {
        void *blocks[SIZES];
        size_t order[SIZES], sum = 0;
        for (size_t i = 0; i < SIZES; i++) {
            blocks[i] = filled(sizes[i], (unsigned char)(i + 1));
            order[i] = i;
            sum += sizes[i];
        }
        assert_true(att_pages_mapped() - before >= sum);
        for (size_t left = SIZES; left > 0; left--) { /* round 0: as they came; 1: backwards; then by chance */
            const size_t at = round == 0 ? 0 : round == 1 ? left - 1 : noise(&seed) % left, i = order[at];
            assert_true(all_are(blocks[i], sizes[i], (unsigned char)(i + 1)));
            att_pages_give(blocks[i]);
            memmove(order + at, order + at + 1, (left - 1 - at) * sizeof *order);
        }
        assert_int_equal(att_pages_mapped(), before);
    }
}

/* Small blocks stand beside each other, and outlive those that were taken before them. */
static void small_blocks_share_a_chunk(void **state)
{
    const size_t before = att_pages_mapped();
    (void)state;
    char *first = filled(100, 1);
    const size_t with_one = att_pages_mapped();
    char *second = filled(100, 2), *third = filled(3000, 3);
    assert_ptr_equal(second, first + 128);
    assert_ptr_equal(third, second + 128);
    assert_int_equal(att_pages_mapped(), with_one);
    att_pages_give(first);
    att_pages_give(second);
    assert_int_equal(att_pages_mapped(), with_one);
    assert_true(all_are(third, 3000, 3));
    att_pages_give(third);
    assert_int_equal(att_pages_mapped(), before);
}

static void nothing_comes_of_nothing(void **state)
{
    const size_t before = att_pages_mapped();
    (void)state;
    assert_null(att_pages_take(0));
    assert_null(att_pages_take(SIZE_MAX));
    assert_null(att_pages_take(SIZE_MAX - 63));
    assert_null(att_pages_take(SIZE_MAX / 2));
    att_pages_give(NULL);
    assert_int_equal(att_pages_mapped(), before);
}

static void failure_leaks_nothing(void **state)
{
    const size_t before = att_pages_mapped();
    uint64_t failures = 0;
    void *large = NULL;
    (void)state;
    void *small = filled(1000, 1);
    const size_t with_small = att_pages_mapped();
    while (!large && failures < 9) {
        att_mem_fail_at(failures + 1, false);
        large = att_pages_take(LARGE);
        att_mem_fail_at(0, false);
        failures += !large;
        assert_true(large || att_pages_mapped() == with_small);
    }
    assert_int_equal(failures, 2); /* the chunk, and what says of it */
    assert_true(all_are(large, LARGE, 0));
    att_pages_give(large);
    assert_int_equal(att_pages_mapped(), with_small);
    att_mem_fail_at(1, true); /* what is mapped already needs no memory */
    void *beside = filled(1000, 2);
    att_mem_fail_at(0, false);
    assert_true(all_are(small, 1000, 1));
    att_pages_give(small);
    att_pages_give(beside);
    assert_int_equal(att_pages_mapped(), before);
}

struct worker {
    pthread_t thread;
    uint32_t seed;
    size_t wrong; /* blocks: cmocka's assertions are the main thread's */
};

struct kept {
    void *block; /* NULL: none */
    size_t bytes;
    unsigned char value;
};

static struct kept keep_one(struct worker *worker, size_t least)
{
    struct kept kept = {.bytes = least + noise(&worker->seed) % 100000};
    kept.value = (unsigned char)(1 + noise(&worker->seed) % 255);
    kept.block = att_pages_take(kept.bytes);
    worker->wrong += !kept.block || !all_are(kept.block, kept.bytes, 0);
    if (kept.block)
        memset(kept.block, kept.value, kept.bytes);
    return kept;
}

static void give_one(struct worker *worker, struct kept *kept)
{
    worker->wrong += kept->block && !all_are(kept->block, kept->bytes, kept->value);
    att_pages_give(kept->block);
    kept->block = NULL;
}

/* Blocks of some bytes, and now and then one that takes a chunk or is too large for it; each is kept for a while. */
static void *take_and_give(void *argument)
{
    struct worker *worker = argument;
    struct kept kept[KEPT] = {{.block = NULL}};
    for (size_t round = 0; round < ROUNDS; round++) {
        struct kept *one = &kept[noise(&worker->seed) % KEPT];
        give_one(worker, one);
        *one = keep_one(worker, round % 50 == 0 ? 16 * MIB : 1);
    }
    for (size_t i = 0; i < KEPT; i++)
        give_one(worker, &kept[i]);
    return NULL;
}

static void threads_share_them(void **state)
{
    const size_t before = att_pages_mapped();
    struct worker workers[THREADS];
    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.seed = (uint32_t)i + 1};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, take_and_give, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(workers[i].wrong, 0);
    assert_int_equal(att_pages_mapped(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_zero_and_do_not_overlap),
        cmocka_unit_test(small_blocks_share_a_chunk),
        cmocka_unit_test(nothing_comes_of_nothing),
        cmocka_unit_test(failure_leaks_nothing),
        cmocka_unit_test(threads_share_them),
    };
    return cmocka_run_group_tests_name("base/pages", tests, NULL, NULL);
}
