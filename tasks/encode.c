/* Tokenising for jobs; see encode.h. */
#include "tasks/encode.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void *task_alloc(struct task_call *call, size_t count, size_t size, struct att_err *err)
{
    void *block = att_arena_alloc(call->arena, count, size);
    size_t bytes;
    if (block)
        return block;
    if (att_size_mul(count, size, &bytes) && bytes < call->arena->limit &&
        bytes <= call->arena->limit - call->arena->used)
        att_err_set(err, ATT_ENOMEM, "out of memory");
    else
        att_err_limit(err, NULL, call->arena->limit, call->arena->used,
                      "the request needs more than %zu bytes of memory", call->arena->limit);
    return NULL;
}

enum att_status task_tokens_room(const struct task_model *model, bool pair, size_t *ret_room, struct att_err *err)
{
    const struct att_tokenizer *tokenizer = att_model_tokenizer(model->model);
    if (!tokenizer)
        return att_err_param(err, ATT_EUNSUPPORTED, "model", "model: \"%s\" has no tokenizer, it takes no text",
                             model->name);
    size_t special = att_tokenizer_special_count(tokenizer, pair);
    size_t max_tokens = att_model_info(model->model)->max_tokens;
    if (max_tokens <= special + pair)
        return att_err_param(err, ATT_EUNSUPPORTED, "model", "model: \"%s\" is too short for %s", model->name,
                             pair ? "a pair of texts" : "a text");
    *ret_room = max_tokens - special;
    return ATT_OK;
}

enum att_status task_tokens_encode(struct task_call *call, const struct task_model *model, const char *text, size_t len,
                                   const char *path, struct task_tokens *ret_tokens, struct att_err *err)
{
    const struct att_tokenizer *tokenizer = att_model_tokenizer(model->model);
    size_t limit = call->env->limits.tokens_max, room;
    enum att_status status = task_tokens_room(model, false, &room, err);
    if (status != ATT_OK)
        return status;
    if (att_model_info(model->model)->strip_urls) {
        char *copy = task_alloc(call, len + 1, 1, err);
        if (!copy)
            return err->status;
        memcpy(copy, text, len);
        att_blank_urls(copy, len);
        text = copy;
    }
    struct att_tokens tokens;
    att_tokens_init(&tokens);
    status = att_tokenizer_encode(tokenizer, text, len, ATT_ENCODE_SPECIAL_AS_TEXT, limit, &tokens, err);
    if (status == ATT_OK && tokens.count > limit - call->prompt_tokens)
        status = att_err_limit(err, path, limit, call->prompt_tokens + tokens.count,
                               "%s: the request has more than %zu tokens", path, limit);
    struct att_token *items = NULL;
    if (status == ATT_OK) {
        items = task_alloc(call, tokens.count + 1, sizeof *items, err);
        status = items ? ATT_OK : err->status;
    } else if (!err->param[0]) {
        snprintf(err->param, sizeof err->param, "%s", path);
    }
    if (status == ATT_OK) {
        if (tokens.count)
            memcpy(items, tokens.items, tokens.count * sizeof *items);
        *ret_tokens = (struct task_tokens){items, tokens.count};
        call->prompt_tokens += tokens.count;
    }
    att_tokens_finish(&tokens);
    return status;
}

enum att_status task_tokens_prompted(struct task_call *call, const struct task_model *model, const char *prompt,
                                     const char *text, size_t len, const char *path, struct task_tokens *ret_tokens,
                                     size_t *ret_prompted, struct att_err *err)
{
    size_t prompt_len = strlen(prompt), count = 0;
    struct task_tokens tokens;
    *ret_prompted = 0;
    if (prompt_len == 0)
        return task_tokens_encode(call, model, text, len, path, ret_tokens, err);
    char *both = task_alloc(call, prompt_len + len + 1, 1, err);
    if (!both)
        return err->status;
    memcpy(both, prompt, prompt_len);
    memcpy(both + prompt_len, text, len);
    enum att_status status = task_tokens_encode(call, model, both, prompt_len + len, path, &tokens, err);
    if (status != ATT_OK)
        return status;
    struct att_token *items = task_alloc(call, tokens.count + 1, sizeof *items, err);
    if (!items)
        return err->status;
    memcpy(items, tokens.items, tokens.count * sizeof *items);
    while (count < tokens.count && items[count].end <= prompt_len)
        count++;
    for (size_t i = 0; i < tokens.count; i++) {
        items[i].start = items[i].start > prompt_len ? items[i].start - (uint32_t)prompt_len : 0;
        items[i].end = items[i].end > prompt_len ? items[i].end - (uint32_t)prompt_len : 0;
    }
    *ret_tokens = (struct task_tokens){items, tokens.count};
    *ret_prompted = count;
    return ATT_OK;
}

enum att_status task_tokens_sequence(struct task_call *call, const struct task_model *model,
                                     const struct task_tokens *tokens, bool special, struct att_sequence *sequence,
                                     struct att_err *err)
{
    const struct att_tokenizer *tokenizer = att_model_tokenizer(model->model);
    size_t capacity = tokens->count + (special ? att_tokenizer_special_count(tokenizer, false) : 0);
    *sequence = (struct att_sequence){.capacity = capacity};
    if (!(sequence->ids = task_alloc(call, capacity + 1, sizeof *sequence->ids, err)) ||
        !(sequence->starts = task_alloc(call, capacity + 1, sizeof *sequence->starts, err)) ||
        !(sequence->ends = task_alloc(call, capacity + 1, sizeof *sequence->ends, err)) ||
        !(sequence->text_index = task_alloc(call, capacity + 1, sizeof *sequence->text_index, err)))
        return err->status;
    if (special)
        return att_tokenizer_assemble(tokenizer, tokens->items, tokens->count, NULL, 0, sequence, err);
    for (size_t i = 0; i < tokens->count; i++) {
        sequence->ids[i] = tokens->items[i].id;
        sequence->starts[i] = tokens->items[i].start;
        sequence->ends[i] = tokens->items[i].end;
        sequence->text_index[i] = 0;
    }
    sequence->len = tokens->count;
    return ATT_OK;
}

enum att_status task_job_assemble(struct task_call *call, const struct task_model *model, const struct att_token *a,
                                  size_t a_count, const struct att_token *b, size_t b_count, struct task_job *job,
                                  struct task_spans *ret_spans, struct att_err *err)
{
    const struct att_tokenizer *tokenizer = att_model_tokenizer(model->model);
    size_t len = a_count + b_count + att_tokenizer_special_count(tokenizer, b != NULL);
    assert(len <= att_model_info(model->model)->max_tokens);
    struct att_sequence sequence = {.capacity = len};
    sequence.ids = task_alloc(call, len, sizeof *sequence.ids, err);
    sequence.type_ids = sequence.ids ? task_alloc(call, len, sizeof *sequence.type_ids, err) : NULL;
    if (!sequence.type_ids)
        return err->status;
    if (ret_spans) {
        sequence.starts = task_alloc(call, len, sizeof *sequence.starts, err);
        sequence.ends = sequence.starts ? task_alloc(call, len, sizeof *sequence.ends, err) : NULL;
        sequence.text_index = sequence.ends ? task_alloc(call, len, sizeof *sequence.text_index, err) : NULL;
        if (!sequence.text_index)
            return err->status;
    }
    enum att_status status = att_tokenizer_assemble(tokenizer, a, a_count, b, b_count, &sequence, err);
    if (status != ATT_OK)
        return status;
    if (sequence.len == 0)
        return att_err_set(err, ATT_EINVAL, "a text is empty, and model \"%s\" has no token that stands for that",
                           model->name);
    job->model = model->model;
    job->ids = sequence.ids;
    job->type_ids = sequence.type_ids;
    job->len = sequence.len;
    if (ret_spans)
        *ret_spans = (struct task_spans){sequence.starts, sequence.ends, sequence.text_index};
    return ATT_OK;
}

enum att_status task_job_encode(struct task_call *call, const struct task_model *model, const char *prompt,
                                const char *text, size_t len, const char *pair, size_t pair_len, const char *path,
                                struct task_job *job, size_t *ret_dropped, struct att_err *err)
{
    struct task_tokens a = {NULL, 0}, b = {NULL, 0};
    size_t room = 0, prompted;
    enum att_status status = task_tokens_room(model, pair != NULL, &room, err);
    if (status == ATT_OK)
        status = task_tokens_prompted(call, model, pair ? "" : prompt, text, len, path, &a, &prompted, err);
    if (status == ATT_OK && pair)
        status = task_tokens_encode(call, model, pair, pair_len, path, &b, err);
    if (status != ATT_OK)
        return status;
    /* The longer text gives way first, as "longest_first" truncation does. */
    size_t a_count = a.count, b_count = b.count;
    while (a_count + b_count > room) {
        size_t over = a_count + b_count - room;
        size_t *longer = a_count >= b_count ? &a_count : &b_count;
        size_t gap = a_count >= b_count ? a_count - b_count : b_count - a_count;
        *longer -= gap == 0 ? 1 : gap < over ? gap : over;
    }
    *ret_dropped = a.count + b.count - a_count - b_count;
    return task_job_assemble(call, model, a.items, a_count, pair ? b.items : NULL, b_count, job, NULL, err);
}
