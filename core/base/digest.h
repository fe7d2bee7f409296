/* SHA-256 (FIPS 180-4) of bytes that come in pieces, and HMAC-SHA256 (RFC 2104). One thread at a time. */
#ifndef ATT_BASE_DIGEST_H
#define ATT_BASE_DIGEST_H

#include <stddef.h>

#include "core/base/status.h"

struct att_digest_state; /* opaque */

enum att_status att_digest_begin(struct att_digest_state **ret_state, struct att_err *err) ATT_MUST_USE;
enum att_status att_digest_update(struct att_digest_state *state, const void *bytes, size_t len,
                                  struct att_err *err) ATT_MUST_USE;
/* Writes 64 hexadecimal digits and a NUL when ret_hex is not NULL; frees the state. state may be NULL. */
void att_digest_end(struct att_digest_state *state, char ret_hex[65]);

/* All at once: 64 hexadecimal digits and a NUL. Takes no memory, so it cannot fail. */
void att_digest(const void *bytes, size_t len, char ret_hex[65]);

/* 2 * len hexadecimal digits and a NUL. */
void att_hex(const void *bytes, size_t len, char *ret_hex);

/* A keyed digest of the parts, one behind the other, as 64 hexadecimal digits and a NUL. */
struct att_digest_part {
    const void *bytes;
    size_t len;
};
enum att_status att_digest_hmac(const void *key, size_t key_len, const struct att_digest_part *parts, size_t n_parts,
                                char ret_hex[65], struct att_err *err) ATT_MUST_USE;

#endif
