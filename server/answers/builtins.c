/*
 * The built-in answers. They read what the server holds and touch no queue, so
 * that health and metrics answer under any load.
 */
#include "server/answers/builtins.h"

#include <string.h>

#include "server/answers/openapi.h"
#include "server/server.h"

static const char *const pooling_names[] = {
    [ATT_POOL_NONE] = "none", [ATT_POOL_MEAN] = "mean", [ATT_POOL_CLS] = "cls", [ATT_POOL_LAST] = "last"};

enum att_status srv_builtin_take(struct att_jsonw *w, struct srv_builtin_answer *ret_answer, struct att_err *err)
{
    enum att_status status = att_jsonw_take(w, &ret_answer->bytes, &ret_answer->len, err);

    att_jsonw_finish(w);
    return status;
}

enum att_status srv_builtin_check_ready(struct srv_server *server, struct att_err *err)
{
    if (atomic_load_explicit(&server->draining, memory_order_relaxed))
        return att_err_set(err, ATT_EUNREADY, "the daemon is stopping");
    return ATT_OK;
}

static enum att_status answer_status(const char *text, struct srv_builtin_answer *ret_answer, struct att_err *err)
{
    struct att_jsonw w;

    att_jsonw_init(&w, SRV_BUILTIN_BYTES_MAX);
    att_jsonw_object_begin(&w);
    att_jsonw_put_text(&w, "status", text);
    att_jsonw_object_end(&w);
    return srv_builtin_take(&w, ret_answer, err);
}

enum att_status srv_builtin_healthz(struct srv_server *server, struct srv_generation *generation,
                                    const struct srv_ask *ask, struct srv_builtin_answer *ret_answer,
                                    struct att_err *err)
{
    (void)server;
    (void)generation;
    (void)ask;
    return answer_status("ok", ret_answer, err);
}

enum att_status srv_builtin_readyz(struct srv_server *server, struct srv_generation *generation,
                                   const struct srv_ask *ask, struct srv_builtin_answer *ret_answer,
                                   struct att_err *err)
{
    enum att_status status = srv_builtin_check_ready(server, err);

    (void)generation;
    (void)ask;
    return status == ATT_OK ? answer_status("ready", ret_answer, err) : status;
}

struct totals {
    struct srv_batcher_stats stats;
    size_t n_generations;
};

/* What an older generation still serves counts too. */
static void add_stats(void *context, struct srv_generation *generation)
{
    struct totals *totals = context;
    struct srv_batcher_stats *sum = &totals->stats, stats = srv_batcher_stats(generation->batcher);

    totals->n_generations++;
    sum->requests += stats.requests;
    sum->bytes += stats.bytes;
    sum->tokens += stats.tokens;
    sum->items += stats.items;
}

enum att_status srv_builtin_metrics(struct srv_server *server, struct srv_generation *generation,
                                    const struct srv_ask *ask, struct srv_builtin_answer *ret_answer,
                                    struct att_err *err)
{
    struct totals totals = {0};
    struct srv_metrics_facts facts = {.queue = &totals.stats,
                                      .models = &generation->models,
                                      .generation = generation->number,
                                      .drift = server->drift};

    (void)ask;
    srv_generations_visit(&server->generations, add_stats, &totals);
    facts.n_generations = totals.n_generations;
    totals.stats.idle_workers = srv_batcher_stats(generation->batcher).idle_workers;
    ret_answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
    return srv_metrics_render(&server->metrics, &facts, &ret_answer->bytes, &ret_answer->len, err);
}

enum att_status srv_builtin_openapi(struct srv_server *server, struct srv_generation *generation,
                                    const struct srv_ask *ask, struct srv_builtin_answer *ret_answer,
                                    struct att_err *err)
{
    struct att_jsonw w;
    enum att_status status;

    (void)server;
    (void)ask;
    att_jsonw_init(&w, SRV_BUILTIN_BYTES_MAX);
    status = srv_openapi_render(&w, &generation->env.limits, err);
    if (status == ATT_OK)
        status = att_jsonw_take(&w, &ret_answer->bytes, &ret_answer->len, err);
    att_jsonw_finish(&w);
    return status;
}

/* ---- models ---- */

static void put_entry(struct att_jsonw *w, const struct srv_model *model)
{
    const struct att_model_info *info = model->task.model != NULL ? att_model_info(model->task.model) : NULL;

    att_jsonw_put_text(w, "id", model->task.name);
    att_jsonw_put_text(w, "object", "model");
    att_jsonw_put_int(w, "created", model->loaded_unix_s);
    att_jsonw_put_text(w, "owned_by", "attentd");
    att_jsonw_put_text(w, "status", info != NULL ? "serving" : "disabled");
    if (info == NULL)
        return;
    att_jsonw_put_size(w, "version", model->task.version);
    att_jsonw_put_text(w, "task", info->task);
    att_jsonw_put_text(w, "dtype", att_dtype_name(info->dtype));
    att_jsonw_put_text(w, "digest", info->digest);
}

/* {"object":"list","data":[…]} */
static void list_begin(struct att_jsonw *w)
{
    att_jsonw_init(w, SRV_BUILTIN_BYTES_MAX);
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "object", "list");
    att_jsonw_key(w, "data");
    att_jsonw_array_begin(w);
}

static enum att_status list_end(struct att_jsonw *w, struct srv_builtin_answer *ret_answer, struct att_err *err)
{
    att_jsonw_array_end(w);
    att_jsonw_object_end(w);
    return srv_builtin_take(w, ret_answer, err);
}

enum att_status srv_builtin_models(struct srv_server *server, struct srv_generation *generation,
                                   const struct srv_ask *ask, struct srv_builtin_answer *ret_answer,
                                   struct att_err *err)
{
    struct att_jsonw w;

    (void)server;
    (void)ask;
    list_begin(&w);
    for (size_t i = 0; i < generation->models.n_models; i++) {
        att_jsonw_object_begin(&w);
        put_entry(&w, &generation->models.list[i]);
        att_jsonw_object_end(&w);
    }
    return list_end(&w, ret_answer, err);
}

/* What its own file says of how it was trained. */
static void put_classifier(struct att_jsonw *w, const struct srv_model *model)
{
    static const char *const own[] = {"created", "cross_validation"};
    const struct att_model_info *info = att_model_info(model->task.model);
    const struct att_head_info *head = &info->heads[0];

    att_jsonw_put_text(w, "name", model->task.name);
    att_jsonw_put_text(w, "object", "classifier");
    att_jsonw_put_text(w, "model", info->base);
    att_jsonw_key(w, "labels");
    att_jsonw_array_begin(w);
    for (size_t i = 0; i < head->n_labels; i++)
        att_jsonw_cstring(w, head->labels[i]);
    att_jsonw_array_end(w);
    att_jsonw_put_bool(w, "multi_label", head->multi_label);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        const struct att_json *value = att_json_get(info->attend_json, own[i]);

        if (value == NULL)
            continue;
        att_jsonw_key(w, own[i]);
        att_jsonw_value(w, value);
    }
}

enum att_status srv_builtin_classifiers(struct srv_server *server, struct srv_generation *generation,
                                        const struct srv_ask *ask, struct srv_builtin_answer *ret_answer,
                                        struct att_err *err)
{
    struct att_jsonw w;

    (void)server;
    (void)ask;
    list_begin(&w);
    for (size_t i = 0; i < generation->models.n_models; i++) {
        const struct srv_model *model = &generation->models.list[i];

        if (!model->task.is_trained || model->task.model == NULL ||
            att_model_info(model->task.model)->n_head_infos == 0)
            continue;
        att_jsonw_object_begin(&w);
        put_classifier(&w, model);
        att_jsonw_object_end(&w);
    }
    return list_end(&w, ret_answer, err);
}

static void put_heads(struct att_jsonw *w, const struct att_model_info *info)
{
    att_jsonw_key(w, "heads");
    att_jsonw_array_begin(w);
    for (size_t i = 0; i < info->n_head_infos; i++) {
        const struct att_head_info *head = &info->heads[i];

        att_jsonw_object_begin(w);
        att_jsonw_put_text(w, "name", head->name);
        att_jsonw_key(w, "labels");
        att_jsonw_array_begin(w);
        for (size_t k = 0; k < head->n_labels; k++)
            att_jsonw_cstring(w, head->labels[k]);
        att_jsonw_array_end(w);
        att_jsonw_put_bool(w, "multi_label", head->multi_label);
        att_jsonw_put_float(w, "temperature", head->temperature);
        if (head->out_of_scope_label != NULL) {
            att_jsonw_put_text(w, "out_of_scope_label", head->out_of_scope_label);
            att_jsonw_put_float(w, "out_of_scope_threshold", head->out_of_scope_threshold);
        }
        att_jsonw_object_end(w);
    }
    att_jsonw_array_end(w);
}

static void put_limits(struct att_jsonw *w, const struct srv_generation *generation, const struct att_model_info *info)
{
    const struct task_limits *limits = &generation->env.limits;

    att_jsonw_key(w, "limits");
    att_jsonw_object_begin(w);
    att_jsonw_put_size(w, "max_tokens", info->max_tokens);
    att_jsonw_put_size(w, "items_max", limits->items_max);
    att_jsonw_put_size(w, "text_bytes_max", limits->text_bytes_max);
    att_jsonw_put_size(w, "tokens_max", limits->tokens_max);
    att_jsonw_put_size(w, "history_max", limits->history_max);
    att_jsonw_put_size(w, "body_bytes_max", (size_t)generation->config->limits_body_bytes_max.number);
    att_jsonw_put_size(w, "deadline_ms_max", limits->deadline_ms_max);
    att_jsonw_object_end(w);
}

/* How much events count for a recommender. */
static void put_history(struct att_jsonw *w, const struct att_history_rules *rules)
{
    const struct {
        const char *name;
        float weight;
    } types[] = {{"view", rules->view}, {"click", rules->click}, {"rate", rules->rate}, {"buy", rules->buy}};

    att_jsonw_key(w, "history");
    att_jsonw_object_begin(w);
    att_jsonw_put_float(w, "half_life_days", rules->half_life_days);
    att_jsonw_put_float(w, "sequence", rules->sequence);
    att_jsonw_key(w, "weights");
    att_jsonw_object_begin(w);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        att_jsonw_put_float(w, types[i].name, types[i].weight);
    att_jsonw_object_end(w);
    att_jsonw_object_end(w);
}

/* What is known of a loaded model. */
static void put_card(struct att_jsonw *w, const struct srv_generation *generation, const struct srv_model *model)
{
    const struct att_model_info *info = att_model_info(model->task.model);

    att_jsonw_put_text(w, "architecture", info->arch);
    att_jsonw_put_text(w, "class", info->class_name);
    att_jsonw_put_text(w, "base", info->base);
    att_jsonw_put_text(w, "encoder", model->task.encoder != NULL ? model->task.encoder->name : NULL);
    att_jsonw_put_text(w, "kernels", att_kernel_names(info->dtype));
    att_jsonw_put_text(w, "licence", info->licence);
    att_jsonw_put_text(w, "languages", info->languages);
    att_jsonw_put_size(w, "hidden_size", info->hidden_size);
    att_jsonw_put_size(w, "layers", info->n_layers);
    att_jsonw_put_size(w, "attention_heads", info->n_heads);
    att_jsonw_put_size(w, "vocab_size", info->vocab_size);
    att_jsonw_put_text(w, "pooling", pooling_names[info->pooling]);
    att_jsonw_put_bool(w, "normalized", info->normalize);
    att_jsonw_put_size(w, "weight_bytes", info->weight_bytes);
    if (info->mapped_bytes > 0)
        att_jsonw_put_size(w, "mapped_bytes", info->mapped_bytes);
    put_heads(w, info);
    if (info->history.half_life_days > 0)
        put_history(w, &info->history);
    put_limits(w, generation, info);
    att_jsonw_key(w, "self_test");
    att_jsonw_object_begin(w);
    att_jsonw_put_size(w, "cases_passed", model->self_test_cases);
    att_jsonw_object_end(w);
}

enum att_status srv_builtin_model(struct srv_server *server, struct srv_generation *generation,
                                  const struct srv_ask *ask, struct srv_builtin_answer *ret_answer, struct att_err *err)
{
    const struct srv_model *model = srv_models_named(&generation->models, ask->path_params[0]);
    struct att_jsonw w;

    (void)server;
    if (model == NULL)
        return att_err_set(err, ATT_ENOTFOUND, "no model has this name; GET /v1/models lists those that are served");
    att_jsonw_init(&w, SRV_BUILTIN_BYTES_MAX);
    att_jsonw_object_begin(&w);
    put_entry(&w, model);
    if (model->task.model != NULL)
        put_card(&w, generation, model);
    att_jsonw_object_end(&w);
    return srv_builtin_take(&w, ret_answer, err);
}
