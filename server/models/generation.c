/*
 * Making a generation, and the list of those alive. Publishing is one pointer
 * under a mutex; who holds an old generation keeps it until its own end.
 */
#include "server/models/generation.h"

#include <assert.h>
#include <malloc.h>

#include "server/alerts/webhooks.h"

struct srv_settings *srv_settings_create(struct att_err *err)
{
    struct srv_settings *settings = att_mem_calloc(1, sizeof(*settings));

    if (settings == NULL) {
        att_err_set(err, ATT_ENOMEM, "no memory for the configuration");
        return NULL;
    }
    atomic_init(&settings->references, 1);
    if (srv_config_init(&settings->config, err) != ATT_OK) {
        srv_settings_unref(settings);
        return NULL;
    }
    return settings;
}

struct srv_settings *srv_settings_ref(struct srv_settings *settings)
{
    atomic_fetch_add_explicit(&settings->references, 1, memory_order_relaxed);
    return settings;
}

void srv_settings_unref(struct srv_settings *settings)
{
    if (settings == NULL || atomic_fetch_sub_explicit(&settings->references, 1, memory_order_acq_rel) > 1)
        return;
    srv_config_finish(&settings->config);
    att_mem_free(settings);
}

/* ---- one generation ---- */

static void init_env(struct srv_generation *generation)
{
    const struct srv_config *config = generation->config;

    generation->env.context = &generation->models;
    generation->env.find_model = srv_models_find;
    generation->env.find_kb = srv_models_find_kb;
    generation->env.classifiers = srv_config_text(&config->server_classifiers);
    generation->env.limits = (struct task_limits){
        .items_max = (size_t)config->limits_items_max.number,
        .text_bytes_max = (size_t)config->limits_text_bytes_max.number,
        .tokens_max = (size_t)config->limits_tokens_max.number,
        .history_max = (size_t)config->limits_history_max.number,
        .answer_bytes_max = (size_t)config->limits_answer_bytes_max.number,
        .deadline_ms_max = (uint32_t)config->limits_deadline_ms_max.number,
        .deadline_ms_default = (uint32_t)config->limits_deadline_ms_default.number,
        .generation_tokens_max = (size_t)config->limits_generation_tokens_max.number,
    };
    atomic_init(&generation->room.texts, 0);
    atomic_init(&generation->room.bytes, 0);
    generation->room.texts_max = (size_t)config->limits_generations_max.number;
    generation->room.bytes_max = (size_t)config->limits_generation_bytes_max.number;
    generation->env.room = &generation->room;
}

static enum att_status start_work(struct srv_generation *generation, struct srv_metrics *metrics, struct att_err *err)
{
    const struct srv_config *config = generation->config;
    struct srv_sched_limits limits = {
        .requests_max = (size_t)config->batching_queue_requests_max.number,
        .bytes_max = (size_t)config->batching_queue_bytes_max.number,
        .tokens_max = (size_t)config->batching_queue_tokens_max.number,
        .age_max_us = config->batching_age_max_ms.number * 1000,
        .bulk_share = (unsigned)config->batching_bulk_share.number,
    };
    struct srv_workers_options options = {
        .n_workers = (size_t)config->server_worker_threads.number,
        .tokens_budget = (size_t)config->batching_batch_tokens.number,
        .items_max = (size_t)config->batching_batch_sequences.number,
        .limits = &generation->env.limits,
    };
    enum att_status status = srv_batcher_create(&limits, generation->models.n_models, &generation->batcher, err);

    if (status != ATT_OK)
        return status;
    return srv_workers_start(&options, &generation->models, generation->batcher, metrics, &generation->workers, err);
}

static enum att_status load(struct srv_generation *generation, const struct srv_generation_source *source,
                            struct att_err *err)
{
    const struct srv_generation *old = source->old;
    struct srv_models_source models = {.config = generation->config,
                                       .old = old != NULL ? &old->models : NULL,
                                       .old_config = old != NULL ? old->config : NULL,
                                       .anew = source->anew,
                                       .log = source->log};
    enum att_status status =
        srv_keys_load(&generation->config->server_api_keys, old != NULL ? old->keys : NULL, &generation->keys, err);

    if (status == ATT_OK)
        status = srv_webhooks_check(generation->config, err);
    if (status == ATT_OK)
        status = srv_models_load(&generation->models, &models, err);
    generation->env.news = generation->models.news.store != NULL ? &generation->models.news : NULL;
    generation->env.news_view = &generation->models.news_view;
    generation->env.users = generation->models.users;
    if (status == ATT_OK)
        status = start_work(generation, source->metrics, err);
    return status;
}

enum att_status srv_generation_create(const struct srv_generation_source *source, struct srv_generation **ret,
                                      struct att_err *err)
{
    struct srv_generation *generation = att_mem_calloc(1, sizeof(*generation));
    enum att_status status;

    if (generation == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for a generation");
    generation->number = source->old != NULL ? source->old->number + 1 : 1;
    generation->settings = srv_settings_ref(source->settings);
    generation->config = &generation->settings->config;
    init_env(generation);
    status = load(generation, source, err);
    if (status != ATT_OK) {
        srv_generation_destroy(generation);
        return status;
    }
    *ret = generation;
    return ATT_OK;
}

void srv_generation_destroy(struct srv_generation *generation)
{
    if (generation == NULL)
        return;
    assert(generation->references == 0);
    if (generation->batcher != NULL)
        srv_batcher_stop(generation->batcher);
    srv_workers_join(generation->workers);
    srv_batcher_destroy(generation->batcher);
    srv_models_finish(&generation->models);
    srv_keys_destroy(generation->keys);
    srv_settings_unref(generation->settings);
    att_mem_free(generation);
    /* Weights are large blocks; what lies between them goes back too, so that memory is what it was before a reload. */
    (void)malloc_trim(0);
}

/* ---- the holder ---- */

void srv_generations_init(struct srv_generations *generations)
{
    pthread_mutex_init(&generations->mutex, NULL);
    pthread_cond_init(&generations->released, NULL);
    generations->current = generations->retired = NULL;
}

void srv_generations_finish(struct srv_generations *generations)
{
    struct srv_generation *current = generations->current;

    generations->current = NULL;
    srv_generation_destroy(current);
    (void)srv_generations_sweep(generations);
    assert(generations->retired == NULL);
    pthread_cond_destroy(&generations->released);
    pthread_mutex_destroy(&generations->mutex);
}

void srv_generations_publish(struct srv_generations *generations, struct srv_generation *generation)
{
    pthread_mutex_lock(&generations->mutex);
    if (generations->current != NULL) {
        generations->current->next = generations->retired;
        generations->retired = generations->current;
    }
    generations->current = generation;
    pthread_cond_broadcast(&generations->released);
    pthread_mutex_unlock(&generations->mutex);
}

struct srv_generation *srv_generations_acquire(struct srv_generations *generations)
{
    struct srv_generation *generation;

    pthread_mutex_lock(&generations->mutex);
    generation = generations->current;
    assert(generation != NULL);
    generation->references++;
    pthread_mutex_unlock(&generations->mutex);
    return generation;
}

void srv_generations_release(struct srv_generations *generations, struct srv_generation *generation)
{
    pthread_mutex_lock(&generations->mutex);
    assert(generation->references > 0);
    if (--generation->references == 0 && generation != generations->current)
        pthread_cond_broadcast(&generations->released);
    pthread_mutex_unlock(&generations->mutex);
}

size_t srv_generations_sweep(struct srv_generations *generations)
{
    struct srv_generation *dead = NULL;
    size_t n_alive = 0;

    pthread_mutex_lock(&generations->mutex);
    for (struct srv_generation **link = &generations->retired; *link != NULL;) {
        struct srv_generation *generation = *link;

        if (generation->references > 0) {
            n_alive++;
            link = &generation->next;
        } else {
            *link = generation->next;
            generation->next = dead;
            dead = generation;
        }
    }
    n_alive += generations->current != NULL;
    pthread_mutex_unlock(&generations->mutex);
    while (dead != NULL) {
        struct srv_generation *next = dead->next;

        srv_generation_destroy(dead);
        dead = next;
    }
    return n_alive;
}

void srv_generations_visit(struct srv_generations *generations,
                           void (*visit)(void *context, struct srv_generation *generation), void *context)
{
    struct srv_generation *list[SRV_GENERATIONS_MAX];
    size_t n = 0;

    pthread_mutex_lock(&generations->mutex);
    if (generations->current != NULL)
        list[n++] = generations->current;
    for (struct srv_generation *at = generations->retired; at != NULL; at = at->next) {
        assert(n < SRV_GENERATIONS_MAX);
        list[n++] = at;
    }
    for (size_t i = 0; i < n; i++)
        list[i]->references++;
    pthread_mutex_unlock(&generations->mutex);
    for (size_t i = 0; i < n; i++) {
        visit(context, list[i]);
        srv_generations_release(generations, list[i]);
    }
}
