/* The rules of access.h. Without keys the admin paths are closed on TCP: a port that was opened by mistake must not
 * let strangers reload models. */
#include "server/access/access.h"

#include <string.h>

static bool is_open(const struct srv_keys *keys, enum srv_scope scope, bool on_admin_socket)
{
    return on_admin_socket || scope == SRV_SCOPE_PUBLIC || (keys == NULL && scope != SRV_SCOPE_ADMIN);
}

static enum srv_error refuse_strangers(struct att_err *err)
{
    att_err_set(err, ATT_EINVAL, "this path needs the admin socket, or an API key with the scope admin");
    return SRV_ERR_SCOPE;
}

static enum srv_error check_scope(const struct srv_key *key, enum srv_scope scope, struct att_err *err)
{
    if (srv_key_allows(key, scope))
        return SRV_ERR_NONE;
    att_err_set(err, ATT_EINVAL, "the API key lacks the scope '%s'",
                scope == SRV_SCOPE_INFER   ? "infer"
                : scope == SRV_SCOPE_WRITE ? "write"
                                           : "admin");
    return SRV_ERR_SCOPE;
}

enum srv_error srv_access_check(struct srv_keys *keys, const struct srv_facts *facts, enum srv_scope scope,
                                bool on_admin_socket, struct srv_access *ret_access, struct att_err *err)
{
    const char *presented;
    size_t len;

    *ret_access = (struct srv_access){.key = NULL};
    if (is_open(keys, scope, on_admin_socket))
        return SRV_ERR_NONE;
    if (keys == NULL)
        return refuse_strangers(err);
    if (!srv_guard_key(facts, &presented, &len)) {
        att_err_set(err, ATT_EINVAL, "expected an API key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'");
        return SRV_ERR_KEY_MISSING;
    }
    ret_access->key = len <= SRV_KEY_BYTES_MAX ? srv_keys_find(keys, presented, len) : NULL;
    if (ret_access->key == NULL) {
        att_err_set(err, ATT_EINVAL, "the API key is not known here");
        return SRV_ERR_KEY_UNKNOWN;
    }
    return check_scope(ret_access->key, scope, err);
}

enum srv_error srv_access_renew(struct srv_access *access, struct srv_keys *keys, enum srv_scope scope,
                                bool on_admin_socket, struct att_err *err)
{
    struct srv_key *key = NULL;
    enum srv_error error;

    if (!is_open(keys, scope, on_admin_socket)) {
        if (keys == NULL)
            return refuse_strangers(err);
        if (access->key == NULL) {
            att_err_set(err, ATT_EINVAL, "an API key is needed since the configuration was read anew");
            return SRV_ERR_KEY_MISSING;
        }
        key = srv_keys_renew(keys, access->key);
        if (key == NULL) {
            att_err_set(err, ATT_EINVAL, "the API key is no longer known here");
            return SRV_ERR_KEY_UNKNOWN;
        }
        error = check_scope(key, scope, err);
        if (error != SRV_ERR_NONE)
            return error;
    }
    *access = (struct srv_access){.key = key};
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
