/* Tensors of a checkpoint, whatever file they lie in: bounds, order, reading in chunks, halves put apart, the digest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/io/weights.h"

static char folder[64], path[128];

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/attend-weights-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/data", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void write_data(const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void open_data(struct att_weights *weights)
{
    struct att_dir dir;
    *weights = (struct att_weights){.n_shards = 0};
    assert_int_equal(att_dir_open(folder, &dir, NULL), ATT_OK);
    assert_int_equal(att_weights_add_file(weights, &dir, "data", NULL), ATT_OK);
    att_dir_close(&dir);
}

static void shapes_are_cut_to_their_room(void **state)
{
    (void)state;
    static const size_t shape[] = {384, 1536, 2};
    static const struct {
        size_t rank, room;
        const char *text;
    } cases[] = {{3, 32, "[384,1536,2]"},
                 {0, 32, "[]"},
                 {3, 13, "[384,1536,2]"},
                 {3, 12, "[384,1536,2"},
                 {3, 7, "[384,1"},
                 {3, 3, "[3"},
                 {3, 1, ""},
                 {0, 2, "["}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[33];
        memset(text, 'x', sizeof text);
        att_shape_text(cases[i].rank, shape, text, cases[i].room);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(text[cases[i].room], 'x');
    }
}

static void files_and_tensors_have_bounds(void **state)
{
    (void)state;
    struct att_weights weights;
    struct att_dir dir;
    struct att_err err = {.message = ""};
    write_data("x", 1);
    open_data(&weights);
    assert_int_equal(att_dir_open(folder, &dir, &err), ATT_OK);
    assert_int_equal(att_weights_add_file(&weights, &dir, "none", &err), ATT_ENOTFOUND);
    assert_int_equal(weights.n_shards, 1);
    att_mem_fail_at(1, false);
    assert_int_equal(att_weights_add_file(&weights, &dir, "data", &err), ATT_ENOMEM);
    att_mem_fail_at(0, false);
    while (weights.n_shards < ATT_SHARDS_MAX)
        assert_int_equal(att_weights_add_file(&weights, &dir, "data", &err), ATT_OK);
    assert_int_equal(att_weights_add_file(&weights, &dir, "data", &err), ATT_ELIMIT);
    assert_string_equal(err.message, "data: one file more than 64");
    att_dir_close(&dir);
    assert_int_equal(att_weights_reserve(&weights, (1 << 20) + 1, &err), ATT_ENOMEM);
    assert_string_equal(err.message, "out of memory for 1048577 tensors");
    assert_null(weights.tensors);
    att_weights_close(&weights);
    assert_int_equal(weights.n_shards, 0);
}

static void names_are_found_and_stand_once(void **state)
{
    (void)state;
    static const char *const names[] = {"m", "b", "z", "a", "q"};
    enum { N = sizeof names / sizeof *names };
    struct att_weights weights = {.n_shards = 0};
    struct att_err err = {.message = ""};
    assert_int_equal(att_weights_sort(&weights, "data", &err), ATT_OK);
    assert_null(att_weights_find(&weights, "m"));
    assert_int_equal(att_weights_reserve(&weights, N, &err), ATT_OK);
    for (size_t i = 0; i < N; i++)
        weights.tensors[weights.n_tensors++] = (struct att_tensor){.name = att_mem_strdup(names[i]), .count = i};
    assert_int_equal(att_weights_sort(&weights, "data", &err), ATT_OK);
    assert_string_equal(weights.tensors[0].name, "a");
    for (size_t i = 0; i < N; i++) {
        struct att_tensor *tensor = att_weights_find(&weights, names[i]);
        assert_non_null(tensor);
        assert_int_equal(tensor->count, i);
        assert_true(tensor->used);
    }
    assert_null(att_weights_find(&weights, "c"));
    assert_null(att_weights_find(&weights, "zz"));
    weights.tensors[2].name[0] = 'b';
    assert_int_equal(att_weights_sort(&weights, "data", &err), ATT_EFORMAT);
    assert_string_equal(err.message, "data: duplicate tensor 'b'");
    att_weights_close(&weights);
}

/* More than one chunk of 1 MiB, and a file that ends within the second. */
static void large_tensors_are_read_in_chunks(void **state)
{
    (void)state;
    enum { COUNT = (1 << 18) + 1000 };
    float *data = malloc(COUNT * sizeof *data), *out = malloc(COUNT * sizeof *out);
    struct att_weights weights;
    struct att_err err = {.message = ""};
    struct att_tensor tensor = {
        .name = (char[]){"w"}, .blocks = att_block_type_find("F32"), .rank = 1, .shape = {COUNT}, .count = COUNT};
    assert_true(data && out);
    for (size_t i = 0; i < COUNT; i++)
        data[i] = (float)i - 1000;
    write_data(data, COUNT * sizeof *data);
    open_data(&weights);
    assert_int_equal(att_weights_read(&weights, &tensor, out, &err), ATT_OK);
    assert_memory_equal(out, data, COUNT * sizeof *data);
    att_mem_fail_at(1, false);
    assert_int_equal(att_weights_read(&weights, &tensor, out, &err), ATT_ENOMEM);
    att_mem_fail_at(0, false);
    tensor.offset = 4;
    assert_int_equal(att_weights_read(&weights, &tensor, out, &err), ATT_EFORMAT);
    assert_non_null(strstr(err.message, "data: ends at byte"));
    att_weights_close(&weights);
    free(data);
    free(out);
}

static void halves_are_put_apart(void **state)
{
    (void)state;
    /* Two heads of four rows, two columns. */
    static const float data[] = {0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7},
                       apart[] = {0, 0, 2, 2, 1, 1, 3, 3, 4, 4, 6, 6, 5, 5, 7, 7};
    struct att_weights weights;
    struct att_err err = {.message = ""};
    struct att_tensor tensor = {.name = (char[]){"w"},
                                .blocks = att_block_type_find("F32"),
                                .rank = 2,
                                .shape = {8, 2},
                                .count = 16,
                                .interleaved_heads = 2};
    float out[16];
    write_data(data, sizeof data);
    open_data(&weights);
    assert_int_equal(att_weights_read(&weights, &tensor, out, &err), ATT_OK);
    assert_memory_equal(out, apart, sizeof apart);
    att_mem_fail_at(2, false);
    assert_int_equal(att_weights_read(&weights, &tensor, out, &err), ATT_ENOMEM);
    att_mem_fail_at(0, false);
    tensor.blocks = NULL;
    tensor.dtype_name = "I64";
    assert_int_equal(att_weights_read(&weights, &tensor, out, &err), ATT_EUNSUPPORTED);
    assert_memory_equal(err.message, "data: tensor 'w' has dtype I64, expected one of F32",
                        strlen("data: tensor 'w' has dtype I64, expected one of F32"));
    att_weights_close(&weights);
}

static void the_digest_is_that_of_the_bytes(void **state)
{
    (void)state;
    struct att_weights weights;
    struct att_dir dir;
    struct att_err err = {.message = ""};
    char hex[65] = "as before";
    write_data("a", 1);
    open_data(&weights);
    assert_int_equal(att_dir_open(folder, &dir, &err), ATT_OK);
    assert_int_equal(unlink(path), 0);
    write_data("b", 1);
    assert_int_equal(att_weights_add_file(&weights, &dir, "data", &err), ATT_OK);
    att_dir_close(&dir);
    for (uint64_t k = 1; k <= 2; k++) {
        att_mem_fail_at(k, false);
        assert_int_equal(att_weights_digest(&weights, hex, &err), ATT_ENOMEM);
        att_mem_fail_at(0, false);
        assert_string_equal(hex, "as before");
    }
    assert_int_equal(att_weights_digest(&weights, hex, &err), ATT_OK);
    assert_string_equal(hex, "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603"); /* sha256sum of ab */
    att_weights_close(&weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_cut_to_their_room),   cmocka_unit_test(files_and_tensors_have_bounds),
        cmocka_unit_test(names_are_found_and_stand_once), cmocka_unit_test(large_tensors_are_read_in_chunks),
        cmocka_unit_test(halves_are_put_apart),           cmocka_unit_test(the_digest_is_that_of_the_bytes),
    };
    return cmocka_run_group_tests_name("io/weights", tests, setup, teardown);
}
