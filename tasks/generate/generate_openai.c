/*
 * The answers of /v1/completions and /v1/chat/completions in OpenAI's shapes:
 * whole, or chunk by chunk with "[DONE]" at the end.
 */
#include <string.h>

#include "tasks/generate/generate.h"

/* The text of one token alone; half a character is U+FFFD. */
static void put_token_text(const struct task_generate *state, int32_t id, bool with_bytes, struct att_jsonw *answer)
{
    char *text = NULL;
    size_t len = 0;
    if (att_tokenizer_decode(att_model_tokenizer(state->ask.model->model), &id, 1, false, &text, &len, NULL) != ATT_OK)
        answer->failed = true;
    att_jsonw_string(answer, text ? text : "", len);
    if (with_bytes) {
        att_jsonw_key(answer, "bytes");
        att_jsonw_array_begin(answer);
        for (size_t i = 0; text && i < len; i++)
            att_jsonw_int(answer, (unsigned char)text[i]);
        att_jsonw_array_end(answer);
    }
    att_mem_free(text);
}

static void put_chat_token(const struct task_generate *state, int32_t id, float logprob, struct att_jsonw *answer)
{
    att_jsonw_key(answer, "token");
    put_token_text(state, id, true, answer);
    att_jsonw_put_float(answer, "logprob", logprob);
}

static void put_chat_logprobs(const struct task_generate *state, size_t from, size_t to, struct att_jsonw *answer)
{
    att_jsonw_object_begin(answer);
    att_jsonw_key(answer, "content");
    att_jsonw_array_begin(answer);
    for (size_t i = from; i < to; i++) {
        struct task_written written = task_generation_token(state->generation, i);
        att_jsonw_object_begin(answer);
        put_chat_token(state, written.id, written.logprob, answer);
        att_jsonw_key(answer, "top_logprobs");
        att_jsonw_array_begin(answer);
        for (size_t k = 0; written.likely && k < state->ask.n_likely; k++) {
            att_jsonw_object_begin(answer);
            put_chat_token(state, written.likely[k].id, written.likely[k].logprob, answer);
            att_jsonw_object_end(answer);
        }
        att_jsonw_array_end(answer);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
    att_jsonw_key(answer, "refusal");
    att_jsonw_null(answer);
    att_jsonw_object_end(answer);
}

/* The likeliest by their texts; where two read alike, the likelier. */
static void put_top(const struct task_generate *state, const struct task_written *written, struct att_jsonw *answer)
{
    const struct att_tokenizer *tokenizer = att_model_tokenizer(state->ask.model->model);
    char *texts[TASK_LIKELY_MAX] = {NULL};
    size_t n = written->likely ? state->ask.n_likely : 0;
    att_jsonw_object_begin(answer);
    for (size_t k = 0; k < n; k++) {
        size_t same = 0;
        if (att_tokenizer_decode(tokenizer, &written->likely[k].id, 1, false, &texts[k], NULL, NULL) != ATT_OK) {
            answer->failed = true;
            break;
        }
        while (strcmp(texts[same], texts[k]) != 0)
            same++;
        if (same < k)
            continue;
        att_jsonw_put_float(answer, texts[k], written->likely[k].logprob);
    }
    att_jsonw_object_end(answer);
    for (size_t k = 0; k < n; k++)
        att_mem_free(texts[k]);
}

static void put_completion_logprobs(const struct task_generate *state, size_t from, size_t to, struct att_jsonw *answer)
{
    att_jsonw_object_begin(answer);
    att_jsonw_key(answer, "tokens");
    att_jsonw_array_begin(answer);
    for (size_t i = from; i < to; i++)
        put_token_text(state, task_generation_token(state->generation, i).id, false, answer);
    att_jsonw_array_end(answer);
    att_jsonw_key(answer, "token_logprobs");
    att_jsonw_array_begin(answer);
    for (size_t i = from; i < to; i++)
        att_jsonw_float(answer, task_generation_token(state->generation, i).logprob);
    att_jsonw_array_end(answer);
    att_jsonw_key(answer, "top_logprobs");
    att_jsonw_array_begin(answer);
    for (size_t i = from; i < to; i++) {
        struct task_written written = task_generation_token(state->generation, i);
        put_top(state, &written, answer);
    }
    att_jsonw_array_end(answer);
    att_jsonw_key(answer, "text_offset");
    att_jsonw_array_begin(answer);
    for (size_t i = from; i < to; i++)
        att_jsonw_int(answer, i > 0 ? (int64_t)task_generation_token(state->generation, i - 1).text_end : 0);
    att_jsonw_array_end(answer);
    att_jsonw_object_end(answer);
}

/* The member "logprobs" of a choice, of tokens from..to. */
static void put_logprobs(const struct task_generate *state, size_t from, size_t to, struct att_jsonw *answer)
{
    att_jsonw_key(answer, "logprobs");
    if (!state->ask.logprobs || from == to)
        att_jsonw_null(answer);
    else if (state->shape == TASK_GENERATE_CHAT)
        put_chat_logprobs(state, from, to, answer);
    else
        put_completion_logprobs(state, from, to, answer);
}

static void put_head(const struct task_call *call, const struct task_generate *state, const char *object,
                     struct att_jsonw *answer)
{
    att_jsonw_put_text(answer, "id", state->id);
    att_jsonw_put_text(answer, "object", object);
    att_jsonw_put_int(answer, "created", call->now_ms / 1000);
    att_jsonw_put_text(answer, "model", state->ask.model->name);
    task_render_fingerprint(answer, state->ask.model);
}

void task_generate_render_openai(const struct task_call *call, struct att_jsonw *answer)
{
    const struct task_generate *state = call->state;
    bool is_chat = state->shape == TASK_GENERATE_CHAT;
    size_t len, settled;
    const char *text = task_generation_text(state->generation, &len, &settled);
    att_jsonw_object_begin(answer);
    put_head(call, state, is_chat ? "chat.completion" : "text_completion", answer);
    att_jsonw_key(answer, "choices");
    att_jsonw_array_begin(answer);
    att_jsonw_object_begin(answer);
    att_jsonw_put_int(answer, "index", 0);
    if (is_chat) {
        att_jsonw_key(answer, "message");
        att_jsonw_object_begin(answer);
        att_jsonw_put_text(answer, "role", "assistant");
        att_jsonw_put_string(answer, "content", text, len);
        att_jsonw_key(answer, "refusal");
        att_jsonw_null(answer);
        att_jsonw_object_end(answer);
    } else {
        att_jsonw_put_string(answer, "text", text, len);
    }
    put_logprobs(state, 0, task_generation_new_tokens(state->generation), answer);
    att_jsonw_put_text(answer, "finish_reason", task_generation_reason(state->generation));
    att_jsonw_object_end(answer);
    att_jsonw_array_end(answer);
    task_generate_usage(state, answer);
    att_jsonw_object_end(answer);
}

/* ---- chunks ---- */

static void begin_chunk(const struct task_call *call, const struct task_generate *state, struct att_jsonw *events)
{
    bool is_chat = state->shape == TASK_GENERATE_CHAT;
    task_event_begin(events);
    att_jsonw_object_begin(events);
    put_head(call, state, is_chat ? "chat.completion.chunk" : "text_completion", events);
    att_jsonw_key(events, "choices");
    att_jsonw_array_begin(events);
}

static void end_chunk(const struct task_generate *state, bool with_usage, struct att_jsonw *events)
{
    att_jsonw_array_end(events);
    if (with_usage) {
        task_generate_usage(state, events);
    } else if (state->stream_usage) {
        att_jsonw_key(events, "usage");
        att_jsonw_null(events);
    }
    att_jsonw_object_end(events);
    task_event_end(events);
}

/* One choice: a piece of text, of tokens from..to; first: the chat's role before it; reason NULL: it goes on. */
static void put_chunk(const struct task_call *call, const struct task_generate *state, const char *text, size_t len,
                      size_t from, size_t to, bool first, const char *reason, struct att_jsonw *events)
{
    begin_chunk(call, state, events);
    att_jsonw_object_begin(events);
    att_jsonw_put_int(events, "index", 0);
    if (state->shape == TASK_GENERATE_CHAT) {
        att_jsonw_key(events, "delta");
        att_jsonw_object_begin(events);
        if (first)
            att_jsonw_put_text(events, "role", "assistant");
        if (first || len > 0)
            att_jsonw_put_string(events, "content", text, len);
        att_jsonw_object_end(events);
    } else {
        att_jsonw_put_string(events, "text", text, len);
    }
    put_logprobs(state, from, to, events);
    att_jsonw_put_text(events, "finish_reason", reason);
    att_jsonw_object_end(events);
    end_chunk(state, false, events);
}

void task_generate_stream_openai(struct task_call *call, struct att_jsonw *events)
{
    struct task_generate *state = call->state;
    size_t len, settled, n_new = task_generation_new_tokens(state->generation);
    const char *text = task_generation_text(state->generation, &len, &settled);
    bool over = call->n_jobs == 0;
    if (!state->begun && state->shape == TASK_GENERATE_CHAT)
        put_chunk(call, state, "", 0, 0, 0, true, NULL, events);
    state->begun = true;
    if (settled > state->told_bytes) {
        put_chunk(call, state, text + state->told_bytes, settled - state->told_bytes, state->told_tokens, n_new, false,
                  NULL, events);
        state->told_bytes = settled;
        state->told_tokens = n_new;
    }
    if (!over)
        return;
    put_chunk(call, state, "", 0, state->told_tokens, n_new, false, task_generation_reason(state->generation), events);
    if (state->stream_usage) {
        begin_chunk(call, state, events);
        end_chunk(state, true, events);
    }
    att_jsonw_append(events, "data: [DONE]\n\n", 14);
}
