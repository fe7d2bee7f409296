/* See kb_fit_search.h. */
#include "tasks/kb/kb_fit_search.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

enum { K_MAX = 3, STEPS_MAX = 50, EXAMPLES_MIN = 20, GRID = 10, SHARPNESSES = 5, LEVELS = 21 };

static const double ridge = 1e-2, sharpnesses[SHARPNESSES] = {5, 10, 20, 40, 80};

/* ---- logistic regression ---- */

/* Solves a · x = b in place by Gauss with pivoting; false when a is singular. */
static bool solve(double a[K_MAX + 1][K_MAX + 1], double *b, size_t n)
{
    for (size_t col = 0; col < n; col++) {
        size_t pivot = col;
        for (size_t row = col + 1; row < n; row++)
            if (fabs(a[row][col]) > fabs(a[pivot][col]))
                pivot = row;
        if (fabs(a[pivot][col]) < 1e-12)
            return false;
        for (size_t i = 0; i < n; i++) {
            double swap = a[col][i];
            a[col][i] = a[pivot][i];
            a[pivot][i] = swap;
        }
        double swap = b[col];
        b[col] = b[pivot];
        b[pivot] = swap;
        for (size_t row = 0; row < n; row++) {
            if (row == col)
                continue;
            double factor = a[row][col] / a[col][col];
            for (size_t i = col; i < n; i++)
                a[row][i] -= factor * a[col][i];
            b[row] -= factor * b[col];
        }
    }
    for (size_t i = 0; i < n; i++)
        b[i] /= a[i][i];
    return true;
}

/* One step of Newton; how far it went. */
static double newton_step(const double *x, const bool *right, size_t n, size_t k, double *coefficients)
{
    double hessian[K_MAX + 1][K_MAX + 1] = {{0}}, gradient[K_MAX + 1] = {0}, row[K_MAX + 1], moved = 0;
    for (size_t i = 0; i < n; i++) {
        double logit = coefficients[k];
        for (size_t j = 0; j < k; j++)
            logit += coefficients[j] * (row[j] = x[i * k + j]);
        row[k] = 1;
        double p = task_sigmoid(logit), weight = p * (1 - p);
        for (size_t j = 0; j <= k; j++) {
            gradient[j] += ((right[i] ? 1 : 0) - p) * row[j];
            for (size_t l = 0; l <= k; l++)
                hessian[j][l] += weight * row[j] * row[l];
        }
    }
    for (size_t j = 0; j <= k; j++) { /* parted examples would go on for ever */
        gradient[j] -= ridge * coefficients[j];
        hessian[j][j] += ridge;
    }
    if (!solve(hessian, gradient, k + 1))
        return 0;
    for (size_t j = 0; j <= k; j++) {
        double step = gradient[j] > 20 ? 20 : gradient[j] < -20 ? -20 : gradient[j];
        coefficients[j] += step;
        moved += fabs(step);
    }
    return moved;
}

bool task_logistic_fit(const double *x, const bool *right, size_t n, size_t k, double *coefficients)
{
    size_t hits = 0;
    assert(k <= K_MAX);
    for (size_t i = 0; i < n; i++)
        hits += right[i];
    double share = ((double)hits + 0.5) / ((double)n + 1);
    for (size_t j = 0; j < k; j++)
        coefficients[j] = 0;
    coefficients[k] = log(share / (1 - share));
    if (hits == 0 || hits == n)
        return false;
    for (size_t step = 0; step < STEPS_MAX && newton_step(x, right, n, k, coefficients) > 1e-9; step++)
        continue;
    return true;
}

/* ---- one example under a fit ---- */

static const struct task_calibration *row_of(const struct task_fit *fit, const struct task_fit_example *example)
{
    return example->cjk ? &fit->cjk : &fit->latin;
}

/* s, or where a cross-encoder counts the mixed score; what it has not read lies behind. */
static double value_of(const struct task_fit_candidate *candidate, const struct task_calibration *row,
                       const struct task_rerank_fit *rerank)
{
    float s = task_features_fuse(&candidate->features, row) + candidate->bonus;
    if (!rerank)
        return (double)s;
    if (!candidate->reranked)
        return -1;
    return (double)((1 - rerank->mix) * task_calibration_score(row, s)) +
           (double)rerank->mix * task_sigmoid((double)candidate->rerank);
}

static double score_of(const struct task_fit_candidate *candidate, const struct task_calibration *row,
                       const struct task_rerank_fit *rerank)
{
    double value = value_of(candidate, row, rerank);
    return rerank ? value : (double)task_calibration_score(row, (float)value);
}

struct top {
    size_t first;
    double best, second; /* second: 0 where there is one candidate */
};

static struct top top_of(const struct task_fit_example *example, const struct task_calibration *row,
                         const struct task_rerank_fit *rerank)
{
    struct top top = {.best = -INFINITY, .second = -INFINITY};
    for (size_t i = 0; i < example->n; i++) {
        double value = value_of(&example->candidates[i], row, rerank);
        if (value > top.best) {
            top.second = top.best;
            top.best = value;
            top.first = i;
        } else if (value > top.second) {
            top.second = value;
        }
    }
    if (example->n < 2)
        top.second = 0;
    return top;
}

struct task_fit_outcome task_fit_outcome(const struct task_fit_example *example, const struct task_fit *fit,
                                         bool reranks)
{
    const struct task_calibration *row = row_of(fit, example);
    const struct task_rerank_fit *rerank = reranks ? &fit->rerank : NULL;
    double threshold = reranks ? fit->rerank.threshold : fit->threshold;
    double margin = reranks ? fit->rerank.margin : fit->margin;
    struct top top = top_of(example, row, rerank);
    struct task_fit_outcome out = {.lead = top.best - top.second};
    double second = reranks ? top.second : (double)task_calibration_score(row, (float)top.second);
    out.score = reranks ? top.best : (double)task_calibration_score(row, (float)top.best);
    out.confidence = task_sigmoid(
        reranks ? (double)rerank->per_score * top.best + (double)rerank->per_lead * out.lead + (double)rerank->bias
                : (double)row->per_s * top.best + (double)row->per_lead * out.lead + (double)row->bias);
    out.first_right = example->expect != 0 && example->candidates[top.first].id == example->expect;
    out.clarify = example->n > 1 && out.score >= threshold && out.score - second < margin;
    out.answered = out.score >= threshold && !out.clarify;
    for (size_t i = 0; out.clarify && i < example->n; i++) {
        double score = score_of(&example->candidates[i], row, rerank);
        out.offered |= example->candidates[i].id == example->expect && out.score - score < margin;
    }
    return out;
}

/* ---- weights ---- */

static bool counts(const struct task_fit_example *example, bool cjk)
{
    return !example->held_out && example->cjk == cjk && example->n > 0;
}

/* Adds one example's loss under every sharpness and level of "none". */
static void add_loss(const struct task_fit_example *example, const struct task_calibration *row,
                     const struct task_rerank_fit *rerank, double loss[SHARPNESSES][LEVELS])
{
    double best = -INFINITY, right = -1, sums[SHARPNESSES] = {0};
    for (size_t c = 0; c < example->n; c++)
        best = fmax(best, value_of(&example->candidates[c], row, rerank));
    for (size_t c = 0; c < example->n; c++) {
        double value = value_of(&example->candidates[c], row, rerank);
        if (example->candidates[c].id == example->expect)
            right = value;
        for (size_t k = 0; k < SHARPNESSES; k++)
            sums[k] += exp(sharpnesses[k] * (value - best));
    }
    for (size_t k = 0; k < SHARPNESSES; k++)
        for (size_t l = 0; l < LEVELS; l++) {
            double sharpness = sharpnesses[k], none = (double)l / (LEVELS - 1);
            double most = fmax(best, none), expected = example->expect != 0 ? right : none;
            loss[k][l] += log(sums[k] * exp(sharpness * (best - most)) + exp(sharpness * (none - most))) +
                          sharpness * (most - expected);
        }
}

/* How unlikely the examples are where every entry, and "none", is chosen by a softmax over what it is worth: least
 * over the sharpness of the softmax and the worth of "none", so that only order and separation count. */
static double loss_of(const struct task_fit_example *examples, size_t n, bool cjk, const struct task_calibration *row,
                      const struct task_rerank_fit *rerank)
{
    double loss[SHARPNESSES][LEVELS] = {{0}}, least = INFINITY;
    for (size_t i = 0; i < n; i++)
        if (counts(&examples[i], cjk))
            add_loss(&examples[i], row, rerank, loss);
    for (size_t k = 0; k < SHARPNESSES; k++)
        for (size_t l = 0; l < LEVELS; l++)
            least = fmin(least, loss[k][l]);
    return least;
}

/* Mean over the examples of the least cosine: entries far down the list have little in common with the question. */
static float floor_of(const struct task_fit_example *examples, size_t n, bool cjk)
{
    double sum = 0;
    size_t rows = 0;
    for (size_t i = 0; i < n; i++) {
        float least = 1;
        if (!counts(&examples[i], cjk))
            continue;
        for (size_t c = 0; c < examples[i].n; c++)
            least = fminf(least, examples[i].candidates[c].features.best);
        sum += (double)least;
        rows++;
    }
    float floor = rows > 0 ? (float)(sum / (double)rows) : 0;
    return floor < 0 ? 0 : floor > 0.95f ? 0.95f : floor;
}

static void search_weights(const struct task_fit_example *examples, size_t n, bool cjk, struct task_calibration *row)
{
    struct task_calibration trial = *row;
    double best = INFINITY;
    for (int a = 0; a <= GRID; a++)
        for (int b = 0; a + b <= GRID; b++)
            for (int c = 0; a + b + c <= GRID; c++) {
                trial.weights = (struct task_match_features){(float)a / GRID, (float)b / GRID, (float)c / GRID,
                                                             (float)(GRID - a - b - c) / GRID};
                double loss = loss_of(examples, n, cjk, &trial, NULL);
                if (loss < best - 1e-9) {
                    best = loss;
                    row->weights = trial.weights;
                }
            }
}

/* ---- confidence ---- */

/* half and the logistic of one row. `space` holds 2 doubles and a bool an example. */
static void fit_row(const struct task_fit_example *examples, size_t n, bool cjk, double *x, bool *right,
                    struct task_calibration *row)
{
    double alone[2], both[3];
    size_t rows = 0;
    for (size_t i = 0; i < n; i++) {
        if (!counts(&examples[i], cjk))
            continue;
        struct top top = top_of(&examples[i], row, NULL);
        x[rows] = top.best;
        right[rows++] = examples[i].expect != 0 && examples[i].candidates[top.first].id == examples[i].expect;
    }
    if (task_logistic_fit(x, right, rows, 1, alone) && alone[0] > 0) {
        double half = -alone[1] / alone[0];
        row->half = (float)(half < 0.05 ? 0.05 : half > 0.75 ? 0.75 : half);
    }
    rows = 0;
    for (size_t i = 0; i < n; i++) {
        if (!counts(&examples[i], cjk))
            continue;
        struct top top = top_of(&examples[i], row, NULL);
        x[2 * rows] = top.best;
        x[2 * rows++ + 1] = top.best - top.second;
    }
    task_logistic_fit(x, right, rows, 2, both);
    row->per_s = (float)both[0];
    row->per_lead = (float)both[1];
    row->bias = (float)both[2];
}

/* ---- decision ---- */

/* An example as the decision sees it. */
struct judged {
    double first, second, expected; /* scores; expected: of the right entry, -1 where there is none */
    bool first_right;
};

static size_t judge_all(const struct task_fit_example *examples, size_t n, const struct task_fit *fit, bool reranks,
                        struct judged *judged)
{
    size_t rows = 0;
    for (size_t i = 0; i < n; i++) {
        const struct task_fit_example *example = &examples[i];
        if (example->held_out || example->n == 0)
            continue;
        judged[rows] = (struct judged){-1, -1, -1, false};
        for (size_t c = 0; c < example->n; c++) {
            double score = score_of(&example->candidates[c], row_of(fit, example), reranks ? &fit->rerank : NULL);
            bool is_right = example->expect != 0 && example->candidates[c].id == example->expect;
            if (score > judged[rows].first) {
                judged[rows].second = judged[rows].first;
                judged[rows].first = score;
                judged[rows].first_right = is_right;
            } else if (score > judged[rows].second) {
                judged[rows].second = score;
            }
            if (is_right)
                judged[rows].expected = score;
        }
        rows++;
    }
    return rows;
}

/* What a pair of bounds is worth: right answers, a question back counting half, where they reach the precision; where
 * they do not, how precise they are, below all that do. */
static double worth(const struct judged *judged, size_t n, double threshold, double margin, double precision)
{
    double right = 0, wrong = 0, offered = 0;
    for (size_t i = 0; i < n; i++) {
        if (judged[i].first < threshold)
            continue;
        if (judged[i].first - judged[i].second < margin) {
            offered += judged[i].first - judged[i].expected < margin;
            continue;
        }
        right += judged[i].first_right;
        wrong += !judged[i].first_right;
    }
    double share = right + wrong > 0 ? right / (right + wrong) : 0;
    return share >= precision ? right + 0.5 * offered : share - 1;
}

/* Of pairs that are worth the same the middle of their thresholds, which is farthest from both mistakes. */
static void search_decision(const struct judged *judged, size_t n, double precision, double *ret_threshold,
                            double *ret_margin)
{
    double best = -INFINITY, first = 0.5, last = 0.5;
    for (int m = 0; m <= 20; m++)
        for (int t = 2; t <= 98; t++) {
            double threshold = t / 100.0, margin = m / 100.0, value = worth(judged, n, threshold, margin, precision);
            if (value > best + 1e-9) {
                best = value;
                first = last = threshold;
                *ret_margin = margin;
            } else if (value > best - 1e-9 && margin == *ret_margin && threshold < last + 0.015) {
                last = threshold;
            }
        }
    *ret_threshold = (first + last) / 2;
}

/* ---- all together ---- */

/* Room for what the search works on. */
struct work {
    double *x;
    bool *right;
    struct judged *judged;
};

static void work_finish(struct work *work)
{
    att_mem_free(work->x);
    att_mem_free(work->right);
    att_mem_free(work->judged);
}

static enum att_status work_init(size_t n, struct work *work, struct att_err *err)
{
    work->x = att_mem_calloc(n + 1, 2 * sizeof *work->x);
    work->right = att_mem_calloc(n + 1, sizeof *work->right);
    work->judged = att_mem_calloc(n + 1, sizeof *work->judged);
    if (work->x && work->right && work->judged)
        return ATT_OK;
    work_finish(work);
    return att_err_set(err, ATT_ENOMEM, "out of memory for %zu examples", n);
}

enum att_status task_fit_search(const struct task_fit_example *examples, size_t n, double precision,
                                struct task_fit *fit, bool ret_fitted[2], struct att_err *err)
{
    struct work work;
    enum att_status status = work_init(n, &work, err);
    if (status != ATT_OK)
        return status;
    for (size_t script = 0; script < 2; script++) {
        bool cjk = script == 1;
        struct task_calibration *row = cjk ? &fit->cjk : &fit->latin;
        size_t rows = 0;
        for (size_t i = 0; i < n; i++)
            rows += counts(&examples[i], cjk) && examples[i].expect != 0;
        ret_fitted[script] = rows >= EXAMPLES_MIN;
        if (!ret_fitted[script])
            continue;
        row->floor = floor_of(examples, n, cjk);
        search_weights(examples, n, cjk, row);
        fit_row(examples, n, cjk, work.x, work.right, row);
    }
    if (ret_fitted[0] || ret_fitted[1])
        search_decision(work.judged, judge_all(examples, n, fit, false, work.judged), precision, &fit->threshold,
                        &fit->margin);
    work_finish(&work);
    return ATT_OK;
}

enum att_status task_fit_search_rerank(const struct task_fit_example *examples, size_t n, double precision,
                                       const char *digest, struct task_fit *fit, struct att_err *err)
{
    double coefficients[3], best = INFINITY;
    struct task_rerank_fit trial = fit->rerank;
    struct work work;
    size_t rows = 0;
    enum att_status status = work_init(n, &work, err);
    if (status != ATT_OK)
        return status;
    for (int m = 0; m <= GRID; m++) {
        trial.mix = (float)m / GRID;
        double loss = loss_of(examples, n, false, &fit->latin, &trial) + loss_of(examples, n, true, &fit->cjk, &trial);
        if (loss < best - 1e-9) {
            best = loss;
            fit->rerank.mix = trial.mix;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (examples[i].held_out || examples[i].n == 0)
            continue;
        struct top top = top_of(&examples[i], row_of(fit, &examples[i]), &fit->rerank);
        work.x[2 * rows] = top.best;
        work.x[2 * rows + 1] = top.best - top.second;
        work.right[rows++] = examples[i].expect != 0 && examples[i].candidates[top.first].id == examples[i].expect;
    }
    task_logistic_fit(work.x, work.right, rows, 2, coefficients);
    fit->rerank.per_score = (float)coefficients[0];
    fit->rerank.per_lead = (float)coefficients[1];
    fit->rerank.bias = (float)coefficients[2];
    snprintf(fit->rerank.digest, sizeof fit->rerank.digest, "%s", digest);
    search_decision(work.judged, judge_all(examples, n, fit, true, work.judged), precision, &fit->rerank.threshold,
                    &fit->rerank.margin);
    work_finish(&work);
    return ATT_OK;
}
