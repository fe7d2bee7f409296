/*
 * Webhooks: alerts posted to the receivers of the configuration, by one thread
 * that drives all of them at once with libcurl. Each receiver gets its alerts in
 * order, one at a time, until it answers 2xx. How far each has come stands in the
 * news store and is written after every answer: at least once, across restarts. A
 * store that cannot be read or written at first is asked again until it can.
 *
 *   POST url
 *   Content-Type: application/json
 *   X-Attentd-Alert: 17
 *   X-Attentd-Timestamp: 1795132800
 *   X-Attentd-Signature: sha256=HEX     HMAC-SHA256 of TIMESTAMP.BODY with the secret file's key
 *
 * What is no 2xx is tried again after 1, 2, 4, … at most 600 seconds, each shortened
 * at random by up to a half, or after what Retry-After asks for. After attempts_max
 * the alert is given up, which is logged and counted, and the next one is sent.
 * Addresses come from the configuration alone; no redirection is followed.
 */
#ifndef SRV_WEBHOOKS_H
#define SRV_WEBHOOKS_H

#include "server/server.h"

struct srv_webhooks;

/* The secrets can be read; the message names section and file. */
enum att_status srv_webhooks_check(const struct srv_config *config, struct att_err *err) ATT_MUST_USE;
/* The alerts are started. */
enum att_status srv_webhooks_start(struct srv_server *server, struct srv_webhooks **ret_webhooks,
                                   struct att_err *err) ATT_MUST_USE;
/* Breaks off what is under way; it is sent again at the next start. NULL is allowed. */
void srv_webhooks_stop(struct srv_webhooks *webhooks);

#endif
