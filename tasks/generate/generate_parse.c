/*
 * Reading the requests for a text. On the OpenAI paths unknown fields are
 * ignored, but what would change the answer and is not done here is refused.
 */
#include <stdio.h>
#include <string.h>

#include "tasks/encode.h"
#include "tasks/generate/generate.h"

enum { TURNS_MAX = 1024, PATH_BYTES = 64, ERR_PATH_BYTES = 160, TOKENS_MAX = 1 << 20, COMPLETION_TOKENS = 16 };

/* ---- what is written on from ---- */

/* A message's content: a text, or parts {"type":"text","text"} that are joined. */
static enum att_status parse_content(struct task_call *call, const struct att_json *content, const char *path,
                                     struct task_turn *turn, struct att_err *err)
{
    size_t len = 0;
    char part_path[ERR_PATH_BYTES], *joined = NULL;
    if (!att_json_is_array(content))
        return task_field_text(call, content, path, &turn->content, &turn->content_len, err);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0, at = 0; i < att_json_count(content); i++) {
            const struct att_json *part = att_json_at(content, i);
            const char *type = att_json_string(att_json_get(part, "type"), NULL), *text;
            size_t part_len;
            snprintf(part_path, sizeof part_path, "%s[%zu].text", path, i);
            if (!type || strcmp(type, "text") != 0)
                return att_err_param(err, ATT_EUNSUPPORTED, path, "%s[%zu]: expected a part of type \"text\"", path, i);
            enum att_status status =
                task_field_text(call, att_json_get(part, "text"), part_path, &text, &part_len, err);
            if (status != ATT_OK)
                return status;
            if (pass == 0)
                len += part_len;
            else if (part_len > 0)
                memcpy(joined + at, text, part_len);
            at += part_len;
        }
        if (pass == 0 && len > call->env->limits.text_bytes_max)
            return att_err_limit(err, path, call->env->limits.text_bytes_max, len,
                                 "%s: the parts have %zu bytes, expected at most %zu", path, len,
                                 call->env->limits.text_bytes_max);
        if (pass == 0 && !(joined = task_alloc(call, len + 1, 1, err)))
            return err->status;
    }
    turn->content = joined;
    turn->content_len = len;
    return ATT_OK;
}

static enum att_status parse_turns(struct task_call *call, const struct att_json *messages, bool strict,
                                   struct task_generation_ask *ask, struct att_err *err)
{
    static const char *const members[] = {"role", "content", NULL};
    static const char *const roles[] = {"system", "user", "assistant", "developer", NULL};
    size_t n = att_json_count(messages);
    char path[PATH_BYTES], content_path[PATH_BYTES + 16];
    if (!att_json_is_array(messages) || n == 0)
        return att_err_param(err, ATT_EINVAL, "messages", "messages: expected an array of at least one message");
    if (n > TURNS_MAX)
        return att_err_limit(err, "messages", TURNS_MAX, n, "messages: %zu, expected at most %d", n, TURNS_MAX);
    struct task_turn *turns = task_alloc(call, n, sizeof *turns, err);
    if (!turns)
        return err->status;
    for (size_t i = 0; i < n; i++) {
        const struct att_json *message = att_json_at(messages, i);
        size_t role = SIZE_MAX;
        snprintf(path, sizeof path, "messages[%zu]", i);
        snprintf(content_path, sizeof content_path, "%s.content", path);
        if (!att_json_is_object(message))
            return att_err_param(err, ATT_EINVAL, path, "%s: is %s, expected an object", path,
                                 att_json_type_name(message));
        enum att_status status = strict ? task_fields_known(message, path, members, err) : ATT_OK;
        if (status == ATT_OK)
            status = task_field_enum(message, path, "role", roles, &role, err);
        if (status == ATT_OK && role == SIZE_MAX)
            status = att_err_param(err, ATT_EINVAL, path, "%s.role: is missing", path);
        if (status == ATT_OK)
            status = parse_content(call, att_json_get(message, "content"), content_path, &turns[i], err);
        if (status != ATT_OK)
            return status;
        turns[i].role = roles[role == 3 ? 0 : role]; /* OpenAI's newer word for the system's turn */
    }
    ask->path = "messages";
    ask->turns = turns;
    ask->n_turns = n;
    return ATT_OK;
}

static enum att_status parse_prompt(struct task_call *call, const struct att_json *prompt,
                                    struct task_generation_ask *ask, struct att_err *err)
{
    bool is_list = att_json_is_array(prompt);
    if (!prompt || (is_list && (att_json_count(prompt) != 1 || !att_json_is_string(att_json_at(prompt, 0)))))
        return att_err_param(err, ATT_EINVAL, "prompt", "prompt: expected one text");
    ask->path = "prompt";
    return task_field_text(call, is_list ? att_json_at(prompt, 0) : prompt, "prompt", &ask->prompt, &ask->prompt_len,
                           err);
}

/* ---- how ---- */

static enum att_status parse_stop(struct task_call *call, const struct att_json *stop, struct task_generation_ask *ask,
                                  struct att_err *err)
{
    bool is_list = att_json_is_array(stop);
    size_t n = is_list ? att_json_count(stop) : 1;
    char path[PATH_BYTES];
    if (att_json_type(stop) == ATT_JSON_NULL)
        return ATT_OK;
    if (n > TASK_STOPS_MAX)
        return att_err_limit(err, "stop", TASK_STOPS_MAX, n, "stop: %zu texts, expected at most %d", n, TASK_STOPS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct task_stop *one = &ask->stops[i];
        snprintf(path, sizeof path, is_list ? "stop[%zu]" : "stop", i);
        enum att_status status =
            task_field_text(call, is_list ? att_json_at(stop, i) : stop, path, &one->text, &one->len, err);
        if (status != ATT_OK)
            return status;
        if (one->len == 0 || one->len > TASK_STOP_BYTES_MAX)
            return att_err_param(err, ATT_EINVAL, path, "%s: has %zu bytes, expected 1 to %d", path, one->len,
                                 TASK_STOP_BYTES_MAX);
    }
    ask->n_stops = n;
    return ATT_OK;
}

static enum att_status parse_way(struct task_call *call, const struct att_json *body, struct task_generation_ask *ask,
                                 struct att_err *err)
{
    int64_t max_tokens = 0, top_k = (int64_t)ask->top_k, seed = 0;
    enum att_status status = task_field_int(body, "", "max_tokens", 1, TOKENS_MAX, &max_tokens, err);
    if (status == ATT_OK) /* OpenAI's newer word for the same */
        status = task_field_int(body, "", "max_completion_tokens", 1, TOKENS_MAX, &max_tokens, err);
    if (status == ATT_OK)
        status = task_field_number(body, "", "temperature", 0, 10, &ask->temperature, err);
    if (status == ATT_OK)
        status = task_field_number(body, "", "top_p", 0, 1, &ask->top_p, err);
    if (status == ATT_OK)
        status = task_field_int(body, "", "top_k", 0, TOKENS_MAX, &top_k, err);
    if (status == ATT_OK)
        status = task_field_int(body, "", "seed", -(INT64_C(1) << 53) + 1, (INT64_C(1) << 53) - 1, &seed, err);
    if (status == ATT_OK)
        status = parse_stop(call, att_json_get(body, "stop"), ask, err);
    ask->max_tokens = (size_t)max_tokens;
    ask->top_k = (size_t)top_k;
    ask->seed = (uint64_t)seed;
    return status;
}

/* "logprobs" is a number on completions and a flag, with "top_logprobs", on chats. */
static enum att_status parse_logprobs(const struct att_json *body, enum task_generate_shape shape,
                                      struct task_generation_ask *ask, struct att_err *err)
{
    int64_t n = shape == TASK_GENERATE_COMPLETION ? -1 : 0;
    enum att_status status;
    if (shape == TASK_GENERATE_COMPLETION) {
        status = task_field_int(body, "", "logprobs", 0, TASK_LIKELY_MAX, &n, err);
        ask->logprobs = n >= 0;
    } else {
        status = task_field_bool(body, "", "logprobs", &ask->logprobs, err);
        if (status == ATT_OK)
            status = task_field_int(body, "", "top_logprobs", 0, TASK_LIKELY_MAX, &n, err);
        if (status == ATT_OK && n > 0 && !ask->logprobs)
            status = att_err_param(err, ATT_EINVAL, "top_logprobs", "top_logprobs: needs \"logprobs\": true");
    }
    ask->n_likely = n > 0 ? (size_t)n : 0;
    return status;
}

/* ---- OpenAI's fields that would change the answer ---- */

static bool is_default(const struct att_json *value, double number)
{
    enum att_json_type type = att_json_type(value);
    if (type == ATT_JSON_NULL)
        return true;
    if (att_json_is_number(value))
        return att_json_number(value, number + 1) == number;
    if (att_json_is_bool(value))
        return !att_json_bool(value, true);
    if (att_json_is_array(value) || att_json_is_object(value))
        return att_json_count(value) == 0;
    const char *text = att_json_string(value, NULL);
    return text && (strcmp(text, "none") == 0 || strcmp(text, "auto") == 0 || *text == '\0');
}

static enum att_status refuse_unsupported(const struct att_json *body, struct att_err *err)
{
    static const struct {
        const char *name;
        double number;
    } fields[] = {{"n", 1},
                  {"best_of", 1},
                  {"echo", 0},
                  {"suffix", 0},
                  {"presence_penalty", 0},
                  {"frequency_penalty", 0},
                  {"logit_bias", 0},
                  {"tools", 0},
                  {"functions", 0},
                  {"tool_choice", 0},
                  {"audio", 0},
                  {"use_beam_search", 0}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (!is_default(att_json_get(body, fields[i].name), fields[i].number))
            return att_err_param(err, ATT_EUNSUPPORTED, fields[i].name, "%s: is not supported here, leave it out",
                                 fields[i].name);
    const char *format = att_json_string(att_json_get(att_json_get(body, "response_format"), "type"), NULL);
    if (format && strcmp(format, "text") != 0)
        return att_err_param(err, ATT_EUNSUPPORTED, "response_format",
                             "response_format: is \"%.40s\", expected \"text\"", format);
    return ATT_OK;
}

/* ---- the whole ---- */

static enum att_status parse_ours(struct task_call *call, const struct att_json *body, struct task_generate *state,
                                  struct att_err *err)
{
    static const char *const fields[] = {
        "model", "prompt", "messages", "max_tokens", "temperature",  "top_p",       "top_k",    "seed",
        "stop",  "stream", "explain",  "logprobs",   "top_logprobs", "deadline_ms", "priority", NULL};
    static const char *const methods[] = {"none", "attention", NULL};
    const struct att_json *messages = att_json_get(body, "messages"), *prompt = att_json_get(body, "prompt");
    bool is_chat = att_json_type(messages) != ATT_JSON_NULL, has_prompt = att_json_type(prompt) != ATT_JSON_NULL;
    size_t method = 0;
    enum att_status status = task_fields_known(body, "", fields, err);
    if (status == ATT_OK && !is_chat && !has_prompt)
        status = att_err_param(err, ATT_EINVAL, "prompt", "prompt: is missing, expected it or \"messages\"");
    if (status == ATT_OK && is_chat)
        status = parse_turns(call, messages, true, &state->ask, err);
    if (status == ATT_OK && is_chat && has_prompt)
        status = att_err_param(err, ATT_EINVAL, "prompt", "prompt: stands beside \"messages\", expected one of them");
    if (status == ATT_OK && !is_chat)
        status = parse_prompt(call, prompt, &state->ask, err);
    if (status == ATT_OK)
        status = task_field_enum(body, "", "explain", methods, &method, err);
    if (status == ATT_OK && method == 1 && is_chat)
        status = att_err_param(err, ATT_EUNSUPPORTED, "explain", "explain: needs \"prompt\" instead of \"messages\"");
    state->ask.explains = method == 1;
    state->stream_usage = true;
    return status;
}

static enum att_status parse_openai(struct task_call *call, const struct att_json *body, struct task_generate *state,
                                    struct att_err *err)
{
    const struct att_json *options = att_json_get(body, "stream_options");
    enum att_status status = refuse_unsupported(body, err);
    if (status == ATT_OK && state->shape == TASK_GENERATE_CHAT)
        status = parse_turns(call, att_json_get(body, "messages"), false, &state->ask, err);
    else if (status == ATT_OK)
        status = parse_prompt(call, att_json_get(body, "prompt"), &state->ask, err);
    if (status == ATT_OK && att_json_type(options) != ATT_JSON_NULL && !att_json_is_object(options))
        status = att_err_param(err, ATT_EINVAL, "stream_options", "stream_options: expected an object");
    if (status == ATT_OK)
        status = task_field_bool(options, "stream_options", "include_usage", &state->stream_usage, err);
    return status;
}

enum att_status task_generate_parse(struct task_call *call, const struct att_json *body, struct task_generate *state,
                                    struct att_err *err)
{
    const struct task_model *model = NULL;
    enum att_status status = task_field_model(call, body, "generate", &model, err);
    if (status == ATT_OK && !model->generator)
        status = att_err_param(err, ATT_EUNSUPPORTED, "model", "model: \"%s\" writes no text", model->name);
    if (status != ATT_OK)
        return status;
    task_generation_defaults(model, &state->ask);
    status =
        state->shape == TASK_GENERATE_OURS ? parse_ours(call, body, state, err) : parse_openai(call, body, state, err);
    if (status == ATT_OK)
        status = task_field_common(call, body, err);
    if (status == ATT_OK)
        status = parse_way(call, body, &state->ask, err);
    if (status == ATT_OK)
        status = parse_logprobs(body, state->shape, &state->ask, err);
    if (status == ATT_OK)
        status = task_field_bool(body, "", "stream", &state->streams, err);
    if (status == ATT_OK && state->shape == TASK_GENERATE_COMPLETION && state->ask.max_tokens == 0)
        state->ask.max_tokens = COMPLETION_TOKENS; /* as OpenAI has it */
    return status;
}
