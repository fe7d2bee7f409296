/*
 * Posted news. One round of jobs: an entity's sentiment is that of its item. The
 * clusters are those that the same items would have in a store, by the same view of
 * near-duplicates.
 */
#include "tasks/news/report_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/near.h"

enum { ITEM_TOKENS_MAX = 4096 };

static enum att_status plan_item(struct task_call *call, struct task_report_input *input, size_t i,
                                 const struct task_model *model, const char *path, struct att_err *err)
{
    const struct store_entities *entities = call->env->news ? call->env->news->entities : NULL;
    struct store_news_item *item = &input->items[i];
    const char *text = NULL;
    size_t len = 0;
    enum att_status status = task_news_analyse(call, entities, item, &input->analyses[i], err);
    input->analyses[i].n_judged = 0;
    if (status != ATT_OK || !model)
        return status;
    item->model = model->name;
    item->model_digest = att_model_info(model->model)->digest;
    status = task_news_item_join(call, item, &text, &len, err);
    return status == ATT_OK
               ? task_windows_plan(call, model, &input->options, text, len, NULL, 0, path, &input->windows[i], err)
               : status;
}

enum att_status task_report_input_parse(struct task_call *call, const struct att_json *list,
                                        const struct task_model *model, struct task_report_input *ret_input,
                                        struct att_err *err)
{
    size_t n = 0;
    enum att_status status = task_field_array(list, "input", "news items", true, call->env->limits.items_max, &n, err);
    if (status != ATT_OK)
        return status;
    struct task_report_input input = {
        .n = n,
        .options = {.tokens_max = ITEM_TOKENS_MAX, .logits = true, .pooled = true},
    };
    const struct task_model **models = task_alloc(call, n, sizeof *models, err);
    input.models = models;
    if (!models || !(input.items = task_alloc(call, n, sizeof *input.items, err)) ||
        !(input.analyses = task_alloc(call, n, sizeof *input.analyses, err)) ||
        !(input.windows = task_alloc(call, n, sizeof *input.windows, err)) ||
        !(input.order = task_alloc(call, n, sizeof *input.order, err)))
        return err->status;
    bool any = false;
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        char path[40];
        snprintf(path, sizeof path, "input[%zu]", i);
        status = task_news_item_read(call, att_json_at(list, i), path, &input.items[i], err);
        models[i] = model ? model : call->env->news ? task_news_model(call->env->news, input.items[i].lang) : NULL;
        any = any || models[i];
        if (status == ATT_OK)
            status = plan_item(call, &input, i, models[i], path, err);
    }
    if (status == ATT_OK && any)
        status = task_windows_jobs(call, &input.options, input.windows, n, err);
    if (status == ATT_OK)
        *ret_input = input;
    return status;
}

/* ---- after the jobs ---- */

static enum att_status read_labels(struct task_call *call, struct task_report_input *input, size_t i,
                                   struct att_err *err)
{
    const struct task_model *model = input->models[i];
    struct store_news_item *item = &input->items[i];
    struct task_signals signals = {.sentiment = "", .noise = item->noise, .importance = item->importance};
    const struct att_head_info *sentiment = NULL;
    if (model) {
        const struct att_model_info *info = att_model_info(model->model);
        float *logits = task_alloc(call, info->n_logits + 1, sizeof *logits, err);
        float *scratch = logits ? task_alloc(call, info->n_logits + 1, sizeof *scratch, err) : NULL;
        if (!scratch)
            return err->status;
        task_windows_logits(call, &input->windows[i], TASK_AGGREGATE_MEAN, info->n_logits, logits);
        task_signals_read(info, logits, scratch, &signals);
        sentiment = task_signals_sentiment(info);
        item->vector = call->jobs[input->windows[i].first_job].pooled;
        item->dimensions = info->hidden_size;
    }
    return task_news_conclude(call, &input->analyses[i], sentiment, &signals, item, err);
}

struct place {
    int64_t time_ms;
    size_t index;
};

static int compare(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->time_ms != y->time_ms)
        return x->time_ms < y->time_ms ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static enum att_status sort(struct task_call *call, struct task_report_input *input, struct att_err *err)
{
    struct place *places = task_alloc(call, input->n, sizeof *places, err);
    if (!places)
        return err->status;
    for (size_t i = 0; i < input->n; i++)
        places[i] = (struct place){input->items[i].time_ms, i};
    qsort(places, input->n, sizeof *places, compare);
    for (size_t i = 0; i < input->n; i++) {
        input->order[i] = places[i].index;
        input->items[places[i].index].seq = (int64_t)i + 1;
    }
    return ATT_OK;
}

static enum att_status add_to_cluster(struct task_report_input *input, struct store_near *near,
                                      struct store_news_item *item, double near_min, int8_t *vector,
                                      struct att_err *err)
{
    uint32_t signature[STORE_NEAR_HASHES];
    struct store_near_text text = {
        .seq = item->seq,
        .cluster = item->seq,
        .time_ms = item->time_ms,
        .signature = store_near_sign(item->title, item->text, signature) ? signature : NULL,
        .model = (uint64_t)(uintptr_t)input->models[item - input->items],
    };
    if (item->vector) {
        store_near_quantize(item->vector, item->dimensions, vector);
        text.vector = vector;
        text.dimensions = item->dimensions;
    }
    struct store_near_match match = store_near_find(near, &text, item->seq);
    item->similarity = match.similarity;
    item->novelty = 1 - match.similarity;
    if (match.seq > 0 && match.similarity >= near_min)
        text.cluster = match.cluster;
    item->cluster = text.cluster;
    return store_near_add(near, &text, err);
}

enum att_status task_report_input_conclude(struct task_call *call, struct task_report_input *input,
                                           struct news_set *set, struct att_err *err)
{
    size_t dimensions = 1;
    for (size_t i = 0; i < input->n; i++)
        if (input->models[i] && att_model_info(input->models[i]->model)->hidden_size > dimensions)
            dimensions = att_model_info(input->models[i]->model)->hidden_size;
    int8_t *vector = task_alloc(call, dimensions, sizeof *vector, err);
    struct store_near *near = NULL;
    if (!vector)
        return err->status;
    enum att_status status = sort(call, input, err);
    if (status == ATT_OK)
        status = store_near_create(set->view->near_ms, &near, err);
    for (size_t i = 0; status == ATT_OK && i < input->n; i++) {
        struct store_news_item *item = &input->items[input->order[i]];
        status = read_labels(call, input, input->order[i], err);
        if (status == ATT_OK)
            status = add_to_cluster(input, near, item, set->view->near_min, vector, err);
        if (status == ATT_OK)
            status = news_set_add(set, item, err);
    }
    store_near_destroy(near);
    return status;
}

static enum att_status find(void *context, int64_t seq, bool (*visit)(void *, const struct store_news_item *),
                            void *visitor, struct att_err *err)
{
    const struct task_report_input *input = context;
    (void)err;
    if (seq >= 1 && seq <= (int64_t)input->n)
        (void)visit(visitor, &input->items[input->order[seq - 1]]);
    return ATT_OK;
}

struct news_lookup task_report_input_lookup(struct task_report_input *input)
{
    return (struct news_lookup){.context = input, .item = find};
}
