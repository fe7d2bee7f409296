/* What a report takes from the store: its set, single items, and the alerts of the window. */
#include <stdlib.h>
#include <string.h>

#include "news/alert.h"
#include "news/report.h"
#include "news/words.h"

enum { ALERTS_SHOWN_MAX = 50, REASONS_MAX = 8, DEPTH_MAX = 8 };

/* The first item after seq - 1 may be a later one. */
struct exact {
    int64_t seq;
    bool (*visit)(void *, const struct store_news_item *);
    void *visitor;
};

static bool visit_exact(void *context, const struct store_news_item *item)
{
    const struct exact *exact = context;
    return item->seq == exact->seq && exact->visit(exact->visitor, item);
}

static enum att_status item_of_store(void *context, int64_t seq, bool (*visit)(void *, const struct store_news_item *),
                                     void *visitor, struct att_err *err)
{
    struct exact exact = {seq, visit, visitor};
    struct store_news_filter filter = {.after_seq = seq - 1, .by_seq = true, .limit = 1};
    return store_news_scan(context, &filter, visit_exact, &exact, err);
}

struct news_lookup news_lookup_store(struct store_news *store)
{
    return (struct news_lookup){.context = store, .item = item_of_store};
}

/* Of what was published at one moment, the first stored comes first. */
static void reverse(struct news_set *set)
{
    for (size_t i = 0, k = set->n; i + 1 < k; i++) {
        struct news_fact fact = set->facts[i];
        set->facts[i] = set->facts[--k];
        set->facts[k] = fact;
    }
}

enum att_status news_report_load(struct news_set *set, struct store_news *store, const struct news_wish *wish,
                                 struct att_err *err)
{
    int64_t since_ms = news_report_since(wish, set->view);
    struct store_news_filter filter = {
        .from_ms = since_ms > 0 ? since_ms : 0, .to_ms = wish->to_ms, .newest_first = true};
    enum att_status status = news_set_load(set, store, &filter, err);
    reverse(set);
    return status;
}

struct reading {
    struct news_report *report;
    struct att_arena *arena;
    size_t capacity;
    enum att_status status;
    struct att_err *err;
};

static const char *copy(struct reading *reading, const struct att_json *value)
{
    size_t len = 0;
    const char *text = att_json_string(value, &len);
    char *copied = att_arena_copy(reading->arena, text ? text : "", text ? len : 0);
    if (!copied)
        reading->status = att_err_set(reading->err, ATT_ENOMEM, "out of memory for a report");
    return copied ? copied : "";
}

static void read_reasons(struct reading *reading, const struct att_json *list, struct news_past_alert *alert)
{
    size_t n = att_json_count(list) < REASONS_MAX ? att_json_count(list) : REASONS_MAX;
    struct news_reason *reasons = att_arena_alloc(reading->arena, n + 1, sizeof *reasons);
    if (!reasons) {
        reading->status = att_err_set(reading->err, ATT_ENOMEM, "out of memory for a report");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const struct att_json *reason = att_json_at(list, i);
        reasons[i] = (struct news_reason){.measure = copy(reading, att_json_get(reason, "measure")),
                                          .relation = copy(reading, att_json_get(reason, "relation")),
                                          .value = att_json_number(att_json_get(reason, "value"), 0),
                                          .limit = att_json_number(att_json_get(reason, "limit"), 0)};
    }
    alert->reasons = reasons;
    alert->n_reasons = n;
}

static unsigned gravity(const struct news_past_alert *alert)
{
    enum news_level level = NEWS_BLUE;
    (void)news_level_parse(alert->level, strlen(alert->level), &level);
    return level;
}

/* The gravest first, then the latest. */
static int compare(const void *a, const void *b)
{
    const struct news_past_alert *x = a, *y = b;
    if (gravity(x) != gravity(y))
        return gravity(x) > gravity(y) ? -1 : 1;
    return (x->seq < y->seq) - (x->seq > y->seq);
}

static bool is_of_wish(const struct news_wish *wish, const struct att_json *json)
{
    const struct {
        const char *key;
        const char *const *names;
        size_t n;
    } filters[] = {{"entities", wish->entities, wish->n_entities}, {"topics", wish->topics, wish->n_topics}};
    for (size_t f = 0; f < 2; f++) {
        const struct att_json *list = att_json_get(json, filters[f].key);
        bool has = filters[f].n == 0;
        for (size_t i = 0; !has && i < att_json_count(list); i++)
            for (size_t k = 0; !has && k < filters[f].n; k++) {
                const char *name = att_json_string(att_json_at(list, i), NULL);
                has = name && strcmp(name, filters[f].names[k]) == 0;
            }
        if (!has)
            return false;
    }
    return true;
}

static bool take_alert(void *context, const struct store_news_alert *stored)
{
    struct reading *reading = context;
    struct news_report *report = reading->report;
    const struct news_wish *wish = report->wish;
    struct att_json *json = NULL;
    if (stored->time_ms < wish->from_ms || stored->time_ms >= wish->to_ms)
        return true;
    reading->status = att_json_parse(stored->json, strlen(stored->json), 0, DEPTH_MAX, &json, reading->err);
    if (reading->status == ATT_OK && is_of_wish(wish, json)) {
        const struct att_json *subject = att_json_get(json, "subject");
        struct news_past_alert alert = {.seq = stored->seq,
                                        .time_ms = stored->time_ms,
                                        .level = copy(reading, att_json_get(json, "level")),
                                        .rule = copy(reading, att_json_get(json, "rule")),
                                        .kind = copy(reading, att_json_get(subject, "kind")),
                                        .name = copy(reading, att_json_get(subject, "name"))};
        if (strcmp(alert.kind, news_by_name(NEWS_BY_TOPIC)) == 0)
            alert.name = news_word_topic(wish->chinese, alert.name);
        read_reasons(reading, att_json_get(json, "reasons"), &alert);
        report->n_all_alerts++;
        /* Full: the least of those kept, which stands last, makes room for a greater one. */
        if (report->n_alerts < reading->capacity)
            report->alerts[report->n_alerts++] = alert;
        else if (compare(&alert, &report->alerts[report->n_alerts - 1]) < 0)
            report->alerts[report->n_alerts - 1] = alert;
        qsort(report->alerts, report->n_alerts, sizeof *report->alerts, compare);
    }
    att_json_destroy(json);
    return reading->status == ATT_OK;
}

enum att_status news_report_add_alerts(struct news_report *report, struct store_news *store, struct att_arena *arena,
                                       struct att_err *err)
{
    struct reading reading = {
        .report = report, .arena = arena, .capacity = ALERTS_SHOWN_MAX, .status = ATT_OK, .err = err};
    report->alerts = att_arena_alloc(arena, ALERTS_SHOWN_MAX, sizeof *report->alerts);
    if (!report->alerts)
        return att_err_set(err, ATT_ENOMEM, "out of memory for a report");
    enum att_status status = store_news_alerts_scan(store, 0, SIZE_MAX, take_alert, &reading, err);
    return status == ATT_OK ? reading.status : status;
}
