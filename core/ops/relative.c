/* Buckets: one for each small distance, then logarithmic ones up to max_distance, in f32 as the reference. */
#include "core/ops/relative.h"

#include <assert.h>
#include <math.h>

size_t att_relative_bucket(ptrdiff_t distance, bool both_ways, size_t n_buckets, size_t max_distance)
{
    size_t first = 0, away;
    if (both_ways) {
        n_buckets /= 2;
        first = distance > 0 ? n_buckets : 0;
        away = (size_t)(distance > 0 ? distance : -distance);
    } else {
        away = distance < 0 ? (size_t)-distance : 0;
    }
    size_t exact = n_buckets / 2;
    if (away < exact)
        return first + away;
    float scale = (float)log((double)max_distance / (double)exact);
    float large = logf((float)away / (float)exact) / scale * (float)(n_buckets - exact);
    size_t bucket = exact + (size_t)large;
    return first + (bucket < n_buckets ? bucket : n_buckets - 1);
}

void att_relative_bias(const struct att_table *table, bool both_ways, size_t n_buckets, size_t max_distance,
                       size_t n_key, float *room, struct att_mha_bias *bias)
{
    size_t heads = table->cols, distances = 2 * n_key;
    assert(table->rows >= n_buckets);
    for (size_t i = 0; i < distances; i++) {
        ptrdiff_t distance = (ptrdiff_t)i - (ptrdiff_t)n_key;
        const float *row = table->data + att_relative_bucket(distance, both_ways, n_buckets, max_distance) * heads;
        for (size_t h = 0; h < heads; h++)
            room[h * distances + i] = row[h];
    }
    *bias = (struct att_mha_bias){.by_distance = room, .distances = distances, .origin = n_key};
}
