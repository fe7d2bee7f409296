/*
 * TEI's POST /embed, /embed_all and /similarity: vectors of texts or of their
 * tokens, and cosines. "normalize" is true by default there, whatever the model
 * says of itself; without it the states are pooled here, since the model's own
 * vector may have length 1 already.
 */
#include <stdio.h>
#include <string.h>

#include "tasks/wire/tei.h"

enum { PATH_BYTES = 64 };

struct embed {
    struct task_tei tei;
    struct task_windows *windows; /* [n]; of similarity the source first */
    size_t n, dimensions;
    bool normalize, raw; /* raw: pooled from the hidden states */
};

static enum att_status plan_inputs(struct task_call *call, struct embed *embed, const struct att_json *inputs,
                                   struct att_err *err)
{
    bool is_ids = att_json_is_array(inputs) && att_json_is_number(att_json_at(inputs, 0));
    bool single = att_json_is_string(inputs) || is_ids;
    enum att_status status = task_tei_count(call, inputs, single, "inputs", &embed->n, err);
    if (status != ATT_OK)
        return status;
    embed->windows = task_alloc(call, embed->n, sizeof *embed->windows, err);
    if (!embed->windows)
        return err->status;
    for (size_t i = 0; status == ATT_OK && i < embed->n; i++) {
        const struct att_json *input = single ? inputs : att_json_at(inputs, i);
        char path[PATH_BYTES] = "inputs";
        if (!single)
            snprintf(path, sizeof path, "inputs[%zu]", i);
        if (!att_json_is_array(input))
            status = task_tei_plan(call, &embed->tei, input, NULL, path, &embed->windows[i], err);
        else if (att_json_count(input) > 0)
            status = task_tei_plan_ids(call, &embed->tei, input, path, &embed->windows[i], err);
        else
            status = att_err_param(err, ATT_ESYNTAX, path, "%s: cannot be empty", path);
    }
    return status;
}

static enum att_status begin(struct task_call *call, struct embed **ret_embed, struct att_err *err)
{
    struct embed *embed = task_alloc(call, 1, sizeof *embed, err);
    if (!embed)
        return err->status;
    *embed = (struct embed){.normalize = true};
    call->state = *ret_embed = embed;
    return ATT_OK;
}

static enum att_status make_jobs(struct task_call *call, const struct embed *embed, bool hidden, struct att_err *err)
{
    const struct task_windows_options options = {.pooled = !hidden, .hidden = hidden};
    return task_windows_jobs(call, &options, embed->windows, embed->n, err);
}

static enum att_status parse_embed(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct embed *embed = NULL;
    int64_t hidden = 0, dimensions;
    enum att_status status = begin(call, &embed, err);
    if (status == ATT_OK)
        status = task_tei_parse(call, body, "embed", body, "", &embed->tei, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "normalize", &embed->normalize, err);
    if (status != ATT_OK)
        return status;
    const struct att_model_info *info = att_model_info(embed->tei.model->model);
    dimensions = hidden = (int64_t)info->hidden_size;
    embed->raw = !embed->normalize && info->normalize;
    status = task_field_int(body, "", "dimensions", 1, hidden, &dimensions, err);
    embed->dimensions = (size_t)dimensions;
    if (status == ATT_OK)
        status = plan_inputs(call, embed, att_json_get(body, "inputs"), err);
    return status == ATT_OK ? make_jobs(call, embed, embed->raw, err) : status;
}

static enum att_status parse_embed_all(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct embed *embed = NULL;
    enum att_status status = begin(call, &embed, err);
    if (status == ATT_OK)
        status = task_tei_parse(call, body, "embed", body, "", &embed->tei, err);
    if (status == ATT_OK)
        status = plan_inputs(call, embed, att_json_get(body, "inputs"), err);
    return status == ATT_OK ? make_jobs(call, embed, true, err) : status;
}

static enum att_status parse_similarity(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    const struct att_json *inputs = att_json_get(body, "inputs"), *parameters = att_json_get(body, "parameters");
    const struct att_json *sentences = att_json_get(inputs, "sentences");
    struct embed *embed = NULL;
    size_t n = 0;
    enum att_status status = begin(call, &embed, err);
    if (status == ATT_OK && !att_json_is_object(inputs))
        status = att_err_param(err, ATT_EINVAL, "inputs",
                               "inputs: is %s, expected an object of source_sentence and sentences",
                               att_json_type_name(inputs));
    if (status == ATT_OK && parameters && !att_json_is_object(parameters) && att_json_type(parameters) != ATT_JSON_NULL)
        status = att_err_param(err, ATT_EINVAL, "parameters", "parameters: is %s, expected an object",
                               att_json_type_name(parameters));
    if (status == ATT_OK)
        status = task_tei_parse(call, body, "embed", parameters, "parameters", &embed->tei, err);
    if (status == ATT_OK)
        status = task_tei_count(call, sentences, false, "inputs.sentences", &n, err);
    if (status != ATT_OK)
        return status;
    embed->n = n + 1;
    embed->windows = task_alloc(call, embed->n, sizeof *embed->windows, err);
    if (!embed->windows)
        return err->status;
    status = task_tei_plan(call, &embed->tei, att_json_get(inputs, "source_sentence"), NULL, "inputs.source_sentence",
                           embed->windows, err);
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "inputs.sentences[%zu]", i);
        status = task_tei_plan(call, &embed->tei, att_json_at(sentences, i), NULL, path, &embed->windows[i + 1], err);
    }
    return status == ATT_OK ? make_jobs(call, embed, false, err) : status;
}

/* What the model's pooling makes of the hidden states, without scaling it. */
static void pool(enum att_pooling pooling, const struct task_job *job, size_t hidden, float *vector)
{
    size_t first = pooling == ATT_POOL_LAST ? job->len - 1 : 0;
    size_t count = pooling == ATT_POOL_MEAN ? job->len : 1;
    memset(vector, 0, hidden * sizeof *vector);
    for (size_t t = first; t < first + count; t++)
        for (size_t i = 0; i < hidden; i++)
            vector[i] += job->hidden[t * hidden + i];
    for (size_t i = 0; i < hidden; i++)
        vector[i] /= (float)count;
}

static void put_vector(struct att_jsonw *answer, const float *vector, size_t n)
{
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < n; i++)
        att_jsonw_float(answer, vector[i]);
    att_jsonw_array_end(answer);
}

static enum att_status render_embed(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct embed *embed = call->state;
    const struct att_model_info *info = att_model_info(embed->tei.model->model);
    float *vector = task_alloc(call, info->hidden_size, sizeof *vector, err);
    if (!vector)
        return err->status;
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < embed->n; i++) {
        if (embed->raw)
            pool(info->pooling, &call->jobs[embed->windows[i].first_job], info->hidden_size, vector);
        else
            task_windows_pooled(call, embed->tei.model, &embed->windows[i], vector);
        if (embed->normalize && (!info->normalize || embed->dimensions < info->hidden_size))
            att_l2_normalize(embed->dimensions, vector);
        put_vector(answer, vector, embed->dimensions);
    }
    att_jsonw_array_end(answer);
    return ATT_OK;
}

static enum att_status render_embed_all(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct embed *embed = call->state;
    size_t hidden = att_model_info(embed->tei.model->model)->hidden_size;
    (void)err;
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < embed->n; i++) {
        const struct task_job *job = &call->jobs[embed->windows[i].first_job];
        att_jsonw_array_begin(answer);
        for (size_t t = 0; t < job->len; t++)
            put_vector(answer, job->hidden + t * hidden, hidden);
        att_jsonw_array_end(answer);
    }
    att_jsonw_array_end(answer);
    return ATT_OK;
}

static enum att_status render_similarity(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct embed *embed = call->state;
    size_t hidden = att_model_info(embed->tei.model->model)->hidden_size;
    (void)err;
    for (size_t i = 0; i < embed->n; i++)
        att_l2_normalize(hidden, call->jobs[i].pooled);
    att_jsonw_array_begin(answer);
    for (size_t i = 1; i < embed->n; i++) {
        float cosine;
        att_dot_table(0, 1, hidden, call->jobs[i].pooled, hidden, call->jobs[0].pooled, &cosine);
        att_jsonw_float(answer, cosine);
    }
    att_jsonw_array_end(answer);
    return ATT_OK;
}

const struct task task_tei_embed = {.name = "tei_embed", .parse = parse_embed, .render = render_embed};
const struct task task_tei_embed_all = {.name = "tei_embed_all", .parse = parse_embed_all, .render = render_embed_all};
const struct task task_tei_similarity = {
    .name = "tei_similarity", .parse = parse_similarity, .render = render_similarity};
