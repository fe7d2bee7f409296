/* GGUF: every block type to the bit, what a file reads as, and that every malformed one is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/attend.h"
#include "core/base/mem.h"
#include "core/gguf/gguf.h"

static char folder[64];

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/attend-gguf-XXXXXX");
    return mkdtemp(folder) && att_init(NULL, NULL) == ATT_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char path[160];
    snprintf(path, sizeof path, "%s/model.gguf", folder);
    unlink(path);
    return rmdir(folder);
}

/* ---- blocks ---- */

static float *read_tensor(struct att_weights *weights, const char *name)
{
    struct att_err err = {.message = ""};
    struct att_tensor *tensor = att_weights_find(weights, name);
    if (!tensor)
        fail_msg("no tensor %s", name);
    float *values = malloc(tensor->count * sizeof *values);
    if (att_weights_read(weights, tensor, values, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return values;
}

/* The file has random bits of every type beside what gguf-py makes of them. */
static void every_block_type_widens_to_the_bit(void **state)
{
    (void)state;
    static const char *const types[] = {"F32",  "F16",  "BF16", "Q8_0", "Q4_0", "Q4_1",
                                        "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"};
    const char *root = getenv("ATT_SOURCE_ROOT");
    char path[512], name[16];
    struct att_dir dir;
    struct att_gguf *gguf = NULL;
    struct att_weights weights;
    snprintf(path, sizeof path, "%s/tests/data/gguf", root ? root : ".");
    assert_int_equal(att_dir_open(path, &dir, NULL), ATT_OK);
    assert_int_equal(att_gguf_open(&dir, "blocks.gguf", &gguf, NULL), ATT_OK);
    assert_int_equal(att_gguf_weights(gguf, &dir, &weights, NULL), ATT_OK);
    assert_int_equal(weights.n_tensors, 2 * sizeof types / sizeof *types);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        snprintf(name, sizeof name, "%s.f32", types[i]);
        float *got = read_tensor(&weights, types[i]), *expected = read_tensor(&weights, name);
        assert_string_equal(att_weights_find(&weights, types[i])->dtype_name, types[i]);
        for (size_t v = 0; v < 512; v++)
            if (memcmp(&got[v], &expected[v], sizeof *got) != 0 && (got[v] != 0 || expected[v] != 0))
                fail_msg("%s: value %zu is %.9g, expected %.9g", types[i], v, (double)got[v], (double)expected[v]);
        free(got);
        free(expected);
    }
    att_weights_close(&weights);
    att_gguf_close(gguf);
    att_dir_close(&dir);
}

/* ---- files written by hand ---- */

struct bytes {
    unsigned char data[8192];
    size_t len;
};

static void put(struct bytes *bytes, uint64_t value, size_t n)
{
    assert_true(bytes->len + n <= sizeof bytes->data);
    for (size_t i = 0; i < n; i++)
        bytes->data[bytes->len++] = (unsigned char)(value >> (8 * i));
}

static void put_text(struct bytes *bytes, const char *text)
{
    put(bytes, strlen(text), 8);
    for (; *text; text++)
        put(bytes, (unsigned char)*text, 1);
}

static void put_string_value(struct bytes *bytes, const char *key, const char *value)
{
    put_text(bytes, key);
    put(bytes, 8, 4);
    put_text(bytes, value);
}

static void put_u32_value(struct bytes *bytes, const char *key, uint32_t value)
{
    put_text(bytes, key);
    put(bytes, 4, 4);
    put(bytes, value, 4);
}

static void put_tensor(struct bytes *bytes, const char *name, uint64_t rows, uint64_t cols, uint32_t type,
                       uint64_t offset)
{
    put_text(bytes, name);
    put(bytes, 2, 4);
    put(bytes, cols, 8);
    put(bytes, rows, 8);
    put(bytes, type, 4);
    put(bytes, offset, 8);
}

static void put_head(struct bytes *bytes, uint32_t version, uint64_t tensors, uint64_t values)
{
    bytes->len = 0;
    put(bytes, 0x46554747, 4);
    put(bytes, version, 4);
    put(bytes, tensors, 8);
    put(bytes, values, 8);
}

static void put_data(struct bytes *bytes, size_t n)
{
    while (bytes->len % 32)
        put(bytes, 0, 1);
    for (size_t i = 0; i < n; i++)
        put(bytes, 0, 1);
}

static enum att_status open_bytes(const struct bytes *bytes, struct att_gguf **gguf, struct att_err *err)
{
    char path[160];
    struct att_dir dir;
    snprintf(path, sizeof path, "%s/model.gguf", folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes->data, 1, bytes->len, file), bytes->len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(att_dir_open(folder, &dir, err), ATT_OK);
    enum att_status status = att_gguf_open(&dir, "model.gguf", gguf, err);
    att_dir_close(&dir);
    return status;
}

static void expect_refused(const struct bytes *bytes, const char *says)
{
    struct att_gguf *gguf = NULL;
    struct att_err err = {.message = ""};
    assert_int_not_equal(open_bytes(bytes, &gguf, &err), ATT_OK);
    if (!strstr(err.message, says) || strncmp(err.message, "model.gguf: ", 12) != 0)
        fail_msg("'%s' does not say '%s'", err.message, says);
}

static void heads_that_lie_are_refused(void **state)
{
    (void)state;
    struct bytes b = {.len = 0};
    put(&b, 0x46464747, 4);
    expect_refused(&b, "does not begin with 'GGUF'");
    put_head(&b, 1, 0, 0);
    expect_refused(&b, "version 1, expected 2 or 3");
    put_head(&b, 0x03000000, 0, 0);
    expect_refused(&b, "big-endian");
    put_head(&b, 3, 0, (uint64_t)1 << 60);
    expect_refused(&b, "metadata values, expected at most");
    put_head(&b, 3, (uint64_t)1 << 60, 0);
    expect_refused(&b, "tensors, expected at most");
    put_head(&b, 3, 0, 0);
    expect_refused(&b, "general.architecture: is missing");
    b.len = 20;
    expect_refused(&b, "ends at byte 20");
}

static void values_that_lie_are_refused(void **state)
{
    (void)state;
    struct bytes b;
    put_head(&b, 3, 0, 1);
    put(&b, UINT64_MAX, 8);
    put(&b, 0, 8);
    expect_refused(&b, "a string of 18446744073709551615 bytes");
    put_head(&b, 3, 0, 1);
    put_text(&b, "key");
    put(&b, 13, 4);
    expect_refused(&b, "key: is of type 13, expected 0 to 12");
    put_head(&b, 3, 0, 1);
    put_text(&b, "key");
    put(&b, 9, 4);
    put(&b, 9, 4);
    put(&b, 1, 8);
    expect_refused(&b, "key: an array of type 9");
    put_head(&b, 3, 0, 1);
    put_text(&b, "key");
    put(&b, 9, 4);
    put(&b, 10, 4);
    put(&b, (uint64_t)1 << 61, 8);
    expect_refused(&b, "key: 2305843009213693952 items, expected at most");
    put_head(&b, 3, 0, 2);
    put_u32_value(&b, "key", 1);
    put_u32_value(&b, "key", 2);
    expect_refused(&b, "key: stands there twice");
    put_head(&b, 3, 0, 2);
    put_string_value(&b, "general.architecture", "llama");
    put_u32_value(&b, "general.alignment", 48);
    expect_refused(&b, "general.alignment: is 48, expected a power of two");
    put_head(&b, 3, 0, 2);
    put_string_value(&b, "general.architecture", "llama");
    put_u32_value(&b, "general.alignment", 0);
    expect_refused(&b, "general.alignment");
}

struct one_tensor {
    uint64_t rows, cols, offset;
    uint32_t type;
    size_t data;
    const char *says;
};

static void tensors_that_lie_are_refused(void **state)
{
    (void)state;
    static const struct one_tensor cases[] = {
        {4, 8, 0, 77, 128, "'w' has type 77, expected one of F32"},
        {0, 8, 0, 0, 128, "'w' has a shape whose size overflows or is 0"},
        {(uint64_t)1 << 40, (uint64_t)1 << 40, 0, 0, 128, "overflows"},
        {UINT64_MAX, 1, 0, 0, 128, "overflows"},
        {(uint64_t)1 << 62, 1, 0, 0, 128, "overflows"},
        {4, 8, 0, 8, 128, "'w' has rows of 8 values, expected a multiple of 32 for type Q8_0"},
        {4, 8, 0, 0, 127, "'w' ends past the end of the data"},
        {4, 8, 32, 0, 128, "'w' ends past the end of the data"},
        {4, 8, UINT64_MAX - 31, 0, 128, "'w' ends past the end of the data"},
        {4, 8, 4, 0, 160, "'w' at offset 4, expected a multiple of 32"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes b;
        put_head(&b, 3, 1, 1);
        put_string_value(&b, "general.architecture", "llama");
        put_tensor(&b, "w", cases[i].rows, cases[i].cols, cases[i].type, cases[i].offset);
        put_data(&b, cases[i].data);
        expect_refused(&b, cases[i].says);
    }
    struct bytes b;
    put_head(&b, 3, 2, 1);
    put_string_value(&b, "general.architecture", "llama");
    put_tensor(&b, "a", 4, 8, 0, 0);
    put_tensor(&b, "b", 4, 8, 0, 96);
    put_data(&b, 256);
    expect_refused(&b, "'b' at offset 96, expected a multiple of 32 behind the tensor before");
    put_head(&b, 3, 1, 1);
    put_string_value(&b, "general.architecture", "llama");
    put_text(&b, "w");
    put(&b, 5, 4);
    put_data(&b, 64);
    expect_refused(&b, "'w' has 5 dimensions, expected 1 to 4");
}

/* No file cut short is taken for a whole one, wherever the cut is. */
static void no_cut_goes_unseen(void **state)
{
    (void)state;
    struct bytes b;
    struct att_gguf *gguf = NULL;
    struct att_err err = {.message = ""};
    put_head(&b, 3, 1, 2);
    put_string_value(&b, "general.architecture", "llama");
    put_u32_value(&b, "general.alignment", 32);
    put_tensor(&b, "w", 4, 8, 0, 0);
    put_data(&b, 128);
    assert_int_equal(open_bytes(&b, &gguf, &err), ATT_OK);
    att_gguf_close(gguf);
    while (b.len > 0) {
        b.len--;
        assert_int_not_equal(open_bytes(&b, &gguf, &err), ATT_OK);
    }
}

/* ---- models ---- */

static enum att_status load_bytes(const struct bytes *bytes, struct att_err *err)
{
    struct att_gguf *gguf = NULL;
    struct att_model *model = NULL;
    assert_int_equal(open_bytes(bytes, &gguf, err), ATT_OK);
    att_gguf_close(gguf);
    enum att_status status = att_model_load(folder, &(struct att_model_options){.dtype = ATT_F32}, &model, err);
    att_model_unref(model);
    return status;
}

static void what_is_not_computed_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *arch, *key, *tensor, *says;
        uint32_t value;
    } cases[] = {
        {"mamba", "key", "token_embd.weight", "general.architecture: 'mamba' is not known, expected llama", 1},
        {"llama", "llama.expert_count", "token_embd.weight", "llama.expert_count: is 8", 8},
        {"bert", "bert.pooling_type", "cls.weight", "'cls.weight': heads that rank", 4},
        {"llama", "llama.block_count", "token_embd.weight", "llama.embedding_length: is missing", 1},
        {"llama", "llama.embedding_length", "token_embd.weight", "llama.embedding_length", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes b;
        struct att_err err = {.message = ""};
        put_head(&b, 3, 1, 2);
        put_string_value(&b, "general.architecture", cases[i].arch);
        put_u32_value(&b, cases[i].key, cases[i].value);
        put_tensor(&b, cases[i].tensor, 4, 8, 0, 0);
        put_data(&b, 128);
        assert_int_not_equal(load_bytes(&b, &err), ATT_OK);
        if (!strstr(err.message, cases[i].says) || !strstr(err.message, "model.gguf"))
            fail_msg("'%s' does not say '%s'", err.message, cases[i].says);
    }
}

static void a_quantised_model_loads_through_every_failed_allocation(void **state)
{
    (void)state;
    const char *root = getenv("ATT_SOURCE_ROOT");
    char path[512];
    snprintf(path, sizeof path, "%s/tests/data/gguf/pieces", root ? root : ".");
    for (uint64_t k = 1;; k += 1 + k / 8) {
        struct att_model *model = NULL;
        struct att_err err = {.message = ""};
        att_mem_fail_at(k, k % 2);
        enum att_status status = att_model_load(path, &(struct att_model_options){.dtype = ATT_F32}, &model, &err);
        att_mem_fail_at(0, false);
        att_model_unref(model);
        if (status == ATT_OK)
            break;
        assert_int_equal(status, ATT_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_block_type_widens_to_the_bit),
        cmocka_unit_test(heads_that_lie_are_refused),
        cmocka_unit_test(values_that_lie_are_refused),
        cmocka_unit_test(tensors_that_lie_are_refused),
        cmocka_unit_test(no_cut_goes_unseen),
        cmocka_unit_test(what_is_not_computed_is_refused_by_name),
        cmocka_unit_test(a_quantised_model_loads_through_every_failed_allocation),
    };
    return cmocka_run_group_tests_name("gguf/gguf", tests, setup, teardown);
}
