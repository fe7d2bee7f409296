/*
 * The item table of a recommender: what its item numbers mean.
 *
 *   items.jsonl, one JSON object a line:
 *     {"id":"50","index":50,"title":"Star Wars (1977)","text":"Star Wars (1977). Action","popularity":583}
 *     index 1..num_items is the model's item number; other members are ignored
 *   item_embeddings.bin, made by `attend items index`: the texts, embedded
 *     | "ATTITEMS" | u32 version 1 | u32 dimensions | u64 rows | 64 + 64 hexadecimal digits: SHA-256 of the encoder's
 *     weights and of items.jsonl | f32 rows × dimensions, row = index, unit length, little-endian |
 *
 * Immutable after load; used by any number of threads.
 */
#ifndef STORE_ITEMS_H
#define STORE_ITEMS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

struct store_item {
    const char *id, *title, *text; /* id NULL: the table has no such index */
    double popularity;
};

struct store_items;

/* Reads dir/items.jsonl for a model of n_items items and, where it is there and belongs to this encoder and table,
 * dir/item_embeddings.bin. encoder_digest NULL: no encoder, no embeddings. A table that is missing is ATT_ENOTFOUND. */
enum att_status store_items_load(const char *dir, size_t n_items, const char *encoder_digest, size_t dimensions,
                                 struct store_items **ret_items, struct att_err *err) ATT_MUST_USE;
void store_items_destroy(struct store_items *items);
size_t store_items_count(const struct store_items *items); /* n_items */
/* NULL for 0, for an index beyond n_items, and for one the table does not have. */
const struct store_item *store_items_at(const struct store_items *items, size_t index);
/* The index of an id, or 0. */
size_t store_items_find(const struct store_items *items, const char *id, size_t len);
/* [dimensions], or NULL. */
const float *store_items_embedding(const struct store_items *items, size_t index);
/* [n_items + 1][dimensions], or NULL with the reason in *ret_why (when not NULL). */
const float *store_items_embeddings(const struct store_items *items, const char **ret_why);
/* Writes dir/item_embeddings.bin by way of a temporary file and rename. vectors [n_items + 1][dimensions]. */
enum att_status store_items_write_embeddings(const struct store_items *items, const char *encoder_digest,
                                             size_t dimensions, const float *vectors, struct att_err *err) ATT_MUST_USE;

#endif
