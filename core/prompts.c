/*
 * What an encoder was trained to read before a text: sentence-transformers'
 * config_sentence_transformers.json names prompts ("query: ", "passage: ") and
 * the one that stands before texts whose part is not told. An adapter without
 * such a file has its base's.
 *
 * Also attend.json's cosine_floor: what texts that have nothing in common reach.
 */
#include <string.h>

#include "core/arch/config.h"
#include "core/model.h"

enum { PROMPTS_MAX = 64, PROMPT_BYTES_MAX = 1024 };

static const char file[] = "config_sentence_transformers.json";

const char *att_model_prompt(const struct att_model_info *info, const char *name)
{
    for (size_t i = 0; name && i < info->n_prompts; i++)
        if (strcmp(info->prompts[i].name, name) == 0)
            return info->prompts[i].text;
    return NULL;
}

static enum att_status read_prompts(struct att_model *model, const struct att_json *json, struct att_err *err)
{
    size_t n = att_json_count(json);
    struct att_prompt *prompts = att_arena_alloc(&model->arena, n + 1, sizeof *prompts);
    struct att_json_iter iter;
    const struct att_json *value;
    const char *name;
    if (json && !att_json_is_object(json))
        return att_err_set(err, ATT_EFORMAT, "%s: prompts: is %s, expected an object of texts", file,
                           att_json_type_name(json));
    if (n > PROMPTS_MAX)
        return att_err_set(err, ATT_EFORMAT, "%s: prompts: has %zu members, expected at most %d", file, n, PROMPTS_MAX);
    if (!prompts)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    att_json_iter_init(&iter, json);
    for (size_t i = 0; att_json_iter_next(&iter, &name, &value); i++) {
        size_t len = 0;
        const char *text = att_json_string(value, &len);
        if (!text || len > PROMPT_BYTES_MAX)
            return att_err_set(err, ATT_EFORMAT, "%s: prompts.%.60s: is %s, expected a text of at most %d bytes", file,
                               name, text ? "too long" : att_json_type_name(value), PROMPT_BYTES_MAX);
        prompts[i].name = att_arena_copy(&model->arena, name, strlen(name));
        prompts[i].text = att_arena_copy(&model->arena, text, len);
        if (!prompts[i].name || !prompts[i].text)
            return att_err_set(err, ATT_ENOMEM, "out of memory");
    }
    model->info.prompts = prompts;
    model->info.n_prompts = n;
    return ATT_OK;
}

/* The first of the names that the model has a prompt for; else the default. */
static const char *choose(const struct att_model_info *info, const char *const *names)
{
    for (; *names; names++)
        if (att_model_prompt(info, *names))
            return att_model_prompt(info, *names);
    return info->default_prompt;
}

enum att_status att_prompts_load(struct att_model *model, const struct att_dir *dir, struct att_err *err)
{
    static const char *const queries[] = {"query", NULL};
    static const char *const passages[] = {"document", "passage", "corpus", NULL};
    struct att_model_info *info = &model->info;
    const struct att_model_info *base = model->base ? &model->base->info : NULL;
    struct att_json *json = NULL;
    enum att_status status = att_config_float(model->attend_json, "cosine_floor", -1, 0.99f,
                                              base ? base->cosine_floor : 0, &info->cosine_floor, err);
    if (status != ATT_OK)
        return att_err_file(err, status, "attend.json");
    status = att_json_file(dir, file, true, &json, err);
    if (status == ATT_OK && !json && base) {
        info->prompts = base->prompts;
        info->n_prompts = base->n_prompts;
        info->default_prompt = base->default_prompt;
        info->query_prompt = base->query_prompt;
        info->passage_prompt = base->passage_prompt;
        return ATT_OK;
    }
    if (status == ATT_OK)
        status = read_prompts(model, att_json_get(json, "prompts"), err);
    const struct att_json *name = att_json_get(json, "default_prompt_name");
    info->default_prompt = att_model_prompt(info, att_json_string(name, NULL));
    if (status == ATT_OK && att_json_type(name) != ATT_JSON_NULL && !info->default_prompt)
        status =
            att_err_set(err, ATT_EFORMAT, "%s: default_prompt_name: expected the name of one of its prompts", file);
    if (!info->default_prompt)
        info->default_prompt = "";
    info->query_prompt = choose(info, queries);
    info->passage_prompt = choose(info, passages);
    att_json_destroy(json);
    return status;
}
