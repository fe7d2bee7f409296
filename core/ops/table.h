/*
 * An embedding table, counted by references, so that models over one encoder
 * share it. Read-only once shared.
 *
 * Rows are f32, or packed: as the file holds them (F16, BF16, GGUF's blocks),
 * widened when they are looked up. Both give the same bits; a vocabulary of
 * 250,000 words is most of a small encoder's memory.
 */
#ifndef ATT_OPS_TABLE_H
#define ATT_OPS_TABLE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bulk.h"

/* How packed rows widen: blocks of `values` numbers in `bytes` bytes. */
struct att_packing {
    size_t values, bytes; /* values divide ATT_ROW_CHUNK and the table's columns */
    void (*widen)(const uint8_t *blocks, size_t n_blocks, float *out);
};

enum { ATT_ROW_CHUNK = 256 };

struct att_table {
    size_t rows, cols;
    float *data;     /* [rows][cols]; NULL: packed */
    uint8_t *packed; /* [rows][cols / values blocks] */
    struct att_packing packing;
    struct att_bulk bulk; /* of data, where it has a place of its own */
    atomic_size_t refs;
};

/* NULL when memory is out. One reference. */
struct att_table *att_table_create(size_t rows, size_t cols) ATT_MUST_USE;
/* Of f32, in its place; att_table_seal when it is filled. */
enum att_status att_table_create_at(size_t rows, size_t cols, struct att_bulk_place *place,
                                    struct att_table **ret_table, struct att_err *err) ATT_MUST_USE;
enum att_status att_table_seal(struct att_table *table, struct att_err *err) ATT_MUST_USE;
struct att_table *att_table_create_packed(size_t rows, size_t cols, const struct att_packing *packing) ATT_MUST_USE;
struct att_table *att_table_ref(struct att_table *table);
void att_table_unref(struct att_table *table);
/* Memory of its rows. */
size_t att_table_bytes(const struct att_table *table);

#endif
