/* Row lookups; additions are the row kernels'. */
#include "core/ops/embedding.h"

#include <assert.h>

#include "core/kern/kern.h"

void att_embedding_set(const struct att_table *table, size_t n_tokens, const int32_t *ids, float scale, float *y)
{
    const struct att_rows *rows = att_kern()->rows;
    for (size_t t = 0; t < n_tokens; t++) {
        assert(ids[t] >= 0 && (size_t)ids[t] < table->rows);
        rows->scale(table->cols, table->data + (size_t)ids[t] * table->cols, scale, y + t * table->cols);
    }
}

void att_embedding_add(const struct att_table *table, size_t n_tokens, const int32_t *ids, float *y)
{
    const struct att_rows *rows = att_kern()->rows;
    for (size_t t = 0; t < n_tokens; t++) {
        size_t id = ids ? (size_t)ids[t] : 0;
        assert(id < table->rows);
        rows->add(table->cols, table->data + id * table->cols, y + t * table->cols);
    }
}

void att_embedding_add_positions(const struct att_table *table, const uint32_t *cu_seqlens, size_t n_seqs, size_t first,
                                 float *y)
{
    const struct att_rows *rows = att_kern()->rows;
    for (size_t s = 0; s < n_seqs; s++)
        for (size_t t = cu_seqlens[s]; t < cu_seqlens[s + 1]; t++) {
            size_t position = first + (t - cu_seqlens[s]);
            assert(position < table->rows);
            rows->add(table->cols, table->data + position * table->cols, y + t * table->cols);
        }
}
