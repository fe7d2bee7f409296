/*
 * Opening what [news] names. The store of the older generation is shared where
 * path and rules of near-duplicates are the same, since two handles would keep
 * two indexes; the dictionary where its file has not changed.
 */
#include "server/models/models_news.h"

#include <string.h>

#include "server/config/config.h"
#include "server/watch/log.h"
#include "store/entities.h"
#include "store/news.h"

static const int64_t day_ms = INT64_C(86400000);

static enum att_status open_store(struct srv_models *models, const struct srv_models_source *source, const char *path,
                                  struct att_err *err)
{
    const struct srv_config *config = source->config;
    struct store_news_options options = {.window_ms = models->news_view.near_ms,
                                         .similar_min = models->news_view.near_min,
                                         .retention_ms = (int64_t)config->news_retention_days.number * day_ms};
    struct store_news *old = source->old != NULL ? source->old->news.store : NULL;
    enum att_status status;

    if (old != NULL && store_news_is(old, path, &options)) {
        models->news.store = store_news_ref(old);
        return ATT_OK;
    }
    status = store_news_open(path, &options, &models->news.store, err);
    if (status != ATT_OK)
        att_err_prefix(err, "[news] path");
    return status;
}

static enum att_status load_entities(struct srv_models *models, const struct srv_models_source *source,
                                     const char *path, struct att_err *err)
{
    const struct srv_models *old = source->old;
    enum att_status status;

    models->entities_stamp = att_path_stamp(path);
    if (old != NULL && old->news.entities != NULL && old->entities_stamp == models->entities_stamp &&
        models->entities_stamp != 0 && strcmp(source->old_config->news_entities.text, path) == 0) {
        models->news.entities = store_entities_ref(old->news.entities);
        return ATT_OK;
    }
    status = store_entities_load(path, &models->news.entities, err);
    if (status != ATT_OK)
        att_err_prefix(err, "[news] entities");
    return status;
}

/* The model whose heads classify; NULL without an error: none is wanted, or auto finds none. `key`: of the option. */
static enum att_status find_model(struct srv_models *models, const char *key, const char *name,
                                  const struct task_model **ret_model, struct att_err *err)
{
    const struct srv_model *named;

    if (name == NULL)
        return ATT_OK;
    if (strcmp(name, "auto") == 0) {
        *ret_model = srv_models_find(models, NULL, "classify");
        return ATT_OK;
    }
    named = srv_models_named(models, name);
    if (named == NULL || named->task.model == NULL)
        return att_err_set(err, ATT_EINVAL, "[news] %s = %s is the name of no loaded model", key, name);
    if (att_model_info(named->task.model)->n_head_infos == 0 || att_model_info(named->task.model)->per_token ||
        att_model_tokenizer(named->task.model) == NULL)
        return att_err_set(err, ATT_EINVAL, "[news] %s = %s has no head that classifies texts", key, name);
    *ret_model = &named->task;
    return ATT_OK;
}

static enum att_status find_ner(struct srv_models *models, const char *name, struct att_err *err)
{
    const struct srv_model *named = srv_models_named(models, name);

    if (named == NULL || named->task.model == NULL)
        return att_err_set(err, ATT_EINVAL, "[news] ner = %s is the name of no loaded model", name);
    if (att_model_info(named->task.model)->token_labels == NULL || att_model_tokenizer(named->task.model) == NULL)
        return att_err_set(err, ATT_EINVAL, "[news] ner = %s is no token classifier", name);
    models->news.ner = &named->task;
    return ATT_OK;
}

/* How news will be judged, stored or posted. */
static enum att_status load_view(struct srv_models *models, const struct srv_config *config, struct att_err *err)
{
    const char *weights = srv_config_text(&config->news_source_weights);
    enum att_status status = ATT_OK;

    models->news_view.half_life_ms = (int64_t)(srv_config_decimal(&config->news_half_life_hours) * 3600000);
    models->news_view.noise_min = srv_config_decimal(&config->news_noise_min);
    models->news_view.near_ms = (int64_t)config->news_near_days.number * day_ms;
    models->news_view.near_min = srv_config_decimal(&config->news_near_min);
    if (weights != NULL)
        status = news_weights_load(weights, &models->news_view.weights, err);
    if (status != ATT_OK)
        att_err_prefix(err, "[news] source_weights");
    return status;
}

enum att_status srv_models_open_news(struct srv_models *models, const struct srv_models_source *source,
                                     struct att_err *err)
{
    const struct srv_config *config = source->config;
    const char *path = srv_config_text(&config->news_path), *entities = srv_config_text(&config->news_entities);
    enum att_status status = load_view(models, config, err);

    if (status != ATT_OK || path == NULL)
        return status;
    status = find_model(models, "model", srv_config_text(&config->news_model), &models->news.model, err);
    if (status == ATT_OK)
        status = find_model(models, "model_zh", srv_config_text(&config->news_model_zh), &models->news.model_zh, err);
    if (status == ATT_OK && srv_config_text(&config->news_ner) != NULL)
        status = find_ner(models, config->news_ner.text, err);
    if (status == ATT_OK && entities != NULL)
        status = load_entities(models, source, entities, err);
    if (status == ATT_OK)
        status = open_store(models, source, path, err);
    if (status == ATT_OK)
        srv_log(
            source->log, SRV_LOG_INFO, "news",
            SRV_TEXT("model", models->news.model != NULL ? models->news.model->name : NULL),
            SRV_NUMBER("entities", models->news.entities != NULL ? store_entities_count(models->news.entities) : 0));
    return status;
}
