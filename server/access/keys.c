/*
 * Keys and their buckets. The comparison looks at every byte of every line,
 * whatever it finds, so that the time tells nothing.
 */
#include "server/access/keys.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/attend.h"
#include "server/access/secret.h"
#include "server/config/config.h"

enum { DIGEST_CHARS = 64, LINE_BYTES_MAX = 1024 };

struct bucket {
    double per_s; /* 0: no limit */
    double level; /* at most one second's worth, at least 1; below 0: debt */
};

struct srv_key {
    char name[SRV_KEY_NAME_MAX + 1];
    char digest[DIGEST_CHARS + 1];
    unsigned scopes;       /* bit 1 << enum srv_scope */
    pthread_mutex_t mutex; /* protects the members below */
    struct bucket requests, tokens;
    uint64_t filled_us;
};

struct srv_keys {
    struct srv_key *list;
    size_t n_keys;
};

/* ---- reading ---- */

struct line {
    const char *file;
    unsigned number;
    struct att_err *err;
};

static enum att_status refuse(const struct line *line, const char *message)
{
    return att_err_set(line->err, ATT_EINVAL, "%s:%u: %s", line->file, line->number, message);
}

static enum att_status read_name(const struct line *line, const char *word, struct srv_key *key)
{
    size_t len = strlen(word);

    if (len == 0 || len > SRV_KEY_NAME_MAX ||
        strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != len)
        return refuse(line, "a name is 1 to 32 letters, digits, '.', '_' or '-'");
    memcpy(key->name, word, len + 1);
    return ATT_OK;
}

static enum att_status read_digest(const struct line *line, const char *word, struct srv_key *key)
{
    if (word == NULL || strlen(word) != DIGEST_CHARS || strspn(word, "0123456789abcdefABCDEF") != DIGEST_CHARS)
        return refuse(line, "expected the SHA-256 of the key, 64 hexadecimal digits, behind the name");
    for (size_t i = 0; i < DIGEST_CHARS; i++)
        key->digest[i] = (char)(word[i] >= 'A' && word[i] <= 'F' ? word[i] - 'A' + 'a' : word[i]);
    return ATT_OK;
}

static enum att_status read_scopes(const struct line *line, char *word, struct srv_key *key)
{
    static const struct {
        const char *name;
        enum srv_scope scope;
    } scopes[] = {{"infer", SRV_SCOPE_INFER}, {"write", SRV_SCOPE_WRITE}, {"admin", SRV_SCOPE_ADMIN}};
    char *rest = NULL;

    if (word == NULL)
        return refuse(line, "expected scopes behind the digest: infer, write, admin, with commas between");
    for (char *scope = strtok_r(word, ",", &rest); scope != NULL; scope = strtok_r(NULL, ",", &rest)) {
        size_t i = 0;

        while (i < 3 && strcmp(scopes[i].name, scope) != 0)
            i++;
        if (i == 3)
            return refuse(line, "a scope is infer, write or admin");
        key->scopes |= 1U << scopes[i].scope;
    }
    if (key->scopes == 0)
        return refuse(line, "no scope is named, expected infer, write or admin");
    if ((key->scopes & 1U << SRV_SCOPE_ADMIN) != 0)
        key->scopes |= 1U << SRV_SCOPE_INFER | 1U << SRV_SCOPE_WRITE;
    key->scopes |= 1U << SRV_SCOPE_PUBLIC | 1U << SRV_SCOPE_KEYED;
    return ATT_OK;
}

static enum att_status read_limit(const struct line *line, const char *word, struct srv_key *key)
{
    static const char requests[] = "requests_per_s=", tokens[] = "tokens_per_s=";
    struct bucket *bucket = NULL;
    const char *number = "";
    char *end;
    double per_s;

    if (strncmp(word, requests, sizeof(requests) - 1) == 0) {
        bucket = &key->requests;
        number = word + sizeof(requests) - 1;
    } else if (strncmp(word, tokens, sizeof(tokens) - 1) == 0) {
        bucket = &key->tokens;
        number = word + sizeof(tokens) - 1;
    }
    if (bucket == NULL)
        return refuse(line, "expected requests_per_s=NUMBER or tokens_per_s=NUMBER behind the scopes");
    per_s = strtod(number, &end);
    if (number[0] < '0' || number[0] > '9' || *end != '\0' || !(per_s >= 1e-3 && per_s <= 1e12))
        return refuse(line, "a limit is a number from 0.001 to 1e12 a second");
    bucket->per_s = per_s;
    bucket->level = fmax(per_s, 1);
    return ATT_OK;
}

static bool is_taken(const struct srv_keys *keys, const struct srv_key *key)
{
    for (size_t i = 0; i < keys->n_keys; i++)
        if (strcmp(keys->list[i].name, key->name) == 0 || strcmp(keys->list[i].digest, key->digest) == 0)
            return true;
    return false;
}

/* `text`: one line, without its end; it is cut up. */
static enum att_status read_line(struct srv_keys *keys, const struct line *line, char *text)
{
    char *rest = NULL, *word = strtok_r(text, " \t\r", &rest);
    struct srv_key key = {.scopes = 0};
    enum att_status status;

    if (word == NULL || word[0] == '#')
        return ATT_OK;
    if (keys->n_keys == SRV_KEYS_MAX)
        return refuse(line, "more than 1024 keys");
    status = read_name(line, word, &key);
    if (status == ATT_OK)
        status = read_digest(line, strtok_r(NULL, " \t\r", &rest), &key);
    if (status == ATT_OK)
        status = read_scopes(line, strtok_r(NULL, " \t\r", &rest), &key);
    while (status == ATT_OK && (word = strtok_r(NULL, " \t\r", &rest)) != NULL)
        status = read_limit(line, word, &key);
    if (status == ATT_OK && is_taken(keys, &key))
        return refuse(line, "the name or the key stands in a line before");
    if (status != ATT_OK)
        return status;
    keys->list[keys->n_keys] = key;
    pthread_mutex_init(&keys->list[keys->n_keys++].mutex, NULL);
    return ATT_OK;
}

enum att_status srv_keys_parse(const char *name, const char *text, size_t len, struct srv_keys **ret_keys,
                               struct att_err *err)
{
    struct srv_keys *keys = att_mem_calloc(1, sizeof(*keys));
    struct line line = {.file = name, .err = err};
    enum att_status status = ATT_OK;

    if (keys != NULL)
        keys->list = att_mem_calloc(SRV_KEYS_MAX, sizeof(*keys->list));
    if (keys == NULL || keys->list == NULL) {
        srv_keys_destroy(keys);
        return att_err_set(err, ATT_ENOMEM, "no memory for API keys");
    }
    while (len > 0 && status == ATT_OK) {
        const char *end = memchr(text, '\n', len);
        size_t n = end != NULL ? (size_t)(end - text) : len;
        char copy[LINE_BYTES_MAX];

        line.number++;
        if (n >= sizeof(copy) || memchr(text, '\0', n) != NULL) {
            status = refuse(&line, "the line is too long, or has a NUL");
            break;
        }
        memcpy(copy, text, n);
        copy[n] = '\0';
        status = read_line(keys, &line, copy);
        n += end != NULL;
        text += n;
        len -= n;
    }
    if (status == ATT_OK && keys->n_keys == 0)
        status = att_err_set(err, ATT_EINVAL, "%s: names no key", name);
    if (status == ATT_OK)
        *ret_keys = keys;
    else
        srv_keys_destroy(keys);
    return status;
}

/* A reload must not refill what a client has used up. */
static void keep_levels(struct srv_keys *keys, struct srv_keys *old)
{
    for (size_t i = 0; i < keys->n_keys; i++) {
        struct srv_key *key = &keys->list[i];

        for (size_t k = 0; k < old->n_keys; k++) {
            struct srv_key *before = &old->list[k];

            if (strcmp(key->name, before->name) != 0)
                continue;
            pthread_mutex_lock(&before->mutex);
            key->filled_us = before->filled_us;
            if (before->requests.per_s > 0)
                key->requests.level = fmin(key->requests.level, before->requests.level);
            if (before->tokens.per_s > 0)
                key->tokens.level = fmin(key->tokens.level, before->tokens.level);
            pthread_mutex_unlock(&before->mutex);
        }
    }
}

enum att_status srv_keys_load(const struct srv_value *file, struct srv_keys *old, struct srv_keys **ret_keys,
                              struct att_err *err)
{
    char path_bytes[SRV_SECRET_PATH_MAX];
    const char *path = srv_secret_path(file, "api-keys", path_bytes);
    struct srv_keys *keys = NULL;
    char *text = NULL;
    size_t len = 0;
    enum att_status status;

    if (path == NULL) {
        *ret_keys = NULL;
        return ATT_OK;
    }
    status = srv_secret_read(path, &text, &len, err);
    if (status == ATT_OK)
        status = srv_keys_parse(path, text, len, &keys, err);
    srv_secret_free(text, len);
    if (status != ATT_OK)
        return status;
    if (old != NULL)
        keep_levels(keys, old);
    *ret_keys = keys;
    return ATT_OK;
}

void srv_keys_destroy(struct srv_keys *keys)
{
    if (keys == NULL)
        return;
    for (size_t i = 0; i < keys->n_keys; i++)
        pthread_mutex_destroy(&keys->list[i].mutex);
    att_mem_free(keys->list);
    att_mem_free(keys);
}

/* ---- asking ---- */

/* 1 when equal, 0 when not, without a branch on what is compared. */
static size_t digests_equal(const char *a, const char *b)
{
    unsigned difference = 0;

    for (size_t i = 0; i < DIGEST_CHARS; i++)
        difference |= (unsigned)(unsigned char)a[i] ^ (unsigned)(unsigned char)b[i];
    return (size_t)(((difference - 1U) >> 8) & 1U);
}

size_t srv_keys_place(const struct srv_keys *keys, const char *digest)
{
    size_t place = 0;

    for (size_t i = 0; i < keys->n_keys; i++)
        place += (i + 1) * digests_equal(digest, keys->list[i].digest);
    return place;
}

struct srv_key *srv_keys_find(struct srv_keys *keys, const char *presented, size_t len)
{
    char digest[DIGEST_CHARS + 1];
    size_t place;

    att_digest(presented, len, digest);
    place = srv_keys_place(keys, digest);
    return place > 0 ? &keys->list[place - 1] : NULL;
}

struct srv_key *srv_keys_renew(struct srv_keys *keys, const struct srv_key *key)
{
    size_t place = srv_keys_place(keys, key->digest);

    return place > 0 ? &keys->list[place - 1] : NULL;
}

const char *srv_key_name(const struct srv_key *key)
{
    return key->name;
}

bool srv_key_allows(const struct srv_key *key, enum srv_scope scope)
{
    return (key->scopes & 1U << scope) != 0;
}

/* ---- limits ---- */

static void fill(struct bucket *bucket, double seconds)
{
    bucket->level = fmin(bucket->level + bucket->per_s * seconds, fmax(bucket->per_s, 1));
}

/* Seconds until the bucket has what it must hold for the next request; 0: now. */
static double wait_of(const struct bucket *bucket, double least)
{
    return bucket->per_s > 0 && bucket->level < least ? (least - bucket->level) / bucket->per_s : 0;
}

bool srv_key_charge(struct srv_key *key, double tokens, uint64_t now_us, unsigned *ret_wait_s)
{
    double wait_s;

    pthread_mutex_lock(&key->mutex);
    if (now_us > key->filled_us) {
        double seconds = (double)(now_us - key->filled_us) * 1e-6;

        fill(&key->requests, seconds);
        fill(&key->tokens, seconds);
        key->filled_us = now_us;
    }
    /* A whole request must be there; of tokens anything above 0 lets one request pass, whatever it costs. */
    wait_s = fmax(wait_of(&key->requests, 1), wait_of(&key->tokens, 1e-3));
    if (wait_s <= 0) {
        key->requests.level -= key->requests.per_s > 0;
        key->tokens.level -= key->tokens.per_s > 0 ? tokens : 0;
    }
    pthread_mutex_unlock(&key->mutex);
    if (wait_s > 0)
        *ret_wait_s = (unsigned)fmin(ceil(wait_s), 86400);
    return wait_s <= 0;
}

void srv_key_correct(struct srv_key *key, double requests, double tokens)
{
    pthread_mutex_lock(&key->mutex);
    key->requests.level -= key->requests.per_s > 0 ? requests : 0;
    key->tokens.level -= key->tokens.per_s > 0 ? tokens : 0;
    pthread_mutex_unlock(&key->mutex);
}
