/*
 * Where `attend ingest` brings items: a daemon (POST /v1/ingest), or a store and a
 * model of its own. Items go as lines of JSON; when put answers ATT_OK, each of
 * them is on the disk or was refused for good.
 */
#ifndef CLI_SINK_H
#define CLI_SINK_H

#include <signal.h>

#include "cli/cli.h"

struct cli_sink;

struct cli_sink_counts {
    uint64_t lines, fresh, duplicate, updated, error;
};

/* --url (and --key-file), or --db with --model. stop: set by a signal; ends waiting for a daemon. */
enum att_status cli_sink_create(const struct cli_options *options, const volatile sig_atomic_t *stop,
                                struct cli_sink **ret_sink, struct att_err *err) ATT_MUST_USE;
void cli_sink_destroy(struct cli_sink *sink);
/* Brings whole lines. A daemon that is away, starting or full is asked again, each time after a longer while; ATT_EBUSY
 * when that went on for too long or `stop` was set. What a line was refused for goes to stderr. Adds to *counts. */
enum att_status cli_sink_put(struct cli_sink *sink, const char *lines, size_t len, struct cli_sink_counts *counts,
                             struct att_err *err) ATT_MUST_USE;

#endif
