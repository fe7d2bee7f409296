/* Building the in-memory view of a knowledge base: for store/kb.c alone. */
#ifndef STORE_KB_VIEW_H
#define STORE_KB_VIEW_H

#include <sqlite3.h>
#include <stdatomic.h>

#include "core/base/mem.h"
#include "store/kb.h"
#include "store/lexical.h"

struct kb_view {
    struct store_kb_view view; /* first: the public face */
    struct att_arena arena;
    struct store_idf idf;
    int64_t *text_ids; /* [n_texts] rows of the table texts, ascending */
    float *vectors;
    atomic_size_t refs;
};

/* Reads all entries and texts. One reference. */
enum att_status store_kb_view_load(sqlite3 *db, const char *path, size_t dimensions, struct kb_view **ret_view,
                                   struct att_err *err) ATT_MUST_USE;
void store_kb_view_unref(struct kb_view *view);

#endif
