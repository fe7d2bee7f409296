/* The life of the process: start, ready, signals, reload, drain, stop. */
#ifndef SRV_DAEMON_H
#define SRV_DAEMON_H

#include "server/models/generation.h"

/* Serves until a signal stops it. `settings`: read and checked from these arguments, which SIGHUP reads again; the
 * caller keeps its reference. Returns the exit status; what went wrong at the start is told on standard error in one
 * sentence. Installs handlers for SIGTERM, SIGINT and SIGHUP, and ignores SIGPIPE. */
int srv_daemon_run(struct srv_settings *settings, int argc, char **argv);

#endif
