/*
 * One thread for the work of requests that waits for the disk: a write to a
 * knowledge base ends when it is durable, and may wait for another process. The
 * threads that serve connections never do; first come, first served. The daemon
 * has a second one for what reads the disk for long, reports and trends: they
 * wait for one another, and neither for what is written nor it for them.
 */
#ifndef SRV_WRITER_H
#define SRV_WRITER_H

#include "core/base/status.h"

struct srv_writer;

struct srv_write {
    void (*run)(struct srv_write *write); /* on the writer's thread, exactly once a submit */
    struct srv_write *next;               /* the writer's own */
};

enum att_status srv_writer_start(struct srv_writer **ret_writer, struct att_err *err) ATT_MUST_USE;
/* From any thread. `write` stays the writer's until `run` is called. */
void srv_writer_submit(struct srv_writer *writer, struct srv_write *write);
/* Runs what is queued, then ends the thread. NULL is allowed. */
void srv_writer_stop(struct srv_writer *writer);

#endif
