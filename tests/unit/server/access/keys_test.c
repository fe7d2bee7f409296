/* Key files line by line, who matches, and what a limit lets pass. */
#include "server/access/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"

/* SHA-256 of "one", "two" and "three". */
#define ONE "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
#define TWO "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"
#define THREE "8B5B9DB0C13DB24256C829AA364AA90C6D2EBA318B9232A4AB9313B954D3555F"

static struct srv_keys *parse(const char *text)
{
    struct srv_keys *keys = NULL;
    struct att_err err;

    if (srv_keys_parse("keys", text, strlen(text), &keys, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return keys;
}

static struct srv_key *find(struct srv_keys *keys, const char *presented)
{
    return srv_keys_find(keys, presented, strlen(presented));
}

static void test_finding(void **state)
{
    struct srv_keys *keys = parse("# comment\r\n\n  a " ONE " infer\t\nb " TWO " write,infer \n\nc " THREE " admin");

    (void)state;
    assert_string_equal(srv_key_name(find(keys, "one")), "a");
    assert_string_equal(srv_key_name(find(keys, "two")), "b");
    assert_string_equal(srv_key_name(find(keys, "three")), "c");
    assert_null(find(keys, "four"));
    assert_null(find(keys, ""));
    assert_null(find(keys, ONE));
    assert_true(srv_key_allows(find(keys, "one"), SRV_SCOPE_INFER));
    assert_false(srv_key_allows(find(keys, "one"), SRV_SCOPE_WRITE));
    assert_false(srv_key_allows(find(keys, "one"), SRV_SCOPE_ADMIN));
    assert_true(srv_key_allows(find(keys, "two"), SRV_SCOPE_WRITE));
    for (enum srv_scope scope = SRV_SCOPE_PUBLIC; scope <= SRV_SCOPE_ADMIN; scope++)
        assert_true(srv_key_allows(find(keys, "three"), scope));
    srv_keys_destroy(keys);
}

static void test_many(void **state)
{
    size_t size = SRV_KEYS_MAX * 100, len = 0;
    char *text = malloc(size);
    struct srv_keys *keys;
    struct att_err err;

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < SRV_KEYS_MAX - 1; i++)
        len += (size_t)snprintf(text + len, size - len, "k%zu %064zx infer\n", i, i + 1);
    len += (size_t)snprintf(text + len, size - len, "last " ONE " infer\n");
    keys = parse(text);
    assert_string_equal(srv_key_name(find(keys, "one")), "last");
    srv_keys_destroy(keys);
    keys = NULL;
    snprintf(text + len, size - len, "more " TWO " infer\n");
    assert_int_equal(srv_keys_parse("keys", text, strlen(text), &keys, &err), ATT_EINVAL);
    assert_string_equal(err.message, "keys:1025: more than 1024 keys");
    assert_null(keys);
    free(text);
}

static void refused(const char *text, const char *message)
{
    struct srv_keys *keys = NULL;
    struct att_err err;

    assert_int_equal(srv_keys_parse("keys", text, strlen(text), &keys, &err), ATT_EINVAL);
    if (strstr(err.message, message) == NULL)
        fail_msg("'%s' does not say '%s'", err.message, message);
    assert_null(keys);
}

static void test_refusals(void **state)
{
    char text[2000];

    (void)state;
    refused("", "keys: names no key");
    refused("# nothing\n", "keys: names no key");
    refused("a/b " ONE " infer", "keys:1: a name is");
    refused("\nabcdefghijklmnopqrstuvwxyz0123456 " ONE " infer", "keys:2: a name is");
    refused("a", "keys:1: expected the SHA-256");
    refused("a secret infer", "keys:1: expected the SHA-256");
    refused("a " ONE "0 infer", "keys:1: expected the SHA-256");
    refused("a " ONE, "keys:1: expected scopes");
    refused("a " ONE " ,", "keys:1: no scope is named");
    refused("a " ONE " infer,root", "keys:1: a scope is");
    refused("a " ONE " infer tokens=5", "keys:1: expected requests_per_s");
    refused("a " ONE " infer tokens_per_s=", "keys:1: a limit is");
    refused("a " ONE " infer tokens_per_s=-1", "keys:1: a limit is");
    refused("a " ONE " infer tokens_per_s=nan", "keys:1: a limit is");
    refused("a " ONE " infer tokens_per_s=1e13", "keys:1: a limit is");
    refused("a " ONE " infer requests_per_s=0", "keys:1: a limit is");
    refused("a " ONE " infer requests_per_s=x", "keys:1: a limit is");
    refused("a " ONE " infer requests_per_s=/", "keys:1: a limit is");
    refused("a " ONE " infer requests_per_s=5x", "keys:1: a limit is");
    refused("a xx92c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed infer", "keys:1: expected the SHA-256");
    refused("a " ONE " infer\na " TWO " infer", "keys:2: the name or the key");
    refused("a " ONE " infer\nb " ONE " infer", "keys:2: the name or the key");
    memset(text, ' ', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    refused(text, "keys:1: the line is too long");
}

static void test_a_line_with_a_nul(void **state)
{
    static const char text[] = "# first\na " ONE " infer\0write\n";
    struct srv_keys *keys = NULL;
    struct att_err err;

    (void)state;
    assert_int_equal(srv_keys_parse("keys", text, sizeof(text) - 1, &keys, &err), ATT_EINVAL);
    assert_string_equal(err.message, "keys:2: the line is too long, or has a NUL");
    assert_null(keys);
}

static void test_no_memory(void **state)
{
    static const char text[] = "a " ONE " infer";
    struct srv_keys *keys = NULL;
    struct att_err err;

    (void)state;
    for (uint64_t k = 1; k <= 2; k++) {
        att_mem_fail_at(k, false);
        assert_int_equal(srv_keys_parse("keys", text, strlen(text), &keys, &err), ATT_ENOMEM);
        att_mem_fail_at(0, false);
        assert_string_equal(err.message, "no memory for API keys");
        assert_null(keys);
    }
    keys = parse(text); /* a key is looked up without any */
    att_mem_fail_at(1, true);
    assert_non_null(srv_keys_find(keys, "one", 3));
    att_mem_fail_at(0, false);
    srv_keys_destroy(keys);
    srv_keys_destroy(NULL);
}

static void test_requests_per_second(void **state)
{
    struct srv_keys *keys = parse("a " ONE " infer requests_per_s=2");
    struct srv_key *key = find(keys, "one");
    unsigned wait_s = 0;

    (void)state;
    assert_true(srv_key_charge(key, 1e9, 1000000, &wait_s));
    assert_true(srv_key_charge(key, 0, 1000000, &wait_s));
    assert_false(srv_key_charge(key, 0, 1000000, &wait_s));
    assert_int_equal(wait_s, 1);
    assert_false(srv_key_charge(key, 0, 1400000, &wait_s));
    assert_true(srv_key_charge(key, 0, 1501000, &wait_s));
    /* A long pause fills one second's worth, no more. */
    for (int i = 0; i < 2; i++)
        assert_true(srv_key_charge(key, 0, 100000000, &wait_s));
    assert_false(srv_key_charge(key, 0, 100000000, &wait_s));
    /* What was not begun is given back. */
    srv_key_correct(key, -1, 0);
    assert_true(srv_key_charge(key, 0, 100000000, &wait_s));
    srv_keys_destroy(keys);
}

static void test_tokens_per_second(void **state)
{
    struct srv_keys *keys = parse("a " ONE " infer tokens_per_s=100");
    struct srv_key *key = find(keys, "one");
    unsigned wait_s = 0;

    (void)state;
    assert_true(srv_key_charge(key, 50, 1000000, &wait_s));
    srv_key_correct(key, 0, 550); /* it had 600 in truth: a debt of 500 */
    assert_false(srv_key_charge(key, 1, 1000000, &wait_s));
    assert_in_range(wait_s, 5, 6);
    assert_false(srv_key_charge(key, 1, 5900000, &wait_s));
    assert_true(srv_key_charge(key, 1, 6100000, &wait_s));
    srv_keys_destroy(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finding),           cmocka_unit_test(test_many),
        cmocka_unit_test(test_refusals),          cmocka_unit_test(test_a_line_with_a_nul),
        cmocka_unit_test(test_no_memory),         cmocka_unit_test(test_requests_per_second),
        cmocka_unit_test(test_tokens_per_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
