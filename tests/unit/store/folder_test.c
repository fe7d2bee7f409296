/* Folders that are there whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/folder.h"

static char parent[64], inside[128];

static int start(void **state)
{
    (void)state;
    snprintf(parent, sizeof parent, "/tmp/attend-folder-XXXXXX");
    if (!mkdtemp(parent))
        return -1;
    snprintf(inside, sizeof inside, "%s/made", parent);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    rmdir(inside);
    return rmdir(parent);
}

static const struct store_folder_file files[] = {{"a.txt", "hello", 5}, {"b.bin", "\0\1", 2}};

static void names_are_plain(void **state)
{
    (void)state;
    assert_true(store_folder_name_valid("desk-2.v1_x"));
    static const char *const wrong[] = {"", ".", "..", ".hidden", "a/b", "-x", "a b", "\xc3\xa9"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(store_folder_name_valid(wrong[i]));
    char name[80];
    memset(name, 'a', sizeof name);
    name[65] = '\0';
    assert_false(store_folder_name_valid(name));
    name[64] = '\0';
    assert_true(store_folder_name_valid(name));
}

static void a_folder_comes_and_goes(void **state)
{
    (void)state;
    struct att_err err;
    char names[STORE_FOLDERS_MAX][STORE_FOLDER_NAME_MAX + 1], path[256], text[8] = "";
    size_t n = 9;
    assert_int_equal(store_folder_list(inside, names, &n, &err), ATT_OK); /* nothing is there yet */
    assert_int_equal(n, 0);
    assert_int_equal(store_folder_write(inside, "two", files, 2, &err), ATT_OK);
    assert_int_equal(store_folder_write(inside, "one", files, 1, &err), ATT_OK);
    assert_int_equal(store_folder_write(inside, "two", files, 1, &err), ATT_EINVAL);
    assert_non_null(strstr(err.message, "there already"));
    assert_int_equal(store_folder_write(inside, "../two", files, 1, &err), ATT_EINVAL);
    assert_int_equal(store_folder_list(inside, names, &n, &err), ATT_OK);
    assert_int_equal(n, 2);
    assert_string_equal(names[0], "one");
    snprintf(path, sizeof path, "%s/two/a.txt", inside);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof text, file), 5);
    fclose(file);
    assert_string_equal(text, "hello");
    assert_int_equal(store_folder_remove(inside, "two", &err), ATT_OK);
    assert_int_equal(store_folder_remove(inside, "two", &err), ATT_ENOTFOUND);
    assert_int_equal(store_folder_remove(inside, "..", &err), ATT_ENOTFOUND);
    assert_false(store_folder_exists(inside, "two"));
    assert_int_equal(store_folder_remove(inside, "one", &err), ATT_OK);
}

static void holds(const char *name, const char *expected)
{
    char path[256], text[8] = "";
    snprintf(path, sizeof path, "%s/%s/a.txt", inside, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_in_range(fread(text, 1, sizeof text - 1, file), 1, 7);
    fclose(file);
    assert_string_equal(text, expected);
}

static void a_folder_takes_the_place_of_another(void **state)
{
    (void)state;
    struct att_err err;
    static const struct store_folder_file other[] = {{"a.txt", "later", 5}};
    char part[256];
    snprintf(part, sizeof part, "%s/.part-x", inside);
    /* nothing was there: kept, then undone */
    assert_int_equal(store_folder_replace(inside, "x", files, 2, &err), ATT_OK);
    assert_int_equal(store_folder_settle(inside, "x", true, &err), ATT_OK);
    holds("x", "hello");
    assert_int_equal(store_folder_replace(inside, "y", files, 2, &err), ATT_OK);
    assert_int_equal(store_folder_settle(inside, "y", false, &err), ATT_OK);
    assert_false(store_folder_exists(inside, "y"));
    /* another was there: undone, then kept */
    assert_int_equal(store_folder_replace(inside, "x", other, 1, &err), ATT_OK);
    holds("x", "later");
    assert_int_equal(store_folder_settle(inside, "x", false, &err), ATT_OK);
    holds("x", "hello");
    assert_int_equal(store_folder_replace(inside, "x", other, 1, &err), ATT_OK);
    assert_int_equal(store_folder_settle(inside, "x", true, &err), ATT_OK);
    holds("x", "later");
    assert_int_not_equal(access(part, F_OK), 0);
    assert_int_equal(store_folder_remove(inside, "x", &err), ATT_OK);
}

/* What an earlier writer left behind when it was killed is in nobody's way. */
static void a_part_is_no_folder(void **state)
{
    (void)state;
    struct att_err err;
    char names[STORE_FOLDERS_MAX][STORE_FOLDER_NAME_MAX + 1], part[256];
    size_t n = 9;
    snprintf(part, sizeof part, "%s/.part-x", inside);
    assert_int_equal(mkdir(part, 0755), 0);
    assert_int_equal(store_folder_list(inside, names, &n, &err), ATT_OK);
    assert_int_equal(n, 0);
    assert_int_equal(store_folder_write(inside, "x", files, 2, &err), ATT_OK);
    assert_int_equal(store_folder_remove(inside, "x", &err), ATT_OK);
    assert_int_not_equal(access(part, F_OK), 0);
}

static void files_are_replaced(void **state)
{
    (void)state;
    struct att_err err;
    char path[256], text[8] = "";
    snprintf(path, sizeof path, "%s/file", parent);
    assert_int_equal(store_file_replace(path, "old", 3, &err), ATT_OK);
    assert_int_equal(store_file_replace(path, "newer", 5, &err), ATT_OK);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof text, file), 5);
    fclose(file);
    assert_string_equal(text, "newer");
    unlink(path);
    snprintf(path, sizeof path, "%s/none/file", parent);
    assert_int_equal(store_file_replace(path, "x", 1, &err), ATT_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_plain),
        cmocka_unit_test(a_folder_comes_and_goes),
        cmocka_unit_test(a_folder_takes_the_place_of_another),
        cmocka_unit_test(a_part_is_no_folder),
        cmocka_unit_test(files_are_replaced),
    };
    return cmocka_run_group_tests_name("folder", tests, start, stop);
}
