/* What [model NAME] says of a recommender beside its weights. An item table, and the vectors of its texts, are shared
 * with the older generation where nothing of them has changed. */
#include "server/models/models_items.h"

#include <string.h>

#include "server/config/config.h"
#include "server/watch/log.h"
#include "store/catalogue.h"
#include "store/follows.h"
#include "store/items.h"

struct opening {
    struct srv_models *models;
    const struct srv_models_source *source;
    struct att_bulk_place *place;
};

/* ---- item tables ---- */

static const char *digest_of(const struct task_model *model)
{
    return model != NULL ? att_model_info(model->model)->digest : "";
}

/* The old table serves on when its files, its model's weights and its encoder are the same. */
static bool share_items(struct opening *opening, struct srv_model *model)
{
    const struct srv_model *old = srv_models_named(opening->source->old, model->task.name);

    if (old == NULL || old->task.model == NULL || old->task.items == NULL)
        return false;
    if (strcmp(digest_of(&old->task), digest_of(&model->task)) != 0)
        return false;
    if (old->items_stamp == 0 || old->items_stamp != model->items_stamp)
        return false;
    if (strcmp(digest_of(old->task.encoder), digest_of(model->task.encoder)) != 0)
        return false;
    model->task.items = store_items_ref(old->task.items);
    return true;
}

/* The item table of one recommender: where the configuration says, or beside the weights if there is one. */
static enum att_status load_items(struct opening *opening, size_t i, struct att_err *err)
{
    const struct srv_config_model *config = &opening->source->config->models[i];
    const struct srv_log *log = opening->source->log;
    struct srv_model *model = &opening->models->list[i];
    const char *folder = srv_config_text(&config->items);
    const char *path = folder != NULL ? folder : config->path.text;
    const struct att_model_info *info, *encoder;
    enum att_status status;

    if (model->task.model == NULL)
        return ATT_OK;
    info = att_model_info(model->task.model);
    if (strcmp(info->task, "recommend") != 0) {
        if (folder != NULL)
            return att_err_set(err, ATT_EINVAL, "%s: [model %s] items = %s, but the model is no recommender",
                               config->where, config->name, folder);
        return ATT_OK;
    }
    model->items_stamp = att_path_stamp(path);
    if (share_items(opening, model))
        return ATT_OK;
    status = store_items_open(path, info->vocab_size - 1, &model->task.items, err);
    if (status == ATT_ENOTFOUND && folder == NULL) {
        srv_log(log, SRV_LOG_WARN, "no_item_table", SRV_TEXT("name", config->name));
        return ATT_OK;
    }
    if (status != ATT_OK) {
        att_err_prefix(err, "model '%s'", config->name);
        return status;
    }
    if (model->task.encoder == NULL)
        return ATT_OK;
    encoder = att_model_info(model->task.encoder->model);
    status = store_items_vectors_load(model->task.items, encoder->digest, encoder->hidden_size,
                                      info->vocab_size > ATT_SCAN_ITEMS_MIN ? opening->place : NULL, err);
    /* Without vectors the table serves on: words rank nothing then, which the log says once. */
    if (status == ATT_ENOTFOUND || status == ATT_EFORMAT) {
        srv_log(log, SRV_LOG_WARN, "no_item_vectors", SRV_TEXT("name", config->name), SRV_TEXT("why", err->message));
        return ATT_OK;
    }
    return status;
}

/* ---- what follows what ---- */

static enum att_status load_follows(struct task_model *model, struct att_err *err)
{
    enum att_status status;

    if (model->model == NULL || strcmp(att_model_info(model->model)->task, "recommend") != 0)
        return ATT_OK;
    status = store_follows_open(att_model_info(model->model)->dir, att_model_info(model->model)->vocab_size - 1,
                                &model->follows, err);
    if (status != ATT_OK && status != ATT_ENOTFOUND)
        att_err_prefix(err, "model '%s'", model->name);
    return status == ATT_ENOTFOUND ? ATT_OK : status;
}

/* ---- catalogues ---- */

/* Every generation has handles of its own: they see one another's writes through the file. */
static enum att_status open_catalogues(const struct opening *opening, struct att_err *err)
{
    const struct srv_config *config = opening->source->config;
    enum att_status status = ATT_OK;

    for (size_t i = 0; i < config->n_models && status == ATT_OK; i++) {
        const char *path = srv_config_text(&config->models[i].catalogue);
        struct task_model *model = &opening->models->list[i].task;
        const struct att_model_info *encoder;

        if (path == NULL || model->model == NULL)
            continue;
        if (strcmp(att_model_info(model->model)->task, "recommend") != 0)
            return att_err_set(err, ATT_EINVAL, "%s: [model %s] catalogue = %s, but the model is no recommender",
                               config->models[i].where, config->models[i].name, path);
        encoder = model->encoder != NULL ? att_model_info(model->encoder->model) : NULL;
        status = store_catalogue_open(path, encoder != NULL ? encoder->digest : "",
                                      encoder != NULL ? encoder->hidden_size : 0, &model->catalogue, err);
        if (status != ATT_OK)
            att_err_prefix(err, "model '%s'", config->models[i].name);
    }
    return status;
}

enum att_status srv_models_open_items(struct srv_models *models, const struct srv_models_source *source,
                                      struct att_bulk_place *place, struct att_err *err)
{
    struct opening opening = {models, source, place};
    enum att_status status = ATT_OK;

    for (size_t i = 0; i < source->config->n_models && status == ATT_OK; i++) {
        status = load_items(&opening, i, err);
        if (status == ATT_OK)
            status = load_follows(&models->list[i].task, err);
    }
    if (place->why[0] != '\0')
        srv_log(source->log, SRV_LOG_WARN, "item_tables_in_memory", SRV_TEXT("why", place->why));
    return status == ATT_OK ? open_catalogues(&opening, err) : status;
}
