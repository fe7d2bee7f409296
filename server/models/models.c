/*
 * Loading what the configuration names.
 *
 * Sections may stand in any order: a model whose base is configured but not
 * loaded yet is tried again after the others, until nothing changes any more.
 */
#include "server/models/models.h"

#include <assert.h>
#include <string.h>

#include "core/base/clock.h"
#include "server/config/config.h"
#include "server/models/models_items.h"
#include "server/models/models_news.h"
#include "server/models/trained.h"
#include "server/watch/log.h"
#include "store/catalogue.h"
#include "store/entities.h"
#include "store/follows.h"
#include "store/items.h"
#include "store/kb.h"
#include "store/news.h"
#include "store/users.h"

struct loading {
    struct srv_models *models;
    const struct srv_models_source *source;
    bool base_is_missing;        /* the last model asked for a base that is configured, and not loaded yet */
    struct att_bulk_place place; /* of large item tables */
};

static struct att_model *find_base(void *context, const char *name)
{
    struct loading *loading = context;
    const struct srv_model *model = srv_models_named(loading->models, name);

    if (model == NULL)
        return NULL;
    loading->base_is_missing = loading->base_is_missing || model->task.model == NULL;
    return model->task.model;
}

/* ---- what an older generation has already ---- */

static const struct srv_config_model *config_of(const struct srv_config *config, const char *name)
{
    for (size_t i = 0; config != NULL && i < config->n_models; i++)
        if (strcmp(config->models[i].name, name) == 0)
            return &config->models[i];
    return NULL;
}

/* What the i-th model of the list is made of. */
static const struct srv_config_model *section_of(const struct loading *loading, size_t i)
{
    const struct srv_config *config = loading->source->config;

    return i < config->n_models ? &config->models[i] : &loading->models->trained[i - config->n_models];
}

/* The same of the older generation, by name. */
static const struct srv_config_model *old_section(const struct srv_models_source *source, const char *name)
{
    const struct srv_models *old = source->old;

    for (size_t i = 0; old != NULL && i < old->n_trained; i++)
        if (strcmp(old->trained[i].name, name) == 0)
            return &old->trained[i];
    return config_of(source->old_config, name);
}

static bool is_anew(const struct loading *loading, size_t i)
{
    const char *anew = loading->source->anew;

    return anew != NULL && strcmp(anew, loading->models->list[i].task.name) == 0;
}

/* The old model of this name when it is the same: path, dtype, files and base. Notes a base that is not known yet. */
static const struct srv_model *find_same(struct loading *loading, size_t i)
{
    const struct srv_models_source *source = loading->source;
    const struct srv_config_model *now = section_of(loading, i), *before = old_section(source, now->name);
    const struct srv_model *old = srv_models_named(source->old, now->name);
    const char *base;

    if (old == NULL || old->task.model == NULL || before == NULL)
        return NULL;
    if (strcmp(before->path.text, now->path.text) != 0 || before->dtype.number != now->dtype.number)
        return NULL;
    if (old->stamp == 0 || old->stamp != loading->models->list[i].stamp)
        return NULL;
    if (is_anew(loading, i))
        return NULL;
    base = att_model_info(old->task.model)->base;
    if (base != NULL) {
        const struct srv_model *old_base = srv_models_named(source->old, base);
        const struct att_model *new_base = find_base(loading, base);

        if (old_base == NULL || new_base == NULL || old_base->task.model != new_base)
            return NULL;
    }
    return old;
}

static void share(struct srv_model *model, const struct srv_model *old)
{
    model->task.model = att_model_ref(old->task.model);
    model->task.generator = old->task.generator != NULL ? task_generator_ref(old->task.generator) : NULL;
    model->self_test_cases = old->self_test_cases;
    model->task.version = old->task.version;
    model->loaded_unix_s = old->loaded_unix_s;
}

/* ---- one model ---- */

static enum att_status load_anew(struct loading *loading, size_t i, struct att_err *err)
{
    const struct srv_config_model *config = section_of(loading, i);
    struct srv_model *model = &loading->models->list[i];
    const struct srv_model *old = srv_models_named(loading->source->old, config->name);
    struct att_model_options options = {.dtype = (enum att_dtype)config->dtype.number,
                                        .find_base = find_base,
                                        .context = loading,
                                        .earlier = old != NULL ? old->task.model : NULL,
                                        .place = &loading->place};
    uint64_t start_us = att_clock_us();
    const struct att_model_info *info;
    enum att_status status = att_model_load(config->path.text, &options, &model->task.model, err);

    if (status == ATT_OK)
        status = att_model_self_test(model->task.model, &model->self_test_cases, err);
    if (status == ATT_OK && att_model_info(model->task.model)->generates)
        status = task_generator_open(model->task.model, &model->task.generator, err);
    if (status != ATT_OK) {
        att_err_prefix(err, "model '%s': %s", config->name, config->path.text);
        return status;
    }
    model->task.version = old != NULL ? old->task.version + 1 : 1;
    model->loaded_unix_s = att_clock_unix_s();
    info = att_model_info(model->task.model);
    srv_log(loading->source->log, SRV_LOG_INFO, "model", SRV_TEXT("name", config->name),
            SRV_NUMBER("version", model->task.version), SRV_TEXT("arch", info->arch), SRV_TEXT("task", info->task),
            SRV_TEXT("base", info->base), SRV_NUMBER("weight_bytes", info->weight_bytes),
            SRV_NUMBER("self_test_cases", model->self_test_cases),
            SRV_NUMBER("ms", (double)(att_clock_us() - start_us) * 1e-3));
    if (info->n_unused > 0)
        srv_log(loading->source->log, SRV_LOG_WARN, "unused_tensors", SRV_TEXT("name", config->name),
                SRV_NUMBER("count", info->n_unused), SRV_TEXT("first", info->unused));
    return ATT_OK;
}

static enum att_status load_one(struct loading *loading, size_t i, struct att_err *err)
{
    struct srv_model *model = &loading->models->list[i];
    const struct srv_model *same;

    loading->base_is_missing = false;
    model->stamp = att_path_stamp(section_of(loading, i)->path.text);
    same = find_same(loading, i);
    if (loading->base_is_missing)
        return att_err_set(err, ATT_EFORMAT, "model '%s': its base is disabled or not loaded", model->task.name);
    if (same == NULL)
        return load_anew(loading, i, err);
    share(model, same);
    return ATT_OK;
}

/* A trained classifier that cannot be loaded (its encoder has gone, say) keeps nobody else from serving, unless it is
 * what the reload is for. */
static void leave_out(struct loading *loading, size_t i, const struct att_err *err)
{
    loading->models->list[i].is_left_out = true;
    srv_log(loading->source->log, SRV_LOG_WARN, "classifier_left_out",
            SRV_TEXT("name", loading->models->list[i].task.name), SRV_TEXT("why", err->message));
}

/* One try at every model that is not loaded yet; *ret_left of them wait for their base. */
static enum att_status load_round(struct loading *loading, bool is_last, size_t *ret_left, struct att_err *err)
{
    const struct srv_models *models = loading->models;

    *ret_left = 0;
    for (size_t i = 0; i < models->n_models; i++) {
        enum att_status status;

        if (section_of(loading, i)->enabled.number == 0 || models->list[i].task.model != NULL ||
            models->list[i].is_left_out)
            continue;
        status = load_one(loading, i, err);
        if (status == ATT_OK)
            continue;
        if (models->list[i].task.is_trained && !is_anew(loading, i) && (is_last || !loading->base_is_missing) &&
            status != ATT_ENOMEM)
            leave_out(loading, i, err);
        else if (is_last || !loading->base_is_missing)
            return status;
        else
            ++*ret_left;
    }
    return ATT_OK;
}

static enum att_status load_all(struct loading *loading, struct att_err *err)
{
    size_t n_before = SIZE_MAX, n_left = 0;
    enum att_status status;

    do {
        bool is_last = n_left == n_before;

        n_before = n_left > 0 ? n_left : SIZE_MAX;
        status = load_round(loading, is_last, &n_left, err);
    } while (status == ATT_OK && n_left > 0);
    return status;
}

static enum att_status join_encoders(struct loading *loading, struct att_err *err)
{
    for (size_t i = 0; i < loading->source->config->n_models; i++) {
        const struct srv_config_model *config = &loading->source->config->models[i];
        const char *name = srv_config_text(&config->encoder);
        const struct srv_model *encoder = name != NULL ? srv_models_named(loading->models, name) : NULL;

        if (name == NULL || loading->models->list[i].task.model == NULL)
            continue;
        assert(encoder != NULL && encoder->task.model != NULL);
        if (att_model_tokenizer(encoder->task.model) == NULL)
            return att_err_set(err, ATT_EFORMAT, "%s: [model %s] encoder = %s has no tokenizer and cannot embed texts",
                               config->where, config->name, name);
        loading->models->list[i].task.encoder = &encoder->task;
    }
    return ATT_OK;
}

static const char *digest_of(const struct task_model *encoder)
{
    return encoder != NULL ? att_model_info(encoder->model)->digest : "";
}

/* ---- knowledge bases ---- */

/* Two handles on one file would not see each other's writes, so that of the older generation is shared. */
static enum att_status open_kb(struct loading *loading, const struct srv_config_kb *config,
                               const struct att_model_info *encoder, struct store_kb **ret_kb, struct att_err *err)
{
    const struct srv_models_source *source = loading->source;

    for (size_t i = 0; source->old != NULL && i < source->old->n_kbs; i++) {
        const struct task_kb *old = &source->old->kbs[i];
        enum att_status status;

        if (strcmp(source->old_config->kbs[i].path.text, config->path.text) != 0 ||
            strcmp(digest_of(old->encoder), encoder->digest) != 0)
            continue;
        status = store_kb_refresh(old->kb, err);
        if (status == ATT_OK)
            *ret_kb = store_kb_ref(old->kb);
        return status;
    }
    return store_kb_open(config->path.text, encoder->digest, encoder->hidden_size, ret_kb, err);
}

/* The models beside the encoder, which must be of the kind that their part needs. */
static enum att_status join_kb(struct loading *loading, const struct srv_config_kb *config, struct task_kb *kb,
                               struct att_err *err)
{
    const char *reranker = srv_config_text(&config->reranker), *reader = srv_config_text(&config->reader);
    const char *generator = srv_config_text(&config->generator);

    if (reranker != NULL) {
        const struct srv_model *model = srv_models_named(loading->models, reranker);
        const struct att_model_info *info = att_model_info(model->task.model);

        if (info->n_logits != 1 || info->per_token || att_model_tokenizer(model->task.model) == NULL)
            return att_err_set(err, ATT_EFORMAT,
                               "%s: [kb %s] reranker = %s is no cross-encoder: expected a sequence "
                               "classifier with one logit and a tokenizer",
                               config->where, config->name, reranker);
        kb->reranker = &model->task;
    }
    if (reader != NULL) {
        const struct srv_model *model = srv_models_named(loading->models, reader);
        const struct att_model_info *info = att_model_info(model->task.model);

        if (strstr(info->class_name, "QuestionAnswering") == NULL || info->n_logits != 2 || !info->per_token ||
            att_model_tokenizer(model->task.model) == NULL)
            return att_err_set(err, ATT_EFORMAT,
                               "%s: [kb %s] reader = %s is no extractive question-answering model: "
                               "expected two logits a token and a tokenizer",
                               config->where, config->name, reader);
        kb->reader = &model->task;
    }
    if (generator != NULL) {
        const struct srv_model *model = srv_models_named(loading->models, generator);

        if (model->task.generator == NULL)
            return att_err_set(err, ATT_EFORMAT, "%s: [kb %s] generator = %s is no generative model", config->where,
                               config->name, generator);
        kb->generator = &model->task;
        kb->generated_cover_min = srv_config_decimal(&config->generated_cover_min);
    }
    kb->records = config->record.number != 0;
    kb->record_days = (uint32_t)config->record_days.number;
    kb->record_max = (size_t)config->record_max.number;
    return ATT_OK;
}

static enum att_status open_kbs(struct loading *loading, struct att_err *err)
{
    struct srv_models *models = loading->models;
    const struct srv_config *config = loading->source->config;

    for (size_t i = 0; i < config->n_kbs; i++) {
        const struct srv_config_kb *kb = &config->kbs[i];
        const struct srv_model *encoder = srv_models_named(models, kb->model.text);
        enum att_status status;

        assert(encoder != NULL && encoder->task.model != NULL);
        if (att_model_tokenizer(encoder->task.model) == NULL)
            return att_err_set(err, ATT_EFORMAT, "%s: [kb %s] model = %s has no tokenizer and cannot embed texts",
                               kb->where, kb->name, encoder->task.name);
        models->kbs[i].name = kb->name;
        models->kbs[i].encoder = &encoder->task;
        status = join_kb(loading, kb, &models->kbs[i], err);
        if (status != ATT_OK)
            return status;
        status = open_kb(loading, kb, att_model_info(encoder->task.model), &models->kbs[i].kb, err);
        if (status != ATT_OK) {
            att_err_prefix(err, "kb '%s'", kb->name);
            return status;
        }
        models->n_kbs++;
        srv_log(loading->source->log, SRV_LOG_INFO, "kb", SRV_TEXT("name", kb->name),
                SRV_TEXT("model", encoder->task.name));
    }
    return ATT_OK;
}

/* ---- users ---- */

/* One handle a file, as with knowledge bases. */
static enum att_status open_users(struct loading *loading, struct att_err *err)
{
    const struct srv_models_source *source = loading->source;
    const struct srv_config *config = source->config;
    const char *path = srv_config_text(&config->users_path);
    const char *old = source->old_config != NULL ? srv_config_text(&source->old_config->users_path) : NULL;
    const struct store_users_limits limits = {.events_max = (size_t)config->users_events_max.number,
                                              .keep_s = 86400.0 * (double)config->users_retention_days.number};
    enum att_status status = ATT_OK;

    if (path == NULL)
        return ATT_OK;
    if (old != NULL && strcmp(old, path) == 0)
        loading->models->users = store_users_share(source->old->users, &limits);
    else
        status = store_users_open(path, &limits, &loading->models->users, err);
    if (status == ATT_OK)
        status = store_users_expire(loading->models->users, (double)att_clock_unix_s(), err);
    if (status != ATT_OK)
        att_err_prefix(err, "users");
    return status;
}

/* ---- life ---- */

enum att_status srv_models_load(struct srv_models *models, const struct srv_models_source *source, struct att_err *err)
{
    struct loading loading = {
        .models = models, .source = source, .place.folder = srv_config_text(&source->config->server_item_tables)};
    const struct srv_config *config = source->config;
    enum att_status status;

    memset(models, 0, sizeof(*models));
    status = srv_trained_list(config, source->log, &models->trained, &models->n_trained, err);
    if (status != ATT_OK)
        return status;
    models->list = att_mem_calloc(config->n_models + models->n_trained, sizeof(*models->list));
    models->kbs = att_mem_calloc(config->n_kbs + 1, sizeof(*models->kbs));
    if (models->list == NULL || models->kbs == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for the list of models");
    models->n_models = config->n_models + models->n_trained;
    for (size_t i = 0; i < models->n_models; i++) {
        models->list[i].task.name = section_of(&loading, i)->name;
        models->list[i].is_default = section_of(&loading, i)->is_default.number != 0;
        models->list[i].task.is_trained = i >= config->n_models;
    }
    status = load_all(&loading, err);
    if (status == ATT_OK)
        status = join_encoders(&loading, err);
    if (status == ATT_OK)
        status = srv_models_open_items(models, source, &loading.place, err);
    if (status == ATT_OK)
        status = open_kbs(&loading, err);
    if (status == ATT_OK)
        status = open_users(&loading, err);
    if (status == ATT_OK)
        status = srv_models_open_news(models, source, err);
    return status;
}

void srv_models_finish(struct srv_models *models)
{
    store_news_close(models->news.store);
    news_weights_finish(&models->news_view.weights);
    store_entities_unref(models->news.entities);
    for (size_t i = 0; i < models->n_kbs; i++)
        store_kb_close(models->kbs[i].kb);
    store_users_close(models->users);
    for (size_t i = 0; i < models->n_models; i++) {
        store_items_close(models->list[i].task.items);
        store_catalogue_close(models->list[i].task.catalogue);
        store_follows_close(models->list[i].task.follows);
        task_generator_close(models->list[i].task.generator);
        att_model_unref(models->list[i].task.model);
    }
    att_mem_free(models->list);
    att_mem_free(models->kbs);
    srv_trained_free(models->trained, models->n_trained);
    memset(models, 0, sizeof(*models));
}
