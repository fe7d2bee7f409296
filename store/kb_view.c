/*
 * The view: all entries and texts of the file copied into one arena, the
 * vectors in one aligned matrix, the n-grams of every text sorted, and the
 * document frequencies over them.
 */
#include "store/kb_view.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/utf8.h"
#include "store/sqlite.h"

enum { JSON_DEPTH = 8, METADATA_DEPTH = 1024 };
static const size_t view_bytes_max = (size_t)4 << 30;

static enum att_status no_memory(struct att_err *err)
{
    return att_err_set(err, ATT_ENOMEM, "out of memory for the knowledge base");
}

/* Why a column came out as NULL: SQLite makes its value one when it cannot allocate. */
static bool short_of_memory(sqlite3_stmt *row)
{
    return (sqlite3_errcode(sqlite3_db_handle(row)) & 255) == SQLITE_NOMEM;
}

/* A text column, copied. The file may have been written by anyone, and what is read here is sent to clients. */
static enum att_status column(struct att_arena *arena, sqlite3_stmt *row, int i, const char *path, const char **ret,
                              struct att_err *err)
{
    const char *text = (const char *)sqlite3_column_text(row, i);
    size_t len = text ? (size_t)sqlite3_column_bytes(row, i) : 0;
    if (!text && short_of_memory(row))
        return no_memory(err);
    if (!text || memchr(text, '\0', len) || !att_utf8_valid(text, len))
        return att_err_set(err, ATT_EFORMAT, "%s: is damaged: %s of entry %lld is no UTF-8 text", path,
                           sqlite3_column_name(row, i), (long long)sqlite3_column_int64(row, 0));
    *ret = att_arena_copy(arena, text, len);
    return *ret ? ATT_OK : no_memory(err);
}

static enum att_status count_rows(sqlite3 *db, const char *path, const char *sql, size_t *ret, struct att_err *err)
{
    int64_t count = 0;
    enum att_status status = store_sqlite_integer(db, path, sql, &count, err);
    *ret = (size_t)count;
    return status;
}

/* "[2,3]" as ids; what we wrote ourselves, so anything else is a damaged file. */
static enum att_status parse_prompts(struct att_arena *arena, const char *path, const char *text, int64_t id,
                                     struct store_kb_entry *entry, struct att_err *err)
{
    struct att_json *list = NULL;
    enum att_status status = att_json_parse(text, strlen(text), 0, JSON_DEPTH, &list, err);
    size_t n = att_json_count(list);
    int64_t *prompts = status == ATT_OK ? att_arena_alloc(arena, n + 1, sizeof *prompts) : NULL;
    if (status == ATT_OK && !prompts)
        status = no_memory(err);
    for (size_t i = 0; status == ATT_OK && i < n; i++)
        if (!att_json_integer(att_json_at(list, i), 1, INT64_C(1) << 53, &prompts[i]))
            status = ATT_EFORMAT;
    att_json_destroy(list);
    if (status != ATT_OK && status != ATT_ENOMEM)
        return att_err_set(err, ATT_EFORMAT, "%s: is damaged: the prompts of entry %lld", path, (long long)id);
    entry->prompts = prompts;
    entry->n_prompts = n;
    return status;
}

/* It goes into answers as it stands. */
static enum att_status check_metadata(const char *path, const struct store_kb_entry *entry, struct att_err *err)
{
    struct att_json *object = NULL;
    if (strcmp(entry->metadata, "{}") == 0)
        return ATT_OK;
    enum att_status status = att_json_parse(entry->metadata, strlen(entry->metadata), 0, METADATA_DEPTH, &object, err);
    if (status != ATT_ENOMEM && !att_json_is_object(object))
        status = att_err_set(err, ATT_EFORMAT, "%s: is damaged: the metadata of entry %lld is no JSON object", path,
                             (long long)entry->id);
    att_json_destroy(object);
    return status;
}

static enum att_status load_entry(struct att_arena *arena, sqlite3_stmt *row, const char *path,
                                  struct store_kb_entry *entry, struct att_err *err)
{
    const char *prompts = NULL;
    const char **const texts[] = {&entry->lang,   &entry->question, &entry->answer,
                                  &entry->source, &entry->metadata, &prompts};
    enum att_status status = ATT_OK;
    entry->id = sqlite3_column_int64(row, 0);
    for (int i = 0; status == ATT_OK && i < 6; i++)
        status = column(arena, row, i + 1, path, texts[i], err);
    entry->context_only = sqlite3_column_int(row, 7) != 0;
    entry->chitchat = sqlite3_column_int(row, 8) != 0;
    entry->valid_from = sqlite3_column_int64(row, 9);
    entry->valid_until = sqlite3_column_int64(row, 10);
    if (status == ATT_OK && (entry->valid_from < 0 || entry->valid_from > STORE_KB_TIME_MAX || entry->valid_until < 0 ||
                             entry->valid_until > STORE_KB_TIME_MAX))
        status = att_err_set(err, ATT_EFORMAT, "%s: is damaged: the times of entry %lld", path, (long long)entry->id);
    if (status == ATT_OK)
        status = check_metadata(path, entry, err);
    return status == ATT_OK ? parse_prompts(arena, path, prompts, entry->id, entry, err) : status;
}

static enum att_status load_entries(struct kb_view *view, sqlite3 *db, const char *path, struct att_err *err)
{
    static const char sql[] = "SELECT id, lang, question, answer, source, metadata, prompts, context_only, "
                              "chitchat, valid_from, valid_until FROM entries ORDER BY id";
    struct store_kb_entry *entries = att_arena_alloc(&view->arena, view->view.n_entries + 1, sizeof *entries);
    sqlite3_stmt *row = NULL;
    if (!entries)
        return no_memory(err);
    view->view.entries = entries;
    enum att_status status = store_sqlite_prepare(db, path, sql, &row, err);
    size_t i = 0;
    int step = SQLITE_DONE;
    while (status == ATT_OK && i < view->view.n_entries && (step = sqlite3_step(row)) == SQLITE_ROW)
        status = load_entry(&view->arena, row, path, &entries[i++], err);
    if (status == ATT_OK && i != view->view.n_entries)
        status = step == SQLITE_DONE ? att_err_set(err, ATT_EFORMAT, "%s: is damaged: entries are missing", path)
                                     : store_sqlite_error(db, path, err);
    sqlite3_finalize(row);
    return status;
}

/* A vector of the file; one number that is none would spread to every score. */
static enum att_status load_vector(struct kb_view *view, sqlite3_stmt *row, const char *path, float *vector,
                                   struct att_err *err)
{
    const void *blob = sqlite3_column_blob(row, 3);
    size_t bytes = (size_t)sqlite3_column_bytes(row, 3), n = view->view.dimensions;
    bool finite = blob && bytes == n * sizeof *vector;
    if (!blob && short_of_memory(row))
        return no_memory(err);
    if (finite)
        memcpy(vector, blob, bytes);
    for (size_t i = 0; finite && i < n; i++)
        finite = isfinite(vector[i]);
    if (!finite)
        return att_err_set(err, ATT_EFORMAT, "%s: is damaged: a vector of entry %lld", path,
                           (long long)sqlite3_column_int64(row, 0));
    return ATT_OK;
}

/* One row of texts into slot i of the view. */
static enum att_status load_text(struct kb_view *view, sqlite3_stmt *row, const char *path, size_t i,
                                 struct store_kb_text *text, struct att_err *err)
{
    uint32_t grams[STORE_GRAMS_MAX];
    int64_t entry_id = sqlite3_column_int64(row, 0);
    view->text_ids[i] = sqlite3_column_int64(row, 1);
    text->entry = store_kb_find(&view->view, entry_id);
    enum att_status status = column(&view->arena, row, 2, path, &text->text, err);
    if (status == ATT_OK)
        status = load_vector(view, row, path, view->vectors + i * view->view.dimensions, err);
    if (status != ATT_OK)
        return status;
    if (text->entry == view->view.n_entries)
        return att_err_set(err, ATT_EFORMAT, "%s: is damaged: a text of entry %lld, which is missing", path,
                           (long long)entry_id);
    text->n_grams = store_grams(text->text, strlen(text->text), grams);
    uint32_t *copy = att_arena_alloc(&view->arena, text->n_grams + 1, sizeof *copy);
    if (!copy)
        return no_memory(err);
    memcpy(copy, grams, text->n_grams * sizeof *copy);
    text->grams = copy;
    text->cjk = store_cjk_share(text->text, strlen(text->text)) > 0.3f;
    return ATT_OK;
}

static enum att_status load_texts(struct kb_view *view, sqlite3 *db, const char *path, struct att_err *err)
{
    static const char sql[] = "SELECT entry, id, text, vector FROM texts ORDER BY id";
    size_t n = view->view.n_texts, floats;
    struct store_kb_text *texts = att_arena_alloc(&view->arena, n + 1, sizeof *texts);
    view->text_ids = att_arena_alloc(&view->arena, n + 1, sizeof *view->text_ids);
    view->vectors = att_size_mul(n + 1, view->view.dimensions, &floats) ? att_mem_aligned(floats, sizeof(float)) : NULL;
    if (!texts || !view->text_ids || !view->vectors)
        return no_memory(err);
    view->view.texts = texts;
    view->view.vectors = view->vectors;
    sqlite3_stmt *row = NULL;
    enum att_status status = store_sqlite_prepare(db, path, sql, &row, err);
    size_t i = 0;
    int step = SQLITE_DONE;
    while (status == ATT_OK && i < n && (step = sqlite3_step(row)) == SQLITE_ROW) {
        status = load_text(view, row, path, i, &texts[i], err);
        i++;
    }
    if (status == ATT_OK && i != n)
        status = step == SQLITE_DONE ? att_err_set(err, ATT_EFORMAT, "%s: is damaged: texts are missing", path)
                                     : store_sqlite_error(db, path, err);
    sqlite3_finalize(row);
    return status;
}

/* The n-grams of the texts from..end-1 of one entry together. */
static enum att_status join_terms(struct kb_view *view, size_t from, size_t end, struct store_kb_terms *terms,
                                  struct att_err *err)
{
    size_t total = 0, at = 0;
    for (size_t t = from; t < end; t++)
        total += view->view.texts[t].n_grams;
    uint32_t *all = att_mem_calloc(total + 1, sizeof *all);
    if (!all)
        return no_memory(err);
    for (size_t t = from; t < end; t++) {
        memcpy(all + at, view->view.texts[t].grams, view->view.texts[t].n_grams * sizeof *all);
        at += view->view.texts[t].n_grams;
    }
    size_t count = store_grams_distinct(all, total);
    uint32_t *kept = att_arena_alloc(&view->arena, count + 1, sizeof *kept);
    if (kept)
        memcpy(kept, all, count * sizeof *kept);
    att_mem_free(all);
    *terms = (struct store_kb_terms){kept, count};
    return kept ? ATT_OK : no_memory(err);
}

/* The alternates of every entry: its texts but the first, which is the question; and the n-grams of them all. Rows are
 * in order of writing, so an entry's texts follow one another. */
static enum att_status group_texts(struct kb_view *view, struct att_err *err)
{
    struct store_kb_entry *entries = (struct store_kb_entry *)(uintptr_t)view->view.entries;
    struct store_kb_terms *terms = att_arena_alloc(&view->arena, view->view.n_entries + 1, sizeof *terms);
    if (!terms)
        return no_memory(err);
    view->view.terms = terms;
    for (size_t i = 0; i < view->view.n_texts;) {
        struct store_kb_entry *entry = &entries[view->view.texts[i].entry];
        size_t end = i + 1;
        while (end < view->view.n_texts && view->view.texts[end].entry == view->view.texts[i].entry)
            end++;
        const char **alternates = att_arena_alloc(&view->arena, end - i, sizeof *alternates);
        if (!alternates)
            return no_memory(err);
        for (size_t t = i + 1; t < end; t++)
            alternates[t - i - 1] = view->view.texts[t].text;
        entry->alternates = alternates;
        entry->n_alternates = end - i - 1;
        enum att_status status = join_terms(view, i, end, &terms[view->view.texts[i].entry], err);
        if (status != ATT_OK)
            return status;
        i = end;
    }
    return ATT_OK;
}

static enum att_status weigh(struct kb_view *view, struct att_err *err)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < view->view.n_texts; i++)
        total += view->view.texts[i].n_grams;
    uint32_t *all = att_mem_calloc(total + 1, sizeof *all);
    if (!all)
        return no_memory(err);
    for (size_t i = 0; i < view->view.n_texts; i++) {
        memcpy(all + at, view->view.texts[i].grams, view->view.texts[i].n_grams * sizeof *all);
        at += view->view.texts[i].n_grams;
    }
    bool built = store_idf_build(&view->arena, all, total, view->view.n_texts, &view->idf);
    att_mem_free(all);
    if (!built)
        return no_memory(err);
    /* The array is the view's own; the public face alone is const. */
    struct store_kb_text *texts = (struct store_kb_text *)(uintptr_t)view->view.texts;
    for (size_t i = 0; i < view->view.n_texts; i++)
        texts[i].norm = store_grams_norm(&view->idf, texts[i].grams, texts[i].n_grams);
    view->view.idf = &view->idf;
    return ATT_OK;
}

/* The calibration, when one was fitted. */
static enum att_status load_fit(struct kb_view *view, sqlite3 *db, const char *path, struct att_err *err)
{
    sqlite3_stmt *row = NULL;
    struct att_json *object = NULL;
    enum att_status status = store_sqlite_prepare(db, path, "SELECT 0, value FROM meta WHERE key = 'fit'", &row, err);
    int step = status == ATT_OK ? sqlite3_step(row) : SQLITE_DONE;
    if (step == SQLITE_ROW) {
        status = column(&view->arena, row, 1, path, &view->view.fit, err);
        if (status == ATT_OK)
            status = att_json_parse(view->view.fit, strlen(view->view.fit), 0, JSON_DEPTH, &object, err);
        if (status != ATT_OK && status != ATT_ENOMEM)
            status = att_err_set(err, ATT_EFORMAT, "%s: is damaged: its calibration is no JSON", path);
    } else if (step != SQLITE_DONE) {
        status = store_sqlite_error(db, path, err);
    }
    att_json_destroy(object);
    sqlite3_finalize(row);
    return status;
}

enum att_status store_kb_view_load(sqlite3 *db, const char *path, size_t dimensions, struct kb_view **ret_view,
                                   struct att_err *err)
{
    struct kb_view *view = att_mem_calloc(1, sizeof *view);
    if (!view)
        return no_memory(err);
    atomic_init(&view->refs, 1);
    att_arena_init(&view->arena, view_bytes_max);
    view->view.dimensions = dimensions;
    enum att_status status = count_rows(db, path, "SELECT count(*) FROM entries", &view->view.n_entries, err);
    if (status == ATT_OK)
        status = count_rows(db, path, "SELECT count(*) FROM texts", &view->view.n_texts, err);
    if (status == ATT_OK)
        status = load_entries(view, db, path, err);
    if (status == ATT_OK)
        status = load_texts(view, db, path, err);
    if (status == ATT_OK)
        status = group_texts(view, err);
    if (status == ATT_OK)
        status = weigh(view, err);
    if (status == ATT_OK)
        status = load_fit(view, db, path, err);
    if (status != ATT_OK)
        store_kb_view_unref(view);
    else
        *ret_view = view;
    return status;
}

void store_kb_view_unref(struct kb_view *view)
{
    if (!view || atomic_fetch_sub(&view->refs, 1) != 1)
        return;
    att_arena_finish(&view->arena);
    att_mem_free(view->vectors);
    att_mem_free(view);
}

size_t store_kb_find(const struct store_kb_view *view, int64_t id)
{
    size_t low = 0, high = view->n_entries;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (view->entries[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < view->n_entries && view->entries[low].id == id ? low : view->n_entries;
}
