/*
 * POST /v1/eval: labelled examples through one head of a model, and how well it did:
 * figures with intervals, what it mixed up, and what abstaining would change.
 * The examples go the way of /v1/classify, behind everybody who waits for an answer.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/classify/quality.h"
#include "tasks/window.h"

enum { PATH_BYTES = 64, CONFUSIONS_MAX = 10 };

struct evaluate {
    const struct task_model *model;
    const struct att_head_info *head;
    struct task_windows *windows; /* [n] */
    size_t n;
    size_t *expected;             /* [n]; or */
    unsigned char *expected_sets; /* [n][n_labels] of a multi-label head */
    struct task_windows_options options;
};

static const char *const fields[] = {"model",    "head",        "examples", "windows",
                                     "truncate", "deadline_ms", "priority", NULL};

static enum att_status parse_head(struct evaluate *evaluate, const struct att_json *body, struct att_err *err)
{
    const struct att_model_info *info = att_model_info(evaluate->model->model);
    const char *name = NULL;
    enum att_status status = task_field_string(body, "", "head", &name, NULL, err);
    if (status != ATT_OK)
        return status;
    if (info->n_head_infos == 0)
        return att_err_param(err, ATT_EINVAL, "model", "model: \"%s\" has no classification head; see /v1/models",
                             evaluate->model->name);
    for (size_t i = 0; i < info->n_head_infos; i++)
        if (!name || strcmp(info->heads[i].name, name) == 0) {
            evaluate->head = &info->heads[i];
            return ATT_OK;
        }
    return att_err_param(err, ATT_EINVAL, "head", "head: \"%.40s\" is no head of model \"%s\"", name,
                         evaluate->model->name);
}

static enum att_status find_label(const struct att_head_info *head, const struct att_json *value, const char *path,
                                  size_t *ret_label, struct att_err *err)
{
    const char *label = att_json_string(value, NULL);
    for (size_t k = 0; label && k < head->n_labels; k++)
        if (strcmp(head->labels[k], label) == 0) {
            *ret_label = k;
            return ATT_OK;
        }
    return att_err_param(err, ATT_EINVAL, path, "%s: \"%.60s\" is no label of head \"%s\"", path,
                         label ? label : att_json_type_name(value), head->name);
}

/* label: of the head, or null (or the head's own word for it) for a text that is none of them. labels: an array. */
static enum att_status parse_expected(struct evaluate *evaluate, const struct att_json *value, size_t i,
                                      struct att_err *err)
{
    const struct att_head_info *head = evaluate->head;
    const struct att_json *label = att_json_get(value, head->multi_label ? "labels" : "label");
    const char *text = att_json_string(label, NULL);
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "examples[%zu].%s", i, head->multi_label ? "labels" : "label");
    if (!label || (head->multi_label && !att_json_is_array(label)))
        return att_err_param(err, ATT_EINVAL, path, "%s: is %s, expected %s", path,
                             label ? att_json_type_name(label) : "missing",
                             head->multi_label ? "an array of labels" : "a label, or null for none of them");
    if (head->multi_label) {
        for (size_t k = 0; k < att_json_count(label); k++) {
            size_t found = 0;
            enum att_status status = find_label(head, att_json_at(label, k), path, &found, err);
            if (status != ATT_OK)
                return status;
            evaluate->expected_sets[i * head->n_labels + found] = 1;
        }
        return ATT_OK;
    }
    evaluate->expected[i] = TASK_LABEL_OUTSIDE;
    if (att_json_type(label) == ATT_JSON_NULL ||
        (text && head->out_of_scope_label && strcmp(text, head->out_of_scope_label) == 0))
        return ATT_OK;
    return find_label(head, label, path, &evaluate->expected[i], err);
}

static enum att_status parse_example(struct task_call *call, struct evaluate *evaluate, const struct att_json *value,
                                     size_t i, struct att_err *err)
{
    static const char *const one[] = {"text", "text_pair", "label", NULL}, *const many[] = {"text", "text_pair",
                                                                                            "labels", NULL};
    char path[PATH_BYTES], pair_path[PATH_BYTES];
    const char *text = NULL, *pair = NULL;
    size_t len = 0, pair_len = 0;
    snprintf(path, sizeof path, "examples[%zu]", i);
    enum att_status status = task_fields_known(value, path, evaluate->head->multi_label ? many : one, err);
    snprintf(path, sizeof path, "examples[%zu].text", i);
    snprintf(pair_path, sizeof pair_path, "examples[%zu].text_pair", i);
    const struct att_json *second = att_json_get(value, "text_pair");
    if (status == ATT_OK)
        status = task_field_text(call, att_json_get(value, "text"), path, &text, &len, err);
    if (status == ATT_OK && att_json_type(second) != ATT_JSON_NULL)
        status = task_field_text(call, second, pair_path, &pair, &pair_len, err);
    if (status == ATT_OK)
        status = parse_expected(evaluate, value, i, err);
    if (status == ATT_OK)
        status = task_windows_plan(call, evaluate->model, &evaluate->options, text, len, pair, pair_len, path,
                                   &evaluate->windows[i], err);
    return status;
}

static enum att_status parse_examples(struct task_call *call, struct evaluate *evaluate,
                                      const struct att_json *examples, struct att_err *err)
{
    size_t n = 0, c = evaluate->head->n_labels;
    enum att_status status =
        task_field_array(examples, "examples", "labelled texts", true, call->env->limits.items_max, &n, err);
    if (status != ATT_OK)
        return status;
    evaluate->n = n;
    evaluate->windows = task_alloc(call, n, sizeof *evaluate->windows, err);
    evaluate->expected = evaluate->windows ? task_alloc(call, n, sizeof *evaluate->expected, err) : NULL;
    evaluate->expected_sets =
        evaluate->expected ? task_alloc(call, evaluate->head->multi_label ? n * c : 1, 1, err) : NULL;
    if (!evaluate->expected_sets)
        return err->status;
    for (size_t i = 0; status == ATT_OK && i < n; i++)
        status = parse_example(call, evaluate, att_json_at(examples, i), i, err);
    return status;
}

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct evaluate *evaluate = task_alloc(call, 1, sizeof *evaluate, err);
    if (!evaluate)
        return err->status;
    call->state = evaluate;
    evaluate->options.logits = true;
    enum att_status status = task_fields_known(body, "", fields, err);
    if (status == ATT_OK)
        status = task_field_common(call, body, err);
    if (att_json_type(att_json_get(body, "priority")) == ATT_JSON_NULL)
        call->bulk = true;
    if (status == ATT_OK)
        status = task_field_model(call, body, "classify", &evaluate->model, err);
    if (status == ATT_OK)
        status = parse_head(evaluate, body, err);
    if (status == ATT_OK)
        status = task_windows_parse(body, &evaluate->options, err);
    if (status == ATT_OK)
        status = parse_examples(call, evaluate, att_json_get(body, "examples"), err);
    if (status == ATT_OK)
        status = task_windows_jobs(call, &evaluate->options, evaluate->windows, evaluate->n, err);
    return status;
}

/* ---- the answer ---- */

/* The head's logits of one example. */
static const float *logits_of(const struct task_call *call, const struct evaluate *evaluate, size_t i, float *all)
{
    task_windows_logits(call, &evaluate->windows[i], evaluate->options.aggregate,
                        att_model_info(evaluate->model->model)->n_logits, all);
    return all + evaluate->head->logits_begin;
}

struct confusion {
    size_t expected, predicted, count;
};

static int by_count(const void *a, const void *b)
{
    const struct confusion *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    if (x->expected != y->expected)
        return x->expected < y->expected ? -1 : 1;
    return x->predicted < y->predicted ? -1 : x->predicted > y->predicted;
}

static int by_pair(const void *a, const void *b)
{
    const struct task_prediction *x = a, *y = b;
    if (x->expected != y->expected)
        return x->expected < y->expected ? -1 : 1;
    return x->predicted < y->predicted ? -1 : x->predicted > y->predicted;
}

/* The pairs of labels that were taken for each other most often. Sorts the predictions. */
static enum att_status put_confusions(struct task_call *call, const struct evaluate *evaluate,
                                      struct task_prediction *predictions, struct att_jsonw *answer,
                                      struct att_err *err)
{
    struct confusion *found = task_alloc(call, evaluate->n, sizeof *found, err);
    size_t n = 0;
    if (!found)
        return err->status;
    qsort(predictions, evaluate->n, sizeof *predictions, by_pair);
    for (size_t i = 0; i < evaluate->n; i++) {
        const struct task_prediction *one = &predictions[i];
        if (one->expected == TASK_LABEL_OUTSIDE || one->expected == one->predicted)
            continue;
        if (n == 0 || found[n - 1].expected != one->expected || found[n - 1].predicted != one->predicted)
            found[n++] = (struct confusion){one->expected, one->predicted, 0};
        found[n - 1].count++;
    }
    qsort(found, n, sizeof *found, by_count);
    att_jsonw_key(answer, "confusions");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < n && i < CONFUSIONS_MAX; i++) {
        att_jsonw_object_begin(answer);
        att_jsonw_put_text(answer, "expected", evaluate->head->labels[found[i].expected]);
        att_jsonw_put_text(answer, "predicted", evaluate->head->labels[found[i].predicted]);
        att_jsonw_put_size(answer, "count", found[i].count);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
    return ATT_OK;
}

/* How much the head answers, and how much of that is right, where it abstains. */
static void put_abstention(const struct evaluate *evaluate, const struct task_prediction *predictions,
                           struct att_jsonw *answer)
{
    size_t inside = 0, answered = 0, right = 0;
    if (!evaluate->head->out_of_scope_label)
        return;
    for (size_t i = 0; i < evaluate->n; i++) {
        bool is_in = predictions[i].expected != TASK_LABEL_OUTSIDE;
        bool answers = task_confidence(&predictions[i]) >= (double)evaluate->head->out_of_scope_threshold;
        inside += is_in;
        answered += is_in && answers;
        right += is_in && answers && predictions[i].expected == predictions[i].predicted;
    }
    att_jsonw_put_double(answer, "answered", inside ? (double)answered / (double)inside : NAN, 5);
    att_jsonw_put_double(answer, "accuracy_of_answered", answered ? (double)right / (double)answered : NAN, 5);
}

static enum att_status put_single(struct task_call *call, const struct evaluate *evaluate, float *all,
                                  struct att_jsonw *answer, struct att_err *err)
{
    const struct att_head_info *head = evaluate->head;
    struct task_prediction *predictions = task_alloc(call, evaluate->n, sizeof *predictions, err);
    float *probabilities = predictions ? task_alloc(call, head->n_labels, sizeof *probabilities, err) : NULL;
    struct task_figure figures[TASK_FIGURES_MAX];
    struct task_quality quality;
    if (!probabilities)
        return err->status;
    for (size_t i = 0; i < evaluate->n; i++) {
        size_t best = 0;
        const float *logits = logits_of(call, evaluate, i, all);
        att_softmax(head->n_labels, logits, head->temperature, probabilities);
        for (size_t k = 1; k < head->n_labels; k++)
            best = probabilities[k] > probabilities[best] ? k : best;
        predictions[i] = (struct task_prediction){evaluate->expected[i], best, (double)probabilities[best],
                                                  1 - (double)att_head_in_scope(head, logits)};
    }
    enum att_status status = task_quality_measure(predictions, evaluate->n, head->n_labels, &quality, err);
    if (status != ATT_OK)
        return status;
    att_jsonw_put_size(answer, "rows", quality.rows);
    att_jsonw_put_size(answer, "out_of_scope_rows", quality.outside);
    task_figures_render(figures, task_quality_figures(&quality, figures), answer);
    put_abstention(evaluate, predictions, answer);
    return put_confusions(call, evaluate, predictions, answer, err);
}

static enum att_status put_several(struct task_call *call, const struct evaluate *evaluate, float *all,
                                   struct att_jsonw *answer, struct att_err *err)
{
    const struct att_head_info *head = evaluate->head;
    unsigned char *predicted = task_alloc(call, evaluate->n * head->n_labels, 1, err);
    struct task_figure figures[TASK_FIGURES_MAX];
    struct task_quality_several quality;
    if (!predicted)
        return err->status;
    for (size_t i = 0; i < evaluate->n; i++) {
        const float *logits = logits_of(call, evaluate, i, all);
        for (size_t k = 0; k < head->n_labels; k++)
            predicted[i * head->n_labels + k] =
                1.0f / (1.0f + expf(-logits[k] / head->temperature)) >= head->thresholds[k];
    }
    enum att_status status =
        task_quality_several(evaluate->expected_sets, predicted, evaluate->n, head->n_labels, &quality, err);
    if (status != ATT_OK)
        return status;
    att_jsonw_put_size(answer, "rows", evaluate->n);
    task_figures_render(figures, task_quality_several_figures(&quality, figures), answer);
    return ATT_OK;
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct evaluate *evaluate = call->state;
    float *all = task_alloc(call, att_model_info(evaluate->model->model)->n_logits, sizeof *all, err);
    if (!all)
        return err->status;
    att_jsonw_object_begin(answer);
    task_render_id(answer, "evl");
    att_jsonw_put_text(answer, "object", "evaluation");
    att_jsonw_put_text(answer, "model", evaluate->model->name);
    task_render_fingerprint(answer, evaluate->model);
    att_jsonw_put_text(answer, "head", evaluate->head->name);
    enum att_status status = (evaluate->head->multi_label ? put_several : put_single)(call, evaluate, all, answer, err);
    task_render_usage(call, answer);
    att_jsonw_object_end(answer);
    return status;
}

const struct task task_evaluate = {.name = "evaluate", .parse = parse, .render = render};
