/* Where a secret lies, and which files are taken for one; key files through them, over a reload. */
#include "server/access/secret.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "server/access/keys.h"
#include "server/config/config.h"

/* SHA-256 of "one" and "two". */
#define ONE "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
#define TWO "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"

static char folder[] = "/tmp/attentd-secret-XXXXXX";
static char file[64];

/* What the next reads of the program fail with; 0: they do not. Not static: to clang our read() is inline. */
extern int read_errors[2];
int read_errors[2];

/* In place of the C library's. */
ssize_t read(int fd, void *to, size_t size)
{
    int error = read_errors[0];

    read_errors[0] = read_errors[1];
    read_errors[1] = 0;
    if (error == 0)
        return syscall(SYS_read, fd, to, size);
    errno = error;
    return -1;
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(file, sizeof(file), "%s/secret", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(file);
    return rmdir(folder);
}

static void write_file(const char *text, size_t len, mode_t mode)
{
    FILE *out = fopen(file, "w");

    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(file, mode), 0);
}

static const char *path_of(const char *option, char path[SRV_SECRET_PATH_MAX])
{
    char text[SRV_SECRET_PATH_MAX + 8];
    struct srv_value value = {.text = text};

    snprintf(text, sizeof(text), "%s", option);
    return srv_secret_path(&value, "secret", path);
}

static void test_places(void **state)
{
    char path[SRV_SECRET_PATH_MAX], longest[SRV_SECRET_PATH_MAX + 1];

    (void)state;
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_null(path_of("none", path));
    assert_null(path_of("auto", path));
    assert_null(path_of("", path));
    assert_string_equal(path_of("/a/b", path), "/a/b");
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_null(path_of(longest, path));
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", longest, 1), 0);
    assert_null(path_of("auto", path));
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
    unlink(file);
    assert_null(path_of("auto", path));
    write_file("x", 1, 0600);
    assert_string_equal(path_of("auto", path), file);
    assert_string_equal(path_of("/a/b", path), "/a/b");
    assert_null(path_of("none", path));
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void refused(const char *path, enum att_status status, const char *words)
{
    struct att_err err = {.message = ""};
    char *bytes = NULL;
    size_t len = 7;

    assert_int_equal(srv_secret_read(path, &bytes, &len, &err), status);
    if (strstr(err.message, path) == NULL || strstr(err.message, words) == NULL)
        fail_msg("'%s' does not say '%s' of %s", err.message, words, path);
    assert_null(bytes);
    assert_int_equal(len, 7);
}

static void test_files(void **state)
{
    struct att_err err;
    char *bytes = NULL, *large = calloc(1, SRV_SECRET_BYTES_MAX + 1);
    size_t len = 0;

    (void)state;
    assert_non_null(large);
    write_file("ab\0c", 4, 0640);
    assert_int_equal(srv_secret_read(file, &bytes, &len, &err), ATT_OK);
    assert_int_equal(len, 4);
    assert_memory_equal(bytes, "ab\0c", 5);
    srv_secret_free(bytes, len);
    write_file(large, SRV_SECRET_BYTES_MAX, 0600);
    assert_int_equal(srv_secret_read(file, &bytes, &len, &err), ATT_OK);
    assert_int_equal(len, SRV_SECRET_BYTES_MAX);
    srv_secret_free(bytes, len);
    srv_secret_free(NULL, 0);
    write_file(large, SRV_SECRET_BYTES_MAX + 1, 0600);
    refused(file, ATT_EIO, "has 1048577 bytes, expected at most 1048576");
    write_file("x", 1, 0620);
    refused(file, ATT_EIO, "may be written by others (mode 0620), expected 0600 or 0640");
    write_file("x", 1, 0602);
    refused(file, ATT_EIO, "may be written by others (mode 0602)");
    refused(folder, ATT_EIO, "is not a regular file");
    refused("/nowhere/at/all", ATT_EIO, "cannot be read: No such file");
    write_file("x", 1, 0600);
    att_mem_fail_at(1, false);
    refused(file, ATT_ENOMEM, "no memory for");
    att_mem_fail_at(0, false);
    unlink(file);
    assert_int_equal(mkfifo(file, 0600), 0);
    refused(file, ATT_EIO, "is not a regular file"); /* and nobody waits for its writer */
    unlink(file);
    free(large);
}

static void test_a_file_without_bytes(void **state)
{
    struct att_err err;
    char *bytes = NULL;
    size_t len = 7;

    (void)state;
    write_file("", 0, 0600);
    assert_int_equal(srv_secret_read(file, &bytes, &len, &err), ATT_OK);
    assert_int_equal(len, 0);
    assert_string_equal(bytes, "");
    srv_secret_free(bytes, len);
}

/* An interrupted read is made again; one that fails is told. */
static void test_reads_that_fail(void **state)
{
    struct att_err err;
    char *bytes = NULL;
    size_t len = 0;

    (void)state;
    write_file("ab", 2, 0600);
    read_errors[0] = EINTR;
    assert_int_equal(srv_secret_read(file, &bytes, &len, &err), ATT_OK);
    assert_int_equal(read_errors[0], 0);
    assert_string_equal(bytes, "ab");
    srv_secret_free(bytes, len);
    read_errors[0] = EINTR;
    read_errors[1] = EIO;
    refused(file, ATT_EIO, "cannot be read: Input/output error");
}

/* What sysfs says of the size is more than there is to read: what was read counts. */
static void test_a_file_that_is_shorter_than_it_says(void **state)
{
    static const char path[] = "/sys/devices/system/cpu/online";
    struct att_err err = {.message = ""};
    struct stat facts;
    char *bytes = NULL, line[256] = "";
    size_t len = 0;
    FILE *in = fopen(path, "r");

    (void)state;
    if (in == NULL)
        return; /* cmocka's skip() reads as a failure in TAP */
    assert_non_null(fgets(line, sizeof(line), in));
    assert_int_equal(fstat(fileno(in), &facts), 0);
    fclose(in);
    assert_true(facts.st_size >= (off_t)strlen(line));
    if (srv_secret_read(path, &bytes, &len, &err) != ATT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(len, strlen(line));
    assert_string_equal(bytes, line);
    srv_secret_free(bytes, len);
}

static enum att_status load(const char *text, struct srv_keys *old, struct srv_keys **ret, struct att_err *err)
{
    struct srv_value value = {.text = file};

    write_file(text, strlen(text), 0600);
    return srv_keys_load(&value, old, ret, err);
}

static struct srv_key *find(struct srv_keys *keys, const char *presented)
{
    struct srv_key *key = srv_keys_find(keys, presented, strlen(presented));

    assert_non_null(key);
    return key;
}

static void test_keys_of_a_file(void **state)
{
    char none[] = "none";
    struct srv_value value = {.text = none};
    struct srv_keys *keys = (struct srv_keys *)(void *)folder;
    struct att_err err;

    (void)state;
    assert_int_equal(srv_keys_load(&value, NULL, &keys, &err), ATT_OK);
    assert_null(keys);
    assert_int_equal(load("a secret infer\n", NULL, &keys, &err), ATT_EINVAL);
    assert_null(keys);
    assert_non_null(strstr(err.message, "/secret:1: expected the SHA-256"));
    assert_int_equal(load("a " ONE " infer\n", NULL, &keys, &err), ATT_OK);
    assert_string_equal(srv_key_name(find(keys, "one")), "a");
    srv_keys_destroy(keys);
    keys = NULL;
    assert_int_equal(chmod(file, 0666), 0);
    value.text = file;
    assert_int_equal(srv_keys_load(&value, NULL, &keys, &err), ATT_EIO);
    assert_null(keys);
}

/* A reload neither refills what a client has used up nor keeps what a smaller limit would not have let it save. */
static void test_levels_over_a_reload(void **state)
{
    struct srv_keys *old = NULL, *keys = NULL;
    struct att_err err;
    unsigned wait_s = 0;

    (void)state;
    assert_int_equal(load("a " ONE " infer requests_per_s=2 tokens_per_s=100\nb " TWO " infer\n", NULL, &old, &err),
                     ATT_OK);
    assert_true(srv_key_charge(find(old, "one"), 150, 1000000, &wait_s)); /* 1 request left, 50 tokens in debt */
    assert_int_equal(load("c " TWO " infer requests_per_s=1\na " ONE " infer tokens_per_s=10\n", old, &keys, &err),
                     ATT_OK);
    assert_false(srv_key_charge(find(keys, "one"), 1, 1000000, &wait_s));
    assert_in_range(wait_s, 5, 6); /* the debt, at the new rate */
    assert_true(srv_key_charge(find(keys, "two"), 1, 1000000, &wait_s));
    assert_false(srv_key_charge(find(keys, "two"), 1, 1000000, &wait_s));
    srv_keys_destroy(keys);
    assert_int_equal(load("a " ONE " infer requests_per_s=5\n", old, &keys, &err), ATT_OK);
    assert_true(srv_key_charge(find(keys, "one"), 1, 1000000, &wait_s));
    assert_false(srv_key_charge(find(keys, "one"), 1, 1000000, &wait_s));
    srv_keys_destroy(keys);
    srv_keys_destroy(old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_a_file_without_bytes),
        cmocka_unit_test(test_reads_that_fail),
        cmocka_unit_test(test_a_file_that_is_shorter_than_it_says),
        cmocka_unit_test(test_keys_of_a_file),
        cmocka_unit_test(test_levels_over_a_reload),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
