/*
 * How a sequence becomes one vector: sentence-transformers' modules.json with
 * 1_Pooling/config.json and sentence_bert_config.json, or attend.json's own
 * words, or what the architecture implies.
 */
#include <stdio.h>
#include <string.h>

#include "core/arch/config.h"
#include "core/model.h"

enum { FOLDER_MAX = 64 };

static enum att_status modes_read(struct att_model *model, const char *file, const struct att_json *config,
                                  struct att_err *err)
{
    static const struct {
        const char *field;
        enum att_pooling pooling;
    } modes[] = {
        {"pooling_mode_cls_token", ATT_POOL_CLS},   {"pooling_mode_mean_tokens", ATT_POOL_MEAN},
        {"pooling_mode_max_tokens", ATT_POOL_NONE}, {"pooling_mode_mean_sqrt_len_tokens", ATT_POOL_NONE},
        {"pooling_mode_lasttoken", ATT_POOL_LAST},  {"pooling_mode_weightedmean_tokens", ATT_POOL_NONE},
    };
    enum att_pooling chosen = ATT_POOL_NONE;
    size_t hidden = model->info.hidden_size, width = hidden;
    enum att_status status =
        att_config_size(config, "word_embedding_dimension", 1, SIZE_MAX >> 11, hidden, &width, err);
    if (status == ATT_OK && width != hidden)
        return att_err_set(err, ATT_EFORMAT, "%s: word_embedding_dimension: is %zu, expected hidden_size, %zu", file,
                           width, hidden);
    for (size_t i = 0; status == ATT_OK && i < sizeof modes / sizeof *modes; i++) {
        bool on = false;
        status = att_config_bool(config, modes[i].field, false, &on, err);
        if (status != ATT_OK || !on)
            continue;
        if (modes[i].pooling == ATT_POOL_NONE || chosen != ATT_POOL_NONE)
            return att_err_set(err, ATT_EUNSUPPORTED, "%s: %s: expected exactly one of cls, mean or last token pooling",
                               file, modes[i].field);
        chosen = modes[i].pooling;
    }
    if (status != ATT_OK)
        return att_err_file(err, status, file);
    if (chosen == ATT_POOL_NONE)
        return att_err_set(err, ATT_EFORMAT, "%s: names no pooling mode", file);
    model->info.pooling = chosen;
    return ATT_OK;
}

/* The last word of a dotted class name: newer files write another package path before it. */
static const char *module_kind(const struct att_json *module)
{
    const char *type = att_json_string(att_json_get(module, "type"), NULL);
    const char *dot = type ? strrchr(type, '.') : NULL;
    return dot ? dot + 1 : "";
}

/* The module's folder: its path is one plain name. Absent: `otherwise`. */
static enum att_status folder_read(const struct att_json *module, size_t i, const char *otherwise,
                                   const char **ret_folder, struct att_err *err)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const struct att_json *value = att_json_get(module, "path");
    const char *path = value ? att_json_string(value, NULL) : otherwise;
    if (!path || !*path || path[0] == '.' || path[strspn(path, letters)] || strlen(path) > FOLDER_MAX)
        return att_err_set(err, ATT_EFORMAT, "modules.json: [%zu].path: is '%.60s', expected the name of a folder", i,
                           path ? path : att_json_type_name(value));
    *ret_folder = path;
    return ATT_OK;
}

static enum att_status pooling_read(struct att_model *model, const struct att_dir *dir, const char *folder,
                                    struct att_err *err)
{
    char file[ATT_FILE_NAME_MAX];
    struct att_json *config = NULL;
    snprintf(file, sizeof file, "%s/config.json", folder);
    enum att_status status = att_json_file(dir, file, false, &config, err);
    if (status == ATT_OK)
        status = modes_read(model, file, config, err);
    att_json_destroy(config);
    return status;
}

/* Normalize stands behind the pooling, or behind a Dense module. */
static void normalize(struct att_model *model)
{
    if (model->n_dense > 0)
        model->dense[model->n_dense - 1].normalize = true;
    else
        model->pool_normalize = true;
}

static enum att_status modules_read(struct att_model *model, const struct att_dir *dir, const struct att_json *modules,
                                    struct att_weights *files, struct att_err *err)
{
    model->pool_normalize = false;
    for (size_t i = 0; i < att_json_count(modules); i++) {
        const struct att_json *module = att_json_at(modules, i);
        const char *kind = module_kind(module), *folder = NULL;
        bool pools = strcmp(kind, "Pooling") == 0, dense = strcmp(kind, "Dense") == 0;
        enum att_status status = ATT_OK;
        if (strcmp(kind, "Normalize") == 0)
            normalize(model);
        else if (!pools && !dense && strcmp(kind, "Transformer") != 0)
            return att_err_set(
                err, ATT_EUNSUPPORTED,
                "modules.json: [%zu].type: '%s' is not known, expected Transformer, Pooling, Dense or Normalize", i,
                kind);
        if (pools && model->n_dense > 0)
            return att_err_set(err, ATT_EUNSUPPORTED, "modules.json: [%zu].type: Pooling stands behind a Dense module",
                               i);
        if (pools || dense)
            status = folder_read(module, i, pools ? "1_Pooling" : NULL, &folder, err);
        if (status == ATT_OK && folder)
            status = pools ? pooling_read(model, dir, folder, err) : att_dense_load(model, dir, folder, files, err);
        if (status != ATT_OK)
            return status;
    }
    const size_t width = model->n_dense ? model->dense[model->n_dense - 1].linear.n : model->info.hidden_size;
    if (width != model->info.hidden_size)
        return att_err_set(err, ATT_EUNSUPPORTED,
                           "modules.json: the last Dense module has %zu out_features, expected hidden_size, %zu", width,
                           model->info.hidden_size);
    return ATT_OK;
}

/* Heads over a model with Dense modules read what those give. */
static void inherit(struct att_model *model)
{
    model->pool_normalize = model->base->pool_normalize;
    memcpy(model->dense, model->base->dense, sizeof model->dense);
    model->n_dense = model->base->n_dense;
    model->dense_borrowed = true;
}

/* A PEFT folder holds changes of weights alone: what becomes of the states is the base's. Heads that were trained over
 * it say their own. */
static void inherit_as_adapter(struct att_model *model)
{
    const struct att_model_info *base = &model->base->info;
    if (model->arch_info.n_logits > 0 || att_json_get(model->attend_json, "heads"))
        return;
    model->info.pooling = base->pooling;
    if (base->max_tokens < model->info.max_tokens)
        model->info.max_tokens = base->max_tokens;
    inherit(model);
}

/* attend.json's pooling, normalize and max_length win over everything else. */
static enum att_status own_words(struct att_model *model, struct att_err *err)
{
    static const struct {
        const char *name;
        enum att_pooling pooling;
    } names[] = {{"mean", ATT_POOL_MEAN}, {"cls", ATT_POOL_CLS}, {"last", ATT_POOL_LAST}};
    const struct att_json *own = model->attend_json;
    const struct att_json *pooling = att_json_get(own, "pooling");
    if (pooling) {
        const char *text = att_json_string(pooling, NULL);
        size_t i = 0;
        while (text && i < 3 && strcmp(text, names[i].name) != 0)
            i++;
        if (!text || i == 3)
            return att_err_set(err, ATT_EUNSUPPORTED,
                               "attend.json: pooling: '%s' is not known, expected mean, cls or last",
                               text ? text : att_json_type_name(pooling));
        model->info.pooling = names[i].pooling;
    }
    bool *last = model->n_dense > 0 ? &model->dense[model->n_dense - 1].normalize : &model->pool_normalize;
    enum att_status status = att_config_bool(own, "normalize", *last, last, err);
    model->info.normalize = *last;
    if (status == ATT_OK)
        status = att_config_size(own, "max_length", 3, model->info.max_tokens, model->info.max_tokens,
                                 &model->info.max_tokens, err);
    if (status == ATT_OK)
        status = att_config_bool(own, "strip_urls", false, &model->info.strip_urls, err);
    return status == ATT_OK ? ATT_OK : att_err_file(err, status, "attend.json");
}

enum att_status att_pooling_load(struct att_model *model, const struct att_dir *dir, struct att_weights *files,
                                 struct att_err *err)
{
    struct att_json *modules = NULL, *lengths = NULL;
    bool recommends = model->arch_info.scores_items;
    model->info.pooling = recommends ? ATT_POOL_LAST : model->arch_info.n_logits > 0 ? ATT_POOL_CLS : ATT_POOL_MEAN;
    model->pool_normalize = !recommends && model->arch_info.n_logits == 0;
    const char *stored = att_json_string(att_json_get(model->config, "pooling_type"), NULL); /* of a GGUF file */
    if (stored && model->arch_info.n_logits == 0 && !recommends && strcmp(stored, "cls") == 0)
        model->info.pooling = ATT_POOL_CLS;
    else if (stored && model->arch_info.n_logits == 0 && !recommends && strcmp(stored, "last") == 0)
        model->info.pooling = ATT_POOL_LAST;
    enum att_status status = att_json_file_any(dir, "modules.json", true, &modules, err);
    if (status == ATT_OK && modules && !att_json_is_array(modules))
        status = att_err_set(err, ATT_EFORMAT, "modules.json: is %s, expected an array of modules",
                             att_json_type_name(modules));
    else if (status == ATT_OK && modules)
        status = modules_read(model, dir, modules, files, err);
    else if (status == ATT_OK && model->borrowed && model->base->n_dense > 0)
        inherit(model);
    else if (status == ATT_OK && model->base && !model->borrowed)
        inherit_as_adapter(model);
    if (status == ATT_OK)
        status = att_json_file(dir, "sentence_bert_config.json", true, &lengths, err);
    if (status == ATT_OK && lengths) {
        size_t longest = model->info.max_tokens;
        status = att_config_size(lengths, "max_seq_length", 3, 1 << 20, longest, &longest, err);
        if (status != ATT_OK)
            att_err_file(err, status, "sentence_bert_config.json");
        else if (longest < model->info.max_tokens)
            model->info.max_tokens = longest;
    }
    if (status == ATT_OK)
        status = own_words(model, err);
    att_json_destroy(modules);
    att_json_destroy(lengths);
    return status;
}
