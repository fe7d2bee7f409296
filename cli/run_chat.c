/* The call "chat": messages in, the prompt that the template makes of them, its ids, and what the model writes on. */
#include <string.h>

#include "cli/run.h"

static enum att_status encode_prompt(struct cli_runner *runner, struct cli_case *one, const char *text, size_t len,
                                     struct cli_list *ret_ids, struct att_err *err)
{
    const struct att_tokenizer *tokenizer = att_model_tokenizer(runner->model);
    struct att_tokens *tokens = &runner->tokens[0];
    if (!tokenizer)
        return att_err_set(err, ATT_EUNSUPPORTED, "messages: this model has no tokenizer");
    enum att_status status = att_tokenizer_encode(tokenizer, text, len, 0, 0, tokens, err);
    if (status != ATT_OK)
        return status;
    size_t count = tokens->count < runner->text_tokens_max ? tokens->count : runner->text_tokens_max;
    int32_t *ids = cli_case_alloc(one, count, sizeof *ids, err);
    if (!ids)
        return ATT_ENOMEM;
    for (size_t i = 0; i < count; i++)
        ids[i] = tokens->items[i].id;
    *ret_ids = (struct cli_list){.name = "ids", .values = ids, .count = count};
    return ATT_OK;
}

enum att_status cli_run_chat(struct cli_runner *runner, struct cli_case *one, struct att_err *err)
{
    bool call = att_json_get(one->root, "call"), refused = false;
    char *text = NULL;
    size_t len = 0;
    enum att_status status = cli_chat_prompt(runner->chat, one->root, &text, &len, &refused, err);
    if (refused) { /* what a template says of its messages is its answer */
        one->refused = *err;
        return ATT_OK;
    }
    if (status != ATT_OK)
        return status;
    char *copy = cli_case_alloc(one, len + 1, 1, err);
    if (copy) {
        memcpy(copy, text, len);
        one->strings[one->n_strings++] = (struct cli_string){call ? "prompt" : "expected", copy, len};
    }
    att_mem_free(text);
    if (!copy || !runner->model)
        return copy ? ATT_OK : ATT_ENOMEM;
    struct cli_list *ids = &one->lists[one->n_lists++];
    status = encode_prompt(runner, one, copy, len, ids, err);
    if (status != ATT_OK || !call)
        return status;
    return cli_case_write(runner, one, ids->values, ids->count, err);
}
