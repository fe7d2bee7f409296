/* Files are made, checked and brought to the present version; those that stood before the present code still open. */
#include "store/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "database.h"
#include "store/catalogue.h"
#include "store/news.h"
#include "store/sqlite.h"
#include "store/users.h"

static char folder[64], path[96];

static int setup(void **state)
{
    (void)state;
    if (!database_place(folder, "file.db", path))
        return -1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    database_remove(path);
    return rmdir(folder);
}

static const char *const steps[] = {
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID; CREATE TABLE birds(name TEXT);",
    "ALTER TABLE birds ADD COLUMN song TEXT NOT NULL DEFAULT 'none'; CREATE INDEX birds_song ON birds(song);",
};
static const struct store_schema_fact wood = {"wood", "oak", "look in another wood"};

/* Marked by its header or by meta, of the first n steps. */
static struct store_schema birds(bool by_header, size_t n)
{
    return (struct store_schema){.what = "a list of birds",
                                 .application_id = by_header ? "77" : NULL,
                                 .name = "birds ",
                                 .steps = steps,
                                 .n_steps = n,
                                 .facts = &wood,
                                 .n_facts = 1,
                                 .hidden = "sqlite_*"};
}

static enum att_status prepare(const struct store_schema *schema, struct att_err *err)
{
    sqlite3 *db = NULL;
    enum att_status status = store_sqlite_open(path, &db, err);
    if (status == ATT_OK)
        status = store_schema_prepare(db, path, schema, err);
    sqlite3_close(db);
    return status;
}

static void accepted(const struct store_schema *schema)
{
    struct att_err err;
    if (prepare(schema, &err) != ATT_OK)
        fail_msg("%s", err.message);
}

static void refused(const struct store_schema *schema, const char *words)
{
    struct att_err err = {.message = ""};
    enum att_status status = prepare(schema, &err);
    if (status != ATT_EFORMAT || !strstr(err.message, words) || !strstr(err.message, path))
        fail_msg("status %d, message '%s' instead of '%s'", (int)status, err.message, words);
}

static void a_file_grows_with_its_versions(void **state)
{
    (void)state;
    for (int by_header = 0; by_header < 2; by_header++) {
        const struct store_schema first = birds(by_header, 1), second = birds(by_header, 2);
        accepted(&first);
        database_run(path, "INSERT INTO birds VALUES ('wren')");
        accepted(&first);
        accepted(&second);
        accepted(&second);
        database_run(
            path,
            "INSERT INTO birds VALUES ('owl', 'hoo'); ANALYZE; VACUUM"); /* two columns; an operator may do these */
        accepted(&second);
        refused(&first, by_header ? "its schema is 2, expected at most 1" : "its schema is birds 2, expected at most");
        database_remove(path);
        accepted(&second);
        database_remove(path);
    }
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    for (int by_header = 0; by_header < 2; by_header++) {
        const struct store_schema schema = birds(by_header, 2), first = birds(by_header, 1);
        database_run(path, "CREATE TABLE birds(name TEXT)");
        refused(&schema, "is a database of another program, not a list of birds");
        database_remove(path);
        accepted(&first);
        database_run(path, "CREATE TRIGGER spy AFTER INSERT ON birds BEGIN DELETE FROM meta; END");
        refused(&first, "its tables, indexes or triggers are not those of a list of birds");
        refused(&schema, "its tables, indexes or triggers");
        database_run(path, "DROP TRIGGER spy; UPDATE meta SET value = 'elm' WHERE key = 'wood'");
        refused(&schema, "its wood is elm, expected oak: look in another wood");
        database_run(path, "DELETE FROM meta WHERE key = 'wood'");
        refused(&schema, "its wood is missing");
        database_run(
            path,
            "INSERT INTO meta VALUES ('wood', 'oak'); INSERT INTO birds VALUES ('wren')"); /* one column: unchanged */
        accepted(&schema);
        database_remove(path);
    }
}

/* Of one kind of file only the mark differs. */
static void the_mark_of_another_kind_is_refused(void **state)
{
    (void)state;
    const struct store_schema by_header = birds(true, 2), by_meta = birds(false, 2);
    accepted(&by_meta);
    refused(&by_header, "is a database of another program");
    database_remove(path);
    accepted(&by_header);
    refused(&by_meta, "its schema is missing, expected at most birds 2");
}

/* As the first versions made them. */
static const char first_users[] =
    "PRAGMA application_id=1098147925; PRAGMA user_version=1;"
    "CREATE TABLE events(seq INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, id TEXT, model TEXT NOT NULL,"
    " item TEXT NOT NULL, type INTEGER NOT NULL, value REAL, time REAL NOT NULL, text TEXT NOT NULL);"
    "CREATE UNIQUE INDEX events_id ON events(user, id) WHERE id IS NOT NULL;"
    "CREATE INDEX events_user ON events(user, time, seq);"
    "CREATE INDEX events_time ON events(time);";
static const char first_catalogue[] =
    "PRAGMA application_id=1098138996; PRAGMA user_version=1;"
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE items(id TEXT PRIMARY KEY, seq INTEGER NOT NULL, deleted INTEGER NOT NULL,"
    " title TEXT, text TEXT, metadata TEXT, popularity INTEGER NOT NULL,"
    " available INTEGER NOT NULL, vector BLOB);"
    "CREATE UNIQUE INDEX items_seq ON items(seq);"
    "INSERT INTO meta VALUES('encoder', 'encoder-a');";
static const char first_news[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE items(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, time_ms INTEGER NOT NULL,"
    " received_ms INTEGER NOT NULL, source TEXT NOT NULL, lang TEXT NOT NULL, cluster INTEGER NOT NULL,"
    " similarity REAL NOT NULL, first_seen_ms INTEGER NOT NULL, engagement REAL NOT NULL, parts TEXT NOT NULL,"
    " sentiment TEXT NOT NULL, sentiment_score REAL NOT NULL, polarity REAL NOT NULL, noise REAL, importance REAL,"
    " relevance REAL NOT NULL, model TEXT NOT NULL, model_digest TEXT NOT NULL, topics TEXT NOT NULL,"
    " entities TEXT NOT NULL, evidence_start INTEGER NOT NULL, evidence_end INTEGER NOT NULL, url TEXT NOT NULL,"
    " title TEXT NOT NULL, text TEXT NOT NULL, content TEXT NOT NULL, signature BLOB, vector BLOB);"
    "CREATE INDEX items_time ON items(time_ms, seq);"
    "CREATE INDEX items_received ON items(received_ms);"
    "CREATE INDEX items_cluster ON items(cluster, seq);"
    "CREATE INDEX items_source ON items(source, time_ms);"
    "CREATE TABLE mentions(entity TEXT NOT NULL, seq INTEGER NOT NULL REFERENCES items(seq) ON DELETE CASCADE,"
    " PRIMARY KEY(entity, seq)) WITHOUT ROWID;"
    "CREATE INDEX mentions_seq ON mentions(seq);"
    "CREATE TABLE alerts(seq INTEGER PRIMARY KEY AUTOINCREMENT, time_ms INTEGER NOT NULL, level TEXT NOT NULL,"
    " kind TEXT NOT NULL, json TEXT NOT NULL);"
    "CREATE INDEX alerts_time ON alerts(time_ms);"
    "INSERT INTO meta VALUES ('schema', 'news 1');";

static void files_of_first_versions_are_opened(void **state)
{
    (void)state;
    const struct store_users_limits limits = {.events_max = 5};
    const struct store_news_options options = {.window_ms = 1000, .similar_min = 0.8};
    struct store_users *users = NULL;
    struct store_catalogue *catalogue = NULL;
    struct store_news *news = NULL;
    struct att_err err = {.message = ""};
    database_run(path, first_users);
    if (store_users_open(path, &limits, &users, &err) != ATT_OK)
        fail_msg("%s", err.message);
    store_users_close(users);
    database_remove(path);
    database_run(path, first_catalogue);
    assert_int_equal(store_catalogue_open(path, "encoder-b", 4, &catalogue, &err), ATT_EFORMAT);
    assert_non_null(strstr(err.message, "its items were embedded by another encoder; put them into a new file"));
    if (store_catalogue_open(path, "encoder-a", 4, &catalogue, &err) != ATT_OK)
        fail_msg("%s", err.message);
    store_catalogue_close(catalogue);
    database_remove(path);
    database_run(path, first_news);
    if (store_news_open(path, &options, &news, &err) != ATT_OK)
        fail_msg("%s", err.message);
    store_news_close(news);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_grows_with_its_versions),
        TEST(what_does_not_fit_is_refused),
        TEST(the_mark_of_another_kind_is_refused),
        TEST(files_of_first_versions_are_opened),
    };
    return cmocka_run_group_tests_name("store/schema", tests, NULL, NULL);
}
