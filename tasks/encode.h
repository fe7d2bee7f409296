/* From a request's texts to jobs: tokens once, then one job or several windows of it. */
#ifndef TASK_ENCODE_H
#define TASK_ENCODE_H

#include "tasks/task.h"

/* A text as tokens without special ones, in the call's arena. */
struct task_tokens {
    const struct att_token *items;
    size_t count;
};

/* Encodes text for the model; info.strip_urls blanks links first, so offsets stay those of the text. Special tokens
 * in it are plain text. Charges call->prompt_tokens against limits.tokens_max. */
enum att_status task_tokens_encode(struct task_call *call, const struct task_model *model, const char *text, size_t len,
                                   const char *path, struct task_tokens *ret_tokens, struct att_err *err) ATT_MUST_USE;

/* The same with a prompt before the text: the first *ret_prompted tokens are the prompt's, at byte 0; the others have
 * their place in the text. */
enum att_status task_tokens_prompted(struct task_call *call, const struct task_model *model, const char *prompt,
                                     const char *text, size_t len, const char *path, struct task_tokens *ret_tokens,
                                     size_t *ret_prompted, struct att_err *err) ATT_MUST_USE;

/* What a job's sequence was made of, for explanations: arrays of job->len in the arena. */
struct task_spans {
    const uint32_t *starts, *ends; /* bytes of the text */
    int8_t *text_index;            /* 0 first, 1 second text, -1 special */
};

/* Fills ids, type_ids and len of the job with the template around a (and b). ret_spans may be NULL. */
enum att_status task_job_assemble(struct task_call *call, const struct task_model *model, const struct att_token *a,
                                  size_t a_count, const struct att_token *b, size_t b_count, struct task_job *job,
                                  struct task_spans *ret_spans, struct att_err *err) ATT_MUST_USE;

/* ids, starts, ends and text_index of the tokens, with the template around them where `special`; in the arena. */
enum att_status task_tokens_sequence(struct task_call *call, const struct task_model *model,
                                     const struct task_tokens *tokens, bool special, struct att_sequence *sequence,
                                     struct att_err *err) ATT_MUST_USE;
/* Tokens of text that fit beside the template. At least 1, or ATT_EUNSUPPORTED for a model without a tokenizer. */
enum att_status task_tokens_room(const struct task_model *model, bool pair, size_t *ret_room,
                                 struct att_err *err) ATT_MUST_USE;

/* The arena's memory for count * size bytes. NULL: err (never NULL in a task) says whether memory or the limit
 * failed. */
void *task_alloc(struct task_call *call, size_t count, size_t size, struct att_err *err) ATT_MUST_USE;

#endif
