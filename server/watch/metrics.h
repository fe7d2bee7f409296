/*
 * Counters for Prometheus. Plain atomics, relaxed: a scrape sees each number
 * whole, not all numbers of one moment. Labels are names of routes and models,
 * statuses and reasons; no text of a user becomes a label.
 */
#ifndef SRV_METRICS_H
#define SRV_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"
#include "server/batch/batcher.h"
#include "server/models/models.h"

enum srv_metric {
#define SRV_METRIC(id, kind, name, help) SRV_METRIC_##id,
#include "server/watch/metrics.def"
#undef SRV_METRIC
    SRV_METRIC_COUNT
};

enum srv_drop {
    SRV_DROP_QUEUE_FULL,
    SRV_DROP_DEADLINE,
    SRV_DROP_CLIENT_GONE,
    SRV_DROP_SLOW_HEADER,
    SRV_DROP_SLOW_BODY,
    SRV_DROP_SLOW_READER,
    SRV_DROP_MALFORMED,
    SRV_DROP_COUNT
};

enum srv_refusal { SRV_REFUSAL_MISSING, SRV_REFUSAL_UNKNOWN, SRV_REFUSAL_SCOPE, SRV_REFUSAL_QUOTA, SRV_REFUSAL_COUNT };
enum srv_reload { SRV_RELOAD_CONFIG, SRV_RELOAD_MODEL, SRV_RELOAD_COUNT };

enum { SRV_LATENCY_BUCKETS = 15, SRV_BATCH_BUCKETS = 9, SRV_STATUSES = 24 };

struct srv_route_metrics {
    struct {
        atomic_uint_fast64_t latency[SRV_LATENCY_BUCKETS], latency_us;
    } by_status[SRV_STATUSES];
};

struct srv_metrics {
    atomic_uint_fast64_t values[SRV_METRIC_COUNT];
    atomic_uint_fast64_t drops[SRV_DROP_COUNT];
    atomic_uint_fast64_t refusals[SRV_REFUSAL_COUNT];  /* of API keys */
    atomic_uint_fast64_t reloads[SRV_RELOAD_COUNT][2]; /* failed, succeeded */
    atomic_bool last_reload_failed;                    /* of the configuration */
    atomic_uint_fast64_t batches[SRV_BATCH_BUCKETS], batch_tokens;
    struct srv_route_metrics *routes; /* one a row of the route table, and one for all else */
};

enum att_status srv_metrics_init(struct srv_metrics *metrics, struct att_err *err) ATT_MUST_USE;
void srv_metrics_finish(struct srv_metrics *metrics);
void srv_metrics_add(struct srv_metrics *metrics, enum srv_metric metric, uint64_t value);
void srv_metrics_subtract(struct srv_metrics *metrics, enum srv_metric metric, uint64_t value); /* gauges */
uint64_t srv_metrics_get(const struct srv_metrics *metrics, enum srv_metric metric);
void srv_metrics_drop(struct srv_metrics *metrics, enum srv_drop reason, size_t count);
void srv_metrics_refusal(struct srv_metrics *metrics, enum srv_refusal reason);
void srv_metrics_reload(struct srv_metrics *metrics, enum srv_reload what, bool succeeded);
void srv_metrics_batch(struct srv_metrics *metrics, size_t tokens, size_t sequences, uint64_t us);
/* route: index into the route table, or its count for requests that match no row. */
void srv_metrics_request(struct srv_metrics *metrics, size_t route, unsigned status, uint64_t us);
/* The facts of one moment that are not counted here. */
struct srv_drift; /* server/watch/drift.h */
struct srv_metrics_facts {
    const struct srv_batcher_stats *queue;
    const struct srv_models *models;
    uint64_t generation;
    size_t n_generations; /* alive */
    struct srv_drift *drift;
};
/* The exposition text, att_mem_free. */
enum att_status srv_metrics_render(const struct srv_metrics *metrics, const struct srv_metrics_facts *facts,
                                   char **ret_text, size_t *ret_len, struct att_err *err) ATT_MUST_USE;

#endif
