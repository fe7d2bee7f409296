/* What a command tells beside its answers' own form: failures on stderr, one JSON value on stdout. */
#include <stdio.h>

#include "cli/cli.h"

int cli_fail(const char *command, const struct att_err *err)
{
    fprintf(stderr, "attend %s: %s\n", command, err->message);
    return CLI_FAILED;
}

int cli_missing(const char *command, const char *option)
{
    fprintf(stderr, "attend %s: --%s is missing; attend %s --help lists the options\n", command, option, command);
    return CLI_USAGE;
}

enum att_status cli_json_print(struct att_jsonw *w, struct att_err *err)
{
    char *text = NULL;
    size_t len = 0;
    enum att_status status = att_jsonw_take(w, &text, &len, err);
    if (status == ATT_OK)
        puts(text);
    att_mem_free(text);
    return status;
}
