/*
 * A set of news: the facts of many items that heat, trends, alerts and reports
 * are computed from, without their texts. Some 100 bytes an item, so that the
 * items of a month fit memory; who wants to show one looks it up by its seq.
 */
#ifndef NEWS_SET_H
#define NEWS_SET_H

#include <stdbool.h>

#include "news/heat.h"
#include "news/weights.h"
#include "store/news.h"

enum { NEWS_TITLE_BYTES = 128 }; /* of a text without a title */

struct news_mention {
    uint32_t entity;
    signed char tone;
    float polarity;
};

struct news_fact {
    int64_t seq, time_ms, event; /* event: seq of the first item of the cluster */
    double weight, polarity;     /* news_weight; 0 when nothing was classified */
    float importance, relevance; /* importance < 0: unknown */
    uint32_t source, model;      /* model: NEWS_NAMES_NONE when none classified it */
    uint32_t first_topic, first_mention;
    unsigned short n_topics, n_mentions;
    signed char tone; /* -1 negative, 0 neutral, 1 positive */
    bool noise;       /* counted, but in nothing else */
};

/* How news are judged. */
struct news_view {
    int64_t half_life_ms;
    double noise_min;            /* from this noise on an item is noise */
    int64_t near_ms;             /* items further apart in time are no near-duplicates; */
    double near_min;             /* from this similarity on they are. Of items that no store has compared */
    struct news_weights weights; /* of sources */
};

/* What [news] says where it says nothing. */
extern const struct news_view news_view_default;

struct news_set {
    const struct news_view *view;
    size_t items_max;
    struct news_fact *facts;
    size_t n, capacity, n_noise;
    uint32_t *topics;
    size_t n_topics, topics_capacity;
    struct news_mention *mentions;
    size_t n_mentions, mentions_capacity;
    struct news_names source_names, topic_names, entity_names;
    struct news_names models; /* key: digest, title: name of what classified */
    bool full;                /* items_max was reached: further ones were left out */
};

void news_set_init(struct news_set *set, const struct news_view *view, size_t items_max);
void news_set_finish(struct news_set *set);
/* Takes an item as the store has it. */
enum att_status news_set_add(struct news_set *set, const struct store_news_item *item,
                             struct att_err *err) ATT_MUST_USE;
/* Takes what the store has for the filter; one that is over items_max only marks the set as full. */
enum att_status news_set_load(struct news_set *set, struct store_news *store, const struct store_news_filter *filter,
                              struct att_err *err) ATT_MUST_USE;
/* What an item is called: its title, else how its text begins. */
void news_item_title(const struct store_news_item *item, char out[NEWS_TITLE_BYTES]);
/* Of a label ("negative", "bearish", "利空", …), else of the polarity: beyond a third of its range. */
signed char news_tone(const char *label, double polarity);

#endif
