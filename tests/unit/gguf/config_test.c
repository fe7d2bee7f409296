/* config.json out of a GGUF file: what each value becomes, and what is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <unistd.h>

#include "tests/unit/gguf/fixture.h"

static const struct att_gguf_tensor table = {.name = "token_embd.weight", .rank = 2, .shape = {10, 8}};

static const struct att_gguf_value llama[] = {
    U32_VALUE("llama.embedding_length", 8),     U32_VALUE("llama.block_count", 1),
    U32_VALUE("llama.attention.head_count", 2), U32_VALUE("llama.feed_forward_length", 16),
    U32_VALUE("llama.context_length", 64),
};
static const struct att_gguf_value bert[] = {
    U32_VALUE("bert.embedding_length", 8),     U32_VALUE("bert.block_count", 1),
    U32_VALUE("bert.attention.head_count", 2), U32_VALUE("bert.feed_forward_length", 16),
    U32_VALUE("bert.context_length", 64),
};
static const struct att_gguf_value nomic[] = {
    U32_VALUE("nomic-bert.embedding_length", 8),     U32_VALUE("nomic-bert.block_count", 1),
    U32_VALUE("nomic-bert.attention.head_count", 2), U32_VALUE("nomic-bert.feed_forward_length", 16),
    U32_VALUE("nomic-bert.context_length", 64),      F32_VALUE("nomic-bert.rope.freq_base", 1000),
};

static void with_tensors(struct fixture *fixture, struct att_gguf_tensor *tensors, size_t n)
{
    fixture->gguf.tensors = tensors;
    fixture->gguf.n_tensors = n;
}

static struct att_json *config_of(const struct fixture *fixture, const struct att_weights *weights)
{
    static const struct att_weights none = {.n_shards = 0};
    struct att_err err = {.message = ""};
    char *text = NULL;
    size_t len = 0;
    if (att_gguf_config(&fixture->gguf, weights ? weights : &none, &text, &len, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return fixture_parse(text, len);
}

static void refused_with(const struct fixture *fixture, const struct att_weights *weights, enum att_status expected,
                         const char *says)
{
    static const struct att_weights none = {.n_shards = 0};
    struct att_err err = {.message = ""};
    char *text = NULL;
    size_t len = 7;
    enum att_status status = att_gguf_config(&fixture->gguf, weights ? weights : &none, &text, &len, &err);
    assert_string_equal(err.message, says);
    assert_int_equal(status, expected);
    assert_null(text);
    assert_int_equal(len, 7);
}

static void a_decoder_has_the_names_of_its_config(void **state)
{
    (void)state;
    struct att_gguf_tensor tensors[3] = {table};
    struct fixture f;
    fixture_init(&f, "llama", llama, COUNT(llama));
    with_tensors(&f, tensors, 1);
    struct att_json *config = config_of(&f, NULL);
    fixture_says(config, "model_type", "llama");
    fixture_says(config, "architectures/0", "LlamaForCausalLM");
    fixture_counts(config, "hidden_size", 8);
    fixture_counts(config, "num_hidden_layers", 1);
    fixture_counts(config, "num_attention_heads", 2);
    fixture_counts(config, "intermediate_size", 16);
    fixture_counts(config, "max_position_embeddings", 64);
    fixture_counts(config, "vocab_size", 10);
    fixture_says(config, "hidden_act", "silu");
    assert_true(att_json_bool(att_json_get(config, "tie_word_embeddings"), false));
    assert_false(att_json_bool(att_json_get(config, "attention_bias"), true));
    assert_null(att_json_get(config, "head_dim"));
    assert_null(att_json_get(config, "num_key_value_heads"));
    assert_null(att_json_get(config, "rope_scaling"));
    assert_null(att_json_get(config, "eos_token_id"));
    att_json_destroy(config);

    tensors[1] = (struct att_gguf_tensor){.name = "output.weight", .rank = 2, .shape = {10, 8}};
    tensors[2] = (struct att_gguf_tensor){.name = "blk.0.attn_q.bias", .rank = 1, .shape = {8}};
    with_tensors(&f, tensors, 3);
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("llama.attention.head_count_kv", 1));
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("llama.rope.dimension_count", 4));
    fixture_set(&f, (struct att_gguf_value)F32_VALUE("llama.attention.layer_norm_rms_epsilon", 1e-5));
    fixture_set(&f, (struct att_gguf_value)NUMBER_VALUE("llama.rope.freq_base", ATT_GGUF_F64, 10000.1));
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("llama.expert_count", 0));
    fixture_set(&f, (struct att_gguf_value)BOOL_VALUE("llama.attention.causal", 1));
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("llama.attention.sliding_window", 0));
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("split.count", 1));
    config = config_of(&f, NULL);
    fixture_counts(config, "num_key_value_heads", 1);
    fixture_counts(config, "head_dim", 4);
    fixture_counts(config, "rms_norm_eps", 1e-5); /* the digits, not the float's */
    fixture_counts(config, "rope_theta", 10000.1);
    assert_false(att_json_bool(att_json_get(config, "tie_word_embeddings"), true));
    assert_true(att_json_bool(att_json_get(config, "attention_bias"), false));
    att_json_destroy(config);

    fixture_set(&f, (struct att_gguf_value)U32_VALUE("llama.attention.key_length", 4));
    config = config_of(&f, NULL); /* named twice, the same: written once, or it would not parse */
    fixture_counts(config, "head_dim", 4);
    att_json_destroy(config);
}

/* Embeddings are made by decoders, too. */
static void a_decoder_pools_as_its_file_says(void **state)
{
    (void)state;
    struct att_gguf_tensor tensors[] = {table};
    struct fixture f;
    fixture_init(&f, "llama", llama, COUNT(llama));
    with_tensors(&f, tensors, 1);
    struct att_json *config = config_of(&f, NULL);
    assert_null(att_json_get(config, "pooling_type"));
    att_json_destroy(config);
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("llama.pooling_type", 3));
    config = config_of(&f, NULL);
    fixture_says(config, "pooling_type", "last");
    att_json_destroy(config);
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("llama.pooling_type", 4));
    refused_with(&f, NULL, ATT_EUNSUPPORTED, "model.gguf: llama.pooling_type: is 4 (rank), expected 0 to 3");
}

/* Qwen 2 has these biases always, and its config no name for them. */
static void biases_of_qwen2_are_not_named(void **state)
{
    (void)state;
    struct att_gguf_tensor tensors[] = {table, {.name = "blk.0.attn_q.bias", .rank = 1, .shape = {8}}};
    static const struct att_gguf_value values[] = {
        U32_VALUE("qwen2.embedding_length", 8),     U32_VALUE("qwen2.block_count", 1),
        U32_VALUE("qwen2.attention.head_count", 2), U32_VALUE("qwen2.feed_forward_length", 16),
        U32_VALUE("qwen2.context_length", 64),
    };
    struct fixture f;
    fixture_init(&f, "qwen2", values, COUNT(values));
    with_tensors(&f, tensors, 2);
    struct att_json *config = config_of(&f, NULL);
    fixture_says(config, "model_type", "qwen2");
    assert_false(att_json_bool(att_json_get(config, "attention_bias"), true));
    att_json_destroy(config);
}

/* A value that is no number is left to the reader of the config, which refuses it by its name. */
static void no_numbers_stay_no_numbers(void **state)
{
    (void)state;
    static const struct {
        struct att_gguf_value value;
        const char *becomes;
    } cases[] = {
        {STRING_VALUE("llama.rope.freq_base", "8"), "no number"},
        {BOOL_VALUE("llama.rope.freq_base", 1), "no number"},
        {TEXTS_VALUE("llama.rope.freq_base", NULL, 0), "no number"},
        {F32_VALUE("llama.rope.freq_base", NAN), "not finite"},
        {NUMBER_VALUE("llama.rope.freq_base", ATT_GGUF_F64, -INFINITY), "not finite"},
    };
    struct att_gguf_tensor tensors[] = {table};
    struct fixture f;
    fixture_init(&f, "llama", llama, COUNT(llama));
    with_tensors(&f, tensors, 1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        fixture_set(&f, cases[i].value);
        struct att_json *config = config_of(&f, NULL);
        fixture_says(config, "rope_theta", cases[i].becomes);
        att_json_destroy(config);
    }
}

static void scaling_is_named(void **state)
{
    (void)state;
    struct att_gguf_tensor tensors[] = {table};
    struct fixture f;
    fixture_init(&f, "llama", llama, COUNT(llama));
    with_tensors(&f, tensors, 1);
    fixture_set(&f, (struct att_gguf_value)STRING_VALUE("llama.rope.scaling.type", "none"));
    fixture_set(&f, (struct att_gguf_value)F32_VALUE("llama.rope.scaling.factor", 2.5));
    struct att_json *config = config_of(&f, NULL);
    assert_null(att_json_get(config, "rope_scaling"));
    att_json_destroy(config);

    fixture_set(&f, (struct att_gguf_value)STRING_VALUE("llama.rope.scaling.type", "linear"));
    config = config_of(&f, NULL);
    fixture_says(config, "rope_scaling/rope_type", "linear");
    fixture_counts(config, "rope_scaling/factor", 2.5);
    assert_int_equal(att_json_count(att_json_get(config, "rope_scaling")), 2);
    att_json_destroy(config);

    fixture_set(&f, (struct att_gguf_value)STRING_VALUE("llama.rope.scaling.type", "yarn"));
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("llama.rope.scaling.original_context_length", 32));
    fixture_set(&f, (struct att_gguf_value)F32_VALUE("llama.rope.scaling.yarn_beta_fast", 31));
    fixture_set(&f, (struct att_gguf_value)F32_VALUE("llama.rope.scaling.yarn_beta_slow", 2));
    config = config_of(&f, NULL);
    fixture_says(config, "rope_scaling/rope_type", "yarn");
    fixture_counts(config, "rope_scaling/original_max_position_embeddings", 32);
    fixture_counts(config, "rope_scaling/beta_fast", 31);
    fixture_counts(config, "rope_scaling/beta_slow", 2);
    att_json_destroy(config);

    fixture_set(&f, (struct att_gguf_value)STRING_VALUE("llama.rope.scaling.type", "spiral"));
    refused_with(&f, NULL, ATT_EUNSUPPORTED,
                 "model.gguf: llama.rope.scaling.type: 'spiral' is not known, expected none, linear or yarn");
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("llama.rope.scaling.type", 1));
    refused_with(&f, NULL, ATT_EFORMAT, "model.gguf: llama.rope.scaling.type: is no string");
}

static void an_encoder_has_the_names_of_its_config(void **state)
{
    (void)state;
    static const char *const pooling[] = {"none", "mean", "cls", "last"};
    struct att_gguf_tensor tensors[] = {table, {.name = "token_types.weight", .rank = 2, .shape = {2, 8}}};
    struct fixture f;
    fixture_init(&f, "bert", bert, COUNT(bert));
    with_tensors(&f, tensors, 2);
    fixture_set(&f, (struct att_gguf_value)F32_VALUE("bert.attention.layer_norm_epsilon", 1e-12));
    fixture_set(&f, (struct att_gguf_value)F32_VALUE("bert.rope.freq_base", 1000));
    fixture_set(&f, (struct att_gguf_value)BOOL_VALUE("bert.attention.causal", 0));
    struct att_json *config = config_of(&f, NULL);
    fixture_says(config, "model_type", "bert");
    fixture_says(config, "hidden_act", "gelu");
    fixture_counts(config, "layer_norm_eps", 1e-12);
    fixture_counts(config, "type_vocab_size", 2);
    assert_null(att_json_get(config, "rope_theta"));
    assert_null(att_json_get(config, "pooling_type"));
    att_json_destroy(config);
    for (size_t i = 0; i < COUNT(pooling); i++) {
        fixture_set(&f, (struct att_gguf_value)U32_VALUE("bert.pooling_type", (double)i));
        config = config_of(&f, NULL);
        fixture_says(config, "pooling_type", pooling[i]);
        att_json_destroy(config);
    }
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("bert.pooling_type", 4));
    refused_with(&f, NULL, ATT_EUNSUPPORTED, "model.gguf: bert.pooling_type: is 4 (rank), expected 0 to 3");
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("bert.pooling_type", 5));
    refused_with(&f, NULL, ATT_EFORMAT, "model.gguf: bert.pooling_type: is 5, expected an integer from 0 to 4");

    fixture_init(&f, "nomic-bert", nomic, COUNT(nomic));
    tensors[1].rank = 1; /* one row */
    with_tensors(&f, tensors, 2);
    config = config_of(&f, NULL);
    fixture_says(config, "model_type", "nomic_bert");
    fixture_says(config, "hidden_act", "silu");
    fixture_counts(config, "rope_theta", 1000);
    fixture_counts(config, "type_vocab_size", 1);
    att_json_destroy(config);
    with_tensors(&f, tensors, 1);
    config = config_of(&f, NULL);
    fixture_counts(config, "type_vocab_size", 1);
    att_json_destroy(config);
}

static void ids_end_and_turns_end(void **state)
{
    (void)state;
    struct att_gguf_tensor tensors[] = {table};
    struct fixture f;
    fixture_init(&f, "llama", llama, COUNT(llama));
    with_tensors(&f, tensors, 1);
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("tokenizer.ggml.bos_token_id", 1));
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("tokenizer.ggml.eos_token_id", 2));
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("tokenizer.ggml.padding_token_id", 0));
    struct att_json *config = config_of(&f, NULL);
    fixture_counts(config, "bos_token_id", 1);
    fixture_counts(config, "eos_token_id", 2);
    fixture_counts(config, "pad_token_id", 0);
    att_json_destroy(config);
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("tokenizer.ggml.eot_token_id", 9));
    config = config_of(&f, NULL);
    fixture_counts(config, "eos_token_id/0", 2);
    fixture_counts(config, "eos_token_id/1", 9);
    fixture_counts(config, "bos_token_id", 1);
    att_json_destroy(config);
    static const char *const keys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.padding_token_id"};
    for (size_t i = 0; i < COUNT(keys); i++) {
        char says[128];
        struct fixture broken = f;
        broken.gguf.values = broken.values;
        fixture_set(&broken, (struct att_gguf_value)U32_VALUE(keys[i], 10));
        snprintf(says, sizeof says, "model.gguf: %s: is 10, expected an integer from 0 to 9", keys[i]);
        refused_with(&broken, NULL, ATT_EFORMAT, says);
    }
}

static void what_is_not_computed_is_refused(void **state)
{
    (void)state;
    struct att_gguf_tensor tensors[] = {table, {.name = "cls.output.weight", .rank = 2, .shape = {1, 8}}};
    static const struct {
        struct att_gguf_value value;
        enum att_status status;
        const char *says;
    } cases[] = {
        {U32_VALUE("split.count", 2), ATT_EUNSUPPORTED,
         "model.gguf: split.count: is 2, expected a whole file: join its parts"},
        {F32_VALUE("llama.attention.scale", 0.5), ATT_EUNSUPPORTED,
         "model.gguf: llama.attention.scale: is 0.5; this is not supported"},
        {F32_VALUE("llama.final_logit_softcapping", 30), ATT_EUNSUPPORTED,
         "model.gguf: llama.final_logit_softcapping: is 30; this is not supported"},
        {BOOL_VALUE("llama.attention.causal", 0), ATT_EUNSUPPORTED,
         "model.gguf: llama.attention.causal: is false, expected true"},
        {U32_VALUE("llama.attention.causal", 0), ATT_EFORMAT, "model.gguf: llama.attention.causal: is no boolean"},
        {U32_VALUE("llama.attention.sliding_window", 8), ATT_EUNSUPPORTED,
         "model.gguf: llama.attention.sliding_window: is 8, expected 0"},
        {U32_VALUE("llama.attention.head_count_kv", 0), ATT_EFORMAT,
         "model.gguf: llama.attention.head_count_kv: is 0, expected an integer from 1 to 16777216"},
        {BOOL_VALUE("llama.attention.key_length", 1), ATT_EFORMAT,
         "model.gguf: llama.attention.key_length: is a boolean, expected an integer from 1 to 16777216"},
        {STRING_VALUE("llama.rope.dimension_count", "4"), ATT_EFORMAT,
         "model.gguf: llama.rope.dimension_count: is a string, expected an integer from 1 to 16777216"},
        {F32_VALUE("llama.context_length", 8.5), ATT_EFORMAT,
         "model.gguf: llama.context_length: is 8.5, expected an integer from 1 to 16777216"},
    };
    struct fixture f;
    for (size_t i = 0; i < COUNT(cases); i++) {
        fixture_init(&f, "llama", llama, COUNT(llama));
        with_tensors(&f, tensors, 1);
        fixture_set(&f, cases[i].value);
        refused_with(&f, NULL, cases[i].status, cases[i].says);
    }
    fixture_init(&f, "llama", llama, COUNT(llama));
    with_tensors(&f, tensors, 2);
    refused_with(&f, NULL, ATT_EUNSUPPORTED,
                 "model.gguf: tensor 'cls.output.weight': heads that rank are not read from GGUF files");
    with_tensors(&f, tensors, 0);
    refused_with(&f, NULL, ATT_EFORMAT, "model.gguf: tensor 'token_embd.weight' is missing or no matrix");
    tensors[0].rank = 1;
    with_tensors(&f, tensors, 1);
    refused_with(&f, NULL, ATT_EFORMAT, "model.gguf: tensor 'token_embd.weight' is missing or no matrix");
    tensors[0].rank = 2;
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("llama.attention.key_length", 8));
    fixture_set(&f, (struct att_gguf_value)U32_VALUE("llama.rope.dimension_count", 4));
    refused_with(&f, NULL, ATT_EUNSUPPORTED, "model.gguf: llama.rope.dimension_count: is 4, expected key_length, 8");
    for (size_t i = 0; i < COUNT(llama); i++) {
        char says[128];
        fixture_init(&f, "llama", llama, COUNT(llama));
        with_tensors(&f, tensors, 1);
        fixture_drop(&f, llama[i].key);
        snprintf(says, sizeof says, "model.gguf: %s: is missing", llama[i].key);
        refused_with(&f, NULL, ATT_EFORMAT, says);
    }
    fixture_init(&f, "mamba", NULL, 0);
    refused_with(&f, NULL, ATT_EUNSUPPORTED,
                 "model.gguf: general.architecture: 'mamba' is not known, expected llama, qwen2, qwen3, bert or "
                 "nomic-bert");
}

/* Llama 3's factors lie in a tensor; here in a file of its own. */
static void frequencies_are_written_out(void **state)
{
    (void)state;
    char path[] = "/tmp/attend-freq-XXXXXX", *shards[] = {(char[]){"model.gguf"}};
    const float factors[3] = {1, 0.1f, 32.5f};
    struct att_gguf_tensor tensors[] = {table};
    struct att_tensor tensor = {.name = (char[]){"rope_freqs.weight"},
                                .blocks = att_block_type_find("F32"),
                                .rank = 1,
                                .shape = {3},
                                .count = 3,
                                .bytes = 12};
    struct fixture f;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(write(fd, factors, sizeof factors), sizeof factors);
    struct att_weights weights = {.n_shards = 1, .tensors = &tensor, .n_tensors = 1};
    weights.shard_names[0] = shards[0];
    weights.shards[0] = (struct att_file){.fd = fd, .size = sizeof factors, .name = "model.gguf"};
    fixture_init(&f, "llama", llama, COUNT(llama));
    with_tensors(&f, tensors, 1);
    struct att_json *config = config_of(&f, &weights);
    assert_int_equal(att_json_count(att_json_get(config, "rope_freq_factors")), 3);
    fixture_counts(config, "rope_freq_factors/0", 1);
    fixture_counts(config, "rope_freq_factors/1", 0.1);
    fixture_counts(config, "rope_freq_factors/2", 32.5);
    att_json_destroy(config);

    att_mem_fail_at(1, true);
    struct att_err err = {.message = ""};
    char *text = NULL;
    size_t len;
    assert_int_equal(att_gguf_config(&f.gguf, &weights, &text, &len, &err), ATT_ENOMEM);
    att_mem_fail_at(0, false);

    assert_int_equal(pwrite(fd, &(const float){INFINITY}, 4, 8), 4);
    refused_with(&f, &weights, ATT_EFORMAT,
                 "model.gguf: tensor 'rope_freqs.weight' holds NaN or infinity, expected finite weights");
    tensor.count = 4097;
    refused_with(&f, &weights, ATT_EFORMAT,
                 "model.gguf: tensor 'rope_freqs.weight' has no shape of at most 4096 numbers");
    tensor.count = 3;
    tensor.rank = 2;
    refused_with(&f, &weights, ATT_EFORMAT,
                 "model.gguf: tensor 'rope_freqs.weight' has no shape of at most 4096 numbers");
    assert_int_equal(close(fd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_decoder_has_the_names_of_its_config),
        cmocka_unit_test(a_decoder_pools_as_its_file_says),
        cmocka_unit_test(biases_of_qwen2_are_not_named),
        cmocka_unit_test(no_numbers_stay_no_numbers),
        cmocka_unit_test(scaling_is_named),
        cmocka_unit_test(an_encoder_has_the_names_of_its_config),
        cmocka_unit_test(ids_end_and_turns_end),
        cmocka_unit_test(what_is_not_computed_is_refused),
        cmocka_unit_test(frequencies_are_written_out),
    };
    return cmocka_run_group_tests_name("gguf/config", tests, NULL, NULL);
}
