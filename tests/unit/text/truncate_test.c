/* Windows and truncation: against definitions, and the strategies' corners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/text/tokenizer.h"

/* Windows follow each other by room - stride, cover everything, and only the last may be short. */
static void windows_cover(void **state)
{
    (void)state;
    for (size_t count = 0; count < 60; count++)
        for (size_t room = 1; room < 20; room++)
            for (size_t stride = 0; stride < room; stride++) {
                size_t windows = att_window_count(count, room, stride), begin, end, covered = 0;
                for (size_t i = 0; i < windows; i++) {
                    att_window_range(count, room, stride, i, &begin, &end);
                    assert_int_equal(begin, i * (room - stride));
                    assert_true(end - begin <= room && (i + 1 == windows || end - begin == room));
                    assert_true(i == 0 || end > covered);
                    covered = end;
                }
                assert_int_equal(covered, count);
            }
    assert_int_equal(att_window_count(SIZE_MAX, 1, 0), SIZE_MAX);
}

static void left_mirrors_right(void **state)
{
    (void)state;
    struct att_cut right = {.count = 23, .room = 7, .stride = 2, .part_count = att_window_count(23, 7, 2)};
    struct att_cut left = right;
    left.left = true;
    for (size_t i = 0; i < right.part_count; i++) {
        size_t begin, end, left_begin, left_end;
        att_cut_range(&right, i, &begin, &end);
        att_cut_range(&left, i, &left_begin, &left_end);
        assert_int_equal(left_begin, 23 - end);
        assert_int_equal(left_end, 23 - begin);
    }
}

struct expected {
    enum att_truncate_strategy strategy;
    size_t max_len, a, b, a_room, b_room;
};

static void strategies(void **state)
{
    (void)state;
    static const struct expected cases[] = {
        {ATT_TRUNCATE_LONGEST_FIRST, 13, 4, 6, 4, 6},  /* nothing to do */
        {ATT_TRUNCATE_LONGEST_FIRST, 13, 3, 20, 3, 7}, /* the longer alone */
        {ATT_TRUNCATE_LONGEST_FIRST, 13, 20, 3, 7, 3},  {ATT_TRUNCATE_LONGEST_FIRST, 13, 20, 30, 5, 5}, /* both */
        {ATT_TRUNCATE_LONGEST_FIRST, 14, 20, 30, 5, 6}, /* the odd token goes to the longer */
        {ATT_TRUNCATE_LONGEST_FIRST, 14, 30, 20, 6, 5}, {ATT_TRUNCATE_LONGEST_FIRST, 4, 5, 5, 0, 1},
        {ATT_TRUNCATE_ONLY_FIRST, 13, 20, 3, 7, 3},     {ATT_TRUNCATE_ONLY_SECOND, 13, 3, 20, 3, 7},
        {ATT_TRUNCATE_ONLY_SECOND, 3, 3, 20, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_truncation truncation = {.strategy = cases[i].strategy, .max_len = cases[i].max_len};
        struct att_cut a, b;
        assert_int_equal(att_truncate(&truncation, 3, cases[i].a, true, cases[i].b, &a, &b, NULL), ATT_OK);
        if (a.room != cases[i].a_room || b.room != cases[i].b_room)
            fail_msg("case %zu: %zu and %zu, expected %zu and %zu", i, a.room, b.room, cases[i].a_room,
                     cases[i].b_room);
    }
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        struct att_truncation truncation;
        bool pair;
        const char *says;
    } cases[] = {
        {{ATT_TRUNCATE_ONLY_FIRST, 5, 0, false}, true, "too short to respect"},
        {{ATT_TRUNCATE_ONLY_SECOND, 5, 0, false}, false, "Second sequence not provided"},
        {{ATT_TRUNCATE_LONGEST_FIRST, 2, 0, false}, true, "max_length"},
        {{ATT_TRUNCATE_LONGEST_FIRST, 6, 3, false}, false, "stride"},
        {{ATT_TRUNCATE_LONGEST_FIRST, 7, 2, false}, true, "stride"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_cut a, b;
        struct att_err err;
        assert_int_equal(att_truncate(&cases[i].truncation, 3, 8, cases[i].pair, 30, &a, &b, &err), ATT_EINVAL);
        if (!strstr(err.message, cases[i].says))
            fail_msg("case %zu: '%s' does not say '%s'", i, err.message, cases[i].says);
    }
}

/* Parts 0, 1, 2 of the first and 0, 1 of the second text. */
static void window_order(void **state)
{
    (void)state;
    static const size_t expected[][2] = {{0, 0}, {1, 0}, {1, 1}, {2, 0}, {2, 1}, {0, 1}};
    struct att_cut a = {.count = 9, .room = 3, .part_count = 3}, b = {.count = 4, .room = 2, .part_count = 2};
    assert_int_equal(att_cut_windows(&a, &b), 6);
    assert_int_equal(att_cut_windows(&a, NULL), 3);
    for (size_t i = 0; i < 6; i++) {
        size_t a_part, b_part;
        att_cut_window(&a, &b, i, &a_part, &b_part);
        assert_int_equal(a_part, expected[i][0]);
        assert_int_equal(b_part, expected[i][1]);
        if (i < 3) {
            att_cut_window(&a, NULL, i, &a_part, &b_part);
            assert_int_equal(a_part, i);
            assert_int_equal(b_part, 0);
        }
    }
}

/* No room: nothing is kept, and the text overflows as a whole. */
static void no_room(void **state)
{
    (void)state;
    struct att_truncation truncation = {.max_len = 2};
    struct att_cut a;
    size_t begin, end;
    assert_int_equal(att_truncate(&truncation, 2, 5, false, 0, &a, NULL, NULL), ATT_OK);
    assert_int_equal(a.part_count, 2);
    att_cut_range(&a, 0, &begin, &end);
    assert_int_equal(end - begin, 0);
    att_cut_range(&a, 1, &begin, &end);
    assert_int_equal(end - begin, 5);
    assert_int_equal(att_truncate(&truncation, 2, 0, false, 0, &a, NULL, NULL), ATT_OK);
    assert_int_equal(a.part_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_cover), cmocka_unit_test(left_mirrors_right), cmocka_unit_test(strategies),
        cmocka_unit_test(refusals),      cmocka_unit_test(window_order),       cmocka_unit_test(no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
