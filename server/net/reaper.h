/*
 * The reaper: one thread that accepts connections and bounds their lives.
 *
 * libmicrohttpd's timeout is one of inactivity, and a suspended connection
 * neither times out nor notices that its client left. So the reaper knows every
 * socket, in which state it is since when, and ends what is late: with a 408
 * where the client still sends, then shutdown(2), which the library sees as a
 * close. It also watches for clients that leave, and sets the flag by which
 * their work is cancelled. No HTTP and no library type here.
 */
#ifndef SRV_REAPER_H
#define SRV_REAPER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "server/net/listen.h"
#include "server/request/errors.h"
#include "server/watch/metrics.h"

enum srv_conn_state {
    SRV_CONN_HEADER,    /* new: its first header is awaited */
    SRV_CONN_KEEPALIVE, /* answered: the next header is awaited */
    SRV_CONN_BODY,
    SRV_CONN_BUSY, /* its request is being worked on; the request's deadline rules */
    SRV_CONN_SENDING,
    SRV_CONN_ENDED, /* shut down here; the library closes it soon */
};

struct srv_conn; /* one connection; opaque */
struct srv_reaper;

struct srv_reaper_options {
    struct srv_listener *listeners; /* [n_listeners]; closed by the reaper when it drains */
    size_t n_listeners;
    size_t connections_max;
    uint32_t header_timeout_ms, body_timeout_ms, send_timeout_ms, keepalive_timeout_ms;
    struct srv_metrics *metrics;
    void *context;
    /* A connection was accepted; takes the descriptor. */
    void (*accepted)(void *context, const struct srv_listener *listener, int fd, const struct sockaddr *address,
                     socklen_t len);
    /* Called every few milliseconds, with no lock held. */
    void (*tick)(void *context);
};

/* Does not accept before srv_reaper_start. */
enum att_status srv_reaper_create(const struct srv_reaper_options *options, struct srv_reaper **ret_reaper,
                                  struct att_err *err) ATT_MUST_USE;
enum att_status srv_reaper_start(struct srv_reaper *reaper, struct att_err *err) ATT_MUST_USE;
/* Turns new connections away, accepts those that are on their way, closes the listening socket, and ends idle
 * connections. */
void srv_reaper_drain(struct srv_reaper *reaper);
/* Ends all connections, whatever they do. */
void srv_reaper_end_all(struct srv_reaper *reaper);
size_t srv_reaper_count(struct srv_reaper *reaper);
/* After srv_reaper_drain: all of that is done, and no connection is left. */
bool srv_reaper_is_drained(struct srv_reaper *reaper);
/* Stops the thread; connections must be gone. */
void srv_reaper_destroy(struct srv_reaper *reaper);

/* From the threads of the HTTP library. NULL when memory is out. `context` is the caller's; is_encrypted: nothing may
 * be written to the socket but by the library. */
struct srv_conn *srv_reaper_add(struct srv_reaper *reaper, int fd, bool is_encrypted, void *context);
/* Before the descriptor is closed. */
void srv_reaper_remove(struct srv_reaper *reaper, struct srv_conn *conn);
/* The connection enters a state. False: it was ended meanwhile, close it. `cancel` for SRV_CONN_BUSY: set when the
 * client leaves; must stay valid until the next state. */
bool srv_reaper_enter(struct srv_reaper *reaper, struct srv_conn *conn, enum srv_conn_state state, atomic_bool *cancel);
/* Ends the connection: nothing can be sent or received any more, and the library sees that when it next tries. */
void srv_reaper_end(struct srv_reaper *reaper, struct srv_conn *conn);
/* The client may still be sending when this connection closes: read on for a moment, so that no reset overtakes the
 * answer. */
void srv_reaper_linger(struct srv_reaper *reaper, struct srv_conn *conn);
/* Answers an error on the socket itself, where the library takes no answer; nothing on an encrypted one. */
void srv_conn_answer(const struct srv_conn *conn, enum srv_error error, const struct att_err *err);
void *srv_conn_context(const struct srv_conn *conn);
/* What the request target was found to be, kept from the request line to the header. */
enum srv_error srv_conn_target_error(const struct srv_conn *conn);
void srv_conn_set_target_error(struct srv_conn *conn, enum srv_error error);

#endif
