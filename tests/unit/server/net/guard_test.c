/* The guard against requests that are framed or named wrongly, and targets that are not what they look like. */
#include "server/net/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define H(name, value)                                                                                                 \
    {                                                                                                                  \
        name, value, sizeof(name) - 1, sizeof(value) - 1                                                               \
    }

static enum srv_error framing_of(const char *version, const struct srv_header *headers, size_t n,
                                 struct srv_facts *facts)
{
    struct srv_head head = {
        .method = "POST", .path = "/v1/classify", .version = version, .headers = headers, .n_headers = n};
    struct att_err err;

    return srv_guard_framing(&head, facts, &err);
}

#define FRAMING(facts, ...)                                                                                            \
    framing_of("HTTP/1.1", (const struct srv_header[]){__VA_ARGS__},                                                   \
               sizeof((const struct srv_header[]){__VA_ARGS__}) / sizeof(struct srv_header), facts)

static void test_sound_requests(void **state)
{
    struct srv_facts facts;

    (void)state;
    assert_int_equal(FRAMING(&facts, H("host", "localhost:8080"), H("CONTENT-LENGTH", "12")), SRV_ERR_NONE);
    assert_true(facts.has_length);
    assert_int_equal(facts.content_length, 12);
    assert_true(srv_guard_has_body(&facts));
    assert_int_equal(FRAMING(&facts, H("Host", "[::1]:80"), H("Transfer-Encoding", "Chunked")), SRV_ERR_NONE);
    assert_true(facts.chunked);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Expect", "100-Continue"), H("Content-Length", "0")),
                     SRV_ERR_NONE);
    assert_true(facts.expects_continue);
    assert_false(srv_guard_has_body(&facts));
    assert_int_equal(framing_of("HTTP/1.0", NULL, 0, &facts), SRV_ERR_NONE);
}

static void test_framing_is_refused(void **state)
{
    struct srv_facts facts;

    (void)state;
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Content-Length", "3"), H("Transfer-Encoding", "chunked")),
                     SRV_ERR_FRAMING);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Content-Length", "3"), H("content-length", "3")),
                     SRV_ERR_FRAMING);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Content-Length", "+3")), SRV_ERR_FRAMING);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Content-Length", "3, 3")), SRV_ERR_FRAMING);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Content-Length", "")), SRV_ERR_FRAMING);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Content-Length", "99999999999999999999")), SRV_ERR_FRAMING);
    assert_int_equal(
        FRAMING(&facts, H("Host", "x"), H("Transfer-Encoding", "chunked"), H("Transfer-Encoding", "chunked")),
        SRV_ERR_FRAMING);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Transfer-Encoding", "gzip, chunked")), SRV_ERR_CODING);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Transfer-Encoding", "identity")), SRV_ERR_CODING);
    assert_int_equal(FRAMING(&facts, H("Host", "x"),
                             H("Transfer-Encoding", "\x0b"
                                                    "chunked")),
                     SRV_ERR_HEADER);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Expect", "200-ok")), SRV_ERR_EXPECT);
    assert_int_equal(framing_of("HTTP/1.0", (const struct srv_header[]){H("Transfer-Encoding", "chunked")}, 1, &facts),
                     SRV_ERR_FRAMING);
}

static void test_names_and_host(void **state)
{
    struct srv_header many[SRV_HEADERS_MAX + 1];
    struct srv_facts facts;

    (void)state;
    assert_int_equal(FRAMING(&facts, H("Accept", "*/*")), SRV_ERR_HEADER);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Host", "x")), SRV_ERR_HEADER);
    assert_int_equal(FRAMING(&facts, H("Host", "")), SRV_ERR_HEADER);
    assert_int_equal(FRAMING(&facts, H("Host", "a b")), SRV_ERR_HEADER);
    assert_int_equal(FRAMING(&facts, H("Host", "user@x")), SRV_ERR_HEADER);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Content-Length ", "3")), SRV_ERR_HEADER);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Bad(Name)", "3")), SRV_ERR_HEADER);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("", "3")), SRV_ERR_HEADER);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("A", "b\rc")), SRV_ERR_HEADER);
    assert_int_equal(framing_of("HTTP/3.0", many, 0, &facts), SRV_ERR_VERSION);
    assert_int_equal(framing_of("", many, 0, &facts), SRV_ERR_VERSION);
    for (size_t i = 0; i < SRV_HEADERS_MAX + 1; i++)
        many[i] = (struct srv_header)H("X", "y");
    assert_int_equal(framing_of("HTTP/1.1", many, SRV_HEADERS_MAX + 1, &facts), SRV_ERR_HEADER_SIZE);
}

/* Fields of which one alone has a meaning, and those that are noted by the last. */
static void test_fields_that_stand_once(void **state)
{
    struct srv_facts facts;

    (void)state;
    assert_int_equal(FRAMING(&facts, H("Host", "x_y%"), H("Content-Type", "a"), H("Content-Encoding", "b"),
                             H("Origin", "c"), H("X-Request-Timeout-Ms", "4"), H("X-Request-Id", "5"),
                             H("Traceparent", "6"), H("x#1|Y~", "a\tb")),
                     SRV_ERR_NONE);
    assert_memory_equal(facts.content_type->value, "a", 1);
    assert_memory_equal(facts.content_encoding->value, "b", 1);
    assert_memory_equal(facts.origin->value, "c", 1);
    assert_memory_equal(facts.timeout_ms->value, "4", 1);
    assert_memory_equal(facts.request_id->value, "5", 1);
    assert_memory_equal(facts.traceparent->value, "6", 1);
    assert_false(srv_guard_has_body(&facts));
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Content-Type", "a"), H("content-type", "a")), SRV_ERR_HEADER);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Content-Encoding", "a"), H("Content-Encoding", "a")),
                     SRV_ERR_HEADER);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Origin", "a"), H("Origin", "a")), SRV_ERR_HEADER);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("X-Request-Timeout-Ms", "1"), H("X-Request-Timeout-Ms", "1")),
                     SRV_ERR_HEADER);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Transfer-Encoding", "chunked")), SRV_ERR_NONE);
    assert_true(srv_guard_has_body(&facts));
    assert_int_equal(FRAMING(&facts, H("Host", "x\0y")), SRV_ERR_HEADER);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("a\0b", "c")), SRV_ERR_HEADER);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("a", "b\x7f")), SRV_ERR_HEADER);
    assert_int_equal(framing_of("HTTP/1.0", (const struct srv_header[]){H("Host", "")}, 1, &facts), SRV_ERR_HEADER);
}

static void test_targets(void **state)
{
    static const char *const good[] = {"/",
                                       "/v1/classify",
                                       "/v1/kb/a%20b/entries/12?x=%C3%A9",
                                       "*",
                                       "/a.b/..c/...",
                                       "/v1//x",
                                       "/v1/news/https%3A%2F%2fe.example%2F1?x=1"};
    static const char *const bad[] = {"",
                                      "v1",
                                      "http://localhost/healthz",
                                      "/v1/../etc",
                                      "/v1/%2e%2E/etc",
                                      "/./x",
                                      "/x/..",
                                      "/a%00b",
                                      "/a?x=%00",
                                      "/a?x=%0",
                                      "/a%2fb/c",
                                      "/a%2fb/",
                                      "/a%2f..%2Fb",
                                      "/a/%2e%2fb",
                                      "/a%2F%2E.",
                                      "/a%2F%5Cb",
                                      "/a%2F%00",
                                      "/a%5Cb",
                                      "/a\\b",
                                      "/a%",
                                      "/a%zz",
                                      "/a%ff",
                                      "/a%0a",
                                      "/a\x01",
                                      "/a\x7f",
                                      "/a%7f",
                                      "/a?x=\x7f",
                                      "/a?x y",
                                      "/a?%",
                                      "/a?%g0"};
    char longest[3 * SRV_SEGMENT_BYTES_MAX + 4] = "/";
    struct att_err err;

    (void)state;
    /* The bound is of what the segment says, not of how it is written. */
    for (size_t i = 0; i < SRV_SEGMENT_BYTES_MAX; i++)
        memcpy(longest + 1 + 3 * i, "%61", 4);
    assert_int_equal(srv_guard_target(longest, &err), SRV_ERR_NONE);
    memcpy(longest + 1 + 3 * SRV_SEGMENT_BYTES_MAX, "a", 2);
    assert_int_equal(srv_guard_target(longest, &err), SRV_ERR_TARGET);
    assert_int_equal(srv_guard_target("/a?x=%01%10", &err), SRV_ERR_NONE);
    assert_true(srv_guard_has_slash("/a%2fb"));
    assert_true(srv_guard_has_slash("/a%2F"));
    assert_false(srv_guard_has_slash("/a/b%252F"));
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(srv_guard_target(good[i], &err), SRV_ERR_NONE);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(srv_guard_target(bad[i], &err), SRV_ERR_TARGET);
}

static enum srv_error body_of(const char *type, const char *coding, uint64_t len)
{
    struct srv_header type_header = {"Content-Type", type, 12, type != NULL ? strlen(type) : 0};
    struct srv_header coding_header = {"Content-Encoding", coding, 16, coding != NULL ? strlen(coding) : 0};
    struct srv_facts facts = {.has_length = true, .content_length = len};
    struct att_err err;

    facts.content_type = type != NULL ? &type_header : NULL;
    facts.content_encoding = coding != NULL ? &coding_header : NULL;
    return srv_guard_body(&facts, 100, &err);
}

static void test_bodies(void **state)
{
    (void)state;
    assert_int_equal(body_of("application/json", NULL, 100), SRV_ERR_NONE);
    assert_int_equal(body_of("Application/JSON ; charset=UTF-8", "identity", 1), SRV_ERR_NONE);
    assert_int_equal(body_of("application/json;", NULL, 1), SRV_ERR_NONE);
    assert_int_equal(body_of("application/json; charset=\"utf-8\"", NULL, 1), SRV_ERR_NONE);
    assert_int_equal(body_of("application/json;\tcharset=utf8 \t", NULL, 1), SRV_ERR_NONE);
    assert_int_equal(body_of("application/json\t; ", NULL, 1), SRV_ERR_NONE);
    assert_int_equal(body_of(" ", NULL, 1), SRV_ERR_MEDIA);
    assert_int_equal(body_of("application/json; charset=latin1", NULL, 1), SRV_ERR_MEDIA);
    assert_int_equal(body_of("application/jsonx", NULL, 1), SRV_ERR_MEDIA);
    assert_int_equal(body_of("text/plain", NULL, 1), SRV_ERR_MEDIA);
    assert_int_equal(body_of("", NULL, 1), SRV_ERR_MEDIA);
    assert_int_equal(body_of(NULL, NULL, 1), SRV_ERR_MEDIA);
    assert_int_equal(body_of("application/json", "gzip", 1), SRV_ERR_MEDIA);
    assert_int_equal(body_of("application/json", NULL, 101), SRV_ERR_BODY_SIZE);
}

static void test_ids(void **state)
{
    static const char trace[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    char wrong[sizeof(trace)], longest[SRV_REQUEST_ID_MAX + 1];

    (void)state;
    assert_true(srv_guard_request_id("a-B_1.2:3", 9));
    assert_false(srv_guard_request_id("", 0));
    assert_false(srv_guard_request_id("a b", 3));
    assert_false(srv_guard_request_id("a\r\nb", 4));
    assert_false(srv_guard_request_id("<b>", 3));
    assert_false(srv_guard_request_id("a\0b", 3));
    memset(longest, 'x', sizeof(longest));
    assert_true(srv_guard_request_id(longest, SRV_REQUEST_ID_MAX));
    assert_false(srv_guard_request_id(longest, SRV_REQUEST_ID_MAX + 1));
    assert_true(srv_guard_traceparent(trace, sizeof(trace) - 1));
    assert_false(srv_guard_traceparent(trace, sizeof(trace) - 2));
    for (size_t i = 0; i < sizeof(trace) - 1; i++) {
        memcpy(wrong, trace, sizeof(trace));
        wrong[i] = 'G';
        assert_false(srv_guard_traceparent(wrong, sizeof(trace) - 1));
        wrong[i] = 'A'; /* a hexadecimal digit, but a large one */
        assert_false(srv_guard_traceparent(wrong, sizeof(trace) - 1));
    }
}

static void test_keys_of_headers(void **state)
{
    struct srv_facts facts;
    const char *key = NULL;
    size_t len = 0;

    (void)state;
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Authorization", "bEARER  abc")), SRV_ERR_NONE);
    assert_true(srv_guard_key(&facts, &key, &len));
    assert_int_equal(len, 3);
    assert_memory_equal(key, "abc", 3);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("X-Api-Key", "def")), SRV_ERR_NONE);
    assert_true(srv_guard_key(&facts, &key, &len));
    assert_memory_equal(key, "def", 3);
    /* A field that says who asks stands once, and the standard one goes first. */
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Authorization", "Bearer a"), H("X-API-Key", "b")),
                     SRV_ERR_NONE);
    assert_true(srv_guard_key(&facts, &key, &len));
    assert_memory_equal(key, "a", 1);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Authorization", "Bearer a"), H("Authorization", "Bearer b")),
                     SRV_ERR_HEADER);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("X-API-Key", "a"), H("X-API-Key", "b")), SRV_ERR_HEADER);
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Authorization", "Basic abc")), SRV_ERR_NONE);
    assert_false(srv_guard_key(&facts, &key, &len));
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Authorization", "Bearer    ")), SRV_ERR_NONE);
    assert_false(srv_guard_key(&facts, &key, &len));
    assert_int_equal(FRAMING(&facts, H("Host", "x")), SRV_ERR_NONE);
    assert_false(srv_guard_key(&facts, &key, &len));
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("Authorization", "Bearer ")), SRV_ERR_NONE);
    assert_false(srv_guard_key(&facts, &key, &len));
    assert_int_equal(FRAMING(&facts, H("Host", "x"), H("X-API-Key", "")), SRV_ERR_NONE);
    assert_false(srv_guard_key(&facts, &key, &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_requests),
        cmocka_unit_test(test_framing_is_refused),
        cmocka_unit_test(test_names_and_host),
        cmocka_unit_test(test_fields_that_stand_once),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_keys_of_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
