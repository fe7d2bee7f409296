/* Products of embeddings, kept; see projected.h. */
#include "core/ops/projected.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/kern/kern.h"
#include "core/ops/embedding.h"

struct att_projected {
    struct att_projected_parts parts;
    struct att_linear unbiased;           /* the layer without its bias; the weights stay the layer's */
    size_t n, k, row_bytes;               /* of a word's row: f32, or bfloat16 where results are */
    size_t n_positions, n_segments;       /* rows */
    float *positions, *segments, *offset; /* offset: W·β + b */
    /* Words. A row is written once, by whoever takes its place, and read after `kept` says so. Two threads that meet
     * the same word at the same time may both take a place: one row is lost then, and nothing else. */
    _Atomic uint32_t *kept; /* [words] place + 1, or 0 */
    char *rows;             /* [places] */
    size_t n_places;
    atomic_size_t n_taken; /* may exceed n_places */
};

/* What the layer reads of a row of a table: γ·(x - mean of x). */
static void put_input(const struct att_projected *projected, const struct att_table *table, int32_t id, float *x)
{
    const size_t k = projected->k;
    att_embedding_set(table, 1, &id, 1.0f, x);
    double sum = 0; /* a large mean would take the last bits of what is left */
    for (size_t i = 0; i < k; i++)
        sum += (double)x[i];
    const float mean = (float)(sum / (double)k);
    for (size_t i = 0; i < k; i++)
        x[i] = projected->parts.norm->weight[i] * (x[i] - mean);
}

/* Rows of a table through the layer. */
static void multiply(const struct att_projected *projected, struct att_team *team, const struct att_table *table,
                     float *input, float *y)
{
    const size_t n = projected->n, k = projected->k, m = table->rows;
    for (size_t i = 0; i < m; i++)
        put_input(projected, table, (int32_t)i, input + i * k);
    att_linear_run(team, &projected->unbiased, m, input, k, y, n, ATT_ACT_NONE, NULL, 0);
}

static enum att_status multiply_tables(struct att_projected *projected, struct att_err *err)
{
    const struct att_projected_parts *parts = &projected->parts;
    const size_t n = projected->n, k = projected->k, space_bytes = att_linear_space(parts->linear);
    const size_t most = projected->n_positions > projected->n_segments ? projected->n_positions : projected->n_segments;
    void *space = space_bytes ? att_mem_aligned(space_bytes, 1) : NULL;
    float *input = att_mem_aligned(most * k, sizeof *input);
    enum att_status status = ATT_OK;
    if (input && (space || !space_bytes)) {
        struct att_team alone = att_team_alone(space);
        multiply(projected, &alone, parts->position, input, projected->positions);
        if (parts->segment)
            multiply(projected, &alone, parts->segment, input, projected->segments);
        att_linear_run(&alone, parts->linear, 1, parts->norm->bias, k, projected->offset, n, ATT_ACT_NONE, NULL, 0);
    } else {
        status = att_err_set(err, ATT_ENOMEM, "out of memory for projected positions");
    }
    att_mem_free(input);
    att_mem_free(space);
    return status;
}

enum att_status att_projected_create(const struct att_projected_parts *parts, struct att_projected **ret_projected,
                                     struct att_err *err)
{
    assert(parts->word->cols == parts->linear->k && parts->position->cols == parts->linear->k);
    assert(!parts->rounded || parts->linear->gemm->rounds);
    struct att_projected *made = att_mem_calloc(1, sizeof *made);
    if (!made)
        return att_err_set(err, ATT_ENOMEM, "out of memory for projected words");
    const size_t words = parts->word->rows, n = parts->linear->n;
    made->parts = *parts;
    made->unbiased = *parts->linear;
    made->unbiased.bias = NULL;
    made->n = n;
    made->k = parts->linear->k;
    made->row_bytes = n * (parts->rounded ? sizeof(uint16_t) : sizeof(float));
    made->n_positions = parts->position->rows;
    made->n_segments = parts->segment ? parts->segment->rows : 1;
    made->n_places =
        ATT_PROJECTED_WORDS_BYTES / made->row_bytes < words ? ATT_PROJECTED_WORDS_BYTES / made->row_bytes : words;
    made->positions = att_mem_aligned(made->n_positions * n, sizeof(float));
    made->segments = att_mem_aligned(made->n_segments * n, sizeof(float));
    made->offset = att_mem_aligned(n, sizeof(float));
    made->kept = att_mem_calloc(words, sizeof *made->kept);
    made->rows = att_mem_map(ATT_PROJECTED_WORDS_BYTES);
    enum att_status status = made->positions && made->segments && made->offset && made->kept && made->rows
                                 ? multiply_tables(made, err)
                                 : att_err_set(err, ATT_ENOMEM, "out of memory for projected words");
    if (status == ATT_OK)
        *ret_projected = made;
    else
        att_projected_destroy(made);
    return status;
}

void att_projected_destroy(struct att_projected *projected)
{
    if (!projected)
        return;
    att_mem_unmap(projected->rows, ATT_PROJECTED_WORDS_BYTES);
    att_mem_free(projected->kept);
    att_mem_free(projected->offset);
    att_mem_free(projected->segments);
    att_mem_free(projected->positions);
    att_mem_free(projected);
}

size_t att_projected_bytes(const struct att_projected *projected)
{
    const size_t n = projected->n, words = projected->parts.word->rows;
    return (projected->n_positions + projected->n_segments + 1) * n * sizeof(float) + words * sizeof *projected->kept;
}

/* The row of a word that was kept, or NULL. */
static const void *find(struct att_projected *projected, int32_t id)
{
    assert(id >= 0 && (size_t)id < projected->parts.word->rows);
    const uint32_t place = atomic_load_explicit(&projected->kept[id], memory_order_acquire);
    return place > 0 ? projected->rows + (place - 1) * projected->row_bytes : NULL;
}

static void keep(struct att_projected *projected, int32_t id, const void *row)
{
    if (find(projected, id) || atomic_load_explicit(&projected->n_taken, memory_order_relaxed) >= projected->n_places)
        return;
    const size_t place = atomic_fetch_add_explicit(&projected->n_taken, 1, memory_order_relaxed);
    if (place >= projected->n_places)
        return;
    memcpy(projected->rows + place * projected->row_bytes, row, projected->row_bytes);
    atomic_store_explicit(&projected->kept[id], (uint32_t)place + 1, memory_order_release);
}

/* call->rows for words that are not kept: multiplied, and kept where there is room. */
static void multiply_words(struct att_projected *projected, struct att_team *team,
                           const struct att_projected_call *call, size_t n_new)
{
    const size_t n = projected->n, k = projected->k;
    float *input = call->input;
    char *row = call->products;
    for (size_t t = 0; t < call->m; t++)
        if (!call->rows[t]) {
            put_input(projected, projected->parts.word, call->ids[t], input);
            input += k;
        }
    const bool rounded = projected->parts.rounded;
    const struct att_linear_call product = {.linear = &projected->unbiased,
                                            .m = n_new,
                                            .x = call->input,
                                            .ldx = k,
                                            .y = rounded ? NULL : call->products,
                                            .ldy = n,
                                            .rounded = rounded ? call->products : NULL,
                                            .ld_rounded = n};
    att_linear_run_call(team, &product);
    for (size_t t = 0; t < call->m; t++)
        if (!call->rows[t]) {
            call->rows[t] = row;
            keep(projected, call->ids[t], row);
            row += projected->row_bytes;
        }
}

void att_projected_run(struct att_projected *projected, struct att_team *team, const struct att_projected_call *call)
{
    const struct att_rows *kern = att_kern()->rows;
    const size_t n = projected->n;
    size_t n_new = 0;
    for (size_t t = 0; t < call->m; t++) {
        call->rows[t] = find(projected, call->ids[t]);
        n_new += call->rows[t] == NULL;
    }
    if (n_new > 0)
        multiply_words(projected, team, call, n_new);
    for (size_t t = 0; t < call->m; t++) {
        assert(call->positions[t] >= 0 && (size_t)call->positions[t] < projected->n_positions);
        const float *position = projected->positions + (size_t)call->positions[t] * n;
        const size_t type = call->type_ids && projected->parts.segment ? (size_t)call->type_ids[t] : 0;
        assert(type < projected->n_segments);
        const float *segment = projected->segments + type * n;
        if (projected->parts.rounded)
            kern->scaled_sum_rounded(n, call->rows[t], position, segment, call->scales[t], projected->offset,
                                     (uint16_t *)call->y + t * n);
        else
            kern->scaled_sum(n, call->rows[t], position, segment, call->scales[t], projected->offset,
                             (float *)call->y + t * n);
    }
}
