/* Reference-counted embedding tables. */
#include "core/ops/table.h"

#include <assert.h>

#include "core/base/mem.h"

static struct att_table *create(size_t rows, size_t cols)
{
    struct att_table *table = att_mem_calloc(1, sizeof *table);
    if (!table)
        return NULL;
    table->rows = rows;
    table->cols = cols;
    atomic_init(&table->refs, 1);
    return table;
}

struct att_table *att_table_create(size_t rows, size_t cols)
{
    size_t count;
    struct att_table *table = att_size_mul(rows, cols, &count) ? create(rows, cols) : NULL;
    if (table && !(table->data = att_mem_aligned(count, sizeof(float)))) {
        att_mem_free(table);
        return NULL;
    }
    return table;
}

enum att_status att_table_create_at(size_t rows, size_t cols, struct att_bulk_place *place,
                                    struct att_table **ret_table, struct att_err *err)
{
    size_t count, bytes;
    struct att_table *table =
        att_size_mul(rows, cols, &count) && att_size_mul(count, sizeof(float), &bytes) ? create(rows, cols) : NULL;
    if (!table)
        return att_err_set(err, ATT_ENOMEM, "out of memory for a [%zu,%zu] table", rows, cols);
    enum att_status status = att_bulk_create(&table->bulk, place, bytes, err);
    if (status != ATT_OK) {
        att_mem_free(table);
        return status;
    }
    table->data = table->bulk.data;
    *ret_table = table;
    return ATT_OK;
}

enum att_status att_table_seal(struct att_table *table, struct att_err *err)
{
    return att_bulk_seal(&table->bulk, err);
}

struct att_table *att_table_create_packed(size_t rows, size_t cols, const struct att_packing *packing)
{
    assert(cols % packing->values == 0 && ATT_ROW_CHUNK % packing->values == 0);
    size_t count;
    struct att_table *table = att_size_mul(rows, cols / packing->values, &count) ? create(rows, cols) : NULL;
    if (table && !(table->packed = att_mem_aligned(count, packing->bytes))) {
        att_mem_free(table);
        return NULL;
    }
    if (table)
        table->packing = *packing;
    return table;
}

struct att_table *att_table_ref(struct att_table *table)
{
    assert(table);
    atomic_fetch_add(&table->refs, 1);
    return table;
}

void att_table_unref(struct att_table *table)
{
    if (table && atomic_fetch_sub(&table->refs, 1) == 1) {
        if (table->bulk.data)
            att_bulk_finish(&table->bulk);
        else
            att_mem_free(table->data);
        att_mem_free(table->packed);
        att_mem_free(table);
    }
}

size_t att_table_bytes(const struct att_table *table)
{
    size_t row = table->data ? table->cols * sizeof(float) : table->cols / table->packing.values * table->packing.bytes;
    return table->rows * row;
}
