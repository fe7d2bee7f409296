/*
 * From a prompt or a dialogue to the ids that a model goes on from.
 *
 * A turn's content is text: what looks like a special token in it must not end
 * the turn. Wherever one could begin there, U+0000, which no request may hold,
 * goes through the template behind its first character; it is taken out of the
 * rendered text, and where it stood no special token is found. Contents without
 * such texts pass unchanged.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/utf8.h"
#include "tasks/encode.h"
#include "tasks/generate/generator.h"

enum { DIALOGUE_DEPTH = 4, DIALOGUE_OVERHEAD = 64 };

/* The content with U+0000 where a special token must not be found; in `to`, or counted with NULL. */
static size_t mark(const struct att_tokenizer *tokenizer, const struct task_turn *turn, char *to)
{
    size_t len = turn->content_len, done = 0, n = 0;
    for (size_t at = 0; (at = att_tokenizer_special_place(tokenizer, turn->content, len, at)) < len;) {
        att_utf8_next(turn->content, len, &at);
        if (to) {
            memcpy(to + n, turn->content + done, at - done);
            to[n + at - done] = '\0';
        }
        n += at - done + 1;
        done = at;
    }
    if (to && done < len)
        memcpy(to + n, turn->content + done, len - done);
    return n + len - done;
}

/* The rendered text without the marks, and where they stood. */
static enum att_status unmark(char *text, size_t *len, struct att_cuts *ret_cuts, struct att_err *err)
{
    size_t marks = 0, n = 0;
    for (size_t i = 0; i < *len; i++)
        marks += text[i] == '\0';
    ret_cuts->items = att_mem_calloc(marks + 1, sizeof *ret_cuts->items);
    if (!ret_cuts->items)
        return att_err_set(err, ATT_ENOMEM, "out of memory for the dialogue");
    for (size_t i = 0; i < *len; i++)
        if (text[i] == '\0')
            ret_cuts->items[ret_cuts->count++] = n;
        else
            text[n++] = text[i];
    text[n] = '\0';
    *len = n;
    return ATT_OK;
}

static enum att_status put_content(const struct att_tokenizer *tokenizer, const struct task_turn *turn,
                                   struct att_jsonw *w, struct att_err *err)
{
    size_t len = mark(tokenizer, turn, NULL);
    char *marked = len > turn->content_len ? att_mem_calloc(len, 1) : NULL;
    if (len > turn->content_len && !marked)
        return att_err_set(err, ATT_ENOMEM, "out of memory for the dialogue");
    if (marked)
        mark(tokenizer, turn, marked);
    att_jsonw_string(w, marked ? marked : turn->content, len);
    att_mem_free(marked);
    return ATT_OK;
}

/* The turns as JSON, which is what templates read. */
static enum att_status turns_to_json(const struct task_generation_ask *ask, struct att_json **ret_messages,
                                     struct att_err *err)
{
    struct att_jsonw w;
    char *bytes = NULL;
    size_t len = 0, limit = DIALOGUE_OVERHEAD;
    const struct att_tokenizer *tokenizer = att_model_tokenizer(ask->model->model);
    enum att_status status = ATT_OK;
    for (size_t i = 0; i < ask->n_turns; i++) /* a character may be written in 6 bytes, and marked */
        limit += 12 * ask->turns[i].content_len + strlen(ask->turns[i].role) + DIALOGUE_OVERHEAD;
    att_jsonw_init(&w, limit);
    att_jsonw_array_begin(&w);
    for (size_t i = 0; status == ATT_OK && i < ask->n_turns; i++) {
        att_jsonw_object_begin(&w);
        att_jsonw_put_text(&w, "role", ask->turns[i].role);
        att_jsonw_key(&w, "content");
        status = put_content(tokenizer, &ask->turns[i], &w, err);
        att_jsonw_object_end(&w);
    }
    att_jsonw_array_end(&w);
    if (status == ATT_OK)
        status = att_jsonw_take(&w, &bytes, &len, err);
    att_jsonw_finish(&w);
    if (status == ATT_OK)
        status = att_json_parse(bytes, len, ATT_JSON_ALLOW_NUL, DIALOGUE_DEPTH, ret_messages, err);
    att_mem_free(bytes);
    return status;
}

/* The dialogue through the model's template; att_mem_free. Dates are of the request, in UTC. */
static enum att_status render(const struct task_call *call, const struct task_generation_ask *ask, char **ret_text,
                              size_t *ret_len, struct att_cuts *ret_cuts, struct att_err *err)
{
    const struct att_chat *chat = ask->model->generator->chat;
    const struct att_chat_template *template = att_chat_template(chat, NULL, false);
    time_t seconds = (time_t)(call->now_ms / 1000);
    struct tm now;
    struct att_chat_input input = {.add_generation_prompt = true, .now = gmtime_r(&seconds, &now)};
    struct att_json *messages = NULL;
    if (!template)
        return att_err_param(err, ATT_EUNSUPPORTED, ask->path,
                             "%s: the model \"%s\" has no chat template; send a prompt instead", ask->path,
                             ask->model->name);
    enum att_status status = turns_to_json(ask, &messages, err);
    if (status == ATT_OK) {
        input.messages = messages;
        att_chat_tokens(chat, &input);
        status = att_chat_template_render(template, &input, call->env->limits.text_bytes_max, ret_text, ret_len, err);
    }
    att_json_destroy(messages);
    if (status == ATT_OK)
        status = unmark(*ret_text, ret_len, ret_cuts, err);
    if (status == ATT_EINVAL || status == ATT_ELIMIT)
        snprintf(err->param, sizeof err->param, "%s", ask->path);
    return status;
}

static enum att_status take(struct task_call *call, const struct task_generation_ask *ask,
                            const struct att_tokens *tokens, struct att_sequence *ids, struct att_err *err)
{
    const struct att_tokenizer *tokenizer = att_model_tokenizer(ask->model->model);
    *ids = (struct att_sequence){.capacity = tokens->count + att_tokenizer_special_count(tokenizer, false)};
    if (!(ids->ids = task_alloc(call, ids->capacity + 1, sizeof *ids->ids, err)) ||
        !(ids->starts = task_alloc(call, ids->capacity + 1, sizeof *ids->starts, err)) ||
        !(ids->ends = task_alloc(call, ids->capacity + 1, sizeof *ids->ends, err)) ||
        !(ids->special = task_alloc(call, ids->capacity + 1, sizeof *ids->special, err)))
        return err->status;
    /* A chat template writes its special tokens itself. */
    if (ask->prompt)
        return att_tokenizer_assemble(tokenizer, tokens->items, tokens->count, NULL, 0, ids, err);
    for (size_t i = 0; i < tokens->count; i++) {
        ids->ids[i] = tokens->items[i].id;
        ids->starts[i] = tokens->items[i].start;
        ids->ends[i] = tokens->items[i].end;
        ids->special[i] = 0;
    }
    ids->len = tokens->count;
    return ATT_OK;
}

enum att_status task_prompt_encode(struct task_call *call, const struct task_generation_ask *ask,
                                   struct att_sequence *ret_ids, struct att_err *err)
{
    const struct att_tokenizer *tokenizer = att_model_tokenizer(ask->model->model);
    size_t limit = call->env->limits.tokens_max, len = ask->prompt_len;
    char *rendered = NULL;
    struct att_tokens tokens;
    struct att_cuts cuts = {0};
    enum att_status status = ATT_OK;
    if (!tokenizer)
        return att_err_param(err, ATT_EUNSUPPORTED, "model", "model: \"%s\" has no tokenizer, it takes no text",
                             ask->model->name);
    if (!ask->prompt)
        status = render(call, ask, &rendered, &len, &cuts, err);
    att_tokens_init(&tokens);
    if (status == ATT_OK && rendered)
        status = att_tokenizer_encode_cut(tokenizer, rendered, len, &cuts, limit, &tokens, err);
    else if (status == ATT_OK)
        status = att_tokenizer_encode(tokenizer, ask->prompt, len, ask->plain ? ATT_ENCODE_SPECIAL_AS_TEXT : 0, limit,
                                      &tokens, err);
    if (status == ATT_OK)
        status = take(call, ask, &tokens, ret_ids, err);
    if (status == ATT_OK && ret_ids->len == 0)
        status = att_err_param(err, ATT_EINVAL, ask->path, "%s: has no token to go on from", ask->path);
    if (status == ATT_OK && ret_ids->len > limit - call->prompt_tokens)
        status = att_err_limit(err, ask->path, limit, call->prompt_tokens + ret_ids->len,
                               "%s: the request has more than %zu tokens", ask->path, limit);
    if (status == ATT_OK)
        call->prompt_tokens += ret_ids->len;
    else if (!err->param[0])
        snprintf(err->param, sizeof err->param, "%s", ask->path);
    att_tokens_finish(&tokens);
    att_mem_free(cuts.items);
    att_mem_free(rendered);
    return status;
}
