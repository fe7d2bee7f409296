/*
 * The item table of a recommender, and the vectors of the items' texts.
 *
 * items.jsonl: one JSON object a line, in any order,
 *
 *   {"id":"50","index":50,"title":"Star Wars (1977)","text":"Star Wars (1977). Action.","popularity":583}
 *
 * `id` (1..256 bytes, unique) is what requests name, `index` (1..n_items, unique) the row of the model. `title`,
 * `text`, `popularity` (default "", the title, 0) and `metadata` (an object, for filters) may be missing; other members
 * are the owner's and not read.
 * Items of the model that the table lacks are not served.
 *
 * items.index beside it, made by `attend items index`, integers little-endian:
 *
 *   0    8  "ATTITEMS"            24  64  SHA-256 of the encoder's weights, hexadecimal
 *   8    4  version, 1            88  64  SHA-256 of items.jsonl
 *   12   4  dimensions            152 64  SHA-256 of the vectors
 *   16   8  rows = n_items + 1    216 40  zeros
 *   256     rows × dimensions f32: unit length, or zeros where an item has no text
 *
 * A table is immutable once it is open and its vectors are loaded, and is then read by any number of threads.
 */
#ifndef STORE_ITEMS_H
#define STORE_ITEMS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/bulk.h"
#include "core/base/json.h"
#include "core/base/status.h"

enum { STORE_ITEM_ID_BYTES_MAX = 256, STORE_ITEM_TITLE_BYTES_MAX = 4096, STORE_ITEM_TEXT_BYTES_MAX = 65536 };

struct store_item {
    const char *id;    /* NULL: the table has no item of this index */
    const char *title; /* or "" */
    const char *text;  /* what the encoder reads; or "" */
    size_t text_len;
    uint64_t popularity;             /* at most 2^53 */
    const struct att_json *metadata; /* an object, or NULL */
};

struct store_items;

/* path: a folder that holds items.jsonl, or such a file. n_items: of the model, at least 1. ATT_ENOTFOUND when there is
 * no table; ATT_EFORMAT names the file, the line and the field. */
enum att_status store_items_open(const char *path, size_t n_items, struct store_items **ret_items,
                                 struct att_err *err) ATT_MUST_USE;
struct store_items *store_items_ref(struct store_items *items);
void store_items_close(struct store_items *items); /* drops a reference, the last one frees; NULL is allowed */

/* n_items of the model; indexes run from 1 to it. */
size_t store_items_count(const struct store_items *items);
/* 0 <= index <= count. */
const struct store_item *store_items_at(const struct store_items *items, size_t index);
/* [count + 1]: 1 where the table has an item of this index, else 0. */
const unsigned char *store_items_present(const struct store_items *items);
/* The item's index, or 0. */
size_t store_items_find(const struct store_items *items, const char *id);

/* Reads items.index. ATT_ENOTFOUND: it was not made yet; ATT_EFORMAT: it is damaged, or was made from another table or
 * by another encoder than the one of this digest and these dimensions. The table serves on without vectors. place:
 * where they go; NULL: memory. */
enum att_status store_items_vectors_load(struct store_items *items, const char *encoder_digest, size_t dimensions,
                                         struct att_bulk_place *place, struct att_err *err) ATT_MUST_USE;
/* Replaces items.index as a whole or not at all, durably. ATT_EBUSY: another process is writing it. vectors: [count +
 * 1][dimensions], finite, row 0 zeros. */
enum att_status store_items_vectors_write(const struct store_items *items, const float *vectors,
                                          const char *encoder_digest, size_t dimensions,
                                          struct att_err *err) ATT_MUST_USE;
/* [count + 1][dimensions], or NULL while none are loaded. */
const float *store_items_vectors(const struct store_items *items);
size_t store_items_dimensions(const struct store_items *items); /* 0 without vectors */

#endif
