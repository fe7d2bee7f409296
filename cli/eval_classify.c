/*
 * attend eval --task classify: accuracy, macro-F1 and calibration of each head,
 * and for heads with an out-of-scope label how well they know what they do not
 * know; for multi-label heads F1 over all labels and of each. The texts go through
 * the task as requests do, windows and thresholds included.
 */
#include <math.h>
#include <string.h>

#include "cli/samples.h"
#include "tasks/classify/quality.h"

enum { TEXTS_A_CALL = 64 };

struct figures {
    const struct att_head_info *head;
    struct task_prediction *predictions; /* [n_samples] */
    unsigned char *expected, *predicted; /* of a multi-label head [n_samples][n_labels] of 0 and 1 */
    size_t n, outside;                   /* of all, out of scope */
    struct task_label_count *counts;     /* [n_labels] */
    size_t answered_inside, answered_right, abstained_outside;
};

static size_t label_number(const struct att_head_info *head, const char *label)
{
    size_t k = 0;
    while (label && k + 1 < head->n_labels && strcmp(head->labels[k], label) != 0)
        k++;
    return k;
}

/* One text's answer of one head among its figures. */
static void count(struct figures *figures, const struct att_json *answer, size_t expected)
{
    const struct att_json *best = att_json_at(att_json_get(answer, "scores"), 0);
    bool abstained = att_json_bool(att_json_get(answer, "abstained"), false);
    size_t predicted = label_number(figures->head, att_json_string(att_json_get(best, "label"), NULL));
    figures->predictions[figures->n++] =
        (struct task_prediction){.expected = expected,
                                 .predicted = predicted,
                                 .score = att_json_number(att_json_get(best, "score"), 0),
                                 .outside = 1 - att_json_number(att_json_get(answer, "in_scope"), 1)};
    if (expected == CLI_LABEL_OUTSIDE) {
        figures->outside++;
        figures->abstained_outside += abstained;
    } else if (!abstained) {
        figures->answered_inside++;
        figures->answered_right += predicted == expected;
    }
}

static void count_several(struct figures *figures, const struct att_json *answer, const unsigned char *several)
{
    const struct att_head_info *head = figures->head;
    const struct att_json *labels = att_json_get(answer, "labels");
    size_t row = figures->n++ * head->n_labels;
    memcpy(figures->expected + row, several + head->logits_begin, head->n_labels);
    for (size_t i = 0; i < att_json_count(labels); i++)
        figures->predicted[row + label_number(head, att_json_string(att_json_at(labels, i), NULL))] = 1;
}

static void count_sample(struct figures *figures, size_t n_heads, const struct cli_sample *sample,
                         const struct att_json *answers)
{
    for (size_t h = 0; h < n_heads; h++) {
        const struct att_json *answer = att_json_get(answers, figures[h].head->name);
        if (sample->labels[h] == CLI_LABEL_NONE)
            continue;
        if (figures[h].head->multi_label)
            count_several(&figures[h], answer, sample->several);
        else
            count(&figures[h], answer, sample->labels[h]);
    }
}

static enum att_status predict(const struct cli_env *env, const struct cli_samples *samples, struct figures *figures,
                               size_t n_heads, struct att_err *err)
{
    struct task_contexts *contexts = NULL;
    enum att_status status = task_contexts_create(&contexts, err);
    for (size_t begin = 0, end; status == ATT_OK && begin < samples->count; begin = end) {
        struct att_json *answer = NULL;
        end = samples->count - begin < TEXTS_A_CALL ? samples->count : begin + TEXTS_A_CALL;
        status = cli_samples_ask(env, contexts, samples, begin, end, &answer, err);
        for (size_t i = begin; status == ATT_OK && i < end; i++)
            count_sample(figures, n_heads, &samples->items[i],
                         att_json_get(att_json_at(att_json_get(answer, "data"), i - begin), "heads"));
        att_json_destroy(answer);
    }
    task_contexts_destroy(contexts);
    return status;
}

/* ---- the report ---- */

enum { FIGURES_MAX = 10 };

static double share(size_t part, size_t whole)
{
    return whole ? (double)part / (double)whole : NAN;
}

static struct task_interval plain(double value)
{
    return (struct task_interval){value, NAN, NAN};
}

static enum att_status measure_several(const struct figures *head, struct task_figure figures[FIGURES_MAX],
                                       size_t *ret_count, struct att_err *err)
{
    struct task_quality_several quality;
    enum att_status status =
        task_quality_several(head->expected, head->predicted, head->n, head->head->n_labels, &quality, err);
    if (status != ATT_OK)
        return status;
    figures[0] = (struct task_figure){"rows", plain((double)head->n)};
    *ret_count = 1 + task_quality_several_figures(&quality, figures + 1);
    return ATT_OK;
}

static enum att_status measure_single(struct figures *head, struct task_figure figures[FIGURES_MAX], size_t *ret_count,
                                      struct att_err *err)
{
    struct task_quality quality;
    enum att_status status = task_quality_measure(head->predictions, head->n, head->head->n_labels, &quality, err);
    if (status != ATT_OK)
        return status;
    const struct task_figure rows[FIGURES_MAX] = {
        {"rows", plain((double)quality.rows)},
        {"accuracy", quality.accuracy},
        {"macro_f1", quality.macro_f1},
        {"ece", quality.ece},
        {"out_of_scope_rows", plain((double)quality.outside)},
        {"auroc", quality.auroc},
        {"recall", plain(share(head->abstained_outside, head->outside))},
        {"in_scope_answered", plain(share(head->answered_inside, quality.rows))},
        {"accuracy_of_answered", plain(share(head->answered_right, head->answered_inside))},
        {"in_scope_accuracy_with_abstention", plain(share(head->answered_right, quality.rows))},
    };
    memcpy(figures, rows, sizeof rows);
    *ret_count = head->outside > 0 ? FIGURES_MAX : 4;
    return ATT_OK;
}

static enum att_status measure(struct figures *head, struct task_figure figures[FIGURES_MAX], size_t *ret_count,
                               struct att_err *err)
{
    return head->head->multi_label ? measure_several(head, figures, ret_count, err)
                                   : measure_single(head, figures, ret_count, err);
}

static enum att_status put_json(struct figures *heads, size_t n_heads, struct att_err *err)
{
    struct task_figure figures[FIGURES_MAX];
    struct att_jsonw w;
    size_t n = 0;
    enum att_status status = ATT_OK;
    att_jsonw_init(&w, SIZE_MAX);
    att_jsonw_object_begin(&w);
    for (size_t h = 0; status == ATT_OK && h < n_heads; h++) {
        if (heads[h].n == 0)
            continue;
        status = measure(&heads[h], figures, &n, err);
        att_jsonw_key(&w, heads[h].head->name);
        att_jsonw_object_begin(&w);
        if (status == ATT_OK)
            task_figures_render(figures, n, &w);
        if (status == ATT_OK && heads[h].head->multi_label) {
            task_labels_count(heads[h].expected, heads[h].predicted, heads[h].n, heads[h].head->n_labels,
                              heads[h].counts);
            task_labels_render(heads[h].head->labels, heads[h].counts, heads[h].head->n_labels, &w);
        }
        att_jsonw_object_end(&w);
    }
    att_jsonw_object_end(&w);
    if (status == ATT_OK)
        status = cli_json_print(&w, err);
    att_jsonw_finish(&w);
    return status;
}

static void put_row(const struct task_figure *figure)
{
    const struct task_interval *interval = &figure->interval;
    printf("  %-34s %.*f", figure->name, strstr(figure->name, "rows") ? 0 : 4, interval->value);
    if (!isnan(interval->low))
        printf("  [%.4f, %.4f]", interval->low, interval->high);
    putchar('\n');
}

static void put_labels(struct figures *figures)
{
    const struct att_head_info *head = figures->head;
    task_labels_count(figures->expected, figures->predicted, figures->n, head->n_labels, figures->counts);
    for (size_t k = 0; k < head->n_labels; k++)
        printf("  %-34s %.4f  %zu expected, %zu given, %zu of them right\n", head->labels[k],
               task_label_f1(&figures->counts[k]), figures->counts[k].expected, figures->counts[k].predicted,
               figures->counts[k].right);
}

static enum att_status put_table(struct figures *heads, size_t n_heads, struct att_err *err)
{
    struct task_figure figures[FIGURES_MAX];
    size_t n = 0;
    for (size_t h = 0; h < n_heads; h++) {
        if (heads[h].n == 0)
            continue;
        enum att_status status = measure(&heads[h], figures, &n, err);
        if (status != ATT_OK)
            return status;
        puts(heads[h].head->name);
        for (size_t i = 0; i < n; i++)
            put_row(&figures[i]);
        if (heads[h].head->multi_label)
            put_labels(&heads[h]);
    }
    return ATT_OK;
}

static enum att_status make_room(struct figures *figures, size_t n, struct att_err *err)
{
    size_t n_labels = figures->head->n_labels;
    if (!figures->head->multi_label) {
        figures->predictions = att_mem_calloc(n, sizeof *figures->predictions);
        return figures->predictions ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory");
    }
    figures->expected = att_mem_calloc(n, n_labels);
    figures->predicted = att_mem_calloc(n, n_labels);
    figures->counts = att_mem_calloc(n_labels, sizeof *figures->counts);
    return figures->expected && figures->predicted && figures->counts ? ATT_OK
                                                                      : att_err_set(err, ATT_ENOMEM, "out of memory");
}

static void figures_finish(struct figures *figures)
{
    att_mem_free(figures->predictions);
    att_mem_free(figures->expected);
    att_mem_free(figures->predicted);
    att_mem_free(figures->counts);
}

static enum att_status run(const struct cli_env *env, const struct cli_options *options, struct att_err *err)
{
    const struct att_model_info *info = att_model_info(cli_env_model(env)->model);
    struct cli_samples samples = {.items = NULL};
    if (info->n_head_infos == 0)
        return att_err_set(err, ATT_EUNSUPPORTED, "%s: has no classification head", options->model);
    struct figures *heads = att_mem_calloc(info->n_head_infos, sizeof *heads);
    enum att_status status =
        heads ? cli_samples_read(options, info, &samples, err) : att_err_set(err, ATT_ENOMEM, "out of memory");
    for (size_t h = 0; status == ATT_OK && h < info->n_head_infos; h++) {
        heads[h].head = &info->heads[h];
        status = make_room(&heads[h], samples.count, err);
    }
    if (status == ATT_OK)
        status = predict(env, &samples, heads, info->n_head_infos, err);
    if (status == ATT_OK)
        status = (options->json ? put_json : put_table)(heads, info->n_head_infos, err);
    for (size_t h = 0; heads && h < info->n_head_infos; h++)
        figures_finish(&heads[h]);
    att_mem_free(heads);
    cli_samples_finish(&samples);
    return status;
}

static const char about[] =
    "usage: attend eval --task classify --model DIR --data FILE\n\n"
    "Accuracy, macro-F1, calibration error and, where the data has out-of-scope texts, AUROC and abstention\n"
    "of each head, with 95 % intervals (bootstrap); of multi-label heads micro-F1, macro-F1 and the counts of each\n"
    "label. Data: lines {\"text\",\"labels\":{HEAD:LABEL}} or {\"text\",\"label\"}, of multi-label heads\n"
    "{\"text\",\"labels\":[LABEL,…]} or {HEAD:[LABEL,…]}, or a .tsv file with a header line label<TAB>text.\n";

int cli_eval_classify(int argc, char **argv)
{
    return cli_env_run(argc, argv, "model base dtype task data head map json", about, run);
}
