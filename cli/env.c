/*
 * The world of one command: the model of --model, the encoder beside it, and
 * the bases that adapters build on, under the names that requests use.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "news/set.h"
#include "store/catalogue.h"
#include "store/entities.h"
#include "store/follows.h"
#include "store/items.h"
#include "store/kb.h"
#include "store/news.h"

enum { PATH_BYTES = 4096, LOADED_MAX = CLI_BASES_MAX };

/* Bases found on the way; one that two adapters name is loaded once. */
struct bases {
    const char *dir; /* of the model that asks */
    const struct cli_options *options;
    struct {
        char name[129];
        struct att_model *model;
    } loaded[LOADED_MAX];
    size_t count;
    struct att_err err; /* why a base that was found could not be loaded */
};

struct cli_env {
    struct task_model model, encoder, reranker;
    struct task_kb kb; /* kb.kb NULL: no --kb */
    struct store_items *items;
    struct task_news news; /* news.store NULL: no --db */
    char *name, *encoder_name, *reranker_name;
    struct bases bases;
    struct task_env task;
};

static bool is_dir(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Where the base lies, or false. A name that is a path is looked up among --base alone. */
static bool base_path(const struct bases *bases, const char *name, char path[PATH_BYTES])
{
    size_t len = strlen(name);
    for (size_t i = 0; i < bases->options->n_bases; i++) {
        const char *base = bases->options->bases[i];
        if (strncmp(base, name, len) == 0 && base[len] == '=')
            return snprintf(path, PATH_BYTES, "%s", base + len + 1) < PATH_BYTES;
    }
    if (strchr(name, '/') || name[0] == '.')
        return false;
    for (size_t i = 0; i < 3; i++) {
        int n = i == 0   ? snprintf(path, PATH_BYTES, "%s/../%s", bases->dir, name)
                : i == 1 ? snprintf(path, PATH_BYTES, "%s/../../var/models/%s", bases->dir, name)
                         : snprintf(path, PATH_BYTES, "var/models/%s", name);
        if (n > 0 && n < PATH_BYTES && is_dir(path))
            return true;
    }
    return false;
}

static struct att_model *find_base(void *context, const char *name)
{
    struct bases *bases = context;
    char path[PATH_BYTES];
    for (size_t i = 0; i < bases->count; i++)
        if (strcmp(bases->loaded[i].name, name) == 0)
            return bases->loaded[i].model;
    if (bases->count == LOADED_MAX || strlen(name) >= sizeof bases->loaded[0].name || !base_path(bases, name, path))
        return NULL;
    const struct att_model_options options = {.dtype = ATT_F32};
    struct att_model *model = NULL;
    if (att_model_load(path, &options, &model, &bases->err) != ATT_OK) {
        att_err_prefix(&bases->err, "base model '%s' in %s", name, path);
        return NULL;
    }
    snprintf(bases->loaded[bases->count].name, sizeof bases->loaded[0].name, "%s", name);
    bases->loaded[bases->count++].model = model;
    return model;
}

static enum att_status load(struct bases *bases, const char *dir, struct att_model **ret_model, struct att_err *err)
{
    const struct att_model_options options = {.dtype = bases->options->dtype, .find_base = find_base, .context = bases};
    bases->dir = dir;
    enum att_status status = att_model_load(dir, &options, ret_model, err);
    if (status == ATT_ENOTFOUND && bases->err.status != ATT_OK) {
        *err = bases->err;
        status = err->status;
    }
    return status;
}

static void bases_finish(struct bases *bases)
{
    for (size_t i = 0; i < bases->count; i++)
        att_model_unref(bases->loaded[i].model);
}

enum att_status cli_model_load(const char *dir, const struct cli_options *options, struct att_model **ret_model,
                               struct att_err *err)
{
    struct bases *bases = att_mem_calloc(1, sizeof *bases);
    if (!bases)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    bases->options = options;
    enum att_status status = load(bases, dir, ret_model, err);
    bases_finish(bases);
    att_mem_free(bases);
    return status;
}

/* Offline there is one model: it serves whatever it can, under its folder's name or none. */
static const struct task_model *find_model(void *context, const char *name, const char *task)
{
    const struct cli_env *env = context;
    (void)task;
    if (!name || strcmp(name, env->model.name) == 0)
        return &env->model;
    return env->encoder.model && strcmp(name, env->encoder.name) == 0 ? &env->encoder : NULL;
}

/* The knowledge base of --kb answers to every name. */
static const struct task_kb *find_kb(void *context, const char *name)
{
    const struct cli_env *env = context;
    (void)name;
    return cli_env_kb(env);
}

/* The last folder of the path. */
static char *name_of(const char *dir)
{
    size_t end = strlen(dir);
    while (end > 1 && dir[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && dir[begin - 1] != '/')
        begin--;
    char *name = att_mem_calloc(end - begin + 1, 1);
    if (name)
        memcpy(name, dir + begin, end - begin);
    return name;
}

/* A recommender's item table, where its directory has one. */
static enum att_status open_items(struct cli_env *env, const char *dir, struct att_err *err)
{
    const struct att_model_info *info = att_model_info(env->model.model);
    const struct att_model_info *encoder = env->encoder.model ? att_model_info(env->encoder.model) : NULL;
    enum att_status status = store_items_open(dir, info->vocab_size - 1, &env->items, err);
    env->model.items = env->items;
    if (status == ATT_OK && encoder)
        status = store_items_vectors_load(env->items, encoder->digest, encoder->hidden_size, NULL, err);
    /* Without a table item numbers are the ids; without vectors, or with those of another encoder, words rank nothing.
     */
    if (status == ATT_EFORMAT && env->items)
        fprintf(stderr, "attend: %s\n", err->message);
    return status == ATT_ENOTFOUND || (status == ATT_EFORMAT && env->items) ? ATT_OK : status;
}

/* The encoder beside the model is --encoder; a recommender without it takes "minilm" where that is found. */
static enum att_status open_models(struct cli_env *env, const struct cli_options *options, struct att_err *err)
{
    char path[PATH_BYTES];
    enum att_status status = load(&env->bases, options->model, &env->model.model, err);
    if (status == ATT_OK && att_model_info(env->model.model)->generates)
        status = task_generator_open(env->model.model, &env->model.generator, err);
    if (status != ATT_OK)
        return status;
    bool recommends = att_item_embedding(env->model.model, 0) != NULL;
    const char *encoder = options->encoder;
    if (!encoder && recommends && base_path(&env->bases, "minilm", path))
        encoder = path;
    if (encoder)
        status = load(&env->bases, encoder, &env->encoder.model, err);
    env->name = name_of(options->model);
    env->encoder_name = encoder ? name_of(encoder) : NULL;
    if (status == ATT_OK && (!env->name || (encoder && !env->encoder_name)))
        status = att_err_set(err, ATT_ENOMEM, "out of memory");
    if (status != ATT_OK)
        return status;
    env->model.name = env->name;
    env->encoder.name = env->encoder_name;
    env->model.encoder = env->encoder.model ? &env->encoder : NULL;
    if (recommends) {
        status = store_follows_open(options->model, att_model_info(env->model.model)->vocab_size - 1,
                                    &env->model.follows, err);
        if (status == ATT_OK || status == ATT_ENOTFOUND)
            status = open_items(env, options->model, err);
    }
    return status;
}

static enum att_status open_reranker(struct cli_env *env, const char *dir, struct att_err *err)
{
    enum att_status status = load(&env->bases, dir, &env->reranker.model, err);
    if (status != ATT_OK)
        return status;
    const struct att_model_info *info = att_model_info(env->reranker.model);
    if (info->n_logits != 1 || info->per_token || !att_model_tokenizer(env->reranker.model))
        return att_err_set(err, ATT_EINVAL, "%s: is no cross-encoder: expected a sequence classifier with one logit",
                           dir);
    env->reranker_name = name_of(dir);
    env->reranker.name = env->reranker_name;
    return env->reranker_name ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory");
}

/* The text encoder of a knowledge base is --encoder, else the model. */
static enum att_status open_kb(struct cli_env *env, const char *path, bool create, struct att_err *err)
{
    /* A mistyped name would leave an empty file. */
    if (!create && access(path, F_OK) != 0)
        return att_err_set(err, ATT_ENOTFOUND, "%s: %s", path, strerror(errno));
    env->kb.name = "default";
    env->kb.encoder = env->encoder.model ? &env->encoder : &env->model;
    env->kb.reranker = env->reranker.model ? &env->reranker : NULL;
    const struct att_model_info *info = att_model_info(env->kb.encoder->model);
    return store_kb_open(path, info->digest, info->hidden_size, &env->kb.kb, err);
}

const struct task_limits cli_limits = {.items_max = 100000,
                                       .text_bytes_max = 16 << 20,
                                       .tokens_max = 16 << 20,
                                       .history_max = 100000,
                                       .answer_bytes_max = 1 << 30,
                                       .deadline_ms_max = 3600000,
                                       .deadline_ms_default = 3600000,
                                       .generation_tokens_max = 1 << 17};

/* News go to --db, classified by the model, with the daemon's rules of near-duplicates. */
static enum att_status open_news(struct cli_env *env, const struct cli_options *options, struct att_err *err)
{
    const struct store_news_options rules = {.window_ms = news_view_default.near_ms,
                                             .similar_min = news_view_default.near_min};
    enum att_status status = ATT_OK;
    if (options->entities)
        status = store_entities_load(options->entities, &env->news.entities, err);
    if (status == ATT_OK)
        status = store_news_open(options->db, &rules, &env->news.store, err);
    env->news.model = att_model_info(env->model.model)->n_head_infos > 0 ? &env->model : NULL;
    return status;
}

/* What is put and changed of a recommender's items. */
static enum att_status open_catalogue(struct cli_env *env, const char *path, bool create, struct att_err *err)
{
    const struct att_model_info *encoder = env->encoder.model ? att_model_info(env->encoder.model) : NULL;
    if (!att_item_embedding(env->model.model, 0))
        return att_err_set(err, ATT_EINVAL, "%s: is no recommender", env->name);
    if (!create && access(path, F_OK) != 0)
        return att_err_set(err, ATT_ENOTFOUND, "%s: %s", path, strerror(errno));
    return store_catalogue_open(path, encoder ? encoder->digest : "", encoder ? encoder->hidden_size : 0,
                                &env->model.catalogue, err);
}

enum att_status cli_env_create(const struct cli_options *options, struct cli_env **ret_env, struct att_err *err)
{
    struct cli_env *env = att_mem_calloc(1, sizeof *env);
    if (!env)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    env->bases.options = options;
    enum att_status status = open_models(env, options, err);
    if (status == ATT_OK && options->reranker)
        status = open_reranker(env, options->reranker, err);
    if (status == ATT_OK && options->kb)
        status = open_kb(env, options->kb, options->create, err);
    if (status == ATT_OK && options->catalogue)
        status = open_catalogue(env, options->catalogue, options->create, err);
    if (status == ATT_OK && options->news_create)
        status = open_news(env, options, err);
    if (status != ATT_OK) {
        cli_env_destroy(env);
        return status;
    }
    env->task = (struct task_env){
        .context = env,
        .news = env->news.store ? &env->news : NULL,
        .find_model = find_model,
        .find_kb = find_kb,
        .limits = cli_limits,
    };
    *ret_env = env;
    return ATT_OK;
}

void cli_env_destroy(struct cli_env *env)
{
    if (!env)
        return;
    store_news_close(env->news.store);
    store_entities_unref(env->news.entities);
    store_kb_close(env->kb.kb);
    store_items_close(env->items);
    store_catalogue_close(env->model.catalogue);
    store_follows_close(env->model.follows);
    task_generator_close(env->model.generator);
    att_model_unref(env->model.model);
    att_model_unref(env->encoder.model);
    att_model_unref(env->reranker.model);
    bases_finish(&env->bases);
    att_mem_free(env->name);
    att_mem_free(env->encoder_name);
    att_mem_free(env->reranker_name);
    att_mem_free(env);
}

const struct task_env *cli_env_task(const struct cli_env *env)
{
    return &env->task;
}

const struct task_model *cli_env_model(const struct cli_env *env)
{
    return &env->model;
}

const struct task_kb *cli_env_kb(const struct cli_env *env)
{
    return env->kb.kb ? &env->kb : NULL;
}

int cli_env_run(int argc, char **argv, const char *allowed, const char *about,
                enum att_status (*run)(const struct cli_env *env, const struct cli_options *options,
                                       struct att_err *err))
{
    struct cli_options options;
    struct cli_env *env = NULL;
    struct att_err err;
    int usage = cli_options_parse(argc, argv, allowed, about, &options);
    if (usage >= 0)
        return usage;
    if (!options.model || !options.data)
        return cli_missing(argv[0], options.model ? "data" : "model");
    enum att_status status = cli_env_create(&options, &env, &err);
    if (status == ATT_OK)
        status = run(env, &options, &err);
    cli_env_destroy(env);
    return status == ATT_OK ? CLI_OK : cli_fail(argv[0], &err);
}
