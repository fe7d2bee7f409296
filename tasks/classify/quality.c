/* Figures and their bootstrap; see quality.h. */
#include "tasks/classify/quality.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ECE_BINS = 15, RESAMPLES = 1000 };

static size_t weight(const uint32_t *counts, size_t i)
{
    return counts ? counts[i] : 1;
}

double task_accuracy(const struct task_prediction *predictions, const uint32_t *counts, size_t n)
{
    size_t rows = 0, hits = 0;
    for (size_t i = 0; i < n; i++) {
        if (predictions[i].expected == TASK_LABEL_OUTSIDE)
            continue;
        rows += weight(counts, i);
        hits += predictions[i].expected == predictions[i].predicted ? weight(counts, i) : 0;
    }
    return rows ? (double)hits / (double)rows : NAN;
}

double task_macro_f1(const struct task_prediction *predictions, const uint32_t *counts, size_t n, size_t n_labels,
                     size_t *space)
{
    size_t *hits = space, *expected = space + n_labels, *predicted = space + 2 * n_labels, seen = 0;
    double sum = 0;
    memset(space, 0, 3 * n_labels * sizeof *space);
    for (size_t i = 0; i < n; i++) {
        if (predictions[i].expected == TASK_LABEL_OUTSIDE)
            continue;
        expected[predictions[i].expected] += weight(counts, i);
        predicted[predictions[i].predicted] += weight(counts, i);
        if (predictions[i].expected == predictions[i].predicted)
            hits[predictions[i].expected] += weight(counts, i);
    }
    for (size_t i = 0; i < n_labels; i++) {
        if (expected[i] + predicted[i] == 0)
            continue;
        sum += 2.0 * (double)hits[i] / (double)(expected[i] + predicted[i]);
        seen++;
    }
    return seen ? sum / (double)seen : NAN;
}

double task_ece(const struct task_prediction *predictions, const uint32_t *counts, size_t n)
{
    double hits[ECE_BINS] = {0}, scores[ECE_BINS] = {0}, error = 0, rows = 0;
    for (size_t i = 0; i < n; i++) {
        if (predictions[i].expected == TASK_LABEL_OUTSIDE)
            continue;
        size_t bin = (size_t)(predictions[i].score * ECE_BINS);
        double w = (double)weight(counts, i);
        bin = bin < ECE_BINS ? bin : ECE_BINS - 1;
        hits[bin] += predictions[i].expected == predictions[i].predicted ? w : 0;
        scores[bin] += w * predictions[i].score;
        rows += w;
    }
    for (size_t i = 0; i < ECE_BINS; i++)
        error += fabs(hits[i] - scores[i]);
    return rows > 0 ? error / rows : NAN;
}

double task_confidence(const struct task_prediction *prediction)
{
    return prediction->score * (1 - prediction->outside);
}

static int by_confidence(const void *a, const void *b)
{
    double x = task_confidence(a), y = task_confidence(b);
    return x < y ? -1 : x > y;
}

void task_predictions_sort(struct task_prediction *predictions, size_t n)
{
    qsort(predictions, n, sizeof *predictions, by_confidence);
}

/* The rank-sum form (Mann and Whitney): equal scores share the mean of their ranks. */
double task_auroc(const struct task_prediction *sorted, const uint32_t *counts, size_t n)
{
    double ranks = 0, inside = 0, before = 0;
    for (size_t begin = 0, end; begin < n; begin = end) {
        double rows = 0, rows_inside = 0;
        double level = task_confidence(&sorted[begin]);
        for (end = begin; end < n && task_confidence(&sorted[end]) == level; end++) {
            double w = (double)weight(counts, end);
            rows += w;
            rows_inside += sorted[end].expected != TASK_LABEL_OUTSIDE ? w : 0;
        }
        ranks += rows_inside * (before + (1 + rows) / 2);
        inside += rows_inside;
        before += rows;
    }
    double outside = before - inside;
    return inside > 0 && outside > 0 ? (ranks - inside * (inside + 1) / 2) / (inside * outside) : NAN;
}

/* ---- the bootstrap ---- */

/* How often each row stands in the next resample. The generator is splitmix64; every report begins with the same
 * seed. */
static void resample(uint64_t *state, size_t n, uint32_t *counts)
{
    memset(counts, 0, n * sizeof *counts);
    for (size_t i = 0; i < n; i++) {
        uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
        counts[(x ^ (x >> 31)) % n]++;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static struct task_interval percentiles(double value, double *figures)
{
    if (isnan(value))
        return (struct task_interval){NAN, NAN, NAN};
    size_t n = 0;
    for (size_t i = 0; i < RESAMPLES; i++) /* a resample may lack one side of an AUROC */
        if (!isnan(figures[i]))
            figures[n++] = figures[i];
    if (n == 0)
        return (struct task_interval){value, NAN, NAN};
    qsort(figures, n, sizeof *figures, by_value);
    return (struct task_interval){value, figures[n * 25 / 1000], figures[n - 1 - n * 25 / 1000]};
}

/* Answers some figures of a resample, or of all rows (counts NULL). */
typedef void figures_of(const void *context, const uint32_t *counts, double *figures);

static enum att_status bootstrap(figures_of *measure, const void *context, size_t n, size_t n_figures,
                                 struct task_interval *ret, struct att_err *err)
{
    double *figures = att_mem_calloc(n_figures * RESAMPLES, sizeof *figures), values[TASK_FIGURES_MAX],
           one[TASK_FIGURES_MAX];
    uint32_t *counts = att_mem_calloc(n + 1, sizeof *counts);
    uint64_t state = 1;
    if (!figures || !counts) {
        att_mem_free(figures);
        att_mem_free(counts);
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    }
    measure(context, NULL, values);
    for (size_t r = 0; r < RESAMPLES && n > 0; r++) {
        resample(&state, n, counts);
        measure(context, counts, one);
        for (size_t f = 0; f < n_figures; f++)
            figures[f * RESAMPLES + r] = one[f];
    }
    for (size_t f = 0; f < n_figures; f++)
        ret[f] = percentiles(values[f], figures + f * RESAMPLES);
    att_mem_free(figures);
    att_mem_free(counts);
    return ATT_OK;
}

struct predicted {
    const struct task_prediction *rows;
    size_t n, n_labels, *space;
};

static void prediction_figures(const void *context, const uint32_t *counts, double *figures)
{
    const struct predicted *all = context;
    figures[0] = task_accuracy(all->rows, counts, all->n);
    figures[1] = task_macro_f1(all->rows, counts, all->n, all->n_labels, all->space);
    figures[2] = task_ece(all->rows, counts, all->n);
    figures[3] = task_auroc(all->rows, counts, all->n);
}

enum att_status task_quality_measure(struct task_prediction *predictions, size_t n, size_t n_labels,
                                     struct task_quality *ret, struct att_err *err)
{
    struct predicted all = {.rows = predictions, .n = n, .n_labels = n_labels};
    struct task_interval intervals[4];
    all.space = att_mem_calloc(3 * n_labels + 1, sizeof *all.space);
    if (!all.space)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    task_predictions_sort(predictions, n);
    enum att_status status = bootstrap(prediction_figures, &all, n, 4, intervals, err);
    att_mem_free(all.space);
    if (status != ATT_OK)
        return status;
    *ret = (struct task_quality){0, 0, intervals[0], intervals[1], intervals[2], intervals[3]};
    for (size_t i = 0; i < n; i++)
        ret->outside += predictions[i].expected == TASK_LABEL_OUTSIDE;
    ret->rows = n - ret->outside;
    return ATT_OK;
}

struct values {
    const double *rows;
    size_t n;
};

static void mean_figure(const void *context, const uint32_t *counts, double *figures)
{
    const struct values *values = context;
    double sum = 0;
    for (size_t i = 0; i < values->n; i++)
        sum += (double)weight(counts, i) * values->rows[i];
    figures[0] = sum / (double)values->n; /* a resample has as many rows */
}

enum att_status task_interval_mean(const double *values, size_t n, struct task_interval *ret, struct att_err *err)
{
    const struct values all = {values, n};
    return bootstrap(mean_figure, &all, n, 1, ret, err);
}

/* ---- several labels a row ---- */

struct sets {
    const unsigned char *expected, *predicted;
    size_t n, n_labels, *space; /* [3 * n_labels] */
};

static void set_figures(const void *context, const uint32_t *counts, double *figures)
{
    const struct sets *sets = context;
    size_t c = sets->n_labels, *hits = sets->space, *expected = hits + c, *predicted = hits + 2 * c, seen = 0;
    double rows = 0, exact = 0, sum = 0, all_hits = 0, all = 0;
    memset(sets->space, 0, 3 * c * sizeof *sets->space);
    for (size_t i = 0; i < sets->n; i++) {
        const unsigned char *truth = sets->expected + i * c, *answer = sets->predicted + i * c;
        size_t w = weight(counts, i);
        rows += (double)w;
        exact += memcmp(truth, answer, c) == 0 ? (double)w : 0;
        for (size_t k = 0; k < c; k++) {
            expected[k] += truth[k] ? w : 0;
            predicted[k] += answer[k] ? w : 0;
            hits[k] += truth[k] && answer[k] ? w : 0;
        }
    }
    for (size_t k = 0; k < c; k++) {
        all_hits += (double)hits[k];
        all += (double)(expected[k] + predicted[k]);
        if (expected[k] + predicted[k] == 0)
            continue;
        sum += 2.0 * (double)hits[k] / (double)(expected[k] + predicted[k]);
        seen++;
    }
    figures[0] = all > 0 ? 2 * all_hits / all : NAN;
    figures[1] = seen ? sum / (double)seen : NAN;
    figures[2] = rows > 0 ? exact / rows : NAN;
}

enum att_status task_quality_several(const unsigned char *expected, const unsigned char *predicted, size_t n,
                                     size_t n_labels, struct task_quality_several *ret, struct att_err *err)
{
    struct sets sets = {expected, predicted, n, n_labels, att_mem_calloc(3 * n_labels + 1, sizeof(size_t))};
    struct task_interval intervals[3];
    if (!sets.space)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    enum att_status status = bootstrap(set_figures, &sets, n, 3, intervals, err);
    att_mem_free(sets.space);
    if (status == ATT_OK)
        *ret = (struct task_quality_several){intervals[0], intervals[1], intervals[2]};
    return status;
}

void task_labels_count(const unsigned char *expected, const unsigned char *predicted, size_t n, size_t n_labels,
                       struct task_label_count *counts)
{
    memset(counts, 0, n_labels * sizeof *counts);
    for (size_t i = 0; i < n * n_labels; i++) {
        struct task_label_count *count = &counts[i % n_labels];
        count->expected += expected[i];
        count->predicted += predicted[i];
        count->right += expected[i] && predicted[i];
    }
}

double task_label_f1(const struct task_label_count *count)
{
    size_t both = count->expected + count->predicted;
    return both ? 2.0 * (double)count->right / (double)both : NAN;
}

/* ---- reports ---- */

static void put_share(struct att_jsonw *answer, const char *key, size_t part, size_t whole)
{
    att_jsonw_put_double(answer, key, whole ? (double)part / (double)whole : NAN, 5);
}

void task_labels_render(const char *const *labels, const struct task_label_count *counts, size_t n_labels,
                        struct att_jsonw *answer)
{
    att_jsonw_key(answer, "labels");
    att_jsonw_object_begin(answer);
    for (size_t k = 0; k < n_labels; k++) {
        att_jsonw_key(answer, labels[k]);
        att_jsonw_object_begin(answer);
        att_jsonw_put_size(answer, "expected", counts[k].expected);
        att_jsonw_put_size(answer, "predicted", counts[k].predicted);
        att_jsonw_put_size(answer, "right", counts[k].right);
        put_share(answer, "precision", counts[k].right, counts[k].predicted);
        put_share(answer, "recall", counts[k].right, counts[k].expected);
        att_jsonw_put_double(answer, "f1", task_label_f1(&counts[k]), 5);
        att_jsonw_object_end(answer);
    }
    att_jsonw_object_end(answer);
}

size_t task_quality_figures(const struct task_quality *quality, struct task_figure figures[TASK_FIGURES_MAX])
{
    figures[0] = (struct task_figure){"accuracy", quality->accuracy};
    figures[1] = (struct task_figure){"macro_f1", quality->macro_f1};
    figures[2] = (struct task_figure){"ece", quality->ece};
    figures[3] = (struct task_figure){"auroc", quality->auroc};
    return quality->outside > 0 ? 4 : 3;
}

size_t task_quality_several_figures(const struct task_quality_several *quality,
                                    struct task_figure figures[TASK_FIGURES_MAX])
{
    figures[0] = (struct task_figure){"micro_f1", quality->micro_f1};
    figures[1] = (struct task_figure){"macro_f1", quality->macro_f1};
    figures[2] = (struct task_figure){"exact", quality->exact};
    return 3;
}

void task_figures_render(const struct task_figure *figures, size_t n, struct att_jsonw *answer)
{
    for (size_t i = 0; i < n; i++)
        att_jsonw_put_double(answer, figures[i].name, figures[i].interval.value, 5);
    att_jsonw_key(answer, "intervals");
    att_jsonw_object_begin(answer);
    for (size_t i = 0; i < n; i++) {
        if (isnan(figures[i].interval.low))
            continue;
        att_jsonw_key(answer, figures[i].name);
        att_jsonw_array_begin(answer);
        att_jsonw_double(answer, figures[i].interval.low, 5);
        att_jsonw_double(answer, figures[i].interval.high, 5);
        att_jsonw_array_end(answer);
    }
    att_jsonw_object_end(answer);
}
