/* LoRA adapters: what W + scale · B·A comes to, in both layouts, and the words of every refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/model.h"

#define WEIGHTS "adapter_model.safetensors"

static const struct att_arch bert = {.model_type = "bert", .prefix = "bert."}, bare = {.model_type = "x", .prefix = ""};
static char folder[64], path[128];

struct factor {
    const char *name; /* behind base_model.model. */
    size_t rank, rows, cols;
    float values[6];
};

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/attend-adapter-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/" WEIGHTS, folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void write_factors(const struct factor *factors, size_t n)
{
    char header[1024];
    size_t len = 1, offset = 0;
    snprintf(header, sizeof header, "{");
    for (size_t i = 0; i < n; i++) {
        const struct factor *f = &factors[i];
        char shape[64];
        size_t bytes = f->rows * f->cols * sizeof(float);
        snprintf(shape, sizeof shape, f->rank == 2 ? "%zu,%zu" : "%zu,%zu,1", f->rows, f->cols);
        len +=
            (size_t)snprintf(header + len, sizeof header - len,
                             "%s\"base_model.model.%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                             i ? "," : "", f->name, shape, offset, offset + bytes);
        offset += bytes;
    }
    len += (size_t)snprintf(header + len, sizeof header - len, "}");
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        fputc((int)(len >> (8 * i) & 255), file);
    fwrite(header, 1, len, file);
    for (size_t i = 0; i < n; i++)
        fwrite(factors[i].values, sizeof(float), factors[i].rows * factors[i].cols, file);
    assert_int_equal(fclose(file), 0);
}

static enum att_status open_adapter(const char *text, const struct att_arch *arch, struct att_adapter *adapter,
                                    struct att_err *err)
{
    struct att_dir dir;
    struct att_json *config = NULL;
    assert_int_equal(att_json_parse(text, strlen(text), 0, 8, &config, err), ATT_OK);
    assert_int_equal(att_dir_open(folder, &dir, err), ATT_OK);
    enum att_status status = att_adapter_open(&dir, config, arch, adapter, err);
    att_dir_close(&dir);
    att_json_destroy(config);
    return status;
}

static void opened(const char *text, const struct att_arch *arch, struct att_adapter *adapter)
{
    struct att_err err = {.message = ""};
    if (open_adapter(text, arch, adapter, &err) != ATT_OK)
        fail_msg("%s: %s", text, err.message);
}

#define LORA "{\"peft_type\":\"LORA\","

/* A weight [3][2] of ones, and what it becomes. */
static void changes_are_added(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        struct factor a, b;
        const struct att_arch *arch;
        float expected[6];
    } cases[] = {
        {LORA "\"r\":1,\"lora_alpha\":2}", /* scale 2 */
         {"m.q.lora_A.weight", 2, 1, 2, {1, 2}},
         {"m.q.lora_B.weight", 2, 3, 1, {1, 0, -3}},
         &bare,
         {3, 5, 1, 1, -5, -11}},
        {LORA "\"r\":2,\"lora_alpha\":1,\"init_lora_weights\":\"gaussian\"}", /* scale 1/2 */
         {"bert.m.q.lora_A.weight", 2, 2, 2, {2, 4, 6, 8}},
         {"bert.m.q.lora_B.weight", 2, 3, 2, {1, 0, 0, 1, 1, 1}},
         &bert,
         {2, 3, 4, 5, 5, 7}},
        {LORA "\"r\":1,\"lora_alpha\":3,\"init_lora_weights\":\"eva\",\"use_rslora\":true}", /* scale 3 / sqrt(1) */
         {"m.q.lora_A.weight", 2, 1, 2, {1, 0}},
         {"m.q.lora_B.weight", 2, 3, 1, {0, 0, 1}},
         &bert, /* whose prefix these names do not carry */
         {1, 1, 1, 1, 4, 1}},
        {LORA "\"r\":1,\"lora_alpha\":1,\"init_lora_weights\":\"orthogonal\",\"fan_in_fan_out\":true}",
         {"m.q.lora_A.weight", 2, 1, 3, {1, 2, 3}},
         {"m.q.lora_B.weight", 2, 2, 1, {1, -1}},
         &bare,
         {2, 0, 3, -1, 4, -2}},
        {LORA "\"r\":2,\"lora_alpha\":2,\"init_lora_weights\":true,\"fan_in_fan_out\":true}",
         {"m.q.lora_A.weight", 2, 2, 3, {1, 2, 3, 4, 5, 6}},
         {"m.q.lora_B.weight", 2, 2, 2, {1, 0, 0, 1}},
         &bare,
         {2, 5, 3, 6, 4, 7}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct factor both[] = {cases[i].a, cases[i].b};
        struct att_adapter adapter;
        struct att_err err = {.message = ""};
        float weight[6] = {1, 1, 1, 1, 1, 1};
        write_factors(both, 2);
        opened(cases[i].config, cases[i].arch, &adapter);
        assert_int_equal(att_adapter_check_used(&adapter, &err), ATT_EUNSUPPORTED);
        if (att_adapter_merge(&adapter, cases[i].arch, "m.q.weight", 3, 2, weight, &err) != ATT_OK)
            fail_msg("case %zu: %s", i, err.message);
        for (size_t k = 0; k < 6; k++)
            if (weight[k] != cases[i].expected[k])
                fail_msg("case %zu: [%zu] is %g, expected %g", i, k, (double)weight[k], (double)cases[i].expected[k]);
        assert_int_equal(att_adapter_check_used(&adapter, &err), ATT_OK);
        att_adapter_close(&adapter);
    }
}

/* The scale of rank-stabilised LoRA, alpha / sqrt(r); lora_alpha is 8 where it is absent. */
static void scale_is_that_of_the_kind(void **state)
{
    (void)state;
    static const struct factor any[] = {{"m.q.lora_A.weight", 2, 1, 2, {1, 2}}};
    struct att_adapter adapter;
    write_factors(any, 1);
    opened(LORA "\"r\":4,\"lora_alpha\":6,\"use_rslora\":true}", &bare, &adapter);
    assert_true(adapter.scale == 3 && adapter.rank == 4 && !adapter.transposed);
    att_adapter_close(&adapter);
    opened(LORA "\"r\":4,\"alora_invocation_tokens\":null}", &bare, &adapter);
    assert_true(adapter.scale == 2);
    att_adapter_close(&adapter);
}

/* What is no weight, or has no change, stays; a tensor of the adapter's own is found with the prefix and without. */
static void others_stay(void **state)
{
    (void)state;
    static const char *const names[] = {"q", "weight", ".weight", "m.q.bias", "m.k.weight"};
    static const struct factor all[] = {{"bert.m.q.lora_A.weight", 2, 1, 2, {1, 2}},
                                        {"bert.m.q.lora_B.weight", 2, 3, 1, {1, 1, 1}},
                                        {"bert.own.weight", 2, 1, 1, {4}},
                                        {"head.weight", 2, 1, 1, {5}}};
    struct att_adapter adapter;
    float weight[6] = {1, 2, 3, 4, 5, 6};
    write_factors(all, 4);
    opened(LORA "\"r\":1}", &bert, &adapter);
    assert_true(adapter.prefixed);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(att_adapter_merge(&adapter, &bert, names[i], 3, 2, weight, NULL), ATT_OK);
    for (size_t k = 0; k < 6; k++)
        assert_true(weight[k] == (float)(k + 1));
    const struct att_tensor *own = att_adapter_own(&adapter, &bert, "own.weight");
    assert_non_null(own);
    assert_string_equal(own->name, "base_model.model.bert.own.weight");
    own = att_adapter_own(&adapter, &bert, "head.weight");
    assert_non_null(own);
    assert_string_equal(own->name, "base_model.model.head.weight");
    assert_null(att_adapter_own(&adapter, &bert, "nobody.weight"));
    struct att_err err = {.message = ""};
    assert_int_equal(att_adapter_check_used(&adapter, &err), ATT_EUNSUPPORTED);
    assert_string_equal(err.message, WEIGHTS ": tensor 'base_model.model.bert.m.q.lora_A.weight' belongs to no weight "
                                             "of the base model");
    att_adapter_close(&adapter);
}

static void configurations_are_refused(void **state)
{
    (void)state;
    static const struct {
        enum att_status status;
        const char *text, *says;
    } cases[] = {
        {ATT_EUNSUPPORTED, "{}", "peft_type: is '(none)', expected 'LORA'"},
        {ATT_EUNSUPPORTED, "{\"peft_type\":\"IA3\"}", "peft_type: is 'IA3', expected 'LORA'"},
        {ATT_EUNSUPPORTED, LORA "\"use_dora\":true}", "use_dora: is true, expected false"},
        {ATT_EUNSUPPORTED, LORA "\"use_qalora\":true}", "use_qalora: is true, expected false"},
        {ATT_EFORMAT, LORA "\"lora_bias\":\"no\"}", "lora_bias: is string, expected true or false"},
        {ATT_EUNSUPPORTED, LORA "\"rank_pattern\":{\"q\":4}}", "rank_pattern: has patterns, expected none"},
        {ATT_EUNSUPPORTED, LORA "\"alpha_pattern\":{\"q\":4}}", "alpha_pattern: has patterns, expected none"},
        {ATT_EUNSUPPORTED, LORA "\"alora_invocation_tokens\":[5,7]}",
         "alora_invocation_tokens: is array, expected null"},
        {ATT_EUNSUPPORTED, LORA "\"init_lora_weights\":\"pissa\"}", "init_lora_weights: is 'pissa', which changes"},
        {ATT_EUNSUPPORTED, LORA "\"bias\":\"all\",\"r\":1}", "bias: is 'all', expected 'none'"},
        {ATT_EFORMAT, LORA "\"bias\":\"none\"}", "r: is missing, expected an integer from 1 to 1024"},
        {ATT_EFORMAT, LORA "\"r\":1025}", "r: is 1025, expected an integer from 1 to 1024"},
        {ATT_EFORMAT, LORA "\"r\":1,\"lora_alpha\":-1}", "lora_alpha: is -1, expected a number from 0 to 65536"},
        {ATT_EFORMAT, LORA "\"r\":1,\"fan_in_fan_out\":0}", "fan_in_fan_out: is number, expected true or false"},
        {ATT_EFORMAT, LORA "\"r\":1,\"use_rslora\":[]}", "use_rslora: is array, expected true or false"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_adapter adapter = {.rank = 77};
        struct att_err err = {.message = ""};
        enum att_status status = open_adapter(cases[i].text, &bare, &adapter, &err);
        if (status != cases[i].status || err.status != status || adapter.rank != 77 ||
            strncmp(err.message, "adapter_config.json: ", 21) != 0 || !strstr(err.message, cases[i].says))
            fail_msg("case %zu: status %d, '%s', expected '%s'", i, (int)status, err.message, cases[i].says);
    }
    struct att_adapter adapter = {.rank = 77};
    struct att_err err = {.message = ""};
    unlink(path);
    assert_int_not_equal(open_adapter(LORA "\"r\":1}", &bare, &adapter, &err), ATT_OK);
    assert_non_null(strstr(err.message, WEIGHTS));
    assert_int_equal(adapter.rank, 77);
}

/* The weight is as it was, but where a sum overflows. */
static void factors_are_refused(void **state)
{
    (void)state;
    static const char a[] = "m.q.lora_A.weight", b[] = "m.q.lora_B.weight";
    static const struct {
        struct factor factors[2];
        size_t n;
        const char *says;
    } cases[] = {
        {{{a, 2, 1, 2, {1, 2}}}, 1, "'m.q.weight' has lora_A without lora_B"},
        {{{b, 2, 3, 1, {1, 2, 3}}}, 1, "'m.q.weight' has lora_B without lora_A"},
        {{{a, 2, 2, 2, {1, 2, 3, 4}}}, 1, "m.q.lora_A.weight' has shape [2,2], expected [1,2]"},
        {{{a, 2, 1, 3, {1, 2, 3}}}, 1, "m.q.lora_A.weight' has shape [1,3], expected [1,2]"},
        {{{a, 3, 1, 2, {1, 2}}}, 1, "m.q.lora_A.weight' has shape [1,2,1], expected [1,2]"},
        {{{a, 2, 1, 2, {1, 2}}, {b, 2, 2, 1, {1, 2}}}, 2, "m.q.lora_B.weight' has shape [2,1], expected [3,1]"},
        {{{a, 2, 1, 2, {1, NAN}}, {b, 2, 3, 1, {1, 2, 3}}}, 2, "m.q.lora_A.weight"},
        {{{a, 2, 1, 2, {1, 2}}, {b, 2, 3, 1, {1, 2, INFINITY}}}, 2, "m.q.lora_B.weight"},
        {{{a, 2, 1, 2, {3e38f, 0}}, {b, 2, 3, 1, {0, 0, 3e38f}}},
         2,
         "lora_A and lora_B of 'm.q.weight' make it overflow"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_adapter adapter;
        struct att_err err = {.message = ""};
        float weight[6] = {1, 2, 3, 4, 5, 6};
        write_factors(cases[i].factors, cases[i].n);
        opened(LORA "\"r\":1}", &bare, &adapter);
        enum att_status status = att_adapter_merge(&adapter, &bare, "m.q.weight", 3, 2, weight, &err);
        if (status != ATT_EFORMAT || strncmp(err.message, WEIGHTS ": ", strlen(WEIGHTS) + 2) != 0 ||
            !strstr(err.message, cases[i].says))
            fail_msg("case %zu: status %d, '%s', expected '%s'", i, (int)status, err.message, cases[i].says);
        for (size_t k = 0; k < 4; k++)
            assert_true(weight[k] == (float)(k + 1));
        att_adapter_close(&adapter);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_are_added),   cmocka_unit_test(scale_is_that_of_the_kind),
        cmocka_unit_test(others_stay),         cmocka_unit_test(configurations_are_refused),
        cmocka_unit_test(factors_are_refused),
    };
    return cmocka_run_group_tests_name("adapter", tests, setup, teardown);
}
