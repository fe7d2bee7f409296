/*
 * Reading and removing what was ingested.
 *
 *   GET    /v1/news        ?from=&to=&source=&lang=&sentiment=&topic=&entity=&cluster=&noise_max=&importance_min=
 *                          &polarity_min=&polarity_max=&first=yes&order=newest|oldest|arrival&after=&offset=&limit=
 *                          &text=no
 *   GET    /v1/news/{id}   one, with its text
 *   DELETE /v1/news/{id}
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/date.h"
#include "store/news.h"
#include "tasks/news/news_item.h"

enum { LIMIT_DEFAULT = 50, LIMIT_MAX = 1000, NUMBER_BYTES_MAX = 32 };
static const int64_t unix_s_max = INT64_C(253402300799);

struct news_call {
    struct store_news *store;
    struct store_news_filter filter;
    bool with_text;
    struct att_jsonw *answer;
    size_t count;
    int64_t last_seq;
    bool more;
};

static enum att_status begin(struct task_call *call, struct news_call **ret, struct att_err *err)
{
    struct news_call *news = att_arena_alloc(call->arena, 1, sizeof *news);
    if (!news)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    if (!call->env->news)
        return att_err_set(err, ATT_ENOTFOUND, "no news store is configured; [news] path names its file");
    news->store = call->env->news->store;
    call->state = news;
    *ret = news;
    return ATT_OK;
}

/* ---- the query ---- */

static enum att_status take_time(const struct task_call *call, const char *name, int64_t *ret_ms, struct att_err *err)
{
    const char *text = task_query_text(call, name);
    int64_t unix_s = 0;
    if (!text)
        return ATT_OK;
    if (!att_date_parse(text, strlen(text), &unix_s)) {
        char *end;
        long long number = strlen(text) < NUMBER_BYTES_MAX ? strtoll(text, &end, 10) : -1;
        if (number < 0 || number > unix_s_max || *text == '\0' || *end != '\0')
            return att_err_param(err, ATT_EINVAL, name,
                                 "%s: is no time, expected 2026-11-28T09:30:00Z or seconds since 1970", name);
        unix_s = number;
    }
    *ret_ms = unix_s * 1000;
    return ATT_OK;
}

static enum att_status take_number(const struct task_call *call, const char *name, double min, double max,
                                   double *ret_number, bool *ret_has, struct att_err *err)
{
    const char *text = task_query_text(call, name);
    char *end;
    if (!text)
        return ATT_OK;
    double number = strlen(text) < NUMBER_BYTES_MAX ? strtod(text, &end) : max + 1;
    if (*text == '\0' || !(number >= min && number <= max) || *end != '\0')
        return att_err_param(err, ATT_EINVAL, name, "%s: expected a number from %g to %g", name, min, max);
    *ret_number = number;
    *ret_has = true;
    return ATT_OK;
}

static enum att_status take_numbers(const struct task_call *call, struct store_news_filter *filter, struct att_err *err)
{
    int64_t limit = LIMIT_DEFAULT, skip = 0;
    enum att_status status = take_number(call, "noise_max", 0, 1, &filter->noise_max, &filter->has_noise_max, err);
    if (status == ATT_OK)
        status = take_number(call, "importance_min", 0, 1, &filter->importance_min, &filter->has_importance_min, err);
    if (status == ATT_OK)
        status = take_number(call, "polarity_min", -1, 1, &filter->polarity_min, &filter->has_polarity_min, err);
    if (status == ATT_OK)
        status = take_number(call, "polarity_max", -1, 1, &filter->polarity_max, &filter->has_polarity_max, err);
    if (status == ATT_OK)
        status = task_query_int(call, "cluster", 1, INT64_C(1) << 53, &filter->cluster, err);
    if (status == ATT_OK)
        status = task_query_int(call, "after", 0, INT64_C(1) << 53, &filter->after_seq, err);
    if (status == ATT_OK)
        status = task_query_int(call, "offset", 0, 1000000000, &skip, err);
    if (status == ATT_OK)
        status = task_query_int(call, "limit", 1, LIMIT_MAX, &limit, err);
    filter->skip = (size_t)skip;
    filter->limit = (size_t)limit + 1; /* one more says whether there is more */
    return status;
}

static enum att_status parse_list(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    static const char *const names[] = {"from",         "to",           "source",  "lang",      "sentiment",
                                        "topic",        "entity",       "cluster", "noise_max", "importance_min",
                                        "polarity_min", "polarity_max", "first",   "order",     "after",
                                        "offset",       "limit",        "text",    NULL};
    static const char *const yes_no[] = {"no", "yes", NULL}, *const orders[] = {"newest", "oldest", "arrival", NULL};
    struct news_call *news = NULL;
    size_t order = 0, first = 0, text = 0;
    (void)body;
    enum att_status status = begin(call, &news, err);
    if (status == ATT_OK)
        status = task_query_known(call, names, err);
    if (status != ATT_OK)
        return status;
    struct store_news_filter *filter = &news->filter;
    filter->source = task_query_text(call, "source");
    filter->lang = task_query_text(call, "lang");
    filter->sentiment = task_query_text(call, "sentiment");
    filter->topic = task_query_text(call, "topic");
    filter->entity = task_query_text(call, "entity");
    status = take_time(call, "from", &filter->from_ms, err);
    if (status == ATT_OK)
        status = take_time(call, "to", &filter->to_ms, err);
    if (status == ATT_OK)
        status = take_numbers(call, filter, err);
    if (status == ATT_OK)
        status = task_query_enum(call, "order", orders, &order, err);
    if (status == ATT_OK)
        status = task_query_enum(call, "first", yes_no, &first, err);
    if (status == ATT_OK)
        status = task_query_enum(call, "text", yes_no, &text, err);
    filter->newest_first = order == 0;
    filter->by_seq = order == 2;
    filter->first_of_cluster = first == 1;
    news->with_text = text == 1;
    return status;
}

/* ---- answers ---- */

static bool put_item(void *context, const struct store_news_item *item)
{
    struct news_call *news = context;
    if (news->filter.limit > 0 && news->count + 1 == news->filter.limit) {
        news->more = true;
        return false;
    }
    task_news_item_render(item, news->with_text, news->answer);
    news->count++;
    news->last_seq = item->seq;
    return !news->answer->failed;
}

static enum att_status render_list(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    struct news_call *news = call->state;
    news->answer = answer;
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "object", "list");
    att_jsonw_key(answer, "data");
    att_jsonw_array_begin(answer);
    enum att_status status = store_news_scan(news->store, &news->filter, put_item, news, err);
    att_jsonw_array_end(answer);
    att_jsonw_put_bool(answer, "has_more", news->more);
    att_jsonw_key(answer, "last_seq");
    if (news->count > 0)
        att_jsonw_int(answer, news->last_seq);
    else
        att_jsonw_null(answer);
    att_jsonw_object_end(answer);
    return status;
}

static enum att_status parse_one(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    static const char *const names[] = {NULL};
    struct news_call *news = NULL;
    (void)body;
    enum att_status status = begin(call, &news, err);
    return status == ATT_OK ? task_query_known(call, names, err) : status;
}

static enum att_status not_found(struct att_err *err)
{
    return att_err_param(err, ATT_ENOTFOUND, "id", "id: no item of this id is stored");
}

static enum att_status render_one(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    struct news_call *news = call->state;
    bool found = false;
    news->answer = answer;
    news->with_text = true;
    enum att_status status = store_news_get(news->store, call->path_params[0], put_item, news, &found, err);
    return status == ATT_OK && !found ? not_found(err) : status;
}

static enum att_status parse_delete(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    call->writes = true;
    return parse_one(call, body, err);
}

static enum att_status render_delete(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    struct news_call *news = call->state;
    bool removed = false;
    (void)answer;
    enum att_status status = store_news_remove(news->store, call->path_params[0], &removed, err);
    if (status == ATT_OK && !removed)
        return not_found(err);
    call->http_status = 204;
    return status;
}

const struct task task_news_list = {.name = "news_list", .parse = parse_list, .render = render_list};
const struct task task_news_get = {.name = "news_get", .parse = parse_one, .render = render_one};
const struct task task_news_delete = {.name = "news_delete", .parse = parse_delete, .render = render_delete};
