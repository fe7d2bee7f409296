/* The life of the process: start, ready, signals, drain, stop. */
#ifndef SRV_DAEMON_H
#define SRV_DAEMON_H

#include "server/config.h"

/* Serves until a signal stops it. Returns the exit status; what went wrong at the start is told on standard error in
 * one sentence. Installs handlers for SIGTERM, SIGINT and SIGHUP, and ignores SIGPIPE. */
int srv_daemon_run(const struct srv_config *config);

#endif
