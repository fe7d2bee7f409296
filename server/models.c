/*
 * Loading what the configuration names.
 *
 * Sections may stand in any order: a model whose base is configured but not
 * loaded yet is tried again after the others, until nothing changes any more.
 * Names are looked up in the configuration's own list and are never paths.
 */
#include "server/models.h"

#include <assert.h>
#include <string.h>

#include "core/base/clock.h"
#include "server/config.h"
#include "server/log.h"
#include "store/items.h"
#include "store/kb.h"

struct loading {
    struct srv_models *models;
    const struct srv_config *config;
    const struct srv_log *log;
    bool base_is_missing; /* the last load asked for a base that is configured, and not loaded yet */
};

static struct task_model *find(const struct srv_models *models, const char *name)
{
    for (size_t i = 0; i < models->n_models; i++)
        if (strcmp(models->models[i].name, name) == 0)
            return &models->models[i];
    return NULL;
}

static struct att_model *find_base(void *context, const char *name)
{
    struct loading *loading = context;
    const struct task_model *model = find(loading->models, name);

    if (model == NULL)
        return NULL;
    loading->base_is_missing = loading->base_is_missing || model->model == NULL;
    return model->model;
}

/* ---- one model ---- */

static enum att_status load_one(struct loading *loading, size_t i, struct att_err *err)
{
    const struct srv_config_model *config = &loading->config->models[i];
    struct task_model *model = &loading->models->models[i];
    struct att_model_options options = {
        .dtype = (enum att_dtype)config->dtype.number, .find_base = find_base, .context = loading};
    uint64_t start_us = att_clock_us();
    const struct att_model_info *info;
    enum att_status status;

    loading->base_is_missing = false;
    status = att_model_load(config->path.text, &options, &model->model, err);
    if (status == ATT_OK)
        status = att_model_self_test(model->model, &loading->models->self_test_cases[i], err);
    if (status != ATT_OK) {
        att_err_prefix(err, "model '%s': %s", config->name, config->path.text);
        return status;
    }
    info = att_model_info(model->model);
    srv_log(loading->log, SRV_LOG_INFO, "model", SRV_TEXT("name", config->name), SRV_TEXT("arch", info->arch),
            SRV_TEXT("task", info->task), SRV_TEXT("base", info->base), SRV_NUMBER("weight_bytes", info->weight_bytes),
            SRV_NUMBER("self_test_cases", loading->models->self_test_cases[i]),
            SRV_NUMBER("ms", (double)(att_clock_us() - start_us) * 1e-3));
    if (info->n_unused > 0)
        srv_log(loading->log, SRV_LOG_WARN, "unused_tensors", SRV_TEXT("name", config->name),
                SRV_NUMBER("count", info->n_unused), SRV_TEXT("first", info->unused));
    return ATT_OK;
}

static enum att_status load_all(struct loading *loading, struct att_err *err)
{
    size_t n_left = loading->models->n_models;

    while (n_left > 0) {
        size_t n_before = n_left;
        enum att_status status = ATT_OK;

        for (size_t i = 0; i < loading->models->n_models; i++) {
            if (loading->models->models[i].model != NULL)
                continue;
            status = load_one(loading, i, err);
            if (status != ATT_OK && !loading->base_is_missing)
                return status;
            n_left -= status == ATT_OK;
        }
        if (n_left == n_before)
            return status;
    }
    return ATT_OK;
}

static enum att_status join_encoders(struct loading *loading, struct att_err *err)
{
    for (size_t i = 0; i < loading->models->n_models; i++) {
        const struct srv_config_model *config = &loading->config->models[i];
        const char *name = srv_config_text(&config->encoder);
        const struct task_model *encoder = name != NULL ? find(loading->models, name) : NULL;

        if (name == NULL)
            continue;
        assert(encoder != NULL);
        if (att_model_tokenizer(encoder->model) == NULL)
            return att_err_set(err, ATT_EFORMAT, "%s: [model %s] encoder = %s has no tokenizer and cannot embed texts",
                               config->where, config->name, name);
        loading->models->models[i].encoder = encoder;
    }
    return ATT_OK;
}

/* The item table of one recommender: where the configuration says, or beside the weights if there is one. */
static enum att_status load_items(struct loading *loading, size_t i, struct att_err *err)
{
    const struct srv_config_model *config = &loading->config->models[i];
    struct task_model *model = &loading->models->models[i];
    const char *folder = srv_config_text(&config->items);
    const struct att_model_info *encoder = model->encoder != NULL ? att_model_info(model->encoder->model) : NULL;
    const struct att_model_info *info = att_model_info(model->model);
    enum att_status status;

    if (strcmp(info->task, "recommend") != 0) {
        if (folder != NULL)
            return att_err_set(err, ATT_EINVAL, "%s: [model %s] items = %s, but the model is no recommender",
                               config->where, config->name, folder);
        return ATT_OK;
    }
    status = store_items_open(folder != NULL ? folder : config->path.text, info->vocab_size - 1, &model->items, err);
    if (status == ATT_ENOTFOUND && folder == NULL) {
        srv_log(loading->log, SRV_LOG_WARN, "no_item_table", SRV_TEXT("name", config->name));
        return ATT_OK;
    }
    if (status != ATT_OK) {
        att_err_prefix(err, "model '%s'", config->name);
        return status;
    }
    if (encoder == NULL)
        return ATT_OK;
    status = store_items_vectors_load(model->items, encoder->digest, encoder->hidden_size, err);
    /* Without vectors the table serves on: words rank nothing then, which the log says once. */
    if (status == ATT_ENOTFOUND || status == ATT_EFORMAT) {
        srv_log(loading->log, SRV_LOG_WARN, "no_item_vectors", SRV_TEXT("name", config->name),
                SRV_TEXT("why", err->message));
        return ATT_OK;
    }
    return status;
}

static enum att_status open_kbs(struct loading *loading, struct att_err *err)
{
    struct srv_models *models = loading->models;

    for (size_t i = 0; i < loading->config->n_kbs; i++) {
        const struct srv_config_kb *config = &loading->config->kbs[i];
        const struct task_model *encoder = find(models, config->model.text);
        const struct att_model_info *info;
        enum att_status status;

        assert(encoder != NULL);
        info = att_model_info(encoder->model);
        if (att_model_tokenizer(encoder->model) == NULL)
            return att_err_set(err, ATT_EFORMAT, "%s: [kb %s] model = %s has no tokenizer and cannot embed texts",
                               config->where, config->name, encoder->name);
        models->kbs[i].name = config->name;
        models->kbs[i].encoder = encoder;
        status = store_kb_open(config->path.text, info->digest, info->hidden_size, &models->kbs[i].kb, err);
        if (status != ATT_OK) {
            att_err_prefix(err, "kb '%s'", config->name);
            return status;
        }
        models->n_kbs++;
        srv_log(loading->log, SRV_LOG_INFO, "kb", SRV_TEXT("name", config->name), SRV_TEXT("model", encoder->name));
    }
    return ATT_OK;
}

/* ---- life ---- */

enum att_status srv_models_load(struct srv_models *models, const struct srv_config *config, const struct srv_log *log,
                                struct att_err *err)
{
    struct loading loading = {.models = models, .config = config, .log = log};
    enum att_status status;

    memset(models, 0, sizeof(*models));
    models->models = att_mem_calloc(config->n_models, sizeof(*models->models));
    models->is_default = att_mem_calloc(config->n_models, sizeof(*models->is_default));
    models->self_test_cases = att_mem_calloc(config->n_models, sizeof(*models->self_test_cases));
    models->kbs = att_mem_calloc(config->n_kbs + 1, sizeof(*models->kbs));
    if (models->models == NULL || models->is_default == NULL || models->self_test_cases == NULL || models->kbs == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for the list of models");
    models->n_models = config->n_models;
    for (size_t i = 0; i < config->n_models; i++) {
        models->models[i].name = config->models[i].name;
        models->is_default[i] = config->models[i].is_default.number != 0;
    }
    status = load_all(&loading, err);
    if (status == ATT_OK)
        status = join_encoders(&loading, err);
    for (size_t i = 0; i < config->n_models && status == ATT_OK; i++)
        status = load_items(&loading, i, err);
    if (status == ATT_OK)
        status = open_kbs(&loading, err);
    return status;
}

void srv_models_finish(struct srv_models *models)
{
    for (size_t i = 0; i < models->n_kbs; i++)
        store_kb_close(models->kbs[i].kb);
    for (size_t i = 0; i < models->n_models; i++) {
        store_items_close(models->models[i].items);
        att_model_unref(models->models[i].model);
    }
    att_mem_free(models->models);
    att_mem_free(models->is_default);
    att_mem_free(models->self_test_cases);
    att_mem_free(models->kbs);
    memset(models, 0, sizeof(*models));
}

/* ---- finding ---- */

/* The marked model of this task, else the first. */
static const struct task_model *find_for(const struct srv_models *models, const char *task)
{
    const struct task_model *first = NULL;

    for (size_t i = 0; i < models->n_models; i++) {
        if (strcmp(att_model_info(models->models[i].model)->task, task) != 0)
            continue;
        if (models->is_default[i])
            return &models->models[i];
        if (first == NULL)
            first = &models->models[i];
    }
    return first;
}

const struct task_model *srv_models_find(void *context, const char *name, const char *task)
{
    const struct srv_models *models = context;
    const struct task_model *model;

    if (name != NULL)
        return find(models, name);
    model = task != NULL ? find_for(models, task) : NULL;
    /* What an encoder does for others: rank by similarity, answer from a knowledge base, show its tokens. */
    if (model == NULL && task != NULL &&
        (strcmp(task, "rerank") == 0 || strcmp(task, "reply") == 0 || strcmp(task, "tokenize") == 0))
        model = find_for(models, "embed");
    for (size_t i = 0; model == NULL && task != NULL && strcmp(task, "tokenize") == 0 && i < models->n_models; i++)
        if (att_model_tokenizer(models->models[i].model) != NULL)
            model = &models->models[i];
    return model;
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

    while (i < models->n_models && models->models[i].model != model)
        i++;
    assert(i < models->n_models);
    return i;
}
