/*
 * The thread of the webhooks (webhooks.h). libcurl is included here alone in the
 * daemon. A hook is in one of three states:
 *
 *   IDLE ──(an alert behind its cursor)──> SENDING ──(2xx)──> IDLE
 *                                             │ else
 *                                             └──> WAITING ──(its time)──> SENDING
 *
 * The wait is for the next of: a wake by new alerts, curl's sockets, the earliest
 * time of a hook that waits, one second (a reload is noticed then).
 */
#include "server/alerts/webhooks.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/jsonw.h"
#include "news/alert.h"
#include "server/access/secret.h"
#include "server/alerts/alerts.h"
#include "store/news.h"

enum { LOOK_MS = 1000, BACKOFF_S_MAX = 600, AT_ONCE = 64, ANSWER_BYTES_MAX = 65536, KEY_BYTES = SRV_NAME_MAX + 16 };

enum state { IDLE, SENDING, WAITING };

struct hook {
    const struct srv_config_webhook *config; /* of the generation that is looked at */
    char name[SRV_NAME_MAX + 1];
    char *secret; /* NULL: not signed */
    size_t secret_len;
    bool broken; /* the secret cannot be read: nothing is sent */
    bool behind; /* the last attempt failed, and there will be another */
    unsigned levels;
    enum state state;
    int64_t cursor;  /* the last alert that is done; -1: not known yet */
    bool has_cursor; /* it is known and stored: nothing is sent before */
    struct store_news_alert alert;
    struct att_jsonw body;
    size_t n_failed, n_received;
    uint64_t retry_us;
    CURL *easy;
    struct curl_slist *headers;
};

struct srv_webhooks {
    struct srv_server *server;
    pthread_t thread;
    pthread_mutex_t mutex; /* protects stopping */
    bool stopping;
    struct srv_alerts_watcher watcher;
    CURLM *multi;
    /* of the thread alone */
    uint64_t generation;
    struct store_news *store;
    struct srv_settings *settings; /* that the hooks' configuration lies in */
    struct hook hooks[SRV_WEBHOOKS_MAX];
    size_t n_hooks;
};

/* ---- the cursor ---- */

static void cursor_key(const struct hook *hook, char key[KEY_BYTES])
{
    snprintf(key, KEY_BYTES, "webhook.%s", hook->name);
}

static enum att_status save_cursor(struct srv_webhooks *webhooks, const struct hook *hook, struct att_err *err)
{
    char key[KEY_BYTES], value[24];

    cursor_key(hook, key);
    snprintf(value, sizeof(value), "%lld", (long long)hook->cursor);
    return store_news_meta_put(webhooks->store, key, value, err);
}

/* A new hook begins with the alerts that come from now on: from the first attempt that could count them, also where
 * storing that fails. */
static enum att_status load_cursor(struct srv_webhooks *webhooks, struct hook *hook, struct att_err *err)
{
    char key[KEY_BYTES], *value = NULL;
    struct store_news_counts counts;
    enum att_status status;

    cursor_key(hook, key);
    status = store_news_meta_get(webhooks->store, key, &value, err);
    if (status == ATT_OK && value != NULL) {
        hook->cursor = strtoll(value, NULL, 10);
        att_mem_free(value);
        return ATT_OK;
    }
    if (status == ATT_OK && hook->cursor < 0) {
        status = store_news_count(webhooks->store, &counts, err);
        if (status == ATT_OK)
            hook->cursor = counts.last_alert_seq;
    }
    return status == ATT_OK ? save_cursor(webhooks, hook, err) : status;
}

/* ---- hooks as configured ---- */

static void end_sending(struct srv_webhooks *webhooks, struct hook *hook)
{
    if (hook->easy != NULL) {
        curl_multi_remove_handle(webhooks->multi, hook->easy);
        curl_easy_cleanup(hook->easy);
    }
    curl_slist_free_all(hook->headers);
    hook->easy = NULL;
    hook->headers = NULL;
}

static void set_behind(struct srv_webhooks *webhooks, struct hook *hook, bool behind)
{
    struct srv_metrics *metrics = &webhooks->server->metrics;

    if (behind && !hook->behind)
        srv_metrics_add(metrics, SRV_METRIC_WEBHOOKS_BEHIND, 1);
    else if (!behind && hook->behind)
        srv_metrics_subtract(metrics, SRV_METRIC_WEBHOOKS_BEHIND, 1);
    hook->behind = behind;
}

/* A store that is locked, or fails, may not be so in a second. */
static bool find_cursor(struct srv_webhooks *webhooks, struct hook *hook)
{
    struct att_err err = {.message = ""};

    if (hook->has_cursor)
        return true;
    if (att_clock_us() < hook->retry_us)
        return false;
    hook->has_cursor = load_cursor(webhooks, hook, &err) == ATT_OK;
    if (!hook->has_cursor && !hook->behind)
        srv_log(&webhooks->server->log, SRV_LOG_WARN, "webhook_waits", SRV_TEXT("name", hook->name),
                SRV_TEXT("message", err.message));
    hook->retry_us = att_clock_us() + LOOK_MS * 1000;
    set_behind(webhooks, hook, !hook->has_cursor);
    return hook->has_cursor;
}

static void drop_hooks(struct srv_webhooks *webhooks)
{
    for (size_t i = 0; i < webhooks->n_hooks; i++) {
        struct hook *hook = &webhooks->hooks[i];

        end_sending(webhooks, hook);
        set_behind(webhooks, hook, false);
        att_jsonw_finish(&hook->body);
        srv_secret_free(hook->secret, hook->secret_len);
    }
    webhooks->n_hooks = 0;
    store_news_close(webhooks->store);
    webhooks->store = NULL;
    srv_settings_unref(webhooks->settings);
    webhooks->settings = NULL;
}

/* The last line break of a file is not part of the key. */
static enum att_status load_secret(const struct srv_config_webhook *config, char **ret_secret, size_t *ret_len,
                                   struct att_err *err)
{
    const char *path = srv_config_text(&config->secret_file);
    char *secret = NULL;
    size_t len = 0;
    enum att_status status;

    if (path == NULL)
        return ATT_OK;
    status = srv_secret_read(path, &secret, &len, err);
    while (status == ATT_OK && len > 0 && (secret[len - 1] == '\n' || secret[len - 1] == '\r'))
        len--;
    if (status == ATT_OK && len == 0) {
        srv_secret_free(secret, len);
        status = att_err_set(err, ATT_EFORMAT, "%s: is empty, expected a key", path);
    }
    if (status != ATT_OK)
        return status;
    *ret_secret = secret;
    *ret_len = len;
    return ATT_OK;
}

enum att_status srv_webhooks_check(const struct srv_config *config, struct att_err *err)
{
    for (size_t i = 0; i < config->n_webhooks; i++) {
        const struct srv_config_webhook *webhook = &config->webhooks[i];
        char *secret = NULL;
        size_t len = 0;
        enum att_status status = load_secret(webhook, &secret, &len, err);

        srv_secret_free(secret, len);
        if (status != ATT_OK)
            return att_err_prefix(err, "%s: [webhook %s] secret_file", webhook->where, webhook->name);
    }
    return ATT_OK;
}

static void make_hooks(struct srv_webhooks *webhooks, const struct srv_generation *generation)
{
    drop_hooks(webhooks);
    webhooks->generation = generation->number;
    if (generation->env.news == NULL)
        return;
    webhooks->store = store_news_ref(generation->env.news->store);
    webhooks->settings = srv_settings_ref(generation->settings);
    for (size_t i = 0; i < generation->config->n_webhooks; i++) {
        struct hook *hook = &webhooks->hooks[webhooks->n_hooks++];
        struct att_err err = {.message = ""};

        *hook = (struct hook){.config = &generation->config->webhooks[i], .cursor = -1};
        memcpy(hook->name, hook->config->name, sizeof(hook->name));
        hook->levels = srv_config_levels(hook->config);
        att_jsonw_init(&hook->body, SIZE_MAX);
        if (load_secret(hook->config, &hook->secret, &hook->secret_len, &err) == ATT_OK)
            continue;
        hook->broken = true;
        srv_log(&webhooks->server->log, SRV_LOG_ERROR, "webhook", SRV_TEXT("name", hook->name),
                SRV_TEXT("message", err.message));
    }
}

/* ---- sending ---- */

static size_t on_answer(char *bytes, size_t size, size_t n, void *context)
{
    struct hook *hook = context;

    (void)bytes;
    hook->n_received += size * n;
    return hook->n_received <= ANSWER_BYTES_MAX ? size * n : 0; /* 0 breaks it off */
}

static bool add_header(struct hook *hook, const char *name, const char *value)
{
    char line[256];
    struct curl_slist *longer;

    snprintf(line, sizeof(line), "%s: %s", name, value);
    longer = curl_slist_append(hook->headers, line);
    if (longer == NULL)
        return false;
    hook->headers = longer;
    return true;
}

/* The time stands in the signature, so that a receiver can refuse what was recorded and sent again. */
static bool add_signature(struct hook *hook, const char *timestamp)
{
    char hex[65], value[80];
    const struct att_digest_part parts[] = {
        {timestamp, strlen(timestamp)}, {".", 1}, {hook->body.bytes, hook->body.len}};

    if (hook->secret == NULL)
        return true;
    if (att_digest_hmac(hook->secret, hook->secret_len, parts, 3, hex, NULL) != ATT_OK)
        return false;
    snprintf(value, sizeof(value), "sha256=%s", hex);
    return add_header(hook, "X-Attentd-Signature", value);
}

static bool set_options(struct hook *hook)
{
    const char *ca_file = srv_config_text(&hook->config->ca_file);
    CURL *easy = hook->easy;
    bool failed = false;

    failed |= curl_easy_setopt(easy, CURLOPT_URL, hook->config->url.text) != CURLE_OK;
    failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK;
    failed |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK;
    failed |= curl_easy_setopt(easy, CURLOPT_PROXY, "") != CURLE_OK; /* the environment names none */
    failed |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK;
    failed |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)hook->config->timeout_ms.number) != CURLE_OK;
    failed |= curl_easy_setopt(easy, CURLOPT_POST, 1L) != CURLE_OK;
    failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, hook->body.bytes) != CURLE_OK;
    failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)hook->body.len) != CURLE_OK;
    failed |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, hook->headers) != CURLE_OK;
    failed |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "attentd/" ATT_VERSION) != CURLE_OK;
    failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer) != CURLE_OK;
    failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, hook) != CURLE_OK;
    failed |= curl_easy_setopt(easy, CURLOPT_PRIVATE, hook) != CURLE_OK;
    if (ca_file != NULL)
        failed |= curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file) != CURLE_OK;
    return !failed;
}

static bool begin_sending(struct srv_webhooks *webhooks, struct hook *hook)
{
    char number[24], timestamp[24];

    end_sending(webhooks, hook);
    hook->n_received = 0;
    hook->easy = curl_easy_init();
    snprintf(number, sizeof(number), "%lld", (long long)hook->alert.seq);
    snprintf(timestamp, sizeof(timestamp), "%lld", (long long)att_clock_unix_s());
    if (hook->easy == NULL || !add_header(hook, "Content-Type", "application/json") ||
        !add_header(hook, "Expect", "") || !add_header(hook, "X-Attentd-Alert", number) ||
        !add_header(hook, "X-Attentd-Timestamp", timestamp) || !add_signature(hook, timestamp) || !set_options(hook) ||
        curl_multi_add_handle(webhooks->multi, hook->easy) != CURLM_OK)
        return false;
    hook->state = SENDING;
    return true;
}

/* ---- what comes of it ---- */

static void done_with(struct srv_webhooks *webhooks, struct hook *hook)
{
    struct att_err err = {.message = ""};

    hook->cursor = hook->alert.seq;
    hook->state = IDLE;
    hook->n_failed = 0;
    set_behind(webhooks, hook, false);
    if (save_cursor(webhooks, hook, &err) != ATT_OK)
        srv_log(&webhooks->server->log, SRV_LOG_ERROR, "webhook", SRV_TEXT("name", hook->name),
                SRV_TEXT("message", err.message));
}

/* 1, 2, 4, … seconds, of which at least a half; together they would hit a receiver that comes back at once. */
static uint64_t backoff_us(size_t n_failed, int64_t asked_s)
{
    uint64_t seconds = n_failed <= 10 ? 1ULL << (n_failed - 1) : BACKOFF_S_MAX, us;
    uint32_t random = 0;

    seconds = seconds > BACKOFF_S_MAX ? BACKOFF_S_MAX : seconds;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
        random = 0;
    us = seconds * 1000000 - seconds * 500000 * random / UINT32_MAX;
    if (asked_s > 0 && us < (uint64_t)asked_s * 1000000)
        us = (uint64_t)(asked_s > BACKOFF_S_MAX ? BACKOFF_S_MAX : asked_s) * 1000000;
    return us;
}

static void failed(struct srv_webhooks *webhooks, struct hook *hook, const char *why, long http_status,
                   int64_t retry_after_s)
{
    struct srv_server *server = webhooks->server;
    bool over = ++hook->n_failed >= hook->config->attempts_max.number;

    srv_metrics_add(&server->metrics, SRV_METRIC_WEBHOOK_FAILURES, 1);
    srv_log(&server->log, SRV_LOG_WARN, over ? "webhook_given_up" : "webhook_failed", SRV_TEXT("name", hook->name),
            SRV_NUMBER("alert", (double)hook->alert.seq), SRV_NUMBER("attempt", (double)hook->n_failed),
            SRV_NUMBER("status", (double)http_status), SRV_TEXT("message", why));
    if (over) {
        srv_metrics_add(&server->metrics, SRV_METRIC_WEBHOOK_GIVEN_UP, 1);
        done_with(webhooks, hook);
        return;
    }
    hook->state = WAITING;
    set_behind(webhooks, hook, true);
    hook->retry_us = att_clock_us() + backoff_us(hook->n_failed, retry_after_s);
}

static void finish_sending(struct srv_webhooks *webhooks, struct hook *hook, CURLcode result)
{
    long http_status = 0;
    curl_off_t retry_after_s = 0;

    curl_easy_getinfo(hook->easy, CURLINFO_RESPONSE_CODE, &http_status);
    curl_easy_getinfo(hook->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    end_sending(webhooks, hook);
    if (http_status >= 200 && http_status < 300 && (result == CURLE_OK || result == CURLE_WRITE_ERROR)) {
        done_with(webhooks, hook);
        srv_metrics_add(&webhooks->server->metrics, SRV_METRIC_WEBHOOK_DELIVERIES, 1);
    } else {
        failed(webhooks, hook, result != CURLE_OK ? curl_easy_strerror(result) : "the receiver did not take it",
               http_status, (int64_t)retry_after_s);
    }
}

/* ---- the next alert ---- */

static bool take(void *context, const struct store_news_alert *alert)
{
    struct hook *hook = context;
    const struct srv_alert_filter filter = {.levels = hook->levels};

    hook->alert.seq = alert->seq;
    if (!srv_alert_filter_passes(&filter, alert))
        return true;
    att_jsonw_finish(&hook->body);
    news_alert_write(alert, &hook->body);
    hook->state = SENDING;
    return false;
}

/* The next alert behind the cursor that the hook wants; those before it are done. */
static void find_next(struct srv_webhooks *webhooks, struct hook *hook)
{
    struct att_err err = {.message = ""};
    enum att_status status;

    hook->alert.seq = hook->cursor;
    status = store_news_alerts_scan(webhooks->store, hook->cursor, AT_ONCE, take, hook, &err);
    if (status == ATT_OK && hook->state == IDLE && hook->alert.seq > hook->cursor) {
        done_with(webhooks, hook);
        return;
    }
    if (status == ATT_OK && hook->state == SENDING && (hook->body.failed || !begin_sending(webhooks, hook))) {
        end_sending(webhooks, hook);
        failed(webhooks, hook, "out of memory", 0, 0);
    }
}

static void advance(struct srv_webhooks *webhooks)
{
    for (size_t i = 0; i < webhooks->n_hooks; i++) {
        struct hook *hook = &webhooks->hooks[i];

        if (hook->broken || !find_cursor(webhooks, hook))
            continue;
        if (hook->state == IDLE)
            find_next(webhooks, hook);
        else if (hook->state == WAITING && att_clock_us() >= hook->retry_us && !begin_sending(webhooks, hook))
            failed(webhooks, hook, "out of memory", 0, 0);
    }
}

/* ---- the thread ---- */

static bool is_stopping(struct srv_webhooks *webhooks)
{
    pthread_mutex_lock(&webhooks->mutex);
    bool stopping = webhooks->stopping;
    pthread_mutex_unlock(&webhooks->mutex);
    return stopping;
}

static int wait_ms(const struct srv_webhooks *webhooks)
{
    uint64_t now_us = att_clock_us();
    int ms = LOOK_MS;

    for (size_t i = 0; i < webhooks->n_hooks; i++) {
        const struct hook *hook = &webhooks->hooks[i];

        if (hook->state == WAITING && hook->retry_us < now_us + (uint64_t)ms * 1000)
            ms = hook->retry_us > now_us ? (int)((hook->retry_us - now_us) / 1000) + 1 : 0;
    }
    return ms;
}

static void *webhooks_main(void *argument)
{
    struct srv_webhooks *webhooks = argument;
    struct srv_server *server = webhooks->server;

    while (!is_stopping(webhooks)) {
        struct srv_generation *generation = srv_generations_acquire(&server->generations);
        CURLMsg *message;
        int n_running, n_left;

        if (generation->number != webhooks->generation)
            make_hooks(webhooks, generation);
        srv_generations_release(&server->generations, generation);
        advance(webhooks);
        curl_multi_perform(webhooks->multi, &n_running);
        while ((message = curl_multi_info_read(webhooks->multi, &n_left)) != NULL) {
            struct hook *hook = NULL;
            CURLcode result = message->data.result;

            if (message->msg != CURLMSG_DONE)
                continue;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &hook);
            finish_sending(webhooks, hook, result);
            n_running = -1; /* the next alert may be there already */
        }
        if (n_running >= 0)
            curl_multi_poll(webhooks->multi, NULL, 0, wait_ms(webhooks), NULL);
    }
    drop_hooks(webhooks);
    return NULL;
}

static void notify(void *context)
{
    curl_multi_wakeup(context);
}

static void destroy(struct srv_webhooks *webhooks)
{
    if (webhooks->multi != NULL)
        curl_multi_cleanup(webhooks->multi);
    pthread_mutex_destroy(&webhooks->mutex);
    att_mem_free(webhooks);
    curl_global_cleanup();
}

enum att_status srv_webhooks_start(struct srv_server *server, struct srv_webhooks **ret_webhooks, struct att_err *err)
{
    struct srv_webhooks *webhooks = att_mem_calloc(1, sizeof(*webhooks));

    if (webhooks == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for webhooks");
    webhooks->server = server;
    pthread_mutex_init(&webhooks->mutex, NULL);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        webhooks->multi = curl_multi_init();
    if (webhooks->multi == NULL || pthread_create(&webhooks->thread, NULL, webhooks_main, webhooks) != 0) {
        destroy(webhooks);
        return att_err_set(err, ATT_EIO, "cannot start the thread of the webhooks");
    }
    webhooks->watcher = (struct srv_alerts_watcher){.notify = notify, .context = webhooks->multi};
    srv_alerts_watch(server->alerts, &webhooks->watcher);
    *ret_webhooks = webhooks;
    return ATT_OK;
}

void srv_webhooks_stop(struct srv_webhooks *webhooks)
{
    if (webhooks == NULL)
        return;
    srv_alerts_unwatch(webhooks->server->alerts, &webhooks->watcher);
    pthread_mutex_lock(&webhooks->mutex);
    webhooks->stopping = true;
    pthread_mutex_unlock(&webhooks->mutex);
    curl_multi_wakeup(webhooks->multi);
    pthread_join(webhooks->thread, NULL);
    destroy(webhooks);
}
