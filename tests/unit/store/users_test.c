/* The file of users' events: order, bounds, repeats, age, removal without a trace, and files that are not ours. */
#include "store/users.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "database.h"

enum { EVENTS_MAX = 5 };
static const double day_s = 86400, now_s = 1.7e9;

static char folder[64], path[96];
static struct store_users *users;
static struct att_arena arena;

static int setup(void **state)
{
    const struct store_users_limits limits = {.events_max = EVENTS_MAX, .keep_s = 10 * day_s};
    (void)state;
    if (!database_place(folder, "users.db", path))
        return -1;
    att_arena_init(&arena, 1 << 20);
    return store_users_open(path, &limits, &users, NULL) == ATT_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    store_users_close(users);
    users = NULL;
    att_arena_finish(&arena);
    database_remove(path);
    return rmdir(folder);
}

static struct store_user_event event(const char *user, const char *id, const char *item, double time)
{
    return (struct store_user_event){
        .user = user, .id = id, .model = "shop", .item = item, .type = 1, .value = NAN, .time = time, .text = ""};
}

static struct store_users_counts put(const struct store_user_event *events, size_t n)
{
    struct store_users_counts counts;
    struct att_err err;
    if (store_users_put(users, events, n, now_s, &counts, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return counts;
}

/* The items of a user's history as one text. */
static const char *history(const char *user, const char *model, size_t max)
{
    static char text[256];
    struct store_user_event *events = NULL;
    size_t n = 0, len = 0;
    assert_int_equal(store_users_history(users, user, model, max, now_s, &arena, &events, &n, NULL), ATT_OK);
    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s ", events[i].item);
    return text;
}

static void test_order_and_bounds(void **state)
{
    const struct store_user_event events[] = {
        event("ann", "", "c", now_s - 3), event("ann", "", "a", now_s - 5), event("bob", "", "x", now_s),
        event("ann", "", "b", now_s - 4), event("ann", "", "d", now_s - 3), event("ann", "", "e", now_s - 2),
        event("ann", "", "f", now_s - 1),
    };
    (void)state;
    struct store_users_counts counts = put(events, 7);
    assert_int_equal(counts.stored, 7);
    /* By time, equal times as they came; the oldest is beyond the bound. */
    assert_string_equal(history("ann", "shop", 100), "b c d e f ");
    assert_string_equal(history("ann", "shop", 2), "e f ");
    assert_string_equal(history("ann", NULL, 100), "b c d e f ");
    assert_string_equal(history("ann", "other", 100), "");
    assert_string_equal(history("bob", "shop", 100), "x ");
    assert_string_equal(history("eve", "shop", 100), "");
}

static void test_repeats_change_nothing(void **state)
{
    const struct store_user_event events[] = {event("ann", "1", "a", now_s), event("ann", "2", "b", now_s),
                                              event("bob", "1", "c", now_s), event("ann", "1", "z", now_s)};
    (void)state;
    struct store_users_counts counts = put(events, 4);
    assert_int_equal(counts.stored, 3);
    assert_int_equal(counts.duplicates, 1);
    counts = put(events, 4);
    assert_int_equal(counts.stored, 0);
    assert_int_equal(counts.duplicates, 4);
    assert_string_equal(history("ann", "shop", 100), "a b ");
    assert_string_equal(history("bob", "shop", 100), "c ");
}

static void test_age(void **state)
{
    const struct store_user_event events[] = {event("ann", "1", "old", now_s - 11 * day_s),
                                              event("ann", "2", "new", now_s - 9 * day_s)};
    struct store_user_event *found = NULL;
    size_t n = 9;
    (void)state;
    struct store_users_counts counts = put(events, 2);
    assert_int_equal(counts.expired, 1);
    assert_int_equal(counts.stored, 1);
    /* Two days later nobody wrote, and it is not shown any more; then it is removed. */
    assert_int_equal(store_users_history(users, "ann", "shop", 9, now_s + 2 * day_s, &arena, &found, &n, NULL), ATT_OK);
    assert_int_equal(n, 0);
    assert_string_equal(history("ann", "shop", 9), "new ");
    assert_int_equal(store_users_expire(users, now_s + 2 * day_s, NULL), ATT_OK);
    assert_string_equal(history("ann", "shop", 9), "");
}

static bool file_holds(const char *name, const char *word)
{
    static char bytes[1 << 20];
    FILE *file = fopen(name, "rb");
    if (!file)
        return false;
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return memmem(bytes, len, word, strlen(word)) != NULL;
}

static void test_removal_leaves_no_trace(void **state)
{
    const struct store_user_event events[] = {event("ann-of-the-test", "", "a", now_s), event("bob", "", "b", now_s)};
    char wal[120];
    size_t removed = 9;
    (void)state;
    snprintf(wal, sizeof wal, "%s-wal", path);
    put(events, 2);
    assert_true(file_holds(path, "ann-of-the-test") || file_holds(wal, "ann-of-the-test"));
    assert_int_equal(store_users_remove(users, "ann-of-the-test", &removed, NULL), ATT_OK);
    assert_int_equal(removed, 1);
    assert_string_equal(history("ann-of-the-test", NULL, 9), "");
    assert_string_equal(history("bob", NULL, 9), "b ");
    assert_false(file_holds(path, "ann-of-the-test") || file_holds(wal, "ann-of-the-test"));
    assert_int_equal(store_users_remove(users, "ann-of-the-test", &removed, NULL), ATT_OK);
    assert_int_equal(removed, 0);
}

static void test_what_is_stored_comes_back(void **state)
{
    struct store_user_event one = event("ann", "id-1", "鞋", now_s - 0.25), *found = NULL;
    size_t n = 0;
    (void)state;
    one.value = 4.5;
    one.type = 2;
    one.text = "red shoes";
    put(&one, 1);
    store_users_close(users);
    users = NULL;
    const struct store_users_limits limits = {.events_max = EVENTS_MAX};
    assert_int_equal(store_users_open(path, &limits, &users, NULL), ATT_OK);
    assert_int_equal(store_users_history(users, "ann", "shop", 9, now_s, &arena, &found, &n, NULL), ATT_OK);
    assert_int_equal(n, 1);
    assert_string_equal(found->id, "id-1");
    assert_string_equal(found->item, "鞋");
    assert_string_equal(found->text, "red shoes");
    assert_string_equal(found->model, "shop");
    assert_int_equal(found->type, 2);
    assert_true(found->value == 4.5 && found->time == now_s - 0.25);
}

static void test_files_of_others(void **state)
{
    const struct store_users_limits limits = {.events_max = EVENTS_MAX};
    struct store_users *other = NULL;
    struct att_err err;
    char name[120];
    sqlite3 *db = NULL;
    (void)state;
    snprintf(name, sizeof name, "%s/other.db", folder);
    assert_int_equal(sqlite3_open(name, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE events(a)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(store_users_open(name, &limits, &other, &err), ATT_EFORMAT);
    assert_non_null(strstr(err.message, "other.db: is a database of another program"));
    unlink(name);
    FILE *file = fopen(name, "w");
    fputs("hello, this is no database at all, but long enough to be looked at as one ............................",
          file);
    fclose(file);
    assert_int_equal(store_users_open(name, &limits, &other, &err), ATT_EFORMAT);
    assert_null(other);
    unlink(name);
    snprintf(name, sizeof name, "%s/other.db-wal", folder);
    unlink(name);
    snprintf(name, sizeof name, "%s/other.db-shm", folder);
    unlink(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order_and_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_repeats_change_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_age, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removal_leaves_no_trace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_stored_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files_of_others, setup, teardown),
    };
    return cmocka_run_group_tests_name("store/users", tests, NULL, NULL);
}
