/* Dates in and out, and what is no date. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/base/date.h"

static void reads_what_rfc_3339_writes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t at;
    } cases[] = {
        {"1970-01-01", 0},
        {"1970-01-01T00:00:00Z", 0},
        {"2000-02-29", 951782400},
        {"2026-11-28T13:51:40Z", 1795873900},
        {"2026-11-28t13:51:40.987z", 1795873900},
        {"2026-11-28 21:51:40+08:00", 1795873900},
        {"2026-11-28T08:21:40-05:30", 1795873900},
        {"2026-11-28T13:51Z", 1795873860},
        {"9999-12-31T23:59:59Z", 253402300799},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t at = -1;
        if (!att_date_parse(cases[i].text, strlen(cases[i].text), &at) || at != cases[i].at)
            fail_msg("%s: %lld instead of %lld", cases[i].text, (long long)at, (long long)cases[i].at);
    }
}

static void refuses_everything_else(void **state)
{
    (void)state;
    static const char *const cases[] = {"",
                                        "2026",
                                        "2026-13-01",
                                        "2026-00-10",
                                        "2026-02-29",
                                        "2100-02-29",
                                        "1969-12-31",
                                        "2026-1-1",
                                        "2026-11-28T",
                                        "2026-11-28T13:51:40",
                                        "2026-11-28T24:00:00Z",
                                        "2026-11-28T13:60:00Z",
                                        "2026-11-28T13:51:40.Z",
                                        "2026-11-28T13:51:40+8",
                                        "2026-11-28T13:51:40+08:00x",
                                        "1970-01-01T00:00:00+01:00",
                                        " 2026-11-28"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t at = -1;
        if (att_date_parse(cases[i], strlen(cases[i]), &at))
            fail_msg("'%s' was taken as %lld", cases[i], (long long)at);
        assert_int_equal(at, -1);
    }
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    char text[ATT_DATE_BYTES];
    att_date_format(1795873900, text);
    assert_string_equal(text, "2026-11-28T13:51:40Z");
    for (int64_t at = 0; at < INT64_C(253402300800); at += 86400 * 13 + 4711) {
        int64_t again = -1;
        att_date_format(at, text);
        assert_true(att_date_parse(text, strlen(text), &again));
        assert_int_equal(again, at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_rfc_3339_writes),
        cmocka_unit_test(refuses_everything_else),
        cmocka_unit_test(what_is_written_is_read_again),
    };
    return cmocka_run_group_tests_name("base/date", tests, NULL, NULL);
}
