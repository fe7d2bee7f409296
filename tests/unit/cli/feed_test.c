/* RSS and Atom to lines: what feeds hold is taken, what could harm is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/feed.h"
#include "core/base/mem.h"

static struct att_err err;

/* The lines of a feed; att_mem_free. NULL: refused, see err. */
static char *lines_of(const char *text, const char *source)
{
    struct att_jsonw w;
    size_t items = 0, len = 0;
    char *lines = NULL;
    att_jsonw_init(&w, 1 << 20);
    enum att_status status = cli_feed_parse(text, strlen(text), source, &w, &items, &err);
    if (status == ATT_OK && items == 0)
        lines = att_mem_strdup("");
    else if (status == ATT_OK)
        assert_int_equal(att_jsonw_take(&w, &lines, &len, &err), ATT_OK);
    att_jsonw_finish(&w);
    return lines;
}

static void expect(const char *text, const char *source, const char *expected)
{
    char *lines = lines_of(text, source);
    if (!lines)
        fail_msg("%s", err.message);
    assert_string_equal(lines, expected);
    att_mem_free(lines);
}

static void test_rss(void **state)
{
    (void)state;
    expect(
        "\xef\xbb\xbf<?xml version='1.0'?><rss version='2.0' xmlns:content='http://purl.org/rss/1.0/modules/content/'>"
        "<channel><title>Demo &amp; Wire</title><image><title>logo</title></image>"
        "<item><title>A &amp;lt; B</title><link>https://e.org/1</link><guid>g1</guid>"
        "<pubDate>Sat, 28 Nov 2026 09:30:00 +0800</pubDate><description>short</description>"
        "<content:encoded><![CDATA[<p>The <b>whole</b>\n text &#8212; &amp; more.</p>]]></content:encoded></item>"
        "<item><description>No title</description><pubDate>28 Nov 2026 09:30 GMT</pubDate></item>"
        "<item><link>https://e.org/empty</link></item></channel></rss>",
        NULL,
        "{\"id\":\"g1\",\"source\":\"Demo & Wire\",\"url\":\"https://e.org/1\",\"title\":\"A < B\","
        "\"text\":\"The whole text — & more.\",\"time\":1795829400}\n"
        "{\"source\":\"Demo & Wire\",\"text\":\"No title\",\"time\":1795858200}\n");
}

/* Chinese, Japanese and Korean feeds come in encodings of their own, and bold letters are no word of their own. */
static void test_encodings(void **state)
{
    static const struct {
        const char *encoding, *bytes, *text;
    } cases[] = {
        {"gb2312", "\xd1\xeb\xd0\xd0&lt;b&gt;\xcf\xc2\xb5\xf7&lt;/b&gt;\xc0\xfb\xc2\xca", "央行下调利率"},
        {"GBK", "\xd1\xeb\xd0\xd0\xcf\xc2\xb5\xf7\xc0\xfb\xc2\xca", "央行下调利率"},
        {"Big5", "\xc1\x70\xb7\xc7\xb7\x7c", "聯準會"},
        {"Shift_JIS", "\x93\xfa\x8c\x6f\x95\xbd\x8b\xcf\x83\x5c", "日経平均ソ"},
        {"euc-kr", "\xb1\xdd\xb8\xae \xc0\xce\xc7\xcf", "금리 인하"},
        {"windows-1252",
         "B\xf6"
         "rse \x80",
         "Börse €"},
        {"KOI8-R", "\xe2\xc1\xce\xcb", "Банк"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char feed[512], expected[256];
        snprintf(feed, sizeof feed,
                 "<?xml version='1.0' encoding='%s'?><rss><channel><item><title>%s</title></item></channel></rss>",
                 cases[i].encoding, cases[i].bytes);
        snprintf(expected, sizeof expected, "{\"title\":\"%s\"}\n", cases[i].text);
        expect(feed, NULL, expected);
    }
    assert_null(lines_of("<?xml version='1.0' encoding='UTF-7'?><rss/>", NULL));
    assert_non_null(strstr(err.message, "unknown encoding"));
    assert_null(lines_of("<?xml version='1.0' encoding='GBK'?><rss>\xd1<", NULL)); /* half a character */
}

static void test_atom(void **state)
{
    (void)state;
    expect("<feed xmlns='http://www.w3.org/2005/Atom'><title>F</title><entry><id>urn:1</id>"
           "<title type='xhtml'><div xmlns='http://www.w3.org/1999/xhtml'>Oil <i>falls</i></div></title>"
           "<link rel='self' href='https://e.org/self'/><link href='https://e.org/o'/>"
           "<updated>2026-11-28T10:00:00Z</updated><summary>中文摘要</summary></entry></feed>",
           "desk",
           "{\"id\":\"urn:1\",\"source\":\"desk\",\"url\":\"https://e.org/o\",\"title\":\"Oil falls\","
           "\"text\":\"中文摘要\",\"time\":1795860000}\n");
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"<!DOCTYPE rss [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]><rss>&b;</rss>", "document type"},
        {"<!DOCTYPE rss SYSTEM 'http://example.com/x.dtd'><rss/>", "document type"},
        {"<rss><channel><item></rss>", "mismatched tag"},
        {"<html><body>no</body></html>", "neither RSS nor Atom"},
        {"<rss>&undefined;</rss>", "undefined entity"},
        {"not a feed", "line 1, column 1"},
        {"", "no element found"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_null(lines_of(cases[i].text, NULL));
        if (!strstr(err.message, cases[i].message))
            fail_msg("%s: expected %s", err.message, cases[i].message);
    }
}

static void test_depth_and_size(void **state)
{
    (void)state;
    size_t size = 700 << 10, len = 0;
    char *text = malloc(size);
    assert_non_null(text);
    for (int i = 0; i < 100; i++)
        len += (size_t)snprintf(text + len, size - len, "<a>");
    assert_null(lines_of(text, NULL));
    assert_non_null(strstr(err.message, "nested too deep"));
    /* A field that is longer than one may be is cut between characters. */
    len = (size_t)snprintf(text, size, "<rss><channel><item><description>x");
    for (int i = 0; i < 100000; i++)
        len += (size_t)snprintf(text + len, size - len, "茅台");
    snprintf(text + len, size - len, "</description></item></channel></rss>");
    char *lines = lines_of(text, NULL);
    assert_non_null(lines);
    assert_true(strlen(lines) < 300 << 10);
    struct att_json *json = NULL;
    assert_int_equal(att_json_parse(lines, strlen(lines), 0, 8, &json, &err), ATT_OK);
    att_json_destroy(json);
    att_mem_free(lines);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rss),      cmocka_unit_test(test_encodings),      cmocka_unit_test(test_atom),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_depth_and_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
