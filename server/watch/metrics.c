/*
 * Counting, and the text that Prometheus reads (exposition format 0.0.4).
 * Histograms are kept as counts a bucket and summed up when they are written.
 */
#include "server/watch/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/attend.h"
#include "server/request/routes.h"
#include "server/watch/drift.h"

static const char *const refusal_names[SRV_REFUSAL_COUNT] = {[SRV_REFUSAL_MISSING] = "missing",
                                                             [SRV_REFUSAL_UNKNOWN] = "unknown",
                                                             [SRV_REFUSAL_SCOPE] = "scope",
                                                             [SRV_REFUSAL_QUOTA] = "quota"};
static const unsigned statuses[SRV_STATUSES] = {200, 201, 204, 400, 401, 403, 404, 405, 408, 413, 415, 417,
                                                422, 429, 431, 499, 500, 501, 503, 504, 505, 507, 0};
static const char *const drop_names[SRV_DROP_COUNT] = {
    [SRV_DROP_QUEUE_FULL] = "queue_full",   [SRV_DROP_DEADLINE] = "deadline",   [SRV_DROP_CLIENT_GONE] = "client_gone",
    [SRV_DROP_SLOW_HEADER] = "slow_header", [SRV_DROP_SLOW_BODY] = "slow_body", [SRV_DROP_SLOW_READER] = "slow_reader",
    [SRV_DROP_MALFORMED] = "malformed",
};
static const uint64_t latency_bounds_us[SRV_LATENCY_BUCKETS - 1] = {
    500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};
static const size_t batch_bounds[SRV_BATCH_BUCKETS - 1] = {8, 16, 32, 64, 128, 256, 512, 1024};

static const struct {
    const char *kind, *name, *help;
} metric_rows[SRV_METRIC_COUNT] = {
#define COUNTER "counter"
#define GAUGE "gauge"
#define SRV_METRIC(id, kind, name, help) {kind, name, help},
#include "server/watch/metrics.def"
#undef SRV_METRIC
#undef COUNTER
#undef GAUGE
};

enum att_status srv_metrics_init(struct srv_metrics *metrics, struct att_err *err)
{
    size_t n_routes;

    memset(metrics, 0, sizeof(*metrics));
    srv_routes(&n_routes);
    metrics->routes = att_mem_calloc(n_routes + 1, sizeof(*metrics->routes));
    if (metrics->routes == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for metrics");
    return ATT_OK;
}

void srv_metrics_finish(struct srv_metrics *metrics)
{
    att_mem_free(metrics->routes);
    metrics->routes = NULL;
}

static void count(atomic_uint_fast64_t *value, uint64_t more)
{
    atomic_fetch_add_explicit(value, more, memory_order_relaxed);
}

static uint64_t value_of(const atomic_uint_fast64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

void srv_metrics_add(struct srv_metrics *metrics, enum srv_metric metric, uint64_t value)
{
    count(&metrics->values[metric], value);
}

void srv_metrics_subtract(struct srv_metrics *metrics, enum srv_metric metric, uint64_t value)
{
    atomic_fetch_sub_explicit(&metrics->values[metric], value, memory_order_relaxed);
}

uint64_t srv_metrics_get(const struct srv_metrics *metrics, enum srv_metric metric)
{
    return value_of(&metrics->values[metric]);
}

void srv_metrics_drop(struct srv_metrics *metrics, enum srv_drop reason, size_t n)
{
    count(&metrics->drops[reason], n);
}

void srv_metrics_refusal(struct srv_metrics *metrics, enum srv_refusal reason)
{
    count(&metrics->refusals[reason], 1);
}

void srv_metrics_reload(struct srv_metrics *metrics, enum srv_reload what, bool succeeded)
{
    count(&metrics->reloads[what][succeeded], 1);
    if (what == SRV_RELOAD_CONFIG)
        atomic_store_explicit(&metrics->last_reload_failed, !succeeded, memory_order_relaxed);
}

void srv_metrics_batch(struct srv_metrics *metrics, size_t tokens, size_t sequences, uint64_t us)
{
    size_t bucket = 0;

    while (bucket < SRV_BATCH_BUCKETS - 1 && tokens > batch_bounds[bucket])
        bucket++;
    count(&metrics->batches[bucket], 1);
    count(&metrics->batch_tokens, tokens);
    count(&metrics->values[SRV_METRIC_TEXT_TOKENS], tokens);
    count(&metrics->values[SRV_METRIC_SEQUENCES], sequences);
    count(&metrics->values[SRV_METRIC_BUSY_US], us);
}

void srv_metrics_request(struct srv_metrics *metrics, size_t route, unsigned status, uint64_t us)
{
    struct srv_route_metrics *row = &metrics->routes[route];
    size_t at = 0, bucket = 0;

    while (statuses[at] != 0 && statuses[at] != status)
        at++;
    while (bucket < SRV_LATENCY_BUCKETS - 1 && us > latency_bounds_us[bucket])
        bucket++;
    count(&row->by_status[at].latency[bucket], 1);
    count(&row->by_status[at].latency_us, us);
}

/* ---- the text ---- */

struct text {
    char *bytes;
    size_t len, capacity;
    bool failed;
};

static void put(struct text *text, const char *format, ...) ATT_PRINTF(2, 3);

static void put(struct text *text, const char *format, ...)
{
    char line[512];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(line) || text->failed)
        return;
    if (text->capacity - text->len < (size_t)n + 1) {
        size_t capacity = text->capacity * 2 + 4096;
        char *bytes = att_mem_realloc(text->bytes, capacity, 1);

        text->failed = bytes == NULL;
        if (text->failed)
            return;
        text->bytes = bytes;
        text->capacity = capacity;
    }
    memcpy(text->bytes + text->len, line, (size_t)n + 1);
    text->len += (size_t)n;
}

static void put_head(struct text *text, const char *name, const char *kind, const char *help)
{
    put(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void put_gauge(struct text *text, const char *name, const char *help, uint64_t value)
{
    put_head(text, name, "gauge", help);
    put(text, "%s %" PRIu64 "\n", name, value);
}

/* How many requests of a route were answered so. */
static uint64_t requests_of(const struct srv_route_metrics *row, size_t status)
{
    uint64_t sum = 0;

    for (size_t k = 0; k < SRV_LATENCY_BUCKETS; k++)
        sum += value_of(&row->by_status[status].latency[k]);
    return sum;
}

static void put_requests(struct text *text, const struct srv_metrics *metrics)
{
    size_t n_routes;
    const struct srv_route *routes = srv_routes(&n_routes);

    put_head(text, "attentd_requests_total", "counter",
             "Requests answered, by route and status; 499: the client left.");
    for (size_t i = 0; i <= n_routes; i++) {
        for (size_t k = 0; k < SRV_STATUSES; k++) {
            uint64_t value = requests_of(&metrics->routes[i], k);

            if (value > 0)
                put(text, "attentd_requests_total{method=\"%s\",route=\"%s\",status=\"%u\"} %" PRIu64 "\n",
                    i < n_routes ? routes[i].method : "", i < n_routes ? routes[i].path : "other", statuses[k], value);
        }
    }
}

static void put_latency(struct text *text, const struct srv_metrics *metrics, const struct srv_route *route, size_t i,
                        size_t status)
{
    const struct srv_route_metrics *row = &metrics->routes[i];
    char labels[256];
    uint64_t sum = 0;

    snprintf(labels, sizeof(labels), "method=\"%s\",route=\"%s\",status=\"%u\"", route->method, route->path,
             statuses[status]);
    for (size_t k = 0; k < SRV_LATENCY_BUCKETS; k++) {
        sum += value_of(&row->by_status[status].latency[k]);
        if (k < SRV_LATENCY_BUCKETS - 1)
            put(text, "attentd_request_seconds_bucket{%s,le=\"%g\"} %" PRIu64 "\n", labels,
                (double)latency_bounds_us[k] * 1e-6, sum);
        else
            put(text, "attentd_request_seconds_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", labels, sum);
    }
    put(text, "attentd_request_seconds_sum{%s} %.6f\nattentd_request_seconds_count{%s} %" PRIu64 "\n", labels,
        (double)value_of(&row->by_status[status].latency_us) * 1e-6, labels, sum);
}

static void put_latencies(struct text *text, const struct srv_metrics *metrics)
{
    size_t n_routes;
    const struct srv_route *routes = srv_routes(&n_routes);

    put_head(text, "attentd_request_seconds", "histogram", "From the header to the answer, by route and status.");
    for (size_t i = 0; i < n_routes; i++)
        for (size_t k = 0; k < SRV_STATUSES; k++)
            if (requests_of(&metrics->routes[i], k) > 0)
                put_latency(text, metrics, &routes[i], i, k);
}

static void put_batches(struct text *text, const struct srv_metrics *metrics)
{
    uint64_t sum = 0;

    put_head(text, "attentd_batch_tokens", "histogram", "Tokens of a batch.");
    for (size_t k = 0; k < SRV_BATCH_BUCKETS; k++) {
        sum += value_of(&metrics->batches[k]);
        if (k < SRV_BATCH_BUCKETS - 1)
            put(text, "attentd_batch_tokens_bucket{le=\"%zu\"} %" PRIu64 "\n", batch_bounds[k], sum);
        else
            put(text, "attentd_batch_tokens_bucket{le=\"+Inf\"} %" PRIu64 "\n", sum);
    }
    put(text, "attentd_batch_tokens_sum %" PRIu64 "\nattentd_batch_tokens_count %" PRIu64 "\n",
        value_of(&metrics->batch_tokens), sum);
    put_head(text, "attentd_drops_total", "counter", "Requests or connections given up, by reason.");
    for (size_t i = 0; i < SRV_DROP_COUNT; i++)
        put(text, "attentd_drops_total{reason=\"%s\"} %" PRIu64 "\n", drop_names[i], value_of(&metrics->drops[i]));
}

static void put_models(struct text *text, const struct srv_models *models)
{
    put_head(text, "attentd_model_info", "gauge", "One for each model that is served.");
    for (size_t i = 0; i < models->n_models; i++) {
        const struct srv_model *model = &models->list[i];
        const struct att_model_info *info;

        if (model->task.model == NULL)
            continue;
        info = att_model_info(model->task.model);
        put(text,
            "attentd_model_info{model=\"%s\",arch=\"%s\",task=\"%s\",dtype=\"%s\",version=\"%" PRIu64
            "\",digest=\"%.16s\"} 1\n",
            model->task.name, info->arch, info->task, att_dtype_name(info->dtype), model->task.version, info->digest);
    }
    put_head(text, "attentd_model_loaded_timestamp_seconds", "gauge", "When the model was loaded, since 1970.");
    for (size_t i = 0; i < models->n_models; i++)
        if (models->list[i].task.model != NULL)
            put(text, "attentd_model_loaded_timestamp_seconds{model=\"%s\"} %" PRId64 "\n", models->list[i].task.name,
                models->list[i].loaded_unix_s);
    put_head(text, "attentd_model_weight_bytes", "gauge", "Memory of the packed weights.");
    for (size_t i = 0; i < models->n_models; i++)
        if (models->list[i].task.model != NULL)
            put(text, "attentd_model_weight_bytes{model=\"%s\"} %zu\n", models->list[i].task.name,
                att_model_info(models->list[i].task.model)->weight_bytes);
}

static void put_reloads(struct text *text, const struct srv_metrics *metrics, const struct srv_metrics_facts *facts)
{
    static const char *const results[] = {"failed", "ok"};
    static const struct {
        const char *name, *help;
    } rows[SRV_RELOAD_COUNT] = {
        [SRV_RELOAD_CONFIG] = {"attentd_config_reloads_total", "Reloads by SIGHUP, by result."},
        [SRV_RELOAD_MODEL] = {"attentd_model_reloads_total", "Reloads of one model by request, by result."},
    };

    for (size_t i = 0; i < SRV_RELOAD_COUNT; i++) {
        put_head(text, rows[i].name, "counter", rows[i].help);
        for (size_t k = 0; k < 2; k++)
            put(text, "%s{result=\"%s\"} %" PRIu64 "\n", rows[i].name, results[k], value_of(&metrics->reloads[i][k]));
    }
    put_gauge(text, "attentd_config_last_reload_successful", "0: the last SIGHUP was refused, the log says why.",
              !atomic_load_explicit(&metrics->last_reload_failed, memory_order_relaxed));
    put_gauge(text, "attentd_generation", "Which generation serves: 1 at the start, one more each reload.",
              facts->generation);
    put_gauge(text, "attentd_generations",
              "Generations in memory: the one that serves, and those that end what they began.", facts->n_generations);
    put_head(text, "attentd_key_refusals_total", "counter", "Requests refused for their API key, by reason.");
    for (size_t i = 0; i < SRV_REFUSAL_COUNT; i++)
        put(text, "attentd_key_refusals_total{reason=\"%s\"} %" PRIu64 "\n", refusal_names[i],
            value_of(&metrics->refusals[i]));
}

/* Entries of a folder of /proc, less "." and "..". */
static uint64_t count_entries(const char *path)
{
    DIR *dir = opendir(path);
    uint64_t n = 0;

    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n > 2 ? n - 2 : 0;
}

/* Seconds since 1970 at which the process was started: /proc/self/stat, field 22, in ticks since the boot. */
static double start_time(void)
{
    FILE *file = fopen("/proc/self/stat", "re");
    unsigned long long ticks = 0;
    struct timespec now, up;
    char line[1024] = "";
    const char *at;

    if (file != NULL) {
        if (fgets(line, sizeof(line), file) == NULL)
            line[0] = '\0';
        fclose(file);
    }
    at = strrchr(line, ')'); /* the name before it may hold anything */
    if (at == NULL ||
        sscanf(at + 1, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &ticks) != 1)
        return 0;
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &up);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9 - (double)up.tv_sec - (double)up.tv_nsec * 1e-9 +
           (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

/* The names that Prometheus's own clients use. */
static void put_process(struct text *text)
{
    unsigned long long pages_all = 0, pages_resident = 0, page = (unsigned long long)sysconf(_SC_PAGESIZE);
    FILE *file = fopen("/proc/self/statm", "re");
    struct rlimit files = {0};
    struct rusage usage = {0};

    if (file != NULL) {
        if (fscanf(file, "%llu %llu", &pages_all, &pages_resident) != 2)
            pages_all = pages_resident = 0;
        fclose(file);
    }
    (void)getrusage(RUSAGE_SELF, &usage);
    (void)getrlimit(RLIMIT_NOFILE, &files);
    put_head(text, "process_cpu_seconds_total", "counter", "Processor time of all threads.");
    put(text, "process_cpu_seconds_total %.3f\n",
        (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
            (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6);
    put_head(text, "process_start_time_seconds", "gauge", "When the process was started, since 1970.");
    put(text, "process_start_time_seconds %.2f\n", start_time());
    put_gauge(text, "process_resident_memory_bytes", "Resident memory.", pages_resident * page);
    put_gauge(text, "process_virtual_memory_bytes", "Address space.", pages_all * page);
    put_gauge(text, "process_open_fds", "Open file descriptors.", count_entries("/proc/self/fd"));
    put_gauge(text, "process_max_fds", "Their limit.", files.rlim_cur);
    put_gauge(text, "process_threads", "Threads.", count_entries("/proc/self/task"));
}

struct drift_text {
    struct text *text;
    const char *name, *period;
};

/* A label's value in quotes, as the text format wants it. */
static void put_value(struct text *text, const char *name, const char *value)
{
    put(text, "%s=\"", name);
    for (; *value != '\0'; value++)
        if (*value == '\n')
            put(text, "\\n");
        else
            put(text, "%s%c", *value == '"' || *value == '\\' ? "\\" : "", *value);
    put(text, "\"");
}

static void put_drift_figure(void *context, const struct srv_drift_figure *figure)
{
    const struct drift_text *drift = context;

    put(drift->text, "%s{%s=\"%s\"", drift->name, figure->is_kb ? "kb" : "model", figure->name);
    if (figure->head[0] != '\0')
        put_value(drift->text, ",head", figure->head);
    if (figure->label != NULL)
        put_value(drift->text, ",label", figure->label);
    if (drift->period != NULL)
        put(drift->text, ",period=\"%s\"", drift->period);
    put(drift->text, "} %.6g\n", figure->value);
}

static void put_drift(struct text *text, struct srv_drift *drift)
{
    static const struct {
        enum srv_drift_kind kind;
        const char *name, *period, *help;
    } rows[] = {
        {SRV_DRIFT_ROWS, "attentd_drift_rows", NULL, "Last answers that are compared with the reference."},
        {SRV_DRIFT_LABELS, "attentd_drift_label_psi", NULL, "Population stability index of the mix of labels."},
        {SRV_DRIFT_CONFIDENCE, "attentd_drift_confidence_psi", NULL, "The same of the scores of the labels."},
        {SRV_DRIFT_SHARE, "attentd_drift_label_ratio", "now", "Share of each label among the answers."},
        {SRV_DRIFT_SHARE_REFERENCE, "attentd_drift_label_ratio", "reference", NULL},
        {SRV_DRIFT_SCORE, "attentd_drift_confidence", "now", "Mean score of the answers, to a tenth each."},
        {SRV_DRIFT_SCORE_REFERENCE, "attentd_drift_confidence", "reference", NULL},
        {SRV_DRIFT_UNKNOWN, "attentd_drift_unknown_token_ratio", "now", "Tokens that the vocabulary has no word for."},
        {SRV_DRIFT_UNKNOWN_REFERENCE, "attentd_drift_unknown_token_ratio", "reference", NULL},
        {SRV_DRIFT_UNMATCHED, "attentd_drift_unmatched_ratio", "now", "Questions that were handed to a person."},
        {SRV_DRIFT_UNMATCHED_REFERENCE, "attentd_drift_unmatched_ratio", "reference", NULL},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct drift_text one = {text, rows[i].name, rows[i].period};

        if (rows[i].help != NULL)
            put_head(text, rows[i].name, "gauge", rows[i].help);
        srv_drift_visit(drift, rows[i].kind, put_drift_figure, &one);
    }
}

enum att_status srv_metrics_render(const struct srv_metrics *metrics, const struct srv_metrics_facts *facts,
                                   char **ret_text, size_t *ret_len, struct att_err *err)
{
    const struct srv_batcher_stats *stats = facts->queue;
    struct text text = {0};

    put_head(&text, "attentd_build_info", "gauge", "Version and kernels.");
    put(&text, "attentd_build_info{version=\"%s\",kernels=\"%s\"} 1\n", ATT_VERSION, att_kernel_names(ATT_F32));
    for (size_t i = 0; i < SRV_METRIC_COUNT; i++) {
        put_head(&text, metric_rows[i].name, metric_rows[i].kind, metric_rows[i].help);
        put(&text, "%s %" PRIu64 "\n", metric_rows[i].name, value_of(&metrics->values[i]));
    }
    put_gauge(&text, "attentd_queue_requests", "Requests admitted and not yet answered.", stats->requests);
    put_gauge(&text, "attentd_queue_bytes", "Bytes of their bodies.", stats->bytes);
    put_gauge(&text, "attentd_queue_tokens", "Tokens reserved or waiting.", stats->tokens);
    put_gauge(&text, "attentd_queue_sequences", "Sequences that wait for a worker.", stats->items);
    put_gauge(&text, "attentd_idle_workers", "Workers that wait for a batch.", stats->idle_workers);
    put_requests(&text, metrics);
    put_latencies(&text, metrics);
    put_batches(&text, metrics);
    put_reloads(&text, metrics, facts);
    put_models(&text, facts->models);
    if (facts->drift != NULL)
        put_drift(&text, facts->drift);
    put_process(&text);
    if (text.failed) {
        att_mem_free(text.bytes);
        return att_err_set(err, ATT_ENOMEM, "no memory for the metrics text");
    }
    *ret_text = text.bytes;
    *ret_len = text.len;
    return ATT_OK;
}
