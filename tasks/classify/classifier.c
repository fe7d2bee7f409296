/*
 * POST /v1/classifiers: labelled examples in, a calibrated head over a loaded encoder
 * out, as a model directory that is served at once. The examples are embedded in
 * rounds through the batcher like any text; what takes seconds without a model's work
 * (training, the disk) is the task's `deploy`, which the daemon calls on the thread
 * that reloads. DELETE /v1/classifiers/{name} takes one away.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "store/folder.h"
#include "tasks/classify/classifier_dir.h"
#include "tasks/encode.h"

enum { EXAMPLES_MIN = 8, EXAMPLES_MAX = 20000, ROUND_MAX = 256, PATH_BYTES = 64, LABEL_BYTES_MAX = 256 };
enum { ROUND_BYTES = 64 << 20 };

struct example {
    const char *text;
    size_t len;
};

struct classifier {
    const struct task_model *model;
    const char *name;
    struct example *examples;
    size_t n, done; /* embedded so far */
    size_t truncated;
    struct task_classifier made;
    struct task_examples rows;
    float *features;
    int32_t *labels;
    unsigned char *several;
    size_t n_outside;
    struct att_arena round; /* tokens of the examples being embedded */
    bool replaces;
    bool replaced; /* a classifier of this name was there */
    struct task_deployment deployment;
};

static const char *const fields[] = {"name",    "model",       "examples", "multi_label", "precision",
                                     "replace", "deadline_ms", "priority", NULL};

static enum att_status check_folder(const struct task_call *call, const char *name, const char *param,
                                    struct att_err *err)
{
    if (!call->env->classifiers)
        return att_err_param(err, ATT_EUNSUPPORTED, param,
                             "%s: there is no folder for classifiers: set [server] classifiers", param);
    if (!name || !store_folder_name_valid(name))
        return att_err_param(err, ATT_EINVAL, param,
                             "%s: expected 1 to %d letters, digits, '.', '_' or '-', the first a letter or digit",
                             param, STORE_FOLDER_NAME_MAX);
    return ATT_OK;
}

static enum att_status parse_model(struct task_call *call, struct classifier *classifier, const struct att_json *body,
                                   struct att_err *err)
{
    enum att_status status = task_field_model(call, body, "embed", &classifier->model, err);
    if (status != ATT_OK)
        return status;
    const struct att_model_info *info = att_model_info(classifier->model->model);
    if (info->generates || info->per_token || !att_model_tokenizer(classifier->model->model))
        return att_err_param(err, ATT_EUNSUPPORTED, "model", "model: \"%s\" is no encoder of texts",
                             classifier->model->name);
    if (att_json_get(info->attend_json, "base"))
        return att_err_param(err, ATT_EINVAL, "model", "model: \"%s\" is a classifier over \"%s\": name that instead",
                             classifier->model->name, info->base);
    if (info->n_logits > 0 && !att_json_get(info->attend_json, "heads"))
        return att_err_param(err, ATT_EUNSUPPORTED, "model",
                             "model: \"%s\" has a classifier of its own, expected an encoder", classifier->model->name);
    return ATT_OK;
}

/* The label's number, a new one where it was not seen before. */
static enum att_status find_label(struct task_call *call, struct classifier *classifier, const struct att_json *value,
                                  const char *path, size_t *ret_label, struct att_err *err)
{
    struct task_classifier *made = &classifier->made;
    size_t len, k = 0;
    const char *label = att_json_string(value, &len);
    if (!label || len == 0 || len > LABEL_BYTES_MAX)
        return att_err_param(err, ATT_EINVAL, path, "%s: is %s, expected a label of 1 to %d bytes", path,
                             att_json_type_name(value), LABEL_BYTES_MAX);
    while (k < made->n_labels && strcmp(made->labels[k], label) != 0)
        k++;
    if (k == TASK_LABELS_MAX)
        return att_err_limit(err, path, TASK_LABELS_MAX, k + 1, "%s: more than %d labels", path, TASK_LABELS_MAX);
    if (!made->labels && !(made->labels = task_alloc(call, TASK_LABELS_MAX, sizeof *made->labels, err)))
        return err->status;
    made->labels[k] = label;
    made->n_labels += k == made->n_labels;
    *ret_label = k;
    return ATT_OK;
}

/* label, or null for a text that is none of them; with multi_label labels, an array. Their numbers go to numbers[],
 * *ret_count of them. */
static enum att_status parse_labels(struct task_call *call, struct classifier *classifier, const struct att_json *value,
                                    size_t i, size_t *ret_label, struct att_err *err)
{
    char path[PATH_BYTES];
    bool many = classifier->made.multi_label;
    const struct att_json *label = att_json_get(value, many ? "labels" : "label");
    snprintf(path, sizeof path, "examples[%zu].%s", i, many ? "labels" : "label");
    if (!label || (many && !att_json_is_array(label)))
        return att_err_param(err, ATT_EINVAL, path, "%s: is %s, expected %s", path,
                             label ? att_json_type_name(label) : "missing",
                             many ? "an array of labels" : "a label, or null for a text that is none of them");
    if (!many && att_json_type(label) == ATT_JSON_NULL) {
        classifier->n_outside++;
        *ret_label = TASK_LABEL_OUTSIDE;
        return ATT_OK;
    }
    if (!many)
        return find_label(call, classifier, label, path, ret_label, err);
    for (size_t k = 0; k < att_json_count(label); k++) {
        enum att_status status = find_label(call, classifier, att_json_at(label, k), path, ret_label, err);
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}

static enum att_status parse_example(struct task_call *call, struct classifier *classifier,
                                     const struct att_json *value, size_t i, struct att_err *err)
{
    static const char *const one[] = {"text", "label", NULL}, *const several[] = {"text", "labels", NULL};
    char path[PATH_BYTES];
    size_t label = 0;
    snprintf(path, sizeof path, "examples[%zu]", i);
    enum att_status status = task_fields_known(value, path, classifier->made.multi_label ? several : one, err);
    snprintf(path, sizeof path, "examples[%zu].text", i);
    if (status == ATT_OK)
        status = task_field_text(call, att_json_get(value, "text"), path, &classifier->examples[i].text,
                                 &classifier->examples[i].len, err);
    if (status == ATT_OK)
        status = parse_labels(call, classifier, value, i, &label, err);
    if (status == ATT_OK)
        classifier->labels[i] = label == TASK_LABEL_OUTSIDE ? -1 : (int32_t)label;
    return status;
}

/* Once all labels are known: sets of them as rows of 0 and 1. */
static enum att_status mark_several(struct task_call *call, struct classifier *classifier,
                                    const struct att_json *examples, struct att_err *err)
{
    size_t c = classifier->made.n_labels, unused;
    classifier->several = task_alloc(call, classifier->n * c, 1, err);
    if (!classifier->several)
        return err->status;
    for (size_t i = 0; i < classifier->n; i++) {
        const struct att_json *labels = att_json_get(att_json_at(examples, i), "labels");
        for (size_t k = 0; k < att_json_count(labels); k++) {
            enum att_status status = find_label(call, classifier, att_json_at(labels, k), "labels", &unused, err);
            if (status != ATT_OK)
                return status;
            classifier->several[i * c + unused] = 1;
        }
    }
    return ATT_OK;
}

/* A label of one example cannot be held out. */
static enum att_status check_counts(struct task_call *call, const struct classifier *classifier, struct att_err *err)
{
    size_t c = classifier->made.n_labels, d = att_model_info(classifier->model->model)->hidden_size;
    if (c < (classifier->made.multi_label ? 1u : 2u))
        return att_err_param(err, ATT_EINVAL, "examples", "examples: have %zu labels, expected at least two", c);
    if (c * (d + 1) > TASK_HEAD_CELLS_MAX)
        return att_err_limit(err, "examples", TASK_HEAD_CELLS_MAX / (d + 1), c,
                             "examples: have %zu labels, expected at most %zu over this encoder", c,
                             TASK_HEAD_CELLS_MAX / (d + 1));
    size_t *counts = task_alloc(call, c, sizeof *counts, err);
    if (!counts)
        return err->status;
    for (size_t i = 0; i < classifier->n; i++)
        for (size_t k = 0; k < c; k++)
            counts[k] += classifier->several ? classifier->several[i * c + k] : classifier->labels[i] == (int32_t)k;
    for (size_t k = 0; k < c; k++)
        if (counts[k] < 2)
            return att_err_param(err, ATT_EINVAL, "examples",
                                 "examples: the label \"%.60s\" has one example, expected at least two",
                                 classifier->made.labels[k]);
    return ATT_OK;
}

static enum att_status parse_examples(struct task_call *call, struct classifier *classifier,
                                      const struct att_json *examples, struct att_err *err)
{
    size_t n = att_json_count(examples), d = att_model_info(classifier->model->model)->hidden_size;
    if (!att_json_is_array(examples) || n < EXAMPLES_MIN)
        return att_err_param(err, ATT_EINVAL, "examples", "examples: %s, expected an array of at least %d examples",
                             att_json_is_array(examples) ? "are too few" : att_json_type_name(examples), EXAMPLES_MIN);
    if (n > EXAMPLES_MAX)
        return att_err_limit(err, "examples", EXAMPLES_MAX, n, "examples: %zu, expected at most %d", n, EXAMPLES_MAX);
    classifier->n = n;
    classifier->examples = task_alloc(call, n, sizeof *classifier->examples, err);
    classifier->labels = classifier->examples ? task_alloc(call, n, sizeof *classifier->labels, err) : NULL;
    classifier->features = classifier->labels ? task_alloc(call, n * d, sizeof *classifier->features, err) : NULL;
    if (!classifier->features)
        return err->status;
    enum att_status status = ATT_OK;
    for (size_t i = 0; status == ATT_OK && i < n; i++)
        status = parse_example(call, classifier, att_json_at(examples, i), i, err);
    if (status == ATT_OK && classifier->made.multi_label)
        status = mark_several(call, classifier, examples, err);
    return status == ATT_OK ? check_counts(call, classifier, err) : status;
}

/* The next examples as jobs. Their memory is that of one round, whatever the number of rounds. */
static enum att_status begin_round(struct task_call *call, struct classifier *classifier, struct att_err *err)
{
    struct att_arena *own = call->arena;
    size_t left = classifier->n - classifier->done, count = left < ROUND_MAX ? left : ROUND_MAX, total_tokens = 0;
    size_t d = att_model_info(classifier->model->model)->hidden_size, tokens = call->prompt_tokens;
    enum att_status status = ATT_OK;
    att_arena_finish(&classifier->round);
    att_arena_init(&classifier->round, ROUND_BYTES);
    call->n_jobs = 0;
    if (count == 0)
        return ATT_OK;
    call->arena = &classifier->round;
    call->jobs = task_alloc(call, count, sizeof *call->jobs, err);
    status = call->jobs ? ATT_OK : err->status;
    for (size_t i = 0; status == ATT_OK && i < count; i++) {
        const struct example *example = &classifier->examples[classifier->done + i];
        char path[PATH_BYTES];
        size_t dropped = 0;
        snprintf(path, sizeof path, "examples[%zu].text", classifier->done + i);
        call->prompt_tokens = 0; /* a limit for each example: their number is bounded */
        call->jobs[i].pooled = classifier->features + (classifier->done + i) * d;
        status = task_job_encode(call, classifier->model, "", example->text, example->len, NULL, 0, path,
                                 &call->jobs[i], &dropped, err);
        classifier->truncated += dropped > 0;
        total_tokens += call->prompt_tokens;
    }
    call->prompt_tokens = tokens + total_tokens;
    call->arena = own;
    call->n_jobs = status == ATT_OK ? count : 0;
    classifier->done += count;
    return status;
}

static enum att_status advance(struct task_call *call, struct att_err *err)
{
    return begin_round(call, call->state, err);
}

/* With one folder more than may be listed no generation would load. */
static enum att_status check_room(const struct task_call *call, const char *name, struct att_err *err)
{
    char names[STORE_FOLDERS_MAX][STORE_FOLDER_NAME_MAX + 1];
    size_t n = 0;
    if (store_folder_exists(call->env->classifiers, name))
        return ATT_OK;
    enum att_status status = store_folder_list(call->env->classifiers, names, &n, err);
    if (status == ATT_ELIMIT || (status == ATT_OK && n == STORE_FOLDERS_MAX))
        return att_err_limit(err, "name", STORE_FOLDERS_MAX, STORE_FOLDERS_MAX + 1,
                             "name: there are %d classifiers, expected at most that many: DELETE or replace one",
                             STORE_FOLDERS_MAX);
    return status;
}

/* Training and the disk. */
static enum att_status deploy(struct task_call *call, struct att_err *err)
{
    struct classifier *classifier = call->state;
    struct task_classifier *made = &classifier->made;
    made->model = classifier->model;
    made->n_examples = classifier->n;
    made->n_outside = classifier->n_outside;
    made->created_s = call->now_ms / 1000;
    classifier->rows.n = classifier->n;
    classifier->rows.n_features = att_model_info(classifier->model->model)->hidden_size;
    classifier->rows.n_labels = made->n_labels;
    classifier->rows.features = classifier->features;
    classifier->rows.labels = classifier->labels;
    classifier->rows.several = classifier->several;
    /* Again: another may have come while the examples were embedded. */
    enum att_status status = check_room(call, classifier->name, err);
    if (status == ATT_OK)
        status = task_head_train(&classifier->rows, &made->head, err);
    classifier->replaced = store_folder_exists(call->env->classifiers, classifier->name);
    return status == ATT_OK
               ? task_classifier_write(made, call->env->classifiers, classifier->name, classifier->replaces, err)
               : status;
}

static enum att_status settle(struct task_call *call, bool serves, struct att_err *err)
{
    const struct classifier *classifier = call->state;
    return store_folder_settle(call->env->classifiers, classifier->name, serves, err);
}

/* Free, or that of a classifier that may be replaced. */
static enum att_status check_name(const struct task_call *call, const struct classifier *classifier,
                                  struct att_err *err)
{
    const char *name = classifier->name;
    const struct task_model *served = call->env->find_model(call->env->context, name, NULL);
    if (served && !served->is_trained)
        return att_err_param(err, ATT_EINVAL, "name", "name: \"%s\" is a model of the configuration; choose another",
                             name);
    if (!classifier->replaces && (served || store_folder_exists(call->env->classifiers, name)))
        return att_err_param(err, ATT_EINVAL, "name",
                             "name: \"%s\" is taken; say \"replace\": true, DELETE it, or choose another", name);
    return check_room(call, name, err);
}

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct classifier *classifier = task_alloc(call, 1, sizeof *classifier, err);
    if (!classifier)
        return err->status;
    call->state = classifier;
    enum att_status status = task_fields_known(body, "", fields, err);
    if (status == ATT_OK)
        status = task_field_common(call, body, err);
    if (status == ATT_OK)
        status = task_field_string(body, "", "name", &classifier->name, NULL, err);
    if (status == ATT_OK)
        status = check_folder(call, classifier->name, "name", err);
    if (status == ATT_OK)
        status = parse_model(call, classifier, body, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "multi_label", &classifier->made.multi_label, err);
    if (status == ATT_OK)
        status = task_field_number(body, "", "precision", 0, 1, &classifier->rows.precision, err);
    if (status == ATT_OK)
        status = parse_examples(call, classifier, att_json_get(body, "examples"), err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "replace", &classifier->replaces, err);
    if (status == ATT_OK)
        status = check_name(call, classifier, err);
    classifier->deployment = (struct task_deployment){classifier->name, deploy, settle};
    call->deployment = &classifier->deployment;
    return status == ATT_OK ? begin_round(call, classifier, err) : status;
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct classifier *classifier = call->state;
    (void)err;
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "name", classifier->name);
    att_jsonw_put_text(answer, "object", "classifier");
    att_jsonw_put_bool(answer, "replaced", classifier->replaced);
    att_jsonw_put_size(answer, "truncated", classifier->truncated);
    task_classifier_render(&classifier->made, answer);
    task_render_usage(call, answer);
    att_jsonw_object_end(answer);
    call->http_status = 201;
    return ATT_OK;
}

static void finish(struct task_call *call)
{
    struct classifier *classifier = call->state;
    if (!classifier)
        return;
    att_arena_finish(&classifier->round);
    task_head_finish(&classifier->made.head);
}

const struct task task_classifier_put = {
    .name = "classifier_put", .parse = parse, .advance = advance, .render = render, .finish = finish};

/* ---- DELETE ---- */

static enum att_status deploy_delete(struct task_call *call, struct att_err *err)
{
    return store_folder_set_aside(call->env->classifiers, call->path_params[0], err);
}

static enum att_status settle_delete(struct task_call *call, bool serves, struct att_err *err)
{
    return store_folder_settle(call->env->classifiers, call->path_params[0], serves, err);
}

static enum att_status parse_delete(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    static const struct task_deployment deployment = {NULL, deploy_delete, settle_delete};
    const char *name = call->path_params[0];
    (void)body;
    enum att_status status = check_folder(call, name, "name", err);
    if (status == ATT_OK && !store_folder_exists(call->env->classifiers, name))
        status = att_err_param(err, ATT_ENOTFOUND, "name", "name: no classifier \"%s\"", name);
    call->deployment = &deployment;
    return status;
}

static enum att_status render_deleted(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    (void)call;
    (void)err;
    att_jsonw_object_begin(answer);
    att_jsonw_put_bool(answer, "deleted", true);
    att_jsonw_object_end(answer);
    return ATT_OK;
}

const struct task task_classifier_delete = {
    .name = "classifier_delete", .parse = parse_delete, .render = render_deleted};
