/* Time series of a group: what fell into each hour or day, and the heat at its end. Pure functions. */
#ifndef NEWS_SERIES_H
#define NEWS_SERIES_H

#include "news/group.h"

enum { NEWS_BUCKETS_MAX = 2000 };

struct news_bucket {
    int64_t begin_ms, end_ms;
    size_t items, tones[3]; /* negative, neutral, positive */
    double polarity;        /* mean; 0 when empty */
    double heat;            /* at end_ms, of the group's items up to then */
};

/* The buckets of [from, to), cut at both ends; *ret_count. False: more than `max`. */
bool news_buckets_make(int64_t from_ms, int64_t to_ms, int64_t length_ms, int offset_minutes,
                       struct news_bucket *buckets, size_t max, size_t *ret_count);
/* Fills what make left zero. Members ascend in time; of those before the first bucket only the heat counts. */
void news_buckets_fill(struct news_bucket *buckets, size_t n, const struct news_member *members, size_t n_members,
                       int64_t half_life_ms);

#endif
