/*
 * A public-opinion report (舆情报告) over the news of a window: counted here, and
 * written as JSON, Markdown or one HTML page, in Chinese or English. Everything
 * follows from the set, the wish and the stored alerts; no clock, no random
 * number: the same window gives the same bytes.
 */
#ifndef NEWS_REPORT_H
#define NEWS_REPORT_H

#include "core/base/json.h"
#include "core/base/mem.h"
#include "news/series.h"

enum { NEWS_REPORT_TOP_MAX = 50, NEWS_REPORT_BUCKETS_MAX = 60, NEWS_REPORT_QUOTES_MAX = 3, NEWS_REPORT_SPREAD_MAX = 6 };
enum { NEWS_REPORT_ALERTS_SHOWN = 10 }; /* to people; JSON has all that were read */

struct news_wish {
    int64_t from_ms, to_ms; /* [from, to) */
    int offset_minutes;
    bool chinese;
    size_t top;                                  /* events, 1..NEWS_REPORT_TOP_MAX */
    const char *const *entities, *const *topics; /* only items that name one of them */
    size_t n_entities, n_topics;
};

/* What somebody wrote, with its attribution. */
struct news_quote {
    const char *text, *title, *source, *url, *id;
    int64_t time_ms;
    double polarity;
    signed char tone;
};

struct news_spread {
    const char *source;
    int64_t first_ms;
    size_t items;
};

struct news_event {
    int64_t seq;
    struct news_measure is; /* heat: the highest within the window */
    struct news_life life;
    struct news_quote first;          /* the earliest, be it before the window */
    const struct news_spread *spread; /* the first sources, in order of time */
    const struct news_quote *quotes;
    const char **entities;
    const double *heat; /* [n_buckets], at the end of each */
    size_t n_spread, n_quotes, n_entities;
};

/* An entity, a topic or a source. */
struct news_row {
    const char *id, *name, *more; /* more: a ticker, or "" */
    struct news_measure is;
    struct news_life life;
};

struct news_reason {
    const char *measure, *relation;
    double value, limit;
};

struct news_past_alert {
    int64_t seq, time_ms;
    const char *level, *rule, *kind, *name;
    const struct news_reason *reasons;
    size_t n_reasons;
};

struct news_report {
    const struct news_set *set;
    const struct news_wish *wish;
    size_t n_items, n_noise;    /* in the window and of the wish; noise beside them */
    struct news_measure is;     /* of all together */
    struct news_measure before; /* of the window of the same length before */
    size_t n_noise_before;
    bool before_is_cut;        /* not all of that one was read */
    const size_t *model_items; /* [set->models.n], of the window with its noise */
    int64_t bucket_ms;
    struct news_bucket buckets[NEWS_REPORT_BUCKETS_MAX];
    size_t n_buckets, n_all_events, n_all_entities, n_all_topics;
    struct news_event *events;
    struct news_row *entities, *topics, *sources;
    struct news_past_alert *alerts; /* the gravest first, then the latest */
    size_t n_events, n_entities, n_topics, n_sources, n_alerts, n_all_alerts;
};

/* Finds one item by its seq: calls visit when there is one. */
struct news_lookup {
    void *context;
    enum att_status (*item)(void *context, int64_t seq, bool (*visit)(void *, const struct store_news_item *),
                            void *visitor, struct att_err *err);
};
/* The lookup of a store. */
struct news_lookup news_lookup_store(struct store_news *store);

/* From when on items count: as long a time before the window as it is long, for comparison, and five half-lives, for
 * heat and life cycles; what is older has less than 3 % of its heat left. */
int64_t news_report_since(const struct news_wish *wish, const struct news_view *view);
/* Takes from the store what a report of the wish counts; where that is more than fits, the newest. */
enum att_status news_report_load(struct news_set *set, struct store_news *store, const struct news_wish *wish,
                                 struct att_err *err) ATT_MUST_USE;
/* The set holds what news_report_load takes. What the report points to lies in `arena`, in the set and in the wish. */
enum att_status news_report_build(const struct news_set *set, const struct news_wish *wish,
                                  const struct news_lookup *lookup, struct att_arena *arena,
                                  struct news_report *ret_report, struct att_err *err) ATT_MUST_USE;
/* Adds the alerts that the store has of the window. */
enum att_status news_report_add_alerts(struct news_report *report, struct store_news *store, struct att_arena *arena,
                                       struct att_err *err) ATT_MUST_USE;

void news_report_json(const struct news_report *report, struct att_jsonw *w);
/* These two write plain text into the same buffer. */
void news_report_markdown(const struct news_report *report, struct att_jsonw *w);
void news_report_html(const struct news_report *report, struct att_jsonw *w);

#endif
