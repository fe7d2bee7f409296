/* The page as it stands in the program. */
#include "server/console/console.h"

#include <string.h>

#include "core/base/mem.h"

enum att_status srv_builtin_console(struct srv_server *server, struct srv_generation *generation,
                                    const struct srv_ask *ask, struct srv_builtin_answer *ret_answer,
                                    struct att_err *err)
{
    (void)server;
    (void)generation;
    (void)ask;
    ret_answer->bytes = att_mem_calloc(1, srv_console_text_len);
    if (ret_answer->bytes == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for the console");
    memcpy(ret_answer->bytes, srv_console_text, srv_console_text_len);
    ret_answer->len = srv_console_text_len;
    ret_answer->content_type = "text/html; charset=utf-8";
    ret_answer->policy = srv_console_policy;
    return ATT_OK;
}
