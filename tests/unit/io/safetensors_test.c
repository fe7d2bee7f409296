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
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json",
                                        "a.safetensors",     "b.safetensors",
                                        "c.safetensors",     "other"};
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
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", "'a' has dtype '(none)'", 0, 4},
        {"{\"a\":{\"dtype\":\"Q8_0\",\"shape\":[32],\"data_offsets\":[0,34]}}", "'a' has dtype 'Q8_0'", 0, 34},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", "'a' has no shape of at most 8", 0, 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[9007199254740992,512],\"data_offsets\":[0,4]}}", "size overflows", 0, 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":\"0,4\"}}", "bad data_offsets", 0, 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0.5,4]}}", "bad data_offsets", 0, 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,\"4\"]}}", "bad data_offsets", 0, 4},
        {"{\"__metadata__\":[]}", "__metadata__: is array, expected an object of strings", 0, 0},
        {"{\"__metadata__\":{\"format\":1}}", "__metadata__: 'format' is number, expected a string", 0, 0},
        {" {}", "header begins with a blank", 0, 0},
        {"", "header", 0, 0},
        {"{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],"
         "\"data_offsets\":[0,4]}}",
         "overlaps", 0, 4},
    };
    const char zeros[64] = {0};
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

/* Tensors without elements lie where others begin, in any order of the header. */
static void empty_tensors_lie_between(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "{\"e\":{\"dtype\":\"F32\",\"shape\":[0,4],\"data_offsets\":[4,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],"
        "\"data_offsets\":[4,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        "{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],"
        "\"data_offsets\":[4,8]},\"e\":{\"dtype\":\"F32\",\"shape\":[0,4],\"data_offsets\":[4,4]}}"};
    const float data[2] = {1, 2};
    for (size_t i = 0; i < 2; i++) {
        struct att_weights weights;
        struct att_err err = {.message = ""};
        float out = 0;
        write_file("model.safetensors", headers[i], strlen(headers[i]), data, sizeof data);
        if (open_model(&weights, &err) != ATT_OK)
            fail_msg("%s", err.message);
        assert_int_equal(att_weights_find(&weights, "e")->count, 0);
        assert_int_equal(att_weights_read(&weights, att_weights_find(&weights, "a"), &out, &err), ATT_OK);
        assert_true(out == 2);
        att_weights_close(&weights);
    }
}

/* What no header can be: shorter than its length, or longer than is read, here in a file with a hole. */
static void files_of_no_sense_in_size_are_refused(void **state)
{
    (void)state;
    struct att_weights weights;
    struct att_err err = {.message = ""};
    char path[160];
    path_of("model.safetensors", path);
    write_file("model.safetensors", "", 0, "", 0);
    assert_int_equal(truncate(path, 7), 0);
    assert_int_equal(open_model(&weights, &err), ATT_EFORMAT);
    assert_string_equal(err.message, "model.safetensors: size is 7 bytes, expected a header length of 8 bytes first");
    write_file("model.safetensors", "{", (100 << 20) + 1, "", 0);
    assert_int_equal(truncate(path, 200 << 20), 0);
    assert_int_equal(open_model(&weights, &err), ATT_EFORMAT);
    assert_string_equal(err.message,
                        "model.safetensors: header length 104857601 does not fit a file of 209715200 bytes");
    write_file("model.safetensors", "{]", 2, "", 0);
    assert_int_equal(open_model(&weights, NULL), ATT_EFORMAT); /* nobody asks why */
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
    const char *both = "{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                       "\"c\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}";
    const float x = 4;
    char path[160];
    path_of("model.safetensors", path);
    unlink(path);
    write_file("a.safetensors", one, strlen(one), &x, 4);
    write_file("b.safetensors", two, strlen(two), &x, 4);
    write_file("c.safetensors", both, strlen(both), (const float[2]){x, 5}, 8);
    path_of("model.safetensors.index.json", path);
    char long_name[400] = "{\"weight_map\":{\"a\":\"";
    size_t at = strlen(long_name);
    memset(long_name + at, 'm', 256);
    memcpy(long_name + at + 256, "\"}}", 4);
    const struct {
        const char *index;
        const char *says; /* NULL: it opens */
    } cases[] = {
        {"{\"weight_map\":{\"a\":\"a.safetensors\",\"b\":\"b.safetensors\"}}", NULL},
        {"{\"weight_map\":{\"b\":\"b.safetensors\"}}", NULL},
        {"{\"weight_map\":{\"c\":\"c.safetensors\",\"b\":\"c.safetensors\"}}", NULL},
        {"{\"weight_map\":{\"a\":\"../a.safetensors\"}}", "weight_map: 'a' names no plain file"},
        {"{\"weight_map\":{\"a\":\"/etc/hostname\"}}", "weight_map: 'a' names no plain file"},
        {"{\"weight_map\":{\"a\":\"\"}}", "weight_map: 'a' names no plain file"},
        {"{\"weight_map\":{\"a\":\".a.safetensors\"}}", "weight_map: 'a' names no plain file"},
        {long_name, "weight_map: 'a' names no plain file"},
        {"{\"weight_map\":{\"a\":3}}", "weight_map: 'a' names no plain file"},
        {"{\"weight_map\":{\"a\":\"missing.safetensors\"}}", "missing.safetensors: is missing"},
        {"{\"weight_map\":{}}", "weight_map: missing, expected an object"},
        {"{\"weight_map\":[\"a\"]}", "weight_map: missing, expected an object"},
        {"{}", "weight_map: missing, expected an object"},
        {"{", "model.safetensors.index.json: not JSON"},
        {"{\"weight_map\":{\"a\":\"b.safetensors\",\"b\":\"a.safetensors\"}}",
         "weight_map: tensor 'a' is not in b.safetensors"},
        {"{\"weight_map\":{\"b\":\"b.safetensors\",\"no.such\":\"b.safetensors\"}}",
         "weight_map: tensor 'no.such' is not in b.safetensors"},
        {"{\"weight_map\":{\"b\":\"b.safetensors\",\"c\":\"c.safetensors\"}}",
         "model.safetensors.index.json: duplicate tensor 'b'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        fputs(cases[i].index, file);
        fclose(file);
        struct att_weights weights;
        struct att_err err = {.message = ""};
        enum att_status status = open_model(&weights, &err);
        if (cases[i].says ? strstr(err.message, cases[i].says) == NULL : err.message[0] != '\0')
            fail_msg("case %zu: '%s' does not say '%s'", i, err.message, cases[i].says ? cases[i].says : "");
        assert_int_equal(status == ATT_OK, cases[i].says == NULL);
        if (status == ATT_OK) {
            float out;
            assert_int_equal(att_weights_read(&weights, att_weights_find(&weights, "b"), &out, &err), ATT_OK);
            assert_true(out == 4);
            att_weights_close(&weights);
        }
    }
    unlink(path);
}

/* 64 files and no more, and an index that cannot be read is not passed over. */
static void shards_have_bounds(void **state)
{
    (void)state;
    const char *header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    const float x = 4;
    char path[160], name[32];
    struct att_weights weights;
    struct att_err err = {.message = ""};
    path_of("model.safetensors", path);
    unlink(path);
    path_of("model.safetensors.index.json", path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 0; i <= ATT_SHARDS_MAX; i++) {
        char own[80];
        snprintf(name, sizeof name, "shard-%d", i);
        snprintf(own, sizeof own, "{\"%c%d\":%s", i % 2 ? 'a' : 'b', i, strchr(header, ':') + 1);
        write_file(name, own, strlen(own), &x, 4);
        fprintf(file, "%s\"%c%d\":\"%s\"", i ? "," : "{\"weight_map\":{", i % 2 ? 'a' : 'b', i, name);
    }
    fputs("}}", file);
    fclose(file);
    assert_int_equal(open_model(&weights, &err), ATT_ELIMIT);
    assert_string_equal(err.message, "model.safetensors.index.json: more than 64 shards");
    for (int i = 0; i <= ATT_SHARDS_MAX; i++) {
        char shard[160];
        snprintf(name, sizeof name, "shard-%d", i);
        path_of(name, shard);
        assert_int_equal(unlink(shard), 0);
    }
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(open_model(&weights, &err), ATT_EFORMAT);
    assert_string_equal(err.message, "model.safetensors.index.json: is a directory, expected a regular file");
    assert_int_equal(rmdir(path), 0);
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
        cmocka_unit_test(reads_all_dtypes_misaligned),
        cmocka_unit_test(refuses),
        cmocka_unit_test(empty_tensors_lie_between),
        cmocka_unit_test(files_of_no_sense_in_size_are_refused),
        cmocka_unit_test(shards_have_bounds),
        cmocka_unit_test(refuses_weights_that_are_not_finite),
        cmocka_unit_test(reads_shards_and_refuses_paths),
        cmocka_unit_test(opens_regular_files_beneath_only),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests_name("io/safetensors", tests, setup, teardown);
}
