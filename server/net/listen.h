/* Listening sockets: "127.0.0.1:8080", "[::1]:0", "0.0.0.0:80", "unix:/run/attentd/attentd.sock". */
#ifndef SRV_LISTEN_H
#define SRV_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/status.h"

enum { SRV_ADDRESS_MAX = 128 }; /* a unix path has at most 107 bytes */

struct srv_listener {
    int fd;                     /* -1: closed */
    bool is_shared;             /* somebody else holds it too, and serves what waits in it later */
    bool is_admin;              /* every path works without a key */
    char path[SRV_ADDRESS_MAX]; /* of a unix socket that was made here, to be removed; else empty */
};

/* Binds and listens; SO_REUSEADDR, TCP_NODELAY for what it accepts, not blocking, closed on exec. A unix socket gets
 * mode 0660, and replaces one that nobody listens on. The message names the address and why. */
enum att_status srv_listen_open(const char *address, struct srv_listener *ret_listener,
                                struct att_err *err) ATT_MUST_USE;
/* The same for the path of a unix socket of mode 0600. */
enum att_status srv_listen_open_admin(const char *path, struct srv_listener *ret_listener,
                                      struct att_err *err) ATT_MUST_USE;
/* Closes, and removes the path of a unix socket made here. */
void srv_listen_close(struct srv_listener *listener);
/* What the socket is bound to, as text: "127.0.0.1:40123". */
void srv_listen_name(int fd, char ret_name[SRV_ADDRESS_MAX]);

/* Drops the SYN of new connections, so that the backlog empties: a connection that waits in it when the socket is
 * closed would be reset. Their clients try again after a second and are refused, or meet the next daemon. */
void srv_listen_refuse(int fd);

#endif
