/* Files of a model directory: which kinds and links are read, and what a file that changes meanwhile gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/io/dir.h"
#include "core/io/safetensors.h"

#define HASH "0123456789abcdef0123456789abcdef01234567"
static char folder[64];

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/attend-dir-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info, (void)kind, (void)at;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *in(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void make_folder(const char *name)
{
    assert_int_equal(mkdir(in(name), 0755), 0);
}

static void make_file(const char *name, const char *text)
{
    FILE *file = fopen(in(name), "wb");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void make_link(const char *name, const char *target)
{
    assert_int_equal(symlink(target, in(name)), 0);
}

/* Reads folder/dir/name; NULL: it is refused, and err says why. */
static char *take(const char *dir_name, const char *name, struct att_err *err)
{
    struct att_dir dir;
    char *bytes = NULL;
    size_t len;
    assert_int_equal(att_dir_open(in(dir_name), &dir, err), ATT_OK);
    enum att_status status = att_dir_read(&dir, name, 100, &bytes, &len, err);
    att_dir_close(&dir);
    assert_true((status == ATT_OK) == (bytes != NULL));
    return bytes;
}

static void accepted(const char *dir, const char *name)
{
    struct att_err err = {.message = ""};
    char *bytes = take(dir, name, &err);
    if (!bytes)
        fail_msg("%s/%s: %s", dir, name, err.message);
    assert_string_equal(bytes, "good");
    att_mem_free(bytes);
}

static void refused(const char *dir, const char *name, const char *words)
{
    struct att_err err = {.message = ""};
    char *bytes = take(dir, name, &err);
    if (bytes)
        fail_msg("%s/%s is read", dir, name);
    assert_non_null(strstr(err.message, name));
    if (!strstr(err.message, words))
        fail_msg("%s does not say '%s'", err.message, words);
}

static void test_kinds(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    make_folder("kinds");
    make_folder("kinds/folder");
    make_file("kinds/file", "good");
    make_file("kinds/large", "12345678901234567890123456789012345678901234567890"
                             "123456789012345678901234567890123456789012345678901");
    assert_int_equal(mkfifo(in("kinds/fifo"), 0600), 0);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", in("kinds/socket"));
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    close(listener);
    accepted("kinds", "file");
    refused("kinds", "folder", "is a directory");
    refused("kinds", "fifo", "is a FIFO");
    refused("kinds", "socket", "is a socket");
    refused("kinds", "nothing", "is missing");
    refused("kinds", "large", "expected at most 100");
    struct att_dir dir;
    struct att_file file;
    struct att_err err = {.message = ""};
    assert_int_equal(att_dir_open("/dev", &dir, &err), ATT_OK);
    assert_int_equal(att_file_open(&dir, "null", &file, &err), ATT_EFORMAT);
    assert_string_equal(err.message, "null: is a device, expected a regular file");
    att_dir_close(&dir);
}

/* What a folder is not, and what closing twice or never does. */
static void test_folders(void **state)
{
    (void)state;
    struct att_dir dir = {.fd = -1};
    struct att_file file = {.fd = -1, .size = 4, .name = "name"};
    struct att_err err = {.message = ""};
    char long_path[PATH_MAX + 2], said[512], bytes[4];
    make_file("no-folder", "good");
    assert_int_equal(att_dir_open(in("no-folder"), &dir, &err), ATT_EFORMAT);
    snprintf(said, sizeof said, "%s: is a file, expected the directory that holds it", in("no-folder"));
    assert_string_equal(err.message, said);
    assert_int_equal(att_dir_open(in("nowhere"), &dir, &err), ATT_ENOTFOUND);
    snprintf(said, sizeof said, "%s: no such directory", in("nowhere"));
    assert_string_equal(err.message, said);
    memset(long_path, 'a', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(att_dir_open(long_path, &dir, &err), ATT_EIO);
    att_mem_fail_at(1, false);
    assert_int_equal(att_dir_open(folder, &dir, &err), ATT_ENOMEM);
    att_mem_fail_at(0, false);
    assert_null(dir.path);
    att_dir_close(&dir);
    att_dir_close(NULL);
    assert_int_equal(att_dir_open(folder, &dir, &err), ATT_OK);
    att_dir_close(&dir);
    assert_int_equal(dir.fd, -1);
    att_dir_close(&dir);
    assert_int_equal(att_file_read(&file, 0, bytes, 4, &err), ATT_EIO);
    assert_string_equal(err.message, "name: cannot be read: Bad file descriptor");
    file.name = NULL;
    att_file_close(&file);
    att_file_close(NULL);
}

/* The one file of an ending, however many others lie beside it. */
static void test_find(void **state)
{
    (void)state;
    struct att_dir dir;
    char name[ATT_FILE_NAME_MAX] = "as before", other[64];
    make_folder("found");
    assert_int_equal(att_dir_open(in("found"), &dir, NULL), ATT_OK);
    assert_false(att_dir_find(&dir, ".gguf", name));
    for (int i = 0; i < 300; i++) { /* more than one read of the directory gives */
        snprintf(other, sizeof other, "found/model-%d.txt", i);
        make_file(other, "");
    }
    make_file("found/.hidden.gguf", "");
    make_file("found/gguf", "");
    make_file("found/model.gguf.part", "");
    assert_false(att_dir_find(&dir, ".gguf", name));
    assert_string_equal(name, "as before");
    make_file("found/model.gguf", "");
    assert_true(att_dir_find(&dir, ".gguf", name));
    assert_string_equal(name, "model.gguf");
    make_file("found/second.gguf", "");
    assert_false(att_dir_find(&dir, ".gguf", name));
    att_dir_close(&dir);
    assert_false(att_dir_find(&dir, ".gguf", name));
}

/* Files are refused without memory, and nothing is left open. */
static void test_without_memory(void **state)
{
    (void)state;
    struct att_dir dir;
    struct att_err err = {.message = ""};
    char *bytes = NULL;
    size_t len = 0;
    make_file("small", "good");
    assert_int_equal(att_dir_open(folder, &dir, &err), ATT_OK);
    att_mem_fail_at(1, false);
    assert_int_equal(att_dir_read(&dir, "small", 100, &bytes, &len, &err), ATT_ENOMEM);
    att_mem_fail_at(0, false);
    assert_string_equal(err.message, "out of memory for small");
    assert_null(bytes);
    att_dir_close(&dir);
}

static void test_links(void **state)
{
    (void)state;
    make_folder("links");
    make_folder("links/parts");
    make_file("links/parts/file", "good");
    make_file("outside", "secret");
    make_link("links/inside", "parts/file");
    make_link("links/chain", "inside");
    make_link("links/loop", "loop");
    make_link("links/up", "../outside");
    make_link("links/and-back", "../links/parts/file");
    make_link("links/absolute", "/etc/passwd");
    make_link("links/device", "/dev/zero");
    make_link("links/self", "/proc/self/fd/0");
    if (syscall(SYS_openat2, -1, "", NULL, (size_t)0) < 0 && errno == ENOSYS) { /* valgrind: no link is followed */
        refused("links", "inside", "leads outside");
        refused("links", "chain", "leads outside");
    } else {
        accepted("links", "inside");
        accepted("links", "chain");
    }
    accepted("links", "parts/file");
    static const char *const names[] = {"loop", "up", "and-back", "absolute", "device", "self"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        refused("links", names[i], "leads outside");
    refused("links", "../outside", "leads outside");
}

/* Hugging Face's cache: snapshots/REVISION/NAME -> ../../blobs/HASH, and nothing that only looks like it. */
static void test_cache(void **state)
{
    (void)state;
    make_folder("repo");
    make_folder("repo/blobs");
    make_folder("repo/snapshots");
    make_folder("repo/snapshots/main");
    make_folder("repo/snapshots/main/1_Pooling");
    make_folder("repo/other");
    make_folder("repo/other/main");
    make_file("repo/blobs/" HASH, "good");
    make_file("repo/blobs/named", "good");
    make_link("repo/blobs/fedcba98765432100123456789abcdef01234567", "/etc/passwd");
    make_link("repo/snapshots/main/config.json", "../../blobs/" HASH);
    make_link("repo/snapshots/main/1_Pooling/config.json", "../../../blobs/" HASH);
    accepted("repo/snapshots/main", "config.json");
    accepted("repo/snapshots/main", "1_Pooling/config.json");
    make_link("repo/snapshots/main/named", "../../blobs/named");
    make_link("repo/snapshots/main/link", "../../blobs/fedcba98765432100123456789abcdef01234567");
    make_link("repo/snapshots/main/deeper", "../../../repo/blobs/" HASH);
    make_link("repo/snapshots/main/tail", "../../blobs/" HASH "/../" HASH);
    make_link("repo/other/main/config.json", "../../blobs/" HASH);
    refused("repo/snapshots/main", "named", "leads outside");
    refused("repo/snapshots/main", "link", "leads outside");
    refused("repo/snapshots/main", "deeper", "leads outside");
    refused("repo/snapshots/main", "tail", "leads outside");
    refused("repo/other/main", "config.json", "leads outside");
}

/* What was opened is read as it was, or an error says that it no longer is. */
static void test_changed_while_read(void **state)
{
    (void)state;
    static const char header[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}";
    struct att_dir dir;
    struct att_weights weights;
    struct att_err err;
    float out[4];
    make_folder("changing");
    FILE *file = fopen(in("changing/model.safetensors"), "wb");
    assert_non_null(file);
    fwrite((const unsigned char[8]){sizeof header - 1}, 1, 8, file);
    fputs(header, file);
    fwrite((const float[4]){1, 2, 3, 4}, sizeof(float), 4, file);
    fclose(file);
    assert_int_equal(att_dir_open(in("changing"), &dir, &err), ATT_OK);
    assert_int_equal(att_safetensors_open(&dir, "model.safetensors", &weights, &err), ATT_OK);
    assert_int_equal(truncate(in("changing/model.safetensors"), 8 + sizeof header - 1 + 8), 0);
    assert_int_equal(att_weights_read(&weights, att_weights_find(&weights, "a"), out, &err), ATT_EFORMAT);
    assert_string_equal(err.message, "model.safetensors: was truncated while it was read");
    assert_int_equal(truncate(in("changing/model.safetensors"), 0), 0);
    char digest[65];
    assert_int_equal(att_weights_digest(&weights, digest, &err), ATT_EFORMAT);
    att_weights_close(&weights);
    /* Another file under the name changes nothing of the one that is open. */
    make_file("changing/config.json", "good");
    struct att_file opened;
    assert_int_equal(att_file_open(&dir, "config.json", &opened, &err), ATT_OK);
    make_file("changing/next", "evil");
    char next[256];
    snprintf(next, sizeof next, "%s", in("changing/next"));
    assert_int_equal(rename(next, in("changing/config.json")), 0);
    char bytes[5] = "";
    assert_int_equal(att_file_read(&opened, 0, bytes, 4, &err), ATT_OK);
    assert_string_equal(bytes, "good");
    assert_int_equal(att_file_read(&opened, 2, bytes, 3, &err), ATT_EFORMAT);
    assert_int_equal(att_file_read(&opened, UINT64_MAX, bytes, 3, &err), ATT_EFORMAT);
    att_file_close(&opened);
    att_dir_close(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_changed_while_read),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
