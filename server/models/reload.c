/*
 * The thread of reload.h. It runs at a lower priority than those that serve, so
 * that loading takes idle time first.
 */
#include "server/models/reload.h"

#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "core/base/clock.h"
#include "server/net/tls.h"
#include "server/watch/notify.h"

/* A job waits while SRV_GENERATIONS_MAX generations live, and keeps the one alive that it came with. So jobs together
 * may hold so many: beside them there is always room for the current one and for the next. */
enum { JOBS_MAX = 16, HELD_MAX = SRV_GENERATIONS_MAX - 2, NICE = 10 };

struct srv_reloader {
    struct srv_server *server;
    struct srv_reload_source source;
    pthread_t thread;
    /* Guarded by the generations' mutex: the end of a last request, a job and a stop wake the same condition. */
    bool stopping, wants_all, ended;
    struct srv_reload_job *first, *last;
    size_t n_jobs;
};

static pthread_mutex_t *mutex_of(struct srv_reloader *reloader)
{
    return &reloader->server->generations.mutex;
}

static void wake(struct srv_reloader *reloader)
{
    pthread_cond_broadcast(&reloader->server->generations.released);
}

/* ---- everything ---- */

/* What only a restart changes is named, not taken. */
static void tell_ignored(const struct srv_server *server, const struct srv_config *config)
{
    size_t n;
    const struct srv_option *options = srv_options(&n);

    for (size_t i = 0; i < n; i++) {
        const struct srv_option *option = &options[i];

        if (option->named_section || !srv_option_needs_restart(option) ||
            srv_option_equal(option, server->config, config))
            continue;
        srv_log(&server->log, SRV_LOG_WARN, "restart_needed", SRV_TEXT("section", option->section),
                SRV_TEXT("option", option->name));
    }
}

/* The pair to use from now on; NULL: as before. */
static enum att_status load_certificate(struct srv_server *server, const struct srv_config *config,
                                        struct srv_tls_pair **ret_pair, struct att_err *err)
{
    enum att_status status = srv_tls_pair_load(config, ret_pair, err);

    if (status == ATT_OK && (*ret_pair != NULL) != (server->tls != NULL)) {
        srv_log(&server->log, SRV_LOG_WARN, "restart_needed", SRV_TEXT("section", "server"),
                SRV_TEXT("option", "tls_certificate"));
        srv_tls_pair_destroy(*ret_pair);
        *ret_pair = NULL;
    }
    return status;
}

static enum att_status make(struct srv_reloader *reloader, struct srv_settings *settings, const char *anew,
                            struct att_err *err)
{
    struct srv_server *server = reloader->server;
    struct srv_generation *old = srv_generations_acquire(&server->generations), *generation = NULL;
    struct srv_generation_source source = {.settings = settings != NULL ? settings : old->settings,
                                           .old = old,
                                           .anew = anew,
                                           .log = &server->log,
                                           .metrics = &server->metrics};
    enum att_status status = srv_generation_create(&source, &generation, err);

    if (status == ATT_OK)
        srv_generations_publish(&server->generations, generation);
    srv_generations_release(&server->generations, old);
    return status;
}

static enum att_status reload_all(struct srv_reloader *reloader, struct att_err *err)
{
    struct srv_server *server = reloader->server;
    struct srv_settings *settings = srv_settings_create(err);
    struct srv_tls_pair *pair = NULL;
    enum att_status status = settings != NULL ? ATT_OK : ATT_ENOMEM;

    if (status == ATT_OK)
        status = reloader->source.read(reloader->source.context, &settings->config, err);
    if (status == ATT_OK)
        status = load_certificate(server, &settings->config, &pair, err);
    if (status == ATT_OK)
        status = make(reloader, settings, NULL, err);
    if (status == ATT_OK) {
        srv_log_set(&server->log, (enum srv_log_level)settings->config.log_level.number,
                    (enum srv_log_format)settings->config.log_format.number);
        tell_ignored(server, &settings->config);
        if (pair != NULL)
            srv_tls_replace(server->tls, pair);
        pair = NULL;
    }
    srv_tls_pair_destroy(pair);
    srv_settings_unref(settings);
    return status;
}

static void run_all(struct srv_reloader *reloader)
{
    struct srv_server *server = reloader->server;
    uint64_t start_us = att_clock_us();
    struct att_err err;
    enum att_status status;

    srv_notify_reloading(server);
    status = reload_all(reloader, &err);
    srv_metrics_reload(&server->metrics, SRV_RELOAD_CONFIG, status == ATT_OK);
    if (status == ATT_OK)
        srv_log(&server->log, SRV_LOG_INFO, "reloaded", SRV_NUMBER("ms", (double)(att_clock_us() - start_us) * 1e-3));
    else
        srv_log(&server->log, SRV_LOG_WARN, "reload_failed", SRV_TEXT("why", err.message),
                SRV_TEXT("kept", "the configuration and the models from before"));
    srv_notify_serving(server, status == ATT_OK ? NULL : err.message);
}

/* ---- for a request ---- */

/* The version of the model of this name that serves; 0: none. */
static uint64_t version_of(struct srv_server *server, const char *name)
{
    struct srv_generation *generation = srv_generations_acquire(&server->generations);
    const struct srv_model *model = srv_models_named(&generation->models, name);
    uint64_t version = model != NULL && model->task.model != NULL ? model->task.version : 0;

    srv_generations_release(&server->generations, generation);
    return version;
}

static enum att_status prepare_and_make(struct srv_reloader *reloader, struct srv_reload_job *job)
{
    enum att_status status = job->before != NULL ? job->before(job, &job->err) : ATT_OK;
    struct att_err unsettled;

    if (status != ATT_OK)
        return status;
    job->prepared = true;
    status = make(reloader, NULL, job->model[0] != '\0' ? job->model : NULL, &job->err);
    if (job->settle != NULL && job->settle(job, status == ATT_OK, &unsettled) != ATT_OK)
        srv_log(&reloader->server->log, SRV_LOG_WARN, "settle_failed", SRV_TEXT("why", unsettled.message));
    return status;
}

static void run_job(struct srv_reloader *reloader, struct srv_reload_job *job)
{
    struct srv_server *server = reloader->server;
    const char *name = job->model[0] != '\0' ? job->model : "-";
    uint64_t start_us = att_clock_us();

    job->status = prepare_and_make(reloader, job);
    job->us = att_clock_us() - start_us;
    srv_metrics_reload(&server->metrics, SRV_RELOAD_MODEL, job->status == ATT_OK);
    if (job->status == ATT_OK) {
        job->version = version_of(server, name);
        srv_log(&server->log, SRV_LOG_INFO, "model_reloaded", SRV_TEXT("name", name),
                SRV_NUMBER("version", job->version), SRV_NUMBER("ms", (double)job->us * 1e-3));
    } else {
        srv_log(&server->log, SRV_LOG_WARN, "reload_failed", SRV_TEXT("name", name), SRV_TEXT("why", job->err.message));
    }
    job->done(job);
}

static struct srv_reload_job *take_job(struct srv_reloader *reloader)
{
    struct srv_reload_job *job = reloader->first;

    if (job == NULL)
        return NULL;
    reloader->first = job->next;
    if (reloader->first == NULL)
        reloader->last = NULL;
    reloader->n_jobs--;
    return job;
}

/* ---- the thread ---- */

static bool has_dead(const struct srv_generations *generations)
{
    for (const struct srv_generation *at = generations->retired; at != NULL; at = at->next)
        if (at->references == 0)
            return true;
    return false;
}

static bool has_work(const struct srv_reloader *reloader)
{
    return reloader->wants_all || reloader->first != NULL;
}

static void *reloader_main(void *argument)
{
    struct srv_reloader *reloader = argument;
    struct srv_generations *generations = &reloader->server->generations;
    size_t n_alive = 1;

    pthread_setname_np(pthread_self(), "attentd-reload");
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* on Linux 0 is this thread */
    pthread_mutex_lock(&generations->mutex);
    while (!reloader->stopping) {
        struct srv_reload_job *job = NULL;
        bool all;

        if (!has_dead(generations) && !(has_work(reloader) && n_alive < SRV_GENERATIONS_MAX)) {
            pthread_cond_wait(&generations->released, &generations->mutex);
            continue;
        }
        all = n_alive < SRV_GENERATIONS_MAX && reloader->wants_all;
        if (all)
            reloader->wants_all = false;
        else if (n_alive < SRV_GENERATIONS_MAX)
            job = take_job(reloader);
        pthread_mutex_unlock(&generations->mutex);
        if (all)
            run_all(reloader);
        else if (job != NULL)
            run_job(reloader, job);
        n_alive = srv_generations_sweep(generations);
        pthread_mutex_lock(&generations->mutex);
    }
    reloader->ended = true;
    wake(reloader);
    pthread_mutex_unlock(&generations->mutex);
    return NULL;
}

/* ---- asking ---- */

enum att_status srv_reloader_start(struct srv_server *server, const struct srv_reload_source *source,
                                   struct srv_reloader **ret_reloader, struct att_err *err)
{
    struct srv_reloader *reloader = att_mem_calloc(1, sizeof(*reloader));

    if (reloader == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for reloading");
    reloader->server = server;
    reloader->source = *source;
    if (pthread_create(&reloader->thread, NULL, reloader_main, reloader) != 0) {
        att_mem_free(reloader);
        return att_err_set(err, ATT_EIO, "cannot start the thread that reloads");
    }
    *ret_reloader = reloader;
    return ATT_OK;
}

void srv_reloader_ask(struct srv_reloader *reloader)
{
    pthread_mutex_lock(mutex_of(reloader));
    reloader->wants_all = true;
    wake(reloader);
    pthread_mutex_unlock(mutex_of(reloader));
}

static bool is_held(const struct srv_reload_job *from, const struct srv_reload_job *end,
                    const struct srv_generation *generation)
{
    for (; from != end; from = from->next)
        if (from->held == generation)
            return true;
    return false;
}

/* Different generations that waiting jobs keep alive, with this one more. */
static size_t count_held(const struct srv_reloader *reloader, const struct srv_generation *one_more)
{
    size_t n = is_held(reloader->first, NULL, one_more) ? 0 : 1;

    for (const struct srv_reload_job *job = reloader->first; job != NULL; job = job->next)
        n += !is_held(reloader->first, job, job->held);
    return n;
}

enum att_status srv_reloader_submit(struct srv_reloader *reloader, struct srv_reload_job *job, struct att_err *err)
{
    bool taken;

    pthread_mutex_lock(mutex_of(reloader));
    taken = reloader->n_jobs < JOBS_MAX && !reloader->stopping && count_held(reloader, job->held) <= HELD_MAX;
    if (taken) {
        job->next = NULL;
        if (reloader->last != NULL)
            reloader->last->next = job;
        else
            reloader->first = job;
        reloader->last = job;
        reloader->n_jobs++;
        wake(reloader);
    }
    pthread_mutex_unlock(mutex_of(reloader));
    return taken ? ATT_OK : att_err_set(err, ATT_EBUSY, "too many reloads wait already");
}

static bool wait_ended(struct srv_reloader *reloader, uint64_t wait_us)
{
    struct timespec until;
    int result = 0;
    bool ended;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait_us / 1000000);
    until.tv_nsec += (long)(wait_us % 1000000) * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(mutex_of(reloader));
    while (!reloader->ended && result == 0)
        result = pthread_cond_clockwait(&reloader->server->generations.released, mutex_of(reloader), CLOCK_MONOTONIC,
                                        &until);
    ended = reloader->ended;
    pthread_mutex_unlock(mutex_of(reloader));
    return ended;
}

bool srv_reloader_stop(struct srv_reloader *reloader, uint64_t wait_us)
{
    struct srv_reload_job *job;

    if (reloader == NULL)
        return true;
    pthread_mutex_lock(mutex_of(reloader));
    reloader->stopping = true;
    wake(reloader);
    pthread_mutex_unlock(mutex_of(reloader));
    if (!wait_ended(reloader, wait_us))
        return false;
    pthread_join(reloader->thread, NULL);
    while ((job = take_job(reloader)) != NULL) {
        job->status = att_err_set(&job->err, ATT_EUNREADY, "the daemon is stopping");
        job->done(job);
    }
    att_mem_free(reloader);
    return true;
}
