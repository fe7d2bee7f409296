/* Which files are taken as a knowledge base, which are refused and in what words, and files that are moved while open.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "database.h"
#include "store/kb.h"
#include "store/sqlite.h"

enum { DIM = 4 };

static char folder[64], path[96], other_path[96];

static int setup(void **state)
{
    (void)state;
    if (!database_place(folder, "kb.db", path))
        return -1;
    snprintf(other_path, sizeof other_path, "%s/other.db", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    database_remove(path);
    database_remove(other_path);
    return rmdir(folder);
}

static struct store_kb *opened(const char *name)
{
    struct store_kb *kb = NULL;
    struct att_err err;
    if (store_kb_open(name, "digest-of-the-encoder", DIM, &kb, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return kb;
}

/* Refused with this status, in words that name the file. */
static void refused(const char *name, enum att_status expected, const char *words)
{
    struct store_kb *kb = NULL;
    struct att_err err = {.message = ""};
    enum att_status status = store_kb_open(name, "digest-of-the-encoder", DIM, &kb, &err);
    if (status != expected || !strstr(err.message, words) || !strstr(err.message, name))
        fail_msg("status %d, message '%s' instead of '%s'", (int)status, err.message, words);
    assert_null(kb);
}

static void put(struct store_kb *kb, int64_t id)
{
    static const float vectors[2 * DIM] = {1, 0, 0, 0, 0, 1, 0, 0};
    static const char *const alternates[] = {"track my parcel"};
    const struct store_kb_entry entry = {.id = id,
                                         .lang = "en",
                                         .question = "Where is my order?",
                                         .answer = "Look here.",
                                         .alternates = alternates,
                                         .n_alternates = 1,
                                         .source = "",
                                         .metadata = "{}"};
    struct att_err err;
    if (store_kb_put(kb, &entry, 1, vectors, false, &err) != ATT_OK)
        fail_msg("%s", err.message);
}

static size_t count(struct store_kb *kb)
{
    const struct store_kb_view *view = store_kb_view(kb);
    size_t n = view->n_entries;
    store_kb_view_release(kb, view);
    return n;
}

static void only_regular_files_are_taken(void **state)
{
    (void)state;
    refused(folder, ATT_EFORMAT, "is a folder, expected a regular file");
    assert_int_equal(mkfifo(path, 0600), 0);
    refused(path, ATT_EFORMAT, "is a FIFO");
    unlink(path);
    refused("/dev/null", ATT_EFORMAT, "is a device or socket");
    refused("/nonexistent/kb.db", ATT_EIO, "No such file or directory");
    refused(":memory:", ATT_EIO, "cannot keep a write-ahead log: memory");
    assert_int_equal(access(":memory:", F_OK), -1);
}

/* The log lies beside the file itself, so both names are one database. */
static void a_symbolic_link_is_followed(void **state)
{
    (void)state;
    struct store_kb *kb = opened(other_path);
    assert_int_equal(symlink(other_path, path), 0);
    struct store_kb *linked = opened(path);
    put(linked, 1);
    assert_int_equal(store_kb_refresh(kb, NULL), ATT_OK);
    assert_int_equal(count(kb), 1);
    store_kb_close(linked);
    store_kb_close(kb);
}

static void other_databases_are_refused_and_left_alone(void **state)
{
    (void)state;
    database_run(path, "CREATE TABLE customers(name TEXT); INSERT INTO customers VALUES ('Ann')");
    refused(path, ATT_EFORMAT, "is a database of another program");
    database_run(path, "INSERT INTO customers VALUES ('Bob'); CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT)");
    refused(path, ATT_EFORMAT, "its schema is missing, expected at most 2");
    database_run(path, "INSERT INTO meta VALUES ('schema', '3')");
    refused(path, ATT_EFORMAT, "its schema is 3, expected at most 2: it was written by another version");
    FILE *file = fopen(other_path, "wb");
    fputs("text, long enough to look like a database at the first sight of it. ", file);
    for (int i = 0; i < 40; i++)
        fputs("And more of it, and more of it, and more of it.", file);
    fclose(file);
    refused(other_path, ATT_EFORMAT, "is no SQLite database or is damaged");
}

static void an_empty_file_is_filled(void **state)
{
    (void)state;
    fclose(fopen(path, "wb"));
    struct store_kb *kb = opened(path);
    put(kb, 1);
    store_kb_close(kb);
}

/* A trigger of somebody else's file would run with every write of ours. */
static void foreign_triggers_and_views_are_refused(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "CREATE TRIGGER spy AFTER INSERT ON entries BEGIN DELETE FROM texts; END",
        "DROP TRIGGER spy",
        "CREATE TRIGGER texts_fts_x AFTER INSERT ON entries BEGIN DELETE FROM texts; END",
        "DROP TRIGGER texts_fts_x",
        "CREATE VIEW v AS SELECT 1",
        "DROP VIEW v",
        "ALTER TABLE entries ADD COLUMN more TEXT DEFAULT 'x'",
        "ALTER TABLE entries DROP COLUMN more",
        "DROP TRIGGER texts_insert"};
    struct store_kb *kb = opened(path);
    put(kb, 1);
    store_kb_close(kb);
    database_run(path, "ANALYZE; REINDEX; VACUUM"); /* what an operator may do */
    store_kb_close(opened(path));
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        database_run(path, changes[i]);
        if (i % 2 == 0)
            refused(path, ATT_EFORMAT, "its tables, indexes or triggers");
        else
            store_kb_close(opened(path));
    }
}

/* As version 1 of the tables made and filled it. */
static const char first_version[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE entries(id INTEGER PRIMARY KEY, lang TEXT NOT NULL, question TEXT NOT NULL,"
    " answer TEXT NOT NULL, source TEXT NOT NULL, metadata TEXT NOT NULL, prompts TEXT NOT NULL,"
    " context_only INTEGER NOT NULL);"
    "CREATE TABLE texts(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " entry INTEGER NOT NULL REFERENCES entries(id) ON DELETE CASCADE, text TEXT NOT NULL, vector BLOB NOT NULL);"
    "CREATE INDEX texts_entry ON texts(entry);"
    "CREATE VIRTUAL TABLE texts_fts USING fts5(text, content='texts', content_rowid='id', tokenize='trigram');"
    "CREATE TRIGGER texts_insert AFTER INSERT ON texts BEGIN"
    " INSERT INTO texts_fts(rowid, text) VALUES (new.id, new.text); END;"
    "CREATE TRIGGER texts_delete AFTER DELETE ON texts BEGIN"
    " INSERT INTO texts_fts(texts_fts, rowid, text) VALUES ('delete', old.id, old.text); END;"
    "INSERT INTO meta VALUES ('schema', '1'), ('encoder', 'digest-of-the-encoder'), ('dimensions', '4');"
    "INSERT INTO entries VALUES (7, 'en', 'Where is it?', 'Here.', '', '{}', '[]', 1);"
    "INSERT INTO texts(entry, text, vector) VALUES (7, 'Where is it?', zeroblob(16))";

static void an_older_file_is_brought_to_the_present_version(void **state)
{
    (void)state;
    database_run(path, first_version);
    database_run(path, "CREATE TRIGGER spy AFTER INSERT ON entries BEGIN DELETE FROM texts; END");
    refused(path, ATT_EFORMAT, "its tables, indexes or triggers");
    database_run(path, "DROP TRIGGER spy; UPDATE meta SET value = 'other' WHERE key = 'encoder'");
    refused(path, ATT_EFORMAT, "its encoder is other");
    database_run(path,
                 "UPDATE meta SET value = 'digest-of-the-encoder' WHERE key = 'encoder';"
                 "INSERT INTO entries SELECT 8, lang, question, answer, source, metadata, prompts, 0 FROM entries;"
                 "INSERT INTO texts(entry, text, vector) VALUES (8, 'Where?', zeroblob(16))"); /* still eight columns */
    struct store_kb *kb = opened(path);
    const struct store_kb_view *view = store_kb_view(kb);
    assert_int_equal(view->n_entries, 2);
    assert_string_equal(view->entries[0].answer, "Here.");
    assert_true(view->entries[0].context_only);
    assert_false(view->entries[0].chitchat);
    assert_int_equal(view->entries[0].valid_until, 0);
    assert_null(view->fit);
    store_kb_view_release(kb, view);
    put(kb, 9);
    store_kb_close(kb);
    kb = opened(path);
    assert_int_equal(count(kb), 3);
    store_kb_close(kb);
}

static void *open_only(void *argument)
{
    struct store_kb *kb = NULL;
    enum att_status status = ATT_EBUSY;
    struct att_err err = {.message = ""};
    (void)argument;
    /* On a slow disk the others may hold the file for longer than one opening waits. */
    for (size_t i = 0; i < 4 && status == ATT_EBUSY; i++)
        status = store_kb_open(path, "digest-of-the-encoder", DIM, &kb, &err);
    if (status != ATT_OK)
        print_error("%s\n", err.message);
    store_kb_close(kb);
    return (void *)(uintptr_t)status;
}

static void several_may_upgrade_the_same_file(void **state)
{
    (void)state;
    pthread_t threads[4];
    database_run(path, first_version);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_only, NULL), 0);
    for (size_t i = 0; i < 4; i++) {
        void *status;
        pthread_join(threads[i], &status);
        assert_null(status);
    }
    struct store_kb *kb = opened(path);
    assert_int_equal(count(kb), 1);
    store_kb_close(kb);
}

static void damaged_rows_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *damage, *words, *repair;
    } cases[] = {
        {"UPDATE entries SET answer = CAST(x'C328' AS TEXT)", "is damaged: answer of entry 1",
         "UPDATE entries SET answer = 'Look'"},
        {"UPDATE entries SET lang = CAST(x'610062' AS TEXT)", "is damaged: lang of entry 1",
         "UPDATE entries SET lang = 'en'"},
        {"UPDATE entries SET metadata = '{\"a\":'", "is damaged: the metadata of entry 1",
         "UPDATE entries SET metadata = '[1]'"},
        {"UPDATE entries SET metadata = '[1]'", "is damaged: the metadata of entry 1",
         "UPDATE entries SET metadata = '{\"a\":[1]}'"},
        {"UPDATE entries SET prompts = '[0]'", "is damaged: the prompts of entry 1",
         "UPDATE entries SET prompts = '[]'"},
        {"UPDATE texts SET vector = x'00'", "is damaged: a vector of entry 1",
         "UPDATE texts SET vector = zeroblob(16)"},
        {"UPDATE texts SET vector = x'0000C07F0000C07F0000C07F0000C07F'", "is damaged: a vector of entry 1",
         "UPDATE texts SET vector = zeroblob(16)"},
        {"UPDATE entries SET valid_until = -5", "is damaged: the times of entry 1",
         "UPDATE entries SET valid_until = 0"},
        {"INSERT INTO meta VALUES ('fit', '{\"a\":')", "is damaged: its calibration is no JSON",
         "DELETE FROM meta WHERE key = 'fit'"},
        {"UPDATE texts SET entry = 7", "is damaged: a text of entry 7", "UPDATE texts SET entry = 1"},
    };
    struct store_kb *kb = opened(path);
    put(kb, 1);
    store_kb_close(kb);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        database_run(path, cases[i].damage);
        refused(path, ATT_EFORMAT, cases[i].words);
        database_run(path, cases[i].repair);
    }
    store_kb_close(opened(path));
}

/* Every page but the first, one after another: the file is refused by name, or what is read of it is sound. */
static void damaged_pages_never_crash(void **state)
{
    (void)state;
    struct store_kb *kb = opened(path);
    for (int64_t id = 1; id <= 60; id++)
        put(kb, id);
    store_kb_close(kb);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    size_t refusals = 0, pages = (size_t)info.st_size / 4096;
    assert_true(pages > 10);
    for (size_t page = 0; page < pages; page++) {
        unsigned char whole[4096], damaged[4096];
        FILE *file = fopen(path, "r+b");
        fseek(file, (long)(page * 4096), SEEK_SET);
        assert_int_equal(fread(whole, 1, sizeof whole, file), sizeof whole);
        for (size_t i = 0; i < sizeof whole; i++)
            damaged[i] = i < 100 && page == 0 ? whole[i] : (unsigned char)(whole[i] ^ (i * 7 + page));
        fseek(file, (long)(page * 4096), SEEK_SET);
        fwrite(damaged, 1, sizeof damaged, file);
        fclose(file);
        struct att_err err = {.message = ""};
        enum att_status status = store_kb_open(path, "digest-of-the-encoder", DIM, &kb, &err);
        assert_true(status == ATT_OK || (status == ATT_EFORMAT && strstr(err.message, path)));
        refusals += status != ATT_OK;
        if (status == ATT_OK) {
            size_t texts[4], found;
            const struct store_kb_view *view = store_kb_view(kb);
            (void)!store_kb_match(kb, view, "where is my order", 17, texts, 4, &found, &err);
            store_kb_view_release(kb, view);
            store_kb_close(kb);
        }
        file = fopen(path, "r+b");
        fseek(file, (long)(page * 4096), SEEK_SET);
        fwrite(whole, 1, sizeof whole, file);
        fclose(file);
    }
    assert_true(refusals * 2 > pages);
    kb = opened(path);
    assert_int_equal(count(kb), 60);
    store_kb_close(kb);
}

/* What is acknowledged must be in the file that bears the name. */
static void a_removed_or_replaced_file_is_not_written(void **state)
{
    (void)state;
    struct store_kb *kb = opened(path), *other = opened(other_path);
    struct att_err err = {.message = ""};
    bool removed = false;
    char aside[112];
    put(kb, 1);
    put(other, 5);
    store_kb_close(other);
    snprintf(aside, sizeof aside, "%s.aside", path);
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(store_kb_remove(kb, 1, &removed, &err), ATT_EIO);
    assert_non_null(strstr(err.message, "was removed or moved while it is open"));
    assert_int_equal(access(path, F_OK), -1); /* no empty file appears in its place */
    assert_int_equal(rename(other_path, path), 0);
    assert_int_equal(store_kb_clear(kb, &err), ATT_EIO);
    assert_non_null(strstr(err.message, "was replaced while it is open"));
    assert_int_equal(store_kb_refresh(kb, &err), ATT_EIO);
    assert_int_equal(count(kb), 1);
    assert_int_equal(rename(aside, path), 0);
    put(kb, 2);
    assert_int_equal(store_kb_refresh(kb, &err), ATT_OK);
    assert_int_equal(count(kb), 2);
    store_kb_close(kb);
    kb = opened(path);
    assert_int_equal(count(kb), 2);
    store_kb_close(kb);
}

static void *open_and_put(void *argument)
{
    struct store_kb *kb = NULL;
    struct att_err err = {.message = ""};
    enum att_status status = store_kb_open(path, "digest-of-the-encoder", DIM, &kb, &err);
    if (status != ATT_OK)
        print_error("%s\n", err.message);
    if (status == ATT_OK)
        put(kb, (int64_t)(uintptr_t)argument);
    store_kb_close(kb);
    return (void *)(uintptr_t)status;
}

static void several_may_make_the_same_file(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_put, (void *)(i + 1)), 0);
    for (size_t i = 0; i < 4; i++) {
        void *status;
        pthread_join(threads[i], &status);
        assert_null(status);
    }
    struct store_kb *kb = opened(path);
    assert_int_equal(count(kb), 4);
    store_kb_close(kb);
}

static void a_held_lock_is_told(void **state)
{
    (void)state;
    struct store_kb *kb = opened(path);
    sqlite3 *holder = NULL;
    struct att_err err = {.message = ""};
    put(kb, 1);
    assert_int_equal(store_sqlite_open(path, &holder, &err), ATT_OK);
    assert_int_equal(store_sqlite_exec(holder, path, "BEGIN IMMEDIATE", &err), ATT_OK);
    assert_int_equal(store_kb_clear(kb, &err), ATT_EBUSY); /* after five seconds of patience */
    assert_non_null(strstr(err.message, "another process writes to it"));
    assert_int_equal(count(kb), 1);
    assert_int_equal(store_kb_refresh(kb, &err), ATT_OK); /* reading waits for nobody */
    store_kb_close(opened(path));                         /* nor does opening what is complete */
    assert_int_equal(store_sqlite_exec(holder, path, "ROLLBACK", &err), ATT_OK);
    assert_int_equal(store_kb_clear(kb, &err), ATT_OK);
    sqlite3_close(holder);
    store_kb_close(kb);
}

/* The log is cut after a large write, so that it stays bounded. */
static void the_log_does_not_grow(void **state)
{
    (void)state;
    struct store_kb *kb = opened(path);
    char wal[120], *answer = calloc(1, 65537);
    struct stat info;
    static struct store_kb_entry many[400];
    float *vectors = calloc(400, DIM * sizeof *vectors);
    memset(answer, 'x', 65536);
    for (int i = 0; i < 400; i++)
        many[i] = (struct store_kb_entry){
            .id = i + 1, .lang = "", .question = "q", .answer = answer, .source = "", .metadata = "{}"};
    snprintf(wal, sizeof wal, "%s-wal", path);
    assert_int_equal(store_kb_put(kb, many, 400, vectors, false, NULL), ATT_OK);
    assert_int_equal(stat(wal, &info), 0);
    assert_true(info.st_size > 20 << 20);
    for (int64_t id = 1; id <= 3; id++)
        put(kb, id);
    assert_int_equal(stat(wal, &info), 0);
    assert_true(info.st_size <= 17 << 20);
    store_kb_close(kb);
    free(vectors);
    free(answer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_regular_files_are_taken),
        TEST(a_symbolic_link_is_followed),
        TEST(other_databases_are_refused_and_left_alone),
        TEST(an_empty_file_is_filled),
        TEST(foreign_triggers_and_views_are_refused),
        TEST(an_older_file_is_brought_to_the_present_version),
        TEST(several_may_upgrade_the_same_file),
        TEST(damaged_rows_are_named),
        TEST(damaged_pages_never_crash),
        TEST(a_removed_or_replaced_file_is_not_written),
        TEST(several_may_make_the_same_file),
        TEST(a_held_lock_is_told),
        TEST(the_log_does_not_grow),
    };
    return cmocka_run_group_tests_name("store/kb_schema", tests, NULL, NULL);
}
