/* Who may do what: by key, by socket, and without keys; what a request is charged; and which pages may call. */
#include "server/access/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"

/* SHA-256 of "one", "two" and "three". */
#define ONE "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
#define TWO "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"
#define THREE "8B5B9DB0C13DB24256C829AA364AA90C6D2EBA318B9232A4AB9313B954D3555F"

static struct srv_keys *keys;

static int make_keys(void **state)
{
    static const char text[] = "a " ONE " infer\nb " TWO " write tokens_per_s=100\nc " THREE " admin\n";
    struct att_err err;

    (void)state;
    return srv_keys_parse("keys", text, strlen(text), &keys, &err) == ATT_OK ? 0 : 1;
}

static int destroy_keys(void **state)
{
    (void)state;
    srv_keys_destroy(keys);
    return 0;
}

/* With this value of X-API-Key, NULL: without. */
static enum srv_error check(struct srv_keys *of, const char *value, enum srv_scope scope, bool on_admin_socket,
                            struct srv_access *access, struct att_err *err)
{
    struct srv_header header = {"X-API-Key", value, 9, value != NULL ? strlen(value) : 0};
    struct srv_facts facts = {.api_key = value != NULL ? &header : NULL};

    err->message[0] = '\0';
    return srv_access_check(of, &facts, scope, on_admin_socket, access, err);
}

static void test_without_keys(void **state)
{
    struct srv_access access;
    struct att_err err;

    (void)state;
    for (enum srv_scope scope = SRV_SCOPE_PUBLIC; scope < SRV_SCOPE_ADMIN; scope++)
        assert_int_equal(check(NULL, NULL, scope, false, &access, &err), SRV_ERR_NONE);
    assert_int_equal(check(NULL, "one", SRV_SCOPE_ADMIN, false, &access, &err), SRV_ERR_SCOPE);
    assert_string_equal(err.message, "this path needs the admin socket, or an API key with the scope admin");
    assert_int_equal(check(NULL, NULL, SRV_SCOPE_ADMIN, true, &access, &err), SRV_ERR_NONE);
    assert_null(access.key);
}

static void test_scopes(void **state)
{
    static const struct {
        const char *value;
        enum srv_scope scope;
        enum srv_error error;
        const char *message;
    } rows[] = {
        {NULL, SRV_SCOPE_PUBLIC, SRV_ERR_NONE, ""},
        {NULL, SRV_SCOPE_KEYED, SRV_ERR_KEY_MISSING,
         "expected an API key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'"},
        {"four", SRV_SCOPE_KEYED, SRV_ERR_KEY_UNKNOWN, "the API key is not known here"},
        {"one", SRV_SCOPE_KEYED, SRV_ERR_NONE, ""},
        {"one", SRV_SCOPE_INFER, SRV_ERR_NONE, ""},
        {"one", SRV_SCOPE_WRITE, SRV_ERR_SCOPE, "the API key lacks the scope 'write'"},
        {"one", SRV_SCOPE_ADMIN, SRV_ERR_SCOPE, "the API key lacks the scope 'admin'"},
        {"two", SRV_SCOPE_INFER, SRV_ERR_SCOPE, "the API key lacks the scope 'infer'"},
        {"two", SRV_SCOPE_WRITE, SRV_ERR_NONE, ""},
        {"three", SRV_SCOPE_ADMIN, SRV_ERR_NONE, ""},
        {"three", SRV_SCOPE_INFER, SRV_ERR_NONE, ""},
    };
    struct srv_access access;
    struct att_err err;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(check(keys, rows[i].value, rows[i].scope, false, &access, &err), rows[i].error);
        assert_string_equal(err.message, rows[i].message);
        assert_int_equal(check(keys, rows[i].value, rows[i].scope, true, &access, &err), SRV_ERR_NONE);
        assert_null(access.key); /* on the admin socket nobody is charged */
    }
}

/* A key longer than any is unknown whatever it begins with; looking one up takes no memory. */
static void test_keys_that_cannot_be_looked_up(void **state)
{
    char longest[SRV_KEY_BYTES_MAX + 2];
    struct srv_access access;
    struct att_err err;

    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(check(keys, longest, SRV_SCOPE_INFER, false, &access, &err), SRV_ERR_KEY_UNKNOWN);
    assert_null(access.key);
    longest[SRV_KEY_BYTES_MAX] = '\0';
    assert_int_equal(check(keys, longest, SRV_SCOPE_INFER, false, &access, &err), SRV_ERR_KEY_UNKNOWN);
    assert_null(access.key);
    att_mem_fail_at(1, true);
    assert_int_equal(check(keys, "one", SRV_SCOPE_INFER, false, &access, &err), SRV_ERR_NONE);
    att_mem_fail_at(0, false);
    assert_non_null(access.key);
}

static void test_charges(void **state)
{
    struct srv_access access, nobody = {.key = NULL};
    struct att_err err;
    unsigned wait_s = 0;

    (void)state;
    assert_int_equal(check(keys, "two", SRV_SCOPE_WRITE, false, &access, &err), SRV_ERR_NONE);
    srv_access_correct(&access, 1000000); /* nothing was charged yet: neither takes anything */
    srv_access_refund(&access);
    assert_int_equal(srv_access_charge(&access, 50, 1000000, &wait_s, &err), SRV_ERR_NONE);
    assert_true(access.is_charged);
    srv_access_correct(&access, 300); /* 200 in debt */
    assert_int_equal(srv_access_charge(&access, 1, 1000000, &wait_s, &err), SRV_ERR_QUOTA);
    assert_int_equal(wait_s, 3);
    assert_string_equal(err.message, "the limit of this API key is used up; try again in 3 s");
    srv_access_refund(&access);
    assert_false(access.is_charged);
    assert_int_equal(srv_access_charge(&access, 1, 1000000, &wait_s, &err), SRV_ERR_NONE);
    assert_int_equal(srv_access_charge(&nobody, 1000000, 1000000, &wait_s, &err), SRV_ERR_NONE);
    assert_false(nobody.is_charged);
}

/* A request that lasts is judged anew by keys that were loaded meanwhile. */
static void test_renewal(void **state)
{
    static const char text[] = "other " TWO " write\nc " THREE " infer\n";
    struct srv_access access, kept, nobody = {.key = NULL};
    struct srv_keys *later;
    struct att_err err;

    (void)state;
    assert_int_equal(srv_keys_parse("keys", text, strlen(text), &later, &err), ATT_OK);
    assert_int_equal(check(keys, "two", SRV_SCOPE_WRITE, false, &access, &err), SRV_ERR_NONE);
    assert_int_equal(srv_access_renew(&access, later, SRV_SCOPE_WRITE, false, &err), SRV_ERR_NONE);
    assert_string_equal(srv_key_name(access.key), "other"); /* known by what it is, not by its name */
    kept = access;
    assert_int_equal(srv_access_renew(&access, later, SRV_SCOPE_INFER, false, &err), SRV_ERR_SCOPE);
    assert_ptr_equal(access.key, kept.key);
    assert_int_equal(srv_access_renew(&access, NULL, SRV_SCOPE_WRITE, false, &err), SRV_ERR_NONE);
    assert_null(access.key); /* no keys are configured any more */
    assert_int_equal(srv_access_renew(&access, NULL, SRV_SCOPE_ADMIN, false, &err), SRV_ERR_SCOPE);
    assert_int_equal(srv_access_renew(&nobody, later, SRV_SCOPE_WRITE, false, &err), SRV_ERR_KEY_MISSING);
    assert_int_equal(srv_access_renew(&nobody, later, SRV_SCOPE_WRITE, true, &err), SRV_ERR_NONE);
    assert_int_equal(check(keys, "one", SRV_SCOPE_INFER, false, &access, &err), SRV_ERR_NONE);
    assert_int_equal(srv_access_renew(&access, later, SRV_SCOPE_INFER, false, &err), SRV_ERR_KEY_UNKNOWN);
    assert_string_equal(err.message, "the API key is no longer known here");
    srv_keys_destroy(later);
}

static bool may_call(const char *origins, const char *origin)
{
    return srv_access_origin(origins, origin, strlen(origin));
}

static void test_origins(void **state)
{
    (void)state;
    assert_false(may_call("none", "https://a.example"));
    assert_false(may_call("none", "none"));
    assert_false(may_call("*", ""));
    assert_true(may_call("*", "https://a.example"));
    assert_true(may_call("https://a.example \t https://b.example ", "https://a.example"));
    assert_true(may_call("https://a.example \t https://b.example ", "https://b.example"));
    assert_false(may_call("https://a.example https://b.example", "https://c.example"));
    assert_false(may_call("https://a.example", "https://a.example.evil"));
    assert_false(may_call("https://a.example.evil", "https://a.example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_keys),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_keys_that_cannot_be_looked_up),
        cmocka_unit_test(test_charges),
        cmocka_unit_test(test_renewal),
        cmocka_unit_test(test_origins),
    };

    return cmocka_run_group_tests(tests, make_keys, destroy_keys);
}
