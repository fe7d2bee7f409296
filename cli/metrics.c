/* Quality figures; see metrics.h. */
#include "cli/metrics.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ECE_BINS = 15 };

double cli_accuracy(const struct cli_prediction *predictions, size_t n)
{
    size_t rows = 0, hits = 0;
    for (size_t i = 0; i < n; i++) {
        rows += predictions[i].expected != SIZE_MAX;
        hits += predictions[i].expected == predictions[i].predicted;
    }
    return rows ? (double)hits / (double)rows : NAN;
}

double cli_macro_f1(const struct cli_prediction *predictions, size_t n, size_t n_labels, size_t *counts)
{
    size_t *hits = counts, *expected = counts + n_labels, *predicted = counts + 2 * n_labels, seen = 0;
    double sum = 0;
    memset(counts, 0, 3 * n_labels * sizeof *counts);
    for (size_t i = 0; i < n; i++) {
        if (predictions[i].expected == SIZE_MAX)
            continue;
        expected[predictions[i].expected]++;
        predicted[predictions[i].predicted]++;
        hits[predictions[i].expected] += predictions[i].expected == predictions[i].predicted;
    }
    for (size_t i = 0; i < n_labels; i++) {
        if (expected[i] + predicted[i] == 0)
            continue;
        sum += 2.0 * (double)hits[i] / (double)(expected[i] + predicted[i]);
        seen++;
    }
    return seen ? sum / (double)seen : NAN;
}

double cli_ece(const struct cli_prediction *predictions, size_t n)
{
    size_t count[ECE_BINS] = {0}, hits[ECE_BINS] = {0}, rows = 0;
    double scores[ECE_BINS] = {0}, error = 0;
    for (size_t i = 0; i < n; i++) {
        if (predictions[i].expected == SIZE_MAX)
            continue;
        size_t bin = (size_t)(predictions[i].score * ECE_BINS);
        bin = bin < ECE_BINS ? bin : ECE_BINS - 1;
        count[bin]++;
        hits[bin] += predictions[i].expected == predictions[i].predicted;
        scores[bin] += predictions[i].score;
        rows++;
    }
    for (size_t i = 0; i < ECE_BINS; i++)
        error += fabs((double)hits[i] - scores[i]);
    return rows ? error / (double)rows : NAN;
}

static int by_score(const void *a, const void *b)
{
    const struct cli_prediction *x = a, *y = b;
    return x->score < y->score ? -1 : x->score > y->score;
}

/* The rank-sum form (Mann and Whitney): equal scores share the mean of their ranks. */
double cli_auroc(struct cli_prediction *predictions, size_t n)
{
    double ranks = 0, inside = 0;
    qsort(predictions, n, sizeof *predictions, by_score);
    for (size_t begin = 0, end; begin < n; begin = end) {
        for (end = begin; end < n && predictions[end].score == predictions[begin].score; end++)
            ;
        double rank = (double)(begin + 1 + end) / 2;
        for (size_t i = begin; i < end; i++) {
            if (predictions[i].expected == SIZE_MAX)
                continue;
            ranks += rank;
            inside++;
        }
    }
    double outside = (double)n - inside;
    return inside > 0 && outside > 0 ? (ranks - inside * (inside + 1) / 2) / (inside * outside) : NAN;
}
