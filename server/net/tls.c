/*
 * Certificates with GnuTLS. The library borrows the pair for the time of a
 * handshake and tells no end of it, so a replaced pair is kept longer than any
 * handshake may take (the reaper ends them) before it is freed.
 */
#include "server/net/tls.h"

#include <gnutls/x509.h>
#include <pthread.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "server/access/secret.h"
#include "server/config/config.h"

enum { CHAIN_MAX = 16, KEY_ID_BYTES = 64 };
static const uint64_t kept_us = UINT64_C(700000000); /* above the longest header_timeout_ms, 600 s */

struct srv_tls_pair {
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned chain_len;
    gnutls_privkey_t key;
    int64_t expires_unix_s;
    /* srv_tls's own */
    uint64_t replaced_us;
    struct srv_tls_pair *next;
};

struct srv_tls {
    pthread_mutex_t mutex; /* protects the members below */
    struct srv_tls_pair *current, *replaced;
};

static enum att_status refuse(struct att_err *err, const char *path, const char *what, int code)
{
    return att_err_set(err, ATT_EINVAL, "%s: %s: %s", path, what, gnutls_strerror(code));
}

static enum att_status read_file(const char *path, gnutls_datum_t *ret, struct att_err *err)
{
    char *bytes = NULL;
    size_t len = 0;
    enum att_status status = srv_secret_read(path, &bytes, &len, err);

    if (status == ATT_OK)
        *ret = (gnutls_datum_t){(unsigned char *)bytes, (unsigned)len};
    return status;
}

static void free_file(gnutls_datum_t *file)
{
    srv_secret_free((char *)file->data, file->size);
}

static enum att_status load_chain(struct srv_tls_pair *pair, const char *path, struct att_err *err)
{
    gnutls_datum_t pem = {0};
    gnutls_x509_crt_t list[CHAIN_MAX];
    unsigned n = CHAIN_MAX;
    enum att_status status = read_file(path, &pem, err);
    int code;

    if (status != ATT_OK)
        return status;
    code = gnutls_x509_crt_list_import(list, &n, &pem, GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
    free_file(&pem);
    if (code < 0)
        return refuse(err, path, "no certificate chain in PEM", code);
    pair->expires_unix_s = (int64_t)gnutls_x509_crt_get_expiration_time(list[0]);
    if (att_clock_unix_s() >= pair->expires_unix_s)
        status = att_err_set(err, ATT_EINVAL, "%s: the certificate has expired", path);
    for (unsigned i = 0; i < n; i++) {
        code = status == ATT_OK ? gnutls_pcert_import_x509(&pair->chain[i], list[i], 0) : 0;
        if (code < 0)
            status = refuse(err, path, "a certificate cannot be used", code);
        else if (status == ATT_OK)
            pair->chain_len++;
        gnutls_x509_crt_deinit(list[i]);
    }
    return status;
}

static enum att_status load_key(struct srv_tls_pair *pair, const char *path, struct att_err *err)
{
    gnutls_datum_t pem = {0};
    enum att_status status = read_file(path, &pem, err);
    int code;

    if (status != ATT_OK)
        return status;
    code = gnutls_privkey_init(&pair->key);
    if (code >= 0)
        code = gnutls_privkey_import_x509_raw(pair->key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    free_file(&pem);
    return code < 0 ? refuse(err, path, "no private key in PEM", code) : ATT_OK;
}

static enum att_status check_match(const struct srv_tls_pair *pair, const char *path, struct att_err *err)
{
    unsigned char of_chain[KEY_ID_BYTES], of_key[KEY_ID_BYTES];
    size_t chain_len = sizeof(of_chain), key_len = sizeof(of_key);
    gnutls_pubkey_t public_key = NULL;
    int code = gnutls_pubkey_init(&public_key);

    if (code >= 0)
        code = gnutls_pubkey_import_privkey(public_key, pair->key, 0, 0);
    if (code >= 0)
        code = gnutls_pubkey_get_key_id(public_key, GNUTLS_KEYID_USE_SHA256, of_key, &key_len);
    if (code >= 0)
        code = gnutls_pubkey_get_key_id(pair->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, of_chain, &chain_len);
    if (public_key != NULL)
        gnutls_pubkey_deinit(public_key);
    if (code < 0)
        return refuse(err, path, "the private key cannot be used", code);
    if (chain_len != key_len || memcmp(of_chain, of_key, key_len) != 0)
        return att_err_set(err, ATT_EINVAL, "%s: the private key does not belong to the certificate", path);
    return ATT_OK;
}

enum att_status srv_tls_pair_load(const struct srv_config *config, struct srv_tls_pair **ret_pair, struct att_err *err)
{
    char certificate_path[SRV_SECRET_PATH_MAX], key_path[SRV_SECRET_PATH_MAX];
    const char *certificate = srv_secret_path(&config->server_tls_certificate, "tls-cert", certificate_path);
    const char *key = srv_secret_path(&config->server_tls_key, "tls-key", key_path);
    struct srv_tls_pair *pair;
    enum att_status status;

    if (certificate == NULL && key == NULL) {
        *ret_pair = NULL;
        return ATT_OK;
    }
    if (certificate == NULL || key == NULL)
        return att_err_set(err, ATT_EINVAL, "[server] tls_%s is set, but there is no tls_%s",
                           key == NULL ? "certificate" : "key", key == NULL ? "key" : "certificate");
    pair = att_mem_calloc(1, sizeof(*pair));
    if (pair == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for a certificate");
    status = load_chain(pair, certificate, err);
    if (status == ATT_OK)
        status = load_key(pair, key, err);
    if (status == ATT_OK)
        status = check_match(pair, key, err);
    if (status == ATT_OK)
        *ret_pair = pair;
    else
        srv_tls_pair_destroy(pair);
    return status;
}

void srv_tls_pair_destroy(struct srv_tls_pair *pair)
{
    if (pair == NULL)
        return;
    for (unsigned i = 0; i < pair->chain_len; i++)
        gnutls_pcert_deinit(&pair->chain[i]);
    if (pair->key != NULL)
        gnutls_privkey_deinit(pair->key);
    att_mem_free(pair);
}

int64_t srv_tls_pair_expires(const struct srv_tls_pair *pair)
{
    return pair->expires_unix_s;
}

/* ---- in use ---- */

struct srv_tls *srv_tls_create(struct srv_tls_pair *pair)
{
    struct srv_tls *tls = att_mem_calloc(1, sizeof(*tls));

    if (tls == NULL)
        return NULL;
    pthread_mutex_init(&tls->mutex, NULL);
    tls->current = pair;
    return tls;
}

void srv_tls_destroy(struct srv_tls *tls)
{
    if (tls == NULL)
        return;
    srv_tls_pair_destroy(tls->current);
    while (tls->replaced != NULL) {
        struct srv_tls_pair *pair = tls->replaced;

        tls->replaced = pair->next;
        srv_tls_pair_destroy(pair);
    }
    pthread_mutex_destroy(&tls->mutex);
    att_mem_free(tls);
}

void srv_tls_replace(struct srv_tls *tls, struct srv_tls_pair *pair)
{
    uint64_t now_us = att_clock_us();

    pthread_mutex_lock(&tls->mutex);
    tls->current->replaced_us = now_us;
    tls->current->next = tls->replaced;
    tls->replaced = tls->current;
    tls->current = pair;
    for (struct srv_tls_pair **link = &tls->replaced; *link != NULL;) {
        struct srv_tls_pair *old = *link;

        if (now_us - old->replaced_us < kept_us) {
            link = &old->next;
        } else {
            *link = old->next;
            srv_tls_pair_destroy(old);
        }
    }
    pthread_mutex_unlock(&tls->mutex);
}

int srv_tls_retrieve(struct srv_tls *tls, gnutls_pcert_st **ret_chain, unsigned *ret_len, gnutls_privkey_t *ret_key)
{
    pthread_mutex_lock(&tls->mutex);
    *ret_chain = tls->current->chain;
    *ret_len = tls->current->chain_len;
    *ret_key = tls->current->key;
    pthread_mutex_unlock(&tls->mutex);
    return 0;
}
