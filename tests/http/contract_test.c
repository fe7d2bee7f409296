/*
 * /openapi.json against the daemon that serves it: each example is answered, and of
 * each field the names, types, words and ranges that stand there are those that are
 * checked. What a new endpoint says in server/answers/openapi/ is tried without a word here.
 */
#include "live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"

enum { BODY_BYTES_MAX = 8192 };

static struct live live;
static struct att_json *document;

/* One operation with a JSON body. */
struct operation {
    const char *method;
    char path[256];                          /* with the examples of its parameters */
    const struct att_json *schema, *example; /* example NULL: its fields are not tried */
};

static int start(void **state)
{
    struct reply reply;

    (void)state;
    /* Not the default: the document tells the bound of this daemon. */
    live_start(&live, "[limits]\ndeadline_ms_max = 60000\n");
    reply = live_ask(&live, "GET", "/openapi.json", NULL, NULL);
    assert_int_equal(reply.status, 200);
    document = reply_json(&reply);
    reply_free(&reply);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    att_json_destroy(document);
    live_stop(&live);
    return 0;
}

/* What a schema that is only "$ref" refers to. */
static const struct att_json *resolved(const struct att_json *schema)
{
    const char *path = att_json_string(att_json_get(schema, "$ref"), NULL);

    if (path == NULL)
        return schema;
    return att_json_get(att_json_get(att_json_get(document, "components"), "schemas"), strrchr(path, '/') + 1);
}

/* ---- the operations ---- */

static void put_path(const char *pattern, const struct att_json *parameters, char path[256])
{
    size_t len = 0;

    for (const char *at = pattern; *at != '\0' && len + 64 < 256; at++) {
        if (*at != '{') {
            path[len++] = *at;
            continue;
        }
        for (size_t i = 0; i < att_json_count(parameters); i++) {
            const struct att_json *parameter = att_json_at(parameters, i);
            const struct att_json *example = att_json_get(att_json_get(parameter, "schema"), "example");
            const char *name = att_json_string(att_json_get(parameter, "name"), NULL);

            if (strncmp(at + 1, name, strlen(name)) != 0 || at[1 + strlen(name)] != '}')
                continue;
            if (att_json_is_number(example))
                len += (size_t)snprintf(path + len, 64, "%.0f", att_json_number(example, 0));
            else
                len += (size_t)snprintf(path + len, 64, "%s",
                                        example != NULL ? att_json_string(example, NULL) : "default");
        }
        at += strcspn(at, "}");
    }
    path[len] = '\0';
}

static void visit(void (*check)(const struct operation *operation))
{
    struct att_json_iter paths, methods;
    const char *path, *method;
    const struct att_json *item, *value;

    att_json_iter_init(&paths, att_json_get(document, "paths"));
    while (att_json_iter_next(&paths, &path, &item)) {
        att_json_iter_init(&methods, item);
        while (att_json_iter_next(&methods, &method, &value)) {
            const struct att_json *content = att_json_get(att_json_get(value, "requestBody"), "content");
            const struct att_json *json = att_json_get(content, "application/json");
            struct operation operation = {.method = strcmp(method, "put") == 0 ? "PUT" : "POST"};

            if (json == NULL)
                continue;
            operation.schema = resolved(att_json_get(json, "schema"));
            operation.example = att_json_get(operation.schema, "example");
            put_path(path, att_json_get(value, "parameters"), operation.path);
            check(&operation);
        }
    }
}

/* ---- asking ---- */

/* The example without the field `name`, and with it as `value` (JSON; NULL: without). */
static void body_with(const struct operation *operation, const char *name, const char *value, char body[BODY_BYTES_MAX])
{
    struct att_json_iter iter;
    const char *key;
    const struct att_json *member;
    struct att_jsonw w;
    char *bytes;
    size_t len;

    att_jsonw_init(&w, BODY_BYTES_MAX);
    att_jsonw_object_begin(&w);
    att_json_iter_init(&iter, operation->example);
    while (att_json_iter_next(&iter, &key, &member)) {
        if (name != NULL && strcmp(key, name) == 0)
            continue;
        att_jsonw_key(&w, key);
        att_jsonw_value(&w, member);
    }
    if (value != NULL) {
        att_jsonw_key(&w, name);
        att_jsonw_raw(&w, value, strlen(value));
    }
    att_jsonw_object_end(&w);
    assert_int_equal(att_jsonw_take(&w, &bytes, &len, NULL), ATT_OK);
    assert_true(len < BODY_BYTES_MAX);
    memcpy(body, bytes, len + 1);
    att_mem_free(bytes);
}

enum verdict { TAKEN, REFUSED, UNKNOWN }; /* of one field */

/* What the daemon says of the field `name` with that value. */
static enum verdict ask(const struct operation *operation, const char *name, const char *value)
{
    char body[BODY_BYTES_MAX];
    struct reply reply;
    struct att_json *json;
    enum verdict verdict = TAKEN;

    body_with(operation, name, value, body);
    reply = live_ask(&live, operation->method, operation->path, body, NULL);
    if (reply.status == 0 || reply.status == 500)
        fail_msg("%s %s %s: status %ld: %s", operation->method, operation->path, body, reply.status, reply.body);
    if (reply.status == 422 || reply.status == 413 || reply.status == 404) {
        json = reply_json(&reply);
        const struct att_json *error = att_json_get(json, "error");
        const char *flat = att_json_string(error, NULL), *param = att_json_string(att_json_get(error, "param"), NULL);
        const char *message = flat != NULL ? flat : att_json_string(att_json_get(error, "message"), NULL);

        if (param != NULL ? strncmp(param, name, strlen(name)) == 0 : strncmp(message, name, strlen(name)) == 0)
            verdict = strstr(message, "is not a field") != NULL ? UNKNOWN : REFUSED;
        att_json_destroy(json);
    }
    reply_free(&reply);
    return verdict;
}

static void expect(const struct operation *operation, const char *name, const char *value, enum verdict verdict)
{
    static const char *const words[] = {[TAKEN] = "taken", [REFUSED] = "refused", [UNKNOWN] = "unknown"};
    enum verdict found = ask(operation, name, value);

    if (found != verdict)
        fail_msg("%s %s: %s = %s is %s, and should be %s", operation->method, operation->path, name,
                 value != NULL ? value : "(absent)", words[found], words[verdict]);
}

/* ---- the tests ---- */

static void check_example(const struct operation *operation)
{
    char body[BODY_BYTES_MAX];
    struct reply reply;

    if (operation->example == NULL && att_json_count(att_json_get(operation->schema, "properties")) > 0)
        fail_msg("%s %s: the request has no example", operation->method, operation->path);
    if (operation->example == NULL)
        return;
    body_with(operation, NULL, NULL, body);
    reply = live_ask(&live, operation->method, operation->path, body, NULL);
    if (reply.status < 200 || reply.status > 299)
        fail_msg("%s %s: the example is answered %ld: %s", operation->method, operation->path, reply.status,
                 reply.body);
    reply_free(&reply);
}

static void test_examples_are_answered(void **state)
{
    (void)state;
    visit(check_example);
}

static void check_names(const struct operation *operation)
{
    struct att_json_iter iter;
    const char *name;
    const struct att_json *property, *required = att_json_get(operation->schema, "required");
    const struct att_json *shapes = att_json_get(operation->schema, "anyOf");
    bool strict = att_json_is_bool(
        att_json_get(shapes != NULL ? att_json_at(shapes, 0) : operation->schema, "additionalProperties"));

    if (operation->example == NULL)
        return;
    expect(operation, "no_such_field", "1", strict ? UNKNOWN : TAKEN);
    for (size_t i = 0; i < att_json_count(required); i++)
        expect(operation, att_json_string(att_json_at(required, i), NULL), NULL, REFUSED);
    att_json_iter_init(&iter, att_json_get(operation->schema, "properties"));
    while (att_json_iter_next(&iter, &name, &property))
        if (ask(operation, name, "null") == UNKNOWN)
            fail_msg("%s %s: %s is described, and unknown", operation->method, operation->path, name);
}

static void test_names(void **state)
{
    (void)state;
    visit(check_names);
}

static bool has_type(const struct att_json *property, const char *type)
{
    const struct att_json *types = att_json_get(property, "type");

    for (size_t i = 0; i < att_json_count(types); i++)
        if (strcmp(att_json_string(att_json_at(types, i), NULL), type) == 0)
            return true;
    return att_json_is_string(types) && strcmp(att_json_string(types, NULL), type) == 0;
}

static void check_words(const struct operation *operation, const char *name, const struct att_json *words)
{
    char text[128];

    if (words == NULL)
        return;
    expect(operation, name, "\"no-such-word\"", REFUSED);
    for (size_t i = 0; i < att_json_count(words); i++) {
        if (!att_json_is_string(att_json_at(words, i)))
            continue;
        snprintf(text, sizeof(text), "\"%s\"", att_json_string(att_json_at(words, i), NULL));
        expect(operation, name, text, TAKEN);
    }
}

static void check_bound(const struct operation *operation, const char *name, const struct att_json *bound,
                        double beyond)
{
    char text[64];

    if (bound == NULL)
        return;
    snprintf(text, sizeof(text), "%.17g", att_json_number(bound, 0));
    expect(operation, name, text, TAKEN);
    snprintf(text, sizeof(text), "%.17g", att_json_number(bound, 0) + beyond);
    expect(operation, name, text, REFUSED);
}

static void check_values(const struct operation *operation)
{
    struct att_json_iter iter;
    const char *name;
    const struct att_json *property;

    if (operation->example == NULL)
        return;
    att_json_iter_init(&iter, att_json_get(operation->schema, "properties"));
    while (att_json_iter_next(&iter, &name, &property)) {
        property = resolved(property);
        if (att_json_get(property, "type") != NULL && !has_type(property, "object"))
            expect(operation, name, "{}", REFUSED);
        if (has_type(property, "integer"))
            expect(operation, name, "1.5", REFUSED);
        check_words(operation, name, att_json_get(property, "enum"));
        /* Steps that a double near 2^53 can take. */
        check_bound(operation, name, att_json_get(property, "minimum"), -1);
        check_bound(operation, name, att_json_get(property, "maximum"), 2);
    }
}

static void test_values(void **state)
{
    (void)state;
    visit(check_values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_are_answered),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_values),
    };

    return cmocka_run_group_tests_name("http/contract", tests, start, stop);
}
