/*
 * The three shapes of a request for a text, which differ in their fields and in
 * how the answer is written: ours, and OpenAI's completions and chat completions.
 */
#ifndef TASK_GENERATE_H
#define TASK_GENERATE_H

#include "tasks/encode.h"
#include "tasks/generate/generation.h"

enum task_generate_shape { TASK_GENERATE_OURS, TASK_GENERATE_COMPLETION, TASK_GENERATE_CHAT };

struct task_generate {
    enum task_generate_shape shape;
    struct task_generation_ask ask;
    struct task_generation *generation;
    bool streams, stream_usage; /* stream_usage: the last event tells it */
    char id[TASK_ID_BYTES];
    /* what a stream has told */
    bool begun;
    size_t told_bytes, told_tokens;
};

/* tasks/generate/generate_parse.c: the body into state->ask, checked. */
enum att_status task_generate_parse(struct task_call *call, const struct att_json *body, struct task_generate *state,
                                    struct att_err *err) ATT_MUST_USE;
/* tasks/generate/generate_openai.c: the whole answer, or the events of a round. */
void task_generate_render_openai(const struct task_call *call, struct att_jsonw *answer);
void task_generate_stream_openai(struct task_call *call, struct att_jsonw *events);
/* tasks/generate/generate.c: the member "usage". */
void task_generate_usage(const struct task_generate *state, struct att_jsonw *answer);

#endif
