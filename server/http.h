/*
 * HTTP over libmicrohttpd: reads requests, calls request.c, writes answers.
 * The only part that knows the library.
 */
#ifndef SRV_HTTP_H
#define SRV_HTTP_H

#include "server/server.h"

struct srv_http;

/* Takes the listening socket, also on failure; listen_is_shared: the one who started the daemon holds it too. Serves
 * from here on. */
enum att_status srv_http_start(struct srv_server *server, int listen_fd, bool listen_is_shared,
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
