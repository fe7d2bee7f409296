/*
 * Faults under a knowledge base, one by one: every operation of the disk fails,
 * every allocation inside SQLite fails, and the power is cut between any two
 * writes. What was acknowledged is there, what failed is not seen, and the next
 * write succeeds.
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
#include <unistd.h>

#include "database.h"
#include "faulty_vfs.h"
#include "store/kb.h"

enum { DIM = 4, ANSWER = 20000 };

static char folder[64], path[96], copy[96];
static unsigned long allocations_left; /* of SQLite's, 0: no limit; touched by one thread */
static sqlite3_mem_methods real_memory;

/* ---- SQLite's memory ---- */

static bool refuse(void)
{
    return allocations_left > 0 && --allocations_left == 0;
}

static void *refusing_malloc(int size)
{
    return refuse() ? NULL : real_memory.xMalloc(size);
}

static void *refusing_realloc(void *old, int size)
{
    return refuse() ? NULL : real_memory.xRealloc(old, size);
}

/* ---- files ---- */

static void remove_files(void)
{
    database_remove(path);
    database_remove(copy);
}

static int start(void **state)
{
    (void)state;
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory);
    sqlite3_mem_methods refusing = real_memory;
    refusing.xMalloc = refusing_malloc;
    refusing.xRealloc = refusing_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &refusing) != SQLITE_OK)
        return -1;
    faulty_vfs_install();
    if (!database_place(folder, "kb.db", path))
        return -1;
    snprintf(copy, sizeof copy, "%s/copy.db", folder);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    remove_files();
    return rmdir(folder);
}

/* ---- entries ---- */

static enum att_status try_put(struct store_kb *kb, int64_t id, int64_t version, struct att_err *err)
{
    static const float vectors[2 * DIM] = {1, 0, 0, 0, 0, 1, 0, 0};
    static const char *const alternates[] = {"track my parcel"};
    static char answer[ANSWER + 1];
    memset(answer, 'a' + (int)(version % 26), ANSWER);
    const struct store_kb_entry entry = {.id = id,
                                         .lang = "en",
                                         .question = "Where is my order?",
                                         .answer = answer,
                                         .alternates = alternates,
                                         .n_alternates = 1,
                                         .source = "",
                                         .metadata = "{}"};
    return store_kb_put(kb, &entry, 1, vectors, false, err);
}

static void put(struct store_kb *kb, int64_t id, int64_t version)
{
    struct att_err err;
    if (try_put(kb, id, version, &err) != ATT_OK)
        fail_msg("%s", err.message);
}

static struct store_kb *opened(const char *name)
{
    struct store_kb *kb = NULL;
    struct att_err err;
    if (store_kb_open(name, "digest-of-the-encoder", DIM, &kb, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return kb;
}

/* How many entries; each is whole. */
static size_t count(struct store_kb *kb)
{
    const struct store_kb_view *view = store_kb_view(kb);
    size_t n = view->n_entries;
    assert_int_equal(view->n_texts, 2 * n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(view->entries[i].n_alternates, 1);
        assert_int_equal(strlen(view->entries[i].answer), ANSWER);
    }
    store_kb_view_release(kb, view);
    return n;
}

static size_t count_in(const char *name)
{
    struct store_kb *kb = opened(name);
    size_t n = count(kb);
    store_kb_close(kb);
    return n;
}

/* What a power cut would leave now, as another database. */
static size_t count_after_cut(unsigned share)
{
    char log[120], log_copy[120];
    snprintf(log, sizeof log, "%s-wal", path);
    snprintf(log_copy, sizeof log_copy, "%s-wal", copy);
    faulty_vfs_cut(path, copy, share);
    faulty_vfs_cut(log, log_copy, share);
    size_t n = count_in(copy);
    snprintf(log_copy, sizeof log_copy, "%s-shm", copy);
    unlink(log_copy);
    return n;
}

/* ---- tests ---- */

/* Every page, every index, and the full-text index against the texts. */
static void is_sound(void)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(row, 0), "ok");
    sqlite3_finalize(row);
    assert_int_equal(
        sqlite3_exec(db, "INSERT INTO texts_fts(texts_fts, rank) VALUES ('integrity-check', 1)", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
}

static const struct {
    const char *name;
    bool full, lasting;
} kinds[] = {{"an error once", false, false},
             {"errors from then on", false, true},
             {"full once", true, false},
             {"full from then on", true, true}};

static bool told_of_the_disk(enum att_status status, const struct att_err *err)
{
    return (status == ATT_ESPACE || status == ATT_EIO) && strstr(err->message, path);
}

static void no_failed_operation_breaks_a_write(void **state)
{
    (void)state;
    size_t failures = 0;
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        remove_files();
        struct store_kb *kb = opened(path);
        size_t n = 0;
        bool reached = true;
        for (unsigned k = 1; reached; k++) {
            struct att_err err = {.message = ""};
            faulty_vfs_fail_at(k, kinds[kind].full, kinds[kind].lasting);
            enum att_status status = try_put(kb, (int64_t)n + 1, k, &err);
            reached = faulty_vfs_failed();
            faulty_vfs_fail_at(0, false, false);
            if (status != ATT_OK && !told_of_the_disk(status, &err))
                fail_msg("%s at %u: status %d, '%s'", kinds[kind].name, k, (int)status, err.message);
            n += status == ATT_OK;
            failures += status != ATT_OK;
            assert_int_equal(count(kb), n);
            assert_int_equal(store_kb_refresh(kb, &err), ATT_OK);
            assert_int_equal(count(kb), n);
            size_t left = count_after_cut(k % 3 * 128);
            if (left != n && !(status != ATT_OK && left == n + 1))
                fail_msg("%s at %u: a power cut leaves %zu of %zu entries", kinds[kind].name, k, left, n);
        }
        put(kb, (int64_t)n + 1, 0);
        assert_int_equal(count(kb), n + 1);
        store_kb_close(kb);
        assert_int_equal(count_in(path), n + 1);
        is_sound();
    }
    assert_true(failures > 40);
}

/* The log is written back into the file by every thousandth page; that may fail as often as it likes. */
static void no_failed_checkpoint_loses_a_write(void **state)
{
    (void)state;
    remove_files();
    struct store_kb *kb = opened(path);
    size_t acknowledged = 0;
    for (unsigned round = 1; round <= 120; round++) {
        struct att_err err = {.message = ""};
        faulty_vfs_fail_at(30 + round * 7 % 90, round % 3 == 0, round % 2 == 0);
        enum att_status status = try_put(kb, (int64_t)acknowledged + 1, round, &err);
        faulty_vfs_fail_at(0, false, false);
        assert_true(status == ATT_OK || told_of_the_disk(status, &err));
        acknowledged += status == ATT_OK;
        if (round % 8 == 0) {
            size_t left = count_after_cut(round % 3 * 128);
            assert_true(left == acknowledged || (status != ATT_OK && left == acknowledged + 1));
        }
    }
    assert_true(acknowledged > 20);
    store_kb_close(kb);
    assert_int_equal(count_in(path), acknowledged);
}

/* Not a byte that was not synced counts. */
static void a_power_cut_keeps_what_was_acknowledged(void **state)
{
    (void)state;
    remove_files();
    struct store_kb *kb = opened(path);
    for (size_t n = 1; n <= 120; n++) {
        put(kb, (int64_t)n, (int64_t)n);
        if (n < 6 || n % 12 == 0) {
            assert_int_equal(count_after_cut(0), n);
            assert_int_equal(count_after_cut(128), n);
        }
    }
    store_kb_close(kb);
}

/* A first start that fails leaves nothing, or what the next one goes on from. */
static void no_failed_operation_breaks_an_opening(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        bool reached = true;
        for (unsigned k = 1; reached; k += kind < 2 ? 1 : 2) {
            struct store_kb *kb = NULL;
            struct att_err err = {.message = ""};
            remove_files();
            faulty_vfs_fail_at(k, kinds[kind].full, kinds[kind].lasting);
            enum att_status status = store_kb_open(path, "digest-of-the-encoder", DIM, &kb, &err);
            reached = faulty_vfs_failed();
            faulty_vfs_fail_at(0, false, false);
            if (status != ATT_OK && !told_of_the_disk(status, &err))
                fail_msg("%s at %u: status %d, '%s'", kinds[kind].name, k, (int)status, err.message);
            store_kb_close(kb);
            assert_int_equal(count_in(path), 0);
        }
    }
}

static bool short_of_memory(enum att_status status, const struct att_err *err)
{
    return status == ATT_ENOMEM && strstr(err->message, "memory");
}

static void no_failed_allocation_of_sqlite_breaks_it(void **state)
{
    (void)state;
    remove_files();
    struct store_kb *kb = opened(path);
    struct att_err err = {.message = ""};
    size_t refusals = 0, misread = 0;
    char letter = 'a';
    bool reached = true;
    put(kb, 1, 0);
    for (unsigned long k = 1; reached; k++) {
        allocations_left = k;
        enum att_status status = try_put(kb, 1, (int64_t)k, &err);
        reached = allocations_left == 0;
        allocations_left = 0;
        /* SQLite 3.40's full-text index takes some of its own failed allocations for damage. */
        misread += status == ATT_EFORMAT && strstr(err.message, "malformed");
        if (status != ATT_OK && status != ATT_EFORMAT && !short_of_memory(status, &err))
            fail_msg("allocation %lu of a write: status %d, '%s'", k, (int)status, err.message);
        if (status == ATT_OK)
            letter = (char)('a' + k % 26);
        refusals += status != ATT_OK;
        const struct store_kb_view *view = store_kb_view(kb);
        assert_int_equal(view->n_entries, 1);
        assert_int_equal(view->entries[0].answer[ANSWER - 1], letter);
        store_kb_view_release(kb, view);
    }
    assert_true(refusals > 20 && misread * 10 < refusals);
    is_sound();
    const struct store_kb_view *view = store_kb_view(kb);
    reached = true;
    for (unsigned long k = 1; reached; k++) {
        size_t texts[4], found = 0;
        allocations_left = k;
        enum att_status status = store_kb_match(kb, view, "my parcel", 9, texts, 4, &found, &err);
        reached = allocations_left == 0;
        allocations_left = 0;
        if (status != ATT_OK && !short_of_memory(status, &err))
            fail_msg("allocation %lu of a search: status %d, '%s'", k, (int)status, err.message);
    }
    store_kb_view_release(kb, view);
    store_kb_close(kb);
    reached = true;
    for (unsigned long k = 1; reached; k += 1 + k / 30) /* there are thousands */ {
        allocations_left = k;
        enum att_status status = store_kb_open(path, "digest-of-the-encoder", DIM, &kb, &err);
        reached = allocations_left == 0;
        allocations_left = 0;
        if (status != ATT_OK && !short_of_memory(status, &err))
            fail_msg("allocation %lu of an opening: status %d, '%s'", k, (int)status, err.message);
        if (status == ATT_OK) {
            assert_int_equal(count(kb), 1);
            store_kb_close(kb);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_failed_operation_breaks_a_write),
        cmocka_unit_test(no_failed_checkpoint_loses_a_write),
        cmocka_unit_test(a_power_cut_keeps_what_was_acknowledged),
        cmocka_unit_test(no_failed_operation_breaks_an_opening),
        cmocka_unit_test(no_failed_allocation_of_sqlite_breaks_it),
    };
    return cmocka_run_group_tests_name("store/kb_fault", tests, start, stop);
}
