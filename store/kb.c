/*
 * The knowledge base file: schema, writes in one transaction, trigram search.
 * Readers hold views (kb_view.c). Writes and searches have a connection each:
 * in WAL mode neither waits for the other.
 */
#include "store/kb.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/utf8.h"
#include "store/kb_handle.h"
#include "store/kb_schema.h"
#include "store/kb_view.h"
#include "store/sqlite.h"

enum { TRIGRAMS_MAX = 64, MATCH_BYTES = TRIGRAMS_MAX * 24 };

/* What ran out of memory inside SQLite may be left with a transaction that could not be rolled back, or with caches of
 * FTS5 that call a sound file damaged. So a suspect connection is replaced before its next use. */
static enum att_status renew(const struct store_kb *kb, sqlite3 **db, bool *suspect, struct att_err *err)
{
    sqlite3 *fresh = NULL;
    if (!*suspect)
        return ATT_OK;
    enum att_status status = store_sqlite_open(kb->path, &fresh, err);
    if (status != ATT_OK)
        return status;
    sqlite3_close(*db);
    *db = fresh;
    *suspect = false;
    return ATT_OK;
}

/* A new connection counts its data_version anew: the next look at the file reads it. */
static enum att_status renew_db(struct store_kb *kb, struct att_err *err)
{
    if (kb->db_suspect)
        kb->version = -1;
    return renew(kb, &kb->db, &kb->db_suspect, err);
}

/* ---- views ---- */

/* Must be asked inside the transaction that reads the view. */
static enum att_status data_version(struct store_kb *kb, int64_t *ret_version, struct att_err *err)
{
    return store_sqlite_integer(kb->db, kb->path, "PRAGMA data_version", ret_version, err);
}

static void publish(struct store_kb *kb, struct kb_view *view, int64_t version)
{
    pthread_mutex_lock(&kb->view_mutex);
    struct kb_view *old = kb->current;
    kb->current = view;
    pthread_mutex_unlock(&kb->view_mutex);
    kb->version = version;
    store_kb_view_unref(old);
}

/* One read transaction, so that the view is one state of the file whatever another process writes meanwhile. */
static enum att_status read_view(struct store_kb *kb, struct att_err *err)
{
    struct kb_view *view = NULL;
    int64_t version = 0;
    enum att_status status = store_sqlite_exec(kb->db, kb->path, "BEGIN", err);
    if (status != ATT_OK)
        return status;
    status = data_version(kb, &version, err);
    bool fresh = status == ATT_OK && kb->current && version == kb->version;
    if (status == ATT_OK && !fresh)
        status = store_kb_view_load(kb->db, kb->path, kb->dimensions, &view, err);
    sqlite3_exec(kb->db, "ROLLBACK", NULL, NULL, NULL);
    if (status == ATT_OK && !fresh)
        publish(kb, view, version);
    return status;
}

/* ---- opening and closing ---- */

static enum att_status open_file(struct store_kb *kb, const char *encoder_digest, struct att_err *err)
{
    enum att_status status = store_sqlite_open(kb->path, &kb->db, err);
    if (status == ATT_OK)
        status = store_kb_schema_prepare(kb->db, kb->path, encoder_digest, kb->dimensions, err);
    if (status == ATT_OK)
        status = read_view(kb, err);
    if (status == ATT_OK)
        status = store_sqlite_open(kb->path, &kb->search, err);
    return status == ATT_OK ? store_sqlite_place_find(kb->path, &kb->place, err) : status;
}

enum att_status store_kb_open(const char *path, const char *encoder_digest, size_t dimensions, struct store_kb **ret_kb,
                              struct att_err *err)
{
    assert(path && encoder_digest && dimensions > 0);
    struct store_kb *kb = att_mem_calloc(1, sizeof *kb);
    if (!kb)
        return att_err_set(err, ATT_ENOMEM, "%s: out of memory", path);
    atomic_init(&kb->refs, 1);
    pthread_mutex_init(&kb->write_mutex, NULL);
    pthread_mutex_init(&kb->search_mutex, NULL);
    pthread_mutex_init(&kb->view_mutex, NULL);
    kb->dimensions = dimensions;
    kb->path = att_mem_strdup(path);
    enum att_status status =
        kb->path ? open_file(kb, encoder_digest, err) : att_err_set(err, ATT_ENOMEM, "%s: out of memory", path);
    if (status != ATT_OK)
        store_kb_close(kb);
    else
        *ret_kb = kb;
    return status;
}

void store_kb_close(struct store_kb *kb)
{
    if (!kb || atomic_fetch_sub(&kb->refs, 1) != 1)
        return;
    store_kb_view_unref(kb->current);
    sqlite3_close(kb->search);
    sqlite3_close(kb->db);
    pthread_mutex_destroy(&kb->view_mutex);
    pthread_mutex_destroy(&kb->search_mutex);
    pthread_mutex_destroy(&kb->write_mutex);
    att_mem_free(kb->path);
    att_mem_free(kb);
}

struct store_kb *store_kb_ref(struct store_kb *kb)
{
    size_t before = atomic_fetch_add(&kb->refs, 1);
    assert(before > 0);
    (void)before;
    return kb;
}

enum att_status store_kb_refresh(struct store_kb *kb, struct att_err *err)
{
    pthread_mutex_lock(&kb->write_mutex);
    enum att_status status = renew_db(kb, err);
    if (status == ATT_OK)
        status = store_sqlite_place_check(kb->path, &kb->place, err);
    if (status == ATT_OK)
        status = read_view(kb, err);
    pthread_mutex_unlock(&kb->write_mutex);
    return status;
}

const struct store_kb_view *store_kb_view(struct store_kb *kb)
{
    pthread_mutex_lock(&kb->view_mutex);
    struct kb_view *view = kb->current;
    atomic_fetch_add(&view->refs, 1);
    pthread_mutex_unlock(&kb->view_mutex);
    return &view->view;
}

void store_kb_view_release(struct store_kb *kb, const struct store_kb_view *view)
{
    (void)kb;
    store_kb_view_unref((struct kb_view *)(uintptr_t)view);
}

bool store_kb_same(const struct store_kb_view *view, const struct store_kb_entry *entry)
{
    size_t i = store_kb_find(view, entry->id);
    if (i == view->n_entries)
        return false;
    const struct store_kb_entry *stored = &view->entries[i];
    if (stored->n_alternates != entry->n_alternates || stored->n_prompts != entry->n_prompts ||
        stored->context_only != entry->context_only || stored->chitchat != entry->chitchat ||
        stored->valid_from != entry->valid_from || stored->valid_until != entry->valid_until ||
        strcmp(stored->lang, entry->lang) != 0 || strcmp(stored->question, entry->question) != 0 ||
        strcmp(stored->answer, entry->answer) != 0 || strcmp(stored->source, entry->source) != 0 ||
        strcmp(stored->metadata, entry->metadata) != 0)
        return false;
    for (size_t a = 0; a < entry->n_alternates; a++)
        if (strcmp(stored->alternates[a], entry->alternates[a]) != 0)
            return false;
    return entry->n_prompts == 0 ||
           memcmp(stored->prompts, entry->prompts, entry->n_prompts * sizeof *entry->prompts) == 0;
}

struct statements {
    sqlite3_stmt *remove, *entry, *text;
};

static void statements_finish(struct statements *s)
{
    sqlite3_finalize(s->remove);
    sqlite3_finalize(s->entry);
    sqlite3_finalize(s->text);
}

static enum att_status statements_prepare(struct store_kb *kb, struct statements *s, struct att_err *err)
{
    enum att_status status =
        store_sqlite_prepare(kb->db, kb->path, "DELETE FROM entries WHERE id = ?1", &s->remove, err);
    if (status == ATT_OK)
        status = store_sqlite_prepare(
            kb->db, kb->path, "INSERT INTO entries VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)", &s->entry, err);
    if (status == ATT_OK)
        status = store_sqlite_prepare(kb->db, kb->path, "INSERT INTO texts(entry, text, vector) VALUES (?1,?2,?3)",
                                      &s->text, err);
    return status;
}

static enum att_status put_entry(struct store_kb *kb, const struct statements *s, const struct store_kb_entry *entry,
                                 struct att_err *err)
{
    char prompts[STORE_KB_PROMPTS_MAX * 24 + 4] = "[";
    size_t at = 1;
    assert(entry->n_prompts <= STORE_KB_PROMPTS_MAX);
    for (size_t i = 0; i < entry->n_prompts; i++)
        at += (size_t)snprintf(prompts + at, sizeof prompts - at, i ? ",%lld" : "%lld", (long long)entry->prompts[i]);
    snprintf(prompts + at, sizeof prompts - at, "]");
    sqlite3_bind_int64(s->remove, 1, entry->id);
    enum att_status status = store_sqlite_run(kb->db, kb->path, s->remove, err);
    if (status != ATT_OK)
        return status;
    const char *const texts[] = {entry->lang, entry->question, entry->answer, entry->source, entry->metadata, prompts};
    sqlite3_bind_int64(s->entry, 1, entry->id);
    for (int i = 0; i < 6; i++)
        if (sqlite3_bind_text(s->entry, i + 2, texts[i], -1, SQLITE_STATIC) != SQLITE_OK)
            return store_sqlite_error(kb->db, kb->path, err);
    sqlite3_bind_int(s->entry, 8, entry->context_only);
    sqlite3_bind_int(s->entry, 9, entry->chitchat);
    sqlite3_bind_int64(s->entry, 10, entry->valid_from);
    sqlite3_bind_int64(s->entry, 11, entry->valid_until);
    return store_sqlite_run(kb->db, kb->path, s->entry, err);
}

static enum att_status put_text(struct store_kb *kb, const struct statements *s, int64_t id, const char *text,
                                const float *vector, struct att_err *err)
{
    sqlite3_bind_int64(s->text, 1, id);
    if (sqlite3_bind_text(s->text, 2, text, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_blob64(s->text, 3, vector, kb->dimensions * sizeof *vector, SQLITE_STATIC) != SQLITE_OK)
        return store_sqlite_error(kb->db, kb->path, err);
    return store_sqlite_run(kb->db, kb->path, s->text, err);
}

enum att_status store_kb_begin(struct store_kb *kb, struct att_err *err)
{
    enum att_status status = renew_db(kb, err);
    if (status == ATT_OK)
        status = store_sqlite_exec(kb->db, kb->path, "BEGIN IMMEDIATE", err);
    kb->db_suspect = kb->db_suspect || status == ATT_ENOMEM;
    if (status != ATT_OK)
        return status;
    status = store_sqlite_place_check(kb->path, &kb->place, err);
    if (status != ATT_OK)
        sqlite3_exec(kb->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

enum att_status store_kb_end(struct store_kb *kb, enum att_status status, struct att_err *err)
{
    status = store_sqlite_end(kb->db, kb->path, status, err);
    if (status != ATT_OK)
        kb->db_suspect = status == ATT_ENOMEM || !sqlite3_get_autocommit(kb->db);
    return status;
}

enum att_status store_kb_search(struct store_kb *kb, sqlite3 **ret_db, struct att_err *err)
{
    enum att_status status = renew(kb, &kb->search, &kb->search_suspect, err);
    if (status == ATT_OK)
        *ret_db = kb->search;
    return status;
}

/* Ends the transaction; on success the view is replaced, on failure nothing has changed. */
static enum att_status end_write(struct store_kb *kb, enum att_status status, struct att_err *err)
{
    struct kb_view *view = NULL;
    int64_t version = 0;
    if (status == ATT_OK)
        status = data_version(kb, &version, err);
    if (status == ATT_OK)
        status = store_kb_view_load(kb->db, kb->path, kb->dimensions, &view, err);
    status = store_kb_end(kb, status, err);
    if (status == ATT_OK)
        publish(kb, view, version);
    else
        store_kb_view_unref(view);
    return status;
}

enum att_status store_kb_put(struct store_kb *kb, const struct store_kb_entry *entries, size_t n_entries,
                             const float *vectors, bool replace_all, struct att_err *err)
{
    struct statements s = {NULL, NULL, NULL};
    pthread_mutex_lock(&kb->write_mutex);
    enum att_status status = store_kb_begin(kb, err);
    if (status == ATT_OK) {
        status = statements_prepare(kb, &s, err);
        if (status == ATT_OK && replace_all)
            status = store_sqlite_exec(kb->db, kb->path, "DELETE FROM entries", err);
        size_t text = 0;
        for (size_t i = 0; status == ATT_OK && i < n_entries; i++) {
            const struct store_kb_entry *entry = &entries[i];
            status = put_entry(kb, &s, entry, err);
            for (size_t a = 0; status == ATT_OK && a <= entry->n_alternates; a++, text++)
                status = put_text(kb, &s, entry->id, a == 0 ? entry->question : entry->alternates[a - 1],
                                  vectors + text * kb->dimensions, err);
        }
        statements_finish(&s);
        status = end_write(kb, status, err);
    }
    pthread_mutex_unlock(&kb->write_mutex);
    return status;
}

enum att_status store_kb_remove(struct store_kb *kb, int64_t id, bool *ret_removed, struct att_err *err)
{
    sqlite3_stmt *row = NULL;
    bool removed = false;
    pthread_mutex_lock(&kb->write_mutex);
    enum att_status status = store_kb_begin(kb, err);
    if (status == ATT_OK) {
        status = store_sqlite_prepare(kb->db, kb->path, "DELETE FROM entries WHERE id = ?1", &row, err);
        if (status == ATT_OK) {
            sqlite3_bind_int64(row, 1, id);
            status = store_sqlite_run(kb->db, kb->path, row, err);
            removed = sqlite3_changes(kb->db) > 0;
        }
        sqlite3_finalize(row);
        status = end_write(kb, status, err);
    }
    pthread_mutex_unlock(&kb->write_mutex);
    if (status == ATT_OK)
        *ret_removed = removed;
    return status;
}

enum att_status store_kb_clear(struct store_kb *kb, struct att_err *err)
{
    return store_kb_put(kb, NULL, 0, NULL, true, err);
}

enum att_status store_kb_fit_put(struct store_kb *kb, const char *fit, struct att_err *err)
{
    sqlite3_stmt *row = NULL;
    assert(!fit || strlen(fit) <= STORE_KB_FIT_BYTES_MAX);
    pthread_mutex_lock(&kb->write_mutex);
    enum att_status status = store_kb_begin(kb, err);
    if (status == ATT_OK) {
        status = store_sqlite_prepare(
            kb->db, kb->path,
            fit ? "INSERT OR REPLACE INTO meta VALUES ('fit', ?1)" : "DELETE FROM meta WHERE key = 'fit'", &row, err);
        if (status == ATT_OK && fit && sqlite3_bind_text(row, 1, fit, -1, SQLITE_STATIC) != SQLITE_OK)
            status = store_sqlite_error(kb->db, kb->path, err);
        if (status == ATT_OK)
            status = store_sqlite_run(kb->db, kb->path, row, err);
        sqlite3_finalize(row);
        status = end_write(kb, status, err);
    }
    pthread_mutex_unlock(&kb->write_mutex);
    return status;
}

bool store_kb_valid(const struct store_kb_entry *entry, int64_t unix_s)
{
    return unix_s >= entry->valid_from && (entry->valid_until == 0 || unix_s < entry->valid_until);
}

/* The query's trigrams as an FTS5 expression: "abc" OR "bcd" …; 0 when it has fewer than three characters. */
static size_t match_expression(const char *query, size_t len, char out[MATCH_BYTES])
{
    size_t starts[3] = {0, 0, 0}, characters = 0, at = 0, to = 0, trigrams = 0;
    while (at < len && trigrams < TRIGRAMS_MAX) {
        size_t begin = at;
        uint32_t c = att_utf8_next(query, len, &at);
        if (c <= ' ' || c == '"') { /* quotes would end the string; words are matched one by one */
            characters = 0;
            continue;
        }
        starts[characters % 3] = begin;
        if (++characters < 3)
            continue;
        size_t first = starts[characters % 3];
        to += (size_t)snprintf(out + to, MATCH_BYTES - to, "%s\"%.*s\"", trigrams++ ? " OR " : "", (int)(at - first),
                               query + first);
    }
    return trigrams;
}

static size_t text_index(const struct kb_view *view, int64_t id)
{
    size_t low = 0, high = view->view.n_texts;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (view->text_ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < view->view.n_texts && view->text_ids[low] == id ? low : view->view.n_texts;
}

enum att_status store_kb_match(struct store_kb *kb, const struct store_kb_view *view, const char *query, size_t len,
                               size_t *texts, size_t max, size_t *ret_count, struct att_err *err)
{
    static const char by_trigrams[] = "SELECT rowid FROM texts_fts WHERE texts_fts MATCH ?1 ORDER BY rank LIMIT ?2";
    static const char by_part[] = "SELECT id FROM texts WHERE instr(text, ?1) > 0 ORDER BY id LIMIT ?2";
    const struct kb_view *own = (const struct kb_view *)(const void *)view;
    char expression[MATCH_BYTES] = "";
    size_t trigrams = match_expression(query, len, expression), count = 0;
    sqlite3_stmt *row = NULL;
    if (len == 0) {
        *ret_count = 0;
        return ATT_OK;
    }
    pthread_mutex_lock(&kb->search_mutex);
    enum att_status status = renew(kb, &kb->search, &kb->search_suspect, err);
    if (status == ATT_OK)
        status = store_sqlite_prepare(kb->search, kb->path, trigrams ? by_trigrams : by_part, &row, err);
    if (status == ATT_OK) {
        int step;
        sqlite3_bind_text(row, 1, trigrams ? expression : query, trigrams ? -1 : (int)len, SQLITE_STATIC);
        sqlite3_bind_int64(row, 2, (sqlite3_int64)max);
        while (count < max && (step = sqlite3_step(row)) == SQLITE_ROW) {
            size_t i = text_index(own, sqlite3_column_int64(row, 0));
            if (i < view->n_texts)
                texts[count++] = i;
        }
        if (count < max && step != SQLITE_DONE && step != SQLITE_ROW)
            status = store_sqlite_error(kb->search, kb->path, err);
    }
    sqlite3_finalize(row);
    kb->search_suspect = kb->search_suspect || status == ATT_ENOMEM;
    pthread_mutex_unlock(&kb->search_mutex);
    if (status == ATT_OK)
        *ret_count = count;
    return status;
}
