/* Chat cases of `attend run` and `attend tokenize`: {"messages",…} with a template of the model, one named by the case
 * ("template", from --templates DIR or the model's own) or its source ("chat_template"). */
#ifndef CLI_CHAT_H
#define CLI_CHAT_H

#include "core/attend.h"

/* What a command opened once: the model's templates, and the folder of others. */
struct cli_chat;
/* model and templates may be NULL. */
enum att_status cli_chat_open(const char *model, const char *templates, struct cli_chat **ret_chat,
                              struct att_err *err) ATT_MUST_USE;
void cli_chat_close(struct cli_chat *chat);

bool cli_chat_is_case(const struct att_json *root);
/* The prompt of a case, NUL-terminated (att_mem_free). *ret_refused: it is an error that the template itself raised. */
enum att_status cli_chat_prompt(const struct cli_chat *chat, const struct att_json *root, char **ret_text,
                                size_t *ret_len, bool *ret_refused, struct att_err *err) ATT_MUST_USE;

#endif
