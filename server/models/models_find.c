/*
 * Who is meant by a name, or by a task where a request names no model. Names are
 * looked up in the list of what is loaded and are never paths. Read-only; any thread.
 */
#include <assert.h>
#include <string.h>

#include "server/models/models.h"

const struct srv_model *srv_models_named(const struct srv_models *models, const char *name)
{
    for (size_t i = 0; models != NULL && i < models->n_models; i++)
        if (strcmp(models->list[i].task.name, name) == 0)
            return &models->list[i];
    return NULL;
}

/* The marked model of this task, else the first. */
static const struct srv_model *find_for(const struct srv_models *models, const char *task)
{
    const struct srv_model *first = NULL;

    for (size_t i = 0; i < models->n_models; i++) {
        const struct srv_model *model = &models->list[i];

        if (model->task.model == NULL || strcmp(att_model_info(model->task.model)->task, task) != 0)
            continue;
        if (model->is_default)
            return model;
        if (first == NULL)
            first = model;
    }
    return first;
}

static const struct srv_model *find_tokenizer(const struct srv_models *models)
{
    for (size_t i = 0; i < models->n_models; i++)
        if (models->list[i].task.model != NULL && att_model_tokenizer(models->list[i].task.model) != NULL)
            return &models->list[i];
    return NULL;
}

const struct task_model *srv_models_find(void *context, const char *name, const char *task)
{
    const struct srv_models *models = context;
    const struct srv_model *model = NULL;

    if (name != NULL)
        model = srv_models_named(models, name);
    else if (task != NULL)
        model = find_for(models, task);
    /* What an encoder does for others: rank by similarity, answer from a knowledge base, show its tokens. */
    if (model == NULL && name == NULL && task != NULL &&
        (strcmp(task, "rerank") == 0 || strcmp(task, "reply") == 0 || strcmp(task, "tokenize") == 0))
        model = find_for(models, "embed");
    if (model == NULL && name == NULL && task != NULL && strcmp(task, "tokenize") == 0)
        model = find_tokenizer(models);
    return model != NULL && model->task.model != NULL ? &model->task : NULL;
}

const struct task_kb *srv_models_find_kb(void *context, const char *name)
{
    const struct srv_models *models = context;

    if (name == NULL)
        return models->n_kbs > 0 ? &models->kbs[0] : NULL;
    for (size_t i = 0; i < models->n_kbs; i++)
        if (strcmp(models->kbs[i].name, name) == 0)
            return &models->kbs[i];
    return NULL;
}

size_t srv_models_index(const struct srv_models *models, const struct att_model *model)
{
    size_t i = 0;

    while (i < models->n_models && models->list[i].task.model != model)
        i++;
    assert(i < models->n_models);
    return i;
}
