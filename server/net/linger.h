/*
 * Lingering: sockets whose answer is out while their client may still be sending.
 * They are held open under a second descriptor and read for a moment, so that no
 * reset overtakes the answer. Who owns a struct srv_lingers locks it.
 */
#ifndef SRV_LINGER_H
#define SRV_LINGER_H

#include <stddef.h>
#include <stdint.h>

struct srv_source {
    int kind; /* the first member of all that the epoll set points to */
};

struct srv_linger;

struct srv_lingers {
    int epoll_fd; /* where they are watched */
    struct srv_linger *first;
    size_t count;
};

/* Keeps conn_fd's socket; its events have a struct srv_source of this kind. Nothing happens when too many linger. */
void srv_lingers_add(struct srv_lingers *lingers, int conn_fd, int kind);
/* An event of one of them: reads what has come, and closes it when the client has. */
void srv_lingers_read(struct srv_lingers *lingers, struct srv_source *source);
/* Closes those whose time is over; UINT64_MAX: all. */
void srv_lingers_expire(struct srv_lingers *lingers, uint64_t now_us);

#endif
