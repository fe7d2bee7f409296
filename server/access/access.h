/*
 * Access: whether a request may do what its route does. Keys with their scopes and
 * limits (keys.h), the admin socket, and where neither is configured: everything but
 * the admin paths, for whoever reaches the port.
 */
#ifndef SRV_ACCESS_H
#define SRV_ACCESS_H

#include "server/access/keys.h"
#include "server/net/guard.h"

struct srv_access {
    struct srv_key *key; /* NULL: no key was needed */
    double tokens;       /* charged so far */
    bool is_charged;
};

/* keys: of the generation, or NULL. */
enum srv_error srv_access_check(struct srv_keys *keys, const struct srv_facts *facts, enum srv_scope scope,
                                bool on_admin_socket, struct srv_access *ret_access, struct att_err *err);
/* For a request that goes on with a later generation, whose keys these are: the same rules, for the key that it was let
 * in with, if any. access stays as it was unless SRV_ERR_NONE. */
enum srv_error srv_access_renew(struct srv_access *access, struct srv_keys *keys, enum srv_scope scope,
                                bool on_admin_socket, struct att_err *err);
/* Before the work: one request of about `tokens`. SRV_ERR_QUOTA: *ret_wait_s tells how long. */
enum srv_error srv_access_charge(struct srv_access *access, size_t tokens, uint64_t now_us, unsigned *ret_wait_s,
                                 struct att_err *err);
/* The true number of tokens is known. */
void srv_access_correct(struct srv_access *access, size_t tokens);
/* The work was refused before it began. */
void srv_access_refund(struct srv_access *access);

/* Whether pages of this origin may call: `origins` is the option cors_origins. */
bool srv_access_origin(const char *origins, const char *origin, size_t len);

#endif
