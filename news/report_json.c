/* The report as JSON: the counted structure, member for member, with times at the wish's offset. */
#include "news/report.h"
#include "news/time.h"

enum { DIGITS = 6 };

static void put_time(struct att_jsonw *w, const struct news_report *report, const char *key, int64_t ms)
{
    char text[ATT_DATE_BYTES];
    news_time_format(ms, report->wish->offset_minutes, text);
    att_jsonw_put_text(w, key, text);
}

static void put_tones(struct att_jsonw *w, const size_t tones[3])
{
    att_jsonw_key(w, "sentiment");
    att_jsonw_object_begin(w);
    att_jsonw_put_size(w, "negative", tones[0]);
    att_jsonw_put_size(w, "neutral", tones[1]);
    att_jsonw_put_size(w, "positive", tones[2]);
    att_jsonw_object_end(w);
}

static void put_measure(struct att_jsonw *w, const struct news_measure *is)
{
    att_jsonw_put_size(w, "items", is->items);
    att_jsonw_put_size(w, "sources", is->sources);
    put_tones(w, is->tones);
    att_jsonw_put_double(w, "negative_share", is->negative_share, DIGITS);
    att_jsonw_put_double(w, "polarity", is->polarity, DIGITS);
    if (is->importance >= 0)
        att_jsonw_put_double(w, "importance", is->importance, DIGITS);
}

static void put_life(struct att_jsonw *w, const struct news_report *report, const struct news_life *life)
{
    att_jsonw_put_double(w, "heat", life->heat, DIGITS);
    att_jsonw_key(w, "life");
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "stage", news_stage_name(life->stage));
    att_jsonw_put_double(w, "heat_before", life->before, DIGITS);
    att_jsonw_put_double(w, "step_hours", (double)life->step_ms / 3600000, DIGITS);
    att_jsonw_put_double(w, "highest", life->highest, DIGITS);
    put_time(w, report, "highest_at", life->highest_ms);
    put_time(w, report, "first_at", life->first_ms);
    att_jsonw_object_end(w);
}

static void put_quote(struct att_jsonw *w, const struct news_report *report, const struct news_quote *quote, bool text)
{
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "id", quote->id);
    att_jsonw_put_text(w, "title", quote->title);
    att_jsonw_put_text(w, "source", quote->source);
    att_jsonw_put_text(w, "url", quote->url);
    put_time(w, report, "time", quote->time_ms);
    if (text) {
        att_jsonw_put_text(w, "text", quote->text);
        att_jsonw_put_double(w, "polarity", quote->polarity, DIGITS);
    }
    att_jsonw_object_end(w);
}

static void put_event(struct att_jsonw *w, const struct news_report *report, const struct news_event *event)
{
    att_jsonw_object_begin(w);
    att_jsonw_put_int(w, "event", event->seq);
    att_jsonw_put_text(w, "title", event->first.title);
    put_measure(w, &event->is);
    att_jsonw_put_double(w, "window_highest", event->is.heat, DIGITS);
    put_life(w, report, &event->life);
    att_jsonw_key(w, "first");
    put_quote(w, report, &event->first, false);
    att_jsonw_key(w, "spread");
    att_jsonw_array_begin(w);
    for (size_t i = 0; i < event->n_spread; i++) {
        att_jsonw_object_begin(w);
        att_jsonw_put_text(w, "source", event->spread[i].source);
        put_time(w, report, "first_at", event->spread[i].first_ms);
        att_jsonw_put_size(w, "items", event->spread[i].items);
        att_jsonw_object_end(w);
    }
    att_jsonw_array_end(w);
    att_jsonw_key(w, "entities");
    att_jsonw_array_begin(w);
    for (size_t i = 0; i < event->n_entities; i++)
        att_jsonw_cstring(w, event->entities[i]);
    att_jsonw_array_end(w);
    att_jsonw_key(w, "evidence");
    att_jsonw_array_begin(w);
    for (size_t i = 0; i < event->n_quotes; i++)
        put_quote(w, report, &event->quotes[i], true);
    att_jsonw_array_end(w);
    att_jsonw_key(w, "heat_series");
    att_jsonw_array_begin(w);
    for (size_t i = 0; i < report->n_buckets; i++)
        att_jsonw_double(w, event->heat[i], DIGITS);
    att_jsonw_array_end(w);
    att_jsonw_object_end(w);
}

static void put_rows(struct att_jsonw *w, const struct news_report *report, const char *key,
                     const struct news_row *rows, size_t n)
{
    att_jsonw_key(w, key);
    att_jsonw_array_begin(w);
    for (size_t i = 0; i < n; i++) {
        att_jsonw_object_begin(w);
        att_jsonw_put_text(w, "id", rows[i].id);
        att_jsonw_put_text(w, "name", rows[i].name);
        if (rows[i].more[0])
            att_jsonw_put_text(w, "ticker", rows[i].more);
        put_measure(w, &rows[i].is);
        put_life(w, report, &rows[i].life);
        att_jsonw_object_end(w);
    }
    att_jsonw_array_end(w);
}

static void put_alert(struct att_jsonw *w, const struct news_report *report, const struct news_past_alert *alert)
{
    att_jsonw_object_begin(w);
    att_jsonw_put_int(w, "id", alert->seq);
    put_time(w, report, "time", alert->time_ms);
    att_jsonw_put_text(w, "level", alert->level);
    att_jsonw_put_text(w, "rule", alert->rule);
    att_jsonw_put_text(w, "kind", alert->kind);
    att_jsonw_put_text(w, "name", alert->name);
    att_jsonw_key(w, "reasons");
    att_jsonw_array_begin(w);
    for (size_t i = 0; i < alert->n_reasons; i++) {
        att_jsonw_object_begin(w);
        att_jsonw_put_text(w, "measure", alert->reasons[i].measure);
        att_jsonw_put_double(w, "value", alert->reasons[i].value, DIGITS);
        att_jsonw_put_text(w, "relation", alert->reasons[i].relation);
        att_jsonw_put_double(w, "limit", alert->reasons[i].limit, DIGITS);
        att_jsonw_object_end(w);
    }
    att_jsonw_array_end(w);
    att_jsonw_object_end(w);
}

static void put_buckets(struct att_jsonw *w, const struct news_report *report)
{
    att_jsonw_put_double(w, "bucket_hours", (double)report->bucket_ms / 3600000, DIGITS);
    att_jsonw_key(w, "buckets");
    att_jsonw_array_begin(w);
    for (size_t i = 0; i < report->n_buckets; i++) {
        const struct news_bucket *bucket = &report->buckets[i];
        att_jsonw_object_begin(w);
        put_time(w, report, "begin", bucket->begin_ms);
        att_jsonw_put_size(w, "items", bucket->items);
        put_tones(w, bucket->tones);
        att_jsonw_put_double(w, "polarity", bucket->polarity, DIGITS);
        att_jsonw_put_double(w, "heat", bucket->heat, DIGITS);
        att_jsonw_object_end(w);
    }
    att_jsonw_array_end(w);
}

static void put_method(struct att_jsonw *w, const struct news_report *report)
{
    const struct news_set *set = report->set;
    att_jsonw_key(w, "method");
    att_jsonw_object_begin(w);
    att_jsonw_put_double(w, "half_life_hours", (double)set->view->half_life_ms / 3600000, DIGITS);
    att_jsonw_put_double(w, "noise_min", set->view->noise_min, DIGITS);
    att_jsonw_put_size(w, "noise_items", report->n_noise);
    att_jsonw_put_bool(w, "items_cut", set->full);
    att_jsonw_key(w, "models");
    att_jsonw_array_begin(w);
    for (size_t i = 0; i < set->models.n; i++) {
        if (report->model_items[i] == 0)
            continue;
        att_jsonw_object_begin(w);
        att_jsonw_put_text(w, "name", set->models.list[i].title);
        att_jsonw_put_text(w, "digest", set->models.list[i].key);
        att_jsonw_put_size(w, "items", report->model_items[i]);
        att_jsonw_object_end(w);
    }
    att_jsonw_array_end(w);
    att_jsonw_object_end(w);
}

void news_report_json(const struct news_report *report, struct att_jsonw *w)
{
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "object", "report");
    put_time(w, report, "from", report->wish->from_ms);
    put_time(w, report, "to", report->wish->to_ms);
    att_jsonw_key(w, "summary");
    att_jsonw_object_begin(w);
    put_measure(w, &report->is);
    att_jsonw_put_size(w, "events", report->n_all_events);
    att_jsonw_put_size(w, "entities", report->n_all_entities);
    att_jsonw_put_size(w, "noise", report->n_noise);
    att_jsonw_put_size(w, "alerts", report->n_all_alerts);
    att_jsonw_key(w, "before");
    att_jsonw_object_begin(w);
    put_measure(w, &report->before);
    att_jsonw_put_size(w, "noise", report->n_noise_before);
    att_jsonw_put_bool(w, "items_cut", report->before_is_cut);
    att_jsonw_object_end(w);
    att_jsonw_object_end(w);
    att_jsonw_key(w, "alerts");
    att_jsonw_array_begin(w);
    for (size_t i = 0; i < report->n_alerts; i++)
        put_alert(w, report, &report->alerts[i]);
    att_jsonw_array_end(w);
    att_jsonw_key(w, "events");
    att_jsonw_array_begin(w);
    for (size_t i = 0; i < report->n_events; i++)
        put_event(w, report, &report->events[i]);
    att_jsonw_array_end(w);
    put_rows(w, report, "entities", report->entities, report->n_entities);
    put_rows(w, report, "topics", report->topics, report->n_topics);
    put_rows(w, report, "sources", report->sources, report->n_sources);
    put_buckets(w, report);
    put_method(w, report);
    att_jsonw_object_end(w);
}
