/* Weights that follow from a seed: their values, and every specification that is refused. */
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
#include "core/io/seeded.h"

static char folder[64], path[128];

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/attend-seeded-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/spec.json", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static enum att_status open_spec(const char *text, struct att_weights *weights, struct att_err *err)
{
    struct att_dir dir;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(att_dir_open(folder, &dir, err), ATT_OK);
    enum att_status status = att_seeded_open(&dir, "spec.json", weights, err);
    att_dir_close(&dir);
    return status;
}

static const char good[] =
    "{\"seed\":7,\"tensors\":["
    "{\"name\":\"w\",\"shape\":[2,3],\"base\":0,\"amp\":0.5,\"first4\":[-0.10196304321289062,-0.3952590823173523,"
    "-0.3759029507637024,0.12064498662948608,\"what follows is not compared\"]},"
    "{\"name\":\"norm\",\"shape\":[2],\"base\":1,\"amp\":0.25,\"first4\":[1.1347419023513794,1.1772741079330444,5]},"
    "{\"name\":\"one\",\"shape\":[],\"base\":3,\"amp\":0}]}";

/* Expected: the generator of seeded.h, written anew in Python. */
static void values_follow_from_the_seed(void **state)
{
    (void)state;
    static const float w[] = {-0x1.a1a4p-4f,  -0x1.94beccp-2f, -0x1.80ecb4p-2f,
                              0x1.ee2970p-4f, -0x1.36e8f0p-2f, 0x1.9443b8p-2f},
                       norm[] = {0x1.227e72p+0f, 0x1.2d61d6p+0f};
    struct att_weights weights;
    struct att_err err = {.message = ""};
    float out[6], one;
    if (open_spec(good, &weights, &err) != ATT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(weights.n_tensors, 3);
    struct att_tensor *tensor = att_weights_find(&weights, "w");
    assert_non_null(tensor);
    assert_int_equal(tensor->rank, 2);
    assert_int_equal(tensor->shape[0], 2);
    assert_int_equal(tensor->shape[1], 3);
    assert_string_equal(att_weights_file(&weights, tensor), "spec.json");
    assert_int_equal(att_weights_read(&weights, tensor, out, &err), ATT_OK);
    assert_memory_equal(out, w, sizeof w);
    assert_int_equal(att_weights_read(&weights, att_weights_find(&weights, "norm"), out, &err), ATT_OK);
    assert_memory_equal(out, norm, sizeof norm);
    tensor = att_weights_find(&weights, "one");
    assert_int_equal(tensor->rank, 0);
    assert_int_equal(att_weights_read(&weights, tensor, &one, &err), ATT_OK);
    assert_true(one == 3);
    att_weights_close(&weights);
}

#define TENSORS(list) "{\"seed\":7,\"tensors\":[" list "]}"
#define NO_ENTRY "spec.json: tensors[0]: expected name, shape, base and amp"
#define NO_SHAPE "spec.json: tensor 'w' has no shape of at most 8 dimensions"
#define SHAPED(shape) TENSORS("{\"name\":\"w\",\"shape\":" shape ",\"base\":0,\"amp\":1}")

static void specifications_that_lie_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"[]", "spec.json: is array, expected a JSON object"},
        {"{}", "spec.json: seed: expected an integer"},
        {"{\"seed\":-1}", "spec.json: seed: expected an integer"},
        {"{\"seed\":1.5}", "spec.json: seed: expected an integer"},
        {"{\"seed\":9007199254740994}", "spec.json: seed: expected an integer"},
        {TENSORS("7"), NO_ENTRY},
        {TENSORS("{\"shape\":[1],\"base\":0,\"amp\":1}"), NO_ENTRY},
        {TENSORS("{\"name\":\"w\",\"shape\":[1],\"amp\":1}"), NO_ENTRY},
        {TENSORS("{\"name\":\"w\",\"shape\":[1],\"base\":0}"), NO_ENTRY},
        {TENSORS("{\"name\":\"w\",\"shape\":[1],\"base\":1e30,\"amp\":1}"), NO_ENTRY},
        {TENSORS("{\"name\":\"w\",\"shape\":[1],\"base\":0,\"amp\":-1e30}"), NO_ENTRY},
        {TENSORS("{\"name\":\"w\",\"base\":0,\"amp\":1}"), NO_SHAPE},
        {SHAPED("\"4\""), NO_SHAPE},
        {SHAPED("{\"a\":1}"), NO_SHAPE},
        {SHAPED("[0]"), NO_SHAPE},
        {SHAPED("[1.5]"), NO_SHAPE},
        {SHAPED("[2147483648]"), NO_SHAPE},
        {SHAPED("[1,1,1,1,1,1,1,1,1]"), NO_SHAPE},
        {SHAPED("[2147483647,2147483647,2147483647]"), NO_SHAPE},
        {TENSORS("{\"name\":\"w\",\"shape\":[1],\"base\":0,\"amp\":0},{\"name\":\"w\",\"shape\":[1],\"base\":0,"
                 "\"amp\":0}"),
         "spec.json: duplicate tensor 'w'"},
        {TENSORS("{\"name\":\"w\",\"shape\":[2],\"base\":2,\"amp\":0,\"first4\":[2,3]}"),
         "spec.json: tensor 'w' begins with other values (1: 2, first4 says 3)"},
        {TENSORS("{\"name\":\"w\",\"shape\":[2],\"base\":2,\"amp\":0,\"first4\":[\"2\"]}"),
         "spec.json: tensor 'w' begins with other values (0: 2, first4 says nan)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_weights weights = {.n_shards = 77};
        struct att_err err = {.message = ""};
        enum att_status status = open_spec(cases[i].text, &weights, &err);
        if (strcmp(err.message, cases[i].says) != 0)
            fail_msg("case %zu: '%s', expected '%s'", i, err.message, cases[i].says);
        assert_int_equal(status, ATT_EFORMAT);
        assert_int_equal(weights.n_shards, 77);
    }
    struct att_dir dir;
    struct att_weights weights;
    struct att_err err = {.message = ""};
    assert_int_equal(att_dir_open(folder, &dir, &err), ATT_OK);
    assert_int_equal(att_seeded_open(&dir, "none.json", &weights, &err), ATT_ENOTFOUND);
    assert_string_equal(err.message, "none.json: is missing");
    att_dir_close(&dir);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    enum att_status status = ATT_ENOMEM;
    struct att_dir dir;
    uint64_t k = 0;
    struct att_weights weights;
    struct att_err err = {.message = ""};
    assert_int_equal(open_spec(good, &weights, &err), ATT_OK);
    att_weights_close(&weights);
    assert_int_equal(att_dir_open(folder, &dir, NULL), ATT_OK);
    while (status != ATT_OK) {
        k++;
        att_mem_fail_at(k, k % 2);
        status = att_seeded_open(&dir, "spec.json", &weights, &err);
        att_mem_fail_at(0, false);
        if (status != ATT_OK)
            assert_int_equal(status, ATT_ENOMEM);
    }
    assert_true(k > 6);
    att_weights_close(&weights);
    att_dir_close(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_follow_from_the_seed),
        cmocka_unit_test(specifications_that_lie_are_refused),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests_name("io/seeded", tests, setup, teardown);
}
