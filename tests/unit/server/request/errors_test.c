/* The error table: every status has a row, and the body has the documented shape. */
#include "server/request/errors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"

static void test_statuses_of_the_contract(void **state)
{
    static const struct {
        enum att_status status;
        unsigned http;
        bool retries;
    } rows[] = {
        {ATT_EINVAL, 422, false},       {ATT_ESYNTAX, 400, false}, {ATT_ENOTFOUND, 404, false},
        {ATT_ELIMIT, 413, false},       {ATT_EBUSY, 429, true},    {ATT_EUNREADY, 503, true},
        {ATT_EDEADLINE, 504, false},    {ATT_ENOMEM, 503, true},   {ATT_ESPACE, 507, false},
        {ATT_EINTERNAL, 500, false},    {ATT_EFORMAT, 500, false}, {ATT_EIO, 503, true},
        {ATT_EUNSUPPORTED, 422, false},
    };

    (void)state;
    assert_int_equal(sizeof(rows) / sizeof(rows[0]), ATT_STATUS_COUNT - 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct srv_error_row *row = srv_error_row(srv_error_of(rows[i].status));

        assert_int_equal(row->status, rows[i].http);
        assert_int_equal(row->retry_after_s > 0, rows[i].retries);
    }
}

static void test_every_row_is_filled(void **state)
{
    (void)state;
    for (int error = SRV_ERR_NONE + 1; error < SRV_ERR_COUNT; error++) {
        const struct srv_error_row *row = srv_error_row((enum srv_error)error);

        assert_true(row->status >= 400 && row->status < 600);
        assert_non_null(row->type);
        assert_non_null(row->code);
        /* A code names one thing. */
        for (int other = SRV_ERR_NONE + 1; other < error; other++)
            assert_string_not_equal(row->code, srv_error_row((enum srv_error)other)->code);
    }
}

static struct att_json *rendered(enum srv_error error, const struct att_err *err)
{
    struct att_json *json = NULL;
    struct att_jsonw w;
    char *bytes;
    size_t len;

    att_jsonw_init(&w, 4096);
    srv_error_render(&w, error, err, "req-1");
    assert_int_equal(att_jsonw_take(&w, &bytes, &len, NULL), ATT_OK);
    att_jsonw_finish(&w);
    assert_int_equal(att_json_parse(bytes, len, 0, 8, &json, NULL), ATT_OK);
    att_mem_free(bytes);
    return json;
}

static const char *text_of(const struct att_json *root, const char *key)
{
    return att_json_string(att_json_get(att_json_get(root, "error"), key), NULL);
}

static void test_body(void **state)
{
    struct att_err err;
    struct att_json *json;

    (void)state;
    att_err_limit(&err, "input", 10, 12, "too \"many\" texts");
    json = rendered(SRV_ERR_LIMIT, &err);
    assert_string_equal(text_of(json, "message"), "too \"many\" texts");
    assert_string_equal(text_of(json, "code"), "limit_exceeded");
    assert_string_equal(text_of(json, "param"), "input");
    assert_string_equal(text_of(json, "request_id"), "req-1");
    assert_true(att_json_number(att_json_get(att_json_get(json, "error"), "limit"), 0) == 10);
    assert_true(att_json_number(att_json_get(att_json_get(json, "error"), "given"), 0) == 12);
    att_json_destroy(json);
    json = rendered(SRV_ERR_METHOD, NULL);
    assert_string_equal(text_of(json, "message"), "method_not_allowed");
    assert_null(text_of(json, "param"));
    att_json_destroy(json);
}

static void test_faults_of_the_machine_tell_no_paths(void **state)
{
    static const enum srv_error errors[] = {SRV_ERR_MEMORY, SRV_ERR_SPACE, SRV_ERR_STORAGE, SRV_ERR_INTERNAL};
    struct att_err err;

    (void)state;
    att_err_set(&err, ATT_EIO, "/var/lib/secret.db: disk I/O error");
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct att_json *json = rendered(errors[i], &err);

        assert_null(strstr(text_of(json, "message"), "secret"));
        att_json_destroy(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statuses_of_the_contract),
        cmocka_unit_test(test_every_row_is_filled),
        cmocka_unit_test(test_body),
        cmocka_unit_test(test_faults_of_the_machine_tell_no_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
