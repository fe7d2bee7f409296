/* Folds, penalties and what is made of unseen logits; see trainer.h. */
#include "tasks/classify/trainer.h"

#include <math.h>
#include <string.h>

#include "tasks/classify/calibrate.h"

enum { FOLDS_MAX = 5, FOLDS_LARGE = 3, STEPS = 80 };
static const double large = 1e8, tolerance = 1e-3, as_good = 0.02;
static const double penalties[] = {1, 4, 16, 64, 256};
enum { PENALTIES = sizeof penalties / sizeof *penalties };

struct trainer {
    const struct task_examples *examples;
    float *features; /* centred, mean length 1 */
    double *mean, length;
    size_t *folds; /* [n] */
    size_t n_folds;
    bool *skipped; /* [n] work space */
    double *theta;
    float *unseen; /* [n][n_labels] logits of folds that did not have the row */
};

static enum att_status no_memory(struct att_err *err)
{
    return att_err_set(err, ATT_ENOMEM, "out of memory for training a head");
}

static bool is_outside(const struct task_examples *examples, size_t i)
{
    return !examples->several && examples->labels[i] < 0;
}

/* Encoders put their texts into a narrow cone; about its middle the penalty means the same for all of them. */
static void centre(struct trainer *trainer)
{
    const struct task_examples *examples = trainer->examples;
    size_t n = examples->n, d = examples->n_features;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++)
            trainer->mean[j] += (double)examples->features[i * d + j] / (double)n;
    for (size_t i = 0; i < n; i++) {
        double square = 0;
        for (size_t j = 0; j < d; j++) {
            double x = (double)examples->features[i * d + j] - trainer->mean[j];
            square += x * x;
        }
        trainer->length += sqrt(square) / (double)n;
    }
    if (!(trainer->length > 1e-6)) /* all texts alike */
        trainer->length = 1;
    for (size_t i = 0; i < n * d; i++)
        trainer->features[i] = (float)(((double)examples->features[i] - trainer->mean[i % d]) / trainer->length);
}

/* Rows of a label go round the folds, so that each has its share of every label. */
static enum att_status make_folds(struct trainer *trainer, struct att_err *err)
{
    const struct task_examples *examples = trainer->examples;
    size_t n_labels = examples->n_labels, rarest = SIZE_MAX;
    size_t *counts = att_mem_calloc(n_labels + 1, sizeof *counts); /* the last: out of scope */
    if (!counts)
        return no_memory(err);
    for (size_t i = 0; i < examples->n; i++)
        counts[examples->several || is_outside(examples, i) ? n_labels : (size_t)examples->labels[i]]++;
    for (size_t k = 0; k < n_labels && !examples->several; k++)
        rarest = counts[k] < rarest ? counts[k] : rarest;
    double cells = (double)examples->n * (double)examples->n_features * (double)n_labels;
    size_t most = cells > large ? FOLDS_LARGE : FOLDS_MAX;
    trainer->n_folds = rarest < most ? rarest : most;
    trainer->n_folds = trainer->n_folds < 2 ? 2 : trainer->n_folds;
    memset(counts, 0, (n_labels + 1) * sizeof *counts);
    for (size_t i = 0; i < examples->n; i++) {
        size_t k = examples->several || is_outside(examples, i) ? n_labels : (size_t)examples->labels[i];
        /* Labels begin at different folds: few rows each would else all fall into the first. */
        trainer->folds[i] = (counts[k]++ + k) % trainer->n_folds;
    }
    att_mem_free(counts);
    return ATT_OK;
}

static enum att_status trainer_init(struct trainer *trainer, const struct task_examples *examples, struct att_err *err)
{
    size_t n = examples->n, d = examples->n_features, c = examples->n_labels;
    *trainer = (struct trainer){.examples = examples};
    trainer->features = att_mem_aligned(n * d, sizeof *trainer->features);
    trainer->mean = att_mem_calloc(d, sizeof *trainer->mean);
    trainer->folds = att_mem_calloc(n, sizeof *trainer->folds);
    trainer->skipped = att_mem_calloc(n, sizeof *trainer->skipped);
    trainer->theta = att_mem_calloc(c * (d + 1), sizeof *trainer->theta);
    trainer->unseen = att_mem_aligned(n * c, sizeof *trainer->unseen);
    if (!trainer->features || !trainer->mean || !trainer->folds || !trainer->skipped || !trainer->theta ||
        !trainer->unseen)
        return no_memory(err);
    centre(trainer);
    return make_folds(trainer, err);
}

static void trainer_finish(struct trainer *trainer)
{
    att_mem_free(trainer->features);
    att_mem_free(trainer->mean);
    att_mem_free(trainer->folds);
    att_mem_free(trainer->skipped);
    att_mem_free(trainer->theta);
    att_mem_free(trainer->unseen);
}

static struct att_fit_rows rows_of(const struct trainer *trainer)
{
    const struct task_examples *examples = trainer->examples;
    return (struct att_fit_rows){.n = examples->n,
                                 .n_features = examples->n_features,
                                 .n_labels = examples->n_labels,
                                 .features = trainer->features,
                                 .labels = examples->labels,
                                 .several = examples->several};
}

/* Skips what is out of scope, and the fold (n_folds: none). */
static void skip(struct trainer *trainer, size_t fold)
{
    for (size_t i = 0; i < trainer->examples->n; i++)
        trainer->skipped[i] = is_outside(trainer->examples, i) || trainer->folds[i] == fold;
}

static size_t theta_size(const struct trainer *trainer)
{
    return trainer->examples->n_labels * (trainer->examples->n_features + 1);
}

/* Keeps the logits of a fold's rows; out-of-scope rows have folds of their own kind. */
static void keep(struct trainer *trainer, size_t fold, const float *logits)
{
    size_t c = trainer->examples->n_labels;
    for (size_t i = 0; i < trainer->examples->n; i++)
        if (trainer->folds[i] == fold)
            memcpy(trainer->unseen + i * c, logits + i * c, c * sizeof *logits);
}

/* Mean loss of the first fold's rows at the temperature that suits them best. */
static double unseen_loss(const struct trainer *trainer, const struct att_fit_rows *rows, const float *logits,
                          int32_t *labels)
{
    size_t n = 0, c = rows->n_labels;
    float *own = trainer->unseen;
    unsigned char *several = (unsigned char *)labels;
    for (size_t i = 0; i < rows->n; i++) {
        if (trainer->folds[i] != 0 || is_outside(trainer->examples, i))
            continue;
        memcpy(own + n * c, logits + i * c, c * sizeof *own);
        if (rows->several)
            memcpy(several + n * c, rows->several + i * c, c);
        else
            labels[n] = rows->labels[i];
        n++;
    }
    const struct task_logits unseen = {own, n, c, labels, rows->several ? several : NULL};
    return task_log_loss(&unseen, task_temperature_fit(&unseen));
}

/* Tries the penalties, strong ones first and each from where the last ended, on the first fold. Of those that are as
 * good as the best the weakest is taken: strong ones are paid for by the rare labels, of which the loss says little. */
static enum att_status choose_penalty(struct trainer *trainer, double *ret_c, struct att_err *err)
{
    const struct att_fit_rows rows = rows_of(trainer);
    struct att_fit *fit = NULL;
    double best = INFINITY;
    int32_t *labels = att_mem_calloc(rows.n, rows.several && rows.n_labels > 4 ? rows.n_labels : sizeof *labels);
    enum att_status status = labels ? att_fit_create(&rows, &fit, err) : no_memory(err);
    skip(trainer, 0);
    for (size_t p = 0; status == ATT_OK && p < PENALTIES; p++) {
        const struct att_fit_options options = {penalties[p], trainer->skipped, STEPS, tolerance};
        const float *logits = NULL;
        status = att_fit_run(fit, &options, trainer->theta, err);
        if (status == ATT_OK)
            status = att_fit_logits(fit, trainer->theta, &logits, err);
        if (status != ATT_OK)
            break;
        double loss = unseen_loss(trainer, &rows, logits, labels);
        if (loss < best * (1 + as_good))
            *ret_c = penalties[p];
        best = loss < best ? loss : best;
    }
    att_fit_destroy(fit);
    att_mem_free(labels);
    return status;
}

/* Every fold by a head that has not seen it, then the head of all rows, which theta holds. */
static enum att_status fit_folds(struct trainer *trainer, double c, struct att_err *err)
{
    const struct att_fit_rows rows = rows_of(trainer);
    struct att_fit *fit = NULL;
    enum att_status status = att_fit_create(&rows, &fit, err);
    for (size_t fold = 0; status == ATT_OK && fold <= trainer->n_folds; fold++) {
        const struct att_fit_options options = {c, trainer->skipped, STEPS, tolerance};
        const float *logits = NULL;
        memset(trainer->theta, 0, theta_size(trainer) * sizeof *trainer->theta);
        skip(trainer, fold);
        status = att_fit_run(fit, &options, trainer->theta, err);
        if (status == ATT_OK && fold < trainer->n_folds)
            status = att_fit_logits(fit, trainer->theta, &logits, err);
        if (logits)
            keep(trainer, fold, logits);
    }
    att_fit_destroy(fit);
    return status;
}

/* ---- what unseen logits say ---- */

/* What att_head_in_scope asks of a head. */
static struct att_head_info scope_of(const struct trainer *trainer, const struct task_head *head)
{
    return (struct att_head_info){.n_labels = trainer->examples->n_labels,
                                  .scope_scale = (float)head->scope_scale,
                                  .scope_bias = (float)head->scope_bias};
}

/* The logarithm of the sum of the exponentials of the logits is small for texts that no label attracts, also where one
 * attracts more than the others and has the probability to itself (Liu et al. 2020). */
static void find_scope(const struct trainer *trainer, struct task_scored *scored, struct task_head *head)
{
    const struct task_examples *examples = trainer->examples;
    for (size_t i = 0; i < examples->n; i++) {
        double energy = att_log_sum_exp(examples->n_labels, trainer->unseen + i * examples->n_labels);
        scored[i] = (struct task_scored){energy, !is_outside(examples, i)};
    }
    task_scale_fit(scored, examples->n, &head->scope_scale, &head->scope_bias);
}

/* Predictions of all rows under the head's temperature. */
static void predict(const struct trainer *trainer, const struct task_head *head, struct task_prediction *predictions)
{
    const struct task_examples *examples = trainer->examples;
    const struct att_head_info scope = scope_of(trainer, head);
    for (size_t i = 0; i < examples->n; i++) {
        const float *logits = trainer->unseen + i * examples->n_labels;
        size_t best = 0;
        double sum = 0;
        for (size_t k = 1; k < examples->n_labels; k++)
            best = logits[k] > logits[best] ? k : best;
        for (size_t k = 0; k < examples->n_labels; k++)
            sum += exp(((double)logits[k] - (double)logits[best]) / head->temperature);
        predictions[i] =
            (struct task_prediction){is_outside(examples, i) ? TASK_LABEL_OUTSIDE : (size_t)examples->labels[i], best,
                                     1 / sum, 1 - (double)att_head_in_scope(&scope, logits)};
    }
}

/* The score below which the head does not answer: for the wanted precision, else where out-of-scope rows part best. */
static void find_abstention(const struct task_prediction *predictions, struct task_scored *scored, size_t n,
                            double precision, struct task_head *head)
{
    size_t outside = 0, inside = 0, right = 0, answered = 0;
    for (size_t i = 0; i < n; i++) {
        bool is_in = predictions[i].expected != TASK_LABEL_OUTSIDE;
        outside += !is_in;
        scored[i] = (struct task_scored){task_confidence(&predictions[i]),
                                         precision > 0 ? predictions[i].expected == predictions[i].predicted : is_in};
    }
    double share;
    if (precision > 0)
        head->abstains =
            task_threshold_precision(scored, n, precision, TASK_SEEN, &head->out_of_scope_threshold, &share);
    else if (outside > 0)
        head->out_of_scope_threshold = task_threshold_parting(scored, n);
    head->abstains = head->abstains || (precision <= 0 && outside > 0);
    if (!head->abstains)
        return;
    for (size_t i = 0; i < n; i++) {
        bool is_in = predictions[i].expected != TASK_LABEL_OUTSIDE;
        bool answers = task_confidence(&predictions[i]) >= head->out_of_scope_threshold;
        inside += is_in;
        answered += is_in && answers;
        right += is_in && answers && predictions[i].expected == predictions[i].predicted;
    }
    head->answered = inside ? (double)answered / (double)inside : 0;
    head->precision = answered ? (double)right / (double)answered : 0;
}

static enum att_status judge_single(struct trainer *trainer, struct task_head *head, struct att_err *err)
{
    const struct task_examples *examples = trainer->examples;
    size_t n = examples->n;
    const struct task_logits rows = {trainer->unseen, n, examples->n_labels, examples->labels, NULL};
    struct task_prediction *predictions = att_mem_calloc(n, sizeof *predictions);
    struct task_scored *scored = att_mem_calloc(n, sizeof *scored);
    struct task_quality quality;
    enum att_status status = predictions && scored ? ATT_OK : no_memory(err);
    if (status == ATT_OK) {
        head->temperature = task_temperature_fit(&rows);
        find_scope(trainer, scored, head);
        predict(trainer, head, predictions);
        find_abstention(predictions, scored, n, examples->precision, head);
        status = task_quality_measure(predictions, n, examples->n_labels, &quality, err);
    }
    if (status == ATT_OK)
        head->n_figures = task_quality_figures(&quality, head->figures);
    att_mem_free(predictions);
    att_mem_free(scored);
    return status;
}

/* Each label's threshold: where its F1 is largest, or where the wanted precision begins (never, when it is not
 * reached). */
static enum att_status judge_several(struct trainer *trainer, struct task_head *head, struct att_err *err)
{
    const struct task_examples *examples = trainer->examples;
    size_t n = examples->n, c = examples->n_labels;
    const struct task_logits rows = {trainer->unseen, n, c, NULL, examples->several};
    struct task_scored *scored = att_mem_calloc(n, sizeof *scored);
    unsigned char *predicted = att_mem_calloc(n, c);
    struct task_quality_several quality;
    double *thresholds = att_mem_calloc(c, sizeof *thresholds);
    head->thresholds = att_mem_calloc(c, sizeof *head->thresholds);
    enum att_status status = scored && predicted && thresholds && head->thresholds ? ATT_OK : no_memory(err);
    head->temperature = task_temperature_fit(&rows);
    for (size_t k = 0; status == ATT_OK && k < c; k++)
        thresholds[k] = 1;
    if (status == ATT_OK)
        task_thresholds_fit(&rows, head->temperature, examples->precision, TASK_SEEN, scored, thresholds);
    for (size_t k = 0; status == ATT_OK && k < c; k++) {
        head->thresholds[k] = (float)thresholds[k];
        for (size_t i = 0; i < n; i++)
            predicted[i * c + k] =
                1 / (1 + exp(-(double)trainer->unseen[i * c + k] / head->temperature)) >= thresholds[k];
    }
    if (status == ATT_OK)
        status = task_quality_several(examples->several, predicted, n, c, &quality, err);
    if (status == ATT_OK)
        head->n_figures = task_quality_several_figures(&quality, head->figures);
    att_mem_free(scored);
    att_mem_free(predicted);
    att_mem_free(thresholds);
    return status;
}

/* ---- the whole ---- */

/* theta is of centred vectors: w·(x - mean)/length + b = (w/length)·x + b - (w/length)·mean. */
static enum att_status take_head(const struct trainer *trainer, struct task_head *head, struct att_err *err)
{
    size_t c = trainer->examples->n_labels, d = trainer->examples->n_features;
    head->weight = att_mem_calloc(c * d, sizeof *head->weight);
    head->bias = att_mem_calloc(c, sizeof *head->bias);
    if (!head->weight || !head->bias)
        return no_memory(err);
    for (size_t k = 0; k < c; k++) {
        const double *row = trainer->theta + k * (d + 1);
        double bias = row[d];
        for (size_t j = 0; j < d; j++) {
            head->weight[k * d + j] = (float)(row[j] / trainer->length);
            bias -= row[j] / trainer->length * trainer->mean[j];
        }
        head->bias[k] = (float)bias;
    }
    return ATT_OK;
}

enum att_status task_head_train(const struct task_examples *examples, struct task_head *ret_head, struct att_err *err)
{
    struct trainer trainer;
    *ret_head = (struct task_head){.temperature = 1, .c = penalties[0]};
    enum att_status status = trainer_init(&trainer, examples, err);
    if (status == ATT_OK)
        status = choose_penalty(&trainer, &ret_head->c, err);
    if (status == ATT_OK)
        status = fit_folds(&trainer, ret_head->c, err);
    if (status == ATT_OK)
        status = examples->several ? judge_several(&trainer, ret_head, err) : judge_single(&trainer, ret_head, err);
    if (status == ATT_OK)
        status = take_head(&trainer, ret_head, err);
    ret_head->folds = trainer.n_folds;
    trainer_finish(&trainer);
    return status;
}

void task_head_finish(struct task_head *head)
{
    att_mem_free(head->weight);
    att_mem_free(head->bias);
    att_mem_free(head->thresholds);
    *head = (struct task_head){.weight = NULL};
}
