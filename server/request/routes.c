/*
 * The route table and its matching. Some two dozen rows are compared one by
 * one: at most a microsecond, and the table stays readable as the API.
 */
#include "server/request/routes.h"

#include <string.h>

#include "server/alerts/alerts.h"
#include "server/answers/builtins.h"
#include "server/console/console.h"

static const struct srv_route routes[] = {
    {"POST", "/v1/classify", SRV_SCOPE_INFER, &task_classify, NULL, true},
    {"POST", "/v1/reply", SRV_SCOPE_INFER, &task_reply, NULL, true},
    {"POST", "/v1/recommend", SRV_SCOPE_INFER, &task_recommend, NULL, true},
    {"POST", "/v1/generate", SRV_SCOPE_INFER, &task_generate, NULL, true},
    {"POST", "/v1/completions", SRV_SCOPE_INFER, &task_completions, NULL, true},
    {"POST", "/v1/chat/completions", SRV_SCOPE_INFER, &task_chat_completions, NULL, true},
    {"POST", "/v1/embeddings", SRV_SCOPE_INFER, &task_embeddings, NULL, true},
    {"POST", "/v1/rerank", SRV_SCOPE_INFER, &task_rerank, NULL, true},
    {"POST", "/v1/tokenize", SRV_SCOPE_INFER, &task_tokenize, NULL, true},
    {"GET", "/v1/kb/{kb}", SRV_SCOPE_INFER, &task_kb_get, NULL, false},
    {"PUT", "/v1/kb/{kb}", SRV_SCOPE_WRITE, &task_kb_put, NULL, true},
    {"DELETE", "/v1/kb/{kb}", SRV_SCOPE_WRITE, &task_kb_delete, NULL, false},
    {"GET", "/v1/kb/{kb}/entries", SRV_SCOPE_INFER, &task_kb_entries_get, NULL, false},
    {"PUT", "/v1/kb/{kb}/entries", SRV_SCOPE_WRITE, &task_kb_entries_put, NULL, SRV_BODY_LINES},
    {"GET", "/v1/kb/{kb}/entries/{id}", SRV_SCOPE_INFER, &task_kb_entry_get, NULL, false},
    {"PUT", "/v1/kb/{kb}/entries/{id}", SRV_SCOPE_WRITE, &task_kb_entry_put, NULL, true},
    {"DELETE", "/v1/kb/{kb}/entries/{id}", SRV_SCOPE_WRITE, &task_kb_entry_delete, NULL, false},
    {"GET", "/v1/kb/{kb}/suggestions", SRV_SCOPE_WRITE, &task_kb_suggest, NULL, false},
    {"DELETE", "/v1/kb/{kb}/suggestions", SRV_SCOPE_WRITE, &task_kb_forget, NULL, false},
    {"GET", "/v1/kb/{kb}/export", SRV_SCOPE_INFER, &task_kb_export, NULL, false},
    {"POST", "/v1/feedback", SRV_SCOPE_WRITE, &task_feedback, NULL, true},
    {"GET", "/v1/users/{user}", SRV_SCOPE_WRITE, &task_user_get, NULL, false},
    {"DELETE", "/v1/users/{user}", SRV_SCOPE_WRITE, &task_user_delete, NULL, false},
    {"POST", "/v1/eval", SRV_SCOPE_INFER, &task_evaluate, NULL, true},
    {"POST", "/v1/classifiers", SRV_SCOPE_WRITE, &task_classifier_put, NULL, true},
    {"GET", "/v1/classifiers", SRV_SCOPE_KEYED, NULL, srv_builtin_classifiers, false},
    {"DELETE", "/v1/classifiers/{name}", SRV_SCOPE_WRITE, &task_classifier_delete, NULL, false},
    {"POST", "/v1/ingest", SRV_SCOPE_WRITE, &task_ingest, NULL, SRV_BODY_LINES},
    {"GET", "/v1/news", SRV_SCOPE_INFER, &task_news_list, NULL, false},
    {"GET", "/v1/news/{id}", SRV_SCOPE_INFER, &task_news_get, NULL, false},
    {"DELETE", "/v1/news/{id}", SRV_SCOPE_WRITE, &task_news_delete, NULL, false},
    {"GET", "/v1/alerts", SRV_SCOPE_INFER, &task_alerts, NULL, false},
    {"GET", "/v1/stream", SRV_SCOPE_INFER, NULL, srv_builtin_stream, false},
    {"GET", "/v1/trends", SRV_SCOPE_INFER, &task_trends, NULL, false},
    {"POST", "/v1/report", SRV_SCOPE_INFER, &task_report, NULL, true},
    {"GET", "/v1/models", SRV_SCOPE_KEYED, NULL, srv_builtin_models, false},
    {"GET", "/v1/models/{id}", SRV_SCOPE_KEYED, NULL, srv_builtin_model, false},
    {"GET", "/v1/models/{id}/items", SRV_SCOPE_INFER, &task_items_get, NULL, false},
    {"PUT", "/v1/models/{id}/items", SRV_SCOPE_WRITE, &task_items_put, NULL, SRV_BODY_LINES},
    {"GET", "/v1/models/{id}/items/{item}", SRV_SCOPE_INFER, &task_item_get, NULL, false},
    {"PUT", "/v1/models/{id}/items/{item}", SRV_SCOPE_WRITE, &task_item_put, NULL, true},
    {"DELETE", "/v1/models/{id}/items/{item}", SRV_SCOPE_WRITE, &task_item_delete, NULL, false},
    {"POST", "/v1/models/{id}/reload", SRV_SCOPE_ADMIN, NULL, NULL, true},
    {"GET", "/healthz", SRV_SCOPE_PUBLIC, NULL, srv_builtin_healthz, false},
    {"GET", "/readyz", SRV_SCOPE_PUBLIC, NULL, srv_builtin_readyz, false},
    {"GET", "/metrics", SRV_SCOPE_KEYED, NULL, srv_builtin_metrics, false},
    /* Paths of other servers, for their clients: docs/compatibility.md. */
    {"POST", "/rerank", SRV_SCOPE_INFER, &task_rerank_either, NULL, true},
    {"POST", "/v2/rerank", SRV_SCOPE_INFER, &task_rerank_compatible, NULL, true},
    {"POST", "/embed", SRV_SCOPE_INFER, &task_tei_embed, NULL, true},
    {"POST", "/embed_all", SRV_SCOPE_INFER, &task_tei_embed_all, NULL, true},
    {"POST", "/similarity", SRV_SCOPE_INFER, &task_tei_similarity, NULL, true},
    {"POST", "/predict", SRV_SCOPE_INFER, &task_tei_predict, NULL, true},
    {"POST", "/tokenize", SRV_SCOPE_INFER, &task_tei_tokenize, NULL, true},
    {"POST", "/decode", SRV_SCOPE_INFER, &task_tei_decode, NULL, true},
    {"GET", "/info", SRV_SCOPE_KEYED, NULL, srv_builtin_tei_info, false},
    {"GET", "/health", SRV_SCOPE_PUBLIC, NULL, srv_builtin_tei_health, false},
    {"POST", "/classify", SRV_SCOPE_INFER, &task_vllm_classify, NULL, true},
    {"POST", "/score", SRV_SCOPE_INFER, &task_vllm_score, NULL, true},
    {"POST", "/v1/score", SRV_SCOPE_INFER, &task_vllm_score, NULL, true},
    {"GET", "/v2", SRV_SCOPE_PUBLIC, NULL, srv_builtin_kserve_server, false},
    {"GET", "/v2/health/live", SRV_SCOPE_PUBLIC, NULL, srv_builtin_kserve_live, false},
    {"GET", "/v2/health/ready", SRV_SCOPE_PUBLIC, NULL, srv_builtin_kserve_ready, false},
    {"GET", "/v2/models/{m}", SRV_SCOPE_KEYED, NULL, srv_builtin_kserve_model, false},
    {"GET", "/v2/models/{m}/ready", SRV_SCOPE_KEYED, NULL, srv_builtin_kserve_model_ready, false},
    {"POST", "/v2/models/{m}/infer", SRV_SCOPE_INFER, &task_kserve_infer, NULL, true},
    {"GET", "/v2/models/{m}/versions/{v}", SRV_SCOPE_KEYED, NULL, srv_builtin_kserve_model, false},
    {"GET", "/v2/models/{m}/versions/{v}/ready", SRV_SCOPE_KEYED, NULL, srv_builtin_kserve_model_ready, false},
    {"POST", "/v2/models/{m}/versions/{v}/infer", SRV_SCOPE_INFER, &task_kserve_infer, NULL, true},
    {"GET", "/openapi.json", SRV_SCOPE_PUBLIC, NULL, srv_builtin_openapi, false},
    {"GET", "/", SRV_SCOPE_PUBLIC, NULL, srv_builtin_console, false},
};

/* Paths whose clients do not read errors in our shape. */
static const struct {
    const char *path;
    enum srv_error_shape shape;
} error_shapes[] = {
    {"/rerank", SRV_ERRORS_BY_BODY},  {"/embed", SRV_ERRORS_FLAT},   {"/embed_all", SRV_ERRORS_FLAT},
    {"/similarity", SRV_ERRORS_FLAT}, {"/predict", SRV_ERRORS_FLAT}, {"/tokenize", SRV_ERRORS_FLAT},
    {"/decode", SRV_ERRORS_FLAT},     {"/info", SRV_ERRORS_FLAT},    {"/health", SRV_ERRORS_FLAT},
};

/* Paths that end in an id as others made it up: of news often a URL. */
static const char *const slash_paths[] = {"/v1/news/{id}", "/v1/models/{id}/items/{item}"};

static bool takes_slash(const struct srv_route *route)
{
    for (size_t i = 0; i < sizeof(slash_paths) / sizeof(slash_paths[0]); i++)
        if (strcmp(route->path, slash_paths[i]) == 0)
            return true;
    return false;
}

enum srv_error_shape srv_route_errors(const struct srv_route *route)
{
    for (size_t i = 0; route != NULL && i < sizeof(error_shapes) / sizeof(error_shapes[0]); i++)
        if (strcmp(route->path, error_shapes[i].path) == 0)
            return error_shapes[i].shape;
    return SRV_ERRORS_NESTED;
}

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

            if (path_len == 0 || n_params == SRV_PARAMS_MAX ||
                !srv_guard_unescape(path, path_len, match->params[n_params], SRV_PARAM_BYTES_MAX, &n))
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
        ret_match->takes_slash = takes_slash(route);
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
