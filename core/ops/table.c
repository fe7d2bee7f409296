/* Reference-counted embedding tables. */
#include "core/ops/table.h"

#include <assert.h>

#include "core/base/mem.h"

struct att_table *att_table_create(size_t rows, size_t cols)
{
    size_t count;
    struct att_table *table = att_mem_calloc(1, sizeof *table);
    if (!table || !att_size_mul(rows, cols, &count))
        goto fail;
    table->data = att_mem_aligned(count, sizeof(float));
    if (!table->data)
        goto fail;
    table->rows = rows;
    table->cols = cols;
    atomic_init(&table->refs, 1);
    return table;
fail:
    att_mem_free(table);
    return NULL;
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
        att_mem_free(table->data);
        att_mem_free(table);
    }
}
