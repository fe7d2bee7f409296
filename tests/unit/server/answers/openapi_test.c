/* The contract: it has every route and no other, and every reference in it leads somewhere. */
#include "server/answers/openapi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "server/request/routes.h"

enum { DEADLINE_MS_MAX = 7000 };

static struct att_json *parts(void)
{
    struct att_json *parts = NULL;
    struct att_err err = {.message = ""};

    assert_int_equal(srv_openapi_parts(&parts, &err), ATT_OK);
    return parts;
}

static struct att_json *document(void)
{
    struct att_json *json = NULL;
    struct att_err err = {.message = ""};
    struct task_limits limits = {.deadline_ms_max = DEADLINE_MS_MAX};
    struct att_jsonw w;
    char *bytes;
    size_t len;

    att_jsonw_init(&w, 1 << 20);
    assert_int_equal(srv_openapi_render(&w, &limits, &err), ATT_OK);
    assert_int_equal(att_jsonw_take(&w, &bytes, &len, &err), ATT_OK);
    assert_int_equal(att_json_parse(bytes, len, 0, 64, &json, &err), ATT_OK);
    att_mem_free(bytes);
    return json;
}

static void test_every_route_is_described(void **state)
{
    struct att_json *json = parts();
    const struct att_json *operations = att_json_get(json, "operations");
    size_t n;
    const struct srv_route *routes = srv_routes(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        char key[256];
        const struct att_json *operation;

        snprintf(key, sizeof(key), "%s %s", routes[i].method, routes[i].path);
        operation = att_json_get(operations, key);
        if (operation == NULL)
            fail_msg("no file of server/answers/openapi/ describes %s", key);
        if (!att_json_is_string(att_json_get(operation, "summary")))
            fail_msg("%s has no summary", key);
        if ((routes[i].takes_body != SRV_BODY_NONE) != (att_json_get(operation, "request") != NULL))
            fail_msg("%s: the table and the description differ about a body", key);
    }
    if (att_json_count(operations) != n)
        fail_msg("%zu operations are described, and %zu routes are served", att_json_count(operations), n);
    att_json_destroy(json);
}

static void test_every_member_is_known(void **state)
{
    static const char *const members[] = {"summary", "path",  "query",  "request", "takes",
                                          "answer",  "media", "status", NULL};
    struct att_json *json = parts();
    const struct att_json *operation, *value;
    struct att_json_iter operations, iter;
    const char *key, *member;

    (void)state;
    att_json_iter_init(&operations, att_json_get(json, "operations"));
    while (att_json_iter_next(&operations, &key, &operation)) {
        att_json_iter_init(&iter, operation);
        while (att_json_iter_next(&iter, &member, &value)) {
            size_t i = 0;

            while (members[i] != NULL && strcmp(members[i], member) != 0)
                i++;
            if (members[i] == NULL)
                fail_msg("%s: %s means nothing", key, member);
        }
        att_json_iter_init(&iter, att_json_get(operation, "path"));
        while (att_json_iter_next(&iter, &member, &value)) {
            char name[64];

            snprintf(name, sizeof(name), "{%s}", member);
            if (strstr(key, name) == NULL)
                fail_msg("%s has no %s", key, name);
        }
    }
    att_json_destroy(json);
}

/* Follows every "$ref": "#/components/…" of the document. */
static void follow(const struct att_json *root, const struct att_json *value)
{
    struct att_json_iter iter;
    const char *key;
    const struct att_json *member, *target = root;

    for (size_t i = 0; att_json_is_array(value) && i < att_json_count(value); i++)
        follow(root, att_json_at(value, i));
    if (!att_json_is_object(value))
        return;
    att_json_iter_init(&iter, value);
    while (att_json_iter_next(&iter, &key, &member)) {
        const char *path = strcmp(key, "$ref") == 0 ? att_json_string(member, NULL) : NULL;
        char step[128];

        follow(root, member);
        if (path == NULL)
            continue;
        assert_true(strncmp(path, "#/components/", 13) == 0);
        for (const char *at = path + 1; *at == '/'; at += strlen(step) + 1) {
            snprintf(step, sizeof(step), "%.*s", (int)strcspn(at + 1, "/"), at + 1);
            target = att_json_get(target, step);
        }
        if (target == NULL)
            fail_msg("%s leads nowhere", path);
        target = root;
    }
}

static void test_document(void **state)
{
    struct att_json *json = document();
    const struct att_json *paths = att_json_get(json, "paths");
    const struct att_json *entry = att_json_get(att_json_get(paths, "/v1/kb/{kb}/entries/{id}"), "put");
    const struct att_json *deadline;

    (void)state;
    assert_string_equal(att_json_string(att_json_get(json, "openapi"), NULL), "3.1.0");
    assert_string_equal(att_json_string(att_json_get(entry, "operationId"), NULL), "put_v1_kb_kb_entries_id");
    assert_int_equal(att_json_count(att_json_get(entry, "parameters")), 2);
    assert_int_equal(att_json_count(att_json_get(entry, "security")), 2);
    assert_int_equal(att_json_count(att_json_get(att_json_get(paths, "/v1/models"), "get")), 5);
    deadline = att_json_get(att_json_get(att_json_get(json, "components"), "schemas"), "DeadlineMs");
    assert_true(att_json_number(att_json_get(deadline, "maximum"), 0) == DEADLINE_MS_MAX);
    assert_true(att_json_number(att_json_get(deadline, "minimum"), 0) == 1);
    follow(json, json);
    att_json_destroy(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_route_is_described),
        cmocka_unit_test(test_every_member_is_known),
        cmocka_unit_test(test_document),
    };

    return cmocka_run_group_tests_name("server/openapi", tests, NULL, NULL);
}
