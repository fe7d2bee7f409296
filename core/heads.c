/*
 * Heads and labels. A checkpoint's own classifier takes its labels from
 * config.json's id2label; the heads of attend.json are linear layers
 * heads.NAME.{weight,bias} over the pooled vector, stacked into one GEMM so that
 * one pass answers all of them.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/model.h"

enum { HEADS_MAX = 64, LABELS_MAX = 100000, NAME_BYTES = 256 };
static const double scope_most = 1e6;

static enum att_status no_memory(struct att_err *err)
{
    return att_err_set(err, ATT_ENOMEM, "out of memory for labels");
}

static enum att_status string_array(struct att_arena *arena, const struct att_json *array, const char *head,
                                    const char *const **ret_strings, size_t *ret_count, struct att_err *err)
{
    size_t count = att_json_count(array);
    if (!att_json_is_array(array) || count == 0 || count > LABELS_MAX)
        return att_err_set(err, ATT_EFORMAT, "heads.%s.labels: expected an array of 1 to %d strings", head, LABELS_MAX);
    const char **strings = att_arena_alloc(arena, count, sizeof *strings);
    if (!strings)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        strings[i] = att_json_string(att_json_at(array, i), NULL);
        if (!strings[i])
            return att_err_set(err, ATT_EFORMAT, "heads.%s.labels[%zu]: is %s, expected a string", head, i,
                               att_json_type_name(att_json_at(array, i)));
    }
    *ret_strings = strings;
    *ret_count = count;
    return ATT_OK;
}

/* {"label": number, …} or one number for all, as an array in label order. */
static enum att_status label_values(struct att_arena *arena, const struct att_json *value,
                                    const struct att_head_info *head, const char *field, double min, double otherwise,
                                    const float **ret_values, struct att_err *err)
{
    float *values = att_arena_alloc(arena, head->n_labels, sizeof *values);
    if (!values)
        return no_memory(err);
    size_t named = 0;
    for (size_t i = 0; i < head->n_labels; i++) {
        const struct att_json *entry = att_json_is_object(value) ? att_json_get(value, head->labels[i]) : value;
        double number = att_json_number(entry, otherwise);
        if ((entry && !att_json_is_number(entry)) || !(number >= min && number <= 1))
            return att_err_set(err, ATT_EFORMAT, "heads.%s.%s: is %s %.9g for '%.60s', expected a number from %g to 1",
                               head->name, field, att_json_type_name(entry), att_json_number(entry, 0), head->labels[i],
                               min);
        named += entry != NULL;
        values[i] = (float)number;
    }
    if (att_json_is_object(value) && named < att_json_count(value))
        return att_err_set(err, ATT_EFORMAT, "heads.%s.%s: names something that is none of the head's labels",
                           head->name, field);
    *ret_values = values;
    return ATT_OK;
}

float att_head_in_scope(const struct att_head_info *head, const float *logits)
{
    if (!(head->scope_scale > 0))
        return 1;
    double energy = att_log_sum_exp(head->n_labels, logits);
    return (float)(1 / (1 + exp(-((double)head->scope_scale * energy + (double)head->scope_bias))));
}

static enum att_status scope_parse(const struct att_json *scope, struct att_head_info *head, struct att_err *err)
{
    const char *method = att_json_string(att_json_get(scope, "method"), NULL);
    const char *label = att_json_string(att_json_get(scope, "label"), NULL);
    double threshold = att_json_number(att_json_get(scope, "threshold"), -1);
    bool by_energy = method && strcmp(method, "energy") == 0;
    if (!by_energy && (!method || strcmp(method, "max_probability") != 0))
        return att_err_set(err, ATT_EUNSUPPORTED,
                           "heads.%s.out_of_scope.method: is '%s', expected 'max_probability' or 'energy'", head->name,
                           method ? method : "(none)");
    if (!label || !(threshold >= 0 && threshold <= 1))
        return att_err_set(err, ATT_EFORMAT, "heads.%s.out_of_scope: expected a label and a threshold between 0 and 1",
                           head->name);
    double scale = att_json_number(att_json_get(scope, "scale"), -1);
    double bias = att_json_number(att_json_get(scope, "bias"), NAN);
    if (by_energy && !(scale > 0 && scale <= scope_most && bias >= -scope_most && bias <= scope_most))
        return att_err_set(err, ATT_EFORMAT,
                           "heads.%s.out_of_scope: expected a scale above 0 and a bias, at most %g in size", head->name,
                           scope_most);
    if (by_energy && head->multi_label)
        return att_err_set(err, ATT_EFORMAT, "heads.%s.out_of_scope: a multi-label head has no 'energy'", head->name);
    head->scope_scale = by_energy ? (float)scale : 0;
    head->scope_bias = by_energy ? (float)bias : 0;
    head->out_of_scope_label = label;
    head->out_of_scope_threshold = (float)threshold;
    return ATT_OK;
}

/* Absent is single. */
static bool problem_known(const struct att_json *problem, bool *ret_multi)
{
    const char *name = att_json_string(problem, NULL);
    *ret_multi = name && strcmp(name, "multi_label_classification") == 0;
    return !problem || att_json_type(problem) == ATT_JSON_NULL || *ret_multi ||
           (name && strcmp(name, "single_label_classification") == 0);
}

/* What a head has beside its weights: temperature, polarity, thresholds, and where it abstains. */
static enum att_status calibration_parse(struct att_arena *arena, const struct att_json *entry,
                                         struct att_head_info *head, struct att_err *err)
{
    const struct att_json *warmth = att_json_get(entry, "temperature");
    enum att_status status = ATT_OK;
    head->temperature = (float)att_json_number(warmth, warmth ? 0 : 1);
    if (!(head->temperature > 0.001f && head->temperature < 1000))
        return att_err_set(err, ATT_EFORMAT, "heads.%s.temperature: is %s %g, expected a number from 0.001 to 1000",
                           head->name, att_json_type_name(warmth), (double)head->temperature);
    const struct att_json *polarity = att_json_get(entry, "polarity"), *scope = att_json_get(entry, "out_of_scope");
    const struct att_json *objects[] = {polarity, scope};
    for (size_t i = 0; i < 2; i++)
        if (objects[i] && att_json_type(objects[i]) != ATT_JSON_NULL && !att_json_is_object(objects[i]))
            return att_err_set(err, ATT_EFORMAT, "heads.%s.%s: is %s, expected an object", head->name,
                               i ? "out_of_scope" : "polarity", att_json_type_name(objects[i]));
    if (att_json_is_object(polarity))
        status = label_values(arena, polarity, head, "polarity", -1, 0, &head->polarity, err);
    if (status == ATT_OK && head->multi_label)
        status =
            label_values(arena, att_json_get(entry, "threshold"), head, "threshold", 0, 0.5, &head->thresholds, err);
    if (status == ATT_OK && att_json_is_object(scope))
        status = scope_parse(scope, head, err);
    return status;
}

static enum att_status head_parse(struct att_arena *arena, const struct att_json *entry, struct att_head_info *head,
                                  struct att_err *err)
{
    head->name = att_json_string(att_json_get(entry, "name"), NULL);
    if (!head->name || !*head->name || strlen(head->name) > 64)
        return att_err_set(err, ATT_EFORMAT, "heads: every head needs a name of 1 to 64 bytes");
    enum att_status status =
        string_array(arena, att_json_get(entry, "labels"), head->name, &head->labels, &head->n_labels, err);
    if (status != ATT_OK)
        return status;
    const struct att_json *problem = att_json_get(entry, "problem_type");
    if (!problem_known(problem, &head->multi_label))
        return att_err_set(err, ATT_EUNSUPPORTED,
                           "heads.%s.problem_type: is '%.60s', expected single_label_classification or "
                           "multi_label_classification",
                           head->name,
                           att_json_is_string(problem) ? att_json_string(problem, NULL) : att_json_type_name(problem));
    return calibration_parse(arena, entry, head, err);
}

/* heads.NAME.weight and .bias of every head, stacked. */
static enum att_status heads_read(struct att_model *model, struct att_weights *weights, const char *prefix,
                                  struct att_err *err)
{
    size_t total = model->info.n_logits, hidden = model->info.hidden_size, floats;
    float *weight = att_size_mul(total, hidden, &floats) ? att_mem_aligned(floats, sizeof *weight) : NULL;
    float *bias = att_mem_aligned(total, sizeof *bias);
    enum att_status status = weight && bias ? ATT_OK : no_memory(err);
    for (size_t i = 0; status == ATT_OK && i < model->info.n_head_infos; i++) {
        const struct att_head_info *head = &model->info.heads[i];
        for (int part = 0; status == ATT_OK && part < 2; part++) {
            char name[NAME_BYTES];
            snprintf(name, sizeof name, "%sheads.%s.%s", prefix, head->name, part ? "bias" : "weight");
            struct att_tensor *tensor = att_weights_find(weights, name);
            size_t cols = part ? 1 : hidden;
            if (!tensor || tensor->count != head->n_labels * cols || tensor->rank != (part ? 1u : 2u) ||
                tensor->shape[0] != head->n_labels)
                status = att_err_set(
                    err, ATT_EFORMAT, "%s: tensor '%s' is %s, expected %zu labels by hidden_size %zu (attend.json)",
                    weights->shard_names[0], name, tensor ? "of another shape" : "missing", head->n_labels, hidden);
            else
                status = att_weights_read(weights, tensor, (part ? bias : weight) + head->logits_begin * cols, err);
        }
    }
    if (status == ATT_OK)
        status = att_linear_init(&model->heads, ATT_F32, total, hidden, weight, bias, NULL, err);
    att_mem_free(weight);
    att_mem_free(bias);
    return status;
}

static enum att_status heads_parse(struct att_model *model, const struct att_json *heads, struct att_err *err)
{
    size_t count = att_json_count(heads), total = 0;
    if (!att_json_is_array(heads) || count > HEADS_MAX)
        return att_err_set(err, ATT_EFORMAT, "heads: expected an array of at most %d heads", HEADS_MAX);
    struct att_head_info *infos = att_arena_alloc(&model->arena, count, sizeof *infos);
    if (!infos)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        enum att_status status = head_parse(&model->arena, att_json_at(heads, i), &infos[i], err);
        if (status != ATT_OK)
            return status;
        for (size_t j = 0; j < i; j++)
            if (strcmp(infos[j].name, infos[i].name) == 0)
                return att_err_set(err, ATT_EFORMAT, "heads: '%s' stands twice", infos[i].name);
        infos[i].logits_begin = total;
        total += infos[i].n_labels;
    }
    model->info.heads = infos;
    model->info.n_head_infos = count;
    model->info.n_logits = total;
    return ATT_OK;
}

/* config.json's id2label, or LABEL_0, LABEL_1, … */
static enum att_status read_labels(struct att_model *model, size_t count, const char ***ret_labels, struct att_err *err)
{
    struct att_arena *arena = &model->arena;
    const char **labels = att_arena_alloc(arena, count, sizeof *labels);
    const struct att_json *id2label = att_json_get(model->config, "id2label");
    if (!labels)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        char key[40];
        snprintf(key, sizeof key, "%zu", i);
        labels[i] = att_json_string(att_json_get(id2label, key), NULL);
        if (!labels[i] && id2label)
            return att_err_set(err, ATT_EFORMAT,
                               "config.json: id2label: has no string for '%s', expected all of 0 to %zu", key,
                               count - 1);
        if (!labels[i]) {
            snprintf(key, sizeof key, "LABEL_%zu", i);
            labels[i] = att_arena_copy(arena, key, strlen(key));
        }
        if (!labels[i])
            return no_memory(err);
    }
    *ret_labels = labels;
    return ATT_OK;
}

/* The checkpoint's own classifier as one head, with config.json's labels. */
static enum att_status own_head(struct att_model *model, struct att_err *err)
{
    struct att_arena *arena = &model->arena;
    size_t count = model->arch_info.n_logits;
    struct att_head_info *head = att_arena_alloc(arena, 1, sizeof *head);
    const char **labels = NULL;
    if (!head)
        return no_memory(err);
    enum att_status status = read_labels(model, count, &labels, err);
    if (status != ATT_OK)
        return status;
    const struct att_json *problem = att_json_get(model->config, "problem_type");
    const char *kind = att_json_string(problem, NULL);
    *head = (struct att_head_info){.name = "default", .n_labels = count, .labels = labels, .temperature = 1};
    if (!problem_known(problem, &head->multi_label) && (!kind || strcmp(kind, "regression") != 0))
        return att_err_set(err, ATT_EUNSUPPORTED,
                           "config.json: problem_type: is '%.60s', expected single_label_classification, "
                           "multi_label_classification or regression",
                           kind ? kind : att_json_type_name(problem));
    status = calibration_parse(arena, att_json_get(model->attend_json, "calibration"), head, err);
    if (status != ATT_OK)
        return att_err_file(err, status, "attend.json: calibration");
    model->info.heads = head;
    model->info.n_head_infos = 1;
    return ATT_OK;
}

enum att_status att_heads_load(struct att_model *model, struct att_weights *weights, const char *prefix,
                               struct att_err *err)
{
    const struct att_json *heads = att_json_get(model->attend_json, "heads");
    model->info.n_logits = model->arch_info.n_logits;
    if (heads && model->arch_info.n_logits > 0)
        return att_err_set(err, ATT_EUNSUPPORTED,
                           "attend.json: heads: the checkpoint has a classifier of its own, expected one or the other");
    if (heads) {
        enum att_status status = heads_parse(model, heads, err);
        if (status != ATT_OK)
            return att_err_file(err, status, "attend.json");
        return heads_read(model, weights, prefix, err);
    }
    if (model->arch_info.n_logits > 0 && !model->arch_info.per_token)
        return own_head(model, err);
    const char *class_name = model->arch_info.class_name;
    if (!class_name || !strstr(class_name, "ForTokenClassification"))
        return ATT_OK;
    const char **labels = NULL;
    enum att_status status = read_labels(model, model->arch_info.n_logits, &labels, err);
    if (status == ATT_OK)
        model->info.token_labels = labels;
    return status;
}
