/*
 * RSS 2.0 and Atom documents as news items, one JSON object a line.
 *
 * A feed is a stranger's bytes: a document type is refused (no entity is ever
 * expanded, none is fetched), depth, fields and size are bounded, HTML inside of
 * descriptions becomes plain text.
 */
#ifndef CLI_FEED_H
#define CLI_FEED_H

#include "core/base/json.h"
#include "core/base/status.h"

enum { CLI_FEED_BYTES_MAX = 64 << 20 };

/* Appends the items' lines to `lines`. source: of the items; NULL: the feed's title. ATT_EFORMAT with line and column.
 */
enum att_status cli_feed_parse(const char *bytes, size_t len, const char *source, struct att_jsonw *lines,
                               size_t *ret_items, struct att_err *err) ATT_MUST_USE;

#endif
