/* Tables that stay packed give the bits of tables that were widened when they were loaded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/attend.h"
#include "core/io/blocks.h"
#include "core/ops/embedding.h"

enum { ROWS = 5, COLS_MAX = 768 };

static void init(void)
{
    static bool done;
    struct att_err err;
    if (!done)
        assert_int_equal(att_init(NULL, &err), ATT_OK);
    done = true;
}

/* Both tables with the same pseudo-random bytes; scales are kept finite by clearing the top exponent bits. */
static void make(const struct att_block_type *type, size_t cols, struct att_table **ret_packed,
                 struct att_table **ret_wide)
{
    const struct att_packing packing = {.values = type->values, .bytes = type->bytes, .widen = type->widen};
    struct att_table *packed = att_table_create_packed(ROWS, cols, &packing), *wide = att_table_create(ROWS, cols);
    assert_non_null(packed);
    assert_non_null(wide);
    size_t bytes = ROWS * cols / type->values * type->bytes;
    uint32_t seed = 1;
    for (size_t i = 0; i < bytes; i++) {
        seed = seed * 1664525 + 1013904223;
        packed->packed[i] = (uint8_t)(seed >> 24 & 0xbf);
    }
    type->widen(packed->packed, ROWS * cols / type->values, wide->data);
    assert_int_equal(att_table_bytes(packed), bytes);
    assert_int_equal(att_table_bytes(wide), ROWS * cols * sizeof(float));
    *ret_packed = packed;
    *ret_wide = wide;
}

static void packed_rows_are_the_wide_ones(void **state)
{
    static const char *const names[] = {"F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q6_K"};
    static const size_t widths[] = {32, 256, 288, 512, COLS_MAX};
    static const int32_t ids[] = {4, 0, 2, 2, 1, 3};
    enum { N = sizeof ids / sizeof *ids };
    static float a[N * COLS_MAX], b[N * COLS_MAX];
    (void)state;
    init();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
            const struct att_block_type *type = att_block_type_find(names[i]);
            size_t cols = widths[w];
            struct att_table *packed, *wide;
            assert_non_null(type);
            if (cols % type->values != 0)
                continue;
            make(type, cols, &packed, &wide);
            att_embedding_set(packed, N, ids, 1.5f, a);
            att_embedding_set(wide, N, ids, 1.5f, b);
            assert_memory_equal(a, b, N * cols * sizeof *a);
            att_embedding_add(packed, N, ids, a);
            att_embedding_add(wide, N, ids, b);
            assert_memory_equal(a, b, N * cols * sizeof *a);
            att_embedding_add(packed, N, NULL, a);
            att_embedding_add(wide, N, NULL, b);
            assert_memory_equal(a, b, N * cols * sizeof *a);
            att_table_unref(packed);
            att_table_unref(wide);
        }
}

static void memory_may_be_out(void **state)
{
    const struct att_packing packing = {.values = 1, .bytes = 2, .widen = att_block_type_find("F16")->widen};
    (void)state;
    for (uint64_t k = 1; k <= 2; k++) {
        att_mem_fail_at(k, false);
        assert_null(att_table_create_packed(ROWS, 8, &packing));
        att_mem_fail_at(k, false);
        assert_null(att_table_create(ROWS, 8));
        att_mem_fail_at(0, false);
    }
    assert_null(att_table_create(SIZE_MAX / 2, 8));
    assert_null(att_table_create_packed(SIZE_MAX / 2, 8, &packing));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_rows_are_the_wide_ones),
        cmocka_unit_test(memory_may_be_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
