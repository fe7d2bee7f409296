/* Planning and aggregating windows; see window.h. */
#include "tasks/window.h"

#include <assert.h>
#include <string.h>

enum { STRIDE_MAX = 1 << 20, WORK_FACTOR_MAX = 4, ROLLOUT_TOKENS_MAX = 512 };

enum att_status task_windows_parse(const struct att_json *body, struct task_windows_options *options,
                                   struct att_err *err)
{
    static const char *const fields[] = {"stride", "aggregate", NULL};
    static const char *const words[] = {"mean", "max", "first", NULL};
    const struct att_json *windows = att_json_get(body, "windows");
    int64_t stride = 0;
    size_t aggregate = TASK_AGGREGATE_MEAN;
    enum att_status status = task_field_bool(body, "", "truncate", &options->truncate, err);
    if (status == ATT_OK && att_json_type(windows) != ATT_JSON_NULL) {
        status = task_fields_known(windows, "windows", fields, err);
        if (status == ATT_OK)
            status = task_field_int(windows, "windows", "stride", 1, STRIDE_MAX, &stride, err);
        if (status == ATT_OK)
            status = task_field_enum(windows, "windows", "aggregate", words, &aggregate, err);
    }
    options->stride = (size_t)stride;
    options->aggregate = (enum task_aggregate)aggregate;
    return status;
}

enum att_status task_windows_plan(struct task_call *call, const struct task_model *model,
                                  const struct task_windows_options *options, const char *text, size_t len,
                                  const char *pair, size_t pair_len, const char *path, struct task_windows *windows,
                                  struct att_err *err)
{
    const char *prompt = pair ? "" : options->prompt ? options->prompt : att_model_info(model->model)->default_prompt;
    size_t room = 0, prompted = 0;
    *windows = (struct task_windows){.model = model, .count = 1};
    enum att_status status = task_tokens_room(model, pair != NULL, &room, err);
    if (status == ATT_OK)
        status = task_tokens_prompted(call, model, prompt, text, len, path, &windows->text, &prompted, err);
    if (status == ATT_OK && pair)
        status = task_tokens_encode(call, model, pair, pair_len, path, &windows->pair, err);
    if (status == ATT_OK && prompted >= room)
        status =
            att_err_param(err, ATT_EUNSUPPORTED, "model", "model: \"%s\" is too short for its own prompt", model->name);
    if (status != ATT_OK)
        return status;
    if (prompted > 0) {
        windows->prompt = (struct task_tokens){windows->text.items, prompted};
        windows->text = (struct task_tokens){windows->text.items + prompted, windows->text.count - prompted};
        room -= prompted;
    }
    struct task_tokens *limited = pair ? &windows->pair : &windows->text;
    if (options->tokens_max && limited->count > options->tokens_max) {
        windows->dropped = limited->count - options->tokens_max;
        limited->count = options->tokens_max;
    }
    /* A pair goes with every window of the text; of a long one the first half of the room. */
    size_t pair_room = room - room / 2;
    windows->pair_count = windows->pair.count;
    if (windows->pair_count > pair_room && windows->pair_count + windows->text.count > room)
        windows->pair_count = windows->text.count < room / 2 ? room - windows->text.count : pair_room;
    windows->room = room - windows->pair_count;
    windows->dropped += windows->pair.count - windows->pair_count;
    size_t step = options->stride ? options->stride : windows->room - windows->room / 4;
    /* A step beyond the window would skip tokens. */
    windows->overlap = step < windows->room ? windows->room - step : 0;
    /* An empty text beside a pair that fills the model has no room, and needs none. */
    if (windows->text.count > windows->room && options->truncate)
        windows->dropped += windows->text.count - windows->room;
    else if (windows->text.count > windows->room)
        windows->count = att_window_count(windows->text.count, windows->room, windows->overlap);
    return ATT_OK;
}

/* Short steps multiply the work: a stride of 1 makes a window of every token. */
static enum att_status check_work(const struct task_call *call, const struct task_windows *windows, size_t n,
                                  struct att_err *err)
{
    size_t limit = call->env->limits.tokens_max, total = 0, tokens;
    if (!att_size_mul(limit, WORK_FACTOR_MAX, &limit))
        limit = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        if (windows[i].count == 1)
            continue;
        if (!att_size_mul(windows[i].count, windows[i].room, &tokens) || !att_size_add(total, tokens, &total) ||
            total > limit)
            return att_err_limit(
                err, "windows.stride", limit, total,
                "windows.stride: the windows have more than %zu tokens together, a longer stride makes "
                "fewer of them",
                limit);
    }
    return ATT_OK;
}

/* The mean attention of every layer is kept until the last is known. */
static enum att_status rollout_space(struct task_call *call, const struct att_model_info *info, struct task_job *job,
                                     struct att_err *err)
{
    if (job->len > ROLLOUT_TOKENS_MAX)
        return att_err_limit(err, "explain", ROLLOUT_TOKENS_MAX, job->len,
                             "explain: \"rollout\" takes windows of at most %d tokens, this one has %zu",
                             ROLLOUT_TOKENS_MAX, job->len);
    job->rollout = task_alloc(call, info->n_layers * job->len * job->len, sizeof(float), err);
    return job->rollout ? ATT_OK : err->status;
}

/* The prompt and tokens begin..end of the text. */
static const struct att_token *after_prompt(struct task_call *call, const struct task_windows *windows, size_t begin,
                                            size_t end, struct att_err *err)
{
    const struct task_tokens *prompt = &windows->prompt;
    if (windows->text.items + begin == prompt->items + prompt->count)
        return prompt->items;
    struct att_token *items = task_alloc(call, prompt->count + end - begin, sizeof *items, err);
    if (!items)
        return NULL;
    memcpy(items, prompt->items, prompt->count * sizeof *items);
    memcpy(items + prompt->count, windows->text.items + begin, (end - begin) * sizeof *items);
    return items;
}

/* A prompt is no part of the text: its tokens count as special. */
static void hide_prompt(struct task_spans *spans, size_t len, size_t prompted)
{
    for (size_t i = 0; prompted > 0 && i < len; i++)
        if (spans->text_index[i] == 0) {
            spans->text_index[i] = -1;
            prompted--;
        }
}

static enum att_status one_job(struct task_call *call, const struct task_windows_options *options,
                               struct task_windows *windows, size_t index, struct att_err *err)
{
    const struct task_model *model = windows->model;
    const struct att_model_info *info = att_model_info(model->model);
    struct task_job *job = &call->jobs[windows->first_job + index];
    size_t begin = 0, end = windows->text.count < windows->room ? windows->text.count : windows->room;
    if (windows->count > 1)
        att_window_range(windows->text.count, windows->room, windows->overlap, index, &begin, &end);
    size_t prompted = windows->prompt.count;
    struct task_spans *spans = windows->spans ? &windows->spans[index] : NULL;
    const struct att_token *items = windows->text.items + begin;
    if (prompted > 0 && !(items = after_prompt(call, windows, begin, end, err)))
        return err->status;
    enum att_status status = task_job_assemble(call, model, items, prompted + end - begin, windows->pair.items,
                                               windows->pair_count, job, spans, err);
    if (status != ATT_OK)
        return status;
    if (spans)
        hide_prompt(spans, job->len, prompted);
    if (options->logits && !(job->logits = task_alloc(call, info->n_logits, sizeof(float), err)))
        return err->status;
    if (options->pooled && !(job->pooled = task_alloc(call, info->hidden_size, sizeof(float), err)))
        return err->status;
    size_t hidden;
    if (options->hidden && (!att_size_mul(job->len, info->hidden_size, &hidden) ||
                            !(job->hidden = task_alloc(call, hidden, sizeof(float), err))))
        return err->status;
    if (options->attention && !(job->attention = task_alloc(call, job->len, sizeof(float), err)))
        return err->status;
    return options->rollout ? rollout_space(call, info, job, err) : ATT_OK;
}

enum att_status task_windows_jobs(struct task_call *call, const struct task_windows_options *options,
                                  struct task_windows *windows, size_t n, struct att_err *err)
{
    size_t total = 0;
    enum att_status checked = check_work(call, windows, n, err);
    if (checked != ATT_OK)
        return checked;
    for (size_t i = 0; i < n; i++) {
        windows[i].first_job = total;
        total += windows[i].count;
    }
    call->jobs = task_alloc(call, total, sizeof *call->jobs, err);
    if (!call->jobs)
        return err->status;
    call->n_jobs = total;
    for (size_t i = 0; i < n; i++) {
        if (options->attention && !(windows[i].spans = task_alloc(call, windows[i].count, sizeof *windows->spans, err)))
            return err->status;
        for (size_t j = 0; j < windows[i].count; j++) {
            enum att_status status = one_job(call, options, &windows[i], j, err);
            if (status != ATT_OK)
                return status;
        }
    }
    return ATT_OK;
}

void task_windows_logits(const struct task_call *call, const struct task_windows *windows,
                         enum task_aggregate aggregate, size_t n_logits, float *logits)
{
    const struct task_job *jobs = call->jobs + windows->first_job;
    assert(windows->count > 0 && jobs[0].logits);
    memcpy(logits, jobs[0].logits, n_logits * sizeof *logits);
    for (size_t w = 1; aggregate != TASK_AGGREGATE_FIRST && w < windows->count; w++)
        for (size_t i = 0; i < n_logits; i++) {
            if (aggregate == TASK_AGGREGATE_MEAN)
                logits[i] += jobs[w].logits[i];
            else if (jobs[w].logits[i] > logits[i])
                logits[i] = jobs[w].logits[i];
        }
    if (aggregate == TASK_AGGREGATE_MEAN && windows->count > 1)
        for (size_t i = 0; i < n_logits; i++)
            logits[i] /= (float)windows->count;
}

enum att_status task_windows_ids(struct task_call *call, const struct task_model *model, const struct att_json *ids,
                                 const char *path, struct task_windows *windows, struct att_err *err)
{
    size_t count = att_json_count(ids), vocab = att_model_info(model->model)->vocab_size;
    size_t limit = call->env->limits.tokens_max;
    if (count > limit - call->prompt_tokens)
        return att_err_limit(err, path, limit, call->prompt_tokens + count, "%s: the request has more than %zu tokens",
                             path, limit);
    struct att_token *items = task_alloc(call, count + 1, sizeof *items, err);
    if (!items)
        return err->status;
    for (size_t i = 0; i < count; i++) {
        int64_t id;
        if (!att_json_integer(att_json_at(ids, i), 0, (int64_t)vocab - 1, &id))
            return att_err_param(err, ATT_EINVAL, path, "%s: token %zu is %s, expected an id from 0 to %zu", path, i,
                                 att_json_type_name(att_json_at(ids, i)), vocab - 1);
        items[i].id = (int32_t)id;
    }
    call->prompt_tokens += count;
    *windows = (struct task_windows){.model = model, .text = {items, count}, .count = 1};
    enum att_status status = task_tokens_room(model, false, &windows->room, err);
    if (status == ATT_OK)
        windows->count = att_window_count(count, windows->room, 0);
    return status;
}

void task_windows_pooled(const struct task_call *call, const struct task_model *model,
                         const struct task_windows *windows, float *vector)
{
    const struct att_model_info *info = att_model_info(model->model);
    const struct task_job *jobs = call->jobs + windows->first_job;
    float tokens = 0;
    memcpy(vector, jobs[0].pooled, info->hidden_size * sizeof *vector);
    if (windows->count == 1)
        return;
    memset(vector, 0, info->hidden_size * sizeof *vector);
    for (size_t w = 0; w < windows->count; w++) {
        tokens += (float)jobs[w].len;
        for (size_t i = 0; i < info->hidden_size; i++)
            vector[i] += jobs[w].pooled[i] * (float)jobs[w].len;
    }
    for (size_t i = 0; i < info->hidden_size; i++)
        vector[i] /= tokens;
    if (info->normalize)
        att_l2_normalize(info->hidden_size, vector);
}

void task_windows_render(const struct task_windows *windows, struct att_jsonw *answer)
{
    att_jsonw_object_begin(answer);
    att_jsonw_put_size(answer, "count", windows->count);
    att_jsonw_put_int(answer, "tokens", (int64_t)(windows->text.count + windows->pair.count));
    att_jsonw_put_size(answer, "dropped", windows->dropped);
    att_jsonw_object_end(answer);
}
