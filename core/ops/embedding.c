/* Row lookups; additions are the row kernels'. Words may be packed, positions are f32. */
#include "core/ops/embedding.h"

#include <assert.h>
#include <math.h>

#include "core/kern/kern.h"

/* Columns column .. column + *n of a row: in the table, or widened into `wide`. */
static const float *row_part(const struct att_table *table, size_t row, size_t column, float *wide, size_t *n)
{
    const struct att_packing *packing = &table->packing;
    if (table->data) {
        *n = table->cols;
        return table->data + row * table->cols;
    }
    *n = table->cols - column < ATT_ROW_CHUNK ? table->cols - column : ATT_ROW_CHUNK;
    size_t block = (row * table->cols + column) / packing->values;
    packing->widen(table->packed + block * packing->bytes, *n / packing->values, wide);
    return wide;
}

void att_embedding_set(const struct att_table *table, size_t n_tokens, const int32_t *ids, float scale, float *y)
{
    const struct att_rows *rows = att_kern()->rows;
    float wide[ATT_ROW_CHUNK];
    for (size_t t = 0; t < n_tokens; t++) {
        assert(ids[t] >= 0 && (size_t)ids[t] < table->rows);
        for (size_t column = 0, n; column < table->cols; column += n) {
            const float *part = row_part(table, (size_t)ids[t], column, wide, &n);
            rows->scale(n, part, scale, y + t * table->cols + column);
        }
    }
}

void att_embedding_add(const struct att_table *table, size_t n_tokens, const int32_t *ids, float *y)
{
    const struct att_rows *rows = att_kern()->rows;
    float wide[ATT_ROW_CHUNK];
    for (size_t t = 0; t < n_tokens; t++) {
        size_t id = ids ? (size_t)ids[t] : 0;
        assert(id < table->rows);
        for (size_t column = 0, n; column < table->cols; column += n) {
            const float *part = row_part(table, id, column, wide, &n);
            rows->add(n, part, y + t * table->cols + column);
        }
    }
}

static size_t first_of(const struct att_positions *positions, size_t seq)
{
    return positions->first + (positions->offsets ? positions->offsets[seq] : 0);
}

void att_embedding_add_positions(const struct att_table *table, const struct att_positions *positions, float *y)
{
    const struct att_rows *rows = att_kern()->rows;
    const uint32_t *cu = positions->cu_seqlens;
    for (size_t s = 0; s < positions->n_seqs; s++)
        for (size_t t = cu[s]; t < cu[s + 1]; t++) {
            size_t position = first_of(positions, s) + (t - cu[s]);
            assert(position < table->rows);
            rows->add(table->cols, table->data + position * table->cols, y + t * table->cols);
        }
}

void att_embedding_add_counted_positions(const struct att_table *table, const uint32_t *cu_seqlens, size_t n_seqs,
                                         const int32_t *ids, int32_t pad_id, float *y)
{
    const struct att_rows *rows = att_kern()->rows;
    for (size_t s = 0; s < n_seqs; s++) {
        size_t count = 0;
        for (size_t t = cu_seqlens[s]; t < cu_seqlens[s + 1]; t++) {
            count += ids[t] != pad_id;
            size_t position = (size_t)pad_id + (ids[t] != pad_id ? count : 0);
            assert(position < table->rows);
            rows->add(table->cols, table->data + position * table->cols, y + t * table->cols);
        }
    }
}

void att_embedding_add_sinusoids(const struct att_positions *positions, size_t n, bool interleaved, float *y)
{
    const uint32_t *cu = positions->cu_seqlens;
    for (size_t s = 0; s < positions->n_seqs; s++)
        for (size_t t = cu[s]; t < cu[s + 1]; t++) {
            double position = (double)(first_of(positions, s) + (t - cu[s]));
            for (size_t i = 0; i < n; i++) {
                size_t half = (n + 1) / 2, pair = interleaved ? i / 2 : i % half;
                bool sine = interleaved ? i % 2 == 0 : i < half;
                double angle = position / pow(10000, 2.0 * (double)pair / (double)n);
                y[t * n + i] += (float)(sine ? sin(angle) : cos(angle));
            }
        }
}
