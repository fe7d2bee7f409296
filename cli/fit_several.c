/* Fitting a multi-label head; see fit_several.h. */
#include "cli/fit_several.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tasks/classify/calibrate.h"

/* One half of the rows. */
struct half {
    float *logits;
    unsigned char *several, *predicted;
    struct task_scored *scored;
    size_t n;
};

static enum att_status half_init(struct half *half, size_t n, size_t n_labels, struct att_err *err)
{
    *half = (struct half){.logits = att_mem_calloc(n * n_labels, sizeof *half->logits),
                          .several = att_mem_calloc(n, n_labels),
                          .predicted = att_mem_calloc(n, n_labels),
                          .scored = att_mem_calloc(n, sizeof *half->scored)};
    return half->logits && half->several && half->predicted && half->scored
               ? ATT_OK
               : att_err_set(err, ATT_ENOMEM, "out of memory");
}

static void half_finish(struct half *half)
{
    att_mem_free(half->logits);
    att_mem_free(half->several);
    att_mem_free(half->predicted);
    att_mem_free(half->scored);
}

static void half_take(struct half *half, size_t which, const float *logits, const unsigned char *several, size_t n,
                      size_t n_labels)
{
    half->n = 0;
    for (size_t i = which; i < n; i += 2) {
        size_t to = half->n++ * n_labels;
        memcpy(half->logits + to, logits + i * n_labels, n_labels * sizeof *logits);
        memcpy(half->several + to, several + i * n_labels, n_labels);
    }
}

static void half_predict(struct half *half, size_t n_labels, double temperature, const double *thresholds)
{
    for (size_t i = 0; i < half->n * n_labels; i++)
        half->predicted[i] = 1 / (1 + exp(-(double)half->logits[i] / temperature)) >= thresholds[i % n_labels];
}

/* The threshold that parts the same logits under another temperature. */
static double carried(double threshold, double from, double to)
{
    if (threshold <= 0 || threshold >= 1)
        return threshold;
    return 1 / (1 + exp(-log(threshold / (1 - threshold)) * from / to));
}

static void fit_thresholds(struct cli_fit_several *fit, const struct att_head_info *head,
                           const struct task_logits *rows, double precision, struct task_scored *space)
{
    for (size_t k = 0; k < head->n_labels; k++)
        fit->thresholds[k] = NAN;
    fit->temperature = task_temperature_fit(rows);
    task_thresholds_fit(rows, fit->temperature, precision, TASK_SURE, space, fit->thresholds);
    for (size_t k = 0; k < head->n_labels; k++) {
        fit->kept[k] = isnan(fit->thresholds[k]);
        if (fit->kept[k])
            fit->thresholds[k] = carried((double)head->thresholds[k], (double)head->temperature, fit->temperature);
        else /* as it will be written; the row on which it stands stays above */
            fit->thresholds[k] = floor(fit->thresholds[k] * 1e6) / 1e6;
    }
}

static enum att_status judge(struct cli_fit_several *fit, const struct att_head_info *head, struct half *half,
                             struct att_err *err)
{
    size_t c = head->n_labels;
    double *old = att_mem_calloc(c, sizeof *old);
    if (!old)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    for (size_t k = 0; k < c; k++)
        old[k] = (double)head->thresholds[k];
    half_predict(half, c, (double)head->temperature, old);
    enum att_status status = task_quality_several(half->several, half->predicted, half->n, c, &fit->before, err);
    if (status == ATT_OK) {
        half_predict(half, c, fit->temperature, fit->thresholds);
        task_labels_count(half->several, half->predicted, half->n, c, fit->counts);
        status = task_quality_several(half->several, half->predicted, half->n, c, &fit->after, err);
    }
    fit->rows = half->n;
    att_mem_free(old);
    return status;
}

enum att_status cli_fit_several(const struct att_head_info *head, const float *logits, const unsigned char *several,
                                size_t n, double precision, struct cli_fit_several *ret, struct att_err *err)
{
    size_t c = head->n_labels;
    struct half half;
    *ret = (struct cli_fit_several){.thresholds = att_mem_calloc(c, sizeof *ret->thresholds),
                                    .kept = att_mem_calloc(c, sizeof *ret->kept),
                                    .counts = att_mem_calloc(c, sizeof *ret->counts)};
    enum att_status status = half_init(&half, n, c, err);
    if (status == ATT_OK && (!ret->thresholds || !ret->kept || !ret->counts))
        status = att_err_set(err, ATT_ENOMEM, "out of memory");
    if (status == ATT_OK) {
        half_take(&half, 0, logits, several, n, c);
        const struct task_logits rows = {half.logits, half.n, c, NULL, half.several};
        fit_thresholds(ret, head, &rows, precision, half.scored);
        half_take(&half, 1, logits, several, n, c);
        status = judge(ret, head, &half, err);
    }
    half_finish(&half);
    return status;
}

void cli_fit_several_render(const struct cli_fit_several *fit, const struct att_head_info *head, struct att_jsonw *w)
{
    struct task_figure figures[TASK_FIGURES_MAX];
    att_jsonw_key(w, "threshold");
    att_jsonw_object_begin(w);
    for (size_t k = 0; k < head->n_labels; k++)
        att_jsonw_put_double(w, head->labels[k], fit->thresholds[k], 9);
    att_jsonw_object_end(w);
    att_jsonw_key(w, "fitted");
    att_jsonw_object_begin(w);
    att_jsonw_put_size(w, "rows", fit->rows);
    att_jsonw_put_double(w, "micro_f1_before", fit->before.micro_f1.value, 5);
    task_figures_render(figures, task_quality_several_figures(&fit->after, figures), w);
    task_labels_render(head->labels, fit->counts, head->n_labels, w);
    att_jsonw_object_end(w);
}

static void print_row(const char *name, const struct task_interval *after, const struct task_interval *before)
{
    printf("  %-22s %.4f  [%.4f, %.4f] (was %.4f)\n", name, after->value, after->low, after->high, before->value);
}

void cli_fit_several_print(const struct cli_fit_several *fit, const struct att_head_info *head)
{
    printf("  %-22s %.4f (was %.4f)\n", "temperature", fit->temperature, (double)head->temperature);
    print_row("micro_f1", &fit->after.micro_f1, &fit->before.micro_f1);
    print_row("macro_f1", &fit->after.macro_f1, &fit->before.macro_f1);
    print_row("exact", &fit->after.exact, &fit->before.exact);
    for (size_t k = 0; k < head->n_labels; k++)
        printf("  %-22s from %.4f (was %.4f)%s: %zu expected, %zu given, %zu of them right\n", head->labels[k],
               fit->thresholds[k], (double)head->thresholds[k], fit->kept[k] ? ", not sure of the precision, kept" : "",
               fit->counts[k].expected, fit->counts[k].predicted, fit->counts[k].right);
}

void cli_fit_several_finish(struct cli_fit_several *fit)
{
    att_mem_free(fit->thresholds);
    att_mem_free(fit->kept);
    att_mem_free(fit->counts);
}
