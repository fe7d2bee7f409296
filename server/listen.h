/* The listening socket: "127.0.0.1:8080", "[::1]:0", "0.0.0.0:80". */
#ifndef SRV_LISTEN_H
#define SRV_LISTEN_H

#include <stdint.h>

#include "core/base/status.h"

enum { SRV_ADDRESS_MAX = 64 };

/* Binds and listens; SO_REUSEADDR, TCP_NODELAY for what it accepts, not blocking, closed on exec. The message names
 * the address and why. */
enum att_status srv_listen_open(const char *address, int *ret_fd, struct att_err *err) ATT_MUST_USE;
/* What the socket is bound to, as text: "127.0.0.1:40123". */
void srv_listen_name(int fd, char ret_name[SRV_ADDRESS_MAX]);

/* Drops the SYN of new connections, so that the backlog empties: a connection that waits in it when the socket is
 * closed would be reset. Their clients try again after a second and are refused, or meet the next daemon. */
void srv_listen_refuse(int fd);

#endif
