/*
 * Changes to a recommender's items, made while it serves: one SQLite file beside
 * the immutable item table (store/items.h).
 *
 *   items(id, seq, deleted, title, text, metadata, popularity, available, vector)
 *   meta(key, value)      the encoder's digest and dimensions
 *
 * A row stands over the table's item of the same id, member by member; NULL
 * leaves the table's. A row whose id the table lacks is a new item. Removed items
 * keep their row, so that readers learn of it.
 *
 * Readers hold views: immutable arrays of shared entries. Every write takes the
 * next seq, and taking a view reads the rows above the last seq when anybody has
 * written, this process or another. Thread safe.
 */
#ifndef STORE_CATALOGUE_H
#define STORE_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/json.h"
#include "core/base/status.h"

struct store_catalogue_item {
    const char *id;
    const char *title, *text, *metadata; /* metadata: a JSON object as text; NULL: not said */
    int64_t popularity;                  /* -1: not said */
    bool unavailable, deleted;
    const float *vector;                     /* [dimensions] of the text, unit length; NULL: none */
    const struct att_json *metadata_members; /* of views: the metadata, parsed; NULL: none */
};

struct store_catalogue_view {
    const struct store_catalogue_item *const *items; /* by id */
    size_t n;
};

struct store_catalogue;

/* Opens or creates. encoder_digest "" and dimensions 0: items have no vectors. ATT_EFORMAT: the file is damaged, of
 * another program or version, or was embedded by another encoder. */
enum att_status store_catalogue_open(const char *path, const char *encoder_digest, size_t dimensions,
                                     struct store_catalogue **ret_catalogue, struct att_err *err) ATT_MUST_USE;
void store_catalogue_close(struct store_catalogue *catalogue); /* no view is held; NULL is allowed */

/* The newest state. Release every view. */
enum att_status store_catalogue_view(struct store_catalogue *catalogue, const struct store_catalogue_view **ret_view,
                                     struct att_err *err) ATT_MUST_USE;
void store_catalogue_view_release(const struct store_catalogue_view *view);
/* Index into view->items, or view->n. */
size_t store_catalogue_find(const struct store_catalogue_view *view, const char *id);

/* Inserts or replaces rows by id, all or none; acknowledged means durable. */
enum att_status store_catalogue_put(struct store_catalogue *catalogue, const struct store_catalogue_item *items,
                                    size_t n, struct att_err *err) ATT_MUST_USE;

#endif
