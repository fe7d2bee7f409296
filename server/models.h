/*
 * The models and knowledge bases that the configuration names, loaded, checked
 * and found by name: the daemon's side of struct task_env. Read-only after
 * srv_models_load, so any thread may look things up.
 */
#ifndef SRV_MODELS_H
#define SRV_MODELS_H

#include <stdbool.h>
#include <stddef.h>

#include "tasks/task.h"

struct srv_config;
struct srv_log;

struct srv_models {
    struct task_model *models; /* in the order of the configuration */
    bool *is_default;          /* [n_models] marked by the configuration */
    size_t *self_test_cases;   /* [n_models] cases of golden.jsonl that passed */
    size_t n_models;
    struct task_kb *kbs; /* the first is the default */
    size_t n_kbs;
};

/* Loads everything; bases before their adapters, encoders before those who use them. The message says which section
 * of the configuration, and what att_model_load said. */
enum att_status srv_models_load(struct srv_models *models, const struct srv_config *config, const struct srv_log *log,
                                struct att_err *err) ATT_MUST_USE;
void srv_models_finish(struct srv_models *models);
/* For struct task_env; context is the struct srv_models. */
const struct task_model *srv_models_find(void *context, const char *name, const char *task);
const struct task_kb *srv_models_find_kb(void *context, const char *name);
/* Index of a loaded model. */
size_t srv_models_index(const struct srv_models *models, const struct att_model *model);

#endif
