/*
 * A generation: what one reading of the configuration brought to life — models,
 * knowledge bases, API keys, limits, a queue and its workers.
 *
 * A request acquires the current generation when its header is read and releases
 * it when its answer is rendered, so a reload never changes what a request stands
 * on: the new generation is loaded beside the old one, then published; the old one
 * serves what it has admitted and is freed after its last request.
 */
#ifndef SRV_GENERATION_H
#define SRV_GENERATION_H

#include <pthread.h>

#include "server/access/keys.h"
#include "server/batch/batcher.h"
#include "server/batch/workers.h"
#include "server/config/config.h"
#include "server/models/models.h"
#include "server/watch/log.h"
#include "server/watch/metrics.h"

enum { SRV_GENERATIONS_MAX = 4 }; /* alive at once: what bounds the memory of reloads in a row */

/* A configuration that several generations share. */
struct srv_settings {
    struct srv_config config;
    atomic_size_t references;
};

/* All defaults, one reference. NULL: err says why. */
struct srv_settings *srv_settings_create(struct att_err *err);
struct srv_settings *srv_settings_ref(struct srv_settings *settings);
void srv_settings_unref(struct srv_settings *settings); /* NULL is allowed */

struct srv_generation {
    uint64_t number; /* 1 at the start */
    struct srv_settings *settings;
    const struct srv_config *config; /* of the settings */
    struct srv_models models;
    struct srv_keys *keys; /* NULL: none are configured */
    struct srv_batcher *batcher;
    struct srv_workers *workers;
    struct task_env env;
    struct task_room room; /* of texts that are written; atomics */
    /* the holder's own */
    size_t references;
    struct srv_generation *next;
};

struct srv_generation_source {
    struct srv_settings *settings; /* a reference is taken */
    const struct srv_generation *old;
    const char *anew; /* a model to load whatever its files say, or NULL */
    const struct srv_log *log;
    struct srv_metrics *metrics;
};

/* Loads and checks everything, runs the self-tests, starts the workers. Takes as long as loading takes. */
enum att_status srv_generation_create(const struct srv_generation_source *source, struct srv_generation **ret,
                                      struct att_err *err) ATT_MUST_USE;
/* Nothing is queued in it any more. NULL is allowed. */
void srv_generation_destroy(struct srv_generation *generation);

/* ---- the holder: which generation is current, which still serve old requests ---- */

struct srv_generations {
    pthread_mutex_t mutex; /* protects everything below, and the references */
    pthread_cond_t released;
    struct srv_generation *current, *retired;
};

void srv_generations_init(struct srv_generations *generations);
/* Destroys all; no request holds one. */
void srv_generations_finish(struct srv_generations *generations);
/* The new generation becomes the current one; the holder owns it. */
void srv_generations_publish(struct srv_generations *generations, struct srv_generation *generation);
/* Any thread. Never NULL once one is published. */
struct srv_generation *srv_generations_acquire(struct srv_generations *generations);
void srv_generations_release(struct srv_generations *generations, struct srv_generation *generation);
/* Destroys retired generations without requests; returns how many are still alive, the current one among them. */
size_t srv_generations_sweep(struct srv_generations *generations);
/* Calls `visit` for every one alive, with no lock held. */
void srv_generations_visit(struct srv_generations *generations,
                           void (*visit)(void *context, struct srv_generation *generation), void *context);

#endif
