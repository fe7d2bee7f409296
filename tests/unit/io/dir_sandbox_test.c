/* Files of a model directory: beneath it or not at all, with openat2 and where a sandbox refuses openat2. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/io/dir.h"

static char folder[] = "/tmp/attend-dir-XXXXXX";

static int make_folder(void **state)
{
    char path[64];

    (void)state;
    if (mkdtemp(folder) == NULL || chdir(folder) != 0 || mkdir("model", 0700) != 0 || mkdir("model/sub", 0700) != 0)
        return 1;
    for (size_t i = 0; i < 3; i++) {
        int fd;

        snprintf(path, sizeof(path), "%s", ((const char *[]){"model/file", "model/sub/file", "outside"})[i]);
        fd = open(path, O_WRONLY | O_CREAT, 0600);
        if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) != 0)
            return 1;
    }
    return symlink("../outside", "model/link") | symlink("..", "model/up");
}

static int remove_folder(void **state)
{
    static const char *const files[] = {"model/file", "model/sub/file", "model/link", "model/up", "outside"};

    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        unlink(files[i]);
    return rmdir("model/sub") | rmdir("model") | rmdir(folder);
}

static const struct {
    const char *name;
    enum att_status status;
} cases[] = {
    {"file", ATT_OK},          {"sub/file", ATT_OK},           {"none", ATT_ENOTFOUND},
    {"sub/none", ATT_ENOTFOUND}, {"sub", ATT_EFORMAT},         {"link", ATT_EFORMAT},
    {"../outside", ATT_EFORMAT}, {"sub/../../outside", ATT_EFORMAT},
};

/* The number of the first case that ends otherwise, from 1; 0: none. */
static int try_all(void)
{
    struct att_err err;
    struct att_dir dir;
    int wrong = 0;

    if (att_dir_open("model", &dir, &err) != ATT_OK)
        return 100;
    for (int i = 0; i < (int)(sizeof(cases) / sizeof(cases[0])); i++) {
        struct att_file file;
        enum att_status status = att_file_open(&dir, cases[i].name, &file, &err);

        if (status == ATT_OK) {
            wrong = wrong == 0 && file.size != 1 ? i + 1 : wrong;
            att_file_close(&file);
        }
        wrong = wrong == 0 && status != cases[i].status ? i + 1 : wrong;
    }
    wrong = wrong == 0 && att_file_open(&dir, "up/outside", &(struct att_file){0}, &err) == ATT_OK ? 101 : wrong;
    att_dir_close(&dir);
    return wrong;
}

static void test_with_openat2(void **state)
{
    (void)state;
    assert_int_equal(try_all(), 0);
}

/* As systemd's RestrictSUIDSGID= does it. */
static void test_without_openat2(void **state)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
    int status;
    pid_t pid;

    (void)state;
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
            _exit(102);
        _exit(try_all());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_openat2),
        cmocka_unit_test(test_without_openat2),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
