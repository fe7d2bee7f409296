/*
 * Models as a whole: reference outputs, batch invariance bit for bit, taps, no
 * allocation in a forward pass, refusals that name file and field, and loading
 * under every failed allocation.
 */
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

#include "core/attend.h"

static const char *const models[] = {"bert-sentiment", "st-bert-mean", "sasrec"};
enum { MODELS = 3, BATCH_SEQS = 7, BATCH_TOKENS = 200 };

static const char *model_dir(const char *name, char path[512])
{
    const char *root = getenv("ATT_SOURCE_ROOT");
    snprintf(path, 512, "%s/tests/data/models/%s", root ? root : ".", name);
    return path;
}

static struct att_model *loaded(const char *name)
{
    char path[512];
    struct att_err err;
    struct att_model *model = NULL;
    const struct att_model_options options = {.dtype = ATT_F32};
    if (att_model_load(model_dir(name, path), &options, &model, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return model;
}

static int start(void **state)
{
    (void)state;
    struct att_err err;
    return att_init(NULL, &err) == ATT_OK ? 0 : -1;
}

static void gives_the_reference_outputs(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODELS; i++) {
        struct att_model *model = loaded(models[i]);
        struct att_err err = {.message = ""};
        size_t cases = 0;
        if (att_model_self_test(model, &cases, &err) != ATT_OK)
            fail_msg("%s: %s", models[i], err.message);
        assert_true(cases >= 8);
        att_model_unref(model);
    }
}

static void tells_what_it_is(void **state)
{
    (void)state;
    struct att_model *model = loaded("bert-sentiment");
    const struct att_model_info *info = att_model_info(model);
    assert_string_equal(info->arch, "bert");
    assert_string_equal(info->task, "classify");
    assert_int_equal(info->n_logits, 3);
    assert_string_equal(info->heads[0].labels[2], "positive");
    assert_int_equal(strlen(info->digest), 64);
    assert_non_null(att_model_tokenizer(model));
    att_model_unref(model);
    model = loaded("st-bert-mean");
    info = att_model_info(model);
    assert_string_equal(info->task, "embed");
    assert_int_equal(info->pooling, ATT_POOL_MEAN);
    assert_int_equal(info->max_tokens, 48);
    att_model_unref(model);
}

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

struct batch {
    int32_t ids[BATCH_TOKENS], types[BATCH_TOKENS];
    uint32_t cu[BATCH_SEQS + 1];
    size_t n_seqs;
};

static void random_batch(const struct att_model_info *info, uint32_t *seed, struct batch *batch)
{
    batch->n_seqs = 1 + next(seed) % BATCH_SEQS;
    batch->cu[0] = 0;
    for (size_t s = 0; s < batch->n_seqs; s++) {
        uint32_t len = 1 + next(seed) % 28;
        batch->cu[s + 1] = batch->cu[s] + len;
        for (uint32_t t = batch->cu[s]; t < batch->cu[s + 1]; t++) {
            batch->ids[t] = (int32_t)(1 + next(seed) % (info->vocab_size - 1));
            batch->types[t] = (int32_t)(next(seed) % 2);
        }
    }
}

/* Pairs come with segment ids also where a family has none (MPNet, DistilBERT). */
static void segments_do_not_matter_where_there_are_none(void **state)
{
    (void)state;
    static float pooled[BATCH_SEQS * 512];
    struct att_model *model = loaded("../../golden/data/mpnet-model");
    const struct att_model_info *info = att_model_info(model);
    const size_t bytes = sizeof(float) * info->hidden_size;
    struct att_context *context;
    struct att_output out;
    struct att_err err;
    struct batch random;
    uint32_t seed = 5;
    assert_true(info->hidden_size <= 512);
    assert_int_equal(att_context_create(model, BATCH_TOKENS, BATCH_SEQS, &context, &err), ATT_OK);
    random_batch(info, &seed, &random);
    struct att_batch batch = {.ids = random.ids, .cu_seqlens = random.cu, .n_seqs = random.n_seqs};
    assert_int_equal(att_forward(context, &batch, NULL, &out, &err), ATT_OK);
    memcpy(pooled, out.pooled, random.n_seqs * bytes);
    batch.type_ids = random.types;
    assert_int_equal(att_forward(context, &batch, NULL, &out, &err), ATT_OK);
    assert_memory_equal(out.pooled, pooled, random.n_seqs * bytes);
    att_context_destroy(context);
    att_model_unref(model);
}

/* Whatever else is in the batch, a sequence's outputs are the same bits. */
static void equal_inputs_give_equal_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODELS; i++) {
        struct att_model *model = loaded(models[i]);
        const struct att_model_info *info = att_model_info(model);
        bool types = strcmp(info->arch, "bert") == 0;
        struct att_context *many = NULL, *single = NULL;
        assert_int_equal(att_context_create(model, BATCH_TOKENS, BATCH_SEQS, &many, NULL), ATT_OK);
        assert_int_equal(att_context_create(model, 64, 1, &single, NULL), ATT_OK);
        uint32_t seed = 7;
        for (int round = 0; round < 40; round++) {
            struct batch batch;
            struct att_output all, one;
            random_batch(info, &seed, &batch);
            const struct att_batch whole = {.ids = batch.ids,
                                            .type_ids = types ? batch.types : NULL,
                                            .cu_seqlens = batch.cu,
                                            .n_seqs = batch.n_seqs};
            assert_int_equal(att_forward(many, &whole, NULL, &all, NULL), ATT_OK);
            for (size_t s = 0; s < batch.n_seqs; s++) {
                const uint32_t begin = batch.cu[s], cu[2] = {0, batch.cu[s + 1] - begin};
                const struct att_batch part = {.ids = batch.ids + begin,
                                               .type_ids = types ? batch.types + begin : NULL,
                                               .cu_seqlens = cu,
                                               .n_seqs = 1};
                size_t h = info->hidden_size;
                assert_int_equal(att_forward(single, &part, NULL, &one, NULL), ATT_OK);
                assert_memory_equal(one.hidden, all.hidden + begin * h, cu[1] * h * sizeof(float));
                assert_memory_equal(one.pooled, all.pooled + s * h, h * sizeof(float));
                if (info->n_logits)
                    assert_memory_equal(one.logits, all.logits + s * info->n_logits, info->n_logits * sizeof(float));
            }
        }
        att_context_destroy(many);
        att_context_destroy(single);
        att_model_unref(model);
    }
}

struct seen {
    size_t hidden, attention, hidden_size;
    double worst; /* distance of a row's sum from 1 */
    size_t wanted;
};

static void take_hidden(void *context, size_t i, const float *x, size_t n_tokens, size_t hidden_size)
{
    struct seen *seen = context;
    assert_int_equal(i, seen->hidden);
    assert_non_null(x);
    assert_true(n_tokens > 0);
    seen->hidden++;
    seen->hidden_size = hidden_size;
}

static bool wants(void *context, size_t seq)
{
    return ((const struct seen *)context)->wanted == seq;
}

static void take_attention(void *context, size_t layer, size_t seq, size_t head, size_t first, const float *probs,
                           size_t n_query, size_t n_key)
{
    struct seen *seen = context;
    (void)layer;
    (void)head;
    (void)first;
    assert_int_equal(seq, seen->wanted);
    for (size_t i = 0; i < n_query; i++) {
        double sum = 0;
        for (size_t j = 0; j < n_key; j++)
            sum += (double)probs[i * n_key + j];
        seen->worst = fmax(seen->worst, fabs(sum - 1));
    }
    seen->attention++;
}

static void taps_see_every_layer_and_change_nothing(void **state)
{
    (void)state;
    struct att_model *model = loaded("bert-sentiment");
    const struct att_model_info *info = att_model_info(model);
    struct att_context *context = NULL;
    assert_int_equal(att_context_create(model, 64, 2, &context, NULL), ATT_OK);
    const int32_t ids[] = {2, 793, 865, 3, 2, 10, 3};
    const uint32_t cu[] = {0, 4, 7};
    const struct att_batch batch = {.ids = ids, .type_ids = NULL, .cu_seqlens = cu, .n_seqs = 2};
    struct att_output out;
    float plain[6];
    assert_int_equal(att_forward(context, &batch, NULL, &out, NULL), ATT_OK);
    memcpy(plain, out.logits, sizeof plain);
    struct seen seen = {.wanted = 1};
    const struct att_tap tap = {
        .context = &seen, .hidden = take_hidden, .wants_attention = wants, .attention = take_attention};
    assert_int_equal(att_forward(context, &batch, &tap, &out, NULL), ATT_OK);
    assert_memory_equal(plain, out.logits, sizeof plain);
    assert_int_equal(seen.hidden, info->n_layers + 1);
    assert_int_equal(seen.hidden_size, info->hidden_size);
    assert_int_equal(seen.attention, info->n_layers * info->n_heads);
    assert_true(seen.worst < 1e-5);
    att_context_destroy(context);
    att_model_unref(model);
}

static void forward_allocates_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODELS; i++) {
        struct att_model *model = loaded(models[i]);
        struct att_context *context = NULL;
        struct batch batch;
        struct att_output out;
        uint32_t seed = 3;
        assert_int_equal(att_context_create(model, BATCH_TOKENS, BATCH_SEQS, &context, NULL), ATT_OK);
        random_batch(att_model_info(model), &seed, &batch);
        const struct att_batch whole = {
            .ids = batch.ids, .type_ids = NULL, .cu_seqlens = batch.cu, .n_seqs = batch.n_seqs};
        uint64_t before = att_mem_count();
        assert_int_equal(att_forward(context, &whole, NULL, &out, NULL), ATT_OK);
        assert_int_equal(att_mem_count(), before);
        att_context_destroy(context);
        att_model_unref(model);
    }
}

static void refuses_batches_out_of_bounds(void **state)
{
    (void)state;
    struct att_model *model = loaded("st-bert-mean");
    struct att_context *context = NULL;
    struct att_output out;
    struct att_err err;
    int32_t ids[80] = {0};
    int32_t types[80] = {0};
    assert_int_equal(att_context_create(model, 40, 2, &context, NULL), ATT_OK);
    static const struct {
        uint32_t cu[4];
        size_t n;
        int32_t id, type;
    } bad[] = {
        {{0, 4}, 0, 1, 0},    {{0, 4, 8, 12}, 3, 1, 0}, {{1, 4}, 1, 1, 0},  {{0, 0}, 1, 1, 0},
        {{0, 4, 3}, 2, 1, 0}, {{0, 41}, 1, 1, 0},       {{0, 70}, 1, 1, 0}, {{0, 4}, 1, -1, 0},
        {{0, 4}, 1, 1501, 0}, {{0, 4}, 1, 1, 2},        {{0, 4}, 1, 1, -1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ids[2] = bad[i].id;
        types[2] = bad[i].type;
        const struct att_batch batch = {.ids = ids, .type_ids = types, .cu_seqlens = bad[i].cu, .n_seqs = bad[i].n};
        if (att_forward(context, &batch, NULL, &out, &err) == ATT_OK)
            fail_msg("case %zu was taken", i);
    }
    att_context_destroy(context);
    att_model_unref(model);
}

/* A copy of a model directory in which one file is other text. */
static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    char block[65536];
    size_t n;
    while ((n = fread(block, 1, sizeof block, in)) > 0)
        assert_int_equal(fwrite(block, 1, n, out), n);
    fclose(in);
    fclose(out);
}

static const char *const files[] = {"config.json", "model.safetensors",   "tokenizer.json",
                                    "attend.json", "adapter_config.json", "adapter_model.safetensors"};

static void remove_copy(const char *dir)
{
    char path[300];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(dir), 0);
}

static void put_file(const char *dir, const char *name, const char *bytes, size_t len)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static struct att_model *the_base;

static struct att_model *find_the_base(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "base") == 0 ? the_base : NULL;
}

static struct att_model *loaded_from(const char *dir)
{
    const struct att_model_options options = {.dtype = ATT_F32, .find_base = find_the_base};
    struct att_model *model = NULL;
    struct att_err err;
    if (att_model_load(dir, &options, &model, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return model;
}

/* A PEFT folder without words of its own; two factors of zeros, [1][32] and [32][1]. */
static void adapters_pool_as_their_base(void **state)
{
    static const char own[] = "{\"pooling\":\"cls\",\"normalize\":false,\"max_length\":9}",
                      config[] =
                          "{\"peft_type\":\"LORA\",\"r\":1,\"lora_alpha\":1,\"base_model_name_or_path\":\"base\"}",
                      mean[] = "{\"pooling\":\"mean\",\"normalize\":true}";
    char base[] = "/tmp/attend-model-XXXXXX", dir[] = "/tmp/attend-model-XXXXXX", source[512], from[600], to[300];
    char factors[8 + 512 + 256] = "";
    (void)state;
    assert_non_null(mkdtemp(base));
    assert_non_null(mkdtemp(dir));
    for (size_t f = 0; f < 3; f++) {
        snprintf(from, sizeof from, "%s/%s", model_dir("st-bert-mean", source), files[f]);
        snprintf(to, sizeof to, "%s/%s", base, files[f]);
        copy_file(from, to);
    }
    put_file(base, "attend.json", own, strlen(own));
    int len = snprintf(factors + 8, 512,
                       "{\"%s.lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[1,32],\"data_offsets\":[0,128]},"
                       "\"%s.lora_B.weight\":{\"dtype\":\"F32\",\"shape\":[32,1],\"data_offsets\":[128,256]}}",
                       "base_model.model.encoder.layer.0.attention.self.query",
                       "base_model.model.encoder.layer.0.attention.self.query");
    factors[0] = (char)(len & 255);
    factors[1] = (char)(len >> 8);
    put_file(dir, "adapter_model.safetensors", factors, (size_t)len + 8 + 256);
    put_file(dir, "adapter_config.json", config, strlen(config));
    the_base = loaded_from(base);
    struct att_model *adapter = loaded_from(dir);
    assert_int_equal(att_model_info(adapter)->pooling, ATT_POOL_CLS);
    assert_false(att_model_info(adapter)->normalize);
    assert_int_equal(att_model_info(adapter)->max_tokens, 9);
    att_model_unref(adapter);
    put_file(dir, "attend.json", mean, strlen(mean)); /* its own words win */
    adapter = loaded_from(dir);
    assert_int_equal(att_model_info(adapter)->pooling, ATT_POOL_MEAN);
    assert_true(att_model_info(adapter)->normalize);
    att_model_unref(adapter);
    att_model_unref(the_base);
    remove_copy(base);
    remove_copy(dir);
}

static void refuses_directories_by_file_and_field(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text, *says;
    } cases[] = {
        {"config.json", "{", "config.json: not JSON"},
        {"config.json", "[]", "config.json: is array, expected a JSON object"},
        {"config.json", "{\"model_type\":\"gpt9\"}", "config.json: model_type: 'gpt9'"},
        {"config.json", "{\"model_type\":\"bert\"}", "config.json: hidden_size: is missing"},
        {"config.json", "{\"model_type\":\"bert\",\"hidden_size\":32,\"num_hidden_layers\":1000000}",
         "config.json: num_hidden_layers"},
        {"config.json",
         "{\"model_type\":\"bert\",\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":5,"
         "\"intermediate_size\":64,\"vocab_size\":1501,\"max_position_embeddings\":64}",
         "config.json: num_attention_heads: is 5"},
        {"config.json",
         "{\"model_type\":\"bert\",\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":4,"
         "\"intermediate_size\":64,\"vocab_size\":1501,\"max_position_embeddings\":64,\"hidden_act\":\"mish\"}",
         "config.json: hidden_act: 'mish'"},
        {"config.json",
         "{\"model_type\":\"bert\",\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":4,"
         "\"intermediate_size\":64,\"vocab_size\":1500,\"max_position_embeddings\":64}",
         "model.safetensors: tensor 'embeddings.word_embeddings.weight' has shape [1501,32], expected [1500,32]"},
        {"config.json",
         "{\"model_type\":\"bert\",\"hidden_size\":32,\"num_hidden_layers\":3,\"num_attention_heads\":4,"
         "\"intermediate_size\":64,\"vocab_size\":1501,\"max_position_embeddings\":64}",
         "tensor 'encoder.layer.2.attention.self.query.weight' is missing"},
        {"attend.json", "{\"heads\":[{\"name\":\"x\",\"labels\":[\"a\",\"b\"]}]}", "'heads.x.weight' is missing"},
        {"attend.json", "{\"heads\":[{\"name\":\"x\",\"labels\":[]}]}", "attend.json: heads.x.labels"},
        {"attend.json", "{\"heads\":[{\"name\":\"x\",\"labels\":[1]}]}", "attend.json: heads.x.labels[0]: is number"},
        {"attend.json", "{\"pooling\":\"max\"}", "attend.json: pooling: 'max'"},
        {"attend.json", "{\"max_length\":100000}", "attend.json: max_length"},
        {"adapter_config.json", "{\"base_model_name_or_path\":\"minilm\"}", "no model named 'minilm' is loaded"},
        {"adapter_config.json", "{}", "adapter_config.json: base_model_name_or_path"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char dir[] = "/tmp/attend-model-XXXXXX", source[512], from[600], to[300];
        assert_non_null(mkdtemp(dir));
        for (size_t f = 0; f < 3; f++) {
            snprintf(from, sizeof from, "%s/%s", model_dir("st-bert-mean", source), files[f]);
            snprintf(to, sizeof to, "%s/%s", dir, files[f]);
            copy_file(from, to);
        }
        snprintf(to, sizeof to, "%s/%s", dir, cases[i].file);
        FILE *file = fopen(to, "wb");
        assert_non_null(file);
        fputs(cases[i].text, file);
        fclose(file);
        struct att_model *model = NULL;
        struct att_err err = {.message = ""};
        const struct att_model_options options = {.dtype = ATT_F32};
        assert_int_not_equal(att_model_load(dir, &options, &model, &err), ATT_OK);
        assert_null(model);
        if (!strstr(err.message, cases[i].says))
            fail_msg("case %zu: '%s' does not say '%s'", i, err.message, cases[i].says);
        remove_copy(dir);
    }
}

static void loads_or_says_out_of_memory(void **state)
{
    (void)state;
    char path[512];
    model_dir("sasrec", path);
    const struct att_model_options options = {.dtype = ATT_F32};
    for (uint64_t k = 1;; k++) {
        struct att_model *model = NULL;
        struct att_err err = {.status = ATT_OK};
        att_mem_fail_at(k, k % 2);
        enum att_status status = att_model_load(path, &options, &model, &err);
        att_mem_fail_at(0, false);
        if (status == ATT_OK) {
            att_model_unref(model);
            assert_true(k > 20);
            return;
        }
        assert_null(model);
        if (status != ATT_ENOMEM)
            fail_msg("allocation %llu: status %d: %s", (unsigned long long)k, status, err.message);
    }
}

static void scores_all_items_but_padding(void **state)
{
    (void)state;
    struct att_model *model = loaded("sasrec");
    const struct att_model_info *info = att_model_info(model);
    float *scores = calloc(info->vocab_size, sizeof *scores);
    assert_non_null(scores);
    att_score_items(model, att_item_embedding(model, 5), scores);
    assert_true(isinf(scores[0]) && scores[0] < 0);
    for (size_t i = 1; i < info->vocab_size; i++)
        assert_true(isfinite(scores[i]));
    assert_null(att_item_embedding(model, info->vocab_size));
    free(scores);
    att_model_unref(model);
}

static void count_weights(void *context, const struct att_tensor_info *tensor)
{
    size_t *total = context, count = 1;
    for (size_t i = 0; i < tensor->rank; i++)
        count *= tensor->shape[i];
    *total += count;
}

/* Each weight once, whatever the number of slots that could hold it: T5's inner parts have two forms. */
static void counts_the_bytes_of_weights(void **state)
{
    (void)state;
    const char *root = getenv("ATT_SOURCE_ROOT");
    char dir[512];
    size_t count = 0;
    struct att_model *model = NULL;
    struct att_err err;
    snprintf(dir, sizeof dir, "%s/tests/data/models/tiny-t5", root ? root : ".");
    assert_int_equal(att_model_tensors(dir, count_weights, &count, &err), ATT_OK);
    assert_int_equal(att_model_load(dir, &(struct att_model_options){0}, &model, &err), ATT_OK);
    const size_t bytes = att_model_info(model)->weight_bytes;
    if (bytes < count * sizeof(float) || bytes > count * sizeof(float) * 6 / 5) /* columns are padded to a panel's */
        fail_msg("%zu bytes of %zu weights", bytes, count);
    att_model_unref(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_the_bytes_of_weights),
        cmocka_unit_test(gives_the_reference_outputs),
        cmocka_unit_test(tells_what_it_is),
        cmocka_unit_test(equal_inputs_give_equal_bits),
        cmocka_unit_test(segments_do_not_matter_where_there_are_none),
        cmocka_unit_test(taps_see_every_layer_and_change_nothing),
        cmocka_unit_test(forward_allocates_nothing),
        cmocka_unit_test(refuses_batches_out_of_bounds),
        cmocka_unit_test(adapters_pool_as_their_base),
        cmocka_unit_test(refuses_directories_by_file_and_field),
        cmocka_unit_test(loads_or_says_out_of_memory),
        cmocka_unit_test(scores_all_items_but_padding),
    };
    return cmocka_run_group_tests_name("arch/model", tests, start, NULL);
}
