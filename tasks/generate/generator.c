/* What a model writes with: its generation_config.json and chat templates. */
#include "tasks/generate/generator.h"

struct task_generator *task_generator_ref(struct task_generator *generator)
{
    atomic_fetch_add_explicit(&generator->references, 1, memory_order_relaxed);
    return generator;
}

void task_generator_close(struct task_generator *generator)
{
    if (!generator || atomic_fetch_sub_explicit(&generator->references, 1, memory_order_acq_rel) > 1)
        return;
    att_chat_destroy(generator->chat);
    att_mem_free(generator);
}

enum att_status task_generator_open(const struct att_model *model, struct task_generator **ret_generator,
                                    struct att_err *err)
{
    struct att_dir dir;
    struct task_generator *generator = att_mem_calloc(1, sizeof *generator);
    if (!generator)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    atomic_init(&generator->references, 1);
    enum att_status status = att_generation_defaults(model, &generator->defaults, err);
    if (status == ATT_OK)
        status = att_dir_open(att_model_info(model)->dir, &dir, err);
    if (status == ATT_OK) {
        status = att_chat_open(&dir, &generator->chat, err);
        att_dir_close(&dir);
    }
    if (status != ATT_OK) {
        task_generator_close(generator);
        return status;
    }
    *ret_generator = generator;
    return ATT_OK;
}

bool task_generator_chats(const struct task_generator *generator)
{
    return att_chat_template(generator->chat, NULL, false) != NULL;
}
