/*
 * The catalogue's file and its views. An entry is one block of memory with a
 * count of the views that hold it; a new view shares the entries that have not
 * changed, so a write costs one pointer an item, not a copy.
 */
#include "store/catalogue.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "store/metadata.h"
#include "store/schema.h"
#include "store/sqlite.h"

struct entry {
    struct store_catalogue_item item; /* first: found by casting back */
    atomic_size_t references;
    struct att_json *metadata;
};

struct view {
    struct store_catalogue_view view; /* first */
    atomic_size_t references;
    struct entry **entries; /* by id */
    size_t n;
};

struct store_catalogue {
    char *path;
    size_t dimensions;
    pthread_mutex_t write_mutex; /* protects db */
    sqlite3 *db;
    pthread_mutex_t read_mutex; /* protects all below */
    sqlite3 *reader;
    sqlite3_stmt *version_row;
    int64_t version, seq; /* SQLite's data_version and the highest seq of the current view */
    struct view *current;
};

static const char *const steps[] = {
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE items(id TEXT PRIMARY KEY, seq INTEGER NOT NULL, deleted INTEGER NOT NULL,"
    " title TEXT, text TEXT, metadata TEXT, popularity INTEGER NOT NULL,"
    " available INTEGER NOT NULL, vector BLOB);"
    "CREATE UNIQUE INDEX items_seq ON items(seq);",
};

/* ---- entries and views ---- */

static void entry_unref(struct entry *entry)
{
    if (!entry || atomic_fetch_sub(&entry->references, 1) != 1)
        return;
    att_json_destroy(entry->metadata);
    att_mem_free(entry);
}

static void view_unref(struct view *view)
{
    if (!view || atomic_fetch_sub(&view->references, 1) != 1)
        return;
    for (size_t i = 0; i < view->n; i++)
        entry_unref(view->entries[i]);
    att_mem_free(view->entries);
    att_mem_free(view);
}

/* Room for n entries. */
static struct view *view_create(size_t n)
{
    struct view *view = att_mem_calloc(1, sizeof *view);
    if (view)
        view->entries = att_mem_calloc(n + 1, sizeof *view->entries);
    if (!view || !view->entries) {
        att_mem_free(view);
        return NULL;
    }
    atomic_init(&view->references, 1);
    return view;
}

static const char *copy_text(char **at, const char *text)
{
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    char *copy = memcpy(*at, text, size);
    *at += size;
    return copy;
}

/* A row's entry: the struct, its vector and its texts in one block. */
static enum att_status entry_of_row(const struct store_catalogue *catalogue, sqlite3_stmt *row, struct entry **ret,
                                    struct att_err *err)
{
    const char *texts[4]; /* id, title, text, metadata */
    size_t size = sizeof(struct entry), vector_bytes = catalogue->dimensions * sizeof(float);
    for (int i = 0; i < 4; i++) {
        texts[i] = (const char *)sqlite3_column_text(row, i);
        size += texts[i] ? strlen(texts[i]) + 1 : 0;
    }
    const void *vector = sqlite3_column_blob(row, 7);
    bool has_vector = vector && vector_bytes > 0 && (size_t)sqlite3_column_bytes(row, 7) == vector_bytes;
    struct entry *entry = att_mem_calloc(1, size + vector_bytes);
    if (!entry || !texts[0]) {
        att_mem_free(entry);
        return att_err_set(err, ATT_ENOMEM, "%s: out of memory", catalogue->path);
    }
    char *at = (char *)(entry + 1) + vector_bytes;
    atomic_init(&entry->references, 1);
    entry->item = (struct store_catalogue_item){.popularity = sqlite3_column_int64(row, 4),
                                                .unavailable = sqlite3_column_int(row, 5) == 0,
                                                .deleted = sqlite3_column_int(row, 6) != 0};
    if (has_vector)
        entry->item.vector = memcpy(entry + 1, vector, vector_bytes);
    for (size_t d = 0; has_vector && d < catalogue->dimensions; d++)
        if (!isfinite(entry->item.vector[d]))
            entry->item.vector = NULL, has_vector = false;
    entry->item.id = copy_text(&at, texts[0]);
    entry->item.title = copy_text(&at, texts[1]);
    entry->item.text = copy_text(&at, texts[2]);
    entry->item.metadata = copy_text(&at, texts[3]);
    if (texts[3] &&
        att_json_parse(texts[3], strlen(texts[3]), 0, STORE_METADATA_DEPTH_MAX, &entry->metadata, err) == ATT_ENOMEM) {
        entry_unref(entry);
        return ATT_ENOMEM;
    }
    entry->item.metadata_members = entry->metadata;
    *ret = entry;
    return ATT_OK;
}

static int by_id(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;
    return strcmp((*x)->item.id, (*y)->item.id);
}

/* The old view with `changed` (by id) in the place of what they replace. */
static struct view *merge(const struct view *old, struct entry **changed, size_t n_changed)
{
    struct view *view = view_create(old->n + n_changed);
    size_t o = 0, c = 0;
    while (view && (o < old->n || c < n_changed)) {
        int order = o == old->n ? 1 : c == n_changed ? -1 : strcmp(old->entries[o]->item.id, changed[c]->item.id);
        struct entry *entry = order < 0 ? old->entries[o] : changed[c];
        o += order <= 0;
        c += order >= 0;
        atomic_fetch_add(&entry->references, 1);
        view->entries[view->n++] = entry;
    }
    if (view)
        view->view = (struct store_catalogue_view){
            .items = (const struct store_catalogue_item *const *)(void *)view->entries, .n = view->n};
    return view;
}

struct changes {
    struct entry **entries;
    size_t n, capacity;
};

static enum att_status read_changes(struct store_catalogue *catalogue, struct changes *changes, int64_t *seq,
                                    struct att_err *err)
{
    static const char sql[] = "SELECT id, title, text, metadata, popularity, available, deleted, vector, seq FROM items"
                              " WHERE seq > ?1 ORDER BY seq";
    sqlite3_stmt *row = NULL;
    int step = SQLITE_DONE;
    enum att_status status = store_sqlite_prepare(catalogue->reader, catalogue->path, sql, &row, err);
    if (status == ATT_OK)
        sqlite3_bind_int64(row, 1, *seq);
    while (status == ATT_OK && (step = sqlite3_step(row)) == SQLITE_ROW) {
        if (changes->n == changes->capacity) {
            size_t capacity = changes->capacity ? 2 * changes->capacity : 64;
            struct entry **more = att_mem_realloc(changes->entries, capacity, sizeof *more);
            if (!more) {
                status = att_err_set(err, ATT_ENOMEM, "%s: out of memory", catalogue->path);
                break;
            }
            changes->entries = more;
            changes->capacity = capacity;
        }
        status = entry_of_row(catalogue, row, &changes->entries[changes->n], err);
        changes->n += status == ATT_OK;
        *seq = sqlite3_column_int64(row, 8);
    }
    if (status == ATT_OK && step != SQLITE_DONE && step != SQLITE_ROW)
        status = store_sqlite_error(catalogue->reader, catalogue->path, err);
    sqlite3_finalize(row);
    return status;
}

static enum att_status data_version(struct store_catalogue *catalogue, int64_t *ret, struct att_err *err)
{
    enum att_status status = ATT_OK;
    if (sqlite3_step(catalogue->version_row) == SQLITE_ROW)
        *ret = sqlite3_column_int64(catalogue->version_row, 0);
    else
        status = store_sqlite_error(catalogue->reader, catalogue->path, err);
    sqlite3_reset(catalogue->version_row);
    return status;
}

/* Under the read mutex. What is committed between the two reads is read with the next view. */
static enum att_status refresh(struct store_catalogue *catalogue, struct att_err *err)
{
    struct changes changes = {NULL, 0, 0};
    int64_t version = 0, seq = catalogue->seq;
    enum att_status status = data_version(catalogue, &version, err);
    if (status != ATT_OK || version == catalogue->version)
        return status;
    status = read_changes(catalogue, &changes, &seq, err);
    if (status == ATT_OK && changes.n > 0) {
        qsort(changes.entries, changes.n, sizeof(struct entry *), by_id);
        struct view *view = merge(catalogue->current, changes.entries, changes.n);
        if (view) {
            view_unref(catalogue->current);
            catalogue->current = view;
        } else {
            status = att_err_set(err, ATT_ENOMEM, "%s: out of memory", catalogue->path);
        }
    }
    if (status == ATT_OK) {
        catalogue->version = version;
        catalogue->seq = seq;
    }
    for (size_t i = 0; i < changes.n; i++)
        entry_unref(changes.entries[i]);
    att_mem_free(changes.entries);
    return status;
}

enum att_status store_catalogue_view(struct store_catalogue *catalogue, const struct store_catalogue_view **ret_view,
                                     struct att_err *err)
{
    pthread_mutex_lock(&catalogue->read_mutex);
    enum att_status status = refresh(catalogue, err);
    if (status == ATT_OK) {
        atomic_fetch_add(&catalogue->current->references, 1);
        *ret_view = &catalogue->current->view;
    }
    pthread_mutex_unlock(&catalogue->read_mutex);
    return status;
}

void store_catalogue_view_release(const struct store_catalogue_view *view)
{
    view_unref((struct view *)(uintptr_t)view);
}

size_t store_catalogue_find(const struct store_catalogue_view *view, const char *id)
{
    size_t low = 0, high = view->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(view->items[middle]->id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < view->n && strcmp(view->items[low]->id, id) == 0 ? low : view->n;
}

/* ---- the file ---- */

static enum att_status prepare_file(sqlite3 *db, const char *path, const char *encoder_digest, struct att_err *err)
{
    const struct store_schema_fact facts[] = {
        {"encoder", encoder_digest, "its items were embedded by another encoder; put them into a new file"}};
    const struct store_schema schema = {.what = "a catalogue",
                                        .application_id = "1098138996",
                                        .steps = steps,
                                        .n_steps = sizeof steps / sizeof *steps,
                                        .facts = facts,
                                        .n_facts = sizeof facts / sizeof *facts,
                                        .hidden = "sqlite_*"};
    return store_schema_prepare(db, path, &schema, err);
}

static enum att_status connect(const char *path, sqlite3 **ret_db, struct att_err *err)
{
    enum att_status status = store_sqlite_open(path, ret_db, err);
    return status == ATT_OK ? store_sqlite_distrust(*ret_db, path, err) : status;
}

enum att_status store_catalogue_open(const char *path, const char *encoder_digest, size_t dimensions,
                                     struct store_catalogue **ret_catalogue, struct att_err *err)
{
    struct store_catalogue *catalogue = att_mem_calloc(1, sizeof *catalogue);
    if (!catalogue)
        return att_err_set(err, ATT_ENOMEM, "%s: out of memory", path);
    pthread_mutex_init(&catalogue->write_mutex, NULL);
    pthread_mutex_init(&catalogue->read_mutex, NULL);
    catalogue->dimensions = dimensions;
    catalogue->version = -1;
    catalogue->path = att_mem_strdup(path);
    catalogue->current = view_create(0);
    enum att_status status = catalogue->path && catalogue->current
                                 ? connect(path, &catalogue->db, err)
                                 : att_err_set(err, ATT_ENOMEM, "%s: out of memory", path);
    if (status == ATT_OK)
        status = prepare_file(catalogue->db, path, encoder_digest, err);
    if (status == ATT_OK)
        status = connect(path, &catalogue->reader, err);
    if (status == ATT_OK)
        status = store_sqlite_prepare(catalogue->reader, path, "PRAGMA data_version", &catalogue->version_row, err);
    if (status == ATT_OK)
        status = refresh(catalogue, err);
    if (status == ATT_OK)
        *ret_catalogue = catalogue;
    else
        store_catalogue_close(catalogue);
    return status;
}

void store_catalogue_close(struct store_catalogue *catalogue)
{
    if (!catalogue)
        return;
    view_unref(catalogue->current);
    sqlite3_finalize(catalogue->version_row);
    sqlite3_close(catalogue->reader);
    sqlite3_close(catalogue->db);
    pthread_mutex_destroy(&catalogue->read_mutex);
    pthread_mutex_destroy(&catalogue->write_mutex);
    att_mem_free(catalogue->path);
    att_mem_free(catalogue);
}

static enum att_status put_row(struct store_catalogue *catalogue, sqlite3_stmt *row,
                               const struct store_catalogue_item *item, struct att_err *err)
{
    const char *const texts[] = {item->id, item->title, item->text, item->metadata};
    bool bound = true;
    for (int i = 0; i < 4; i++)
        bound = bound && sqlite3_bind_text(row, i + 1, texts[i], -1, SQLITE_STATIC) == SQLITE_OK;
    sqlite3_bind_int64(row, 5, item->popularity);
    sqlite3_bind_int(row, 6, !item->unavailable);
    sqlite3_bind_int(row, 7, item->deleted);
    bound = bound && sqlite3_bind_blob64(row, 8, item->vector, item->vector ? catalogue->dimensions * sizeof(float) : 0,
                                         SQLITE_STATIC) == SQLITE_OK;
    if (!bound || sqlite3_step(row) != SQLITE_DONE)
        return store_sqlite_error(catalogue->db, catalogue->path, err);
    sqlite3_reset(row);
    return ATT_OK;
}

enum att_status store_catalogue_put(struct store_catalogue *catalogue, const struct store_catalogue_item *items,
                                    size_t n, struct att_err *err)
{
    static const char sql[] = "INSERT OR REPLACE INTO items(id, title, text, metadata, popularity, available, deleted,"
                              " vector, seq) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,"
                              " (SELECT coalesce(max(seq), 0) + 1 FROM items))";
    sqlite3_stmt *row = NULL;
    pthread_mutex_lock(&catalogue->write_mutex);
    enum att_status status = store_sqlite_begin(catalogue->db, catalogue->path, err);
    if (status == ATT_OK) {
        status = store_sqlite_prepare(catalogue->db, catalogue->path, sql, &row, err);
        for (size_t i = 0; status == ATT_OK && i < n; i++)
            status = put_row(catalogue, row, &items[i], err);
        sqlite3_finalize(row);
        status = store_sqlite_end(catalogue->db, catalogue->path, status, err);
    }
    pthread_mutex_unlock(&catalogue->write_mutex);
    return status;
}
