/* What systemd is told (sd_notify(3)); nothing happens where NOTIFY_SOCKET is not set. Any thread. */
#ifndef SRV_NOTIFY_H
#define SRV_NOTIFY_H

#include "server/server.h"

/* READY=1, and what is served. `trouble`: why a reload failed, or NULL. */
void srv_notify_serving(struct srv_server *server, const char *trouble);
/* RELOADING=1 with the time, as Type=notify-reload asks for. */
void srv_notify_reloading(struct srv_server *server);
void srv_notify_stopping(void);
/* How often srv_notify_alive is to be called, in ms; -1: never. */
int srv_notify_interval_ms(void);
void srv_notify_alive(void);

#endif
