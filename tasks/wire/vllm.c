/*
 * vLLM's POST /classify and /score. /classify gives all probabilities of each
 * text; /score one number for each pair of texts: one on the left is compared with
 * all on the right, or the i-th with the i-th. The pair is read together by a
 * cross-encoder (the sigmoid of its logit), else by its cosine.
 */
#include <stdio.h>

#include "tasks/relevance.h"
#include "tasks/wire/scores.h"

enum { PATH_BYTES = 48, TOKENS_MAX = 1 << 20 };

/* A text or an array of texts. */
struct texts {
    const char **texts;
    size_t *lens, n;
};

static enum att_status read_texts(struct task_call *call, const struct att_json *value, const char *name,
                                  struct texts *texts, struct att_err *err)
{
    bool many = att_json_is_array(value);
    size_t n = 0;
    enum att_status status = task_field_inputs(call, value, name, &n, err);
    if (status != ATT_OK)
        return status;
    texts->n = n;
    texts->texts = task_alloc(call, n, sizeof *texts->texts, err);
    texts->lens = texts->texts ? task_alloc(call, n, sizeof *texts->lens, err) : NULL;
    if (!texts->lens)
        return err->status;
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        char path[PATH_BYTES];
        snprintf(path, sizeof path, many ? "%s[%zu]" : "%s", name, i);
        status =
            task_field_text(call, many ? att_json_at(value, i) : value, path, &texts->texts[i], &texts->lens[i], err);
    }
    return status;
}

/* "truncate_prompt_tokens": absent or -1 is the model's length. */
static enum att_status read_cut(const struct att_json *body, struct task_windows_options *options, struct att_err *err)
{
    int64_t tokens = -1;
    options->truncate = att_json_type(att_json_get(body, "truncate_prompt_tokens")) != ATT_JSON_NULL;
    enum att_status status = task_field_int(body, "", "truncate_prompt_tokens", -1, TOKENS_MAX, &tokens, err);
    options->tokens_max = tokens > 0 ? (size_t)tokens : 0;
    return status;
}

static void put_head(struct att_jsonw *answer, const char *prefix, const struct task_call *call,
                     const struct task_model *model)
{
    att_jsonw_object_begin(answer);
    task_render_id(answer, prefix);
    att_jsonw_put_text(answer, "object", "list");
    att_jsonw_put_int(answer, "created", call->now_ms / 1000);
    att_jsonw_put_text(answer, "model", model->name);
    att_jsonw_key(answer, "data");
    att_jsonw_array_begin(answer);
}

static void put_end(struct att_jsonw *answer, const struct task_call *call)
{
    att_jsonw_array_end(answer);
    task_render_usage(call, answer);
    att_jsonw_object_end(answer);
}

/* ---- /classify ---- */

struct classify {
    const struct task_model *model;
    const struct att_head_info *head;
    struct texts texts;
    struct task_windows *windows; /* [texts.n] */
    bool activation;
};

static enum att_status parse_classify(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct task_windows_options options = {.logits = true};
    struct classify *classify = task_alloc(call, 1, sizeof *classify, err);
    if (!classify)
        return err->status;
    *classify = (struct classify){.activation = true};
    call->state = classify;
    enum att_status status = task_field_common_lenient(call, body, err);
    if (status == ATT_OK)
        status = task_field_model(call, body, "classify", &classify->model, err);
    if (status == ATT_OK)
        status = task_wire_head(classify->model, &classify->head, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "activation", &classify->activation, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "use_activation", &classify->activation, err);
    if (status == ATT_OK)
        status = read_cut(body, &options, err);
    if (status == ATT_OK)
        status = read_texts(call, att_json_get(body, "input"), "input", &classify->texts, err);
    if (status != ATT_OK)
        return status;
    classify->windows = task_alloc(call, classify->texts.n, sizeof *classify->windows, err);
    if (!classify->windows)
        return err->status;
    for (size_t i = 0; status == ATT_OK && i < classify->texts.n; i++)
        status = task_windows_plan(call, classify->model, &options, classify->texts.texts[i], classify->texts.lens[i],
                                   NULL, 0, "input", &classify->windows[i], err);
    if (status == ATT_OK)
        status = task_windows_jobs(call, &options, classify->windows, classify->texts.n, err);
    return status;
}

static enum att_status render_classify(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct classify *classify = call->state;
    const struct att_model_info *info = att_model_info(classify->model->model);
    const struct att_head_info *head = classify->head;
    float *logits = task_alloc(call, info->n_logits, sizeof *logits, err);
    float *scores = logits ? task_alloc(call, head->n_labels, sizeof *scores, err) : NULL;
    if (!scores)
        return err->status;
    put_head(answer, "classify", call, classify->model);
    for (size_t i = 0; i < classify->texts.n; i++) {
        size_t best = 0;
        task_windows_logits(call, &classify->windows[i], TASK_AGGREGATE_MEAN, info->n_logits, logits);
        task_wire_scores(head, logits, !classify->activation, scores);
        att_jsonw_object_begin(answer);
        att_jsonw_put_size(answer, "index", i);
        att_jsonw_key(answer, "probs");
        att_jsonw_array_begin(answer);
        for (size_t k = 0; k < head->n_labels; k++) {
            att_jsonw_float(answer, scores[k]);
            best = scores[k] > scores[best] ? k : best;
        }
        att_jsonw_array_end(answer);
        att_jsonw_put_text(answer, "label", head->labels[best]);
        att_jsonw_put_size(answer, "num_classes", head->n_labels);
        att_jsonw_object_end(answer);
    }
    put_end(answer, call);
    return ATT_OK;
}

/* ---- /score ---- */

struct score {
    const struct task_model *model;
    struct texts left, right;
    struct task_windows *windows; /* cross-encoder: [n pairs]; encoder: left, then right */
    bool pairs;
};

/* The sides under one of the pairs of names that vLLM has given them. */
static enum att_status read_sides(struct task_call *call, struct score *score, const struct att_json *body,
                                  struct att_err *err)
{
    static const char *const names[][2] = {{"queries", "documents"}, {"text_1", "text_2"}, {"data_1", "data_2"}};
    size_t i = 0;
    for (size_t k = 3; k-- > 0;)
        if (att_json_get(body, names[k][0]) || att_json_get(body, names[k][1]))
            i = k;
    for (size_t k = i + 1; k < 3; k++)
        for (size_t side = 0; side < 2; side++)
            if (att_json_get(body, names[k][side]))
                return att_err_param(err, ATT_EINVAL, names[k][side], "%s: stands beside %s, expected one or the other",
                                     names[k][side], names[i][side]);
    enum att_status status = read_texts(call, att_json_get(body, names[i][0]), names[i][0], &score->left, err);
    if (status == ATT_OK)
        status = read_texts(call, att_json_get(body, names[i][1]), names[i][1], &score->right, err);
    if (status == ATT_OK && score->left.n != 1 && score->left.n != score->right.n)
        status = att_err_param(err, ATT_EINVAL, names[i][0], "%s: %zu texts beside %zu, expected one or as many",
                               names[i][0], score->left.n, score->right.n);
    return status;
}

static enum att_status parse_score(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct task_windows_options options = {.stride = SIZE_MAX};
    struct score *score = task_alloc(call, 1, sizeof *score, err);
    struct task_relevance relevance = {.model = NULL};
    if (!score)
        return err->status;
    call->state = score;
    enum att_status status = task_relevance_model(call, &relevance, body, err);
    score->model = relevance.model;
    score->pairs = relevance.pairs;
    if (status == ATT_OK)
        status = task_field_common_lenient(call, body, err);
    if (status == ATT_OK)
        status = read_cut(body, &options, err);
    if (status == ATT_OK)
        status = read_sides(call, score, body, err);
    if (status != ATT_OK)
        return status;
    const struct texts *left = &score->left, *right = &score->right;
    const struct att_model_info *info = att_model_info(score->model->model);
    size_t n = score->pairs ? right->n : left->n + right->n;
    options.logits = score->pairs;
    options.pooled = !score->pairs;
    options.truncate = options.truncate || score->pairs;
    score->windows = task_alloc(call, n, sizeof *score->windows, err);
    if (!score->windows)
        return err->status;
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        options.prompt = i < left->n ? info->query_prompt : info->passage_prompt;
        size_t l = score->pairs && left->n == 1 ? 0 : i, r = score->pairs ? i : i - left->n;
        if (score->pairs)
            status = task_windows_plan(call, score->model, &options, left->texts[l], left->lens[l], right->texts[r],
                                       right->lens[r], "documents", &score->windows[i], err);
        else if (i < left->n)
            status = task_windows_plan(call, score->model, &options, left->texts[i], left->lens[i], NULL, 0, "queries",
                                       &score->windows[i], err);
        else
            status = task_windows_plan(call, score->model, &options, right->texts[r], right->lens[r], NULL, 0,
                                       "documents", &score->windows[i], err);
    }
    if (status == ATT_OK)
        status = task_windows_jobs(call, &options, score->windows, n, err);
    return status;
}

static enum att_status render_score(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct score *score = call->state;
    size_t hidden = att_model_info(score->model->model)->hidden_size;
    float *left = task_alloc(call, hidden, sizeof *left, err);
    float *right = left ? task_alloc(call, hidden, sizeof *right, err) : NULL;
    if (!right)
        return err->status;
    put_head(answer, "score", call, score->model);
    for (size_t i = 0; i < score->right.n; i++) {
        float value;
        if (score->pairs) {
            value = task_relevance_score(call->jobs[score->windows[i].first_job].logits[0]);
        } else {
            task_windows_pooled(call, score->model, &score->windows[score->left.n == 1 ? 0 : i], left);
            task_windows_pooled(call, score->model, &score->windows[score->left.n + i], right);
            att_l2_normalize(hidden, left);
            att_l2_normalize(hidden, right);
            att_dot_table(0, 1, hidden, right, hidden, left, &value);
        }
        att_jsonw_object_begin(answer);
        att_jsonw_put_size(answer, "index", i);
        att_jsonw_put_text(answer, "object", "score");
        att_jsonw_put_float(answer, "score", value);
        att_jsonw_object_end(answer);
    }
    put_end(answer, call);
    return ATT_OK;
}

const struct task task_vllm_classify = {.name = "vllm_classify", .parse = parse_classify, .render = render_classify};
const struct task task_vllm_score = {.name = "vllm_score", .parse = parse_score, .render = render_score};
