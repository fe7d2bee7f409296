/* The inside of a generator: for generator.c, prompt.c and generation.c alone. */
#ifndef TASK_GENERATOR_H
#define TASK_GENERATOR_H

#include "core/chat/chat.h"
#include "core/generate/generate.h"
#include "tasks/generate/generation.h"

struct task_generator {
    atomic_size_t references;
    struct att_generation defaults;
    struct att_chat *chat;
};

/* tasks/generate/prompt.c: the ids that the model is to go on from, in the arena; spans NULL: not wanted. Special
 * tokens that stand in the text are special tokens, as in transformers. Charges call->prompt_tokens. */
enum att_status task_prompt_encode(struct task_call *call, const struct task_generation_ask *ask,
                                   struct att_sequence *ret_ids, struct att_err *err) ATT_MUST_USE;

#endif
