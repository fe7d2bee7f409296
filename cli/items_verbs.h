/* Verbs of attend items that have a file of their own. */
#ifndef CLI_ITEMS_VERBS_H
#define CLI_ITEMS_VERBS_H

#include "cli/cli.h"

/* They answer the exit status. */
int cli_items_import(const struct cli_env *env, const struct cli_options *options);
int cli_items_export(const struct cli_env *env, const struct cli_options *options);

#endif
