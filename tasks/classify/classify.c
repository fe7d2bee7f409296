/*
 * POST /v1/classify: labels, scores and decisions for texts, from all heads of a
 * model in one pass. Scores are probabilities after the head's calibration
 * temperature; logits are the model's own numbers, before it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "tasks/explain/explain.h"
#include "tasks/window.h"

enum { TOP_K_MAX = 100000, PATH_BYTES = 64, INPUT_PATH_BYTES = 32 };

struct input {
    const char *id, *text, *pair;
    size_t id_len, text_len, pair_len;
};

struct classify {
    const struct task_model *model;
    struct input *inputs;
    struct task_windows *windows; /* [n_inputs] */
    size_t n_inputs;
    bool *wanted;       /* [n_head_infos] */
    double *thresholds; /* [n_head_infos], NAN: the head's own */
    size_t top_k;
    struct task_observation *observations; /* [n_inputs][n_head_infos] */
    size_t n_observations;
    int32_t unknown_id; /* negative: the vocabulary has a piece for everything */
    struct task_windows_options options;
    struct task_explain explain;
    size_t *explained; /* [explain.n_targets] the wanted heads */
    size_t *labels;    /* [n_inputs][n_targets] that they gave */
    float *logits;     /* [n_logits] work space */
};

static const char *const fields[] = {"model",    "input",   "heads",        "top_k",       "threshold", "windows",
                                     "truncate", "explain", "faithfulness", "deadline_ms", "priority",  NULL};

static enum att_status parse_input(struct task_call *call, const struct att_json *value, const char *path,
                                   struct input *input, struct att_err *err)
{
    static const char *const members[] = {"id", "text", "text_pair", NULL};
    char text_path[PATH_BYTES];
    if (!att_json_is_object(value))
        return task_field_text(call, value, path, &input->text, &input->text_len, err);
    enum att_status status = task_fields_known(value, path, members, err);
    if (status == ATT_OK)
        status = task_field_string(value, path, "id", &input->id, &input->id_len, err);
    snprintf(text_path, sizeof text_path, "%s.text", path);
    if (status == ATT_OK)
        status = task_field_text(call, att_json_get(value, "text"), text_path, &input->text, &input->text_len, err);
    const struct att_json *pair = att_json_get(value, "text_pair");
    snprintf(text_path, sizeof text_path, "%s.text_pair", path);
    if (status == ATT_OK && att_json_type(pair) != ATT_JSON_NULL)
        status = task_field_text(call, pair, text_path, &input->pair, &input->pair_len, err);
    return status;
}

static enum att_status parse_inputs(struct task_call *call, struct classify *classify, const struct att_json *value,
                                    struct att_err *err)
{
    bool many = att_json_is_array(value);
    size_t n = 0;
    enum att_status status = task_field_inputs(call, value, "input", &n, err);
    if (status != ATT_OK)
        return status;
    classify->inputs = task_alloc(call, n, sizeof *classify->inputs, err);
    classify->windows = classify->inputs ? task_alloc(call, n, sizeof *classify->windows, err) : NULL;
    if (!classify->windows)
        return err->status;
    classify->n_inputs = n;
    for (size_t i = 0; i < n; i++) {
        struct input *input = &classify->inputs[i];
        char path[INPUT_PATH_BYTES] = "input";
        if (many)
            snprintf(path, sizeof path, "input[%zu]", i);
        status = parse_input(call, many ? att_json_at(value, i) : value, path, input, err);
        if (status == ATT_OK)
            status = task_windows_plan(call, classify->model, &classify->options, input->text, input->text_len,
                                       input->pair, input->pair_len, path, &classify->windows[i], err);
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}

static size_t head_index(const struct att_model_info *info, const char *name)
{
    size_t i = 0;
    while (i < info->n_head_infos && strcmp(info->heads[i].name, name) != 0)
        i++;
    return i;
}

static enum att_status parse_heads(struct task_call *call, struct classify *classify, const struct att_json *body,
                                   struct att_err *err)
{
    const struct att_model_info *info = att_model_info(classify->model->model);
    const struct att_json *heads = att_json_get(body, "heads");
    bool all = att_json_type(heads) == ATT_JSON_NULL;
    classify->wanted = task_alloc(call, info->n_head_infos, sizeof *classify->wanted, err);
    classify->thresholds =
        classify->wanted ? task_alloc(call, info->n_head_infos, sizeof *classify->thresholds, err) : NULL;
    if (!classify->thresholds)
        return err->status;
    for (size_t i = 0; i < info->n_head_infos; i++) {
        classify->wanted[i] = all;
        classify->thresholds[i] = NAN;
    }
    if (all)
        return ATT_OK;
    size_t n = 0;
    enum att_status status = task_field_array(heads, "heads", "head names", true, SIZE_MAX, &n, err);
    if (status != ATT_OK)
        return status;
    for (size_t i = 0; i < n; i++) {
        const char *name = att_json_string(att_json_at(heads, i), NULL);
        size_t head = name ? head_index(info, name) : info->n_head_infos;
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "heads[%zu]", i);
        if (head == info->n_head_infos)
            return att_err_param(err, ATT_EINVAL, path, "%s: \"%.40s\" is no head of model \"%s\"", path,
                                 name ? name : att_json_type_name(att_json_at(heads, i)), classify->model->name);
        classify->wanted[head] = true;
    }
    return ATT_OK;
}

static enum att_status parse_thresholds(struct classify *classify, const struct att_json *body, struct att_err *err)
{
    const struct att_model_info *info = att_model_info(classify->model->model);
    const struct att_json *thresholds = att_json_get(body, "threshold"), *value;
    struct att_json_iter iter;
    const char *name;
    if (att_json_type(thresholds) == ATT_JSON_NULL)
        return ATT_OK;
    if (!att_json_is_object(thresholds))
        return att_err_param(err, ATT_EINVAL, "threshold",
                             "threshold: is %s, expected an object of head names to numbers",
                             att_json_type_name(thresholds));
    att_json_iter_init(&iter, thresholds);
    while (att_json_iter_next(&iter, &name, &value)) {
        size_t head = head_index(info, name);
        if (head == info->n_head_infos)
            return att_err_param(err, ATT_EINVAL, "threshold", "threshold: \"%.40s\" is no head of model \"%s\"", name,
                                 classify->model->name);
        enum att_status status =
            task_field_number(thresholds, "threshold", name, 0, 1, &classify->thresholds[head], err);
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}

static enum att_status parse_options(struct task_call *call, struct classify *classify, const struct att_json *body,
                                     struct att_err *err)
{
    static const char *const words[] = {"none", "attention", "occlusion", "rollout", NULL};
    int64_t top_k = 0;
    enum att_status status = task_field_common(call, body, err);
    if (status == ATT_OK)
        status = task_field_int(body, "", "top_k", 0, TOP_K_MAX, &top_k, err);
    if (status == ATT_OK)
        status = task_explain_parse(body, words, &classify->explain, err);
    if (status == ATT_OK)
        status = task_windows_parse(body, &classify->options, err);
    classify->top_k = (size_t)top_k;
    classify->options.logits = true;
    classify->options.rollout = classify->explain.method == TASK_EXPLAIN_ROLLOUT;
    classify->options.attention = classify->options.rollout || classify->explain.method == TASK_EXPLAIN_ATTENTION;
    return status;
}

/* The label with the largest probability has the largest logit, whatever the temperature. */
static size_t best_label(const struct att_head_info *head, const float *logits)
{
    size_t best = 0;
    for (size_t i = 1; i < head->n_labels; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

static float probability(const struct att_head_info *head, const float *logits, size_t label)
{
    if (head->multi_label)
        return 1.0f / (1.0f + expf(-logits[label] / head->temperature));
    double sum = 0;
    for (size_t i = 0; i < head->n_labels; i++)
        sum += exp((double)(logits[i] - logits[label]) / (double)head->temperature);
    return (float)(1 / sum);
}

/* For task_explain: of each wanted head the logit and the probability of the label that the whole text got. */
static void measure(const struct task_call *call, size_t item, const struct task_windows *windows,
                    struct task_outcome *ret)
{
    const struct classify *classify = call->state;
    const struct att_model_info *info = att_model_info(classify->model->model);
    size_t *labels = classify->labels + item * classify->explain.n_targets;
    bool is_base = windows == &classify->windows[item];
    task_windows_logits(call, windows, classify->options.aggregate, info->n_logits, classify->logits);
    for (size_t t = 0; t < classify->explain.n_targets; t++) {
        const struct att_head_info *head = &info->heads[classify->explained[t]];
        const float *logits = classify->logits + head->logits_begin;
        if (is_base)
            labels[t] = best_label(head, logits);
        ret[t] = (struct task_outcome){logits[labels[t]], probability(head, logits, labels[t])};
    }
}

static enum att_status prepare_explain(struct task_call *call, struct classify *classify, struct att_err *err)
{
    const struct att_model_info *info = att_model_info(classify->model->model);
    struct task_explain *explain = &classify->explain;
    explain->model = classify->model;
    explain->options = classify->options;
    explain->measure = measure;
    explain->n_items = classify->n_inputs;
    explain->items = task_alloc(call, classify->n_inputs, sizeof *explain->items, err);
    classify->logits = explain->items ? task_alloc(call, info->n_logits, sizeof *classify->logits, err) : NULL;
    classify->explained =
        classify->logits ? task_alloc(call, info->n_head_infos, sizeof *classify->explained, err) : NULL;
    if (!classify->explained)
        return err->status;
    for (size_t h = 0; h < info->n_head_infos; h++)
        if (classify->wanted[h])
            classify->explained[explain->n_targets++] = h;
    classify->labels = task_alloc(call, classify->n_inputs * explain->n_targets, sizeof *classify->labels, err);
    if (!classify->labels)
        return err->status;
    for (size_t i = 0; i < classify->n_inputs; i++) {
        const struct input *input = &classify->inputs[i];
        explain->items[i] = (struct task_explained){.texts = {input->text, input->pair},
                                                    .lens = {input->text_len, input->pair_len},
                                                    .windows = &classify->windows[i]};
    }
    return ATT_OK;
}

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct classify *classify = task_alloc(call, 1, sizeof *classify, err);
    if (!classify)
        return err->status;
    call->state = classify;
    enum att_status status = task_fields_known(body, "", fields, err);
    if (status == ATT_OK)
        status = task_field_model(call, body, "classify", &classify->model, err);
    if (status == ATT_OK && att_model_info(classify->model->model)->n_head_infos == 0)
        status = att_err_param(err, ATT_EINVAL, "model", "model: \"%s\" has no classification head; see /v1/models",
                               classify->model->name);
    if (status == ATT_OK)
        status = parse_options(call, classify, body, err);
    if (status == ATT_OK)
        status = parse_heads(call, classify, body, err);
    if (status == ATT_OK)
        status = parse_thresholds(classify, body, err);
    if (status == ATT_OK)
        status = parse_inputs(call, classify, att_json_get(body, "input"), err);
    if (status == ATT_OK)
        status = task_windows_jobs(call, &classify->options, classify->windows, classify->n_inputs, err);
    if (status == ATT_OK && classify->explain.method != TASK_EXPLAIN_NONE)
        status = prepare_explain(call, classify, err);
    return status;
}

struct scored {
    size_t label;
    float score, logit;
};

/* Highest score first; equal scores by the logit (a saturated sigmoid), then by the label's place. */
static int by_score(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->label < y->label ? -1 : x->label > y->label;
}

static void score(const struct att_head_info *head, const float *logits, struct scored *scored, float *probabilities)
{
    if (!head->multi_label)
        att_softmax(head->n_labels, logits, head->temperature, probabilities);
    for (size_t i = 0; i < head->n_labels; i++) {
        float p = head->multi_label ? 1.0f / (1.0f + expf(-logits[i] / head->temperature)) : probabilities[i];
        scored[i] = (struct scored){i, p, logits[i]};
    }
    qsort(scored, head->n_labels, sizeof *scored, by_score);
}

static void put_label(struct att_jsonw *answer, const char *label, const struct scored *best)
{
    att_jsonw_put_text(answer, "label", label);
    att_jsonw_put_float(answer, "score", best->score);
}

static void put_scores(struct att_jsonw *answer, const struct att_head_info *head, const struct scored *scored,
                       size_t top_k)
{
    size_t count = top_k > 0 && top_k < head->n_labels ? top_k : head->n_labels;
    att_jsonw_key(answer, "scores");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < count; i++) {
        att_jsonw_object_begin(answer);
        put_label(answer, head->labels[scored[i].label], &scored[i]);
        att_jsonw_put_float(answer, "logit", scored[i].logit);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
}

static void put_multi(struct att_jsonw *answer, const struct att_head_info *head, const struct scored *scored,
                      double threshold)
{
    att_jsonw_key(answer, "labels");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < head->n_labels; i++)
        if ((double)scored[i].score >= (isnan(threshold) ? (double)head->thresholds[scored[i].label] : threshold))
            att_jsonw_cstring(answer, head->labels[scored[i].label]);
    att_jsonw_array_end(answer);
    att_jsonw_key(answer, "threshold");
    if (!isnan(threshold)) {
        att_jsonw_double(answer, threshold, 6);
        return;
    }
    att_jsonw_object_begin(answer);
    for (size_t i = 0; i < head->n_labels; i++)
        att_jsonw_put_float(answer, head->labels[i], head->thresholds[i]);
    att_jsonw_object_end(answer);
}

/* What a text was given, and how sure that is. */
struct verdict {
    const struct scored *best;
    float in_scope; /* the chance that it is one of the labels at all */
    bool abstained;
};

/* Abstains where the chance of the best label is too small to decide: below the request's threshold, or the head's own.
 */
static struct verdict judge(const struct att_head_info *head, const float *logits, const struct scored *scored,
                            double threshold)
{
    double least = isnan(threshold) ? (double)head->out_of_scope_threshold : threshold;
    struct verdict verdict = {scored, att_head_in_scope(head, logits), false};
    verdict.abstained = (head->out_of_scope_label || !isnan(threshold)) && !head->multi_label &&
                        (double)scored[0].score * (double)verdict.in_scope < least;
    return verdict;
}

static const char *decision(const struct att_head_info *head, const struct verdict *verdict)
{
    return verdict->abstained && head->out_of_scope_label ? head->out_of_scope_label
                                                          : head->labels[verdict->best->label];
}

static void put_single(struct att_jsonw *answer, const struct att_head_info *head, const struct verdict *verdict)
{
    const struct scored *scored = verdict->best; /* all labels, best first */
    put_label(answer, decision(head, verdict), scored);
    att_jsonw_put_float(answer, "logit", scored[0].logit);
    att_jsonw_put_bool(answer, "abstained", verdict->abstained);
    if (head->scope_scale > 0)
        att_jsonw_put_float(answer, "in_scope", verdict->in_scope);
    if (!head->polarity)
        return;
    double polarity = 0;
    for (size_t i = 0; i < head->n_labels; i++)
        polarity += (double)scored[i].score * (double)head->polarity[scored[i].label];
    att_jsonw_put_double(answer, "polarity", polarity, 6);
}

static int32_t unknown_id(const struct att_tokenizer *tokenizer)
{
    int32_t id = att_tokenizer_id(tokenizer, "[UNK]");
    return id >= 0 ? id : att_tokenizer_id(tokenizer, "<unk>");
}

static void observe(struct classify *classify, size_t index, size_t head, const struct verdict *verdict)
{
    const struct task_tokens *text = &classify->windows[index].text;
    struct task_observation *observed = &classify->observations[classify->n_observations++];
    *observed = (struct task_observation){.model = classify->model,
                                          .head = head,
                                          .label = verdict->best->label,
                                          .abstained = verdict->abstained,
                                          .score = verdict->best->score,
                                          .tokens = text->count};
    for (size_t i = 0; i < text->count; i++)
        observed->unknown += text->items[i].id == classify->unknown_id;
}

/* The heads of one text, and its one head flat when the model has no other. */
static enum att_status put_heads(struct task_call *call, struct classify *classify, size_t index,
                                 struct att_jsonw *answer, struct att_err *err)
{
    const struct att_model_info *info = att_model_info(classify->model->model);
    float *logits = task_alloc(call, info->n_logits, sizeof *logits, err);
    float *probabilities = logits ? task_alloc(call, info->n_logits, sizeof *probabilities, err) : NULL;
    struct scored *scored = probabilities ? task_alloc(call, info->n_logits, sizeof *scored, err) : NULL;
    if (!scored)
        return err->status;
    task_windows_logits(call, &classify->windows[index], classify->options.aggregate, info->n_logits, logits);
    att_jsonw_key(answer, "heads");
    att_jsonw_object_begin(answer);
    for (size_t h = 0; h < info->n_head_infos; h++) {
        const struct att_head_info *head = &info->heads[h];
        struct scored *own = scored + head->logits_begin;
        score(head, logits + head->logits_begin, own, probabilities);
        if (!classify->wanted[h])
            continue;
        struct verdict verdict = judge(head, logits + head->logits_begin, own, classify->thresholds[h]);
        att_jsonw_key(answer, head->name);
        att_jsonw_object_begin(answer);
        if (head->multi_label)
            put_multi(answer, head, own, classify->thresholds[h]);
        else
            put_single(answer, head, &verdict);
        observe(classify, index, h, &verdict);
        put_scores(answer, head, own, classify->top_k);
        att_jsonw_object_end(answer);
    }
    att_jsonw_object_end(answer);
    if (info->n_head_infos == 1) {
        const struct att_head_info *head = &info->heads[0];
        struct verdict verdict = judge(head, logits, scored, classify->thresholds[0]);
        put_label(answer, decision(head, &verdict), scored);
    }
    return ATT_OK;
}

static void put_target(const struct classify *classify, size_t index, size_t target, struct att_jsonw *answer)
{
    const struct task_explain *explain = &classify->explain;
    const struct att_head_info *head = &att_model_info(classify->model->model)->heads[classify->explained[target]];
    att_jsonw_put_text(answer, "label", head->labels[classify->labels[index * explain->n_targets + target]]);
    task_explain_render(explain, index, target, answer);
}

/* The first wanted head flat, the others by name. Attention is the same for all of them. */
static void put_explain(const struct classify *classify, size_t index, struct att_jsonw *answer)
{
    const struct task_explain *explain = &classify->explain;
    const struct att_model_info *info = att_model_info(classify->model->model);
    att_jsonw_key(answer, "explain");
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "method", task_explain_name(explain->method));
    if (explain->method != TASK_EXPLAIN_OCCLUSION && !explain->faithfulness) {
        task_explain_render(explain, index, 0, answer);
        att_jsonw_object_end(answer);
        return;
    }
    att_jsonw_put_text(answer, "head", info->heads[classify->explained[0]].name);
    put_target(classify, index, 0, answer);
    if (explain->n_targets > 1) {
        att_jsonw_key(answer, "heads");
        att_jsonw_object_begin(answer);
        for (size_t t = 1; t < explain->n_targets; t++) {
            att_jsonw_key(answer, info->heads[classify->explained[t]].name);
            att_jsonw_object_begin(answer);
            put_target(classify, index, t, answer);
            att_jsonw_object_end(answer);
        }
        att_jsonw_object_end(answer);
    }
    att_jsonw_object_end(answer);
}

static enum att_status put_item(struct task_call *call, struct classify *classify, size_t index,
                                struct att_jsonw *answer, struct att_err *err)
{
    const struct input *input = &classify->inputs[index];
    const struct task_windows *windows = &classify->windows[index];
    att_jsonw_object_begin(answer);
    att_jsonw_put_size(answer, "index", index);
    if (input->id)
        att_jsonw_put_string(answer, "id", input->id, input->id_len);
    enum att_status status = put_heads(call, classify, index, answer, err);
    att_jsonw_key(answer, "windows");
    task_windows_render(windows, answer);
    att_jsonw_put_bool(answer, "truncated", windows->dropped > 0);
    if (status == ATT_OK && classify->explain.method != TASK_EXPLAIN_NONE)
        put_explain(classify, index, answer);
    att_jsonw_object_end(answer);
    return status;
}

static enum att_status advance(struct task_call *call, struct att_err *err)
{
    struct classify *classify = call->state;
    if (classify->explain.method != TASK_EXPLAIN_NONE)
        return task_explain_advance(call, &classify->explain, err);
    call->n_jobs = 0;
    return ATT_OK;
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    struct classify *classify = call->state;
    enum att_status status = ATT_OK;
    classify->observations = task_alloc(call, classify->n_inputs * att_model_info(classify->model->model)->n_head_infos,
                                        sizeof *classify->observations, err);
    if (!classify->observations)
        return err->status;
    classify->unknown_id = unknown_id(att_model_tokenizer(classify->model->model));
    att_jsonw_object_begin(answer);
    task_render_id(answer, "cls");
    att_jsonw_put_text(answer, "object", "list");
    att_jsonw_put_int(answer, "created", att_clock_unix_s());
    att_jsonw_put_text(answer, "model", classify->model->name);
    task_render_fingerprint(answer, classify->model);
    att_jsonw_key(answer, "data");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; status == ATT_OK && i < classify->n_inputs; i++)
        status = put_item(call, classify, i, answer, err);
    att_jsonw_array_end(answer);
    task_render_usage(call, answer);
    att_jsonw_object_end(answer);
    call->observations = classify->observations;
    call->n_observations = classify->n_observations;
    return status;
}

const struct task task_classify = {.name = "classify", .parse = parse, .advance = advance, .render = render};
