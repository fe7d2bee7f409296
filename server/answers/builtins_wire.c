/*
 * Built-in answers of other servers' paths: TEI's GET /health and /info, and the
 * metadata of KServe's protocol. Those servers hold one model; /info tells of the
 * default encoder, else of the first model that classifies or reranks.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/answers/builtins.h"
#include "server/server.h"

/* ---- TEI ---- */

/* 200 without a body, as TEI and vLLM answer. */
enum att_status srv_builtin_tei_health(struct srv_server *server, struct srv_generation *generation,
                                       const struct srv_ask *ask, struct srv_builtin_answer *ret_answer,
                                       struct att_err *err)
{
    (void)generation;
    (void)ask;
    ret_answer->content_type = NULL;
    return srv_builtin_check_ready(server, err);
}

static void put_labels(struct att_jsonw *w, const struct att_head_info *head)
{
    att_jsonw_key(w, "id2label");
    att_jsonw_object_begin(w);
    for (size_t i = 0; i < head->n_labels; i++) {
        char number[24];

        snprintf(number, sizeof(number), "%zu", i);
        att_jsonw_put_text(w, number, head->labels[i]);
    }
    att_jsonw_object_end(w);
    att_jsonw_key(w, "label2id");
    att_jsonw_object_begin(w);
    for (size_t i = 0; i < head->n_labels; i++)
        att_jsonw_put_size(w, head->labels[i], i);
    att_jsonw_object_end(w);
}

static void put_model_type(struct att_jsonw *w, const struct att_model_info *info)
{
    static const char *const poolings[] = {
        [ATT_POOL_NONE] = "cls", [ATT_POOL_MEAN] = "mean", [ATT_POOL_CLS] = "cls", [ATT_POOL_LAST] = "last_token"};

    att_jsonw_key(w, "model_type");
    att_jsonw_object_begin(w);
    att_jsonw_key(w, info->n_head_infos == 0 ? "embedding" : info->n_logits == 1 ? "reranker" : "classifier");
    att_jsonw_object_begin(w);
    if (info->n_head_infos == 0)
        att_jsonw_put_text(w, "pooling", poolings[info->pooling]);
    else
        put_labels(w, &info->heads[0]);
    att_jsonw_object_end(w);
    att_jsonw_object_end(w);
}

enum att_status srv_builtin_tei_info(struct srv_server *server, struct srv_generation *generation,
                                     const struct srv_ask *ask, struct srv_builtin_answer *ret_answer,
                                     struct att_err *err)
{
    static const char *const tasks[] = {"embed", "classify", "rerank"};
    const struct srv_config *config = generation->config;
    const struct task_model *model = NULL;
    const struct att_model_info *info;
    struct att_jsonw w;

    (void)server;
    (void)ask;
    for (size_t i = 0; model == NULL && i < sizeof(tasks) / sizeof(tasks[0]); i++)
        model = srv_models_find(&generation->models, NULL, tasks[i]);
    if (model == NULL)
        return att_err_set(err, ATT_ENOTFOUND, "no model that reads texts is loaded");
    info = att_model_info(model->model);
    att_jsonw_init(&w, SRV_BUILTIN_BYTES_MAX);
    att_jsonw_object_begin(&w);
    att_jsonw_put_text(&w, "model_id", model->name);
    att_jsonw_put_text(&w, "model_sha", info->digest);
    att_jsonw_put_text(&w, "model_dtype",
                       info->dtype == ATT_F32    ? "float32"
                       : info->dtype == ATT_BF16 ? "bfloat16"
                                                 : "int8");
    put_model_type(&w, info);
    att_jsonw_put_size(&w, "max_concurrent_requests", (size_t)config->batching_queue_requests_max.number);
    att_jsonw_put_size(&w, "max_input_length", info->max_tokens);
    att_jsonw_put_size(&w, "max_batch_tokens", (size_t)config->batching_batch_tokens.number);
    att_jsonw_put_size(&w, "max_batch_requests", (size_t)config->batching_batch_sequences.number);
    att_jsonw_put_size(&w, "max_client_batch_size", generation->env.limits.items_max);
    att_jsonw_put_bool(&w, "auto_truncate", false);
    att_jsonw_put_size(&w, "tokenization_workers", 1);
    att_jsonw_put_text(&w, "version", ATT_VERSION);
    att_jsonw_put_text(&w, "sha", NULL);
    att_jsonw_put_text(&w, "docker_label", NULL);
    att_jsonw_object_end(&w);
    return srv_builtin_take(&w, ret_answer, err);
}

/* ---- KServe V2 ---- */

enum att_status srv_builtin_kserve_server(struct srv_server *server, struct srv_generation *generation,
                                          const struct srv_ask *ask, struct srv_builtin_answer *ret_answer,
                                          struct att_err *err)
{
    struct att_jsonw w;

    (void)server;
    (void)generation;
    (void)ask;
    att_jsonw_init(&w, SRV_BUILTIN_BYTES_MAX);
    att_jsonw_object_begin(&w);
    att_jsonw_put_text(&w, "name", "attentd");
    att_jsonw_put_text(&w, "version", ATT_VERSION);
    att_jsonw_key(&w, "extensions");
    att_jsonw_array_begin(&w);
    att_jsonw_array_end(&w);
    att_jsonw_object_end(&w);
    return srv_builtin_take(&w, ret_answer, err);
}

static enum att_status answer_flag(const char *name, const char *model, struct srv_builtin_answer *ret_answer,
                                   struct att_err *err)
{
    struct att_jsonw w;

    att_jsonw_init(&w, SRV_BUILTIN_BYTES_MAX);
    att_jsonw_object_begin(&w);
    if (model != NULL)
        att_jsonw_put_text(&w, "name", model);
    att_jsonw_put_bool(&w, name, true);
    att_jsonw_object_end(&w);
    return srv_builtin_take(&w, ret_answer, err);
}

enum att_status srv_builtin_kserve_live(struct srv_server *server, struct srv_generation *generation,
                                        const struct srv_ask *ask, struct srv_builtin_answer *ret_answer,
                                        struct att_err *err)
{
    (void)server;
    (void)generation;
    (void)ask;
    return answer_flag("live", NULL, ret_answer, err);
}

enum att_status srv_builtin_kserve_ready(struct srv_server *server, struct srv_generation *generation,
                                         const struct srv_ask *ask, struct srv_builtin_answer *ret_answer,
                                         struct att_err *err)
{
    enum att_status status = srv_builtin_check_ready(server, err);

    (void)generation;
    (void)ask;
    return status == ATT_OK ? answer_flag("ready", NULL, ret_answer, err) : status;
}

/* The model of the path, and of its version where the path has one. */
static enum att_status find(struct srv_generation *generation, const char *const path_params[2],
                            const struct srv_model **ret_model, struct att_err *err)
{
    const struct srv_model *model = srv_models_named(&generation->models, path_params[0]);
    char version[24];

    if (model == NULL)
        return att_err_set(err, ATT_ENOTFOUND, "no model has this name; GET /v1/models lists those that are served");
    snprintf(version, sizeof(version), "%" PRIu64, model->task.version);
    if (path_params[1] != NULL && path_params[1][0] != '\0' && strcmp(path_params[1], version) != 0)
        return att_err_set(err, ATT_ENOTFOUND, "the model has no such version, only \"%s\"", version);
    if (model->task.model == NULL)
        return att_err_set(err, ATT_EUNREADY, "the model is disabled");
    *ret_model = model;
    return ATT_OK;
}

enum att_status srv_builtin_kserve_model_ready(struct srv_server *server, struct srv_generation *generation,
                                               const struct srv_ask *ask, struct srv_builtin_answer *ret_answer,
                                               struct att_err *err)
{
    const struct srv_model *model = NULL;
    enum att_status status = srv_builtin_check_ready(server, err);

    if (status == ATT_OK)
        status = find(generation, ask->path_params, &model, err);
    return status == ATT_OK ? answer_flag("ready", model->task.name, ret_answer, err) : status;
}

enum att_status srv_builtin_kserve_model(struct srv_server *server, struct srv_generation *generation,
                                         const struct srv_ask *ask, struct srv_builtin_answer *ret_answer,
                                         struct att_err *err)
{
    const struct srv_model *model = NULL;
    enum att_status status = find(generation, ask->path_params, &model, err);
    struct att_jsonw w;
    char version[24];

    (void)server;
    if (status != ATT_OK)
        return status;
    snprintf(version, sizeof(version), "%" PRIu64, model->task.version);
    att_jsonw_init(&w, SRV_BUILTIN_BYTES_MAX);
    att_jsonw_object_begin(&w);
    att_jsonw_put_text(&w, "name", model->task.name);
    att_jsonw_key(&w, "versions");
    att_jsonw_array_begin(&w);
    att_jsonw_cstring(&w, version);
    att_jsonw_array_end(&w);
    att_jsonw_put_text(&w, "platform", "attentd");
    task_kserve_metadata(&model->task, &w);
    att_jsonw_object_end(&w);
    return srv_builtin_take(&w, ret_answer, err);
}
