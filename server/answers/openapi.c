/* Route table and files to one document; see openapi.h. */
#include "server/answers/openapi.h"

#include <stdio.h>
#include <string.h>

#include "server/request/routes.h"

enum { DEPTH_MAX = 64, NAME_BYTES_MAX = 64 };

enum att_status srv_openapi_parts(struct att_json **ret_parts, struct att_err *err)
{
    return att_json_parse((const char *)srv_openapi_text, srv_openapi_text_len, 0, DEPTH_MAX, ret_parts, err);
}

static void put_ref(struct att_jsonw *w, const char *key, const char *target)
{
    att_jsonw_key(w, key);
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "$ref", target);
    att_jsonw_object_end(w);
}

/* "content": {media: {"schema": …}}, for JSON or the named types, without their parameters. The schema is that of the
 * first; what else it may be is text. */
static void put_content(struct att_jsonw *w, const struct att_json *media, const struct att_json *schema)
{
    size_t n = att_json_is_array(media) ? att_json_count(media) : 1;

    att_jsonw_key(w, "content");
    att_jsonw_object_begin(w);
    for (size_t i = 0; i < n; i++) {
        const char *text = att_json_string(att_json_is_array(media) ? att_json_at(media, i) : media, NULL);
        char type[NAME_BYTES_MAX];

        if (text == NULL)
            text = "application/json";
        snprintf(type, sizeof(type), "%.*s", (int)strcspn(text, ";"), text);
        att_jsonw_key(w, type);
        att_jsonw_object_begin(w);
        att_jsonw_key(w, "schema");
        if (i == 0 || strcmp(type, "application/json") == 0)
            att_jsonw_value(w, schema);
        else
            att_jsonw_raw(w, "{\"type\":\"string\"}", 17);
        att_jsonw_object_end(w);
    }
    att_jsonw_object_end(w);
}

static void put_parameter(struct att_jsonw *w, const char *name, bool in_path, const struct att_json *schema)
{
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "name", name);
    att_jsonw_put_text(w, "in", in_path ? "path" : "query");
    att_jsonw_put_bool(w, "required", in_path);
    att_jsonw_key(w, "schema");
    if (schema != NULL) {
        att_jsonw_value(w, schema);
    } else {
        att_jsonw_object_begin(w);
        att_jsonw_put_text(w, "type", "string");
        att_jsonw_object_end(w);
    }
    att_jsonw_object_end(w);
}

static void put_parameters(struct att_jsonw *w, const struct srv_route *route, const struct att_json *operation)
{
    const struct att_json *in_path = att_json_get(operation, "path"), *schema;
    struct att_json_iter iter;
    const char *name;

    att_jsonw_key(w, "parameters");
    att_jsonw_array_begin(w);
    for (const char *at = strchr(route->path, '{'); at != NULL; at = strchr(at + 1, '{')) {
        char parameter[NAME_BYTES_MAX];

        snprintf(parameter, sizeof(parameter), "%.*s", (int)strcspn(at + 1, "}"), at + 1);
        put_parameter(w, parameter, true, att_json_get(in_path, parameter));
    }
    att_json_iter_init(&iter, att_json_get(operation, "query"));
    while (att_json_iter_next(&iter, &name, &schema))
        put_parameter(w, name, false, schema);
    att_jsonw_array_end(w);
}

static void put_responses(struct att_jsonw *w, const struct srv_route *route, const struct att_json *operation)
{
    static const char *const errors[] = {[SRV_ERRORS_NESTED] = "#/components/responses/Error",
                                         [SRV_ERRORS_FLAT] = "#/components/responses/FlatError",
                                         [SRV_ERRORS_BY_BODY] = "#/components/responses/EitherError"};
    const struct att_json *answer = att_json_get(operation, "answer");
    char status[16];

    snprintf(status, sizeof(status), "%.0f", att_json_number(att_json_get(operation, "status"), 200));
    att_jsonw_key(w, "responses");
    att_jsonw_object_begin(w);
    att_jsonw_key(w, status);
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "description", answer != NULL ? "The answer" : "Done");
    if (answer != NULL)
        put_content(w, att_json_get(operation, "media"), answer);
    att_jsonw_object_end(w);
    put_ref(w, "4XX", errors[srv_route_errors(route)]);
    put_ref(w, "5XX", errors[srv_route_errors(route)]);
    att_jsonw_object_end(w);
}

/* "post_v1_kb_kb_entries": letters and digits of method and path. */
static void put_operation_id(struct att_jsonw *w, const char *key)
{
    char id[128];
    size_t len = 0;

    for (; *key != '\0' && len + 1 < sizeof(id); key++) {
        bool is_word = (*key >= 'a' && *key <= 'z') || (*key >= '0' && *key <= '9');

        if (*key >= 'A' && *key <= 'Z')
            id[len++] = (char)(*key - 'A' + 'a');
        else if (is_word)
            id[len++] = *key;
        else if (len > 0 && id[len - 1] != '_')
            id[len++] = '_';
    }
    if (len > 0 && id[len - 1] == '_')
        len--;
    att_jsonw_put_string(w, "operationId", id, len);
}

static void put_operation(struct att_jsonw *w, const struct srv_route *route, const struct att_json *operations)
{
    char key[256], method[16] = "";
    const struct att_json *operation, *request;

    snprintf(key, sizeof(key), "%s %s", route->method, route->path);
    operation = att_json_get(operations, key);
    request = att_json_get(operation, "request");
    for (size_t i = 0; route->method[i] != '\0' && i + 1 < sizeof(method); i++)
        method[i] = (char)(route->method[i] - 'A' + 'a');
    att_jsonw_key(w, method);
    att_jsonw_object_begin(w);
    put_operation_id(w, key);
    att_jsonw_key(w, "summary");
    att_jsonw_value(w, att_json_get(operation, "summary"));
    put_parameters(w, route, operation);
    if (request != NULL) {
        att_jsonw_key(w, "requestBody");
        att_jsonw_object_begin(w);
        att_jsonw_put_bool(w, "required", true);
        put_content(w, att_json_get(operation, "takes"), request);
        att_jsonw_object_end(w);
    }
    put_responses(w, route, operation);
    /* A key is asked for where keys are configured. */
    att_jsonw_key(w, "security");
    att_jsonw_array_begin(w);
    for (int keyed = route->scope != SRV_SCOPE_PUBLIC; keyed >= 0; keyed--) {
        att_jsonw_object_begin(w);
        if (keyed) {
            att_jsonw_key(w, "key");
            att_jsonw_array_begin(w);
            att_jsonw_array_end(w);
        }
        att_jsonw_object_end(w);
    }
    att_jsonw_array_end(w);
    att_jsonw_object_end(w);
}

static void put_paths(struct att_jsonw *w, const struct att_json *operations)
{
    size_t n;
    const struct srv_route *routes = srv_routes(&n);

    att_jsonw_key(w, "paths");
    att_jsonw_object_begin(w);
    for (size_t i = 0; i < n; i++) {
        size_t first = 0;

        while (strcmp(routes[first].path, routes[i].path) != 0)
            first++;
        if (first < i)
            continue;
        att_jsonw_key(w, routes[i].path);
        att_jsonw_object_begin(w);
        for (size_t k = i; k < n; k++)
            if (strcmp(routes[k].path, routes[i].path) == 0)
                put_operation(w, &routes[k], operations);
        att_jsonw_object_end(w);
    }
    att_jsonw_object_end(w);
}

/* A response and a schema of the same name. */
static void put_error(struct att_jsonw *w, const char *name)
{
    char schema[NAME_BYTES_MAX];

    snprintf(schema, sizeof(schema), "#/components/schemas/%s", name);
    att_jsonw_key(w, name);
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "description", "What was wrong");
    att_jsonw_key(w, "content");
    att_jsonw_object_begin(w);
    att_jsonw_key(w, "application/json");
    att_jsonw_object_begin(w);
    put_ref(w, "schema", schema);
    att_jsonw_object_end(w);
    att_jsonw_object_end(w);
    att_jsonw_object_end(w);
}

/* The schemas as they stand in the files; that of a deadline ends where the configuration says. */
static void put_schemas(struct att_jsonw *w, const struct att_json *schemas, const struct task_limits *limits)
{
    struct att_json_iter members, parts;
    const struct att_json *schema, *part;
    const char *name, *key;

    att_jsonw_key(w, "schemas");
    att_jsonw_object_begin(w);
    att_json_iter_init(&members, schemas);
    while (att_json_iter_next(&members, &name, &schema)) {
        att_jsonw_key(w, name);
        if (strcmp(name, "DeadlineMs") != 0) {
            att_jsonw_value(w, schema);
            continue;
        }
        att_jsonw_object_begin(w);
        att_json_iter_init(&parts, schema);
        while (att_json_iter_next(&parts, &key, &part)) {
            att_jsonw_key(w, key);
            att_jsonw_value(w, part);
        }
        att_jsonw_put_int(w, "maximum", limits->deadline_ms_max);
        att_jsonw_object_end(w);
    }
    att_jsonw_object_end(w);
}

static void put_components(struct att_jsonw *w, const struct att_json *schemas, const struct task_limits *limits)
{
    static const char keys[] = "{\"key\":{\"type\":\"http\",\"scheme\":\"bearer\"}}";

    att_jsonw_key(w, "components");
    att_jsonw_object_begin(w);
    put_schemas(w, schemas, limits);
    att_jsonw_key(w, "responses");
    att_jsonw_object_begin(w);
    put_error(w, "Error");
    put_error(w, "FlatError");
    put_error(w, "EitherError");
    att_jsonw_object_end(w);
    att_jsonw_key(w, "securitySchemes");
    att_jsonw_raw(w, keys, sizeof(keys) - 1);
    att_jsonw_object_end(w);
}

enum att_status srv_openapi_render(struct att_jsonw *w, const struct task_limits *limits, struct att_err *err)
{
    struct att_json *parts = NULL;
    enum att_status status = srv_openapi_parts(&parts, err);

    if (status != ATT_OK)
        return status;
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "openapi", "3.1.0");
    att_jsonw_key(w, "info");
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "title", "attentd");
    att_jsonw_put_text(w, "version", ATT_VERSION);
    att_jsonw_put_text(
        w, "description",
        "Customer-service replies, financial news and recommendation by Transformer models on plain CPUs.");
    att_jsonw_object_end(w);
    put_paths(w, att_json_get(parts, "operations"));
    put_components(w, att_json_get(parts, "schemas"), limits);
    att_jsonw_object_end(w);
    att_json_destroy(parts);
    return ATT_OK;
}
