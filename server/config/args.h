/* The command line of attentd: what to do, and settings over those of the file. */
#ifndef SRV_ARGS_H
#define SRV_ARGS_H

#include "server/config/config.h"

enum srv_action { SRV_SERVE, SRV_CHECK, SRV_VERSION, SRV_HELP };

/* Reads the arguments into `config` (initialised): --config first, wherever it stands, then the others over it. The
 * result is checked with srv_config_check unless the action is SRV_VERSION or SRV_HELP. */
enum att_status srv_args_read(int argc, char **argv, struct srv_config *config, enum srv_action *ret_action,
                              struct att_err *err) ATT_MUST_USE;
extern const char srv_args_help[];

#endif
