/*
 * The certificate that TLS clients are shown, and its replacement while they
 * connect: a handshake takes the newest pair, those that have begun keep theirs.
 */
#ifndef SRV_TLS_H
#define SRV_TLS_H

#include <gnutls/abstract.h>
#include <stdbool.h>

#include "core/base/status.h"

struct srv_config;
struct srv_tls;
struct srv_tls_pair; /* a certificate chain and its private key */

/* TLS 1.2 and newer (RFC 9325), the server's order of ciphers. */
#define SRV_TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE"

/* Reads and checks what the configuration names: PEM, the key belongs to the first certificate, within its dates.
 * *ret_pair is NULL when neither is configured; one without the other is an error. Messages name the file. */
enum att_status srv_tls_pair_load(const struct srv_config *config, struct srv_tls_pair **ret_pair,
                                  struct att_err *err) ATT_MUST_USE;
void srv_tls_pair_destroy(struct srv_tls_pair *pair); /* NULL is allowed */
/* Seconds since the epoch. */
int64_t srv_tls_pair_expires(const struct srv_tls_pair *pair);

/* Takes the pair. NULL when memory is out. */
struct srv_tls *srv_tls_create(struct srv_tls_pair *pair);
void srv_tls_destroy(struct srv_tls *tls); /* no handshake is under way; NULL is allowed */
/* Takes the pair; handshakes from now on use it. Any thread. */
void srv_tls_replace(struct srv_tls *tls, struct srv_tls_pair *pair);
/* For gnutls_certificate_retrieve_function2. */
int srv_tls_retrieve(struct srv_tls *tls, gnutls_pcert_st **ret_chain, unsigned *ret_len, gnutls_privkey_t *ret_key);

#endif
