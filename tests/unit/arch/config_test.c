/* Fields of config.json: what each reader takes, what stands for an absent one, and the words of a refusal. */
#include "core/arch/arch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/arch/config.h"

enum reader { SIZE, SIZE_NEEDED, FLOAT, BOOL, IDS, IDS_OF_ENCODER, NAMES, ACT, LABELS, MUST_BE, MUST_BE_FALSE };

/* What the reader gives for field "f" of the text, or -99 where it gives nothing. */
static enum att_status read_field(enum reader reader, const char *text, double *ret, struct att_err *err)
{
    struct att_json *config = NULL;
    size_t size = 77;
    float number = 77;
    bool flag = false;
    enum att_act act = ATT_ACT_TANH;
    enum att_status status = att_json_parse(text, strlen(text), 0, 8, &config, err);
    assert_int_equal(status, ATT_OK);
    *ret = -99;
    switch (reader) {
    case SIZE:
    case SIZE_NEEDED:
        status = att_config_size(config, "f", 1, 9, reader == SIZE ? 5 : SIZE_MAX, &size, err);
        *ret = (double)size;
        break;
    case FLOAT:
        status = att_config_float(config, "f", 0, 2, 0.5, &number, err);
        *ret = (double)number;
        break;
    case BOOL:
        status = att_config_bool(config, "f", true, &flag, err);
        *ret = flag;
        break;
    case IDS:
    case IDS_OF_ENCODER:
        status = att_config_ids(config, 10, reader == IDS, err);
        break;
    case NAMES:
        status = att_config_names(config, "f", err);
        break;
    case ACT:
        status = att_config_act(config, "f", ATT_ACT_RELU, &act, err);
        *ret = act;
        break;
    case LABELS:
        status = att_config_labels(config, &size, err);
        *ret = (double)size;
        break;
    case MUST_BE:
        status = att_config_must_be(config, "f", "one", err);
        break;
    case MUST_BE_FALSE:
        status = att_config_must_be_bool(config, "f", false, err);
        break;
    }
    att_json_destroy(config);
    return status;
}

static void fields_are_read(void **state)
{
    (void)state;
    static const struct {
        enum reader reader;
        const char *text;
        double expected;
    } cases[] = {
        {SIZE, "{}", 5},
        {SIZE, "{\"f\":null}", 5},
        {SIZE, "{\"f\":1}", 1},
        {SIZE, "{\"f\":9.0}", 9},
        {SIZE_NEEDED, "{\"f\":3}", 3},
        {FLOAT, "{}", 0.5},
        {FLOAT, "{\"f\":null}", 0.5},
        {FLOAT, "{\"f\":0}", 0},
        {FLOAT, "{\"f\":2}", 2},
        {BOOL, "{}", 1},
        {BOOL, "{\"f\":null}", 1},
        {BOOL, "{\"f\":false}", 0},
        {IDS, "{\"pad_token_id\":null,\"bos_token_id\":-1,\"eos_token_id\":9}", -99},
        {IDS, "{\"eos_token_id\":[0,9]}", -99},
        {IDS, "{\"eos_token_id\":[]}", -99},
        {IDS_OF_ENCODER, "{\"pad_token_id\":9,\"eos_token_id\":50256}", -99},
        {NAMES, "{}", -99},
        {NAMES, "{\"f\":null}", -99},
        {NAMES, "{\"f\":[]}", -99},
        {NAMES, "{\"f\":[\"A\",\"B\"]}", -99},
        {ACT, "{}", ATT_ACT_RELU},
        {ACT, "{\"f\":\"gelu\"}", ATT_ACT_GELU},
        {ACT, "{\"f\":\"gelu_fast\"}", ATT_ACT_GELU_TANH},
        {ACT, "{\"f\":\"swish\"}", ATT_ACT_SILU},
        {LABELS, "{}", 2},
        {LABELS, "{\"num_labels\":7}", 7},
        {LABELS, "{\"num_labels\":7,\"id2label\":{\"0\":\"a\",\"1\":\"b\",\"2\":\"c\"}}", 3},
        {MUST_BE, "{}", -99},
        {MUST_BE, "{\"f\":null}", -99},
        {MUST_BE, "{\"f\":\"one\"}", -99},
        {MUST_BE_FALSE, "{}", -99},
        {MUST_BE_FALSE, "{\"f\":null}", -99},
        {MUST_BE_FALSE, "{\"f\":false}", -99},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_err err = {.message = ""};
        double got;
        if (read_field(cases[i].reader, cases[i].text, &got, &err) != ATT_OK || got != cases[i].expected)
            fail_msg("case %zu: %g, '%s', expected %g", i, got, err.message, cases[i].expected);
    }
}

/* Outputs stay as they were: 77 of a number, false, and ATT_ACT_TANH. */
static void refusals_name_field_and_value(void **state)
{
    (void)state;
    static const struct {
        enum reader reader;
        enum att_status status;
        const char *text, *says;
        double stays;
    } cases[] = {
        {SIZE, ATT_EFORMAT, "{\"f\":0}", "f: is 0, expected an integer from 1 to 9", 77},
        {SIZE, ATT_EFORMAT, "{\"f\":true}", "f: is true, expected an integer from 1 to 9", 77},
        {SIZE, ATT_EFORMAT, "{\"f\":false}", "f: is false, expected an integer from 1 to 9", 77},
        {SIZE, ATT_EFORMAT, "{\"f\":\"8\"}", "f: is '8', expected an integer from 1 to 9", 77},
        {SIZE, ATT_EFORMAT, "{\"f\":[8]}", "f: is array, expected an integer from 1 to 9", 77},
        {SIZE_NEEDED, ATT_EFORMAT, "{}", "f: is missing, expected an integer from 1 to 9", 77},
        {SIZE_NEEDED, ATT_EFORMAT, "{\"f\":null}", "f: is missing, expected an integer from 1 to 9", 77},
        {FLOAT, ATT_EFORMAT, "{\"f\":-0.5}", "f: is -0.5, expected a number from 0 to 2", 77},
        {FLOAT, ATT_EFORMAT, "{\"f\":2.5}", "f: is 2.5, expected a number from 0 to 2", 77},
        {FLOAT, ATT_EFORMAT, "{\"f\":{}}", "f: is object, expected a number from 0 to 2", 77},
        {BOOL, ATT_EFORMAT, "{\"f\":0}", "f: is number, expected true or false", 0},
        {IDS, ATT_EFORMAT, "{\"pad_token_id\":10}", "pad_token_id: is 10, expected a token id from 0 to 9", -99},
        {IDS, ATT_EFORMAT, "{\"bos_token_id\":[1]}", "bos_token_id: is array, expected a token id from 0 to 9", -99},
        {IDS, ATT_EFORMAT, "{\"eos_token_id\":[1,\"2\",99]}", "eos_token_id: is '2', expected a token id from 0", -99},
        {IDS, ATT_EFORMAT, "{\"eos_token_id\":[1,10]}", "eos_token_id: is 10, expected a token id from 0 to 9", -99},
        {IDS, ATT_EFORMAT, "{\"forced_eos_token_id\":-2}", "forced_eos_token_id: is -2, expected a token id", -99},
        {IDS_OF_ENCODER, ATT_EFORMAT, "{\"pad_token_id\":10}", "pad_token_id: is 10, expected a token id", -99},
        {IDS_OF_ENCODER, ATT_EFORMAT, "{\"eos_token_id\":1e300}", "expected a token id from 0 to 2147483647", -99},
        {NAMES, ATT_EFORMAT, "{\"f\":\"A\"}", "f: is string, expected an array of strings", -99},
        {NAMES, ATT_EFORMAT, "{\"f\":[\"A\",1]}", "f: is an array of others, expected an array of strings", -99},
        {ACT, ATT_EUNSUPPORTED, "{\"f\":\"mish\"}", "f: 'mish' is not known, expected gelu", ATT_ACT_TANH},
        {ACT, ATT_EUNSUPPORTED, "{\"f\":1}", "f: 'number' is not known, expected gelu", ATT_ACT_TANH},
        {LABELS, ATT_EFORMAT, "{\"num_labels\":0}", "num_labels: is 0, expected an integer from 1 to 100000", 77},
        {LABELS, ATT_EFORMAT, "{\"id2label\":{}}", "id2label: is object of 0, expected an object of 1 to 100000", 77},
        {LABELS, ATT_EFORMAT, "{\"id2label\":[\"a\"]}", "id2label: is array of 1, expected an object of 1 to", 77},
        {MUST_BE, ATT_EUNSUPPORTED, "{\"f\":\"two\"}", "f: is 'two', expected 'one'", -99},
        {MUST_BE, ATT_EUNSUPPORTED, "{\"f\":1}", "f: is 'number', expected 'one'", -99},
        {MUST_BE_FALSE, ATT_EUNSUPPORTED, "{\"f\":true}", "f: is true, expected false", -99},
        {MUST_BE_FALSE, ATT_EFORMAT, "{\"f\":\"no\"}", "f: is string, expected true or false", -99},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_err err = {.message = ""};
        double got;
        enum att_status status = read_field(cases[i].reader, cases[i].text, &got, &err);
        if (status != cases[i].status || err.status != status || !strstr(err.message, cases[i].says) ||
            got != cases[i].stays)
            fail_msg("case %zu: status %d, %g, '%s', expected '%s'", i, (int)status, got, err.message, cases[i].says);
    }
}

/* Several at once: what has no name stays, and the first that is wrong ends it. */
static void sizes_are_read_in_order(void **state)
{
    (void)state;
    struct att_json *config = NULL;
    struct att_err err = {.message = ""};
    size_t a = 70, b = 71, c = 72;
    const char *text = "{\"a\":1,\"c\":3}";
    const struct att_config_field good[] = {{"a", 1, 9, SIZE_MAX, &a}, {NULL, 0, 0, 0, &b}, {"c", 1, 9, 4, &c}};
    const struct att_config_field bad[] = {{"a", 1, 9, 5, &b}, {"b", 1, 9, SIZE_MAX, &a}, {"c", 1, 9, 5, &a}};
    assert_int_equal(att_json_parse(text, strlen(text), 0, 8, &config, NULL), ATT_OK);
    assert_int_equal(att_config_sizes(config, good, 3, &err), ATT_OK);
    assert_true(a == 1 && b == 71 && c == 3);
    a = 70;
    assert_int_equal(att_config_sizes(config, bad, 3, &err), ATT_EFORMAT);
    assert_string_equal(err.message, "b: is missing, expected an integer from 1 to 9");
    assert_true(a == 70 && b == 1);
    att_json_destroy(config);
}

static void heads_divide_the_width(void **state)
{
    (void)state;
    struct att_err err = {.message = ""};
    assert_int_equal(att_config_heads("n", 12, 4, &err), ATT_OK);
    assert_int_equal(att_config_heads("n", 12, 5, &err), ATT_EFORMAT);
    assert_string_equal(err.message, "n: is 5, expected a divisor of 12");
    assert_int_equal(att_config_heads("n", 12, 0, &err), ATT_EFORMAT);
    assert_string_equal(err.message, "n: is 0, expected a divisor of 12");
}

/* ---- families ---- */

/* What the family of this model_type makes of its config: its state, or NULL where it is refused. Free with free. */
static void *configured(const char *model_type, const char *text, struct att_arch_info *info, struct att_err *err)
{
    const struct att_arch *arch = att_arch_find(model_type);
    struct att_json *config = NULL;
    assert_non_null(arch);
    void *state = calloc(1, arch->state_bytes);
    assert_non_null(state);
    assert_int_equal(att_json_parse(text, strlen(text), 0, 8, &config, NULL), ATT_OK);
    *info = (struct att_arch_info){.class_name = ""};
    *err = (struct att_err){.message = ""};
    enum att_status status = arch->configure(config, state, info, err);
    att_json_destroy(config);
    if (status == ATT_OK)
        return state;
    assert_int_equal(status, ATT_EUNSUPPORTED);
    free(state);
    return NULL;
}

#define SIZES                                                                                                          \
    "\"hidden_size\":8,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"intermediate_size\":16,\"vocab_size\":10,"  \
    "\"max_position_embeddings\":32"
#define OWN_SIZES "\"n_embd\":8,\"n_layer\":2,\"n_head\":2,\"n_inner\":16,\"vocab_size\":10,\"n_positions\":32"

/* What would change the result and is not computed. */
static void families_refuse_what_they_do_not_compute(void **state)
{
    (void)state;
    static const struct {
        const char *model_type, *text, *says; /* "": it is taken */
    } cases[] = {
        {"llama", "{" SIZES "}", ""},
        {"llama", "{" SIZES ",\"is_causal\":true}", ""},
        {"llama", "{" SIZES ",\"is_causal\":false}", "is_causal: is false, expected true"},
        {"qwen3", "{" SIZES ",\"is_causal\":false}", "is_causal: is false, expected true"},
        {"nomic_bert", "{" OWN_SIZES ",\"rotary_scaling_factor\":null,\"rotary_emb_scale_base\":null}", ""},
        {"nomic_bert", "{" OWN_SIZES ",\"rotary_scaling_factor\":2}",
         "rotary_scaling_factor: is number, expected null: positions are not scaled here"},
        {"nomic_bert", "{" OWN_SIZES ",\"rotary_emb_scale_base\":512.0}",
         "rotary_emb_scale_base: is number, expected null: positions are not scaled here"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_arch_info info;
        struct att_err err;
        free(configured(cases[i].model_type, cases[i].text, &info, &err));
        assert_string_equal(err.message, cases[i].says);
    }
}

/* ALBERT's words go through its projection even where they are as wide as its layers; ELECTRA's do not. */
static void words_of_albert_are_always_projected(void **state)
{
    (void)state;
    static const struct {
        const char *model_type, *text;
        size_t n_slots;
    } cases[] = {
        {"albert", "{" SIZES ",\"embedding_size\":8}", 1},
        {"albert", "{" SIZES ",\"embedding_size\":4}", 1},
        {"electra", "{" SIZES ",\"embedding_size\":8}", 0},
        {"electra", "{" SIZES ",\"embedding_size\":4}", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_arch_info info;
        struct att_err err;
        free(configured(cases[i].model_type, cases[i].text, &info, &err));
        assert_string_equal(err.message, "");
        assert_int_equal(info.sets[1].n_slots, cases[i].n_slots);
    }
}

/* ModernBERT's local_rope_theta: absent it is 10000, null the other layers'. */
static void a_null_theta_is_the_other_layers(void **state)
{
    (void)state;
    static const struct {
        const char *text, *same;
    } cases[] = {
        {"{" SIZES "}", "{" SIZES ",\"local_rope_theta\":10000}"},
        {"{" SIZES ",\"local_rope_theta\":null}", "{" SIZES ",\"local_rope_theta\":160000}"},
        {"{" SIZES ",\"local_rope_theta\":null,\"global_rope_theta\":5000}",
         "{" SIZES ",\"local_rope_theta\":5000,\"global_rope_theta\":5000}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_arch_info info;
        struct att_err err;
        void *one = configured("modernbert", cases[i].text, &info, &err);
        void *other = configured("modernbert", cases[i].same, &info, &err);
        assert_true(one && other);
        assert_memory_equal(one, other, att_arch_find("modernbert")->state_bytes);
        free(one);
        free(other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_read),
        cmocka_unit_test(refusals_name_field_and_value),
        cmocka_unit_test(sizes_are_read_in_order),
        cmocka_unit_test(heads_divide_the_width),
        cmocka_unit_test(families_refuse_what_they_do_not_compute),
        cmocka_unit_test(words_of_albert_are_always_projected),
        cmocka_unit_test(a_null_theta_is_the_other_layers),
    };
    return cmocka_run_group_tests_name("arch/config", tests, NULL, NULL);
}
