/* Standardising, fusing, sorting, diversifying; see ranking.h. */
#include "tasks/ranking.h"

#include <math.h>
#include <stdlib.h>

static const float interest_weight = 2.0f, profile_weight_beside_sequence = 0.25f;

void task_ranking_standardise(float *scores, size_t n, float *ret_mean, float *ret_deviation)
{
    double sum = 0, squares = 0;
    size_t count = 0;
    for (size_t i = 1; i <= n; i++)
        if (isfinite(scores[i])) {
            sum += (double)scores[i];
            count++;
        }
    double mean = count ? sum / (double)count : 0;
    for (size_t i = 1; i <= n; i++)
        if (isfinite(scores[i]))
            squares += ((double)scores[i] - mean) * ((double)scores[i] - mean);
    double deviation = count > 1 ? sqrt(squares / (double)count) : 0;
    if (!(deviation > 1e-9))
        deviation = 1;
    for (size_t i = 1; i <= n; i++)
        scores[i] = isfinite(scores[i]) ? (float)(((double)scores[i] - mean) / deviation) : 0;
    *ret_mean = (float)mean;
    *ret_deviation = (float)deviation;
}

float task_ranking_fuse(const struct task_ranking_evidence *e, size_t item, enum task_ranking_source *ret_source)
{
    if (!e->sequence && !e->interest && !e->profile) {
        *ret_source = RANKING_POPULAR;
        return e->popular ? e->popular[item] : 0;
    }
    float sequence = e->sequence ? e->sequence[item] : 0;
    float content = e->interest ? interest_weight * e->interest[item] : 0;
    if (e->profile)
        content += (e->sequence ? profile_weight_beside_sequence : 1.0f) * e->profile[item];
    *ret_source = !e->sequence || content > sequence ? RANKING_CONTENT : RANKING_SEQUENCE;
    if (!e->interest && !e->profile)
        *ret_source = RANKING_SEQUENCE;
    return sequence + content;
}

static int by_fused(const void *a, const void *b)
{
    const struct task_ranking_item *x = a, *y = b;
    if (x->fused != y->fused)
        return x->fused > y->fused ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

void task_ranking_sort(struct task_ranking_item *items, size_t n)
{
    qsort(items, n, sizeof *items, by_fused);
}

void task_ranking_diversify(struct task_ranking_item *items, size_t n, size_t take, double diversity,
                       float (*likeness)(const void *context, size_t a, size_t b), const void *context)
{
    if (n == 0)
        return;
    double high = (double)items[0].fused, low = high;
    for (size_t i = 1; i < n; i++) {
        high = fmax(high, (double)items[i].fused);
        low = fmin(low, (double)items[i].fused);
    }
    double range = high > low ? high - low : 1;
    for (size_t k = 0; k < take && k < n; k++) {
        size_t best = k;
        double best_value = -INFINITY;
        for (size_t i = k; i < n; i++) {
            double nearest = 0;
            for (size_t j = 0; j < k; j++)
                nearest = fmax(nearest, (double)likeness(context, items[i].place, items[j].place));
            double value = (1 - diversity) * ((double)items[i].fused - low) / range - diversity * nearest;
            if (value > best_value) {
                best_value = value;
                best = i;
            }
        }
        struct task_ranking_item chosen = items[best];
        for (size_t i = best; i > k; i--)
            items[i] = items[i - 1];
        items[k] = chosen;
    }
}
