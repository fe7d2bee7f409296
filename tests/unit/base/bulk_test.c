/* Large arrays: in a file that nobody else can reach, or in memory where there is no place for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/bulk.h"
#include "core/base/mem.h"

enum { BYTES = 1 << 20 };

static char folder[] = "/tmp/attend-bulk-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder); /* fails where a file was left */
}

static size_t names_in(const char *path)
{
    size_t n = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* Whether a child that writes there lives. */
static bool may_write(unsigned char *at)
{
    int status;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        signal(SIGSEGV, SIG_DFL);
        *(volatile unsigned char *)at = 7;
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void a_file_without_a_name(void **state)
{
    struct att_bulk bulk;
    struct att_bulk_place place = {.folder = folder};
    const size_t files = names_in("/proc/self/fd");
    (void)state;
    assert_int_equal(att_bulk_create(&bulk, &place, BYTES, NULL), ATT_OK);
    assert_true(bulk.in_file);
    assert_string_equal(place.why, "");
    assert_int_equal(names_in(folder), 2);              /* . and .. */
    assert_int_equal(names_in("/proc/self/fd"), files); /* and no descriptor leads there */
    assert_int_equal((uintptr_t)bulk.data % ATT_MEM_ALIGN, 0);
    unsigned char *bytes = bulk.data;
    for (size_t i = 0; i < BYTES; i += 4096)
        assert_int_equal(bytes[i], 0);
    memset(bytes, 0x5a, BYTES);
    assert_true(may_write(bytes));
    assert_int_equal(att_bulk_seal(&bulk, NULL), ATT_OK);
    assert_false(may_write(bytes));
    att_bulk_rest(&bulk);
    for (size_t i = 1; i < BYTES; i++) /* the children wrote to the first, which they share */
        assert_int_equal(bytes[i], 0x5a);
    att_bulk_finish(&bulk);
    assert_null(bulk.data);
}

static void goes_to_memory(struct att_bulk_place *place, const char *why)
{
    struct att_bulk bulk;
    assert_int_equal(att_bulk_create(&bulk, place, BYTES, NULL), ATT_OK);
    assert_false(bulk.in_file);
    assert_int_equal(((unsigned char *)bulk.data)[BYTES - 1], 0);
    assert_int_equal(att_bulk_seal(&bulk, NULL), ATT_OK);
    att_bulk_rest(&bulk);
    att_bulk_finish(&bulk);
    if (place && !strstr(place->why, why))
        fail_msg("\"%s\" does not say \"%s\"", place->why, why);
}

static void memory_where_there_is_no_place(void **state)
{
    struct att_bulk_place none = {.folder = NULL}, missing = {.folder = "/tmp/attend-bulk-missing"};
    struct att_bulk_place file = {.folder = "/dev/null"};
    (void)state;
    goes_to_memory(NULL, "");
    goes_to_memory(&none, "");
    goes_to_memory(&missing, "/tmp/attend-bulk-missing: cannot have a file without a name: No such file");
    goes_to_memory(&file, "/dev/null: cannot have a file without a name");
}

/* As a full disk: no larger file may be made. */
static void memory_where_the_disk_is_full(void **state)
{
    struct att_bulk_place place = {.folder = folder};
    struct rlimit old, small;
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = BYTES / 2;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct att_bulk bulk;
    const enum att_status status = att_bulk_create(&bulk, &place, BYTES, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(status, ATT_OK);
    assert_false(bulk.in_file);
    assert_non_null(strstr(place.why, "has no room for an item table: File too large"));
    att_bulk_finish(&bulk);
}

static void no_memory_either(void **state)
{
    struct att_bulk bulk;
    struct att_err err;
    (void)state;
    att_mem_fail_at(1, false);
    assert_int_equal(att_bulk_create(&bulk, NULL, BYTES, &err), ATT_ENOMEM);
    att_mem_fail_at(0, false);
    att_bulk_finish(&bulk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_without_a_name),
        cmocka_unit_test(memory_where_there_is_no_place),
        cmocka_unit_test(memory_where_the_disk_is_full),
        cmocka_unit_test(no_memory_either),
    };
    return cmocka_run_group_tests_name("base/bulk", tests, make_folder, remove_folder);
}
