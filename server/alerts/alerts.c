/*
 * The thread of the alerts, which also lets old news go. Its set of facts grows by what is new and is loaded
 * anew every ten minutes, when the configuration changed, or when it is full; so
 * it forgets what is out of every window, and sees engagement that was updated.
 * What it finds while some of its items are gone or rewritten is looked for anew.
 * Which subjects a rule is silent about is read back from the stored alerts, so
 * that a restart repeats none.
 */
#include "server/alerts/alerts.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "news/alert.h"
#include "news/report.h"
#include "store/news.h"

enum { LOOK_MS = 500, EVALUATE_MS = 60000, RELOAD_MS = 600000, ITEMS_MAX = 200000, SUBJECT_BYTES = 700, DEPTH_MAX = 8 };
enum { EXPIRE_MS = 60000, EXPIRE_ITEMS = 500, EXPIRE_STEPS = 20 };
enum { ALERT_BYTES_MAX = 1 << 20, ALERTS_AT_ONCE = 100 };

/* The last time that a rule spoke of a subject. */
struct spoken {
    struct news_names subjects; /* "RULE KEY" */
    int64_t *time_ms;           /* [subjects.capacity] */
    size_t capacity;
};

struct srv_alerts {
    struct srv_server *server;
    pthread_t thread;
    pthread_mutex_t mutex; /* protects stopping and watchers */
    pthread_cond_t changed;
    bool stopping;
    struct srv_alerts_watcher *watchers;
    /* of the thread alone */
    struct store_news *store; /* that the set is of */
    uint64_t generation;
    struct news_set set;
    bool has_set;
    int64_t last_seq;
    uint64_t changes; /* of the store, when the set was loaded */
    uint64_t loaded_us, evaluated_us, expired_us, told_generation;
    int64_t
        round_ms;  /* when the evaluation began that the present one goes on with; also where the set is loaded anew */
    bool has_more; /* the last evaluation found more than it took: a round is not over */
    struct spoken spoken;
    bool failed; /* the last look failed, and that was logged */
};

/* ---- watchers ---- */

void srv_alerts_watch(struct srv_alerts *alerts, struct srv_alerts_watcher *watcher)
{
    pthread_mutex_lock(&alerts->mutex);
    watcher->next = alerts->watchers;
    watcher->link = &alerts->watchers;
    if (watcher->next != NULL)
        watcher->next->link = &watcher->next;
    alerts->watchers = watcher;
    pthread_mutex_unlock(&alerts->mutex);
}

void srv_alerts_unwatch(struct srv_alerts *alerts, struct srv_alerts_watcher *watcher)
{
    pthread_mutex_lock(&alerts->mutex);
    *watcher->link = watcher->next;
    if (watcher->next != NULL)
        watcher->next->link = watcher->link;
    pthread_mutex_unlock(&alerts->mutex);
}

static void notify_all(struct srv_alerts *alerts)
{
    pthread_mutex_lock(&alerts->mutex);
    for (struct srv_alerts_watcher *watcher = alerts->watchers; watcher != NULL; watcher = watcher->next)
        watcher->notify(watcher->context);
    pthread_mutex_unlock(&alerts->mutex);
}

/* ---- what was said before ---- */

static void spoken_finish(struct spoken *spoken)
{
    news_names_finish(&spoken->subjects);
    att_mem_free(spoken->time_ms);
    *spoken = (struct spoken){0};
}

static enum att_status spoken_note(struct spoken *spoken, const char *subject, int64_t time_ms, struct att_err *err)
{
    uint32_t index;
    enum att_status status = news_names_add(&spoken->subjects, subject, NULL, NULL, &index, err);

    if (status != ATT_OK)
        return status;
    if (spoken->capacity < spoken->subjects.capacity) {
        int64_t *grown = att_mem_realloc(spoken->time_ms, spoken->subjects.capacity, sizeof(*grown));

        if (grown == NULL)
            return att_err_set(err, ATT_ENOMEM, "out of memory for alerts");
        spoken->time_ms = grown;
        spoken->capacity = spoken->subjects.capacity;
    }
    spoken->time_ms[index] = time_ms;
    return ATT_OK;
}

struct remembering {
    struct spoken *spoken;
    int64_t since_ms;
    enum att_status status;
    struct att_err *err;
};

/* The subject as news_finding_subject writes it. */
static bool remember(void *context, const struct store_news_alert *alert)
{
    struct remembering *remembering = context;
    struct att_json *json = NULL;
    char subject[SUBJECT_BYTES];

    if (alert->time_ms < remembering->since_ms)
        return true;
    remembering->status = att_json_parse(alert->json, strlen(alert->json), 0, DEPTH_MAX, &json, remembering->err);
    if (remembering->status == ATT_OK) {
        const char *rule = att_json_string(att_json_get(json, "rule"), NULL);
        const struct att_json *id = att_json_get(att_json_get(json, "subject"), "id");

        if (att_json_is_number(id))
            snprintf(subject, sizeof(subject), "%s %.0f", rule != NULL ? rule : "", att_json_number(id, 0));
        else
            snprintf(subject, sizeof(subject), "%s %s", rule != NULL ? rule : "",
                     att_json_is_string(id) ? att_json_string(id, NULL) : "");
        remembering->status = spoken_note(remembering->spoken, subject, alert->time_ms, remembering->err);
    }
    att_json_destroy(json);
    return remembering->status == ATT_OK;
}

/* ---- the set ---- */

static int64_t longest_ms(const struct srv_config *config, bool of_cooldown)
{
    uint64_t longest = 0;

    for (size_t i = 0; i < config->n_alerts; i++) {
        const struct srv_config_alert *alert = &config->alerts[i];
        uint64_t minutes = of_cooldown ? alert->cooldown_minutes.number : alert->window_minutes.number;

        longest = minutes > longest ? minutes : longest;
    }
    return (int64_t)longest * 60000;
}

static void drop_set(struct srv_alerts *alerts)
{
    if (alerts->has_set)
        news_set_finish(&alerts->set);
    alerts->has_set = false;
    spoken_finish(&alerts->spoken);
    store_news_close(alerts->store);
    alerts->store = NULL;
    alerts->last_seq = 0;
}

/* Nothing more is to be said for now. */
static void end_round(struct srv_alerts *alerts)
{
    drop_set(alerts);
    alerts->has_more = false;
}

static enum att_status load_anew(struct srv_alerts *alerts, const struct srv_generation *generation, int64_t now_ms,
                                 struct att_err *err)
{
    /* Two windows, for growth; the newest first, so that those are kept that fit. */
    struct store_news_filter filter = {.from_ms = now_ms - 2 * longest_ms(generation->config, false),
                                       .newest_first = true};
    struct remembering remembering = {.spoken = &alerts->spoken,
                                      .since_ms = now_ms - longest_ms(generation->config, true),
                                      .status = ATT_OK,
                                      .err = err};
    enum att_status status;

    if (alerts->has_more && alerts->round_ms < remembering.since_ms)
        remembering.since_ms = alerts->round_ms;
    drop_set(alerts);
    alerts->store = store_news_ref(generation->env.news->store);
    alerts->generation = generation->number;
    alerts->changes = store_news_changes(alerts->store);
    alerts->loaded_us = att_clock_us();
    alerts->evaluated_us = 0;
    news_set_init(&alerts->set, generation->env.news_view, ITEMS_MAX);
    alerts->has_set = true;
    status = news_set_load(&alerts->set, alerts->store, &filter, err);
    for (size_t i = 0; i < alerts->set.n; i++)
        if (alerts->set.facts[i].seq > alerts->last_seq)
            alerts->last_seq = alerts->set.facts[i].seq;
    if (status == ATT_OK)
        status = store_news_alerts_scan(alerts->store, 0, INT64_MAX, remember, &remembering, err);
    return status == ATT_OK ? remembering.status : status;
}

/* *ret_new: whether there is anything new. */
static enum att_status load_more(struct srv_alerts *alerts, bool *ret_new, struct att_err *err)
{
    struct store_news_filter filter = {.after_seq = alerts->last_seq, .by_seq = true};
    size_t before = alerts->set.n;
    enum att_status status = news_set_load(&alerts->set, alerts->store, &filter, err);

    if (alerts->set.n > before)
        alerts->last_seq = alerts->set.facts[alerts->set.n - 1].seq;
    *ret_new = alerts->set.n > before;
    return status;
}

/* ---- evaluation ---- */

struct evaluating {
    struct srv_alerts *alerts;
    int64_t now_ms;
    struct att_arena arena; /* texts of what was found */
    struct store_news_alert found[ALERTS_AT_ONCE];
    const char *subjects[ALERTS_AT_ONCE];
    size_t n;
    bool has_more;
};

struct writing {
    const struct news_finding *finding;
    struct att_jsonw *w;
    bool done;
};

static bool write_with_first(void *context, const struct store_news_item *item)
{
    struct writing *writing = context;

    news_finding_write(writing->finding, item, writing->w);
    writing->done = true;
    return false;
}

/* The item of an event's first report; else the first that the finding is about. */
static enum att_status write_finding(struct srv_alerts *alerts, const struct news_finding *finding, struct att_jsonw *w,
                                     struct att_err *err)
{
    int64_t seq = finding->rule->subject == NEWS_BY_EVENT ? (int64_t)finding->key : finding->first_seq;
    struct writing writing = {.finding = finding, .w = w};
    struct news_lookup lookup = news_lookup_store(alerts->store);
    enum att_status status = lookup.item(lookup.context, seq, write_with_first, &writing, err);

    if (status == ATT_OK && !writing.done)
        news_finding_write(finding, NULL, w);
    return status;
}

/* What this round has said already it does not say again, also where a rule has no cooldown. */
static bool is_silent(const struct srv_alerts *alerts, const struct news_rule *rule, const char *subject,
                      int64_t now_ms)
{
    uint32_t index = news_names_find(&alerts->spoken.subjects, subject);

    return index != NEWS_NAMES_NONE && (alerts->spoken.time_ms[index] >= alerts->round_ms ||
                                        now_ms - alerts->spoken.time_ms[index] < rule->cooldown_ms);
}

static enum att_status found(void *context, const struct news_finding *finding, struct att_err *err)
{
    struct evaluating *evaluating = context;
    char subject[SUBJECT_BYTES];
    struct att_jsonw w;
    enum att_status status;

    news_finding_subject(finding, subject, sizeof(subject));
    if (is_silent(evaluating->alerts, finding->rule, subject, evaluating->now_ms))
        return ATT_OK;
    if (evaluating->n == ALERTS_AT_ONCE) {
        evaluating->has_more = true;
        return ATT_OK;
    }
    att_jsonw_init(&w, ALERT_BYTES_MAX);
    status = write_finding(evaluating->alerts, finding, &w, err);
    if (status == ATT_OK && w.failed)
        status = att_err_set(err, ATT_ENOMEM, "out of memory for an alert");
    if (status == ATT_OK) {
        const char *json = att_arena_copy(&evaluating->arena, w.bytes, w.len);
        const char *kept = att_arena_copy(&evaluating->arena, subject, strlen(subject));

        if (json == NULL || kept == NULL) {
            status = att_err_set(err, ATT_ENOMEM, "out of memory for alerts");
        } else {
            evaluating->subjects[evaluating->n] = kept;
            evaluating->found[evaluating->n++] =
                (struct store_news_alert){.time_ms = evaluating->now_ms,
                                          .level = news_level_name(finding->rule->level),
                                          .kind = news_by_name(finding->rule->subject),
                                          .json = json};
        }
    }
    att_jsonw_finish(&w);
    return status;
}

static struct news_rule rule_of(const struct srv_config_alert *alert)
{
    return (struct news_rule){
        .name = alert->name,
        .level = (enum news_level)alert->level.number,
        .subject = (enum news_by)alert->subject.number,
        .entity = srv_config_text(&alert->entity),
        .topic = srv_config_text(&alert->topic),
        .source = srv_config_text(&alert->source),
        .window_ms = (int64_t)alert->window_minutes.number * 60000,
        .cooldown_ms = (int64_t)alert->cooldown_minutes.number * 60000,
        .items_min = (size_t)alert->items_min.number,
        .sources_min = (size_t)alert->sources_min.number,
        .heat_min = srv_config_decimal(&alert->heat_min),
        .growth_min = srv_config_decimal(&alert->growth_min),
        .negative_share_min = srv_config_decimal(&alert->negative_share_min),
        .polarity_max = srv_config_decimal(&alert->polarity_max),
        .importance_min = srv_config_decimal(&alert->importance_min),
    };
}

/* Stores what was found, then tells everybody. */
static enum att_status publish(struct srv_alerts *alerts, const struct evaluating *evaluating, struct att_err *err)
{
    struct srv_server *server = alerts->server;
    int64_t seqs[ALERTS_AT_ONCE];
    enum att_status status;

    if (evaluating->n == 0)
        return ATT_OK;
    status = store_news_alerts_put(alerts->store, evaluating->found, evaluating->n, seqs, err);
    for (size_t i = 0; i < evaluating->n && status == ATT_OK; i++) {
        status = spoken_note(&alerts->spoken, evaluating->subjects[i], evaluating->now_ms, err);
        srv_log(&server->log, SRV_LOG_INFO, "alert", SRV_NUMBER("alert", (double)seqs[i]),
                SRV_TEXT("level", evaluating->found[i].level), SRV_TEXT("kind", evaluating->found[i].kind));
    }
    srv_metrics_add(&server->metrics, SRV_METRIC_ALERTS, evaluating->n);
    notify_all(alerts);
    return status;
}

/* The gravest rules first: they are not to wait for what the others found. */
static enum att_status evaluate_rules(struct evaluating *evaluating, const struct srv_config *config,
                                      struct att_err *err)
{
    enum att_status status = ATT_OK;

    for (int level = NEWS_LEVEL_COUNT - 1; level >= 0; level--)
        for (size_t i = 0; i < config->n_alerts && status == ATT_OK && !evaluating->has_more; i++) {
            struct news_rule rule = rule_of(&config->alerts[i]);

            if ((int)rule.level == level)
                status =
                    news_rule_evaluate(&evaluating->alerts->set, &rule, evaluating->now_ms, found, evaluating, err);
        }
    return status;
}

/* is_fresh: the set was loaded for this look. */
static enum att_status evaluate(struct srv_alerts *alerts, const struct srv_config *config, int64_t now_ms,
                                bool is_fresh, struct att_err *err)
{
    struct evaluating *evaluating = att_mem_calloc(1, sizeof(*evaluating));
    enum att_status status;

    if (evaluating == NULL)
        return att_err_set(err, ATT_ENOMEM, "out of memory for alerts");
    evaluating->alerts = alerts;
    evaluating->now_ms = now_ms;
    if (!alerts->has_more)
        alerts->round_ms = now_ms;
    att_arena_init(&evaluating->arena, ALERTS_AT_ONCE * (size_t)ALERT_BYTES_MAX);
    status = evaluate_rules(evaluating, config, err);
    alerts->has_more = evaluating->has_more;
    alerts->evaluated_us = att_clock_us();
    /* The next look loads the set anew. A fresh one counts whatever changes: a busy feed would silence all alerts. */
    if (status == ATT_OK && evaluating->n > 0 && !is_fresh && store_news_changes(alerts->store) != alerts->changes)
        drop_set(alerts);
    else if (status == ATT_OK)
        status = publish(alerts, evaluating, err);
    att_arena_finish(&evaluating->arena);
    att_mem_free(evaluating);
    return status;
}

/* ---- retention ---- */

/* Once a minute, and under another configuration at once. Steps are small, so that what is written waits for one at
 * most; what is left, the next minute takes. */
static enum att_status expire(struct srv_alerts *alerts, const struct srv_generation *generation, struct att_err *err)
{
    int64_t days = (int64_t)generation->config->news_retention_days.number;
    int64_t before_ms = att_clock_unix_ms() - days * 86400000;
    size_t removed = EXPIRE_ITEMS;
    enum att_status status = ATT_OK;

    if (generation->env.news == NULL || days == 0 ||
        (generation->number == alerts->told_generation && att_clock_us() - alerts->expired_us <= EXPIRE_MS * 1000ULL))
        return ATT_OK;
    alerts->expired_us = att_clock_us();
    for (size_t i = 0; i < EXPIRE_STEPS && removed >= EXPIRE_ITEMS && status == ATT_OK; i++)
        status = store_news_expire(generation->env.news->store, before_ms, EXPIRE_ITEMS, &removed, err);
    return status == ATT_EBUSY ? ATT_OK : status; /* another process writes: a minute later, then */
}

/* ---- the thread ---- */

/* One look at the store, for the configuration that serves now. */
static enum att_status look(struct srv_alerts *alerts, const struct srv_generation *generation, struct att_err *err)
{
    uint64_t now_us = att_clock_us();
    int64_t now_ms = att_clock_unix_ms();
    bool is_new = true, is_fresh;
    enum att_status status = ATT_OK;

    if (generation->env.news == NULL || generation->config->n_alerts == 0) {
        end_round(alerts);
        return ATT_OK;
    }
    is_fresh = !alerts->has_set || alerts->generation != generation->number ||
               now_us - alerts->loaded_us > (alerts->set.full ? EVALUATE_MS : RELOAD_MS) * 1000ULL;
    if (is_fresh)
        status = load_anew(alerts, generation, now_ms, err);
    else
        status = load_more(alerts, &is_new, err);
    if (status == ATT_OK && (is_new || alerts->has_more || now_us - alerts->evaluated_us > EVALUATE_MS * 1000ULL))
        status = evaluate(alerts, generation->config, now_ms, is_fresh, err);
    if (status != ATT_OK)
        end_round(alerts);
    return status;
}

/* Where there is more to say, as long as the look took: then all is said soon, with half of one core and the store free
 * for others in between. */
static uint64_t pause_us(const struct srv_alerts *alerts, uint64_t began_us)
{
    uint64_t took_us = att_clock_us() - began_us;

    return alerts->has_more && took_us < LOOK_MS * 1000 ? took_us : LOOK_MS * 1000;
}

static bool wait_look(struct srv_alerts *alerts, uint64_t began_us)
{
    uint64_t until_us = att_clock_us() + pause_us(alerts, began_us);
    struct timespec until = {.tv_sec = (time_t)(until_us / 1000000), .tv_nsec = (long)(until_us % 1000000) * 1000};
    bool stopping;

    pthread_mutex_lock(&alerts->mutex);
    while (!alerts->stopping && att_clock_us() < until_us)
        pthread_cond_timedwait(&alerts->changed, &alerts->mutex, &until);
    stopping = alerts->stopping;
    pthread_mutex_unlock(&alerts->mutex);
    return !stopping;
}

static void *alerts_main(void *argument)
{
    struct srv_alerts *alerts = argument;
    struct srv_server *server = alerts->server;
    uint64_t began_us;

    do {
        began_us = att_clock_us();
        /* The set's view is the generation's: it is held while the set is looked at, and no longer. */
        struct srv_generation *generation = srv_generations_acquire(&server->generations);
        struct att_err err = {.message = ""};
        enum att_status status = expire(alerts, generation, &err);
        bool is_other = generation->number != alerts->told_generation;

        if (status == ATT_OK)
            status = look(alerts, generation, &err);
        alerts->told_generation = generation->number;
        srv_generations_release(&server->generations, generation);
        if (is_other) /* whoever reads a store that is not served any more ends */
            notify_all(alerts);
        if (status != ATT_OK && !alerts->failed)
            srv_log(&server->log, SRV_LOG_ERROR, "alerts", SRV_TEXT("message", err.message));
        alerts->failed = status != ATT_OK;
    } while (wait_look(alerts, began_us));
    drop_set(alerts);
    return NULL;
}

/* ---- start and stop ---- */

static void destroy(struct srv_alerts *alerts)
{
    pthread_cond_destroy(&alerts->changed);
    pthread_mutex_destroy(&alerts->mutex);
    att_mem_free(alerts);
}

enum att_status srv_alerts_start(struct srv_server *server, struct srv_alerts **ret_alerts, struct att_err *err)
{
    struct srv_alerts *alerts = att_mem_calloc(1, sizeof(*alerts));
    pthread_condattr_t monotonic;

    if (alerts == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for alerts");
    alerts->server = server;
    pthread_mutex_init(&alerts->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&alerts->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&alerts->thread, NULL, alerts_main, alerts) != 0) {
        destroy(alerts);
        return att_err_set(err, ATT_EIO, "cannot start the thread of the alerts");
    }
    *ret_alerts = alerts;
    return ATT_OK;
}

void srv_alerts_stop(struct srv_alerts *alerts)
{
    if (alerts == NULL)
        return;
    pthread_mutex_lock(&alerts->mutex);
    alerts->stopping = true;
    pthread_cond_signal(&alerts->changed);
    pthread_mutex_unlock(&alerts->mutex);
    pthread_join(alerts->thread, NULL);
    destroy(alerts);
}
