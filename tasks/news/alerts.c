/*
 * GET /v1/alerts: the stored alerts, by their numbers.
 *
 *   ?order=arrival  from the first one on, or newest: from the last one back
 *   &after=N        numbers above N; of arrival, last_id of the page before
 *   &before=N       numbers below N; of newest, last_id of the page before
 *   &limit=50       at most so many
 *   &level=orange   this level and graver ones
 *
 * What is written here, GET /v1/stream sends and webhooks get.
 */
#include <string.h>

#include "news/alert.h"
#include "store/news.h"
#include "tasks/encode.h"

enum { LIMIT_DEFAULT = 50, LIMIT_MAX = 1000 };

struct alerts_call {
    int64_t after, before, limit, last;
    bool newest_first;
    size_t least; /* level */
    struct att_jsonw *answer;
    int64_t count;
    bool more;
};

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    static const char *const names[] = {"order", "after", "before", "limit", "level", NULL};
    static const char *const orders[] = {"arrival", "newest", NULL};
    static const char *const levels[] = {"blue", "yellow", "orange", "red", NULL}; /* as enum news_level */
    struct alerts_call *alerts = task_alloc(call, 1, sizeof *alerts, err);
    (void)body;
    if (!alerts)
        return err->status;
    call->state = alerts;
    call->reads = true;
    alerts->limit = LIMIT_DEFAULT;
    alerts->before = INT64_MAX;
    size_t order = 0;
    if (!call->env->news)
        return att_err_set(err, ATT_ENOTFOUND, "no news store is configured; [news] path names its file");
    enum att_status status = task_query_known(call, names, err);
    if (status == ATT_OK)
        status = task_query_int(call, "after", 0, INT64_C(1) << 53, &alerts->after, err);
    if (status == ATT_OK)
        status = task_query_int(call, "before", 1, INT64_C(1) << 53, &alerts->before, err);
    if (status == ATT_OK)
        status = task_query_enum(call, "order", orders, &order, err);
    alerts->newest_first = order == 1;
    if (status == ATT_OK)
        status = task_query_int(call, "limit", 1, LIMIT_MAX, &alerts->limit, err);
    return status == ATT_OK ? task_query_enum(call, "level", levels, &alerts->least, err) : status;
}

static bool put_alert(void *context, const struct store_news_alert *alert)
{
    struct alerts_call *alerts = context;
    enum news_level level;
    if (alerts->newest_first ? alert->seq <= alerts->after : alert->seq >= alerts->before)
        return false;
    if (!news_level_parse(alert->level, strlen(alert->level), &level) || (size_t)level < alerts->least)
        return true;
    if (alerts->count == alerts->limit) {
        alerts->more = true;
        return false;
    }
    news_alert_write(alert, alerts->answer);
    alerts->count++;
    alerts->last = alert->seq;
    return true;
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    struct alerts_call *alerts = call->state;
    alerts->answer = answer;
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "object", "list");
    att_jsonw_key(answer, "data");
    att_jsonw_array_begin(answer);
    struct store_news *store = call->env->news->store;
    enum att_status status = alerts->newest_first
                                 ? store_news_alerts_scan_back(store, alerts->before, INT64_MAX, put_alert, alerts, err)
                                 : store_news_alerts_scan(store, alerts->after, INT64_MAX, put_alert, alerts, err);
    att_jsonw_array_end(answer);
    att_jsonw_put_bool(answer, "has_more", alerts->more);
    att_jsonw_key(answer, "last_id");
    if (alerts->count > 0)
        att_jsonw_int(answer, alerts->last);
    else
        att_jsonw_null(answer);
    att_jsonw_object_end(answer);
    return status;
}

const struct task task_alerts = {.name = "alerts", .parse = parse, .render = render};
