/* Searching temperatures and thresholds; see calibrate.h. */
#include "tasks/classify/calibrate.h"

#include <math.h>
#include <stdlib.h>

enum { SEARCH_STEPS = 40 };
static const double least = 0.05, most = 20, thousandth = 1e-3;
static const double ridge = 1e-9;
static const double z_95 = 1.6449, rounding = 1e-12; /* 4 of 5 are .8 */

/* `doubt`: the share of the row that is taken to belong to the other labels. */
static double row_loss(const struct task_logits *rows, size_t i, double temperature, double doubt)
{
    const float *logits = rows->logits + i * rows->n_labels;
    double loss = 0, largest = (double)logits[0], all = 0;
    if (rows->several) {
        for (size_t k = 0; k < rows->n_labels; k++) {
            double z = (double)logits[k] / temperature;
            double truth = rows->several[i * rows->n_labels + k] ? 1 - doubt : doubt;
            loss += (z > 0 ? z : 0) - z * truth + log1p(exp(-fabs(z)));
        }
        return loss;
    }
    for (size_t k = 1; k < rows->n_labels; k++)
        largest = (double)logits[k] > largest ? (double)logits[k] : largest;
    for (size_t k = 0; k < rows->n_labels; k++) {
        loss += exp(((double)logits[k] - largest) / temperature);
        all += (double)logits[k] - largest;
    }
    double own = (double)logits[rows->labels[i]] - largest;
    double others = rows->n_labels > 1 ? (all - own) / (double)(rows->n_labels - 1) : own;
    return log(loss) - ((1 - doubt) * own + doubt * others) / temperature;
}

static double loss_of(const struct task_logits *rows, double temperature, double doubt)
{
    double sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < rows->n; i++) {
        if (!rows->several && rows->labels[i] < 0)
            continue;
        sum += row_loss(rows, i, temperature, doubt);
        count++;
    }
    return count ? sum / (double)count : 0;
}

double task_log_loss(const struct task_logits *rows, double temperature)
{
    return loss_of(rows, temperature, 0);
}

/* The rule of succession, as in Platt's scaling: of n rows that are all right the next is wrong once in n + 2. Without
 * it a handful of examples that are told apart would make every later answer certain. */
static double doubt_of(const struct task_logits *rows)
{
    size_t count = 0;
    for (size_t i = 0; i < rows->n; i++)
        count += rows->several || rows->labels[i] >= 0;
    return 1 / ((double)count + 2);
}

/* Golden-section search over the logarithm: the loss has one valley. */
double task_temperature_fit(const struct task_logits *rows)
{
    const double ratio = (sqrt(5) - 1) / 2;
    const double doubt = doubt_of(rows);
    double low = log(least), high = log(most), a = high - ratio * (high - low), b = low + ratio * (high - low);
    double at_a = loss_of(rows, exp(a), doubt), at_b = loss_of(rows, exp(b), doubt);
    if (at_a == 0 && at_b == 0) /* no rows */
        return 1;
    for (size_t i = 0; i < SEARCH_STEPS && high - low > thousandth; i++) {
        if (at_a <= at_b) {
            high = b;
            b = a;
            at_b = at_a;
            a = high - ratio * (high - low);
            at_a = loss_of(rows, exp(a), doubt);
        } else {
            low = a;
            a = b;
            at_a = at_b;
            b = low + ratio * (high - low);
            at_b = loss_of(rows, exp(b), doubt);
        }
    }
    return exp((low + high) / 2);
}

/* Sums of Newton's method for two parameters over rows whose values are standardised. */
struct newton {
    double by_slope, by_level, slope2, both, level2;
};

static void newton_add(struct newton *sums, double weight, double x, double p, double target)
{
    double curve = weight * p * (1 - p);
    sums->by_slope += weight * (p - target) * x;
    sums->by_level += weight * (p - target);
    sums->slope2 += curve * x * x;
    sums->both += curve * x;
    sums->level2 += curve;
}

void task_scale_fit(const struct task_scored *rows, size_t n, double *ret_scale, double *ret_bias)
{
    double mean = 0, square = 0, right = 0, slope = 1, level = 0;
    *ret_scale = *ret_bias = 0;
    for (size_t i = 0; i < n; i++) {
        mean += rows[i].score / (double)n;
        right += rows[i].right;
    }
    for (size_t i = 0; i < n; i++)
        square += (rows[i].score - mean) * (rows[i].score - mean) / (double)n;
    double wrong = (double)n - right, spread = sqrt(square);
    if (right == 0 || wrong == 0 || !(spread > 0))
        return;
    for (size_t step = 0; step < SEARCH_STEPS; step++) {
        struct newton sums = {.slope2 = ridge, .level2 = ridge};
        for (size_t i = 0; i < n; i++) {
            double x = (rows[i].score - mean) / spread, p = 1 / (1 + exp(-(slope * x + level)));
            double target = rows[i].right ? (right + 1) / (right + 2) : 1 / (wrong + 2);
            newton_add(&sums, 0.5 / (rows[i].right ? right : wrong), x, p, target);
        }
        double determinant = sums.slope2 * sums.level2 - sums.both * sums.both;
        slope -= (sums.by_slope * sums.level2 - sums.by_level * sums.both) / determinant;
        level -= (sums.by_level * sums.slope2 - sums.by_slope * sums.both) / determinant;
    }
    if (!(slope > 0) || !isfinite(slope) || !isfinite(level))
        return;
    *ret_scale = slope / spread;
    *ret_bias = level - slope * mean / spread;
}

static int best_first(const void *a, const void *b)
{
    const struct task_scored *x = a, *y = b;
    return x->score > y->score ? -1 : x->score < y->score;
}

/* Walks down the sorted scores; a threshold stands after the last of equal scores. */
struct walk {
    const struct task_scored *scored;
    size_t n, at, right;
};

static bool walk_next(struct walk *walk)
{
    if (walk->at == walk->n)
        return false;
    do {
        walk->right += walk->scored[walk->at++].right;
    } while (walk->at < walk->n && walk->scored[walk->at].score == walk->scored[walk->at - 1].score);
    return true;
}

/* Wilson's interval begins here; z of 0 gives the share itself. */
static double share_low(size_t right, size_t n, double z)
{
    double rows = (double)n, share = (double)right / rows, spread = z * z / rows;
    return (share + spread / 2 - z * sqrt(share * (1 - share) / rows + spread / (4 * rows))) / (1 + spread);
}

bool task_threshold_precision(struct task_scored *scored, size_t n, double precision, enum task_surety surety,
                              double *ret_threshold, double *ret_share)
{
    double z = surety == TASK_SURE ? z_95 : 0;
    struct walk walk = {scored, n, 0, 0};
    bool found = false;
    qsort(scored, n, sizeof *scored, best_first);
    while (walk_next(&walk)) {
        if (share_low(walk.right, walk.at, z) < precision - rounding)
            continue;
        found = true;
        *ret_threshold = scored[walk.at - 1].score;
        *ret_share = (double)walk.at / (double)n;
    }
    return found;
}

double task_threshold_f1(struct task_scored *scored, size_t n)
{
    struct walk walk = {scored, n, 0, 0};
    double best = 0, threshold = 0.5;
    size_t total = 0;
    qsort(scored, n, sizeof *scored, best_first);
    for (size_t i = 0; i < n; i++)
        total += scored[i].right;
    while (walk_next(&walk)) {
        double f1 = 2 * (double)walk.right / (double)(walk.at + total);
        if (f1 <= best)
            continue;
        best = f1;
        /* In the middle of the gap to the next score: texts to come lie on neither edge. */
        threshold = walk.at < n ? (scored[walk.at - 1].score + scored[walk.at].score) / 2 : scored[walk.at - 1].score;
    }
    return threshold;
}

double task_threshold_parting(struct task_scored *scored, size_t n)
{
    struct walk walk = {scored, n, 0, 0};
    double best = -1, threshold = 0;
    size_t total = 0;
    qsort(scored, n, sizeof *scored, best_first);
    for (size_t i = 0; i < n; i++)
        total += scored[i].right;
    if (total == 0 || total == n)
        return 0;
    while (walk_next(&walk)) {
        double kept = (double)walk.right / (double)total, left = (double)(walk.at - walk.right) / (double)(n - total);
        if (kept - left <= best)
            continue;
        best = kept - left;
        threshold = walk.at < n ? (scored[walk.at - 1].score + scored[walk.at].score) / 2 : scored[walk.at - 1].score;
    }
    return threshold;
}

void task_thresholds_fit(const struct task_logits *rows, double temperature, double precision, enum task_surety surety,
                         struct task_scored *space, double *thresholds)
{
    size_t c = rows->n_labels;
    double share;
    for (size_t k = 0; k < c; k++) {
        for (size_t i = 0; i < rows->n; i++)
            space[i] = (struct task_scored){1 / (1 + exp(-(double)rows->logits[i * c + k] / temperature)),
                                            rows->several[i * c + k]};
        if (precision > 0)
            (void)task_threshold_precision(space, rows->n, precision, surety, &thresholds[k], &share);
        else
            thresholds[k] = task_threshold_f1(space, rows->n);
    }
}
