/*
 * An embedding table: rows of f32, counted by references, so that models over
 * one encoder share it. Read-only once shared.
 */
#ifndef ATT_OPS_TABLE_H
#define ATT_OPS_TABLE_H

#include <stdatomic.h>
#include <stddef.h>

#include "core/base/status.h"

struct att_table {
    size_t rows, cols;
    float *data; /* [rows][cols] */
    atomic_size_t refs;
};

/* NULL when memory is out. One reference. */
struct att_table *att_table_create(size_t rows, size_t cols) ATT_MUST_USE;
struct att_table *att_table_ref(struct att_table *table);
void att_table_unref(struct att_table *table);

#endif
