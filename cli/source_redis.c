/*
 * A Redis stream as a consumer of a group (Redis 6.2 or later).
 *
 * An entry is acknowledged (XACK) when its item is stored, or was refused for
 * good. What this consumer was given before it crashed is read first; what other
 * consumers left for a minute is claimed from them. An entry holds the item in
 * one field, json, or the item's fields as fields of its own.
 *
 * The password is taken from ATTEND_REDIS_PASSWORD, not from the command line,
 * which everybody on the machine can read.
 */
#include "cli/source.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PORT = 6379,
    NAME_BYTES_MAX = 256,
    ENTRIES = 256,
    ENTRY_ID_BYTES_MAX = 48,
    TIMEOUT_S = 30,
    BLOCK_MS = 500,
    IDLE_MS = 60000,
    DEPTH_MAX = 8
};

enum phase { OWN, LEFT, FRESH }; /* what this consumer has pending; what others left; what is new */

struct redis {
    redisContext *connection;
    const volatile sig_atomic_t *stop;
    char host[NAME_BYTES_MAX], stream[NAME_BYTES_MAX];
    int port;
    const char *group, *consumer, *source;
    bool follow;
    enum phase phase;
    char ids[ENTRIES][ENTRY_ID_BYTES_MAX]; /* handed over, and not acknowledged yet */
    size_t n_ids;
};

/* ---- commands ---- */

/* A reply that is no error; free with freeReplyObject. */
static enum att_status command(struct redis *redis, const char **words, size_t n, redisReply **ret_reply,
                               struct att_err *err)
{
    redisReply *reply = redisCommandArgv(redis->connection, (int)n, words, NULL);
    if (!reply)
        return att_err_set(err, ATT_EIO, "redis://%s:%d: %s", redis->host, redis->port, redis->connection->errstr);
    if (reply->type == REDIS_REPLY_ERROR) {
        att_err_set(err, ATT_EINVAL, "redis://%s:%d: %s: %s", redis->host, redis->port, words[0], reply->str);
        freeReplyObject(reply);
        return ATT_EINVAL;
    }
    *ret_reply = reply;
    return ATT_OK;
}

static enum att_status run(struct redis *redis, const char **words, size_t n, struct att_err *err)
{
    redisReply *reply = NULL;
    enum att_status status = command(redis, words, n, &reply, err);
    if (status == ATT_OK)
        freeReplyObject(reply);
    return status;
}

static enum att_status connect_to(struct redis *redis, struct att_err *err)
{
    const char *password = getenv("ATTEND_REDIS_PASSWORD");
    redis->connection = redisConnectWithTimeout(redis->host, redis->port, (struct timeval){.tv_sec = 10});
    if (!redis->connection || redis->connection->err)
        return att_err_set(err, ATT_EIO, "redis://%s:%d: %s", redis->host, redis->port,
                           redis->connection ? redis->connection->errstr : "out of memory");
    redisSetTimeout(redis->connection, (struct timeval){.tv_sec = TIMEOUT_S});
    enum att_status status = ATT_OK;
    if (password)
        status = run(redis, (const char *[]){"AUTH", password}, 2, err);
    if (status == ATT_OK)
        status = run(redis, (const char *[]){"XGROUP", "CREATE", redis->stream, redis->group, "0", "MKSTREAM"}, 6, err);
    return status == ATT_EINVAL && strstr(err->message, "BUSYGROUP") ? ATT_OK : status;
}

/* ---- entries ---- */

static bool is_number(const redisReply *value)
{
    return value->len > 0 && value->len < 18 && strspn(value->str, "0123456789") == value->len;
}

/* The item's fields as they stand; what is a number there is one here. */
static void put_fields(const struct redis *redis, const redisReply *fields, struct att_jsonw *lines)
{
    bool has_source = false;
    att_jsonw_object_begin(lines);
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const redisReply *name = fields->element[i], *value = fields->element[i + 1];
        bool counts = strcmp(name->str, "time") == 0 || strcmp(name->str, "engagement") == 0;
        has_source = has_source || strcmp(name->str, "source") == 0;
        att_jsonw_key(lines, name->str);
        if (counts && is_number(value))
            att_jsonw_raw(lines, value->str, value->len);
        else
            att_jsonw_string(lines, value->str, value->len);
    }
    if (redis->source && !has_source)
        att_jsonw_put_text(lines, "source", redis->source);
    att_jsonw_object_end(lines);
}

static bool put_entry(struct redis *redis, const redisReply *entry, struct att_jsonw *lines)
{
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 || entry->element[0]->type != REDIS_REPLY_STRING ||
        entry->element[0]->len >= ENTRY_ID_BYTES_MAX || redis->n_ids == ENTRIES)
        return false;
    const redisReply *fields = entry->element[1];
    memcpy(redis->ids[redis->n_ids], entry->element[0]->str, entry->element[0]->len + 1);
    redis->n_ids++;
    if (fields->type != REDIS_REPLY_ARRAY)
        return true; /* deleted from the stream meanwhile: only to be acknowledged */
    for (size_t i = 0; i < fields->elements; i++)
        if (fields->element[i]->type != REDIS_REPLY_STRING)
            return true;
    if (fields->elements == 2 && strcmp(fields->element[0]->str, "json") == 0) {
        const redisReply *json = fields->element[1];
        /* A line break inside would make two lines of one entry. */
        for (size_t i = 0; i < json->len; i++)
            if (json->str[i] == '\n' || json->str[i] == '\r')
                json->str[i] = ' ';
        att_jsonw_raw(lines, json->str, json->len);
    } else {
        put_fields(redis, fields, lines);
    }
    lines->comma = false;
    att_jsonw_raw(lines, "\n", 1);
    lines->comma = false;
    return true;
}

static void put_entries(struct redis *redis, const redisReply *entries, struct att_jsonw *lines)
{
    for (size_t i = 0; entries && entries->type == REDIS_REPLY_ARRAY && i < entries->elements; i++)
        (void)put_entry(redis, entries->element[i], lines);
}

/* ---- the source ---- */

static enum att_status read_group(struct redis *redis, const char *from, bool blocks, struct att_jsonw *lines,
                                  struct att_err *err)
{
    char count[16], block[16];
    redisReply *reply = NULL;
    snprintf(count, sizeof count, "%d", ENTRIES);
    snprintf(block, sizeof block, "%d", BLOCK_MS);
    const char *waiting[] = {"XREADGROUP", "GROUP", redis->group, redis->consumer, "COUNT", count,
                             "BLOCK",      block,   "STREAMS",    redis->stream,   from};
    const char *at_once[] = {"XREADGROUP", "GROUP",       redis->group, redis->consumer, "COUNT", count,
                             "STREAMS",    redis->stream, from};
    enum att_status status = blocks ? command(redis, waiting, sizeof waiting / sizeof *waiting, &reply, err)
                                    : command(redis, at_once, sizeof at_once / sizeof *at_once, &reply, err);
    if (status != ATT_OK)
        return status;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 && reply->element[0]->type == REDIS_REPLY_ARRAY &&
        reply->element[0]->elements == 2)
        put_entries(redis, reply->element[0]->element[1], lines);
    freeReplyObject(reply);
    return ATT_OK;
}

static enum att_status claim(struct redis *redis, struct att_jsonw *lines, struct att_err *err)
{
    char count[16], idle[16];
    redisReply *reply = NULL;
    snprintf(count, sizeof count, "%d", ENTRIES);
    snprintf(idle, sizeof idle, "%d", IDLE_MS);
    const char *words[] = {"XAUTOCLAIM", redis->stream, redis->group, redis->consumer, idle, "0-0", "COUNT", count};
    enum att_status status = command(redis, words, sizeof words / sizeof *words, &reply, err);
    if (status != ATT_OK)
        return status;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements >= 2)
        put_entries(redis, reply->element[1], lines);
    freeReplyObject(reply);
    return ATT_OK;
}

static enum att_status next(void *context, struct att_jsonw *lines, bool *ret_end, struct att_err *err)
{
    struct redis *redis = context;
    enum att_status status = ATT_OK;
    redis->n_ids = 0;
    while (status == ATT_OK && redis->n_ids == 0 && !*redis->stop) {
        enum phase phase = redis->phase;
        if (phase == OWN)
            status = read_group(redis, "0", false, lines, err);
        else if (phase == LEFT)
            status = claim(redis, lines, err);
        else
            status = read_group(redis, ">", redis->follow, lines, err);
        if (status != ATT_OK || redis->n_ids > 0)
            break;
        if (phase == FRESH && !redis->follow) {
            *ret_end = true;
            break;
        }
        redis->phase = phase == OWN ? LEFT : phase == LEFT ? FRESH : LEFT;
        if (phase == FRESH)
            break; /* nothing came for a while */
    }
    return status;
}

static enum att_status stored(void *context, struct att_err *err)
{
    struct redis *redis = context;
    const char *words[ENTRIES + 3] = {"XACK", redis->stream, redis->group};
    for (size_t i = 0; i < redis->n_ids; i++)
        words[3 + i] = redis->ids[i];
    return redis->n_ids > 0 ? run(redis, words, 3 + redis->n_ids, err) : ATT_OK;
}

static void close_redis(void *context)
{
    struct redis *redis = context;
    if (redis->connection)
        redisFree(redis->connection);
    att_mem_free(redis);
}

/* redis://HOST[:PORT]/STREAM */
static enum att_status read_url(struct redis *redis, const char *url, struct att_err *err)
{
    char port[8] = "";
    const char *at = strncmp(url, "redis://", 8) == 0 ? url + 8 : "";
    size_t host = strcspn(at, ":/"), digits = 0;
    const char *slash = at + host;
    if (*slash == ':') {
        digits = strspn(slash + 1, "0123456789");
        snprintf(port, sizeof port, "%.*s", (int)(digits < 6 ? digits : 6), slash + 1);
        slash += 1 + digits;
    }
    redis->port = digits ? (int)strtol(port, NULL, 10) : PORT;
    if (host == 0 || host >= NAME_BYTES_MAX || *slash != '/' || slash[1] == '\0' ||
        strlen(slash + 1) >= NAME_BYTES_MAX || redis->port < 1 || redis->port > 65535)
        return att_err_set(err, ATT_EINVAL, "--redis: is '%.200s', expected redis://HOST[:PORT]/STREAM", url);
    memcpy(redis->host, at, host);
    memcpy(redis->stream, slash + 1, strlen(slash + 1) + 1);
    return ATT_OK;
}

enum att_status cli_source_redis(const struct cli_options *options, const volatile sig_atomic_t *stop,
                                 struct cli_source *ret_source, struct att_err *err)
{
    struct redis *redis = att_mem_calloc(1, sizeof *redis);
    if (!redis)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    redis->stop = stop;
    redis->group = options->group ? options->group : "attend";
    redis->consumer = options->consumer ? options->consumer : "attend";
    redis->source = options->source;
    redis->follow = options->follow;
    enum att_status status = read_url(redis, options->redis, err);
    if (status == ATT_OK)
        status = connect_to(redis, err);
    if (status != ATT_OK) {
        close_redis(redis);
        return status;
    }
    *ret_source = (struct cli_source){redis, next, stored, close_redis};
    return ATT_OK;
}
