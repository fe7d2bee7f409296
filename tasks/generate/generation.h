/*
 * Writing a text with a generative model: the piece that /v1/generate, its OpenAI
 * shapes and reply's "generate" share.
 *
 *   parse or advance  task_generation_begin   checks, tokenises, leaves the first job in call->jobs
 *   advance           task_generation_step    leaves the next job, or none: the text is written
 *   render            task_generation_text    and the other results below
 *   finish            task_generation_finish  gives the memory back; also after a failure, or in the middle
 *
 * One round is one pass of the model: a piece of the prompt (so that a long one does
 * not block others), then one token each. Rounds of different requests share packed
 * batches. The next token is chosen, and the text decoded, on the thread that ran the
 * pass. Equal requests write equal texts, whatever runs beside them.
 *
 * Memory: keys and values of one text are taken when it begins, and bounded for all
 * texts together by env->room: ATT_EBUSY (429) when there is none.
 */
#ifndef TASK_GENERATION_H
#define TASK_GENERATION_H

#include "tasks/task.h"

/* Whether it has a chat template, and so takes turns. */
bool task_generator_chats(const struct task_generator *generator);

/* ---- one text ---- */

enum { TASK_STOPS_MAX = 16, TASK_STOP_BYTES_MAX = 256, TASK_LIKELY_MAX = 20 };

struct task_turn {
    const char *role, *content; /* "system", "user", "assistant"; UTF-8 */
    size_t content_len;
};

/* Zeros but for the model and a prompt are fine; defaults: task_generation_defaults. */
struct task_generation_ask {
    const struct task_model *model; /* its generator is not NULL */
    const char *path;               /* the field that errors about the prompt name */
    const char *prompt;             /* a text to go on from; or NULL and */
    size_t prompt_len;
    bool plain;                    /* special tokens in the prompt are text; in a dialogue's contents they always are */
    const struct task_turn *turns; /* a dialogue, through the model's chat template; ATT_EUNSUPPORTED without one */
    size_t n_turns;
    size_t max_tokens;  /* new ones; 0: TASK_NEW_TOKENS or what fits */
    double temperature; /* 0: always the likeliest token */
    double top_p;       /* 1: all */
    size_t top_k;       /* 0: all */
    uint64_t seed;      /* with a temperature: equal seeds write equal texts */
    struct task_stop {
        const char *text;
        size_t len;
    } stops[TASK_STOPS_MAX]; /* the text ends before the first of these that it would contain */
    size_t n_stops;
    bool explains;   /* the attention that the new tokens pay to the prompt's; prompts alone */
    bool logprobs;   /* of the tokens that are written */
    size_t n_likely; /* and of so many that were likeliest, up to TASK_LIKELY_MAX */
};

struct task_generation;

/* The model's own way: what its generation_config.json says of sampling, else greedy. */
void task_generation_defaults(const struct task_model *model, struct task_generation_ask *ask);
/* Leaves the first job in call->jobs. *ret_generation is set also on failure, for task_generation_finish. Charges
 * call->prompt_tokens. ATT_ELIMIT: the prompt, or it and max_tokens, is longer than the model or
 * limits.generation_tokens_max allows; ATT_EBUSY: too many texts are being written. */
enum att_status task_generation_begin(struct task_call *call, const struct task_generation_ask *ask,
                                      struct task_generation **ret_generation, struct att_err *err) ATT_MUST_USE;
/* After its job was run. call->n_jobs 0: the text is written. */
enum att_status task_generation_step(struct task_generation *generation, struct task_call *call,
                                     struct att_err *err) ATT_MUST_USE;
/* NULL is allowed; its job is not queued. */
void task_generation_finish(struct task_generation *generation);

/* What is written so far. *ret_settled: bytes that will not change any more (the rest may be half a character, or the
 * begin of a stop text); all of them when it is over. */
const char *task_generation_text(const struct task_generation *generation, size_t *ret_len, size_t *ret_settled);
/* "stop": the model ended, or a stop text came; "length": max_tokens. NULL while it is written. */
const char *task_generation_reason(const struct task_generation *generation);
size_t task_generation_prompt_tokens(const struct task_generation *generation);
size_t task_generation_new_tokens(const struct task_generation *generation);

/* A token that was written. bytes: its part of the text, which may be half a character. */
struct task_likely {
    int32_t id;
    float logprob;
};
struct task_written {
    int32_t id;
    float logprob;                    /* of the model itself: before temperature and penalties */
    const struct task_likely *likely; /* [n_likely], likeliest first */
    size_t text_end;                  /* of the text when it was written */
};
/* Token i, with ask.logprobs. */
struct task_written task_generation_token(const struct task_generation *generation, size_t i);

/* A token of the prompt and the share of attention that the new tokens paid to it: last layer, mean of heads and new
 * tokens. False: the model's own special token. With ask.explains, when the text is written. */
struct task_seen {
    size_t start, end; /* bytes of the prompt */
    float weight;
};
bool task_generation_seen(const struct task_generation *generation, size_t i, struct task_seen *ret_seen);

#endif
