/* Log lines: one a call, and no value can forge another. */
#include "server/watch/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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

/* The journal's native protocol: FIELD=value lines in one datagram. Only where no journal runs, and as root. */
static void test_journal(void **state)
{
    static const char path[] = "/run/systemd/journal/socket";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct srv_log log = {SRV_LOG_INFO, SRV_LOG_JOURNAL, ends[1]};
    bool made_folders;
    int fd;

    (void)state;
    if (access(path, F_OK) == 0 || geteuid() != 0)
        skip();
    made_folders = mkdir("/run/systemd", 0755) == 0;
    made_folders = mkdir("/run/systemd/journal", 0755) == 0 || made_folders;
    memcpy(address.sun_path, path, sizeof(path));
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        skip();
    }
    srv_log(&log, SRV_LOG_WARN, "request", SRV_TEXT("route", "/v1/reply"), SRV_NUMBER("status", 503),
            SRV_TEXT("why", "a b\nPRIORITY=0"));
    line[0] = '\0';
    line[recv(fd, line, sizeof(line) - 1, 0)] = '\0';
    unlink(path);
    close(fd);
    if (made_folders) {
        rmdir("/run/systemd/journal");
        rmdir("/run/systemd");
    }
    assert_non_null(strstr(line, "PRIORITY=4\n"));
    assert_non_null(strstr(line, "MESSAGE=request route=/v1/reply status=503 why=\"a b\\u000aPRIORITY=0\"\n"));
    assert_non_null(strstr(line, "ATTENTD_EVENT=request\n"));
    assert_non_null(strstr(line, "ATTENTD_ROUTE=/v1/reply\n"));
    assert_non_null(strstr(line, "ATTENTD_STATUS=503\n"));
    /* A value with a line break is sent with its length, so it forges no field. */
    assert_null(strstr(line, "ATTENTD_WHY=a b"));
    assert_non_null(strstr(line, "ATTENTD_WHY\n"));
    assert_string_equal(written(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logfmt),  cmocka_unit_test(test_no_forgery),
        cmocka_unit_test(test_json),    cmocka_unit_test(test_long_values_are_cut),
        cmocka_unit_test(test_journal),
    };

    return cmocka_run_group_tests(tests, open_pipe, NULL);
}
