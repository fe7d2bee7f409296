/* Planning and scoring; see relevance.h. */
#include "tasks/relevance.h"

#include <math.h>
#include <stdio.h>

#include "tasks/ranking.h"

enum { PATH_BYTES = 48 };

enum att_status task_relevance_model(struct task_call *call, struct task_relevance *relevance,
                                     const struct att_json *body, struct att_err *err)
{
    const char *name = NULL;
    enum att_status status = task_field_string(body, "", "model", &name, NULL, err);
    if (status != ATT_OK)
        return status;
    const struct task_model *model = call->env->find_model(call->env->context, name, "rerank");
    if (model && att_model_info(model->model)->n_logits == 1 && !att_model_info(model->model)->per_token) {
        relevance->model = call->model = model;
        relevance->pairs = true;
        return ATT_OK;
    }
    return task_field_model(call, body, "embed", &relevance->model, err);
}

enum att_status task_relevance_room(struct task_call *call, struct task_relevance *relevance, size_t n,
                                    const char *path, struct att_err *err)
{
    size_t limit = call->env->limits.items_max;
    if (n > limit)
        return att_err_limit(err, path, limit, n, "%s: %zu texts, expected at most %zu", path, n, limit);
    relevance->documents = task_alloc(call, n, sizeof *relevance->documents, err);
    if (!relevance->documents)
        return err->status;
    relevance->n = n;
    return ATT_OK;
}

enum att_status task_relevance_jobs(struct task_call *call, struct task_relevance *relevance, const char *path,
                                    struct att_err *err)
{
    bool pairs = relevance->pairs;
    const struct att_model_info *info = att_model_info(relevance->model->model);
    const struct task_windows_options options = {
        .logits = pairs, .pooled = !pairs, .truncate = true, .prompt = info->query_prompt};
    struct task_windows_options document_options = options;
    document_options.truncate = pairs;
    document_options.prompt = info->passage_prompt;
    document_options.tokens_max = relevance->document_tokens_max;
    relevance->options = document_options;
    size_t extra = pairs ? 0 : 1;
    relevance->windows = task_alloc(call, relevance->n + extra, sizeof *relevance->windows, err);
    if (!relevance->windows)
        return err->status;
    enum att_status status = ATT_OK;
    if (extra)
        status = task_windows_plan(call, relevance->model, &options, relevance->query, relevance->query_len, NULL, 0,
                                   "query", relevance->windows, err);
    for (size_t i = 0; status == ATT_OK && i < relevance->n; i++) {
        const struct task_document *document = &relevance->documents[i];
        char item[PATH_BYTES];
        snprintf(item, sizeof item, "%s[%zu]", path, i);
        if (pairs)
            status =
                task_windows_plan(call, relevance->model, &document_options, relevance->query, relevance->query_len,
                                  document->text, document->len, item, &relevance->windows[i], err);
        else
            status = task_windows_plan(call, relevance->model, &document_options, document->text, document->len, NULL,
                                       0, item, &relevance->windows[i + 1], err);
    }
    if (status == ATT_OK)
        status = task_windows_jobs(call, &options, relevance->windows, relevance->n + extra, err);
    return status;
}

size_t task_relevance_dropped(const struct task_relevance *relevance)
{
    size_t dropped = 0;
    for (size_t i = 0; i < relevance->n + (relevance->pairs ? 0 : 1); i++)
        dropped += relevance->windows[i].dropped;
    return dropped;
}

const struct task_windows *task_relevance_windows(const struct task_relevance *relevance, size_t index)
{
    return &relevance->windows[index + (relevance->pairs ? 0 : 1)];
}

/* The largest cosine between the query and the windows, from the model's floor on. */
static float best_cosine(const struct task_call *call, const struct task_relevance *relevance,
                         const struct task_windows *windows)
{
    size_t hidden = att_model_info(relevance->model->model)->hidden_size;
    float best = -1;
    for (size_t w = 0; w < windows->count; w++) {
        float *vector = call->jobs[windows->first_job + w].pooled, cosine;
        att_l2_normalize(hidden, vector);
        att_dot_table(0, 1, hidden, vector, hidden, relevance->query_vector, &cosine);
        best = cosine > best ? cosine : best;
    }
    float floor = att_model_info(relevance->model->model)->cosine_floor;
    return (best - floor) / (1 - floor);
}

float task_relevance_logit(const struct task_call *call, const struct task_relevance *relevance,
                           const struct task_windows *windows)
{
    return relevance->pairs ? call->jobs[windows->first_job].logits[0]
                            : 20.0f * best_cosine(call, relevance, windows) - 10.0f;
}

float task_relevance_score(float logit)
{
    return 1.0f / (1.0f + expf(-logit));
}

enum att_status task_relevance_rank(struct task_call *call, struct task_relevance *relevance, struct att_err *err)
{
    size_t *order = task_alloc(call, relevance->n, sizeof *order, err);
    struct task_best best = {.items = order ? task_alloc(call, relevance->n, sizeof *best.items, err) : NULL,
                             .capacity = relevance->n};
    if (!best.items)
        return err->status;
    if (!relevance->pairs) {
        relevance->query_vector = call->jobs[0].pooled;
        att_l2_normalize(att_model_info(relevance->model->model)->hidden_size, relevance->query_vector);
    }
    for (size_t i = 0; i < relevance->n; i++) {
        float logit = task_relevance_logit(call, relevance, task_relevance_windows(relevance, i));
        relevance->documents[i].logit = logit;
        task_best_offer(&best, i, logit);
    }
    task_best_sort(&best);
    for (size_t i = 0; i < relevance->n; i++)
        order[i] = best.items[i].slot;
    relevance->order = order;
    return ATT_OK;
}
