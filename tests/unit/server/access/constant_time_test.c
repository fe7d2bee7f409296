/*
 * That the check of an API key takes the same time whatever key is presented: under valgrind the key counts as
 * undefined, and memcheck reports every branch and every address that depends on it (A. Langley, ctgrind).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <valgrind/memcheck.h>

#include "core/attend.h"
#include "server/access/keys.h"

/* SHA-256 of "one". */
static const char file[] = "a 7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed infer\n"
                           "b 3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3 infer\n";

static size_t place_of(const struct srv_keys *keys, const char *secret)
{
    char key[16], digest[65];
    size_t len = strlen(secret), place;

    memcpy(key, secret, len);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(key, len);
    att_digest(key, len, digest); /* as srv_keys_find does */
    place = srv_keys_place(keys, digest);
    (void)VALGRIND_MAKE_MEM_DEFINED(&place, sizeof(place));
    return place;
}

static void test_nothing_depends_on_the_key(void **state)
{
    struct srv_keys *keys = NULL;
    unsigned before = VALGRIND_COUNT_ERRORS;

    (void)state;
    assert_true(RUNNING_ON_VALGRIND != 0);
    assert_int_equal(srv_keys_parse("keys", file, sizeof(file) - 1, &keys, NULL), ATT_OK);
    assert_int_equal(place_of(keys, "one"), 1);
    assert_int_equal(place_of(keys, "two"), 2);
    assert_int_equal(place_of(keys, "three"), 0);
    assert_int_equal(VALGRIND_COUNT_ERRORS, before);
    srv_keys_destroy(keys);
}

/* The instrument itself: a branch on such a byte is seen, and one report of valgrind follows. */
static void test_a_branch_would_be_seen(void **state)
{
    unsigned before = VALGRIND_COUNT_ERRORS;
    volatile char byte = 1;
    char copy = byte;

    (void)state;
    (void)VALGRIND_MAKE_MEM_UNDEFINED(&copy, 1);
    byte = copy;
    if (byte == 2)
        print_message("# a branch\n");
    assert_true(VALGRIND_COUNT_ERRORS > before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_depends_on_the_key),
        cmocka_unit_test(test_a_branch_would_be_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
