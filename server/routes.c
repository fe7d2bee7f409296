/*
 * The route table and its matching. Some two dozen rows are compared one by
 * one: at most a microsecond, and the table stays readable as the API.
 */
#include "server/routes.h"

#include <string.h>

#include "server/builtins.h"
#include "server/guard.h"

static const struct srv_route routes[] = {
    {"POST", "/v1/classify", SRV_SCOPE_INFER, &task_classify, NULL, true},
    {"POST", "/v1/reply", SRV_SCOPE_INFER, &task_reply, NULL, true},
    {"POST", "/v1/recommend", SRV_SCOPE_INFER, &task_recommend, NULL, true},
    {"POST", "/v1/generate", SRV_SCOPE_INFER, &task_generate, NULL, true},
    {"POST", "/v1/completions", SRV_SCOPE_INFER, &task_completions, NULL, true},
    {"POST", "/v1/chat/completions", SRV_SCOPE_INFER, &task_chat_completions, NULL, true},
    {"POST", "/v1/embeddings", SRV_SCOPE_INFER, &task_embeddings, NULL, true},
    {"POST", "/v1/rerank", SRV_SCOPE_INFER, &task_rerank, NULL, true},
    {"POST", "/rerank", SRV_SCOPE_INFER, &task_rerank, NULL, true},
    {"POST", "/v2/rerank", SRV_SCOPE_INFER, &task_rerank, NULL, true},
    {"POST", "/v1/tokenize", SRV_SCOPE_INFER, &task_tokenize, NULL, true},
    {"GET", "/v1/kb/{kb}", SRV_SCOPE_INFER, &task_kb_get, NULL, false},
    {"PUT", "/v1/kb/{kb}", SRV_SCOPE_WRITE, &task_kb_put, NULL, true},
    {"DELETE", "/v1/kb/{kb}", SRV_SCOPE_WRITE, &task_kb_delete, NULL, false},
    {"GET", "/v1/kb/{kb}/entries", SRV_SCOPE_INFER, &task_kb_entries_get, NULL, false},
    {"PUT", "/v1/kb/{kb}/entries", SRV_SCOPE_WRITE, &task_kb_entries_put, NULL, true},
    {"GET", "/v1/kb/{kb}/entries/{id}", SRV_SCOPE_INFER, &task_kb_entry_get, NULL, false},
    {"PUT", "/v1/kb/{kb}/entries/{id}", SRV_SCOPE_WRITE, &task_kb_entry_put, NULL, true},
    {"DELETE", "/v1/kb/{kb}/entries/{id}", SRV_SCOPE_WRITE, &task_kb_entry_delete, NULL, false},
    {"GET", "/v1/kb/{kb}/export", SRV_SCOPE_INFER, &task_kb_export, NULL, false},
    {"GET", "/v1/models", SRV_SCOPE_KEYED, NULL, srv_builtin_models, false},
    {"GET", "/v1/models/{id}", SRV_SCOPE_KEYED, NULL, srv_builtin_model, false},
    {"POST", "/v1/models/{id}/reload", SRV_SCOPE_ADMIN, NULL, NULL, true},
    {"GET", "/healthz", SRV_SCOPE_PUBLIC, NULL, srv_builtin_healthz, false},
    {"GET", "/readyz", SRV_SCOPE_PUBLIC, NULL, srv_builtin_readyz, false},
    {"GET", "/metrics", SRV_SCOPE_KEYED, NULL, srv_builtin_metrics, false},
    {"GET", "/openapi.json", SRV_SCOPE_PUBLIC, NULL, srv_builtin_openapi, false},
};

const struct srv_route *srv_routes(size_t *ret_count)
{
    *ret_count = sizeof(routes) / sizeof(routes[0]);
    return routes;
}

/* Compares a pattern with a path segment by segment; parameters land in match->params. */
static bool path_matches(const char *pattern, const char *path, struct srv_match *match)
{
    size_t n_params = 0;

    while (*pattern == '/' && *path == '/') {
        size_t pattern_len = strcspn(++pattern, "/"), path_len = strcspn(++path, "/");

        if (pattern[0] == '{') {
            size_t n;

            if (path_len == 0 || path_len > SRV_PARAM_BYTES_MAX || n_params == SRV_PARAMS_MAX ||
                !srv_guard_unescape(path, path_len, match->params[n_params], &n))
                return false;
            n_params++;
        } else if (pattern_len != path_len || memcmp(pattern, path, path_len) != 0) {
            return false;
        }
        pattern += pattern_len;
        path += path_len;
    }
    if (*pattern != '\0' || *path != '\0')
        return false;
    match->n_params = n_params;
    return true;
}

static void allow_method(char *allow, const char *method)
{
    size_t len = strlen(allow), more = strlen(method);

    if (len + more + 3 > SRV_ALLOW_MAX)
        return;
    if (len > 0) {
        memcpy(allow + len, ", ", 2);
        len += 2;
    }
    memcpy(allow + len, method, more + 1);
}

void srv_route_match(const char *method, const char *path, struct srv_match *ret_match)
{
    struct srv_match scratch = {0};

    memset(ret_match, 0, sizeof(*ret_match));
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        const struct srv_route *route = &routes[i];
        bool is_get = strcmp(route->method, "GET") == 0;

        if (!path_matches(route->path, path, &scratch))
            continue;
        ret_match->path_known = true;
        allow_method(ret_match->allow, route->method);
        if (is_get)
            allow_method(ret_match->allow, "HEAD");
        if (strcmp(route->method, method) != 0 && !(is_get && strcmp(method, "HEAD") == 0))
            continue;
        ret_match->route = route;
        ret_match->n_params = scratch.n_params;
        memcpy(ret_match->params, scratch.params, sizeof(scratch.params));
    }
    if (ret_match->path_known)
        allow_method(ret_match->allow, "OPTIONS");
}
