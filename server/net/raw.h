/* An answer written straight to the socket, for the moments when libmicrohttpd takes none: inside a body, or after a
 * deadline. The connection closes afterwards. */
#ifndef SRV_RAW_H
#define SRV_RAW_H

#include "server/request/errors.h"

/* Writes what the socket takes at once; never blocks, never fails. err may be NULL. */
void srv_raw_answer(int fd, enum srv_error error, const struct att_err *err);

#endif
