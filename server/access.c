/* The rules of access.h. Without keys the admin paths are closed on TCP: a port that was opened by mistake must not
 * let strangers reload models. */
#include "server/access.h"

#include <string.h>

enum srv_error srv_access_check(struct srv_keys *keys, const struct srv_facts *facts, enum srv_scope scope,
                                bool on_admin_socket, struct srv_access *ret_access, struct att_err *err)
{
    const char *presented;
    size_t len;

    *ret_access = (struct srv_access){.key = NULL};
    if (on_admin_socket || scope == SRV_SCOPE_PUBLIC || (keys == NULL && scope != SRV_SCOPE_ADMIN))
        return SRV_ERR_NONE;
    if (keys == NULL) {
        att_err_set(err, ATT_EINVAL, "this path needs the admin socket, or an API key with the scope admin");
        return SRV_ERR_SCOPE;
    }
    if (!srv_guard_key(facts, &presented, &len)) {
        att_err_set(err, ATT_EINVAL, "expected an API key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'");
        return SRV_ERR_KEY_MISSING;
    }
    ret_access->key = len <= SRV_KEY_BYTES_MAX ? srv_keys_find(keys, presented, len) : NULL;
    if (ret_access->key == NULL) {
        att_err_set(err, ATT_EINVAL, "the API key is not known here");
        return SRV_ERR_KEY_UNKNOWN;
    }
    if (!srv_key_allows(ret_access->key, scope)) {
        att_err_set(err, ATT_EINVAL, "the API key lacks the scope '%s'",
                    scope == SRV_SCOPE_INFER   ? "infer"
                    : scope == SRV_SCOPE_WRITE ? "write"
                                               : "admin");
        return SRV_ERR_SCOPE;
    }
    return SRV_ERR_NONE;
}

enum srv_error srv_access_charge(struct srv_access *access, size_t tokens, uint64_t now_us, unsigned *ret_wait_s,
                                 struct att_err *err)
{
    if (access->key == NULL)
        return SRV_ERR_NONE;
    if (!srv_key_charge(access->key, (double)tokens, now_us, ret_wait_s)) {
        att_err_set(err, ATT_EBUSY, "the limit of this API key is used up; try again in %u s", *ret_wait_s);
        return SRV_ERR_QUOTA;
    }
    access->tokens = (double)tokens;
    access->is_charged = true;
    return SRV_ERR_NONE;
}

void srv_access_correct(struct srv_access *access, size_t tokens)
{
    if (!access->is_charged)
        return;
    srv_key_correct(access->key, 0, (double)tokens - access->tokens);
    access->tokens = (double)tokens;
}

void srv_access_refund(struct srv_access *access)
{
    if (access->is_charged)
        srv_key_correct(access->key, -1, -access->tokens);
    access->is_charged = false;
}

bool srv_access_origin(const char *origins, const char *origin, size_t len)
{
    if (strcmp(origins, "none") == 0 || len == 0)
        return false;
    if (strcmp(origins, "*") == 0)
        return true;
    while (*origins != '\0') {
        size_t n = strcspn(origins, " \t");

        if (n == len && memcmp(origins, origin, n) == 0)
            return true;
        origins += n + strspn(origins + n, " \t");
    }
    return false;
}
