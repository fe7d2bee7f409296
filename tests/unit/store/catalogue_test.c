/* The catalogue's file: what is put comes back, views keep what they saw, other handles are seen, foreign files
 * refused. */
#include "store/catalogue.h"

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

enum { DIM = 3 };

static char folder[64], path[96];
static struct store_catalogue *catalogue;

static int setup(void **state)
{
    (void)state;
    if (!database_place(folder, "items.db", path))
        return -1;
    return store_catalogue_open(path, "encoder-a", DIM, &catalogue, NULL) == ATT_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    store_catalogue_close(catalogue);
    database_remove(path);
    return rmdir(folder);
}

static void put(struct store_catalogue *into, struct store_catalogue_item item)
{
    struct att_err err;
    if (store_catalogue_put(into, &item, 1, &err) != ATT_OK)
        fail_msg("%s", err.message);
}

static const struct store_catalogue_view *view(void)
{
    const struct store_catalogue_view *found = NULL;
    assert_int_equal(store_catalogue_view(catalogue, &found, NULL), ATT_OK);
    return found;
}

static void test_put_and_view(void **state)
{
    const float vector[DIM] = {0.5f, -1, 0.25f};
    (void)state;
    put(catalogue, (struct store_catalogue_item){.id = "鞋", .title = "shoe", .popularity = -1, .vector = vector});
    put(catalogue, (struct store_catalogue_item){
                       .id = "a", .text = "", .metadata = "{\"k\":[1]}", .popularity = 7, .unavailable = true});
    const struct store_catalogue_view *first = view();
    assert_int_equal(first->n, 2);
    const struct store_catalogue_item *a = first->items[store_catalogue_find(first, "a")];
    const struct store_catalogue_item *shoe = first->items[store_catalogue_find(first, "鞋")];
    assert_int_equal(store_catalogue_find(first, "b"), 2);
    assert_string_equal(shoe->title, "shoe");
    assert_null(shoe->text);
    assert_memory_equal(shoe->vector, vector, sizeof vector);
    assert_string_equal(a->text, "");
    assert_int_equal(a->popularity, 7);
    assert_true(a->unavailable && !a->deleted && !a->vector);
    assert_int_equal(att_json_count(att_json_get(a->metadata_members, "k")), 1);
    /* What was seen stays as it was; unchanged entries are shared. */
    put(catalogue, (struct store_catalogue_item){.id = "a", .deleted = true, .popularity = -1});
    const struct store_catalogue_view *second = view();
    assert_false(a->deleted);
    assert_true(second->items[store_catalogue_find(second, "a")]->deleted);
    assert_ptr_equal(second->items[store_catalogue_find(second, "鞋")], shoe);
    store_catalogue_view_release(first);
    assert_string_equal(second->items[store_catalogue_find(second, "鞋")]->title, "shoe");
    store_catalogue_view_release(second);
}

static void test_other_handles(void **state)
{
    struct store_catalogue *other = NULL;
    (void)state;
    assert_int_equal(store_catalogue_open(path, "encoder-a", DIM, &other, NULL), ATT_OK);
    for (int i = 0; i < 50; i++) {
        char id[8];
        snprintf(id, sizeof id, "i%d", 99 - i);
        put(i % 2 ? other : catalogue, (struct store_catalogue_item){.id = id, .popularity = i});
    }
    const struct store_catalogue_view *found = view();
    assert_int_equal(found->n, 50);
    for (size_t i = 1; i < found->n; i++)
        assert_true(strcmp(found->items[i - 1]->id, found->items[i]->id) < 0);
    assert_int_equal(found->items[store_catalogue_find(found, "i60")]->popularity, 39);
    store_catalogue_view_release(found);
    store_catalogue_close(other);
    /* And after a new start. */
    store_catalogue_close(catalogue);
    assert_int_equal(store_catalogue_open(path, "encoder-a", DIM, &catalogue, NULL), ATT_OK);
    found = view();
    assert_int_equal(found->n, 50);
    store_catalogue_view_release(found);
}

static void test_refused_files(void **state)
{
    struct store_catalogue *other = NULL;
    struct att_err err;
    char name[120];
    sqlite3 *db = NULL;
    (void)state;
    assert_int_equal(store_catalogue_open(path, "encoder-b", DIM, &other, &err), ATT_EFORMAT);
    assert_non_null(strstr(err.message, "another encoder"));
    snprintf(name, sizeof name, "%s/other.db", folder);
    assert_int_equal(sqlite3_open(name, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE items(id)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(store_catalogue_open(name, "encoder-a", DIM, &other, &err), ATT_EFORMAT);
    assert_null(other);
    for (size_t i = 0; i < 3; i++) {
        static const char *const ends[] = {"", "-wal", "-shm"};
        snprintf(name, sizeof name, "%s/other.db%s", folder, ends[i]);
        unlink(name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_put_and_view, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_handles, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_files, setup, teardown),
    };
    return cmocka_run_group_tests_name("store/catalogue", tests, NULL, NULL);
}
