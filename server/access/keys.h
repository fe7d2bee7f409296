/*
 * API keys: who may ask what, and how much.
 *
 * A file holds one key a line, its SHA-256 and never the key itself:
 *
 *   # name   SHA-256 of the key, hexadecimal   scopes        limits, optional
 *   shop     2c26b46b68ffc68ff99b453c1d3041…   infer         requests_per_s=50 tokens_per_s=20000
 *   editor   fcde2b2edba56bf408601fb721fe9b…   infer,write
 *   ops      baa5a0964d3320fbc0c6a922140453…   admin
 *
 * `attend key` makes both. Whoever presents a key is compared with every line in
 * constant time. Limits are token buckets that hold one second's worth; a request
 * that costs more than is left passes while anything is left, and the next ones
 * wait for the debt. Thread safe.
 */
#ifndef SRV_KEYS_H
#define SRV_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/request/errors.h"

enum { SRV_KEYS_MAX = 1024, SRV_KEY_NAME_MAX = 32, SRV_KEY_BYTES_MAX = 512 };

enum srv_scope {
    SRV_SCOPE_PUBLIC, /* anybody */
    SRV_SCOPE_KEYED,  /* any key */
    SRV_SCOPE_INFER,
    SRV_SCOPE_WRITE,
    SRV_SCOPE_ADMIN, /* never without a key, but on the admin socket; includes the others */
};

struct srv_keys;
struct srv_key;
struct srv_value;

/* `file`: the option: a path, "auto" or "none". `old`: keys of the same name keep what they have used up. *ret_keys is
 * NULL when there are none to load. The message names FILE:LINE. */
enum att_status srv_keys_load(const struct srv_value *file, struct srv_keys *old, struct srv_keys **ret_keys,
                              struct att_err *err) ATT_MUST_USE;
/* The same from memory: text has `len` bytes, `name` stands in messages. */
enum att_status srv_keys_parse(const char *name, const char *text, size_t len, struct srv_keys **ret_keys,
                               struct att_err *err) ATT_MUST_USE;
void srv_keys_destroy(struct srv_keys *keys); /* NULL is allowed */

/* The key that was presented, or NULL: none is like it. */
struct srv_key *srv_keys_find(struct srv_keys *keys, const char *presented, size_t len);
/* The same key (by its SHA-256) in keys that were loaded later, or NULL: it is no longer among them. */
struct srv_key *srv_keys_renew(struct srv_keys *keys, const struct srv_key *key);
/* What srv_keys_find compares with: 1 + the index of the key whose SHA-256 is `digest` (64 lower-case digits), or 0. No
 * branch and no address depends on either. */
size_t srv_keys_place(const struct srv_keys *keys, const char *digest);
const char *srv_key_name(const struct srv_key *key);
bool srv_key_allows(const struct srv_key *key, enum srv_scope scope);
/* Charges a request and its tokens. False: a limit is used up, nothing was charged; *ret_wait_s: until when, at least
 * 1. */
bool srv_key_charge(struct srv_key *key, double tokens, uint64_t now_us, unsigned *ret_wait_s);
/* Corrects the charge when the true number of tokens is known, or gives back (requests -1) what was not begun. */
void srv_key_correct(struct srv_key *key, double requests, double tokens);

#endif
