/* The console page on a live daemon: whole, open to all, and with a policy under which nothing but its own script runs.
 * tests/system/console_test.py uses it in a browser. */
#include "live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/attend.h"

static struct live live;

static struct reply get_page(void)
{
    struct reply page = live_ask(&live, "GET", "/", NULL, NULL);

    assert_int_equal(page.status, 200);
    assert_string_equal(reply_header(&page, "Content-Type"), "text/html; charset=utf-8");
    return page;
}

static void test_page_is_whole(void **state)
{
    static const char *const wanted[] = {"<!DOCTYPE html>",
                                         "function view_overview",
                                         "function view_news",
                                         "function view_replies",
                                         "function view_recommend",
                                         "客服问答",
                                         "--accent:",
                                         "</html>"};
    /* Nothing is fetched from elsewhere, answers never become markup, no mark of the build is left. */
    static const char *const unwanted[] = {"src=",  "@import", "url(",    "innerHTML", "insertAdjacentHTML",
                                           "eval(", "@STYLE@", "@SCRIPT@"};
    struct reply page = get_page();

    (void)state;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (strstr(page.body, wanted[i]) == NULL)
            fail_msg("the page lacks '%s'", wanted[i]);
    for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++)
        if (strstr(page.body, unwanted[i]) != NULL)
            fail_msg("the page has '%s'", unwanted[i]);
    reply_free(&page);
}

/* 'sha256-BASE64' of the bytes, as a policy spells it. */
static void hash_source(const char *bytes, size_t len, char source[64])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char hex[65];
    size_t n = (size_t)snprintf(source, 64, "'sha256-");

    att_digest(bytes, len, hex);
    /* 64 hexadecimal digits are 256 bits, 3 digits are 2 of base64. */
    for (size_t at = 0; at < 64; at += 3) {
        char three[4] = {hex[at], at + 1 < 64 ? hex[at + 1] : '0', at + 2 < 64 ? hex[at + 2] : '0', '\0'};
        unsigned long bits = strtoul(three, NULL, 16);

        source[n++] = digits[bits >> 6];
        if (at + 1 < 64)
            source[n++] = digits[bits & 63];
    }
    snprintf(source + n, 64 - n, "='");
}

static void test_policy_lets_its_script_alone_run(void **state)
{
    struct reply page = get_page();
    const char *policy = reply_header(&page, "Content-Security-Policy");
    const char *script = strstr(page.body, "<script>"), *end = strstr(page.body, "</script>");
    char source[64], directive[96];

    (void)state;
    assert_non_null(policy);
    assert_true(script != NULL && end != NULL && script < end);
    assert_null(strstr(end, "<script"));
    script += strlen("<script>");
    hash_source(script, (size_t)(end - script), source);
    snprintf(directive, sizeof(directive), "script-src %s;", source);
    assert_non_null(strstr(policy, directive));
    assert_non_null(strstr(policy, "default-src 'none';"));
    assert_non_null(strstr(policy, "frame-ancestors 'none'"));
    reply_free(&page);
}

static void test_methods(void **state)
{
    struct reply head = live_ask(&live, "HEAD", "/", NULL, NULL);

    (void)state;
    assert_int_equal(head.status, 200);
    assert_int_equal(head.len, 0);
    assert_non_null(reply_header(&head, "Content-Security-Policy"));
    reply_free(&head);
    expect_error(live_post(&live, "/", "{}"), 405, "method_not_allowed", NULL);
    expect_error(live_ask(&live, "GET", "//", NULL, NULL), 404, "route_not_found", NULL);
}

static void test_other_answers_have_no_policy(void **state)
{
    struct reply health = live_ask(&live, "GET", "/healthz", NULL, NULL);

    (void)state;
    assert_null(reply_header(&health, "Content-Security-Policy"));
    reply_free(&health);
}

/* It holds no data: whoever may not ask anything yet must see where a key goes. */
static void test_needs_no_key(void **state)
{
    char keys[] = "/tmp/attentd-console-XXXXXX", options[96], digest[65], line[128];
    struct live locked;
    struct reply page;
    int fd = mkstemp(keys);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    att_digest("secret", 6, digest);
    snprintf(line, sizeof(line), "reader %s infer\n", digest);
    live_write(keys, line, strlen(line));
    snprintf(options, sizeof(options), "api_keys = %s\n", keys);
    live_start(&locked, options);
    page = live_ask(&locked, "GET", "/", NULL, NULL);
    assert_int_equal(page.status, 200);
    reply_free(&page);
    expect_error(live_ask(&locked, "GET", "/v1/models", NULL, NULL), 401, "missing_api_key", NULL);
    live_stop(&locked);
    unlink(keys);
}

static int start(void **state)
{
    (void)state;
    live_start(&live, "");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    live_stop(&live);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_is_whole), cmocka_unit_test(test_policy_lets_its_script_alone_run),
        cmocka_unit_test(test_methods),       cmocka_unit_test(test_other_answers_have_no_policy),
        cmocka_unit_test(test_needs_no_key),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("console", tests, start, stop);
}
