/*
 * POST /v2/models/{m}[/versions/{v}]/infer: the Open Inference Protocol (KServe V2)
 * Texts go in as a tensor of BYTES, "text" and optionally "text_pair": in the JSON,
 * or as binary tensors behind it (length in four bytes, little-endian, then the
 * text). Tensors come out in the JSON. An encoder gives "embedding"; a classifier gives "label",
 * "probabilities" and "logits", one with several heads "NAME.label" and so on.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tasks/wire/scores.h"

enum { PATH_BYTES = 64, NAME_BYTES = 128, SHAPE_MAX = 8 };
enum tensor { EMBEDDING, LABEL, PROBABILITIES, LOGITS };

/* One tensor that a model can give. */
struct output {
    const struct att_head_info *head; /* NULL: the embedding */
    enum tensor tensor;
    char name[NAME_BYTES];
};

struct text {
    const char *bytes;
    size_t len;
};

struct infer {
    const struct task_model *model;
    const char *id;
    size_t id_len, n;             /* n: texts */
    struct text *texts, *pairs;   /* [n]; pairs NULL: none */
    size_t taken;                 /* bytes of the call's tail */
    struct task_windows *windows; /* [n] */
    struct output *outputs;
    size_t n_outputs;
    bool *wanted; /* [n_outputs] */
};

static bool classifies(const struct att_model_info *info)
{
    return info->n_head_infos > 0 && !info->per_token;
}

static size_t outputs_of(const struct att_model_info *info)
{
    return classifies(info) ? 3 * info->n_head_infos : 1;
}

static struct output output_at(const struct att_model_info *info, size_t index)
{
    static const char *const names[] = {"label", "probabilities", "logits"};
    struct output output = {.tensor = EMBEDDING, .name = "embedding"};
    if (!classifies(info))
        return output;
    output.head = &info->heads[index / 3];
    output.tensor = LABEL + (enum tensor)(index % 3);
    bool many = info->n_head_infos > 1;
    snprintf(output.name, sizeof output.name, "%s%s%s", many ? output.head->name : "", many ? "." : "",
             names[index % 3]);
    return output;
}

/* ---- what a model takes and gives ---- */

static void put_tensor(struct att_jsonw *answer, const char *name, const char *datatype, int64_t n, size_t width)
{
    att_jsonw_put_text(answer, "name", name);
    att_jsonw_put_text(answer, "datatype", datatype);
    att_jsonw_key(answer, "shape");
    att_jsonw_array_begin(answer);
    att_jsonw_int(answer, n);
    if (width > 0)
        att_jsonw_int(answer, (int64_t)width);
    att_jsonw_array_end(answer);
}

static size_t width_of(const struct att_model_info *info, const struct output *output)
{
    return output->tensor == LABEL ? 0 : output->head ? output->head->n_labels : info->hidden_size;
}

void task_kserve_metadata(const struct task_model *model, struct att_jsonw *answer)
{
    static const char *const inputs[] = {"text", "text_pair"};
    const struct att_model_info *info = att_model_info(model->model);
    att_jsonw_key(answer, "inputs");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < (classifies(info) ? 2 : 1); i++) {
        att_jsonw_object_begin(answer);
        put_tensor(answer, inputs[i], "BYTES", -1, 0);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
    att_jsonw_key(answer, "outputs");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < outputs_of(info); i++) {
        struct output output = output_at(info, i);
        att_jsonw_object_begin(answer);
        put_tensor(answer, output.name, output.tensor == LABEL ? "BYTES" : "FP32", -1, width_of(info, &output));
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
}

/* ---- the request ---- */

/* The path names the model. */
static enum att_status choose_model(struct task_call *call, struct infer *infer, struct att_err *err)
{
    char version[24];
    const char *name = call->path_params[0], *wanted = call->path_params[1];
    size_t room;
    infer->model = call->env->find_model(call->env->context, name, "embed");
    if (!infer->model)
        return att_err_set(err, ATT_ENOTFOUND, "no model has this name; GET /v1/models lists those that are served");
    snprintf(version, sizeof version, "%" PRIu64, infer->model->version);
    if (wanted && strcmp(wanted, version) != 0)
        return att_err_set(err, ATT_ENOTFOUND, "the model has no version \"%.40s\", only \"%s\"", wanted, version);
    call->model = infer->model;
    const struct att_model_info *info = att_model_info(infer->model->model);
    if (info->generates)
        return att_err_set(err, ATT_EUNSUPPORTED, "model \"%s\" generates text; see /v1/generate", name);
    enum att_status status = task_tokens_room(infer->model, false, &room, err);
    if (status != ATT_OK)
        return status;
    infer->n_outputs = outputs_of(info);
    infer->outputs = task_alloc(call, infer->n_outputs, sizeof *infer->outputs, err);
    infer->wanted = infer->outputs ? task_alloc(call, infer->n_outputs, sizeof *infer->wanted, err) : NULL;
    if (!infer->wanted)
        return err->status;
    for (size_t i = 0; i < infer->n_outputs; i++)
        infer->outputs[i] = output_at(info, i);
    return ATT_OK;
}

/* The number of elements that "shape" says. */
static enum att_status read_shape(const struct task_call *call, const struct att_json *shape, const char *path,
                                  size_t *ret_n, struct att_err *err)
{
    size_t n = 1, limit = call->env->limits.items_max;
    if (!att_json_is_array(shape) || att_json_count(shape) == 0 || att_json_count(shape) > SHAPE_MAX)
        return att_err_param(err, ATT_EINVAL, path, "%s.shape: expected an array of 1 to %d sizes", path, SHAPE_MAX);
    for (size_t i = 0; i < att_json_count(shape); i++) {
        int64_t size;
        if (!att_json_integer(att_json_at(shape, i), 1, INT64_C(1) << 31, &size))
            return att_err_param(err, ATT_EINVAL, path, "%s.shape: expected sizes from 1", path);
        if (!att_size_mul(n, (size_t)size, &n) || n > limit)
            return att_err_limit(err, path, limit, n, "%s.shape: more than %zu texts", path, limit);
    }
    *ret_n = n;
    return ATT_OK;
}

/* The elements of "data", flat or nested as the shape is. False: more or fewer than n. */
static bool take(const struct att_json *data, size_t depth, struct text *texts, size_t n, size_t *count)
{
    if (att_json_is_array(data) && depth < SHAPE_MAX) {
        for (size_t i = 0; i < att_json_count(data); i++)
            if (!take(att_json_at(data, i), depth + 1, texts, n, count))
                return false;
        return true;
    }
    if (*count == n || !att_json_is_string(data))
        return false;
    texts[*count].bytes = att_json_string(data, &texts[*count].len);
    ++*count;
    return true;
}

/* The same from the next `size` bytes behind the JSON. */
static bool take_binary(const struct task_call *call, struct infer *infer, size_t size, struct text *texts, size_t n)
{
    if (size > call->tail_len - infer->taken)
        return false;
    const unsigned char *at = (const unsigned char *)call->tail + infer->taken;
    infer->taken += size;
    for (size_t i = 0; i < n; i++) {
        if (size < 4)
            return false;
        size_t len = at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
        if (len > size - 4)
            return false;
        texts[i] = (struct text){(const char *)at + 4, len};
        at += 4 + len;
        size -= 4 + len;
    }
    return size == 0;
}

static enum att_status read_input(struct task_call *call, struct infer *infer, const struct att_json *input,
                                  const char *path, struct att_err *err)
{
    const char *name = att_json_string(att_json_get(input, "name"), NULL);
    const char *datatype = att_json_string(att_json_get(input, "datatype"), NULL);
    size_t n = 0, count = 0;
    if (!name || !datatype || strcmp(datatype, "BYTES") != 0)
        return att_err_param(err, ATT_EINVAL, path, "%s: expected a tensor with name, shape, data and datatype BYTES",
                             path);
    bool is_pair = strcmp(name, "text_pair") == 0;
    if (is_pair ? infer->pairs != NULL : infer->texts != NULL)
        return att_err_param(err, ATT_EINVAL, path, "%s: expected one tensor \"text\", and \"text_pair\" beside it",
                             path);
    enum att_status status = read_shape(call, att_json_get(input, "shape"), path, &n, err);
    if (status != ATT_OK)
        return status;
    struct text *texts = task_alloc(call, n, sizeof *texts, err);
    if (!texts)
        return err->status;
    const struct att_json *size = att_json_get(att_json_get(input, "parameters"), "binary_data_size");
    const struct att_json *data = att_json_get(input, "data");
    int64_t bytes = 0;
    bool taken = size ? !data && att_json_integer(size, 0, INT64_C(1) << 40, &bytes) &&
                            take_binary(call, infer, (size_t)bytes, texts, n)
                      : att_json_is_array(data) && take(data, 0, texts, n, &count) && count == n;
    if (!taken)
        return att_err_param(err, ATT_EINVAL, path, "%s.data: expected %zu texts, as the shape says", path, n);
    if (infer->n > 0 && infer->n != n)
        return att_err_param(err, ATT_EINVAL, path, "%s: %zu texts beside %zu", path, n, infer->n);
    infer->n = n;
    *(is_pair ? &infer->pairs : &infer->texts) = texts;
    return ATT_OK;
}

static enum att_status read_inputs(struct task_call *call, struct infer *infer, const struct att_json *inputs,
                                   struct att_err *err)
{
    enum att_status status = ATT_OK;
    if (!att_json_is_array(inputs) || att_json_count(inputs) == 0)
        return att_err_param(err, ATT_EINVAL, "inputs", "inputs: expected an array of tensors, \"text\" among them");
    for (size_t i = 0; status == ATT_OK && i < att_json_count(inputs); i++) {
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "inputs[%zu]", i);
        status = read_input(call, infer, att_json_at(inputs, i), path, err);
    }
    if (status == ATT_OK && infer->taken < call->tail_len)
        status = att_err_param(err, ATT_EINVAL, "inputs", "inputs: %zu bytes stand behind the tensors",
                               call->tail_len - infer->taken);
    if (status == ATT_OK && !infer->texts)
        status = att_err_param(err, ATT_EINVAL, "inputs", "inputs: expected a tensor \"text\"");
    if (status == ATT_OK && infer->pairs && !classifies(att_model_info(infer->model->model)))
        status =
            att_err_param(err, ATT_EINVAL, "inputs", "inputs: model \"%s\" takes no text_pair", infer->model->name);
    return status;
}

/* "outputs": absent is all. */
static enum att_status read_outputs(struct infer *infer, const struct att_json *outputs, struct att_err *err)
{
    bool all = att_json_type(outputs) == ATT_JSON_NULL || (att_json_is_array(outputs) && att_json_count(outputs) == 0);
    if (!all && !att_json_is_array(outputs))
        return att_err_param(err, ATT_EINVAL, "outputs", "outputs: is %s, expected an array of {\"name\"}",
                             att_json_type_name(outputs));
    for (size_t i = 0; i < infer->n_outputs; i++)
        infer->wanted[i] = all;
    for (size_t i = 0; !all && i < att_json_count(outputs); i++) {
        const char *name = att_json_string(att_json_get(att_json_at(outputs, i), "name"), NULL);
        char path[PATH_BYTES];
        size_t k = 0;
        snprintf(path, sizeof path, "outputs[%zu]", i);
        while (k < infer->n_outputs && (!name || strcmp(infer->outputs[k].name, name) != 0))
            k++;
        if (k == infer->n_outputs)
            return att_err_param(err, ATT_EINVAL, path, "%s: model \"%s\" has no output \"%.60s\"", path,
                                 infer->model->name, name ? name : "");
        infer->wanted[k] = true;
    }
    return ATT_OK;
}

static enum att_status plan(struct task_call *call, struct infer *infer, struct att_err *err)
{
    bool logits = classifies(att_model_info(infer->model->model));
    const struct task_windows_options options = {.logits = logits, .pooled = !logits};
    infer->windows = task_alloc(call, infer->n, sizeof *infer->windows, err);
    if (!infer->windows)
        return err->status;
    for (size_t i = 0; i < infer->n; i++) {
        const struct text *text = &infer->texts[i], none = {NULL, 0}, *pair = infer->pairs ? &infer->pairs[i] : &none;
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "text[%zu]", i);
        enum att_status status = task_field_bytes(call, text->bytes, text->len, path, err);
        if (status == ATT_OK && infer->pairs)
            status = task_field_bytes(call, pair->bytes, pair->len, path, err);
        if (status == ATT_OK)
            status = task_windows_plan(call, infer->model, &options, text->bytes, text->len, pair->bytes, pair->len,
                                       path, &infer->windows[i], err);
        if (status != ATT_OK)
            return status;
    }
    return task_windows_jobs(call, &options, infer->windows, infer->n, err);
}

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct infer *infer = task_alloc(call, 1, sizeof *infer, err);
    if (!infer)
        return err->status;
    call->state = infer;
    enum att_status status = choose_model(call, infer, err);
    if (status == ATT_OK)
        status = task_field_string(body, "", "id", &infer->id, &infer->id_len, err);
    if (status == ATT_OK)
        status = read_inputs(call, infer, att_json_get(body, "inputs"), err);
    if (status == ATT_OK)
        status = read_outputs(infer, att_json_get(body, "outputs"), err);
    return status == ATT_OK ? plan(call, infer, err) : status;
}

/* ---- the answer ---- */

static void put_floats(struct att_jsonw *answer, const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        att_jsonw_float(answer, values[i]);
}

/* The tensor's part of one text. */
static void put_row(struct task_call *call, const struct infer *infer, const struct output *output, size_t index,
                    float *work, struct att_jsonw *answer)
{
    const struct att_model_info *info = att_model_info(infer->model->model);
    const struct att_head_info *head = output->head;
    float *scores = work + info->n_logits;
    size_t best = 0;
    if (!head) {
        task_windows_pooled(call, infer->model, &infer->windows[index], work);
        put_floats(answer, work, info->hidden_size);
        return;
    }
    task_windows_logits(call, &infer->windows[index], TASK_AGGREGATE_MEAN, info->n_logits, work);
    task_wire_scores(head, work, output->tensor == LOGITS, scores);
    if (output->tensor != LABEL) {
        put_floats(answer, scores, head->n_labels);
        return;
    }
    for (size_t i = 1; i < head->n_labels; i++)
        best = scores[i] > scores[best] ? i : best;
    att_jsonw_cstring(answer, head->labels[best]);
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct infer *infer = call->state;
    const struct att_model_info *info = att_model_info(infer->model->model);
    char version[24];
    size_t room;
    if (!att_size_add(2 * info->n_logits, info->hidden_size, &room))
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    float *work = task_alloc(call, room, sizeof *work, err);
    if (!work)
        return err->status;
    snprintf(version, sizeof version, "%" PRIu64, infer->model->version);
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "model_name", infer->model->name);
    att_jsonw_put_text(answer, "model_version", version);
    if (infer->id)
        att_jsonw_put_string(answer, "id", infer->id, infer->id_len);
    att_jsonw_key(answer, "outputs");
    att_jsonw_array_begin(answer);
    for (size_t k = 0; k < infer->n_outputs; k++) {
        const struct output *output = &infer->outputs[k];
        if (!infer->wanted[k])
            continue;
        att_jsonw_object_begin(answer);
        put_tensor(answer, output->name, output->tensor == LABEL ? "BYTES" : "FP32", (int64_t)infer->n,
                   width_of(info, output));
        att_jsonw_key(answer, "data");
        att_jsonw_array_begin(answer);
        for (size_t i = 0; i < infer->n; i++)
            put_row(call, infer, output, i, work, answer);
        att_jsonw_array_end(answer);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
    att_jsonw_object_end(answer);
    return ATT_OK;
}

const struct task task_kserve_infer = {.name = "kserve_infer", .parse = parse, .render = render};
