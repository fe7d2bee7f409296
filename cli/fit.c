/*
 * attend fit: the numbers of a classifier's heads that are no weights, from labelled
 * texts. Every other row of the file fits, the rest says how well: temperature, the
 * score below which the head abstains (of a multi-label head each label's threshold:
 * fit_several.h), and what its answers look like, which the daemon compares with
 * later ones (drift). They are written into attend.json; what else stands there stays.
 */
#include <math.h>
#include <string.h>

#include "cli/fit_several.h"
#include "cli/samples.h"
#include "store/folder.h"
#include "tasks/classify/calibrate.h"
#include "tasks/classify/quality.h"

enum { TEXTS_A_CALL = 64, CONFIDENCE_BINS = 10, DEPTH_MAX = 32, ROWS_MIN = 20, JSON_BYTES_MAX = 16 << 20 };

/* One head: logits of its rows, and what came of them. */
struct fitted {
    const struct att_head_info *head;
    float *logits;       /* [n][n_labels] */
    int32_t *labels;     /* [n], -1: out of scope; or, of a multi-label head, */
    unsigned char *sets; /* [n][n_labels] of 0 and 1 */
    size_t n;
    double temperature, threshold, answered;
    bool abstains, unsure;             /* unsure: no threshold keeps the wanted precision for sure */
    struct task_quality before, after; /* of the rows that did not fit */
    double right;                      /* of those that it answers */
    struct cli_fit_several several;    /* of a multi-label head, instead */
    size_t *counts;                    /* [n_labels + 1] answers of all rows; the last: it abstained */
    size_t bins[CONFIDENCE_BINS];
};

struct fit {
    const struct cli_options *options;
    struct fitted *heads;
    size_t n_heads;
};

static enum att_status no_memory(struct att_err *err)
{
    return att_err_set(err, ATT_ENOMEM, "out of memory");
}

/* ---- logits ---- */

/* The head's scores of one text, back in the order of its labels. */
static enum att_status take_logits(struct fitted *fitted, const struct att_json *scores,
                                   const struct cli_sample *sample, size_t expected, struct att_err *err)
{
    const struct att_head_info *head = fitted->head;
    float *row = fitted->logits + fitted->n * head->n_labels;
    for (size_t i = 0; i < att_json_count(scores); i++) {
        const struct att_json *one = att_json_at(scores, i);
        const char *label = att_json_string(att_json_get(one, "label"), NULL);
        size_t k = 0;
        while (label && k < head->n_labels && strcmp(head->labels[k], label) != 0)
            k++;
        if (k == head->n_labels)
            return att_err_set(err, ATT_EINTERNAL, "the answer has a label that the head has not");
        row[k] = (float)att_json_number(att_json_get(one, "logit"), 0);
    }
    memcpy(fitted->sets + fitted->n * head->n_labels, sample->several + head->logits_begin, head->n_labels);
    fitted->labels[fitted->n++] = expected == CLI_LABEL_OUTSIDE ? -1 : (int32_t)expected;
    return ATT_OK;
}

static enum att_status ask_all(struct fit *fit, const struct cli_env *env, const struct cli_samples *samples,
                               struct att_err *err)
{
    struct task_contexts *contexts = NULL;
    enum att_status status = task_contexts_create(&contexts, err);
    for (size_t begin = 0, end; status == ATT_OK && begin < samples->count; begin = end) {
        struct att_json *answer = NULL;
        end = samples->count - begin < TEXTS_A_CALL ? samples->count : begin + TEXTS_A_CALL;
        status = cli_samples_ask(env, contexts, samples, begin, end, &answer, err);
        for (size_t i = begin; status == ATT_OK && i < end; i++) {
            const struct att_json *heads = att_json_get(att_json_at(att_json_get(answer, "data"), i - begin), "heads");
            for (size_t h = 0; status == ATT_OK && h < fit->n_heads; h++) {
                struct fitted *one = &fit->heads[h];
                if (samples->items[i].labels[h] != CLI_LABEL_NONE)
                    status = take_logits(one, att_json_get(att_json_get(heads, one->head->name), "scores"),
                                         &samples->items[i], samples->items[i].labels[h], err);
            }
        }
        att_json_destroy(answer);
    }
    task_contexts_destroy(contexts);
    return status;
}

/* ---- fitting ---- */

/* The best label and its score, softmax or sigmoid. */
static struct task_prediction predict(const struct fitted *fitted, size_t i, double temperature)
{
    size_t n_labels = fitted->head->n_labels, best = 0;
    const float *logits = fitted->logits + i * n_labels;
    double sum = 0;
    for (size_t k = 1; k < n_labels; k++)
        best = logits[k] > logits[best] ? k : best;
    for (size_t k = 0; k < n_labels; k++)
        sum += exp(((double)logits[k] - (double)logits[best]) / temperature);
    if (fitted->head->multi_label)
        sum = 1 + exp(-(double)logits[best] / temperature);
    return (struct task_prediction){fitted->labels[i] < 0 ? TASK_LABEL_OUTSIDE : (size_t)fitted->labels[i], best,
                                    1 / sum, 1 - (double)att_head_in_scope(fitted->head, logits)};
}

/* Rows of one half: 0 fits, 1 judges. */
static size_t predict_half(const struct fitted *fitted, size_t half, double temperature,
                           struct task_prediction *predictions)
{
    size_t n = 0;
    for (size_t i = half; i < fitted->n; i += 2)
        predictions[n++] = predict(fitted, i, temperature);
    return n;
}

static double fit_temperature(const struct fitted *fitted, float *logits, int32_t *labels)
{
    size_t c = fitted->head->n_labels, n = 0;
    for (size_t i = 0; i < fitted->n; i += 2) {
        memcpy(logits + n * c, fitted->logits + i * c, c * sizeof *logits);
        labels[n++] = fitted->labels[i];
    }
    const struct task_logits rows = {logits, n, c, labels, NULL};
    return task_temperature_fit(&rows);
}

/* Where it abstains: for the wanted precision, if a threshold is sure of it, else where out-of-scope rows part best,
 * else as before. */
static void fit_threshold(struct fitted *fitted, const struct task_prediction *predictions, size_t n, double precision,
                          struct task_scored *scored)
{
    size_t outside = 0;
    double share;
    for (size_t i = 0; i < n; i++) {
        bool is_in = predictions[i].expected != TASK_LABEL_OUTSIDE;
        outside += !is_in;
        scored[i] = (struct task_scored){task_confidence(&predictions[i]),
                                         precision > 0 ? predictions[i].expected == predictions[i].predicted : is_in};
    }
    if (precision > 0) {
        fitted->abstains = task_threshold_precision(scored, n, precision, TASK_SURE, &fitted->threshold, &share);
        fitted->unsure = !fitted->abstains;
        fitted->threshold = floor(fitted->threshold * 1e6) / 1e6; /* the row on which it stands stays above */
    } else if (outside > 0) {
        fitted->abstains = true;
        fitted->threshold = task_threshold_parting(scored, n);
    }
}

static void judge_threshold(struct fitted *fitted, const struct task_prediction *predictions, size_t n)
{
    size_t answered = 0, right = 0;
    for (size_t i = 0; i < n; i++) {
        bool answers = task_confidence(&predictions[i]) >= fitted->threshold;
        answered += answers;
        right += answers && predictions[i].expected == predictions[i].predicted;
    }
    fitted->answered = n ? (double)answered / (double)n : NAN;
    fitted->right = answered ? (double)right / (double)answered : NAN;
}

/* What the head's answers look like, of all rows. */
static void take_reference(struct fitted *fitted)
{
    const struct att_head_info *head = fitted->head;
    double least = fitted->abstains           ? fitted->threshold
                   : head->out_of_scope_label ? (double)head->out_of_scope_threshold
                                              : 0;
    for (size_t i = 0; i < fitted->n; i++) {
        struct task_prediction one = predict(fitted, i, fitted->temperature);
        size_t bin = (size_t)(one.score * CONFIDENCE_BINS);
        fitted->counts[task_confidence(&one) < least ? head->n_labels : one.predicted]++;
        fitted->bins[bin < CONFIDENCE_BINS ? bin : CONFIDENCE_BINS - 1]++;
    }
}

static enum att_status fit_single(struct fitted *fitted, double precision, struct att_err *err)
{
    size_t n = fitted->n, c = fitted->head->n_labels;
    float *logits = att_mem_calloc(n * c, sizeof *logits);
    int32_t *labels = att_mem_calloc(n, sizeof *labels);
    struct task_prediction *predictions = att_mem_calloc(n, sizeof *predictions);
    struct task_scored *scored = att_mem_calloc(n, sizeof *scored);
    enum att_status status = logits && labels && predictions && scored ? ATT_OK : no_memory(err);
    if (status == ATT_OK) {
        fitted->temperature = fit_temperature(fitted, logits, labels);
        size_t half = predict_half(fitted, 0, fitted->temperature, predictions);
        fit_threshold(fitted, predictions, half, precision, scored);
        half = predict_half(fitted, 1, (double)fitted->head->temperature, predictions);
        status = task_quality_measure(predictions, half, c, &fitted->before, err);
    }
    if (status == ATT_OK) {
        size_t half = predict_half(fitted, 1, fitted->temperature, predictions);
        judge_threshold(fitted, predictions, half);
        status = task_quality_measure(predictions, half, c, &fitted->after, err);
    }
    att_mem_free(logits);
    att_mem_free(labels);
    att_mem_free(predictions);
    att_mem_free(scored);
    return status;
}

static enum att_status fit_head(struct fitted *fitted, double precision, struct att_err *err)
{
    enum att_status status = fitted->head->multi_label ? cli_fit_several(fitted->head, fitted->logits, fitted->sets,
                                                                         fitted->n, precision, &fitted->several, err)
                                                       : fit_single(fitted, precision, err);
    if (fitted->head->multi_label)
        fitted->temperature = fitted->several.temperature;
    if (status == ATT_OK)
        take_reference(fitted);
    return status;
}

/* ---- attend.json ---- */

static const char *const rewritten[] = {"temperature", "reference", "fitted"};

static bool is_rewritten(const struct fitted *fitted, const char *key)
{
    if (fitted->abstains && strcmp(key, "out_of_scope") == 0)
        return true;
    if (fitted->head->multi_label && strcmp(key, "threshold") == 0)
        return true;
    for (size_t i = 0; i < sizeof rewritten / sizeof *rewritten; i++)
        if (strcmp(rewritten[i], key) == 0)
            return true;
    return false;
}

static void put_reference(struct att_jsonw *w, const struct fitted *fitted)
{
    double n = (double)fitted->n;
    att_jsonw_key(w, "reference");
    att_jsonw_object_begin(w);
    att_jsonw_put_double(w, "rows", n, 6);
    att_jsonw_key(w, "labels");
    att_jsonw_array_begin(w);
    for (size_t k = 0; k <= fitted->head->n_labels; k++)
        att_jsonw_double(w, (double)fitted->counts[k] / n, 6);
    att_jsonw_array_end(w);
    att_jsonw_key(w, "confidence");
    att_jsonw_array_begin(w);
    for (size_t k = 0; k < CONFIDENCE_BINS; k++)
        att_jsonw_double(w, (double)fitted->bins[k] / n, 6);
    att_jsonw_array_end(w);
    att_jsonw_object_end(w);
}

static void put_fitted(struct att_jsonw *w, const struct fitted *fitted)
{
    struct task_figure figures[TASK_FIGURES_MAX];
    const struct task_interval *before = &fitted->before.ece;
    att_jsonw_object_begin(w);
    att_jsonw_put_double(w, "rows", (double)fitted->after.rows, 6);
    att_jsonw_put_double(w, "out_of_scope_rows", (double)fitted->after.outside, 6);
    att_jsonw_put_double(w, "ece_before", before->value, 6);
    task_figures_render(figures, task_quality_figures(&fitted->after, figures), w);
    if (fitted->abstains) {
        att_jsonw_put_double(w, "answered", fitted->answered, 6);
        att_jsonw_put_double(w, "precision", fitted->right, 6);
    }
    att_jsonw_object_end(w);
}

/* The members that were fitted, of the open object. */
static void put_calibration(struct att_jsonw *w, const struct fitted *fitted)
{
    att_jsonw_put_double(w, "temperature", fitted->temperature, 6);
    if (fitted->abstains) {
        const char *label = fitted->head->out_of_scope_label;
        att_jsonw_key(w, "out_of_scope");
        att_jsonw_object_begin(w);
        att_jsonw_put_text(w, "method", fitted->head->scope_scale > 0 ? "energy" : "max_probability");
        if (fitted->head->scope_scale > 0) {
            att_jsonw_put_double(w, "scale", (double)fitted->head->scope_scale, 6);
            att_jsonw_put_double(w, "bias", (double)fitted->head->scope_bias, 6);
        }
        att_jsonw_put_text(w, "label", label ? label : "out_of_scope");
        att_jsonw_put_double(w, "threshold", fitted->threshold, 6);
        att_jsonw_object_end(w);
    }
    put_reference(w, fitted);
    if (fitted->head->multi_label) {
        cli_fit_several_render(&fitted->several, fitted->head, w);
        return;
    }
    att_jsonw_key(w, "fitted");
    put_fitted(w, fitted);
}

/* An entry of heads, or of calibration, with what was fitted in the place of what stood there. */
static void put_entry(struct att_jsonw *w, const struct att_json *entry, const struct fitted *fitted)
{
    struct att_json_iter iter;
    const char *key;
    const struct att_json *value;
    att_jsonw_object_begin(w);
    att_json_iter_init(&iter, entry);
    while (att_json_iter_next(&iter, &key, &value)) {
        if (fitted->n > 0 && is_rewritten(fitted, key))
            continue;
        att_jsonw_key(w, key);
        att_jsonw_value(w, value);
    }
    if (fitted->n > 0)
        put_calibration(w, fitted);
    att_jsonw_object_end(w);
}

static void put_document(struct att_jsonw *w, const struct att_json *old, const struct fit *fit)
{
    struct att_json_iter iter;
    const char *key;
    const struct att_json *value, *heads = att_json_get(old, "heads");
    att_jsonw_object_begin(w);
    att_json_iter_init(&iter, old);
    while (att_json_iter_next(&iter, &key, &value)) {
        if (strcmp(key, "heads") == 0 || strcmp(key, "calibration") == 0)
            continue;
        att_jsonw_key(w, key);
        att_jsonw_value(w, value);
    }
    att_jsonw_key(w, heads ? "heads" : "calibration");
    if (heads)
        att_jsonw_array_begin(w);
    for (size_t h = 0; h < fit->n_heads; h++)
        put_entry(w, heads ? att_json_at(heads, h) : att_json_get(old, "calibration"), &fit->heads[h]);
    if (heads)
        att_jsonw_array_end(w);
    att_jsonw_object_end(w);
}

static enum att_status write_back(const struct fit *fit, const struct att_model_info *info, struct att_err *err)
{
    struct att_jsonw w;
    char path[4096], *bytes = NULL;
    size_t len = 0;
    if (snprintf(path, sizeof path, "%s/attend.json", info->dir) >= (int)sizeof path)
        return att_err_set(err, ATT_EINVAL, "%s: is too long", info->dir);
    att_jsonw_init(&w, JSON_BYTES_MAX);
    put_document(&w, info->attend_json, fit);
    enum att_status status = att_jsonw_take(&w, &bytes, &len, err);
    if (status == ATT_OK)
        status = store_file_replace(path, bytes, len, err);
    att_jsonw_finish(&w);
    att_mem_free(bytes);
    return status;
}

/* ---- the command ---- */

static void put_row(const char *name, const struct task_interval *interval)
{
    printf("  %-22s %.4f  [%.4f, %.4f]\n", name, interval->value, interval->low, interval->high);
}

static void put_report(const struct fitted *fitted)
{
    printf("%s: %zu rows fit, %zu judge\n", fitted->head->name, (fitted->n + 1) / 2, fitted->n / 2);
    if (fitted->head->multi_label) {
        cli_fit_several_print(&fitted->several, fitted->head);
        return;
    }
    printf("  %-22s %.4f (was %.4f)\n", "temperature", fitted->temperature, (double)fitted->head->temperature);
    put_row("accuracy", &fitted->after.accuracy);
    put_row("macro_f1", &fitted->after.macro_f1);
    put_row("ece before", &fitted->before.ece);
    put_row("ece", &fitted->after.ece);
    if (fitted->after.outside > 0)
        put_row("auroc", &fitted->after.auroc);
    if (fitted->abstains)
        printf("  %-22s %.4f: answers %.1f %%, of which %.1f %% are right\n", "abstains below", fitted->threshold,
               100 * fitted->answered, 100 * fitted->right);
    if (fitted->unsure)
        printf("  %-22s as before: no score is sure of the wanted precision\n", "abstains");
}

static enum att_status run(const struct cli_env *env, const struct cli_options *options, struct att_err *err)
{
    const struct att_model_info *info = att_model_info(cli_env_model(env)->model);
    struct cli_samples samples = {.items = NULL};
    struct fit fit = {.options = options, .n_heads = info->n_head_infos};
    if (info->n_head_infos == 0)
        return att_err_set(err, ATT_EUNSUPPORTED, "%s: has no classification head", options->model);
    fit.heads = att_mem_calloc(fit.n_heads, sizeof *fit.heads);
    enum att_status status = fit.heads ? cli_samples_read(options, info, &samples, err) : no_memory(err);
    for (size_t h = 0; status == ATT_OK && h < fit.n_heads; h++) {
        struct fitted *one = &fit.heads[h];
        one->head = &info->heads[h];
        one->logits = att_mem_calloc(samples.count * one->head->n_labels, sizeof *one->logits);
        one->labels = att_mem_calloc(samples.count, sizeof *one->labels);
        one->sets = att_mem_calloc(samples.count, one->head->n_labels);
        one->counts = att_mem_calloc(one->head->n_labels + 1, sizeof *one->counts);
        status = one->logits && one->labels && one->sets && one->counts ? ATT_OK : no_memory(err);
    }
    if (status == ATT_OK)
        status = ask_all(&fit, env, &samples, err);
    for (size_t h = 0; status == ATT_OK && h < fit.n_heads; h++) {
        if (fit.heads[h].n > 0 && fit.heads[h].n < ROWS_MIN)
            status = att_err_set(err, ATT_EFORMAT, "%s: %zu rows of head '%s', expected at least %d", options->data,
                                 fit.heads[h].n, fit.heads[h].head->name, ROWS_MIN);
        else if (fit.heads[h].n > 0)
            status = fit_head(&fit.heads[h], options->precision, err);
    }
    if (status == ATT_OK)
        status = write_back(&fit, info, err);
    for (size_t h = 0; fit.heads && h < fit.n_heads; h++) {
        if (status == ATT_OK && fit.heads[h].n > 0)
            put_report(&fit.heads[h]);
        att_mem_free(fit.heads[h].logits);
        att_mem_free(fit.heads[h].labels);
        att_mem_free(fit.heads[h].sets);
        cli_fit_several_finish(&fit.heads[h].several);
        att_mem_free(fit.heads[h].counts);
    }
    att_mem_free(fit.heads);
    cli_samples_finish(&samples);
    return status;
}

static const char about[] =
    "usage: attend fit --model DIR --data FILE [--precision .95]\n\n"
    "Fits the temperature of each head, and where it abstains: where the wanted precision is sure (95 %), or where "
    "the\n"
    "rows of --outside LABEL part best; of multi-label heads each label's threshold, for the wanted precision, else "
    "for\n"
    "F1. Every other row fits, the others judge; the outcome goes into DIR/attend.json, beside what stands there.\n"
    "Data: lines {\"text\",\"labels\":{HEAD:LABEL}} or {\"text\",\"label\"}, of multi-label heads\n"
    "{\"text\",\"labels\":[LABEL,…]} or {HEAD:[LABEL,…]}, or a .tsv file with a header line label<TAB>text.\n";

int cli_fit(int argc, char **argv)
{
    return cli_env_run(argc, argv, "model base dtype data head map outside precision", about, run);
}
