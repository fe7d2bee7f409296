/* See chat.h. */
#include "cli/chat.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/chat/chat.h"

enum { PROMPT_BYTES_MAX = 16 << 20 };

struct cli_chat {
    struct att_chat *model;   /* NULL: no model */
    struct att_dir templates; /* path NULL: no folder */
};

static enum att_status open_model(const char *model, struct att_chat **ret_chat, struct att_err *err)
{
    struct att_dir dir;
    enum att_status status = att_dir_open(model, &dir, err);
    if (status != ATT_OK)
        return status;
    status = att_chat_open(&dir, ret_chat, err);
    att_dir_close(&dir);
    return status;
}

enum att_status cli_chat_open(const char *model, const char *templates, struct cli_chat **ret_chat, struct att_err *err)
{
    struct cli_chat *chat = att_mem_calloc(1, sizeof *chat);
    enum att_status status = chat ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory");
    if (status == ATT_OK && model)
        status = open_model(model, &chat->model, err);
    if (status == ATT_OK && templates)
        status = att_dir_open(templates, &chat->templates, err);
    if (status != ATT_OK) {
        cli_chat_close(chat);
        return status;
    }
    *ret_chat = chat;
    return ATT_OK;
}

void cli_chat_close(struct cli_chat *chat)
{
    if (!chat)
        return;
    att_chat_destroy(chat->model);
    if (chat->templates.path)
        att_dir_close(&chat->templates);
    att_mem_free(chat);
}

static const struct att_json *messages_of(const struct att_json *root)
{
    const struct att_json *messages = att_json_get(root, "messages");
    return messages ? messages : att_json_get(att_json_get(root, "inputs"), "messages");
}

bool cli_chat_is_case(const struct att_json *root)
{
    return !att_json_get(root, "call") && !att_json_get(root, "op") && messages_of(root);
}

/* The case's own template to *ret_own, else one of the model's; neither: the case's "prompt" stands. */
static enum att_status find_template(const struct cli_chat *chat, const struct att_json *root,
                                     struct att_chat_template **ret_own, const struct att_chat_template **ret,
                                     struct att_err *err)
{
    const char *name = att_json_string(att_json_get(root, "template"), NULL);
    size_t len = 0;
    const char *source = att_json_string(att_json_get(root, "chat_template"), &len);
    char file[160];
    enum att_status status = ATT_OK;
    if (source) {
        status = att_chat_template_parse(source, len, ret_own, err);
    } else if (name && chat->templates.path) {
        if (strlen(name) > 128)
            return att_err_set(err, ATT_EINVAL, "template: has more than 128 bytes");
        snprintf(file, sizeof file, "%s.jinja", name);
        status = att_chat_template_read(&chat->templates, file, ret_own, err);
    } else if (chat->model) {
        *ret = att_chat_template(chat->model, name, att_json_count(att_json_get(root, "tools")) > 0);
        if (!*ret && name)
            *ret = att_chat_template(chat->model, NULL, false);
    }
    if (*ret_own)
        *ret = *ret_own;
    return status;
}

static enum att_status render(const struct cli_chat *chat, const struct att_json *root,
                              const struct att_chat_template *template, char **ret_text, size_t *ret_len,
                              struct att_err *err)
{
    const struct att_json *prompt = att_json_get(root, "add_generation_prompt");
    time_t seconds = time(NULL);
    struct tm now;
    struct att_chat_input input = {
        .messages = messages_of(root),
        .tools = att_json_get(root, "tools"),
        .documents = att_json_get(root, "documents"),
        .bos_token = att_json_string(att_json_get(root, "bos_token"), NULL),
        .eos_token = att_json_string(att_json_get(root, "eos_token"), NULL),
        .add_generation_prompt = att_json_bool(prompt, att_json_get(root, "call") != NULL),
        .extra = att_json_get(root, "chat_template_kwargs"),
        .now = localtime_r(&seconds, &now),
    };
    if (chat->model)
        att_chat_tokens(chat->model, &input);
    return att_chat_template_render(template, &input, PROMPT_BYTES_MAX, ret_text, ret_len, err);
}

enum att_status cli_chat_prompt(const struct cli_chat *chat, const struct att_json *root, char **ret_text,
                                size_t *ret_len, bool *ret_refused, struct att_err *err)
{
    struct att_chat_template *own = NULL;
    const struct att_chat_template *template = NULL;
    const char *given = att_json_string(att_json_get(root, "prompt"), ret_len);
    *ret_refused = false;
    enum att_status status = find_template(chat, root, &own, &template, err);
    if (status != ATT_OK)
        return status;
    if (template) {
        status = render(chat, root, template, ret_text, ret_len, err);
        *ret_refused = status == ATT_EINVAL;
    } else if (given) {
        *ret_text = att_mem_calloc(*ret_len + 1, 1);
        status = *ret_text ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory");
        if (*ret_text)
            memcpy(*ret_text, given, *ret_len);
    } else {
        status = att_err_set(err, ATT_EUNSUPPORTED,
                             "messages: the model has no chat template; give one as chat_template, or its name as "
                             "template with --templates, or the prompt");
    }
    att_chat_template_destroy(own);
    return status;
}
