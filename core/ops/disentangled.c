/* Products straight from the tables; buckets in f32 as the reference. */
#include "core/ops/disentangled.h"

#include <math.h>

#include "core/kern/kern.h"

size_t att_relative_row(const struct att_relative_rows *rows, ptrdiff_t distance)
{
    ptrdiff_t span = (ptrdiff_t)rows->span, mid = (ptrdiff_t)rows->buckets / 2, bucket = distance;
    ptrdiff_t away = distance < 0 ? -distance : distance;
    if (rows->buckets > 0 && away > mid) {
        float part = logf((float)away / (float)mid) / logf((float)(rows->max_distance - 1) / (float)mid);
        bucket = (ptrdiff_t)ceilf(part * (float)(mid - 1)) + mid;
        bucket = distance < 0 ? -bucket : bucket;
    }
    bucket += span;
    return (size_t)(bucket < 0 ? 0 : bucket > 2 * span - 1 ? 2 * span - 1 : bucket);
}

void att_disentangled_fill(void *context, size_t seq, size_t head, size_t first, size_t n_query, size_t n_key,
                           float *bias)
{
    const struct att_disentangled *d = context;
    const struct att_table *keys = d->position_key, *queries = d->position_query;
    size_t dim = d->head_dim, column = head * dim, begin = d->cu_seqlens[seq];
    float (*dot)(size_t, const float *, const float *) = att_kern()->rows->dot;
    for (size_t i = 0; i < n_query; i++)
        for (size_t j = 0; j < n_key; j++) {
            size_t row = att_relative_row(d->relative, (ptrdiff_t)(first + i) - (ptrdiff_t)j);
            const float *query = d->query + (begin + first + i) * d->ld + column;
            const float *key = d->key + (begin + j) * d->ld + column;
            float sum = 0;
            if (keys)
                sum += dot(dim, query, keys->data + row * keys->cols + column);
            if (queries)
                sum += dot(dim, key, queries->data + row * queries->cols + column);
            bias[i * n_key + j] = sum * d->scale;
        }
}
