/* attend tokenize: the tokenizer cases of the golden data, one JSON line in, one out. */
#ifndef CLI_TOKENIZE_H
#define CLI_TOKENIZE_H

#include <stddef.h>

#include "cli/chat.h"
#include "core/attend.h"

/* Runs --model DIR over the lines of standard input. argv begins behind the command's name. Answers the exit status. */
int cli_tokenize(int argc, char **argv);

/* One case line to one answer line, {"case":…,"outputs":{…}} or {"case":…,"error":…}, NUL-terminated, without line
 * feed; free with att_mem_free. Returns false for the latter, and with *ret_answer NULL when memory is out. `number`
 * names a case that has no name. chat: templates for cases with messages, or NULL. */
bool cli_tokenize_case(const struct att_tokenizer *tokenizer, const struct cli_chat *chat, const char *line, size_t len,
                       size_t number, char **ret_answer);

#endif
