/* The chat templates that a model comes with: chat_template.jinja, else chat_template of tokenizer_config.json (one
 * source, or a list of {"name","template"}), and additional_chat_templates/NAME.jinja. */
#ifndef ATT_CHAT_CHAT_H
#define ATT_CHAT_CHAT_H

#include "core/chat/template.h"
#include "core/io/dir.h"

enum { ATT_CHAT_TEMPLATES_MAX = 16 };

struct att_chat;

/* A model without a template is no error. Immutable, shared by
 * threads. ATT_EFORMAT and ATT_EUNSUPPORTED name the file and the line of the template. */
enum att_status att_chat_open(const struct att_dir *dir, struct att_chat **ret_chat, struct att_err *err) ATT_MUST_USE;
void att_chat_destroy(struct att_chat *chat);

/* name NULL: "default", or "tool_use" where there are tools and such a template. NULL: there is none. */
const struct att_chat_template *att_chat_template(const struct att_chat *chat, const char *name, bool with_tools);
/* Fills the special tokens that the caller has not given. */
void att_chat_tokens(const struct att_chat *chat, struct att_chat_input *input);

/* One template from a file of a directory. */
enum att_status att_chat_template_read(const struct att_dir *dir, const char *name,
                                       struct att_chat_template **ret_template, struct att_err *err) ATT_MUST_USE;

#endif
