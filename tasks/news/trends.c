/*
 * GET /v1/trends: time series of the stored news.
 *
 *   ?from=&to=&window=24h&utc_offset=+08:00   the time
 *   &bucket=hour|day                          what a point is about
 *   &by=sentiment|topic|entity|source|all     a series for each; the hottest `top` of them
 *   &entity=&topic=&source=                   only items that name it
 *
 * A point has the items published in its bucket, their shares and mean polarity,
 * and the heat at its end. It reads the disk, so the daemon runs it apart.
 */
#include <stdio.h>

#include "core/attend.h"
#include "news/series.h"
#include "news/time.h"
#include "tasks/encode.h"
#include "tasks/news/span.h"

enum { TOP_DEFAULT = 10, TOP_MAX = 50, ITEMS_MAX = 200000, DIGITS = 6, POINTS_MAX = 20000 };
static const int64_t hour_ms = 3600000, day_ms = 86400000, week_ms = 7 * 86400000;

struct trends {
    struct task_span span;
    enum news_by by;
    int64_t bucket_ms;
    size_t top, n_buckets;
    const char *entity, *topic, *source;
    struct news_bucket *buckets;
};

/* In the order of the words of `by`. */
static const enum news_by bys[] = {NEWS_BY_TONE, NEWS_BY_TOPIC, NEWS_BY_ENTITY, NEWS_BY_SOURCE, NEWS_BY_ALL};

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    static const char *const names[] = {"from", "to",     "window", "utc_offset", "bucket", "by",
                                        "top",  "entity", "topic",  "source",     NULL};
    static const char *const by_words[] = {"sentiment", "topic", "entity", "source", "all", NULL};
    static const char *const bucket_words[] = {"hour", "day", NULL};
    const struct task_span_words words = {task_query_text(call, "from"), task_query_text(call, "to"),
                                          task_query_text(call, "window"), task_query_text(call, "utc_offset")};
    struct trends *trends = task_alloc(call, 1, sizeof *trends, err);
    size_t by = 0, bucket = 2;
    int64_t top = TOP_DEFAULT;
    (void)body;
    if (!trends)
        return err->status;
    call->state = trends;
    call->reads = true;
    if (!call->env->news)
        return att_err_set(err, ATT_ENOTFOUND, "no news store is configured; [news] path names its file");
    enum att_status status = task_query_known(call, names, err);
    if (status == ATT_OK)
        status = task_query_enum(call, "by", by_words, &by, err);
    if (status == ATT_OK)
        status = task_query_enum(call, "bucket", bucket_words, &bucket, err);
    if (status == ATT_OK)
        status = task_query_int(call, "top", 1, TOP_MAX, &top, err);
    if (status == ATT_OK)
        status = task_span_read(&words, call->now_ms, week_ms, &trends->span, err);
    if (status != ATT_OK)
        return status;
    bool days = bucket == 1 || (bucket == 2 && trends->span.to_ms - trends->span.from_ms > 3 * day_ms);
    trends->bucket_ms = days ? day_ms : hour_ms;
    trends->by = bys[by];
    trends->top = (size_t)top;
    trends->entity = task_query_text(call, "entity");
    trends->topic = task_query_text(call, "topic");
    trends->source = task_query_text(call, "source");
    trends->buckets = task_alloc(call, NEWS_BUCKETS_MAX, sizeof *trends->buckets, err);
    if (!trends->buckets)
        return err->status;
    if (!news_buckets_make(trends->span.from_ms, trends->span.to_ms, trends->bucket_ms, trends->span.offset_minutes,
                           trends->buckets, NEWS_BUCKETS_MAX, &trends->n_buckets) ||
        trends->n_buckets * trends->top > POINTS_MAX)
        return att_err_param(err, ATT_EINVAL, "bucket",
                             "bucket: more than %d points of a series or %d of all, expected a shorter time, days, or "
                             "a smaller top",
                             NEWS_BUCKETS_MAX, POINTS_MAX);
    return ATT_OK;
}

/* ---- the answer ---- */

static void put_time(struct att_jsonw *answer, const char *key, const struct trends *trends, int64_t ms)
{
    char text[ATT_DATE_BYTES];
    news_time_format(ms, trends->span.offset_minutes, text);
    att_jsonw_put_text(answer, key, text);
}

static void put_point(struct att_jsonw *answer, const struct trends *trends, const struct news_bucket *bucket)
{
    att_jsonw_object_begin(answer);
    put_time(answer, "begin", trends, bucket->begin_ms);
    att_jsonw_put_size(answer, "items", bucket->items);
    att_jsonw_put_size(answer, "negative", bucket->tones[0]);
    att_jsonw_put_size(answer, "neutral", bucket->tones[1]);
    att_jsonw_put_size(answer, "positive", bucket->tones[2]);
    att_jsonw_key(answer, "negative_share");
    if (bucket->items)
        att_jsonw_double(answer, (double)bucket->tones[0] / (double)bucket->items, DIGITS);
    else
        att_jsonw_null(answer);
    att_jsonw_key(answer, "polarity");
    if (bucket->items)
        att_jsonw_double(answer, bucket->polarity, DIGITS);
    else
        att_jsonw_null(answer);
    att_jsonw_put_double(answer, "heat", bucket->heat, DIGITS);
    att_jsonw_object_end(answer);
}

static void put_series(struct att_jsonw *answer, const struct trends *trends, const struct news_set *set,
                       const struct news_group *group, const struct news_measure *is)
{
    for (size_t i = 0; i < trends->n_buckets; i++)
        trends->buckets[i] =
            (struct news_bucket){.begin_ms = trends->buckets[i].begin_ms, .end_ms = trends->buckets[i].end_ms};
    news_buckets_fill(trends->buckets, trends->n_buckets, group->members - group->n_before, group->n + group->n_before,
                      set->view->half_life_ms);
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "id", news_group_key(set, trends->by, group->key));
    att_jsonw_put_text(answer, "name", news_group_title(set, trends->by, group->key));
    att_jsonw_put_size(answer, "items", is->items);
    att_jsonw_put_size(answer, "sources", is->sources);
    att_jsonw_put_double(answer, "negative_share", is->negative_share, DIGITS);
    att_jsonw_put_double(answer, "polarity", is->polarity, DIGITS);
    att_jsonw_put_double(answer, "highest_heat", is->heat, DIGITS);
    att_jsonw_key(answer, "points");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < trends->n_buckets; i++)
        put_point(answer, trends, &trends->buckets[i]);
    att_jsonw_array_end(answer);
    att_jsonw_object_end(answer);
}

static enum att_status put_all(struct att_jsonw *answer, const struct trends *trends, const struct news_set *set,
                               struct news_groups *groups, struct att_err *err)
{
    uint32_t *marks = att_mem_calloc(set->source_names.n + 1, sizeof *marks);
    if (!marks)
        return att_err_set(err, ATT_ENOMEM, "out of memory for trends");
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "object", "trends");
    put_time(answer, "from", trends, trends->span.from_ms);
    put_time(answer, "to", trends, trends->span.to_ms);
    att_jsonw_put_text(answer, "bucket", trends->bucket_ms == hour_ms ? "hour" : "day");
    att_jsonw_put_text(answer, "by", news_by_name(trends->by));
    att_jsonw_put_size(answer, "n_series", groups->n);
    att_jsonw_key(answer, "series");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < groups->n && i < trends->top; i++) {
        struct news_measure is = news_group_measure(set, &groups->list[i], marks, (uint32_t)i + 1);
        put_series(answer, trends, set, &groups->list[i], &is);
    }
    att_jsonw_array_end(answer);
    att_jsonw_put_bool(answer, "items_cut", set->full);
    att_jsonw_object_end(answer);
    att_mem_free(marks);
    return ATT_OK;
}

static enum att_status count(const struct trends *trends, const struct news_set *set, struct att_jsonw *answer,
                             struct att_err *err)
{
    uint32_t entity = trends->entity ? news_names_find(&set->entity_names, trends->entity) : 0;
    uint32_t topic = trends->topic ? news_names_find(&set->topic_names, trends->topic) : 0;
    uint32_t source = trends->source ? news_names_find(&set->source_names, trends->source) : 0;
    const struct news_pick pick = {.from_ms = 0,
                                   .to_ms = trends->span.to_ms,
                                   .entities = &entity,
                                   .topics = &topic,
                                   .sources = &source,
                                   .n_entities = trends->entity != NULL,
                                   .n_topics = trends->topic != NULL,
                                   .n_sources = trends->source != NULL};
    struct news_groups groups = {0};
    enum att_status status = news_groups_make(set, &pick, trends->by, trends->span.to_ms, &groups, err);
    if (status == ATT_OK) {
        news_groups_since(set, &groups, trends->span.from_ms);
        if (trends->by != NEWS_BY_TONE) /* these stay in their order */
            news_groups_by_heat(&groups);
        status = put_all(answer, trends, set, &groups, err);
    }
    news_groups_finish(&groups);
    return status;
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct trends *trends = call->state;
    const struct news_view *view = call->env->news_view ? call->env->news_view : &news_view_default;
    /* What was published five half-lives before still has 3 % of its heat. */
    int64_t from_ms = trends->span.from_ms - 5 * view->half_life_ms;
    struct store_news_filter filter = {.from_ms = from_ms > 0 ? from_ms : 0,
                                       .to_ms = trends->span.to_ms,
                                       .entity = trends->entity,
                                       .source = trends->source};
    struct news_set set;
    news_set_init(&set, view, ITEMS_MAX);
    enum att_status status = news_set_load(&set, call->env->news->store, &filter, err);
    if (status == ATT_OK)
        status = count(trends, &set, answer, err);
    news_set_finish(&set);
    return status;
}

const struct task task_trends = {.name = "trends", .parse = parse, .render = render};
