/* Verbs of attend kb that have a file of their own. */
#ifndef CLI_KB_VERBS_H
#define CLI_KB_VERBS_H

#include "cli/cli.h"

/* They answer the exit status. */
int cli_kb_fit(const struct cli_env *env, const struct cli_options *options);
int cli_kb_check(const struct cli_env *env, const struct cli_options *options);

#endif
