/*
 * Alerts: evaluated from the stored news, stored, and published to streams and
 * webhooks. One thread looks at the store every half second: items that came in
 * since (from this daemon or from another process) are added to a set in memory,
 * and the rules of the current configuration are evaluated over it; once a minute
 * also without new items, since windows move. The gravest rules come first; where
 * they find much, it is taken in parts, one soon after the other. What a rule finds
 * is stored first, and only then published: an alert that anybody saw is on the disk.
 */
#ifndef SRV_ALERTS_H
#define SRV_ALERTS_H

#include "server/request/routes.h"
#include "server/server.h"

struct srv_alerts;

/* The generations are published. */
enum att_status srv_alerts_start(struct srv_server *server, struct srv_alerts **ret_alerts,
                                 struct att_err *err) ATT_MUST_USE;
/* No stream is open. NULL is allowed. */
void srv_alerts_stop(struct srv_alerts *alerts);

/* ---- who wants to know of new alerts ---- */

/* Told on the thread of the alerts, with its lock held, that there are new ones, or a new configuration; must not call
 * back. */
struct srv_alerts_watcher {
    void (*notify)(void *context);
    void *context;
    struct srv_alerts_watcher *next, **link; /* the list's own */
};
void srv_alerts_watch(struct srv_alerts *alerts, struct srv_alerts_watcher *watcher);
/* After it nobody is told any more. */
void srv_alerts_unwatch(struct srv_alerts *alerts, struct srv_alerts_watcher *watcher);

/* ---- GET /v1/stream (alert_stream.c) ---- */

srv_builtin srv_builtin_stream;
/* Whether an alert (parsed) passes: NULL is any; levels: bit i for level i. */
struct srv_alert_filter {
    unsigned levels;
    char *entity, *topic, *rule;
};
bool srv_alert_filter_passes(const struct srv_alert_filter *filter, const struct store_news_alert *alert);

#endif
