/* Two days of made-up news: three events, four sources, two languages, one item that is noise and one that is hostile.
 */
#ifndef NEWS_FIXTURE_H
#define NEWS_FIXTURE_H

#include <math.h>

#include "news/report.h"
#include "news/time.h"

/* Friday 2026-11-20, 00:00 UTC. */
static const int64_t day_begin = 1795132800000, hour_ms = 3600000;

#define ACME                                                                                                           \
    "{\"id\":\"acme\",\"name\":\"Acme Corp\",\"type\":\"company\",\"ticker\":\"ACME\",\"mentions\":1,\"polarity\":"
#define MOUTAI                                                                                                         \
    "{\"id\":\"600519.SH\",\"name\":\"贵州茅台\",\"type\":\"company\",\"ticker\":\"600519.SH\",\"mentions\":1,"    \
    "\"polarity\":"
#define TOPIC(name) "[{\"label\":\"" name "\",\"score\":0.9},{\"label\":\"other\",\"score\":0.1}]"
#define DIGEST "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* Hours after day_begin, cluster, source, engagement, polarity, … */
static const struct {
    int hour;
    int64_t cluster;
    const char *source, *url, *title, *text, *topics, *entities;
    double engagement, polarity, noise, importance;
    size_t evidence_start, evidence_end;
} stories[] = {
    {-30, 1, "Old Gazette", "https://old.example/1", "Acme audit begins", "Acme audit begins.", TOPIC("legal"),
     "[" ACME "-0.2}]", 0, -0.2, 0, 0.3, 0, 0},
    {1, 2, "Wire", "https://wire.example/2", "Acme recalls 2,000 pumps",
     "Acme said on Friday it recalls 2,000 pumps. Two people were hurt.", TOPIC("recall"), "[" ACME "-0.8}]", 9, -0.8,
     0, 0.9, 44, 65},
    {2, 2, "Daily", "https://daily.example/3", "Acme recalls pumps after accidents",
     "Acme recalls 2,000 pumps. Shares fall.", TOPIC("recall"), "[" ACME "-0.7}]", 99, -0.7, 0, 0.8, 26, 38},
    {3, 2, "论坛", "https://bbs.example/4", "Acme 召回两千台水泵", "Acme 召回两千台水泵，有人受伤。", TOPIC("recall"),
     "[" ACME "-0.9}]", 999, -0.9, 0, 0.7, 0, 0},
    {4, 5, "Wire", "https://wire.example/5", "贵州茅台发布三季报", "贵州茅台公布三季报，净利润同比增长。",
     TOPIC("earnings"), "[" MOUTAI "0.8}]", 0, 0.8, 0, 0.6, 0, 0},
    {6, 6, "论坛", "javascript:alert(1)", "<script>alert('x')</script> | **bold** & \"quotes\"",
     "<img src=x onerror=alert(1)> ]]> --> {{0}}", TOPIC("<b>"), "[]", 0, 0.0, 0, 0.1, 0, 0},
    {7, 7, "Spam", "https://spam.example/7", "Win a prize", "Win a prize now!", TOPIC("other"), "[]", 0, 0.1, 0.97, 0.0,
     0, 0},
    {30, 5, "Daily", "https://daily.example/8", "Moutai profit rises", "Moutai's profit rises in the third quarter.",
     TOPIC("earnings"), "[" MOUTAI "0.6}]", 0, 0.6, 0, 0.5, 0, 0},
};

enum { N_STORIES = sizeof stories / sizeof stories[0] };

static struct store_news_item fixture_item(size_t i)
{
    return (struct store_news_item){
        .seq = (int64_t)i + 1,
        .id = "item",
        .source = stories[i].source,
        .url = stories[i].url,
        .title = stories[i].title,
        .text = stories[i].text,
        .lang = "",
        .time_ms = day_begin + stories[i].hour * hour_ms,
        .engagement = stories[i].engagement,
        .engagement_parts = "{}",
        .analysed = true,
        .model = "finance",
        .model_digest = DIGEST,
        .sentiment = stories[i].polarity > 0.3    ? "bullish"
                     : stories[i].polarity < -0.1 ? "bearish"
                                                  : "neutral",
        .polarity = stories[i].polarity,
        .topics = stories[i].topics,
        .entities = stories[i].entities,
        .noise = stories[i].noise,
        .importance = stories[i].importance,
        .evidence_start = stories[i].evidence_start,
        .evidence_end = stories[i].evidence_end,
        .cluster = stories[i].cluster,
    };
}

static inline enum att_status fixture_look_up(void *context, int64_t seq,
                                              bool (*visit)(void *, const struct store_news_item *), void *visitor,
                                              struct att_err *err)
{
    (void)context;
    (void)err;
    if (seq >= 1 && seq <= N_STORIES) {
        struct store_news_item item = fixture_item((size_t)seq - 1);
        visit(visitor, &item);
    }
    return ATT_OK;
}

static const struct news_view fixture_view = {.half_life_ms = 24 * 3600000, .noise_min = 0.5};

static enum att_status fixture_fill(struct news_set *set, struct att_err *err)
{
    enum att_status status = ATT_OK;
    news_set_init(set, &fixture_view, 1000);
    for (size_t i = 0; status == ATT_OK && i < N_STORIES; i++) {
        struct store_news_item item = fixture_item(i);
        status = news_set_add(set, &item, err);
    }
    return status;
}

#endif
