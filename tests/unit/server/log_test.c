/* Log lines: one a call, and no value can forge another. */
#include "server/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/json.h"

static int ends[2];
static char line[8192];

static const char *written(void)
{
    ssize_t n = read(ends[0], line, sizeof(line) - 1);

    line[n > 0 ? n : 0] = '\0';
    return line;
}

static int open_pipe(void **state)
{
    (void)state;
    return pipe2(ends, O_NONBLOCK);
}

static void test_logfmt(void **state)
{
    struct srv_log log = {SRV_LOG_INFO, SRV_LOG_LOGFMT, ends[1]};

    (void)state;
    srv_log(&log, SRV_LOG_INFO, "request", SRV_TEXT("route", "/v1/classify"), SRV_NUMBER("status", 200),
            SRV_NUMBER("ms", 1.25), SRV_TEXT("empty", NULL));
    assert_non_null(
        strstr(written(), "Z level=info event=request route=/v1/classify status=200 ms=1.250 empty=\"\"\n"));
    srv_log(&log, SRV_LOG_DEBUG, "hidden", SRV_NUMBER("x", 1));
    assert_string_equal(written(), "");
}

static void test_no_forgery(void **state)
{
    struct srv_log log = {SRV_LOG_DEBUG, SRV_LOG_LOGFMT, ends[1]};

    (void)state;
    srv_log(&log, SRV_LOG_WARN, "x", SRV_TEXT("name", "a\nts=0 level=error event=\"fake\"\x1b[2J"));
    written();
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_non_null(strstr(line, "name=\"a\\u000ats=0 level=error event=\\\"fake\\\"\\u001b[2J\""));
}

static void test_json(void **state)
{
    struct srv_log log = {SRV_LOG_DEBUG, SRV_LOG_JSON, ends[1]};
    struct att_json *json = NULL;

    (void)state;
    srv_log(&log, SRV_LOG_ERROR, "x", SRV_TEXT("name", "a\"b\\c\n"), SRV_NUMBER("n", -3));
    written();
    assert_int_equal(att_json_parse(line, strlen(line), 0, 4, &json, NULL), ATT_OK);
    assert_string_equal(att_json_string(att_json_get(json, "name"), NULL), "a\"b\\c\n");
    assert_string_equal(att_json_string(att_json_get(json, "level"), NULL), "error");
    assert_true(att_json_number(att_json_get(json, "n"), 0) == -3);
    att_json_destroy(json);
}

static void test_long_values_are_cut(void **state)
{
    struct srv_log log = {SRV_LOG_DEBUG, SRV_LOG_LOGFMT, ends[1]};
    char big[5000];

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    srv_log(&log, SRV_LOG_INFO, "x", SRV_TEXT("big", (const char *)big));
    written();
    assert_true(strlen(line) <= 2048);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logfmt),
        cmocka_unit_test(test_no_forgery),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_long_values_are_cut),
    };

    return cmocka_run_group_tests(tests, open_pipe, NULL);
}
