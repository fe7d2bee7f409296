/* Numbers and addresses that no source has, and how much of a text the sources cover. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tasks/reply/grounding.h"

static struct task_source source(const char *text)
{
    return (struct task_source){text, strlen(text)};
}

/* The foreign part of a text; "" for none. */
static void expect_foreign(const char *text, const char *first, const char *second, const char *foreign)
{
    const struct task_source sources[] = {source(first), source(second)};
    size_t begin = 0, end = 0, len = strlen(text);
    char *copy = test_malloc(len > 0 ? len : 1); /* no terminator that a reader could lean on */
    memcpy(copy, text, len);
    bool found = task_grounding_foreign(copy, len, sources, 2, &begin, &end);
    char part[128];
    snprintf(part, sizeof part, "%.*s", found ? (int)(end - begin) : 0, copy + (found ? begin : 0));
    test_free(copy);
    assert_string_equal(part, foreign);
}

static void numbers_must_stand_in_a_source(void **state)
{
    (void)state;
    const char *costs = "A return costs $3.95, for orders over $1,000 nothing.", *time = "It takes 3–5 days.";
    expect_foreign("It costs $3.95.", costs, time, "");
    expect_foreign("Free above 1000 dollars, else 3.95", costs, time, "");
    expect_foreign("3 to 5 days", costs, time, "");
    expect_foreign("３ 天", costs, time, "");
    expect_foreign("It costs $4.95.", costs, time, "4.95");
    expect_foreign("It costs $3.", costs, "", "3"); /* 3.95 is another number */
    expect_foreign("Within 35 days", costs, time, "35");
    expect_foreign("Call 1-800-222-1111", costs, "Line 1", "800");
    expect_foreign("退款需要７天", costs, time, "７");
    expect_foreign("It is free.", costs, time, "");
    expect_foreign("", costs, time, "");
}

static void commas_part_thousands(void **state)
{
    (void)state;
    expect_foreign("1,234,567", "1234567", "", "");
    expect_foreign("1,5 Liter", "1,5 l", "", "");
    expect_foreign("options 2,3", "options 2 and 3", "", "");
    expect_foreign("1,50", "150", "", "1");
    expect_foreign("1,000", "1, 000", "", "1,000");
    expect_foreign("1,0000", "1 0000", "", "");
    expect_foreign("5.", "5", "", "");
    expect_foreign("5,", "5", "", "");
}

static void points_part_digits(void **state)
{
    (void)state;
    expect_foreign("3.50 and 9.00", "3.5, 9", "", "");
    expect_foreign("at 9:00", "from 9.00 to 00:30", "", "");
    expect_foreign("v1.2.3", "1.2.3", "", "");
    expect_foreign("v1.2.30", "1.2.3", "", "1.2.30");
    expect_foreign("100", "1", "", "100");
}

static void numbers_of_lines_are_none(void **state)
{
    (void)state;
    expect_foreign("1. Open your order.\n2. Press return.\n 3) Wait.", "", "", "");
    expect_foreign("1. Open 2. Press", "", "", "2");
    expect_foreign("30. You can return it.", "", "", "30");
    expect_foreign("Call\n5551234) for help", "", "", "5551234");
    expect_foreign("1.", "", "", "1");
    expect_foreign("7 days", "", "", "7");
}

static void what_is_too_long_is_foreign(void **state)
{
    (void)state;
    char text[400] = "";
    memset(text, '7', 399);
    const struct task_source same = source(text), fits = {text, 32};
    size_t begin = 0, end = 0;
    assert_true(task_grounding_foreign(text, 399, &same, 1, &begin, &end));
    assert_true(begin == 0 && end == 399);
    assert_false(task_grounding_foreign(text, 32, &fits, 1, &begin, &end));
    memset(text, 'a', 399);
    text[200] = '@';
    assert_true(task_grounding_foreign(text, 399, &same, 1, &begin, &end));
    assert_true(begin == 0 && end == 399);
}

static void addresses_must_stand_in_a_source(void **state)
{
    (void)state;
    const char *facts = "Write to Help@Shop.example or see https://shop.example/returns/.";
    expect_foreign("Write to help@shop.example.", facts, "", "");
    expect_foreign("See (https://shop.example/returns/)", facts, "", "");
    expect_foreign("See [returns](https://shop.example/returns)", facts, "", "");
    expect_foreign("mail:help@shop.example, <help@shop.example>", facts, "", "");
    expect_foreign("Write to boss@shop.example!", facts, "", "boss@shop.example");
    expect_foreign("elp@shop.example", facts, "", "elp@shop.example");
    expect_foreign("See https://shop.example/ret", facts, "", "https://shop.example/ret");
    expect_foreign("See https://shop.ex\xd0\xb0mple", facts, "", "https://shop.ex");
    expect_foreign("See www.paypal.com.", facts, "", "www.paypal.com");
    expect_foreign("Website:www.evil.example", facts, "", "www.evil.example");
    expect_foreign("Visit paypal.com/pay", facts, "", "paypal.com/pay");
    expect_foreign("See http://a.example/?a=b", facts, "http://a.example/?a=b", "");
    expect_foreign("请写信至sales@shop.example。", facts, "", "sales@shop.example");
    expect_foreign("@ alone, and a@ or e.g. this.Then that", facts, "", "");
}

static void words_of_the_facts_cover_a_text(void **state)
{
    (void)state;
    struct att_arena arena;
    struct att_err err;
    struct store_idf idf;
    uint32_t none[1] = {0};
    att_arena_init(&arena, 1 << 20);
    assert_true(store_idf_build(&arena, none, 0, 10, &idf));
    const struct task_source facts[] = {source("Parcels are delivered Monday to Saturday"),
                                        source("包裹周一至周六派送")};
    const struct task_source question = source("When, please?");
    static const struct {
        const char *text;
        double least, most;
    } cases[] = {{"parcels are delivered Monday", 1, 1},
                 {"When? Monday", 1, 1},                  /* the question's words count neither way */
                 {"When?", 0, 0},                         /* nor are they an answer */
                 {"Parcel deliveries: Monday", 0.4, 0.9}, /* inflected */
                 {"I cannot help with chess", 0, 0.2},
                 {"周六派送", 1, 1},
                 {"不知道", 0, 0},
                 {"?!", 0, 0},
                 {"", 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double cover = -1;
        assert_int_equal(
            task_grounding_cover(&arena, &idf, source(cases[i].text), &question, 1, facts, 2, &cover, &err), ATT_OK);
        if (cover < cases[i].least - 1e-6 || cover > cases[i].most + 1e-6)
            fail_msg("'%s' is covered by %g, expected %g to %g", cases[i].text, cover, cases[i].least, cases[i].most);
    }
    att_arena_finish(&arena);
}

static void long_facts_are_known_to_their_end(void **state)
{
    (void)state;
    struct att_arena arena;
    struct att_err err;
    struct store_idf idf;
    uint32_t none[1] = {0};
    char fact[5200] = "";
    size_t len = 0;
    double cover = -1;
    att_arena_init(&arena, 1 << 20);
    assert_true(store_idf_build(&arena, none, 0, 10, &idf));
    for (size_t i = 0; i < 300; i++)
        len += (size_t)snprintf(fact + len, sizeof fact - len, "wort%zux%zu ", i, 7 * i);
    len += (size_t)snprintf(fact + len, sizeof fact - len, "Parcels arrive on Mondays. %s", "包裹周一至周六派送");
    const struct task_source question = source("?"), facts = {fact, len};
    const char *const texts[] = {"Parcels arrive on Mondays.", "周一至周六", fact};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(task_grounding_cover(&arena, &idf, source(texts[i]), &question, 1, &facts, 1, &cover, &err),
                         ATT_OK);
        assert_true(cover == 1);
    }
    att_arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_must_stand_in_a_source),
        cmocka_unit_test(commas_part_thousands),
        cmocka_unit_test(points_part_digits),
        cmocka_unit_test(numbers_of_lines_are_none),
        cmocka_unit_test(what_is_too_long_is_foreign),
        cmocka_unit_test(addresses_must_stand_in_a_source),
        cmocka_unit_test(words_of_the_facts_cover_a_text),
        cmocka_unit_test(long_facts_are_known_to_their_end),
    };
    return cmocka_run_group_tests_name("tasks/reply/grounding", tests, NULL, NULL);
}
