/* Files of a model directory: which kinds and links are read, and what a file that changes meanwhile gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
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
    accepted("links", "inside");
    accepted("links", "chain");
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
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_changed_while_read),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
