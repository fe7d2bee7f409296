/*
 * SHA-256 and HMAC-SHA256 by GnuTLS, the only file of the core that includes it. Users compare a model's
 * digest with what sha256sum prints for its weight file.
 */
#include "core/base/digest.h"

#include <assert.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

#include "core/base/mem.h"

enum { RAW_BYTES = 32 };

struct att_digest_state {
    gnutls_hash_hd_t hash;
};

enum att_status att_digest_begin(struct att_digest_state **ret_state, struct att_err *err)
{
    assert(ret_state);
    struct att_digest_state *state = att_mem_calloc(1, sizeof *state);
    if (!state)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    if (gnutls_hash_init(&state->hash, GNUTLS_DIG_SHA256) != 0) {
        att_mem_free(state);
        return att_err_set(err, ATT_EINTERNAL, "SHA-256 is not available in this GnuTLS");
    }
    *ret_state = state;
    return ATT_OK;
}

enum att_status att_digest_update(struct att_digest_state *state, const void *bytes, size_t len, struct att_err *err)
{
    assert(state);
    if (gnutls_hash(state->hash, bytes, len) != 0)
        return att_err_set(err, ATT_EINTERNAL, "SHA-256 failed");
    return ATT_OK;
}

/* Without a table or a branch: what is hashed may be a secret. 39 is what lies between '9' + 1 and 'a'. */
static char hex_digit(unsigned nibble)
{
    return (char)(nibble + '0' + (((9U - nibble) >> 8) & 39U));
}

void att_hex(const void *bytes, size_t len, char *ret_hex)
{
    const unsigned char *raw = bytes;
    for (size_t i = 0; i < len; i++) {
        ret_hex[2 * i] = hex_digit(raw[i] >> 4);
        ret_hex[2 * i + 1] = hex_digit(raw[i] & 15);
    }
    ret_hex[2 * len] = '\0';
}

void att_digest_end(struct att_digest_state *state, char ret_hex[65])
{
    if (!state)
        return;
    unsigned char raw[RAW_BYTES];
    gnutls_hash_deinit(state->hash, raw);
    if (ret_hex)
        att_hex(raw, RAW_BYTES, ret_hex);
    att_mem_free(state);
}

void att_digest(const void *bytes, size_t len, char ret_hex[65])
{
    unsigned char raw[RAW_BYTES];
    int failure = gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes, len, raw);
    assert(failure == 0); /* only where GnuTLS lacks the algorithm */
    (void)failure;
    att_hex(raw, RAW_BYTES, ret_hex);
}

enum att_status att_digest_hmac(const void *key, size_t key_len, const struct att_digest_part *parts, size_t n_parts,
                                char ret_hex[65], struct att_err *err)
{
    gnutls_hmac_hd_t hmac;
    unsigned char raw[RAW_BYTES];
    int failed = gnutls_hmac_init(&hmac, GNUTLS_MAC_SHA256, key, key_len);
    if (failed)
        return att_err_set(err, ATT_EINTERNAL, "HMAC-SHA256 is not available in this GnuTLS");
    for (size_t i = 0; i < n_parts; i++)
        failed |= gnutls_hmac(hmac, parts[i].bytes, parts[i].len);
    gnutls_hmac_deinit(hmac, raw);
    if (failed)
        return att_err_set(err, ATT_EINTERNAL, "HMAC-SHA256 failed");
    att_hex(raw, RAW_BYTES, ret_hex);
    return ATT_OK;
}
