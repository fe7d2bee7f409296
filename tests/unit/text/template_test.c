/* Templates: special tokens and segments around one text and a pair, and the capacity. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/text/template.h"

static const struct att_token a[] = {{10, 0, 1}, {11, 2, 3}}, b[] = {{20, 0, 4}};

static void bert(void **state)
{
    (void)state;
    struct att_template single, pair;
    att_template_set_bert(&single, &pair, 2, 3);
    int32_t ids[8], types[8];
    uint32_t starts[8], ends[8];
    uint8_t special[8];
    int8_t text_index[8];
    struct att_sequence sequence = {ids, types, starts, ends, special, text_index, 0, 8};
    static const int32_t expected_ids[] = {2, 10, 11, 3, 20, 3}, expected_types[] = {0, 0, 0, 0, 1, 1};
    static const uint32_t expected_ends[] = {0, 1, 3, 0, 4, 0};
    static const uint8_t expected_special[] = {1, 0, 0, 1, 0, 1};
    static const int8_t expected_index[] = {-1, 0, 0, -1, 1, -1};
    assert_int_equal(att_template_assemble(&pair, a, 2, b, 1, &sequence, NULL), ATT_OK);
    assert_int_equal(sequence.len, 6);
    assert_memory_equal(ids, expected_ids, sizeof expected_ids);
    assert_memory_equal(types, expected_types, sizeof expected_types);
    assert_memory_equal(ends, expected_ends, sizeof expected_ends);
    assert_memory_equal(special, expected_special, sizeof expected_special);
    assert_memory_equal(text_index, expected_index, sizeof expected_index);
    assert_int_equal(starts[2], 2);
    assert_int_equal(att_template_assemble(&single, a, 2, NULL, 0, &sequence, NULL), ATT_OK);
    assert_int_equal(sequence.len, 4);
    assert_int_equal(att_template_assemble(&single, NULL, 0, NULL, 0, &sequence, NULL), ATT_OK);
    assert_int_equal(sequence.len, 2);
    assert_int_equal(att_template_type_max(&single), 0);
    assert_int_equal(att_template_type_max(&pair), 1);
}

static void plain(void **state)
{
    (void)state;
    struct att_template single, pair;
    att_template_set_plain(&single, &pair);
    int32_t ids[3], types[3];
    struct att_sequence sequence = {.ids = ids, .type_ids = types, .capacity = 3};
    assert_int_equal(att_template_assemble(&pair, a, 2, b, 1, &sequence, NULL), ATT_OK);
    assert_int_equal(sequence.len, 3);
    assert_int_equal(ids[2], 20);
    assert_int_equal(types[2], 1);
    assert_int_equal(single.special_count + pair.special_count, 0);
}

static void capacity(void **state)
{
    (void)state;
    struct att_template single, pair;
    att_template_set_bert(&single, &pair, 2, 3);
    int32_t ids[5] = {-7, -7, -7, -7, -7};
    struct att_sequence sequence = {.ids = ids, .capacity = 5};
    struct att_err err;
    assert_int_equal(att_template_assemble(&pair, a, 2, b, 1, &sequence, &err), ATT_ELIMIT);
    assert_int_equal(err.limit, 5);
    assert_int_equal(err.given, 6);
    assert_int_equal(ids[0], -7);
    assert_int_equal(att_template_assemble(&single, a, SIZE_MAX, NULL, 0, &sequence, &err), ATT_ELIMIT);
}

static void full(void **state)
{
    (void)state;
    struct att_template template = {.count = 0};
    for (size_t i = 0; i < ATT_TEMPLATE_PIECES_MAX; i++)
        assert_true(att_template_push(&template, (struct att_piece){.kind = ATT_PIECE_SPECIAL}));
    assert_false(att_template_push(&template, (struct att_piece){.kind = ATT_PIECE_SPECIAL}));
    assert_int_equal(template.special_count, ATT_TEMPLATE_PIECES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bert),
        cmocka_unit_test(plain),
        cmocka_unit_test(capacity),
        cmocka_unit_test(full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
