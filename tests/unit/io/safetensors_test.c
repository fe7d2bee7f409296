/* Safetensors: what a good file reads as, and that every malformed one is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/io/safetensors.h"

static char folder[64];

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/attend-io-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static void path_of(const char *name, char path[160])
{
    snprintf(path, 160, "%s/%s", folder, name);
}

static int teardown(void **state)
{
    (void)state;
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json", "a.safetensors",
                                        "b.safetensors", "other"};
    char path[160];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        path_of(names[i], path);
        unlink(path);
    }
    return rmdir(folder);
}

static void write_file(const char *name, const char *header, size_t header_len, const void *data, size_t data_len)
{
    char path[160];
    path_of(name, path);
    unlink(path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        fputc((int)(header_len >> (8 * i) & 255), file);
    fwrite(header, 1, strlen(header), file);
    fwrite(data, 1, data_len, file);
    fclose(file);
}

static enum att_status open_model(struct att_weights *weights, struct att_err *err)
{
    struct att_dir dir;
    assert_int_equal(att_dir_open(folder, &dir, err), ATT_OK);
    enum att_status status = att_safetensors_open(&dir, "model.safetensors", weights, err);
    att_dir_close(&dir);
    return status;
}

static void reads_all_dtypes_misaligned(void **state)
{
    (void)state;
    const char *header = "{\"c\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                         "\"f\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[1,9]},"
                         "\"h\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[9,17]},"
                         "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[17,21]},"
                         "\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[21,25]},"
                         "\"__metadata__\":{\"format\":\"pt\"}}";
    unsigned char data[25] = {7};
    const float f[2] = {1.5f, -2.25f}, s = 3;
    const uint16_t h[4] = {0x3c00, 0xc000, 0x0001, 0x83ff}, b[2] = {0x3f80, 0xc0a0};
    memcpy(data + 1, f, 8);
    memcpy(data + 9, h, 8);
    memcpy(data + 17, b, 4);
    memcpy(data + 21, &s, 4);
    write_file("model.safetensors", header, strlen(header), data, sizeof data);
    struct att_weights weights;
    struct att_err err = {.message = ""};
    assert_int_equal(open_model(&weights, &err), ATT_OK);
    assert_int_equal(weights.n_tensors, 5);
    float out[4];
    assert_int_equal(att_weights_read(&weights, att_weights_find(&weights, "f"), out, &err), ATT_OK);
    assert_memory_equal(out, f, 8);
    assert_int_equal(att_weights_read(&weights, att_weights_find(&weights, "h"), out, &err), ATT_OK);
    assert_true(out[0] == 1 && out[1] == -2 && out[2] == 0x1p-24f && out[3] == -1023 * 0x1p-24f);
    assert_int_equal(att_weights_read(&weights, att_weights_find(&weights, "b"), out, &err), ATT_OK);
    assert_true(out[0] == 1 && out[1] == -5);
    assert_int_equal(att_weights_find(&weights, "s")->rank, 0);
    assert_int_equal(att_weights_read(&weights, att_weights_find(&weights, "c"), out, &err), ATT_EUNSUPPORTED);
    assert_null(att_weights_find(&weights, "missing"));
    char digest[65];
    assert_int_equal(att_weights_digest(&weights, digest, &err), ATT_OK);
    assert_int_equal(strlen(digest), 64);
    att_weights_close(&weights);
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *header, *says;
        size_t header_len, data_len;
    } cases[] = {
        {"{}", "header length", (size_t)1 << 62, 0},
        {"{}", "header length", 3, 0},
        {"{]", "header", 0, 0},
        {"[1]", "header is array", 0, 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],"
         "\"data_offsets\":[0,4]}}",
         "duplicate", 0, 4},
        {"{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", "'a' has dtype 'F33'", 0, 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "'a' has a shape", 0, 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", "'a' has a shape", 0, 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}", "overflows", 0, 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", "'a'", 0, 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", "data_offsets", 0, 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", "data_offsets", 0, 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "past the end", 0, 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", "needs 8 bytes", 0, 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "trailing", 0, 5},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "hole", 0, 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],"
         "\"data_offsets\":[4,8]}}",
         "overlaps", 0, 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", "shape", 0, 4},
        {"{\"a\":7}", "'a' is number", 0, 0},
    };
    const char zeros[16] = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len = cases[i].header_len ? cases[i].header_len : strlen(cases[i].header);
        write_file("model.safetensors", cases[i].header, len, zeros, cases[i].data_len);
        struct att_weights weights;
        struct att_err err = {.message = ""};
        assert_int_not_equal(open_model(&weights, &err), ATT_OK);
        if (!strstr(err.message, cases[i].says) || !strstr(err.message, "model.safetensors"))
            fail_msg("case %zu: '%s' does not say '%s'", i, err.message, cases[i].says);
    }
}

static void refuses_weights_that_are_not_finite(void **state)
{
    (void)state;
    const char *header = "{\"w\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}";
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        float data[3] = {1, 2, 3};
        data[i] = bad[i];
        write_file("model.safetensors", header, strlen(header), data, sizeof data);
        struct att_weights weights;
        struct att_err err;
        float out[3];
        assert_int_equal(open_model(&weights, &err), ATT_OK);
        assert_int_equal(att_weights_read(&weights, att_weights_find(&weights, "w"), out, &err), ATT_EFORMAT);
        assert_non_null(strstr(err.message, "'w'"));
        att_weights_close(&weights);
    }
}

static void reads_shards_and_refuses_paths(void **state)
{
    (void)state;
    const char *one = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    const char *two = "{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    const float x = 4;
    char path[160];
    path_of("model.safetensors", path);
    unlink(path);
    write_file("a.safetensors", one, strlen(one), &x, 4);
    write_file("b.safetensors", two, strlen(two), &x, 4);
    path_of("model.safetensors.index.json", path);
    static const struct {
        const char *index;
        bool good;
    } cases[] = {
        {"{\"weight_map\":{\"a\":\"a.safetensors\",\"b\":\"b.safetensors\"}}", true},
        {"{\"weight_map\":{\"a\":\"../a.safetensors\"}}", false},
        {"{\"weight_map\":{\"a\":\"/etc/hostname\"}}", false},
        {"{\"weight_map\":{\"a\":\"missing.safetensors\"}}", false},
        {"{\"weight_map\":{\"a\":3}}", false},
        {"{\"weight_map\":{}}", false},
        {"{}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        fputs(cases[i].index, file);
        fclose(file);
        struct att_weights weights;
        struct att_err err = {.message = ""};
        enum att_status status = open_model(&weights, &err);
        assert_int_equal(status == ATT_OK, cases[i].good);
        if (cases[i].good) {
            float out;
            assert_int_equal(att_weights_read(&weights, att_weights_find(&weights, "b"), &out, &err), ATT_OK);
            assert_true(out == 4);
            att_weights_close(&weights);
        }
    }
    unlink(path);
}

static void opens_regular_files_beneath_only(void **state)
{
    (void)state;
    char path[160];
    struct att_dir dir;
    struct att_file file;
    struct att_err err;
    assert_int_equal(att_dir_open(folder, &dir, &err), ATT_OK);
    path_of("other", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(att_file_open(&dir, "other", &file, &err), ATT_EFORMAT);
    assert_non_null(strstr(err.message, "FIFO"));
    unlink(path);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    assert_int_equal(att_file_open(&dir, "other", &file, &err), ATT_EFORMAT);
    unlink(path);
    assert_int_equal(symlink("../../etc/hostname", path), 0);
    assert_int_equal(att_file_open(&dir, "other", &file, &err), ATT_EFORMAT);
    unlink(path);
    assert_int_equal(att_file_open(&dir, "other", &file, &err), ATT_ENOTFOUND);
    assert_non_null(strstr(err.message, "other: is missing"));
    att_dir_close(&dir);
    assert_int_equal(att_dir_open("/nonexistent", &dir, &err), ATT_ENOTFOUND);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    const char *header = "{\"a\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"F16\","
                         "\"shape\":[1],\"data_offsets\":[2,4]}}";
    const char data[4] = {0};
    write_file("model.safetensors", header, strlen(header), data, sizeof data);
    struct att_dir dir;
    assert_int_equal(att_dir_open(folder, &dir, NULL), ATT_OK);
    for (uint64_t k = 1;; k++) {
        struct att_weights weights;
        struct att_err err = {.status = ATT_OK};
        att_mem_fail_at(k, k % 2);
        enum att_status status = att_safetensors_open(&dir, "model.safetensors", &weights, &err);
        att_mem_fail_at(0, false);
        if (status == ATT_OK) {
            att_weights_close(&weights);
            assert_true(k > 5);
            break;
        }
        assert_int_equal(status, ATT_ENOMEM);
    }
    att_dir_close(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_dtypes_misaligned),         cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_weights_that_are_not_finite), cmocka_unit_test(reads_shards_and_refuses_paths),
        cmocka_unit_test(opens_regular_files_beneath_only),    cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests_name("io/safetensors", tests, setup, teardown);
}
