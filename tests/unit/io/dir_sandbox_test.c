/* Files of a model directory: beneath it or not at all, with openat2 and where a sandbox refuses openat2. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/io/dir.h"

static char folder[] = "/tmp/attend-dir-XXXXXX";

#define HASH "0123456789abcdef0123456789abcdef01234567"
#define LONG_HASH HASH "0123456789abcdef01234567"
#define OTHER_HASH "fedcba98765432100123456789abcdef01234567"

static const char *const folders[] = {
    "model", "model/sub", "model/sub/deep", "repo", "repo/blobs", "repo/snapshots", "repo/snapshots/main",
    "repo/snapshots/main/part", "repo/other", "repo/other/main", "bare", "bare/snapshots", "bare/snapshots/main",
};
static const char *const files[] = {
    "model/file", "model/sub/file", "model/sub/deep/file", "outside",
    "repo/blobs/" HASH, "repo/blobs/" LONG_HASH, "repo/blobs/named",
};
static const struct {
    const char *name, *target;
} links[] = {
    {"model/link", "../outside"},
    {"model/up", ".."},
    {"model/loop", "loop"},
    {"model/blob", "../../blobs/" HASH},
    {"repo/blobs/" OTHER_HASH, "/etc/passwd"},
    {"repo/snapshots/main/short", "../../blobs/" HASH},
    {"repo/snapshots/main/whole", "../../blobs/" LONG_HASH},
    {"repo/snapshots/main/part/one", "../../../blobs/" HASH},
    {"repo/snapshots/main/part/few", "../../blobs/" HASH},
    {"repo/snapshots/main/named", "../../blobs/named"},
    {"repo/snapshots/main/tail", "../../blobs/" HASH "/"},
    {"repo/snapshots/main/other", "../../other/" HASH},
    {"repo/snapshots/main/link", "../../blobs/" OTHER_HASH},
    {"repo/snapshots/main/gone", "../../blobs/0000000000000000000000000000000000000000"},
    {"repo/snapshots/main/long", "../../blobs/" LONG_HASH LONG_HASH LONG_HASH},
    {"repo/other/main/short", "../../blobs/" HASH},
    {"bare/snapshots/main/short", "../../blobs/" HASH},
};
enum {
    N_FOLDERS = sizeof(folders) / sizeof(folders[0]),
    N_FILES = sizeof(files) / sizeof(files[0]),
    N_LINKS = sizeof(links) / sizeof(links[0]),
};

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL || chdir(folder) != 0)
        return 1;
    for (size_t i = 0; i < N_FOLDERS; i++)
        if (mkdir(folders[i], 0700) != 0)
            return 1;
    for (size_t i = 0; i < N_FILES; i++) {
        int fd = open(files[i], O_WRONLY | O_CREAT, 0600);
        if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) != 0)
            return 1;
    }
    for (size_t i = 0; i < N_LINKS; i++)
        if (symlink(links[i].target, links[i].name) != 0)
            return 1;
    return 0;
}

static int remove_folder(void **state)
{
    int failed = 0;

    (void)state;
    for (size_t i = 0; i < N_FILES; i++)
        failed |= unlink(files[i]);
    for (size_t i = 0; i < N_LINKS; i++)
        failed |= unlink(links[i].name);
    for (size_t i = N_FOLDERS; i-- > 0;)
        failed |= rmdir(folders[i]);
    return failed | rmdir(folder);
}

#define LONG_NAME                                                                                                      \
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"                 \
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"                 \
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"

/* says is what follows the name in the message; NULL: it is read. */
static const struct {
    const char *dir, *name;
    enum att_status status;
    const char *says;
} cases[] = {
    {"model", "file", ATT_OK, NULL},
    {"model", "sub/file", ATT_OK, NULL},
    {"model", "sub/deep/file", ATT_OK, NULL},
    {"model", "none", ATT_ENOTFOUND, ": is missing"},
    {"model", "sub/none", ATT_ENOTFOUND, ": is missing"},
    {"model", "none/file", ATT_ENOTFOUND, ": is missing"},
    {"model", "sub", ATT_EFORMAT, ": is a directory, expected a regular file"},
    {"model", "file/file", ATT_EIO, ": cannot be opened: Not a directory"},
    {"model", LONG_NAME, ATT_EIO, ": cannot be opened: File name too long"},
    {"model", "link", ATT_EFORMAT, ": leads outside the model directory"},
    {"model", "loop", ATT_EFORMAT, ": leads outside the model directory"},
    {"model", "blob", ATT_EFORMAT, ": leads outside the model directory"},
    {"model", "../outside", ATT_EFORMAT, ": leads outside the model directory"},
    {"model", "sub/../../outside", ATT_EFORMAT, ": leads outside the model directory"},
    {"repo/snapshots/main", "short", ATT_OK, NULL},
    {"repo/snapshots/main", "whole", ATT_OK, NULL},
    {"repo/snapshots/main", "part/one", ATT_OK, NULL},
    {"repo/snapshots/main", "part/few", ATT_EFORMAT, ": leads outside the model directory"},
    {"repo/snapshots/main", "named", ATT_EFORMAT, ": leads outside the model directory"},
    {"repo/snapshots/main", "tail", ATT_EFORMAT, ": leads outside the model directory"},
    {"repo/snapshots/main", "other", ATT_EFORMAT, ": leads outside the model directory"},
    {"repo/snapshots/main", "link", ATT_EFORMAT, ": leads outside the model directory"},
    {"repo/snapshots/main", "gone", ATT_EFORMAT, ": leads outside the model directory"},
    {"repo/snapshots/main", "long", ATT_EFORMAT, ": leads outside the model directory"},
    {"repo/other/main", "short", ATT_EFORMAT, ": leads outside the model directory"},
    {"bare/snapshots/main", "short", ATT_EFORMAT, ": leads outside the model directory"},
};

static void try_one(const char *in, const char *name, enum att_status expected, const char *says)
{
    struct att_err err = {.message = ""};
    struct att_dir dir;
    struct att_file file;
    size_t len = strlen(name);

    assert_int_equal(att_dir_open(in, &dir, &err), ATT_OK);
    enum att_status status = att_file_open(&dir, name, &file, &err);
    att_dir_close(&dir);
    if (status == ATT_OK) {
        uint64_t size = file.size;
        att_file_close(&file);
        assert_int_equal(size, 1);
    }
    if (status != expected)
        fail_msg("%s/%s: %d, expected %d (%s)", in, name, (int)status, (int)expected, err.message);
    if (says && (strncmp(err.message, name, len) != 0 || strncmp(err.message + len, says, strlen(says)) != 0))
        fail_msg("%s/%s: '%s' does not say '%s'", in, name, err.message, says);
}

static void try_all(void)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        try_one(cases[i].dir, cases[i].name, cases[i].status, cases[i].says);
}

static void test_with_openat2(void **state)
{
    (void)state;
    try_all();
    if (syscall(SYS_openat2, -1, "", NULL, (size_t)0) < 0 && errno == ENOSYS)
        return; /* valgrind has none, and walks */
    try_one("model", "up/outside", ATT_EFORMAT, ": leads outside the model directory");
    try_one("model", "sub/./file", ATT_OK, NULL);
}

/* As systemd's RestrictSUIDSGID= does it; for the rest of this process, so this test is the last. */
static void test_without_openat2(void **state)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

    (void)state;
    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    try_all();
    /* What the walk alone refuses: a link in the way, wherever it leads, and a name that is not plain. */
    try_one("model", "up/outside", ATT_EIO, ": cannot be opened: Not a directory");
    try_one("model", "sub/./file", ATT_EFORMAT, ": leads outside the model directory");
    try_one("model", "sub//file", ATT_EFORMAT, ": leads outside the model directory");
    try_one("model", "/etc/passwd", ATT_EFORMAT, ": leads outside the model directory");
    try_one("model", ".", ATT_EFORMAT, ": leads outside the model directory");
    try_one("model", ".none", ATT_ENOTFOUND, ": is missing");
    try_one("model", "..none", ATT_ENOTFOUND, ": is missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_openat2),
        cmocka_unit_test(test_without_openat2),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
