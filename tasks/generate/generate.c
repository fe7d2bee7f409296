/*
 * POST /v1/generate, /v1/completions and /v1/chat/completions: a text by a
 * generative model, whole or as it is written. What they have in common, and the
 * answers of the first.
 */
#include "tasks/generate/generate.h"

#include <string.h>

#include "tasks/explain/words.h"

static void stream_ours(struct task_call *call, struct att_jsonw *events);

static enum att_status begin(struct task_call *call, const struct att_json *body, enum task_generate_shape shape,
                             struct att_err *err)
{
    static const char *const prefixes[] = {"gen", "cmpl", "chatcmpl"};
    struct task_generate *state = task_alloc(call, 1, sizeof *state, err);
    if (!state)
        return err->status;
    *state = (struct task_generate){.shape = shape};
    call->state = state;
    task_id_make(prefixes[shape], state->id);
    enum att_status status = task_generate_parse(call, body, state, err);
    if (status == ATT_OK)
        status = task_generation_begin(call, &state->ask, &state->generation, err);
    if (state->streams)
        call->stream = shape == TASK_GENERATE_OURS ? stream_ours : task_generate_stream_openai;
    return status;
}

static enum att_status parse_ours(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    return begin(call, body, TASK_GENERATE_OURS, err);
}

static enum att_status parse_completion(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    return begin(call, body, TASK_GENERATE_COMPLETION, err);
}

static enum att_status parse_chat(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    return begin(call, body, TASK_GENERATE_CHAT, err);
}

static enum att_status advance(struct task_call *call, struct att_err *err)
{
    struct task_generate *state = call->state;
    return task_generation_step(state->generation, call, err);
}

static void finish(struct task_call *call)
{
    struct task_generate *state = call->state;
    if (state)
        task_generation_finish(state->generation);
}

void task_generate_usage(const struct task_generate *state, struct att_jsonw *answer)
{
    size_t prompt = task_generation_prompt_tokens(state->generation);
    size_t written = task_generation_new_tokens(state->generation);
    att_jsonw_key(answer, "usage");
    att_jsonw_object_begin(answer);
    att_jsonw_put_size(answer, "prompt_tokens", prompt);
    att_jsonw_put_size(answer, "completion_tokens", written);
    att_jsonw_put_int(answer, "total_tokens", (int64_t)(prompt + written));
    att_jsonw_object_end(answer);
}

/* ---- the answers of /v1/generate ---- */

static bool is_blank(const char *text, size_t len)
{
    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        len--;
    return len == 0;
}

/* The prompt's words with the attention that the text paid to them. */
static enum att_status put_explanation(struct task_call *call, const struct task_generate *state,
                                       struct att_jsonw *answer, struct att_err *err)
{
    const struct task_generation_ask *ask = &state->ask;
    size_t n = task_generation_prompt_tokens(state->generation), count = 0;
    struct att_token *tokens = task_alloc(call, n, sizeof *tokens, err);
    float *weights = tokens ? task_alloc(call, n, sizeof *weights, err) : NULL;
    struct task_word *words = weights ? task_alloc(call, n, sizeof *words, err) : NULL;
    struct task_seen seen;
    if (!words)
        return err->status;
    for (size_t i = 0; i < n; i++) {
        if (!task_generation_seen(state->generation, i, &seen))
            continue;
        tokens[count] = (struct att_token){.start = (uint32_t)seen.start, .end = (uint32_t)seen.end};
        weights[count++] = seen.weight;
    }
    size_t n_words = task_words_find(att_model_tokenizer(ask->model->model), ask->prompt, ask->prompt_len, tokens,
                                     count, false, words);
    att_jsonw_key(answer, "explain");
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "method", "attention");
    att_jsonw_key(answer, "tokens");
    att_jsonw_array_begin(answer);
    for (size_t w = 0; w < n_words; w++) {
        float weight = 0;
        if (is_blank(ask->prompt + words[w].start, words[w].end - words[w].start))
            continue;
        for (size_t t = 0; t < words[w].count; t++)
            weight += weights[words[w].first + t];
        att_jsonw_object_begin(answer);
        att_jsonw_put_string(answer, "text", ask->prompt + words[w].start, words[w].end - words[w].start);
        att_jsonw_put_int(answer, "start", words[w].start);
        att_jsonw_put_int(answer, "end", words[w].end);
        att_jsonw_put_float(answer, "weight", weight);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
    att_jsonw_object_end(answer);
    return ATT_OK;
}

/* Tokens from..to with the log of their probability, and the likeliest beside each. */
static void put_logprobs(const struct task_generate *state, size_t from, size_t to, struct att_jsonw *answer)
{
    const struct att_tokenizer *tokenizer = att_model_tokenizer(state->ask.model->model);
    att_jsonw_key(answer, "logprobs");
    att_jsonw_array_begin(answer);
    for (size_t i = from; i < to; i++) {
        struct task_written written = task_generation_token(state->generation, i);
        att_jsonw_object_begin(answer);
        att_jsonw_put_text(answer, "token", att_tokenizer_token(tokenizer, written.id));
        att_jsonw_put_float(answer, "logprob", written.logprob);
        att_jsonw_key(answer, "top");
        att_jsonw_array_begin(answer);
        for (size_t k = 0; written.likely && k < state->ask.n_likely; k++) {
            att_jsonw_object_begin(answer);
            att_jsonw_put_text(answer, "token", att_tokenizer_token(tokenizer, written.likely[k].id));
            att_jsonw_put_float(answer, "logprob", written.likely[k].logprob);
            att_jsonw_object_end(answer);
        }
        att_jsonw_array_end(answer);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
}

static void put_head(const struct task_call *call, const struct task_generate *state, struct att_jsonw *answer)
{
    att_jsonw_put_text(answer, "id", state->id);
    att_jsonw_put_int(answer, "created", call->now_ms / 1000);
    att_jsonw_put_text(answer, "model", state->ask.model->name);
    task_render_fingerprint(answer, state->ask.model);
}

static enum att_status render_ours(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct task_generate *state = call->state;
    size_t len, settled;
    const char *text = task_generation_text(state->generation, &len, &settled);
    enum att_status status = ATT_OK;
    att_jsonw_object_begin(answer);
    put_head(call, state, answer);
    att_jsonw_put_string(answer, "text", text, len);
    att_jsonw_put_text(answer, "finish_reason", task_generation_reason(state->generation));
    if (state->ask.logprobs)
        put_logprobs(state, 0, task_generation_new_tokens(state->generation), answer);
    if (state->ask.explains)
        status = put_explanation(call, state, answer, err);
    task_generate_usage(state, answer);
    task_render_timing(call, answer);
    att_jsonw_object_end(answer);
    return status;
}

/* {"text":"…"} for each piece; the last one, with finish_reason, has what the whole answer has beside its text. */
static void stream_ours(struct task_call *call, struct att_jsonw *events)
{
    struct task_generate *state = call->state;
    size_t len, settled, n_new = task_generation_new_tokens(state->generation);
    const char *text = task_generation_text(state->generation, &len, &settled);
    bool over = call->n_jobs == 0;
    struct att_err err;
    if (settled == state->told_bytes && !over)
        return;
    task_event_begin(events);
    att_jsonw_object_begin(events);
    if (!state->begun)
        put_head(call, state, events);
    att_jsonw_put_string(events, "text", text + state->told_bytes, settled - state->told_bytes);
    att_jsonw_put_text(events, "finish_reason", over ? task_generation_reason(state->generation) : NULL);
    if (state->ask.logprobs)
        put_logprobs(state, state->told_tokens, n_new, events);
    if (over && state->ask.explains)
        events->failed = put_explanation(call, state, events, &err) != ATT_OK || events->failed;
    if (over) {
        task_generate_usage(state, events);
        task_render_timing(call, events);
    }
    att_jsonw_object_end(events);
    task_event_end(events);
    state->begun = true;
    state->told_bytes = settled;
    state->told_tokens = n_new;
}

static enum att_status render_openai(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    (void)err;
    task_generate_render_openai(call, answer);
    return ATT_OK;
}

const struct task task_generate = {
    .name = "generate", .parse = parse_ours, .advance = advance, .render = render_ours, .finish = finish};
const struct task task_completions = {
    .name = "generate", .parse = parse_completion, .advance = advance, .render = render_openai, .finish = finish};
const struct task task_chat_completions = {
    .name = "generate", .parse = parse_chat, .advance = advance, .render = render_openai, .finish = finish};
