/*
 * A linear head over fixed vectors: logistic regression with an L2 penalty, for
 * one label a row (softmax) or several (sigmoids), minimised by L-BFGS (Nocedal
 * 1980; two-loop recursion, backtracking by Armijo's rule). Convex, so the same
 * rows give the same head. Both products of an evaluation run on the GEMM
 * kernels; the sums that decide a step are in double.
 */
#include <math.h>
#include <string.h>

#include "core/attend.h"
#include "core/ops/linear.h"

enum { MEMORY = 8, BACKTRACKS = 30 };

struct att_fit {
    struct att_fit_rows rows;
    struct att_linear transposed; /* features as [n_features][n] */
    float *logits;                /* [n][n_labels] */
    float *residuals;             /* [n_labels][n]: gradient of the loss by the logits */
    float *slopes;                /* [n_labels][n_features] */
    float *weights;               /* [n_labels][n_features], as the products read them */
    float *bias;                  /* [n_labels] */
};

static enum att_status no_memory(struct att_err *err)
{
    return att_err_set(err, ATT_ENOMEM, "out of memory for a head");
}

enum att_status att_fit_create(const struct att_fit_rows *rows, struct att_fit **ret_fit, struct att_err *err)
{
    size_t n = rows->n, d = rows->n_features, c = rows->n_labels;
    struct att_fit *fit = att_mem_calloc(1, sizeof *fit);
    size_t cells;
    float *columns = att_size_mul(n, d, &cells) ? att_mem_aligned(cells, sizeof *columns) : NULL;
    enum att_status status = fit && columns ? ATT_OK : no_memory(err);
    if (status == ATT_OK) {
        fit->rows = *rows;
        fit->logits = att_size_mul(n, c, &cells) ? att_mem_aligned(cells, sizeof(float)) : NULL;
        fit->residuals = fit->logits ? att_mem_aligned(cells, sizeof(float)) : NULL;
        fit->slopes = att_size_mul(c, d, &cells) ? att_mem_aligned(cells, sizeof(float)) : NULL;
        fit->weights = fit->slopes ? att_mem_aligned(cells, sizeof(float)) : NULL;
        fit->bias = att_mem_aligned(c, sizeof(float));
        status = fit->residuals && fit->weights && fit->bias ? ATT_OK : no_memory(err);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < d; j++)
                columns[j * n + i] = rows->features[i * d + j];
    }
    if (status == ATT_OK)
        status = att_linear_init(&fit->transposed, ATT_F32, d, n, columns, NULL, NULL, err);
    att_mem_free(columns);
    if (status != ATT_OK)
        att_fit_destroy(fit);
    else
        *ret_fit = fit;
    return status;
}

void att_fit_destroy(struct att_fit *fit)
{
    if (!fit)
        return;
    att_linear_finish(&fit->transposed);
    att_mem_free(fit->logits);
    att_mem_free(fit->residuals);
    att_mem_free(fit->slopes);
    att_mem_free(fit->weights);
    att_mem_free(fit->bias);
    att_mem_free(fit);
}

/* theta is [n_labels][n_features + 1], the bias last. */
static enum att_status compute_logits(struct att_fit *fit, const double *theta, struct att_err *err)
{
    size_t d = fit->rows.n_features, c = fit->rows.n_labels;
    struct att_linear linear;
    for (size_t k = 0; k < c; k++) {
        for (size_t j = 0; j < d; j++)
            fit->weights[k * d + j] = (float)theta[k * (d + 1) + j];
        fit->bias[k] = (float)theta[k * (d + 1) + d];
    }
    enum att_status status = att_linear_init(&linear, ATT_F32, c, d, fit->weights, fit->bias, NULL, err);
    if (status != ATT_OK)
        return status;
    att_linear_run(NULL, &linear, fit->rows.n, fit->rows.features, d, fit->logits, c, ATT_ACT_NONE, NULL, 0);
    att_linear_finish(&linear);
    return ATT_OK;
}

/* The loss of row i; its residuals. Its logits become their exponentials. */
static double softmax_loss(struct att_fit *fit, size_t i)
{
    size_t n = fit->rows.n, c = fit->rows.n_labels, label = (size_t)fit->rows.labels[i];
    float *logits = fit->logits + i * c;
    double largest = (double)logits[0], own = (double)logits[label], sum = 0;
    for (size_t k = 1; k < c; k++)
        largest = (double)logits[k] > largest ? (double)logits[k] : largest;
    for (size_t k = 0; k < c; k++)
        sum += (double)(logits[k] = expf((float)((double)logits[k] - largest)));
    for (size_t k = 0; k < c; k++)
        fit->residuals[k * n + i] = (float)((double)logits[k] / sum - (k == label));
    return log(sum) + largest - own;
}

static double sigmoid_loss(struct att_fit *fit, size_t i)
{
    size_t n = fit->rows.n, c = fit->rows.n_labels;
    double loss = 0;
    for (size_t k = 0; k < c; k++) {
        double z = (double)fit->logits[i * c + k], y = fit->rows.several[i * c + k];
        loss += (z > 0 ? z : 0) - z * y + log1p(exp(-fabs(z)));
        fit->residuals[k * n + i] = (float)(1 / (1 + exp(-z)) - y);
    }
    return loss;
}

/* Value and gradient at theta: the rows' losses, and |weights|² / 2c; biases are free. */
static enum att_status evaluate(struct att_fit *fit, const struct att_fit_options *options, const double *theta,
                                double *ret_value, double *gradient, struct att_err *err)
{
    size_t n = fit->rows.n, d = fit->rows.n_features, c = fit->rows.n_labels;
    double value = 0;
    enum att_status status = compute_logits(fit, theta, err);
    if (status != ATT_OK)
        return status;
    for (size_t i = 0; i < n; i++) {
        if (options->skipped && options->skipped[i]) {
            for (size_t k = 0; k < c; k++)
                fit->residuals[k * n + i] = 0;
            continue;
        }
        value += fit->rows.several ? sigmoid_loss(fit, i) : softmax_loss(fit, i);
    }
    att_linear_run(NULL, &fit->transposed, c, fit->residuals, n, fit->slopes, d, ATT_ACT_NONE, NULL, 0);
    for (size_t k = 0; k < c; k++) {
        const double *row = theta + k * (d + 1);
        double bias = 0;
        for (size_t j = 0; j < d; j++) {
            value += row[j] * row[j] / (2 * options->c);
            gradient[k * (d + 1) + j] = (double)fit->slopes[k * d + j] + row[j] / options->c;
        }
        for (size_t i = 0; i < n; i++)
            bias += (double)fit->residuals[k * n + i];
        gradient[k * (d + 1) + d] = bias;
    }
    *ret_value = value;
    return ATT_OK;
}

static double dot(size_t n, const double *a, const double *b)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* What L-BFGS remembers: the last steps and how the gradient changed over them. */
struct memory {
    size_t size, count, next; /* numbers in a step; steps kept; where the next one goes */
    double *steps[MEMORY], *changes[MEMORY], curvature[MEMORY];
};

/* direction = -H gradient */
static void find_direction(const struct memory *memory, const double *gradient, double *direction)
{
    double alpha[MEMORY];
    size_t n = memory->size, newest = (memory->next + MEMORY - 1) % MEMORY;
    for (size_t i = 0; i < n; i++)
        direction[i] = -gradient[i];
    for (size_t k = 0; k < memory->count; k++) {
        size_t m = (newest + MEMORY - k) % MEMORY;
        alpha[m] = dot(n, memory->steps[m], direction) / memory->curvature[m];
        for (size_t i = 0; i < n; i++)
            direction[i] -= alpha[m] * memory->changes[m][i];
    }
    if (memory->count > 0) {
        double scale = memory->curvature[newest] / dot(n, memory->changes[newest], memory->changes[newest]);
        for (size_t i = 0; i < n; i++)
            direction[i] *= scale;
    }
    for (size_t k = memory->count; k-- > 0;) {
        size_t m = (newest + MEMORY - k) % MEMORY;
        double beta = dot(n, memory->changes[m], direction) / memory->curvature[m];
        for (size_t i = 0; i < n; i++)
            direction[i] += (alpha[m] - beta) * memory->steps[m][i];
    }
}

static void remember(struct memory *memory, const double *before, const double *after, const double *gradient_before,
                     const double *gradient_after)
{
    double *step = memory->steps[memory->next], *change = memory->changes[memory->next];
    for (size_t i = 0; i < memory->size; i++) {
        step[i] = after[i] - before[i];
        change[i] = gradient_after[i] - gradient_before[i];
    }
    double curvature = dot(memory->size, step, change);
    if (!(curvature > 1e-10 * dot(memory->size, step, step)))
        return;
    memory->curvature[memory->next] = curvature;
    memory->next = (memory->next + 1) % MEMORY;
    memory->count += memory->count < MEMORY;
}

struct search {
    double *theta, *gradient, *direction, *next, *next_gradient;
    double value;
};

/* One step along a direction that falls. False in *ret_moved: nothing lower was found, which near the optimum is the
 * limit of float. */
static enum att_status step(struct att_fit *fit, const struct att_fit_options *options, struct memory *memory,
                            struct search *search, bool *ret_moved, struct att_err *err)
{
    size_t n = memory->size;
    find_direction(memory, search->gradient, search->direction);
    double slope = dot(n, search->direction, search->gradient), length = 1;
    if (memory->count == 0) /* nothing is known of the curvature yet */
        length = 1 / sqrt(dot(n, search->gradient, search->gradient) + 1e-30);
    for (size_t i = 0; i < BACKTRACKS && slope < 0; i++, length /= 2) {
        double value;
        for (size_t j = 0; j < n; j++)
            search->next[j] = search->theta[j] + length * search->direction[j];
        enum att_status status = evaluate(fit, options, search->next, &value, search->next_gradient, err);
        if (status != ATT_OK)
            return status;
        if (!(value <= search->value + 1e-4 * length * slope))
            continue;
        remember(memory, search->theta, search->next, search->gradient, search->next_gradient);
        memcpy(search->theta, search->next, n * sizeof(double));
        memcpy(search->gradient, search->next_gradient, n * sizeof(double));
        *ret_moved = value < search->value;
        search->value = value;
        return ATT_OK;
    }
    *ret_moved = false;
    return ATT_OK;
}

static enum att_status minimise(struct att_fit *fit, const struct att_fit_options *options, struct memory *memory,
                                struct search *search, struct att_err *err)
{
    enum att_status status = evaluate(fit, options, search->theta, &search->value, search->gradient, err);
    double first = sqrt(dot(memory->size, search->gradient, search->gradient));
    bool moved = true;
    for (size_t i = 0; status == ATT_OK && moved && i < options->steps_max; i++) {
        if (sqrt(dot(memory->size, search->gradient, search->gradient)) <= options->tolerance * (1 + first))
            break;
        status = step(fit, options, memory, search, &moved, err);
    }
    return status;
}

enum att_status att_fit_run(struct att_fit *fit, const struct att_fit_options *options, double *theta,
                            struct att_err *err)
{
    size_t size = fit->rows.n_labels * (fit->rows.n_features + 1), cells;
    struct memory memory = {.size = size};
    double *space = att_size_mul(size, 2 * MEMORY + 4, &cells) ? att_mem_aligned(cells, sizeof *space) : NULL;
    if (!space)
        return no_memory(err);
    for (size_t m = 0; m < MEMORY; m++) {
        memory.steps[m] = space + 2 * m * size;
        memory.changes[m] = space + (2 * m + 1) * size;
    }
    double *rest = space + (size_t)2 * MEMORY * size;
    struct search search = {theta, rest, rest + size, rest + 2 * size, rest + 3 * size, 0};
    enum att_status status = minimise(fit, options, &memory, &search, err);
    att_mem_free(space);
    return status;
}

enum att_status att_fit_logits(struct att_fit *fit, const double *theta, const float **ret_logits, struct att_err *err)
{
    enum att_status status = compute_logits(fit, theta, err);
    if (status == ATT_OK)
        *ret_logits = fit->logits;
    return status;
}
