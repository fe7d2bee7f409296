/*
 * GET /v1/stream: alerts as server-sent events, as they are published.
 *
 *   ?level=orange         this level and graver ones
 *   &entity= &topic= &rule=    only alerts that name it
 *   &after=N              begin behind alert N; 0: with the first that is stored
 *
 * An event's id is the alert's number. Who comes back with it in Last-Event-ID
 * (browsers do by themselves) goes on where it was: alerts are read from the store
 * behind a cursor, never from memory, so none is lost or comes twice, however
 * slow or late a reader is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/jsonw.h"
#include "news/alert.h"
#include "server/alerts/alerts.h"
#include "store/news.h"

enum { AT_ONCE = 32, DEPTH_MAX = 8 };

struct subscription {
    struct srv_alerts_watcher watcher;
    bool watches;
    struct srv_server *server;
    struct store_news *store;
    struct srv_stream *stream;
    struct srv_alert_filter filter;
    int64_t after;
    size_t n_read, n_written; /* of one fill */
};

/* ---- what passes ---- */

static bool names(const struct att_json *list, const char *name)
{
    for (size_t i = 0; i < att_json_count(list); i++) {
        const char *text = att_json_string(att_json_at(list, i), NULL);

        if (text != NULL && strcmp(text, name) == 0)
            return true;
    }
    return false;
}

/* What an alert is about counts, and what the first item behind it names. */
static bool is_about(const struct att_json *json, const char *kind, const char *list, const char *name)
{
    const struct att_json *subject = att_json_get(json, "subject");
    const char *of = att_json_string(att_json_get(subject, "kind"), NULL);
    const char *id = att_json_string(att_json_get(subject, "id"), NULL);

    if (of != NULL && id != NULL && strcmp(of, kind) == 0 && strcmp(id, name) == 0)
        return true;
    return names(att_json_get(json, list), name);
}

bool srv_alert_filter_passes(const struct srv_alert_filter *filter, const struct store_news_alert *alert)
{
    enum news_level level;
    struct att_json *json = NULL;
    struct att_err err;
    const char *rule;
    bool passes;

    if (!news_level_parse(alert->level, strlen(alert->level), &level) || (filter->levels >> level & 1) == 0)
        return false;
    if (filter->entity == NULL && filter->topic == NULL && filter->rule == NULL)
        return true;
    if (att_json_parse(alert->json, strlen(alert->json), 0, DEPTH_MAX, &json, &err) != ATT_OK)
        return false;
    rule = att_json_string(att_json_get(json, "rule"), NULL);
    passes = (filter->entity == NULL || is_about(json, "entity", "entities", filter->entity)) &&
             (filter->topic == NULL || is_about(json, "topic", "topics", filter->topic)) &&
             (filter->rule == NULL || (rule != NULL && strcmp(rule, filter->rule) == 0));
    att_json_destroy(json);
    return passes;
}

/* ---- the stream ---- */

static bool tell(void *context, const struct store_news_alert *alert)
{
    struct subscription *subscription = context;
    struct att_jsonw body;
    char id[24];

    subscription->n_read++;
    subscription->after = alert->seq;
    if (!srv_alert_filter_passes(&subscription->filter, alert))
        return true;
    att_jsonw_init(&body, SIZE_MAX);
    news_alert_write(alert, &body);
    snprintf(id, sizeof(id), "%lld", (long long)alert->seq);
    if (!body.failed)
        srv_stream_event(subscription->stream, id, "alert", body.bytes, body.len);
    subscription->n_written += !body.failed;
    att_jsonw_finish(&body);
    return true;
}

/* After a reload another store may be served; a client that comes back gets that. */
static bool is_served(const struct subscription *subscription)
{
    struct srv_generation *generation = srv_generations_acquire(&subscription->server->generations);
    bool served = generation->env.news != NULL && generation->env.news->store == subscription->store;

    srv_generations_release(&subscription->server->generations, generation);
    return served;
}

static enum srv_stream_next fill(void *context, struct srv_stream *stream)
{
    struct subscription *subscription = context;
    struct att_err err;

    (void)stream; /* open_stream's, which other threads wake: not to be written again */
    subscription->n_written = 0;
    do {
        subscription->n_read = 0;
        if (store_news_alerts_scan(subscription->store, subscription->after, AT_ONCE, tell, subscription, &err) !=
            ATT_OK)
            return SRV_STREAM_CUT;
    } while (subscription->n_read == AT_ONCE && subscription->n_written == 0);
    if (subscription->n_written > 0)
        return SRV_STREAM_MORE;
    return is_served(subscription) ? SRV_STREAM_WAIT : SRV_STREAM_END;
}

static void notify(void *context)
{
    struct subscription *subscription = context;

    srv_stream_wake(subscription->stream);
}

static void open_stream(void *context, struct srv_stream *stream)
{
    struct subscription *subscription = context;

    subscription->stream = stream;
    subscription->watches = true;
    srv_alerts_watch(subscription->server->alerts, &subscription->watcher);
}

static void close_stream(void *context)
{
    struct subscription *subscription = context;

    if (subscription->watches)
        srv_alerts_unwatch(subscription->server->alerts, &subscription->watcher);
    store_news_close(subscription->store);
    att_mem_free(subscription->filter.entity);
    att_mem_free(subscription->filter.topic);
    att_mem_free(subscription->filter.rule);
    att_mem_free(subscription);
}

/* ---- the request ---- */

static const char *value_of(const struct srv_ask *ask, const char *name)
{
    for (size_t i = 0; i < ask->n_query; i++)
        if (strcmp(ask->query[i].name, name) == 0)
            return ask->query[i].value;
    return NULL;
}

static enum att_status check_names(const struct srv_ask *ask, struct att_err *err)
{
    static const char *const known[] = {"level", "entity", "topic", "rule", "after"};

    for (size_t i = 0; i < ask->n_query; i++) {
        const char *name = ask->query[i].name;
        size_t k = 0;

        while (k < sizeof(known) / sizeof(known[0]) && strcmp(known[k], name) != 0)
            k++;
        if (k == sizeof(known) / sizeof(known[0]))
            return att_err_param(err, ATT_EINVAL, name, "%s: is not a parameter of this path", name);
        for (k = 0; k < i; k++)
            if (strcmp(ask->query[k].name, name) == 0)
                return att_err_param(err, ATT_EINVAL, name, "%s: stands twice in the query", name);
    }
    return ATT_OK;
}

static bool parse_number(const char *text, int64_t *ret)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
        return false;
    *ret = value;
    return true;
}

/* Last-Event-ID goes before `after`, which stands in the address that a browser comes back to. */
static enum att_status find_place(const struct srv_ask *ask, struct subscription *subscription, struct att_err *err)
{
    const char *after = value_of(ask, "after");
    struct store_news_counts counts;
    enum att_status status;

    if (after != NULL && !parse_number(after, &subscription->after))
        return att_err_param(err, ATT_EINVAL, "after", "after: is \"%.40s\", expected the number of an alert", after);
    if (ask->last_event_id != NULL && !parse_number(ask->last_event_id, &subscription->after))
        return att_err_param(err, ATT_EINVAL, "Last-Event-ID",
                             "Last-Event-ID: is \"%.40s\", expected the number of an alert", ask->last_event_id);
    if (after != NULL || ask->last_event_id != NULL)
        return ATT_OK;
    status = store_news_count(subscription->store, &counts, err);
    subscription->after = status == ATT_OK ? counts.last_alert_seq : 0;
    return status;
}

static enum att_status copy_name(const struct srv_ask *ask, const char *name, char **ret_copy, struct att_err *err)
{
    const char *value = value_of(ask, name);

    if (value == NULL)
        return ATT_OK;
    *ret_copy = att_mem_strdup(value);
    return *ret_copy != NULL ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory for a stream");
}

static enum att_status read_filter(const struct srv_ask *ask, struct srv_alert_filter *filter, struct att_err *err)
{
    const char *text = value_of(ask, "level");
    enum news_level least = NEWS_BLUE;
    enum att_status status;

    if (text != NULL && !news_level_parse(text, strlen(text), &least))
        return att_err_param(err, ATT_EINVAL, "level", "level: is \"%.40s\", expected one of blue, yellow, orange, red",
                             text);
    filter->levels = 15U << least & 15U;
    status = copy_name(ask, "entity", &filter->entity, err);
    if (status == ATT_OK)
        status = copy_name(ask, "topic", &filter->topic, err);
    return status == ATT_OK ? copy_name(ask, "rule", &filter->rule, err) : status;
}

enum att_status srv_builtin_stream(struct srv_server *server, struct srv_generation *generation,
                                   const struct srv_ask *ask, struct srv_builtin_answer *ret_answer,
                                   struct att_err *err)
{
    struct subscription *subscription;
    enum att_status status = check_names(ask, err);

    if (status != ATT_OK)
        return status;
    if (generation->env.news == NULL)
        return att_err_set(err, ATT_ENOTFOUND, "no news store is configured; [news] path names its file");
    subscription = att_mem_calloc(1, sizeof(*subscription));
    if (subscription == NULL)
        return att_err_set(err, ATT_ENOMEM, "out of memory for a stream");
    subscription->server = server;
    subscription->watcher = (struct srv_alerts_watcher){.notify = notify, .context = subscription};
    subscription->store = store_news_ref(generation->env.news->store);
    status = read_filter(ask, &subscription->filter, err);
    if (status == ATT_OK)
        status = find_place(ask, subscription, err);
    if (status != ATT_OK) {
        close_stream(subscription);
        return status;
    }
    ret_answer->producer =
        (struct srv_producer){.context = subscription, .open = open_stream, .fill = fill, .close = close_stream};
    return ATT_OK;
}
