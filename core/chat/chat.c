/* See chat.h. */
#include "core/chat/chat.h"

#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/gguf/gguf.h"
#include "core/io/json_file.h"

struct named {
    char *name;
    struct att_chat_template *template;
};

enum { BOS, EOS, PAD, UNK, N_TOKENS };

struct att_chat {
    struct named templates[ATT_CHAT_TEMPLATES_MAX];
    size_t n_templates;
    char *tokens[N_TOKENS]; /* NULL: not named */
};

void att_chat_destroy(struct att_chat *chat)
{
    if (!chat)
        return;
    for (size_t i = 0; i < chat->n_templates; i++) {
        att_chat_template_destroy(chat->templates[i].template);
        att_mem_free(chat->templates[i].name);
    }
    for (size_t i = 0; i < N_TOKENS; i++)
        att_mem_free(chat->tokens[i]);
    att_mem_free(chat);
}

/* Takes the template over. */
static enum att_status add(struct att_chat *chat, const char *name, struct att_chat_template *template,
                           struct att_err *err)
{
    char *copy = chat->n_templates < ATT_CHAT_TEMPLATES_MAX ? att_mem_strdup(name) : NULL;
    if (copy) {
        chat->templates[chat->n_templates++] = (struct named){copy, template};
        return ATT_OK;
    }
    att_chat_template_destroy(template);
    if (chat->n_templates == ATT_CHAT_TEMPLATES_MAX)
        return att_err_set(err, ATT_ELIMIT, "chat_template: has more than %d templates", ATT_CHAT_TEMPLATES_MAX);
    return att_err_set(err, ATT_ENOMEM, "out of memory for a chat template");
}

enum att_status att_chat_template_read(const struct att_dir *dir, const char *name,
                                       struct att_chat_template **ret_template, struct att_err *err)
{
    char *source = NULL;
    size_t len = 0;
    enum att_status status = att_dir_read(dir, name, ATT_CHAT_SOURCE_MAX, &source, &len, err);
    if (status != ATT_OK)
        return status;
    status = att_chat_template_parse(source, len, ret_template, err);
    att_mem_free(source);
    return status == ATT_OK ? ATT_OK : att_err_prefix(err, "%s", name);
}

static enum att_status add_source(struct att_chat *chat, const char *name, const struct att_json *source,
                                  struct att_err *err)
{
    size_t len = 0;
    const char *text = att_json_string(source, &len);
    struct att_chat_template *template = NULL;
    if (!name || !text)
        return att_err_set(err, ATT_EFORMAT,
                           "tokenizer_config.json: chat_template: expected a string, or a list of objects with name "
                           "and template");
    enum att_status status = att_chat_template_parse(text, len, &template, err);
    if (status != ATT_OK)
        return att_err_prefix(err, "tokenizer_config.json");
    return add(chat, name, template, err);
}

static enum att_status add_config(struct att_chat *chat, const struct att_json *source, struct att_err *err)
{
    if (!source || att_json_type(source) == ATT_JSON_NULL)
        return ATT_OK;
    if (!att_json_is_array(source))
        return add_source(chat, "default", source, err);
    enum att_status status = ATT_OK;
    for (size_t i = 0; status == ATT_OK && i < att_json_count(source); i++) {
        const struct att_json *one = att_json_at(source, i);
        status = add_source(chat, att_json_string(att_json_get(one, "name"), NULL), att_json_get(one, "template"), err);
    }
    return status;
}

/* A token is its text, or an object with its content. */
static enum att_status read_tokens(struct att_chat *chat, const struct att_json *config, struct att_err *err)
{
    static const char *const fields[N_TOKENS] = {"bos_token", "eos_token", "pad_token", "unk_token"};
    for (size_t i = 0; i < N_TOKENS; i++) {
        const struct att_json *value = att_json_get(config, fields[i]);
        const char *text = att_json_string(att_json_is_object(value) ? att_json_get(value, "content") : value, NULL);
        if (text && !(chat->tokens[i] = att_mem_strdup(text)))
            return att_err_set(err, ATT_ENOMEM, "out of memory for the special tokens");
    }
    return ATT_OK;
}

/* additional_chat_templates/NAME.jinja, for the names that are in use. */
static enum att_status add_more(struct att_chat *chat, const struct att_dir *dir, struct att_err *err)
{
    static const char *const names[] = {"tool_use", "rag"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct att_chat_template *template = NULL;
        char path[64];
        snprintf(path, sizeof path, "additional_chat_templates/%s.jinja", names[i]);
        if (!att_dir_has(dir, path))
            continue;
        enum att_status status = att_chat_template_read(dir, path, &template, err);
        if (status == ATT_OK)
            status = add(chat, names[i], template, err);
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}

static enum att_status fill(struct att_chat *chat, const struct att_dir *dir, const struct att_json *config,
                            struct att_err *err)
{
    struct att_chat_template *template = NULL;
    enum att_status status = read_tokens(chat, config, err);
    if (status == ATT_OK && att_dir_has(dir, "chat_template.jinja")) {
        status = att_chat_template_read(dir, "chat_template.jinja", &template, err);
        if (status == ATT_OK)
            status = add(chat, "default", template, err);
    } else if (status == ATT_OK) {
        status = add_config(chat, att_json_get(config, "chat_template"), err);
    }
    return status == ATT_OK ? add_more(chat, dir, err) : status;
}

/* tokenizer_config.json, or what a GGUF file says in its place. */
static enum att_status read_config(const struct att_dir *dir, struct att_json **ret_config, struct att_err *err)
{
    char name[ATT_FILE_NAME_MAX], *text = NULL;
    struct att_gguf *gguf = NULL;
    size_t len = 0;
    if (att_dir_has(dir, "tokenizer_config.json") || !att_gguf_in(dir, name))
        return att_json_file(dir, "tokenizer_config.json", true, ret_config, err);
    enum att_status status = att_gguf_open(dir, name, &gguf, err);
    if (status == ATT_OK)
        status = att_gguf_tokenizer_config(gguf, &text, &len, err);
    if (status == ATT_OK)
        status = att_json_parse(text, len, 0, 8, ret_config, err);
    att_mem_free(text);
    att_gguf_close(gguf);
    return status;
}

enum att_status att_chat_open(const struct att_dir *dir, struct att_chat **ret_chat, struct att_err *err)
{
    struct att_chat *chat = att_mem_calloc(1, sizeof *chat);
    struct att_json *config = NULL;
    enum att_status status = chat ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory for the chat templates");
    if (status == ATT_OK)
        status = read_config(dir, &config, err);
    if (status == ATT_OK)
        status = fill(chat, dir, config, err);
    att_json_destroy(config);
    if (status == ATT_OK)
        *ret_chat = chat;
    else
        att_chat_destroy(chat);
    return status;
}

const struct att_chat_template *att_chat_template(const struct att_chat *chat, const char *name, bool with_tools)
{
    if (!name && with_tools) {
        const struct att_chat_template *tools = att_chat_template(chat, "tool_use", false);
        if (tools)
            return tools;
    }
    for (size_t i = 0; i < chat->n_templates; i++)
        if (strcmp(chat->templates[i].name, name ? name : "default") == 0)
            return chat->templates[i].template;
    return NULL;
}

void att_chat_tokens(const struct att_chat *chat, struct att_chat_input *input)
{
    const char **const given[N_TOKENS] = {&input->bos_token, &input->eos_token, &input->pad_token, &input->unk_token};
    for (size_t i = 0; i < N_TOKENS; i++)
        if (!*given[i])
            *given[i] = chat->tokens[i];
}
