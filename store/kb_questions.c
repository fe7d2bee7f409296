/* The table of questions; see kb_questions.h. Writing it leaves the view of entries as it is. */
#include "store/kb_questions.h"

#include <assert.h>
#include <string.h>

#include "core/base/utf8.h"
#include "store/kb_handle.h"
#include "store/sqlite.h"

static enum att_status insert(struct store_kb *kb, const struct store_kb_question *questions, size_t n,
                              size_t *ret_added, struct att_err *err)
{
    static const char sql[] =
        "INSERT INTO questions(time, kind, entry, reply, text) SELECT ?1,?2,?3,?4,?5 WHERE ?4 = ''"
        " OR NOT EXISTS (SELECT 1 FROM questions WHERE reply = ?4 AND kind = ?2)";
    sqlite3_stmt *row = NULL;
    enum att_status status = store_sqlite_prepare(kb->db, kb->path, sql, &row, err);
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        const struct store_kb_question *question = &questions[i];
        sqlite3_bind_int64(row, 1, question->time);
        sqlite3_bind_int(row, 2, (int)question->kind);
        sqlite3_bind_int64(row, 3, question->entry);
        if (sqlite3_bind_text(row, 4, question->reply, -1, SQLITE_STATIC) != SQLITE_OK ||
            sqlite3_bind_text(row, 5, question->text, -1, SQLITE_STATIC) != SQLITE_OK ||
            sqlite3_step(row) != SQLITE_DONE)
            status = store_sqlite_error(kb->db, kb->path, err);
        else
            *ret_added += (size_t)sqlite3_changes(kb->db);
        sqlite3_reset(row);
    }
    sqlite3_finalize(row);
    return status;
}

static enum att_status retain(struct store_kb *kb, const struct store_kb_retention *retention, struct att_err *err)
{
    static const char sql[] = "DELETE FROM questions WHERE time < ?1 OR id <= (SELECT id FROM questions"
                              " ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    sqlite3_stmt *row = NULL;
    enum att_status status = store_sqlite_prepare(kb->db, kb->path, sql, &row, err);
    if (status != ATT_OK)
        return status;
    sqlite3_bind_int64(row, 1, retention->since);
    sqlite3_bind_int64(row, 2, (sqlite3_int64)retention->max);
    if (sqlite3_step(row) != SQLITE_DONE)
        status = store_sqlite_error(kb->db, kb->path, err);
    sqlite3_finalize(row);
    return status;
}

enum att_status store_kb_questions_add(struct store_kb *kb, const struct store_kb_question *questions, size_t n,
                                       const struct store_kb_retention *retention, size_t *ret_added,
                                       struct att_err *err)
{
    size_t added = 0;
    assert(retention->max > 0);
    pthread_mutex_lock(&kb->write_mutex);
    enum att_status status = store_kb_begin(kb, err);
    if (status == ATT_OK) {
        status = insert(kb, questions, n, &added, err);
        if (status == ATT_OK)
            status = retain(kb, retention, err);
        status = store_kb_end(kb, status, err);
    }
    pthread_mutex_unlock(&kb->write_mutex);
    if (status == ATT_OK)
        *ret_added = added;
    return status;
}

/* The file may have been written by anyone, and what is read here is sent to clients. */
static enum att_status copy_text(struct store_kb *kb, sqlite3_stmt *row, int i, struct att_arena *arena,
                                 const char **ret_text, struct att_err *err)
{
    const char *text = (const char *)sqlite3_column_text(row, i);
    size_t len = text ? (size_t)sqlite3_column_bytes(row, i) : 0;
    if (!text && (sqlite3_errcode(kb->search) & 255) == SQLITE_NOMEM)
        return att_err_set(err, ATT_ENOMEM, "out of memory for the questions");
    if (!text || memchr(text, '\0', len) || !att_utf8_valid(text, len))
        return att_err_set(err, ATT_EFORMAT, "%s: is damaged: question %lld is no UTF-8 text", kb->path,
                           (long long)sqlite3_column_int64(row, 0));
    *ret_text = att_arena_copy(arena, text, len);
    return *ret_text ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory for the questions");
}

static enum att_status take(struct store_kb *kb, sqlite3_stmt *row, struct att_arena *arena,
                            struct store_kb_question *question, struct att_err *err)
{
    int kind = sqlite3_column_int(row, 2);
    *question = (struct store_kb_question){.id = sqlite3_column_int64(row, 0),
                                           .time = sqlite3_column_int64(row, 1),
                                           .entry = sqlite3_column_int64(row, 3)};
    if (kind < 0 || kind >= STORE_KB_KINDS)
        return att_err_set(err, ATT_EFORMAT, "%s: is damaged: the kind of question %lld", kb->path,
                           (long long)question->id);
    question->kind = (enum store_kb_kind)kind;
    enum att_status status = copy_text(kb, row, 4, arena, &question->reply, err);
    return status == ATT_OK ? copy_text(kb, row, 5, arena, &question->text, err) : status;
}

enum att_status store_kb_questions_read(struct store_kb *kb, int64_t since, size_t max, struct att_arena *arena,
                                        struct store_kb_question **ret_questions, size_t *ret_count,
                                        struct att_err *err)
{
    static const char sql[] = "SELECT id, time, kind, entry, reply, text FROM questions WHERE time >= ?1"
                              " ORDER BY id DESC LIMIT ?2";
    struct store_kb_question *questions = att_arena_alloc(arena, max + 1, sizeof *questions);
    sqlite3_stmt *row = NULL;
    sqlite3 *db = NULL;
    size_t count = 0;
    int step = SQLITE_DONE;
    if (!questions)
        return att_err_set(err, ATT_ENOMEM, "out of memory for the questions");
    pthread_mutex_lock(&kb->search_mutex);
    enum att_status status = store_kb_search(kb, &db, err);
    if (status == ATT_OK)
        status = store_sqlite_prepare(db, kb->path, sql, &row, err);
    if (status == ATT_OK) {
        sqlite3_bind_int64(row, 1, since);
        sqlite3_bind_int64(row, 2, (sqlite3_int64)max);
    }
    while (status == ATT_OK && count < max && (step = sqlite3_step(row)) == SQLITE_ROW)
        status = take(kb, row, arena, &questions[count++], err);
    if (status == ATT_OK && step != SQLITE_ROW && step != SQLITE_DONE)
        status = store_sqlite_error(db, kb->path, err);
    sqlite3_finalize(row);
    kb->search_suspect = kb->search_suspect || status == ATT_ENOMEM;
    pthread_mutex_unlock(&kb->search_mutex);
    if (status == ATT_OK) {
        *ret_questions = questions;
        *ret_count = count;
    }
    return status;
}

enum att_status store_kb_questions_clear(struct store_kb *kb, size_t *ret_removed, struct att_err *err)
{
    size_t removed = 0;
    pthread_mutex_lock(&kb->write_mutex);
    enum att_status status = store_kb_begin(kb, err);
    if (status == ATT_OK) {
        status = store_sqlite_exec(kb->db, kb->path, "DELETE FROM questions", err);
        removed = (size_t)sqlite3_changes64(kb->db);
        status = store_kb_end(kb, status, err);
    }
    pthread_mutex_unlock(&kb->write_mutex);
    if (status == ATT_OK)
        *ret_removed = removed;
    return status;
}
