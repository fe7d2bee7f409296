/* The route table: every row is found by its own path, and near misses are not. */
#include "server/request/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A path for a pattern: every {parameter} becomes "p". */
static void path_of(const char *pattern, char *path)
{
    while (*pattern != '\0') {
        if (*pattern == '{') {
            *path++ = 'p';
            pattern += strcspn(pattern, "}") + 1;
        } else {
            *path++ = *pattern++;
        }
    }
    *path = '\0';
}

static void test_every_row_is_reached(void **state)
{
    size_t n;
    const struct srv_route *routes = srv_routes(&n);

    (void)state;
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        struct srv_match match;
        char path[128];

        path_of(routes[i].path, path);
        srv_route_match(routes[i].method, path, &match);
        assert_ptr_equal(match.route, &routes[i]);
        assert_non_null(strstr(match.allow, routes[i].method));
        assert_true(routes[i].task == NULL || routes[i].builtin == NULL);
        /* A longer and a shorter path are other paths. */
        assert_true(strlen(path) + 3 < sizeof(path));
        memcpy(path + strlen(path), "/x/y", 5);
        srv_route_match(routes[i].method, path, &match);
        assert_null(match.route);
    }
}

static void test_parameters(void **state)
{
    struct srv_match match;
    char path[SRV_PARAM_BYTES_MAX + 32];

    (void)state;
    srv_route_match("GET", "/v1/kb/a%20b/entries/12", &match);
    assert_non_null(match.route);
    assert_int_equal(match.n_params, 2);
    assert_string_equal(match.params[0], "a b");
    assert_string_equal(match.params[1], "12");
    srv_route_match("GET", "/v1/kb//entries/12", &match);
    assert_false(match.path_known);
    snprintf(path, sizeof(path), "/v1/models/%0*d", SRV_PARAM_BYTES_MAX + 1, 1);
    srv_route_match("GET", path, &match);
    assert_false(match.path_known);
}

/* Escapes do not count: an id that was stored is reached, whatever its letters. */
static void test_bound_is_of_decoded_bytes(void **state)
{
    struct srv_match match;
    char path[3 * SRV_PARAM_BYTES_MAX + 32] = "/v1/users/", wanted[SRV_PARAM_BYTES_MAX + 1];
    size_t at = strlen(path);

    (void)state;
    for (size_t i = 0; i < SRV_PARAM_BYTES_MAX; i++)
        memcpy(path + at + 3 * i, "%7E", 4);
    memset(wanted, '~', SRV_PARAM_BYTES_MAX);
    wanted[SRV_PARAM_BYTES_MAX] = '\0';
    srv_route_match("DELETE", path, &match);
    assert_non_null(match.route);
    assert_string_equal(match.params[0], wanted);
    memcpy(path + at + 3 * SRV_PARAM_BYTES_MAX, "%7E", 4);
    srv_route_match("DELETE", path, &match);
    assert_false(match.path_known);
}

/* An encoded slash is a letter of an id: it parts no segments. */
static void test_slashes_in_ids(void **state)
{
    struct srv_match match;

    (void)state;
    srv_route_match("GET", "/v1/news/https%3A%2F%2Fe.example%2F1", &match);
    assert_non_null(match.route);
    assert_true(match.takes_slash);
    assert_string_equal(match.params[0], "https://e.example/1");
    srv_route_match("OPTIONS", "/v1/models/m/items/a%2Fb", &match);
    assert_true(match.takes_slash);
    srv_route_match("GET", "/v1/models/m%2Fitems", &match);
    assert_string_equal(match.params[0], "m/items");
    assert_false(match.takes_slash);
    srv_route_match("GET", "/v1%2Fnews/a", &match);
    assert_false(match.path_known || match.takes_slash);
}

static void test_methods(void **state)
{
    struct srv_match match;

    (void)state;
    srv_route_match("PATCH", "/v1/classify", &match);
    assert_true(match.path_known);
    assert_null(match.route);
    assert_string_equal(match.allow, "POST, OPTIONS");
    srv_route_match("HEAD", "/healthz", &match);
    assert_non_null(match.route);
    srv_route_match("HEAD", "/v1/classify", &match);
    assert_null(match.route);
    srv_route_match("get", "/healthz", &match);
    assert_null(match.route);
    srv_route_match("GET", "/v1/kb/x", &match);
    assert_string_equal(match.allow, "GET, HEAD, PUT, DELETE, OPTIONS");
}

static void test_unknown_paths(void **state)
{
    static const char *const paths[] = {"//",          "",          "*",        "/v1", "/v1/classify/", "/V1/classify",
                                        "/v1/classif", "/healthzz", "//healthz"};
    struct srv_match match;

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        srv_route_match("GET", paths[i], &match);
        assert_false(match.path_known);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_is_reached),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_bound_is_of_decoded_bytes),
        cmocka_unit_test(test_slashes_in_ids),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_unknown_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
