/* Row lookups; additions are the row kernels'. Words may be packed, positions are f32. */
#include "core/ops/embedding.h"

#include <assert.h>
#include <math.h>

#include "core/kern/kern.h"

enum { AHEAD = 4, LINE = 16 }; /* tokens; floats of a cache line */

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

/* Rows of a large table lie anywhere in memory: they are fetched a few tokens ahead. */
static void fetch_row(const struct att_table *table, const int32_t *ids, size_t t, size_t n_tokens)
{
    if (t >= n_tokens || !table->data)
        return;
    assert(ids[t] >= 0 && (size_t)ids[t] < table->rows);
    const float *row = table->data + (size_t)ids[t] * table->cols;
    for (size_t i = 0; i < table->cols; i += LINE)
        __builtin_prefetch(row + i);
}

void att_embedding_set(const struct att_table *table, size_t n_tokens, const int32_t *ids, float scale, float *y)
{
    const struct att_rows *rows = att_kern()->rows;
    float wide[ATT_ROW_CHUNK];
    for (size_t t = 0; t < AHEAD; t++)
        fetch_row(table, ids, t, n_tokens);
    for (size_t t = 0; t < n_tokens; t++) {
        assert(ids[t] >= 0 && (size_t)ids[t] < table->rows);
        fetch_row(table, ids, t + AHEAD, n_tokens);
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

/* The tokens of a sequence that are asked for. */
static void part_of(const struct att_positions *positions, size_t seq, size_t *ret_begin, size_t *ret_end)
{
    size_t begin = positions->cu_seqlens[seq], end = positions->cu_seqlens[seq + 1];
    if (positions->end > 0) {
        begin = positions->begin > begin ? positions->begin : begin;
        end = positions->end < end ? positions->end : end;
    }
    *ret_begin = begin;
    *ret_end = end;
}

static size_t position_of(const struct att_positions *positions, size_t seq, size_t t)
{
    return first_of(positions, seq) + (t - positions->cu_seqlens[seq]);
}

void att_embedding_add_positions(const struct att_table *table, const struct att_positions *positions, float *y)
{
    const struct att_rows *rows = att_kern()->rows;
    for (size_t s = 0; s < positions->n_seqs; s++) {
        size_t begin, end;
        part_of(positions, s, &begin, &end);
        for (size_t t = begin; t < end; t++) {
            size_t position = position_of(positions, s, t);
            assert(position < table->rows);
            rows->add(table->cols, table->data + position * table->cols, y + t * table->cols);
        }
    }
}

void att_positions_set(const struct att_positions *positions, int32_t *rows)
{
    for (size_t s = 0; s < positions->n_seqs; s++) {
        size_t begin, end;
        part_of(positions, s, &begin, &end);
        for (size_t t = begin; t < end; t++)
            rows[t] = (int32_t)position_of(positions, s, t);
    }
}

void att_positions_set_counted(const struct att_positions *positions, const int32_t *ids, int32_t pad_id, int32_t *rows)
{
    for (size_t s = 0; s < positions->n_seqs; s++) {
        size_t begin, end;
        int32_t count = 0;
        part_of(positions, s, &begin, &end);
        for (size_t t = positions->cu_seqlens[s]; t < end; t++) {
            count += ids[t] != pad_id;
            if (t >= begin)
                rows[t] = pad_id + (ids[t] != pad_id ? count : 0);
        }
    }
}

void att_embedding_add_sinusoids(const struct att_positions *positions, size_t n, bool interleaved, float *y)
{
    for (size_t s = 0; s < positions->n_seqs; s++) {
        size_t begin, end;
        part_of(positions, s, &begin, &end);
        for (size_t t = begin; t < end; t++) {
            double position = (double)position_of(positions, s, t);
            for (size_t i = 0; i < n; i++) {
                size_t half = (n + 1) / 2, pair = interleaved ? i / 2 : i % half;
                bool sine = interleaved ? i % 2 == 0 : i < half;
                double angle = position / pow(10000, 2.0 * (double)pair / (double)n);
                y[t * n + i] += (float)(sine ? sin(angle) : cos(angle));
            }
        }
    }
}
