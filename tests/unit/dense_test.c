/* Dense modules behind the pooling: what a chain of them comes to, and the words of every refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/model.h"

static char folder[64];
static uint64_t fail_at; /* which allocation of the function under test fails */

static void put(const char *name, const void *bytes, size_t len)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* model.safetensors of a module: weight [n][k], bias [n] (NULL: none) and, when named, a tensor more. */
static void put_weights(const char *name, size_t n, size_t k, const float *weight, const float *bias, const char *more)
{
    char header[512];
    unsigned char bytes[1024];
    size_t at = n * k * sizeof(float), len = 0, biased = bias ? n * sizeof(float) : 0;
    len += (size_t)snprintf(header, sizeof header,
                            "{\"linear.weight\":{\"dtype\":\"F32\",\"shape\":[%zu,%zu],\"data_offsets\":[0,%zu]}", n, k,
                            at);
    if (bias)
        len += (size_t)snprintf(header + len, sizeof header - len,
                                ",\"linear.bias\":{\"dtype\":\"F32\",\"shape\":[%zu],\"data_offsets\":[%zu,%zu]}", n,
                                at, at + biased);
    if (more)
        len += (size_t)snprintf(header + len, sizeof header - len,
                                ",\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%zu,%zu]}", more,
                                at + biased, at + biased + sizeof(float));
    len += (size_t)snprintf(header + len, sizeof header - len, "}");
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(len >> (8 * i));
    memcpy(bytes + 8, header, len);
    memcpy(bytes + 8 + len, weight, at);
    if (bias)
        memcpy(bytes + 8 + len + at, bias, biased);
    memset(bytes + 8 + len + at + biased, 0, sizeof(float));
    put(name, bytes, 8 + len + at + biased + (more ? sizeof(float) : 0));
}

static int setup(void **state)
{
    char path[128];
    (void)state;
    assert_int_equal(att_init(NULL, &(struct att_err){.message = ""}), ATT_OK);
    snprintf(folder, sizeof folder, "/tmp/attend-dense-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    for (size_t i = 0; i < 3; i++) {
        static const char *const names[] = {"1_Pooling", "2_Dense", "3_Dense"};
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (mkdir(path, 0700) != 0)
            return -1;
    }
    static const char pooling[] = "{\"word_embedding_dimension\":2,\"pooling_mode_mean_tokens\":true}";
    put("1_Pooling/config.json", pooling, sizeof pooling - 1);
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {"1_Pooling/config.json",
                                        "2_Dense/config.json",
                                        "2_Dense/model.safetensors",
                                        "3_Dense/config.json",
                                        "3_Dense/model.safetensors",
                                        "modules.json",
                                        "1_Pooling",
                                        "2_Dense",
                                        "3_Dense",
                                        ""};
    char path[128];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    return 0;
}

#define MODULE(path, kind) "{\"path\":\"" path "\",\"type\":\"sentence_transformers.models." kind "\"}"
#define FIRST MODULE("", "Transformer") "," MODULE("1_Pooling", "Pooling")
#define LAYER(in, out, bias, act)                                                                                      \
    "{\"in_features\":" #in ",\"out_features\":" #out ",\"bias\":" #bias                                               \
    ",\"activation_function\":\"torch.nn.modules." act "\"}"

/* An encoder of two numbers with these modules. */
static enum att_status load(struct att_model *model, struct att_weights *files, const char *modules,
                            struct att_err *err)
{
    struct att_dir dir;
    *model = (struct att_model){.info.hidden_size = 2};
    *files = (struct att_weights){.n_shards = 0};
    *err = (struct att_err){.message = ""};
    put("modules.json", modules, strlen(modules));
    assert_int_equal(att_dir_open(folder, &dir, err), ATT_OK);
    att_mem_fail_at(fail_at, false);
    enum att_status status = att_pooling_load(model, &dir, files, err);
    att_mem_fail_at(0, false);
    att_dir_close(&dir);
    return status;
}

static void unload(struct att_model *model, struct att_weights *files)
{
    for (size_t i = 0; i < model->n_dense; i++)
        att_linear_finish(&model->dense[i].linear);
    att_weights_close(files);
}

static const float widen[6] = {1, 0, 0, 1, 1, -1}, widen_bias[3] = {0, 0.5f, -1};
static const float narrow[6] = {1, 0, 2, 0, 3, 0};

static void put_chain(void)
{
    static const char first[] = LAYER(2, 3, true, "activation.ReLU"), last[] = LAYER(3, 2, false, "linear.Identity");
    put("2_Dense/config.json", first, sizeof first - 1);
    put("3_Dense/config.json", last, sizeof last - 1);
    put_weights("2_Dense/model.safetensors", 3, 2, widen, widen_bias, NULL);
    put_weights("3_Dense/model.safetensors", 2, 3, narrow, NULL, NULL);
}

#define CHAIN "[" FIRST "," MODULE("2_Dense", "Dense") "," MODULE("3_Dense", "Dense")

static void layers_follow_each_other(void **state)
{
    struct att_model model;
    struct att_weights files;
    struct att_err err;
    (void)state;
    put_chain();
    if (load(&model, &files, CHAIN "]", &err) != ATT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(model.n_dense, 2);
    assert_int_equal(att_dense_width(&model), 3);
    assert_int_equal(files.n_shards, 2);
    assert_false(model.info.normalize);
    float x[9] = {3, 1, -2, 4, 0.5f, 0}, y[9];
    const float *z = att_dense_run(&model, NULL, 3, x, y);
    /* relu([3, 1.5, 1]) = the same → [3 + 2, 4.5]; relu([-2, 4.5, -7]) → [0, 13.5]; relu([.5, .5, -.5]) → [.5, 1.5] */
    const float expected[6] = {5, 4.5f, 0, 13.5f, 0.5f, 1.5f};
    for (size_t i = 0; i < 6; i++)
        assert_float_equal(z[i], expected[i], 1e-6);
    unload(&model, &files);
}

static void normalize_stands_where_modules_say(void **state)
{
    struct att_model model;
    struct att_weights files;
    struct att_err err;
    (void)state;
    put_chain();
    assert_int_equal(load(&model, &files, CHAIN "," MODULE("4_Normalize", "Normalize") "]", &err), ATT_OK);
    assert_false(model.pool_normalize);
    assert_false(model.dense[0].normalize);
    assert_true(model.info.normalize);
    float x[3] = {3, 1}, y[3];
    const float *z = att_dense_run(&model, NULL, 1, x, y);
    assert_float_equal(z[0], 5 / sqrtf(45.25f), 1e-6);
    assert_float_equal(z[1], 4.5f / sqrtf(45.25f), 1e-6);
    unload(&model, &files);

    static const char between[] = "[" FIRST "," MODULE("", "Normalize") "," MODULE("2_Dense", "Dense") "," MODULE(
        "", "Normalize") "," MODULE("3_Dense", "Dense") "]";
    assert_int_equal(load(&model, &files, between, &err), ATT_OK);
    assert_true(model.pool_normalize && model.dense[0].normalize);
    assert_false(model.dense[1].normalize || model.info.normalize);
    unload(&model, &files);
}

static void without_layers_nothing_changes(void **state)
{
    struct att_model model;
    struct att_weights files;
    struct att_err err;
    (void)state;
    assert_int_equal(load(&model, &files, "[" FIRST "," MODULE("2_Normalize", "Normalize") "]", &err), ATT_OK);
    assert_true(model.info.normalize && model.pool_normalize);
    assert_int_equal(att_dense_width(&model), 2);
    float x[2] = {3, 1};
    assert_ptr_equal(att_dense_run(&model, NULL, 1, x, NULL), x);
    unload(&model, &files);
}

static void heads_read_what_their_base_gives(void **state)
{
    struct att_model base, heads = {.borrowed = true, .base = &base, .info.hidden_size = 2};
    struct att_weights files;
    struct att_err err;
    struct att_dir dir;
    char path[128];
    (void)state;
    put_chain();
    assert_int_equal(load(&base, &files, CHAIN "," MODULE("4_Normalize", "Normalize") "]", &err), ATT_OK);
    snprintf(path, sizeof path, "%s/1_Pooling", folder); /* a directory without modules.json */
    assert_int_equal(att_dir_open(path, &dir, &err), ATT_OK);
    assert_int_equal(att_pooling_load(&heads, &dir, &files, &err), ATT_OK);
    att_dir_close(&dir);
    assert_int_equal(heads.n_dense, 2);
    assert_true(heads.dense_borrowed && heads.info.normalize);
    assert_ptr_equal(heads.dense[1].linear.packed, base.dense[1].linear.packed);
    unload(&base, &files);
}

static void refuse(const char *modules, enum att_status expected, const char *message)
{
    struct att_model model;
    struct att_weights files;
    struct att_err err;
    assert_int_equal(load(&model, &files, modules, &err), expected);
    if (!strstr(err.message, message))
        fail_msg("'%s' instead of '%s'", err.message, message);
    unload(&model, &files);
}

static void refuse_config(const char *config, enum att_status expected, const char *message)
{
    put_chain();
    put("2_Dense/config.json", config, strlen(config));
    refuse(CHAIN "]", expected, message);
}

static void configurations_are_checked(void **state)
{
    (void)state;
    refuse_config(LAYER(3, 3, true, "linear.Identity"), ATT_EFORMAT, "2_Dense/config.json: in_features: is 3");
    refuse_config(LAYER(2, 0, true, "linear.Identity"), ATT_EFORMAT, "2_Dense/config.json: out_features: is 0");
    refuse_config(LAYER(2, 99999, true, "linear.Identity"), ATT_EFORMAT, "out_features: is 99999");
    refuse_config(LAYER(2, 3, 1, "linear.Identity"), ATT_EFORMAT, "2_Dense/config.json: bias");
    refuse_config(LAYER(2, 3, true, "activation.Softplus"), ATT_EUNSUPPORTED,
                  "activation_function: 'torch.nn.modules.activation.Softplus' is not known");
    refuse_config("{}", ATT_EFORMAT, "2_Dense/config.json: in_features");
    refuse_config("[]", ATT_EFORMAT, "2_Dense/config.json");
    put_chain();
    refuse("[" FIRST "," MODULE("2_Dense", "Dense") "]", ATT_EUNSUPPORTED,
           "the last Dense module has 3 out_features, expected hidden_size, 2");
    refuse("[" FIRST "," MODULE("4_Dense", "Dense") "]", ATT_ENOTFOUND, "4_Dense/config.json: is missing");
    refuse("[" FIRST ",{\"type\":\"x.Dense\"}]", ATT_EFORMAT, "modules.json: [2].path: is 'nothing'");
    refuse("[" FIRST "," MODULE("../2_Dense", "Dense") "]", ATT_EFORMAT, "modules.json: [2].path: is '../2_Dense'");
    refuse(CHAIN "," MODULE("1_Pooling", "Pooling") "]", ATT_EUNSUPPORTED, "Pooling stands behind a Dense module");
    refuse("[" FIRST "," MODULE("x", "LSTM") "]", ATT_EUNSUPPORTED,
           "'LSTM' is not known, expected Transformer, Pooling, Dense or Normalize");
    static const char square[] = LAYER(2, 2, true, "linear.Identity");
    put("2_Dense/config.json", square, sizeof square - 1);
    put_weights("2_Dense/model.safetensors", 2, 2, widen, widen_bias, NULL);
#define SQUARE MODULE("2_Dense", "Dense") ","
    refuse("[" FIRST "," SQUARE SQUARE SQUARE SQUARE SQUARE SQUARE SQUARE SQUARE MODULE("2_Dense", "Dense") "]",
           ATT_ELIMIT, "more than 8 Dense modules");
}

static void weights_are_checked(void **state)
{
    const float nan_bias[3] = {0, NAN, 0};
    (void)state;
    put_chain();
    put_weights("2_Dense/model.safetensors", 2, 3, widen, widen_bias, NULL);
    refuse(CHAIN "]", ATT_EFORMAT, "2_Dense/model.safetensors: tensor 'linear.weight' is [2,3], expected [3,2]");
    put_weights("2_Dense/model.safetensors", 3, 2, widen, NULL, NULL);
    refuse(CHAIN "]", ATT_EFORMAT, "tensor 'linear.bias' is missing, expected [3]");
    put_weights("2_Dense/model.safetensors", 3, 2, widen, nan_bias, NULL);
    refuse(CHAIN "]", ATT_EFORMAT, "tensor 'linear.bias' holds NaN or infinity");
    put_weights("2_Dense/model.safetensors", 3, 2, widen, widen_bias, "residual.weight");
    refuse(CHAIN "]", ATT_EUNSUPPORTED, "tensor 'residual.weight' belongs to no layer");
    put("2_Dense/model.safetensors", "short", 5);
    refuse(CHAIN "]", ATT_EFORMAT, "2_Dense/model.safetensors");
    put_weights("3_Dense/model.safetensors", 2, 3, narrow, widen_bias, NULL);
    put_weights("2_Dense/model.safetensors", 3, 2, widen, widen_bias, NULL);
    refuse(CHAIN "]", ATT_EUNSUPPORTED, "3_Dense/model.safetensors: tensor 'linear.bias' belongs to no layer");
}

static void memory_may_be_out(void **state)
{
    struct att_model model;
    struct att_weights files;
    struct att_err err;
    enum att_status status = ATT_ENOMEM;
    (void)state;
    put_chain();
    for (uint64_t k = 1; status == ATT_ENOMEM; k++) {
        fail_at = k;
        status = load(&model, &files, CHAIN "]", &err);
        fail_at = 0;
        if (status != ATT_OK)
            assert_int_equal(status, ATT_ENOMEM);
        unload(&model, &files);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_follow_each_other),
        cmocka_unit_test(normalize_stands_where_modules_say),
        cmocka_unit_test(without_layers_nothing_changes),
        cmocka_unit_test(heads_read_what_their_base_gives),
        cmocka_unit_test(configurations_are_checked),
        cmocka_unit_test(weights_are_checked),
        cmocka_unit_test(memory_may_be_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
