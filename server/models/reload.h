/*
 * Reloading: one thread that loads a new generation beside the current one,
 * publishes it, and frees old ones when their last request is done. One reload at
 * a time; those that are asked for meanwhile wait, and several for everything are
 * one. Any failure leaves the daemon as it was.
 */
#ifndef SRV_RELOAD_H
#define SRV_RELOAD_H

#include "server/server.h"

struct srv_reloader;

/* Reads the configuration anew, in the way the daemon was started: file, drop-ins and command line. */
struct srv_reload_source {
    enum att_status (*read)(void *context, struct srv_config *config, struct att_err *err);
    void *context;
};

/* A new generation, asked for by a request: with one model loaded anew, or after files have changed. */
struct srv_reload_job {
    /* set by who submits; must stay valid until `done` */
    char model[SRV_NAME_MAX + 1];      /* to load anew; empty: none */
    const struct srv_generation *held; /* that who submits keeps until `done` */
    /* On the reloader's thread: before the generation is made; and, where that succeeded, once the generation serves or
     * has failed. Both may be NULL. */
    enum att_status (*before)(struct srv_reload_job *job, struct att_err *err);
    enum att_status (*settle)(struct srv_reload_job *job, bool serves, struct att_err *err);
    void (*done)(struct srv_reload_job *job); /* from the reloader's thread, exactly once */
    /* the outcome */
    bool prepared; /* `before` succeeded: what failed is the new generation */
    enum att_status status;
    struct att_err err;
    uint64_t version;
    uint64_t us; /* that it took */
    /* the reloader's own */
    struct srv_reload_job *next;
};

/* The first generation must be published. */
enum att_status srv_reloader_start(struct srv_server *server, const struct srv_reload_source *source,
                                   struct srv_reloader **ret_reloader, struct att_err *err) ATT_MUST_USE;
/* Reloads everything that has changed: configuration, models, keys, certificate. Tells systemd and the log. */
void srv_reloader_ask(struct srv_reloader *reloader);
/* ATT_EBUSY when too many wait, or keep too many generations alive meanwhile; `done` is not called then. */
enum att_status srv_reloader_submit(struct srv_reloader *reloader, struct srv_reload_job *job,
                                    struct att_err *err) ATT_MUST_USE;
/* Waits for a reload that has begun, at most wait_us; drops those that wait (their `done` is called). False: it still
 * runs, and the reloader must be left alone. NULL is allowed. */
bool srv_reloader_stop(struct srv_reloader *reloader, uint64_t wait_us);

#endif
