/* Shared by TEI's paths; see tei.h. */
#include "tasks/wire/tei.h"

#include <stdio.h>

enum { PATH_BYTES = 64 };

enum att_status task_tei_parse(struct task_call *call, const struct att_json *body, const char *task,
                               const struct att_json *object, const char *path, struct task_tei *tei,
                               struct att_err *err)
{
    static const char *const directions[] = {"right", "Right", "left", "Left", NULL};
    size_t direction = 0;
    const char *prompt = NULL;
    enum att_status status = task_field_common_lenient(call, body, err);
    if (status == ATT_OK)
        status = task_field_model(call, body, task, &tei->model, err);
    if (status == ATT_OK)
        status = task_field_bool(object, path, "truncate", &tei->truncate, err);
    if (status == ATT_OK)
        status = task_field_enum(object, path, "truncation_direction", directions, &direction, err);
    if (status == ATT_OK)
        status = task_field_string(object, path, "prompt_name", &prompt, NULL, err);
    if (status == ATT_OK)
        tei->prompt = att_model_prompt(att_model_info(tei->model->model), prompt);
    if (status == ATT_OK && prompt && !tei->prompt)
        status = att_err_param(err, ATT_EINVAL, "prompt_name", "prompt_name: \"%.60s\" is no prompt of model \"%s\"",
                               prompt, tei->model->name);
    tei->left = direction >= 2;
    return status;
}

enum att_status task_tei_count(const struct task_call *call, const struct att_json *inputs, bool single,
                               const char *path, size_t *ret_n, struct att_err *err)
{
    size_t n = single ? 1 : att_json_count(inputs), limit = call->env->limits.items_max;
    if (!inputs)
        return att_err_param(err, ATT_EINVAL, path, "%s: is missing, expected a text or an array of texts", path);
    if (!single && !att_json_is_array(inputs))
        return att_err_param(err, ATT_EINVAL, path, "%s: is %s, expected a text or an array of texts", path,
                             att_json_type_name(inputs));
    if (n == 0)
        return att_err_param(err, ATT_ESYNTAX, path, "%s: cannot be empty", path);
    if (n > limit)
        return att_err_limit(err, path, limit, n, "%s: %zu texts, expected at most %zu", path, n, limit);
    *ret_n = n;
    return ATT_OK;
}

/* One sequence of it: the whole, or what is left of it. */
static enum att_status cut(const struct task_tei *tei, const char *path, struct task_windows *windows,
                           struct att_err *err)
{
    size_t limit = att_model_info(tei->model->model)->max_tokens, over = 0;
    if (windows->text.count > windows->room)
        over = windows->text.count - windows->room;
    if (!tei->truncate && (over > 0 || windows->dropped > 0)) {
        size_t given = limit + (over > windows->dropped ? over : windows->dropped);
        return att_err_limit(err, path, limit, given,
                             "%s: must have at most %zu tokens, has %zu; \"truncate\": true cuts it", path, limit,
                             given);
    }
    if (tei->left)
        windows->text.items += over;
    windows->text.count -= over;
    windows->count = 1;
    return ATT_OK;
}

enum att_status task_tei_plan(struct task_call *call, const struct task_tei *tei, const struct att_json *text,
                              const struct att_json *pair, const char *path, struct task_windows *windows,
                              struct att_err *err)
{
    const struct task_windows_options options = {.truncate = true, .prompt = tei->prompt};
    const char *first, *second = NULL;
    size_t first_len, second_len = 0;
    enum att_status status = task_field_text(call, text, path, &first, &first_len, err);
    if (status == ATT_OK && pair)
        status = task_field_text(call, pair, path, &second, &second_len, err);
    if (status == ATT_OK && first_len == 0 && !pair)
        status = att_err_param(err, ATT_ESYNTAX, path, "%s: cannot be empty", path);
    if (status == ATT_OK)
        status =
            task_windows_plan(call, tei->model, &options, first, first_len, second, second_len, path, windows, err);
    return status == ATT_OK ? cut(tei, path, windows, err) : status;
}

enum att_status task_tei_plan_ids(struct task_call *call, const struct task_tei *tei, const struct att_json *ids,
                                  const char *path, struct task_windows *windows, struct att_err *err)
{
    enum att_status status = task_windows_ids(call, tei->model, ids, path, windows, err);
    return status == ATT_OK ? cut(tei, path, windows, err) : status;
}
