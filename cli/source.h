/*
 * Where `attend ingest` takes lines from: each source hands over batches of whole
 * lines, and is told when they are stored, so that it can go on from there after
 * a crash. What is not told is brought again, which the ids make harmless.
 */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include <signal.h>

#include "cli/cli.h"

enum { CLI_BATCH_LINES = 512, CLI_BATCH_BYTES = 256 << 10 };

struct cli_source {
    void *context;
    /* Appends the next lines, at most about a batch; *ret_end: there are no more (and never with --follow). Nothing
     * appended and no end: nothing came for a while. */
    enum att_status (*next)(void *context, struct att_jsonw *lines, bool *ret_end, struct att_err *err);
    enum att_status (*stored)(void *context, struct att_err *err); /* the lines of the last next */
    void (*close)(void *context);
};

/* One file of JSON lines, RSS or Atom, or standard input ("-"). options: follow, state, source. */
enum att_status cli_source_file(const char *path, const struct cli_options *options, const volatile sig_atomic_t *stop,
                                struct cli_source *ret_source, struct att_err *err) ATT_MUST_USE;
/* A Redis stream, redis://HOST[:PORT]/STREAM, read as a consumer of a group. options: redis, group, consumer, follow.
 */
enum att_status cli_source_redis(const struct cli_options *options, const volatile sig_atomic_t *stop,
                                 struct cli_source *ret_source, struct att_err *err) ATT_MUST_USE;

#endif
