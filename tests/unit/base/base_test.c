/* Errors, memory, UTF-8, digest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/mem.h"
#include "core/base/status.h"
#include "core/base/utf8.h"

static void messages_hold_no_control_bytes(void **state)
{
    (void)state;
    struct att_err err;
    assert_int_equal(att_err_set(&err, ATT_EFORMAT, "name '%s'", "a\nb\x1b[31m\xff\xe2\x80\xa8 \xe4\xb8\xad"),
                     ATT_EFORMAT);
    assert_string_equal(err.message, "name 'a?b?[31m?? \xe4\xb8\xad'");
    assert_string_equal(err.param, "");
}

static void long_messages_end_at_a_character(void **state)
{
    (void)state;
    struct att_err err;
    char text[1200];
    for (size_t i = 0; i + 3 < sizeof text; i += 3)
        memcpy(text + i, "\xe4\xb8\xad", 4);
    for (size_t shift = 0; shift < 3; shift++) {
        att_err_set(&err, ATT_EFORMAT, "%.*s%s", (int)shift, "xx", text);
        assert_true(att_utf8_valid(err.message, strlen(err.message)));
        assert_null(strchr(err.message, '?'));
        att_err_prefix(&err, "config.json: line %d", 3);
        assert_true(att_utf8_valid(err.message, strlen(err.message)));
        assert_non_null(strstr(err.message, "config.json: line 3: "));
    }
}

static void limits_carry_their_numbers(void **state)
{
    (void)state;
    struct att_err err;
    assert_int_equal(att_err_limit(&err, "input", 10, 12, "12 texts, expected at most 10"), ATT_ELIMIT);
    assert_int_equal(err.limit, 10);
    assert_int_equal(err.given, 12);
    assert_string_equal(err.param, "input");
    att_err_param(&err, ATT_EINVAL, "input[3].text", "is a number");
    assert_int_equal(err.limit, 0);
    assert_string_equal(err.param, "input[3].text");
}

static void sizes_do_not_wrap(void **state)
{
    (void)state;
    size_t n = 7;
    assert_false(att_size_mul(SIZE_MAX / 2, 3, &n));
    assert_int_equal(n, 7);
    assert_false(att_size_add(SIZE_MAX, 1, &n));
    assert_null(att_mem_aligned(SIZE_MAX, 2));
    assert_null(att_mem_calloc(SIZE_MAX / 2, 3));
    void *block = att_mem_aligned(3, 5);
    assert_int_equal((uintptr_t)block % ATT_MEM_ALIGN, 0);
    att_mem_free(block);
}

static void fails_the_kth_allocation(void **state)
{
    (void)state;
    att_mem_fail_at(2, false);
    void *first = att_mem_calloc(1, 1), *second = att_mem_calloc(1, 1), *third = att_mem_calloc(1, 1);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    att_mem_fail_at(1, true);
    assert_null(att_mem_calloc(1, 1));
    assert_null(att_mem_calloc(1, 1));
    att_mem_fail_at(0, false);
    att_mem_free(first);
    att_mem_free(third);
}

static void arena_is_capped_and_aligned(void **state)
{
    (void)state;
    struct att_arena arena;
    att_arena_init(&arena, 100000);
    char *small = att_arena_alloc(&arena, 3, 1), *big = att_arena_alloc(&arena, 40000, 1);
    assert_non_null(small);
    assert_non_null(big);
    assert_int_equal((uintptr_t)big % 64, 0);
    for (size_t i = 0; i < 40000; i++)
        assert_int_equal(big[i], 0);
    assert_null(att_arena_alloc(&arena, 70000, 1));
    assert_null(att_arena_alloc(&arena, SIZE_MAX, 8));
    assert_string_equal(att_arena_copy(&arena, "text", 4), "text");
    size_t used = arena.used;
    while (att_arena_alloc(&arena, 1000, 1))
        assert_true(arena.used > used);
    assert_true(arena.used <= arena.limit);
    att_arena_finish(&arena);
    assert_int_equal(arena.used, 0);
}

static void utf8_follows_rfc_3629(void **state)
{
    (void)state;
    static const char *const bad[] = {"\xc0\x80",         "\xc1\xbf",         "\xe0\x80\x80",     "\xed\xa0\x80",
                                      "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\x80",
                                      "\xe4\xb8",         "12345678\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(att_utf8_valid(bad[i], strlen(bad[i])));
    for (uint32_t c = 1; c <= 0x10ffff; c++) {
        if (c >= 0xd800 && c < 0xe000)
            continue;
        char bytes[4];
        size_t n = att_utf8_put(c, bytes), at = 0;
        if (!att_utf8_valid(bytes, n) || att_utf8_next(bytes, n, &at) != c || at != n)
            fail_msg("U+%04X", c);
    }
    size_t at = 0;
    assert_int_equal(att_utf8_next("\xe4\xb8", 2, &at), 0xfffd);
    assert_int_equal(at, 1);
}

static void digest_is_sha256(void **state)
{
    (void)state;
    struct att_digest_state *digest = NULL;
    char hex[65];
    assert_int_equal(att_digest_begin(&digest, NULL), ATT_OK);
    assert_int_equal(att_digest_update(digest, "ab", 2, NULL), ATT_OK);
    assert_int_equal(att_digest_update(digest, "c", 1, NULL), ATT_OK);
    att_digest_end(digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* RFC 4231, test case 2, with the text in two parts. */
static void hmac_is_keyed(void **state)
{
    (void)state;
    const struct att_digest_part parts[] = {{"what do ya want ", 16}, {"for nothing?", 12}};
    char hex[65];
    assert_int_equal(att_digest_hmac("Jefe", 4, parts, 2, hex, NULL), ATT_OK);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_int_equal(att_digest_hmac("jefe", 4, parts, 2, hex, NULL), ATT_OK);
    assert_string_not_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void clocks_run(void **state)
{
    (void)state;
    uint64_t before = att_clock_us();
    assert_true(att_clock_us() >= before);
    assert_true(att_clock_unix_s() > 1600000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_hold_no_control_bytes),
        cmocka_unit_test(long_messages_end_at_a_character),
        cmocka_unit_test(limits_carry_their_numbers),
        cmocka_unit_test(sizes_do_not_wrap),
        cmocka_unit_test(fails_the_kth_allocation),
        cmocka_unit_test(arena_is_capped_and_aligned),
        cmocka_unit_test(utf8_follows_rfc_3629),
        cmocka_unit_test(digest_is_sha256),
        cmocka_unit_test(hmac_is_keyed),
        cmocka_unit_test(clocks_run),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
