/*
 * HTTP over libmicrohttpd: reads requests, calls request.c, writes answers.
 * The only part that knows the library.
 */
#ifndef SRV_HTTP_H
#define SRV_HTTP_H

#include "server/server.h"

struct srv_http;

/* Serves what the listeners accept from here on; closes them when it drains, and not after a failure. The array must
 * stay where it is until srv_http_stop. With server->tls all but the admin socket speaks TLS. */
enum att_status srv_http_start(struct srv_server *server, struct srv_listener *listeners, size_t n_listeners,
                               struct srv_http **ret_http, struct att_err *err) ATT_MUST_USE;
/* No new connections; answers carry "Connection: close"; idle connections end. */
void srv_http_drain(struct srv_http *http);
size_t srv_http_connections(struct srv_http *http);
bool srv_http_is_drained(struct srv_http *http);
/* Ends all connections; their work is cancelled. Workers must still run. */
void srv_http_end_all(struct srv_http *http);
/* No connection is suspended any more. */
void srv_http_stop(struct srv_http *http);

#endif
