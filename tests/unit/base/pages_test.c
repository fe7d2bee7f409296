/* Blocks of memory in large pages: what they hold, where they stand, and that all of it is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/pages.h"

enum { MIB = 1 << 20, LARGE = 40 * MIB };

/* A byte, what ends at a line and beside it, parts of a chunk (16 MiB), a whole one and more. */
static const size_t sizes[] = {1,           63,      64,       65,           1000,         4096,  100003,
                               2 * MIB + 1, 5 * MIB, 16 * MIB, 16 * MIB - 1, 16 * MIB + 1, LARGE, 1};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* All bytes are `value`: the first is, and each is like the one before it. */
static bool all_are(const void *block, size_t bytes, unsigned char value)
{
    const unsigned char *p = block;
    return p[0] == value && memcmp(p, p + 1, bytes - 1) == 0;
}

/* A new block, filled with a byte of its own. */
static void *filled(struct att_pages *pages, size_t bytes, unsigned char value)
{
    void *block = att_pages_take(pages, bytes);
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % ATT_MEM_ALIGN, 0);
    assert_true(all_are(block, bytes, 0));
    memset(block, value, bytes);
    return block;
}

/* Pages that this process has mapped, touched or not. */
static long mapped(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld", &pages), 1);
    fclose(file);
    return pages;
}

static void blocks_are_zero_and_do_not_overlap(void **state)
{
    struct att_pages pages = {NULL};
    void *blocks[SIZES];
    (void)state;
    for (size_t i = 0; i < SIZES; i++)
        blocks[i] = filled(&pages, sizes[i], (unsigned char)(i + 1));
    for (size_t i = 0; i < SIZES; i++)
        assert_true(all_are(blocks[i], sizes[i], (unsigned char)(i + 1)));
    att_pages_finish(&pages);
    assert_null(pages.newest);
}

/* As a pass reads them: what is taken next stands next. */
static void blocks_stand_in_order(void **state)
{
    struct att_pages pages = {NULL};
    (void)state;
    char *first = filled(&pages, 100, 1), *second = filled(&pages, 100, 2), *third = filled(&pages, 3000, 3);
    assert_ptr_equal(second, first + 128);
    assert_ptr_equal(third, second + 128);
    att_pages_finish(&pages);
}

static void nothing_comes_of_nothing(void **state)
{
    struct att_pages pages = {NULL};
    (void)state;
    assert_null(att_pages_take(&pages, 0));
    assert_null(att_pages_take(&pages, SIZE_MAX));
    assert_null(att_pages_take(&pages, SIZE_MAX - 63));
    assert_null(att_pages_take(&pages, SIZE_MAX / 2));
    att_pages_finish(&pages);
    att_pages_finish(&pages);
}

static void failure_leaks_nothing(void **state)
{
    struct att_pages pages = {NULL};
    const long before = mapped();
    uint64_t failures = 0;
    void *large = NULL;
    (void)state;
    void *small = filled(&pages, 1000, 1);
    while (!large && failures < 9) {
        att_mem_fail_at(failures + 1, false);
        large = att_pages_take(&pages, LARGE);
        att_mem_fail_at(0, false);
        failures += !large;
    }
    assert_int_equal(failures, 2); /* the chunk, and what says of it */
    assert_true(all_are(large, LARGE, 0));
    assert_true(all_are(small, 1000, 1));
    assert_true(mapped() - before >= LARGE / 4096);
    att_pages_finish(&pages);
    assert_true(mapped() - before < MIB / 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_zero_and_do_not_overlap),
        cmocka_unit_test(blocks_stand_in_order),
        cmocka_unit_test(nothing_comes_of_nothing),
        cmocka_unit_test(failure_leaks_nothing),
    };
    return cmocka_run_group_tests_name("base/pages", tests, NULL, NULL);
}
