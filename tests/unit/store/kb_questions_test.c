/* Questions that a knowledge base keeps: newest first, bounded by age and number, forgotten on demand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "database.h"
#include "store/kb_questions.h"

enum { DIM = 4 };

static char folder[64], path[96];
static struct store_kb *kb;
static struct att_arena arena;
static const char *reply = "";
static size_t added;

static int setup(void **state)
{
    (void)state;
    if (!database_place(folder, "kb.db", path))
        return -1;
    att_arena_init(&arena, 1 << 20);
    return store_kb_open(path, "digest", DIM, &kb, NULL) == ATT_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    store_kb_close(kb);
    att_arena_finish(&arena);
    database_remove(path);
    return rmdir(folder);
}

static void add(int64_t time, enum store_kb_kind kind, const char *text, int64_t since, size_t max)
{
    const struct store_kb_question question = {.time = time, .kind = kind, .entry = 3, .reply = reply, .text = text};
    const struct store_kb_retention retention = {since, max};
    struct att_err err;
    if (store_kb_questions_add(kb, &question, 1, &retention, &added, &err) != ATT_OK)
        fail_msg("%s", err.message);
}

static size_t read_all(int64_t since, size_t max, struct store_kb_question **ret)
{
    size_t count = 99;
    struct att_err err;
    if (store_kb_questions_read(kb, since, max, &arena, ret, &count, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return count;
}

static void the_newest_come_first(void **state)
{
    (void)state;
    struct store_kb_question *list = NULL;
    const struct store_kb_view *before = store_kb_view(kb);
    assert_int_equal(read_all(0, 10, &list), 0);
    add(100, STORE_KB_HANDOFF, "开门时间", 0, 10);
    add(200, STORE_KB_REJECTED, "second", 0, 10);
    assert_int_equal(read_all(0, 10, &list), 2);
    assert_string_equal(list[0].text, "second");
    assert_int_equal(list[0].kind, STORE_KB_REJECTED);
    assert_int_equal(list[0].entry, 3);
    assert_int_equal(list[0].time, 200);
    assert_string_equal(list[1].text, "开门时间");
    assert_string_equal(list[1].reply, "");
    assert_true(list[0].id > list[1].id);
    assert_int_equal(read_all(150, 10, &list), 1);
    assert_int_equal(read_all(0, 1, &list), 1);
    assert_string_equal(list[0].text, "second");
    /* Readers of the entries are not disturbed. */
    const struct store_kb_view *after = store_kb_view(kb);
    assert_ptr_equal(before, after);
    store_kb_view_release(kb, before);
    store_kb_view_release(kb, after);
}

static void they_are_there_after_a_restart(void **state)
{
    (void)state;
    struct store_kb_question *list = NULL;
    add(100, STORE_KB_ACCEPTED, "kept", 0, 10);
    store_kb_close(kb);
    assert_int_equal(store_kb_open(path, "digest", DIM, &kb, NULL), ATT_OK);
    assert_int_equal(read_all(0, 10, &list), 1);
    assert_string_equal(list[0].text, "kept");
}

static void a_reply_is_judged_once(void **state)
{
    (void)state;
    struct store_kb_question *list = NULL;
    reply = "rep-1";
    add(100, STORE_KB_REJECTED, "a", 0, 10);
    assert_int_equal(added, 1);
    add(101, STORE_KB_REJECTED, "a", 0, 10);
    assert_int_equal(added, 0);
    add(102, STORE_KB_ESCALATED, "a", 0, 10);
    reply = "rep-2";
    add(103, STORE_KB_REJECTED, "a", 0, 10);
    reply = "";
    assert_int_equal(read_all(0, 10, &list), 3);
    assert_string_equal(list[0].reply, "rep-2");
}

static void retention_bounds_age_and_number(void **state)
{
    (void)state;
    struct store_kb_question *list = NULL;
    for (int i = 1; i <= 6; i++)
        add(i * 100, STORE_KB_HANDOFF, "q", 0, 4);
    assert_int_equal(read_all(0, 10, &list), 4);
    assert_int_equal(list[3].time, 300);
    add(700, STORE_KB_HANDOFF, "q", 550, 4);
    assert_int_equal(read_all(0, 10, &list), 2);
    assert_int_equal(list[1].time, 600);
}

static void all_can_be_forgotten(void **state)
{
    (void)state;
    struct store_kb_question *list = NULL;
    size_t removed = 0;
    add(100, STORE_KB_HANDOFF, "a", 0, 10);
    add(100, STORE_KB_HANDOFF, "b", 0, 10);
    assert_int_equal(store_kb_questions_clear(kb, &removed, NULL), ATT_OK);
    assert_int_equal(removed, 2);
    assert_int_equal(read_all(0, 10, &list), 0);
}

static void damaged_rows_are_named(void **state)
{
    (void)state;
    struct store_kb_question *list = NULL;
    size_t count = 0;
    struct att_err err = {.message = ""};
    sqlite3 *db = NULL;
    add(100, STORE_KB_HANDOFF, "a", 0, 10);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE questions SET kind = 9", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(store_kb_questions_read(kb, 0, 9, &arena, &list, &count, &err), ATT_EFORMAT);
    assert_non_null(strstr(err.message, "is damaged: the kind of question 1"));
    assert_int_equal(sqlite3_exec(db, "UPDATE questions SET kind = 1, text = CAST(x'C328' AS TEXT)", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(store_kb_questions_read(kb, 0, 9, &arena, &list, &count, &err), ATT_EFORMAT);
    assert_non_null(strstr(err.message, "question 1 is no UTF-8 text"));
    sqlite3_close(db);
}

static void a_calibration_is_kept_beside_them(void **state)
{
    (void)state;
    assert_int_equal(store_kb_fit_put(kb, "{\"threshold\":0.4}", NULL), ATT_OK);
    assert_int_equal(store_kb_fit_put(kb, "{\"threshold\":0.6}", NULL), ATT_OK);
    const struct store_kb_view *view = store_kb_view(kb);
    assert_string_equal(view->fit, "{\"threshold\":0.6}");
    store_kb_view_release(kb, view);
    store_kb_close(kb);
    assert_int_equal(store_kb_open(path, "digest", DIM, &kb, NULL), ATT_OK);
    view = store_kb_view(kb);
    assert_string_equal(view->fit, "{\"threshold\":0.6}");
    store_kb_view_release(kb, view);
    assert_int_equal(store_kb_fit_put(kb, NULL, NULL), ATT_OK);
    view = store_kb_view(kb);
    assert_null(view->fit);
    store_kb_view_release(kb, view);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_newest_come_first),
        TEST(they_are_there_after_a_restart),
        TEST(a_reply_is_judged_once),
        TEST(retention_bounds_age_and_number),
        TEST(all_can_be_forgotten),
        TEST(damaged_rows_are_named),
        TEST(a_calibration_is_kept_beside_them),
    };
    return cmocka_run_group_tests_name("store/kb_questions", tests, NULL, NULL);
}
