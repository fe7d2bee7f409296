/*
 * POST /v1/embeddings in OpenAI's shape: texts or token ids in, vectors out as
 * floats or base64 of little-endian f32. A text longer than the model is
 * embedded in windows whose vectors are averaged by their tokens; nothing is
 * dropped.
 */
#include <stdio.h>
#include <string.h>

#include "tasks/window.h"

enum { PATH_BYTES = 48, USER_BYTES_MAX = 512 };

struct embeddings {
    const struct task_model *model;
    struct task_windows *windows; /* [n] */
    size_t n, dimensions;
    bool base64;
};

static const char *const fields[] = {"model",      "input", "encoding_format", "dimensions", "prompt_name",
                                     "input_type", "user",  "deadline_ms",     "priority",   NULL};

static enum att_status one_input(struct task_call *call, const struct embeddings *embeddings,
                                 const struct task_windows_options *options, const struct att_json *value,
                                 const char *path, struct task_windows *windows, struct att_err *err)
{
    const char *text;
    size_t len;
    if (att_json_is_array(value) && att_json_count(value) > 0)
        return task_windows_ids(call, embeddings->model, value, path, windows, err);
    enum att_status status = task_field_text(call, value, path, &text, &len, err);
    if (status == ATT_OK && len == 0)
        status = att_err_param(err, ATT_EINVAL, path, "%s: is empty, expected a text", path);
    if (status == ATT_OK)
        status = task_windows_plan(call, embeddings->model, options, text, len, NULL, 0, path, windows, err);
    return status;
}

static enum att_status parse_inputs(struct task_call *call, struct embeddings *embeddings,
                                    const struct task_windows_options *options, const struct att_json *input,
                                    struct att_err *err)
{
    size_t limit = call->env->limits.items_max;
    /* An array of numbers is one input; any other array holds one input an element. */
    bool many = att_json_is_array(input) && !att_json_is_number(att_json_at(input, 0));
    embeddings->n = many ? att_json_count(input) : 1;
    if (!input || (att_json_is_array(input) && att_json_count(input) == 0))
        return att_err_param(err, ATT_EINVAL, "input", "input: is %s, expected a text, token ids or an array of them",
                             input ? "empty" : "missing");
    if (embeddings->n > limit)
        return att_err_limit(err, "input", limit, embeddings->n, "input: %zu texts, expected at most %zu",
                             embeddings->n, limit);
    embeddings->windows = task_alloc(call, embeddings->n, sizeof *embeddings->windows, err);
    if (!embeddings->windows)
        return err->status;
    for (size_t i = 0; i < embeddings->n; i++) {
        char path[PATH_BYTES] = "input";
        if (many)
            snprintf(path, sizeof path, "input[%zu]", i);
        enum att_status status = one_input(call, embeddings, options, many ? att_json_at(input, i) : input, path,
                                           &embeddings->windows[i], err);
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}

/* What stands before the texts: a prompt of the model by name, or by the part that they play. */
static enum att_status parse_prompt(const struct att_json *body, const struct task_model *model,
                                    const char **ret_prompt, struct att_err *err)
{
    static const char *const types[] = {"query",   "search_query",   "document",   "search_document",
                                        "passage", "classification", "clustering", NULL};
    const struct att_model_info *info = att_model_info(model->model);
    const char *const prompts[] = {
        info->query_prompt,   info->query_prompt,   info->passage_prompt, info->passage_prompt,
        info->passage_prompt, info->default_prompt, info->default_prompt, NULL};
    const char *name = NULL;
    size_t type = sizeof types / sizeof *types - 1;
    enum att_status status = task_field_string(body, "", "prompt_name", &name, NULL, err);
    if (status == ATT_OK)
        status = task_field_enum(body, "", "input_type", types, &type, err);
    if (status != ATT_OK)
        return status;
    if (name && prompts[type])
        return att_err_param(err, ATT_EINVAL, "input_type", "input_type: expected prompt_name or input_type, not both");
    *ret_prompt = name ? att_model_prompt(info, name) : prompts[type];
    if (name && !*ret_prompt)
        return att_err_param(err, ATT_EINVAL, "prompt_name", "prompt_name: \"%.60s\" is no prompt of model \"%s\"",
                             name, model->name);
    return ATT_OK;
}

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    static const char *const formats[] = {"float", "base64", NULL};
    struct embeddings *embeddings = task_alloc(call, 1, sizeof *embeddings, err);
    struct task_windows_options options = {.pooled = true, .stride = SIZE_MAX};
    size_t format = 0;
    const char *user = NULL;
    size_t user_len = 0;
    if (!embeddings)
        return err->status;
    call->state = embeddings;
    enum att_status status = task_fields_known(body, "", fields, err);
    if (status == ATT_OK)
        status = task_field_model(call, body, "embed", &embeddings->model, err);
    if (status == ATT_OK)
        status = task_field_common(call, body, err);
    if (status == ATT_OK)
        status = task_field_enum(body, "", "encoding_format", formats, &format, err);
    if (status == ATT_OK)
        status = task_field_string(body, "", "user", &user, &user_len, err);
    if (status == ATT_OK && user_len > USER_BYTES_MAX)
        status = att_err_param(err, ATT_EINVAL, "user", "user: has %zu bytes, expected at most %d", user_len,
                               USER_BYTES_MAX);
    int64_t hidden = 0, dimensions = 0;
    if (status == ATT_OK) {
        hidden = (int64_t)att_model_info(embeddings->model->model)->hidden_size;
        dimensions = hidden;
        status = task_field_int(body, "", "dimensions", 1, hidden, &dimensions, err);
    }
    if (status != ATT_OK)
        return status;
    status = parse_prompt(body, embeddings->model, &options.prompt, err);
    if (status != ATT_OK)
        return status;
    embeddings->dimensions = (size_t)dimensions;
    embeddings->base64 = format == 1;
    status = parse_inputs(call, embeddings, &options, att_json_get(body, "input"), err);
    if (status == ATT_OK)
        status = task_windows_jobs(call, &options, embeddings->windows, embeddings->n, err);
    return status;
}

/* The vector of one input, cut and scaled to length 1. */
static void vector_of(const struct task_call *call, const struct embeddings *embeddings, size_t index, float *vector)
{
    task_windows_pooled(call, embeddings->model, &embeddings->windows[index], vector);
    if (embeddings->dimensions < att_model_info(embeddings->model->model)->hidden_size)
        att_l2_normalize(embeddings->dimensions, vector);
}

static enum att_status put_base64(struct task_call *call, struct att_jsonw *answer, const float *vector, size_t count,
                                  struct att_err *err)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t bytes = count * sizeof *vector, len = 0;
    unsigned char *raw = task_alloc(call, bytes + 2, 1, err);
    char *text = raw ? task_alloc(call, (bytes + 2) / 3 * 4 + 1, 1, err) : NULL;
    if (!text)
        return err->status;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &vector[i], sizeof bits);
        for (size_t b = 0; b < sizeof bits; b++)
            raw[i * sizeof bits + b] = (unsigned char)(bits >> (8 * b));
    }
    for (size_t i = 0; i < bytes; i += 3) {
        uint32_t group = (uint32_t)raw[i] << 16 | (uint32_t)raw[i + 1] << 8 | raw[i + 2];
        for (int k = 0; k < 4; k++)
            text[len++] = digits[group >> (18 - 6 * k) & 63];
    }
    for (size_t i = 0; i < (3 - bytes % 3) % 3; i++)
        text[len - 1 - i] = '=';
    att_jsonw_string(answer, text, len);
    return ATT_OK;
}

static enum att_status put_item(struct task_call *call, const struct embeddings *embeddings, size_t index,
                                float *vector, struct att_jsonw *answer, struct att_err *err)
{
    const struct task_windows *windows = &embeddings->windows[index];
    enum att_status status = ATT_OK;
    vector_of(call, embeddings, index, vector);
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "object", "embedding");
    att_jsonw_put_size(answer, "index", index);
    att_jsonw_key(answer, "embedding");
    if (embeddings->base64) {
        status = put_base64(call, answer, vector, embeddings->dimensions, err);
    } else {
        att_jsonw_array_begin(answer);
        for (size_t i = 0; i < embeddings->dimensions; i++)
            att_jsonw_float(answer, vector[i]);
        att_jsonw_array_end(answer);
    }
    if (windows->count > 1) {
        att_jsonw_key(answer, "windows");
        task_windows_render(windows, answer);
    }
    att_jsonw_object_end(answer);
    return status;
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct embeddings *embeddings = call->state;
    size_t hidden = att_model_info(embeddings->model->model)->hidden_size;
    float *vector = task_alloc(call, hidden, sizeof *vector, err);
    enum att_status status = ATT_OK;
    if (!vector)
        return err->status;
    att_jsonw_object_begin(answer);
    task_render_id(answer, "emb");
    att_jsonw_put_text(answer, "object", "list");
    att_jsonw_put_text(answer, "model", embeddings->model->name);
    att_jsonw_key(answer, "data");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; status == ATT_OK && i < embeddings->n; i++)
        status = put_item(call, embeddings, i, vector, answer, err);
    att_jsonw_array_end(answer);
    task_render_usage(call, answer);
    att_jsonw_object_end(answer);
    return status;
}

const struct task task_embeddings = {.name = "embeddings", .parse = parse, .render = render};
