/* Writing the files of a classifier; see classifier_dir.h. */
#include "tasks/classify/classifier_dir.h"

#include <stdio.h>
#include <string.h>

#include "store/folder.h"

enum { HEADER_BYTES_MAX = 512, JSON_BYTES_MAX = 8 << 20 };

/* Both tensors as a safetensors file; att_mem_free. */
static enum att_status write_tensors(const struct task_classifier *classifier, char **ret_bytes, size_t *ret_len,
                                     struct att_err *err)
{
    size_t c = classifier->n_labels, d = att_model_info(classifier->model->model)->hidden_size;
    size_t weight = c * d * sizeof(float), bias = c * sizeof(float);
    char header[HEADER_BYTES_MAX];
    int n = snprintf(header, sizeof header,
                     "{\"heads.default.weight\":{\"dtype\":\"F32\",\"shape\":[%zu,%zu],\"data_offsets\":[0,%zu]},"
                     "\"heads.default.bias\":{\"dtype\":\"F32\",\"shape\":[%zu],\"data_offsets\":[%zu,%zu]}}",
                     c, d, weight, c, weight, weight + bias);
    size_t len = ((size_t)n + 7) / 8 * 8; /* padded with blanks, as the format asks for */
    char *bytes = att_mem_calloc(8 + len + weight + bias, 1);
    if (!bytes)
        return att_err_set(err, ATT_ENOMEM, "out of memory for the head's file");
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (char)(len >> (8 * i) & 0xff);
    memset(bytes + 8, ' ', len);
    memcpy(bytes + 8, header, (size_t)n);
    memcpy(bytes + 8 + len, classifier->head.weight, weight);
    memcpy(bytes + 8 + len + weight, classifier->head.bias, bias);
    *ret_bytes = bytes;
    *ret_len = 8 + len + weight + bias;
    return ATT_OK;
}

static void put_labels(struct att_jsonw *w, const struct task_classifier *classifier)
{
    att_jsonw_key(w, "labels");
    att_jsonw_array_begin(w);
    for (size_t i = 0; i < classifier->n_labels; i++)
        att_jsonw_cstring(w, classifier->labels[i]);
    att_jsonw_array_end(w);
}

static void put_head(struct att_jsonw *w, const struct task_classifier *classifier)
{
    const struct task_head *head = &classifier->head;
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "name", "default");
    put_labels(w, classifier);
    att_jsonw_put_text(w, "problem_type",
                       classifier->multi_label ? "multi_label_classification" : "single_label_classification");
    att_jsonw_put_double(w, "temperature", head->temperature, 6);
    if (head->thresholds) {
        att_jsonw_key(w, "threshold");
        att_jsonw_object_begin(w);
        for (size_t i = 0; i < classifier->n_labels; i++)
            att_jsonw_put_double(w, classifier->labels[i], (double)head->thresholds[i], 6);
        att_jsonw_object_end(w);
    }
    if (head->abstains) {
        att_jsonw_key(w, "out_of_scope");
        att_jsonw_object_begin(w);
        att_jsonw_put_text(w, "method", head->scope_scale > 0 ? "energy" : "max_probability");
        if (head->scope_scale > 0) {
            att_jsonw_put_double(w, "scale", head->scope_scale, 9);
            att_jsonw_put_double(w, "bias", head->scope_bias, 9);
        }
        att_jsonw_put_text(w, "label", "out_of_scope");
        att_jsonw_put_double(w, "threshold", head->out_of_scope_threshold, 6);
        att_jsonw_object_end(w);
    }
    att_jsonw_object_end(w);
}

static void put_figures(struct att_jsonw *w, const struct task_classifier *classifier)
{
    const struct task_head *head = &classifier->head;
    att_jsonw_object_begin(w);
    att_jsonw_put_size(w, "folds", head->folds);
    att_jsonw_put_size(w, "rows", classifier->n_examples - classifier->n_outside);
    att_jsonw_put_size(w, "out_of_scope_rows", classifier->n_outside);
    task_figures_render(head->figures, head->n_figures, w);
    if (head->abstains) {
        att_jsonw_put_double(w, "answered", head->answered, 6);
        att_jsonw_put_double(w, "accuracy_of_answered", head->precision, 6);
    }
    att_jsonw_object_end(w);
}

/* How the base makes a text a vector stands in the file too, so that the head says what it was trained on. */
static void put_document(struct att_jsonw *w, const struct task_classifier *classifier)
{
    static const char *const poolings[] = {
        [ATT_POOL_NONE] = "mean", [ATT_POOL_MEAN] = "mean", [ATT_POOL_CLS] = "cls", [ATT_POOL_LAST] = "last"};
    const struct att_model_info *info = att_model_info(classifier->model->model);
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "task", "classify");
    att_jsonw_put_text(w, "base", classifier->model->name);
    att_jsonw_put_text(w, "base_digest", info->digest);
    att_jsonw_put_text(w, "pooling", poolings[info->pooling]);
    att_jsonw_put_bool(w, "normalize", info->normalize);
    att_jsonw_put_size(w, "max_length", info->max_tokens);
    att_jsonw_put_bool(w, "strip_urls", info->strip_urls);
    att_jsonw_key(w, "heads");
    att_jsonw_array_begin(w);
    put_head(w, classifier);
    att_jsonw_array_end(w);
    att_jsonw_put_int(w, "created", classifier->created_s);
    att_jsonw_put_double(w, "penalty", classifier->head.c, 6);
    att_jsonw_key(w, "cross_validation");
    put_figures(w, classifier);
    att_jsonw_object_end(w);
}

enum att_status task_classifier_write(const struct task_classifier *classifier, const char *parent, const char *name,
                                      bool replaces, struct att_err *err)
{
    struct att_jsonw w;
    char *json = NULL, *tensors = NULL;
    size_t json_len = 0, tensors_len = 0;
    att_jsonw_init(&w, JSON_BYTES_MAX);
    put_document(&w, classifier);
    enum att_status status = att_jsonw_take(&w, &json, &json_len, err);
    if (status == ATT_OK)
        status = write_tensors(classifier, &tensors, &tensors_len, err);
    if (status == ATT_OK) {
        const struct store_folder_file files[] = {{"attend.json", json, json_len},
                                                  {"model.safetensors", tensors, tensors_len}};
        status = (replaces ? store_folder_replace : store_folder_write)(parent, name, files,
                                                                        sizeof files / sizeof *files, err);
    }
    att_jsonw_finish(&w);
    att_mem_free(json);
    att_mem_free(tensors);
    return status;
}

void task_classifier_render(const struct task_classifier *classifier, struct att_jsonw *answer)
{
    const struct task_head *head = &classifier->head;
    att_jsonw_put_text(answer, "model", classifier->model->name);
    put_labels(answer, classifier);
    att_jsonw_put_size(answer, "examples", classifier->n_examples);
    att_jsonw_put_bool(answer, "multi_label", classifier->multi_label);
    att_jsonw_put_double(answer, "temperature", head->temperature, 6);
    att_jsonw_key(answer, "out_of_scope_threshold");
    if (head->abstains)
        att_jsonw_double(answer, head->out_of_scope_threshold, 6);
    else
        att_jsonw_null(answer);
    att_jsonw_key(answer, "cross_validation");
    put_figures(answer, classifier);
}
