/*
 * A catalogue that is scanned in 8 bits first: answers are those of the full
 * product, whatever is excluded, and as they are where words join in. The model
 * is a SASRec of random weights, written here.
 */
#include "tests/unit/tasks/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/follows.h"

enum { ITEMS = 30000, D = 16, LENGTH = 12 };

static struct task_model large = {.name = "large"};
static char folder[64];

static const struct task_model *find_model(void *context, const char *name, const char *task)
{
    (void)context;
    (void)name;
    (void)task;
    return &large;
}

/* ---- a model directory ---- */

struct tensor {
    const char *name;
    size_t rows, cols; /* cols 0: a vector; a third dimension of 1 where the name says conv */
};

static const struct tensor tensors[] = {
    {"attention_layernorms.0.bias", D, 0},
    {"attention_layernorms.0.weight", D, 0},
    {"attention_layers.0.in_proj_bias", 3 * D, 0},
    {"attention_layers.0.in_proj_weight", 3 * D, D},
    {"attention_layers.0.out_proj.bias", D, 0},
    {"attention_layers.0.out_proj.weight", D, D},
    {"forward_layernorms.0.bias", D, 0},
    {"forward_layernorms.0.weight", D, 0},
    {"forward_layers.0.conv1.bias", D, 0},
    {"forward_layers.0.conv1.weight", D, D},
    {"forward_layers.0.conv2.bias", D, 0},
    {"forward_layers.0.conv2.weight", D, D},
    {"item_emb.weight", ITEMS + 1, D},
    {"last_layernorm.bias", D, 0},
    {"last_layernorm.weight", D, 0},
    {"pos_emb.weight", LENGTH + 1, D},
};
enum { TENSORS = sizeof tensors / sizeof *tensors };

static float noise(void)
{
    static uint64_t seed = 11;
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)(seed >> 40) / (float)(1 << 23) - 1;
}

static void write_values(FILE *file, const struct tensor *tensor)
{
    for (size_t i = 0; i < tensor->rows * (tensor->cols ? tensor->cols : 1); i++) {
        float value = noise();
        fwrite(&value, sizeof value, 1, file);
    }
}

static int write_model(void)
{
    char path[128], header[4096];
    size_t len = 0, at = 0;
    snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *file = fopen(path, "w");
    if (!file)
        return -1;
    fprintf(file,
            "{\"model_type\":\"sasrec\",\"num_items\":%d,\"hidden_size\":%d,\"num_hidden_layers\":1,"
            "\"num_attention_heads\":1,\"max_position_embeddings\":%d,\"hidden_act\":\"relu\",\"layer_norm_eps\":1e-8,"
            "\"scale_embedding\":true,\"pad_token_id\":0,\"pad_to_max_length\":false}",
            ITEMS, D, LENGTH);
    fclose(file);
    for (size_t i = 0; i < TENSORS; i++) {
        const struct tensor *t = &tensors[i];
        size_t bytes = t->rows * (t->cols ? t->cols : 1) * sizeof(float);
        char shape[64];
        snprintf(shape, sizeof shape, t->cols ? strstr(t->name, "conv") ? "%zu,%zu,1" : "%zu,%zu" : "%zu", t->rows,
                 t->cols);
        len += (size_t)snprintf(header + len, sizeof header - len,
                                "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}", i ? "," : "{",
                                t->name, shape, at, at + bytes);
        at += bytes;
    }
    len += (size_t)snprintf(header + len, sizeof header - len, "}");
    while (len % 8)
        header[len++] = ' ';
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    file = fopen(path, "w");
    if (!file)
        return -1;
    uint64_t size = len;
    fwrite(&size, sizeof size, 1, file);
    fwrite(header, 1, len, file);
    for (size_t i = 0; i < TENSORS; i++)
        write_values(file, &tensors[i]);
    return fclose(file);
}

static int start(void **state)
{
    struct att_err err = {.status = ATT_OK};
    const struct att_model_options options = {.dtype = ATT_F32};
    snprintf(folder, sizeof folder, "/tmp/recommend-large-XXXXXX");
    if (fixture_start(state) != 0 || !mkdtemp(folder) || write_model() != 0)
        return -1;
    if (att_model_load(folder, &options, &large.model, &err) != ATT_OK) {
        fprintf(stderr, "%s\n", err.message);
        return -1;
    }
    fixture_env.find_model = find_model;
    fixture_env.limits.history_max = 100;
    fixture_env.limits.items_max = 2000;
    return 0;
}

static int stop(void **state)
{
    char path[128];
    att_model_unref(large.model);
    snprintf(path, sizeof path, "%s/config.json", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    unlink(path);
    rmdir(folder);
    return fixture_stop(state);
}

/* ---- the plain way ---- */

static const float *order_scores;

static int by_score(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (order_scores[x] != order_scores[y])
        return order_scores[x] > order_scores[y] ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* The answer's items are the best of att_score_items without those left out, with the same logits. */
static void check(const struct att_json *answer, const int32_t *sequence, size_t len, const bool *left_out,
                  size_t top_k)
{
    struct att_context *context = NULL;
    const uint32_t cu[2] = {0, (uint32_t)len};
    const struct att_batch batch = {.ids = sequence, .cu_seqlens = cu, .n_seqs = 1};
    struct att_output out;
    float *scores = calloc(ITEMS + 1, sizeof *scores);
    uint32_t *order = calloc(ITEMS + 1, sizeof *order);
    size_t n = 0;
    double sum = 0;
    assert_int_equal(att_context_create(large.model, LENGTH, 1, &context, NULL), ATT_OK);
    assert_int_equal(att_forward(context, &batch, NULL, &out, NULL), ATT_OK);
    att_score_items(large.model, out.pooled, scores);
    for (uint32_t i = 1; i <= ITEMS; i++)
        if (!left_out[i]) {
            order[n++] = i;
            sum += exp((double)scores[i]);
        }
    order_scores = scores;
    qsort(order, n, sizeof *order, by_score);
    const struct att_json *items = att_json_get(answer, "items");
    assert_int_equal(att_json_count(items), n < top_k ? n : top_k);
    for (size_t i = 0; i < att_json_count(items); i++) {
        const struct att_json *item = att_json_at(items, i);
        char id[16];
        snprintf(id, sizeof id, "%u", (unsigned)order[i]);
        assert_string_equal(att_json_string(att_json_get(item, "id"), NULL), id);
        assert_true((float)att_json_number(att_json_get(item, "logit"), 0) == scores[order[i]]);
        assert_string_equal(att_json_string(att_json_get(item, "source"), NULL), "sequence");
        double share = exp((double)scores[order[i]]) / sum;
        assert_true(fabs(att_json_number(att_json_get(item, "score"), 0) - share) < 0.05 * share + 1e-6);
    }
    att_context_destroy(context);
    free(scores);
    free(order);
}

static void test_scanned_is_exact(void **state)
{
    static bool left_out[ITEMS + 1];
    (void)state;
    assert_non_null(att_item_scan(large.model));
    for (int round = 0; round < 8; round++) {
        char body[512];
        int32_t sequence[4];
        size_t len = 1 + (size_t)round % 4, at = 0;
        memset(left_out, 0, sizeof left_out);
        at += (size_t)snprintf(body + at, sizeof body - at, "{'history':[");
        for (size_t i = 0; i < len; i++) {
            sequence[i] = 1 + (7919 * round + 104729 * (int)i) % ITEMS;
            left_out[sequence[i]] = true;
            at += (size_t)snprintf(body + at, sizeof body - at, "%s{'item':'%d','type':'buy'}", i ? "," : "",
                                   (int)sequence[i]);
        }
        snprintf(body + at, sizeof body - at, "],'top_k':%d}", 1 + 30 * round);
        struct att_json *answer = fixture_answer(&task_recommend, body);
        check(answer, sequence, len, left_out, 1 + 30 * (size_t)round);
        att_json_destroy(answer);
    }
}

static void test_exclusions_and_candidates(void **state)
{
    static bool left_out[ITEMS + 1];
    const int32_t sequence[1] = {77};
    char body[400];
    (void)state;
    memset(left_out, 0, sizeof left_out);
    struct att_json *first =
        fixture_answer(&task_recommend, "{'history':[{'item':'77'}],'exclude_seen':false,'top_k':3}");
    check(first, sequence, 1, left_out, 3);
    snprintf(body, sizeof body, "{'history':[{'item':'77'}],'exclude_seen':false,'top_k':3,'exclude':['%s']}",
             fixture_text(first, "items.0.id"));
    struct att_json *second = fixture_answer(&task_recommend, body);
    assert_string_equal(fixture_text(second, "items.0.id"), fixture_text(first, "items.1.id"));
    left_out[strtol(fixture_text(first, "items.0.id"), NULL, 10)] = true;
    check(second, sequence, 1, left_out, 3);
    att_json_destroy(first);
    att_json_destroy(second);
    memset(left_out, 1, sizeof left_out);
    left_out[5] = left_out[29999] = left_out[12] = false;
    first = fixture_answer(&task_recommend, "{'history':[{'item':'77'}],'candidates':['5','29999','12','no']}");
    check(first, sequence, 1, left_out, 10);
    att_json_destroy(first);
}

/* What followed the last item is raised, also from far below the scan's best; counterfactuals know it too. */
static void test_follows(void **state)
{
    char path[128];
    struct att_err err = {.message = ""};
    (void)state;
    struct att_json *plain =
        fixture_answer(&task_recommend, "{'history':[{'item':'3'},{'item':'77'}],'candidates':['400','9','500']}");
    struct att_json *before = fixture_answer(&task_recommend, "{'history':[{'item':'3'},{'item':'77'}],'top_k':40}");
    snprintf(path, sizeof path, "%s/follows.jsonl", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "{\"scale\":1000,\"weight\":20}\n{\"index\":77,\"next\":[[400,1],[500,0.5],[%s,0.001]]}\n",
            fixture_text(before, "items.20.id"));
    fclose(file);
    if (store_follows_open(folder, ITEMS, &large.follows, &err) != ATT_OK)
        fail_msg("%s", err.message);
    unlink(path);
    struct att_json *lifted =
        fixture_answer(&task_recommend, "{'history':[{'item':'3'},{'item':'77'}],'candidates':['400','9','500']}");
    struct att_json *best =
        fixture_answer(&task_recommend, "{'history':[{'item':'3'},{'item':'77'}],'top_k':40,'counterfactual':true}");
    assert_string_equal(fixture_text(best, "items.0.id"), "400");
    assert_string_equal(fixture_text(best, "items.1.id"), "500");
    assert_string_equal(fixture_text(lifted, "items.0.id"), "400");
    /* The logit is the model's and the boost, and is the same however the item was found. */
    for (size_t i = 0; i < 3; i++) {
        const struct att_json *item = att_json_at(att_json_get(lifted, "items"), i);
        const char *id = att_json_string(att_json_get(item, "id"), NULL);
        double boost = strcmp(id, "400") == 0 ? 20 * log1p(1000) : strcmp(id, "500") == 0 ? 20 * log1p(500) : 0;
        for (size_t j = 0; j < 3; j++) {
            const struct att_json *other = att_json_at(att_json_get(plain, "items"), j);
            if (strcmp(att_json_string(att_json_get(other, "id"), NULL), id) == 0)
                assert_true(fabs(att_json_number(att_json_get(item, "logit"), 0) -
                                 att_json_number(att_json_get(other, "logit"), 0) - boost) < 1e-3);
        }
    }
    assert_true(fixture_number(best, "items.0.logit") == fixture_number(lifted, "items.0.logit"));
    /* Without the last event nothing is raised: all of the boost is its. */
    assert_true(fabs(fixture_number(best, "items.0.counterfactual.0.change")) > 100);
    /* The others stand as they stood, each once. */
    size_t at = 2;
    for (size_t i = 0; i < 40 && at < 40; i++) {
        const struct att_json *item = att_json_at(att_json_get(before, "items"), i);
        const char *id = att_json_string(att_json_get(item, "id"), NULL);
        if (i == 20 || strcmp(id, "400") == 0 || strcmp(id, "500") == 0)
            continue;
        bool found = false;
        for (size_t j = 2; j < 40; j++)
            found =
                found ||
                strcmp(att_json_string(att_json_get(att_json_at(att_json_get(best, "items"), j), "id"), NULL), id) == 0;
        assert_true(found || i >= 38);
    }
    double total = 0;
    for (size_t i = 0; i < 40; i++)
        total += att_json_number(att_json_get(att_json_at(att_json_get(best, "items"), i), "score"), 0);
    assert_true(total > 0.9 && total < 1.001);
    store_follows_close(large.follows);
    large.follows = NULL;
    att_json_destroy(plain);
    att_json_destroy(before);
    att_json_destroy(lifted);
    att_json_destroy(best);
}

/* Diversity takes its choice from the scan's best; an empty history has no scan. */
static void test_other_ways(void **state)
{
    (void)state;
    struct att_json *answer =
        fixture_answer(&task_recommend, "{'history':[{'item':'9'},{'item':'10'}],'diversity':0.5,'top_k':20}");
    assert_int_equal(att_json_count(att_json_get(answer, "items")), 20);
    att_json_destroy(answer);
    answer = fixture_answer(&task_recommend, "{'top_k':4}");
    assert_string_equal(fixture_text(answer, "fallback"), "popularity");
    assert_int_equal(att_json_count(att_json_get(answer, "items")), 4);
    att_json_destroy(answer);
    /* More than a scan keeps: all are scored. */
    answer = fixture_answer(&task_recommend, "{'history':[{'item':'9'}],'top_k':2000}");
    assert_int_equal(att_json_count(att_json_get(answer, "items")), 2000);
    att_json_destroy(answer);
}

/* The same answers from a table in a file without a name; and a later load of the same weights shares the table. */
static void test_mapped_and_shared(void **state)
{
    static const char body[] = "{'history':[{'item':'3'},{'item':'77'}],'top_k':20,'counterfactual':true}";
    struct att_bulk_place place = {.folder = folder};
    struct att_model_options options = {.dtype = ATT_F32, .place = &place};
    struct att_model *in_memory = large.model, *mapped = NULL, *again = NULL;
    char path[128];
    (void)state;
    struct att_json *before = fixture_answer(&task_recommend, body);
    assert_int_equal(att_model_load(folder, &options, &mapped, NULL), ATT_OK);
    assert_string_equal(place.why, "");
    assert_int_equal(att_model_info(in_memory)->mapped_bytes, 0);
    assert_true(att_model_info(mapped)->mapped_bytes > (size_t)ITEMS * D * (sizeof(float) + 1));
    assert_ptr_not_equal(att_item_embedding(mapped, 1), att_item_embedding(in_memory, 1));
    large.model = mapped;
    struct att_json *after = fixture_answer(&task_recommend, body);
    for (size_t i = 0; i < 20; i++) {
        char at[40];
        snprintf(at, sizeof at, "items.%zu.id", i);
        assert_string_equal(fixture_text(after, at), fixture_text(before, at));
        snprintf(at, sizeof at, "items.%zu.logit", i);
        assert_true(fixture_number(after, at) == fixture_number(before, at));
    }
    options.earlier = mapped;
    assert_int_equal(att_model_load(folder, &options, &again, NULL), ATT_OK);
    assert_ptr_equal(att_item_embedding(again, 1), att_item_embedding(mapped, 1));
    assert_ptr_equal(att_item_scan(again), att_item_scan(mapped));
    att_model_unref(mapped); /* the later one keeps what it shares */
    large.model = again;
    struct att_json *shared = fixture_answer(&task_recommend, body);
    assert_true(fixture_number(shared, "items.0.logit") == fixture_number(before, "items.0.logit"));
    /* Other weights: nothing is shared. */
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, -4, SEEK_END), 0);
    fwrite("\0\0\0\x3e", 1, 4, file);
    fclose(file);
    struct att_model *other = NULL;
    options.earlier = again;
    assert_int_equal(att_model_load(folder, &options, &other, NULL), ATT_OK);
    assert_ptr_not_equal(att_item_embedding(other, 1), att_item_embedding(again, 1));
    assert_ptr_not_equal(att_item_scan(other), att_item_scan(again));
    att_model_unref(other);
    att_model_unref(again);
    large.model = in_memory;
    att_json_destroy(before);
    att_json_destroy(after);
    att_json_destroy(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scanned_is_exact),  cmocka_unit_test(test_exclusions_and_candidates),
        cmocka_unit_test(test_other_ways),        cmocka_unit_test(test_follows),
        cmocka_unit_test(test_mapped_and_shared),
    };
    return cmocka_run_group_tests_name("tasks/recommend_large", tests, start, stop);
}
