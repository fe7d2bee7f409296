/*
 * One series a head or knowledge base: counts of the reference, and a ring of the
 * last answers with their counts, so that a scrape sums nothing up.
 */
#include "server/watch/drift.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { SERIES_MAX = 256, BINS = 10, ROWS_MIN = 50, NAME_BYTES = 65, SHARES_MAX = 32, LABEL_BYTES_MAX = 256 };

/* One answer: its label (n_labels: it abstained) and confidence, and the tokens of its text. */
struct answer {
    uint16_t label, tokens, unknown;
    uint8_t bin;
};

struct counts {
    double rows, tokens, unknown, bins[BINS];
    double *labels; /* [n_labels + 1]; knowledge bases: matched, unmatched */
};

struct series {
    char name[NAME_BYTES], head[NAME_BYTES], digest[NAME_BYTES];
    bool is_kb, is_given; /* is_given: the reference came with the head */
    size_t n_labels;
    char **labels; /* [n_labels + 1]; NULL: no shares are shown */
    struct counts reference, now;
    struct answer *ring; /* [window], `next` is overwritten next */
    size_t next, count;
    struct series *following;
};

struct srv_drift {
    pthread_mutex_t mutex; /* protects all but window */
    size_t window, n_series;
    struct series *first;
};

enum att_status srv_drift_create(size_t window, struct srv_drift **ret_drift, struct att_err *err)
{
    struct srv_drift *drift = att_mem_calloc(1, sizeof(*drift));

    if (drift == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for drift");
    pthread_mutex_init(&drift->mutex, NULL);
    drift->window = window;
    *ret_drift = drift;
    return ATT_OK;
}

static void free_series(struct series *series)
{
    if (series == NULL)
        return;
    att_mem_free(series->reference.labels);
    att_mem_free(series->now.labels);
    att_mem_free(series->ring);
    for (size_t i = 0; series->labels != NULL && i <= series->n_labels; i++)
        att_mem_free(series->labels[i]);
    att_mem_free(series->labels);
    att_mem_free(series);
}

void srv_drift_destroy(struct srv_drift *drift)
{
    if (drift == NULL)
        return;
    while (drift->first != NULL) {
        struct series *series = drift->first;

        drift->first = series->following;
        free_series(series);
    }
    pthread_mutex_destroy(&drift->mutex);
    att_mem_free(drift);
}

/* ---- series ---- */

/* attend.json's reference of a head: shares of the labels (one more for those it abstained from) and of confidences. */
static void take_reference(struct series *series, const struct task_observation *observed)
{
    const struct att_json *own = att_model_info(observed->model->model)->attend_json;
    const struct att_json *heads = att_json_get(own, "heads");
    const struct att_json *entry =
        heads != NULL ? att_json_at(heads, observed->head) : att_json_get(own, "calibration");
    const struct att_json *reference = att_json_get(entry, "reference");
    const struct att_json *labels = att_json_get(reference, "labels"), *bins = att_json_get(reference, "confidence");
    double rows = att_json_number(att_json_get(reference, "rows"), 0);

    if (att_json_count(labels) != series->n_labels + 1 || att_json_count(bins) != BINS || !(rows >= 1 && rows < 1e9))
        return;
    for (size_t i = 0; i <= series->n_labels; i++)
        series->reference.labels[i] = rows * fabs(att_json_number(att_json_at(labels, i), 0));
    for (size_t i = 0; i < BINS; i++)
        series->reference.bins[i] = rows * fabs(att_json_number(att_json_at(bins, i), 0));
    series->reference.rows = rows;
    series->is_given = true;
}

/* Whether each label can have a line of metrics: they are few, short, and no two are alike, which Prometheus would
 * refuse together with all other lines. */
static bool are_shown(const struct att_head_info *head)
{
    if (head->n_labels > SHARES_MAX)
        return false;
    for (size_t i = 0; i < head->n_labels; i++) {
        if (strlen(head->labels[i]) > LABEL_BYTES_MAX || strcmp(head->labels[i], SRV_DRIFT_ABSTAINED) == 0)
            return false;
        for (size_t k = 0; k < i; k++)
            if (strcmp(head->labels[i], head->labels[k]) == 0)
                return false;
    }
    return true;
}

static bool take_labels(struct series *series, const struct att_head_info *head)
{
    size_t n = head->n_labels;

    if (!are_shown(head))
        return true;
    series->labels = att_mem_calloc(n + 1, sizeof(*series->labels));
    for (size_t i = 0; series->labels != NULL && i <= n; i++)
        if ((series->labels[i] = att_mem_strdup(i < n ? head->labels[i] : SRV_DRIFT_ABSTAINED)) == NULL)
            return false;
    return series->labels != NULL;
}

static struct series *make_series(struct srv_drift *drift, const struct task_observation *observed, const char *name,
                                  const char *head, size_t n_labels)
{
    struct series *series = att_mem_calloc(1, sizeof(*series));

    if (series == NULL)
        return NULL;
    series->is_kb = observed->model == NULL;
    series->n_labels = n_labels;
    snprintf(series->name, NAME_BYTES, "%s", name);
    snprintf(series->head, NAME_BYTES, "%s", head);
    if (!series->is_kb)
        snprintf(series->digest, NAME_BYTES, "%s", att_model_info(observed->model->model)->digest);
    series->reference.labels = att_mem_calloc(n_labels + 1, sizeof(double));
    series->now.labels = att_mem_calloc(n_labels + 1, sizeof(double));
    series->ring = att_mem_calloc(drift->window, sizeof(*series->ring));
    if (series->reference.labels == NULL || series->now.labels == NULL || series->ring == NULL ||
        (!series->is_kb && !take_labels(series, &att_model_info(observed->model->model)->heads[observed->head]))) {
        free_series(series);
        return NULL;
    }
    if (!series->is_kb)
        take_reference(series, observed);
    series->following = drift->first;
    drift->first = series;
    drift->n_series++;
    return series;
}

/* The series of this head or knowledge base; one of another model under the name makes place. NULL: no memory. */
static struct series *find_series(struct srv_drift *drift, const struct task_observation *observed)
{
    const struct att_model_info *info = observed->model != NULL ? att_model_info(observed->model->model) : NULL;
    const char *name = info != NULL ? observed->model->name : observed->kb;
    const char *head = info != NULL ? info->heads[observed->head].name : "";
    size_t n_labels = info != NULL ? info->heads[observed->head].n_labels : 1;
    struct series **link = &drift->first;

    for (; *link != NULL; link = &(*link)->following) {
        struct series *series = *link;

        if (series->is_kb != (info == NULL) || strcmp(series->name, name) != 0 || strcmp(series->head, head) != 0)
            continue;
        if (info == NULL || (series->n_labels == n_labels && strcmp(series->digest, info->digest) == 0))
            return series;
        *link = series->following;
        drift->n_series--;
        free_series(series);
        break;
    }
    return drift->n_series < SERIES_MAX && n_labels < UINT16_MAX ? make_series(drift, observed, name, head, n_labels)
                                                                 : NULL;
}

/* ---- counting ---- */

static void count(struct counts *counts, const struct answer *answer, double sign)
{
    counts->rows += sign;
    counts->labels[answer->label] += sign;
    counts->bins[answer->bin] += sign;
    counts->tokens += sign * answer->tokens;
    counts->unknown += sign * answer->unknown;
}

static uint16_t clipped(size_t value)
{
    return value < UINT16_MAX ? (uint16_t)value : UINT16_MAX;
}

static void observe(struct srv_drift *drift, struct series *series, const struct task_observation *observed)
{
    size_t bin = (size_t)(observed->score * (float)BINS);
    struct answer answer = {.label = (uint16_t)(observed->abstained ? series->n_labels : observed->label),
                            .tokens = clipped(observed->tokens),
                            .unknown = clipped(observed->unknown),
                            .bin = (uint8_t)(bin < BINS ? bin : BINS - 1)};

    /* The head's own reference knows nothing of tokens; those of the first answers serve in any case. */
    if (series->reference.tokens < 1 || series->count < drift->window) {
        if (series->is_given) {
            series->reference.tokens += answer.tokens;
            series->reference.unknown += answer.unknown;
        } else if (series->reference.rows < (double)drift->window) {
            count(&series->reference, &answer, 1);
            return;
        }
    }
    if (series->count == drift->window)
        count(&series->now, &series->ring[series->next], -1);
    else
        series->count++;
    series->ring[series->next] = answer;
    series->next = (series->next + 1) % drift->window;
    count(&series->now, &answer, 1);
}

void srv_drift_observe(struct srv_drift *drift, const struct task_call *call)
{
    if (drift->window == 0 || call->n_observations == 0)
        return;
    pthread_mutex_lock(&drift->mutex);
    for (size_t i = 0; i < call->n_observations; i++) {
        struct series *series = find_series(drift, &call->observations[i]);

        if (series != NULL)
            observe(drift, series, &call->observations[i]);
    }
    pthread_mutex_unlock(&drift->mutex);
}

/* ---- figures ---- */

/* Population stability index of two sets of counts, each half a row richer in every place, so that none is empty. */
static double stability(const double *now, const double *reference, size_t n)
{
    double total_now = 0, total_reference = 0, sum = 0;

    for (size_t i = 0; i < n; i++) {
        total_now += now[i] + 0.5;
        total_reference += reference[i] + 0.5;
    }
    for (size_t i = 0; i < n; i++) {
        double p = (now[i] + 0.5) / total_now, q = (reference[i] + 0.5) / total_reference;

        sum += (p - q) * log(p / q);
    }
    return sum;
}

static double rate(double part, double whole)
{
    return whole > 0 ? part / whole : NAN;
}

/* Of scores that are known by their bins. */
static double mean_score(const struct counts *counts)
{
    double sum = 0;

    for (size_t i = 0; i < BINS; i++)
        sum += counts->bins[i] * ((double)i + 0.5) / BINS;
    return rate(sum, counts->rows);
}

/* NAN: the series has no such figure, or too few rows for it. */
static double figure_of(const struct series *series, enum srv_drift_kind kind)
{
    const struct counts *now = &series->now, *reference = &series->reference;
    bool is_unmatched = kind == SRV_DRIFT_UNMATCHED || kind == SRV_DRIFT_UNMATCHED_REFERENCE;

    if (kind == SRV_DRIFT_ROWS)
        return now->rows;
    if (now->rows < ROWS_MIN || series->is_kb != is_unmatched)
        return NAN;
    switch (kind) {
    case SRV_DRIFT_LABELS:
        return stability(now->labels, reference->labels, series->n_labels + 1);
    case SRV_DRIFT_CONFIDENCE:
        return stability(now->bins, reference->bins, BINS);
    case SRV_DRIFT_SCORE:
        return mean_score(now);
    case SRV_DRIFT_SCORE_REFERENCE:
        return mean_score(reference);
    case SRV_DRIFT_UNKNOWN:
        return rate(now->unknown, now->tokens);
    case SRV_DRIFT_UNKNOWN_REFERENCE:
        return rate(reference->unknown, reference->tokens);
    case SRV_DRIFT_UNMATCHED:
        return rate(now->labels[1], now->rows);
    default:
        return rate(reference->labels[1], reference->rows);
    }
}

static void visit_shares(const struct series *series, enum srv_drift_kind kind,
                         void (*visit)(void *context, const struct srv_drift_figure *figure), void *context)
{
    const struct counts *counts = kind == SRV_DRIFT_SHARE ? &series->now : &series->reference;

    if (series->labels == NULL || series->now.rows < ROWS_MIN || !(counts->rows > 0))
        return;
    for (size_t i = 0; i <= series->n_labels; i++) {
        struct srv_drift_figure figure = {
            kind, series->name, series->head, series->labels[i], counts->labels[i] / counts->rows, series->is_kb};

        visit(context, &figure);
    }
}

void srv_drift_visit(struct srv_drift *drift, enum srv_drift_kind kind,
                     void (*visit)(void *context, const struct srv_drift_figure *figure), void *context)
{
    pthread_mutex_lock(&drift->mutex);
    for (const struct series *series = drift->first; series != NULL; series = series->following) {
        struct srv_drift_figure figure = {kind, series->name, series->head, NULL, NAN, series->is_kb};

        if (kind == SRV_DRIFT_SHARE || kind == SRV_DRIFT_SHARE_REFERENCE) {
            visit_shares(series, kind, visit, context);
            continue;
        }
        figure.value = figure_of(series, kind);
        if (!isnan(figure.value))
            visit(context, &figure);
    }
    pthread_mutex_unlock(&drift->mutex);
}
