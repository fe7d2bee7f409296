/*
 * The models and knowledge bases of one generation: loaded, checked and found by
 * name, the daemon's side of struct task_env. Read-only after srv_models_load, so
 * any thread may look things up. What has not changed since an older generation
 * is shared with it, not loaded twice.
 */
#ifndef SRV_MODELS_H
#define SRV_MODELS_H

#include <stdbool.h>
#include <stddef.h>

#include "news/set.h"
#include "tasks/task.h"

struct srv_config;
struct srv_config_model;
struct srv_log;

struct srv_model {
    struct task_model task; /* first: found by casting back; task.model is NULL while the model is disabled */
    bool is_default;        /* marked by the configuration */
    bool is_left_out;       /* such a one that could not be loaded */
    size_t self_test_cases; /* of golden.jsonl, passed */
    int64_t loaded_unix_s;
    uint64_t stamp, items_stamp; /* att_path_stamp of its files just before they were read */
};

struct srv_models {
    struct srv_model *list; /* in the order of the configuration, then the trained ones */
    size_t n_models;
    struct task_kb *kbs; /* the first is the default */
    size_t n_kbs;
    struct task_news news; /* store NULL: none is configured */
    struct news_view news_view;
    uint64_t entities_stamp;
    struct store_users *users;        /* NULL: none are configured */
    struct srv_config_model *trained; /* sections of trained classifiers (server/models/trained.h) */
    size_t n_trained;
};

/* What to load. */
struct srv_models_source {
    const struct srv_config *config;
    const struct srv_models *old; /* of the generation before, or NULL */
    const struct srv_config *old_config;
    /* This model, and adapters over it, whether their files have changed or not, and nothing unless it loads; NULL:
     * none. */
    const char *anew;
    const struct srv_log *log;
};

/* Loads everything; bases before their adapters, encoders before those who use them. The message says which section
 * of the configuration, and what att_model_load said. srv_models_finish also after a failure. */
enum att_status srv_models_load(struct srv_models *models, const struct srv_models_source *source,
                                struct att_err *err) ATT_MUST_USE;
void srv_models_finish(struct srv_models *models);
/* For struct task_env; context is the struct srv_models. A disabled model is not found. */
const struct task_model *srv_models_find(void *context, const char *name, const char *task);
const struct task_kb *srv_models_find_kb(void *context, const char *name);
/* Also a disabled one; NULL: there is no such name, or no models. */
const struct srv_model *srv_models_named(const struct srv_models *models, const char *name);
/* Index of a loaded model. */
size_t srv_models_index(const struct srv_models *models, const struct att_model *model);

#endif
