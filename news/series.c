/* Members ascend in time as buckets do, so one walk fills them; heat decays from bucket to bucket. */
#include "news/series.h"

#include <math.h>

#include "news/time.h"

bool news_buckets_make(int64_t from_ms, int64_t to_ms, int64_t length_ms, int offset_minutes,
                       struct news_bucket *buckets, size_t max, size_t *ret_count)
{
    size_t n = 0;
    for (int64_t begin = news_time_floor(from_ms, length_ms, offset_minutes); begin < to_ms; begin += length_ms) {
        if (n == max)
            return false;
        buckets[n++] = (struct news_bucket){.begin_ms = begin < from_ms ? from_ms : begin,
                                            .end_ms = begin + length_ms > to_ms ? to_ms : begin + length_ms};
    }
    *ret_count = n;
    return true;
}

void news_buckets_fill(struct news_bucket *buckets, size_t n, const struct news_member *members, size_t n_members,
                       int64_t half_life_ms)
{
    double heat = 0;
    size_t at = 0;
    for (; n > 0 && at < n_members && members[at].time_ms < buckets[0].begin_ms; at++) {
        struct news_point point = {members[at].time_ms, members[at].weight};
        heat += news_heat(&point, 1, buckets[0].begin_ms, half_life_ms);
    }
    for (size_t i = 0; i < n; i++) {
        struct news_bucket *bucket = &buckets[i];
        double sum = 0;
        heat *= exp2(-(double)(bucket->end_ms - bucket->begin_ms) / (double)half_life_ms);
        for (; at < n_members && members[at].time_ms < bucket->end_ms; at++) {
            struct news_point point = {members[at].time_ms, members[at].weight};
            bucket->items++;
            bucket->tones[members[at].tone + 1]++;
            sum += members[at].polarity;
            heat += news_heat(&point, 1, bucket->end_ms, half_life_ms);
        }
        bucket->polarity = bucket->items ? sum / (double)bucket->items : 0;
        bucket->heat = heat;
    }
}
