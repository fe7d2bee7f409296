/* The inside of an item table: for store/items.c and store/items_index.c alone. */
#ifndef STORE_ITEMS_TABLE_H
#define STORE_ITEMS_TABLE_H

#include <stdatomic.h>
#include <stdio.h>

#include "core/attend.h"
#include "store/items.h"

struct store_items {
    atomic_size_t references;
    struct att_arena arena;   /* the strings */
    struct store_item *items; /* [count + 1] */
    struct att_json **lines;  /* [count + 1] of items with metadata, which lies in them; else NULL */
    unsigned char *present;   /* [count + 1] */
    uint32_t *slots;          /* [mask + 1] indexes by hash of the id; 0: empty */
    size_t count, mask;
    char *path;              /* of items.jsonl */
    bool named;              /* the file itself was named: a link is followed; one that lies in a model folder is not */
    char digest[65];         /* of its bytes */
    struct att_bulk vectors; /* [count + 1][dimensions]; no data while none are loaded */
    size_t dimensions;
};

/* A regular file's bytes with a NUL behind them; ATT_ENOTFOUND when there is none, ATT_ELIMIT above max_bytes. Free
 * with att_mem_free. */
enum att_status store_file_read(const char *path, bool follow, size_t max_bytes, char **ret_bytes, size_t *ret_len,
                                struct att_err *err) ATT_MUST_USE;

#endif
